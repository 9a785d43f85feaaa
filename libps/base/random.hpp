// Random numbers as a pure function of (seed, what they are for, index): nothing runs, so nothing can be replayed
// wrongly, and any process computes the same numbers in any order.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringps {

/// A stream of random numbers addressed by counter. Source: SplitMix64 (Steele, Lea, Flood 2014), used as a hash of
/// key + counter; the key mixes the seed with a text that says what the numbers are for.
class KeyedRandom {
 public:
  constexpr KeyedRandom(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0)
      : key_(mix(mix(seed ^ hash(purpose)) + index * golden)) {}

  /// 64 random bits for `counter`.
  constexpr std::uint64_t bits(std::uint64_t counter) const { return mix(key_ + (counter + 1) * golden); }

  /// Uniform in [0, 1), 24 bits, exactly representable.
  constexpr float uniform(std::uint64_t counter) const { return static_cast<float>(bits(counter) >> 40U) * 0x1.0p-24F; }

  /// Uniform integer in [0, bound), bound > 0. Source: Lemire 2019, without the rejection step: the bias is below
  /// bound / 2^64.
  constexpr std::uint64_t below(std::uint64_t counter, std::uint64_t bound) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((Wide{bits(counter)} * bound) >> 64U);
  }

 private:
  static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15ULL;

  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
  }

  static constexpr std::uint64_t hash(std::string_view text) {  // FNV-1a
    std::uint64_t h = 0xCBF29CE484222325ULL;
    for (char c : text) {
      h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    return h;
  }

  std::uint64_t key_;
};

}  // namespace ringps
