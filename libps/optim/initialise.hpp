// First values of a tensor: a pure function of (seed, tensor name, element).
#pragma once

#include <cstdint>
#include <span>

#include "libps/base/tensor.hpp"

namespace ringps {

/// Fills `values` with the elements [first, first + values.size()) of the tensor's version 0.
void initialise(const TensorSpec& tensor, std::uint64_t seed, std::uint64_t first, std::span<float> values);

}  // namespace ringps
