#pragma once

// What the operator `job` takes: it starts a run of another job and waits for it.

#include <string_view>

namespace pawl {

inline constexpr std::string_view kJobOperatorSummary =
    "starts a run of another job and waits for its end";

/// JSON Schema of its `with`.
inline constexpr std::string_view kJobOperatorSchema = R"({
  "type": "object",
  "properties": {
    "job": {"type": "string", "minLength": 1, "description": "the name of a job of this home"},
    "params": {"type": "object",
      "description": "values of its parameters; those left out have their defaults"}
  },
  "required": ["job"],
  "additionalProperties": false
})";

}  // namespace pawl
