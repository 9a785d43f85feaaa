// The lives of a run's processes, as the launcher has seen them, and what they say about faults. Pure.
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

  struct End {
    ProcessExit exit;
    Time at;
    std::uint64_t unix_us = 0;
    bool asked = false;  ///< the launcher had told it to end, or the run was over
  };
  std::optional<End> end;

  bool alive() const { return !end; }
  bool died() const { return end && end->exit.signalled && !end->asked; }
};

/// A status of the coordinator's, and when it came.
struct StatusSample {
  Status status;
  Time at;
};

struct FaultRecord {
  std::string what;  ///< "kill", another signal's name, or "silence" of a process that went on living
  std::string whom;
  std::uint64_t iteration = 0;              ///< at which it was scheduled, else the newest known then
  std::optional<double> detected_after_s;   ///< from its death to the view without it
  std::optional<double> recovered_after_s;  ///< from its death to the first iteration in a later view
  std::uint64_t iterations_replayed = 0;
  bool scheduled = false;
};

/// Puts together what the launcher knows of deaths and what the coordinator knows of failures, in order of time.
std::vector<FaultRecord> fault_records(const std::vector<Life>& lives, const std::optional<StatusSample>& last);

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
