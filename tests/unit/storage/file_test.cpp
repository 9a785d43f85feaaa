#include "libps/storage/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "libps/base/sha256.hpp"

#include "tests/unit/storage/fixtures.hpp"

using namespace ringps;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("a new file has its name only once it is published") {
  const TempDir dir;
  auto file = NewFile::create(dir / "f");
  REQUIRE(file);
  REQUIRE(file->append(bytes_of("abc")));
  CHECK(names_in(dir.path()) == std::vector<std::string>{".f.tmp"});
  REQUIRE(file->publish());
  CHECK(names_in(dir.path()) == std::vector<std::string>{"f"});
  CHECK(read_bytes(dir / "f") == "abc");
}

TEST_CASE("a new file that is given up leaves nothing, and what had its name before stays") {
  const TempDir dir;
  REQUIRE(write_text(dir / "f", "old"));
  {
    auto file = NewFile::create(dir / "f");
    REQUIRE(file);
    REQUIRE(file->append(bytes_of("new")));
  }
  CHECK(names_in(dir.path()) == std::vector<std::string>{"f"});
  CHECK(read_bytes(dir / "f") == "old");
}

TEST_CASE("pieces smaller and larger than the buffer come out in order") {
  const TempDir dir;
  std::string expected;
  auto file = NewFile::create(dir / "f");
  REQUIRE(file);
  for (const std::size_t size : {1U, 200'000U, 100'000U, 1'000'000U, 7U}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    REQUIRE(file->append(bytes_of(piece)));
    expected += piece;
  }
  REQUIRE(file->publish());
  CHECK(read_bytes(dir / "f") == expected);
}

TEST_CASE("a full disk is an error with path and reason, and leaves nothing half-written") {
  const TempDir dir;
  const std::string text(1'000'000, 'x');
  Result<void> written;
  {
    const FullDisk full(100'000);
    written = write_text(dir / "f", text);
  }
  REQUIRE_FALSE(written);
  CHECK(written.error() == (dir / ".f.tmp").string() + ": cannot write: File too large");
  CHECK(written.failure().kind == ErrorKind::ordinary);
  CHECK(names_in(dir.path()).empty());
}

TEST_CASE("a device that has no room left is an error, and says so") {
  const FileDescriptor fd(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const auto written = write_all(fd, bytes_of("x"), "/dev/full");
  REQUIRE_FALSE(written);
  CHECK(written.error() == "/dev/full: cannot write: No space left on device; make room on the disk");
}

TEST_CASE("a failed fsync can be told from other errors") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const FileDescriptor reading(ends[0]);
  const FileDescriptor writing(ends[1]);
  const auto synced = sync(writing, "a pipe");  // which cannot be synced
  REQUIRE_FALSE(synced);
  CHECK(synced.failure().kind == ErrorKind::fsync_failed);
  CHECK(synced.error() == "a pipe: cannot fsync: Invalid argument");
}

TEST_CASE("a folder that is not there is an error of the call, not of the disk") {
  const TempDir dir;
  const auto file = NewFile::create(dir / "missing/f");
  REQUIRE_FALSE(file);
  CHECK(file.error() == (dir / "missing/.f.tmp").string() + ": cannot create the file: No such file or directory");
}

TEST_CASE("folders are made with those above them, and may be there already") {
  const TempDir dir;
  REQUIRE(make_folder(dir / "a/b/c"));
  REQUIRE(make_folder(dir / "a/b/c"));
  CHECK(std::filesystem::is_directory(dir / "a/b/c"));
  REQUIRE(write_text(dir / "file", ""));
  CHECK_FALSE(make_folder(dir / "file/c"));
}

TEST_CASE("reading stops with an error where the file ends, or is no file") {
  const TempDir dir;
  REQUIRE(write_text(dir / "f", "0123456789"));
  const auto file = InputFile::open(dir / "f");
  REQUIRE(file);
  std::string out(4, ' ');
  REQUIRE(file->read(3, std::as_writable_bytes(std::span(out))));
  CHECK(out == "3456");
  CHECK_FALSE(file->read(8, std::as_writable_bytes(std::span(out))));
  CHECK_FALSE(InputFile::open(dir.path()));
  CHECK_FALSE(InputFile::open(dir / "missing"));
}

TEST_CASE("a text longer than its bound is refused without being read") {
  const TempDir dir;
  REQUIRE(write_text(dir / "f", "0123456789"));
  CHECK(read_text(dir / "f", 10).value() == "0123456789");
  const auto text = read_text(dir / "f", 9);
  REQUIRE_FALSE(text);
  CHECK(text.error() == (dir / "f").string() + ": has 10 bytes, expected at most 9");
}

TEST_CASE("the digest of a file is that of its contents, across pieces") {
  const TempDir dir;
  const std::string text(600'000, 'z');
  REQUIRE(write_text(dir / "f", text));
  CHECK(InputFile::open(dir / "f").value().sha256().value() == sha256_hex(text));
  REQUIRE(write_text(dir / "empty", ""));
  CHECK(InputFile::open(dir / "empty").value().sha256().value() == sha256_hex(""));
}
