#pragma once

// A row of a result as the values that it holds.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/base/time.h"
#include "storage/statement.h"

namespace pawl {

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

}  // namespace pawl
