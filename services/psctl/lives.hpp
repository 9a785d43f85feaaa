// The lives of a run's processes, as the launcher has seen them, and which of them are started again. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/config/config.hpp"
#include "libps/wire/messages.hpp"
#include "services/psctl/process.hpp"

namespace ringps {

/// One life of one process. A process that is started again begins another.
struct Life {
  Role role = Role::server;
  std::string id;
  std::uint64_t pid = 0;
  std::string endpoint;     ///< empty until it is known; workers have none
  Incarnation incarnation;  ///< 0 until it is known
  std::uint64_t started_unix_us = 0;
  std::optional<std::uint64_t> kill_at;  ///< the iteration at which it is to kill itself
  std::optional<Time> kill_due;          ///< when that iteration was first known to be complete
  bool killed_here = false;              ///< the launcher has killed it, for another reason
  std::optional<Time> ready;             ///< of a coordinator: when it said where it listens

  struct End {
    ProcessExit exit;
    Time at;
    std::uint64_t unix_us = 0;
    bool asked = false;           ///< the launcher had told it to end, or the run was over
    std::uint64_t iteration = 0;  ///< the newest that was known then
  };
  std::optional<End> end;
  bool signalled_itself = false;  ///< it ended in good order because of a signal that the launcher knows nothing of

  bool alive() const { return !end; }
  bool died() const { return end && (end->exit.signalled || signalled_itself) && !end->asked; }
};

/// The life that a member of this incarnation is: incarnations are the microseconds at which they began. Null: none.
const Life* life_of(const std::vector<Life>& lives, const std::string& id, Incarnation incarnation);

/// How many lives of `id` have ended at the iteration at which they were to kill themselves.
std::size_t self_kills_fired(const std::vector<Life>& lives, const std::string& id);

/// Takes over what the status knows of living processes; whether anything has changed.
bool learn(std::vector<Life>& lives, const Status& status);

/// For processes.json: the newest life of each process.
nlohmann::ordered_json processes_json(const std::vector<Life>& lives);

/// Whether a process that has died is to be started again. `home`: of a worker that belongs to one server, else empty.
bool is_needed(ClusterConfig::Restart policy, const Life& dead, const std::vector<Life>& lives);

/// Bounds how often one process is started again: a process that dies at once every time ends the run.
class RestartBudget {
 public:
  static constexpr std::size_t restarts_max = 10;
  static constexpr Duration window = std::chrono::seconds(10);

  /// Whether one more is within the bound; counts it if so.
  bool take(Time now);

 private:
  std::vector<Time> taken_;
};

}  // namespace ringps
