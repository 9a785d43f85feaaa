#include "libps/storage/journal.hpp"

#include <algorithm>
#include <charconv>

#include "libps/storage/file.hpp"

namespace ringps {
namespace {

constexpr std::uint64_t schema_version = 1;

constexpr const char* schema = R"(
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE views (epoch INTEGER PRIMARY KEY, view BLOB NOT NULL, unix_us INTEGER NOT NULL);
  CREATE TABLE settled (epoch INTEGER PRIMARY KEY REFERENCES views (epoch));
  CREATE TABLE manifests (
    iteration INTEGER NOT NULL, restore_epoch INTEGER NOT NULL, folder TEXT NOT NULL, sha256 TEXT NOT NULL,
    committed_unix_us INTEGER NOT NULL, UNIQUE (iteration, restore_epoch));
  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, unix_us INTEGER NOT NULL, kind TEXT NOT NULL, json TEXT NOT NULL);
)";

constexpr const char* put_meta = "INSERT OR REPLACE INTO meta VALUES (?, ?)";

/// Runs a statement that returns no rows.
Result<void> run(Statement& statement) {
  if (const auto stepped = statement.step(); !stepped) {
    return stepped.failure();
  }
  return {};
}

/// All rows of a statement, each made into a record by `read`.
template <class Record, class Read>
Result<std::vector<Record>> collect(Statement& statement, Read read) {
  std::vector<Record> records;
  for (;;) {
    const auto row = statement.step();
    if (!row) {
      return row.failure();
    }
    if (!*row) {
      return records;
    }
    records.push_back(read(statement));
  }
}

template <class Record>
Result<std::optional<Record>> first_of(Result<std::vector<Record>> records) {
  if (!records) {
    return records.failure();
  }
  if (records->empty()) {
    return std::optional<Record>();
  }
  return std::optional<Record>(std::move(records->front()));
}

}  // namespace

Result<Journal> Journal::open(const std::filesystem::path& path, const JournalIdentity& identity) {
  if (auto made = make_folder(path.parent_path()); !made) {
    return made.failure();
  }
  auto database = Sqlite::open(path);
  if (!database) {
    return database.failure();
  }
  Journal journal(std::move(database).value());
  if (auto locked = journal.lock(); !locked) {
    return locked.failure();
  }
  if (auto prepared = journal.prepare_schema(identity); !prepared) {
    return prepared.failure();
  }
  return journal;
}

/// With the exclusive mode set before the first access, the file stays locked until it is closed. A write-ahead log
/// makes every commit one fsync, after which it is durable; where there can be none, EXTRA makes the usual journal so.
Result<void> Journal::lock() {
  return database_.execute(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = EXTRA; "
      "PRAGMA foreign_keys = ON; BEGIN EXCLUSIVE; COMMIT;");
}

Result<bool> Journal::is_fresh() {
  auto tables = database_.prepare("SELECT count(*) FROM sqlite_master");
  if (!tables) {
    return tables.failure();
  }
  if (const auto row = tables->step(); !row) {
    return row.failure();
  }
  return tables->integer(0) == 0;
}

Result<void> Journal::prepare_schema(const JournalIdentity& identity) {
  const auto fresh = is_fresh();
  if (!fresh) {
    return fresh.failure();
  }
  if (!*fresh) {
    return check_identity(identity);
  }
  // One transaction: a journal whose making was interrupted is empty.
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.failure();
  }
  if (auto made = database_.execute(schema); !made) {
    return made;
  }
  const std::string version = std::to_string(schema_version);
  for (const auto& [key, value] : {std::pair<std::string_view, std::string_view>{"schema_version", version},
                                   {"cluster", identity.cluster},
                                   {"config_digest", identity.config_digest},
                                   {"incarnation", "0"}}) {
    auto insert = database_.prepare(put_meta);
    if (!insert) {
      return insert.failure();
    }
    if (auto inserted = run(insert->bind(1, key).bind(2, value)); !inserted) {
      return inserted;
    }
  }
  return transaction->commit();
}

Result<std::string> Journal::meta(std::string_view key) {
  auto select = database_.prepare("SELECT value FROM meta WHERE key = ?");
  if (!select) {
    return Error{select.error() + ": not a journal of ringps"};
  }
  const auto row = select->bind(1, key).step();
  if (!row) {
    return row.failure();
  }
  if (!*row) {
    return Error{database_.path() + ": not a journal of ringps: it does not say its " + std::string(key)};
  }
  return select->text(0);
}

Result<void> Journal::check_identity(const JournalIdentity& identity) {
  const auto version = meta("schema_version");
  if (!version) {
    return version.failure();
  }
  if (*version != std::to_string(schema_version)) {
    return Error{database_.path() + ": the journal is of version " + *version + ", this program knows version " +
                 std::to_string(schema_version)};
  }
  const auto cluster = meta("cluster");
  if (!cluster) {
    return cluster.failure();
  }
  if (*cluster != identity.cluster) {
    return Error{database_.path() + ": the journal belongs to the cluster '" + *cluster + "', expected '" +
                 identity.cluster + "'"};
  }
  const auto digest = meta("config_digest");
  if (!digest) {
    return digest.failure();
  }
  if (*digest != identity.config_digest) {
    return Error{database_.path() + ": the journal is of a run with another configuration (digest " + *digest +
                 ", this one has " + identity.config_digest + "): use that configuration, or another run folder"};
  }
  return {};
}

Result<Incarnation> Journal::raise_incarnation(Incarnation at_least) {
  const auto text = meta("incarnation");
  if (!text) {
    return text.failure();
  }
  Incarnation last;
  const auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), last.value);
  if (error != std::errc() || rest != text->data() + text->size()) {
    return Error{database_.path() + ": its incarnation is '" + *text + "', expected a number"};
  }
  const Incarnation raised = std::max(last.next(), at_least);
  const std::string value = std::to_string(raised.value);
  auto update = database_.prepare(put_meta);
  if (!update) {
    return update.failure();
  }
  if (auto updated = run(update->bind(1, "incarnation").bind(2, value)); !updated) {
    return updated.failure();
  }
  return raised;
}

Result<void> Journal::append_view(Epoch epoch, std::span<const std::byte> view, std::uint64_t unix_us) {
  const auto newest = last_view();
  if (!newest) {
    return newest.failure();
  }
  if (*newest && (*newest)->epoch >= epoch) {
    const auto same = select_views("WHERE views.epoch = " + std::to_string(epoch.value));
    if (!same) {
      return same.failure();
    }
    if (!same->empty() && std::ranges::equal(same->front().view, view)) {
      return {};
    }
    return Error{database_.path() + ": refused the view of epoch " + std::to_string(epoch.value) + ": " +
                 (same->empty() ? "the newest is of epoch " + std::to_string((*newest)->epoch.value)
                                : std::string("there is another one of that epoch"))};
  }
  auto insert = database_.prepare("INSERT INTO views VALUES (?, ?, ?)");
  if (!insert) {
    return insert.failure();
  }
  return run(insert->bind(1, epoch.value).bind(2, view).bind(3, unix_us));
}

Result<void> Journal::mark_settled(Epoch epoch) {
  auto insert = database_.prepare("INSERT OR IGNORE INTO settled VALUES (?)");
  if (!insert) {
    return insert.failure();
  }
  if (auto inserted = run(insert->bind(1, epoch.value)); !inserted) {
    Error error = inserted.failure();
    error.message += ", when marking epoch " + std::to_string(epoch.value) + " as settled";
    return error;
  }
  return {};
}

Result<void> Journal::append_manifest(const ManifestRecord& record) {
  const auto known = select_manifests("WHERE iteration = " + std::to_string(record.iteration.value) +
                                      " AND restore_epoch = " + std::to_string(record.restore_epoch.value));
  if (!known) {
    return known.failure();
  }
  if (!known->empty()) {
    const ManifestRecord& other = known->front();
    if (other.folder == record.folder && other.sha256 == record.sha256) {
      return {};
    }
    return Error{database_.path() + ": another checkpoint of iteration " + std::to_string(record.iteration.value) +
                 " is already committed: " + other.folder};
  }
  auto insert = database_.prepare("INSERT INTO manifests VALUES (?, ?, ?, ?, ?)");
  if (!insert) {
    return insert.failure();
  }
  insert->bind(1, record.iteration.value).bind(2, record.restore_epoch.value).bind(3, record.folder);
  return run(insert->bind(4, record.sha256).bind(5, record.committed_unix_us));
}

Result<void> Journal::append_events(std::span<const EventRecord> events) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.failure();
  }
  for (const EventRecord& event : events) {
    auto insert = database_.prepare("INSERT INTO events (unix_us, kind, json) VALUES (?, ?, ?)");
    if (!insert) {
      return insert.failure();
    }
    if (auto inserted = run(insert->bind(1, event.unix_us).bind(2, event.kind).bind(3, event.json)); !inserted) {
      return inserted;
    }
  }
  return transaction->commit();
}

Result<std::vector<ViewRecord>> Journal::select_views(const std::string& condition) {
  auto select = database_.prepare(
      "SELECT views.epoch, view, unix_us, settled.epoch IS NOT NULL FROM views "
      "LEFT JOIN settled ON settled.epoch = views.epoch " +
      condition);
  if (!select) {
    return select.failure();
  }
  return collect<ViewRecord>(*select, [](const Statement& row) {
    return ViewRecord{Epoch{row.integer(0)}, row.blob(1), row.integer(2), row.integer(3) != 0};
  });
}

Result<std::vector<ViewRecord>> Journal::views() {
  return select_views("ORDER BY views.epoch");
}

Result<std::optional<ViewRecord>> Journal::last_view() {
  return first_of(select_views("ORDER BY views.epoch DESC LIMIT 1"));
}

Result<std::optional<ViewRecord>> Journal::last_settled_view() {
  return first_of(select_views("WHERE settled.epoch IS NOT NULL ORDER BY views.epoch DESC LIMIT 1"));
}

Result<std::vector<ManifestRecord>> Journal::select_manifests(const std::string& condition) {
  auto select = database_.prepare("SELECT iteration, restore_epoch, folder, sha256, committed_unix_us FROM manifests " +
                                  condition);
  if (!select) {
    return select.failure();
  }
  return collect<ManifestRecord>(*select, [](const Statement& row) {
    return ManifestRecord{Iteration{row.integer(0)}, Epoch{row.integer(1)}, row.text(2), row.text(3), row.integer(4)};
  });
}

Result<std::vector<ManifestRecord>> Journal::manifests() {
  return select_manifests("ORDER BY rowid");
}

Result<std::vector<EventRecord>> Journal::events(std::uint64_t after, std::uint64_t count) {
  auto select = database_.prepare("SELECT id, unix_us, kind, json FROM events WHERE id > ? ORDER BY id LIMIT ?");
  if (!select) {
    return select.failure();
  }
  select->bind(1, after).bind(2, std::min<std::uint64_t>(count, INT64_MAX));
  return collect<EventRecord>(*select, [](const Statement& row) {
    return EventRecord{row.integer(0), row.integer(1), row.text(2), row.text(3)};
  });
}

}  // namespace ringps
