// JSON Schema of a job file, generated from the field table.

#include <map>

#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/process_schema.h"
#include "scheduler/spec/settings.h"
#include "scheduler/spec/settings_fields.h"

namespace pawl {
namespace {

constexpr std::string_view kIgnoredKeys = "^(x-.*|\\$schema)$";

class SchemaWriter {
 public:
  Json write(const Shape& root, std::string_view title, std::string_view about) {
    Json schema = object(root);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    schema["title"] = std::string(title);
    schema["description"] = std::string(about);
    Json definitions = Json::object();
    for (auto& [name, definition] : definitions_) definitions[name] = definition;
    schema["$defs"] = std::move(definitions);
    return schema;
  }

 private:
  Json shape(const Shape& shape) {
    switch (shape.form) {
      case Form::boolean: return {{"type", "boolean"}};
      case Form::integer:
        return {{"type", "integer"},
                {"minimum", static_cast<std::int64_t>(shape.min)},
                {"maximum", static_cast<std::int64_t>(shape.max)}};
      case Form::number:
        return {{"type", "number"}, {"minimum", shape.min}, {"maximum", shape.max}};
      case Form::string: return string(shape);
      case Form::text:
        return {{"anyOf", {string(shape), {{"type", "array"}, {"items", {{"type", "string"}}}}}}};
      case Form::any: return Json::object();
      case Form::open_object: return {{"type", "object"}};
      case Form::list: return list(shape);
      case Form::map: return map(shape);
      case Form::object: return reference(shape);
      case Form::either: {
        Json any = Json::array();
        for (const Shape* alternative : shape.alternatives)
          any.push_back(this->shape(*alternative));
        return {{"anyOf", any}};
      }
    }
    return Json::object();
  }

  static std::string_view pattern(Check check) {
    switch (check) {
      case Check::duration: return "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
      case Check::size: return "^[0-9]+(B|[KMGT]B|[KMGT]iB)$";
      case Check::percent: return "^[0-9]+(\\.[0-9]+)?%$";
      case Check::zone: return "^[A-Za-z0-9_+-][A-Za-z0-9_/+-]*$";
      case Check::date: return "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
      case Check::instant: return "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$";
      case Check::job_name:
      case Check::task_id:
      case Check::name:
      case Check::identifier:
      case Check::variable:
      case Check::label: return name_pattern(check);
      case Check::none:
      case Check::word:
      case Check::cron:
      case Check::expression:
      case Check::template_text: return {};
    }
    return {};
  }

  static Json string(const Shape& shape) {
    Json schema = {{"type", "string"}};
    if (shape.check == Check::word) {
      schema["enum"] = Json::array();
      for (const std::string_view word : shape.words) schema["enum"].push_back(std::string(word));
    } else if (const std::string_view text = pattern(shape.check); !text.empty()) {
      schema["pattern"] = std::string(text);
    } else if (!shape.empty_allowed) {
      schema["minLength"] = 1;
    }
    return schema;
  }

  Json list(const Shape& shape) {
    Json schema = {{"type", "array"}, {"items", this->shape(*shape.element)}};
    if (shape.min > 0) schema["minItems"] = static_cast<std::int64_t>(shape.min);
    return schema;
  }

  static Json nullable(Json schema, bool allowed) {
    if (!allowed) return schema;
    return {{"anyOf", {std::move(schema), {{"type", "null"}}}}};
  }

  Json map(const Shape& shape) {
    const Json element = nullable(this->shape(*shape.element), shape.null_removes);
    Json schema = {{"type", "object"},
                   {"additionalProperties", element},
                   {"patternProperties", {{std::string(kIgnoredKeys), true}}}};
    if (shape.element->form != Form::string) {
      schema["properties"] = {{"comment", {{"anyOf", {element, {{"type", "string"}}}}}}};
    }
    const std::string names(name_pattern(shape.key_check));
    if (!names.empty()) {
      schema["propertyNames"] = {
          {"pattern", "(" + names + ")|(" + std::string(kIgnoredKeys) + ")"}};
    }
    return schema;
  }

  Json object(const Shape& shape) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const Field& field : shape.fields) {
      Json value = nullable(this->shape(*field.shape), shape.null_removes && !field.required);
      // Beside $ref other keywords hold in 2020-12, yet older tools ignore them.
      if (value.contains("$ref")) value = {{"allOf", Json::array({value})}};
      value["description"] = std::string(field.about);
      if (!field.fallback.empty()) value["default"] = Json::parse(field.fallback);
      properties[std::string(field.key)] = std::move(value);
      if (field.required) required.push_back(std::string(field.key));
    }
    properties["comment"] = true;
    Json schema = {{"type", "object"},
                   {"properties", std::move(properties)},
                   {"patternProperties", {{std::string(kIgnoredKeys), true}}},
                   {"additionalProperties", false}};
    if (!required.empty()) schema["required"] = std::move(required);
    return schema;
  }

  /// Objects are written once, in `$defs`.
  Json reference(const Shape& shape) {
    auto found = names_.find(&shape);
    if (found == names_.end()) {
      std::string name(shape.name);
      while (definitions_.contains(name)) name += "_";
      found = names_.emplace(&shape, name).first;
      definitions_[name] = Json::object();  // taken, also while it is written
      definitions_[name] = object(shape);
    }
    return {{"$ref", "#/$defs/" + found->second}};
  }

  std::map<const Shape*, std::string> names_;
  std::map<std::string, Json> definitions_;
};

}  // namespace

std::string job_schema() {
  return SchemaWriter()
      .write(
          kJobShape, "pawl job",
          "A job of pawl: tasks, what they wait for, and when they run. Keys that begin with x-, "
          "and comment, are ignored everywhere.")
      .dump(2);
}

std::string settings_schema() {
  return SchemaWriter()
      .write(settings_shape(), "pawl settings",
             "Settings of a home of pawl: settings.json in it, or the file of `serve --settings`.")
      .dump(2);
}

std::string process_schema() {
  return SchemaWriter()
      .write(kProcessShape, "pawl operator process",
             "Runs a program or a script. It has no `with`: these are keys of the task itself.")
      .dump(2);
}

}  // namespace pawl
