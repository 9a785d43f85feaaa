#include "services/common/job.hpp"

#include <cstdlib>
#include <string>

#include "libps/config/job.hpp"
#include "libps/data/synthetic.hpp"

namespace ringps {

ModelSpec model_spec(const Config& config) {
  return {config.model.kind, config.model.hidden, config.model.initial.value_or(Initial::zeros)};
}

Result<Dataset> load_dataset(const Config& config) {
  const DataConfig& data = config.data;
  if (data.kind == DataConfig::Kind::synthetic) {
    return synthetic_digits(config.seed, data.train_samples, data.test_samples);
  }
  const auto folder = find_mnist(data, [](const char* name) -> const char* { return std::getenv(name); });
  if (!folder) {
    return Error{folder.error()};
  }
  auto dataset = load_idx_folder(*folder);
  if (!dataset) {
    return dataset;
  }
  if (dataset->train.features != digit_features) {
    return Error{folder->string() + ": images of " + std::to_string(dataset->train.features) +
                 " pixels; the models take " + std::to_string(digit_features) + " (28 x 28)"};
  }
  const auto keep = [](Images& images, std::uint64_t count) {
    if (count != 0) {
      keep_first(images, static_cast<std::size_t>(count));
    }
  };
  keep(dataset->train, data.train_samples);
  keep(dataset->test, data.test_samples);
  return dataset;
}

ScheduleSpec schedule_spec(const Config& config, const Dataset& dataset) {
  const bool own = config.cluster.worker_scope == WorkerScope::server;
  return {config.seed, static_cast<std::uint32_t>(dataset.train.count()), config.train.slices, config.train.batch,
          own ? SampleStream::own : SampleStream::shared};
}

}  // namespace ringps
