#pragma once

// Parameters of a run: a JSON Schema per value. The home of the schema library; its exceptions end
// here. Regular expressions are RE2's, so no text and no pattern can take long or overflow.

#include <optional>
#include <string>
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

/// Why `value` does not fit a schema that `check_schema` accepts, as one sentence without the
/// value's name; nothing when it fits.
std::optional<std::string> schema_violation(const Json& schema, const Json& value);

}  // namespace pawl
