#include "services/psctl/final_evaluation.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/config/job.hpp"
#include "libps/model/sparse_logistic_regression.hpp"
#include "libps/ring/layout.hpp"
#include "libps/storage/checkpoint_reader.hpp"

namespace ringps {
namespace {

/// The flat vector of all weights in a checkpoint.
Result<Floats> load_weights(const std::filesystem::path& folder, const BlockTable& table) {
  std::vector<BlockId> all;
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    all.push_back(BlockId{i});
  }
  const auto blocks = load_blocks(folder, table, 0, all);
  if (!blocks) {
    return blocks.failure();
  }
  Floats weights(table.flat_elements());
  for (const LoadedBlock& loaded : *blocks) {
    std::copy(loaded.values.begin(), loaded.values.end(),
              weights.begin() + static_cast<std::ptrdiff_t>(table[loaded.block].flat_offset));
  }
  return weights;
}

}  // namespace

Result<std::optional<FinalEvaluation>> evaluate_final(const Config& config, const std::filesystem::path& folder) {
  if (config.model.kind != ModelKind::sparse_logistic_regression) {
    return std::optional<FinalEvaluation>();
  }
  const std::size_t features = config.data.features;
  const auto weights =
      load_weights(folder, BlockTable(sparse_logistic_regression_tensors(features), config.cluster.block_elements));
  if (!weights) {
    return weights.failure();
  }
  const auto dataset = load_libsvm(config);
  if (!dataset) {
    return dataset.failure();
  }
  const BinaryMetrics train = sparse_metrics(*weights, features, dataset->train);
  const BinaryMetrics test = sparse_metrics(*weights, features, dataset->test);
  const double train_samples = static_cast<double>(dataset->train.count());
  const double squared_norm = std::accumulate(weights->begin(), weights->end(), 0.0, [](double sum, float weight) {
    return sum + double{weight} * double{weight};
  });
  FinalEvaluation found;
  found.train_loss = train.loss_sum / train_samples;
  found.test_loss = test.loss_sum / static_cast<double>(dataset->test.count());
  found.test_accuracy = test.accuracy;
  found.test_auc = test.auc;
  found.objective = train.loss_sum + config.train.optimizer.weight_decay * train_samples / 2 * squared_norm;
  return std::optional(found);
}

}  // namespace ringps
