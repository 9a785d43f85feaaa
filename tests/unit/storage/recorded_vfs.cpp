#include "tests/unit/storage/recorded_vfs.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace ringps {
namespace {

/// Pages in the write-ahead log at which SQLite copies it into the database. The usual thousand would make each run
/// a thousand writes long before anything new happens.
constexpr int pages_between_copies = 8;
constexpr int sector_bytes = 4096;

/// SQLite allocates it, and knows only its base.
struct OpenFile {
  sqlite3_file base;
  DiskLog* log;
  NodeId node;
  bool folder_pending;   ///< a new journal, whose first sync makes its name durable too
  sqlite3** connection;  ///< null until SQLite has told
};

OpenFile& cast(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}

DiskLog& log_of(sqlite3_vfs* vfs) {
  return *static_cast<DiskLog*>(vfs->pAppData);
}

int close(sqlite3_file*) {
  return SQLITE_OK;
}

int read(sqlite3_file* file, void* out, int count, sqlite3_int64 offset) {
  const std::string& bytes = cast(file).log->disk().node(cast(file).node).bytes;
  const auto wanted = static_cast<std::size_t>(count);
  const std::size_t start = std::min(bytes.size(), static_cast<std::size_t>(offset));
  const std::size_t there = std::min(wanted, bytes.size() - start);
  std::memset(out, 0, wanted);
  std::memcpy(out, bytes.data() + start, there);
  return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* file, const void* data, int count, sqlite3_int64 offset) {
  if (cast(file).log->dead()) {
    return SQLITE_IOERR_WRITE;
  }
  std::string bytes(static_cast<const char*>(data), static_cast<std::size_t>(count));
  cast(file).log->add(DiskOp::write(cast(file).node, static_cast<std::uint64_t>(offset), std::move(bytes)));
  return SQLITE_OK;
}

int truncate(sqlite3_file* file, sqlite3_int64 length) {
  if (cast(file).log->dead()) {
    return SQLITE_IOERR_TRUNCATE;
  }
  cast(file).log->add(DiskOp::truncate(cast(file).node, static_cast<std::uint64_t>(length)));
  return SQLITE_OK;
}

int sync(sqlite3_file* file, int /*flags*/) {
  OpenFile& self = cast(file);
  for (const NodeId node : {self.node, root_folder}) {
    if (node == root_folder && !std::exchange(self.folder_pending, false)) {
      break;
    }
    if (self.log->dead()) {
      return SQLITE_IOERR_FSYNC;
    }
    self.log->add(DiskOp::sync(node));
  }
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* length) {
  *length = static_cast<sqlite3_int64>(cast(file).log->disk().node(cast(file).node).bytes.size());
  return SQLITE_OK;
}

int lock(sqlite3_file*, int) {
  return SQLITE_OK;
}

int check_reserved_lock(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}

int file_control(sqlite3_file* file, int code, void* argument) {
  if (code == SQLITE_FCNTL_PDB) {
    cast(file).connection = static_cast<sqlite3**>(argument);
  } else if (code == SQLITE_FCNTL_PRAGMA && cast(file).connection != nullptr) {
    // The first that SQLite lets us hear of a connection that is open.
    sqlite3_wal_autocheckpoint(*cast(file).connection, pages_between_copies);
  }
  return SQLITE_NOTFOUND;  // it goes on as it would without us
}

int sector_size(sqlite3_file*) {
  return sector_bytes;
}

int device_characteristics(sqlite3_file*) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;  // a torn write leaves the bytes beside it alone
}

const sqlite3_io_methods methods = [] {
  sqlite3_io_methods m{};
  m.iVersion = 1;
  m.xClose = close;
  m.xRead = read;
  m.xWrite = write;
  m.xTruncate = truncate;
  m.xSync = sync;
  m.xFileSize = file_size;
  m.xLock = lock;
  m.xUnlock = lock;
  m.xCheckReservedLock = check_reserved_lock;
  m.xFileControl = file_control;
  m.xSectorSize = sector_size;
  m.xDeviceCharacteristics = device_characteristics;
  return m;
}();

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  DiskLog& log = log_of(vfs);
  file->pMethods = nullptr;
  auto found = name == nullptr ? std::nullopt : log.disk().find(name);
  if (!found) {
    if (name == nullptr || (flags & SQLITE_OPEN_CREATE) == 0 || log.dead()) {
      return SQLITE_CANTOPEN;
    }
    found = Disk::Entry{log.add_entry(root_folder, name, false), false};
  }
  const bool journal = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
  OpenFile& self = cast(file);
  self.log = &log;
  self.node = found->node;
  self.folder_pending = journal && (flags & SQLITE_OPEN_CREATE) != 0;
  self.connection = nullptr;
  file->pMethods = &methods;
  if (flags_out != nullptr) {
    *flags_out = flags;
  }
  return SQLITE_OK;
}

int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  DiskLog& log = log_of(vfs);
  if (!log.disk().find(name)) {
    return SQLITE_IOERR_DELETE_NOENT;
  }
  if (log.dead()) {
    return SQLITE_IOERR_DELETE;
  }
  log.add(DiskOp::unlink(root_folder, name));
  if (sync_folder != 0) {
    if (log.dead()) {
      return SQLITE_IOERR_DIR_FSYNC;
    }
    log.add(DiskOp::sync(root_folder));
  }
  return SQLITE_OK;
}

int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  const auto found = log_of(vfs).disk().find(name);
  const bool empty = !found || log_of(vfs).disk().node(found->node).bytes.empty();
  *out = (flags == SQLITE_ACCESS_EXISTS ? !empty : found.has_value()) ? 1 : 0;  // an empty file counts as none
  return SQLITE_OK;
}

int full_path_name(sqlite3_vfs*, const char* name, int room, char* out) {
  const std::size_t bytes = std::strlen(name) + 1;
  if (bytes > static_cast<std::size_t>(room)) {
    return SQLITE_CANTOPEN;
  }
  std::memcpy(out, name, bytes);
  return SQLITE_OK;
}

int last_error(sqlite3_vfs*, int, char*) {
  return 0;
}

}  // namespace

RecordedVfs::RecordedVfs() : system_(sqlite3_vfs_find(nullptr)) {
  vfs_ = *system_;  // clock and random numbers stay the system's
  vfs_.iVersion = 2;
  vfs_.szOsFile = sizeof(OpenFile);
  vfs_.pNext = nullptr;
  vfs_.zName = "recorded";
  vfs_.pAppData = &log_;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  vfs_.xAccess = access;
  vfs_.xFullPathname = full_path_name;
  vfs_.xGetLastError = last_error;
  sqlite3_vfs_register(&vfs_, 1);
}

RecordedVfs::~RecordedVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(system_, 1);
}

}  // namespace ringps
