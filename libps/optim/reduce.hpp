// Reduction kernels: contributions to one gradient, in slice order.
#pragma once

#include <cstddef>
#include <span>

namespace ringps {

/// Elements whose sum and contributions stay in the L1 cache: who has more to do works in pieces of so many.
inline constexpr std::size_t piece_elements = 2048;

/// sum[i] = ((c0[begin + i] + c1[begin + i]) + c2[begin + i] …) * scale, in the order given; zero without
/// contributions. `contributions[k]` points at little-endian floats, which need not be aligned and may not overlap
/// `sum`.
void reduce(std::span<const std::byte* const> contributions, std::size_t begin, float scale, std::span<float> sum);

/// Index of the first element that is NaN or infinite, or `count` if all are finite. `values` need not be aligned.
std::size_t first_not_finite(const std::byte* values, std::size_t count);

}  // namespace ringps
