#include "libps/optim/optimizer.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <vector>

#include "tests/unit/optim/bits.hpp"

namespace ringps {
namespace {

struct Step {
  std::vector<float> weights;
  std::vector<float> state;
};

/// The formulas of the header, one element at a time, every intermediate rounded to float.
Step reference(const OptimizerSpec& spec, const Step& at, const std::vector<float>& gradient) {
  Step next = at;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const volatile float decayed = spec.weight_decay * at.weights[i];
    const volatile float total = gradient[i] + decayed;
    volatile float velocity = total;
    if (spec.kind == OptimizerKind::momentum) {
      const volatile float kept = spec.momentum * at.state[i];
      velocity = kept + total;
      next.state[i] = velocity;
    }
    const volatile float step = spec.learning_rate * velocity;
    next.weights[i] = at.weights[i] - step;
  }
  return next;
}

Step applied(const OptimizerSpec& spec, const Step& at, const std::vector<float>& gradient) {
  Step next{std::vector<float>(at.weights.size()), std::vector<float>(at.state.size())};
  apply(spec, at.weights, at.state, gradient, next.weights, next.state);
  return next;
}

TEST_CASE("an optimizer step equals the formula, element by element, to the last bit") {
  const auto kind = GENERATE(OptimizerKind::sgd, OptimizerKind::momentum);
  CHECK(rc::check([kind] {
    const OptimizerSpec spec{kind, *rc::gen::element(0.1F, 0.01F, 3.0e-5F), *rc::gen::element(0.9F, 0.99F),
                             *rc::gen::element(0.0F, 1.0e-4F)};
    const auto count = *rc::gen::inRange<std::size_t>(0, 300);
    const auto values = [count] { return random_floats(count); };
    const Step at{values(), kind == OptimizerKind::momentum ? values() : std::vector<float>{}};
    const auto gradient = values();
    const Step next = applied(spec, at, gradient);
    const Step expected = reference(spec, at, gradient);
    RC_ASSERT(same_bits(next.weights, expected.weights));
    RC_ASSERT(same_bits(next.state, expected.state));
  }));
}

TEST_CASE("an element's step does not depend on its place in the block") {
  const OptimizerSpec spec{OptimizerKind::momentum, 0.1F, 0.9F, 0.01F};
  CHECK(rc::check([spec] {
    const auto count = *rc::gen::inRange<std::size_t>(1, 100);
    const auto values = [count] { return random_floats(count); };
    const Step at{values(), values()};
    const auto gradient = values();
    const Step whole = applied(spec, at, gradient);
    for (std::size_t i = 0; i < count; ++i) {
      const Step single = applied(spec, {{at.weights[i]}, {at.state[i]}}, {gradient[i]});
      RC_ASSERT(same_bits(single.weights, std::span(&whole.weights[i], 1)));
      RC_ASSERT(same_bits(single.state, std::span(&whole.state[i], 1)));
    }
  }));
}

TEST_CASE("plain gradient descent and momentum take the steps one computes by hand") {
  const OptimizerSpec sgd{OptimizerKind::sgd, 0.5F, 0.0F, 0.0F};
  CHECK(applied(sgd, {{1.0F, -2.0F}, {}}, {2.0F, 4.0F}).weights == std::vector<float>{0.0F, -4.0F});

  const OptimizerSpec momentum{OptimizerKind::momentum, 0.5F, 0.25F, 0.0F};
  const Step next = applied(momentum, {{1.0F}, {8.0F}}, {2.0F});
  CHECK(next.state == std::vector<float>{4.0F});
  CHECK(next.weights == std::vector<float>{-1.0F});
}

}  // namespace
}  // namespace ringps
