// A SQLite VFS over a disk in memory, which records what SQLite does to it. It promises what SQLite's own for Unix does
// and not more: in particular, a new journal's name is durable with the first sync of the journal.
#pragma once

#include <sqlite3.h>

#include "tests/unit/storage/crash_disk.hpp"

namespace ringps {

/// SQLite's default VFS for its lifetime; one at a time. File names are relative: there is one folder.
class RecordedVfs {
 public:
  RecordedVfs();
  RecordedVfs(const RecordedVfs&) = delete;
  RecordedVfs& operator=(const RecordedVfs&) = delete;
  ~RecordedVfs();

  DiskLog& log() { return log_; }
  /// Another disk, on which nothing has been done yet. No connection may be open.
  void mount(Disk disk) { log_ = DiskLog(std::move(disk)); }

 private:
  sqlite3_vfs* system_;
  sqlite3_vfs vfs_{};
  DiskLog log_;
};

}  // namespace ringps
