// What the final weights of a run are worth, on all of its data.
#pragma once

#include <filesystem>
#include <optional>

#include "libps/base/result.hpp"
#include "libps/config/config.hpp"

namespace ringps {

/// Of a model of two classes.
struct FinalEvaluation {
  double train_loss = 0;           ///< mean
  double test_loss = 0;            ///< mean
  double test_accuracy = 0;        ///< 0 … 1
  std::optional<double> test_auc;  ///< nothing if the test set has one class only
  double objective = 0;  ///< the training losses, summed, and weight_decay * samples / 2 times the squared weights
};

/// Reads the weights from the checkpoint in `folder`. Nothing for models that learn from other data than libsvm files.
Result<std::optional<FinalEvaluation>> evaluate_final(const Config& config, const std::filesystem::path& folder);

}  // namespace ringps
