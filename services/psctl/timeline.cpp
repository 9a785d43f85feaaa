#include "services/psctl/timeline.hpp"

#include <algorithm>
#include <chrono>
#include <map>

namespace ringps {
namespace {

/// Moments of completion since the begin of a lineage, by iteration.
using Lineage = std::map<std::uint64_t, Duration>;

std::map<std::uint64_t, Lineage> lineages_of(const Metrics& metrics) {
  std::map<std::uint64_t, Lineage> lineages;
  for (const MeasuredIteration& measured : metrics.iterations) {
    lineages[measured.restore_epoch][measured.iteration] =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(measured.total_time));
  }
  for (auto& [epoch, lineage] : lineages) {
    Duration sum{};
    for (auto& [iteration, time] : lineage) {
      sum += time;
      time = sum;
    }
  }
  return lineages;
}

/// The latest begin that fits what the statuses said; nothing where none spoke of it.
std::optional<Time> begin_of(const Lineage& lineage, std::uint64_t epoch, const std::vector<ProgressPoint>& points) {
  std::optional<Time> begin;
  for (const ProgressPoint& point : points) {
    const auto completed = lineage.find(point.iteration);
    if (point.restore_epoch == epoch && completed != lineage.end()) {
      const Time latest = point.at - completed->second;
      begin = begin ? std::min(*begin, latest) : latest;
    }
  }
  return begin;
}

}  // namespace

Timeline::Timeline(const Metrics& metrics, const std::vector<ProgressPoint>& points) {
  for (const auto& [epoch, lineage] : lineages_of(metrics)) {
    if (const auto begin = begin_of(lineage, epoch, points)) {
      for (const auto& [iteration, time] : lineage) {
        completed_.push_back(*begin + time);
      }
    }
  }
  std::sort(completed_.begin(), completed_.end());
  std::vector<Duration> gaps;
  for (std::size_t i = 1; i < completed_.size(); ++i) {
    gaps.push_back(completed_[i] - completed_[i - 1]);
  }
  if (!gaps.empty()) {
    const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
    std::nth_element(gaps.begin(), middle, gaps.end());
    median_gap_ = *middle;
  }
}

std::optional<Timeline::Gap> Timeline::longest_gap(Time from, Time to) const {
  std::optional<Gap> longest;
  auto second = std::upper_bound(completed_.begin(), completed_.end(), from);
  if (second == completed_.begin() && second != completed_.end()) {
    ++second;
  }
  for (; second != completed_.end() && *second <= to; ++second) {
    const Gap gap{*(second - 1), *second};
    if (!longest || gap.length() > longest->length()) {
      longest = gap;
    }
  }
  return longest;
}

std::optional<Time> Timeline::next_after(Time at) const {
  const auto next = std::upper_bound(completed_.begin(), completed_.end(), at);
  return next == completed_.end() ? std::nullopt : std::optional(*next);
}

}  // namespace ringps
