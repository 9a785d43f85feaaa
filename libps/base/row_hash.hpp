// Where a row of a table belongs.
#pragma once

#include <cstdint>

namespace ringps {

/// Spreads row ids evenly. Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection.
constexpr std::uint64_t row_hash(std::uint64_t id) {
  id = (id ^ (id >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  id = (id ^ (id >> 27U)) * 0x94D049BB133111EBULL;
  return id ^ (id >> 31U);
}

/// Which of a table's blocks a row belongs to. By the upper bits; blocks look their rows up by the lower ones.
constexpr std::uint32_t row_bucket(std::uint64_t id, std::uint32_t buckets) {
  return static_cast<std::uint32_t>(((row_hash(id) >> 32U) * buckets) >> 32U);
}

}  // namespace ringps
