#pragma once

// The schema and its versions. Migrations are the numbered files of migrations/, compiled in; those
// that a store lacks run in one transaction that also raises `user_version`, so that a kill at any
// point leaves the version before all of them or after.

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "scheduler/base/result.h"
#include "storage/database.h"

namespace pawl {

struct Migration {
  int number = 0;  ///< from 1, without gaps
  std::string_view name;
  const char* sql = nullptr;
};

/// Those of this program, ascending.
std::span<const Migration> migrations();

/// `PRAGMA application_id` of a store: "pawl".
inline constexpr std::int64_t kApplicationId = 0x7061776C;

/// The schema's version after all migrations.
int schema_version();

/// Brings the schema up to date. Errors: `version` when a newer pawl wrote it, `home_unusable` when
/// it is a database of another program, `storage`. `before_statement` is for tests.
Result<void> migrate(Database& database, const std::function<void(int)>& before_statement = {});

/// Fine when it is a store that this program can read, or bring up to date. Errors: as of
/// `migrate`, and `not_found` when it is still empty.
Result<void> check_store(Database& database);

/// For readers: fine only when it is of exactly this version besides.
Result<void> check_schema(Database& database);

}  // namespace pawl
