// Losses of one sample, with their derivatives by the logits. Plain arithmetic on deterministic_math.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringps {

struct BinaryLoss {
  double loss;
  double derivative;  ///< by the logit: probability minus label
};

/// Cross-entropy of sigmoid(logit) and the label.
BinaryLoss binary_cross_entropy(double logit, bool label);

/// Only the derivative of that, with the same bits, for half the time.
double binary_cross_entropy_derivative(double logit, bool label);

/// Cross-entropy of softmax(logits) and the class `label`.
double softmax_cross_entropy(std::span<const float> logits, std::uint8_t label);

/// The same, and overwrites the logits by its derivatives by them, times `scale`: (probability - [is label]) * scale.
double softmax_cross_entropy_gradient(std::span<float> logits, std::uint8_t label, double scale);

}  // namespace ringps
