// Files that are whole and on disk under their name, or not there at all. Every error names the path and the reason.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "libps/base/file_descriptor.hpp"
#include "libps/base/result.hpp"

namespace ringps {

/// The system calls that change files and folders, or make a change durable. All of this folder but SQLite goes through
/// them.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode);  ///< of a new file, or of a folder that is to be synced
  ssize_t (*write)(int fd, const void* data, std::size_t bytes);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*mkdir)(const char* path, mode_t mode);
  int (*remove)(const char* path);  ///< a file or an empty folder
};

/// Those in use: the system's own. A test may put others in their place while nothing is being written, to record them
/// and to stop where a machine might.
FileCalls& file_calls();

/// "PATH: cannot WHAT: REASON".
Error io_error(const std::filesystem::path& path, std::string_view what, int error_number);

/// Waits until the file or folder is on disk. An error is ErrorKind::fsync_failed.
Result<void> sync(const FileDescriptor& fd, const std::filesystem::path& path);
Result<void> sync_folder(const std::filesystem::path& folder);

/// Makes `temporary`, open as `fd`, durable under the name `path` of the same folder: fsync, rename, fsync of the
/// folder. Until the rename an error leaves `path` as it was.
Result<void> publish_file(const FileDescriptor& fd, const std::filesystem::path& temporary,
                          const std::filesystem::path& path);

/// Makes a folder (and those above it) if it is not there. It is durable either way: whoever made it may have been
/// killed before that.
Result<void> make_folder(const std::filesystem::path& folder);

/// Deletes a file or an empty folder, not durably. Whether it was there; that it was not is no error.
bool remove_entry(const std::filesystem::path& path, std::error_code& error);

/// Writes all of `bytes` at the file's position.
Result<void> write_all(const FileDescriptor& fd, std::span<const std::byte> bytes, const std::filesystem::path& path);

/// A file under construction, as `.<name>.tmp` beside its final name. Removed by the destructor unless published.
class NewFile {
 public:
  static Result<NewFile> create(std::filesystem::path path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  const std::filesystem::path& path() const { return path_; }
  Result<void> append(std::span<const std::byte> bytes);
  /// Nothing may be appended afterwards.
  Result<void> publish();

 private:
  NewFile(std::filesystem::path path, std::filesystem::path temporary, FileDescriptor fd);
  Result<void> flush();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  ///< empty: nothing to remove
  FileDescriptor fd_;
  std::vector<std::byte> buffer_;  ///< small pieces, collected
};

/// A file for reading at any place. Several threads may read at once.
class InputFile {
 public:
  static Result<InputFile> open(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const;
  /// SHA-256 of all of it, hexadecimal.
  Result<std::string> sha256() const;

 private:
  InputFile(std::filesystem::path path, FileDescriptor fd, std::uint64_t bytes);

  std::filesystem::path path_;
  FileDescriptor fd_;
  std::uint64_t bytes_;  ///< when it was opened
};

/// The whole of a file that may not be longer than `bytes_max`.
Result<std::string> read_text(const std::filesystem::path& path, std::uint64_t bytes_max);
/// Writes a whole file, atomically and durably.
Result<void> write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace ringps
