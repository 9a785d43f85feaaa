#include "libps/model/sparse_logistic_regression.hpp"

#include <algorithm>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/model/loss.hpp"

namespace ringps {
namespace {

/// Where the bias lies in the flat vector.
std::size_t bias_offset(std::size_t features) {
  return flat_offsets(sparse_logistic_regression_tensors(features))[1];
}

double logit(std::span<const float> weights, std::size_t bias, std::span<const SparseEntry> row) {
  double sum = double{weights[bias]};
  for (const SparseEntry& entry : row) {
    sum += double{entry.value} * double{weights[entry.feature]};
  }
  return sum;
}

class SparseLogisticRegression final : public Model {
 public:
  SparseLogisticRegression(std::size_t features, SparseDataset dataset)
      : Model(sparse_logistic_regression_tensors(features)),
        features_(features),
        bias_(bias_offset(features)),
        flat_size_(flat_offsets(tensors()).back()),
        dataset_(std::move(dataset)),
        sums_(features) {
    check(dataset_.features() <= features, "the model has a weight for each feature");
  }

  std::size_t train_samples() const override { return dataset_.train.count(); }

  void gradient(std::span<const float> weights, std::span<const std::uint32_t> samples,
                std::span<float> gradient) override;

  Evaluation evaluate(std::span<const float> weights, std::size_t count) const override {
    const SparseSamples& test = dataset_.test;
    count = std::min(count, test.count());
    check(weights.size() == flat_size_ && count > 0, "weights fit the model, and there are samples");
    std::size_t right = 0;
    double loss_sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double z = logit(weights, bias_, test.row(i));
      right += (z > 0) == (test.labels[i] != 0) ? 1U : 0U;
      loss_sum += binary_cross_entropy(z, test.labels[i] != 0).loss;
    }
    return {100.0 * static_cast<double>(right) / static_cast<double>(count), loss_sum / static_cast<double>(count)};
  }

 private:
  std::size_t features_;
  std::size_t bias_;
  std::size_t flat_size_;
  SparseDataset dataset_;
  std::vector<double> sums_;  ///< scratch: the gradient of the summed losses, whose rounding nobody will see
};

void SparseLogisticRegression::gradient(std::span<const float> weights, std::span<const std::uint32_t> samples,
                                        std::span<float> gradient) {
  check(weights.size() == flat_size_ && gradient.size() == flat_size_, "weights and gradient have the flat layout");
  check(!samples.empty(), "there are samples");
  const SparseSamples& train = dataset_.train;
  std::fill(sums_.begin(), sums_.end(), 0.0);
  double bias_sum = 0;
  for (const std::uint32_t sample : samples) {
    const auto row = train.row(sample);
    const double derivative = binary_cross_entropy_derivative(logit(weights, bias_, row), train.labels[sample] != 0);
    bias_sum += derivative;
    for (const SparseEntry& entry : row) {
      sums_[entry.feature] += derivative * double{entry.value};
    }
  }
  const double count = static_cast<double>(samples.size());
  std::fill(gradient.begin() + static_cast<std::ptrdiff_t>(features_), gradient.end(), 0.0F);
  for (std::size_t j = 0; j < features_; ++j) {
    gradient[j] = static_cast<float>(sums_[j] / count);
  }
  gradient[bias_] = static_cast<float>(bias_sum / count);
}

}  // namespace

std::vector<TensorSpec> sparse_logistic_regression_tensors(std::size_t features) {
  return {{"weights", {features}, {}}, {"bias", {1}, {}}};
}

std::unique_ptr<Model> make_sparse_logistic_regression(std::size_t features, SparseDataset dataset) {
  return std::make_unique<SparseLogisticRegression>(features, std::move(dataset));
}

BinaryMetrics sparse_metrics(std::span<const float> weights, std::size_t features, const SparseSamples& samples) {
  const std::size_t bias = bias_offset(features);
  std::vector<double> logits(samples.count());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = logit(weights, bias, samples.row(i));
  }
  return binary_metrics(logits, samples.labels);
}

}  // namespace ringps
