#include "services/common/job.hpp"

#include <cstdlib>

#include "libps/config/job.hpp"
#include "libps/data/synthetic.hpp"

namespace ringps {

ModelSpec model_spec(const Config& config) {
  using Kind = ModelConfig::Kind;
  using From = ModelConfig::Initial;
  ModelSpec spec;
  spec.kind = config.model.kind == Kind::logistic_regression  ? ModelKind::logistic_regression
              : config.model.kind == Kind::softmax_regression ? ModelKind::softmax_regression
                                                              : ModelKind::mlp;
  spec.hidden = config.model.hidden;
  spec.initial = config.model.initial == From::zeros    ? Initial::zeros
                 : config.model.initial == From::uniform ? Initial::uniform
                                                         : Initial::glorot;
  return spec;
}

Result<Dataset> load_dataset(const Config& config) {
  constexpr std::size_t synthetic_train = 10000;
  constexpr std::size_t synthetic_test = 2000;
  const auto or_default = [](std::uint64_t count, std::size_t otherwise) {
    return count == 0 ? otherwise : static_cast<std::size_t>(count);
  };
  const DataConfig& data = config.data;
  if (data.kind == DataConfig::Kind::synthetic) {
    return synthetic_digits(config.seed, or_default(data.train_samples, synthetic_train),
                            or_default(data.test_samples, synthetic_test));
  }
  const auto folder = find_mnist(data, [](const char* name) -> const char* { return std::getenv(name); });
  if (!folder) {
    return Error{folder.error()};
  }
  auto dataset = load_idx_folder(*folder);
  if (dataset) {
    keep_first(dataset->train, or_default(data.train_samples, dataset->train.count()));
    keep_first(dataset->test, or_default(data.test_samples, dataset->test.count()));
  }
  return dataset;
}

ScheduleSpec schedule_spec(const Config& config, const Dataset& dataset) {
  const bool own = config.cluster.worker_scope == WorkerScope::server;
  return {config.seed, static_cast<std::uint32_t>(dataset.train.count()), config.train.slices, config.train.batch,
          own ? SampleStream::own : SampleStream::shared};
}

}  // namespace ringps
