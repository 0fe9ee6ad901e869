#include "scheduler/spec/value_schema.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

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

#include "scheduler/spec/schema_keywords.h"
#include "scheduler/spec/schema_narrowing.h"
#include "scheduler/spec/schema_violations.h"

namespace pawl {
namespace {

/// The schema without what the library must not see: patterns and formats (own checks), and keys
/// that mean nothing. Where the own checks come to a list (`is_own`) they see that it is one of
/// different elements, too: the library compares each with each.
Json for_library(const Json& schema, bool is_own = true) {
  if (!schema.is_object()) return schema;
  Json out = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key == "pattern" || key == "format" || key == "default" || key == "examples" ||
        key == "title" || key == "description" || key.starts_with("x-") || key.starts_with("$") ||
        key == "comment") {
      continue;
    }
    if (key == "uniqueItems" && is_own) continue;
    if (key == "properties") {
      Json properties = Json::object();
      for (const auto& [name, property] : value.items())
        properties[name] = for_library(property, is_own);
      out[key] = std::move(properties);
    } else if (key == "enum" || key == "const" || key == "required" || key == "type") {
      out[key] = value;
    } else if (value.is_array()) {
      Json list = Json::array();
      for (const Json& element : value)
        list.push_back(for_library(element, is_own && key == "items"));
      out[key] = std::move(list);
    } else {
      out[key] = for_library(value, is_own && (key == "items" || key == "additionalProperties"));
    }
  }
  return out;
}

/// Hands the schema to the library; why the library cannot work with it, empty when it can.
std::string compile(const Json& schema, valijson::Schema& compiled) {
  try {
    const Json plain = for_library(schema);
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(plain),
                                            compiled);
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

/// Without members that are templates, of which nothing is known yet.
Json without_templates(const Json& value) {
  Json out = value;
  for (auto at = out.begin(); out.is_object() && at != out.end();) {
    const bool is_template =
        at->is_string() && at->get_ref<const std::string&>().find("{{") != std::string::npos;
    at = is_template ? out.erase(at) : std::next(at);
  }
  return out;
}

std::string cannot_check(const std::string& why) { return "the value cannot be checked: " + why; }

}  // namespace

std::vector<SchemaError> check_schema(const Json& schema) {
  if (auto errors = keyword_errors(schema); !errors.empty()) return errors;
  valijson::Schema compiled;
  if (const std::string why = compile(schema, compiled); !why.empty()) {
    return {{"", "this is not a JSON Schema: " + why}};
  }
  return {};
}

struct CompiledSchema::Impl {
  /// A part of `allOf` that says itself what is wrong where it does not hold.
  struct Rule {
    std::string error;
    std::optional<CompiledSchema> condition;  ///< it is about values that fit this (`if`)
    CompiledSchema schema;

    bool is_broken_by(const Json& value) const {
      if (condition && condition->violation(value)) return false;
      return schema.violation(condition ? without_templates(value) : value).has_value();
    }
  };
  Json schema;
  Patterns patterns;
  valijson::Schema compiled;
  std::string error;  ///< the library cannot work with it
  std::vector<Rule> rules;
};

CompiledSchema::CompiledSchema(Json schema) {
  auto made = std::make_unique<Impl>();
  made->schema = std::move(schema);
  made->patterns = patterns_of(made->schema);
  made->error = compile(made->schema, made->compiled);
  const Json parts = made->schema.is_object() ? made->schema.value("allOf", Json()) : Json();
  for (const Json& part : parts.is_array() ? parts : Json::array()) {
    const auto error = part.is_object() ? part.find("x-pawl-error") : part.end();
    if (error == part.end() || !error->is_string()) continue;
    const bool has_condition = part.contains("if") && part.contains("then");
    made->rules.push_back({error->get<std::string>(),
                           has_condition ? std::optional<CompiledSchema>(part["if"]) : std::nullopt,
                           CompiledSchema(has_condition ? part["then"] : part)});
  }
  impl_ = std::move(made);
}

CompiledSchema::~CompiledSchema() = default;
CompiledSchema::CompiledSchema(CompiledSchema&&) noexcept = default;
CompiledSchema& CompiledSchema::operator=(CompiledSchema&&) noexcept = default;

std::optional<std::string> CompiledSchema::violation(const Json& value) const {
  if (auto found = plain_violation(impl_->schema, value)) return found;
  if (!impl_->error.empty()) return cannot_check(impl_->error);
  try {
    const valijson::adapters::NlohmannJsonAdapter adapter(value);
    // Reasons are collected only for a value that has some.
    if (valijson::Validator().validate(impl_->compiled, adapter, nullptr)) {
      if (auto found = text_violation(impl_->schema, impl_->patterns, value)) return found;
      // The own checks of a rule, which the library does not see.
      return rule_violation(value);
    }
    if (auto found = rule_violation(value)) return found;
    valijson::ValidationResults results;
    (void)valijson::Validator().validate(impl_->compiled, adapter, &results);
    valijson::ValidationResults::Error first;
    if (!results.popError(first)) return shown_value(value) + " is not allowed";
    std::string where;
    for (std::size_t i = 1; i < first.context.size(); ++i) where += first.context[i];
    return shown_value(value) + " is not allowed" + (where.empty() ? "" : " (at " + where + ")") +
           ": " + first.description;
  } catch (const std::exception& e) {
    return cannot_check(e.what());
  }
}

std::optional<std::string> CompiledSchema::rule_violation(const Json& value) const {
  if (!impl_->schema.is_object()) return std::nullopt;
  if (auto found = choice_violation(impl_->schema, value)) return found;
  for (const Impl::Rule& rule : impl_->rules) {
    if (rule.is_broken_by(value)) return rule.error;
  }
  return std::nullopt;
}

const Json& CompiledSchema::source() const { return impl_->schema; }

std::optional<std::string> SeriesCheck::violation(const Json& value) {
  if (has_fitted_ && !rest_) rest_.emplace(narrowed(schema_.source(), varying_));
  auto found = (rest_ ? *rest_ : schema_).violation(value);
  has_fitted_ = has_fitted_ || !found;
  return found;
}

std::optional<std::string> schema_violation(const Json& schema, const Json& value) {
  return CompiledSchema(schema).violation(value);
}

bool allows_text(const Json& schema) {
  const auto type = schema.find("type");
  if (type == schema.end()) return true;
  if (type->is_string()) return *type == "string";
  return std::find(type->begin(), type->end(), "string") != type->end();
}

}  // namespace pawl
