// The results of a run, as results.json and as the summary that people read. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "libps/config/config.hpp"
#include "services/psctl/fault_records.hpp"
#include "services/psctl/final_evaluation.hpp"
#include "services/psctl/lives.hpp"
#include "services/psctl/metrics.hpp"

namespace ringps {

/// How good the last weights are.
struct Quality {
  std::optional<double> accuracy;  ///< percent
  std::optional<double> loss;
};

struct RunRecord {
  Config config;
  std::string end;  ///< "completed", or why it was not
  Metrics metrics;  ///< all that was measured
  std::vector<FaultRecord> faults;
  std::vector<Life> lives;
  double wall_seconds = 0;
  std::optional<std::string> final_weights_sha256;  ///< of the last version, if the run came to it
  std::optional<FinalEvaluation> final;             ///< of these weights, where there is one
  std::optional<bool> equals_fault_free;            ///< if that was asked for
  std::optional<Quality> uncompressed;              ///< of a run without compression and faults, if that was asked for
};

struct RunFigures {
  std::uint64_t iterations_completed = 0;
  double iterations_per_second = 0;  ///< while training
  double mean_iteration_s = 0;
  std::optional<double> final_accuracy;  ///< percent
  std::optional<double> best_accuracy;   ///< percent; along the whole curve
};

/// By the last evaluation of the run, or else by that of its end.
Quality quality_of(const RunRecord& record);
RunFigures figures_of(const RunRecord& record);
nlohmann::ordered_json results_json(const RunRecord& record);

/// A few lines without where things lie.
std::string summary(const RunRecord& record);

}  // namespace ringps
