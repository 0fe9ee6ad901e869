#include "storage/query.h"

namespace pawl {

Query& Query::add_in(std::string_view column, const std::vector<std::string>& words) {
  if (words.empty()) return *this;
  add(" AND ").add(column).add(" IN (");
  for (std::size_t i = 0; i < words.size(); ++i) add(i == 0 ? "?" : ", ?", words[i]);
  return add(")");
}

Statement Query::prepare(Database& database) const& {
  Statement statement(database, sql_);
  bind(statement);
  return statement;
}

Statement& Query::prepare(Database& database, Kept& kept) const& {
  if (kept.sql_ != sql_) {
    kept.statement_ = Statement(database, sql_);
    kept.sql_ = sql_;
  }
  kept.statement_.reset();
  bind(kept.statement_);
  return kept.statement_;
}

void Query::bind(Statement& statement) const {
  int place = 0;
  for (const Value& value : values_) {
    ++place;
    std::visit([&](const auto& v) { statement.put(place, v); }, value);
  }
}

}  // namespace pawl
