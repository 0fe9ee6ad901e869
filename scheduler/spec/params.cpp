// Parameters of a run: what was given for what the job declares.

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
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

}  // namespace

Result<std::string> resolve_params(const JobSpec& job, std::string_view given) {
  Document document;
  const bool is_json = document.parse(given, limits::kJobFileBytesMax);
  if (!document.errors().empty()) {
    return Error{ErrorKind::invalid,
                 (is_json ? "the parameters: " : "the parameters are not JSON: ") +
                     document.errors()[0].message};
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
  const bool is_read = document.parse(text, limits::kJobFileBytesMax);
  const bool is_json = is_read && document.errors().empty();
  // JSON whose digits would be lost: what it is says more than what it is not.
  if (!allows_text(schema) && is_read && !is_json)
    return param_error(name, document.errors()[0].message);
  if (!allows_text(schema) && is_json) return document.to_json(document.root()).dump();
  // A schema without a type may list values of any kind: take the reading that fits. What is wrong
  // with one that looks like no text is more than that it is none.
  if (!schema.contains("type") && is_json && schema_violation(schema, as_text))
    return document.to_json(document.root()).dump();
  return as_text.dump();
}

}  // namespace pawl
