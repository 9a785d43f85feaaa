#include "libps/net/shared_arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>
#include <string>

#include "libps/base/log.hpp"
#include "libps/base/value_memory.hpp"

namespace ringps {
namespace {

constexpr std::size_t page_bytes = 4096;

/// What is free is kept, to be used again, while it is not so much more than what is in use.
constexpr std::size_t kept_bytes_max = 64U << 20U;

constexpr std::size_t in_pages(std::size_t bytes) {
  return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

Error cannot(const char* what) {
  return Error{std::string("cannot ") + what + ": " + std::strerror(errno)};
}

/// Never goes: whoever frees a value at the very end still needs it.
SharedArena*& arena() {
  static SharedArena* of_process = nullptr;
  return of_process;
}

}  // namespace

FileDescriptor memory_file(const char* name, std::size_t bytes) {
  constexpr unsigned no_execution = 8;  // MFD_NOEXEC_SEAL, of Linux 6.3: systems may refuse others
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  FileDescriptor file(memfd_create(name, flags | no_execution));
  if (!file && errno == EINVAL) {
    file = FileDescriptor(memfd_create(name, flags));
  }
  const bool made = file && ftruncate(file.get(), static_cast<off_t>(bytes)) == 0 &&
                    fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  return made ? std::move(file) : FileDescriptor();
}

Result<std::unique_ptr<SharedArena>> SharedArena::create(std::size_t bytes) {
  bytes = in_pages(bytes);
  const FileDescriptor file = memory_file("ringps-values", bytes);
  if (!file) {
    return cannot("make a file in memory");
  }
  FileDescriptor readable(open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable) {
    return cannot("open a file in memory for others to read");
  }
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  if (memory == MAP_FAILED) {
    return cannot("map a file in memory");
  }
  return std::unique_ptr<SharedArena>(new SharedArena(std::move(readable), static_cast<std::byte*>(memory), bytes));
}

SharedArena::SharedArena(FileDescriptor readable, std::byte* memory, std::size_t bytes)
    : readable_(std::move(readable)), memory_(memory), bytes_(bytes) {
  add_free(0, bytes);
}

SharedArena::~SharedArena() {
  munmap(memory_, bytes_);
}

std::optional<std::uint64_t> SharedArena::offset_of(std::span<const std::byte> bytes) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const auto base = reinterpret_cast<std::uintptr_t>(memory_);
  if (begin < base || begin - base >= bytes_) {
    return std::nullopt;
  }
  return begin - base;
}

std::size_t SharedArena::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

void SharedArena::add_free(std::size_t begin, std::size_t size) {
  free_.emplace(begin, size);
  by_size_.emplace(size, begin);
}

void SharedArena::remove_free(std::size_t begin, std::size_t size) {
  free_.erase(begin);
  by_size_.erase({size, begin});
}

/// The smallest piece that is long enough, and of those the first.
void* SharedArena::do_allocate(std::size_t bytes, std::size_t alignment) {
  const std::size_t size = in_pages(bytes);
  {
    const std::lock_guard lock(mutex_);
    const auto found = alignment <= page_bytes ? by_size_.lower_bound({size, 0}) : by_size_.end();
    if (found != by_size_.end()) {
      const auto [free_size, begin] = *found;
      remove_free(begin, free_size);
      if (free_size > size) {
        add_free(begin + size, free_size - size);
      }
      in_use_ += size;
      used_up_to_ = std::max(used_up_to_, begin + size);
      return memory_ + begin;
    }
  }
  return ::operator new (bytes, std::align_val_t{alignment});
}

void SharedArena::do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) {
  const auto offset = offset_of({static_cast<const std::byte*>(memory), 0});
  if (!offset) {
    ::operator delete (memory, std::align_val_t{alignment});
    return;
  }
  std::size_t begin = *offset;
  std::size_t size = in_pages(bytes);
  const std::lock_guard lock(mutex_);
  in_use_ -= size;
  auto after = free_.lower_bound(begin);
  if (after != free_.begin()) {
    const auto [before_begin, before_size] = *std::prev(after);
    if (before_begin + before_size == begin) {
      remove_free(before_begin, before_size);
      begin = before_begin;
      size += before_size;
    }
  }
  after = free_.lower_bound(begin);
  if (after != free_.end() && after->first == begin + size) {
    const auto [after_begin, after_size] = *after;
    remove_free(after_begin, after_size);
    size += after_size;
  }
  add_free(begin, size);
  if (size >= kept_bytes_max && used_up_to_ - in_use_ > in_use_ + kept_bytes_max) {
    madvise(memory_ + begin, std::min(begin + size, used_up_to_) - begin, MADV_REMOVE);
    used_up_to_ = begin + size >= used_up_to_ ? begin : used_up_to_;
  }
}

void share_memory() {
  const auto memory =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  // Every process that reads here maps all of it, so that there is a limit: of the 128 TiB of addresses that it has.
  constexpr std::size_t bytes_max = std::size_t{1} << 40U;
  auto made = SharedArena::create(std::min(2 * memory, bytes_max));
  if (!made) {
    log::warn("values go through sockets to processes of this host as well: {}", made.error());
    return;
  }
  arena() = made->release();
  large_value_memory() = arena();
}

SharedArena* arena_of_process() {
  return arena();
}

}  // namespace ringps
