// Values for the kernel tests, and comparison by bits, which tells -0 from 0 and one NaN from another.
#pragma once

#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "libps/base/random.hpp"

namespace ringps {

/// Any finite float: subnormals, zeros of both signs and huge values included.
inline rc::Gen<float> finite_float() {
  return rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [](std::uint32_t bits) {
    constexpr std::uint32_t lowest_exponent_bit = 0x00800000U;
    const bool finite = (bits & 0x7F800000U) != 0x7F800000U;
    return std::bit_cast<float>(finite ? bits : bits ^ lowest_exponent_bit);
  });
}

/// Values whose sums and products stay finite but round at almost every operation.
inline std::vector<float> random_floats(std::size_t count) {
  const KeyedRandom random(*rc::gen::arbitrary<std::uint64_t>(), "random_floats");
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float power = std::ldexp(1.0F, static_cast<int>(random.below(2 * i, 40)) - 20);
    values[i] = (random.uniform(2 * i + 1) - 0.5F) * power;
  }
  return values;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// A copy of `values` that starts `shift` bytes after a multiple of 64.
class ShiftedCopy {
 public:
  ShiftedCopy(std::span<const float> values, std::size_t shift) : storage_(values.size_bytes() + 64 + shift) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    start_ = (64 - address % 64) % 64 + shift;
    if (!values.empty()) {
      std::memcpy(storage_.data() + start_, values.data(), values.size_bytes());
    }
  }
  const std::byte* data() const { return storage_.data() + start_; }
  std::byte* data() { return storage_.data() + start_; }

 private:
  std::vector<std::byte> storage_;
  std::size_t start_;
};

}  // namespace ringps
