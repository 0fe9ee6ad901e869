#pragma once

// A JSON Schema of one value: of a parameter, of what an operator takes. Regular expressions are
// RE2's, so no text and no pattern can take long or overflow.

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/spec/document.h"

namespace pawl {

/// Something wrong in a schema; `pointer` leads to it from the schema's root.
struct SchemaError {
  std::string pointer;
  std::string message;
};

/// Everything wrong with the schema of one value: unknown keywords, keywords of a wrong type or
/// without the one that they need, patterns that do not compile, and what pawl does not offer there
/// (`$ref`). At most limits::kErrorsPerFileMax; so for the next two.
std::vector<SchemaError> check_schema(const Json& schema);

/// The same of a parameter of a job, with what means nothing there, bounds that would hold of no
/// value, as without a `type` beside them they pass over what comes as a text, and each `default`
/// that does not fit the schema it stands in.
std::vector<SchemaError> check_param_schema(const Json& schema);

/// The same of what an operator takes, `with`: an object, without what pawl keeps for itself.
std::vector<SchemaError> check_operator_schema(const Json& schema);

/// How texts with `{{` are read.
enum class Texts : std::uint8_t {
  literal,    ///< as what they are
  templates,  ///< as templates, of which nothing is known yet
};

/// A schema, made ready once for many values: making it ready costs many times as much as one look
/// at a value. To one that `check_schema` does not accept no value fits. Immutable.
class CompiledSchema {
 public:
  explicit CompiledSchema(Json schema);
  ~CompiledSchema();
  CompiledSchema(CompiledSchema&&) noexcept;
  CompiledSchema& operator=(CompiledSchema&&) noexcept;

  /// Why `value` does not fit, as one sentence without the value's name, with the place in it.
  /// Nothing when it fits, or when it may once its templates are rendered. Values that may be
  /// secrets are not shown.
  std::optional<std::string> violation(const Json& value, Texts texts = Texts::literal) const;

  /// As it was given.
  const Json& source() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// Judges objects one after another that differ in the members `varying` only. Each is judged as
/// `violation` would, but once one has fitted, only by what these members can break: most of a
/// schema is about the others. For one thread.
class SeriesCheck {
 public:
  /// `schema` must live as long as this.
  SeriesCheck(const CompiledSchema& schema, std::set<std::string> varying)
      : schema_(schema), varying_(std::move(varying)) {}

  std::optional<std::string> violation(const Json& value);

 private:
  const CompiledSchema& schema_;
  std::set<std::string> varying_;
  bool has_fitted_ = false;
  std::optional<CompiledSchema> rest_;  ///< what they can break; made for the second
};

/// As `CompiledSchema::violation`, of a schema that is needed once.
std::optional<std::string> schema_violation(const Json& schema, const Json& value);

/// Whether a text may fit the schema as far as its `type` says.
bool allows_text(const Json& schema);

/// Whether there is a template anywhere in the value.
bool has_template(const Json& value);

/// True when a template at this place of `with` may use secrets: its property, or one above it, has
/// `"x-pawl-secret": true`.
bool may_use_secrets(const Json& schema, const Json::json_pointer& place);

/// True when that holds of what stands there, or of a part of it.
bool may_hold_secrets(const Json& schema, const Json::json_pointer& place, const Json& value);

}  // namespace pawl
