#include "services/psctl/compare.hpp"

#include <spdlog/fmt/fmt.h>

#include <bit>
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
  BlockTable table(manifest->tensors, manifest->block_elements);
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
  if (ours->table.tensors() != theirs->table.tensors() || ours->table.size() != theirs->table.size()) {
    return Error{
        fmt::format("{} and {} do not hold the same tensors in the same blocks", left.string(), right.string())};
  }
  for (std::uint32_t b = 0; b < ours->table.size(); ++b) {
    const auto& place = ours->table[BlockId{b}];
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
