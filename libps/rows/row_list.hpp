// A block's part of a message about rows of a table: their ids, and, where values go along, `width` floats for each.
//
//   count   64 bits
//   ids     count x 64 bits
//   values  count x width float32, row by row; or nothing
//
// All little-endian, in the order of the message, with nothing in between; not aligned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ringps {

/// Copies a row of `width` floats; neither end need be aligned. Rows are short: a call of the C library for each of
/// them would take longer than the copy.
inline void copy_row(const void* from, std::size_t width, void* to) {
  switch (width) {
    case 1:
      std::memcpy(to, from, sizeof(float));
      return;
    case 4:
      std::memcpy(to, from, 4 * sizeof(float));
      return;
    case 8:
      std::memcpy(to, from, 8 * sizeof(float));
      return;
    case 16:
      std::memcpy(to, from, 16 * sizeof(float));
      return;
    default:
      std::memcpy(to, from, width * sizeof(float));
  }
}

class RowList {
 public:
  static constexpr std::size_t bytes(std::size_t count, std::uint32_t width) {
    return sizeof(std::uint64_t) * (1 + count) + sizeof(float) * width * count;
  }

  /// The list that begins at `begin`, which is known to be whole.
  RowList(const std::byte* begin, std::uint32_t width) : begin_(begin), width_(width) {
    std::memcpy(&count_, begin, sizeof count_);
  }

  /// The list that `from` begins with; nothing if it is not whole.
  static std::optional<RowList> parse(std::span<const std::byte> from, std::uint32_t width) {
    if (from.size() < sizeof(std::uint64_t)) {
      return std::nullopt;
    }
    const RowList list(from.data(), width);
    const std::size_t row_bytes = sizeof(std::uint64_t) + sizeof(float) * width;
    if (list.count_ > (from.size() - sizeof(std::uint64_t)) / row_bytes) {
      return std::nullopt;
    }
    return list;
  }

  /// Writes the head of a list, and returns where its ids begin.
  static std::byte* begin(std::byte* to, std::uint64_t count) {
    std::memcpy(to, &count, sizeof count);
    return to + sizeof count;
  }

  /// The same list with what RowBlock::look_up() has said of it.
  RowList with_places(std::span<const std::uint32_t> places) const {
    RowList list = *this;
    list.places_ = places;
    return list;
  }

  std::size_t count() const { return static_cast<std::size_t>(count_); }
  /// One for each row, or none.
  std::span<const std::uint32_t> places() const { return places_; }
  std::size_t bytes() const { return bytes(count(), width_); }
  std::uint64_t id(std::size_t i) const {
    std::uint64_t id = 0;
    std::memcpy(&id, begin_ + sizeof(std::uint64_t) * (1 + i), sizeof id);
    return id;
  }
  /// Of row i: `width` floats, not aligned.
  const std::byte* values(std::size_t i = 0) const {
    return begin_ + sizeof(std::uint64_t) * (1 + count()) + sizeof(float) * width_ * i;
  }

 private:
  const std::byte* begin_;
  std::uint32_t width_;
  std::uint64_t count_ = 0;
  std::span<const std::uint32_t> places_;
};

}  // namespace ringps
