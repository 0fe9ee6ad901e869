#pragma once

// A schema made ready: its parts as a tree, its patterns compiled. Whether a value fits is one walk
// along both.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <re2/re2.h>

#include "scheduler/spec/document.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

/// One schema, and those that it is made of. What it says of a value itself is read from `schema`.
struct SchemaNode {
  /// Made of a schema that `check_schema` finds nothing in, and that lives as long as this.
  explicit SchemaNode(const Json& source);

  const Json& schema;  ///< an object, or whether anything is allowed
  std::unique_ptr<const re2::RE2> pattern;
  std::map<std::string, std::unique_ptr<const SchemaNode>> properties;
  std::unique_ptr<const SchemaNode> other_members;   ///< `additionalProperties`
  std::unique_ptr<const SchemaNode> names;           ///< `propertyNames`
  std::unique_ptr<const SchemaNode> elements;        ///< `items`, of all of them
  std::vector<SchemaNode> first_elements;            ///< `items`, of each of them its own
  std::unique_ptr<const SchemaNode> other_elements;  ///< `additionalItems`
  std::unique_ptr<const SchemaNode> contained;       ///< `contains`
  std::vector<SchemaNode> all, any, one;             ///< `allOf`, `anyOf`, `oneOf`
  std::unique_ptr<const SchemaNode> negated;         ///< `not`
  std::unique_ptr<const SchemaNode> condition, consequence, alternative;  ///< `if` `then` `else`
};

/// As `CompiledSchema::violation`.
std::optional<std::string> violation_of(const SchemaNode& root, const Json& value, Texts texts);

}  // namespace pawl
