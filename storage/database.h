#pragma once

// The one home of SQLite. A connection as the store needs it: opened with the pragmas that the
// promises rest on, each read back; statements whose errors are values; nothing throws. A
// connection and its statements belong to one thread at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

struct sqlite3;
struct sqlite3_stmt;

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
  /// steps `pause` is called. The copy is one commit of the source.
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

/// Text that may be absent: the empty text is NULL.
struct TextOrNull {
  std::string_view text;
};
/// Text of which all values live as long as the program (words of enums): compared by address.
struct Word {
  std::string_view text;
};
struct Blob {
  std::string_view bytes;
};

/// A prepared statement, kept and used again. Parameters keep their values between uses and are
/// bound by reference: what a text points at must live until the statement was stepped to its end.
/// Errors stick until `reset`: step until false, then ask `ok`.
class Statement {
 public:
  Statement() = default;
  /// A statement that does not compile fails when it is stepped.
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  explicit operator bool() const { return statement_ != nullptr; }

  /// Binds all parameters in order, from the first.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    int place = 0;
    (put(++place, values), ...);
    return *this;
  }

  /// One parameter, from 1.
  void put(int place, std::int64_t value);
  void put(int place, int value) { put(place, static_cast<std::int64_t>(value)); }
  void put(int place, bool value) { put(place, static_cast<std::int64_t>(value)); }
  void put(int place, std::nullopt_t);
  void put(int place, std::string_view text);
  void put(int place, const std::string& text) { put(place, std::string_view(text)); }
  void put(int place, TextOrNull text);
  void put(int place, Word word);
  void put(int place, Blob blob);
  void put(int place, WallTime time) { put(place, time.ms); }
  template <typename T>
  void put(int place, const std::optional<T>& value) {
    if (value) {
      put(place, *value);
    } else {
      put(place, std::nullopt);
    }
  }
  template <typename Tag, typename Rep>
  void put(int place, Id<Tag, Rep> id) {
    put(place, static_cast<std::int64_t>(id.value));
  }

  /// Moves to the next row; false at the end and after an error.
  bool step();
  /// Steps a statement without rows to its end and resets it; false after an error, which the
  /// database then tells.
  bool run();
  void reset();
  bool ok() const { return code_ == 0; }
  int code() const { return code_; }

  // Columns of the current row, from 0. Texts live until the next step.
  std::int64_t integer(int column) const;
  std::string_view text(int column) const;  ///< of a blob, its bytes; of NULL, empty
  bool is_null(int column) const;
  int columns() const;

 private:
  struct Bound {
    enum class Kind : std::uint8_t { unknown, null, integer, word } kind = Kind::unknown;
    std::int64_t integer = 0;
    const char* word = nullptr;
  };
  Bound& bound(int place);

  bool fail_again();

  sqlite3_stmt* statement_ = nullptr;
  int code_ = 0;
  sqlite3* handle_ = nullptr;  ///< of a statement that did not compile, with its text
  std::string sql_;
  std::vector<Bound> bound_;
};

/// Reads the columns of a row one after another. Words and numbers that cannot be are noted, not
/// trusted.
class RowReader {
 public:
  explicit RowReader(const Statement& statement, int first = 0)
      : statement_(statement), column_(first) {}

  std::int64_t integer() { return statement_.integer(column_++); }
  std::int32_t small();
  bool flag() { return integer() != 0; }
  std::string text() { return std::string(statement_.text(column_++)); }
  WallTime time() { return {integer()}; }
  std::optional<WallTime> time_or_none();
  std::optional<int> small_or_none();
  std::optional<std::string_view> text_or_none();
  template <typename Any>
  Any id() {
    return Any{static_cast<typename Any::rep>(integer())};
  }
  /// An enum by its word; `from` gives nothing for an unknown word.
  template <typename From>
  auto word(From from) {
    std::string_view text = statement_.text(column_++);
    auto value = from(text);
    if (!value) note_bad(text);
    return value.value_or(typename decltype(value)::value_type{});
  }

  bool good() const { return bad_.empty(); }
  /// What could not be read.
  const std::string& bad() const { return bad_; }

 private:
  void note_bad(std::string_view text);

  const Statement& statement_;
  int column_;
  std::string bad_;
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
