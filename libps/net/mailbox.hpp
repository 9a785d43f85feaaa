// Hands objects from one thread to another, whose event loop wakes up for them.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "libps/base/check.hpp"

namespace ringps {

/// Thread-safe: any thread puts, one takes.
template <class T>
class Mailbox {
 public:
  Mailbox() : descriptor_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { check(descriptor_ >= 0, "eventfd works"); }
  ~Mailbox() { close(descriptor_); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Readable while something is there to take.
  int descriptor() const { return descriptor_; }

  void put(T item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    const std::uint64_t one = 1;
    check(write(descriptor_, &one, sizeof one) == sizeof one, "an eventfd takes a one");
  }

  bool empty() {
    const std::lock_guard lock(mutex_);
    return items_.empty();
  }

  std::vector<T> take_all() {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) {  // loops look in on every turn: no system call for nothing
      return {};
    }
    std::uint64_t count = 0;
    [[maybe_unused]] const auto drained = read(descriptor_, &count, sizeof count);
    return std::exchange(items_, {});
  }

 private:
  const int descriptor_;
  std::mutex mutex_;
  std::vector<T> items_;
};

}  // namespace ringps
