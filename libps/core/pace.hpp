// How fast iterations go by: to name a checkpoint that nobody has passed yet. A guess; nothing rests on it but luck.
#pragma once

#include <algorithm>

#include "libps/base/time.hpp"
#include "libps/base/types.hpp"

namespace ringps {

class Pace {
 public:
  void restart(Time now, Iteration iteration) {
    at_ = now;
    iteration_ = iteration;
    per_second_ = 0;
  }

  /// Iteration `iteration` was seen at `now`. Samples closer than 20 ms to the last one only raise the iteration later.
  void observe(Time now, Iteration iteration) {
    if (iteration <= iteration_ || now - at_ < std::chrono::milliseconds(20)) {
      return;
    }
    per_second_ = static_cast<double>(iteration.value - iteration_.value) / seconds(now - at_);
    at_ = now;
    iteration_ = iteration;
  }

  /// The iteration that is expected to be reached at `when`.
  Iteration at(Time when) const {
    const double later = std::max(seconds(when - at_), 0.0) * per_second_;
    return Iteration{iteration_.value + static_cast<std::uint64_t>(later)};
  }

 private:
  Time at_;
  Iteration iteration_;
  double per_second_ = 0;
};

}  // namespace ringps
