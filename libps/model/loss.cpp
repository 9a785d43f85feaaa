#include "libps/model/loss.hpp"

#include <algorithm>
#include <cmath>

#include "libps/base/deterministic_math.hpp"

namespace ringps {
namespace {

struct Normaliser {
  double largest;  ///< is subtracted before exponentials are taken, so that none overflows
  double sum;      ///< of the exponentials, at least 1
};

Normaliser normaliser(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += exponential(logit - largest);
  }
  return {largest, sum};
}

double negative_log_likelihood(const Normaliser& normaliser, double logit) {
  return logarithm(normaliser.sum) - (logit - normaliser.largest);
}

/// Of the binary cross-entropy by the logit; `e` = exp(-|logit|).
double derivative(double e, double logit, bool label) {
  return (logit < 0 ? e : 1.0) / (1.0 + e) - (label ? 1.0 : 0.0);
}

}  // namespace

// With e = exp(-|logit|), which cannot overflow: sigmoid(|logit|) = 1 / (1 + e), -ln of it = ln(1 + e).

BinaryLoss binary_cross_entropy(double logit, bool label) {
  const double e = exponential(-std::abs(logit));
  const bool wrong_side = (logit < 0) == label;
  return {logarithm(1.0 + e) + (wrong_side ? std::abs(logit) : 0.0), derivative(e, logit, label)};
}

double binary_cross_entropy_derivative(double logit, bool label) {
  return derivative(exponential(-std::abs(logit)), logit, label);
}

double softmax_cross_entropy(std::span<const float> logits, std::uint8_t label) {
  return negative_log_likelihood(normaliser(logits), logits[label]);
}

double softmax_cross_entropy_gradient(std::span<float> logits, std::uint8_t label, double scale) {
  const Normaliser all = normaliser(logits);
  const double loss = negative_log_likelihood(all, logits[label]);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double probability = exponential(logits[i] - all.largest) / all.sum;
    logits[i] = static_cast<float>((probability - (i == label ? 1.0 : 0.0)) * scale);
  }
  return loss;
}

}  // namespace ringps
