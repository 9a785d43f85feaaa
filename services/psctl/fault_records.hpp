// What became of each fault of a run: put together from what the launcher has done and seen, what the coordinator knows
// of failures, and what workers have measured. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libps/config/config.hpp"
#include "services/psctl/fault_injector.hpp"
#include "services/psctl/lives.hpp"
#include "services/psctl/timeline.hpp"

namespace ringps {

/// A failure as the coordinator knew it, and when it said so: its ages are of that moment.
struct SeenFailure {
  FailureStatus failure;
  Time at;
};

/// Failures are told apart by whose they are: an incarnation fails once. A coordinator that is started again has
/// forgotten those before.
class FailureLog {
 public:
  /// What a status says takes the place of what an earlier one said of the same failure, until that was recovered from.
  void see(const Status& status, Time at);
  const std::vector<SeenFailure>& all() const { return all_; }

 private:
  std::vector<SeenFailure> all_;  ///< in the order in which they were first seen
};

struct FaultRecord {
  /// A kind of fault, another signal's name, or "silence" of a process that went on living and was removed.
  std::string what;
  std::string whom;
  std::uint64_t iteration = 0;              ///< at which it was scheduled, else the newest known then
  std::optional<double> detected_after_s;   ///< until a view was without the process; of add, drain: began with it
  std::optional<double> recovered_after_s;  ///< until an iteration of a later view; of add, drain: until it was settled
  std::uint64_t iterations_replayed = 0;
  bool scheduled = false;                 ///< the configuration asked for it
  bool random = false;                    ///< it was drawn from the seed
  std::optional<double> longest_stall_s;  ///< between two iterations, until recovery or for ten seconds
  std::uint64_t updates_lost = 0;         ///< iterations that were complete, and are in no later version
  bool rolled_back = false;
  std::string not_done;  ///< why it did not take place; empty: it did
};

/// All that is known when a run has ended.
struct RunHistory {
  const Config& config;
  const std::vector<Life>& lives;
  const std::vector<Injection>& injections;
  const std::vector<SeenFailure>& failures;
  const Timeline& timeline;
  std::uint64_t iterations_completed = 0;  ///< at the end
};

/// In order of time; those that did not take place come last.
std::vector<FaultRecord> fault_records(const RunHistory& history);

/// "server1 (kill) at iteration 1500: noticed after 0.012 s, training again after 0.045 s, 250 iterations replayed"
std::string to_string(const FaultRecord& fault);

}  // namespace ringps
