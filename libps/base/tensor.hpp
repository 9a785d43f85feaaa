// What a model's parameters look like, and where each tensor lies in the flat vector that workers compute with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace ringps {

/// How a tensor gets its first values: each element uniform in [low, high), a pure function of (seed, name, element).
/// low == high gives a constant.
struct Initialiser {
  float low = 0.0F;
  float high = 0.0F;

  friend bool operator==(const Initialiser&, const Initialiser&) = default;
};

/// A named dense float32 array of the model.
struct TensorSpec {
  std::string name;
  std::vector<std::uint64_t> shape;  ///< row-major; the product of its entries is the number of elements
  Initialiser initialiser;

  std::uint64_t elements() const {
    return std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, [](auto a, auto b) { return a * b; });
  }
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

/// A named sparse parameter: rows of `width` floats under 64-bit ids, which come into being when they are first
/// touched. Rows are hashed to `buckets` blocks by their ids.
struct TableSpec {
  std::string name;
  std::uint32_t width = 1;
  Initialiser initialiser;  ///< of a row's elements: a pure function of (seed, name, id, element)
  std::uint32_t buckets = 64;
  std::uint64_t rows_per_server = 1ULL << 40U;  ///< a run whose server would hold more of them ends with an error
  std::uint32_t expire_after = 0;  ///< a row that no iteration has touched for so many begins anew; 0: never

  friend bool operator==(const TableSpec&, const TableSpec&) = default;
};

/// Tensors start at multiples of this many floats (64 bytes) in the flat vector, so that every process computes with
/// the same alignment and therefore sums in the same order. The gaps are zero.
inline constexpr std::size_t tensor_alignment_elements = 16;

/// Offsets, in elements, of the tensors in the flat vector; the last entry is its whole length.
inline std::vector<std::size_t> flat_offsets(const std::vector<TensorSpec>& tensors) {
  std::vector<std::size_t> offsets{0};
  for (const auto& tensor : tensors) {
    const std::size_t end = offsets.back() + static_cast<std::size_t>(tensor.elements());
    offsets.push_back((end + tensor_alignment_elements - 1) / tensor_alignment_elements * tensor_alignment_elements);
  }
  return offsets;
}

}  // namespace ringps
