// How many failed and held tasks nobody has settled, and runs that failed by themselves: in all,
// and in groups.

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

#include "scheduler/core/error_group.h"
#include "storage/failed_runs.h"

namespace pawl {
namespace {

constexpr std::size_t kScanned = 1'000;
constexpr std::size_t kGroupsMax = 10'000;
constexpr std::size_t kRunsCounted = 1'000;

/// Unresolved tasks of a run that have task, state and reason in common: items, and the task
/// itself.
struct Unresolved {
  RunId run;
  TaskIndex task;
  bool is_held = false;
  std::string job;
  std::string task_id;
  std::int64_t items = 0;
  std::int64_t wholes = 0;
  struct Ended {
    WallTime first;
    WallTime last;
  };
  Ended items_ended;
  Ended whole_ended;
  bool items_forgiven = false;
  bool whole_forgiven = false;
  bool whole_is_told = true;  ///< not by its items
};

/// Whether `unresolved_groups` can choose as the selector does.
bool chooses_groups(const Selector& selector, const std::vector<Named>& names) {
  const bool names_items = std::any_of(names.begin(), names.end(),
                                       [](const Named& name) { return name.item != kWhole; });
  return selector.key.empty() && (!names_items || names.size() == 1);
}

/// Reads each group from the index task_unresolved_of_run: PAWL_TASK_IS_UNRESOLVED and
/// PAWL_TASK_IS_FORGIVEN, once for all that have run, task and state in common.
template <typename Take>
bool unresolved_groups(Database& database, const Selector& selector,
                       const std::vector<Named>& names, Take take) {
  Query query(
      "SELECT g.run, g.task, g.state = 'held', g.items, g.wholes, "
      "EXISTS (SELECT 1 FROM mapped AS m WHERE m.run = g.run AND m.task = g.task AND "
      "m.failed + m.held > 0), "
      "EXISTS (SELECT 1 FROM task AS w WHERE w.run = g.run AND w.task = g.task AND w.item = -1 AND "
      "w.state = 'succeeded'), coalesce(n.allow_failure, 0), r.job, coalesce(n.id, g.task), "
      "g.items_first, g.items_last, g.whole_ended "
      "FROM (SELECT t.run, t.task, t.state, sum(t.item >= 0) AS items, sum(t.item < 0) AS wholes, "
      "min(CASE WHEN t.item >= 0 THEN t.ended_at END) AS items_first, "
      "max(CASE WHEN t.item >= 0 THEN t.ended_at END) AS items_last, "
      "max(CASE WHEN t.item < 0 THEN t.ended_at END) AS whole_ended "
      "FROM task AS t INDEXED BY task_unresolved_of_run "
      "WHERE t.state IN ('held', 'failed') AND t.dismissed = 0");
  add_named_runs(query, names, "t.run");
  if (names.size() == 1 && names.front().item != kWhole) {
    query.add(" AND t.task = ? AND t.item = ?", std::int64_t{names.front().task->value},
              names.front().item.value);
  }
  query.add_in("t.state", selector.states).add_in("t.reason", words_of(selector.reasons));
  if (selector.since) query.add(" AND t.ended_at >= ?", selector.since->ms);
  if (selector.until) query.add(" AND t.ended_at < ?", selector.until->ms);
  query.add(
      " GROUP BY t.run, t.task, t.state) AS g CROSS JOIN run AS r ON r.id = g.run "
      "LEFT JOIN job_version AS v ON v.id = r.version "
      "LEFT JOIN version_task AS n ON n.version = r.version AND n.task = g.task WHERE true");
  add_run_filter(query, selector);
  query.add_glob("coalesce(n.id, g.task)", selector.task);
  Statement statement = query.prepare(database);
  while (statement.step()) {
    RowReader reader(statement);
    Unresolved group;
    group.run = reader.id<RunId>();
    group.task = TaskIndex{static_cast<std::uint32_t>(reader.integer())};
    group.is_held = reader.flag();
    group.items = reader.integer();
    group.wholes = reader.integer();
    group.whole_is_told = !reader.flag();
    const bool has_succeeded = reader.flag();
    group.whole_forgiven = reader.flag() && !group.is_held;
    group.items_forgiven = has_succeeded || group.whole_forgiven;
    group.job = reader.text();
    group.task_id = reader.text();
    group.items_ended = {reader.time(), reader.time()};
    group.whole_ended.first = group.whole_ended.last = reader.time();
    const bool is_meant = std::any_of(names.begin(), names.end(), [&](const Named& name) {
      return name.run.id == group.run && (!name.task || *name.task == group.task);
    });
    if (names.empty() || is_meant) take(group);
  }
  return statement.ok();
}

void count(FailedSummary& summary, std::set<RunId>& runs, const Unresolved& group) {
  auto add = [&](std::int64_t number, bool is_forgiven) {
    if (number == 0) return;
    if (is_forgiven) {
      summary.tolerated += number;
      return;
    }
    (group.is_held ? summary.held : summary.failed) += number;
    runs.insert(group.run);
  };
  add(group.items, group.items_forgiven);
  if (group.whole_is_told) add(group.wholes, group.whole_forgiven);
}

/// A number of failures that go into one group.
struct Share {
  std::int64_t count = 1;
  bool is_held = false;
  WallTime first;
  WallTime last;
  TaskView example;  ///< its newest: of a task the key alone, of a run all
};

/// Groups in the making.
class Grouping {
 public:
  void add(std::string value, Share&& share) {
    auto found = places_.find(value);
    if (found == places_.end()) {
      if (groups_.size() == kGroupsMax) {
        others_ += share.count;
        return;
      }
      found = places_.emplace(value, groups_.size()).first;
      runs_.emplace_back();
      groups_.emplace_back().value = std::move(value);
    }
    FailedGroup& group = groups_[found->second];
    auto& runs = runs_[found->second];
    const bool is_new = group.count == 0;
    group.first = is_new ? share.first : std::min(group.first, share.first);
    group.count += share.count;
    if (share.is_held) group.held += share.count;
    if (runs.size() < kRunsCounted) runs.insert(share.example.row.key.run);
    group.runs = static_cast<std::int64_t>(runs.size());
    if (!is_new && share.last <= group.last) return;
    group.last = share.last;
    group.example = std::move(share.example);
  }

  FailedGroups take() {
    std::sort(groups_.begin(), groups_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.count, a.last, a.value) > std::tie(b.count, b.last, b.value);
    });
    return {std::move(groups_), others_};
  }

 private:
  std::unordered_map<std::string, std::size_t> places_;
  std::vector<FailedGroup> groups_;
  std::vector<std::set<RunId>> runs_;
  std::int64_t others_ = 0;
};

std::string reason_value(TaskState state, Reason reason, std::int32_t detail) {
  std::string word(to_string(reason));
  if (word.empty()) word = to_string(state);
  const bool has_detail = reason == Reason::exit || reason == Reason::signal;
  return has_detail ? word + ":" + std::to_string(detail) : word;
}

/// The group of one failure.
std::string group_value(FailedBy by, const TaskRow& row, std::string_view job,
                        std::string_view task, std::string_view error) {
  switch (by) {
    case FailedBy::error:
      if (std::string text = normalize_error(error); !text.empty()) return text;
      [[fallthrough]];
    case FailedBy::reason: return reason_value(row.state, row.reason, row.detail);
    case FailedBy::task:
      return task.empty() ? std::string(job) : std::string(job) + "/" + std::string(task);
    case FailedBy::job: return std::string(job);
  }
  return {};
}

/// What the rows of `group` say: by them it is divided further.
Query rows_of(const Unresolved& group, FailedBy by, const Selector& selector,
              const std::vector<Named>& names) {
  Query query("SELECT t.item, t.reason, t.detail, t.ended_at");
  query.add(by == FailedBy::error ? ", coalesce(t.error, a.error_message)" : "");
  query.add(" FROM task AS t INDEXED BY task_unresolved_of_run");
  if (by == FailedBy::error) {
    query.add(
        " LEFT JOIN attempt AS a ON a.id = CASE WHEN t.attempts = 1 THEN t.first_attempt ELSE "
        "(SELECT l.id FROM attempt AS l WHERE l.run = t.run AND l.task = t.task AND "
        "l.item = t.item AND l.number = t.attempts AND l.number > 1) END");
  }
  query.add(" WHERE t.state IN ('held', 'failed') AND t.dismissed = 0 AND t.run = ? AND t.task = ?",
            group.run.value, std::int64_t{group.task.value});
  query.add(group.is_held ? " AND t.state = 'held'" : " AND t.state = 'failed'");
  if (names.size() == 1 && names.front().item != kWhole)
    query.add(" AND t.item = ?", names.front().item.value);
  query.add_in("t.reason", words_of(selector.reasons));
  if (selector.since) query.add(" AND t.ended_at >= ?", selector.since->ms);
  if (selector.until) query.add(" AND t.ended_at < ?", selector.until->ms);
  return query;
}

/// Divides what `unresolved_groups` finds into groups. Only reasons and errors need the rows.
class Divider {
 public:
  Divider(Database& database, const Selector& selector, const std::vector<Named>& names,
          FailedBy by, bool tolerated)
      : database_(database), selector_(selector), names_(names), by_(by), tolerated_(tolerated) {}

  /// False when the database failed.
  bool add(const Unresolved& group) {
    const bool has_items = group.items > 0 && (tolerated_ || !group.items_forgiven);
    const bool has_whole =
        group.wholes > 0 && group.whole_is_told && (tolerated_ || !group.whole_forgiven);
    if (!has_items && !has_whole) return true;
    if (by_ == FailedBy::reason || by_ == FailedBy::error)
      return add_rows(group, has_items, has_whole);
    const std::string value = group_value(by_, {}, group.job, group.task_id, {});
    if (has_whole)
      add_share(value, group, kWhole, group.wholes, group.whole_ended, group.whole_forgiven);
    if (!has_items) return true;
    Query query = rows_of(group, by_, selector_, names_);
    query.add(" AND t.item >= 0 AND t.ended_at = ? LIMIT 1", group.items_ended.last.ms);
    Statement newest = query.prepare(database_);
    if (newest.step()) {
      add_share(value, group, ItemIndex{newest.integer(0)}, group.items, group.items_ended,
                group.items_forgiven);
    }
    return newest.ok();
  }

  void add_run(TaskView&& run) {
    const WallTime ended = run.row.ended_at.value_or(WallTime{});
    std::string value = group_value(by_, run.row, run.job, {}, run.row.error);
    grouping_.add(std::move(value), {1, false, ended, ended, std::move(run)});
  }

  FailedGroups take() { return grouping_.take(); }

 private:
  bool add_rows(const Unresolved& group, bool has_items, bool has_whole) {
    const Query query = rows_of(group, by_, selector_, names_);
    Statement rows = query.prepare(database_);
    TaskRow row;
    row.state = group.is_held ? TaskState::held : TaskState::failed;
    while (rows.step()) {
      RowReader reader(rows);
      const auto item = reader.id<ItemIndex>();
      if (item == kWhole ? !has_whole : !has_items) continue;
      row.reason = reader.word(reason_from);
      row.detail = reader.small();
      const WallTime ended = reader.time();
      const bool is_forgiven = item == kWhole ? group.whole_forgiven : group.items_forgiven;
      add_share(value_of(row, by_ == FailedBy::error ? rows.text(4) : std::string_view()), group,
                item, 1, {ended, ended}, is_forgiven);
    }
    return rows.ok();
  }

  /// Failures that come one after the other are often the same.
  const std::string& value_of(const TaskRow& row, std::string_view error) {
    const bool is_same = has_last_ && error == last_error_ && row.state == last_.state &&
                         row.reason == last_.reason && row.detail == last_.detail;
    if (is_same) return last_value_;
    has_last_ = true;
    last_ = row;
    last_error_ = error;
    last_value_ = group_value(by_, row, {}, {}, error);
    return last_value_;
  }

  void add_share(const std::string& value, const Unresolved& group, ItemIndex item,
                 std::int64_t count, const Unresolved::Ended& ended, bool is_forgiven) {
    Share share{count, group.is_held, ended.first, ended.last, {}};
    share.example.row.key = {group.run, group.task, item};
    share.example.tolerated = is_forgiven;
    grouping_.add(value, std::move(share));
  }

  Database& database_;
  const Selector& selector_;
  const std::vector<Named>& names_;
  const FailedBy by_;
  const bool tolerated_;
  Grouping grouping_;
  bool has_last_ = false;
  TaskRow last_;
  std::string last_error_;
  std::string last_value_;
};

/// The same of what the index cannot choose, row by row.
Result<FailedGroups> divide_rows(FailedPager pager, FailedBy by) {
  Grouping grouping;
  while (true) {
    auto page = pager.next(kScanned);
    if (!page) return std::move(page).error();
    for (TaskView& view : *page) {
      const TaskRow& row = view.row;
      const WallTime ended = row.ended_at.value_or(WallTime{});
      std::string value = group_value(by, row, view.job, view.task, view.error());
      grouping.add(std::move(value),
                   {1, row.state == TaskState::held, ended, ended, std::move(view)});
    }
    if (page->size() < kScanned) return grouping.take();
  }
}

}  // namespace

Result<FailedGroups> History::divide_failed(const Selector& selector, FailedBy by, bool tolerated) {
  const auto names = resolve_all(selector.names);
  if (!names) return names.error();
  if (!chooses_groups(selector, *names))
    return divide_rows({*this, selector, tolerated, {by == FailedBy::error, false, false}}, by);
  ReadTransaction transaction(*database_);
  Divider divider(*database_, selector, *names, by, tolerated);
  bool ok = true;
  ok = unresolved_groups(*database_, selector, *names,
                         [&](const Unresolved& group) { ok = ok && divider.add(group); }) &&
       ok;
  if (!ok) return error();
  if (!chooses_failed_runs(selector, *names)) return divider.take();
  Query query(kFailedRunView);
  add_failed_runs(query, selector, *names);
  Statement runs = query.prepare(*database_);
  while (runs.step()) {
    RowReader reader(runs);
    divider.add_run(read_failed_run(reader));
  }
  if (!runs.ok()) return error();
  return divider.take();
}

Result<FailedGroups> History::failed_groups(const Selector& selector, FailedBy by, bool tolerated) {
  auto groups = divide_failed(selector, by, tolerated);
  if (!groups) return groups;
  for (FailedGroup& group : groups->groups) {
    TaskView& example = group.example;
    if (!example.run.empty() && example.is_run()) continue;
    auto view = task(example.row.key);
    if (!view) return std::move(view).error();
    if (!*view) continue;
    (*view)->tolerated = example.tolerated;
    example = std::move(**view);
  }
  return groups;
}

/// What only rows can tell: of keys, and of items by their numbers.
Result<void> History::count_failed_rows(const Selector& selector, FailedSummary& summary,
                                        std::set<RunId>& runs) {
  FailedPager pager(*this, selector, true, {false, false, false});
  while (true) {
    auto page = pager.next(kScanned);
    if (!page) return std::move(page).error();
    for (const TaskView& view : *page) {
      Unresolved one;
      one.run = view.row.key.run;
      one.is_held = view.row.state == TaskState::held;
      one.items = 1;
      one.items_forgiven = view.tolerated;
      count(summary, runs, one);
    }
    if (page->size() < kScanned) return {};
  }
}

/// Runs that failed by themselves.
Result<void> History::count_failed_runs(const Selector& selector, const std::vector<Named>& names,
                                        FailedSummary& summary, std::set<RunId>& runs) {
  if (!chooses_failed_runs(selector, names)) return {};
  Query query("SELECT r.id");
  add_failed_runs(query, selector, names);
  Statement statement = query.prepare(*database_);
  while (statement.step()) {
    ++summary.failed;
    runs.insert(RunId{statement.integer(0)});
  }
  return statement.ok() ? Result<void>() : error();
}

Result<void> History::count_failed(const Selector& selector, FailedSummary& summary,
                                   std::set<RunId>& runs) {
  const auto names = resolve_all(selector.names);
  if (!names) return names.error();
  if (!chooses_groups(selector, *names)) return count_failed_rows(selector, summary, runs);
  ReadTransaction transaction(*database_);
  const bool ok = unresolved_groups(*database_, selector, *names,
                                    [&](const Unresolved& group) { count(summary, runs, group); });
  return ok ? count_failed_runs(selector, *names, summary, runs) : error();
}

Result<FailedSummary> History::failed_summary(const Selector& selector) {
  FailedSummary summary;
  std::set<RunId> runs;
  if (auto counted = count_failed(selector, summary, runs); !counted) return counted.error();
  summary.runs = static_cast<std::int64_t>(runs.size());
  Statement counts(*database_, "SELECT upstream_failed FROM run_counts WHERE run = ?");
  for (RunId run : runs) {
    if (counts.bind(run).step()) summary.upstream_failed += counts.integer(0);
    if (!counts.ok()) return error();
    counts.reset();
  }
  if (!selector.since) return summary;

  Selector before = selector;
  before.until = selector.since;
  before.since.reset();
  FailedSummary older;
  if (auto counted = count_failed(before, older, runs); !counted) return counted.error();
  summary.older = older.failed + older.held;
  return summary;
}

}  // namespace pawl
