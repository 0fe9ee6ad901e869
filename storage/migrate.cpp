#include "storage/migrate.h"

#include <string>

namespace pawl {
namespace {

struct Identity {
  std::int64_t application = 0;
  std::int64_t version = 0;
  std::int64_t objects = 0;
};

Result<Identity> identify(Database& database) {
  Identity found;
  auto application = database.integer("PRAGMA application_id");
  if (!application) return application.error();
  auto version = database.integer("PRAGMA user_version");
  if (!version) return version.error();
  auto objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return objects.error();
  found.application = *application;
  found.version = *version;
  found.objects = *objects;
  const bool is_empty = found.application == 0 && found.version == 0 && found.objects == 0;
  if (!is_empty && found.application != kApplicationId) {
    // Three answers around the commit of the first migration do not belong together: ask again.
    const auto again = database.integer("PRAGMA application_id");
    if (again && *again == kApplicationId) return identify(database);
    return Error{ErrorKind::home_unusable,
                 "opening the store: " + database.path() +
                     " is a database of another program. Use another home"};
  }
  if (found.version > schema_version()) {
    return Error{ErrorKind::version,
                 "opening the store: " + database.path() + " is of schema version " +
                     std::to_string(found.version) + ", this pawl knows up to " +
                     std::to_string(schema_version()) + ". Use the newer pawl, or another home"};
  }
  return found;
}

Result<void> apply(Database& database, std::int64_t after,
                   const std::function<void(int)>& before_statement) {
  if (auto done = database.exec("BEGIN IMMEDIATE"); !done) return done;
  for (const Migration& migration : migrations()) {
    if (migration.number <= after) continue;
    if (auto done = database.exec_each(migration.sql, before_statement); !done) return done;
  }
  std::string mark = "PRAGMA application_id=" + std::to_string(kApplicationId) +
                     "; PRAGMA user_version=" + std::to_string(schema_version());
  if (auto done = database.exec(mark.c_str()); !done) return done;
  return database.exec("COMMIT");
}

}  // namespace

int schema_version() { return migrations().back().number; }

Result<void> migrate(Database& database, const std::function<void(int)>& before_statement) {
  auto found = identify(database);
  if (!found) return found.error();
  if (found->version == schema_version()) return {};
  // All in one transaction: nobody ever sees a version between.
  auto done = apply(database, found->version, before_statement);
  if (!done) database.rollback();
  return done;
}

Result<void> check_store(Database& database) {
  auto found = identify(database);
  if (!found) return found.error();
  if (found->objects == 0) {
    return Error{ErrorKind::not_found, "nothing is stored at " + database.path() + " yet"};
  }
  return {};
}

Result<void> check_schema(Database& database) {
  if (auto known = check_store(database); !known) return known;
  auto version = database.integer("PRAGMA user_version");
  if (!version) return version.error();
  if (*version < schema_version()) {
    return Error{ErrorKind::version, "opening the store: " + database.path() +
                                         " is of an older pawl. Start pawl serve once, anew if it "
                                         "is up: it brings the store up to date"};
  }
  return {};
}

}  // namespace pawl
