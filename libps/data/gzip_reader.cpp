#include "libps/data/gzip_reader.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

namespace ringps {
namespace {

constexpr std::array<std::uint8_t, 2> gzip_magic{0x1F, 0x8B};
constexpr int gzip_window_bits = 16 + MAX_WBITS;  // zlib's way of asking for gzip instead of zlib headers

}  // namespace

GzipReader::GzipReader(std::istream& input) : input_(input) {
  // Failing here means that there is no memory, or that another zlib is linked than was compiled against.
  if (inflateInit2(&zlib_, gzip_window_bits) != Z_OK) {
    throw std::bad_alloc();
  }
}

GzipReader::~GzipReader() {
  inflateEnd(&zlib_);
}

Result<std::size_t> GzipReader::read(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    if (auto refilled = refill(); !refilled) {
      return Error{refilled.error()};
    }
    if (!started_) {
      started_ = true;
      gzipped_ = at_gzip_magic();
    }
    if (zlib_.avail_in == 0) {
      if (in_member_) {
        return Error{"the gzip data ends too early: the file is truncated"};
      }
      break;
    }
    constexpr std::size_t step_bytes_max = 1U << 30U;  // zlib counts in unsigned int
    const auto step = static_cast<uInt>(std::min(out.size() - done, step_bytes_max));
    zlib_.next_out = out.data() + done;
    zlib_.avail_out = step;
    if (gzipped_) {
      if (auto inflated = inflate_some(); !inflated) {
        return Error{inflated.error()};
      }
    } else {
      const uInt count = std::min(step, zlib_.avail_in);
      std::memcpy(zlib_.next_out, zlib_.next_in, count);
      zlib_.next_in += count;
      zlib_.avail_in -= count;
      zlib_.avail_out -= count;
    }
    done += step - zlib_.avail_out;
  }
  return done;
}

/// Makes sure that two bytes, enough for the magic, are unread in the buffer, unless the stream ends before.
Result<void> GzipReader::refill() {
  if (zlib_.avail_in >= gzip_magic.size() || input_.eof()) {
    return {};
  }
  if (zlib_.avail_in > 0) {
    std::memmove(buffer_.data(), zlib_.next_in, zlib_.avail_in);
  }
  input_.read(reinterpret_cast<char*>(buffer_.data()) + zlib_.avail_in,
              static_cast<std::streamsize>(buffer_.size() - zlib_.avail_in));
  if (input_.bad() || (input_.fail() && !input_.eof())) {
    return Error{"reading failed"};
  }
  zlib_.next_in = buffer_.data();
  zlib_.avail_in += static_cast<uInt>(input_.gcount());
  return {};
}

Result<void> GzipReader::inflate_some() {
  if (!in_member_) {
    if (!at_gzip_magic()) {
      return Error{"there is something that is not gzip behind the end of the gzip data"};
    }
    inflateReset(&zlib_);
    in_member_ = true;
  }
  const int status = inflate(&zlib_, Z_NO_FLUSH);
  if (status == Z_STREAM_END) {
    in_member_ = false;
  } else if (status != Z_OK && status != Z_BUF_ERROR) {
    return Error{std::string("the gzip data is corrupt (") + (zlib_.msg != nullptr ? zlib_.msg : "zlib error") + ")"};
  }
  return {};
}

bool GzipReader::at_gzip_magic() const {
  return zlib_.avail_in >= gzip_magic.size() && std::equal(gzip_magic.begin(), gzip_magic.end(), zlib_.next_in);
}

}  // namespace ringps
