#include "storage/snapshot.h"

#include <algorithm>
#include <utility>

#include "scheduler/base/limits.h"
#include "storage/rows_sql.h"

namespace pawl {

SnapshotLoader::SnapshotLoader(Database& database, std::int64_t boot)
    : database_(database),
      boot_(boot),
      run_(database, "SELECT " PAWL_RUN_COLUMNS
                     " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id WHERE r.id = ?"),
      mapped_(database,
              "SELECT " PAWL_MAPPED_COLUMNS " FROM mapped AS m WHERE m.run = ? ORDER BY m.task"),
      // Begins at a (task, item) and is begun again behind the items of each mapped task.
      tasks_(database, "SELECT " PAWL_TASK_COLUMNS
                       " FROM task AS t WHERE t.run = ? AND (t.task, t.item) >= (?, -1) "
                       "ORDER BY t.task, t.item"),
      items_(database, "SELECT t.item, t.state, " PAWL_TASK_COLUMNS
                       " FROM task AS t WHERE t.run = ? AND t.task = ? AND t.item >= ? "
                       "AND t.item < ? ORDER BY t.item"),
      to_dismiss_(database,
                  "SELECT count(*) FROM task NOT INDEXED WHERE run = ? AND task = ? AND item >= 0 "
                  "AND state IN ('failed', 'held') AND dismissed = 0"),
      attempt_(database, "SELECT " PAWL_ATTEMPT_COLUMNS " FROM attempt AS a WHERE a.id = ?"),
      timers_(database,
              "SELECT run, task, item, kind, due, due_wall, delay, boot FROM timer WHERE run = ? "
              "ORDER BY task, item, kind") {}

bool SnapshotLoader::refuse(std::string why) {
  if (bad_.empty()) bad_ = std::move(why);
  return false;
}

/// Ends a statement's use; false when it or the rows it gave failed.
bool SnapshotLoader::check(Statement& statement, const RowReader& reader) {
  const bool ok = statement.ok();
  statement.reset();
  if (!reader.good()) return refuse(reader.bad());
  return ok;
}

Result<std::optional<RunSnapshot>> SnapshotLoader::load(RunId run, LoadOptions options,
                                                        std::string& bad) {
  ReadTransaction transaction(database_);
  bad_.clear();
  RunSnapshot snapshot;
  bool loaded = load_run(run, snapshot);
  if (loaded && snapshot.run.id != run) return std::optional<RunSnapshot>();
  loaded = loaded && load_mapped(snapshot) && load_tasks(snapshot);
  for (auto& mapped : snapshot.mapped) {
    loaded = loaded && load_items(mapped, options);
    if (options.to_dismiss) loaded = loaded && count_to_dismiss(mapped);
  }
  loaded = loaded && load_attempts(snapshot) && load_timers(snapshot);
  if (loaded) return std::optional<RunSnapshot>(std::move(snapshot));
  if (bad_.empty()) return database_.error("reading run " + std::to_string(run.value));
  bad = std::move(bad_);
  return std::optional<RunSnapshot>();
}

bool SnapshotLoader::load_run(RunId run, RunSnapshot& snapshot) {
  run_.bind(run);
  RowReader reader(run_);
  if (run_.step()) snapshot.run = read_run(reader);
  return check(run_, reader);
}

bool SnapshotLoader::load_mapped(RunSnapshot& snapshot) {
  mapped_.bind(snapshot.run.id);
  while (mapped_.step()) {
    RowReader reader(mapped_);
    MappedSnapshot mapped;
    mapped.row = read_mapped(reader);
    if (!reader.good()) return check(mapped_, reader);
    const MappedRow& row = mapped.row;
    if (row.low_water < 0 || row.low_water > row.next_fresh ||
        row.next_fresh > limits::kItemsPerTaskMax) {
      mapped_.reset();
      return refuse("the counts of task " + std::to_string(row.task.value) + " cannot be");
    }
    snapshot.mapped.push_back(std::move(mapped));
  }
  return check(mapped_, RowReader(mapped_));
}

bool SnapshotLoader::load_tasks(RunSnapshot& snapshot) {
  std::int64_t from = 0;
  bool again = true;
  while (again) {
    again = false;
    tasks_.bind(snapshot.run.id, from);
    while (tasks_.step()) {
      RowReader reader(tasks_);
      TaskRow row = read_task(reader);
      if (!reader.good()) return check(tasks_, reader);
      if (row.key.item != kWhole) {
        // Items are read by load_items: go on behind them.
        from = std::int64_t{row.key.task.value} + 1;
        again = true;
        break;
      }
      snapshot.tasks.push_back(std::move(row));
    }
    if (!check(tasks_, RowReader(tasks_))) return false;
  }
  return true;
}

bool SnapshotLoader::load_items(MappedSnapshot& mapped, LoadOptions options) {
  const MappedRow& row = mapped.row;
  const bool all = options.final_items || options.succeeded_items;
  // A resume that is under way needs what it still has to queue again.
  const bool repeats = is_resume(row.repeat);
  const std::int64_t first = all       ? 0
                             : repeats ? std::min(row.low_water, row.repeat_next)
                                       : row.low_water;
  mapped.states.reserve(static_cast<std::size_t>(row.next_fresh - first));
  items_.bind(row.run, row.task, first, row.next_fresh);
  std::int64_t expected = first;
  while (items_.step()) {
    const auto state = task_state_from(items_.text(1));
    // One of a paired task that has no row waits.
    for (; row.is_paired && expected < items_.integer(0); ++expected)
      mapped.states.push_back(static_cast<std::uint8_t>(TaskState::waiting));
    if (items_.integer(0) != expected || !state) {
      items_.reset();
      return refuse("item " + std::to_string(expected) + " of task " +
                    std::to_string(row.task.value) + " has no row, or one that cannot be read");
    }
    ++expected;
    mapped.states.push_back(static_cast<std::uint8_t>(*state));
    const bool wanted_final = *state == TaskState::succeeded
                                  ? options.succeeded_items || row.repeat == Repeat::all
                                  : options.final_items || repeats;
    if (is_final(*state) && !wanted_final) continue;
    RowReader reader(items_, 2);
    auto& rows = is_final(*state) ? mapped.final_items : mapped.open_items;
    rows.push_back(read_task(reader));
    if (!reader.good()) return check(items_, reader);
  }
  if (!check(items_, RowReader(items_))) return false;
  if (row.is_paired)
    mapped.states.resize(static_cast<std::size_t>(row.next_fresh - first),
                         static_cast<std::uint8_t>(TaskState::waiting));
  if (row.is_paired || expected == row.next_fresh) return true;
  return refuse("item " + std::to_string(expected) + " of task " + std::to_string(row.task.value) +
                " has no row");
}

bool SnapshotLoader::count_to_dismiss(MappedSnapshot& mapped) {
  to_dismiss_.bind(mapped.row.run, mapped.row.task);
  if (to_dismiss_.step()) mapped.to_dismiss = to_dismiss_.integer(0);
  return check(to_dismiss_, RowReader(to_dismiss_));
}

bool SnapshotLoader::load_attempts(RunSnapshot& snapshot) {
  auto load_of = [&](const TaskRow& task) {
    // Of one that sleeps nothing but its number is needed: there may be a million of them.
    if (task.live_attempt.value == 0 || task.state != TaskState::running) return true;
    attempt_.bind(task.live_attempt);
    RowReader reader(attempt_);
    const bool found = attempt_.step();
    if (found) snapshot.live_attempts.push_back(read_attempt(reader));
    if (!check(attempt_, reader)) return false;
    if (found && snapshot.live_attempts.back().key == task.key) return true;
    return refuse("live attempt " + std::to_string(task.live_attempt.value) + " has no row");
  };
  if (!std::all_of(snapshot.tasks.begin(), snapshot.tasks.end(), load_of)) return false;
  return std::all_of(snapshot.mapped.begin(), snapshot.mapped.end(), [&](const auto& mapped) {
    return std::all_of(mapped.open_items.begin(), mapped.open_items.end(), load_of);
  });
}

bool SnapshotLoader::load_timers(RunSnapshot& snapshot) {
  timers_.bind(snapshot.run.id);
  while (timers_.step()) {
    RowReader reader(timers_);
    TimerRow row;
    row.key = read_task_key(reader);
    row.kind = reader.word(timer_kind_from);
    row.due = MonoTime{reader.integer()};
    row.due_wall = reader.time();
    row.delay = Duration(reader.integer());
    row.same_boot = reader.integer() == boot_;
    if (!reader.good()) return check(timers_, reader);
    snapshot.timers.push_back(std::move(row));
  }
  return check(timers_, RowReader(timers_));
}

}  // namespace pawl
