#include "tests/unit/storage/recorded_files.hpp"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <string>

#include "libps/base/check.hpp"

namespace ringps {

namespace fs = std::filesystem;

namespace {

/// The folder that the root lies in, whose entries nobody changes.
constexpr NodeId outside = SIZE_MAX;

}  // namespace

RecordedFiles* RecordedFiles::active = nullptr;

RecordedFiles::RecordedFiles(fs::path root, Disk disk)
    : root_(std::move(root)), system_(file_calls()), log_(std::move(disk)) {
  check(active == nullptr, "one recording at a time");
  MaterialisedDisk(root_).become(log_.disk());
  active = this;
  file_calls() = {open, write, fsync, rename, mkdir, remove};
}

RecordedFiles::~RecordedFiles() {
  file_calls() = system_;
  active = nullptr;
}

std::string RecordedFiles::relative(const char* path) const {
  const std::string below = fs::path(path).lexically_relative(root_).string();
  check(!below.starts_with(".."), "only files below the root are touched");
  return below == "." ? std::string() : below;
}

RecordedFiles::Place RecordedFiles::place(const char* path) const {
  const fs::path below = relative(path);
  const auto folder = log_.disk().find(below.parent_path().string());
  check(folder && folder->folder, "an entry's folder is there");
  return {folder->node, below.filename().string()};
}

std::optional<Disk::Entry> RecordedFiles::find(const char* path) const {
  return log_.disk().find(relative(path));
}

NodeId RecordedFiles::opened(const char* path, int flags) {
  if (fs::path(path) == root_.parent_path()) {
    return outside;
  }
  const auto found = find(path);
  if (!found) {
    const Place at = place(path);
    return log_.add_entry(at.folder, at.name, false);
  }
  if ((flags & O_TRUNC) != 0 && !log_.disk().node(found->node).bytes.empty()) {
    log_.add(DiskOp::truncate(found->node, 0));
  }
  return found->node;
}

bool RecordedFiles::dead() {
  errno = EIO;
  return active->log_.dead();
}

int RecordedFiles::open(const char* path, int flags, mode_t mode) {
  if (dead()) {
    return -1;
  }
  const int fd = active->system_.open(path, flags, mode);
  if (fd >= 0) {
    active->open_[fd] = {active->opened(path, flags), 0};
  }
  return fd;
}

ssize_t RecordedFiles::write(int fd, const void* data, std::size_t bytes) {
  if (dead()) {
    return -1;
  }
  const ssize_t written = active->system_.write(fd, data, bytes);
  if (written > 0) {
    OpenFile& file = active->open_.at(fd);
    const std::string_view text(static_cast<const char*>(data), static_cast<std::size_t>(written));
    active->log_.add(DiskOp::write(file.node, file.position, std::string(text)));
    file.position += text.size();
  }
  return written;
}

int RecordedFiles::fsync(int fd) {
  if (dead()) {
    return -1;
  }
  active->log_.add(DiskOp::sync(active->open_.at(fd).node));
  return 0;
}

int RecordedFiles::rename(const char* from, const char* to) {
  if (dead()) {
    return -1;
  }
  const int done = active->system_.rename(from, to);
  if (done == 0) {
    const Place source = active->place(from);
    const Place target = active->place(to);
    check(source.folder == target.folder, "a rename stays within its folder");
    active->log_.add(DiskOp::rename(source.folder, source.name, target.name, active->find(from)->node));
  }
  return done;
}

int RecordedFiles::mkdir(const char* path, mode_t mode) {
  if (dead()) {
    return -1;
  }
  const int done = active->system_.mkdir(path, mode);
  if (done == 0) {
    const Place at = active->place(path);
    active->log_.add_entry(at.folder, at.name, true);
  }
  return done;
}

int RecordedFiles::remove(const char* path) {
  if (dead()) {
    return -1;
  }
  const int done = active->system_.remove(path);
  if (done == 0) {
    const Place at = active->place(path);
    active->log_.add(DiskOp::unlink(at.folder, at.name));
  }
  return done;
}

void MaterialisedDisk::become(const Disk& disk) {
  std::map<std::string, Entry> wanted;
  disk.walk({root_folder, true}, "", [&](const std::string& path, const Disk::Entry& entry) {
    wanted.emplace(path, Entry{entry.folder, entry.folder ? std::string() : disk.node(entry.node).bytes});
  });
  // What is in a folder before the folder; clang 14 does not compile std::views::reverse of a map.
  for (auto there = there_.rbegin(); there != there_.rend(); ++there) {  // NOLINT(modernize-loop-convert)
    const auto& [path, entry] = *there;
    const auto stays = wanted.find(path);
    if (stays == wanted.end() || stays->second.folder != entry.folder) {
      fs::remove(root_ / path);
    }
  }
  for (const auto& [path, entry] : wanted) {
    const auto before = there_.find(path);
    if (before != there_.end() && before->second == entry) {
      continue;
    }
    if (entry.folder) {
      fs::create_directory(root_ / path);
    } else {
      std::ofstream(root_ / path, std::ios::binary) << entry.bytes;
    }
  }
  there_ = std::move(wanted);
}

}  // namespace ringps
