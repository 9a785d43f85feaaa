// Optimizers on spans: from a version of a block and its reduced gradient to the next version. Pure; the same bits on
// every machine of the same instruction-set baseline.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ringps {

enum class OptimizerKind : std::uint8_t { sgd, momentum };

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::sgd;
  float learning_rate = 0.1F;
  float momentum = 0.9F;  ///< only for OptimizerKind::momentum
  float weight_decay = 0.0F;

  /// Floats of optimizer state per element of the model.
  std::uint32_t state_per_element() const { return kind == OptimizerKind::momentum ? 1U : 0U; }
};

/// One step for one block. `next` and `next_state` may not overlap the others. All spans are aligned as floats.
///   sgd:      w' = w - lr (g + decay w)
///   momentum: m' = mu m + (g + decay w);  w' = w - lr m'        (Sutskever et al. 2013, without dampening)
/// Shapes: weights, gradient, next: n; state, next_state: n * state_per_element().
void apply(const OptimizerSpec& spec, std::span<const float> weights, std::span<const float> state,
           std::span<const float> gradient, std::span<float> next, std::span<float> next_state);

}  // namespace ringps
