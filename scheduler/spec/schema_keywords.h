#pragma once

// What a schema of one value may say: the keywords of JSON Schema that pawl offers, and what each
// of them takes.

#include <vector>

#include "scheduler/spec/document.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

/// Everything wrong with the keywords of the schema, at most limits::kErrorsPerFileMax.
std::vector<SchemaError> keyword_errors(const Json& schema);

}  // namespace pawl
