#include "storage/query.h"

namespace pawl {

Query& Query::add_in(std::string_view column, const std::vector<std::string>& words) {
  if (words.empty()) return *this;
  add(" AND ").add(column).add(" IN (");
  for (std::size_t i = 0; i < words.size(); ++i) add(i == 0 ? "?" : ", ?", words[i]);
  return add(")");
}

Statement Query::prepare(Database& database) const {
  Statement statement(database, sql_);
  int place = 0;
  for (const Value& value : values_) {
    ++place;
    std::visit([&](const auto& v) { statement.put(place, v); }, value);
  }
  return statement;
}

}  // namespace pawl
