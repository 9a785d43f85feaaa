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
  template <class T>
  Result<void> read(BlockId block, bool optimizer, const std::string& name, std::span<T> values) {
    const auto tensor = find(block, optimizer, name);
    if (!tensor) {
      return tensor.failure();
    }
    const auto out = std::as_writable_bytes(values);
    if (tensor->second->bytes() != out.size()) {
      return Error{tensor->first->path().string() + ": its tensor '" + name + "' has not the " +
                   std::to_string(values.size()) + " elements that it is to have"};
    }
    return tensor->first->read(*tensor->second, out);
  }

  /// Rows of a block of a table.
  Result<std::uint64_t> rows(BlockId block, const std::string& name) {
    const auto ids = find(block, false, name + ".ids");
    if (!ids) {
      return ids.failure();
    }
    return ids->second->bytes() / sizeof(std::uint64_t);
  }

 private:
  using Found = std::pair<const SafetensorsFile*, const TensorEntry*>;

  Result<Found> find(BlockId block, bool optimizer, const std::string& name) {
    const std::size_t index = (optimizer ? optimizer_of_ : weights_of_)[block.value];
    auto opened = open(index);
    if (!opened) {
      return opened.failure();
    }
    const TensorEntry* tensor = (*opened)->find(name);
    if (tensor == nullptr) {
      return Error{(folder_ / manifest_.files[index].file.name).string() + ": has no tensor '" + name +
                   "', although the manifest says so"};
    }
    return Found{*opened, tensor};
  }

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
  if (found.tables().size() != expected.tables().size()) {
    return differs("it has " + std::to_string(found.tables().size()) + " tables, expected " +
                   std::to_string(expected.tables().size()));
  }
  for (std::size_t t = 0; t < expected.tables().size(); ++t) {
    const TableSpec& has = found.tables()[t];
    const TableSpec& wants = expected.tables()[t];
    const auto text = [](const TableSpec& table) {
      return "'" + table.name + "' of width " + std::to_string(table.width) + " in " + std::to_string(table.buckets) +
             " buckets, whose rows expire after " + std::to_string(table.expire_after);
    };
    if (text(has) != text(wants)) {
      return differs("its table " + std::to_string(t) + " is " + text(has) + ", expected " + text(wants));
    }
  }
  return {};
}

/// With `state_per_element` all that training needs, without it the weights. `clocks`: how many there are to read.
Result<RowImage> load_rows(Files& files, const BlockTable& table, Iteration iteration,
                           std::optional<std::uint32_t> state_per_element, BlockId block, std::uint32_t clocks) {
  const TableSpec& spec = table.tables()[table.table_of(block)];
  const std::string name = table.name(block);
  const auto rows = files.rows(block, name);
  if (!rows) {
    return rows.failure();
  }
  const auto count = static_cast<std::size_t>(*rows);
  const std::uint32_t kinds = state_per_element.value_or(0);
  RowImage image{
      iteration, std::vector<std::uint64_t>(count), Floats(count * spec.width), Floats(count * spec.width * kinds), {}};
  auto got = files.read(block, false, name + ".ids", std::span(image.ids));
  if (got) {
    got = files.read(block, false, name + ".values", std::span(image.values));
  }
  for (std::uint32_t i = 0; got && i < kinds; ++i) {
    const std::size_t run = count * spec.width;
    got = files.read(block, true, state_name(name, i), std::span(image.state).subspan(i * run, run));
  }
  if (got && state_per_element && spec.expire_after != 0) {
    image.touched.resize(count);
    got = files.read(block, true, name + ".touched", std::span(image.touched));
  }
  image.clocks.resize(std::size_t{clocks} * 2);
  if (got && clocks != 0) {
    got = files.read(block, true, clocks_name(name), std::span(image.clocks));
  }
  if (!got) {
    return got.failure();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (table.block_of(table.table_of(block), image.ids[i]) != block || (i > 0 && image.ids[i - 1] >= image.ids[i])) {
      return Error{name + ".ids: row " + std::to_string(image.ids[i]) +
                   " does not belong there: ids ascend, and each bucket has its own"};
    }
  }
  return image;
}

/// As load_rows, of either kind.
Result<LoadedBlock> load_block(Files& files, const BlockTable& table, Iteration iteration,
                               std::optional<std::uint32_t> state_per_element, BlockId block,
                               std::uint32_t clocks = 0) {
  if (table.is_rows(block)) {
    auto rows = load_rows(files, table, iteration, state_per_element, block, clocks);
    if (!rows) {
      return rows.failure();
    }
    return LoadedBlock{block, {}, {}, {}, std::move(*rows)};
  }
  const std::size_t elements = table[block].elements;
  const std::uint32_t kinds = state_per_element.value_or(0);
  const std::string name = table.name(block);
  LoadedBlock loaded{block, Floats(elements), Floats(elements * kinds), {}, {}};
  if (auto got = files.read(block, false, name, std::span(loaded.values)); !got) {
    return got.failure();
  }
  for (std::uint32_t i = 0; i < kinds; ++i) {
    const auto state = std::span(loaded.state).subspan(i * elements, elements);
    if (auto got = files.read(block, true, state_name(name, i), state); !got) {
      return got.failure();
    }
  }
  loaded.clocks.resize(std::size_t{clocks} * 2);
  if (clocks != 0) {
    if (auto got = files.read(block, true, clocks_name(name), std::span(loaded.clocks)); !got) {
      return got.failure();
    }
  }
  return loaded;
}

BlockTable table_of(const Manifest& manifest) {
  return BlockTable(manifest.tensors, manifest.block_elements, manifest.tables);
}

/// Indices of the tensors and tables, as in BlockRun, in order of their names.
std::vector<std::uint32_t> all_by_name(const Manifest& manifest) {
  const auto name = [&](std::uint32_t i) -> const std::string& {
    const std::size_t tensors = manifest.tensors.size();
    return i < tensors ? manifest.tensors[i].name : manifest.tables[i - tensors].name;
  };
  std::vector<std::uint32_t> order(manifest.tensors.size() + manifest.tables.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return name(a) < name(b); });
  return order;
}

using Take = std::function<Result<void>(std::span<const std::byte>)>;

/// Hands all weights to `take`: tensors and tables in order of their names, each from its first element to its last; of
/// a table all ids, and then all values.
Result<void> walk_weights(Files& files, const Manifest& manifest, const BlockTable& table, const Take& take) {
  const auto walk = [&](std::uint32_t index, const auto& part) -> Result<void> {
    const BlockId first = *table.find({index, 0, 1});
    for (std::uint32_t i = 0; i < table.tensor_blocks(index); ++i) {
      const auto block = load_block(files, table, manifest.iteration, std::nullopt, BlockId{first.value + i});
      if (!block) {
        return block.failure();
      }
      if (auto taken = take(part(*block)); !taken) {
        return taken;
      }
    }
    return {};
  };
  for (const std::uint32_t index : all_by_name(manifest)) {
    Result<void> walked;
    if (index < manifest.tensors.size()) {
      walked = walk(index, [](const LoadedBlock& b) { return std::as_bytes(std::span(b.values)); });
    } else {
      walked = walk(index, [](const LoadedBlock& b) { return std::as_bytes(std::span(b.rows->ids)); });
      if (walked) {
        walked = walk(index, [](const LoadedBlock& b) { return std::as_bytes(std::span(b.rows->values)); });
      }
    }
    if (!walked) {
      return walked;
    }
  }
  return {};
}

/// The tensors that a file has to have for its runs, with their shapes.
std::map<std::string, std::vector<std::uint64_t>> expected_tensors(const Manifest& manifest, const WrittenFile& file,
                                                                   const SafetensorsFile& contents,
                                                                   const BlockTable& table) {
  std::map<std::string, std::vector<std::uint64_t>> expected;
  for_each_block(file, table, [&](BlockId block) {
    if (table.is_rows(block)) {  // as many rows as there are of the first of them
      const auto shapes = row_shapes(table, block, 0, file.optimizer, manifest.state_per_element);
      const TensorEntry* first = shapes.empty() ? nullptr : contents.find(shapes.front().name);
      const std::uint64_t rows = first == nullptr || first->shape.empty() ? 0 : first->shape.front();
      for (const NamedShape& each : row_shapes(table, block, rows, file.optimizer, manifest.state_per_element)) {
        expected.emplace(each.name, each.shape);
      }
    } else if (!file.optimizer) {
      expected.emplace(table.name(block), block_shape(table, block));
    } else {
      for (std::uint32_t i = 0; i < manifest.state_per_element; ++i) {
        expected.emplace(state_name(table.name(block), i), block_shape(table, block));
      }
    }
    if (file.optimizer && manifest.clocks > 0) {
      expected.emplace(clocks_name(table.name(block)), std::vector<std::uint64_t>{manifest.clocks, 2});
    }
  });
  return expected;
}

/// What is wrong with an intact file's tensors and version.
void verify_contents(const Manifest& manifest, const WrittenFile& file, const SafetensorsFile& contents,
                     const BlockTable& table, std::vector<std::string>& problems) {
  const auto expected = expected_tensors(manifest, file, contents, table);
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
                                             std::optional<std::uint32_t> state_per_element,
                                             std::span<const BlockId> wanted, bool with_clocks) {
  const auto manifest = read_manifest(folder);
  if (!manifest) {
    return manifest.failure();
  }
  if (auto same = check_same_layout(folder, table_of(*manifest), table); !same) {
    return same.failure();
  }
  if (state_per_element.value_or(0) != 0 && state_per_element != manifest->state_per_element) {
    return Error{folder.string() + ": the checkpoint does not fit this run: its optimizer '" + manifest->optimizer +
                 "' has " + std::to_string(manifest->state_per_element) + " floats of state per element, expected " +
                 std::to_string(*state_per_element)};
  }
  Files files(folder, *manifest, table);
  std::vector<LoadedBlock> loaded;
  loaded.reserve(wanted.size());
  for (const BlockId block : wanted) {
    auto one =
        load_block(files, table, manifest->iteration, state_per_element, block, with_clocks ? manifest->clocks : 0);
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
  const BlockTable table = table_of(*manifest);
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
  const BlockTable table = table_of(*manifest);
  Files files(folder, *manifest, table);
  Sha256 sha256;
  const auto walked = walk_weights(files, *manifest, table, [&](std::span<const std::byte> values) {
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
  const BlockTable table = table_of(*manifest);
  Files files(folder, *manifest, table);
  std::vector<NamedShape> tensors;
  for (const std::uint32_t index : all_by_name(*manifest)) {
    if (index < manifest->tensors.size()) {
      tensors.push_back({manifest->tensors[index].name, manifest->tensors[index].shape});
      continue;
    }
    const TableSpec& spec = manifest->tables[index - manifest->tensors.size()];
    const BlockId first = *table.find({index, 0, 1});
    std::uint64_t rows = 0;
    for (std::uint32_t i = 0; i < spec.buckets; ++i) {
      const BlockId block{first.value + i};
      const auto in_block = files.rows(block, table.name(block));
      if (!in_block) {
        return in_block.failure();
      }
      rows += *in_block;
    }
    tensors.push_back({spec.name + ".ids", {rows}, ElementType::integer64});
    tensors.push_back({spec.name + ".values", {rows, spec.width}});
  }
  const SafetensorsMetadata metadata{
      {"format", "ringps"}, {"cluster", manifest->cluster}, {"iteration", std::to_string(manifest->iteration.value)}};
  auto writer = SafetensorsWriter::create(file, tensors, metadata);
  if (!writer) {
    return writer.failure();
  }
  auto walked =
      walk_weights(files, *manifest, table, [&](std::span<const std::byte> values) { return writer->append(values); });
  if (!walked) {
    return walked;
  }
  if (const auto published = writer->publish(); !published) {
    return published.failure();
  }
  return {};
}

}  // namespace ringps
