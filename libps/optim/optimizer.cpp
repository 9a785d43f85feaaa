#include "libps/optim/optimizer.hpp"

#include <algorithm>
#include <numbers>

#include "libps/base/check.hpp"
#include "libps/base/deterministic_math.hpp"
#include "libps/optim/kernels.hpp"

namespace ringps {
namespace {

/// base^exponent for 0 <= base <= 1.
double power(double base, double exponent) {
  return base <= 0.0 ? (exponent == 0.0 ? 1.0 : 0.0) : exponential(exponent * logarithm(base));
}

}  // namespace

std::uint32_t OptimizerSpec::state_per_element() const {
  switch (kind) {
    case OptimizerKind::sgd:
      return 0;
    case OptimizerKind::momentum:
    case OptimizerKind::nesterov:
    case OptimizerKind::adagrad:
    case OptimizerKind::rmsprop:
      return 1;
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
    case OptimizerKind::ftrl:
      return 2;
  }
  return 0;
}

float OptimizerSpec::rate(Iteration iteration) const {
  const auto before = static_cast<double>(iteration.value - 1);  // iterations that are done
  double factor = 1.0;
  if (schedule == RateSchedule::step) {
    factor = power(decay_factor, static_cast<double>((iteration.value - 1) / decay_every));
  } else if (schedule == RateSchedule::cosine) {
    const double done = std::min(before / static_cast<double>(iterations), 1.0);
    factor = final_factor + (1.0 - final_factor) * 0.5 * (1.0 + sine_cosine(done * std::numbers::pi).cosine);
  }
  if (iteration.value < warmup) {
    factor *= static_cast<double>(iteration.value) / static_cast<double>(warmup);
  }
  return static_cast<float>(static_cast<double>(learning_rate) * factor);
}

void apply(const OptimizerSpec& spec, Iteration iteration, std::size_t elements, std::size_t begin,
           std::span<const float> current, std::span<const float> gradient, std::span<float> next) {
  const std::size_t floats = elements * (1 + spec.state_per_element());
  check(current.size() == floats && next.size() == floats, "values and optimizer state fit the optimizer");
  check(begin + gradient.size() <= elements, "a gradient lies within its block");
  const kernels::Table& kernel = kernels::best();
  const kernels::Step step{gradient.size(), gradient.data(),      current.data() + begin, next.data() + begin,
                           elements,        spec.rate(iteration), spec.weight_decay};
  const auto t = static_cast<double>(iteration.value);
  switch (spec.kind) {
    case OptimizerKind::sgd:
      return kernel.sgd(step);
    case OptimizerKind::momentum:
      return kernel.momentum(step, spec.momentum);
    case OptimizerKind::nesterov:
      return kernel.nesterov(step, spec.momentum);
    case OptimizerKind::adagrad:
      return kernel.adagrad(step, spec.epsilon);
    case OptimizerKind::rmsprop:
      return kernel.rmsprop(step, spec.beta2, spec.epsilon);
    case OptimizerKind::adam:
    case OptimizerKind::adamw: {
      const kernels::Adam adam{spec.beta1, spec.beta2, spec.epsilon,
                               static_cast<float>(1.0 / (1.0 - power(static_cast<double>(spec.beta1), t))),
                               static_cast<float>(1.0 / (1.0 - power(static_cast<double>(spec.beta2), t)))};
      return spec.kind == OptimizerKind::adam ? kernel.adam(step, adam) : kernel.adamw(step, adam);
    }
    case OptimizerKind::ftrl:
      return kernel.ftrl(step, {spec.l1, spec.l2, spec.beta});
  }
  check(false, "the optimizer kind is known");
}

}  // namespace ringps
