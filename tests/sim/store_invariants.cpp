#include "tests/sim/store_invariants.h"

#include <algorithm>
#include <map>
#include <utility>

namespace pawl::sim {
namespace {

/// An open run that the task made.
bool has_open_call(const ModelStore& store, TaskKey key) {
  return std::any_of(store.runs.begin(), store.runs.end(), [&](const auto& entry) {
    const RunRow& run = entry.second;
    return run.caller && run.caller->key == key && !is_final(run.state);
  });
}

std::string broken_task(const ModelStore& store, const TaskRow& row, bool is_whole_of_items,
                        bool calls) {
  const bool has_live = store.live.contains(row.key);
  const bool says_live = row.live_attempt.value != 0;
  if (has_live != says_live) return "task " + task_text(row.key) + " and its live attempt disagree";
  if (is_whole_of_items) return {};
  const bool is_asleep =
      has_live && store.attempts.at(store.live.at(row.key)).state == AttemptState::deferred;
  if ((row.state == TaskState::running) != (has_live && !is_asleep))
    return "task " + task_text(row.key) + " runs without an attempt, or the other way round";
  if (row.state == TaskState::deferred && !is_asleep)
    return "task " + task_text(row.key) + " sleeps without an attempt";
  if (is_asleep && row.state != TaskState::deferred && row.state != TaskState::queued)
    return "an attempt of task " + task_text(row.key) + " sleeps, and the task does not know";
  if (row.state == TaskState::deferred && calls && store.wakes_at_once &&
      !has_open_call(store, row.key))
    return "task " + task_text(row.key) + " waits for a run that is not open";
  if (row.state == TaskState::deferred && !calls &&
      !store.timers.contains({row.key, TimerKind::deferral}))
    return "task " + task_text(row.key) + " sleeps and nobody will wake it";
  if (row.state == TaskState::retrying && !store.timers.contains({row.key, TimerKind::retry})) {
    return "task " + task_text(row.key) + " waits for a retry that nobody will start";
  }
  const auto number = store.numbers.find(row.key);
  if (row.attempts != (number == store.numbers.end() ? 0 : number->second))
    return "task " + task_text(row.key) + " has miscounted its attempts";
  return {};
}

/// `found`: the rows of its items, by state.
std::string broken_counts(const MappedRow& row, const Counts& found) {
  Counts counts = found;
  std::int64_t fresh = std::max<std::int64_t>(0, row.items - row.next_fresh);
  Counts said = row.counts;
  if (row.is_paired) {
    fresh = row.items;
    for (const std::int64_t count : found) fresh -= count;
    // Who waits for a slot and has no row is said to wait.
    const auto waiting = static_cast<std::size_t>(TaskState::waiting);
    const auto queued = static_cast<std::size_t>(TaskState::queued);
    if (row.rest_state == TaskState::queued && said[queued] >= found[queued]) {
      said[waiting] += said[queued] - found[queued];
      said[queued] = found[queued];
      counts[waiting] += std::exchange(fresh, 0);
    }
  }
  counts[static_cast<std::size_t>(row.rest_state)] += fresh;
  return counts == said ? "" : "the counts of a mapped task are not those of its items";
}

/// What the rows of a run's tasks say, to be compared with what the run says.
struct Found {
  std::map<TaskIndex, TaskState> states;  ///< of tasks and of wholes
  std::map<TaskIndex, Counts> items;      ///< of mapped tasks
  Counts counts{};                        ///< of all but hooks
  bool has_open = false;
  bool has_open_hook = false;
};

std::string broken_item(const ModelStore& store, const RunRow& run, const TaskRow& item) {
  const auto whole = store.mapped.find({run.id, item.key.task});
  if (whole == store.mapped.end()) return "an item without its whole";
  if (item.key.item.value >= whole->second.next_fresh)
    return "an item that never started has a row";
  if (item.key.item.value < whole->second.low_water && !is_final(item.state))
    return "an open item below the low-water mark";
  if (!is_final(item.state) && is_final(run.state))
    return "an open item in an ended run: " + task_text(item.key);
  return {};
}

/// Looks at each row of the run's tasks, and notes what it says.
std::string broken_rows(const ModelStore& store, const RunRow& run, const JobSpec& job,
                        Found& found) {
  const auto end = store.tasks.lower_bound({RunId{run.id.value + 1}, TaskIndex{}, kWhole});
  for (auto it = store.tasks.lower_bound({run.id, TaskIndex{}, kWhole}); it != end; ++it) {
    const TaskRow& task = it->second;
    const TaskSpec& spec = job.node(task.key.task);
    const bool is_whole = task.key.item == kWhole;
    if (std::string wrong =
            broken_task(store, task, spec.is_mapped() && is_whole, spec.calls_job());
        !wrong.empty())
      return wrong;
    if (is_whole) {
      found.states[task.key.task] = task.state;
      continue;
    }
    if (std::string wrong = broken_item(store, run, task); !wrong.empty()) return wrong;
    if (task.key.item.value < store.mapped.at({run.id, task.key.task}).items)
      ++found.items[task.key.task][static_cast<std::size_t>(task.state)];
  }
  return {};
}

/// What a mapped task says of its items, against these and against what was read of them.
std::string broken_mapped(const ModelStore& store, const MappedRow& row, const TaskSpec& spec,
                          const Counts& items) {
  if (std::string wrong = broken_counts(row, items); !wrong.empty()) return wrong;
  if (row.is_paired != spec.mapped_over.has_value())
    return "a task does not know whose items it has";
  if (row.is_paired) {
    const auto source = store.mapped.find({row.run, *spec.mapped_over});
    const std::int64_t known = source == store.mapped.end() ? 0 : source->second.items;
    return known < row.items ? "a task has items that its source does not have" : "";
  }
  std::int64_t read = 0;
  if (auto chunks = store.chunks.find({row.run, row.task}); chunks != store.chunks.end()) {
    for (const auto& [first, count] : chunks->second) read += count;
  }
  return read == row.items ? "" : "items were read and not stored, or the other way round";
}

/// Goes over the tasks of the job, with a row or without, and sums up what they are.
std::string broken_tasks(const ModelStore& store, RunId run, const JobSpec& job, Found& found) {
  for (std::uint32_t i = 0; i < job.node_count(); ++i) {
    const TaskIndex task{i};
    const auto row = found.states.find(task);
    const TaskState state = row == found.states.end() ? TaskState::waiting : row->second;
    if (job.is_hook(task)) {
      found.has_open_hook |= state != TaskState::waiting && !is_final(state);
      continue;
    }
    found.has_open |= !is_final(state);
    if (!job.tasks[i].is_mapped()) {
      ++found.counts[static_cast<std::size_t>(state)];
      continue;
    }
    const auto whole = store.mapped.find({run, task});
    if (whole == store.mapped.end()) continue;
    if (std::string wrong = broken_mapped(store, whole->second, job.tasks[i], found.items[task]);
        !wrong.empty())
      return wrong;
    for (std::size_t s = 0; s < kTaskStateCount; ++s) found.counts[s] += whole->second.counts[s];
  }
  return {};
}

std::string broken_run(const RunRow& row, const Found& found) {
  // Who waits for a slot has no row: the store counts it as waiting.
  const auto waiting = static_cast<std::size_t>(TaskState::waiting);
  const auto queued = static_cast<std::size_t>(TaskState::queued);
  const Counts& all = found.counts;
  Counts said = row.counts;
  if (said[waiting] + said[queued] != all[waiting] + all[queued])
    return "the counts of a run are not those of its tasks";
  said[waiting] = all[waiting];
  said[queued] = all[queued];
  if (said != all) return "the counts of a run are not those of its tasks";
  if (is_final(row.state) && (found.has_open || found.has_open_hook))
    return "an ended run has open tasks";
  if (is_final(row.state) && row.outcome) return "an ended run has hooks to run";
  if ((row.reason == Reason::hooks) != row.outcome.has_value())
    return "a run says that hooks run, and they do not, or the other way round";
  if (row.outcome && found.has_open) return "hooks run before all tasks are final";
  if (is_final(row.state) != row.ended_at.has_value())
    return "a run has an end and is open, or the other way round";
  return {};
}

}  // namespace

std::string broken_invariant(const ModelStore& store, RunId run, const JobSpec& job) {
  const RunRow& row = store.runs.at(run);
  Found found;
  if (std::string wrong = broken_rows(store, row, job, found); !wrong.empty()) return wrong;
  if (std::string wrong = broken_tasks(store, run, job, found); !wrong.empty()) return wrong;
  if (std::string wrong = broken_run(row, found); !wrong.empty()) return wrong;
  if (!is_final(row.state)) return {};
  const bool has_timer = std::any_of(store.timers.begin(), store.timers.end(),
                                     [&](const auto& t) { return t.first.first.run == run; });
  return has_timer ? "an ended run has a timer" : "";
}

}  // namespace pawl::sim
