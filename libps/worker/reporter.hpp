// What a worker has measured: kept until the coordinator confirms it, so that a worker that dies takes no measurement
// with it that another one has as well. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libps/base/time.hpp"
#include "libps/core/client.hpp"
#include "libps/core/job.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

class Reporter {
 public:
  using Send = std::function<void(Progress)>;

  Reporter(std::string worker, Send send);

  void on_view(const View& view);
  void on_timing(Time now, IterationTiming timing);
  /// What an evaluation of `restore_epoch`'s lineage has found.
  void on_evaluation(Epoch restore_epoch, EvaluationReport evaluation);
  /// Of this worker's whole life, so far.
  void on_staleness(std::vector<std::uint64_t> staleness);
  /// The same.
  void on_traffic(const Traffic& traffic) { traffic_ = traffic; }
  void on_heard(const HeartbeatAnswer& answer);
  void on_turn(Time now);
  /// The run is over for this worker: what it has measured must not get lost.
  void on_end(Time now) {
    next_traffic_ = now;
    flush(now);
  }

 private:
  void flush(Time now);

  const std::string worker_;
  const Send send_;

  bool reports_timings_ = false;  ///< this worker computes the first slice that anybody computes
  Epoch epoch_;
  Epoch restore_epoch_;
  std::deque<IterationTiming> timings_;       ///< of this lineage, unconfirmed
  std::deque<EvaluationReport> evaluations_;  ///< the same
  Iteration timings_sent_;
  std::size_t evaluations_sent_ = 0;  ///< of evaluations_, from its front
  bool first_of_view_ = false;        ///< the next timing is the first in this view: it is sent at once
  std::vector<std::uint64_t> staleness_;
  bool staleness_sent_ = true;
  Traffic traffic_;
  Traffic traffic_sent_;
  Time next_traffic_;
  Time next_flush_;
  Time next_repeat_;
};

}  // namespace ringps
