#include "libps/storage/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "libps/base/sha256.hpp"

namespace ringps {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t buffer_bytes = std::size_t{1} << 18U;

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Makes the entry of a folder that is there already durable. Where this process may not write above it, it is a mount
/// or somebody else's: nothing of ours is pending.
Result<void> sync_entry(const fs::path& folder) {
  const fs::path above = folder_of(folder);
  return ::access(above.c_str(), R_OK | W_OK) == 0 ? sync_folder(above) : Result<void>();
}

}  // namespace

FileCalls& file_calls() {
  static FileCalls calls{[](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
                         ::write,
                         ::fsync,
                         std::rename,
                         ::mkdir,
                         std::remove};
  return calls;
}

Error io_error(const fs::path& path, std::string_view what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return Error{path.string() + ": cannot " + std::string(what) + ": " + std::generic_category().message(error_number) +
               (full ? "; make room on the disk" : "")};
}

Result<void> sync(const FileDescriptor& fd, const fs::path& path) {
  if (file_calls().fsync(fd.get()) != 0) {
    Error error = io_error(path, "fsync", errno);
    error.kind = ErrorKind::fsync_failed;
    return error;
  }
  return {};
}

Result<void> sync_folder(const fs::path& folder) {
  const FileDescriptor fd(file_calls().open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (fd.get() < 0) {
    return io_error(folder, "open the folder", errno);
  }
  return sync(fd, folder);
}

Result<void> publish_file(const FileDescriptor& fd, const fs::path& temporary, const fs::path& path) {
  if (auto synced = sync(fd, temporary); !synced) {
    return synced;
  }
  if (file_calls().rename(temporary.c_str(), path.c_str()) != 0) {
    return io_error(temporary, "rename to '" + path.filename().string() + "'", errno);
  }
  return sync_folder(folder_of(path));
}

Result<void> make_folder(const fs::path& folder) {
  std::error_code error;
  if (folder.empty()) {
    return {};
  }
  if (fs::is_directory(folder, error)) {
    return sync_entry(folder);
  }
  if (auto above = make_folder(folder.parent_path()); !above) {
    return above;
  }
  if (file_calls().mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    return io_error(folder, "make the folder", errno);
  }
  return sync_folder(folder_of(folder));
}

bool remove_entry(const fs::path& path, std::error_code& error) {
  const bool removed = file_calls().remove(path.c_str()) == 0;
  error = removed || errno == ENOENT ? std::error_code() : std::error_code(errno, std::generic_category());
  return removed;
}

Result<void> write_all(const FileDescriptor& fd, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = file_calls().write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return io_error(path, "write", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  return {};
}

NewFile::NewFile(fs::path path, fs::path temporary, FileDescriptor fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)),
      buffer_(std::move(other.buffer_)) {}

NewFile::~NewFile() {
  if (!temporary_.empty()) {
    file_calls().remove(temporary_.c_str());
  }
}

Result<NewFile> NewFile::create(fs::path path) {
  fs::path temporary = folder_of(path) / ".";
  temporary += path.filename();
  temporary += ".tmp";
  FileDescriptor fd(file_calls().open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) {
    return io_error(temporary, "create the file", errno);
  }
  return NewFile(std::move(path), std::move(temporary), std::move(fd));
}

Result<void> NewFile::append(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > buffer_bytes) {
    if (auto flushed = flush(); !flushed) {
      return flushed;
    }
  }
  if (bytes.size() > buffer_bytes) {
    return write_all(fd_, bytes, temporary_);
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<void> NewFile::flush() {
  auto written = write_all(fd_, buffer_, temporary_);
  buffer_.clear();
  return written;
}

Result<void> NewFile::publish() {
  if (auto flushed = flush(); !flushed) {
    return flushed;
  }
  auto published = publish_file(fd_, temporary_, path_);
  if (published) {
    temporary_.clear();
  }
  return published;
}

InputFile::InputFile(fs::path path, FileDescriptor fd, std::uint64_t bytes)
    : path_(std::move(path)), fd_(std::move(fd)), bytes_(bytes) {}

Result<InputFile> InputFile::open(fs::path path) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) {
    return io_error(path, "open", errno);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    return io_error(path, "stat", errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{path.string() + ": is not a regular file"};
  }
  return InputFile(std::move(path), std::move(fd), static_cast<std::uint64_t>(status.st_size));
}

Result<void> InputFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) {
      return io_error(path_, "read", errno);
    }
    if (count == 0) {
      return Error{path_.string() + ": ends at byte " + std::to_string(offset) + ", expected " +
                   std::to_string(out.size()) + " more"};
    }
    const auto got = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    offset += got;
    out = out.subspan(got);
  }
  return {};
}

Result<std::string> InputFile::sha256() const {
  Sha256 sha256;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(buffer_bytes, bytes_));
  for (std::uint64_t at = 0; at < bytes_; at += buffer.size()) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), bytes_ - at));
    if (auto got = read(at, piece); !got) {
      return got.failure();
    }
    sha256.update(piece);
  }
  return sha256.hex();
}

Result<std::string> read_text(const fs::path& path, std::uint64_t bytes_max) {
  auto file = InputFile::open(path);
  if (!file) {
    return file.failure();
  }
  if (file->bytes() > bytes_max) {
    return Error{path.string() + ": has " + std::to_string(file->bytes()) + " bytes, expected at most " +
                 std::to_string(bytes_max)};
  }
  std::string text(file->bytes(), '\0');
  if (auto got = file->read(0, std::as_writable_bytes(std::span(text))); !got) {
    return got.failure();
  }
  return text;
}

Result<void> write_text(const fs::path& path, std::string_view text) {
  auto file = NewFile::create(path);
  if (!file) {
    return file.failure();
  }
  if (auto appended = file->append(std::as_bytes(std::span(text))); !appended) {
    return appended;
  }
  return file->publish();
}

}  // namespace ringps
