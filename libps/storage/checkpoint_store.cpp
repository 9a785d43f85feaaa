#include "libps/storage/checkpoint_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <system_error>

#include "libps/base/check.hpp"
#include "libps/base/sha256.hpp"
#include "libps/storage/safetensors.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view folder_prefix = "iteration-";
constexpr std::string_view tensors_suffix = ".safetensors";
constexpr std::string_view temporary_suffix = ".tmp";

struct IterationFolder {
  Iteration iteration;
  fs::path folder;
  bool committed;
};

std::optional<Iteration> iteration_of(const std::string& folder_name) {
  if (!folder_name.starts_with(folder_prefix)) {
    return std::nullopt;
  }
  const char* end = folder_name.data() + folder_name.size();
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(folder_name.data() + folder_prefix.size(), end, value);
  if (error != std::errc() || rest != end) {
    return std::nullopt;
  }
  return Iteration{value};
}

Error listing_error(const fs::path& dir, const std::error_code& error) {
  return io_error(dir, "list the folder", error.value());
}

/// All folders of checkpoints, committed or not, newest first.
Result<std::vector<IterationFolder>> iteration_folders(const fs::path& dir) {
  std::vector<IterationFolder> found;
  std::error_code error;
  fs::directory_iterator entry(dir, error);
  if (error == std::errc::no_such_file_or_directory) {
    return found;
  }
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code unreadable;
    const auto iteration = iteration_of(entry->path().filename().string());
    if (iteration && entry->symlink_status(unreadable).type() == fs::file_type::directory) {
      found.push_back({*iteration, entry->path(), fs::exists(entry->path() / manifest_name, unreadable)});
    }
  }
  if (error) {
    return listing_error(dir, error);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.iteration > b.iteration; });
  return found;
}

/// A name that no earlier attempt has used: what has been reported may be in a manifest by now.
std::string free_name(const fs::path& folder, const std::string& stem, const std::string& kind) {
  std::error_code ignored;
  std::string name = stem + "." + kind + std::string(tensors_suffix);
  for (int attempt = 2; fs::exists(folder / name, ignored); ++attempt) {
    name = stem + "." + std::to_string(attempt) + "." + kind + std::string(tensors_suffix);
  }
  return name;
}

/// The tensors of one file, block by block.
struct FilePlan {
  bool optimizer = false;
  std::string name;
  std::vector<NamedShape> tensors;
  std::vector<const StoredBlock*> blocks;
};

std::uint32_t state_per_element(const StoredBlock& stored) {
  return stored.rows != nullptr ? stored.rows->rules().state_per_element()
                                : static_cast<std::uint32_t>(stored.state.size() / stored.values.size());
}

FilePlan plan_file(const BlockTable& table, std::span<const StoredBlock> blocks, bool optimizer, std::string name) {
  FilePlan plan{optimizer, std::move(name), {}, {}};
  for (const StoredBlock& stored : blocks) {
    const std::size_t before = plan.tensors.size();
    const std::string block = table.name(stored.block);
    if (stored.rows != nullptr) {
      const auto shapes = row_shapes(table, stored.block, stored.rows->rows(), optimizer, state_per_element(stored));
      plan.tensors.insert(plan.tensors.end(), shapes.begin(), shapes.end());
    } else if (!optimizer) {
      plan.tensors.push_back({block, block_shape(table, stored.block)});
    } else {
      for (std::uint32_t i = 0; i < state_per_element(stored); ++i) {
        plan.tensors.push_back({state_name(block, i), block_shape(table, stored.block)});
      }
    }
    if (optimizer && !stored.clocks.empty()) {
      plan.tensors.push_back({clocks_name(block), {stored.clocks.size() / (2 * sizeof(float)), 2}});
    }
    if (plan.tensors.size() > before) {
      plan.blocks.push_back(&stored);
    }
  }
  return plan;
}

Result<void> append_block(SafetensorsWriter& writer, const StoredBlock& stored, bool optimizer) {
  if (stored.rows == nullptr) {
    auto appended = writer.append(optimizer ? stored.state : stored.values);
    return appended && optimizer ? writer.append(stored.clocks) : appended;
  }
  const RowImage image = stored.rows->image();  // one block's at a time: all of them would double the memory
  const auto first = optimizer ? std::as_bytes(std::span(image.state)) : std::as_bytes(std::span(image.ids));
  const auto second = optimizer ? std::as_bytes(std::span(image.touched)) : std::as_bytes(std::span(image.values));
  auto appended = writer.append(first);
  if (appended) {
    appended = writer.append(second);
  }
  return appended && optimizer ? writer.append(stored.clocks) : appended;
}

Result<WrittenFile> write_file(const fs::path& folder, const FilePlan& plan, const BlockTable& table,
                               const SafetensorsMetadata& metadata, const DoneWith& done_with) {
  auto writer = SafetensorsWriter::create(folder / plan.name, plan.tensors, metadata);
  if (!writer) {
    return writer.failure();
  }
  std::vector<BlockId> ids;
  for (const StoredBlock* stored : plan.blocks) {
    ids.push_back(stored->block);
    if (auto appended = append_block(*writer, *stored, plan.optimizer); !appended) {
      return appended.failure();
    }
    if (done_with) {
      done_with(stored->block);
    }
  }
  auto digest = writer->publish();
  if (!digest) {
    return digest.failure();
  }
  return WrittenFile{plan.name, plan.optimizer, digest->bytes, digest->sha256, table.runs(ids)};
}

/// The files have to be where the manifest says, with the length it says; their contents were hashed as they were
/// written.
Result<void> check_files(const fs::path& folder, const Manifest& manifest) {
  for (const auto& [server, file] : manifest.files) {
    const auto found = InputFile::open(folder / file.name);
    if (!found) {
      return found.failure();
    }
    if (found->bytes() != file.bytes) {
      return Error{found->path().string() + ": has " + std::to_string(found->bytes()) + " bytes, " + server.value +
                   " reported " + std::to_string(file.bytes)};
    }
  }
  return {};
}

bool is_ours(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == manifest_name || name.ends_with(tensors_suffix) ||
         (name.starts_with('.') && name.ends_with(temporary_suffix));
}

/// The manifest goes first and durably, so that a checkpoint is never seen with some of its files gone. The folder is
/// synced even where the manifest is gone already: who deleted it may have been killed before that.
Result<void> delete_checkpoint(const fs::path& folder) {
  std::error_code error;
  remove_entry(folder / manifest_name, error);
  if (error) {
    return io_error(folder / manifest_name, "delete the manifest", error.value());
  }
  if (auto synced = sync_folder(folder); !synced) {
    return synced;
  }
  std::vector<fs::path> files;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (is_ours(entry->path())) {
      files.push_back(entry->path());
    }
  }
  for (const fs::path& file : files) {
    if (!error) {
      remove_entry(file, error);
    }
  }
  if (!error) {
    remove_entry(folder, error);  // fails on whatever else somebody has put there, which stays
  }
  if (error && error != std::errc::directory_not_empty && error != std::errc::no_such_file_or_directory) {
    return io_error(folder, "delete the checkpoint", error.value());
  }
  return {};
}

}  // namespace

fs::path checkpoint_folder(const fs::path& dir, Iteration iteration) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "iteration-%010llu", static_cast<unsigned long long>(iteration.value));
  return dir / name.data();
}

std::string state_name(const std::string& block_name, std::uint32_t i) {
  return block_name + ".state" + std::to_string(i);
}

std::string clocks_name(const std::string& block_name) {
  return block_name + ".clocks";
}

std::vector<NamedShape> row_shapes(const BlockTable& table, BlockId block, std::uint64_t rows, bool optimizer,
                                   std::uint32_t state_per_element) {
  const TableSpec& spec = table.tables()[table.table_of(block)];
  const std::string name = table.name(block);
  if (!optimizer) {
    return {{name + ".ids", {rows}, ElementType::integer64}, {name + ".values", {rows, spec.width}}};
  }
  std::vector<NamedShape> shapes;
  for (std::uint32_t i = 0; i < state_per_element; ++i) {
    shapes.push_back({state_name(name, i), {rows, spec.width}});
  }
  if (spec.expire_after != 0) {
    shapes.push_back({name + ".touched", {rows}, ElementType::integer64});
  }
  return shapes;
}

std::vector<std::uint64_t> block_shape(const BlockTable& table, BlockId block) {
  const BlockTable::Block& b = table[block];
  if (table.tensor_blocks(b.tensor) == 1) {
    return table.tensor(b.tensor).shape;
  }
  return {b.elements};
}

Result<std::vector<WrittenFile>> write_shard(const fs::path& dir, Iteration iteration, const ServerId& server,
                                             Incarnation incarnation, const BlockTable& table,
                                             std::span<const StoredBlock> blocks, const DoneWith& done_with) {
  const fs::path folder = checkpoint_folder(dir, iteration);
  if (auto made = make_folder(folder); !made) {
    return made.failure();
  }
  const std::string stem = server.value + "-" + std::to_string(incarnation.value);
  const SafetensorsMetadata metadata{{"format", "ringps"},
                                     {"iteration", std::to_string(iteration.value)},
                                     {"server", server.value},
                                     {"incarnation", std::to_string(incarnation.value)}};
  for (const StoredBlock& stored : blocks) {
    check(stored.rows != nullptr || stored.values.size() == table[stored.block].elements * sizeof(float),
          "a block has all its values");
    check(stored.rows != nullptr || stored.state.size() % stored.values.size() == 0,
          "a block has whole runs of optimizer state");
  }
  std::vector<FilePlan> plans{plan_file(table, blocks, false, free_name(folder, stem, "weights"))};
  if (FilePlan state = plan_file(table, blocks, true, free_name(folder, stem, "optimizer")); !state.blocks.empty()) {
    plans.push_back(std::move(state));
  }
  std::vector<WrittenFile> files;
  for (const FilePlan& plan : plans) {
    auto file = write_file(folder, plan, table, metadata, &plan == &plans.back() ? done_with : DoneWith{});
    if (!file) {
      return file.failure();
    }
    files.push_back(std::move(file).value());
  }
  return files;
}

Result<CommittedManifest> commit(const fs::path& dir, const Manifest& manifest) {
  const fs::path folder = checkpoint_folder(dir, manifest.iteration);
  const fs::path path = folder / manifest_name;
  const std::string text = to_json(manifest);
  const auto present = read_manifest_as_is(folder);
  if (present && (present->cluster != manifest.cluster || present->config_digest != manifest.config_digest)) {
    return Error{path.string() + ": cannot commit: there is a checkpoint of another run (cluster '" + present->cluster +
                 "'): use another run folder"};
  }
  if (const auto readable = parse_manifest(text); !readable) {
    return Error{path.string() + ": cannot commit: " + readable.error()};
  }
  if (const auto problems = coverage_problems(manifest); !problems.empty()) {
    return Error{path.string() + ": cannot commit: " + problems.front()};
  }
  if (auto checked = check_files(folder, manifest); !checked) {
    return checked.failure();
  }
  if (auto written = write_text(path, text); !written) {
    return written.failure();
  }
  return CommittedManifest{folder, sha256_hex(text)};
}

Result<std::vector<CommittedCheckpoint>> list_checkpoints(const fs::path& dir) {
  const auto folders = iteration_folders(dir);
  if (!folders) {
    return folders.failure();
  }
  std::vector<CommittedCheckpoint> committed;
  for (const IterationFolder& entry : *folders) {
    if (entry.committed) {
      committed.push_back({entry.iteration, entry.folder});
    }
  }
  return committed;
}

Result<std::vector<fs::path>> prune(const fs::path& dir, std::uint32_t keep, Iteration last) {
  const auto folders = iteration_folders(dir);
  if (!folders) {
    return folders.failure();
  }
  std::uint32_t committed = 0;
  std::vector<fs::path> deleted;
  for (const IterationFolder& entry : *folders) {
    if (entry.iteration > last) {
      continue;
    }
    committed += entry.committed ? 1 : 0;
    const bool stays = committed == 0 || (entry.committed && committed <= std::max(keep, 1U));
    if (stays) {
      continue;
    }
    if (auto gone = delete_checkpoint(entry.folder); !gone) {
      return gone.failure();
    }
    deleted.push_back(entry.folder);
  }
  return deleted;
}

Result<fs::path> resolve_checkpoint(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path / manifest_name, ignored)) {
    return path;
  }
  for (const fs::path& dir : {path, path / "checkpoints"}) {
    const auto found = list_checkpoints(dir);
    if (!found) {
      return found.failure();
    }
    if (!found->empty()) {
      return found->front().folder;
    }
  }
  const std::string root = path.string();
  return Error{root + ": no committed checkpoint found: looked for " + root + "/manifest.json, " + root +
               "/iteration-*/manifest.json and " + root + "/checkpoints/iteration-*/manifest.json"};
}

}  // namespace ringps
