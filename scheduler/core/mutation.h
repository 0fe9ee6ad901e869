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
};
/// All changing columns; the row must be in `expected`.
struct UpdateAttempt {
  AttemptState expected = AttemptState::starting;
  AttemptRow row;
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
struct SetJob {
  JobRow row;
};
struct AddEvent {
  EventRow row;
};

}  // namespace pawl::mutation

namespace pawl {

using Mutation =
    std::variant<mutation::InsertVersion, mutation::InsertRun, mutation::UpdateRun,
                 mutation::SetRunCounts, mutation::InsertTask, mutation::UpdateTask,
                 mutation::SetMapped, mutation::InsertItems, mutation::DeleteItems,
                 mutation::InsertAttempt, mutation::UpdateAttempt, mutation::DeleteAttempt,
                 mutation::SetOutput, mutation::ClearOutputs, mutation::SetTimer,
                 mutation::ClearTimer, mutation::SetJob, mutation::AddEvent>;

using Mutations = std::vector<Mutation>;

}  // namespace pawl
