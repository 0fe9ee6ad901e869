#include "scheduler/spec/value_schema.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/spec/schema_narrowing.h"
#include "scheduler/spec/schema_parts.h"
#include "scheduler/spec/schema_tree.h"

namespace pawl {

struct CompiledSchema::Impl {
  explicit Impl(Json source) : schema(std::move(source)) {
    // That of a plugin comes here as it is.
    if (const auto errors = check_schema(schema); !errors.empty()) {
      error = "this cannot be checked, because its schema is wrong: " + errors.front().message +
              " (at " + errors.front().pointer + ")";
    } else {
      tree.emplace(schema);
    }
  }

  const Json schema;
  std::string error;
  std::optional<SchemaNode> tree;  ///< none: there is an error
};

CompiledSchema::CompiledSchema(Json schema)
    : impl_(std::make_unique<const Impl>(std::move(schema))) {}

CompiledSchema::~CompiledSchema() = default;
CompiledSchema::CompiledSchema(CompiledSchema&&) noexcept = default;
CompiledSchema& CompiledSchema::operator=(CompiledSchema&&) noexcept = default;

std::optional<std::string> CompiledSchema::violation(const Json& value, Texts texts) const {
  if (!impl_->tree) return impl_->error;
  return violation_of(*impl_->tree, value, texts);
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

bool has_template(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().find("{{") != std::string::npos;
  if (!value.is_structured()) return false;
  return std::any_of(value.begin(), value.end(), has_template);
}

namespace {

/// `way`: the names of the parts that lead to a place in the value, the last one first.
bool allows_secrets(const Json& schema, const std::vector<std::string>& way, std::size_t left) {
  bool allows = false;
  each_judge(schema, "", [&](const Json& judge, const std::string&) {
    const auto own = judge.find("x-pawl-secret");
    allows = allows || (own != judge.end() && *own == true);
    if (allows || left == 0) return;
    const Json* next = schema_of_part(judge, way[left - 1]);
    allows = next != nullptr && allows_secrets(*next, way, left - 1);
  });
  return allows;
}

}  // namespace

bool may_use_secrets(const Json& schema, const Json::json_pointer& place) {
  std::vector<std::string> parts;
  for (Json::json_pointer at = place; !at.empty(); at = at.parent_pointer())
    parts.push_back(at.back());
  return allows_secrets(schema, parts, parts.size());
}

bool may_hold_secrets(const Json& schema, const Json::json_pointer& place, const Json& value) {
  if (may_use_secrets(schema, place)) return true;
  if (!value.is_structured()) return false;
  const auto parts = value.items();
  return std::any_of(parts.begin(), parts.end(), [&](const auto& part) {
    return may_hold_secrets(schema, place / part.key(), part.value());
  });
}

}  // namespace pawl
