#pragma once

// `sqlite`: statements on a database file, on a thread of the host's pool. It brings SQLite itself
// and knows nothing of pawl's own store.

#include <mutex>
#include <unordered_map>

#include "pawl/operator.hpp"

namespace pawl::operators::sqlite {

class Database;

class Sqlite {
 public:
  static constexpr const char* kName = "sqlite";
  static constexpr const char* kSummary = "runs SQL on a SQLite database file";
  static constexpr const char* kSchema = R"({
    "type": "object",
    "properties": {
      "database": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4096,
        "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
        "description": "path of the file, relative to `working_dir`; it is created when missing, unless `read_only`; \":memory:\" is empty and gone afterwards"
      },
      "sql": {
        "type": ["string", "array"],
        "items": {"type": "string"},
        "minLength": 1,
        "minItems": 1,
        "description": "one or several statements, as a text or a list of lines; the rows of the last one that returns any are the output"
      },
      "parameters": {
        "type": ["array", "object"],
        "description": "bound values, never part of the text: a list for `?`, over all statements in their order, or an object for `:name`; lists and objects are bound as JSON text",
        "x-pawl-secret": true
      },
      "read_only": {
        "type": "boolean",
        "default": false,
        "description": "open the file for reading only"
      },
      "transaction": {
        "type": "boolean",
        "default": true,
        "description": "all statements or none, so none of them is BEGIN, COMMIT or ROLLBACK (savepoints are free); false: each for itself, as VACUUM and some PRAGMA need it"
      },
      "busy_timeout": {
        "type": "string",
        "x-pawl-type": "duration",
        "maxLength": 64,
        "default": "5s",
        "description": "how long to wait for the locks of others"
      },
      "foreign_keys": {
        "type": "boolean",
        "default": false,
        "description": "enforce the foreign keys that the schema declares"
      },
      "max_rows": {
        "type": "integer",
        "minimum": 1,
        "description": "fail when there are more rows; an output ends at 1 MiB in any case"
      },
      "allow_attach": {
        "type": "boolean",
        "default": false,
        "description": "let statements use other files: ATTACH, VACUUM INTO"
      }
    },
    "required": ["database", "sql"],
    "additionalProperties": false
  })";

  plugin::Result run(plugin::Attempt& attempt, const plugin::Request& request);
  void cancel(plugin::Attempt& attempt);

 private:
  class Registered;

  std::mutex mutex_;  // guards running_
  std::unordered_map<pawl_attempt*, Database*> running_;
};

}  // namespace pawl::operators::sqlite
