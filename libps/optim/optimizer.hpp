// Optimizers on spans: from a version of a block and its reduced gradient to the next version. Pure; the same bits on
// every machine, whichever of its vector units computes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libps/base/types.hpp"
#include "libps/optim/kernels.hpp"

namespace ringps {

enum class OptimizerKind : std::uint8_t { sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, ftrl };

/// How the learning rate changes from iteration to iteration.
enum class RateSchedule : std::uint8_t {
  constant,
  step,    ///< times decay_factor after every decay_every iterations
  cosine,  ///< down to final_factor along half a cosine over all iterations. Source: Loshchilov and Hutter 2017
};

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::sgd;
  float learning_rate = 0.1F;
  float momentum = 0.9F;  ///< momentum, nesterov
  float weight_decay = 0.0F;
  float beta1 = 0.9F;     ///< adam, adamw: of the mean of the gradient
  float beta2 = 0.999F;   ///< adam, adamw, rmsprop: of the mean of its square
  float epsilon = 1e-8F;  ///< adagrad, rmsprop, adam, adamw
  float l1 = 0.0F;        ///< ftrl
  float l2 = 0.0F;        ///< ftrl
  float beta = 1.0F;      ///< ftrl

  RateSchedule schedule = RateSchedule::constant;
  std::uint64_t warmup = 0;       ///< iterations over which the rate rises linearly to its value
  std::uint64_t decay_every = 1;  ///< iterations; RateSchedule::step
  double decay_factor = 0.1;      ///< RateSchedule::step
  double final_factor = 0.0;      ///< RateSchedule::cosine
  std::uint64_t iterations = 1;   ///< of the run; RateSchedule::cosine

  /// Floats of optimizer state per element of the model.
  std::uint32_t state_per_element() const;
  /// The learning rate of an iteration, the first being 1.
  float rate(Iteration iteration) const;
};

/// One step of the rule, number `iteration` of the run, to be applied to any number of blocks.
///
///   with g' = g + decay w, except where said otherwise:
///   sgd:      w' = w - lr g'
///   momentum: m' = mu m + g';  w' = w - lr m'                    (Sutskever et al. 2013, without dampening)
///   nesterov: m' = mu m + g';  w' = w - lr (g' + mu m')          (Nesterov 1983, as in Sutskever et al. 2013)
///   adagrad:  s' = s + g'^2;   w' = w - lr g' / (sqrt(s') + eps) (Duchi et al. 2011)
///   rmsprop:  s' = b2 s + (1 - b2) g'^2;  w' = w - lr g' / (sqrt(s') + eps)  (Tieleman and Hinton 2012)
///   adam:     m' = b1 m + (1 - b1) g';  v' = b2 v + (1 - b2) g'^2;
///             w' = w - lr (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + eps)  (Kingma and Ba 2015)
///   adamw:    the same from g, and then w' less lr decay w       (Loshchilov and Hutter 2019)
///   ftrl:     n' = n + g^2;  z' = z + g - (sqrt(n') - sqrt(n)) / lr w;
///             w' = 0 if |z'| <= l1, else -(z' - sign(z') l1) / ((beta + sqrt(n')) / lr + l2)
///             from g, without decay; state: z, n                 (McMahan et al. 2013)
class OptimizerStep {
 public:
  OptimizerStep() = default;
  /// The first iteration is 1.
  OptimizerStep(const OptimizerSpec& spec, Iteration iteration);

  Iteration iteration() const { return iteration_; }

  /// For the elements [begin, begin + gradient.size()) of a block. `current` and `next` are whole buffers that do not
  /// overlap: `elements` values, then OptimizerSpec::state_per_element() runs of as many floats.
  void apply(std::size_t elements, std::size_t begin, std::span<const float> current, std::span<const float> gradient,
             std::span<float> next) const;

  /// The same within one buffer: what is there becomes what is next. `scratch`: at least gradient.size() values with
  /// their state.
  void apply_in_place(std::size_t elements, std::size_t begin, std::span<float> block, std::span<const float> gradient,
                      std::span<float> scratch) const;

 private:
  void run(const kernels::Step& step) const;

  Iteration iteration_;
  OptimizerKind kind_ = OptimizerKind::sgd;
  std::uint32_t state_per_element_ = 0;
  float rate_ = 0;
  float momentum_ = 0;
  float decay_ = 0;
  kernels::Adam adam_{};
  kernels::Ftrl ftrl_{};
  const kernels::Table* kernels_ = nullptr;
};

}  // namespace ringps
