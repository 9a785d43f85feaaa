// A run of floats that is written once, and then shared and never changed: one version of a block.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "libps/base/value_memory.hpp"

namespace ringps {

/// Reference-counted, in one allocation: small ones lie in one cache line together with their count, large ones start
/// at a multiple of 64 bytes. Any thread may let go of its share; only a sole owner writes.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): like a pointer
  /// The values are not initialised.
  explicit Buffer(std::size_t size) : head_(new (allocate_value(bytes(size))) Head(size)) {}
  Buffer(std::size_t size, float value) : Buffer(size) { std::fill_n(data(), size, value); }
  explicit Buffer(std::span<const float> values) : Buffer(values.size()) {
    std::copy(values.begin(), values.end(), data());
  }

  Buffer(const Buffer& other) : head_(other.head_) {
    if (head_ != nullptr) {
      head_->shares.fetch_add(1, std::memory_order_relaxed);
    }
  }
  Buffer(Buffer&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(head_, other.head_);
    return *this;
  }
  ~Buffer() {
    if (head_ != nullptr && head_->shares.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      deallocate_value(head_, bytes(head_->size));
    }
  }

  explicit operator bool() const { return head_ != nullptr; }
  friend bool operator==(const Buffer& a, const Buffer& b) { return a.head_ == b.head_; }

  std::size_t size() const { return head_->size; }
  float* data() { return reinterpret_cast<float*>(reinterpret_cast<std::byte*>(head_) + start(head_->size)); }
  const float* data() const { return const_cast<Buffer*>(this)->data(); }
  std::span<float> values() { return {data(), size()}; }
  std::span<const float> values() const { return {data(), size()}; }

  /// Whether nobody else holds it, so that it may be written again. Others may have let go of it on another thread:
  /// what they read happened before.
  bool is_sole_owner() const { return head_->shares.load(std::memory_order_acquire) == 1; }

 private:
  struct Head {
    explicit Head(std::size_t count) : size(count) {}
    std::atomic<std::uint32_t> shares{1};
    std::size_t size;
  };
  static constexpr std::size_t start(std::size_t size) {
    return sizeof(Head) + size * sizeof(float) <= value_alignment ? sizeof(Head) : value_alignment;
  }
  static constexpr std::size_t bytes(std::size_t size) { return start(size) + size * sizeof(float); }

  Head* head_ = nullptr;
};

}  // namespace ringps
