#pragma once

// Copies of a store: taken from a living one, and brought back.

#include <functional>
#include <string>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "storage/database.h"

namespace pawl {

struct BackupReport {
  std::int64_t bytes = 0;
  std::int64_t runs = 0;
};

struct BackupOptions {
  bool replace = false;        ///< overwrite a file of that name, in one step at the end
  bool beside_writer = false;  ///< the writer's connection is in this process
  int pages_per_step = 2'000;
  /// Between two steps; the scheduler is not held up by it, only its log grows.
  std::function<void()> pause;
};

/// Copies the store at `path` into the single file `file` (0600): one commit of it, whole and
/// checked, synced and only then given its name. Whatever ends it early, no file of that name is
/// there that was not before. Errors: not_found, refused (there is one), storage.
Result<BackupReport> backup_store(const std::string& path, const std::string& file,
                                  const BackupOptions& options);

struct RestoreOptions {
  bool replace = false;  ///< also when runs are in the store that is there; it is kept beside
  std::string actor;     ///< who does it
  WallTime now;
  /// Those of the home that live: refused while the store that is there knows of attempts in them.
  std::vector<WorkerId> workers;
};

struct RestoreReport {
  std::int64_t runs = 0;
  std::int64_t paused_runs = 0;
  std::int64_t paused_jobs = 0;
  std::int64_t interrupted_attempts = 0;
  std::string kept;  ///< path of the store that was replaced, a new name each time; empty: none
};

/// Brings a backup back as the store at `path`; the caller holds the home's lock. Open runs are
/// paused (`restored`), schedules too; attempts that were live are interrupted and their tasks
/// held. Numbers go on far behind those that may have been given out since the backup, so that no
/// worker or log of that time is taken for a new one. A kill leaves the old store or the new one.
/// Errors: not_found, refused (runs are there, or still run in workers), version, storage (the
/// backup is damaged).
Result<RestoreReport> restore_store(const std::string& file, const std::string& path,
                                    const RestoreOptions& options);

}  // namespace pawl
