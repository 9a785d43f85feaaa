#include "libps/optim/optimizer.hpp"

#include <rapidcheck.h>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/unit/optim/bits.hpp"

namespace ringps {
namespace {

constexpr std::array all_kinds{OptimizerKind::sgd,     OptimizerKind::momentum, OptimizerKind::nesterov,
                               OptimizerKind::adagrad, OptimizerKind::rmsprop,  OptimizerKind::adam,
                               OptimizerKind::adamw,   OptimizerKind::ftrl};

/// One element with its state, in the precision of T.
template <class T>
struct Element {
  T w = 0;
  T first = 0;
  T second = 0;
};

/// The formulas of the papers, as they stand in the header, one element at a time. With T = float every intermediate
/// is rounded to float; with double they are what the float version approximates.
template <class T>
Element<T> reference(const OptimizerSpec& spec, std::uint64_t t, const Element<T>& at, T g) {
  const T lr = spec.rate(Iteration{t});
  const T decay = spec.weight_decay;
  const T mu = spec.momentum;
  const T b1 = spec.beta1;
  const T b2 = spec.beta2;
  const T eps = spec.epsilon;
  const T decayed = g + decay * at.w;
  const auto steps = static_cast<double>(t);
  const T mean_factor = static_cast<T>(1.0 / (1.0 - std::pow(static_cast<double>(spec.beta1), steps)));
  const T square_factor = static_cast<T>(1.0 / (1.0 - std::pow(static_cast<double>(spec.beta2), steps)));
  Element<T> next = at;
  switch (spec.kind) {
    case OptimizerKind::sgd:
      next.w = at.w - lr * decayed;
      break;
    case OptimizerKind::momentum:
      next.first = mu * at.first + decayed;
      next.w = at.w - lr * next.first;
      break;
    case OptimizerKind::nesterov:
      next.first = mu * at.first + decayed;
      next.w = at.w - lr * (decayed + mu * next.first);
      break;
    case OptimizerKind::adagrad:
      next.first = at.first + decayed * decayed;
      next.w = at.w - lr * decayed / (std::sqrt(next.first) + eps);
      break;
    case OptimizerKind::rmsprop:
      next.first = b2 * at.first + (T{1} - b2) * (decayed * decayed);
      next.w = at.w - lr * decayed / (std::sqrt(next.first) + eps);
      break;
    case OptimizerKind::adam:
      next.first = b1 * at.first + (T{1} - b1) * decayed;
      next.second = b2 * at.second + (T{1} - b2) * (decayed * decayed);
      next.w = at.w - lr * (next.first * mean_factor) / (std::sqrt(next.second * square_factor) + eps);
      break;
    case OptimizerKind::adamw:
      next.first = b1 * at.first + (T{1} - b1) * g;
      next.second = b2 * at.second + (T{1} - b2) * (g * g);
      next.w = at.w - lr * (next.first * mean_factor) / (std::sqrt(next.second * square_factor) + eps);
      next.w = next.w - (lr * decay) * at.w;
      break;
    case OptimizerKind::ftrl: {
      next.second = at.second + g * g;
      const T sigma = (std::sqrt(next.second) - std::sqrt(at.second)) / lr;
      next.first = at.first + g - sigma * at.w;
      const T size = std::abs(next.first) - static_cast<T>(spec.l1);
      const T denominator = (static_cast<T>(spec.beta) + std::sqrt(next.second)) / lr + static_cast<T>(spec.l2);
      next.w = size > 0 ? -std::copysign(size, next.first) / denominator : T{0};
      break;
    }
  }
  return next;
}

/// A whole block: values, then runs of state. State is not negative where it stands for a sum of squares.
std::vector<float> random_block(const OptimizerSpec& spec, std::size_t elements) {
  std::vector<float> block;
  for (std::uint32_t run = 0; run <= spec.state_per_element(); ++run) {
    const bool squares =
        (run == 1 && (spec.kind == OptimizerKind::adagrad || spec.kind == OptimizerKind::rmsprop)) || run == 2;
    for (const float value : random_floats(elements)) {
      block.push_back(squares ? std::abs(value) : value);
    }
  }
  return block;
}

std::vector<float> applied(const OptimizerSpec& spec, std::uint64_t t, const std::vector<float>& block,
                           const std::vector<float>& gradient) {
  std::vector<float> next(block.size());
  OptimizerStep(spec, Iteration{t}).apply(gradient.size(), 0, block, gradient, next);
  return next;
}

OptimizerSpec random_spec(OptimizerKind kind) {
  OptimizerSpec spec;
  spec.kind = kind;
  spec.learning_rate = *rc::gen::element(0.1F, 0.01F, 3.0e-5F);
  spec.momentum = *rc::gen::element(0.9F, 0.99F);
  spec.weight_decay = *rc::gen::element(0.0F, 1.0e-4F);
  spec.l1 = *rc::gen::element(0.0F, 0.5F);
  spec.l2 = *rc::gen::element(0.0F, 1.0F);
  return spec;
}

template <class T>
Element<T> element_of(const std::vector<float>& block, std::size_t elements, std::size_t i) {
  const auto run = [&](std::size_t k) {
    return k * elements + i < block.size() ? static_cast<T>(block[k * elements + i]) : T{0};
  };
  return {run(0), run(1), run(2)};
}

TEST_CASE("an optimizer step equals the published formula, element by element") {
  const auto kind = GENERATE(from_range(all_kinds));
  CHECK(rc::check([kind] {
    const OptimizerSpec spec = random_spec(kind);
    const auto elements = *rc::gen::inRange<std::size_t>(0, 300);
    const auto t = *rc::gen::inRange<std::uint64_t>(1, 5000);
    const auto block = random_block(spec, elements);
    const auto gradient = random_floats(elements);
    const auto next = applied(spec, t, block, gradient);
    for (std::size_t i = 0; i < elements; ++i) {
      const auto expected = reference<float>(spec, t, element_of<float>(block, elements, i), gradient[i]);
      const auto found = element_of<float>(next, elements, i);
      // The bias corrections come from another pow than the C library's; all else is the same to the last bit.
      if (kind == OptimizerKind::adam || kind == OptimizerKind::adamw) {
        RC_ASSERT(std::abs(found.w - expected.w) <= 1e-5F * (std::abs(expected.w) + spec.learning_rate));
      } else {
        RC_ASSERT(found.w == expected.w);
      }
      RC_ASSERT(found.first == expected.first);
      RC_ASSERT(found.second == expected.second);
    }
  }));
}

TEST_CASE("a hundred steps in float stay by a hundred steps of the formula in double") {
  const auto kind = GENERATE(from_range(all_kinds));
  OptimizerSpec spec;
  spec.kind = kind;
  spec.learning_rate = 0.05F;
  spec.weight_decay = kind == OptimizerKind::ftrl ? 0.0F : 0.01F;
  spec.l1 = 0.01F;
  spec.l2 = 0.1F;
  std::vector<float> block(1 + spec.state_per_element(), 0.0F);
  block[0] = 0.5F;
  Element<double> exact{0.5, 0, 0};
  for (std::uint64_t t = 1; t <= 100; ++t) {
    const auto slope = [](double w) { return 2.0 * (w - 1.0) + 0.3 * w * w; };  // of a loss that is not symmetric
    const std::vector<float> gradient{static_cast<float>(slope(static_cast<double>(block[0])))};
    exact = reference<double>(spec, t, exact, slope(exact.w));
    block = applied(spec, t, block, gradient);
  }
  CHECK(static_cast<double>(block[0]) == Approx(exact.w).epsilon(1e-4));
  CHECK(block[0] > 0.5F);  // it has learnt something
}

TEST_CASE("an element's step does not depend on its place in the block, nor on the piece it is computed in") {
  const auto kind = GENERATE(from_range(all_kinds));
  CHECK(rc::check([kind] {
    const OptimizerSpec spec = random_spec(kind);
    const auto elements = *rc::gen::inRange<std::size_t>(1, 100);
    const auto block = random_block(spec, elements);
    const auto gradient = random_floats(elements);
    const auto whole = applied(spec, 3, block, gradient);
    std::vector<float> pieces(block.size());
    for (std::size_t i = 0; i < elements; ++i) {
      OptimizerStep(spec, Iteration{3}).apply(elements, i, block, std::span(gradient).subspan(i, 1), pieces);
    }
    RC_ASSERT(same_bits(whole, pieces));
    auto in_place = block;
    const auto piece = *rc::gen::inRange<std::size_t>(1, elements + 1);
    std::vector<float> scratch(piece * (1 + spec.state_per_element()));
    for (std::size_t i = 0; i < elements; i += piece) {
      OptimizerStep(spec, Iteration{3})
          .apply_in_place(elements, i, in_place, std::span(gradient).subspan(i, std::min(piece, elements - i)),
                          scratch);
    }
    RC_ASSERT(same_bits(whole, in_place));
  }));
}

TEST_CASE("plain gradient descent and momentum take the steps one computes by hand") {
  OptimizerSpec spec;
  spec.learning_rate = 0.5F;
  CHECK(applied(spec, 1, {1.0F, -2.0F}, {2.0F, 4.0F}) == std::vector<float>{0.0F, -4.0F});

  spec.kind = OptimizerKind::momentum;
  spec.momentum = 0.25F;
  CHECK(applied(spec, 1, {1.0F, 8.0F}, {2.0F}) == std::vector<float>{-1.0F, 4.0F});
}

TEST_CASE("follow-the-regularised-leader leaves small weights at exactly zero") {
  OptimizerSpec spec;
  spec.kind = OptimizerKind::ftrl;
  spec.l1 = 1.0F;
  CHECK(applied(spec, 1, {0.0F, 0.0F, 0.0F}, {0.5F})[0] == 0.0F);
  CHECK(applied(spec, 1, {0.0F, 0.0F, 0.0F}, {2.0F})[0] < 0.0F);
}

TEST_CASE("the learning rate follows its schedule") {
  OptimizerSpec spec;
  spec.learning_rate = 0.8F;
  CHECK(spec.rate(Iteration{1}) == 0.8F);
  CHECK(spec.rate(Iteration{1000}) == 0.8F);

  SECTION("a step: divided after every so many iterations") {
    spec.schedule = RateSchedule::step;
    spec.decay_every = 10;
    spec.decay_factor = 0.5;
    CHECK(spec.rate(Iteration{10}) == 0.8F);
    CHECK(spec.rate(Iteration{11}) == Approx(0.4F));
    CHECK(spec.rate(Iteration{31}) == Approx(0.1F));
  }
  SECTION("a cosine: from the whole rate to the final part of it") {
    spec.schedule = RateSchedule::cosine;
    spec.iterations = 100;
    spec.final_factor = 0.5;
    CHECK(spec.rate(Iteration{1}) == 0.8F);
    CHECK(spec.rate(Iteration{51}) == Approx(0.6F));
    CHECK(spec.rate(Iteration{101}) == Approx(0.4F));
    CHECK(spec.rate(Iteration{500}) == Approx(0.4F));
  }
  SECTION("a warm-up: rises linearly, and then does as the schedule says") {
    spec.warmup = 4;
    CHECK(spec.rate(Iteration{1}) == Approx(0.2F));
    CHECK(spec.rate(Iteration{3}) == Approx(0.6F));
    CHECK(spec.rate(Iteration{4}) == 0.8F);
    CHECK(spec.rate(Iteration{5}) == 0.8F);
  }
}

}  // namespace
}  // namespace ringps
