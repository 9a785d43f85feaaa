// Records what libps/storage does to the files below a folder, and can stop it as if the process had been killed.
#pragma once

#include <filesystem>
#include <map>
#include <utility>

#include "libps/storage/file.hpp"
#include "tests/unit/storage/crash_disk.hpp"

namespace ringps {

/// Makes the states of a disk real below a folder, by what differs from one to the next.
class MaterialisedDisk {
 public:
  explicit MaterialisedDisk(std::filesystem::path root) : root_(std::move(root)) {}

  void become(const Disk& disk);

 private:
  struct Entry {
    bool folder;
    std::string bytes;

    friend bool operator==(const Entry&, const Entry&) = default;
  };

  std::filesystem::path root_;
  std::map<std::string, Entry> there_;
};

/// Takes the place of file_calls() for its lifetime; one at a time. Everything that is not killed really happens,
/// except that nothing is synced.
class RecordedFiles {
 public:
  /// `root` is an empty folder, and gets the contents of `disk`.
  explicit RecordedFiles(std::filesystem::path root, Disk disk = {});
  RecordedFiles(const RecordedFiles&) = delete;
  RecordedFiles& operator=(const RecordedFiles&) = delete;
  ~RecordedFiles();

  DiskLog& log() { return log_; }

 private:
  struct OpenFile {
    NodeId node;
    std::uint64_t position;
  };
  struct Place {
    NodeId folder;
    std::string name;
  };

  static bool dead();  ///< with errno for a call that does not happen
  static int open(const char* path, int flags, mode_t mode);
  static ssize_t write(int fd, const void* data, std::size_t bytes);
  static int fsync(int fd);
  static int rename(const char* from, const char* to);
  static int mkdir(const char* path, mode_t mode);
  static int remove(const char* path);

  std::string relative(const char* path) const;
  Place place(const char* path) const;
  std::optional<Disk::Entry> find(const char* path) const;
  NodeId opened(const char* path, int flags);

  static RecordedFiles* active;

  std::filesystem::path root_;
  FileCalls system_;
  DiskLog log_;
  std::map<int, OpenFile> open_;  ///< descriptors are given out again: the last opened counts
};

}  // namespace ringps
