// What the final weights of a run are worth, on all of its data.
#pragma once

#include <cstdint>
#include <filesystem>
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

/// Reads the weights from the checkpoint in `folder`. Nothing for models of images, which are evaluated on the way, and
/// for custom ones.
Result<std::optional<FinalEvaluation>> evaluate_final(const Config& config, const std::filesystem::path& folder);

}  // namespace ringps
