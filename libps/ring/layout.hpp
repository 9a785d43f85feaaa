// How tensors and tables are cut into blocks, and where a tensor's block lies in the flat vector that workers compute
// with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "libps/base/tensor.hpp"
#include "libps/base/types.hpp"

namespace ringps {

/// Consecutive blocks of one tensor or table: how messages and manifests name blocks.
struct BlockRun {
  std::uint32_t tensor = 0;  ///< index in the job's list of tensors; tables are numbered on from there
  std::uint32_t first = 0;   ///< index of the first block within the tensor
  std::uint32_t count = 0;   ///< number of blocks, at least 1

  static auto fields(auto& run) { return std::tie(run.tensor, run.first, run.count); }
  friend bool operator==(const BlockRun&, const BlockRun&) = default;
};

/// All blocks of a job, numbered by BlockId: tensors in order, then tables, blocks in order. Immutable.
class BlockTable {
 public:
  struct Block {
    std::uint32_t tensor;         ///< index of the tensor or table, as in BlockRun
    std::uint32_t index;          ///< of the block within it
    std::uint32_t elements;       ///< block_elements, or fewer in the tensor's last block; 0: a block of a table
    std::size_t flat_offset;      ///< elements from the start of the flat vector
    std::uint64_t tensor_offset;  ///< elements from the start of the tensor
  };

  BlockTable() = default;
  /// `block_elements` > 0.
  BlockTable(const std::vector<TensorSpec>& tensors, std::uint32_t block_elements,
             const std::vector<TableSpec>& tables = {});

  std::uint32_t size() const { return static_cast<std::uint32_t>(blocks_.size()); }
  std::size_t flat_elements() const { return flat_elements_; }
  std::uint32_t tensor_blocks(std::uint32_t tensor) const { return first_block_[tensor + 1] - first_block_[tensor]; }
  const Block& operator[](BlockId block) const { return blocks_[block.value]; }
  const TensorSpec& tensor(std::uint32_t index) const { return tensors_[index]; }
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  const std::vector<TableSpec>& tables() const { return tables_; }

  bool is_rows(BlockId block) const { return blocks_[block.value].elements == 0; }
  /// Index of a block's table in tables().
  std::uint32_t table_of(BlockId block) const {
    return blocks_[block.value].tensor - static_cast<std::uint32_t>(tensors_.size());
  }
  /// The first block of a table; the others follow.
  BlockId first_of_table(std::uint32_t table) const { return BlockId{first_block_[tensors_.size() + table]}; }
  /// The block that a row belongs to.
  BlockId block_of(std::uint32_t table, std::uint64_t row) const;

  /// `tensor.index`, or `tensor` when the tensor has one block. This is what the ring hashes.
  std::string name(BlockId block) const;

  /// The first block of a run that lies wholly inside the model; nothing if it does not.
  std::optional<BlockId> find(const BlockRun& run) const;

  /// The shortest list of runs for blocks in ascending order.
  std::vector<BlockRun> runs(const std::vector<BlockId>& ascending) const;

 private:
  std::vector<TensorSpec> tensors_;
  std::vector<TableSpec> tables_;
  std::vector<std::uint32_t> first_block_;  ///< per tensor and table, and one past the end
  std::vector<Block> blocks_;
  std::size_t flat_elements_ = 0;
};

}  // namespace ringps
