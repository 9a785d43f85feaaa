// The rows that one gradient is computed from, in the order in which the model named them, and how they travel: grouped
// by the blocks that they belong to. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "libps/base/buffer.hpp"
#include "libps/ring/layout.hpp"

namespace ringps {

class RowBatch {
 public:
  /// `ids`: per table, in any order and any number of times. `table` outlives it. `every_block`: blocks without rows
  /// are asked as well, for what they contain.
  RowBatch(const BlockTable& table, std::vector<std::vector<std::uint64_t>> ids, bool every_block = false);

  /// The ids of a table as they were named.
  std::span<const std::uint64_t> ids(std::uint32_t table) const { return ids_[table]; }
  /// The values of these rows, one after another, `width` floats each.
  std::span<const float> values(std::uint32_t table) const {
    return values_.values().subspan(offsets_[table], offsets_[table + 1] - offsets_[table]);
  }
  /// Where a table's rows begin in the values of all, and in a gradient; the last entry is their whole length.
  const std::vector<std::size_t>& offsets() const { return offsets_; }
  /// Whether all values are there, or all blocks have answered.
  bool is_whole() const { return missing_ == 0; }

  /// Whether the values of a block's rows are there.
  bool has(BlockId block) const { return arrived_[local(block)] != 0; }
  std::size_t rows_in(BlockId block) const { return begin_[local(block) + 1] - begin_[local(block)]; }

  /// Those of `blocks` whose values are to be asked for, in messages of at most `bytes_max` where a block allows it.
  std::vector<std::vector<BlockId>> to_pull(std::span<const BlockId> blocks, std::size_t bytes_max) const;
  /// Those of `blocks` whose gradients are to be sent: all for which `done` is zero.
  std::vector<std::vector<BlockId>> to_push(std::span<const BlockId> blocks, std::span<const std::uint8_t> done,
                                            std::size_t bytes_max) const;

  /// The ids of the rows of these blocks, or with the gradient of all rows their ids and gradients: for each block a
  /// list of rows, as messages carry them.
  Buffer ids_of(std::span<const BlockId> blocks) const;
  Buffer gradients_of(std::span<const BlockId> blocks, std::span<const float> gradient) const;
  std::size_t gradient_bytes(BlockId block) const;

  /// Bytes of the values of the rows of these blocks.
  std::size_t value_bytes(std::span<const BlockId> blocks) const;
  /// Takes them; blocks that have come before are not counted again.
  void take(std::span<const BlockId> blocks, const std::byte* values);

 private:
  bool is_wanted(BlockId block) const { return every_block_ || rows_in(block) != 0; }
  std::byte* write_ids(BlockId block, std::byte* to) const;
  std::size_t local(BlockId block) const { return block.value - first_block_; }
  std::size_t width(BlockId block) const { return table_.tables()[table_.table_of(block)].width; }

  const BlockTable& table_;
  const bool every_block_;
  std::uint32_t first_block_ = 0;  ///< of all tables
  std::vector<std::vector<std::uint64_t>> ids_;
  std::vector<std::size_t> offsets_;
  Buffer values_;

  std::vector<std::uint32_t> begin_;  ///< per block of a table, and one past the end: its first row in grouped order
  std::vector<std::uint32_t> order_;  ///< grouped order → position among the ids of its table
  std::vector<std::uint64_t> grouped_ids_;
  std::vector<std::uint8_t> arrived_;  ///< per block
  std::size_t missing_ = 0;            ///< blocks that are wanted and have not come
};

}  // namespace ringps
