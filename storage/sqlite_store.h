#pragma once

// The Store over SQLite. Statements are compiled once and kept; those of a task's way take their
// values by reference. Every change of a row names what it expects and must change exactly one row.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/database.h"
#include "storage/store.h"

namespace pawl {

class Statement;

class SqliteStore final : public Store {
 public:
  struct Options {
    std::string vfs;  ///< empty: the system's
  };

  /// Opens or makes the store at `path` (`HOME/pawl.db`) and brings its schema up to date.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path, Options options);
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path) {
    return open(path, {});
  }

  ~SqliteStore() override;

  Result<void> apply(std::span<const Mutation> batch) override;
  Result<void> apply_group(std::span<const Mutations> batches) override;
  bool is_disk_full() const override { return is_disk_full_; }
  const std::optional<Error>& failure() const override { return failure_; }

  Result<StoreCounters> begin_epoch(std::string_view boot_id) override;
  Result<HomeId> home_id() override;
  Result<WorkerId> next_worker(WorkerId above) override;

  Result<void> load_open_runs(const std::function<void(RunSnapshot&&)>& each,
                              const std::function<void(RunId, std::string)>& bad) override;
  Result<std::optional<RunSnapshot>> load_run(RunId run, LoadOptions options) override;
  Result<std::vector<RateRow>> rates() override;

  Result<std::optional<RunRow>> run_by_name(std::string_view name) override;
  Result<std::optional<RunRow>> run_by_request(std::string_view request_id) override;
  Result<std::optional<JobVersionRow>> version(VersionId id) override;
  Result<std::optional<JobVersionRow>> version_by_hash(std::string_view job,
                                                       std::string_view hash) override;
  Result<std::vector<JobRow>> jobs() override;
  Result<std::vector<WallTime>> fires_with_run(std::string_view job, WallTime after) override;
  Result<std::vector<FireRun>> runs_of_fires(std::string_view job, WallTime from,
                                             WallTime to) override;
  Result<std::vector<std::string>> runs_of_request(std::string_view prefix) override;

  std::int64_t wal_pages() const override { return database_->wal_pages(); }
  Result<void> checkpoint() override;
  Result<void> empty_log() override;

  Result<PruneStep> prune(const PruneRequest& request) override;
  Result<std::vector<PrunedRun>> pruned(std::size_t limit) override;
  Result<void> prune_done(std::span<const RunId> runs) override;

  /// The connection, for what only the writer's thread may do (backup, checks).
  Database& database() { return *database_; }

 private:
  struct Statements;

  explicit SqliteStore(std::unique_ptr<Database> database);

  Result<void> copy_log_back(bool truncate);

  // Each returns false after a failure; `differs_` then says what was not as expected, if that was
  // the failure.
  bool put(const mutation::InsertVersion& m);
  bool put(const mutation::InsertRun& m);
  bool put(const mutation::UpdateRun& m);
  bool put(const mutation::SetRunCounts& m);
  bool put(const mutation::InsertTask& m);
  bool put(const mutation::UpdateTask& m);
  bool put(const mutation::DismissItems& m);
  bool put(const mutation::SetMapped& m);
  bool put(const mutation::InsertItems& m);
  bool put(const mutation::DeleteItems& m);
  bool put(const mutation::InsertAttempt& m);
  bool put(const mutation::UpdateAttempt& m);
  bool put(const mutation::MoveAttempt& m);
  bool put(const mutation::SetHandle& m);
  bool put(const mutation::DeleteAttempt& m);
  bool put(const mutation::SetOutput& m);
  bool put(const mutation::ClearOutputs& m);
  bool put(const mutation::SetTimer& m);
  bool put(const mutation::ClearTimer& m);
  bool put(const mutation::SetRate& m);
  bool put(const mutation::SetJob& m);
  bool put(const mutation::PauseJob& m);
  bool put(const mutation::SetSchedule& m);
  bool put(const mutation::DropFires& m);
  bool put(const mutation::AddEvent& m);

  Result<std::optional<RunRow>> find_run(Statement& query, std::string_view value);
  bool put_all(std::span<const Mutation> batch);
  bool put_last();
  bool write_counts(const mutation::SetRunCounts& m);
  bool write_mapped(const MappedRow& row);
  bool run_one(Statement& statement, std::string_view what, TaskKey key);
  bool run_one(Statement& statement, std::string_view job);
  Result<void> transact(const std::function<bool()>& body);
  Result<void> fail(bool while_committing);

  std::unique_ptr<Database> database_;
  std::unique_ptr<Statements> statements_;
  std::int64_t boot_ = 0;
  bool is_disk_full_ = false;
  std::optional<Error> failure_;
  std::string differs_;

  // Of the transaction under way: what is written once at its end.
  std::unordered_map<RunId, const mutation::SetRunCounts*> last_counts_;
  struct MappedPlace {
    RunId run;
    TaskIndex task;
    friend bool operator==(const MappedPlace&, const MappedPlace&) = default;
  };
  struct MappedPlaceHash {
    std::size_t operator()(const MappedPlace& p) const {
      return std::hash<RunId>()(p.run) * 31 + std::hash<TaskIndex>()(p.task);
    }
  };
  std::unordered_map<MappedPlace, const MappedRow*, MappedPlaceHash> last_mapped_;
  std::int64_t highest_run_ = 0;
  std::int64_t highest_attempt_ = 0;
  std::int64_t highest_version_ = 0;
};

}  // namespace pawl
