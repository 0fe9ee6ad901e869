#pragma once

// `wait_file`: succeeds once a file is there and does not change any more. Between two looks it
// defers itself: a look costs a few system calls, the wait in between nothing.

#include "pawl/operator.hpp"

namespace pawl::operators {

struct WaitFile {
  static constexpr const char* kName = "wait_file";
  static constexpr const char* kSummary = "waits until a file is there and complete";
  static constexpr const char* kSchema = R"({
    "type": "object",
    "properties": {
      "path": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4096,
        "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
        "description": "the file, relative to `working_dir`, or a pattern (`*`, `?`, `[a-z]`; `\\` before one takes it as it is) that at least one file must match; a folder is no file"
      },
      "stable_for": {
        "type": "string",
        "x-pawl-type": "duration",
        "maxLength": 64,
        "default": "0s",
        "description": "size and time of change of all files found must have been the same for so long, and no file come or gone"
      },
      "min_size": {
        "type": "string",
        "x-pawl-type": "size",
        "maxLength": 64,
        "default": "0B",
        "description": "each file must have at least this size: \"1MiB\""
      },
      "every": {
        "type": "string",
        "x-pawl-type": "duration",
        "x-pawl-minimum": "100ms",
        "maxLength": 64,
        "default": "10s",
        "description": "time between two looks, at least 100ms"
      },
      "timeout": {
        "type": "string",
        "x-pawl-type": "duration",
        "maxLength": 64,
        "description": "give up so long after the first look; never when not set"
      },
      "on_timeout": {
        "type": "string",
        "enum": ["fail", "skip"],
        "default": "fail",
        "description": "what giving up makes of the task"
      }
    },
    "required": ["path"],
    "additionalProperties": false
  })";

  plugin::Result run(plugin::Attempt& attempt, const plugin::Request& request);
};

}  // namespace pawl::operators
