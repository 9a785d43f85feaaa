#include "libps/model/binary_metrics.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "libps/base/check.hpp"
#include "libps/model/loss.hpp"

namespace ringps {

BinaryMetrics binary_metrics(std::span<const double> logits, std::span<const std::uint8_t> labels) {
  check(!logits.empty() && logits.size() == labels.size(), "there is a label for each logit");
  BinaryMetrics metrics;
  std::size_t right = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const bool positive = labels[i] != 0;
    metrics.loss_sum += binary_cross_entropy(logits[i], positive).loss;
    right += (logits[i] > 0) == positive ? 1U : 0U;
  }
  metrics.accuracy = static_cast<double>(right) / static_cast<double>(logits.size());
  metrics.auc = area_under_roc(logits, labels);
  return metrics;
}

std::optional<double> area_under_roc(std::span<const double> logits, std::span<const std::uint8_t> labels) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return logits[a] < logits[b]; });

  // Each positive sample beats the negative ones before its run of equal logits, and half of those within it.
  double won = 0;
  double negatives_before = 0;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double positives = 0;
    double negatives = 0;
    for (; end < order.size() && logits[order[end]] == logits[order[begin]]; ++end) {
      (labels[order[end]] != 0 ? positives : negatives) += 1;
    }
    if (end == begin) {
      return std::nullopt;  // not a number: nothing is equal to it, and it has no place in an order
    }
    won += positives * (negatives_before + negatives / 2);
    negatives_before += negatives;
  }
  const double positives_all = static_cast<double>(logits.size()) - negatives_before;
  return positives_all > 0 && negatives_before > 0 ? std::optional(won / (positives_all * negatives_before))
                                                   : std::nullopt;
}

}  // namespace ringps
