#pragma once

// `noop`: does nothing, at once. For trying out graphs, and to measure what pawl itself costs.

#include "pawl/operator.hpp"

namespace pawl::operators {

struct Noop {
  static constexpr const char* kName = "noop";
  static constexpr const char* kSummary = "does nothing and succeeds";
  static constexpr const char* kSchema = R"({
    "type": "object",
    "properties": {
      "output": {"description": "any value: becomes the output of the task"}
    },
    "additionalProperties": false,
    "x-pawl-output": "output"
  })";

  void start(plugin::Attempt attempt, const plugin::Request& request);
  void cancel(plugin::Attempt attempt);
};

}  // namespace pawl::operators
