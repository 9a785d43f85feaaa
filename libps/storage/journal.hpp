// The coordinator's durable state, in a SQLite database: what is in the journal survives the loss of power, and nobody
// is told of a view or a checkpoint that is not. One process at a time has it open. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "libps/base/types.hpp"
#include "libps/storage/sqlite.hpp"

namespace ringps {

/// Whose journal it is. Opening it for another run is an error.
struct JournalIdentity {
  std::string cluster;
  std::string config_digest;  ///< SHA-256 of what has to be the same everywhere, hexadecimal
};

/// All times are microseconds since 1970.
struct ViewRecord {
  Epoch epoch;
  std::vector<std::byte> view;  ///< as the codec wrote it
  std::uint64_t unix_us = 0;
  bool settled = false;
};

struct ManifestRecord {
  Iteration iteration;
  Epoch restore_epoch;  ///< of the lineage that it belongs to
  std::string folder;   ///< of the checkpoint
  std::string sha256;   ///< of the manifest, hexadecimal
  std::uint64_t committed_unix_us = 0;

  friend bool operator==(const ManifestRecord&, const ManifestRecord&) = default;
};

/// Something that happened in the run: a member that joined or was removed, an evaluation, the end.
struct EventRecord {
  std::uint64_t id = 0;  ///< counts up; given by the journal
  std::uint64_t unix_us = 0;
  std::string kind;
  std::string json;
};

class Journal {
 public:
  /// Opens the journal, or makes it and the folder that it lies in. An error if another process has it open, if it is
  /// another run's, or if it is not a journal that this program knows.
  static Result<Journal> open(const std::filesystem::path& path, const JournalIdentity& identity);

  /// A number above that of every earlier life of the coordinator and not below `at_least`; durable when it returns.
  Result<Incarnation> raise_incarnation(Incarnation at_least);

  /// Appending what is there already is no error; other bytes for a known epoch, or an epoch below the newest, are.
  Result<void> append_view(Epoch epoch, std::span<const std::byte> view, std::uint64_t unix_us);
  /// The view has to be there.
  Result<void> mark_settled(Epoch epoch);
  /// As append_view: the same record may be appended again.
  Result<void> append_manifest(const ManifestRecord& record);
  /// All of them or none, with one fsync. Their ids are ignored.
  Result<void> append_events(std::span<const EventRecord> events);

  Result<std::vector<ViewRecord>> views();  ///< ascending by epoch
  Result<std::optional<ViewRecord>> last_view();
  Result<std::optional<ViewRecord>> last_settled_view();
  Result<std::vector<ManifestRecord>> manifests();  ///< in the order of their commit
  /// Events with an id above `after`, at most `count` of them, ascending.
  Result<std::vector<EventRecord>> events(std::uint64_t after, std::uint64_t count);

 private:
  explicit Journal(Sqlite database) : database_(std::move(database)) {}
  Result<void> lock();
  Result<bool> is_fresh();
  Result<void> prepare_schema(const JournalIdentity& identity);
  Result<void> check_identity(const JournalIdentity& identity);
  Result<std::string> meta(std::string_view key);
  Result<std::vector<ViewRecord>> select_views(const std::string& condition);
  Result<std::vector<ManifestRecord>> select_manifests(const std::string& condition);

  Sqlite database_;
};

}  // namespace ringps
