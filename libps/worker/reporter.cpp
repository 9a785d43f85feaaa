#include "libps/worker/reporter.hpp"

#include <algorithm>
#include <utility>

#include "libps/core/bounds.hpp"

namespace ringps {
namespace {

constexpr Duration flush_interval = std::chrono::milliseconds(50);
constexpr Duration repeat_interval = std::chrono::seconds(1);
/// Totals change all the time, and a line is kept of each report.
constexpr Duration traffic_interval = std::chrono::seconds(1);

}  // namespace

Reporter::Reporter(std::string worker, Send send) : worker_(std::move(worker)), send_(std::move(send)) {}

void Reporter::on_view(const View& view) {
  if (view.restore.epoch != restore_epoch_) {
    flush(next_flush_);  // how far the lineage that has ended had come
    timings_.clear();
    evaluations_.clear();
    evaluations_sent_ = 0;
    timings_sent_ = view.restore.iteration;
    restore_epoch_ = view.restore.epoch;
  }
  epoch_ = view.epoch;
  first_of_view_ = true;
  const auto first = std::find_if(view.slice_worker.begin(), view.slice_worker.end(),
                                  [](std::uint32_t worker) { return worker != no_worker; });
  reports_timings_ = first != view.slice_worker.end() && view.workers[*first].id.value == worker_;
}

void Reporter::on_timing(Time now, IterationTiming timing) {
  timings_.push_back(timing);
  if (timings_.size() > bounds::reports_kept_max) {  // nobody has confirmed anything for very long
    timings_.pop_front();
  }
  if (std::exchange(first_of_view_, false)) {
    flush(now);
  }
}

void Reporter::on_evaluation(Epoch restore_epoch, EvaluationReport evaluation) {
  if (restore_epoch != restore_epoch_) {
    send_({restore_epoch, {}, {}, {evaluation}});
    return;
  }
  evaluations_.push_back(evaluation);
}

void Reporter::on_staleness(std::vector<std::uint64_t> staleness) {
  if (staleness != staleness_) {
    staleness_ = std::move(staleness);
    staleness_sent_ = false;
  }
}

void Reporter::on_heard(const HeartbeatAnswer& answer) {
  if (answer.state != RunState::running || answer.restore_epoch != restore_epoch_) {
    return;
  }
  while (!timings_.empty() && timings_.front().iteration <= answer.timings_through) {
    timings_.pop_front();
  }
  // Only what has been sent: "all up to 0" is true before the weights of the start have been evaluated.
  while (evaluations_sent_ > 0 && evaluations_.front().iteration <= answer.evaluations_through) {
    evaluations_.pop_front();
    --evaluations_sent_;
  }
}

void Reporter::on_turn(Time now) {
  if (now >= next_repeat_) {  // a report may have been lost
    next_repeat_ = now + repeat_interval;
    timings_sent_ = {};
    evaluations_sent_ = 0;
    staleness_sent_ = staleness_.empty();
    traffic_sent_ = {};
  }
  if (now >= next_flush_) {
    flush(now);
  }
}

void Reporter::flush(Time now) {
  next_flush_ = now + flush_interval;
  Progress progress{restore_epoch_, epoch_, {}, {}};
  if (reports_timings_) {
    for (const IterationTiming& timing : timings_) {
      if (timing.iteration > timings_sent_ && progress.timings.size() < bounds::reports_per_message_max) {
        progress.timings.push_back(timing);
      }
    }
    if (!progress.timings.empty()) {
      timings_sent_ = progress.timings.back().iteration;
    }
  }
  while (evaluations_sent_ < evaluations_.size() && progress.evaluations.size() < bounds::reports_per_message_max) {
    progress.evaluations.push_back(evaluations_[evaluations_sent_++]);
  }
  if (!std::exchange(staleness_sent_, true)) {
    progress.staleness = staleness_;
  }
  if (now >= next_traffic_ && traffic_ != traffic_sent_) {
    next_traffic_ = now + traffic_interval;
    progress.traffic = traffic_sent_ = traffic_;
  }
  if (!progress.timings.empty() || !progress.evaluations.empty() || !progress.staleness.empty() ||
      progress.traffic != Traffic{}) {
    send_(std::move(progress));
  }
}

}  // namespace ringps
