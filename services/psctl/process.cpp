#include "services/psctl/process.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 has forgotten it in this header
#include <sys/pidfd.h>
}

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "libps/base/check.hpp"

namespace ringps {
namespace {

constexpr int exit_code_not_started = 127;

[[noreturn]] void give_up(const char* what) {
  const char* const reason = strerrordesc_np(errno);
  for (const char* text : {"psctl: ", what, ": ", reason != nullptr ? reason : "unknown error", "\n"}) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
  }
  _exit(exit_code_not_started);
}

/// The child's side of the fork. Other threads may have held locks at the fork, so only async-signal-safe calls.
[[noreturn]] void become(char* const* arguments, int output, int pass, pid_t parent) {
  if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
    give_up("cannot redirect output");
  }
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || setpgid(0, 0) != 0) {
    give_up("cannot prepare a process");
  }
  if (getppid() != parent) {  // it died before it could be watched
    _exit(exit_code_not_started);
  }
  const int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0) {
    give_up("cannot open /dev/null");
  }
  if (pass >= 0 && pass != passed_descriptor && dup2(pass, passed_descriptor) < 0) {
    give_up("cannot hand on a descriptor");
  }
  if (pass == passed_descriptor) {
    fcntl(pass, F_SETFD, 0);
  }
  close_range(pass >= 0 ? passed_descriptor + 1 : passed_descriptor, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  execv(arguments[0], arguments);
  give_up(arguments[0]);
}

}  // namespace

std::string to_string(const ProcessExit& exit) {
  if (!exit.signalled) {
    return fmt::format("exited with code {}", exit.code);
  }
  const char* name = sigabbrev_np(exit.code);
  return name != nullptr ? fmt::format("was killed by SIG{}", name) : fmt::format("was killed by signal {}", exit.code);
}

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments, const std::filesystem::path& log,
                                         int pass) {
  const FileDescriptor output(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (output.get() < 0) {
    return io_error(log, "write", errno);
  }
  std::vector<char*> argument_pointers;
  argument_pointers.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) {
    argument_pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  argument_pointers.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    become(argument_pointers.data(), output.get(), pass, parent);
  }
  if (pid < 0) {
    return Error{fmt::format("cannot start {}: {}", arguments[0], std::generic_category().message(errno))};
  }
  FileDescriptor pidfd(pidfd_open(pid, 0));  // of this very process: it cannot be reaped by anyone else
  if (pidfd.get() < 0) {
    const int reason = errno;
    ::kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return Error{
        fmt::format("cannot watch {} (pidfd_open): {}", arguments[0], std::generic_category().message(reason))};
  }
  return ChildProcess(pid, std::move(pidfd));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    destroy();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  destroy();
}

void ChildProcess::destroy() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

std::optional<ProcessExit> ChildProcess::reap() {
  int status = 0;
  if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) {
    return std::nullopt;
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? ProcessExit{true, WTERMSIG(status)} : ProcessExit{false, WEXITSTATUS(status)};
}

void ChildProcess::send_signal(int signal) const {
  if (pid_ > 0) {
    ::kill(pid_, signal);
  }
}

}  // namespace ringps
