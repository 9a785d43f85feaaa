// A few numbers from many.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

namespace ringps::bench {

/// The value below which the part `p` of them lies; 0 of none.
inline double quantile(std::vector<double> values, double p) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const double at = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

inline double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

inline std::vector<double> joined(const std::vector<std::vector<double>>& lists) {
  std::vector<double> all;
  for (const auto& list : lists) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

/// How many of the things that take these seconds each, one after the other, are done in a second: of each list, added.
inline double rate_of(const std::vector<std::vector<double>>& seconds) {
  double rate = 0;
  for (const auto& each : seconds) {
    const double total = std::accumulate(each.begin(), each.end(), 0.0);
    rate += total > 0 ? static_cast<double>(each.size()) / total : 0;
  }
  return rate;
}

}  // namespace ringps::bench
