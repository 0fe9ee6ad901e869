#pragma once

// Whether the store is what it should be: the file itself, and what the tables say of each other
// where other databases have foreign keys. Read-only.

#include <string>
#include <vector>

#include "scheduler/base/result.h"
#include "storage/database.h"

namespace pawl {

struct StoreFinding {
  std::string what;        ///< a sentence for people, with the run
  bool is_damage = false;  ///< the file itself is damaged: only a backup helps
};

struct StoreCheckOptions {
  bool history = true;             ///< also runs that ended: reads every row once
  std::size_t findings_max = 100;  ///< of each kind of finding at most this many
};

/// Findings, none when all is well. An Error only when nothing could be checked. A single
/// transaction: beside a busy scheduler the log cannot shrink meanwhile.
Result<std::vector<StoreFinding>> check_store(Database& database, const StoreCheckOptions& options);

/// `PRAGMA integrity_check` alone.
Result<std::vector<StoreFinding>> check_file(Database& database, std::size_t findings_max);

}  // namespace pawl
