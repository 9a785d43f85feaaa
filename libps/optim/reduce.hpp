// Reduction kernels: contributions to one gradient, in slice order.
#pragma once

#include <cstddef>
#include <span>

namespace ringps {

/// sum[i] = ((c0[i] + c1[i]) + c2[i] …) * scale, in the order given, for every i; zero without contributions.
/// Memory-bound: one pass, in pieces that stay in the L1 cache. `contributions[k]` points at sum.size() little-endian
/// floats, which need not be aligned and may not overlap `sum`.
void reduce(std::span<const std::byte* const> contributions, float scale, std::span<float> sum);

/// Index of the first element that is NaN or infinite, or `count` if all are finite. `values` need not be aligned.
std::size_t first_not_finite(const std::byte* values, std::size_t count);

}  // namespace ringps
