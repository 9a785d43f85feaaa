// The IDX format of the MNIST files: a big-endian header (two zero bytes, a type, the number of dimensions, the
// dimensions), then the values, row-major. Source: http://yann.lecun.com/exdb/mnist
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string_view>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps {

/// More than any data set of bytes that fits a worker; a header that asks for more is refused.
inline constexpr std::uint64_t idx_values_bytes_max = std::uint64_t{2} << 30U;

struct IdxArray {
  std::vector<std::uint32_t> shape;
  std::vector<std::uint8_t> values;
};

/// Reads an array of unsigned bytes with exactly `dimensions` dimensions and nothing behind it; the stream may be
/// gzipped. Memory grows with what the stream holds, not with what its header claims. `name` is for the error.
Result<IdxArray> read_idx(std::istream& input, std::size_t dimensions, std::string_view name);

}  // namespace ringps
