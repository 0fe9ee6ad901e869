#pragma once

// What happened: runs, tasks, attempts, failures, outputs, for the command line and the control
// socket. A read-only connection of its own, beside a living scheduler or without one; it creates
// nothing and never asks the scheduler. Lists come in pages, each one read in a transaction that
// ends before the caller sees it, so that printing slowly holds nobody up; a row that changes
// between two pages is shown as it was when its page was read. One thread at a time. A process that
// is to write must have no History open that was opened without `beside_writer`: SQLite would share
// its read-only view of the log's index with the writer.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/item_chunk.h"
#include "scheduler/core/rows.h"
#include "scheduler/spec/selector.h"
#include "storage/database.h"

namespace pawl {

struct HistoryOptions {
  std::string vfs;             ///< empty: the system's
  bool beside_writer = false;  ///< the writer's connection is in this process and was opened before
};

/// What a name stands for.
struct Named {
  RunRow run;
  std::optional<TaskIndex> task;
  std::string task_id;  ///< empty when no task was named
  ItemIndex item = kWhole;
  std::optional<std::int32_t> attempt;

  TaskKey key() const { return {run.id, task.value_or(TaskIndex{}), item}; }
};

// The engine has views of the same names for runs in memory; a namespace of their own keeps the two
// apart when both are linked into one program.
namespace history {
struct RunView {
  RunRow row;
  std::map<std::string, std::string> labels;
  std::string parent;       ///< name of RunRow::parent; empty: none, or it is gone
  std::string parent_task;  ///< id of the task in it that the run was made for; empty: none
};
}  // namespace history
using history::RunView;

struct AttemptView {
  AttemptRow row;
  std::string run;  ///< names, as users know them
  std::string job;
  std::string task;
  std::string key;  ///< of the item; empty: none
  std::string log;  ///< relative to the home; empty when it surely has none
};

/// Of an attempt, what reading its log takes.
struct LogView {
  AttemptId attempt;
  TaskKey key;
  std::int32_t number = 1;
  AttemptState state = AttemptState::starting;
  WallTime started_at;
};

/// False: it was silent, there is no log. Who still runs, or ended without a word of its worker,
/// may have a log whose size nobody told.
bool may_have_log(const AttemptRow& attempt);

namespace history {
struct TaskView {
  TaskRow row;
  std::string run;
  std::string job;
  std::string task;
  std::string key;                 ///< of the item; empty: none
  bool mapped = false;             ///< the whole of a mapped task
  std::optional<MappedRow> whole;  ///< of a mapped whole that began
  std::int32_t max_attempts = 1;
  std::optional<AttemptRow> last;  ///< its last attempt
  std::optional<WallTime> next_attempt_at;
  std::string log;  ///< of the last attempt, relative to the home; empty when it surely has none

  // Of `failed` only. A run that failed by itself has no `task`; its row tells of the run.
  std::string params;      ///< of the run, JSON
  std::string item;        ///< its payload, JSON; empty: not an item
  bool tolerated = false;  ///< forgiven: its mapped task succeeded, or it may fail

  bool is_run() const { return task.empty(); }
  /// The run that its last attempt made by operator `job`; empty: none.
  std::string_view child_run() const {
    return last && last->worker.value == 0 ? std::string_view(last->handle) : std::string_view();
  }
  /// What went wrong, for people. What a person decided is not what its last attempt came to.
  std::string_view error() const {
    if (!row.error.empty() || !last || row.reason == Reason::marked) return row.error;
    return last->failure.message;
  }
};
}  // namespace history
using history::TaskView;

struct ItemText {
  std::string key;
  std::string payload;
};

struct JobView {
  JobRow row;
  std::map<std::string, std::string> labels;  ///< of its newest version
  std::optional<RunRow> last_run;
  std::int64_t dropped = 0;  ///< fires, as far as they are remembered
};

enum class FailedBy { reason, error, task, job };

struct FailedGroup {
  std::string value;  ///< `exit:5`, an error with its varying parts named, `JOB/TASK`, `JOB`
  std::int64_t count = 0;
  std::int64_t held = 0;  ///< of them
  std::int64_t runs = 0;  ///< in how many, counted while a group has at most 1,000
  WallTime first;         ///< when the first and the last of them ended
  WallTime last;
  TaskView example;  ///< the newest
};

struct FailedGroups {
  std::vector<FailedGroup> groups;  ///< largest first
  std::int64_t others = 0;          ///< in none of them, because there are too many groups
};

struct FailedSummary {
  std::int64_t failed = 0;  ///< unresolved and chosen
  std::int64_t held = 0;
  std::int64_t runs = 0;
  std::int64_t upstream_failed = 0;  ///< in those runs
  std::int64_t tolerated = 0;        ///< forgiven, otherwise chosen
  std::int64_t older = 0;            ///< unresolved before `since`, otherwise chosen
};

struct StatusNumbers {
  std::map<RunState, std::int64_t> runs;  ///< all that are remembered
  Counts open_tasks{};                    ///< items and tasks of runs that are not final
  std::int64_t unresolved = 0;            ///< as many as `FailedPager` has, forgiven ones not
  std::int64_t jobs = 0;
  std::int64_t paused_jobs = 0;
  std::int64_t quarantined_jobs = 0;
  std::int64_t doomed_runs = 0;  ///< taken away, files not deleted yet
  std::int64_t store_bytes = 0;  ///< the database's file
  std::int64_t free_bytes = 0;   ///< of it, for use again
  std::int64_t wal_bytes = 0;
  Epoch epoch;
};

class History;
class Query;

/// A list in pages. The pager refers to its History and must not outlive it.
class RunPager {
 public:
  RunPager(History& history, Selector selector);
  /// The next `limit` rows, fewer only at the end, none after it (so with all pagers). Newest
  /// first; `since` and `until` mean when a run was created.
  Result<std::vector<RunView>> next(std::size_t limit);

 private:
  History& history_;
  Selector selector_;
  std::int64_t before_;
  std::optional<std::vector<Named>> names_;
};

/// How much of a task is read beside its row.
struct TaskDetail {
  bool attempt = true;  ///< TaskView::last, log
  bool key = true;
  bool item = false;  ///< TaskView::item, params
};

/// The tasks of an open run that have no row yet, in the order of the definition, which whoever
/// asks can read.
using UndecidedTasks = std::function<Result<std::vector<TaskView>>(const RunRow& run)>;

class TaskPager {
 public:
  /// `undecided`: nothing: such tasks are not listed.
  TaskPager(History& history, Selector selector, TaskDetail detail = {},
            UndecidedTasks undecided = {});
  /// Runs newest first, within a run in the order of the definition and of the items. `since` and
  /// `until` mean when a task ended, else started, else was queued; runs that ended before `since`
  /// are passed over.
  Result<std::vector<TaskView>> next(std::size_t limit);

 private:
  Result<bool> fetch_runs();
  Result<void> fetch_undecided(const RunRow& run);
  Result<bool> fetch_tasks(std::size_t limit, std::vector<TaskView>& views);

  History& history_;
  Selector selector_;
  TaskDetail detail_;
  std::vector<RunRow> runs_;  ///< fetched and not done, newest last
  std::int64_t before_run_;
  std::int64_t after_task_ = -1;  ///< place within the run at the back of `runs_`
  std::int64_t after_item_ = -2;
  UndecidedTasks undecided_;
  std::deque<TaskView> without_row_;  ///< those of the run at the back of `runs_` that are left
  bool has_begun_run_ = false;
  std::optional<std::vector<Named>> names_;
};

class AttemptPager {
 public:
  AttemptPager(History& history, Selector selector);
  /// Newest first; of named runs by run, task and item, the newest of each first. `since` and
  /// `until` mean when it started.
  Result<std::vector<AttemptView>> next(std::size_t limit);

 private:
  Result<std::vector<AttemptView>> next_by_id(std::size_t limit);
  Result<std::vector<AttemptView>> next_by_task(std::size_t limit);
  /// What was read of one kind of the run in turn and not handed out yet.
  struct Ahead {
    std::deque<AttemptView> views;
    bool is_at_end = false;
    std::int64_t task = -1;  ///< the last one that was read
    std::int64_t item = -2;
    std::int64_t number = INT32_MAX;
  };
  Result<void> fetch_runs();
  Result<void> fetch(Ahead& ahead, std::size_t limit);
  Query attempts_behind(const Ahead& ahead) const;
  bool is_meant(const AttemptRow& row) const;

  History& history_;
  Selector selector_;
  std::int64_t before_;
  std::vector<RunRow> runs_;  ///< not done, newest last
  Ahead first_;               ///< first attempts
  Ahead later_;               ///< those after them
  std::optional<std::vector<Named>> names_;
};

class LogPager {
 public:
  LogPager(History& history, RunId run, std::optional<TaskIndex> task, AttemptId newest);
  /// The attempts up to `newest` of a run, or of one of its tasks, that may have a log: first
  /// attempts by task and item, then later ones likewise.
  Result<std::vector<LogView>> next(std::size_t limit);

 private:
  Query first_attempts() const;
  Query later_attempts() const;

  History& history_;
  RunId run_;
  std::optional<TaskIndex> task_;
  AttemptId newest_;
  bool is_at_later_ = false;  ///< past the first attempts
  std::int64_t after_task_ = -1;
  std::int64_t after_item_ = -2;
  std::int64_t after_number_ = 0;
};

class FailedPager {
 public:
  FailedPager(History& history, Selector selector, bool tolerated, TaskDetail detail);
  /// Unresolved failed and held tasks, and runs that failed by themselves, the latest end first. A
  /// mapped whole only when no item of it failed. `since` and `until` mean when they ended.
  Result<std::vector<TaskView>> next(std::size_t limit);

 private:
  /// What was read of one kind and not handed out yet.
  struct Ahead {
    std::deque<TaskView> views;
    bool is_at_end = false;
    std::optional<TaskView> last;  ///< read; the next page begins behind it
  };
  Result<void> fetch_tasks(std::size_t limit);
  Result<void> fetch_runs(std::size_t limit);

  History& history_;
  Selector selector_;
  bool tolerated_;
  TaskDetail detail_;
  Ahead tasks_;
  Ahead runs_;
  std::optional<std::vector<Named>> names_;
};

class OutputPager {
 public:
  OutputPager(History& history, RunId run, TaskIndex task);
  /// In index order; items without a result are left out.
  Result<std::vector<OutputRow>> next(std::size_t limit);

 private:
  History& history_;
  RunId run_;
  TaskIndex task_;
  std::int64_t after_ = -2;
};

class EventPager {
 public:
  EventPager(History& history, Selector selector);
  /// Newest first, by run, job, since and until.
  Result<std::vector<EventRow>> next(std::size_t limit);

 private:
  History& history_;
  Selector selector_;
  std::int64_t before_;
  std::optional<std::vector<Named>> names_;
};

class History {
 public:
  /// Errors: not_found (no store there), version, home_unusable, storage.
  static Result<std::unique_ptr<History>> open(const std::string& path,
                                               HistoryOptions options = {});
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // Names. Errors: not_found (with what is near), invalid (several match: which).

  Result<RunRow> find_run(std::string_view name);
  Result<Named> resolve(const ObjectName& name);
  /// Every name of a selector.
  Result<std::vector<Named>> resolve_all(const std::vector<ObjectName>& names);
  /// The id of a task of a run: from its definition.
  Result<std::string> task_id(const RunRow& run, TaskIndex task);

  // Lists.

  RunPager runs(Selector selector) { return {*this, std::move(selector)}; }
  TaskPager tasks(Selector selector, TaskDetail detail = {}, UndecidedTasks undecided = {}) {
    return {*this, std::move(selector), detail, std::move(undecided)};
  }
  AttemptPager attempts(Selector selector) { return {*this, std::move(selector)}; }
  LogPager logs(RunId run, std::optional<TaskIndex> task, AttemptId newest) {
    return {*this, run, task, newest};
  }
  /// The same of attempts after `after`, by their numbers; at most `limit`.
  Result<std::vector<LogView>> logs_after(RunId run, std::optional<TaskIndex> task, AttemptId after,
                                          std::size_t limit);
  FailedPager failed(Selector selector, bool tolerated = false) {
    return {*this, std::move(selector), tolerated, {true, true, true}};
  }
  OutputPager outputs(RunId run, TaskIndex task) { return {*this, run, task}; }
  EventPager events(Selector selector) { return {*this, std::move(selector)}; }

  Result<FailedGroups> failed_groups(const Selector& selector, FailedBy by, bool tolerated = false);
  Result<FailedSummary> failed_summary(const Selector& selector);

  // Single things. Nothing when there is no such row.

  Result<std::optional<RunView>> run(RunId run);
  /// Wholes and unmapped tasks of a run that have a row, in the order of the definition.
  Result<std::vector<TaskView>> run_tasks(const RunRow& run);
  Result<std::optional<TaskView>> task(TaskKey key);
  /// Of one task or item, ascending.
  Result<std::vector<AttemptView>> attempts_of(TaskKey key);
  /// The same of a task whose names are known.
  Result<std::vector<AttemptView>> attempts_of_task(const TaskView& task);
  Result<std::optional<AttemptView>> attempt(AttemptId id);
  /// The last one that began, over all runs; 0: none has.
  Result<AttemptId> newest_attempt();
  Result<std::optional<MappedRow>> mapped(RunId run, TaskIndex task);

  Result<std::optional<ItemText>> item(RunId run, TaskIndex task, std::int64_t index);
  Result<std::optional<std::int64_t>> item_by_key(RunId run, TaskIndex task, std::string_view key);
  /// The chunk that holds the item.
  Result<std::optional<ItemChunkRow>> chunk_with(RunId run, TaskIndex task, std::int64_t index);
  /// Of what succeeded; of all else nothing.
  Result<std::optional<OutputRow>> output(TaskKey key);
  /// The outputs of a mapped task's items that succeeded, in index order, until `each` says false.
  Result<void> each_output(RunId run, TaskIndex task,
                           const std::function<bool(const OutputRow&)>& each);

  Result<std::vector<JobView>> jobs();
  Result<std::optional<JobView>> job(std::string_view name);
  /// Fires of a job that were dropped, the last decision first.
  Result<std::vector<DroppedRow>> dropped(std::string_view job, std::size_t limit);
  Result<std::optional<JobVersionRow>> version(VersionId id);
  /// Of a job, newest first; without their bodies.
  Result<std::vector<JobVersionRow>> versions(std::string_view job, std::size_t limit);

  Result<StatusNumbers> status();
  /// How long the task usually takes: the median of its last successes in other runs of the job
  /// (at most 20). Nothing with fewer than three.
  Result<std::optional<Duration>> usual_duration(const RunRow& run, TaskIndex task);

  Database& database() { return *database_; }

 private:
  friend class RunPager;
  friend class TaskPager;
  friend class AttemptPager;
  friend class LogPager;
  friend class FailedPager;
  friend class OutputPager;
  friend class EventPager;
  struct Statements;
  struct Chunk;

  explicit History(std::unique_ptr<Database> database);

  Error error() const { return database_->error("reading history"); }
  bool complete(TaskView& view, TaskDetail detail, std::optional<AttemptId> first_attempt);
  Result<FailedGroups> divide_failed(const Selector& selector, FailedBy by, bool tolerated);
  Result<void> count_failed(const Selector& selector, FailedSummary& summary,
                            std::set<RunId>& runs);
  Result<void> count_failed_rows(const Selector& selector, FailedSummary& summary,
                                 std::set<RunId>& runs);
  Result<void> count_failed_runs(const Selector& selector, const std::vector<Named>& names,
                                 FailedSummary& summary, std::set<RunId>& runs);
  bool complete(AttemptView& view);
  /// The chunk with the item, decoded; null when there is none or after an error (then `ok` false).
  const Chunk* chunk(RunId run, TaskIndex task, std::int64_t index, bool& ok);
  bool key_of(TaskKey key, std::string& text);
  Result<TaskIndex> find_task(const RunRow& run, const std::string& id);
  std::string nearest_job(const std::string& word);
  Result<JobView> job_view(JobRow row);

  std::unique_ptr<Database> database_;
  std::unique_ptr<Statements> statements_;
  std::vector<std::unique_ptr<Chunk>> chunks_;  ///< the last few, latest last
};

/// Where the log of an attempt lies in the home; empty when it was silent.
std::string log_path_of(const AttemptRow& attempt, std::string_view run, std::string_view task);

}  // namespace pawl
