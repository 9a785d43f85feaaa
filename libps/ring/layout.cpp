#include "libps/ring/layout.hpp"

#include <algorithm>

#include "libps/base/check.hpp"
#include "libps/base/row_hash.hpp"

namespace ringps {

BlockTable::BlockTable(const std::vector<TensorSpec>& tensors, std::uint32_t block_elements,
                       const std::vector<TableSpec>& tables)
    : tensors_(tensors), tables_(tables) {
  check(block_elements > 0, "block_elements is positive");
  const auto offsets = flat_offsets(tensors);
  flat_elements_ = offsets.back();
  for (std::uint32_t t = 0; t < tensors.size(); ++t) {
    first_block_.push_back(size());
    const std::uint64_t elements = tensors[t].elements();
    std::uint32_t index = 0;
    for (std::uint64_t at = 0; at < elements; at += block_elements) {
      const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(block_elements, elements - at));
      blocks_.push_back({t, index++, length, offsets[t] + static_cast<std::size_t>(at), at});
    }
  }
  for (std::uint32_t t = 0; t < tables.size(); ++t) {
    first_block_.push_back(size());
    for (std::uint32_t index = 0; index < tables[t].buckets; ++index) {
      blocks_.push_back({static_cast<std::uint32_t>(tensors.size()) + t, index, 0, flat_elements_, 0});
    }
  }
  first_block_.push_back(size());
}

std::string BlockTable::name(BlockId block) const {
  const Block& b = blocks_[block.value];
  const std::string& tensor = is_rows(block) ? tables_[table_of(block)].name : tensors_[b.tensor].name;
  return tensor_blocks(b.tensor) == 1 ? tensor : tensor + "." + std::to_string(b.index);
}

std::optional<BlockId> BlockTable::find(const BlockRun& run) const {
  if (run.tensor >= tensors_.size() + tables_.size() || run.count == 0) {
    return std::nullopt;
  }
  const std::uint32_t blocks = tensor_blocks(run.tensor);
  if (run.first >= blocks || run.count > blocks - run.first) {
    return std::nullopt;
  }
  return BlockId{first_block_[run.tensor] + run.first};
}

BlockId BlockTable::block_of(std::uint32_t table, std::uint64_t row) const {
  return BlockId{first_of_table(table).value + row_bucket(row, tables_[table].buckets)};
}

std::vector<BlockRun> BlockTable::runs(const std::vector<BlockId>& ascending) const {
  std::vector<BlockRun> runs;
  for (const BlockId id : ascending) {
    const Block& block = blocks_[id.value];
    if (!runs.empty() && runs.back().tensor == block.tensor && runs.back().first + runs.back().count == block.index) {
      ++runs.back().count;
    } else {
      runs.push_back({block.tensor, block.index, 1});
    }
  }
  return runs;
}

}  // namespace ringps
