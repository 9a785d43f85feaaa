// The clocks of a block in asynchronous modes: per slice, the newest iteration whose contribution is in the values.
// They lie behind the values and the optimizer state in the same buffer, and those of rows in the same RowBlock, so
// that whatever copies a version of a block, to a replica, into a checkpoint or back, copies what it is made of as
// well: the two cannot come apart.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "libps/base/types.hpp"

namespace ringps {

/// A clock is low + 2^24 * high: both are whole numbers that a float32 holds exactly, and anybody can read them.
inline constexpr std::size_t floats_per_clock = 2;
inline constexpr std::uint64_t clock_radix = 1U << 24U;

/// More slices are refused in asynchronous modes: each block has a clock for each.
inline constexpr std::uint32_t asynchronous_slices_max = 1024;

inline Iteration clock_at(std::span<const float> clocks, std::size_t slot) {
  const auto digit = [](float value) {  // whatever came from the network or a disk
    return value >= 0.0F && value < static_cast<float>(clock_radix) ? static_cast<std::uint64_t>(value) : 0;
  };
  return Iteration{digit(clocks[slot * floats_per_clock]) + clock_radix * digit(clocks[slot * floats_per_clock + 1])};
}

inline void set_clock(std::span<float> clocks, std::size_t slot, Iteration iteration) {
  const std::uint64_t high = iteration.value / clock_radix;
  clocks[slot * floats_per_clock] = static_cast<float>(iteration.value % clock_radix);
  clocks[slot * floats_per_clock + 1] = static_cast<float>(high);
}

/// How far the slowest slice has come.
inline Iteration slowest_clock(std::span<const float> clocks) {
  Iteration slowest = clock_at(clocks, 0);
  for (std::size_t slot = 1; slot < clocks.size() / floats_per_clock; ++slot) {
    slowest = std::min(slowest, clock_at(clocks, slot));
  }
  return slowest;
}

}  // namespace ringps
