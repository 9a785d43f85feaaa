// How processes and runs end: deaths, exits, restarts, and the phases in which a run is brought to its end.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "libps/net/clock.hpp"
#include "services/common/status_json.hpp"
#include "services/psctl/launcher.hpp"

namespace ringps {
namespace {

constexpr Duration stop_patience = std::chrono::seconds(10);   ///< for a run to end in good order
constexpr Duration leave_patience = std::chrono::seconds(10);  ///< for members after the coordinator has gone
constexpr Duration terminate_patience = std::chrono::seconds(3);
constexpr Duration judge_patience = std::chrono::seconds(3);  ///< for the coordinator to say how the run stands
constexpr std::uint64_t last_status_bytes_max = 64U << 20U;

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

void Launcher::reap() {
  std::vector<std::size_t> ended;
  std::erase_if(children_, [&](Child& child) {
    const auto exit = child.process.reap();
    if (exit) {
      const bool run_over = last_status_ && last_status_->status.state > RunState::running;
      lives_[child.life].end = Life::End{*exit, now(), unix_microseconds(), is_over() || run_over,
                                         last_status_ ? last_status_->status.iteration.value : 0};
      ended.push_back(child.life);
    }
    return exit.has_value();
  });
  for (const std::size_t index : ended) {
    on_end(index);
  }
  if (!ended.empty()) {
    write_processes();
    next_poll_ = now();  // what has ended may be news to the coordinator, or from it
  }
}

void Launcher::on_end(std::size_t index) {
  const Life& life = lives_[index];
  if (life.role == Role::coordinator && (!life.end->exit.signalled || is_over())) {
    coordinator_exit_ = life.end->exit;
    coordinator_.reset();
    if (const auto text = read_text(run_dir_.last_status(), last_status_bytes_max)) {
      if (auto status = parse_status(*text)) {
        last_status_ = StatusSample{std::move(*status), life.end->at};
        failures_.see(last_status_->status, last_status_->at);
      }
    }
    if (life.end->exit == ProcessExit{false, exit_interrupted} && last_status_ &&
        last_status_->status.state == RunState::interrupted) {
      fail(exit_interrupted, "the run was ended: " + last_status_->status.text);  // as somebody has asked for
    } else if (life.end->exit != ProcessExit{false, exit_done}) {
      fail(code_of(life.end->exit), fmt::format("the coordinator {}; the end of its log:{}", to_string(life.end->exit),
                                                tail_of(run_dir_.log(life.id))));
    }
    if (phase_ < Phase::leaving) {
      enter(Phase::leaving, leave_patience);
    }
  } else if (is_over()) {
    return;
  } else {
    life.end->exit.signalled ? on_death(Life(life)) : on_exit(index);  // starting others moves lives_
  }
}

void Launcher::on_death(const Life& life) {
  reporter_.on_event(fmt::format("{} (pid {}) {}", life.id, life.pid, to_string(life.end->exit)));
  if (phase_ == Phase::starting) {
    fail(exit_run_failed, fmt::format("the coordinator {} before it was ready; the end of its log:{}",
                                      to_string(life.end->exit), tail_of(run_dir_.log(life.id))));
    return;
  }
  if (is_retired(life.id)) {
    return;  // it had done its part, and would be refused
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

void Launcher::on_exit(std::size_t index) {
  const Life& life = lives_[index];
  const bool home_gone = config_.cluster.worker_scope == WorkerScope::server && life.role == Role::worker &&
                         std::none_of(lives_.begin(), lives_.end(), [&](const Life& other) {
                           return other.alive() && other.id == home_of(config_, life.id);
                         });
  if (life.end->exit.code == exit_done || home_gone || is_retired(life.id)) {
    return;  // it was drained, or the run is over, as the coordinator is about to say, or its server took it along
  }
  doubtful_exits_.push_back(index);
}

/// A process that joins when the run has just ended is refused, and that is no error of the run: so an exit with an
/// error counts once the coordinator has said that the run goes on, or says nothing any more. One whom somebody has
/// sent a signal to end has died as others do.
void Launcher::judge_exits() {
  while (!doubtful_exits_.empty() && !is_over()) {
    Life& life = lives_[doubtful_exits_.front()];
    const bool heard = last_status_ && last_status_->at > life.end->at;
    if (!heard && now() <= life.end->at + judge_patience) {
      return;
    }
    doubtful_exits_.erase(doubtful_exits_.begin());
    if (heard && last_status_->status.state > RunState::running) {
      continue;
    }
    if (heard && life.end->exit.code == exit_interrupted) {
      life.signalled_itself = true;
      on_death(Life(life));  // starting others moves lives_
      continue;
    }
    fail(code_of(life.end->exit), fmt::format("{} {}; the end of its log:{}", life.id, to_string(life.end->exit),
                                              tail_of(run_dir_.log(life.id))));
  }
}

bool Launcher::is_retired(const std::string& id) const {
  return last_status_ && last_status_->status.view.is_retired(id);
}

void Launcher::restart(const Life& life) {
  // What was killed on purpose did not die of itself.
  if (!life.killed_here && !budgets_[life.id].take(now())) {
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
  if (phase >= Phase::stopping) {
    faults_.finish(now());  // who is paused or cut off could not follow
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
  Outcome outcome{code_.value_or(exit_done), text_,    seconds(now() - started_), lives_, failures_.all(),
                  faults_.injections(),      progress_};
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
