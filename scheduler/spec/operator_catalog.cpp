#include "scheduler/spec/operator_catalog.h"

#include <algorithm>

#include "scheduler/base/limits.h"
#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
namespace {

/// `{{ … }}` and nothing else: it may become a value of any type.
bool is_whole_template(const std::string& text) {
  return text.starts_with("{{") && text.ends_with("}}") && !text.starts_with("{{{{") &&
         text.find("{{", 2) == std::string::npos;
}

const Json* member(const Json& schema, const char* name) {
  if (!schema.is_object()) return nullptr;
  auto at = schema.find(name);
  return at == schema.end() ? nullptr : &*at;
}

std::string nearest_of(const std::string& word, const Json& properties) {
  std::vector<std::string> names;
  for (const auto& [name, schema] : properties.items()) names.push_back(name);
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (known.empty()) return "; it has no parameters";
  return did_you_mean(word, known) + "; there are " + list_words(known, "and");
}

}  // namespace

/// The schema for a value that is not to be shown.
Json hiding(const Json& schema) {
  Json out = schema.is_object() ? schema : Json{{"not", Json::object()}};
  out["x-pawl-secret"] = true;
  return out;
}

class ParameterCheck::Walk {
 public:
  /// `root`: of all parameters, which says what may be shown.
  Walk(ParameterCheck& owner, const Json& root) : owner_(owner), root_(root) {}

  /// Parts first, so that an error names its place.
  void check(const Json& schema, const Json& value, const std::string& pointer) {
    if (errors.size() > limits::kErrorsPerFileMax) return;  // one more: so that it is told
    if (value.is_string() && has_template(value)) {
      if (!allows_text(schema) && !is_whole_template(value.get_ref<const std::string&>())) {
        errors.push_back({pointer,
                          "text around a template makes it a text, which is not allowed "
                          "here: write the template alone"});
      }
      return;
    }
    const std::size_t before = errors.size();
    const Json* items = member(schema, "items");
    if (value.is_object()) {
      check_members(schema, value, pointer);
    } else if (value.is_array() && items != nullptr && items->is_object()) {
      for (std::size_t i = 0; i < value.size(); ++i)
        check(*items, value[i], pointer + "/" + std::to_string(i));
    }
    // What holds of the whole: told only when each part is right.
    if (errors.size() > before) return;
    auto wrong = owner_.compiled(schema).violation(value, Texts::templates);
    if (wrong && may_hold_secrets(root_, Json::json_pointer(pointer), value))
      wrong = CompiledSchema(hiding(schema)).violation(value, Texts::templates);
    if (wrong) errors.push_back({pointer, std::move(*wrong)});
  }

  std::vector<ParameterError> errors;

 private:
  void check_members(const Json& schema, const Json& value, const std::string& pointer) {
    static const Json kNone = Json::object();
    const Json* declared = member(schema, "properties");
    const Json& properties = declared != nullptr ? *declared : kNone;
    const Json* rest = member(schema, "additionalProperties");
    const Json* names = member(schema, "propertyNames");
    for (const auto& [name, inner] : value.items()) {
      const std::string place = pointer + "/" + escape_pointer(name);
      auto wrong_name = names != nullptr ? owner_.compiled(*names).violation(name) : std::nullopt;
      if (wrong_name) {
        errors.push_back({place, *wrong_name});
      } else if (auto known = properties.find(name); known != properties.end()) {
        check(*known, inner, place);
      } else if (rest != nullptr && rest->is_boolean() && !rest->get<bool>()) {
        errors.push_back(
            {place, "unknown parameter \"" + name + "\"" +
                        (is_ignored_key(name) ? ": in \"with\" all keys are the operator's, so put "
                                                "what is for people beside it"
                                              : nearest_of(name, properties))});
      } else if (rest != nullptr && rest->is_object()) {
        check(*rest, inner, place);
      }
    }
    if (const Json* required = member(schema, "required"); required != nullptr) {
      for (const Json& name : *required) {
        if (name.is_string() && !value.contains(name.get<std::string>()))
          errors.push_back({pointer, "\"" + name.get<std::string>() + "\" is missing"});
      }
    }
  }

  ParameterCheck& owner_;
  const Json& root_;
};

bool may_name_operator(std::string_view text) {
  return name_rule(Check::name, text).empty() && foreign_value_hint("operator", text).empty();
}

bool OperatorCatalog::add(OperatorInfo info) {
  const std::string name = info.name;
  return operators_.emplace(name, std::move(info)).second;
}

const OperatorInfo* OperatorCatalog::find(std::string_view name) const {
  auto at = operators_.find(name);
  return at == operators_.end() ? nullptr : &at->second;
}

std::vector<std::string> OperatorCatalog::names() const {
  std::vector<std::string> all = {"process"};
  for (const auto& [name, info] : operators_) all.push_back(name);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Result<std::vector<OperatorInfo>> OperatorCatalog::read(std::string_view json,
                                                        const std::string& folder) {
  const Json list = Json::parse(json, nullptr, false);
  if (!list.is_array()) return Error{ErrorKind::invalid, "not a list of operators"};
  std::vector<OperatorInfo> all;
  for (const Json& one : list) {
    const bool is_good = one.is_object() && one.contains("name") && one["name"].is_string() &&
                         one.contains("summary") && one["summary"].is_string() &&
                         one.contains("plugin") && one["plugin"].is_string() &&
                         one.contains("schema");
    if (!is_good) return Error{ErrorKind::invalid, "an operator lacks a name, a text or a schema"};
    OperatorInfo info{one["name"], one["summary"], one["schema"], one["plugin"]};
    if (!info.plugin.empty() && !info.plugin.starts_with('/'))
      info.plugin = folder + "/" + info.plugin;
    all.push_back(std::move(info));
  }
  return all;
}

std::string write_catalog(const std::vector<OperatorInfo>& operators) {
  Json list = Json::array();
  for (const OperatorInfo& one : operators) {
    list.push_back({{"name", one.name},
                    {"summary", one.summary},
                    {"plugin", one.plugin.substr(one.plugin.rfind('/') + 1)},
                    {"schema", one.schema}});
  }
  return list.dump(1) + "\n";
}

std::vector<ParameterError> ParameterCheck::check(const Json& schema, const Json& with) {
  Walk walk(*this, schema);
  walk.check(schema, with, "");
  return std::move(walk.errors);
}

const CompiledSchema& ParameterCheck::compiled(const Json& schema) {
  return compiled_.try_emplace(&schema, schema).first->second;
}

std::vector<ParameterError> check_parameters(const Json& schema, const Json& with) {
  return ParameterCheck().check(schema, with);
}

}  // namespace pawl
