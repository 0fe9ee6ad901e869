#include "plugins/operators/sqlite/error.h"

#include <array>
#include <string_view>

#include <sqlite3.h>

namespace pawl::operators::sqlite {

namespace {

struct Name {
  int code;
  std::string_view name;
};

#define PAWL_NAME(code) \
  { code, #code }
constexpr Name kNames[] = {
    PAWL_NAME(SQLITE_ERROR),
    PAWL_NAME(SQLITE_ERROR_MISSING_COLLSEQ),
    PAWL_NAME(SQLITE_ERROR_SNAPSHOT),
    PAWL_NAME(SQLITE_INTERNAL),
    PAWL_NAME(SQLITE_PERM),
    PAWL_NAME(SQLITE_ABORT),
    PAWL_NAME(SQLITE_ABORT_ROLLBACK),
    PAWL_NAME(SQLITE_BUSY),
    PAWL_NAME(SQLITE_BUSY_RECOVERY),
    PAWL_NAME(SQLITE_BUSY_SNAPSHOT),
    PAWL_NAME(SQLITE_BUSY_TIMEOUT),
    PAWL_NAME(SQLITE_LOCKED),
    PAWL_NAME(SQLITE_LOCKED_SHAREDCACHE),
    PAWL_NAME(SQLITE_LOCKED_VTAB),
    PAWL_NAME(SQLITE_NOMEM),
    PAWL_NAME(SQLITE_READONLY),
    PAWL_NAME(SQLITE_READONLY_CANTLOCK),
    PAWL_NAME(SQLITE_READONLY_DBMOVED),
    PAWL_NAME(SQLITE_READONLY_DIRECTORY),
    PAWL_NAME(SQLITE_READONLY_RECOVERY),
    PAWL_NAME(SQLITE_READONLY_ROLLBACK),
    PAWL_NAME(SQLITE_INTERRUPT),
    PAWL_NAME(SQLITE_IOERR),
    PAWL_NAME(SQLITE_IOERR_FSYNC),
    PAWL_NAME(SQLITE_IOERR_LOCK),
    PAWL_NAME(SQLITE_IOERR_NOMEM),
    PAWL_NAME(SQLITE_IOERR_READ),
    PAWL_NAME(SQLITE_IOERR_SHORT_READ),
    PAWL_NAME(SQLITE_IOERR_TRUNCATE),
    PAWL_NAME(SQLITE_IOERR_WRITE),
    PAWL_NAME(SQLITE_CORRUPT),
    PAWL_NAME(SQLITE_CORRUPT_INDEX),
    PAWL_NAME(SQLITE_CORRUPT_VTAB),
    PAWL_NAME(SQLITE_FULL),
    PAWL_NAME(SQLITE_CANTOPEN),
    PAWL_NAME(SQLITE_CANTOPEN_ISDIR),
    PAWL_NAME(SQLITE_PROTOCOL),
    PAWL_NAME(SQLITE_SCHEMA),
    PAWL_NAME(SQLITE_TOOBIG),
    PAWL_NAME(SQLITE_CONSTRAINT),
    PAWL_NAME(SQLITE_CONSTRAINT_CHECK),
    PAWL_NAME(SQLITE_CONSTRAINT_COMMITHOOK),
    PAWL_NAME(SQLITE_CONSTRAINT_DATATYPE),
    PAWL_NAME(SQLITE_CONSTRAINT_FOREIGNKEY),
    PAWL_NAME(SQLITE_CONSTRAINT_NOTNULL),
    PAWL_NAME(SQLITE_CONSTRAINT_PINNED),
    PAWL_NAME(SQLITE_CONSTRAINT_PRIMARYKEY),
    PAWL_NAME(SQLITE_CONSTRAINT_ROWID),
    PAWL_NAME(SQLITE_CONSTRAINT_TRIGGER),
    PAWL_NAME(SQLITE_CONSTRAINT_UNIQUE),
    PAWL_NAME(SQLITE_CONSTRAINT_VTAB),
    PAWL_NAME(SQLITE_MISMATCH),
    PAWL_NAME(SQLITE_MISUSE),
    PAWL_NAME(SQLITE_NOLFS),
    PAWL_NAME(SQLITE_AUTH),
    PAWL_NAME(SQLITE_RANGE),
    PAWL_NAME(SQLITE_NOTADB),
};
#undef PAWL_NAME

int primary_of(int code) { return code & 0xff; }

bool may_pass(int code) {
  switch (primary_of(code)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_SCHEMA: return true;
    default: return false;
  }
}

}  // namespace

std::string name_of(int code) {
  for (const int wanted : std::array{code, primary_of(code)}) {
    for (const Name& entry : kNames) {
      if (entry.code == wanted) return std::string(entry.name);
    }
  }
  return "SQLITE_" + std::to_string(code);
}

bool is_about_file(int code) {
  switch (primary_of(code)) {
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_NOTADB: return true;
    default: return false;
  }
}

plugin::Result result_of(const SqliteError& error) {
  std::string message = error.message;
  if (primary_of(error.code) == SQLITE_AUTH) {
    message +=
        ": the statement would use another file (ATTACH, VACUUM INTO), which takes "
        "\"allow_attach\": true";
  }
  if (may_pass(error.code)) {
    return plugin::Result::failure(message, name_of(error.code), error.trace);
  }
  return plugin::Result::permanent(message, name_of(error.code), error.trace);
}

}  // namespace pawl::operators::sqlite
