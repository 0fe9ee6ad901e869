#include "plugins/worker/python_schema.h"

namespace pawl {

std::string_view python_schema() {
  return R"({
  "type": "object",
  "properties": {
    "call": {"type": "string", "pattern": "^[^:]+:[^:]+$",
      "examples": ["module:function"],
      "description": "`module:function`; the function may be an attribute of a class: `module:Class.method`"},
    "args": {"type": "array", "x-pawl-secret": true, "description": "arguments by position"},
    "kwargs": {"type": "object", "x-pawl-secret": true, "description": "arguments by name"},
    "python": {"type": "string", "minLength": 1, "default": "python3",
      "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
      "description": "an interpreter, or the folder of a virtual environment, relative to `working_dir`; a name that is no such folder is looked up in PATH"},
    "path": {"type": ["string", "array"], "minItems": 1, "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
      "items": {"type": "string", "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte"},
      "description": "folders to import from, relative to `working_dir`, which is the default"},
    "threads": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1,
      "description": "calls at once in one interpreter"},
    "processes": {"type": "integer", "minimum": 1, "maximum": 1000,
      "description": "interpreters at most; twice the cores, at least 4, unless said"},
    "recycle_after": {"type": "integer", "minimum": 1,
      "description": "an interpreter ends after so many calls"},
    "memory_limit": {"type": "string", "x-pawl-type": "size",
      "description": "an interpreter ends above it, between calls"},
    "permanent": {"type": "array", "items": {"type": "string"},
      "description": "classes of exceptions that another attempt would only repeat"}
  },
  "required": ["call"],
  "additionalProperties": false
})";
}

}  // namespace pawl
