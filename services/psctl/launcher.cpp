#include "services/psctl/launcher.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "libps/net/clock.hpp"
#include "services/common/status_json.hpp"

namespace ringps {
namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(100);
constexpr Duration first_poll_interval = std::chrono::milliseconds(20);  ///< until everybody has been heard of
constexpr Duration ready_patience = std::chrono::seconds(15);
constexpr Duration stop_patience = std::chrono::seconds(10);   ///< for a run to end in good order
constexpr Duration leave_patience = std::chrono::seconds(10);  ///< for members after the coordinator has gone
constexpr Duration terminate_patience = std::chrono::seconds(3);
constexpr std::size_t ready_bytes_max = 4096;
constexpr std::uint64_t last_status_bytes_max = 64U << 20U;

const std::string coordinator_id = "coordinator";

/// The end of a log, for the person who wants to know why its process has gone.
std::string tail_of(const std::filesystem::path& log) {
  constexpr std::streamoff bytes_max = 4096;
  constexpr std::size_t lines_max = 15;
  std::ifstream stream(log, std::ios::binary | std::ios::ate);
  if (!stream) {
    return "";
  }
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(size - bytes_max, 0));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(std::move(line));
  }
  std::string text;
  for (std::size_t i = lines.size() > lines_max ? lines.size() - lines_max : 0; i < lines.size(); ++i) {
    text += "\n  " + lines[i];
  }
  return text;
}

ExitCode code_of(const ProcessExit& exit) {
  switch (exit.code) {
    case exit_usage:
    case exit_unreachable:
    case exit_data_lost:
    case exit_interrupted:
      return static_cast<ExitCode>(exit.code);
    default:
      return exit_run_failed;
  }
}

}  // namespace

Launcher::Launcher(const Config& config, const RunDir& run_dir, const CommandLines& command_lines,
                   ProgressReporter& reporter, SignalDescriptor& signals)
    : config_(config),
      run_dir_(run_dir),
      command_lines_(command_lines),
      reporter_(reporter),
      signals_(signals),
      started_(now()),
      incarnation_{unix_microseconds()} {}

Outcome Launcher::run() {
  enter(Phase::starting, ready_patience);
  start_coordinator();
  while (!children_.empty()) {
    turn();
  }
  reporter_.finish();
  return outcome();
}

// ---- starting -------------------------------------------------------------------------------------------------------

void Launcher::start(Role role, const std::string& id, const std::vector<std::string>& arguments,
                     std::optional<std::uint64_t> kill_at, int pass) {
  Life life{role, id, 0, "", {}, unix_microseconds(), kill_at, {}};
  auto process = ChildProcess::start(arguments, run_dir_.log(id), pass);
  if (!process) {
    fail(exit_run_failed, process.error());
    return;
  }
  life.pid = static_cast<std::uint64_t>(process->pid());
  ++lives_of_[id];
  lives_.push_back(std::move(life));
  children_.push_back({lives_.size() - 1, std::move(*process)});
}

void Launcher::start_coordinator() {
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    fail(exit_run_failed,
         fmt::format("cannot make a pipe to the coordinator: {}", std::generic_category().message(errno)));
    return;
  }
  ready_ = FileDescriptor(pipe[0]);
  ready_text_.clear();
  const FileDescriptor write_end(pipe[1]);
  start(Role::coordinator, coordinator_id, command_lines_.coordinator(control_, passed_descriptor), std::nullopt,
        write_end.get());
  write_processes();
}

void Launcher::start_member(const MemberName& member) {
  const auto kills = kills_of(config_, member.id);
  const std::size_t life = lives_of_[member.id];
  const auto kill_at = life < kills.size() ? std::optional(kills[life]) : std::nullopt;
  start(member.role, member.id, command_lines_.member(member, control_, kill_at), kill_at, -1);
}

/// Reads what the coordinator has said so far; once it has said a line, everybody else is started.
void Launcher::on_coordinator_ready() {
  std::array<char, 512> buffer{};
  const ssize_t got = read(ready_.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EAGAIN) {
    return;
  }
  if (got > 0) {
    ready_text_.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (ready_text_.find('\n') == std::string::npos && got > 0 && ready_text_.size() < ready_bytes_max) {
    return;
  }
  ready_.close();
  const auto json = nlohmann::json::parse(ready_text_, nullptr, false);
  if (!json.is_object() || !json.contains("control") || !json["control"].is_string()) {
    return;  // it has ended, which reap() notices, or is no coordinator of ours, which the deadline notices
  }
  const bool first = control_.empty();
  control_ = json["control"].get<std::string>();
  for (Life& life : lives_) {
    if (life.id == coordinator_id && life.alive()) {
      life.endpoint = control_;
      life.incarnation = Incarnation{json.value("incarnation", std::uint64_t{0})};
    }
  }
  if (first && phase_ == Phase::starting) {
    enter(Phase::running, Duration::max());
    coordinator_.emplace(context_, control_, control_hwm);
    for (const MemberName& member : members_of(config_)) {
      start_member(member);
    }
  }
  write_processes();
}

// ---- the loop -------------------------------------------------------------------------------------------------------

void Launcher::turn() {
  EventLoop loop;  // what it waits for changes with every start and end
  const auto wake = [] {};
  loop.add(signals_.descriptor(), wake);
  for (const Child& child : children_) {
    loop.add(child.process.descriptor(), wake);
  }
  if (ready_.get() >= 0) {
    loop.add(ready_.get(), wake);
  }
  if (coordinator_) {
    loop.add(
        coordinator_->ref(), [this] { coordinator_->flush(); }, [this] { return coordinator_->has_unsent(); });
  }
  loop.wait_until(std::min(phase_deadline_, coordinator_ ? next_poll_ : time_never));

  while (const int signal = signals_.take()) {
    on_signal(signal);
  }
  if (ready_.get() >= 0) {
    on_coordinator_ready();
  }
  Message message;
  while (coordinator_ && coordinator_->receive(message, [](const std::string&) {})) {
    on_message(message);
  }
  reap();
  if (coordinator_ && now() >= next_poll_) {
    poll_status();
  }
  if (now() >= phase_deadline_) {
    escalate();
  }
}

void Launcher::on_signal(int signal) {
  if (code_ == exit_interrupted && is_over()) {  // the second time: at once
    enter(Phase::killing, Duration::max());
    return;
  }
  code_ = code_.value_or(exit_interrupted);
  text_ = text_.empty() ? fmt::format("interrupted by SIG{}", sigabbrev_np(signal)) : text_;
  reporter_.on_event(fmt::format("SIG{}: the run ends in good order; once more ends it at once", sigabbrev_np(signal)));
  ask_to_stop(text_);
}

void Launcher::on_message(const Message& message) {
  const auto* status = std::get_if<Status>(&message.body);
  if (status == nullptr || message.envelope.role != Role::coordinator) {
    return;
  }
  if (status->view.epoch != seen_epoch_) {
    seen_epoch_ = status->view.epoch;
    reporter_.on_event(fmt::format("view {}: {}", seen_epoch_.value, status->view.cause));
  }
  last_status_ = StatusSample{*status, now()};
  reporter_.on_status(last_status_->at, *status);
  if (learn(lives_, *status)) {
    write_processes();
  }
}

void Launcher::poll_status() {
  const bool all_known = std::all_of(lives_.begin(), lives_.end(), [](const Life& life) {
    return !life.alive() || life.incarnation != Incarnation{};
  });
  next_poll_ = now() + (all_known ? poll_interval : first_poll_interval);
  if (coordinator_->has_unsent()) {  // it is not there now
    return;
  }
  send(GetStatus{});
  if (phase_ == Phase::stopping && (!last_status_ || last_status_->status.state <= RunState::running)) {
    send(StopRun{stop_cause_});
  }
}

void Launcher::send(Body body) {
  last_request_ = last_request_.next();
  coordinator_->send({{config_.name, Role::control, "psctl", incarnation_, {}, last_request_}, std::move(body), {}});
}

// ---- ends -----------------------------------------------------------------------------------------------------------

void Launcher::reap() {
  std::vector<std::size_t> ended;
  std::erase_if(children_, [&](Child& child) {
    const auto exit = child.process.reap();
    if (exit) {
      const bool run_over = last_status_ && last_status_->status.state > RunState::running;
      lives_[child.life].end = Life::End{*exit, now(), unix_microseconds(), is_over() || run_over};
      ended.push_back(child.life);
    }
    return exit.has_value();
  });
  for (const std::size_t index : ended) {
    on_end(lives_[index]);
  }
  if (!ended.empty()) {
    write_processes();
    next_poll_ = now();  // what has ended may be news to the coordinator, or from it
  }
}

void Launcher::on_end(Life& life) {
  if (life.role == Role::coordinator && (!life.end->exit.signalled || is_over())) {
    coordinator_exit_ = life.end->exit;
    coordinator_.reset();
    if (const auto text = read_text(run_dir_.last_status(), last_status_bytes_max)) {
      if (auto status = parse_status(*text)) {
        last_status_ = StatusSample{std::move(*status), life.end->at};
      }
    }
    if (life.end->exit != ProcessExit{false, exit_done}) {
      fail(code_of(life.end->exit), fmt::format("the coordinator {}; the end of its log:{}", to_string(life.end->exit),
                                                tail_of(run_dir_.log(life.id))));
    }
    if (phase_ < Phase::leaving) {
      enter(Phase::leaving, leave_patience);
    }
  } else if (is_over()) {
    return;
  } else {
    const Life copy = life;  // starting others moves lives_
    copy.end->exit.signalled ? on_death(copy) : on_exit(copy);
  }
}

void Launcher::on_death(const Life& life) {
  reporter_.on_event(fmt::format("{} (pid {}) {}", life.id, life.pid, to_string(life.end->exit)));
  if (phase_ == Phase::starting) {
    fail(exit_run_failed, fmt::format("the coordinator {} before it was ready; the end of its log:{}",
                                      to_string(life.end->exit), tail_of(run_dir_.log(life.id))));
    return;
  }
  if (is_needed(config_.cluster.restart, life, lives_)) {
    restart(life);
    return;
  }
  const bool alone = std::none_of(lives_.begin(), lives_.end(),
                                  [&](const Life& other) { return other.role == life.role && other.alive(); });
  if (alone) {
    fail(exit_unreachable, fmt::format("no {} is left, and cluster.restart is {}", name_of(life.role),
                                       schema::name_of(config_.cluster.restart)));
  }
}

void Launcher::on_exit(const Life& life) {
  const bool home_gone = config_.cluster.worker_scope == WorkerScope::server && life.role == Role::worker &&
                         std::none_of(lives_.begin(), lives_.end(), [&](const Life& other) {
                           return other.alive() && other.id == home_of(config_, life.id);
                         });
  if (life.end->exit.code == exit_done || home_gone) {
    return;  // the run is over, as the coordinator is about to say, or its server took it along
  }
  fail(code_of(life.end->exit),
       fmt::format("{} {}; the end of its log:{}", life.id, to_string(life.end->exit), tail_of(run_dir_.log(life.id))));
}

void Launcher::restart(const Life& life) {
  if (!budgets_[life.id].take(now())) {
    fail(exit_run_failed,
         fmt::format("{} was started {} times within {:.0f} s and died each time; the end of its log:{}", life.id,
                     RestartBudget::restarts_max + 1, seconds(RestartBudget::window), tail_of(run_dir_.log(life.id))));
    return;
  }
  reporter_.on_event(fmt::format("{} is started again", life.id));
  if (life.role == Role::coordinator) {
    start_coordinator();
  } else {
    start_member({life.role, life.id});
  }
}

void Launcher::fail(ExitCode code, std::string text) {
  if (!code_) {
    code_ = code;
    text_ = std::move(text);
  }
  ask_to_stop("psctl ends the run");
}

void Launcher::ask_to_stop(const std::string& cause) {
  if (is_over()) {
    return;
  }
  stop_cause_ = cause.substr(0, 200);
  if (coordinator_) {
    enter(Phase::stopping, stop_patience);
    send(StopRun{stop_cause_});
  } else {
    enter(Phase::terminating, terminate_patience);
  }
}

void Launcher::enter(Phase phase, Duration patience) {
  phase_ = phase;
  phase_deadline_ = patience == Duration::max() ? time_never : now() + patience;
  const std::uint32_t timeout_ms = config_.cluster.timeouts.run_timeout_ms;
  if (phase == Phase::running && timeout_ms > 0) {
    phase_deadline_ = started_ + std::chrono::milliseconds(timeout_ms);
  }
  if (phase >= Phase::terminating) {
    for (const Child& child : children_) {
      child.process.send_signal(phase == Phase::terminating ? SIGTERM : SIGKILL);
    }
  }
}

/// What comes when a phase takes longer than it may.
void Launcher::escalate() {
  switch (phase_) {
    case Phase::starting:
      fail(exit_unreachable, fmt::format("the coordinator was not ready within {:.0f} s; the end of its log:{}",
                                         seconds(ready_patience), tail_of(run_dir_.log(coordinator_id))));
      break;
    case Phase::running:
      fail(exit_timed_out, fmt::format("the run took longer than cluster.timeouts.run_timeout_ms, {} ms",
                                       config_.cluster.timeouts.run_timeout_ms));
      break;
    case Phase::stopping:
    case Phase::leaving:
      for (const Child& child : children_) {
        reporter_.on_event(fmt::format("{} has not ended by itself: SIGTERM", lives_[child.life].id));
      }
      enter(Phase::terminating, terminate_patience);
      break;
    case Phase::terminating:
    case Phase::killing:
      enter(Phase::killing, Duration::max());
      break;
  }
}

void Launcher::write_processes() {
  const auto written = write_text(run_dir_.processes(), processes_json(lives_).dump(2) + "\n");
  if (!written) {
    fail(exit_run_failed, written.error());
  }
}

Outcome Launcher::outcome() const {
  Outcome outcome{code_.value_or(exit_done), text_, seconds(now() - started_), lives_, last_status_};
  // A process that meets what no retry can mend tells the coordinator, which ends the run: its words are the reason.
  if (outcome.code == exit_run_failed && last_status_ && last_status_->status.state == RunState::failed) {
    outcome.text = last_status_->status.text;
  }
  if (!code_ && !coordinator_exit_) {
    outcome.code = exit_unreachable;
    outcome.text = "no process is left";
  }
  return outcome;
}

}  // namespace ringps
