#pragma once

// What the scheduler asks of a store. One implementation, SqliteStore (sqlite_store.h); the
// conformance suite in tests/storage holds for any. Used by one thread at a time; the writer
// thread owns it. Readers of history use History (history.h) and never this.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/core/mutation.h"
#include "scheduler/core/rows.h"

namespace pawl {

/// The highest numbers given out, so that the engine goes on counting after them.
struct StoreCounters {
  RunId run;
  AttemptId attempt;
  VersionId version;
  WorkerId worker;
  Epoch epoch;
};

/// What `load_run` brings of a run beyond its open part.
struct LoadOptions {
  bool final_items = false;      ///< MappedSnapshot::final_items and all states from item 0
  bool succeeded_items = false;  ///< and those of `final_items` that succeeded, too
};

class Store {
 public:
  virtual ~Store() = default;

  /// Applies all changes in one transaction and makes them durable, or none. Errors: `storage`
  /// with `is_disk_full()` true when nothing was changed and it may be tried again; any other
  /// error means that the outcome is unknown and the process must end.
  virtual Result<void> apply(std::span<const Mutation> batch) = 0;
  /// Whether the last failed `apply` failed for lack of room.
  virtual bool is_disk_full() const = 0;

  /// Raises the epoch and returns all counters. Durable on return.
  virtual Result<StoreCounters> begin_epoch(std::string_view boot_id) = 0;
  /// The number for a new worker's folder. Durable on return.
  virtual Result<WorkerId> next_worker() = 0;

  /// Calls `each` with every open run (queued, running, paused), in order of id. A run that cannot
  /// be read is reported through `bad` (its id and why) and the others go on.
  virtual Result<void> load_open_runs(const std::function<void(RunSnapshot&&)>& each,
                                      const std::function<void(RunId, std::string)>& bad) = 0;
  virtual Result<std::optional<RunSnapshot>> load_run(RunId run, LoadOptions options) = 0;

  virtual Result<std::optional<RunRow>> run_by_request(std::string_view request_id) = 0;
  virtual Result<std::optional<JobVersionRow>> version(VersionId id) = 0;
  virtual Result<std::optional<JobVersionRow>> version_by_hash(std::string_view job,
                                                               std::string_view hash) = 0;
  virtual Result<std::vector<JobRow>> jobs() = 0;

  /// Pages of the write-ahead log since the last checkpoint.
  virtual std::int64_t wal_pages() const = 0;
  /// Copies the write-ahead log back into the database as far as readers allow. Does not wait.
  virtual Result<void> checkpoint() = 0;
};

}  // namespace pawl
