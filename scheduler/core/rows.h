#pragma once

// What is remembered: the rows of a store, as values. The engine makes and changes them through
// mutations (mutation.h); a store keeps them and hands them back as a snapshot. No SQL here.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"
#include "scheduler/core/states.h"
#include "scheduler/spec/reason.h"

namespace pawl {

/// What made a run.
enum class Trigger : std::uint8_t { manual, schedule, catchup, backfill, rerun, job };
inline constexpr std::array<std::string_view, 6> kTriggerWords = {"manual",   "schedule", "catchup",
                                                                  "backfill", "rerun",    "job"};
constexpr std::string_view to_string(Trigger t) {
  return kTriggerWords[static_cast<std::size_t>(t)];
}

/// Items and unmapped tasks by state, in the order of TaskState. Wholes are not counted.
using Counts = std::array<std::int64_t, kTaskStateCount>;

/// One task of one run, or one item of it.
struct TaskKey {
  RunId run;
  TaskIndex task;
  ItemIndex item = kWhole;
  friend constexpr auto operator<=>(const TaskKey&, const TaskKey&) = default;
};

/// The attempt that a run was made for (operator `job`).
struct Caller {
  TaskKey key;
  std::int32_t attempt = 0;  ///< its number
  std::int32_t work = 0;     ///< TaskRow::work
  friend constexpr bool operator==(const Caller&, const Caller&) = default;
};

struct RunRow {
  RunId id;
  std::string name;  ///< `20261120-225801-7k3f9q`, unique
  std::string job;
  VersionId version;
  RunState state = RunState::queued;
  Reason reason = Reason::none;
  Trigger trigger = Trigger::manual;
  std::optional<WallTime> scheduled_for;  ///< unique with `job` where set
  WallTime logical_time;
  std::optional<WallTime> interval_start;
  std::optional<WallTime> interval_end;
  std::optional<WallTime> start_at;  ///< not before this (`--at`)
  std::string request_id;            ///< unique where not empty
  std::string params = "{}";         ///< JSON text of an object, defaults filled in
  std::int64_t default_slots = 0;    ///< `run --concurrency`; 0: the pool's
  std::int64_t priority_class = 0;   ///< lower goes first between runs (backfill is behind)
  std::int64_t max_active = 0;       ///< of a backfill: how many of the job's go at once; else 0
  std::optional<RunId> parent;       ///< the run it was made from (rerun, job operator)
  std::optional<Caller> caller;      ///< within `parent`
  std::string ancestors;             ///< jobs above it, the outermost first: `a/b`
  WallTime created_at;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  std::int32_t resumes = 0;  ///< times it was opened again
  bool cancel_requested = false;
  /// What its tasks came to and why, while hooks are still to run (`reason` is `hooks` then).
  std::optional<RunState> outcome;
  Reason outcome_reason = Reason::none;
  bool dismissed = false;  ///< that it failed as a run (failed_by_itself) is not to be shown again
  Counts counts{};
};

/// Whether the run failed by a limit of its own, whatever became of its tasks: `pawl failed` has an
/// entry for it that names no task. Of `fail_fast` the tasks that failed tell, as long as there are
/// any.
inline bool failed_by_itself(const RunRow& run) {
  const auto count = [&run](TaskState state) {
    return run.counts[static_cast<std::size_t>(state)];
  };
  const bool is_silent = count(TaskState::failed) + count(TaskState::held) == 0;
  return run.state == RunState::failed &&
         (run.reason == Reason::run_timeout || (run.reason == Reason::fail_fast && is_silent));
}

struct TaskRow {
  TaskKey key;
  TaskState state = TaskState::waiting;
  Reason reason = Reason::none;
  /// Exit code for `exit`, number for `signal`, attempts in a row for `lost`, deferrals of an
  /// attempt that sleeps; else 0.
  std::int32_t detail = 0;
  std::int32_t attempts = 0;               ///< all, over resumes
  std::int32_t counted = 0;                ///< since the last resume; lost, interrupted not counted
  std::optional<WallTime> interrupted_at;  ///< the last time that the task could be the cause of
  std::optional<WallTime> interrupted_before;  ///< and the one before that
  std::int32_t work = 0;   ///< raised when work that had succeeded is run again (idempotency)
  AttemptId live_attempt;  ///< 0: none
  std::optional<WallTime> queued_at;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  std::string error;           ///< of what failed without an attempt; else the attempt has it
  std::int32_t dismissed = 0;  ///< 1: seen, not to be shown again; leaving the state clears it
};

/// What a command still has to do to a mapped task, item by item: a resume queues again what had
/// failed, or all, or what was decided because of the item that it is paired with; a cancel ends
/// what waits.
enum class Repeat : std::uint8_t { none, failed, all, cancel, following };
inline constexpr std::array<std::string_view, 5> kRepeatWords = {"none", "failed", "all", "cancel",
                                                                 "following"};
constexpr std::string_view to_string(Repeat r) { return kRepeatWords[static_cast<std::size_t>(r)]; }
/// Whether rows of final items are still needed for it.
constexpr bool is_resume(Repeat r) { return r != Repeat::none && r != Repeat::cancel; }

/// Of a mapped task as a whole, beside its TaskRow. Items start in order of index: those from
/// `next_fresh` on never started and have no row; `rest_state` says what they are. Items of a
/// paired task start in any order: `next_fresh` is behind all of them, and those that have no row
/// wait, or are what `rest_state` says when that is not `queued`.
struct MappedRow {
  RunId run;
  TaskIndex task;
  std::int64_t items = 0;  ///< read so far
  bool complete = false;   ///< all are read
  std::int64_t next_fresh = 0;
  /// All items below it are final, and those that are paired with them need not be told.
  std::int64_t low_water = 0;
  TaskState rest_state = TaskState::queued;
  Reason rest_reason = Reason::none;
  Counts counts{};           ///< its items by state, fresh ones included
  std::int64_t retries = 0;  ///< attempts of its items after one that counts
  /// A resume is under way: of the items from `repeat_next` on that had started, those that are
  /// final (failed: not those that succeeded or were skipped) are still to be queued again. Or a
  /// cancel is: of all that wait, without a cursor.
  Repeat repeat = Repeat::none;
  std::int64_t repeat_next = 0;
  std::string source;      ///< how to read on: position and fingerprint, made by the reader
  bool is_paired = false;  ///< it runs over the items of another task (`each`)
};

/// About a thousand items, encoded (item_chunk.h), as one value.
struct ItemChunkRow {
  RunId run;
  TaskIndex task;
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::string bytes;
};

/// What went wrong with an attempt, for people.
struct Failure {
  std::string error_class;
  std::string message;
  std::string trace;
  bool empty() const { return error_class.empty() && message.empty() && trace.empty(); }
};

struct AttemptRow {
  AttemptId id;
  TaskKey key;
  std::int32_t number = 0;  ///< of the task or item, from 1
  AttemptState state = AttemptState::starting;
  Reason reason = Reason::none;  ///< in `stopping`: why it is stopped
  std::optional<int> exit_code;
  std::optional<int> signal;
  WorkerId worker;
  std::int32_t slot = 0;  ///< PAWL_SLOT
  WallTime started_at;    ///< of the start's commit, then of the worker's begin
  std::optional<WallTime> ended_at;
  std::int64_t cpu_us = 0;              ///< user and system, of the whole tree that was reaped
  std::int64_t peak_memory_bytes = 0;   ///< the most of its stays; 0: not told
  std::int64_t memory_bound_bytes = 0;  ///< the same of stays of which only this is known: no more
  std::int64_t log_bytes = 0;           ///< 0: silent, no log file
  std::int32_t stays = 0;               ///< in workers that ended in a deferral
  std::string handle;                   ///< what its work is known by elsewhere
  std::string state_text;               ///< of its last deferral; empty once it has ended
  Failure failure;
};

/// A result: a value, or a file that holds it.
struct OutputRow {
  TaskKey key;
  std::int32_t attempt = 0;
  std::string format;  ///< `text`, `json`, `jsonl`
  std::string value;   ///< at most limits::kOutputValueBytesMax
  std::string file;    ///< relative to the home; empty: `value` holds it
  std::int64_t bytes = 0;
};

enum class TimerKind : std::uint8_t { retry, deferral, total, queue, run };

/// A time at which something happens, so kept that neither a step of the calendar nor a new boot
/// makes it wrong: within the boot it was set in, `due` counts; after that, `due_wall`, but never
/// more than `delay` from now.
struct TimerRow {
  TaskKey key;  ///< of kind `run`: task 0, item kWhole
  TimerKind kind = TimerKind::retry;
  MonoTime due;
  WallTime due_wall;
  Duration delay{};
  bool same_boot = true;  ///< filled by the store when read
};

/// What has a rate: a task over all runs of its job (`task` set), a job's own pool, or a pool of
/// the settings (`job` empty).
struct RateKey {
  std::string job;
  std::string pool;
  std::string task;
  friend auto operator<=>(const RateKey&, const RateKey&) = default;
};

/// The starts that a rate counts as of `at`, so that it holds over a restart. Within the boot they
/// age by the machine's clock; after it by the calendar, and at least as long as the machine is up.
struct RateRow {
  RateKey key;
  MonoTime at;
  WallTime at_wall;
  Duration per{};  ///< an older start counts no more
  struct Starts {
    Duration age{};
    std::int64_t count = 0;
  };
  std::vector<Starts> starts;  ///< oldest first
  bool same_boot = true;       ///< filled by the store when read
};

struct JobVersionRow {
  VersionId id;
  std::string job;
  std::string hash;  ///< of body and folder
  std::string body;  ///< canonical text of the job file
  std::string folder;
  WallTime created_at;
};

struct JobRow {
  std::string name;
  VersionId version;        ///< the newest good one; 0: none
  std::string file;         ///< empty: only run from files
  std::string quarantined;  ///< why the file is not served; empty: it is
  bool removed = false;     ///< its file is gone from the folders
  std::optional<WallTime> first_loaded_at;
  // Written by changes of their own (mutation::PauseJob, mutation::SetSchedule).
  bool paused = false;
  std::string pause_note;
  std::string paused_by;  ///< `ana`, `pawl`
  std::optional<WallTime> paused_at;
  std::optional<WallTime> next_fire_at;     ///< nothing: none, or the schedule is not armed
  std::optional<WallTime> decided_through;  ///< fires up to here have their run or their decision
  std::int32_t failures = 0;                ///< scheduled runs that failed in a row
};

/// Why a fire has no run, or a run that was taken out of the queue.
enum class DropReason : std::uint8_t {
  catchup,      ///< missed, and the policy wants none, or only a later one
  limit,        ///< missed, and beyond `catchup.limit`
  window,       ///< missed, and older than `catchup.window`
  skip,         ///< a run was active, and `overlap` is `skip`
  queue_limit,  ///< too many waited before it
  replaced,     ///< a later fire took its place before it began
};
inline constexpr std::array<std::string_view, 6> kDropReasonWords = {
    "catchup", "limit", "window", "skip", "queue_limit", "replaced"};
constexpr std::string_view to_string(DropReason r) {
  return kDropReasonWords[static_cast<std::size_t>(r)];
}

/// Fires of a job that are not run, and why: those between two of them are among them, save what
/// has a run.
struct DroppedRow {
  std::string job;
  DropReason reason = DropReason::catchup;
  WallTime first;
  WallTime last;
  std::int64_t count = 0;
  WallTime at;  ///< when that was decided
};

/// Who did what: commands of people, and decisions that leave no other row.
struct EventRow {
  WallTime at;
  std::string actor;  ///< `ana` (the peer's user), `pawl`
  std::string verb;
  std::string job;
  RunId run;  ///< 0: none
  std::optional<TaskKey> task;
  std::string text;
};

/// A mapped task of an open run, with what is needed to go on.
struct MappedSnapshot {
  MappedRow row;
  std::vector<TaskRow> open_items;  ///< not final, ascending
  /// States of the items from `row.low_water` up to `row.next_fresh`, one byte each (TaskState).
  std::vector<std::uint8_t> states;
  /// Only when asked for: final and not succeeded, ascending. Also those that `repeat` still needs.
  std::vector<TaskRow> final_items;
  std::int64_t to_dismiss =
      0;  ///< only when asked for: items that failed or are held, not dismissed
};

/// One run with all that its engine needs, as of one commit.
struct RunSnapshot {
  RunRow run;
  std::vector<TaskRow> tasks;  ///< wholes and unmapped, ascending; tasks without a row are waiting
  std::vector<MappedSnapshot> mapped;
  std::vector<AttemptRow> live_attempts;
  std::vector<TimerRow> timers;
};

}  // namespace pawl
