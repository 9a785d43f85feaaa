// What `psctl checkpoint` does: looks at checkpoints on disk, without a cluster. Each returns what is to be printed.
#pragma once

#include <filesystem>
#include <string>

#include "libps/base/result.hpp"

namespace ringps {

/// The committed checkpoints of a run folder or of a folder of checkpoints, newest first: a table, or a JSON list.
Result<std::string> checkpoint_ls(const std::filesystem::path& dir, bool json);

/// What the manifest says. `path` stands for a checkpoint as in resolve_checkpoint, here and below.
Result<std::string> checkpoint_show(const std::filesystem::path& path, bool json);

struct CheckpointVerdict {
  bool sound = false;
  std::string text;  ///< every problem on a line of its own, and a last line that sums up
};

/// Reads the whole checkpoint. An error: there is none.
Result<CheckpointVerdict> checkpoint_verify(const std::filesystem::path& path);

/// Writes the weights as one safetensors file of whole tensors, replacing a file of that name.
Result<std::string> checkpoint_export(const std::filesystem::path& path, const std::filesystem::path& file);

}  // namespace ringps
