#include "libps/storage/checkpoint_reader.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "libps/storage/checkpoint_store.hpp"
#include "libps/storage/safetensors.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

/// Opens a file and holds it against what the manifest says of it.
Result<InputFile> open_intact(const fs::path& folder, const WrittenFile& expected) {
  auto file = InputFile::open(folder / expected.name);
  if (!file) {
    return file.failure();
  }
  const std::string path = file->path().string();
  if (file->bytes() != expected.bytes) {
    return Error{path + ": has " + std::to_string(file->bytes()) + " bytes, the manifest says " +
                 std::to_string(expected.bytes) + ": the file is damaged, use another checkpoint"};
  }
  const auto sha256 = file->sha256();
  if (!sha256) {
    return sha256.failure();
  }
  if (*sha256 != expected.sha256) {
    return Error{path + ": its SHA-256 is " + *sha256 + ", the manifest says " + expected.sha256 +
                 ": the file is damaged, use another checkpoint"};
  }
  return file;
}

/// Calls `visit` for each block of a file's runs.
void for_each_block(const WrittenFile& file, const BlockTable& table, const std::function<void(BlockId)>& visit) {
  for (const BlockRun& run : file.runs) {
    if (const auto first = table.find(run)) {
      for (std::uint32_t i = 0; i < run.count; ++i) {
        visit(BlockId{first->value + i});
      }
    }
  }
}

/// The files of a checkpoint, opened and checked when something in them is asked for.
class Files {
 public:
  Files(const fs::path& folder, const Manifest& manifest, const BlockTable& table)
      : folder_(folder), manifest_(manifest), weights_of_(table.size()), optimizer_of_(table.size()) {
    for (std::size_t f = 0; f < manifest.files.size(); ++f) {
      const WrittenFile& file = manifest.files[f].file;
      auto& file_of = file.optimizer ? optimizer_of_ : weights_of_;
      for_each_block(file, table, [&](BlockId block) { file_of[block.value] = f; });
    }
  }

  /// Fills `values` with the tensor `name`, which belongs to `block`.
  Result<void> read(BlockId block, bool optimizer, const std::string& name, std::span<float> values) {
    const std::size_t index = (optimizer ? optimizer_of_ : weights_of_)[block.value];
    auto opened = open(index);
    if (!opened) {
      return opened.failure();
    }
    const SafetensorsFile& file = **opened;
    const TensorEntry* tensor = file.find(name);
    const auto out = std::as_writable_bytes(values);
    if (tensor == nullptr || tensor->bytes() != out.size()) {
      return Error{(folder_ / manifest_.files[index].file.name).string() + ": has no tensor '" + name + "' of " +
                   std::to_string(values.size()) + " elements, although the manifest says so"};
    }
    return file.read(*tensor, out);
  }

 private:
  Result<const SafetensorsFile*> open(std::size_t index) {
    if (const auto found = open_.find(index); found != open_.end()) {
      return &found->second;
    }
    auto intact = open_intact(folder_, manifest_.files[index].file);
    if (!intact) {
      return intact.failure();
    }
    auto file = SafetensorsFile::open(std::move(intact).value());
    if (!file) {
      return file.failure();
    }
    return &open_.emplace(index, std::move(file).value()).first->second;
  }

  const fs::path& folder_;
  const Manifest& manifest_;
  std::vector<std::size_t> weights_of_;    ///< per block: index in manifest_.files
  std::vector<std::size_t> optimizer_of_;  ///< the same; valid only where the optimizer has state
  std::map<std::size_t, SafetensorsFile> open_;
};

/// Whether both were cut into the same blocks; else what differs.
Result<void> check_same_layout(const fs::path& folder, const BlockTable& found, const BlockTable& expected) {
  const auto differs = [&](const std::string& what) {
    return Error{folder.string() + ": the checkpoint does not fit this run: " + what};
  };
  if (found.tensors().size() != expected.tensors().size()) {
    return differs("it has " + std::to_string(found.tensors().size()) + " tensors, expected " +
                   std::to_string(expected.tensors().size()));
  }
  for (std::uint32_t t = 0; t < expected.tensors().size(); ++t) {
    const TensorSpec& tensor = found.tensor(t);
    if (tensor.name != expected.tensor(t).name || tensor.shape != expected.tensor(t).shape) {
      return differs("its tensor " + std::to_string(t) + " is '" + tensor.name + "' of " +
                     std::to_string(tensor.elements()) + " elements, expected '" + expected.tensor(t).name + "' of " +
                     std::to_string(expected.tensor(t).elements()) + ", and of the same shape");
    }
    const BlockRun first{t, 0, 1};
    if (found[*found.find(first)].elements != expected[*expected.find(first)].elements) {
      return differs("its blocks of '" + tensor.name + "' have " + std::to_string(found[*found.find(first)].elements) +
                     " elements, expected " + std::to_string(expected[*expected.find(first)].elements) +
                     ": set block_elements to what the checkpoint was taken with");
    }
  }
  return {};
}

/// `clocks`: how many there are to read.
Result<LoadedBlock> load_block(Files& files, const BlockTable& table, std::uint32_t state_per_element, BlockId block,
                               std::uint32_t clocks = 0) {
  const std::size_t elements = table[block].elements;
  const std::string name = table.name(block);
  LoadedBlock loaded{block, Floats(elements), Floats(elements * state_per_element)};
  if (auto got = files.read(block, false, name, loaded.values); !got) {
    return got.failure();
  }
  for (std::uint32_t i = 0; i < state_per_element; ++i) {
    const auto state = std::span(loaded.state).subspan(i * elements, elements);
    if (auto got = files.read(block, true, state_name(name, i), state); !got) {
      return got.failure();
    }
  }
  loaded.clocks.resize(std::size_t{clocks} * 2);
  if (clocks != 0) {
    if (auto got = files.read(block, true, clocks_name(name), loaded.clocks); !got) {
      return got.failure();
    }
  }
  return loaded;
}

/// Indices of the tensors in order of their names.
std::vector<std::uint32_t> tensors_by_name(const Manifest& manifest) {
  std::vector<std::uint32_t> order(manifest.tensors.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return manifest.tensors[a].name < manifest.tensors[b].name; });
  return order;
}

/// Hands all weights to `take`: tensors in order of their names, each from its first element to its last.
Result<void> walk_weights(const fs::path& folder, const Manifest& manifest,
                          const std::function<Result<void>(std::span<const std::byte>)>& take) {
  const BlockTable table(manifest.tensors, manifest.block_elements);
  Files files(folder, manifest, table);
  for (const std::uint32_t tensor : tensors_by_name(manifest)) {
    const BlockId first = *table.find({tensor, 0, 1});
    for (std::uint32_t i = 0; i < table.tensor_blocks(tensor); ++i) {
      const auto block = load_block(files, table, 0, BlockId{first.value + i});
      if (!block) {
        return block.failure();
      }
      if (auto taken = take(std::as_bytes(std::span(block->values))); !taken) {
        return taken;
      }
    }
  }
  return {};
}

/// The tensors that a file has to have for its runs, with their shapes.
std::map<std::string, std::vector<std::uint64_t>> expected_tensors(const Manifest& manifest, const WrittenFile& file,
                                                                   const BlockTable& table) {
  std::map<std::string, std::vector<std::uint64_t>> expected;
  for_each_block(file, table, [&](BlockId block) {
    if (!file.optimizer) {
      expected.emplace(table.name(block), block_shape(table, block));
      return;
    }
    for (std::uint32_t i = 0; i < manifest.state_per_element; ++i) {
      expected.emplace(state_name(table.name(block), i), block_shape(table, block));
    }
    if (manifest.clocks > 0) {
      expected.emplace(clocks_name(table.name(block)), std::vector<std::uint64_t>{manifest.clocks, 2});
    }
  });
  return expected;
}

/// What is wrong with an intact file's tensors and version.
void verify_contents(const Manifest& manifest, const WrittenFile& file, const SafetensorsFile& contents,
                     const BlockTable& table, std::vector<std::string>& problems) {
  const auto expected = expected_tensors(manifest, file, table);
  for (const auto& [name, shape] : expected) {
    const TensorEntry* tensor = contents.find(name);
    if (tensor == nullptr) {
      problems.push_back(file.name + ": has no tensor '" + name + "'");
    } else if (tensor->shape != shape) {
      problems.push_back(file.name + ": the tensor '" + name + "' has another shape than the manifest says");
    }
  }
  for (const TensorEntry& tensor : contents.tensors()) {
    if (!expected.contains(tensor.name)) {
      problems.push_back(file.name + ": has the tensor '" + tensor.name + "', which the manifest does not name");
    }
  }
  const auto iteration = contents.metadata().find("iteration");
  const std::string found = iteration == contents.metadata().end() ? "none" : iteration->second;
  if (found != std::to_string(manifest.iteration.value)) {
    problems.push_back(file.name + ": was written at iteration " + found + ", the manifest says " +
                       std::to_string(manifest.iteration.value));
  }
}

}  // namespace

Result<std::vector<LoadedBlock>> load_blocks(const fs::path& folder, const BlockTable& table,
                                             std::uint32_t state_per_element, std::span<const BlockId> wanted,
                                             bool with_clocks) {
  const auto manifest = read_manifest(folder);
  if (!manifest) {
    return manifest.failure();
  }
  if (auto same = check_same_layout(folder, BlockTable(manifest->tensors, manifest->block_elements), table); !same) {
    return same.failure();
  }
  if (state_per_element != 0 && state_per_element != manifest->state_per_element) {
    return Error{folder.string() + ": the checkpoint does not fit this run: its optimizer '" + manifest->optimizer +
                 "' has " + std::to_string(manifest->state_per_element) + " floats of state per element, expected " +
                 std::to_string(state_per_element)};
  }
  Files files(folder, *manifest, table);
  std::vector<LoadedBlock> loaded;
  loaded.reserve(wanted.size());
  for (const BlockId block : wanted) {
    auto one = load_block(files, table, state_per_element, block, with_clocks ? manifest->clocks : 0);
    if (!one) {
      return one.failure();
    }
    loaded.push_back(std::move(one).value());
  }
  return loaded;
}

Verification verify_checkpoint(const fs::path& folder) {
  Verification result;
  const auto manifest = read_manifest_as_is(folder);
  if (!manifest) {
    result.problems.push_back(manifest.error());
    return result;
  }
  result.problems = coverage_problems(*manifest);
  const BlockTable table(manifest->tensors, manifest->block_elements);
  for (const auto& [server, file] : manifest->files) {
    ++result.files;
    result.bytes += file.bytes;
    auto intact = open_intact(folder, file);
    if (!intact) {
      result.problems.push_back(intact.error());
      continue;
    }
    const auto contents = SafetensorsFile::open(std::move(intact).value());
    if (!contents) {
      result.problems.push_back(contents.error());
      continue;
    }
    verify_contents(*manifest, file, *contents, table, result.problems);
  }
  return result;
}

Result<std::string> weights_sha256(const fs::path& folder) {
  const auto manifest = read_manifest(folder);
  if (!manifest) {
    return manifest.failure();
  }
  Sha256 sha256;
  const auto walked = walk_weights(folder, *manifest, [&](std::span<const std::byte> values) {
    sha256.update(values);
    return Result<void>();
  });
  if (!walked) {
    return walked.failure();
  }
  return sha256.hex();
}

Result<void> export_weights(const fs::path& folder, const fs::path& file) {
  const auto manifest = read_manifest(folder);
  if (!manifest) {
    return manifest.failure();
  }
  std::vector<NamedShape> tensors;
  for (const std::uint32_t tensor : tensors_by_name(*manifest)) {
    tensors.push_back({manifest->tensors[tensor].name, manifest->tensors[tensor].shape});
  }
  const SafetensorsMetadata metadata{
      {"format", "ringps"}, {"cluster", manifest->cluster}, {"iteration", std::to_string(manifest->iteration.value)}};
  auto writer = SafetensorsWriter::create(file, tensors, metadata);
  if (!writer) {
    return writer.failure();
  }
  auto walked =
      walk_weights(folder, *manifest, [&](std::span<const std::byte> values) { return writer->append(values); });
  if (!walked) {
    return walked;
  }
  if (const auto published = writer->publish(); !published) {
    return published.failure();
  }
  return {};
}

}  // namespace ringps
