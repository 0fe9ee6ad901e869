#pragma once

// A row of a result as the values that it holds.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "storage/database.h"
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
  template <typename From>
  auto word_or_none(From from) -> decltype(from(std::string_view())) {
    if (!statement_.is_null(column_)) return word(from);
    ++column_;
    return std::nullopt;
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

/// All rows of `query`, each as `read` makes it of its columns. An error, which begins with
/// `doing`, when the database failed or a value cannot be read. The query is reset: in the midst of
/// its rows it would hold the write-ahead log.
template <typename Read, typename Row = std::invoke_result_t<Read, RowReader&>>
Result<std::vector<Row>> read_rows(Database& database, Statement& query, std::string_view doing,
                                   Read read) {
  std::vector<Row> rows;
  std::string bad;
  while (bad.empty() && query.step()) {
    RowReader reader(query);
    rows.push_back(read(reader));
    bad = reader.bad();
  }
  const bool is_read = query.ok();
  query.reset();
  if (!is_read) return database.error(doing);
  if (!bad.empty()) {
    return Error{ErrorKind::storage, std::string(doing) + ": " + bad + ". pawl doctor says more"};
  }
  return rows;
}

/// The same of a query that has one row or none.
template <typename Read, typename Row = std::invoke_result_t<Read, RowReader&>>
Result<std::optional<Row>> read_row(Database& database, Statement& query, std::string_view doing,
                                    Read read) {
  Result<std::vector<Row>> rows = read_rows(database, query, doing, read);
  if (!rows) return std::move(rows).error();
  std::optional<Row> row;
  if (!rows->empty()) row = std::move(rows->front());
  return row;
}

}  // namespace pawl
