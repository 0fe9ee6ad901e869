#include "scheduler/spec/schema_narrowing.h"

#include <algorithm>

namespace pawl {
namespace {

using Members = std::set<std::string>;

/// About the names of an object's members, or about nothing.
bool is_about_names(const std::string& key, const Json& value) {
  return key == "required" || key == "minProperties" || key == "maxProperties" ||
         key == "propertyNames" || key == "title" || key == "description" || key == "default" ||
         key == "examples" || key == "readOnly" || key == "comment" || key.starts_with("$") ||
         key.starts_with("x-") || (key == "type" && value == "object") ||
         (key == "additionalProperties" && value.is_boolean());
}

/// Whether the values of `varying` decide if an object fits. Of a keyword that is not known here
/// they may.
bool is_about(const Members& varying, const Json& schema) {
  if (!schema.is_object()) return false;
  const auto is_part_about = [&](const Json& part) { return is_about(varying, part); };
  for (const auto& [key, value] : schema.items()) {
    if (is_about_names(key, value)) continue;
    if (key == "properties") {
      for (const auto& [name, member] : value.items()) {
        if (varying.contains(name)) return true;
      }
    } else if (key == "allOf" || key == "anyOf" || key == "oneOf") {
      if (std::any_of(value.begin(), value.end(), is_part_about)) return true;
    } else if (key == "not" || key == "if" || key == "then" || key == "else") {
      if (is_part_about(value)) return true;
    } else {
      return true;
    }
  }
  return false;
}

/// Members that do not vary are still named where a schema says something of all others.
Json narrowed_properties(const Json& properties, const Members& varying, bool names_others) {
  Json out = Json::object();
  for (const auto& [name, member] : properties.items()) {
    if (varying.contains(name)) {
      out[name] = member;
    } else if (names_others) {
      out[name] = Json::object();
    }
  }
  return out;
}

bool is_conditional(const std::string& key) {
  return key == "if" || key == "then" || key == "else";
}

}  // namespace

Json narrowed(const Json& schema, const Members& varying) {
  if (!schema.is_object()) return schema;
  const auto others = schema.find("additionalProperties");
  const bool names_others = others != schema.end() && others->is_object();
  Json condition = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (is_conditional(key)) condition[key] = value;
  }
  const bool keeps_condition = is_about(varying, condition);
  Json out = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key == "x-pawl-secret") out[key] = value;  // it says what may be shown
    if (is_about_names(key, value) || (is_conditional(key) && !keeps_condition)) continue;
    if (key == "properties") {
      out[key] = narrowed_properties(value, varying, names_others);
    } else if (key == "allOf") {
      for (const Json& part : value) {
        if (is_about(varying, part)) out[key].push_back(part);
      }
    } else if (is_conditional(key) || is_about(varying, Json{{key, value}})) {
      out[key] = value;
    }
  }
  return out;
}

}  // namespace pawl
