#include "services/psctl/compare.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "libps/ring/layout.hpp"
#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/manifest.hpp"

namespace ringps {
namespace {

struct LoadedWeights {
  BlockTable table;
  std::vector<LoadedBlock> blocks;  ///< all, in order
};

Result<LoadedWeights> load_weights(const std::filesystem::path& folder) {
  const auto manifest = read_manifest(folder);
  if (!manifest) {
    return manifest.failure();
  }
  BlockTable table(manifest->tensors, manifest->block_elements, manifest->tables);
  std::vector<BlockId> all;
  for (std::uint32_t block = 0; block < table.size(); ++block) {
    all.push_back({block});
  }
  auto blocks = load_blocks(folder, table, 0, all);
  if (!blocks) {
    return blocks.failure();
  }
  return LoadedWeights{std::move(table), std::move(*blocks)};
}

std::optional<FirstDifference> first_different_row(const TableSpec& table, const RowImage& left,
                                                   const RowImage& right) {
  const auto name = [&](std::uint64_t id) { return fmt::format("row {} of {}", id, table.name); };
  const float missing = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t row = 0; row < std::max(left.ids.size(), right.ids.size()); ++row) {
    if (row >= left.ids.size() || (row < right.ids.size() && right.ids[row] < left.ids[row])) {
      return FirstDifference{name(right.ids[row]), 0, missing, right.values[row * table.width]};
    }
    if (row >= right.ids.size() || left.ids[row] < right.ids[row]) {
      return FirstDifference{name(left.ids[row]), 0, left.values[row * table.width], missing};
    }
    for (std::size_t e = 0; e < table.width; ++e) {
      const float a = left.values[row * table.width + e];
      const float b = right.values[row * table.width + e];
      if (std::bit_cast<std::uint32_t>(a) != std::bit_cast<std::uint32_t>(b)) {
        return FirstDifference{name(left.ids[row]), e, a, b};
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(const FirstDifference& difference) {
  return fmt::format("{}[{}] is {} and should be {} (0x{:08x} and 0x{:08x})", difference.tensor, difference.element,
                     difference.left, difference.right, std::bit_cast<std::uint32_t>(difference.left),
                     std::bit_cast<std::uint32_t>(difference.right));
}

Result<std::optional<FirstDifference>> first_difference(const std::filesystem::path& left,
                                                        const std::filesystem::path& right) {
  const auto ours = load_weights(left);
  if (!ours) {
    return ours.failure();
  }
  const auto theirs = load_weights(right);
  if (!theirs) {
    return theirs.failure();
  }
  if (ours->table.tensors() != theirs->table.tensors() || ours->table.tables() != theirs->table.tables() ||
      ours->table.size() != theirs->table.size()) {
    return Error{
        fmt::format("{} and {} do not hold the same tensors in the same blocks", left.string(), right.string())};
  }
  for (std::uint32_t b = 0; b < ours->table.size(); ++b) {
    const auto& place = ours->table[BlockId{b}];
    if (ours->table.is_rows(BlockId{b})) {
      const TableSpec& table = ours->table.tables()[ours->table.table_of(BlockId{b})];
      if (auto difference = first_different_row(table, *ours->blocks[b].rows, *theirs->blocks[b].rows)) {
        return difference;
      }
    }
    for (std::uint32_t i = 0; i < place.elements; ++i) {
      const float a = ours->blocks[b].values[i];
      const float e = theirs->blocks[b].values[i];
      if (std::bit_cast<std::uint32_t>(a) != std::bit_cast<std::uint32_t>(e)) {
        return std::optional(FirstDifference{ours->table.tensor(place.tensor).name, place.tensor_offset + i, a, e});
      }
    }
  }
  return std::optional<FirstDifference>{};
}

}  // namespace ringps
