// Gradients and evaluations of the models, on batches at random from a training set far larger than the caches.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/data/schedule.hpp"
#include "libps/data/synthetic.hpp"
#include "libps/model/model.hpp"

namespace {

using namespace ringps;

constexpr std::size_t train_images = 60000;

const Dataset& dataset() {
  static const Dataset drawn = synthetic_digits(1, train_images, 1152);
  return drawn;
}

ModelSpec spec_of(std::int64_t kind) {
  return {static_cast<ModelKind>(kind), {256}, Initial::glorot};
}

void gradient(benchmark::State& state) {
  const auto batch = static_cast<std::uint32_t>(state.range(1));
  const auto model = make_model(spec_of(state.range(0)));
  const Floats weights(flat_offsets(model->tensors()).back(), 0.01F);
  Floats gradient(weights.size());
  Schedule schedule({1, train_images, 1, batch, SampleStream::shared});
  Iteration iteration{1};
  for (auto _ : state) {
    const auto samples = schedule.samples(iteration, SliceId{0});
    benchmark::DoNotOptimize(model->gradient(weights, dataset().train, samples, gradient));
    iteration = iteration.next();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

void evaluate(benchmark::State& state) {
  const auto model = make_model(spec_of(state.range(0)));
  const Floats weights(flat_offsets(model->tensors()).back(), 0.01F);
  for (auto _ : state) {
    benchmark::DoNotOptimize(model->evaluate(weights, dataset().test, 1152));
  }
  state.SetItemsProcessed(state.iterations() * 1152);
}

void schedule(benchmark::State& state) {
  Schedule schedule({1, train_images, 1, 128, SampleStream::shared});
  Iteration iteration{1};
  for (auto _ : state) {
    benchmark::DoNotOptimize(schedule.samples(iteration, SliceId{0}));
    iteration = iteration.next();
  }
}

void synthetic(benchmark::State& state) {
  std::vector<std::uint8_t> pixels(digit_features);
  std::uint64_t index = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(draw_digit(1, Split::train, index++, std::span(pixels).first<digit_features>()));
  }
}

void digest_60000(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(digest(dataset()));
  }
}

BENCHMARK(gradient)->ArgNames({"model", "batch"})->ArgsProduct({{0, 1, 2}, {128}});
BENCHMARK(evaluate)->ArgName("model")->DenseRange(0, 2);
BENCHMARK(schedule);
BENCHMARK(synthetic);
BENCHMARK(digest_60000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
