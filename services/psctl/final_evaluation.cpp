#include "services/psctl/final_evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/config/job.hpp"
#include "libps/model/factorization_machine.hpp"
#include "libps/model/matrix_factorization.hpp"
#include "libps/model/sparse_logistic_regression.hpp"
#include "libps/ring/layout.hpp"
#include "libps/storage/checkpoint_reader.hpp"

namespace ringps {
namespace {

constexpr std::size_t samples_max = 1'000'000;

/// All weights of a checkpoint.
class Weights {
 public:
  static Result<Weights> load(const Config& config, const std::filesystem::path& folder) {
    const auto tensors = model_tensors(config);
    if (!tensors) {
      return tensors.failure();
    }
    Weights weights(make_job(config, *tensors));
    std::vector<BlockId> all;
    for (std::uint32_t i = 0; i < weights.table_.size(); ++i) {
      all.push_back(BlockId{i});
    }
    auto blocks = load_blocks(folder, weights.table_, std::nullopt, all);
    if (!blocks) {
      return blocks.failure();
    }
    for (LoadedBlock& loaded : *blocks) {
      if (loaded.rows) {
        weights.rows_ += loaded.rows->ids.size();
      } else {
        std::copy(loaded.values.begin(), loaded.values.end(),
                  weights.flat_.begin() + static_cast<std::ptrdiff_t>(weights.table_[loaded.block].flat_offset));
      }
    }
    weights.blocks_ = std::move(*blocks);
    return weights;
  }

  /// The flat vector of all tensors.
  const Floats& flat() const { return flat_; }
  std::uint64_t rows() const { return rows_; }

  void read(std::uint32_t table, std::uint64_t id, float* values) const {
    const TableSpec& spec = job_.tables[table];
    const RowImage& image = *blocks_[table_.block_of(table, id).value].rows;
    const auto at = std::lower_bound(image.ids.begin(), image.ids.end(), id);
    if (at != image.ids.end() && *at == id) {
      const auto row = static_cast<std::size_t>(at - image.ids.begin());
      std::copy_n(&image.values[row * spec.width], spec.width, values);
    } else {
      RowRules(spec, job_.seed, 0).initialise(id, values);
    }
  }
  ReadRow reader(std::uint32_t table) const {
    return [this, table](std::uint64_t id, float* values) { read(table, id, values); };
  }

 private:
  explicit Weights(JobSpec job)
      : job_(std::move(job)), table_(job_.tensors, job_.block_elements, job_.tables), flat_(table_.flat_elements()) {}

  JobSpec job_;
  BlockTable table_;
  Floats flat_;
  std::vector<LoadedBlock> blocks_;  ///< all, in order
  std::uint64_t rows_ = 0;
};

void take_test(FinalEvaluation& found, const BinaryMetrics& test, std::size_t samples) {
  found.test_loss = test.loss_sum / static_cast<double>(samples);
  found.test_accuracy = test.accuracy;
  found.test_auc = test.auc;
}

Result<FinalEvaluation> evaluate_sparse(const Config& config, const Weights& weights) {
  const std::size_t features = config.data.features;
  const auto dataset = load_libsvm(config);
  if (!dataset) {
    return dataset.failure();
  }
  const BinaryMetrics train = sparse_metrics(weights.flat(), features, dataset->train);
  const double train_samples = static_cast<double>(dataset->train.count());
  const double squared_norm =
      std::accumulate(weights.flat().begin(), weights.flat().end(), 0.0,
                      [](double sum, float weight) { return sum + double{weight} * double{weight}; });
  FinalEvaluation found;
  found.train_loss = train.loss_sum / train_samples;
  found.objective = train.loss_sum + config.train.optimizer.weight_decay * train_samples / 2 * squared_norm;
  take_test(found, sparse_metrics(weights.flat(), features, dataset->test), dataset->test.count());
  return found;
}

Result<FinalEvaluation> evaluate_factorization(const Config& config, const Weights& weights) {
  std::unique_ptr<SampleSource> source;
  if (config.data.kind == DataConfig::Kind::clicks) {
    source = click_source(click_spec(config));
  } else {
    auto dataset = load_libsvm(config);
    if (!dataset) {
      return dataset.failure();
    }
    source = sparse_source(std::move(*dataset));
  }
  const std::size_t train = std::min(source->count(Split::train), samples_max);
  const std::size_t test = std::min(source->count(Split::test), samples_max);
  const auto metrics = [&](Split split, std::size_t count) {
    return factorization_metrics(weights.flat()[0], config.model.factors, weights.reader(0), *source, split, count);
  };
  FinalEvaluation found;
  found.train_loss = metrics(Split::train, train).loss_sum / static_cast<double>(train);
  take_test(found, metrics(Split::test, test), test);
  if (source->truth(Split::test, 0)) {
    std::vector<FeatureValue> features;
    double loss = 0;
    for (std::size_t s = 0; s < test; ++s) {
      const double p = *source->truth(Split::test, s);
      loss -= std::log(source->sample(Split::test, s, features) ? p : 1.0 - p);
    }
    found.truth_loss = loss / static_cast<double>(test);
  }
  return found;
}

FinalEvaluation evaluate_ratings(const Config& config, const Weights& weights) {
  RatingSpec ratings = rating_spec(config);
  ratings.train_samples = std::min(ratings.train_samples, samples_max);
  ratings.test_samples = std::min(ratings.test_samples, samples_max);
  FinalEvaluation found;
  found.train_error = rating_error(config.model.factors, weights.reader(0), weights.reader(1), ratings, Split::train);
  found.test_error = rating_error(config.model.factors, weights.reader(0), weights.reader(1), ratings, Split::test);
  found.truth_error = ratings.noise / std::sqrt(3.0);  // of a uniform distribution in [-noise, noise)
  return found;
}

}  // namespace

Result<std::optional<FinalEvaluation>> evaluate_final(const Config& config, const std::filesystem::path& folder) {
  const ModelKind model = config.model.kind;
  if (model != ModelKind::sparse_logistic_regression && model != ModelKind::factorization_machine &&
      model != ModelKind::matrix_factorization) {
    return std::optional<FinalEvaluation>();
  }
  const auto weights = Weights::load(config, folder);
  if (!weights) {
    return weights.failure();
  }
  Result<FinalEvaluation> found = model == ModelKind::sparse_logistic_regression ? evaluate_sparse(config, *weights)
                                  : model == ModelKind::factorization_machine
                                      ? evaluate_factorization(config, *weights)
                                      : Result<FinalEvaluation>(evaluate_ratings(config, *weights));
  if (!found) {
    return found.failure();
  }
  if (model != ModelKind::sparse_logistic_regression) {
    found->rows = weights->rows();
  }
  return std::optional(*found);
}

}  // namespace ringps
