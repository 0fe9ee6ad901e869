#pragma once

// What the engine keeps of runs, their tasks, items and attempts. Private to scheduler/core.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/core/graph.h"
#include "scheduler/core/lanes.h"
#include "scheduler/core/rows.h"
#include "scheduler/core/sleepers.h"
#include "scheduler/core/slots.h"
#include "scheduler/core/trigger_rule.h"
#include "scheduler/spec/shared_job.h"

namespace pawl {

/// A definition that runs in memory are pinned to. It leaves some time after the last of them.
struct Version {
  SharedJob shared;
  const JobSpec& job;
  Graph graph;
  std::int64_t runs = 0;  ///< in memory
  MonoTime idle_since;    ///< without a run, while it has none
  explicit Version(SharedJob spec) : shared(std::move(spec)), job(*shared), graph(job) {}
};

/// What is known of an unmapped task, a mapped whole, or an item that has started and is open.
struct Piece {
  AttemptId live;      ///< 0: none; asleep unless the state is running
  WallTime queued_at;  ///< 0: never; so for the next three
  WallTime started_at;
  WallTime ended_at;
  WallTime interrupted_at;      ///< the last interruption that the task may have caused
  WallTime interrupted_before;  ///< and the one before that
  MonoTime total_due;           ///< 0: no total time-out runs
  std::int32_t attempts = 0;
  std::int32_t counted = 0;
  std::int32_t work = 0;
  std::int32_t detail = 0;
  std::uint32_t stamp = 0;  ///< new with each change of state: older alarms mean nothing
  TaskState state = TaskState::waiting;
  Reason reason = Reason::none;
  bool has_row = false;  ///< in the store
  bool is_dismissed = false;
};

/// In `Mapped::states`: final, and which state is only in the store.
inline constexpr std::uint8_t kFinalUnknown = 255;

/// The items of a mapped task. Those from `next_fresh` on never started; `works` and
/// `sleepers` hold the open ones below it, `states` and `tries` one byte for each one below it.
/// While a whole that had ended waits to go on, the items that a resume took back are `waiting`.
/// After a repeat of the whole, `items` counts up from 0 again while `next_fresh` stays: rows of
/// the items below it exist, and those that are read no more (the surplus) are in no count.
struct Mapped {
  std::int64_t items = 0;  ///< read so far
  std::int64_t next_fresh = 0;
  std::int64_t low_water = 0;      ///< all items below it are final
  std::int64_t row_low_water = 0;  ///< as its row says, for those that are paired with it too
  bool complete = false;
  TaskState rest_state = TaskState::queued;
  Reason rest_reason = Reason::none;
  Counts counts{};
  std::string source;
  std::string read_error;  ///< reading the items failed
  std::vector<std::uint8_t> states;
  std::vector<std::uint8_t> tries;  ///< attempts, modulo 256; 0: unknown. Tells an old snapshot
  std::unordered_map<std::int64_t, Piece> works;
  Sleepers sleepers;  ///< open items that wait for their time, and are not in `works`
  MonoTime wake_due;  ///< of the alarm that was set for them; 0: none
  /// Items that were queued, not fresh. Who is in it may have left that state since; nobody who is
  /// queued is missing.
  std::deque<std::int64_t> ready;
  std::int64_t queued = 0;  ///< items in `works` that may take a slot
  std::int64_t live = 0;
  std::int64_t retries = 0;
  bool is_changed = false;  ///< its row is written at the end of the step
  SlotNumbers numbers;      ///< of `max_concurrent`
  // Of a task that is paired with another one (`each`). All items are below `next_fresh`; of those
  // that are blank, `states` alone knows: they wait, or may take a slot (`released`, and in
  // `ready`). In the end the blank ones share `rest_state`.
  bool is_paired = false;
  std::int64_t blank = 0;     ///< waiting, and nothing else is known of them
  std::int64_t released = 0;  ///< queued, and nothing else is known of them
  std::int64_t rest = 0;      ///< what `rest_state` says is said of so many
  /// The next item that a sweep looks at; -1: there is none. In an ended whole it ends what is open
  /// of its items, and the run waits for it.
  std::int64_t sweep = -1;
  Repeat repeat = Repeat::none;
  std::int64_t repeat_next = 0;
  std::deque<TaskRow> to_repeat;   ///< rows that a resume still has to queue again, ascending
  std::vector<Sleeper> to_cancel;  ///< those asleep that a cancel still has to end, descending
  std::vector<std::int64_t> to_cancel_awake;  ///< and those in `works`, descending
  Reason cancel_reason = Reason::none;
  bool cancel_force = false;

  /// Its rule had let it go, and its items are those that were read then.
  bool has_begun() const { return items > 0 || complete; }
  std::int64_t fresh() const { return items > next_fresh ? items - next_fresh : 0; }
  bool may_start_fresh() const { return rest_state == TaskState::queued && fresh() > 0; }
  std::int64_t count(TaskState state) const { return counts[static_cast<std::size_t>(state)]; }
  std::int64_t open() const {
    std::int64_t sum = 0;
    for (std::size_t s = 0; s < kTaskStateCount; ++s) {
      if (!is_final(static_cast<TaskState>(s))) sum += counts[s];
    }
    return sum;
  }
  /// Of an item that started.
  bool is_open(std::int64_t item) const {
    const auto place = static_cast<std::size_t>(item);
    return item >= 0 && place < states.size() && states[place] != kFinalUnknown &&
           !is_final(static_cast<TaskState>(states[place]));
  }
  /// Of those of which no more is known than `states` says.
  bool is_blank(std::int64_t item) const {
    const std::uint8_t state = states[static_cast<std::size_t>(item)];
    const bool may_be = state == static_cast<std::uint8_t>(TaskState::waiting) ||
                        state == static_cast<std::uint8_t>(TaskState::queued);
    return is_paired && may_be && !works.contains(item);
  }
  /// It never started, and `rest_state` says what it is.
  bool is_rest(std::int64_t item) const {
    if (!is_paired) return item >= next_fresh;
    return rest_state != TaskState::queued && is_blank(item);
  }
  /// Of its own attempts; not those that another task failed for it.
  std::int64_t own_failures() const { return count(TaskState::failed) + count(TaskState::held); }
  std::int64_t failures() const { return own_failures() + count(TaskState::upstream_failed); }
};

struct Node {
  Piece work;
  Tally tally;
  std::unique_ptr<Mapped> mapped;
  Line* line = nullptr;  ///< where it waits for slots and tokens, once it did
  std::uint32_t prepare_stamp = 0;
  bool is_preparing = false;  ///< `when` is being judged, or items are being read
  bool is_ready = false;      ///< in the ring of its line
  bool is_parked = false;     ///< startable, and no worker takes its operator
};

struct Run {
  RunRow row;
  Version* version = nullptr;
  std::vector<Node> nodes;
  std::unique_ptr<Pool> own_pool;  ///< in the place of pool `default`
  std::int64_t open_tasks = 0;
  std::int64_t open_hooks = 0;  ///< of those that are due, while `row.outcome` is set
  std::int64_t live = 0;
  MonoTime timeout_due;                     ///< 0: no time-out runs
  std::map<TaskIndex, std::string> errors;  ///< of what failed without an attempt
  Reason stopping = Reason::none;           ///< why nothing more of it starts
  bool is_stopped = false;  ///< and what waits is cancelled, what runs is told, in these steps:
  std::int64_t cancel_next = -1;  ///< the next task to cancel; -1: none is left
  bool cancel_force = false;
  bool is_admitted = false;  ///< counts as active for its job
  bool is_forced = false;
  bool is_dormant = false;  ///< adopted, but nothing of it starts
  bool counts_changed = false;

  const TaskSpec& spec(TaskIndex task) const { return version->job.node(task); }
  bool is_hook(TaskIndex task) const { return version->job.is_hook(task); }
  bool runs_hooks() const { return row.outcome.has_value(); }
  Node& node(TaskIndex task) { return nodes[task.value]; }
  const Node& node(TaskIndex task) const { return nodes[task.value]; }
};

/// An attempt that a worker has.
struct Live {
  Run* run = nullptr;
  TaskIndex task;
  ItemIndex item;
  std::int32_t number = 0;
  AttemptState state = AttemptState::starting;
  Reason stop = Reason::none;
  WorkerId worker;
  std::int32_t slot = 0;
  WallTime started_at;             ///< of this stay
  Reason previous = Reason::none;  ///< why the attempt before it ended
  std::int32_t previous_detail = 0;
  std::int32_t stay = 0;  ///< deferrals before this stay
  /// Its row knows when it started.
  bool is_again() const { return stay > 0; }
  TaskKey key() const { return {run->row.id, task, item}; }
};

}  // namespace pawl
