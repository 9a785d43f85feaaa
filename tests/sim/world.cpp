#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "libps/core/assignment.hpp"
#include "libps/core/bounds.hpp"
#include "tests/sim/coordinator_process.hpp"
#include "tests/sim/server_process.hpp"
#include "tests/sim/story.hpp"
#include "tests/sim/worker_process.hpp"

namespace ringps::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Virtual time within which a run has to finish after the last fault.
constexpr Duration patience = seconds(120);
/// No honest run needs more: whatever does is caught in a loop.
constexpr std::uint64_t events_max = 2'000'000;
/// When a run begins: clocks have no zero that means anything.
constexpr Time started = Time{} + seconds(1);
/// A supervisor's time to start a process again.
constexpr Duration restart_time = milliseconds(5);

}  // namespace

World::World(const Scenario& scenario, Listener listener)
    : scenario_(scenario),
      listener_(std::move(listener)),
      reference_(scenario.job),
      exact_(scenario.job),
      exact_rows_(scenario.job),
      evidence_{scenario.job,
                reference_,
                exact_,
                exact_rows_,
                store_,
                requests_,
                scenario.resume_from,
                scenario.job.workers + scenario.more_workers},
      checkers_(make_checkers(evidence_)),
      network_(*this, scenario.network, scenario.seed),
      dice_(scenario.seed, "world"),
      now_(started) {
  const std::uint32_t servers = job().servers + scenario.more_servers;
  const std::uint32_t workers = job().workers + scenario.more_workers;
  hosts_.reserve(1 + servers + workers + 1);  // events refer to hosts
  for (HostIndex index = 0; index < 1 + servers + workers; ++index) {
    Host& host = hosts_.emplace_back();
    host.index = index;
    host.role = index == 0 ? Role::coordinator : index <= servers ? Role::server : Role::worker;
    host.name = host.label = host_name(scenario, index);
  }
}

World::~World() = default;

Host* World::find(const std::function<bool(const Host&)>& is_it) {
  const auto at = std::find_if(hosts_.begin(), hosts_.end(), is_it);
  return at == hosts_.end() ? nullptr : &*at;
}

void World::tell(const std::string& line) const {
  if (listener_) {
    char time[32];
    std::snprintf(time, sizeof time, "%12.6f  ", ringps::seconds(now_ - started));
    listener_(time + line);
  }
}

// ---- the run --------------------------------------------------------------------------------------------------------

Outcome World::run() {
  prepare_resume();
  for (Host& host : hosts_) {
    if (is_there_from_the_start(host)) {
      plan(now_ + dice_.between(Duration{}, milliseconds(20)), nobody, 0, [this, &host] { start(host); });
    }
  }
  for (const Fault& fault : scenario_.faults) {
    plan(started + fault.at, nobody, 0, [this, &fault] { strike(fault); });
  }
  plan(started + scenario_.faults_end, nobody, 0, [this] { end_faults(); });
  const Time deadline = started + scenario_.faults_end + patience;
  try {
    while (!finished_) {
      if (events_.empty() || events_.top().at > deadline || outcome_.events > events_max) {
        violated("13 (once faults stop, the run finishes)", who_waits());
      }
      Event event = events_.top();
      events_.pop();
      now_ = event.at;
      ++outcome_.events;
      take_step(std::move(event));
    }
  } catch (const Violation& violation) {
    outcome_.promise = violation.promise;
    outcome_.how = violation.what();
  }
  outcome_.virtual_time = now_ - started;
  outcome_.messages = network_.messages();
  outcome_.lost_messages = network_.lost();
  return outcome_;
}

void World::plan(Time at, HostIndex host, std::uint32_t life, std::function<void()> step) {
  events_.push({at, ++planned_, host, life, std::move(step), false});
}

void World::after(Host& host, Duration delay, std::function<void()> step) {
  plan(now_ + delay, host.index, host.life, std::move(step));
}

void World::take_step(Event event) {
  if (event.host == nobody) {
    event.step();
    return;
  }
  Host& host = hosts_[event.host];
  if (!host.process || host.life != event.life) {
    return;
  }
  if (now_ < host.paused_until) {
    // As real loops do: what has come in the meantime is read before the time is looked at.
    const Duration after_messages = event.alarm ? microseconds(1) : Duration{};
    event.at = host.paused_until + after_messages;
    event.order = ++planned_;
    events_.push(std::move(event));
    return;
  }
  try {
    event.step();
    set_alarm(host);
  } catch (const Gone& gone) {
    take_down(host, gone.back_after);
  }
}

void World::set_alarm(Host& host) {
  const Time deadline = host.process->next_deadline();
  if (deadline == time_never) {
    return;
  }
  // A loop wakes up once in a microsecond at most; a core whose deadline stays in the past shows as a run without end.
  const Time at = std::max(deadline - host.clock_offset, now_ + microseconds(1));
  if (at < host.wake_at) {
    host.wake_at = at;
    const auto step = [&host, token = ++host.wake_token] {
      if (token == host.wake_token) {
        host.wake_at = time_never;
        host.process->on_tick();
      }
    };
    events_.push({at, ++planned_, host.index, host.life, step, true});
  }
}

void World::finish(RunState state, const std::string& text) {
  if (tells_story()) {
    tell("the run is over: " + text);
  }
  witness(&Checker::on_finished, state, text);
  finished_ = true;
}

std::string World::who_waits() const {
  std::string text = outcome_.events > events_max ? "caught in a loop" : "not finished";
  for (const Host& host : hosts_) {
    text += "\n    " + host.name + ": " + (host.process ? host.process->waiting_for() : "not running");
  }
  return text;
}

// ---- processes ------------------------------------------------------------------------------------------------------

void World::start(Host& host) {
  if (host.process || host.gone_for_good || host.replaced) {
    return;
  }
  ++host.life;
  host.incarnation = Incarnation{1'000'000 + ++lives_};
  host.clock_offset = dice_.between(Duration{}, Duration(seconds(1000)));
  host.subscribed = false;
  host.wake_at = time_never;
  ++host.wake_token;
  host.paused_until = host.slow_until = {};
  host.effects_to_live.reset();
  host.disk_fails = false;
  if (host.role == Role::coordinator) {
    host.process = std::make_unique<CoordinatorProcess>(*this, host);
  } else if (host.role == Role::server) {
    host.process = std::make_unique<ServerProcess>(*this, host);
  } else {
    host.process = std::make_unique<WorkerProcess>(*this, host);
  }
  if (tells_story()) {
    tell(host.label + " starts as incarnation " + std::to_string(host.incarnation.value));
  }
  after(host, Duration{}, [&host] { host.process->start(); });
}

void World::take_down(Host& host, std::optional<Duration> back_after) {
  if (!host.process) {
    return;
  }
  if (tells_story()) {
    tell(host.label + " ends" + (back_after ? "" : " for good"));
  }
  host.process.reset();
  for (Host& other : hosts_) {
    if (host.role == Role::server && other.role != Role::coordinator && other.index != host.index) {
      network_.reconnect(other, host);
    }
  }
  if (back_after) {
    plan(now_ + *back_after + restart_time, nobody, 0, [this, &host] { start(host); });
  } else {
    host.gone_for_good = true;
  }
}

void World::before_effect(Host& host) {
  if (host.effects_to_live && (*host.effects_to_live)-- == 0) {
    host.effects_to_live.reset();
    throw Gone{milliseconds(dice_.between(1, 500))};
  }
}

// ---- faults ---------------------------------------------------------------------------------------------------------

void World::strike(const Fault& fault) {
  Host& host = hosts_[fault.host];
  const auto kind = static_cast<std::size_t>(fault.kind);
  const Time end = now_ + fault.length;
  if (finished_ || (fault.kind == FaultKind::join ? !may_join(host) : !host.process)) {
    return;
  }
  ++outcome_.faults[kind];
  if (tells_story()) {
    tell("FAULT: " + describe(scenario_, fault));
  }
  switch (fault.kind) {
    case FaultKind::crash:
      crash(host, fault);
      break;
    case FaultKind::crash_in_effects:
      host.effects_to_live = fault.effects;
      break;
    case FaultKind::crash_all_servers:
      for (Host& each : hosts_) {
        if (each.role == Role::server) {
          take_down(each, dice_.between(Duration{}, fault.length));
        }
      }
      break;
    case FaultKind::pause:
      host.paused_until = std::max(host.paused_until, end);
      break;
    case FaultKind::slow:
      host.slow_until = std::max(host.slow_until, end);
      break;
    case FaultKind::reconnect:
      network_.reconnect(host, hosts_[fault.other]);
      break;
    case FaultKind::cut:
      network_.cut(host, hosts_[fault.other], end);
      break;
    case FaultKind::cut_one_way:
      network_.cut_one_way(host, hosts_[fault.other], end);
      break;
    case FaultKind::isolate:
      for (Host& other : hosts_) {
        if (other.index != host.index) {
          network_.cut(host, other, end);
        }
      }
      break;
    case FaultKind::clock_jump:
      host.clock_offset += fault.length;
      set_alarm(host);
      break;
    case FaultKind::disk_fails:
      host.disk_fails = true;
      break;
    case FaultKind::join:
      start(host);
      break;
    case FaultKind::replace:
      replace(host, end);
      break;
    case FaultKind::flood:
      after(host, Duration{}, [this, &host] { flood(host); });
      break;
    case FaultKind::drain:
      drain(host);
      break;
  }
}

void World::crash(Host& host, const Fault& fault) {
  if (fault.for_good && may_go_for_good(host)) {
    take_down(host, std::nullopt);
  } else {
    take_down(host, fault.length);
  }
}

bool World::is_there_from_the_start(const Host& host) const {
  const std::uint32_t first_worker = 1 + job().servers + scenario_.more_servers;
  return host.index <= job().servers || (host.index >= first_worker && host.index < first_worker + job().workers);
}

/// Only those that are not there from the start, once: what has left in good order does not come back.
bool World::may_join(const Host& host) const {
  return !is_there_from_the_start(host) && !host.process && !host.gone_for_good && host.life == 0;
}

/// As `psctl servers drain` does, once: what becomes of it is for the coordinator to say.
void World::drain(Host& host) {
  Host& to = coordinator();
  if (host.role == Role::coordinator || !to.process) {
    return;
  }
  // The coordinator counts on those that have gone for good until it notices: nobody would come in their place.
  const bool some_have_gone = std::any_of(
      hosts_.begin(), hosts_.end(), [&](const Host& other) { return other.role == host.role && other.gone_for_good; });
  if (some_have_gone && !may_go_for_good(host)) {
    return;
  }
  for (Host& each : hosts_) {  // one may have been replaced
    each.asked_to_go = each.asked_to_go || each.name == host.name;
  }
  const RequestId request{++drains_};
  const Message message{
      {job().cluster, Role::control, "psctl", Incarnation{drains_}, {}, request}, Drain{host.name}, {}};
  after(to, Duration{}, [this, &to, message, request, name = host.name] {
    witness(&Checker::on_drain_asked, request, name);
    to.process->on_message(psctl_route, message);
  });
}

/// As where processes are looked after from afar: one that cannot be seen is started again on another host, once in a
/// run, while the first one still works.
void World::replace(Host& host, Time until) {
  if (hosts_.size() == hosts_.capacity() || host.role == Role::coordinator || store_.views().empty()) {
    return;
  }
  Host& other = hosts_.emplace_back();
  other.index = static_cast<HostIndex>(hosts_.size() - 1);
  other.role = host.role;
  other.name = host.name;
  other.label = host.name + "'";
  other.life = 1000;  // no connection of one is taken for the other's
  other.asked_to_go = host.asked_to_go;
  network_.cut(host, coordinator(), until);
  start(other);
  host.replaced = true;
}

/// From somebody whose epoch is far ahead: the view that the server waits for before it reads them never comes.
void World::flood(Host& host) {
  for (std::uint64_t m = 1; m <= bounds::parked_messages_max + 100; ++m) {
    const Message message{{job().cluster, Role::worker, "stranger", Incarnation{1}, Epoch{1'000'000}, RequestId{m}},
                          Pull{newest_version, true, {{0, 0, 1}}},
                          {}};
    host.process->on_message("stranger", message);
  }
}

/// The next file is torn, and a process does not outlive a write that failed.
void World::before_write(Host& host) {
  if (std::exchange(host.disk_fails, false)) {
    throw Gone{milliseconds(dice_.between(1, 500))};
  }
}

/// Of each kind one has to stay; and before there is a view, everybody is waited for.
bool World::may_go_for_good(const Host& host) const {
  const auto staying = std::count_if(hosts_.begin(), hosts_.end(), [&](const Host& other) {
    const bool alike = job().worker_scope == WorkerScope::all || host.role != Role::worker ||
                       home_of(job(), other.name) == home_of(job(), host.name);
    const bool has_come = is_there_from_the_start(other) || other.life > 0;
    return other.role == host.role && alike && has_come && !other.gone_for_good && !other.asked_to_go &&
           !other.replaced;
  });
  const auto needed = host.role == Role::worker ? job().min_workers : 1;
  return host.role != Role::coordinator && !store_.views().empty() && staying > needed;
}

void World::end_faults() {
  if (tells_story()) {
    tell("no more faults");
  }
  network_.calm_down();
  for (Host& host : hosts_) {
    host.effects_to_live.reset();
    host.disk_fails = false;
  }
}

// ---- what is kept of a run ------------------------------------------------------------------------------------------

/// Puts the checkpoint in place that the run is to go on from.
void World::prepare_resume() {
  const Iteration from = scenario_.resume_from;
  if (from.value == 0) {
    return;
  }
  StoredFile file{from, {}, {}, {}};
  std::vector<BlockId> all;
  for (std::uint32_t b = 0; b < reference_.table().size(); ++b) {
    all.push_back(BlockId{b});
    if (reference_.table().is_rows(BlockId{b})) {
      file.rows[BlockId{b}] =
          job().asynchronous() ? exact_rows_.block(BlockId{b}, from) : reference_.rows(BlockId{b}, from);
    } else {
      file.blocks[BlockId{b}] =
          job().asynchronous() ? exact_.block(BlockId{b}, from) : reference_.block(BlockId{b}, from);
    }
  }
  store_.write("earlier run", std::move(file));
  store_.commit({"earlier run", from, {}, {{{"server0"}, {"earlier run", false, 0, "", reference_.table().runs(all)}}}},
                job().checkpoint.keep, "");
}

void World::view_persisted(const View& view) {
  const View* before = store_.views().empty() ? nullptr : &store_.views().back();
  ++outcome_.views;
  outcome_.rollbacks += before != nullptr && before->restore.epoch != view.restore.epoch ? 1U : 0U;
  note_lost_slices(view);
  store_.append_view(view);
  witness(&Checker::on_persisted, view);
  if (tells_story()) {
    tell("VIEW " + describe(view));
  }
}

void World::note_lost_slices(const View& view) {
  if (job().worker_scope == WorkerScope::server && view.servers.size() < job().servers) {
    evidence_.bits_hold = false;
  }
}

}  // namespace ringps::sim
