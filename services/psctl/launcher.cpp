#include "services/psctl/launcher.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "libps/net/clock.hpp"
#include "services/common/status_json.hpp"

namespace ringps {
namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(100);
constexpr Duration first_poll_interval = std::chrono::milliseconds(20);  ///< until everybody has been heard of
constexpr Duration watchful_poll_interval = std::chrono::milliseconds(10);
constexpr std::size_t ready_bytes_max = 4096;

}  // namespace

Launcher::Launcher(const Config& config, const RunDir& run_dir, const CommandLines& command_lines,
                   ProgressReporter& reporter, SignalDescriptor& signals)
    : config_(config),
      run_dir_(run_dir),
      command_lines_(command_lines),
      reporter_(reporter),
      signals_(signals),
      started_(now()),
      incarnation_{unix_microseconds()},
      names_(config),
      faults_(config, hands()) {}

Outcome Launcher::run() {
  // The processes inherit it. Fresh memory in pages of 2 MiB costs a fifth of what it does in those of 4 KiB. Only the
  // environment can tell the C library, and a user's own choice stands.
  setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0);
  enter(Phase::starting, ready_patience);
  if (!faults_.uses_links() || lead_connections()) {
    start_coordinator();
  }
  while (!children_.empty()) {
    turn();
  }
  reporter_.finish();
  return outcome();
}

// ---- starting -------------------------------------------------------------------------------------------------------

void Launcher::start(Role role, const std::string& id, const std::vector<std::string>& arguments,
                     std::optional<std::uint64_t> kill_at, int pass) {
  Life life;
  life.role = role;
  life.id = id;
  life.started_unix_us = unix_microseconds();
  life.kill_at = kill_at;
  auto process = ChildProcess::start(arguments, run_dir_.log(id), pass);
  if (!process) {
    fail(exit_run_failed, process.error());
    return;
  }
  life.pid = static_cast<std::uint64_t>(process->pid());
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
  const std::size_t fired = self_kills_fired(lives_, member.id);
  const auto kill_at = fired < kills.size() ? std::optional(kills[fired]) : std::nullopt;
  std::string proxy;
  if (relay_) {
    const auto found = relay_->proxy_for(member.id);
    if (!found) {
      fail(exit_run_failed, found.error());
      return;
    }
    proxy = *found;
  }
  start(member.role, member.id, command_lines_.member(member, control_, kill_at, proxy), kill_at, -1);
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
  if (relay_) {
    for (const char* socket : {"control", "broadcast"}) {
      relay_->name(json.value(socket, ""), coordinator_id);
    }
  }
  const bool first = control_.empty();
  control_ = json["control"].get<std::string>();
  for (Life& life : lives_) {
    if (life.id == coordinator_id && life.alive()) {
      life.endpoint = control_;
      life.ready = now();
      life.incarnation = Incarnation{json.value("incarnation", std::uint64_t{0})};
    }
  }
  if (first && phase_ == Phase::starting) {
    enter(Phase::running, Duration::max());
    coordinator_.emplace(context_, control_, control_queues);
    for (const MemberName& member : members_of(config_)) {
      start_member(member);
    }
  }
  write_processes();
}

// ---- the loop -------------------------------------------------------------------------------------------------------

void Launcher::turn() {
  EventLoop loop;  // what it waits for changes with every start and end
  loop.add(signals_.descriptor());
  for (const Child& child : children_) {
    loop.add(child.process.descriptor());
  }
  if (ready_.get() >= 0) {
    loop.add(ready_.get());
  }
  if (coordinator_) {
    loop.add(*coordinator_, [this] { coordinator_->flush(); });
  }
  loop.wait_until(std::min({phase_deadline_, coordinator_ ? next_poll_ : time_never, faults_.next_deadline()}));

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
  faults_.on_tick(now());
  reap();
  judge_exits();
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
  if (message.envelope.role != Role::coordinator) {
    return;
  }
  if (const auto* status = std::get_if<Status>(&message.body)) {
    on_status(*status);
  } else if (const auto* refused = std::get_if<Refused>(&message.body)) {
    on_drain_answer(message.envelope.request, refused->text);
  } else if (std::holds_alternative<Ack>(message.body)) {
    on_drain_answer(message.envelope.request, "");
  }
}

void Launcher::on_status(const Status& status) {
  if (status.view.epoch != seen_epoch_) {
    seen_epoch_ = status.view.epoch;
    reporter_.on_event(fmt::format("view {}: {}", seen_epoch_.value, status.view.cause));
  }
  last_status_ = StatusSample{status, now()};
  failures_.see(status, last_status_->at);
  if (!std::exchange(poll_answered_, true) && is_watchful()) {
    next_poll_ = std::min(next_poll_, last_poll_ + watchful_poll_interval);
  }
  reporter_.on_status(last_status_->at, status);
  bool changed = learn(lives_, status);
  for (const ProcessStatus& process : status.processes) {
    names_.seen(process.role, process.id);
  }
  for (const LauncherOrder& order : orders_.take_new(status.orders)) {
    carry_out(order);
    changed = true;
  }
  if (changed) {
    write_processes();
  }
  name_endpoints(status);
  help_self_kills(status);
  keep_progress(status);
  watcher_(status);
  faults_.on_status(now(), status);
}

void Launcher::carry_out(const LauncherOrder& order) {
  next_poll_ = now();  // the coordinator is to hear that it is done
  if (is_over()) {
    return;
  }
  if (order.count > 0) {
    add(order.role, order.count);
    return;
  }
  const bool there = send_signal(order.id, SIGKILL);
  reporter_.on_event(fmt::format("{} {}", order.id, there ? "is killed" : "is not killed: there is no such process"));
}

std::vector<std::string> Launcher::add(Role role, std::uint32_t count) {
  std::vector<std::string> ids;
  if (config_.cluster.worker_scope == WorkerScope::server) {
    reporter_.on_event(
        fmt::format("no {} is added: with cluster.worker_scope: server every slice has its server", name_of(role)));
    return ids;
  }
  for (std::uint32_t i = 0; i < count && !is_over(); ++i) {
    ids.push_back(names_.next(role));
    reporter_.on_event(fmt::format("{} is started", ids.back()));
    start_member({role, ids.back()});
  }
  write_processes();
  return ids;
}

bool Launcher::send_signal(const std::string& id, int signal) {
  for (const Child& child : children_) {
    Life& life = lives_[child.life];
    if (life.id == id) {
      life.killed_here = life.killed_here || signal == SIGKILL;
      child.process.send_signal(signal);
      return true;
    }
  }
  return false;
}

/// Whether faults have to be timed, and so the status is asked for as fast as it is answered.
bool Launcher::is_watchful() const {
  return !config_.faults.empty() || faults_.is_watchful();
}

void Launcher::poll_status() {
  const bool all_known = std::all_of(lives_.begin(), lives_.end(), [](const Life& life) {
    return !life.alive() || life.incarnation != Incarnation{};
  });
  last_poll_ = now();
  next_poll_ = last_poll_ + (all_known ? poll_interval : first_poll_interval);
  if (coordinator_->has_unsent()) {  // it is not there now
    return;
  }
  poll_answered_ = false;
  send(GetStatus{true, orders_.done()});
  for (const auto& [id, request] : drains_) {
    send(Drain{id}, request);
  }
  if (phase_ == Phase::stopping && (!last_status_ || last_status_->status.state <= RunState::running)) {
    send(StopRun{stop_cause_});
  }
}

RequestId Launcher::send(Body body) {
  last_request_ = last_request_.next();
  send(std::move(body), last_request_);
  return last_request_;
}

void Launcher::send(Body body, RequestId request) {
  coordinator_->send({{config_.name, Role::control, "psctl", incarnation_, {}, request}, std::move(body), {}});
}

}  // namespace ringps
