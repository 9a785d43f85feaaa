#include "services/psctl/fault_records.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <set>

#include "services/psctl/plan.hpp"

namespace ringps {
namespace {

constexpr Duration stall_window = std::chrono::seconds(10);
/// What is shorter is no stall, however fast iterations are: the clock of a timeline is no better.
constexpr Duration stall_min = std::chrono::milliseconds(20);

std::string cause_of(const Life& life) {
  if (!life.end->exit.signalled) {
    return "a signal to end";
  }
  if (life.end->exit.code == SIGKILL) {
    return "kill";
  }
  const char* name = sigabbrev_np(life.end->exit.code);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", life.end->exit.code);
}

class Recorder {
 public:
  explicit Recorder(const RunHistory& history) : history_(history) {}

  std::vector<FaultRecord> records() {
    for (const Injection& injection : history_.injections) {
      add_injection(injection);
    }
    for (const Life& life : history_.lives) {
      if (life.died() && !told_.contains(&life)) {
        add_death(life, life.kill_at && life.end->exit.code == SIGKILL && !life.killed_here, life.kill_at.value_or(0));
      }
    }
    add_silences();
    add_missing_self_kills();
    std::stable_sort(timed_.begin(), timed_.end(), [](const Timed& a, const Timed& b) { return a.at < b.at; });
    std::vector<FaultRecord> all;
    for (Timed& timed : timed_) {
      all.push_back(std::move(timed.record));
    }
    return all;
  }

 private:
  struct Timed {
    Time at;
    FaultRecord record;
  };

  static Time moment(const SeenFailure& seen, double age_s) {
    return seen.at - std::chrono::duration_cast<Duration>(std::chrono::duration<double>(age_s));
  }

  void add_injection(const Injection& injection) {
    const FaultOrder& order = injection.order;
    const bool link = order.kind == FaultKind::cut || order.kind == FaultKind::slow;
    FaultRecord record;
    record.what = name_of(order.kind);
    record.whom = fmt::format("{}", fmt::join(injection.ids, link && order.link.one_way ? " → " : ", "));
    record.iteration = order.at_iteration.value_or(injection.iteration);
    record.scheduled = !order.random;
    record.random = order.random;
    record.not_done = injection.not_done;
    if (!record.not_done.empty()) {
      timed_.push_back({time_never, record});
      return;
    }
    switch (order.kind) {
      case FaultKind::kill:
        add_kill(injection, std::move(record));
        return;
      case FaultKind::add:
      case FaultKind::drain:
        if (injection.noticed) {
          record.detected_after_s = seconds(*injection.noticed - injection.at);
        }
        if (injection.done) {
          record.recovered_after_s = seconds(*injection.done - injection.at);
        }
        break;
      case FaultKind::resume:
      case FaultKind::heal:
        return;  // the end of another one
      default:
        add_removals(injection, record);
        break;
    }
    add_stall(injection.at, injection.over, record);
    timed_.push_back({injection.at, std::move(record)});
  }

  /// The death that followed.
  void add_kill(const Injection& injection, FaultRecord record) {
    for (const Life& life : history_.lives) {
      if (life.id == injection.order.whom && life.died() && life.end->at >= injection.at && !told_.contains(&life)) {
        add_death(life, record.scheduled, record.iteration, record.random);
        return;
      }
    }
    record.not_done = "the run was over before it took effect";
    timed_.push_back({time_never, std::move(record)});
  }

  /// Who was removed because of a pause, a cut or slowness.
  void add_removals(const Injection& injection, FaultRecord& record) {
    const FaultOrder& order = injection.order;
    const Duration late =
        std::chrono::milliseconds(2 * history_.config.cluster.timeouts.failure_timeout_ms) + std::chrono::seconds(1);
    for (const SeenFailure& seen : history_.failures) {
      const FailureStatus& failure = seen.failure;
      const bool concerned = order.kind == FaultKind::pause
                                 ? failure.id == order.whom
                                 : means(order.link.from, failure.id) || means(order.link.to, failure.id);
      const Life* life = life_of(history_.lives, failure.id, failure.incarnation);
      const Time removed = moment(seen, failure.removed_age);
      const bool then = removed >= injection.at && removed <= injection.over.value_or(time_never - late) + late;
      if (!concerned || !then || (life != nullptr && life->died()) || !told_failures_.insert(&seen).second) {
        continue;
      }
      FaultRecord one;
      add_failure(seen, injection.at, one);
      record.detected_after_s = std::min(record.detected_after_s.value_or(1e9), *one.detected_after_s);
      record.recovered_after_s = one.recovered_after_s
                                     ? std::max(record.recovered_after_s.value_or(0), *one.recovered_after_s)
                                     : record.recovered_after_s;
      record.iterations_replayed += one.iterations_replayed;
      record.updates_lost = std::max(record.updates_lost, one.updates_lost);
      record.rolled_back = record.rolled_back || one.rolled_back;
    }
  }

  void add_death(const Life& life, bool scheduled, std::uint64_t iteration, bool random = false) {
    told_.insert(&life);
    FaultRecord record;
    record.what = cause_of(life);
    record.whom = life.id;
    record.iteration = scheduled || random ? iteration : life.end->iteration;
    record.scheduled = scheduled;
    record.random = random;
    for (const SeenFailure& seen : history_.failures) {
      const FailureStatus& failure = seen.failure;
      if (life_of(history_.lives, failure.id, failure.incarnation) == &life) {
        told_failures_.insert(&seen);
        add_failure(seen, life.end->at, record);
        record.iteration = scheduled || random ? iteration : failure.iteration.value;
      }
    }
    if (life.role == Role::coordinator) {
      add_next_coordinator(life, record);
    }
    add_stall(life.end->at, std::nullopt, record);
    timed_.push_back({life.end->at, std::move(record)});
  }

  /// Nobody removes a coordinator: the launcher notices, and it is back when its next life is ready.
  void add_next_coordinator(const Life& dead, FaultRecord& record) const {
    for (const Life& next : history_.lives) {
      if (next.role == Role::coordinator && next.started_unix_us >= dead.end->unix_us) {
        record.detected_after_s = static_cast<double>(next.started_unix_us - dead.end->unix_us) * 1e-6;
        if (next.ready) {
          record.recovered_after_s = seconds(*next.ready - dead.end->at);
        }
        return;
      }
    }
  }

  void add_failure(const SeenFailure& seen, Time began, FaultRecord& record) const {
    const FailureStatus& failure = seen.failure;
    const auto since_begin = [&](double age_s) { return std::max(seconds(moment(seen, age_s) - began), 0.0); };
    record.detected_after_s = since_begin(failure.removed_age);
    if (failure.recovered_age >= 0) {
      record.recovered_after_s = since_begin(failure.recovered_age);
    }
    record.iterations_replayed = failure.iterations_replayed;
    record.rolled_back =
        failure.role == Role::server && (failure.iterations_replayed > 0 || history_.config.cluster.replicas == 1);
    if (failure.iteration.value > history_.iterations_completed) {
      record.updates_lost = failure.iteration.value - history_.iterations_completed;
    }
  }

  void add_silences() {
    for (const SeenFailure& seen : history_.failures) {
      const FailureStatus& failure = seen.failure;
      if (!told_failures_.contains(&seen)) {
        const Time began = moment(seen, failure.last_heard_age);
        FaultRecord record;
        record.what = "silence";
        record.whom = failure.id;
        record.iteration = failure.iteration.value;
        add_failure(seen, began, record);
        add_stall(began, std::nullopt, record);
        timed_.push_back({began, std::move(record)});
      }
    }
  }

  Time next_fault_after(Time at) const {
    Time next = time_never;
    for (const Injection& injection : history_.injections) {
      next = injection.not_done.empty() && injection.at > at ? std::min(next, injection.at) : next;
    }
    for (const Life& life : history_.lives) {
      next = life.died() && life.end->at > at ? std::min(next, life.end->at) : next;
    }
    return next;
  }

  /// `over`: when what lasted for a while had ended.
  void add_stall(Time began, std::optional<Time> over, FaultRecord& record) const {
    if (history_.config.train.consistency == Consistency::asp) {
      return;  // workers go on without one another: there is no moment at which all of them stand still
    }
    const Timeline& timeline = history_.timeline;
    const Time ended = over.value_or(began);
    Time until = std::min(ended + stall_window, next_fault_after(ended));
    if (record.recovered_after_s) {
      const auto recovered = std::chrono::duration<double>(*record.recovered_after_s);
      until = began + std::chrono::duration_cast<Duration>(recovered) + std::chrono::milliseconds(100);
    }
    const auto gap = timeline.longest_gap(began, until);
    if (!gap) {
      return;
    }
    record.longest_stall_s = seconds(gap->length());
    const bool lasted = record.what == name_of(FaultKind::pause) || record.what == name_of(FaultKind::cut) ||
                        record.what == name_of(FaultKind::slow);
    if (lasted && !record.recovered_after_s &&
        !record.detected_after_s) {  // nobody was removed: how long it held training up
      const bool stalled = gap->length() >= std::max(5 * timeline.median_gap(), stall_min);
      const auto again = stalled ? std::optional(gap->end) : timeline.next_after(began);
      if (again) {
        record.recovered_after_s = seconds(*again - began);
      }
    }
  }

  /// Kills at an iteration are done by the processes themselves, if they come to it.
  void add_missing_self_kills() {
    std::set<std::string> ids;
    for (const FaultConfig& fault : history_.config.faults) {
      if (is_self_kill(fault)) {
        ids.insert(fault.kill);
      }
    }
    for (const std::string& id : ids) {
      const auto kills = kills_of(history_.config, id);
      const std::size_t fired = self_kills_fired(history_.lives, id);
      const bool waits = std::any_of(history_.lives.begin(), history_.lives.end(), [&](const Life& life) {
        return life.id == id && life.kill_at && !(life.died() && !life.killed_here);
      });
      for (std::size_t i = fired; i < kills.size(); ++i) {
        FaultRecord record;
        record.what = name_of(FaultKind::kill);
        record.whom = id;
        record.iteration = kills[i];
        record.scheduled = true;
        record.not_done = waits && i == fired ? "the run was over before it came to that iteration"
                                              : "there was no such process then";
        if (waits && i == fired && id.starts_with("server")) {
          record.not_done += " (a server that holds no blocks comes to none)";
        }
        timed_.push_back({time_never, std::move(record)});
      }
    }
  }

  const RunHistory& history_;
  std::vector<Timed> timed_;
  std::set<const Life*> told_;                  ///< deaths that are in a record
  std::set<const SeenFailure*> told_failures_;  ///< the same of failures
};

}  // namespace

void FailureLog::see(const Status& status, Time at) {
  for (const FailureStatus& failure : status.failures) {
    const auto known = std::find_if(all_.begin(), all_.end(), [&](const SeenFailure& seen) {
      return seen.failure.id == failure.id && seen.failure.incarnation == failure.incarnation;
    });
    if (known == all_.end()) {
      all_.push_back({failure, at});
    } else if (known->failure.recovered_age < 0) {
      *known = {failure, at};
    } else {  // late reports refine how far it was; the moments are known best when they are fresh
      known->failure.iteration = failure.iteration;
      known->failure.iterations_replayed = failure.iterations_replayed;
    }
  }
}

std::vector<FaultRecord> fault_records(const RunHistory& history) {
  return Recorder(history).records();
}

std::string to_string(const FaultRecord& fault) {
  std::string text = fmt::format("{} ({}) at iteration {}", fault.whom, fault.what, fault.iteration);
  if (!fault.not_done.empty()) {
    return fmt::format("{} did not take place: {}", text, fault.not_done);
  }
  const bool planned = fault.what == name_of(FaultKind::add) || fault.what == name_of(FaultKind::drain);
  if (fault.detected_after_s) {
    text += fmt::format(": {} after {:.3f} s", planned ? "in a view" : "noticed", *fault.detected_after_s);
  } else {
    text += planned ? ": in no view before the end" : ": nobody had to notice";
  }
  if (fault.recovered_after_s) {
    text += fmt::format(", {} after {:.3f} s", planned ? "settled" : "training again", *fault.recovered_after_s);
  }
  if (fault.detected_after_s && !planned) {
    text += fmt::format(", {} iterations replayed", fault.iterations_replayed);
  }
  return fault.longest_stall_s ? text + fmt::format(", longest stall {:.3f} s", *fault.longest_stall_s) : text;
}

}  // namespace ringps
