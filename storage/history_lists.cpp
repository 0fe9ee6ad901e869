// Lists of runs, tasks, attempts, outputs and events, by pages.

#include <algorithm>
#include <iterator>
#include <limits>

#include "storage/history_sql.h"
#include "storage/rows_sql.h"

namespace pawl {
namespace {

constexpr std::int64_t kNewest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kRunsAhead = 64;
constexpr std::size_t kScanned = 1'000;  // rows of one query where the last filter is not in SQL

constexpr const char* kTaskTime = "coalesce(t.ended_at, t.started_at, t.queued_at)";

std::string time_filter(const char* column, const char* comparison) {
  return std::string(" AND ") + column + comparison;
}

void add_times(Query& query, const Selector& selector, const char* column) {
  if (selector.since) query.add(time_filter(column, " >= ?"), selector.since->ms);
  if (selector.until) query.add(time_filter(column, " < ?"), selector.until->ms);
}

/// Whether what is asked for is in open runs only: an ended one has no open task.
bool wants_open_only(const Selector& selector) {
  const auto is_open = [](const std::string& word) {
    const auto state = task_state_from(word);
    return state && !is_final(*state);
  };
  return !selector.states.empty() &&
         std::all_of(selector.states.begin(), selector.states.end(), is_open);
}

}  // namespace

// Runs -------------------------------------------------------------------------------------------

RunPager::RunPager(History& history, Selector selector)
    : history_(history), selector_(std::move(selector)), before_(kNewest) {}

Result<std::vector<RunView>> RunPager::next(std::size_t limit) {
  if (!names_) {
    auto names = history_.resolve_all(selector_.names);
    if (!names) return std::move(names).error();
    names_ = std::move(*names);
  }
  Query q("SELECT " PAWL_RUN_COLUMNS PAWL_RUN_VIEW_EXTRAS " WHERE true");
  q.add(" AND r.id < ?", before_);
  add_named_runs(q, *names_);
  add_run_filter(q, selector_);
  q.add_in("r.state", selector_.states).add_in("r.reason", words_of(selector_.reasons));
  add_times(q, selector_, "r.created_at");
  q.add(" ORDER BY r.id DESC LIMIT ?", static_cast<std::int64_t>(limit));
  Statement statement = q.prepare(history_.database());
  std::vector<RunView> views;
  while (statement.step()) {
    RowReader reader(statement);
    views.push_back(read_run_view(reader));
  }
  if (!statement.ok()) return history_.error();
  if (!views.empty()) before_ = views.back().row.id.value;
  return views;
}

// Tasks ------------------------------------------------------------------------------------------

TaskPager::TaskPager(History& history, Selector selector, TaskDetail detail,
                     UndecidedTasks undecided)
    : history_(history),
      selector_(std::move(selector)),
      detail_(detail),
      before_run_(kNewest),
      undecided_(std::move(undecided)) {
  if (!selector_.key.empty()) detail_.key = true;
}

Result<std::vector<TaskView>> TaskPager::next(std::size_t limit) {
  ReadTransaction transaction(history_.database());
  if (!names_) {
    auto names = history_.resolve_all(selector_.names);
    if (!names) return std::move(names).error();
    names_ = std::move(*names);
  }
  std::vector<TaskView> views;
  while (views.size() < limit) {
    if (runs_.empty()) {
      auto more = fetch_runs();
      if (!more) return std::move(more).error();
      if (!*more) break;
    }
    if (!has_begun_run_) {
      if (auto read = fetch_undecided(runs_.back()); !read) return std::move(read).error();
      has_begun_run_ = true;
    }
    auto more = fetch_tasks(limit - views.size(), views);
    if (!more) return std::move(more).error();
    if (!*more) {
      runs_.pop_back();
      has_begun_run_ = false;
      after_task_ = -1;
      after_item_ = -2;
    }
  }
  return views;
}

/// The next runs that may have chosen tasks; false when there are no more.
Result<bool> TaskPager::fetch_runs() {
  Query query("SELECT " PAWL_RUN_COLUMNS
              " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id "
              "LEFT JOIN job_version AS v ON v.id = r.version WHERE true");
  query.add(" AND r.id < ?", before_run_);
  add_named_runs(query, *names_);
  add_run_filter(query, selector_);
  if (selector_.since) query.add(" AND coalesce(r.ended_at >= ?, true)", selector_.since->ms);
  // Of many runs few are open.
  if (wants_open_only(selector_)) query.add(" AND " PAWL_RUN_IS_OPEN("r.state"));
  query.add(" ORDER BY r.id DESC LIMIT ?", kRunsAhead);
  Statement statement = query.prepare(history_.database());
  while (statement.step()) {
    RowReader reader(statement);
    runs_.push_back(read_run(reader));
  }
  if (!statement.ok()) return history_.error();
  if (runs_.empty()) return false;
  before_run_ = runs_.back().id.value;
  std::reverse(runs_.begin(), runs_.end());
  return true;
}

/// The chosen tasks of the run in turn that have no row: no time, no reason and no key.
Result<void> TaskPager::fetch_undecided(const RunRow& run) {
  without_row_.clear();
  const bool may_be_chosen =
      selector_.reasons.empty() && selector_.key.empty() && !selector_.since && !selector_.until;
  if (!undecided_ || is_final(run.state) || !may_be_chosen) return {};
  auto tasks = undecided_(run);
  if (!tasks) return std::move(tasks).error();
  const auto& states = selector_.states;
  for (TaskView& task : *tasks) {
    const bool is_chosen = is_named(*names_, task.row.key) && matches(selector_.task, task.task) &&
                           (states.empty() || std::find(states.begin(), states.end(),
                                                        to_string(task.row.state)) != states.end());
    if (is_chosen) without_row_.push_back(std::move(task));
  }
  return {};
}

/// Up to `limit` tasks of the run in turn; false when it has no more.
Result<bool> TaskPager::fetch_tasks(std::size_t limit, std::vector<TaskView>& views) {
  const RunRow& run = runs_.back();
  const bool filters_here = !selector_.key.empty() || !names_->empty();
  const std::size_t scanned = filters_here ? kScanned : limit;
  Query query("SELECT " PAWL_TASK_VIEW_COLUMNS " FROM task AS t LEFT JOIN version_task AS n ON ");
  query.add("n.version = ? AND n.task = t.task ", run.version.value);
  if (names_->size() == 1 && names_->front().task) {
    // With one task the pair below would be no range of the primary key: each page would begin with
    // its first item.
    query.add("WHERE t.run = ? AND t.task = ? AND t.item > ?", run.id.value,
              std::int64_t{names_->front().task->value}, after_item_);
    if (names_->front().item != kWhole) query.add(" AND t.item = ?", names_->front().item.value);
  } else {
    query.add("WHERE t.run = ? AND (t.task, t.item) > (?, ?)", run.id.value, after_task_,
              after_item_);
  }
  query.add_glob("coalesce(n.id, t.task)", selector_.task);
  query.add_in("t.state", selector_.states).add_in("t.reason", words_of(selector_.reasons));
  add_times(query, selector_, kTaskTime);
  query.add(" ORDER BY t.task, t.item LIMIT ?", static_cast<std::int64_t>(scanned));
  Query::Kept& kept = history_.statements_->tasks_of_run;
  Statement& statement = query.prepare(history_.database(), kept);
  const struct AtEnd {
    Query::Kept& kept;
    ~AtEnd() { kept.reset(); }
  } at_end{kept};
  std::size_t rows = 0;
  while (statement.step()) {
    ++rows;
    RowReader reader(statement);
    std::optional<AttemptId> first;
    TaskView view = read_task_view(reader, first);
    const TaskIndex task = view.row.key.task;
    for (; !without_row_.empty() && without_row_.front().row.key.task < task; --limit) {
      if (limit == 0) return true;  // this row is read again
      views.push_back(std::move(without_row_.front()));
      without_row_.pop_front();
    }
    if (limit == 0) return true;
    // It was decided since.
    if (!without_row_.empty() && without_row_.front().row.key.task == task)
      without_row_.pop_front();
    after_task_ = task.value;
    after_item_ = view.row.key.item.value;
    if (!is_named(*names_, view.row.key)) continue;
    view.run = run.name;
    view.job = run.job;
    if (detail_.item) view.params = run.params;
    if (!history_.complete(view, detail_, first)) return history_.error();
    if (!selector_.key.empty() && (view.key.empty() || !matches(selector_.key, view.key))) continue;
    views.push_back(std::move(view));
    if (--limit == 0) return true;
  }
  if (!statement.ok()) return history_.error();
  if (rows == scanned) return true;
  for (; !without_row_.empty() && limit > 0; --limit) {
    views.push_back(std::move(without_row_.front()));
    without_row_.pop_front();
  }
  return !without_row_.empty();
}

// Attempts ---------------------------------------------------------------------------------------

AttemptPager::AttemptPager(History& history, Selector selector)
    : history_(history), selector_(std::move(selector)), before_(kNewest) {}

Result<std::vector<AttemptView>> AttemptPager::next(std::size_t limit) {
  return selector_.names.empty() ? next_by_id(limit) : next_by_task(limit);
}

Result<std::vector<AttemptView>> AttemptPager::next_by_id(std::size_t limit) {
  ReadTransaction transaction(history_.database());
  std::vector<AttemptView> views;
  while (views.size() < limit) {
    const std::size_t scanned = selector_.key.empty() ? limit - views.size() : kScanned;
    // CROSS JOIN keeps the order of the tables: by attempt, newest first, and no sorting.
    Query query(
        "SELECT " PAWL_ATTEMPT_COLUMNS
        ", r.name, r.job, coalesce(n.id, a.task) "
        "FROM attempt AS a CROSS JOIN run AS r ON r.id = a.run "
        "LEFT JOIN job_version AS v ON v.id = r.version "
        "LEFT JOIN version_task AS n ON n.version = r.version AND n.task = a.task WHERE true");
    query.add(" AND a.id < ?", before_);
    add_run_filter(query, selector_);
    query.add_glob("coalesce(n.id, a.task)", selector_.task);
    query.add_in("a.state", selector_.states).add_in("a.reason", words_of(selector_.reasons));
    add_times(query, selector_, "a.started_at");
    query.add(" ORDER BY a.id DESC LIMIT ?", static_cast<std::int64_t>(scanned));
    Statement statement = query.prepare(history_.database());
    std::size_t rows = 0;
    while (views.size() < limit && statement.step()) {
      ++rows;
      RowReader reader(statement);
      AttemptView view;
      view.row = read_attempt(reader);
      view.run = reader.text();
      view.job = reader.text();
      view.task = reader.text();
      before_ = view.row.id.value;
      if (!history_.complete(view)) return history_.error();
      if (!selector_.key.empty() && (view.key.empty() || !matches(selector_.key, view.key)))
        continue;
      views.push_back(std::move(view));
    }
    if (!statement.ok()) return history_.error();
    if (rows < scanned && views.size() < limit) break;
  }
  return views;
}

/// First attempts are found through the tasks, later ones by an index of their own: both in the
/// order of tasks and items, to be merged.
Result<std::vector<AttemptView>> AttemptPager::next_by_task(std::size_t limit) {
  ReadTransaction transaction(history_.database());
  if (!names_) {
    if (auto read = fetch_runs(); !read) return std::move(read).error();
  }
  std::vector<AttemptView> views;
  while (views.size() < limit && !runs_.empty()) {
    for (Ahead* ahead : {&first_, &later_}) {
      if (!ahead->views.empty() || ahead->is_at_end) continue;
      if (auto read = fetch(*ahead, limit - views.size()); !read) return std::move(read).error();
    }
    if (first_.views.empty() && later_.views.empty()) {
      runs_.pop_back();
      first_ = {};
      later_ = {};
      continue;
    }
    const bool is_later =
        first_.views.empty() ||
        (!later_.views.empty() && later_.views.front().row.key <= first_.views.front().row.key);
    std::deque<AttemptView>& from = is_later ? later_.views : first_.views;
    views.push_back(std::move(from.front()));
    from.pop_front();
  }
  return views;
}

/// The named runs that are chosen.
Result<void> AttemptPager::fetch_runs() {
  auto names = history_.resolve_all(selector_.names);
  if (!names) return std::move(names).error();
  names_ = std::move(*names);
  Query query("SELECT " PAWL_RUN_COLUMNS
              " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id "
              "LEFT JOIN job_version AS v ON v.id = r.version WHERE true");
  add_named_runs(query, *names_);
  add_run_filter(query, selector_);
  query.add(" ORDER BY r.id");
  Statement statement = query.prepare(history_.database());
  while (statement.step()) {
    RowReader reader(statement);
    runs_.push_back(read_run(reader));
  }
  return statement.ok() ? Result<void>() : history_.error();
}

/// Those of the run in turn, behind `after`, that may be chosen.
Query AttemptPager::attempts_behind(const Ahead& ahead) const {
  const bool is_later = &ahead == &later_;
  const RunRow& run = runs_.back();
  Query query("SELECT " PAWL_ATTEMPT_COLUMNS ", coalesce(n.id, a.task) FROM ");
  query.add(is_later ? "attempt AS a INDEXED BY attempt_again "
                     : "task AS t CROSS JOIN attempt AS a ON a.id = t.first_attempt ");
  query.add("LEFT JOIN version_task AS n ON n.version = ? AND n.task = a.task WHERE ",
            run.version.value);
  const Named* only = names_->size() == 1 && names_->front().task ? &names_->front() : nullptr;
  const std::int64_t item = ahead.item;
  if (is_later && only != nullptr) {
    query.add(
        "a.run = ? AND a.number > 1 AND a.task = ? AND a.item >= ? AND "
        "(a.item > ? OR a.number < ?)",
        run.id.value, std::int64_t{only->task->value}, item, item, ahead.number);
  } else if (is_later) {
    query.add(
        "a.run = ? AND a.number > 1 AND (a.task, a.item) >= (?, ?) AND "
        "((a.task, a.item) > (?, ?) OR a.number < ?)",
        run.id.value, ahead.task, item, ahead.task, item, ahead.number);
  } else if (only != nullptr) {
    query.add("t.run = ? AND t.task = ? AND t.item > ?", run.id.value,
              std::int64_t{only->task->value}, item);
  } else {
    query.add("t.run = ? AND (t.task, t.item) > (?, ?)", run.id.value, ahead.task, item);
  }
  if (only != nullptr && only->item != kWhole)
    query.add(is_later ? " AND a.item = ?" : " AND t.item = ?", only->item.value);
  query.add_glob("coalesce(n.id, a.task)", selector_.task);
  query.add_in("a.state", selector_.states).add_in("a.reason", words_of(selector_.reasons));
  add_times(query, selector_, "a.started_at");
  query.add(is_later ? " ORDER BY a.task, a.item, a.number DESC" : " ORDER BY t.task, t.item");
  return query;
}

/// Whether one of the names means it.
bool AttemptPager::is_meant(const AttemptRow& row) const {
  return std::any_of(names_->begin(), names_->end(), [&](const Named& name) {
    return is_named({name}, row.key) && (!name.attempt || *name.attempt == row.number);
  });
}

/// Up to `limit` chosen attempts of the run in turn, behind those that were read.
Result<void> AttemptPager::fetch(Ahead& ahead, std::size_t limit) {
  const bool filters_here =
      !selector_.key.empty() || names_->size() > 1 || names_->front().attempt.has_value();
  while (ahead.views.size() < limit && !ahead.is_at_end) {
    const std::size_t scanned = filters_here ? kScanned : limit - ahead.views.size();
    Query query = attempts_behind(ahead);
    query.add(" LIMIT ?", static_cast<std::int64_t>(scanned));
    Statement statement = query.prepare(history_.database());
    std::size_t rows = 0;
    while (ahead.views.size() < limit && statement.step()) {
      ++rows;
      RowReader reader(statement);
      AttemptView view;
      view.row = read_attempt(reader);
      view.task = reader.text();
      view.run = runs_.back().name;
      view.job = runs_.back().job;
      ahead.task = view.row.key.task.value;
      ahead.item = view.row.key.item.value;
      ahead.number = view.row.number;
      if (!is_meant(view.row)) continue;
      if (!history_.complete(view)) return history_.error();
      if (!selector_.key.empty() && (view.key.empty() || !matches(selector_.key, view.key)))
        continue;
      ahead.views.push_back(std::move(view));
    }
    if (!statement.ok()) return history_.error();
    ahead.is_at_end = rows < scanned && ahead.views.size() < limit;
  }
  return {};
}

// Outputs ----------------------------------------------------------------------------------------

namespace {

constexpr const char* kSelectResults =
    "SELECT run, task, item, attempt, format, bytes, file, value FROM output AS o "
    "WHERE " PAWL_IS_RESULT " AND ";

OutputRow read_output(const Statement& statement) {
  RowReader reader(statement);
  OutputRow row;
  row.key = read_task_key(reader);
  row.attempt = reader.small();
  row.format = reader.text();
  row.bytes = reader.integer();
  row.file = reader.text();
  row.value = reader.text();
  return row;
}

}  // namespace

OutputPager::OutputPager(History& history, RunId run, TaskIndex task)
    : history_(history), run_(run), task_(task) {}

Result<std::vector<OutputRow>> OutputPager::next(std::size_t limit) {
  Query query(kSelectResults);
  query.add("run = ? AND task = ? AND item > ? ORDER BY item LIMIT ?", run_.value,
            std::int64_t{task_.value}, after_, static_cast<std::int64_t>(limit));
  Statement statement = query.prepare(history_.database());
  std::vector<OutputRow> rows;
  while (statement.step()) rows.push_back(read_output(statement));
  if (!statement.ok()) return history_.error();
  if (!rows.empty()) after_ = rows.back().key.item.value;
  return rows;
}

Result<std::optional<OutputRow>> History::output(TaskKey key) {
  Query query(kSelectResults);
  query.add("run = ? AND task = ? AND item = ?", key.run.value, std::int64_t{key.task.value},
            key.item.value);
  Statement statement = query.prepare(*database_);
  std::optional<OutputRow> row;
  if (statement.step()) row = read_output(statement);
  if (!statement.ok()) return error();
  return row;
}

Result<void> History::each_output(RunId run, TaskIndex task,
                                  const std::function<bool(const OutputRow&)>& each) {
  constexpr std::size_t kPage = 200;  // each may have a megabyte
  OutputPager pager = outputs(run, task);
  while (true) {
    auto page = pager.next(kPage);
    if (!page) return std::move(page).error();
    for (const OutputRow& row : *page) {
      if (row.key.item != kWhole && !each(row)) return {};
    }
    if (page->size() < kPage) return {};
  }
}

// Events -----------------------------------------------------------------------------------------

EventPager::EventPager(History& history, Selector selector)
    : history_(history), selector_(std::move(selector)), before_(kNewest) {}

Result<std::vector<EventRow>> EventPager::next(std::size_t limit) {
  if (!names_) {
    auto names = history_.resolve_all(selector_.names);
    if (!names) return std::move(names).error();
    names_ = std::move(*names);
  }
  Query query(
      "SELECT e.id, e.at, e.actor, e.verb, e.job, e.run, e.task, e.item, e.text "
      "FROM event AS e WHERE true");
  query.add(" AND e.id < ?", before_);
  if (!names_->empty()) {
    query.add(" AND e.run IN (");
    for (std::size_t i = 0; i < names_->size(); ++i) {
      query.add(i == 0 ? "?" : ", ?", (*names_)[i].run.id.value);
    }
    query.add(")");
  }
  query.add_glob("e.job", selector_.job);
  add_times(query, selector_, "e.at");
  query.add(" ORDER BY e.id DESC LIMIT ?", static_cast<std::int64_t>(limit));
  Statement statement = query.prepare(history_.database());
  std::vector<EventRow> rows;
  while (statement.step()) {
    before_ = statement.integer(0);
    RowReader reader(statement, 1);
    EventRow row;
    row.at = reader.time();
    row.actor = reader.text();
    row.verb = reader.text();
    row.job = reader.text();
    row.run = reader.id<RunId>();
    if (!statement.is_null(6)) {
      row.task = TaskKey{row.run, TaskIndex{static_cast<std::uint32_t>(statement.integer(6))},
                         statement.is_null(7) ? kWhole : ItemIndex{statement.integer(7)}};
    }
    row.text = statement.text(8);
    rows.push_back(std::move(row));
  }
  if (!statement.ok()) return history_.error();
  return rows;
}

}  // namespace pawl
