// A SQLite connection and its statements, as objects. Every error names the database's file.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libps/base/result.hpp"

namespace ringps {

/// A prepared statement: bind, then step until it returns false.
class Statement {
 public:
  /// `index` counts from 1. Texts and bytes have to stay alive until the statement is gone. Integers are stored as
  /// SQLite's signed 64 bits.
  Statement& bind(int index, std::uint64_t value);
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, std::span<const std::byte> bytes);

  /// Whether there is a row.
  Result<bool> step();

  std::uint64_t integer(int column) const;
  std::string text(int column) const;
  std::vector<std::byte> blob(int column) const;

 private:
  friend class Sqlite;
  Statement(sqlite3_stmt* statement, const std::string& path) : statement_(statement), path_(path) {}

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  const std::string& path_;  ///< of the connection, which outlives the statement
};

class Sqlite {
 public:
  /// Makes the file if it is not there.
  static Result<Sqlite> open(const std::filesystem::path& path);

  Result<void> execute(const std::string& sql);
  Result<Statement> prepare(std::string_view sql);
  const std::string& path() const { return *path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
  };
  Sqlite(sqlite3* connection, const std::filesystem::path& path);

  std::unique_ptr<sqlite3, Close> connection_;
  std::unique_ptr<const std::string> path_;  ///< stays where it is when the connection is moved
};

/// Everything until commit() happens, or nothing of it.
class Transaction {
 public:
  static Result<Transaction> begin(Sqlite& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Result<void> commit();

 private:
  explicit Transaction(Sqlite& database) : database_(&database) {}

  Sqlite* database_;  ///< null: nothing to roll back
};

}  // namespace ringps
