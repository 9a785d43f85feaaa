// When a request that has not been answered is sent again.
#pragma once

#include <algorithm>

#include "libps/base/time.hpp"

namespace ringps {

/// As long as answers come in from whoever is asked, the one that is missing is most likely behind them: a connection
/// keeps their order and loses nothing while it stands. So a request is repeated after a time of silence, and only
/// after a long time in spite of other answers.
class RepeatTimer {
 public:
  RepeatTimer(Time now, Duration silence_max)
      : silence_max_(silence_max), sent_(now), patience_(silence_max), deadline_(now + silence_max) {}

  Time deadline() const { return deadline_; }

  /// Whether the request is to be sent now; the answer is taken to be acted on. `heard`: when whoever is asked last
  /// answered anything. Without an answer the times in between grow.
  bool is_due(Time now, Time heard) {
    if (now < deadline_) {
      return false;
    }
    if (const Time until = std::min(heard + silence_max_, sent_ + patience_max); now < until) {
      deadline_ = until;
      return false;
    }
    patience_ = std::min(patience_ * 2, patience_max);
    sent_ = now;
    deadline_ = now + patience_;
    return true;
  }

 private:
  static constexpr Duration patience_max = std::chrono::seconds(8);

  Duration silence_max_;
  Time sent_;
  Duration patience_;
  Time deadline_;
};

}  // namespace ringps
