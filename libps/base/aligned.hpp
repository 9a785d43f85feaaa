// Float buffers that start at a multiple of 64 bytes, so that vectorised sums take the same order in every process.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "libps/base/value_memory.hpp"

namespace ringps {

template <class T>
struct AlignedAllocator {
  using value_type = T;

  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(allocate_value(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) { deallocate_value(memory, count * sizeof(T)); }
  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};

using Floats = std::vector<float, AlignedAllocator<float>>;

/// Whether nobody else holds the buffer, so that it may be written again. Others may have let go of it on another
/// thread; what they read happened before.
inline bool is_sole_owner(const std::shared_ptr<Floats>& buffer) {
  if (buffer.use_count() != 1) {
    return false;
  }
  // The count alone orders nothing. Taking a share and letting go of it does, as a fence would, and ThreadSanitizer
  // understands it.
  std::shared_ptr<Floats>(buffer).reset();
  return true;
}

}  // namespace ringps
