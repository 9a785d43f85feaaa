// Where the memory of values comes from: of versions of blocks, of gradients, of what is sent.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <new>

namespace ringps {

inline constexpr std::size_t value_alignment = 64;

/// From here on a value's memory is worth more than the administration of it: it is sent without a copy, and comes from
/// large_value_memory().
inline constexpr std::size_t large_value_bytes_min = 16384;

/// Where large values get their memory from; null, as it begins: from operator new. Set once, before there are threads.
/// It is asked to free what operator new has given before.
inline std::pmr::memory_resource*& large_value_memory() {
  static constinit std::pmr::memory_resource* memory = nullptr;
  return memory;
}

/// Starts at a multiple of `value_alignment`, so that vectorised sums take the same order in every process.
inline void* allocate_value(std::size_t bytes) {
  if (bytes >= large_value_bytes_min) {
    if (auto* const memory = large_value_memory()) {
      return memory->allocate(bytes, value_alignment);
    }
  }
  return ::operator new (bytes, std::align_val_t{value_alignment});
}

inline void deallocate_value(void* value, std::size_t bytes) {
  if (bytes >= large_value_bytes_min) {
    if (auto* const memory = large_value_memory()) {
      memory->deallocate(value, bytes, value_alignment);
      return;
    }
  }
  ::operator delete (value, std::align_val_t{value_alignment});
}

}  // namespace ringps
