#include "services/psctl/checkpoint.hpp"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "libps/storage/checkpoint_reader.hpp"
#include "libps/storage/checkpoint_store.hpp"
#include "services/psctl/size_text.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

std::uint64_t file_bytes(const Manifest& manifest) {
  std::uint64_t bytes = 0;
  for (const ManifestFile& entry : manifest.files) {
    bytes += entry.file.bytes;
  }
  return bytes;
}

Result<std::vector<CommittedCheckpoint>> list_of_run(const fs::path& dir) {
  std::error_code unreadable;
  if (!fs::is_directory(dir, unreadable)) {
    return Error{fmt::format("{}: is not a folder; expected that of a run, or of its checkpoints", dir.string())};
  }
  auto found = list_checkpoints(dir);
  return found && found->empty() ? list_checkpoints(dir / "checkpoints") : found;
}

nlohmann::ordered_json row_json(const CommittedCheckpoint& checkpoint, const Result<Manifest>& manifest) {
  nlohmann::ordered_json row{{"iteration", checkpoint.iteration.value}, {"folder", checkpoint.folder.string()}};
  if (!manifest) {
    row["damage"] = manifest.error();
    return row;
  }
  row["epoch"] = manifest->epoch.value;
  row["files"] = manifest->files.size();
  row["bytes"] = file_bytes(*manifest);
  return row;
}

std::string row_text(const CommittedCheckpoint& checkpoint, const Result<Manifest>& manifest) {
  if (!manifest) {
    return fmt::format("{:>10}  damaged: {}\n", checkpoint.iteration.value, manifest.error());
  }
  return fmt::format("{:>10} {:>6} {:>6} {:>12}  {}\n", checkpoint.iteration.value, manifest->epoch.value,
                     manifest->files.size(), size_text(file_bytes(*manifest)), checkpoint.folder.string());
}

std::uint64_t blocks_in(const WrittenFile& file) {
  std::uint64_t blocks = 0;
  for (const BlockRun& run : file.runs) {
    blocks += run.count;
  }
  return blocks;
}

std::string manifest_text(const fs::path& folder, const Manifest& m) {
  std::string text = fmt::format(
      "{}\n\ncluster         {}\niteration       {}\nepoch           {}\nseed            {}\nslices          {}\n"
      "config digest   {}\nring            {} points a server, {} replicas, blocks of {} elements\n"
      "optimizer       {}, {} floats of state per element\n",
      folder.string(), m.cluster, m.iteration.value, m.epoch.value, m.seed, m.slices, m.config_digest, m.virtual_nodes,
      m.replicas, m.block_elements, m.optimizer, m.state_per_element);
  text += fmt::format("\n{:<32} {:>12}  shape\n", "tensor", "elements");
  for (const TensorSpec& tensor : m.tensors) {
    text += fmt::format("{:<32} {:>12}  {}\n", tensor.name, tensor.elements(), fmt::join(tensor.shape, " x "));
  }
  for (const TableSpec& table : m.tables) {
    text += fmt::format("{:<32} {:>12}  of width {}, in {} buckets\n", table.name, "rows", table.width, table.buckets);
  }
  text += fmt::format("\n{:<12} {:<10} {:>8} {:>12}  file\n", "server", "kind", "blocks", "size");
  for (const auto& [server, file] : m.files) {
    text += fmt::format("{:<12} {:<10} {:>8} {:>12}  {}\n", server.value, file.optimizer ? "optimizer" : "weights",
                        blocks_in(file), size_text(file.bytes), file.name);
  }
  return text;
}

}  // namespace

Result<std::string> checkpoint_ls(const fs::path& dir, bool json) {
  const auto found = list_of_run(dir);
  if (!found) {
    return found.failure();
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::string text = fmt::format("{:>10} {:>6} {:>6} {:>12}  folder\n", "iteration", "epoch", "files", "size");
  for (const CommittedCheckpoint& checkpoint : *found) {
    const auto manifest = read_manifest(checkpoint.folder);
    rows.push_back(row_json(checkpoint, manifest));
    text += row_text(checkpoint, manifest);
  }
  if (json) {
    return rows.dump(2) + "\n";
  }
  return found->empty() ? dir.string() + ": no committed checkpoint\n" : text;
}

Result<std::string> checkpoint_show(const fs::path& path, bool json) {
  const auto folder = resolve_checkpoint(path);
  if (!folder) {
    return folder.failure();
  }
  const auto manifest = read_manifest(*folder);
  if (!manifest) {
    return manifest.failure();
  }
  return json ? to_json(*manifest) : manifest_text(*folder, *manifest);
}

Result<CheckpointVerdict> checkpoint_verify(const fs::path& path) {
  const auto folder = resolve_checkpoint(path);
  if (!folder) {
    return folder.failure();
  }
  const Verification verification = verify_checkpoint(*folder);
  CheckpointVerdict verdict;
  for (const std::string& problem : verification.problems) {
    verdict.text += problem + "\n";
  }
  if (!verification.problems.empty()) {
    verdict.text += fmt::format("{}: damaged, {} problem{}\n", folder->string(), verification.problems.size(),
                                verification.problems.size() == 1 ? "" : "s");
    return verdict;
  }
  const auto sha256 = weights_sha256(*folder);
  if (!sha256) {
    return sha256.failure();
  }
  verdict.sound = true;
  verdict.text = fmt::format("{}: sound, {} files, {}, weights SHA-256 {}\n", folder->string(), verification.files,
                             size_text(verification.bytes), *sha256);
  return verdict;
}

Result<std::string> checkpoint_export(const fs::path& path, const fs::path& file) {
  const auto folder = resolve_checkpoint(path);
  if (!folder) {
    return folder.failure();
  }
  if (auto exported = export_weights(*folder, file); !exported) {
    return exported.failure();
  }
  return fmt::format("wrote the weights of {} to {}\n", folder->string(), file.string());
}

}  // namespace ringps
