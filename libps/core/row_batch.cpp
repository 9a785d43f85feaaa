#include "libps/core/row_batch.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "libps/base/row_hash.hpp"
#include "libps/rows/row_list.hpp"

namespace ringps {
namespace {

/// Rows go in smaller messages than tensors: to look them up takes longer than to carry them, and while a server looks
/// up those of one message the next is on its way.
constexpr std::size_t rows_message_bytes_max = 512U << 10U;

/// Blocks in groups of at most `bytes_max`; a block that is larger goes alone, one without bytes_of() not at all.
template <class BytesOf>
std::vector<std::vector<BlockId>> grouped(std::span<const BlockId> blocks, std::size_t bytes_max,
                                          const BytesOf& bytes_of) {
  bytes_max = std::min(bytes_max, rows_message_bytes_max);
  std::vector<std::vector<BlockId>> groups;
  std::size_t bytes = bytes_max;  // full: the first block opens a group
  for (const BlockId block : blocks) {
    if (const std::optional<std::size_t> block_bytes = bytes_of(block)) {
      if (bytes + *block_bytes > bytes_max) {
        groups.emplace_back();
        bytes = 0;
      }
      bytes += *block_bytes;
      groups.back().push_back(block);
    }
  }
  return groups;
}

}  // namespace

RowBatch::RowBatch(const BlockTable& table, std::vector<std::vector<std::uint64_t>> ids, bool every_block)
    : table_(table), every_block_(every_block), ids_(std::move(ids)) {
  first_block_ = table.first_of_table(0).value;
  const std::size_t blocks = table.size() - first_block_;
  ids_.resize(table.tables().size());
  offsets_.push_back(0);
  std::size_t rows = 0;
  for (std::size_t t = 0; t < ids_.size(); ++t) {
    rows += ids_[t].size();
    offsets_.push_back(offsets_.back() + ids_[t].size() * table.tables()[t].width);
  }
  values_ = Buffer(offsets_.back());

  // Counting sort by block; within a block rows keep their order.
  std::vector<std::uint32_t> block_of(rows);
  begin_.assign(blocks + 1, 0);
  std::size_t row = 0;
  for (std::uint32_t t = 0; t < ids_.size(); ++t) {
    const std::size_t first = table.first_of_table(t).value - first_block_;
    const std::uint32_t buckets = table.tables()[t].buckets;
    for (const std::uint64_t id : ids_[t]) {
      block_of[row] = static_cast<std::uint32_t>(first + row_bucket(id, buckets));
      ++begin_[block_of[row++] + 1];
    }
  }
  for (std::size_t b = 0; b < blocks; ++b) {
    missing_ += every_block_ || begin_[b + 1] != 0 ? 1U : 0U;
    begin_[b + 1] += begin_[b];
  }
  arrived_.assign(blocks, 0);
  order_.resize(rows);
  grouped_ids_.resize(rows);
  std::vector<std::uint32_t> next(begin_.begin(), begin_.end() - 1);
  row = 0;
  for (const auto& of_table : ids_) {
    for (std::uint32_t i = 0; i < of_table.size(); ++i) {
      const std::uint32_t at = next[block_of[row++]]++;
      order_[at] = i;
      grouped_ids_[at] = of_table[i];
    }
  }
}

std::vector<std::vector<BlockId>> RowBatch::to_pull(std::span<const BlockId> blocks, std::size_t bytes_max) const {
  return grouped(blocks, bytes_max, [&](BlockId block) -> std::optional<std::size_t> {
    if (!is_wanted(block) || has(block)) {
      return std::nullopt;
    }
    return std::max(RowList::bytes(rows_in(block), 0), value_bytes(std::span(&block, 1)));
  });
}

std::vector<std::vector<BlockId>> RowBatch::to_push(std::span<const BlockId> blocks, std::span<const std::uint8_t> done,
                                                    std::size_t bytes_max) const {
  return grouped(blocks, bytes_max, [&](BlockId block) {
    return done[block.value] == 0 ? std::optional(gradient_bytes(block)) : std::nullopt;
  });
}

/// The ids of a block's rows; returns where they end.
std::byte* RowBatch::write_ids(BlockId block, std::byte* to) const {
  const auto ids = std::as_bytes(std::span(grouped_ids_).subspan(begin_[local(block)], rows_in(block)));
  return std::copy(ids.begin(), ids.end(), to);
}

Buffer RowBatch::ids_of(std::span<const BlockId> blocks) const {
  std::size_t bytes = 0;
  for (const BlockId block : blocks) {
    bytes += RowList::bytes(rows_in(block), 0);
  }
  Buffer lists(bytes / sizeof(float));
  auto* to = reinterpret_cast<std::byte*>(lists.data());
  for (const BlockId block : blocks) {
    to = write_ids(block, RowList::begin(to, rows_in(block)));
  }
  return lists;
}

std::size_t RowBatch::gradient_bytes(BlockId block) const {
  return RowList::bytes(rows_in(block), static_cast<std::uint32_t>(width(block)));
}

Buffer RowBatch::gradients_of(std::span<const BlockId> blocks, std::span<const float> gradient) const {
  std::size_t bytes = 0;
  for (const BlockId block : blocks) {
    bytes += gradient_bytes(block);
  }
  Buffer lists(bytes / sizeof(float));
  auto* to = reinterpret_cast<std::byte*>(lists.data());
  for (const BlockId block : blocks) {
    const std::uint32_t table = table_.table_of(block);
    const std::size_t row_floats = width(block);
    const std::size_t row_bytes = row_floats * sizeof(float);
    const float* values = gradient.data() + offsets_[table];
    std::byte* rows = write_ids(block, RowList::begin(to, rows_in(block)));
    for (std::uint32_t g = begin_[local(block)]; g < begin_[local(block) + 1]; ++g) {
      copy_row(values + order_[g] * row_floats, row_floats, rows);
      rows += row_bytes;
    }
    to = rows;
  }
  return lists;
}

std::size_t RowBatch::value_bytes(std::span<const BlockId> blocks) const {
  std::size_t bytes = 0;
  for (const BlockId block : blocks) {
    bytes += rows_in(block) * width(block) * sizeof(float);
  }
  return bytes;
}

void RowBatch::take(std::span<const BlockId> blocks, const std::byte* values) {
  for (const BlockId block : blocks) {
    const std::size_t row_floats = width(block);
    float* of_table = values_.data() + offsets_[table_.table_of(block)];
    for (std::uint32_t g = begin_[local(block)]; g < begin_[local(block) + 1]; ++g) {
      copy_row(values, row_floats, of_table + order_[g] * row_floats);
      values += row_floats * sizeof(float);
    }
    missing_ -= std::exchange(arrived_[local(block)], std::uint8_t{1}) == 0 && is_wanted(block) ? 1U : 0U;
  }
}

}  // namespace ringps
