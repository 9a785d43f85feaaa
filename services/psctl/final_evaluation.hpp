// What the weights in a checkpoint are worth: at the end of a run on all of its data, on the way on the test set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"

namespace ringps {

/// What does not apply to a model is not there. Large data sets are evaluated on their first million samples.
struct FinalEvaluation {
  // Of two classes:
  std::optional<double> train_loss;     ///< mean log-loss
  std::optional<double> test_loss;      ///< the same
  std::optional<double> test_accuracy;  ///< 0 … 1
  std::optional<double> test_auc;       ///< nothing if the test set has one class only
  std::optional<double> objective;   ///< the training losses, summed, and weight_decay * samples / 2 * squared weights
  std::optional<double> truth_loss;  ///< test_loss of the model that the samples were drawn from
  // Of ratings: roots of mean squared errors.
  std::optional<double> train_error;
  std::optional<double> test_error;
  std::optional<double> truth_error;  ///< test_error of the factors that the ratings were drawn from: the noise

  std::optional<std::uint64_t> rows;  ///< in all tables
};

/// Whether evaluate_final() has something to say, which may take a while.
bool is_evaluated_at_end(const Config& config);
/// Reads the weights from the checkpoint in `folder`. Nothing for models of images, which are evaluated on the way, and
/// for custom ones.
Result<std::optional<FinalEvaluation>> evaluate_final(const Config& config, const std::filesystem::path& folder);

struct TestScore {
  std::optional<double> accuracy;  ///< 0 … 1; not of ratings
  double loss = 0;                 ///< mean log-loss; of ratings the root of the mean squared error
};

class SampleSource;

/// Models with tables, whose rows no worker has all of, are scored from their checkpoints.
class TableScorer {
 public:
  /// Whether the configuration's model has tables, and ringps its data.
  static bool knows(const Config& config);

  /// knows(config). Reads or makes the data.
  static Result<TableScorer> create(const Config& config);
  TableScorer(TableScorer&&) noexcept;
  ~TableScorer();

  /// On the first evaluate.samples of the test set.
  Result<TestScore> score(const std::filesystem::path& folder) const;

 private:
  TableScorer(const Config& config, std::unique_ptr<SampleSource> source);

  Config config_;
  std::unique_ptr<SampleSource> source_;  ///< of a factorisation machine
};

}  // namespace ringps
