// The simulator's chance: one stream of numbers per purpose, from the seed, so that a run can be had again.
#pragma once

#include <cstdint>
#include <string_view>

#include "libps/base/random.hpp"
#include "libps/base/time.hpp"

namespace ringps::sim {

class Dice {
 public:
  Dice(std::uint64_t seed, std::string_view purpose) : random_(seed, purpose) {}

  /// Uniform in [0, bound), bound > 0.
  std::uint64_t below(std::uint64_t bound) { return random_.below(counter_++, bound); }
  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<Duration::rep>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  bool chance(double probability) { return random_.uniform(counter_++) < static_cast<float>(probability); }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

 private:
  KeyedRandom random_;
  std::uint64_t counter_ = 0;
};

}  // namespace ringps::sim
