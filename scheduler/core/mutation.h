#pragma once

// What a step changes in the store: a closed set of typed changes, applied in order, all or none.
// Those that change a row name the state they expect, and a store that finds another one refuses
// the batch: memory and store have parted, and going on would lose work.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/core/rows.h"

namespace pawl::mutation {

struct InsertVersion {
  JobVersionRow row;
};
struct InsertRun {
  RunRow row;
};
/// All changing columns of a run but `counts`.
struct UpdateRun {
  RunState expected = RunState::queued;
  RunRow row;
};
/// Only the last one of a batch for a run is written.
struct SetRunCounts {
  RunId run;
  Counts counts{};
};
/// A task or item that is decided or starts for the first time.
struct InsertTask {
  TaskRow row;
};
/// All changing columns; the row must be in `expected` with live attempt `expected_attempt`.
struct UpdateTask {
  TaskState expected = TaskState::waiting;
  AttemptId expected_attempt;
  TaskRow row;
};
/// Those of the items [first, end) that have failed or are held are not to be shown again.
struct DismissItems {
  RunId run;
  TaskIndex task;
  std::int64_t first = 0;
  std::int64_t end = 0;
};
/// Inserted, or replaced. Only the last one of a batch for a task is written.
struct SetMapped {
  MappedRow row;
};
struct InsertItems {
  ItemChunkRow row;
};
/// Back to none: its items are read anew when it runs again.
struct DeleteItems {
  RunId run;
  TaskIndex task;
};
struct InsertAttempt {
  AttemptRow row;
  bool inherits_handle = false;  ///< that of the attempt before it, if it was lost or interrupted
};
/// All changing columns but the handle; the row must be in `expected`. The row tells of one stay in
/// a worker: `cpu_us` and `stays` are added, of memory and log the larger counts, a start of 0
/// leaves what is there. `state_text` is written with `deferred`, kept while the attempt is open
/// and cleared by its end.
struct UpdateAttempt {
  AttemptState expected = AttemptState::starting;
  AttemptRow row;
};
/// An attempt of which nothing is in memory moves: it wakes, sleeps on, or ends in its sleep.
struct MoveAttempt {
  AttemptId id;
  TaskKey key;
  AttemptState expected = AttemptState::deferred;
  AttemptState state = AttemptState::starting;
  Reason reason = Reason::none;
  WorkerId worker;  ///< 0: as it was
  std::int32_t slot = 0;
  std::optional<WallTime> ended_at;
};
/// Of an open attempt.
struct SetHandle {
  AttemptId id;
  TaskKey key;
  std::string handle;
};
/// It never started.
struct DeleteAttempt {
  AttemptRow row;
};
struct SetOutput {
  OutputRow row;
};
struct ClearOutputs {
  RunId run;
  TaskIndex task;
};
struct SetTimer {
  TimerRow row;
};
struct ClearTimer {
  TaskKey key;
  TimerKind kind = TimerKind::retry;
};
/// Inserted, or replaced; without starts, deleted.
struct SetRate {
  RateRow row;
};
/// Inserted, or replaced: all but what PauseJob and SetSchedule write.
struct SetJob {
  JobRow row;
};
/// Whether the schedule of a job is paused, and who says so. Going on, fires up to `at` are
/// decided: they were not missed.
struct PauseJob {
  std::string job;
  bool paused = true;
  std::string note;
  std::string actor;
  WallTime at;
};
/// The schedule of a job goes on; the row must be decided through `expected`.
struct SetSchedule {
  std::string job;
  std::optional<WallTime> expected;
  std::optional<WallTime> decided_through;
  std::optional<WallTime> next_fire_at;
  std::int32_t failures = 0;
};
/// Added to the job's last such row, if that has the same reason; else a row of its own.
struct DropFires {
  DroppedRow row;
};
struct AddEvent {
  EventRow row;
};

}  // namespace pawl::mutation

namespace pawl {

using Mutation =
    std::variant<mutation::InsertVersion, mutation::InsertRun, mutation::UpdateRun,
                 mutation::SetRunCounts, mutation::InsertTask, mutation::UpdateTask,
                 mutation::DismissItems, mutation::SetMapped, mutation::InsertItems,
                 mutation::DeleteItems, mutation::InsertAttempt, mutation::UpdateAttempt,
                 mutation::MoveAttempt, mutation::SetHandle, mutation::DeleteAttempt,
                 mutation::SetOutput, mutation::ClearOutputs, mutation::SetTimer,
                 mutation::ClearTimer, mutation::SetRate, mutation::SetJob, mutation::PauseJob,
                 mutation::SetSchedule, mutation::DropFires, mutation::AddEvent>;

using Mutations = std::vector<Mutation>;

}  // namespace pawl
