#pragma once

// What the scheduler asks of a store. One implementation, SqliteStore (sqlite_store.h); the
// conformance suite in tests/storage holds for any. Used by one thread at a time; the writer
// thread owns it. Readers of history use History (history.h) and never this.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
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

/// What tells the work of this store's home from that of any other. Made with the store; a copy of
/// it keeps that of its original, whose work it goes on with.
struct HomeId {
  std::string text;  ///< 16 random hexadecimal digits
  RunId after;       ///< the newest run of the time before the home had one; 0: there was none
};

/// What `load_run` brings of a run beyond its open part.
struct LoadOptions {
  bool final_items = false;      ///< MappedSnapshot::final_items and all states from item 0
  bool succeeded_items = false;  ///< and those of `final_items` that succeeded, too
  bool to_dismiss = false;       ///< MappedSnapshot::to_dismiss
};

/// How long ended runs are kept. A run goes when it is beyond the newest `runs` of its job or ended
/// more than `days` ago, whichever comes first; a value of 0 asks for nothing.
struct Retention {
  std::int64_t runs = 1000;
  std::int64_t days = 30;
};

/// Runs that one request may name: they are copied for each of its steps.
inline constexpr std::size_t kPrunedByNameMax = 1'000;

struct PruneRequest {
  Retention keep;                         ///< of jobs that are not named below
  std::map<std::string, Retention> jobs;  ///< by name of job
  /// Instead of `keep` and `jobs`: every run that ended before this goes.
  std::optional<WallTime> ended_before;
  /// By name, at most kPrunedByNameMax; of the runs that would go only these.
  std::optional<std::set<std::string, std::less<>>> only;
  std::int64_t unresolved_days = 90;  ///< a run with an unresolved failure stays this long
  std::int64_t event_days = 90;       ///< of events that belong to no run, and of dropped fires
  std::vector<RunId> busy;            ///< ended runs that somebody works with
  /// Definitions that a new run may be pinned to, ascending, beside those that jobs name. Nothing:
  /// that is not known now, and all stay.
  std::optional<std::vector<VersionId>> versions_in_use;
  WallTime now;
  std::int64_t rows_max = 5'000;  ///< of one step: bounds how long the writer is held
  /// What the step before told as `with_rows`. Nothing, in the first: all that are taken away and
  /// have files yet are looked at.
  std::optional<std::vector<RunId>> with_rows;
};

struct PruneStep {
  std::int64_t runs = 0;         ///< taken away in this step
  std::int64_t rows = 0;         ///< deleted in this step
  bool more = false;             ///< there is more to do
  std::vector<RunId> with_rows;  ///< taken away, and may have rows yet
};

/// A run whose rows are gone and whose logs and outputs are to be deleted by the caller.
struct PrunedRun {
  RunId run;
  std::string name;
};

/// A run that stands for a fire of its job's schedule.
struct FireRun {
  WallTime fire;
  RunState state = RunState::queued;
};

class Store {
 public:
  virtual ~Store() = default;

  /// Applies all changes in one transaction and makes them durable, or none. Errors: `storage`
  /// with `is_disk_full()` true when nothing was changed and it may be tried again; any other
  /// error means that the outcome is unknown and the process must end.
  virtual Result<void> apply(std::span<const Mutation> batch) = 0;
  /// The same for several batches at once, in order: one transaction, one wait for the disk.
  virtual Result<void> apply_group(std::span<const Mutations> batches) = 0;
  /// Whether the last failed `apply` failed for lack of room.
  virtual bool is_disk_full() const = 0;

  /// Why the last failed change leaves it unknown what is stored: nothing may be written any more.
  virtual const std::optional<Error>& failure() const = 0;

  /// Raises the epoch and returns all counters. Durable on return.
  virtual Result<StoreCounters> begin_epoch(std::string_view boot_id) = 0;
  virtual Result<HomeId> home_id() = 0;
  /// The number for a new worker's folder: above all given before and above `above`, the highest
  /// whose folder lies in the home (more than were given, when an older copy of the store was put
  /// back). Durable on return.
  virtual Result<WorkerId> next_worker(WorkerId above) = 0;

  /// Calls `each` with every open run (queued, running, paused), in order of id. A run that cannot
  /// be read is reported through `bad` (its id; its name and why) and the others go on.
  virtual Result<void> load_open_runs(const std::function<void(RunSnapshot&&)>& each,
                                      const std::function<void(RunId, std::string)>& bad) = 0;
  virtual Result<std::optional<RunSnapshot>> load_run(RunId run, LoadOptions options) = 0;
  /// What rates counted when they were last written, in the order of their keys.
  virtual Result<std::vector<RateRow>> rates() = 0;

  /// By its full name.
  virtual Result<std::optional<RunRow>> run_by_name(std::string_view name) = 0;
  virtual Result<std::optional<RunRow>> run_by_request(std::string_view request_id) = 0;
  virtual Result<std::optional<JobVersionRow>> version(VersionId id) = 0;
  virtual Result<std::optional<JobVersionRow>> version_by_hash(std::string_view job,
                                                               std::string_view hash) = 0;
  virtual Result<std::vector<JobRow>> jobs() = 0;
  /// Fires of a job after `after` that have a run.
  virtual Result<std::vector<WallTime>> fires_with_run(std::string_view job, WallTime after) = 0;
  /// Runs of a job that stand for its fires in [from, to), and what a backfill made of them: in the
  /// order of their numbers.
  virtual Result<std::vector<FireRun>> runs_of_fires(std::string_view job, WallTime from,
                                                     WallTime to) = 0;
  /// Names of the runs whose request ids begin with `prefix` and `:`, in the order of their
  /// numbers.
  virtual Result<std::vector<std::string>> runs_of_request(std::string_view prefix) = 0;

  /// Pages of the write-ahead log since the last checkpoint.
  virtual std::int64_t wal_pages() const = 0;
  /// Copies the write-ahead log back into the database as far as readers allow. Does not wait. The
  /// log's file keeps its room, up to kLogFileBytesKept: a commit that overwrites is cheaper than
  /// one that makes a file grow.
  virtual Result<void> checkpoint() = 0;
  /// The same, and when nobody reads the log's file is made empty: the disk has the room.
  virtual Result<void> empty_log() = 0;

  /// One bounded step of retention: takes runs away whole, so that no reader sees half of one, then
  /// deletes their rows. Repeat while `more`. Kill-safe at any point: the next step goes on.
  virtual Result<PruneStep> prune(const PruneRequest& request) = 0;
  /// At most `limit` runs whose rows are all gone: delete their files, then call `prune_done`.
  virtual Result<std::vector<PrunedRun>> pruned(std::size_t limit) = 0;
  virtual Result<void> prune_done(std::span<const RunId> runs) = 0;
};

}  // namespace pawl
