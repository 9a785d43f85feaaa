#include "libps/model/model.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "tests/unit/model/random_images.hpp"

namespace ringps {
namespace {

using Samples = std::vector<std::uint32_t>;

const ModelSpec logistic{ModelKind::logistic_regression, {}, Initial::uniform};
const ModelSpec softmax{ModelKind::softmax_regression, {}, Initial::zeros};
const ModelSpec mlp{ModelKind::mlp, {7, 5}, Initial::glorot};
const ModelSpec wide_mlp{ModelKind::mlp, {300}, Initial::glorot};

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST_CASE("each model has the tensors that its description promises") {
  const auto shapes = [](const ModelSpec& spec) {
    std::vector<std::pair<std::string, std::vector<std::uint64_t>>> found;
    const auto model = make_model(spec);
    for (const auto& tensor : model->tensors()) {
      found.emplace_back(tensor.name, tensor.shape);
    }
    return found;
  };
  using Shapes = decltype(shapes(logistic));
  CHECK(shapes(logistic) == Shapes{{"fc_weights", {784}}, {"fc_bias", {1}}});
  CHECK(shapes(softmax) == Shapes{{"fc_weights", {10, 784}}, {"fc_bias", {10}}});
  CHECK(shapes(mlp) == Shapes{{"layer1.weights", {7, 784}},
                              {"layer1.bias", {7}},
                              {"layer2.weights", {5, 7}},
                              {"layer2.bias", {5}},
                              {"layer3.weights", {10, 5}},
                              {"layer3.bias", {10}}});
}

TEST_CASE("initial values are zero, uniform or scaled to the layer") {
  const auto initialisers = [](ModelKind kind, Initial initial) {
    std::vector<Initialiser> found;
    const auto model = make_model({kind, {20}, initial});
    for (const auto& tensor : model->tensors()) {
      found.push_back(tensor.initialiser);
    }
    return found;
  };
  using Initialisers = std::vector<Initialiser>;
  CHECK(initialisers(ModelKind::logistic_regression, Initial::uniform) == Initialisers{{0, 1}, {0, 1}});
  CHECK(initialisers(ModelKind::softmax_regression, Initial::zeros) == Initialisers{{0, 0}, {0, 0}});
  const float first = std::sqrt(6.0F / 804);
  const float second = std::sqrt(6.0F / 30);
  CHECK(initialisers(ModelKind::mlp, Initial::glorot) ==
        Initialisers{{-first, first}, {0, 0}, {-second, second}, {0, 0}});
}

TEST_CASE("the gradient is the slope of the loss along every weight") {
  const auto spec = GENERATE(logistic, softmax, mlp);
  const std::size_t features = GENERATE(6U, 37U);
  const auto model = make_model(spec, features);
  const auto images = random_images(features, 20);
  const Samples samples{3, 0, 19, 7, 7, 12, 5};
  auto weights = random_weights(*model);
  Floats gradient(weights.size());
  Floats ignored(weights.size());
  model->gradient(weights, images, samples, gradient);

  const auto offsets = flat_offsets(model->tensors());
  for (std::size_t tensor = 0; tensor < model->tensors().size(); ++tensor) {
    for (std::size_t i = 0; i < model->tensors()[tensor].elements(); ++i) {
      float& weight = weights[offsets[tensor] + i];
      const float original = weight;
      constexpr float step = 0x1.0p-10F;  // small, to stay on one side of the bends of ReLU
      weight = original + step;
      const double above = model->gradient(weights, images, samples, ignored);
      weight = original - step;
      const double below = model->gradient(weights, images, samples, ignored);
      weight = original;
      CAPTURE(model->tensors()[tensor].name, i);
      CHECK(gradient[offsets[tensor] + i] == Approx((above - below) / (2 * step)).margin(4e-4));
    }
  }
}

TEST_CASE("gaps between tensors get a gradient of zero, and what they hold does not matter") {
  const auto spec = GENERATE(logistic, softmax, mlp);
  const auto model = make_model(spec, 37);
  const auto images = random_images(37, 5);
  auto weights = random_weights(*model);
  Floats gradient(weights.size(), 9.0F);
  const double loss = model->gradient(weights, images, Samples{0, 1, 2}, gradient);
  const auto offsets = flat_offsets(model->tensors());
  for (std::size_t tensor = 0; tensor < model->tensors().size(); ++tensor) {
    for (std::size_t i = offsets[tensor] + model->tensors()[tensor].elements(); i < offsets[tensor + 1]; ++i) {
      CHECK(gradient[i] == 0.0F);
      weights[i] = 1.0e30F;
    }
  }
  Floats again(weights.size());
  CHECK(model->gradient(weights, images, Samples{0, 1, 2}, again) == loss);
  CHECK(same_bits(gradient, again));
}

TEST_CASE(
    "a gradient has the same bits wherever its buffers are, however often and by whichever object it is computed") {
  const auto spec = GENERATE(logistic, softmax, mlp, wide_mlp);
  const auto images = random_images(784, 300);
  Samples samples(GENERATE(1U, 3U, 128U));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<std::uint32_t>(i * 7 % 300);
  }
  const auto model = make_model(spec);
  const auto weights = random_weights(*model);
  Floats expected(weights.size());
  const double loss = model->gradient(weights, images, samples, expected);

  for (std::size_t shift = 0; shift < 17; shift += 3) {
    const auto another = make_model(spec);
    Images moved = images;
    moved.pixels.insert(moved.pixels.begin(), shift * 784, 0);  // the same images at other addresses and indices
    moved.labels.insert(moved.labels.begin(), shift, 0);
    Samples moved_samples = samples;
    for (auto& sample : moved_samples) {
      sample += static_cast<std::uint32_t>(shift);
    }
    Floats moved_weights(shift + weights.size());
    std::copy(weights.begin(), weights.end(), moved_weights.begin() + static_cast<std::ptrdiff_t>(shift));
    Floats gradient(shift + weights.size());
    another->gradient(random_weights(*another), moved, Samples(5, 1), std::span(gradient).subspan(shift));
    const double moved_loss = another->gradient(std::span<const float>(moved_weights).subspan(shift), moved,
                                                moved_samples, std::span(gradient).subspan(shift));
    CHECK(moved_loss == loss);
    CHECK(same_bits(std::span(gradient).subspan(shift), expected));
  }
}

TEST_CASE("logistic regression equals the formula computed the dumb way") {
  const std::size_t features = GENERATE(1U, 16U, 31U, 784U);
  const std::size_t batch = GENERATE(1U, 4U, 7U, 128U);
  const auto images = random_images(features, 200);
  Samples samples(batch);
  std::iota(samples.begin(), samples.end(), 11U);
  const auto model = make_model(logistic, features);
  const auto weights = random_weights(*model);
  Floats gradient(weights.size());
  const double loss = model->gradient(weights, images, samples, gradient);

  const std::size_t bias = flat_offsets(model->tensors())[1];
  double expected_loss = 0;
  std::vector<double> expected(weights.size());
  for (const auto sample : samples) {
    double z = weights[bias];
    for (std::size_t j = 0; j < features; ++j) {
      z += images.image(sample)[j] / 255.0 * weights[j];
    }
    const double label = images.labels[sample] % 2;
    const double probability = 1 / (1 + std::exp(-z));
    expected_loss -=
        (label * std::log(probability) + (1 - label) * std::log(1 - probability)) / static_cast<double>(batch);
    for (std::size_t j = 0; j < features; ++j) {
      expected[j] += (probability - label) * images.image(sample)[j] / 255.0 / static_cast<double>(batch);
    }
    expected[bias] += (probability - label) / static_cast<double>(batch);
  }
  CHECK(loss == Approx(expected_loss).epsilon(1e-5));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(gradient[i] == Approx(expected[i]).margin(2e-6));
  }
}

TEST_CASE("evaluation counts right answers among the first images and agrees with the gradient's loss") {
  const auto spec = GENERATE(logistic, softmax, mlp);
  const auto model = make_model(spec, 37);
  const auto images = random_images(37, 300);
  const auto weights = random_weights(*model);
  Floats ignored(weights.size());
  Samples first(200);
  std::iota(first.begin(), first.end(), 0U);
  const auto evaluation = model->evaluate(weights, images, 200);
  CHECK(evaluation.loss == Approx(model->gradient(weights, images, first, ignored)).epsilon(1e-6));

  double right = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    auto single = random_images(37, 300);
    keep_first(single, 1);
    std::copy_n(images.image(i).begin(), 37, single.pixels.begin());
    single.labels[0] = images.labels[i];
    right += model->evaluate(weights, single, 1).accuracy_percent / 100;
  }
  CHECK(evaluation.accuracy_percent == Approx(right / 2));
  CHECK(model->evaluate(weights, images, 1000).loss == model->evaluate(weights, images, 300).loss);
}

TEST_CASE("a constant guess is right as often as its class comes up") {
  Images images{2, std::vector<std::uint8_t>(20), {0, 1, 2, 3, 4, 5, 6, 7, 8, 8}};
  const auto parity = make_model(logistic, 2);
  Floats weights(flat_offsets(parity->tensors()).back());
  weights[16] = 1.0F;  // the bias says odd
  CHECK(parity->evaluate(weights, images, 10).accuracy_percent == 40.0);
  weights[16] = -1.0F;
  CHECK(parity->evaluate(weights, images, 10).accuracy_percent == 60.0);

  const auto digits = make_model(softmax, 2);
  weights.assign(flat_offsets(digits->tensors()).back(), 0.0F);
  weights[32 + 8] = 1.0F;
  CHECK(digits->evaluate(weights, images, 10).accuracy_percent == 20.0);
}

TEST_CASE("huge logits give a finite loss and gradient") {
  const auto spec = GENERATE(logistic, softmax, mlp);
  const auto model = make_model(spec, 37);
  const auto images = random_images(37, 20);
  auto weights = random_weights(*model);
  for (float& weight : weights) {
    weight *= 1.0e6F;
  }
  Floats gradient(weights.size());
  CHECK(std::isfinite(model->gradient(weights, images, Samples{0, 1, 2, 3, 4, 5}, gradient)));
  CHECK(std::all_of(gradient.begin(), gradient.end(), [](float g) { return std::isfinite(g); }));
}

TEST_CASE("weights that are not numbers show in the loss") {
  const auto spec = GENERATE(logistic, softmax, mlp);
  const auto model = make_model(spec, 37);
  Floats weights(flat_offsets(model->tensors()).back(), std::nanf(""));
  Floats gradient(weights.size());
  CHECK(std::isnan(model->gradient(weights, random_images(37, 2), Samples{0, 1}, gradient)));
}

}  // namespace
}  // namespace ringps
