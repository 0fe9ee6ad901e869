#pragma once

// One connection and one statement of it, closed on every path. What SQLite refuses is thrown as
// SqliteError and ends in the operator.

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "plugins/operators/sql/place.h"
#include "plugins/operators/sql/rows.h"
#include "plugins/operators/sqlite/error.h"
#include "scheduler/base/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pawl::operators::sqlite {

struct OpenOptions {
  std::string path;  ///< absolute, or `:memory:`
  bool read_only = false;
  bool allow_attach = false;
  bool foreign_keys = false;
  Duration busy_timeout{};
};

class Database {
 public:
  explicit Database(const OpenOptions& options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Any thread: what runs ends with SQLITE_INTERRUPT, and so does all that follows.
  void interrupt();

  /// `sql` is a BEGIN. From here to `commit` no statement begins or ends a transaction: it is
  /// refused as WrongParameters. Savepoints are free.
  void begin(const char* sql);
  void commit();
  bool is_in_transaction() const;
  std::int64_t changes() const;  ///< of all statements so far
  sqlite3* get() const { return handle_; }
  /// Throws what SQLite has just said, or why it was refused to prepare a statement.
  [[noreturn]] void fail(int code, std::string trace = {}) const;

 private:
  struct Patience;  // waits for locks, until the time is over or the attempt is

  static int authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* trigger);
  void execute(const char* sql);

  sqlite3* handle_ = nullptr;
  std::string path_;
  bool allow_attach_;
  bool holds_transaction_ = false;
  const char* refused_ = nullptr;  ///< the word of a transaction statement that was denied
  std::unique_ptr<Patience> patience_;
};

class Statement {
 public:
  /// The first statement of `sql` from `begin` on; `end()` is where the next begins. An empty rest
  /// (blanks, comments) gives a statement that `is_empty`.
  Statement(Database& database, std::string_view sql, std::size_t begin);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  bool is_empty() const { return handle_ == nullptr; }
  std::size_t end() const { return end_; }
  /// It returns rows, perhaps none.
  bool returns_rows() const;
  bool changes_nothing() const;

  int parameter_count() const;
  /// `:name`, `@name`, `$name` or `?3`; null for a plain `?`. From 1.
  const char* parameter_name(int index) const;
  /// Lists and objects are bound as their JSON text.
  void bind(int index, const nlohmann::json& value);
  /// Runs it to its end; its rows go to `rows`.
  void run(RowWriter& rows);

 private:
  void write_row(RowWriter& rows) const;
  std::string place(int offset) const;

  Database* database_;
  std::string_view sql_;
  std::size_t begin_;
  std::size_t end_ = 0;
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace pawl::operators::sqlite
