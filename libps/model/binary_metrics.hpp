// How well logits tell two classes apart.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ringps {

struct BinaryMetrics {
  double loss_sum = 0;        ///< of the cross-entropies
  double accuracy = 0;        ///< 0 … 1; a logit above zero says positive
  std::optional<double> auc;  ///< area under the ROC curve; nothing if there is one class only
};

/// `labels`: 1 positive, 0 negative; as many as logits, at least one.
BinaryMetrics binary_metrics(std::span<const double> logits, std::span<const std::uint8_t> labels);

/// The probability that a positive sample has a larger logit than a negative one, where ties count half: the area under
/// the ROC curve. Nothing if there is one class only. Source: the rank sum of Mann and Whitney 1947.
std::optional<double> area_under_roc(std::span<const double> logits, std::span<const std::uint8_t> labels);

}  // namespace ringps
