#include "libps/model/factorization_machine.hpp"

#include <algorithm>
#include <utility>

#include "libps/base/check.hpp"
#include "libps/model/distinct_rows.hpp"
#include "libps/model/loss.hpp"

namespace ringps {
namespace {

/// The logit of one sample; `row(i)` are the values of its i-th feature's row. Leaves sum_i v_i x_i in `sums`.
template <class Row>
double logit(double bias, std::uint32_t factors, const std::vector<FeatureValue>& features, const Row& row,
             std::vector<double>& sums) {
  double total = bias;
  for (std::size_t i = 0; i < features.size(); ++i) {
    total += double{row(i)[0]} * double{features[i].value};
  }
  sums.assign(factors, 0.0);
  for (std::uint32_t k = 0; k < factors; ++k) {
    double squares = 0;
    for (std::size_t i = 0; i < features.size(); ++i) {
      const double v = double{row(i)[1 + k]} * double{features[i].value};
      sums[k] += v;
      squares += v * v;
    }
    total += 0.5 * (sums[k] * sums[k] - squares);
  }
  return total;
}

class FactorizationMachine final : public Model {
 public:
  FactorizationMachine(std::uint32_t factors, std::shared_ptr<const SampleSource> source)
      : Model(factorization_machine_tensors(), factorization_machine_tables(factors)),
        factors_(factors),
        source_(std::move(source)) {}

  std::size_t train_samples() const override { return source_->count(Split::train); }

  void choose_rows(std::span<const std::uint32_t> samples, RowIds& ids) override {
    index(samples);
    ids.assign(1, distinct_.ids());
  }

  void gradient_with_rows(std::span<const float> weights, Rows<const float> rows,
                          std::span<const std::uint32_t> samples, std::span<float> gradient,
                          Rows<float> row_gradient) override {
    index(samples);
    const std::size_t width = 1 + factors_;
    check(rows[0].size() == distinct_.ids().size() * width, "the rows are those that were named");
    std::vector<double> slopes(rows[0].size(), 0.0);
    double bias_slope = 0;
    std::size_t next = 0;
    for (const auto& [features, label] : samples_) {
      const std::uint32_t* position = &positions_[next];
      next += features.size();
      const auto row = [&](std::size_t i) { return &rows[0][position[i] * width]; };
      const double z = logit(double{weights[0]}, factors_, features, row, sums_);
      const double derivative = binary_cross_entropy_derivative(z, label);
      bias_slope += derivative;
      for (std::size_t i = 0; i < features.size(); ++i) {
        const double x = features[i].value;
        double* slope = &slopes[position[i] * width];
        slope[0] += derivative * x;
        for (std::uint32_t k = 0; k < factors_; ++k) {
          slope[1 + k] += derivative * x * (sums_[k] - double{row(i)[1 + k]} * x);
        }
      }
    }
    const auto count = static_cast<double>(samples.size());
    std::fill(gradient.begin(), gradient.end(), 0.0F);
    gradient[0] = static_cast<float>(bias_slope / count);
    std::transform(slopes.begin(), slopes.end(), row_gradient[0].begin(),
                   [&](double slope) { return static_cast<float>(slope / count); });
  }

 private:
  /// Draws the samples, and finds out which rows their features are. Rows are chosen before the gradient is computed,
  /// so the last ones are kept.
  void index(std::span<const std::uint32_t> samples) {
    if (std::equal(samples.begin(), samples.end(), indexed_.begin(), indexed_.end())) {
      return;
    }
    indexed_.assign(samples.begin(), samples.end());
    samples_.resize(samples.size());
    distinct_.clear();
    positions_.clear();
    for (std::size_t s = 0; s < samples.size(); ++s) {
      samples_[s].label = source_->sample(Split::train, samples[s], samples_[s].features);
      for (const FeatureValue& feature : samples_[s].features) {
        positions_.push_back(distinct_.position(feature.feature));
      }
    }
  }

  struct Sample {
    std::vector<FeatureValue> features;
    bool label = false;
  };

  const std::uint32_t factors_;
  const std::shared_ptr<const SampleSource> source_;
  std::vector<std::uint32_t> indexed_;
  std::vector<Sample> samples_;
  DistinctRows distinct_;
  std::vector<std::uint32_t> positions_;  ///< of all features of all samples, among the distinct rows
  std::vector<double> sums_;              ///< scratch
};

}  // namespace

std::vector<TensorSpec> factorization_machine_tensors() {
  return {{"bias", {1}, {}}};
}

std::vector<TableSpec> factorization_machine_tables(std::uint32_t factors) {
  TableSpec table;
  table.name = "features";
  table.width = 1 + factors;
  if (factors > 0) {
    table.initialiser = {-0.05F, 0.05F};
  }
  return {table};
}

std::unique_ptr<Model> make_factorization_machine(std::uint32_t factors, std::shared_ptr<const SampleSource> source) {
  return std::make_unique<FactorizationMachine>(factors, std::move(source));
}

BinaryMetrics factorization_metrics(float bias, std::uint32_t factors, const ReadRow& read_row,
                                    const SampleSource& source, Split split, std::size_t count) {
  const std::size_t width = 1 + factors;
  std::vector<double> logits;
  std::vector<std::uint8_t> labels;
  std::vector<FeatureValue> features;
  std::vector<float> rows;
  std::vector<double> sums;
  for (std::size_t s = 0; s < count; ++s) {
    labels.push_back(source.sample(split, s, features) ? 1 : 0);
    rows.resize(features.size() * width);
    for (std::size_t i = 0; i < features.size(); ++i) {
      read_row(features[i].feature, &rows[i * width]);
    }
    logits.push_back(logit(
        double{bias}, factors, features, [&](std::size_t i) { return &rows[i * width]; }, sums));
  }
  return binary_metrics(logits, labels);
}

}  // namespace ringps
