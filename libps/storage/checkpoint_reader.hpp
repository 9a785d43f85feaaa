// Checkpoints on disk, as they are read. Every file is held against the length and the SHA-256 of the manifest before
// anything of it is used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libps/base/aligned.hpp"
#include "libps/base/result.hpp"
#include "libps/base/types.hpp"
#include "libps/ring/layout.hpp"
#include "libps/rows/row_block.hpp"
#include "libps/storage/manifest.hpp"

namespace ringps {

struct LoadedBlock {
  BlockId block;
  Floats values;
  Floats state;                  ///< as StoredBlock::state
  Floats clocks{};               ///< as StoredBlock::clocks
  std::optional<RowImage> rows;  ///< of a block of a table, in place of the others, clocks included
};

/// The `wanted` blocks of the checkpoint in `folder`, in that order. Refuses a checkpoint that was cut into other
/// tensors, tables or blocks than `table`. Without state_per_element only the weights are read; clocks come where they
/// are asked for and the checkpoint has them.
Result<std::vector<LoadedBlock>> load_blocks(const std::filesystem::path& folder, const BlockTable& table,
                                             std::optional<std::uint32_t> state_per_element,
                                             std::span<const BlockId> wanted, bool with_clocks = false);

struct Verification {
  std::vector<std::string> problems;  ///< everything that is wrong, for a person; empty: the checkpoint is sound
  std::size_t files = 0;              ///< that the manifest names
  std::uint64_t bytes = 0;            ///< of these files
};

/// Holds a whole checkpoint against its manifest: files present, their lengths and digests, tensors and shapes, every
/// block once, one single version.
Verification verify_checkpoint(const std::filesystem::path& folder);

/// SHA-256 over the float32 values of all tensors and tables, in order of their names; of a table over all ids, bucket
/// by bucket, and then over all values: the fingerprint of the weights.
Result<std::string> weights_sha256(const std::filesystem::path& folder);

/// Writes the weights as one safetensors file of whole tensors; of a table `<name>.ids` and `<name>.values`.
Result<void> export_weights(const std::filesystem::path& folder, const std::filesystem::path& file);

}  // namespace ringps
