// Buffers that have been used and may be used again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "libps/base/buffer.hpp"

namespace ringps {

/// A buffer may be given back while others still read it, on whatever thread: it is lent again when they have let go.
/// So whoever writes and shares one buffer after another needs no more of them than are being read at the same time,
/// and asks for no memory once there are so many. Not thread-safe.
class BufferPool {
 public:
  /// One that nobody else holds; its values are whatever they are.
  Buffer take(std::size_t size) {
    Shelf& shelf = shelves_[size];
    // The oldest are the likeliest to be free. Not all are looked at: while a checkpoint is written there are as many
    // as there are blocks.
    for (std::size_t i = std::min(shelf.buffers.size(), looked_at_max); i > 0; --i) {
      shelf.next = shelf.next < shelf.buffers.size() ? shelf.next : 0;
      if (Buffer& found = shelf.buffers[shelf.next]; found.is_sole_owner()) {
        Buffer taken = std::exchange(found, std::move(shelf.buffers.back()));
        shelf.buffers.pop_back();
        return taken;
      }
      ++shelf.next;
    }
    return Buffer(size);
  }

  void give_back(Buffer buffer) {
    if (buffer) {
      shelves_[buffer.size()].buffers.push_back(std::move(buffer));
    }
  }

  void clear() { shelves_.clear(); }

 private:
  static constexpr std::size_t looked_at_max = 64;

  struct Shelf {
    std::vector<Buffer> buffers;
    std::size_t next = 0;  ///< where to look first
  };
  std::map<std::size_t, Shelf> shelves_;  ///< by size
};

}  // namespace ringps
