#include "libps/storage/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <tuple>
#include <unordered_set>

#include "libps/base/check.hpp"
#include "libps/storage/json.hpp"

namespace ringps {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::size_t data_alignment_bytes = 8;
constexpr std::size_t header_nesting_max = 4;
constexpr const char* metadata_key = "__metadata__";
constexpr std::uint64_t uint64_max = std::numeric_limits<std::uint64_t>::max();

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

Result<SafetensorsMetadata> parse_metadata(const json& value) {
  if (!value.is_object()) {
    return Error{"__metadata__ is not an object"};
  }
  SafetensorsMetadata metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      return Error{"__metadata__: '" + key + "' is " + text.type_name() + ", expected a string"};
    }
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

const char* name_of(ElementType type) {
  return type == ElementType::float32 ? "F32" : "I64";
}

bool is_list_of_naturals(const json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const json& entry) { return entry.is_number_unsigned(); });
}

Result<TensorEntry> parse_tensor(const std::string& name, const json& value) {
  const std::string where = "tensor '" + name + "': ";
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets")) {
    return Error{where + "expected an object of dtype, shape and data_offsets"};
  }
  const bool floats = value["dtype"] == name_of(ElementType::float32);
  if (!floats && value["dtype"] != name_of(ElementType::integer64)) {
    return Error{where + "dtype is " + value["dtype"].dump() + R"(, expected "F32" or "I64")"};
  }
  if (!is_list_of_naturals(value["shape"])) {
    return Error{where + "shape is not a list of non-negative integers"};
  }
  const json& offsets = value["data_offsets"];
  if (!is_list_of_naturals(offsets) || offsets.size() != 2) {
    return Error{where + "data_offsets is not a pair of non-negative integers"};
  }
  TensorEntry entry{name, value["shape"].get<std::vector<std::uint64_t>>(), offsets[0].get<std::uint64_t>(),
                    offsets[1].get<std::uint64_t>(), floats ? ElementType::float32 : ElementType::integer64};
  if (entry.begin > entry.end) {
    return Error{where + "data_offsets begin at " + std::to_string(entry.begin) + ", behind their end " +
                 std::to_string(entry.end)};
  }
  const auto bytes = tensor_bytes(entry.shape, entry.type);
  if (!bytes) {
    return Error{where + bytes.error()};
  }
  if (entry.bytes() != *bytes) {
    return Error{where + "data_offsets span " + std::to_string(entry.bytes()) + " bytes, but its shape has " +
                 std::to_string(*bytes)};
  }
  return entry;
}

/// Each tensor begins where the one before ends, and the last ends with the data: no hole, no overlap, no rest.
Result<void> check_contiguous(const std::vector<TensorEntry>& sorted, std::uint64_t data_bytes) {
  std::uint64_t end = 0;
  for (const TensorEntry& tensor : sorted) {
    if (tensor.begin != end) {
      return Error{"tensor '" + tensor.name + "' begins at " + std::to_string(tensor.begin) + ", expected " +
                   std::to_string(end) + ": tensors may not overlap or leave holes"};
    }
    end = tensor.end;
  }
  if (end != data_bytes) {
    return Error{"the tensors end at " + std::to_string(end) + ", but the data has " + std::to_string(data_bytes) +
                 " bytes"};
  }
  return {};
}

/// The header with its length in front and its padding behind: all that stands before the data.
Result<std::string> make_preamble(std::span<const NamedShape> tensors, const SafetensorsMetadata& metadata,
                                  std::uint64_t& data_bytes) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::unordered_set<std::string_view> names{metadata_key};
  // push_back keeps this linear; operator[] of an ordered object searches all keys before.
  auto& members = header.get_ref<nlohmann::ordered_json::object_t&>();
  if (!metadata.empty()) {
    members.push_back({metadata_key, metadata});
  }
  data_bytes = 0;
  for (const auto& [name, shape, type] : tensors) {
    const auto bytes = tensor_bytes(shape, type);
    if (!bytes || data_bytes > uint64_max - *bytes) {
      return Error{"tensor '" + name + "' is too large"};
    }
    if (!names.insert(name).second) {
      return Error{"the tensor name '" + name + "' is used twice or reserved"};
    }
    const std::array<std::uint64_t, 2> offsets{data_bytes, data_bytes + *bytes};
    members.push_back({name, {{"dtype", name_of(type)}, {"shape", shape}, {"data_offsets", offsets}}});
    data_bytes = offsets[1];
  }

  std::string preamble(length_bytes, '\0');
  try {
    preamble += header.dump();
  } catch (const json::exception& error) {  // a name that is not UTF-8
    return Error{std::string("the header cannot be written: ") + error.what()};
  }
  preamble.append((data_alignment_bytes - preamble.size() % data_alignment_bytes) % data_alignment_bytes, ' ');
  const std::uint64_t header_bytes = preamble.size() - length_bytes;
  if (header_bytes > safetensors_header_bytes_max) {
    return Error{"the header has " + std::to_string(header_bytes) + " bytes, expected at most " +
                 std::to_string(safetensors_header_bytes_max) + ": use larger blocks"};
  }
  std::copy_n(reinterpret_cast<const char*>(&header_bytes), length_bytes, preamble.data());
  return preamble;
}

}  // namespace

Result<std::uint64_t> tensor_bytes(std::span<const std::uint64_t> shape, ElementType type) {
  std::uint64_t bytes = type == ElementType::float32 ? sizeof(float) : sizeof(std::uint64_t);
  for (const std::uint64_t length : shape) {
    if (length != 0 && bytes > uint64_max / length) {
      return Error{"its shape has more bytes than 64 bits can count"};
    }
    bytes *= length;
  }
  return bytes;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, std::uint64_t data_bytes) {
  if (!text.starts_with('{')) {
    return Error{"the header does not start with '{'"};
  }
  auto parsed = parse_json(text, header_nesting_max);
  if (!parsed) {
    return Error{"the header " + parsed.error()};
  }
  SafetensorsHeader header;
  for (const auto& [name, value] : parsed->items()) {
    if (name == metadata_key) {
      auto metadata = parse_metadata(value);
      if (!metadata) {
        return metadata.failure();
      }
      header.metadata = std::move(metadata).value();
      continue;
    }
    auto tensor = parse_tensor(name, value);
    if (!tensor) {
      return tensor.failure();
    }
    header.tensors.push_back(std::move(tensor).value());
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  if (auto contiguous = check_contiguous(header.tensors, data_bytes); !contiguous) {
    return contiguous.failure();
  }
  return header;
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::filesystem::path& path,
                                                    std::span<const NamedShape> tensors,
                                                    const SafetensorsMetadata& metadata) {
  std::uint64_t data_bytes = 0;
  const auto preamble = make_preamble(tensors, metadata, data_bytes);
  if (!preamble) {
    return Error{path.string() + ": " + preamble.error()};
  }
  auto file = NewFile::create(path);
  if (!file) {
    return file.failure();
  }
  SafetensorsWriter writer(std::move(file).value(), preamble->size() + data_bytes);
  if (auto appended = writer.append(std::as_bytes(std::span(*preamble))); !appended) {
    return appended.failure();
  }
  return writer;
}

Result<void> SafetensorsWriter::append(std::span<const std::byte> values) {
  check(values.size() <= bytes_expected_ - bytes_, "no more values than the header announces");
  sha256_.update(values);
  bytes_ += values.size();
  return file_.append(values);
}

Result<FileDigest> SafetensorsWriter::publish() {
  check(bytes_ == bytes_expected_, "all values that the header announces have been written");
  if (auto published = file_.publish(); !published) {
    return published.failure();
  }
  return FileDigest{bytes_, sha256_.hex()};
}

SafetensorsFile::SafetensorsFile(InputFile file, SafetensorsHeader header, std::uint64_t data_start)
    : file_(std::move(file)), header_(std::move(header)), data_start_(data_start) {
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) {
    by_name_.emplace(header_.tensors[i].name, i);
  }
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  auto file = InputFile::open(path);
  if (!file) {
    return file.failure();
  }
  return open(std::move(file).value());
}

Result<SafetensorsFile> SafetensorsFile::open(InputFile file) {
  const auto refuse = [&](const std::string& why) {
    return Error{file.path().string() + ": not a valid safetensors file: " + why};
  };
  std::uint64_t header_bytes = 0;
  if (file.bytes() < length_bytes) {
    return refuse("it has " + std::to_string(file.bytes()) + " bytes, expected at least 8");
  }
  if (auto got = file.read(0, std::as_writable_bytes(std::span(&header_bytes, 1))); !got) {
    return got.failure();
  }
  if (header_bytes > std::min(safetensors_header_bytes_max, file.bytes() - length_bytes)) {
    return refuse("its header claims " + std::to_string(header_bytes) + " bytes, but the file has " +
                  std::to_string(file.bytes()) + " and the most that is accepted is " +
                  std::to_string(safetensors_header_bytes_max));
  }
  std::string text(header_bytes, '\0');
  if (auto got = file.read(length_bytes, std::as_writable_bytes(std::span(text))); !got) {
    return got.failure();
  }
  const std::uint64_t data_start = length_bytes + header_bytes;
  auto header = parse_safetensors_header(text, file.bytes() - data_start);
  if (!header) {
    return refuse(header.error());
  }
  return SafetensorsFile(std::move(file), std::move(header).value(), data_start);
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &header_.tensors[found->second];
}

Result<void> SafetensorsFile::read(const TensorEntry& tensor, std::span<std::byte> out) const {
  check(out.size() == tensor.bytes(), "the destination has the tensor's length");
  return file_.read(data_start_ + tensor.begin, out);
}

}  // namespace ringps
