// Checkpoints on disk, as they are written:
//
//   <dir>/iteration-0000000060/<server>-<incarnation>.weights.safetensors
//                              <server>-<incarnation>.optimizer.safetensors   where the optimizer has state, and in
//                                                                             asynchronous modes, for the clocks
//                              manifest.json
//
// The rename of the manifest is the only commit point. A file that has been written is never written again: a second
// attempt of the same server gets a name of its own. All calls block. checkpoint_reader.hpp reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/base/types.hpp"
#include "libps/ring/layout.hpp"
#include "libps/rows/row_block.hpp"
#include "libps/storage/manifest.hpp"
#include "libps/storage/safetensors.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

/// One block's values, float32 as they lie in memory; alive and unchanged during the call.
struct StoredBlock {
  BlockId block;
  std::span<const std::byte> values;
  std::span<const std::byte> state;     ///< state_per_element * values.size(), one run of values.size() after another
  std::span<const std::byte> clocks{};  ///< of an asynchronous run: as in libps/core/clocks.hpp
  const RowBlock::Snapshot* rows = nullptr;  ///< of a block of a table, in place of values and state
};

/// Where a checkpoint lies: `iteration-0000000060` in `dir`.
std::filesystem::path checkpoint_folder(const std::filesystem::path& dir, Iteration iteration);

/// Name of a block's i-th tensor of optimizer state, in optimizer files.
std::string state_name(const std::string& block_name, std::uint32_t i);
/// What is stored of a block of a table with `rows` rows: their ids and values, and in optimizer files runs of state
/// and, where rows expire, the iterations that last touched them.
std::vector<NamedShape> row_shapes(const BlockTable& table, BlockId block, std::uint64_t rows, bool optimizer,
                                   std::uint32_t state_per_element);
/// Name of a block's clocks, in optimizer files; their shape is [slices, 2].
std::string clocks_name(const std::string& block_name);
/// A block's shape in a file: its tensor's where that has one block, else [elements].
std::vector<std::uint64_t> block_shape(const BlockTable& table, BlockId block);

/// Called with a block of the last file as soon as it has been written: its values and state are not looked at again.
using DoneWith = std::function<void(BlockId)>;

/// Writes a server's share of a checkpoint; `blocks` ascending. Returns the files as the manifest names them.
Result<std::vector<WrittenFile>> write_shard(const std::filesystem::path& dir, Iteration iteration,
                                             const ServerId& server, Incarnation incarnation, const BlockTable& table,
                                             std::span<const StoredBlock> blocks, const DoneWith& done_with = {});

struct CommittedManifest {
  std::filesystem::path folder;
  std::string sha256;  ///< of the manifest, hexadecimal
};

/// Commits a checkpoint whose files have all been written. A manifest that is there already is replaced at once by the
/// new one, since a coordinator may have died after its commit, before it noted it; that of another run is an error.
Result<CommittedManifest> commit(const std::filesystem::path& dir, const Manifest& manifest);

struct CommittedCheckpoint {
  Iteration iteration;
  std::filesystem::path folder;
};

/// Newest first. A folder that does not exist has none.
Result<std::vector<CommittedCheckpoint>> list_checkpoints(const std::filesystem::path& dir);

/// Deletes, of the checkpoints up to `last`, the committed ones beyond the `keep` newest (never the newest one), and
/// whatever of uncommitted ones is older than the newest committed. Returns the deleted folders. What is newer than
/// `last` is in the making, or its coordinator died before it noted the commit: it stays, and does not count.
Result<std::vector<std::filesystem::path>> prune(const std::filesystem::path& dir, std::uint32_t keep, Iteration last);

/// The checkpoint that `path` stands for: its folder; or the newest one of a folder of checkpoints or of a run.
Result<std::filesystem::path> resolve_checkpoint(const std::filesystem::path& path);

}  // namespace ringps
