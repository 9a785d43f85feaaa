// Whole trainings in one process: what the models can learn, and that the rules of the predecessor give its results.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "libps/base/aligned.hpp"
#include "libps/data/schedule.hpp"
#include "libps/data/synthetic.hpp"
#include "libps/model/model.hpp"
#include "libps/optim/initialise.hpp"
#include "libps/optim/optimizer.hpp"

namespace ringps {
namespace {

constexpr std::uint64_t evaluate_interval = 5;
constexpr std::size_t evaluate_images = 1152;

struct Training {
  ModelSpec model;
  std::uint64_t seed = 1;
  float learning_rate = 0.1F;
  std::uint64_t iterations = 500;
};

/// The best accuracy over evaluations before every fifth iteration, with batches of 128 and plain gradient descent.
double best_accuracy_percent(const Dataset& dataset, const Training& training) {
  const auto model = make_model(training.model);
  const auto offsets = flat_offsets(model->tensors());
  Floats weights(offsets.back());
  for (std::size_t i = 0; i < model->tensors().size(); ++i) {
    const auto& tensor = model->tensors()[i];
    initialise(tensor, training.seed, 0, std::span(weights).subspan(offsets[i], tensor.elements()));
  }
  Floats gradient(weights.size());
  Floats next(weights.size());
  Schedule schedule({training.seed, static_cast<std::uint32_t>(dataset.train.count()), 1, 128, SampleStream::own});
  OptimizerSpec optimizer;
  optimizer.learning_rate = training.learning_rate;

  double best = 0;
  for (Iteration iteration{1}; iteration.value <= training.iterations; iteration = iteration.next()) {
    if (iteration.value % evaluate_interval == 0) {
      best = std::max(best, model->evaluate(weights, dataset.test, evaluate_images).accuracy_percent);
    }
    model->gradient(weights, dataset.train, schedule.samples(iteration, SliceId{0}), gradient);
    OptimizerStep(optimizer, Iteration{1}).apply(weights.size(), 0, weights, gradient, next);
    weights.swap(next);
  }
  return best;
}

TEST_CASE("logistic regression learns the parity of synthetic digits about as well as MNIST's") {
  const auto dataset = synthetic_digits(1, 10000, 2000);
  const double best = best_accuracy_percent(dataset, {{ModelKind::logistic_regression, {}, Initial::uniform}});
  CHECK(best > 84.0);
  CHECK(best < 93.0);
}

TEST_CASE("softmax regression and a network learn the synthetic digits, the network better") {
  const auto dataset = synthetic_digits(1, 10000, 2000);
  const double regression = best_accuracy_percent(dataset, {{ModelKind::softmax_regression, {}, Initial::zeros}});
  const double network = best_accuracy_percent(dataset, {{ModelKind::mlp, {64}, Initial::glorot}});
  CHECK(regression > 80.0);
  CHECK(network > regression);
}

TEST_CASE("on MNIST, one server and one worker reach the accuracy that the predecessor published") {
  const char* folder = std::getenv("RINGPS_DATA");
  if (folder == nullptr) {
    WARN("skipped: set RINGPS_DATA to a folder that has mnist/ with the four files of MNIST");
    return;
  }
  const auto dataset = load_idx_folder(std::filesystem::path(folder) / "mnist");
  REQUIRE(dataset);
  double sum = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    sum += best_accuracy_percent(*dataset, {{ModelKind::logistic_regression, {}, Initial::uniform}, seed});
  }
  CHECK(sum / 3 == Approx(86.98).margin(0.6));
}

}  // namespace
}  // namespace ringps
