// A child process that ends with whoever started it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/storage/file.hpp"

namespace ringps {

/// How a process ended.
struct ProcessExit {
  bool signalled = false;
  int code = 0;  ///< the signal, or what it exited with

  friend bool operator==(const ProcessExit&, const ProcessExit&) = default;
};

/// "exited with code 1", "was killed by SIGKILL".
std::string to_string(const ProcessExit& exit);

/// The descriptor number under which a child finds the one that it was given.
inline constexpr int passed_descriptor = 3;

/// Not thread-safe. Start children on the thread that lives as long as the program: the kernel kills them when the
/// thread that started them ends, whatever ends it.
class ChildProcess {
 public:
  /// Runs `arguments` (the first is the program's path) in a process group of its own, so that Ctrl-C in the terminal
  /// does not reach it; output goes to the end of `log`. `pass`: a descriptor to hand on, or -1. All others are closed.
  static Result<ChildProcess> start(const std::vector<std::string>& arguments, const std::filesystem::path& log,
                                    int pass = -1);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  /// Kills it if it has not been reaped.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  /// Readable once the process has ended.
  int descriptor() const { return pidfd_.get(); }
  /// How it ended, the first time that this is asked after its end; nothing otherwise.
  std::optional<ProcessExit> reap();
  void send_signal(int signal) const;

 private:
  ChildProcess(pid_t pid, FileDescriptor pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void destroy();

  pid_t pid_ = -1;  ///< -1: reaped
  FileDescriptor pidfd_;
};

}  // namespace ringps
