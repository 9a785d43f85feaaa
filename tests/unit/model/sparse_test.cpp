#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <numeric>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/random.hpp"
#include "libps/data/libsvm.hpp"
#include "libps/data/schedule.hpp"
#include "libps/model/binary_metrics.hpp"
#include "libps/model/loss.hpp"
#include "libps/model/sparse_logistic_regression.hpp"

namespace ringps {
namespace {

using Samples = std::vector<std::uint32_t>;

constexpr std::size_t features = 21;

SparseSamples random_samples(std::size_t count, std::uint64_t seed) {
  const KeyedRandom random(seed, "random sparse samples");
  SparseSamples samples;
  samples.features = features;
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::uint32_t j = 0; j < features; ++j) {
      if (random.below(next++, 3) == 0) {
        samples.entries.push_back({j, random.uniform(next++) + 0.5F});
      }
    }
    samples.row_begin.push_back(samples.entries.size());
    samples.labels.push_back(static_cast<std::uint8_t>(random.below(next++, 2)));
  }
  return samples;
}

/// In [-0.5, 0.5), gaps included: a model has to ignore them.
Floats random_weights(const std::vector<TensorSpec>& tensors) {
  const KeyedRandom random(2, "random weights");
  Floats weights(flat_offsets(tensors).back());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = random.uniform(i) - 0.5F;
  }
  return weights;
}

/// The mean loss over some samples, computed the dumb way: with dense rows.
double mean_loss(std::span<const float> weights, const SparseSamples& data, const Samples& samples) {
  const std::size_t bias = flat_offsets(sparse_logistic_regression_tensors(features))[1];
  double sum = 0;
  for (const std::uint32_t sample : samples) {
    std::vector<double> dense(features);
    for (const SparseEntry& entry : data.row(sample)) {
      dense[entry.feature] = double{entry.value};
    }
    double z = double{weights[bias]};
    for (std::size_t j = 0; j < features; ++j) {
      z += dense[j] * double{weights[j]};
    }
    sum += std::log1p(std::exp(data.labels[sample] != 0 ? -z : z));
  }
  return sum / static_cast<double>(samples.size());
}

TEST_CASE("a sparse model has one weight for each feature and a bias, zeros at first") {
  const auto model = make_sparse_logistic_regression(30, {random_samples(3, 1), random_samples(2, 2)});
  CHECK(model->tensors() == std::vector<TensorSpec>{{"weights", {30}, {}}, {"bias", {1}, {}}});
  CHECK(model->train_samples() == 3);
}

TEST_CASE("the gradient of a sparse model is the slope of the loss along every weight") {
  const auto data = random_samples(20, 1);
  const Samples samples{3, 0, 19, 7, 7, 12, 5};
  const auto model = make_sparse_logistic_regression(features, {data, random_samples(2, 2)});
  auto weights = random_weights(model->tensors());
  Floats gradient(weights.size(), 9.0F);
  model->gradient(weights, samples, gradient);

  const auto offsets = flat_offsets(model->tensors());
  Floats expected(weights.size());
  for (std::size_t tensor = 0; tensor < 2; ++tensor) {
    for (std::size_t i = 0; i < model->tensors()[tensor].elements(); ++i) {
      float& weight = weights[offsets[tensor] + i];
      const float middle = weight;
      weight = middle + 0.01F;
      const double above = mean_loss(weights, data, samples);
      weight = middle - 0.01F;
      const double below = mean_loss(weights, data, samples);
      weight = middle;
      expected[offsets[tensor] + i] = static_cast<float>((above - below) / 0.02);
    }
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(gradient[i] == Approx(expected[i]).margin(1e-5));  // in the gaps both are zero
  }
}

TEST_CASE("evaluation of a sparse model takes the first of the test set, and agrees with the metrics") {
  const auto test = random_samples(50, 3);
  const auto model = make_sparse_logistic_regression(features, {random_samples(2, 1), test});
  const auto weights = random_weights(model->tensors());
  auto first = test;
  keep_first(first, 20);
  const auto metrics = sparse_metrics(weights, features, first);
  CHECK(model->evaluate(weights, 20).loss == Approx(metrics.loss_sum / 20));
  CHECK(model->evaluate(weights, 20).accuracy_percent == Approx(100 * metrics.accuracy));
  Samples all(50);
  std::iota(all.begin(), all.end(), 0U);
  CHECK(model->evaluate(weights, 1000).loss == Approx(mean_loss(weights, test, all)));
}

TEST_CASE("means of shares of unequal size, weighted, make the gradient of the whole") {
  const std::uint32_t slices = GENERATE(1U, 3U, 7U);
  const auto model = make_sparse_logistic_regression(features, {random_samples(20, 1), random_samples(2, 2)});
  const auto weights = random_weights(model->tensors());
  Samples all(20);
  std::iota(all.begin(), all.end(), 0U);
  Floats expected(weights.size());
  model->gradient(weights, all, expected);

  Schedule schedule({1, 20, slices, 0, SampleStream::shared});
  std::vector<double> sum(weights.size());
  for (std::uint32_t slice = 0; slice < slices; ++slice) {
    Floats gradient(weights.size());
    model->gradient(weights, schedule.samples(Iteration{4}, SliceId{slice}), gradient);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += double{gradient[i]} * double{schedule.weight(SliceId{slice})} / slices;
    }
  }
  for (std::size_t i = 0; i < sum.size(); ++i) {
    CHECK(sum[i] == Approx(expected[i]).margin(1e-6));
  }
}

TEST_CASE("the derivative alone has the bits that it has beside the loss") {
  for (const double logit : {-800.0, -3.5, -0.0, 0.0, 1e-9, 2.25, 40.0, 800.0}) {
    for (const bool label : {false, true}) {
      CHECK(binary_cross_entropy_derivative(logit, label) == binary_cross_entropy(logit, label).derivative);
    }
  }
}

/// By its definition, over all pairs.
double dumb_auc(const std::vector<double>& logits, const std::vector<std::uint8_t>& labels) {
  double won = 0;
  double pairs = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    for (std::size_t j = 0; j < logits.size(); ++j) {
      if (labels[i] == 1 && labels[j] == 0) {
        pairs += 1;
        won += logits[i] > logits[j] ? 1.0 : logits[i] == logits[j] ? 0.5 : 0.0;
      }
    }
  }
  return won / pairs;
}

TEST_CASE("the area under the ROC curve is what counting all pairs gives, with ties") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const KeyedRandom random(seed, "logits");
    const std::uint64_t distinct = 1 + random.below(0, 40);
    std::vector<double> logits;
    std::vector<std::uint8_t> labels{0, 1};
    for (std::size_t i = 0; i < 2 + random.below(1, 60); ++i) {
      logits.push_back(static_cast<double>(random.below(2 * i + 2, distinct)) - 7.0);
      if (i >= 2) {
        labels.push_back(static_cast<std::uint8_t>(random.below(2 * i + 3, 2)));
      }
    }
    CAPTURE(seed);
    CHECK(area_under_roc(logits, labels).value() == Approx(dumb_auc(logits, labels)).epsilon(1e-12));
  }
}

TEST_CASE("with one class only, or weights that are not numbers, there is no area") {
  const std::vector<double> logits{1, 2};
  CHECK_FALSE(area_under_roc(logits, std::vector<std::uint8_t>{1, 1}));
  CHECK_FALSE(area_under_roc(logits, std::vector<std::uint8_t>{0, 0}));
  const std::vector<double> broken{std::nan(""), std::nan("")};
  CHECK_FALSE(area_under_roc(broken, std::vector<std::uint8_t>{0, 1}));
}

TEST_CASE("binary metrics count a logit above zero as positive") {
  const auto metrics = binary_metrics(std::vector<double>{1, -1, 2, 0}, std::vector<std::uint8_t>{1, 0, 0, 1});
  CHECK(metrics.accuracy == 0.5);
  CHECK(metrics.auc == 0.5);
  CHECK(metrics.loss_sum == Approx(2 * std::log1p(std::exp(-1)) + std::log1p(std::exp(2)) + std::log(2)));
}

}  // namespace
}  // namespace ringps
