#include "libps/data/idx.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "libps/data/gzip_reader.hpp"

namespace ringps {
namespace {

constexpr std::uint32_t magic_of_bytes = 0x00000800;  // the type "unsigned byte", plus the number of dimensions

/// One big-endian number of the header.
Result<std::uint32_t> read_number(GzipReader& reader, std::string_view what) {
  std::array<std::uint8_t, 4> bytes{};
  const auto count = reader.read(bytes);
  if (!count) {
    return Error{count.error()};
  }
  if (*count < bytes.size()) {
    return Error{fmt::format("the file ends inside its header, in the {}: it is truncated or empty", what)};
  }
  return std::uint32_t{bytes[0]} << 24U | std::uint32_t{bytes[1]} << 16U | std::uint32_t{bytes[2]} << 8U | bytes[3];
}

/// The product of the shape, or nothing if it is above the limit.
Result<std::size_t> values_bytes(const std::vector<std::uint32_t>& shape) {
  std::uint64_t bytes = 1;
  for (const std::uint32_t extent : shape) {
    if (extent != 0 && bytes > idx_values_bytes_max / extent) {
      return Error{fmt::format("the header announces an array of {} bytes, the limit is {} in all",
                               fmt::join(shape, " x "), idx_values_bytes_max)};
    }
    bytes *= extent;
  }
  return static_cast<std::size_t>(bytes);
}

Result<std::vector<std::uint8_t>> read_values(GzipReader& reader, std::size_t expected) {
  constexpr std::size_t first_step = 1U << 20U;
  std::vector<std::uint8_t> values;
  while (values.size() < expected) {
    const std::size_t before = values.size();
    values.resize(before + std::min(expected - before, std::max(first_step, before)));
    const auto count = reader.read(std::span(values).subspan(before));
    if (!count) {
      return Error{count.error()};
    }
    if (before + *count < values.size()) {
      return Error{fmt::format("the file is truncated: its header announces {} bytes of values, {} are there", expected,
                               before + *count)};
    }
  }
  std::array<std::uint8_t, 1> extra{};
  const auto count = reader.read(extra);
  if (!count) {
    return Error{count.error()};
  }
  if (*count != 0) {
    return Error{fmt::format("there is more behind the {} bytes of values that the header announces", expected)};
  }
  return values;
}

Result<IdxArray> read_array(GzipReader& reader, std::size_t dimensions) {
  const auto magic = read_number(reader, "magic number");
  if (!magic) {
    return Error{magic.error()};
  }
  const auto expected = static_cast<std::uint32_t>(magic_of_bytes + dimensions);
  if (*magic != expected) {
    return Error{fmt::format("the magic number is 0x{:08x}, expected 0x{:08x} (IDX, unsigned bytes, {} dimension{})",
                             *magic, expected, dimensions, dimensions == 1 ? "" : "s")};
  }
  IdxArray array;
  for (std::size_t i = 0; i < dimensions; ++i) {
    const auto extent = read_number(reader, "dimensions");
    if (!extent) {
      return Error{extent.error()};
    }
    array.shape.push_back(*extent);
  }
  const auto bytes = values_bytes(array.shape);
  if (!bytes) {
    return Error{bytes.error()};
  }
  auto values = read_values(reader, *bytes);
  if (!values) {
    return Error{values.error()};
  }
  array.values = std::move(*values);
  return array;
}

}  // namespace

Result<IdxArray> read_idx(std::istream& input, std::size_t dimensions, std::string_view name) {
  GzipReader reader(input);
  auto array = read_array(reader, dimensions);
  if (!array) {
    return Error{fmt::format("{}: {}", name, array.error())};
  }
  return array;
}

}  // namespace ringps
