#include "storage/statement.h"

#include <utility>

#include <sqlite3.h>

#include "storage/database.h"
#include "storage/sqlite_codes.h"

namespace pawl {

Statement::Statement(Database& database, std::string_view sql) {
  code_ = once_index_is_made([&] {
    return sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                              SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  });
  if (statement_ != nullptr) {
    bound_.resize(static_cast<std::size_t>(sqlite3_bind_parameter_count(statement_)));
  } else {
    handle_ = database.handle();
    sql_ = sql;
  }
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)),
      code_(std::exchange(other.code_, 0)),
      handle_(other.handle_),
      sql_(std::move(other.sql_)),
      bound_(std::move(other.bound_)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(code_, other.code_);
  std::swap(handle_, other.handle_);
  std::swap(sql_, other.sql_);
  std::swap(bound_, other.bound_);
  return *this;
}

// Binding a value that is bound already costs twenty times the comparison, and of the forty values
// of a task's start and end most are those of the task before.
Statement::Bound& Statement::bound(int place) {
  static thread_local Bound nowhere;  // of a statement that did not compile
  auto index = static_cast<std::size_t>(place - 1);
  return index < bound_.size() ? bound_[index] : nowhere;
}

void Statement::put(int place, std::int64_t value) {
  Bound& last = bound(place);
  if (last.kind == Bound::Kind::integer && last.integer == value) return;
  sqlite3_bind_int64(statement_, place, value);
  last.kind = Bound::Kind::integer;
  last.integer = value;
}

void Statement::put(int place, std::nullopt_t) {
  Bound& last = bound(place);
  if (last.kind == Bound::Kind::null) return;
  sqlite3_bind_null(statement_, place);
  last.kind = Bound::Kind::null;
}

void Statement::put(int place, std::string_view text) {
  bound(place).kind = Bound::Kind::unknown;
  // A view without address would bind NULL.
  sqlite3_bind_text64(statement_, place, text.data() == nullptr ? "" : text.data(), text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::put(int place, TextOrNull text) {
  if (text.text.empty()) {
    put(place, std::nullopt);
  } else {
    put(place, text.text);
  }
}

void Statement::put(int place, Word word) {
  if (word.text.empty()) return put(place, std::nullopt);
  Bound& last = bound(place);
  if (last.kind == Bound::Kind::word && last.word == word.text.data()) return;
  put(place, word.text);
  last.kind = Bound::Kind::word;
  last.word = word.text.data();
}

void Statement::put(int place, Blob blob) {
  bound(place).kind = Bound::Kind::unknown;
  sqlite3_bind_blob64(statement_, place, blob.bytes.data() == nullptr ? "" : blob.bytes.data(),
                      blob.bytes.size(), SQLITE_STATIC);
}

bool Statement::step() {
  if (statement_ == nullptr) return fail_again();
  int code = once_index_is_made([this] {
    const int done = sqlite3_step(statement_);
    // It failed as it began to read, so there was no row yet.
    if (is_index_in_the_making(done)) sqlite3_reset(statement_);
    return done;
  });
  if (code == SQLITE_ROW) return true;
  code_ = code == SQLITE_DONE ? 0 : code;
  return false;
}

/// Compiles a statement that did not compile once more, so that the database tells why.
bool Statement::fail_again() {
  code_ = SQLITE_MISUSE;
  if (handle_ == nullptr) return false;
  sqlite3_stmt* again = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql_.data(), static_cast<int>(sql_.size()), &again, nullptr);
  sqlite3_finalize(again);
  if (code != SQLITE_OK) code_ = code;
  return false;
}

bool Statement::run() {
  while (step()) {
  }
  if (statement_ == nullptr) return false;
  // Resetting after an error tells the error again, so that the database still knows it.
  sqlite3_reset(statement_);
  return ok();
}

void Statement::reset() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  code_ = 0;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::text(int column) const {
  const void* bytes = sqlite3_column_type(statement_, column) == SQLITE_BLOB
                          ? sqlite3_column_blob(statement_, column)
                          : sqlite3_column_text(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int Statement::columns() const { return sqlite3_column_count(statement_); }

}  // namespace pawl
