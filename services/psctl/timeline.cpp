#include "services/psctl/timeline.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <utility>

namespace ringps {
namespace {

struct Lineage {
  std::map<std::uint64_t, Duration> completed;  ///< since its begin, by iteration
  Duration usual{};                             ///< the median of how long an iteration took
};

Duration median(std::vector<Duration> values) {
  if (values.empty()) {
    return {};
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::map<std::uint64_t, Lineage> lineages_of(const Metrics& metrics) {
  std::map<std::uint64_t, Lineage> lineages;
  for (const MeasuredIteration& measured : metrics.iterations) {
    lineages[measured.restore_epoch].completed[measured.iteration] =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(measured.total_time));
  }
  for (auto& [epoch, lineage] : lineages) {
    std::vector<Duration> durations;
    Duration sum{};
    for (auto& [iteration, time] : lineage.completed) {
      durations.push_back(time);
      sum += time;
      time = sum;
    }
    lineage.usual = median(std::move(durations));
  }
  return lineages;
}

/// From iteration `from` on, the lineage runs as if it had begun at `begin`.
struct Stretch {
  std::uint64_t from = 0;
  Time begin;
};

/// No iteration may be completed after a status that spoke of the next one, which usually was then done as well. So
/// each status bounds the begin for all iterations up to its own; where the bounds of all later ones are larger by more
/// than statuses can be late, time was missing.
std::vector<Stretch> stretches_of(const Lineage& lineage, std::uint64_t epoch, const std::vector<ProgressPoint>& points,
                                  Duration lag_max) {
  std::map<std::uint64_t, Time> bounds;  // by the iteration that a status spoke of
  for (const ProgressPoint& point : points) {
    const auto spoken_of = lineage.completed.find(point.iteration);
    if (point.restore_epoch == epoch && spoken_of != lineage.completed.end()) {
      const bool first = spoken_of == lineage.completed.begin();
      const Duration before = first ? Duration{} : std::prev(spoken_of)->second;
      bounds.try_emplace(point.iteration, point.at - before - lineage.usual);
    }
  }
  Time least = time_never;
  std::for_each(bounds.rbegin(), bounds.rend(), [&](auto& bound) {
    least = std::min(least, bound.second);
    bound.second = least;
  });
  std::vector<Stretch> stretches;
  std::uint64_t behind = 0;  // the iteration after the last status
  for (const auto& [iteration, begin] : bounds) {
    if (stretches.empty() || begin - stretches.back().begin > lag_max) {
      stretches.push_back({behind, begin});
    }
    behind = iteration + 1;
  }
  return stretches;
}

}  // namespace

Timeline::Timeline(const Metrics& metrics, const std::vector<ProgressPoint>& points, Duration lag_max) {
  for (const auto& [epoch, lineage] : lineages_of(metrics)) {
    const auto stretches = stretches_of(lineage, epoch, points, lag_max);
    auto stretch = stretches.begin();
    for (auto completed = lineage.completed.begin(); completed != lineage.completed.end() && !stretches.empty();
         ++completed) {
      while (stretch + 1 != stretches.end() && (stretch + 1)->from <= completed->first) {
        ++stretch;
      }
      completed_.push_back(stretch->begin + completed->second);
    }
  }
  std::sort(completed_.begin(), completed_.end());
  std::vector<Duration> gaps;
  for (std::size_t i = 1; i < completed_.size(); ++i) {
    gaps.push_back(completed_[i] - completed_[i - 1]);
  }
  median_gap_ = median(std::move(gaps));
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
