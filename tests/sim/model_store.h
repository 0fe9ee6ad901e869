#pragma once

// A store in memory that takes every mutation at its word and refuses what no store may accept:
// another state than expected, a row twice, a gap in attempt numbers, two live attempts of a task,
// a step that the state tables do not have. What it refuses is an internal error of the engine.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/core/mutation.h"
#include "scheduler/core/rows.h"

namespace pawl::sim {

class ModelStore {
 public:
  using Place = std::pair<RunId, TaskIndex>;

  /// False: updates are applied whatever they expect (a planted bug).
  bool compares = true;
  /// Whoever waits for a run wakes in the step that ends it. False where steps are so small that
  /// the next one may do it.
  bool wakes_at_once = true;

  /// Applies a step's mutations. What is wrong with them, or nothing. `by_person`: the step came
  /// of a command, and may leave final states.
  std::string apply(const Mutations& batch, bool by_person);

  /// All rows of one run. `with_final`: with the rows of final items, succeeded ones too.
  RunSnapshot snapshot(RunId run, bool with_final) const;
  std::vector<RunId> open_runs() const;
  std::vector<RateRow> rate_rows() const;
  RunId last_run() const;

  std::map<RunId, RunRow> runs;
  std::map<TaskKey, TaskRow> tasks;
  std::map<Place, MappedRow> mapped;
  std::map<Place, std::map<std::int64_t, std::int64_t>> chunks;  ///< first to count
  std::map<AttemptId, AttemptRow> attempts;
  std::map<TaskKey, AttemptId> live;
  std::map<TaskKey, std::int32_t> numbers;  ///< of the last attempt
  std::map<std::pair<TaskKey, TimerKind>, TimerRow> timers;
  std::map<RateKey, RateRow> rates;
  std::map<TaskKey, OutputRow> outputs;
  std::map<VersionId, JobVersionRow> versions;
  std::vector<EventRow> events;
  std::map<std::string, JobRow> jobs;  ///< the schedules' columns
  std::vector<DroppedRow> dropped;
  std::map<std::string, WallTime> first_places;  ///< of schedules
  struct Span {
    std::string job;
    WallTime after;
    WallTime through;
  };
  std::vector<Span> paused_spans;  ///< whose fires were not missed
  AttemptId last_attempt;
  std::int64_t boot = 0;  ///< of the machine

 private:
  std::string one(const Mutation& change, bool by_person);
  std::string on(const mutation::InsertVersion& m);
  std::string on(const mutation::InsertRun& m);
  std::string on(const mutation::UpdateRun& m, bool by_person);
  std::string on(const mutation::PauseJob& m);
  std::string on(const mutation::SetSchedule& m);
  std::string on(const mutation::InsertTask& m);
  std::string on(const mutation::UpdateTask& m, bool by_person);
  std::string on(const mutation::InsertItems& m);
  std::string on(const mutation::InsertAttempt& m);
  std::string on(const mutation::UpdateAttempt& m);
  std::string on(const mutation::MoveAttempt& m);
  std::string broken_call(const AttemptRow& end) const;
  std::string on(const mutation::SetHandle& m);
  std::string on(const mutation::DeleteAttempt& m);

  std::map<std::pair<TaskKey, TimerKind>, std::int64_t> timer_boots_;
  std::map<RateKey, std::int64_t> rate_boots_;
};

/// `RUN/TASK`, `RUN/TASK:ITEM`, in numbers.
std::string task_text(TaskKey key);

/// What follows a state's word: `:timeout`, `:exit:1`, nothing where there is no reason. `detail`:
/// the exit code or the signal.
std::string reason_text(Reason reason, std::int32_t detail = 0);

}  // namespace pawl::sim
