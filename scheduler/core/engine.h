#pragma once

// The one place that decides what happens. Values in, values out: no clock, no I/O, no library, no
// randomness of its own. The same inputs give the same steps. The work of a step is proportional
// to what it changes, never to what is pending.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/limits.h"
#include "scheduler/core/effect.h"
#include "scheduler/core/input.h"

namespace pawl {

/// The highest numbers given out before.
struct EngineCounters {
  RunId run;
  AttemptId attempt;
};

/// One line of an explanation: why something is not running.
struct Explanation {
  std::string kind;  ///< `pool`, `upstream`, `retry`, `paused`, `held`, `max_concurrent` …
  std::string text;
  std::optional<RunId> run;  ///< what it names
  std::optional<TaskIndex> task;
  std::int64_t number = 0;  ///< place in the queue, slots, milliseconds: as `kind` says
};

/// What a person sees of a task of an open run.
struct TaskView {
  TaskState state = TaskState::waiting;
  Reason reason = Reason::none;
  std::int32_t detail = 0;
  std::int32_t attempts = 0;
  std::optional<WallTime> queued_at;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  std::optional<Counts> counts;  ///< of a mapped task
  std::int64_t items = 0;
  std::int64_t retries = 0;  ///< so far; what was interrupted or resumed by a person is none
};

/// Where all tasks of a run are, its hooks last.
struct RunStates {
  std::vector<TaskState> tasks;
  std::int64_t retries = 0;  ///< of all tasks and items, so far
};

/// Where a job's schedule is.
struct ScheduleView {
  bool is_served = false;
  bool is_paused = false;
  WallTime decided_through;      ///< all fires up to here have their run or their decision
  std::optional<WallTime> next;  ///< nothing: none will come, or it is not armed
};

/// One line of what a resume would do.
struct PlanLine {
  RunId run;
  TaskIndex task;
  std::int64_t items = -1;  ///< -1: the whole, or not mapped
  std::string action;       ///< `run`, `wait`, `stale`
};

struct PoolView {
  std::string name;
  std::int64_t limit = 0;
  std::int64_t taken = 0;
  struct Holder {
    RunId run;
    TaskIndex task;
    std::int64_t slots = 0;
  };
  std::vector<Holder> holders;         ///< by slots, most first
  std::int64_t waiting = 0;            ///< tasks and items queued for it
  std::string job;                     ///< whose own it is; empty: of the settings
  std::optional<RunId> run;            ///< whose own it is, in the place of pool `default`
  std::optional<Rate> rate;            ///< of the starts in it
  std::int64_t started = 0;            ///< in the last `rate->per`
  std::optional<Duration> next_start;  ///< until its rate lets one through; nothing: it does
  struct Next {
    RunId run;
    TaskIndex task;
    std::int64_t priority = 0;
  };
  std::vector<Next> next;  ///< the first that wait, in the order of their turns; a few
};

class Engine {
 public:
  /// `step_max`: mutations of a step, for tests that want many steps.
  explicit Engine(EngineCounters counters, std::size_t step_max = limits::kMutationsPerStepMax);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Decides. At most about limits::kMutationsPerStepMax mutations (a command on very many items
  /// may exceed it, to stay one transaction); `more` says that a Tick should follow.
  Step handle(const Input& input, Now now);

  /// When to hand in a Tick at the latest; nothing: no time matters.
  std::optional<MonoTime> next_deadline() const;

  /// The effects that the present state asks for, starts and stops of live attempts and readers of
  /// items: what recovery would do, and what a simulator compares.
  std::vector<Effect> regenerate_effects() const;

  /// Those that tasks wait for and no worker takes: WantWorker was said of each.
  std::vector<std::string> operators_without_worker() const;
  bool has_run(RunId run) const;
  /// Adopted, and nothing of it starts (input::Recover).
  bool is_dormant(RunId run) const;
  /// It is being cancelled, or ended by a limit; its hooks are still to come.
  bool is_stopping(RunId run) const;
  /// The run with this request id, as far as it is in memory or left it lately.
  std::optional<RunId> run_of_request(const std::string& request_id) const;
  bool knows_version(VersionId version) const;
  /// All that it knows, ascending: a new run may be pinned to any of them.
  std::vector<VersionId> versions() const;
  /// None when it is not in memory. What is found here is known to the next input, too.
  SharedJob definition(VersionId version) const;
  const JobSpec* job_of(RunId run) const;
  const RunRow* run(RunId run) const;
  /// Of a job that SetSchedule has told of.
  std::optional<ScheduleView> schedule(std::string_view job) const;
  /// The run is in memory. One task, and the states of all in a single pass.
  TaskView task(RunId run, TaskIndex task) const;
  RunStates states(RunId run) const;
  /// True when the run has mapped tasks of which a command may name final items.
  bool has_mapped_tasks(RunId run) const;
  /// Runs in memory, ascending.
  std::vector<RunId> runs() const;
  /// The one of them that has this name.
  std::optional<RunId> run_named(const std::string& name) const;
  std::int64_t live_attempts() const;
  /// Live attempts of a worker: what it must know.
  std::vector<AttemptId> attempts_of(WorkerId worker) const;
  /// Which stay of a live attempt its worker has: what a worker says of an earlier one proves
  /// nothing about this one.
  std::int32_t stay_of(AttemptId attempt) const;
  /// What came of an item, as items that are paired with it see it: of one that never started,
  /// what is said of all those. The run is in memory.
  TaskState item_state(TaskKey item) const;
  /// When a live attempt started: of one that had been deferred, this stay of it.
  std::optional<WallTime> started_at(AttemptId attempt) const;
  /// Run and task of a live attempt.
  std::optional<TaskKey> key_of(AttemptId attempt) const;

  std::vector<Explanation> explain(const Target& target, Now now) const;
  std::vector<PoolView> pools(Now now) const;
  /// What this resume would do, without doing it. Takes the same snapshots as the command.
  Result<std::vector<PlanLine>> plan_resume(const input::Resume& resume) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

/// `20261120-225801-7k3f9q`: UTC second of acceptance, then the run's number scrambled into six
/// letters (a bijection below 2^30), so that names differ at a glance and never collide.
std::string run_name(WallTime accepted, RunId run);

}  // namespace pawl
