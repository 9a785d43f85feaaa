// Time without a clock: cores are told the time, they cannot ask for it.
#pragma once

#include <chrono>
#include <cstdint>

namespace ringps {

using Duration = std::chrono::nanoseconds;

/// A clock that cannot be read. Only `net/clock.hpp` and the simulator produce its time points.
struct NoClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<NoClock>;
  static constexpr bool is_steady = true;
};

/// Monotonic time of one process since an arbitrary start. Never compare across processes.
using Time = NoClock::time_point;

/// "No deadline".
inline constexpr Time time_never = Time::max();

inline double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace ringps
