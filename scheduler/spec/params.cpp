#include "scheduler/spec/params.h"

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <set>

#include <re2/re2.h>

// Without it the library ends the process where it finds a mistake.
#define VALIJSON_USE_EXCEPTIONS 1
// It was not written for these warnings.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#pragma GCC diagnostic ignored "-Woverloaded-virtual"
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#pragma GCC diagnostic pop

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/civil.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/parse.h"

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
};

struct Keyword {
  std::string_view word;
  KeywordForm form;
};
constexpr std::array<Keyword, 36> kKeywords = {{
    {"type", KeywordForm::type},
    {"enum", KeywordForm::list},
    {"const", KeywordForm::any},
    {"default", KeywordForm::any},
    {"examples", KeywordForm::list},
    {"title", KeywordForm::text},
    {"description", KeywordForm::text},
    {"minimum", KeywordForm::number},
    {"maximum", KeywordForm::number},
    {"exclusiveMinimum", KeywordForm::number},
    {"exclusiveMaximum", KeywordForm::number},
    {"multipleOf", KeywordForm::number},
    {"minLength", KeywordForm::count},
    {"maxLength", KeywordForm::count},
    {"pattern", KeywordForm::pattern},
    {"format", KeywordForm::format},
    {"items", KeywordForm::schema_or_list},
    {"additionalItems", KeywordForm::schema},
    {"contains", KeywordForm::schema},
    {"minItems", KeywordForm::count},
    {"maxItems", KeywordForm::count},
    {"uniqueItems", KeywordForm::boolean},
    {"properties", KeywordForm::schema_map},
    {"additionalProperties", KeywordForm::schema},
    {"propertyNames", KeywordForm::schema},
    {"required", KeywordForm::words},
    {"minProperties", KeywordForm::count},
    {"maxProperties", KeywordForm::count},
    {"allOf", KeywordForm::schema_list},
    {"anyOf", KeywordForm::schema_list},
    {"oneOf", KeywordForm::schema_list},
    {"not", KeywordForm::schema},
    {"if", KeywordForm::schema},
    {"then", KeywordForm::schema},
    {"else", KeywordForm::schema},
    {"readOnly", KeywordForm::boolean},
}};
constexpr std::array<std::string_view, 7> kTypes = {"string", "integer", "number", "boolean",
                                                    "array",  "object",  "null"};
constexpr std::array<std::string_view, 2> kFormats = {"date", "date-time"};

RE2::Options pattern_options() {
  RE2::Options options;
  options.set_log_errors(false);
  return options;
}

class SchemaChecker {
 public:
  std::vector<SchemaError> errors;

  /// `reached`: own checks (patterns, formats) apply to every value that comes here.
  void check(const Json& schema, const std::string& pointer, bool reached) {
    if (schema.is_boolean()) return;
    if (!schema.is_object()) {
      fail(pointer, "a schema is an object");
      return;
    }
    for (const auto& [key, value] : schema.items()) {
      if (key.starts_with("x-") || key == "comment" || key == "$schema" || key == "$comment")
        continue;
      check_keyword(key, value, pointer + "/" + escape_pointer(key), reached);
    }
  }

 private:
  void fail(const std::string& pointer, std::string message) {
    if (errors.size() < limits::kErrorsPerFileMax) errors.push_back({pointer, std::move(message)});
  }

  void check_keyword(const std::string& key, const Json& value, const std::string& pointer,
                     bool reached) {
    const auto* known = std::find_if(kKeywords.begin(), kKeywords.end(),
                                     [&](const Keyword& k) { return k.word == key; });
    if (known == kKeywords.end()) {
      unknown(key, pointer);
      return;
    }
    const bool through = reached && (key == "items" || key == "properties" ||
                                     key == "additionalProperties" || key == "allOf");
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
      case KeywordForm::schema: check(value, pointer, through); return;
      case KeywordForm::schema_or_list:
        if (value.is_array()) {
          check_schema_list(value, pointer, through);
        } else {
          check(value, pointer, through);
        }
        return;
      case KeywordForm::schema_list:
        if (expect(value.is_array() && !value.empty(), pointer, key, "a list of schemas")) {
          check_schema_list(value, pointer, through);
        }
        return;
      case KeywordForm::schema_map:
        if (!expect(value.is_object(), pointer, key, "an object of schemas")) return;
        for (const auto& [name, schema] : value.items()) {
          check(schema, pointer + "/" + escape_pointer(name), through);
        }
        return;
      case KeywordForm::pattern: check_pattern(value, pointer, reached); return;
      case KeywordForm::format: check_format(value, pointer, reached); return;
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

  void check_schema_list(const Json& list, const std::string& pointer, bool reached) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      check(list[i], pointer + "/" + std::to_string(i), reached);
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

  void check_pattern(const Json& value, const std::string& pointer, bool reached) {
    if (!value.is_string()) {
      fail(pointer, "\"pattern\" expects a regular expression (a text)");
      return;
    }
    const RE2 pattern(value.get<std::string>(), pattern_options());
    if (!pattern.ok()) {
      fail(pointer, "this regular expression (RE2) does not compile: " + pattern.error());
    } else if (!reached) {
      fail(pointer,
           "\"pattern\" is not offered inside anyOf, oneOf, not, if, contains or "
           "propertyNames");
    }
  }

  void check_format(const Json& value, const std::string& pointer, bool reached) {
    if (!value.is_string() ||
        std::find(kFormats.begin(), kFormats.end(), value.get<std::string>()) == kFormats.end()) {
      fail(pointer, "\"format\" expects " + list_words(kFormats) +
                        "; anything else would not be checked, a \"pattern\" is");
    } else if (!reached) {
      fail(pointer,
           "\"format\" is not offered inside anyOf, oneOf, not, if, contains or "
           "propertyNames");
    }
  }
};

/// The schema without what the library must not see: patterns and formats (own checks), and keys
/// that mean nothing.
Json for_library(const Json& schema) {
  if (!schema.is_object()) return schema;
  Json out = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key == "pattern" || key == "format" || key == "default" || key == "examples" ||
        key == "title" || key == "description" || key.starts_with("x-") || key.starts_with("$") ||
        key == "comment") {
      continue;
    }
    if (key == "properties") {
      Json properties = Json::object();
      for (const auto& [name, property] : value.items()) properties[name] = for_library(property);
      out[key] = std::move(properties);
    } else if (key == "enum" || key == "const" || key == "required" || key == "type") {
      out[key] = value;
    } else if (value.is_array()) {
      Json list = Json::array();
      for (const Json& element : value) list.push_back(for_library(element));
      out[key] = std::move(list);
    } else {
      out[key] = for_library(value);
    }
  }
  return out;
}

std::string shown(const Json& value) {
  constexpr std::size_t kShown = 80;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kShown) return text;
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

/// Expressions of a schema, by their text.
using Patterns = std::map<std::string, RE2, std::less<>>;

void collect_patterns(const Json& schema, Patterns& patterns) {
  if (schema.is_object()) {
    if (const auto pattern = schema.find("pattern");
        pattern != schema.end() && pattern->is_string()) {
      const auto& text = pattern->get_ref<const std::string&>();
      patterns.try_emplace(text, text, pattern_options());
    }
  }
  // Too many do no harm: a property may be called "pattern".
  if (schema.is_structured()) {
    for (const Json& part : schema) collect_patterns(part, patterns);
  }
}

/// A sentence about the value at that place, a JSON pointer from the value that is checked.
std::string said(const std::string& sentence, const std::string& at) {
  return at.empty() ? sentence : sentence + " (at " + at + ")";
}

/// What `check` finds first in the parts of the value, each with its schema.
template <class Check>
std::optional<std::string> first_in_parts(const Json& schema, const Json& value,
                                          const std::string& at, Check check) {
  if (const auto items = schema.find("items"); value.is_array() && items != schema.end()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (items->is_array() && i >= items->size()) break;
      const Json& item = items->is_array() ? (*items)[i] : *items;
      if (auto found = check(item, value[i], at + "/" + std::to_string(i))) return found;
    }
  }
  if (!value.is_object()) return std::nullopt;
  const auto properties = schema.find("properties");
  const auto others = schema.find("additionalProperties");
  for (const auto& [key, member] : value.items()) {
    const bool named = properties != schema.end() && properties->contains(key);
    if (!named && others == schema.end()) continue;
    const Json& inner = named ? (*properties)[key] : *others;
    if (auto found = check(inner, member, at + "/" + escape_pointer(key))) return found;
  }
  return std::nullopt;
}

/// A schema's own example for people, if it has one.
std::string example_of(const Json& schema) {
  const auto examples = schema.find("examples");
  if (examples == schema.end() || examples->empty()) return {};
  return ", as " + examples->front().dump() + " does";
}

/// Why a text is none of pawl's own kinds: `x-pawl-type`.
std::optional<std::string> kind_violation(const Json& schema, const std::string& text) {
  const auto kind = schema.find("x-pawl-type");
  if (kind == schema.end()) return std::nullopt;
  if (*kind == "duration" && !parse_duration(text)) {
    return "expected a duration such as \"30s\" or \"1h30m\", found " + shown(text);
  }
  if (*kind == "size" && !parse_size(text)) {
    return "expected a size such as \"512KiB\" or \"1GiB\", found " + shown(text);
  }
  return std::nullopt;
}

/// Patterns, formats and pawl's own types, at every place that `SchemaChecker` calls reached.
std::optional<std::string> text_violation(const Json& schema, const Patterns& patterns,
                                          const Json& value, const std::string& at) {
  if (!schema.is_object()) return std::nullopt;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (auto found = kind_violation(schema, text)) return said(*found, at);
    if (const auto pattern = schema.find("pattern"); pattern != schema.end()) {
      const auto expression = patterns.find(pattern->get_ref<const std::string&>());
      if (!RE2::PartialMatch(text, expression->second)) {
        return said(
            shown(value) + " does not match the pattern " + pattern->dump() + example_of(schema),
            at);
      }
    }
    if (const auto format = schema.find("format"); format != schema.end()) {
      const bool is_date = *format == "date";
      if (is_date ? !parse_date(text) : !parse_utc(text)) {
        return said(shown(value) + (is_date ? " is not a date such as \"2026-11-20\""
                                            : " is not a time such as \"2026-11-20T22:58:00Z\""),
                    at);
      }
    }
  }
  if (const auto all = schema.find("allOf"); all != schema.end()) {
    for (const Json& part : *all) {
      if (auto found = text_violation(part, patterns, value, at)) return found;
    }
  }
  return first_in_parts(schema, value, at,
                        [&](const Json& part, const Json& inner, const std::string& place) {
                          return text_violation(part, patterns, inner, place);
                        });
}

bool is_of_type(const Json& value, std::string_view word) {
  const bool whole = value.is_number_integer() ||
                     (value.is_number_float() &&
                      value.get<double>() == static_cast<double>(static_cast<std::int64_t>(
                                                 std::clamp(value.get<double>(), -9e18, 9e18))));
  return (word == "string" && value.is_string()) || (word == "integer" && whole) ||
         (word == "number" && value.is_number()) || (word == "boolean" && value.is_boolean()) ||
         (word == "array" && value.is_array()) || (word == "object" && value.is_object()) ||
         (word == "null" && value.is_null());
}

std::optional<std::string> type_violation(const Json& schema, const Json& value) {
  const auto type = schema.find("type");
  if (type == schema.end()) return std::nullopt;
  std::vector<std::string> words;
  for (const Json& word : type->is_array() ? *type : Json::array({*type})) {
    words.push_back(word.get<std::string>());
    if (is_of_type(value, words.back())) return std::nullopt;
  }
  const std::vector<std::string_view> views(words.begin(), words.end());
  return "expected the type " + list_words(views) + ", found " + shown(value);
}

/// How large a number is, how long a text, how many elements a list has.
std::optional<std::string> bounds_violation(const Json& schema, const Json& value) {
  const auto bound = [&schema](const char* key) {
    const auto found = schema.find(key);
    return found == schema.end() ? std::optional<Json>() : std::optional<Json>(*found);
  };
  if (value.is_number()) {
    if (const auto least = bound("minimum"); least && value < *least) {
      return shown(value) + " is too small: at least " + least->dump() + " is allowed";
    }
    if (const auto most = bound("maximum"); most && value > *most) {
      return shown(value) + " is too large: at most " + most->dump() + " is allowed";
    }
  }
  if (value.is_string() && value.get_ref<const std::string&>().empty() &&
      bound("minLength").value_or(0) > 0) {
    return "an empty text is not allowed";
  }
  if (value.is_array()) {
    if (const auto least = bound("minItems"); least && value.size() < *least) {
      return "a list of at least " + least->dump() + " is expected, found " + shown(value);
    }
    if (const auto most = bound("maxItems"); most && value.size() > *most) {
      return "a list of at most " + most->dump() + " is expected, this one has " +
             std::to_string(value.size());
    }
  }
  return std::nullopt;
}

/// `oneOf` of nothing but `required`: members that exclude each other.
std::optional<std::string> choice_violation(const Json& schema, const Json& value) {
  const auto choices = schema.find("oneOf");
  if (choices == schema.end() || !value.is_object()) return std::nullopt;
  std::vector<std::string> given;
  std::vector<std::string> all;
  for (const Json& choice : *choices) {
    if (choice.size() != 1 || !choice.contains("required") || choice["required"].size() != 1) {
      return std::nullopt;
    }
    all.push_back(choice["required"][0].get<std::string>());
    if (value.contains(all.back())) given.push_back(all.back());
  }
  if (given.size() == 1) return std::nullopt;
  const std::vector<std::string>& meant = given.empty() ? all : given;
  const std::vector<std::string_view> words(meant.begin(), meant.end());
  return given.empty() ? list_words(words) + " is missing"
                       : list_words(words, "and") + " exclude each other";
}

/// The common cases in pawl's own words; nothing when another keyword is the cause.
std::optional<std::string> plain_violation(const Json& schema, const Json& value,
                                           const std::string& at) {
  if (!schema.is_object()) return std::nullopt;
  if (const auto words = schema.find("enum"); words != schema.end()) {
    if (std::find(words->begin(), words->end(), value) == words->end()) {
      return said(shown(value) + " is not allowed; allowed are " + shown(*words), at);
    }
  }
  for (const auto& check : {type_violation, bounds_violation, choice_violation}) {
    if (auto found = check(schema, value)) return said(*found, at);
  }
  return first_in_parts(schema, value, at, plain_violation);
}

}  // namespace

std::vector<SchemaError> check_schema(const Json& schema) {
  SchemaChecker checker;
  checker.check(schema, "", true);
  if (!checker.errors.empty()) return std::move(checker.errors);
  try {
    const Json plain = for_library(schema);
    valijson::Schema compiled;
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(plain),
                                            compiled);
  } catch (const std::exception& e) {
    return {{"", std::string("this is not a JSON Schema: ") + e.what()}};
  }
  return {};
}

struct CompiledSchema::Impl {
  Json schema;
  Patterns patterns;
  valijson::Schema compiled;
  std::string error;  ///< the library cannot work with it
};

CompiledSchema::CompiledSchema(Json schema) {
  auto made = std::make_unique<Impl>();
  made->schema = std::move(schema);
  collect_patterns(made->schema, made->patterns);
  try {
    const Json plain = for_library(made->schema);
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(plain),
                                            made->compiled);
  } catch (const std::exception& e) {
    made->error = std::string("the value cannot be checked: ") + e.what();
  }
  impl_ = std::move(made);
}

CompiledSchema::~CompiledSchema() = default;
CompiledSchema::CompiledSchema(CompiledSchema&&) noexcept = default;
CompiledSchema& CompiledSchema::operator=(CompiledSchema&&) noexcept = default;

std::optional<std::string> CompiledSchema::violation(const Json& value) const {
  if (auto found = plain_violation(impl_->schema, value, "")) return found;
  if (!impl_->error.empty()) return impl_->error;
  try {
    const valijson::adapters::NlohmannJsonAdapter adapter(value);
    // Reasons are collected only for a value that has some.
    if (valijson::Validator().validate(impl_->compiled, adapter, nullptr)) {
      return text_violation(impl_->schema, impl_->patterns, value, "");
    }
    valijson::ValidationResults results;
    (void)valijson::Validator().validate(impl_->compiled, adapter, &results);
    valijson::ValidationResults::Error first;
    if (!results.popError(first)) return shown(value) + " is not allowed";
    std::string where;
    for (std::size_t i = 1; i < first.context.size(); ++i) where += first.context[i];
    return shown(value) + " is not allowed" + (where.empty() ? "" : " (at " + where + ")") + ": " +
           first.description;
  } catch (const std::exception& e) {
    return std::string("the value cannot be checked: ") + e.what();
  }
}

std::optional<std::string> schema_violation(const Json& schema, const Json& value) {
  return CompiledSchema(schema).violation(value);
}

namespace {

Error param_error(std::string_view name, const std::string& why) {
  return {ErrorKind::invalid, "parameter " + quote(name) + ": " + why};
}

Error unknown_param(const JobSpec& job, std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& [known_name, spec] : job.params) known.push_back(known_name);
  return param_error(
      name, "the job " + quote(job.name) + " declares no such parameter" +
                did_you_mean(name, known) +
                (known.empty() ? ", it has none" : "; declared are " + list_words(known, "and")));
}

/// True when the schema asks for something else than text.
bool wants_json(const Json& schema) {
  const auto type = schema.find("type");
  if (type == schema.end()) return false;
  if (type->is_string()) return *type != "string";
  return std::find(type->begin(), type->end(), "string") == type->end();
}

}  // namespace

Result<std::string> resolve_params(const JobSpec& job, std::string_view given) {
  Document document;
  if (!document.parse(given, limits::kJobFileBytesMax) || !document.errors().empty()) {
    return Error{ErrorKind::invalid,
                 "the parameters are not JSON: " + document.errors()[0].message};
  }
  if (!document.is(document.root(), NodeKind::object)) {
    return Error{ErrorKind::invalid,
                 "the parameters must be an object, found " + describe(document, document.root())};
  }
  Json values = document.to_json(document.root());
  for (const auto& [name, value] : values.items()) {
    const auto spec = job.params.find(name);
    if (spec == job.params.end()) return unknown_param(job, name);
    if (auto why = schema_violation(Json::parse(spec->second.schema), value)) {
      return param_error(name, *why);
    }
  }
  for (const auto& [name, spec] : job.params) {
    if (values.contains(name)) continue;
    if (!spec.default_value) {
      return param_error(name, "it has no default and must be given: -p " + name + "=VALUE");
    }
    values[name] = Json::parse(*spec.default_value);
  }
  return values.dump();
}

Result<std::string> param_from_text(const JobSpec& job, std::string_view name,
                                    std::string_view text) {
  const auto spec = job.params.find(std::string(name));
  if (spec == job.params.end()) return unknown_param(job, name);
  if (!is_utf8(text)) return param_error(name, "the value is not UTF-8 text");
  const Json schema = Json::parse(spec->second.schema);
  const Json as_text = std::string(text);
  Document document;
  const bool is_json = document.parse(text, limits::kJobFileBytesMax) && document.errors().empty();
  if (wants_json(schema) && is_json) return document.to_json(document.root()).dump();
  // A schema without a type may list values of any kind: take the reading that fits.
  if (!schema.contains("type") && is_json && schema_violation(schema, as_text)) {
    const Json as_json = document.to_json(document.root());
    if (!schema_violation(schema, as_json)) return as_json.dump();
  }
  return as_text.dump();
}

}  // namespace pawl
