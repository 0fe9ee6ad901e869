#pragma once

// A statement of SQL and the values that it is given. Errors are values; nothing throws. A
// statement belongs to the thread that has its connection.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pawl {

class Database;

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

}  // namespace pawl
