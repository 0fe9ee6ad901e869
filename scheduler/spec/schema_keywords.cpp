// The keywords of JSON Schema that pawl offers for a value, its own among them, and what each of
// them takes.

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <re2/re2.h>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/schema_parts.h"
#include "scheduler/spec/schema_tree.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
namespace {

/// What the value of a keyword must be.
enum class KeywordForm : std::uint8_t {
  any,
  text,
  boolean,
  number,
  count,
  list,
  words,
  type,
  schema,
  schema_or_list,
  schema_list,
  schema_map,
  pattern,
  format,
  kind,
  duration,
  size,
  output,
};

struct Keyword {
  std::string_view word;
  KeywordForm form;
  std::string_view type = {};  ///< of the values that it judges, letting others by; empty: any
};
constexpr std::array<Keyword, 44> kKeywords = {{
    {"type", KeywordForm::type},
    {"enum", KeywordForm::list},
    {"const", KeywordForm::any},
    {"default", KeywordForm::any},
    {"examples", KeywordForm::list},
    {"title", KeywordForm::text},
    {"description", KeywordForm::text},
    {"minimum", KeywordForm::number, "number"},
    {"maximum", KeywordForm::number, "number"},
    {"exclusiveMinimum", KeywordForm::number, "number"},
    {"exclusiveMaximum", KeywordForm::number, "number"},
    {"multipleOf", KeywordForm::number, "number"},
    {"minLength", KeywordForm::count, "string"},
    {"maxLength", KeywordForm::count, "string"},
    {"pattern", KeywordForm::pattern, "string"},
    {"format", KeywordForm::format, "string"},
    {"items", KeywordForm::schema_or_list, "array"},
    {"additionalItems", KeywordForm::schema, "array"},
    {"contains", KeywordForm::schema, "array"},
    {"minItems", KeywordForm::count, "array"},
    {"maxItems", KeywordForm::count, "array"},
    {"uniqueItems", KeywordForm::boolean, "array"},
    {"properties", KeywordForm::schema_map, "object"},
    {"additionalProperties", KeywordForm::schema, "object"},
    {"propertyNames", KeywordForm::schema, "object"},
    {"required", KeywordForm::words, "object"},
    {"minProperties", KeywordForm::count, "object"},
    {"maxProperties", KeywordForm::count, "object"},
    {"allOf", KeywordForm::schema_list},
    {"anyOf", KeywordForm::schema_list},
    {"oneOf", KeywordForm::schema_list},
    {"not", KeywordForm::schema},
    {"if", KeywordForm::schema},
    {"then", KeywordForm::schema},
    {"else", KeywordForm::schema},
    {"readOnly", KeywordForm::boolean},
    {"x-pawl-type", KeywordForm::kind},
    {"x-pawl-minimum", KeywordForm::duration},
    {"x-pawl-maximum", KeywordForm::size},
    {"x-pawl-error", KeywordForm::text},
    {"x-pawl-secret", KeywordForm::boolean},
    {"x-pawl-writes", KeywordForm::boolean},
    {"x-pawl-replaces", KeywordForm::words},
    {"x-pawl-output", KeywordForm::output},
}};
constexpr std::array<std::string_view, 7> kTypes = {"string", "integer", "number", "boolean",
                                                    "array",  "object",  "null"};
constexpr std::array<std::string_view, 3> kKinds = {"duration", "size", "url"};
constexpr std::array<std::string_view, 2> kFormats = {"date", "date-time"};

/// What a schema is for.
enum class Use : std::uint8_t { value, param_of_job, parameters_of_operator };

const Keyword* find_keyword(std::string_view word) {
  const auto* known = std::find_if(kKeywords.begin(), kKeywords.end(),
                                   [&](const Keyword& k) { return k.word == word; });
  return known == kKeywords.end() ? nullptr : known;
}

bool allows(const Json& types, std::string_view type) {
  const auto is_it = [type](const Json& one) {
    return one == type || (type == "number" && one == "integer");
  };
  return types.is_array() ? std::any_of(types.begin(), types.end(), is_it) : is_it(types);
}

/// A keyword beside the `type` of its schema, or where no part declares one.
std::string idle_keyword(const Keyword& keyword, bool has_type) {
  const std::string type = quote(keyword.type);
  const std::string what =
      quote(keyword.word) + " judges values of the type " + type + " and lets all others by";
  return has_type ? what + ", and \"type\" does not allow one"
                  : what + ": declare \"type\": " + type + ", too";
}

/// Bounds that would hold of no value: beside a `type` that they do not judge, and without any
/// type, where a value that was meant to be a number may come as a text. Of a schema that is right.
std::vector<SchemaError> idle_bounds(const Json& schema) {
  bool is_declared = false;
  each_judge(schema, "", [&](const Json& part, const std::string&) {
    is_declared |= part.contains("type") || part.contains("enum") || part.contains("const");
  });
  std::vector<SchemaError> errors;
  each_judge(schema, "", [&](const Json& part, const std::string& pointer) {
    const auto types = part.find("type");
    const bool has_type = types != part.end();
    if (is_declared && !has_type) return;
    for (const auto& [key, value] : part.items()) {
      const Keyword* keyword = find_keyword(key);
      const bool is_bound = keyword != nullptr && !keyword->type.empty();
      if (is_bound && !(has_type && allows(*types, keyword->type)))
        errors.push_back({pointer + "/" + key, idle_keyword(*keyword, has_type)});
    }
  });
  return errors;
}

class SchemaChecker {
 public:
  explicit SchemaChecker(Use use) : use_(use) {}

  std::vector<SchemaError> check(const Json& schema) {
    if (use_ == Use::parameters_of_operator &&
        (!schema.is_object() || schema.value("type", Json()) != "object")) {
      fail("", "the schema describes `with`, which is an object: \"type\" must be \"object\"");
    }
    check_part(schema, "", true);
    if (errors_.empty() && use_ != Use::value) check_bounds(schema, "");
    // Only by a schema that is right can anything be judged.
    if (errors_.empty() && use_ != Use::value) check_defaults();
    return std::move(errors_);
  }

 private:
  /// `is_of_whole`: it is about the value itself, not about a part of it.
  void check_part(const Json& schema, const std::string& pointer, bool is_of_whole) {
    if (schema.is_boolean()) return;
    if (!schema.is_object()) {
      fail(pointer, "a schema is an object");
      return;
    }
    for (const auto& [key, value] : schema.items()) {
      const bool is_ours = key.starts_with("x-pawl-");
      if ((key.starts_with("x-") && !is_ours) || key == "comment" || key == "$schema" ||
          key == "$comment")
        continue;
      const std::string place = pointer + "/" + escape_pointer(key);
      check_keyword(key, value, place, is_of_whole);
      if (is_ours) check_own(schema, key, place);
    }
    if (schema.contains("default")) with_default_.push_back({&schema, pointer + "/default"});
    if (is_of_whole && use_ == Use::parameters_of_operator) check_reserved(schema, pointer);
  }

  /// Pawl's own keywords: that they stand where they mean something, beside what they need.
  void check_own(const Json& schema, const std::string& key, const std::string& pointer) {
    const auto kind = schema.find("x-pawl-type");
    const auto needs = [&](const char* what) {
      if (kind != schema.end() && *kind == what) return;
      fail(pointer, quote(key) + " needs \"x-pawl-type\": " + quote(what) + " beside it");
    };
    if (key == "x-pawl-minimum") needs("duration");
    if (key == "x-pawl-maximum") needs("size");
    if (use_ == Use::parameters_of_operator && key == "x-pawl-output")
      check_output(schema, pointer);
    const std::string why = why_idle(schema, key, pointer);
    if (!why.empty()) fail(pointer, quote(key) + ' ' + why);
  }

  /// Why one of pawl's own keywords means nothing where it stands; empty: it means something.
  std::string why_idle(const Json& schema, const std::string& key,
                       const std::string& pointer) const {
    const bool is_written = key == "x-pawl-writes";
    const bool is_replacing = key == "x-pawl-replaces";
    if (key == "x-pawl-error" && !schema.contains("pattern") && !is_rule(pointer)) {
      return "means something beside a \"pattern\", and in a part of \"allOf\": it says in words "
             "of yours which of the two a value breaks";
    }
    if (use_ == Use::param_of_job) {
      if (key == "x-pawl-secret") {
        return "keeps no parameter of a job secret: runs keep and show their parameters; what is "
               "secret comes by the job's \"secrets\"";
      }
      if (key == "x-pawl-output" || is_written || is_replacing)
        return "means nothing in a parameter of a job: it is for schemas of operators";
    }
    if (use_ == Use::parameters_of_operator) {
      if (is_written && !is_of_parameter(pointer)) {
        return "means something of a parameter alone, as in /properties/path/x-pawl-writes";
      }
      if (is_replacing && !is_of_member(pointer)) {
        return "means something of a member of \"properties\" alone, and names others of them";
      }
    }
    return {};
  }

  /// Of the schema that the pointer to one of its keywords leads to: a part of `allOf`.
  static bool is_rule(const std::string& pointer) {
    const Json::json_pointer list = Json::json_pointer(pointer).parent_pointer().parent_pointer();
    return !list.empty() && list.back() == "allOf";
  }

  static bool is_of_parameter(std::string_view pointer) {
    constexpr std::string_view kProperties = "/properties/";
    return pointer.starts_with(kProperties) &&
           std::count(pointer.begin() + kProperties.size(), pointer.end(), '/') == 1;
  }

  static bool is_of_member(const std::string& pointer) {
    const Json::json_pointer schema = Json::json_pointer(pointer).parent_pointer();
    return !schema.empty() && !schema.parent_pointer().empty() &&
           schema.parent_pointer().back() == "properties";
  }

  /// Of `properties`: who replaces others names others of them.
  void check_replaced(const Json& members, const std::string& pointer) {
    for (const auto& [name, schema] : members.items()) {
      if (!schema.is_object() || !schema.contains("x-pawl-replaces")) continue;
      for (const Json& other : schema["x-pawl-replaces"]) {
        if (!other.is_string() || (other != name && members.contains(other.get<std::string>())))
          continue;
        fail(pointer + "/" + escape_pointer(name) + "/x-pawl-replaces",
             "\"x-pawl-replaces\" names " + quote(other.get<std::string>()) +
                 ", and there is no such other member");
      }
    }
  }

  void check_output(const Json& schema, const std::string& pointer) {
    const Json& gives = schema["x-pawl-output"];
    if (pointer != "/x-pawl-output") {
      fail(pointer, "\"x-pawl-output\" means something at the top of a schema alone");
    } else if (gives.is_string() &&
               !schema.value("properties", Json::object()).contains(gives.get<std::string>())) {
      fail(pointer, "\"x-pawl-output\" names " + quote(gives.get<std::string>()) +
                        ", and there is no such parameter in \"properties\"");
    }
  }

  void check_reserved(const Json& schema, const std::string& pointer) {
    constexpr const char* kReserved = "connection";
    const std::string why =
        ": tasks name a connection of the settings with it, and the operator "
        "never sees it";
    const auto properties = schema.find("properties");
    if (properties != schema.end() && properties->is_object() && properties->contains(kReserved)) {
      fail(pointer + "/properties/" + kReserved,
           "a parameter cannot be called " + quote(kReserved) + why);
    }
    const auto required = schema.find("required");
    if (required != schema.end() && required->is_array() &&
        std::find(required->begin(), required->end(), kReserved) != required->end()) {
      fail(pointer + "/required", quote(kReserved) + " cannot be required" + why);
    }
  }

  /// Of a value and its parts, as far as it says itself what they are.
  void check_bounds(const Json& schema, const std::string& pointer) {
    if (!schema.is_object()) return;
    for (const SchemaError& idle : idle_bounds(schema)) fail(pointer + idle.pointer, idle.message);
    for (const char* key : {"items", "additionalItems", "additionalProperties"}) {
      const auto part = schema.find(key);
      if (part == schema.end()) continue;
      const std::string place = pointer + "/" + key;
      if (!part->is_array()) check_bounds(*part, place);
      for (std::size_t i = 0; part->is_array() && i < part->size(); ++i)
        check_bounds((*part)[i], place + "/" + std::to_string(i));
    }
    const auto members = schema.find("properties");
    if (members == schema.end()) return;
    for (const auto& [name, part] : members->items())
      check_bounds(part, pointer + "/properties/" + escape_pointer(name));
  }

  void check_defaults() {
    for (const auto& [schema, pointer] : with_default_) {
      const auto why = violation_of(SchemaNode(*schema), (*schema)["default"], Texts::literal);
      if (why) fail(pointer, "\"default\" does not fit its own schema: " + *why);
    }
  }

  void fail(const std::string& pointer, std::string message) {
    if (errors_.size() < limits::kErrorsPerFileMax)
      errors_.push_back({pointer, std::move(message)});
  }

  void check_keyword(const std::string& key, const Json& value, const std::string& pointer,
                     bool is_of_whole) {
    const bool is_inner_of_whole = is_of_whole && is_about_the_same(key);
    const Keyword* known = find_keyword(key);
    if (known == nullptr) {
      unknown(key, pointer);
      return;
    }
    switch (known->form) {
      case KeywordForm::any: return;
      case KeywordForm::text: expect(value.is_string(), pointer, key, "a text"); return;
      case KeywordForm::boolean: expect(value.is_boolean(), pointer, key, "true or false"); return;
      case KeywordForm::number:
        expect(value.is_number() && (key != "multipleOf" || value.get<double>() > 0), pointer, key,
               key == "multipleOf" ? "a number over 0" : "a number");
        return;
      case KeywordForm::count:
        expect(value.is_number_unsigned() || (value.is_number_integer() && value >= 0), pointer,
               key, "a whole number from 0");
        return;
      case KeywordForm::list: check_list(key, value, pointer); return;
      case KeywordForm::words:
        expect(value.is_array() && std::all_of(value.begin(), value.end(),
                                               [](const Json& v) { return v.is_string(); }),
               pointer, key, "a list of names");
        return;
      case KeywordForm::type: check_type(value, pointer); return;
      case KeywordForm::schema: check_part(value, pointer, is_inner_of_whole); return;
      case KeywordForm::schema_or_list:
        if (value.is_array()) {
          check_schema_list(value, pointer, is_inner_of_whole);
        } else {
          check_part(value, pointer, is_inner_of_whole);
        }
        return;
      case KeywordForm::schema_list:
        if (expect(value.is_array() && !value.empty(), pointer, key, "a list of schemas")) {
          check_schema_list(value, pointer, is_inner_of_whole);
        }
        return;
      case KeywordForm::schema_map:
        if (!expect(value.is_object(), pointer, key, "an object of schemas")) return;
        for (const auto& [name, schema] : value.items()) {
          check_part(schema, pointer + "/" + escape_pointer(name), false);
        }
        if (key == "properties" && use_ == Use::parameters_of_operator)
          check_replaced(value, pointer);
        return;
      case KeywordForm::pattern: check_pattern(value, pointer); return;
      case KeywordForm::format: check_format(value, pointer); return;
      case KeywordForm::kind:
        expect(value.is_string() && std::find(kKinds.begin(), kKinds.end(),
                                              value.get<std::string>()) != kKinds.end(),
               pointer, key, list_words(kKinds));
        return;
      case KeywordForm::duration:
        expect(value.is_string() && parse_duration(value.get<std::string>()), pointer, key,
               "a duration such as \"30s\"");
        return;
      case KeywordForm::size:
        expect(value.is_string() && parse_size(value.get<std::string>()), pointer, key,
               "a size such as \"1MiB\"");
        return;
      case KeywordForm::output:
        expect(value.is_string() || value == false, pointer, key,
               "false or the name of a parameter");
        return;
    }
  }

  void unknown(const std::string& key, const std::string& pointer) {
    constexpr std::array<std::string_view, 5> kNotOffered = {"$ref", "$defs", "definitions",
                                                             "patternProperties", "dependencies"};
    if (std::find(kNotOffered.begin(), kNotOffered.end(), key) != kNotOffered.end()) {
      fail(pointer, quote(key) + " is not offered in parameters: write the schema out");
      return;
    }
    std::vector<std::string_view> words;
    for (const Keyword& keyword : kKeywords) words.push_back(keyword.word);
    fail(pointer, "unknown keyword " + quote(key) + " of JSON Schema" + did_you_mean(key, words));
  }

  bool expect(bool holds, const std::string& pointer, const std::string& key,
              std::string_view what) {
    if (!holds) fail(pointer, quote(key) + " expects " + std::string(what));
    return holds;
  }

  void check_list(const std::string& key, const Json& value, const std::string& pointer) {
    expect(value.is_array() && (key != "enum" || !value.empty()), pointer, key,
           key == "enum" ? "a list of at least one value" : "a list");
  }

  void check_schema_list(const Json& list, const std::string& pointer, bool is_of_whole) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      check_part(list[i], pointer + "/" + std::to_string(i), is_of_whole);
    }
  }

  void check_type(const Json& value, const std::string& pointer) {
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& type : list) {
      const std::string word = type.is_string() ? type.get<std::string>() : type.dump();
      const bool known = std::find(kTypes.begin(), kTypes.end(), word) != kTypes.end();
      if (type.is_string() && known) continue;  // a bare null is not "null"
      fail(pointer, quote(word) + " is not a type of JSON Schema" + foreign_type(word) +
                        "; types are " + list_words(kTypes, "and"));
    }
    if (list.empty())
      fail(pointer, "\"type\" expects a type; types are " + list_words(kTypes, "and"));
  }

  static std::string foreign_type(std::string_view word) {
    if (word == "str" || word == "text") return "; did you mean \"string\"?";
    if (word == "int" || word == "long") return "; did you mean \"integer\"?";
    if (word == "float" || word == "double") return "; did you mean \"number\"?";
    if (word == "bool") return "; did you mean \"boolean\"?";
    if (word == "list") return "; did you mean \"array\"?";
    if (word == "dict" || word == "map") return "; did you mean \"object\"?";
    if (word == "date") return ": a date is {\"type\": \"string\", \"format\": \"date\"}";
    return did_you_mean(word, kTypes);
  }

  void check_pattern(const Json& value, const std::string& pointer) {
    if (!value.is_string()) {
      fail(pointer, "\"pattern\" expects a regular expression (a text)");
      return;
    }
    const RE2 pattern(value.get<std::string>(), RE2::Quiet);
    if (!pattern.ok()) {
      fail(pointer, "this regular expression (RE2) does not compile: " + pattern.error());
    }
  }

  void check_format(const Json& value, const std::string& pointer) {
    if (!value.is_string() ||
        std::find(kFormats.begin(), kFormats.end(), value.get<std::string>()) == kFormats.end()) {
      fail(pointer, "\"format\" expects " + list_words(kFormats) +
                        "; anything else would not be checked, a \"pattern\" is");
    }
  }

  struct WithDefault {
    const Json* schema;
    std::string pointer;  ///< of the default
  };

  Use use_;
  std::vector<WithDefault> with_default_;
  std::vector<SchemaError> errors_;
};

}  // namespace

std::vector<SchemaError> check_schema(const Json& schema) {
  return SchemaChecker(Use::value).check(schema);
}

std::vector<SchemaError> check_param_schema(const Json& schema) {
  return SchemaChecker(Use::param_of_job).check(schema);
}

std::vector<SchemaError> check_operator_schema(const Json& schema) {
  return SchemaChecker(Use::parameters_of_operator).check(schema);
}

}  // namespace pawl
