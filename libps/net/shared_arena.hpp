// The memory of a process that others of its host may read: large values lie in it from the start, so that handing one
// over takes no copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "libps/base/file_descriptor.hpp"
#include "libps/base/result.hpp"

namespace ringps {

/// A file in memory (memfd), mapped once. It has no name, cannot shrink or grow, and goes with the last process that
/// has it mapped. Takes up what is in use, and what has been and may be again. Thread-safe.
class SharedArena final : public std::pmr::memory_resource {
 public:
  /// `bytes`: room for so much, which costs nothing yet.
  static Result<std::unique_ptr<SharedArena>> create(std::size_t bytes);
  ~SharedArena() override;

  /// Of the file, open for reading only.
  int descriptor() const { return readable_.get(); }
  std::size_t bytes() const { return bytes_; }
  /// Where in the file these bytes are; nothing if they are elsewhere.
  std::optional<std::uint64_t> offset_of(std::span<const std::byte> bytes) const;
  /// Given to somebody and not yet back.
  std::size_t bytes_in_use() const;

 private:
  SharedArena(FileDescriptor readable, std::byte* memory, std::size_t bytes);

  /// Where the arena is full, operator new's; that is given back here as well, as is what it has given before.
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  void add_free(std::size_t begin, std::size_t size);
  void remove_free(std::size_t begin, std::size_t size);

  const FileDescriptor readable_;
  std::byte* const memory_;
  const std::size_t bytes_;

  mutable std::mutex mutex_;
  std::map<std::size_t, std::size_t> free_;                ///< begin → size; neighbours are one
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  ///< the same as size and begin
  std::size_t in_use_ = 0;
  std::size_t used_up_to_ = 0;  ///< what is behind has never been used, or was given back to the system
};

/// A new file in memory, of a length that nobody can change, so that reading it never fails. Nothing, and errno, if
/// there is none to be had.
FileDescriptor memory_file(const char* name, std::size_t bytes);

/// From now on large values of this process lie in an arena that processes of this host may be let read: see
/// memory_link.hpp. Where that cannot be, nothing changes, and the log says why. To be called before there is any
/// socket, and by nobody but main.
void share_memory();

/// Null: this process shares nothing.
SharedArena* arena_of_process();

}  // namespace ringps
