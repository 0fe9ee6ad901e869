#include "scheduler/spec/schema_parts.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace pawl {
namespace {

const Json* member(const Json& of, const std::string& name) {
  const auto found = of.is_object() ? of.find(name) : of.end();
  return found == of.end() ? nullptr : &*found;
}

const Json* schema_of_element(const Json& schema, const std::string& index) {
  const Json* items = member(schema, "items");
  if (items == nullptr || !items->is_array()) return items;
  std::size_t place = items->size();
  std::from_chars(index.data(), index.data() + index.size(), place);
  return place < items->size() ? &(*items)[place] : member(schema, "additionalItems");
}

}  // namespace

bool is_about_the_same(std::string_view keyword) {
  constexpr std::array<std::string_view, 7> kAboutTheSame = {"allOf", "anyOf", "oneOf", "not",
                                                             "if",    "then",  "else"};
  return std::find(kAboutTheSame.begin(), kAboutTheSame.end(), keyword) != kAboutTheSame.end();
}

void each_judge(const Json& schema, const std::string& pointer,
                const std::function<void(const Json&, const std::string&)>& visit) {
  if (!schema.is_object()) return;
  visit(schema, pointer);
  for (const auto& [key, part] : schema.items()) {
    if (!is_about_the_same(key)) continue;
    const std::string place = pointer + "/" + key;
    if (!part.is_array()) each_judge(part, place, visit);
    for (std::size_t i = 0; part.is_array() && i < part.size(); ++i)
      each_judge(part[i], place + "/" + std::to_string(i), visit);
  }
}

const Json* schema_of_part(const Json& schema, const std::string& name) {
  const Json* properties = member(schema, "properties");
  const Json* own = properties != nullptr ? member(*properties, name) : nullptr;
  if (own != nullptr) return own;
  const Json* others = member(schema, "additionalProperties");
  return others != nullptr ? others : schema_of_element(schema, name);
}

}  // namespace pawl
