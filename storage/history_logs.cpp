// Which attempts may have a log. Of a run of a million silent items there are none, and telling so
// reads each row once.

#include "storage/history_sql.h"

namespace pawl {
namespace {

#define PAWL_LOG_COLUMNS "SELECT a.id, a.run, a.task, a.item, a.number, a.state, a.started_at FROM "

/// `may_have_log` as a filter.
#define PAWL_MAY_HAVE_LOG \
  " AND NOT (a.log_bytes = 0 AND a.state IN ('succeeded', 'failed', 'skipped'))"

LogView read_log(const Statement& statement) {
  RowReader reader(statement);
  LogView view;
  view.attempt = reader.id<AttemptId>();
  view.key = read_task_key(reader);
  view.number = reader.small();
  view.state = reader.word(attempt_state_from);
  view.started_at = reader.time();
  return view;
}

}  // namespace

bool may_have_log(const AttemptRow& attempt) {
  if (attempt.log_bytes > 0) return true;
  switch (attempt.state) {
    case AttemptState::succeeded:
    case AttemptState::failed:
    case AttemptState::skipped: return false;
    case AttemptState::starting:
    case AttemptState::running:
    case AttemptState::stopping:
    case AttemptState::deferred:
    case AttemptState::cancelled:
    case AttemptState::lost:
    case AttemptState::interrupted: return true;
  }
  return true;
}

LogPager::LogPager(History& history, RunId run, std::optional<TaskIndex> task, AttemptId newest)
    : history_(history), run_(run), task_(task), newest_(newest) {}

// With one task a comparison that names it, too, would be no range of the key: each page would
// begin with its first item.

/// By the rows of tasks, which name their first attempts.
Query LogPager::first_attempts() const {
  Query query(PAWL_LOG_COLUMNS "task AS t CROSS JOIN attempt AS a ON a.id = t.first_attempt");
  query.add(" WHERE t.run = ?", run_.value);
  if (task_) {
    query.add(" AND t.task = ? AND t.item > ?", std::int64_t{task_->value}, after_item_);
  } else {
    query.add(" AND (t.task, t.item) > (?, ?)", after_task_, after_item_);
  }
  return query;
}

/// By the index that has them alone.
Query LogPager::later_attempts() const {
  Query query(PAWL_LOG_COLUMNS "attempt AS a INDEXED BY attempt_again WHERE a.number > 1");
  query.add(" AND a.run = ?", run_.value);
  if (task_) {
    query.add(" AND a.task = ? AND (a.item, a.number) > (?, ?)", std::int64_t{task_->value},
              after_item_, after_number_);
  } else {
    query.add(" AND (a.task, a.item, a.number) > (?, ?, ?)", after_task_, after_item_,
              after_number_);
  }
  return query;
}

Result<std::vector<LogView>> LogPager::next(std::size_t limit) {
  std::vector<LogView> views;
  while (true) {
    Query query = is_at_later_ ? later_attempts() : first_attempts();
    query.add(" AND a.id <= ?" PAWL_MAY_HAVE_LOG, newest_.value);
    query.add(is_at_later_ ? " ORDER BY a.task, a.item, a.number" : " ORDER BY t.task, t.item");
    query.add(" LIMIT ?", static_cast<std::int64_t>(limit - views.size()));
    Statement statement = query.prepare(history_.database());
    while (statement.step()) {
      views.push_back(read_log(statement));
      after_task_ = views.back().key.task.value;
      after_item_ = views.back().key.item.value;
      after_number_ = views.back().number;
    }
    if (!statement.ok()) return history_.error();
    if (is_at_later_ || views.size() == limit) return views;
    is_at_later_ = true;
    after_task_ = -1;
    after_item_ = -2;
    after_number_ = 0;
  }
}

Result<std::vector<LogView>> History::logs_after(RunId run, std::optional<TaskIndex> task,
                                                 AttemptId after, std::size_t limit) {
  Query query(PAWL_LOG_COLUMNS "attempt AS a WHERE");
  query.add(" a.id > ? AND a.run = ?", after.value, run.value);
  if (task) query.add(" AND a.task = ?", std::int64_t{task->value});
  query.add(PAWL_MAY_HAVE_LOG " ORDER BY a.id LIMIT ?", static_cast<std::int64_t>(limit));
  Statement statement = query.prepare(*database_);
  std::vector<LogView> views;
  while (statement.step()) views.push_back(read_log(statement));
  if (!statement.ok()) return error();
  return views;
}

Result<AttemptId> History::newest_attempt() {
  Statement query(*database_, "SELECT coalesce(max(id), 0) FROM attempt");
  AttemptId newest{0};
  if (query.step()) newest = AttemptId{query.integer(0)};
  if (!query.ok()) return error();
  return newest;
}

}  // namespace pawl
