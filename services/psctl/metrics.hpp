// What workers have measured in a run, as the coordinator writes it to metrics.jsonl, one JSON object on a line:
//   {"event": "iteration", "restore_epoch": 1, "iteration": 7, "total_time": 0.00021, "gradient_time": 0.0002}
//   {"event": "evaluation", "restore_epoch": 1, "iteration": 5, "accuracy": 83.2, "loss": 0.41}
//   {"event": "staleness", "restore_epoch": 1, "worker": "worker0", "incarnation": 1, "gradients": [12, 3]}
//   {"event": "traffic", "restore_epoch": 1, "worker": "worker0", "incarnation": 1, "gradients": 6280,
//    "gradients_float32": 12560, "weights": 12560, "weights_float32": 12560, "residuals_lost": 0}
//
// A rollback starts a new lineage, which has a larger restore epoch and replays iterations. What counts in the end is
// the last lineage of each iteration; the curve shows all of them in the order in which the work was done.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

struct MeasuredIteration {
  std::uint64_t restore_epoch = 0;
  std::uint64_t iteration = 0;
  double total_time = 0;     ///< seconds
  double gradient_time = 0;  ///< seconds
};

struct MeasuredEvaluation {
  std::uint64_t restore_epoch = 0;
  std::uint64_t iteration = 0;
  std::optional<double> accuracy{};  ///< percent; not of ratings
  double loss = 0;                   ///< of ratings the root of the mean squared error
};

struct Metrics {
  std::vector<MeasuredIteration> iterations;
  std::vector<MeasuredEvaluation> evaluations;
  /// Asynchronous modes: how many gradients, replayed ones too, lacked 0, 1, 2 … iterations of some slice.
  std::vector<std::uint64_t> staleness{};
  Traffic traffic{};  ///< of all workers, as far as they have said: one that is killed takes its last moment along
};

/// "staleness 0.42 on average, 3 at most".
std::string staleness_text(const std::vector<std::uint64_t>& staleness);

/// Lines that are not whole (the coordinator may have been killed while it wrote the last one) and events of other
/// kinds are skipped.
Metrics parse_metrics(std::string_view lines);
Result<Metrics> read_metrics(const std::filesystem::path& file);

/// Only what counts in the end: each iteration and evaluation once, ascending.
Metrics final_metrics(const Metrics& all);

/// A stretch of work without a rollback.
struct Lineage {
  std::uint64_t restore_epoch = 0;
  std::uint64_t start = 0;        ///< version that it began with
  std::uint64_t last = 0;         ///< the newest iteration that it did
  std::uint64_t work_before = 0;  ///< iterations done before it began, counting replayed ones again

  /// Iterations of work done when the lineage had reached `iteration`.
  std::uint64_t work(std::uint64_t iteration) const { return work_before + (iteration - start); }
};

/// In the order in which they were worked on. A run that resumes a checkpoint begins with that much work done.
std::vector<Lineage> lineages(const Metrics& all);

struct CurvePoint {
  std::size_t lineage = 0;  ///< index
  std::uint64_t work = 0;   ///< see Lineage
  std::optional<double> accuracy{};
  double loss = 0;
};

std::vector<CurvePoint> curve_points(const Metrics& all);

}  // namespace ringps
