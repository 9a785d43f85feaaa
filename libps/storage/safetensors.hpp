// The safetensors file format (https://huggingface.co/docs/safetensors), as far as ringps needs it: tensors of float32
// and of 64-bit integers.
//
//   8 bytes   length of the header, little-endian
//   header    JSON object, padded with spaces so that the data starts at a multiple of 8 bytes:
//             name → {"dtype": "F32" or "I64", "shape": [...], "data_offsets": [begin, end]}, and "__metadata__" → text
//             to text
//   data      the tensors' little-endian values, one after another without holes; offsets count from here
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/base/sha256.hpp"
#include "libps/storage/file.hpp"

namespace ringps {

/// The format allows 100 MB; this is enough for some 300,000 tensors.
inline constexpr std::uint64_t safetensors_header_bytes_max = 32U << 20U;

using SafetensorsMetadata = std::map<std::string, std::string>;

enum class ElementType : std::uint8_t { float32, integer64 };

/// A tensor that is to be written.
struct NamedShape {
  std::string name;
  std::vector<std::uint64_t> shape;
  ElementType type = ElementType::float32;
};

/// A tensor of a file.
struct TensorEntry {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  ///< bytes, from the start of the data
  std::uint64_t end = 0;
  ElementType type = ElementType::float32;

  std::uint64_t bytes() const { return end - begin; }
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  ///< in the order of their data
  SafetensorsMetadata metadata;
};

/// Reads the JSON of a header and holds it against every rule of the format. `data_bytes`: length of what follows it.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, std::uint64_t data_bytes);

/// Bytes of a tensor, if they can be counted in 64 bits.
Result<std::uint64_t> tensor_bytes(std::span<const std::uint64_t> shape, ElementType type = ElementType::float32);

struct FileDigest {
  std::uint64_t bytes = 0;
  std::string sha256;  ///< hexadecimal
};

/// Writes a file from values as they come, without keeping them. The file appears under its name when it is published;
/// before that, an error or the destructor removes it.
class SafetensorsWriter {
 public:
  static Result<SafetensorsWriter> create(const std::filesystem::path& path, std::span<const NamedShape> tensors,
                                          const SafetensorsMetadata& metadata);

  /// The values of the tensors in the order of `tensors`, cut up in any way.
  Result<void> append(std::span<const std::byte> values);
  /// Makes the file durable under its name. All values must have been appended.
  Result<FileDigest> publish();

 private:
  SafetensorsWriter(NewFile file, std::uint64_t bytes_expected)
      : file_(std::move(file)), bytes_expected_(bytes_expected) {}

  NewFile file_;
  Sha256 sha256_;
  std::uint64_t bytes_ = 0;           ///< appended, including the header
  std::uint64_t bytes_expected_ = 0;  ///< of the whole file
};

/// An open file whose header has been checked. Values are read where they are asked for. Several threads may read.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path);
  static Result<SafetensorsFile> open(InputFile file);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<TensorEntry>& tensors() const { return header_.tensors; }
  const SafetensorsMetadata& metadata() const { return header_.metadata; }
  /// Null if there is no tensor of that name.
  const TensorEntry* find(const std::string& name) const;
  /// All values of a tensor of this file; `out` has its length.
  Result<void> read(const TensorEntry& tensor, std::span<std::byte> out) const;

 private:
  SafetensorsFile(InputFile file, SafetensorsHeader header, std::uint64_t data_start);

  InputFile file_;
  SafetensorsHeader header_;
  std::unordered_map<std::string, std::size_t> by_name_;  ///< index in header_.tensors
  std::uint64_t data_start_;
};

}  // namespace ringps
