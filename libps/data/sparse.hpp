// Sparse samples of two classes: rows of (feature, value), one after the other in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringps {

struct SparseEntry {
  std::uint32_t feature = 0;  ///< from 0
  float value = 0.0F;         ///< not zero

  friend bool operator==(const SparseEntry&, const SparseEntry&) = default;
};

/// Compressed sparse rows: row i is entries [row_begin[i], row_begin[i + 1]), in ascending order of features.
struct SparseSamples {
  std::size_t features = 0;  ///< one more than the largest feature that is named, be it with a value of zero
  std::vector<std::uint64_t> row_begin{0};
  std::vector<SparseEntry> entries;
  std::vector<std::uint8_t> labels;  ///< 1: the positive class, 0: the negative one

  std::size_t count() const { return labels.size(); }
  std::span<const SparseEntry> row(std::size_t index) const {
    return std::span(entries).subspan(static_cast<std::size_t>(row_begin[index]),
                                      static_cast<std::size_t>(row_begin[index + 1] - row_begin[index]));
  }

  friend bool operator==(const SparseSamples&, const SparseSamples&) = default;
};

/// At least one sample of each.
struct SparseDataset {
  SparseSamples train;
  SparseSamples test;

  std::size_t features() const { return train.features > test.features ? train.features : test.features; }
};

/// Adds the rows of `more` behind those of `samples`.
void append(SparseSamples& samples, const SparseSamples& more);

/// Keeps the first `count` samples, or all if there are fewer. The number of features stays.
void keep_first(SparseSamples& samples, std::size_t count);

}  // namespace ringps
