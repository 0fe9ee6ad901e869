// Failed and held tasks that nobody has settled, over all runs, and runs that failed by themselves.

#include <algorithm>

#include "storage/failed_runs.h"

namespace pawl {
namespace {

constexpr std::size_t kScanned = 1'000;

constexpr const char* kLatestFirst = " FROM task AS t INDEXED BY task_unresolved";
constexpr const char* kByKey = " FROM task AS t";
constexpr const char* kWithNames =
    " CROSS JOIN run AS r ON r.id = t.run "
    "LEFT JOIN job_version AS v ON v.id = r.version "
    "LEFT JOIN version_task AS n ON n.version = r.version AND n.task = t.task WHERE";

void add_filter(Query& query, const Selector& selector, const std::vector<Named>& names) {
  add_named_runs(query, names);
  add_run_filter(query, selector);
  query.add_glob("coalesce(n.id, t.task)", selector.task);
  query.add_in("t.state", selector.states).add_in("t.reason", words_of(selector.reasons));
  if (selector.until) query.add(" AND t.ended_at < ?", selector.until->ms);
}

}  // namespace

FailedPager::FailedPager(History& history, Selector selector, bool tolerated, TaskDetail detail)
    : history_(history), selector_(std::move(selector)), tolerated_(tolerated), detail_(detail) {
  if (!selector_.key.empty()) detail_.key = true;
}

Result<std::vector<TaskView>> FailedPager::next(std::size_t limit) {
  ReadTransaction transaction(history_.database());
  if (!names_) {
    auto names = history_.resolve_all(selector_.names);
    if (!names) return std::move(names).error();
    names_ = std::move(*names);
    runs_.is_at_end = !chooses_failed_runs(selector_, *names_);
  }
  std::vector<TaskView> views;
  while (views.size() < limit) {
    const std::size_t wanted = limit - views.size();
    if (tasks_.views.empty() && !tasks_.is_at_end) {
      if (auto read = fetch_tasks(wanted); !read) return std::move(read).error();
    }
    if (runs_.views.empty() && !runs_.is_at_end) {
      if (auto read = fetch_runs(wanted); !read) return std::move(read).error();
    }
    if (tasks_.views.empty() && runs_.views.empty()) break;
    const bool is_run = tasks_.views.empty() ||
                        (!runs_.views.empty() &&
                         runs_.views.front().row.ended_at > tasks_.views.front().row.ended_at);
    std::deque<TaskView>& from = is_run ? runs_.views : tasks_.views;
    views.push_back(std::move(from.front()));
    from.pop_front();
  }
  return views;
}

/// Up to `limit` tasks, behind those that were read.
Result<void> FailedPager::fetch_tasks(std::size_t limit) {
  const bool filters_here = !selector_.key.empty() || !names_->empty();
  while (tasks_.views.size() < limit && !tasks_.is_at_end) {
    const std::size_t scanned = filters_here ? kScanned : limit - tasks_.views.size();
    Query query("SELECT " PAWL_TASK_VIEW_COLUMNS ", r.name, r.job, r.params, ");
    const Named* item =
        names_->size() == 1 && names_->front().item != kWhole ? &names_->front() : nullptr;
    // Where forgiven ones are left out none is.
    query.add(tolerated_ ? PAWL_TASK_IS_FORGIVEN : "0")
        .add(item != nullptr ? kByKey : kLatestFirst)
        .add(kWithNames);
    query.add(" " PAWL_TASK_IS_UNRESOLVED);
    if (item != nullptr) {
      query.add(" AND t.run = ? AND t.task = ? AND t.item = ?", item->run.id.value,
                std::int64_t{item->task->value}, item->item.value);
    }
    if (!tolerated_) query.add(" AND NOT " PAWL_TASK_IS_FORGIVEN);
    if (tasks_.last) {
      const TaskKey& key = tasks_.last->row.key;
      query.add(" AND (t.ended_at, t.run, t.task, t.item) < (?, ?, ?, ?)",
                tasks_.last->row.ended_at.value_or(WallTime{}).ms, key.run.value,
                std::int64_t{key.task.value}, key.item.value);
    }
    if (selector_.since) query.add(" AND t.ended_at >= ?", selector_.since->ms);
    add_filter(query, selector_, *names_);
    query.add(" ORDER BY t.ended_at DESC, t.run DESC, t.task DESC, t.item DESC LIMIT ?",
              static_cast<std::int64_t>(scanned));
    Statement statement = query.prepare(history_.database());
    std::size_t rows = 0;
    while (tasks_.views.size() < limit && statement.step()) {
      ++rows;
      RowReader reader(statement);
      std::optional<AttemptId> first;
      TaskView view = read_task_view(reader, first);
      view.run = reader.text();
      view.job = reader.text();
      if (detail_.item) {
        view.params = reader.text();
      } else {
        (void)reader.integer();
      }
      view.tolerated = reader.flag();
      tasks_.last.emplace().row.key = view.row.key;
      tasks_.last->row.ended_at = view.row.ended_at;
      if (!is_named(*names_, view.row.key)) continue;
      if (!history_.complete(view, detail_, first)) return history_.error();
      if (!selector_.key.empty() && (view.key.empty() || !matches(selector_.key, view.key)))
        continue;
      tasks_.views.push_back(std::move(view));
    }
    if (!statement.ok()) return history_.error();
    tasks_.is_at_end = rows < scanned && tasks_.views.size() < limit;
  }
  return {};
}

/// The same of runs that failed by themselves.
Result<void> FailedPager::fetch_runs(std::size_t limit) {
  Query query(kFailedRunView);
  add_failed_runs(query, selector_, *names_);
  if (runs_.last) {
    query.add(" AND (r.ended_at, r.id) < (?, ?)", runs_.last->row.ended_at.value_or(WallTime{}).ms,
              runs_.last->row.key.run.value);
  }
  query.add(" ORDER BY r.ended_at DESC, r.id DESC LIMIT ?", static_cast<std::int64_t>(limit));
  Statement statement = query.prepare(history_.database());
  while (statement.step()) {
    RowReader reader(statement);
    TaskView view = read_failed_run(reader);
    runs_.last = view;
    runs_.views.push_back(std::move(view));
  }
  if (!statement.ok()) return history_.error();
  runs_.is_at_end = runs_.views.size() < limit;
  return {};
}

}  // namespace pawl
