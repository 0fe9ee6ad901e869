#include "plugins/operators/sql/place.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "scheduler/base/cut.h"

namespace pawl::operators {

namespace {

constexpr std::size_t kShownBytes = 200;

std::size_t characters_in(std::string_view text) {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

std::string text_of_lines(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string out;
  for (const auto& line : value) out += line.get_ref<const std::string&>() + '\n';
  return out;
}

}  // namespace

void check_no_zero(std::string_view text, const std::string& what) {
  const std::size_t at = text.find('\0');
  if (at == std::string_view::npos) return;
  throw WrongParameters{what + ": it has a zero byte (U+0000) after " + std::to_string(at) +
                        " bytes, and the database would read no further: leave it out"};
}

std::string statements_of(const nlohmann::json& with) {
  std::string sql = text_of_lines(with.at("sql"));
  check_no_zero(sql, "sql");
  return sql;
}

std::string describe_place(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const std::size_t last_end = before.rfind('\n');
  const std::size_t begin = last_end == std::string_view::npos ? 0 : last_end + 1;
  const std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
  const std::string_view shown = cut_utf8(line, kShownBytes);
  return "line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n')) +
         ", column " + std::to_string(1 + characters_in(before.substr(begin))) + ": " +
         std::string(shown) + (shown.size() < line.size() ? " …" : "");
}

std::size_t offset_of_character(std::string_view text, std::size_t characters) {
  std::size_t offset = 0;
  for (; offset < text.size(); ++offset) {
    if (continues_character(text[offset])) continue;
    if (characters-- == 0) break;
  }
  return offset;
}

}  // namespace pawl::operators
