#include "services/psctl/lives.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "services/common/status_json.hpp"

namespace ringps {
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

std::size_t self_kills_fired(const std::vector<Life>& lives, const std::string& id) {
  return static_cast<std::size_t>(std::count_if(lives.begin(), lives.end(), [&](const Life& life) {
    return life.id == id && life.kill_at && life.died() && !life.killed_here;
  }));
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
