#include "libps/optim/optimizer.hpp"

#include <cstddef>

#include "libps/base/check.hpp"

namespace ringps {
namespace {

// Each loop treats every element alike and on its own, so the vectorised body and the scalar tail give the same bits.

void apply_sgd(const OptimizerSpec& spec, std::size_t count, const float* __restrict weights,
               const float* __restrict gradient, float* __restrict next) {
  const float rate = spec.learning_rate;
  const float decay = spec.weight_decay;
  for (std::size_t i = 0; i < count; ++i) {
    next[i] = weights[i] - rate * (gradient[i] + decay * weights[i]);
  }
}

void apply_momentum(const OptimizerSpec& spec, std::size_t count, const float* __restrict weights,
                    const float* __restrict state, const float* __restrict gradient, float* __restrict next,
                    float* __restrict next_state) {
  const float rate = spec.learning_rate;
  const float momentum = spec.momentum;
  const float decay = spec.weight_decay;
  for (std::size_t i = 0; i < count; ++i) {
    const float velocity = momentum * state[i] + (gradient[i] + decay * weights[i]);
    next_state[i] = velocity;
    next[i] = weights[i] - rate * velocity;
  }
}

}  // namespace

void apply(const OptimizerSpec& spec, std::span<const float> weights, std::span<const float> state,
           std::span<const float> gradient, std::span<float> next, std::span<float> next_state) {
  const std::size_t count = weights.size();
  const std::size_t state_count = count * spec.state_per_element();
  check(gradient.size() == count && next.size() == count, "gradient and next have as many elements as weights");
  check(state.size() == state_count && next_state.size() == state_count, "optimizer state fits the optimizer");
  switch (spec.kind) {
    case OptimizerKind::sgd:
      return apply_sgd(spec, count, weights.data(), gradient.data(), next.data());
    case OptimizerKind::momentum:
      return apply_momentum(spec, count, weights.data(), state.data(), gradient.data(), next.data(), next_state.data());
  }
  check(false, "the optimizer kind is known");
}

}  // namespace ringps
