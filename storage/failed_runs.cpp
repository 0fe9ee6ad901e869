#include "storage/failed_runs.h"

#include <algorithm>
#include <iterator>

namespace pawl {

bool chooses_failed_runs(const Selector& selector, const std::vector<Named>& names) {
  const auto has = [](const auto& list, const auto& value) {
    return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
  };
  return selector.task.empty() && selector.key.empty() &&
         has(selector.states, to_string(TaskState::failed)) &&
         (has(selector.reasons, Reason::run_timeout) || has(selector.reasons, Reason::fail_fast)) &&
         (names.empty() ||
          std::any_of(names.begin(), names.end(), [](const Named& name) { return !name.task; }));
}

TaskView read_failed_run(RowReader& reader) {
  TaskView view;
  view.row.key.run = reader.id<RunId>();
  view.run = reader.text();
  view.job = reader.text();
  view.row.started_at = reader.time_or_none();
  view.row.ended_at = reader.time_or_none();
  view.params = reader.text();
  view.row.state = TaskState::failed;
  view.row.reason = reader.word(reason_from);
  view.row.error = view.row.reason == Reason::run_timeout
                       ? "the run did not end within its timeout"
                       : "tasks that fail_fast took away were not run again";
  return view;
}

void add_failed_runs(Query& query, const Selector& selector, const std::vector<Named>& names) {
  query.add(
      " FROM run AS r INDEXED BY run_unresolved JOIN run_counts AS c ON c.run = r.id "
      "LEFT JOIN job_version AS v ON v.id = r.version WHERE " PAWL_RUN_IS_UNRESOLVED);
  std::vector<Named> whole_runs;
  std::copy_if(names.begin(), names.end(), std::back_inserter(whole_runs),
               [](const Named& name) { return !name.task; });
  add_named_runs(query, whole_runs);
  add_run_filter(query, selector);
  query.add_in("r.reason", words_of(selector.reasons));
  if (selector.since) query.add(" AND r.ended_at >= ?", selector.since->ms);
  if (selector.until) query.add(" AND r.ended_at < ?", selector.until->ms);
}

}  // namespace pawl
