#include "libps/worker/built_in.hpp"

#include <cstdlib>
#include <string>
#include <utility>

#include "libps/config/job.hpp"
#include "libps/data/dataset.hpp"
#include "libps/data/synthetic.hpp"
#include "libps/model/factorization_machine.hpp"
#include "libps/model/matrix_factorization.hpp"
#include "libps/model/sparse_logistic_regression.hpp"

namespace ringps {
namespace {

Result<Dataset> load_images(const Config& config) {
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

}  // namespace

Result<std::unique_ptr<Model>> make_built_in_model(const Config& config) {
  switch (config.model.kind) {
    case ModelKind::custom:
      return Error{
          "model.kind is custom, which this program does not know: start one that does (cluster.worker_program)"};
    case ModelKind::sparse_logistic_regression: {
      auto dataset = load_libsvm(config);
      if (!dataset) {
        return dataset.failure();
      }
      return make_sparse_logistic_regression(config.data.features, std::move(*dataset));
    }
    case ModelKind::factorization_machine: {
      if (config.data.kind == DataConfig::Kind::clicks) {
        return make_factorization_machine(config.model.factors, click_source(click_spec(config)));
      }
      auto dataset = load_libsvm(config);
      if (!dataset) {
        return dataset.failure();
      }
      return make_factorization_machine(config.model.factors, sparse_source(std::move(*dataset)));
    }
    case ModelKind::matrix_factorization:
      return make_matrix_factorization(config.model.factors, rating_spec(config));
    default: {
      auto dataset = load_images(config);
      if (!dataset) {
        return dataset.failure();
      }
      return make_model_of(model_spec(config), std::move(*dataset));
    }
  }
}

}  // namespace ringps
