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
    const std::uint64_t steps = (iteration.value - 1) / decay_every;
    factor = power(decay_factor, static_cast<double>(steps));
  } else if (schedule == RateSchedule::cosine) {
    const double done = std::min(before / static_cast<double>(iterations), 1.0);
    factor = final_factor + (1.0 - final_factor) * 0.5 * (1.0 + sine_cosine(done * std::numbers::pi).cosine);
  }
  if (iteration.value < warmup) {
    factor *= static_cast<double>(iteration.value) / static_cast<double>(warmup);
  }
  return static_cast<float>(static_cast<double>(learning_rate) * factor);
}

OptimizerStep::OptimizerStep(const OptimizerSpec& spec, Iteration iteration)
    : iteration_(iteration),
      kind_(spec.kind),
      state_per_element_(spec.state_per_element()),
      rate_(spec.rate(iteration)),
      momentum_(spec.momentum),
      decay_(spec.weight_decay),
      ftrl_{spec.l1, spec.l2, spec.beta},
      kernels_(&kernels::best()) {
  const auto correction = [&](float beta) {
    return static_cast<float>(1.0 / (1.0 - power(static_cast<double>(beta), static_cast<double>(iteration.value))));
  };
  adam_ = {spec.beta1, spec.beta2, spec.epsilon, correction(spec.beta1), correction(spec.beta2)};
}

void OptimizerStep::apply(std::size_t elements, std::size_t begin, std::span<const float> current,
                          std::span<const float> gradient, std::span<float> next) const {
  const std::size_t floats = elements * (1 + state_per_element_);
  check(current.size() == floats && next.size() == floats, "values and optimizer state fit the optimizer");
  check(begin + gradient.size() <= elements, "a gradient lies within its block");
  run({gradient.size(), gradient.data(), current.data() + begin, next.data() + begin, elements, elements, rate_,
       decay_});
}

void OptimizerStep::apply_in_place(std::size_t elements, std::size_t begin, std::span<float> block,
                                   std::span<const float> gradient, std::span<float> scratch) const {
  const std::size_t count = gradient.size();
  check(block.size() == elements * (1 + state_per_element_), "values and optimizer state fit the optimizer");
  check(begin + count <= elements, "a gradient lies within its block");
  check(scratch.size() >= count * (1 + state_per_element_), "the scratch memory is large enough");
  for (std::size_t run = 0; run <= state_per_element_; ++run) {
    std::copy_n(block.data() + run * elements + begin, count, scratch.data() + run * count);
  }
  run({count, gradient.data(), scratch.data(), block.data() + begin, count, elements, rate_, decay_});
}

void OptimizerStep::run(const kernels::Step& step) const {
  switch (kind_) {
    case OptimizerKind::sgd:
      return kernels_->sgd(step);
    case OptimizerKind::momentum:
      return kernels_->momentum(step, momentum_);
    case OptimizerKind::nesterov:
      return kernels_->nesterov(step, momentum_);
    case OptimizerKind::adagrad:
      return kernels_->adagrad(step, adam_.epsilon);
    case OptimizerKind::rmsprop:
      return kernels_->rmsprop(step, adam_.beta2, adam_.epsilon);
    case OptimizerKind::adam:
      return kernels_->adam(step, adam_);
    case OptimizerKind::adamw:
      return kernels_->adamw(step, adam_);
    case OptimizerKind::ftrl:
      return kernels_->ftrl(step, ftrl_);
  }
  check(false, "the optimizer kind is known");
}

}  // namespace ringps
