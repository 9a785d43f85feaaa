#include "services/psctl/final_evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/check.hpp"
#include "libps/config/job.hpp"
#include "libps/model/factorization_machine.hpp"
#include "libps/model/matrix_factorization.hpp"
#include "libps/model/sparse_logistic_regression.hpp"
#include "libps/ring/layout.hpp"
#include "libps/storage/checkpoint_reader.hpp"

namespace ringps {
namespace {

constexpr std::size_t evaluated_max = 1'000'000;

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

/// Of a factorisation machine.
Result<std::unique_ptr<SampleSource>> open_samples(const Config& config) {
  if (config.data.kind == DataConfig::Kind::clicks) {
    return click_source(click_spec(config));
  }
  auto dataset = load_libsvm(config);
  if (!dataset) {
    return dataset.failure();
  }
  return sparse_source(std::move(*dataset));
}

BinaryMetrics metrics_of(const Config& config, const Weights& weights, const SampleSource& source, Split split,
                         std::size_t samples) {
  return factorization_metrics(weights.flat()[0], config.model.factors, weights.reader(0), source, split, samples);
}

double error_of(const Config& config, const Weights& weights, const RatingSpec& ratings, Split split) {
  return rating_error(config.model.factors, weights.reader(0), weights.reader(1), ratings, split);
}

Result<FinalEvaluation> evaluate_factorization(const Config& config, const Weights& weights) {
  const auto opened = open_samples(config);
  if (!opened) {
    return opened.failure();
  }
  const SampleSource& source = **opened;
  const std::size_t train = std::min(source.count(Split::train), evaluated_max);
  const std::size_t test = std::min(source.count(Split::test), evaluated_max);
  FinalEvaluation found;
  found.train_loss = metrics_of(config, weights, source, Split::train, train).loss_sum / static_cast<double>(train);
  take_test(found, metrics_of(config, weights, source, Split::test, test), test);
  if (source.truth(Split::test, 0)) {
    std::vector<FeatureValue> features;
    double loss = 0;
    for (std::size_t s = 0; s < test; ++s) {
      const double p = *source.truth(Split::test, s);
      loss -= std::log(source.sample(Split::test, s, features) ? p : 1.0 - p);
    }
    found.truth_loss = loss / static_cast<double>(test);
  }
  return found;
}

FinalEvaluation evaluate_ratings(const Config& config, const Weights& weights) {
  RatingSpec ratings = rating_spec(config);
  ratings.train_samples = std::min(ratings.train_samples, evaluated_max);
  ratings.test_samples = std::min(ratings.test_samples, evaluated_max);
  FinalEvaluation found;
  found.train_error = error_of(config, weights, ratings, Split::train);
  found.test_error = error_of(config, weights, ratings, Split::test);
  found.truth_error = ratings.noise / std::sqrt(3.0);  // of a uniform distribution in [-noise, noise)
  return found;
}

}  // namespace

bool is_evaluated_at_end(const Config& config) {
  return config.model.kind == ModelKind::sparse_logistic_regression || TableScorer::knows(config);
}

Result<std::optional<FinalEvaluation>> evaluate_final(const Config& config, const std::filesystem::path& folder) {
  if (!is_evaluated_at_end(config)) {
    return std::optional<FinalEvaluation>();
  }
  const ModelKind model = config.model.kind;
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

TableScorer::TableScorer(const Config& config, std::unique_ptr<SampleSource> source)
    : config_(config), source_(std::move(source)) {}
TableScorer::TableScorer(TableScorer&&) noexcept = default;
TableScorer::~TableScorer() = default;

bool TableScorer::knows(const Config& config) {
  return config.model.kind == ModelKind::factorization_machine || config.model.kind == ModelKind::matrix_factorization;
}

Result<TableScorer> TableScorer::create(const Config& config) {
  check(knows(config), "models without tables are evaluated by workers");
  if (config.model.kind == ModelKind::matrix_factorization) {
    return TableScorer(config, nullptr);
  }
  auto opened = open_samples(config);
  if (!opened) {
    return opened.failure();
  }
  return TableScorer(config, std::move(*opened));
}

Result<TestScore> TableScorer::score(const std::filesystem::path& folder) const {
  const auto weights = Weights::load(config_, folder);
  if (!weights) {
    return weights.failure();
  }
  const std::size_t wanted = config_.evaluate.samples == 0 ? evaluated_max : config_.evaluate.samples;
  if (!source_) {
    RatingSpec ratings = rating_spec(config_);
    ratings.test_samples = std::min<std::size_t>(ratings.test_samples, wanted);
    return TestScore{std::nullopt, error_of(config_, *weights, ratings, Split::test)};
  }
  const std::size_t samples = std::min(source_->count(Split::test), wanted);
  const BinaryMetrics found = metrics_of(config_, *weights, *source_, Split::test, samples);
  return TestScore{found.accuracy, found.loss_sum / static_cast<double>(samples)};
}

}  // namespace ringps
