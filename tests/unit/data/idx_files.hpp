// IDX files for the tests: their bytes, plain and gzipped.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ringps {

inline std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    bytes.push_back(static_cast<char>(number >> shift & 0xFFU));
  }
  return bytes;
}

inline std::string idx(const std::vector<std::uint32_t>& shape, std::string_view values) {
  std::string bytes = big_endian(static_cast<std::uint32_t>(0x800 + shape.size()));
  for (const std::uint32_t extent : shape) {
    bytes += big_endian(extent);
  }
  return bytes.append(values);
}

/// One gzip member.
inline std::string gzipped(std::string_view text) {
  z_stream zlib{};
  if (deflateInit2(&zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2 failed");
  }
  std::string bytes(deflateBound(&zlib, text.size()), '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(bytes.data());
  zlib.avail_out = static_cast<uInt>(bytes.size());
  deflate(&zlib, Z_FINISH);
  bytes.resize(zlib.total_out);
  deflateEnd(&zlib);
  return bytes;
}

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace ringps
