#pragma once

// A connection to SQLite as the store needs it: opened with the pragmas that the promises rest on,
// each read back. Errors are values; nothing throws. A connection and its statements (statement.h)
// belong to one thread at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"

struct sqlite3;

namespace pawl {

/// The store's file in a home. SQLite keeps `-wal` and `-shm` beside it. Nothing but SQLite may
/// open the three: closing a descriptor of them drops the locks that SQLite holds in this process.
inline constexpr std::string_view kDatabaseName = "pawl.db";

struct DatabaseOptions {
  enum class Mode {
    create,       ///< the writer: made when it is not there
    read_write,   ///< the writer of a store that exists
    read_only,    ///< changes nothing, creates nothing, takes no lock that a writer waits for
    single_file,  ///< a copy: no write-ahead log, nothing beside the file once it is closed
  };
  Mode mode = Mode::create;
  std::string vfs;  ///< empty: the system's; the simulator brings its own
  /// Of read_only: the writer's connection is in this process and was opened before.
  bool beside_writer = false;
};

class Statement;

class Database {
 public:
  /// Opens and sets up. Errors: `not_found` (read_only and not there), `home_unusable` (cannot be
  /// created or opened), `locked` (a foreign program holds it), `storage` (damaged, I/O, full; a
  /// damaged file names the command that restores a backup). Does not look at the schema. A reader
  /// waits some seconds for another process that is making the log's index.
  static Result<std::unique_ptr<Database>> open(const std::string& path, DatabaseOptions options);

  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& path() const { return path_; }

  /// Runs one or more statements without parameters.
  Result<void> exec(const char* sql);
  /// Runs the statements one by one; `before` is called with the number of each, from 0.
  Result<void> exec_each(const char* sql, const std::function<void(int)>& before);
  /// The integer of a one-value query.
  Result<std::int64_t> integer(const char* sql);

  /// What the last call failed with, as an Error: `DOING: why. What to do`.
  Error error(std::string_view doing) const;
  /// What a statement failed with that did not compile: calls since then may have succeeded.
  Error error(std::string_view doing, const Statement& failed) const;
  /// Whether the last call failed for lack of room.
  bool is_full() const;
  /// Whether a transaction is open.
  bool in_transaction() const;
  /// Ends an open transaction without its changes.
  void rollback();
  /// Rows changed by the last statement.
  std::int64_t changes() const;

  /// Pages in the write-ahead log after the last commit of this connection; 0 after a checkpoint
  /// that copied all.
  std::int64_t wal_pages() const { return wal_pages_; }
  /// Copies the log into the database as far as readers allow, without waiting. With `truncate`,
  /// when nobody reads, the log's file is emptied too.
  Result<void> checkpoint(bool truncate = false);

  /// Copies all of this database into the (new) database `to`, `pages` at a time; between two
  /// steps `pause` is called. The copy is one commit of the source. An error where another program
  /// holds one of the two for longer than locks are waited for.
  Result<void> copy_to(Database& to, int pages, const std::function<void()>& pause);

  /// Makes `glob(PATTERN, TEXT)` of base/text.h known to SQL as `pawl_glob`.
  Result<void> add_glob();

  sqlite3* handle() const;

 private:
  struct Connection;
  explicit Database(std::string path);
  static Result<std::unique_ptr<Database>> open_once(const std::string& path,
                                                     const DatabaseOptions& options);
  int first_read();
  Result<void> set_up_writer();
  Result<void> set_up_reader();
  Result<void> set_up_copy();
  Result<void> pragma(const char* set, const char* name, std::string_view expected);

  std::string path_;
  std::unique_ptr<Connection> connection_;
  std::int64_t wal_pages_ = 0;
};

/// A transaction for reading: all queries within see one commit. Ends with the object; keep it
/// short, the log cannot shrink meanwhile.
class ReadTransaction {
 public:
  explicit ReadTransaction(Database& database);
  ~ReadTransaction();
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

 private:
  Database& database_;
  bool is_outermost_;
};

}  // namespace pawl
