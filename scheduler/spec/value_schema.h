#pragma once

// A JSON Schema of one value: of a parameter, of what an operator takes. The home of the schema
// library; its exceptions end here. Regular expressions are RE2's, so no text and no pattern can
// take long or overflow.

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

/// Everything wrong with the schema of one value: unknown keywords, keywords of a wrong type,
/// patterns that do not compile, and what pawl does not offer there (`$ref`).
std::vector<SchemaError> check_schema(const Json& schema);

/// A schema that `check_schema` accepts, made ready once for many values: making it ready costs
/// many times as much as one look at a value. Immutable.
class CompiledSchema {
 public:
  explicit CompiledSchema(Json schema);
  ~CompiledSchema();
  CompiledSchema(CompiledSchema&&) noexcept;
  CompiledSchema& operator=(CompiledSchema&&) noexcept;

  /// Why `value` does not fit, as one sentence without the value's name; nothing when it fits.
  std::optional<std::string> violation(const Json& value) const;
  /// The part of it that is about what holds between the members of an object: choices among them,
  /// and the parts of `allOf` that say in `x-pawl-error` what is wrong where they do not hold.
  /// Looks at which members there are, and at constants: a template may stand for any other value.
  std::optional<std::string> rule_violation(const Json& value) const;

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

}  // namespace pawl
