// When each iteration was completed, on the launcher's clock. Pure.
//
// Workers measure how long iterations take, to the microsecond, but not when; the coordinator's status says how far the
// run is, but only now and then, a little late, and by the first server that is there: workers had completed the
// iteration before. Together: the iterations of one lineage follow one another, each as long as measured, and none was
// completed after a status that spoke of the next one. Time can be missing in between (nobody measures an iteration
// through which every worker was away): then later statuses are much later than what was measured.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "libps/base/time.hpp"
#include "services/psctl/metrics.hpp"

namespace ringps {

/// A status said that an iteration was complete.
struct ProgressPoint {
  Time at;
  std::uint64_t restore_epoch = 0;  ///< the lineage
  std::uint64_t iteration = 0;
};

class Timeline {
 public:
  struct Gap {
    Time begin;
    Time end;
    Duration length() const { return end - begin; }
  };

  Timeline() = default;
  /// `lag_max`: how late a status may speak of an iteration in quiet times.
  Timeline(const Metrics& metrics, const std::vector<ProgressPoint>& points, Duration lag_max);

  /// The longest time between two completed iterations, of which the second came within (from, to].
  std::optional<Gap> longest_gap(Time from, Time to) const;
  /// The first completed iteration after `at`.
  std::optional<Time> next_after(Time at) const;
  /// How long an iteration takes, usually.
  Duration median_gap() const { return median_gap_; }

 private:
  std::vector<Time> completed_;  ///< ascending
  Duration median_gap_{};
};

}  // namespace ringps
