// Owns a file descriptor.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ringps {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) {
      close(number_);
    }
  }

  explicit operator bool() const { return number_ >= 0; }
  int get() const { return number_; }

 private:
  int number_ = -1;
};

/// A new file in memory, to be sealed; nothing (and errno) if there is none to be had. Not to be executed, where the
/// system knows such files: it may refuse others.
inline Descriptor memory_file(const char* name) {
  constexpr unsigned no_execution = 8;  // MFD_NOEXEC_SEAL, of Linux 6.3
  const int number = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | no_execution);
  return Descriptor(number < 0 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING) : number);
}

}  // namespace ringps
