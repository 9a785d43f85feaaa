// Reads a stream that may be gzipped, in pieces, without ever holding more than one buffer of it.
#pragma once

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <span>

#include "libps/base/result.hpp"

namespace ringps {

/// Whether the stream is gzipped is told from its first two bytes. Several gzip members in a row are one text, as for
/// gunzip; anything else behind a member is an error.
class GzipReader {
 public:
  explicit GzipReader(std::istream& input);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// Fills `out` as far as the text reaches; fewer bytes than asked for mean that it ends there. An error says what is
  /// wrong with the stream, not which stream it is.
  Result<std::size_t> read(std::span<std::uint8_t> out);

 private:
  Result<void> refill();
  Result<void> inflate_some();
  bool at_gzip_magic() const;

  std::istream& input_;
  std::array<std::uint8_t, 65536> buffer_;
  z_stream zlib_{};         ///< next_in, avail_in: what of buffer_ is unread, also of a plain stream
  bool gzipped_ = false;    ///< valid after the first read
  bool started_ = false;    ///< the first read has looked at the magic bytes
  bool in_member_ = false;  ///< inside a gzip member: the stream may not end here
};

}  // namespace ringps
