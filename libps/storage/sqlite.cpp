#include "libps/storage/sqlite.hpp"

#include "libps/base/check.hpp"

namespace ringps {
namespace {

/// The last error of a connection.
Error last_error(sqlite3* connection, const std::string& path) {
  const int code = sqlite3_extended_errcode(connection);
  Error error{path + ": " + sqlite3_errmsg(connection)};
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
    error.kind = ErrorKind::fsync_failed;
  } else if ((code & 0xFF) == SQLITE_BUSY) {
    error.message = path + ": another process has it open";
  }
  return error;
}

}  // namespace

Statement& Statement::bind(int index, std::uint64_t value) {
  check(sqlite3_bind_int64(statement_.get(), index, static_cast<sqlite3_int64>(value)) == SQLITE_OK, "bind an integer");
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would be stored as NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  check(sqlite3_bind_text64(statement_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK,
        "bind a text");
  return *this;
}

Statement& Statement::bind(int index, std::span<const std::byte> bytes) {
  const void* data = bytes.data() == nullptr ? static_cast<const void*>("") : bytes.data();
  check(sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_STATIC) == SQLITE_OK, "bind bytes");
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW || code == SQLITE_DONE) {
    return code == SQLITE_ROW;
  }
  return last_error(sqlite3_db_handle(statement_.get()), path_);
}

std::uint64_t Statement::integer(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return {data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::vector<std::byte> Statement::blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  return {data, data + sqlite3_column_bytes(statement_.get(), column)};
}

Sqlite::Sqlite(sqlite3* connection, const std::filesystem::path& path)
    : connection_(connection), path_(std::make_unique<const std::string>(path.string())) {}

Result<Sqlite> Sqlite::open(const std::filesystem::path& path) {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  Sqlite database(connection, path);
  if (code != SQLITE_OK) {
    return Error{path.string() + ": " + (connection == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(connection))};
  }
  return database;
}

Result<void> Sqlite::execute(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return last_error(connection_.get(), *path_);
  }
  return {};
}

Result<Statement> Sqlite::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr) !=
      SQLITE_OK) {
    return last_error(connection_.get(), *path_);
  }
  return Statement(statement, *path_);
}

Result<Transaction> Transaction::begin(Sqlite& database) {
  if (auto begun = database.execute("BEGIN"); !begun) {
    return begun.failure();
  }
  return Transaction(database);
}

Result<void> Transaction::commit() {
  auto committed = database_->execute("COMMIT");
  if (committed) {
    database_ = nullptr;
  }
  return committed;
}

Transaction::~Transaction() {
  if (database_ != nullptr) {
    (void)database_->execute("ROLLBACK");  // fails only where SQLite has already rolled back
  }
}

}  // namespace ringps
