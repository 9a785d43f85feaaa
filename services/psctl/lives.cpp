#include "services/psctl/lives.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "services/common/status_json.hpp"

namespace ringps {
namespace {

/// The life that a member of this incarnation is: incarnations are the microseconds at which they began.
const Life* life_of(const std::vector<Life>& lives, const std::string& id, Incarnation incarnation) {
  for (const Life& life : lives) {
    const bool began_before = life.started_unix_us <= incarnation.value;
    const bool ended_after = !life.end || incarnation.value <= life.end->unix_us;
    if (life.id == id && began_before && ended_after) {
      return &life;
    }
  }
  return nullptr;
}

std::string cause_of(const Life& life) {
  if (life.end->exit.code == SIGKILL) {
    return "kill";
  }
  const char* name = sigabbrev_np(life.end->exit.code);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", life.end->exit.code);
}

FaultRecord record_of(const Life& life) {
  FaultRecord record{cause_of(life), life.id, life.kill_at.value_or(0), {}, {}, 0, false};
  record.scheduled = life.kill_at.has_value() && life.end->exit.code == SIGKILL;
  return record;
}

void add_failure(const FailureStatus& failure, const StatusSample& sample, const Life* life, FaultRecord& record) {
  const auto moment = [&](double age_s) {
    return sample.at - std::chrono::duration_cast<Duration>(std::chrono::duration<double>(age_s));
  };
  const Time died = life != nullptr && life->died() ? life->end->at : moment(failure.last_heard_age);
  const auto since_death = [&](double age_s) { return std::max(seconds(moment(age_s) - died), 0.0); };
  record.detected_after_s = since_death(failure.removed_age);
  if (failure.recovered_age >= 0) {
    record.recovered_after_s = since_death(failure.recovered_age);
  }
  record.iterations_replayed = failure.iterations_replayed;
  if (!record.scheduled) {
    record.iteration = failure.iteration.value;
  }
}

}  // namespace

std::vector<FaultRecord> fault_records(const std::vector<Life>& lives, const std::optional<StatusSample>& last) {
  std::vector<std::pair<Time, FaultRecord>> timed;
  const auto failure_of = [&](const Life& life) -> const FailureStatus* {
    if (last) {
      for (const FailureStatus& failure : last->status.failures) {
        if (life_of(lives, failure.id, failure.incarnation) == &life) {
          return &failure;
        }
      }
    }
    return nullptr;
  };
  for (const Life& life : lives) {
    if (!life.died()) {
      continue;
    }
    timed.emplace_back(life.end->at, record_of(life));
    if (const FailureStatus* failure = failure_of(life)) {
      add_failure(*failure, *last, &life, timed.back().second);
    }
  }
  for (const FailureStatus& failure : last ? last->status.failures : std::vector<FailureStatus>{}) {
    const Life* life = life_of(lives, failure.id, failure.incarnation);
    if (life == nullptr || !life->died()) {
      FaultRecord record{"silence", failure.id, 0, {}, {}, 0, false};
      add_failure(failure, *last, life, record);
      const auto age = std::chrono::duration<double>(failure.last_heard_age);
      timed.emplace_back(last->at - std::chrono::duration_cast<Duration>(age), record);
    }
  }
  std::stable_sort(timed.begin(), timed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<FaultRecord> records;
  for (auto& [time, record] : timed) {
    records.push_back(std::move(record));
  }
  return records;
}

bool learn(std::vector<Life>& lives, const Status& status) {
  bool changed = false;
  for (const ProcessStatus& process : status.processes) {
    for (Life& life : lives) {
      if (life.id == process.id && life.pid == process.pid &&
          (life.incarnation != process.incarnation || life.endpoint != process.endpoint)) {
        life.incarnation = process.incarnation;
        life.endpoint = process.endpoint;
        changed = true;
      }
    }
  }
  return changed;
}

nlohmann::ordered_json processes_json(const std::vector<Life>& lives) {
  std::vector<const Life*> newest;
  for (const Life& life : lives) {
    const auto same =
        std::find_if(newest.begin(), newest.end(), [&](const Life* other) { return other->id == life.id; });
    same == newest.end() ? newest.push_back(&life) : void(*same = &life);
  }
  auto list = nlohmann::ordered_json::array();
  for (const Life* life : newest) {
    list.push_back({{"role", name_of(life->role)},
                    {"id", life->id},
                    {"pid", life->pid},
                    {"endpoint", life->endpoint},
                    {"incarnation", life->incarnation.value},
                    {"state", life->alive() ? "running" : to_string(life->end->exit)}});
  }
  return list;
}

bool is_needed(ClusterConfig::Restart policy, const Life& dead, const std::vector<Life>& lives) {
  switch (policy) {
    case ClusterConfig::Restart::always:
      return true;
    case ClusterConfig::Restart::never:
      return false;
    case ClusterConfig::Restart::needed:
      break;
  }
  return std::none_of(lives.begin(), lives.end(),
                      [&](const Life& life) { return life.role == dead.role && life.alive(); });
}

bool RestartBudget::take(Time now) {
  std::erase_if(taken_, [&](Time taken) { return now - taken > window; });
  if (taken_.size() >= restarts_max) {
    return false;
  }
  taken_.push_back(now);
  return true;
}

}  // namespace ringps
