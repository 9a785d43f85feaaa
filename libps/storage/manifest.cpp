#include "libps/storage/manifest.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "libps/base/sha256.hpp"
#include "libps/storage/file.hpp"
#include "libps/storage/json.hpp"

namespace ringps {
namespace {

using nlohmann::json;

constexpr std::string_view format_name = "ringps-checkpoint";
constexpr std::uint32_t format_version = 1;
constexpr std::size_t manifest_nesting_max = 8;

/// Thrown inside this file only; parse_manifest turns it into an Error.
struct Malformed {
  std::string what;
};

/// Reads an object key by key, and in the end refuses keys that nobody asked for.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) {
      throw Malformed{where_ + " is " + object.type_name() + ", expected an object"};
    }
  }

  const json& at(const std::string& key) {
    const auto found = object_.find(key);
    if (found == object_.end()) {
      throw Malformed{where_ + " has no '" + key + "'"};
    }
    read_.insert(key);
    return *found;
  }

  bool has(const std::string& key) const { return object_.contains(key); }

  std::string text(const std::string& key) {
    const json& value = at(key);
    if (!value.is_string()) {
      throw Malformed{place(key) + " is " + value.dump() + ", expected a string"};
    }
    return value.get<std::string>();
  }

  std::string digest(const std::string& key) {
    std::string value = text(key);
    if (!is_sha256_hex(value)) {
      throw Malformed{place(key) + " is '" + value + "', expected 64 lower-case hexadecimal digits"};
    }
    return value;
  }

  template <class Number>
  Number natural(const std::string& key, Number least = 0, Number most = std::numeric_limits<Number>::max()) {
    const json& value = at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least || value.get<std::uint64_t>() > most) {
      throw Malformed{place(key) + " is " + value.dump() + ", expected an integer from " + std::to_string(least) +
                      " to " + std::to_string(most)};
    }
    return value.get<Number>();
  }

  const json& list(const std::string& key) {
    const json& value = at(key);
    if (!value.is_array()) {
      throw Malformed{place(key) + " is " + value.type_name() + ", expected a list"};
    }
    return value;
  }

  std::string place(const std::string& key) const { return where_ + ": '" + key + "'"; }

  void end() const {
    for (const auto& [key, value] : object_.items()) {
      if (!read_.contains(key)) {
        throw Malformed{where_ + " has the unknown key '" + key + "'"};
      }
    }
  }

 private:
  const json& object_;
  std::string where_;
  std::set<std::string> read_;
};

std::uint64_t block_count(const TensorSpec& tensor, std::uint32_t block_elements) {
  const std::uint64_t elements = tensor.elements();
  return elements / block_elements + (elements % block_elements == 0 ? 0 : 1);
}

TensorSpec read_tensor(const json& value) {
  ObjectReader reader(value, "a tensor");
  TensorSpec tensor{reader.text("name"), {}, {}};
  // Elements times four bytes must fit an off_t.
  std::uint64_t room = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / sizeof(float);
  for (const json& length : reader.list("shape")) {
    if (!length.is_number_unsigned() || length.get<std::uint64_t>() == 0 || length.get<std::uint64_t>() > room) {
      throw Malformed{"tensor '" + tensor.name + "': its shape has the length " + length.dump() +
                      ", expected a positive integer"};
    }
    room /= length.get<std::uint64_t>();
    tensor.shape.push_back(length.get<std::uint64_t>());
  }
  reader.end();
  return tensor;
}

TableSpec read_table(const json& value) {
  ObjectReader reader(value, "a table");
  TableSpec table;
  table.name = reader.text("name");
  table.width = reader.natural<std::uint32_t>("width", 1);
  table.buckets = reader.natural<std::uint32_t>("buckets", 1);
  table.expire_after = reader.natural<std::uint32_t>("expire_after");
  reader.end();
  return table;
}

using TensorIndex = std::map<std::string, std::uint32_t>;

BlockRun read_run(const json& value, const std::string& file_name, const TensorIndex& tensors) {
  ObjectReader reader(value, "file '" + file_name + "': a run of blocks");
  const std::string tensor = reader.text("tensor");
  const auto found = tensors.find(tensor);
  if (found == tensors.end()) {
    throw Malformed{"file '" + file_name + "' has blocks of '" + tensor + "', which is not among the tensors"};
  }
  const BlockRun run{found->second, reader.natural<std::uint32_t>("first_block"),
                     reader.natural<std::uint32_t>("blocks", 1)};
  reader.end();
  return run;
}

ManifestFile read_file(const json& value, const TensorIndex& tensors) {
  ObjectReader reader(value, "a file");
  ManifestFile entry;
  entry.server = ServerId{reader.text("server")};
  WrittenFile& file = entry.file;
  file.name = reader.text("name");
  if (file.name.empty() || file.name.starts_with('.') || file.name.find('/') != std::string::npos) {
    throw Malformed{"a file is named '" + file.name + "', expected a plain name within the checkpoint's folder"};
  }
  const std::string kind = reader.text("kind");
  if (kind != "weights" && kind != "optimizer") {
    throw Malformed{"file '" + file.name + "' is of kind '" + kind + "', expected weights or optimizer"};
  }
  file.optimizer = kind == "optimizer";
  file.bytes = reader.natural<std::uint64_t>("bytes");
  file.sha256 = reader.digest("sha256");
  for (const json& run : reader.list("blocks")) {
    file.runs.push_back(read_run(run, file.name, tensors));
  }
  reader.end();
  return entry;
}

TensorIndex read_tensors(ObjectReader& top, Manifest& manifest) {
  TensorIndex index;
  std::uint64_t blocks = 0;
  const auto add = [&](const std::string& name, std::uint64_t count) {
    if (!index.emplace(name, static_cast<std::uint32_t>(index.size())).second) {
      throw Malformed{"there are two tensors '" + name + "'"};
    }
    if (count > manifest_blocks_max - blocks) {
      throw Malformed{"the tensors have more than " + std::to_string(manifest_blocks_max) + " blocks"};
    }
    blocks += count;
  };
  for (const json& value : top.list("tensors")) {
    manifest.tensors.push_back(read_tensor(value));
    add(manifest.tensors.back().name, block_count(manifest.tensors.back(), manifest.block_elements));
  }
  if (top.has("tables")) {
    for (const json& value : top.list("tables")) {
      manifest.tables.push_back(read_table(value));
      add(manifest.tables.back().name, manifest.tables.back().buckets);
    }
  }
  return index;
}

void read_files(ObjectReader& top, const TensorIndex& tensors, Manifest& manifest) {
  std::set<std::string> names;
  for (const json& value : top.list("files")) {
    manifest.files.push_back(read_file(value, tensors));
    if (!names.insert(manifest.files.back().file.name).second) {
      throw Malformed{"the file '" + manifest.files.back().file.name + "' is listed twice"};
    }
  }
}

Manifest read(const json& document) {
  ObjectReader top(document, "the manifest");
  if (const std::string format = top.text("format"); format != format_name) {
    throw Malformed{"its format is '" + format + "', expected '" + std::string(format_name) + "'"};
  }
  if (const auto version = top.natural<std::uint32_t>("format_version"); version != format_version) {
    throw Malformed{"its format_version is " + std::to_string(version) + ", this program knows version " +
                    std::to_string(format_version)};
  }
  Manifest manifest;
  manifest.cluster = top.text("cluster");
  manifest.config_digest = top.digest("config_digest");
  manifest.seed = top.natural<std::uint64_t>("seed");
  manifest.iteration = Iteration{top.natural<std::uint64_t>("iteration")};
  manifest.epoch = Epoch{top.natural<std::uint64_t>("epoch")};
  manifest.slices = top.natural<std::uint32_t>("slices", 1);

  ObjectReader ring(top.at("ring"), "'ring'");
  manifest.virtual_nodes = ring.natural<std::uint32_t>("virtual_nodes", 1);
  manifest.replicas = ring.natural<std::uint32_t>("replicas", 1);
  manifest.block_elements = ring.natural<std::uint32_t>("block_elements", 1);
  ring.end();

  ObjectReader optimizer(top.at("optimizer"), "'optimizer'");
  manifest.optimizer = optimizer.text("kind");
  manifest.state_per_element = optimizer.natural<std::uint32_t>("state_per_element", 0, state_per_element_max);
  optimizer.end();
  if (top.has("clocks")) {
    manifest.clocks = top.natural<std::uint32_t>("clocks", 1);
  }

  const TensorIndex tensors = read_tensors(top, manifest);
  read_files(top, tensors, manifest);
  top.end();
  return manifest;
}

/// Runs of blocks of one tensor, of files of one kind.
struct PlacedRun {
  std::uint64_t first;
  std::uint64_t end;
};

std::string describe(const std::string& tensor, std::uint64_t first, std::uint64_t end) {
  return "blocks " + std::to_string(first) + " to " + std::to_string(end - 1) + " of '" + tensor + "'";
}

/// The runs of one tensor or table have to follow one another from 0 to `blocks`.
void check_runs(std::vector<PlacedRun> runs, const std::string& tensor, std::uint64_t blocks, const std::string& kind,
                std::vector<std::string>& problems) {
  std::sort(runs.begin(), runs.end(), [](const PlacedRun& a, const PlacedRun& b) { return a.first < b.first; });
  std::uint64_t end = 0;
  for (const PlacedRun& run : runs) {
    if (run.end > blocks) {
      problems.push_back(kind + ": " + describe(tensor, run.first, run.end) + " are listed, but it has only " +
                         std::to_string(blocks));
    }
    if (run.first > end) {
      problems.push_back(kind + ": " + describe(tensor, end, run.first) + " are in no file");
    } else if (run.first < end) {
      problems.push_back(kind + ": " + describe(tensor, run.first, std::min(run.end, end)) + " are listed twice");
    }
    end = std::max(end, run.end);
  }
  if (end < blocks) {
    problems.push_back(kind + ": " + describe(tensor, end, blocks) + " are in no file");
  }
}

void check_kind(const Manifest& manifest, bool optimizer, std::vector<std::string>& problems) {
  const std::string kind = optimizer ? "optimizer state" : "weights";
  const std::size_t tensors = manifest.tensors.size();
  std::vector<std::vector<PlacedRun>> runs(tensors + manifest.tables.size());
  for (const ManifestFile& entry : manifest.files) {
    for (const BlockRun& run : entry.file.runs) {
      if (entry.file.optimizer != optimizer) {
        continue;
      }
      if (run.tensor >= runs.size()) {
        problems.push_back("file '" + entry.file.name + "' has blocks of a tensor that does not exist");
        continue;
      }
      runs[run.tensor].push_back({run.first, std::uint64_t{run.first} + run.count});
    }
  }
  for (std::size_t t = 0; t < tensors; ++t) {
    const TensorSpec& tensor = manifest.tensors[t];
    const bool wanted = !optimizer || manifest.state_per_element > 0 || manifest.clocks > 0;
    check_runs(std::move(runs[t]), tensor.name, wanted ? block_count(tensor, manifest.block_elements) : 0, kind,
               problems);
  }
  for (std::size_t t = 0; t < manifest.tables.size(); ++t) {
    const TableSpec& table = manifest.tables[t];
    const bool wanted = !optimizer || manifest.state_per_element > 0 || table.expire_after > 0 || manifest.clocks > 0;
    check_runs(std::move(runs[tensors + t]), table.name, wanted ? table.buckets : 0, kind, problems);
  }
}

}  // namespace

std::vector<std::string> coverage_problems(const Manifest& manifest) {
  std::vector<std::string> problems;
  check_kind(manifest, false, problems);
  check_kind(manifest, true, problems);
  return problems;
}

std::string to_json(const Manifest& manifest) {
  using nlohmann::ordered_json;
  ordered_json tensors = ordered_json::array();
  for (const TensorSpec& tensor : manifest.tensors) {
    tensors.push_back({{"name", tensor.name}, {"shape", tensor.shape}});
  }
  ordered_json files = ordered_json::array();
  for (const auto& [server, file] : manifest.files) {
    ordered_json blocks = ordered_json::array();
    for (const BlockRun& run : file.runs) {
      const std::size_t dense = manifest.tensors.size();
      const std::string& name =
          run.tensor < dense ? manifest.tensors[run.tensor].name : manifest.tables[run.tensor - dense].name;
      blocks.push_back({{"tensor", name}, {"first_block", run.first}, {"blocks", run.count}});
    }
    files.push_back({{"server", server.value},
                     {"kind", file.optimizer ? "optimizer" : "weights"},
                     {"name", file.name},
                     {"bytes", file.bytes},
                     {"sha256", file.sha256},
                     {"blocks", std::move(blocks)}});
  }
  ordered_json document{
      {"format", format_name},
      {"format_version", format_version},
      {"cluster", manifest.cluster},
      {"config_digest", manifest.config_digest},
      {"seed", manifest.seed},
      {"iteration", manifest.iteration.value},
      {"epoch", manifest.epoch.value},
      {"slices", manifest.slices},
      {"ring",
       {{"virtual_nodes", manifest.virtual_nodes},
        {"replicas", manifest.replicas},
        {"block_elements", manifest.block_elements}}},
      {"optimizer", {{"kind", manifest.optimizer}, {"state_per_element", manifest.state_per_element}}},
      {"tensors", std::move(tensors)},
  };
  for (const TableSpec& table : manifest.tables) {
    document["tables"].push_back({{"name", table.name},
                                  {"width", table.width},
                                  {"buckets", table.buckets},
                                  {"expire_after", table.expire_after}});
  }
  document["files"] = std::move(files);
  if (manifest.clocks > 0) {
    document["clocks"] = manifest.clocks;
  }
  return document.dump(1) + "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
  const auto document = parse_json(text, manifest_nesting_max);
  if (!document) {
    return document.failure();
  }
  try {
    return read(*document);
  } catch (const Malformed& malformed) {
    return Error{malformed.what};
  }
}

Result<Manifest> read_manifest_as_is(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / manifest_name;
  const auto text = read_text(path, manifest_bytes_max);
  if (!text) {
    return text.failure();
  }
  auto manifest = parse_manifest(*text);
  if (!manifest) {
    return Error{path.string() + ": not a valid checkpoint manifest: " + manifest.error()};
  }
  return manifest;
}

Result<Manifest> read_manifest(const std::filesystem::path& folder) {
  auto manifest = read_manifest_as_is(folder);
  if (manifest) {
    if (const auto problems = coverage_problems(*manifest); !problems.empty()) {
      return Error{(folder / manifest_name).string() + ": not a whole checkpoint: " + problems.front()};
    }
  }
  return manifest;
}

}  // namespace ringps
