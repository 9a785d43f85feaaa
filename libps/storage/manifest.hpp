// The manifest of a checkpoint: what was trained, and which files hold which blocks. It is written last: where there
// is a manifest, there is a checkpoint.
//
//   {"format": "ringps-checkpoint", "format_version": 1, "cluster": "…", "config_digest": "…", "seed": 1,
//    "iteration": 60, "epoch": 3, "slices": 4,
//    "ring": {"virtual_nodes": 100, "replicas": 2, "block_elements": 65536},
//    "optimizer": {"kind": "momentum", "state_per_element": 1},
//    "clocks": 4,                                                 of an asynchronous run only: per block
//    "tensors": [{"name": "fc_weights", "shape": [784]}, …],
//    "tables": [{"name": "users", "width": 16, "buckets": 64, "expire_after": 0}, …],   only where there are any
//    "files": [{"server": "server0", "kind": "weights", "name": "….safetensors", "bytes": 3392, "sha256": "…",
//               "blocks": [{"tensor": "fc_weights", "first_block": 0, "blocks": 3}, …]}, …]}
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/base/tensor.hpp"
#include "libps/base/types.hpp"
#include "libps/wire/messages.hpp"

namespace ringps {

struct ManifestFile {
  ServerId server;  ///< that wrote it
  WrittenFile file;

  friend bool operator==(const ManifestFile& a, const ManifestFile& b) {
    return a.server == b.server && WrittenFile::fields(a.file) == WrittenFile::fields(b.file);
  }
};

struct Manifest {
  std::string cluster;
  std::string config_digest;  ///< SHA-256 of what has to be the same everywhere, hexadecimal
  std::uint64_t seed = 0;
  Iteration iteration;  ///< version of every block; with clocks, the least that every block has of every slice
  Epoch epoch;          ///< of the view in which it was committed
  std::uint32_t slices = 1;
  std::uint32_t virtual_nodes = 1;
  std::uint32_t replicas = 1;
  std::uint32_t block_elements = 1;
  std::string optimizer;                ///< its kind
  std::uint32_t state_per_element = 0;  ///< floats of optimizer state per element of the model
  std::uint32_t clocks = 0;             ///< of an asynchronous run: each block has as many, in the optimizer files
  std::vector<TensorSpec> tensors;      ///< initialisers are not stored
  std::vector<TableSpec> tables;        ///< nor is rows_per_server
  std::vector<ManifestFile> files;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::uint64_t manifest_bytes_max = 256U << 20U;
inline constexpr std::uint64_t manifest_blocks_max = 1U << 24U;  ///< blocks of all tensors together
inline constexpr std::uint32_t state_per_element_max = 16;

/// Where the files do not hold every block exactly once: the weights, and where the optimizer has state, that too.
std::vector<std::string> coverage_problems(const Manifest& manifest);

std::string to_json(const Manifest& manifest);
/// Refuses whatever is not exactly the above; says nothing of coverage.
Result<Manifest> parse_manifest(std::string_view text);

/// The manifest of a checkpoint's folder, whatever its coverage.
Result<Manifest> read_manifest_as_is(const std::filesystem::path& folder);
/// The same, if it covers every block.
Result<Manifest> read_manifest(const std::filesystem::path& folder);

}  // namespace ringps
