// The inner loops of reduction and optimizers. kernels.inc is compiled once for the baseline of the build and, on
// x86-64, once for AVX-512; which one runs is decided when the program starts. Every loop treats each element alike and
// on its own, nothing is contracted into fused operations, and square roots and quotients are rounded correctly by all
// processors: so all of them give the same bits (tests/unit/optim/kernels_test.cpp).
#pragma once

#include <cstddef>

namespace ringps::kernels {

/// `count` elements of a block. State of the k-th kind lies k * stride floats behind the values, in `next` k *
/// next_stride. The two do not overlap.
struct Step {
  std::size_t count;
  const float* gradient;
  const float* current;
  float* next;
  std::size_t stride;
  std::size_t next_stride;
  float rate;
  float decay;
};

struct Adam {
  float beta1;
  float beta2;
  float epsilon;
  float mean_factor;    ///< 1 / (1 - beta1^t)
  float square_factor;  ///< 1 / (1 - beta2^t)
};

struct Ftrl {
  float l1;
  float l2;
  float beta;
};

struct Table {
  // Contributions are little-endian floats that need not be aligned.
  void (*copy_scaled)(const std::byte* from, std::size_t count, float scale, float* to);  ///< to = from * scale
  void (*add)(const std::byte* from, std::size_t count, float* sum);                      ///< sum += from
  void (*add_two)(const std::byte* first, const std::byte* second, std::size_t count, float* sum);
  void (*scale)(std::size_t count, float scale, float* values);
  bool (*any_not_finite)(const std::byte* values, std::size_t count);

  void (*sgd)(const Step& step);
  void (*momentum)(const Step& step, float momentum);
  void (*nesterov)(const Step& step, float momentum);
  void (*adagrad)(const Step& step, float epsilon);
  void (*rmsprop)(const Step& step, float beta2, float epsilon);
  void (*adam)(const Step& step, const Adam& adam);
  void (*adamw)(const Step& step, const Adam& adam);
  void (*ftrl)(const Step& step, const Ftrl& ftrl);
};

const Table& baseline();
/// Null where the processor, or the build, has none.
const Table* avx512();
/// What this processor does best.
const Table& best();

}  // namespace ringps::kernels
