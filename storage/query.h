#pragma once

// A query that is put together from parts, its values with it. Private to storage.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "storage/statement.h"

namespace pawl {

class Query {
 public:
  explicit Query(std::string sql) : sql_(std::move(sql)) {}

  Query& add(std::string_view sql) {
    sql_ += sql;
    return *this;
  }
  /// A part with values for its question marks.
  template <typename... Values>
  Query& add(std::string_view sql, Values&&... values) {
    sql_ += sql;
    (keep(std::forward<Values>(values)), ...);
    return *this;
  }
  /// ` AND COLUMN IN (?, …)`; nothing when there are no words.
  Query& add_in(std::string_view column, const std::vector<std::string>& words);
  /// ` AND pawl_glob(?, COLUMN)`; nothing when the glob is empty.
  Query& add_glob(std::string_view column, const std::string& glob) {
    return glob.empty() ? *this
                        : add(std::string(" AND pawl_glob(?, ") + std::string(column) + ")", glob);
  }

  /// The statement, its values bound; they live as long as the query, so it needs a name.
  Statement prepare(Database& database) const&;
  Statement prepare(Database& database) const&& = delete;
  /// The same in `kept`, which is compiled anew only when it is of another text. To be reset after
  /// use: a statement in the midst of its rows holds a transaction.
  class Kept;
  Statement& prepare(Database& database, Kept& kept) const&;
  Statement& prepare(Database& database, Kept& kept) const&& = delete;

 private:
  using Value = std::variant<std::int64_t, std::string>;
  void keep(std::int64_t value) { values_.emplace_back(value); }
  void keep(const std::string& value) { values_.emplace_back(value); }

  void bind(Statement& statement) const;

  std::string sql_;
  std::deque<Value> values_;
};

/// A statement for one query after another.
class Query::Kept {
 public:
  void reset() { statement_.reset(); }

 private:
  friend class Query;
  std::string sql_;
  Statement statement_;
};

}  // namespace pawl
