#include "libps/optim/reduce.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace ringps {
namespace {

/// 8 KiB of the sum: it stays in the L1 cache while the contributions stream past.
constexpr std::size_t piece_elements = 2048;

float load(const std::byte* values, std::size_t index) {
  float value;
  std::memcpy(&value, values + index * sizeof(float), sizeof(float));
  return value;
}

// The loops below are vectorised across elements; for each element the order of the sum is that of the contributions.

void add(const std::byte* __restrict values, std::size_t count, float* __restrict sum) {
  for (std::size_t i = 0; i < count; ++i) {
    sum[i] += load(values, i);
  }
}

void add_two(const std::byte* __restrict first, const std::byte* __restrict second, std::size_t count,
             float* __restrict sum) {
  for (std::size_t i = 0; i < count; ++i) {
    sum[i] = (sum[i] + load(first, i)) + load(second, i);
  }
}

void reduce_piece(std::span<const std::byte* const> contributions, std::size_t offset_bytes, float scale,
                  std::span<float> sum) {
  std::memcpy(sum.data(), contributions[0] + offset_bytes, sum.size_bytes());
  std::size_t k = 1;
  for (; k + 1 < contributions.size(); k += 2) {
    add_two(contributions[k] + offset_bytes, contributions[k + 1] + offset_bytes, sum.size(), sum.data());
  }
  if (k < contributions.size()) {
    add(contributions[k] + offset_bytes, sum.size(), sum.data());
  }
  for (float& element : sum) {
    element *= scale;
  }
}

/// Whether any of the values has an exponent of all ones, which is what NaN and infinity have.
bool any_not_finite(const std::byte* values, std::size_t count) {
  constexpr std::uint32_t exponent_bits = 0x7F800000U;
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i * sizeof bits, sizeof bits);
    found |= static_cast<std::uint32_t>((bits & exponent_bits) == exponent_bits);
  }
  return found != 0;
}

}  // namespace

void reduce(std::span<const std::byte* const> contributions, float scale, std::span<float> sum) {
  if (contributions.empty()) {
    std::fill(sum.begin(), sum.end(), 0.0F);
    return;
  }
  for (std::size_t begin = 0; begin < sum.size(); begin += piece_elements) {
    const std::size_t count = std::min(piece_elements, sum.size() - begin);
    reduce_piece(contributions, begin * sizeof(float), scale, sum.subspan(begin, count));
  }
}

std::size_t first_not_finite(const std::byte* values, std::size_t count) {
  for (std::size_t begin = 0; begin < count; begin += piece_elements) {
    const std::size_t end = std::min(begin + piece_elements, count);
    if (any_not_finite(values + begin * sizeof(float), end - begin)) [[unlikely]] {
      std::size_t index = begin;
      while (!any_not_finite(values + index * sizeof(float), 1)) {
        ++index;
      }
      return index;
    }
  }
  return count;
}

}  // namespace ringps
