// The raw values of a message: immutable, reference-counted bytes, so that they can be sent without a copy and may
// outlive whoever made them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "libps/base/buffer.hpp"

namespace ringps {

class Payload {
 public:
  Payload() = default;
  /// `owner` keeps `bytes` alive and unchanged.
  Payload(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  /// Of a container of floats that nobody changes any more.
  template <class Container>
  static Payload of(std::shared_ptr<const Container> values) {
    const auto bytes = std::as_bytes(std::span(*values));
    return Payload(std::move(values), bytes);
  }

  /// The first `count` values of a buffer.
  static Payload of(Buffer values, std::size_t count) {
    Payload payload;
    payload.bytes_ = std::as_bytes(std::as_const(values).values().first(count));
    payload.buffer_ = std::move(values);
    return payload;
  }

  /// The first `bytes` bytes of a buffer that holds something else than values.
  static Payload of_bytes(Buffer buffer, std::size_t bytes) {
    Payload payload;
    payload.bytes_ = std::as_bytes(std::as_const(buffer).values()).first(bytes);
    payload.buffer_ = std::move(buffer);
    return payload;
  }

  /// Little-endian values, or values made smaller (compression.hpp); not necessarily aligned.
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

 private:
  std::shared_ptr<const void> owner_;  ///< or
  Buffer buffer_;                      ///< keeps the bytes
  std::span<const std::byte> bytes_;
};

}  // namespace ringps
