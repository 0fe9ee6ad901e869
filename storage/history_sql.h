#pragma once

// What the parts of History share. Private to storage.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/history.h"
#include "storage/query.h"
#include "storage/rows_sql.h"

namespace pawl {

struct History::Statements {
  explicit Statements(Database& db);

  Statement run_by_id, task_by_key, attempt_by_id, attempt_by_number, later_attempts, first_attempt,
      mapped;
  Statement chunk, task_name, source_task;
  Query::Kept tasks_of_run;
};

struct History::Chunk {
  RunId run;
  TaskIndex task;
  ItemChunkRow row;
  std::vector<ItemView> items;
};

#define PAWL_TASK_VIEW_COLUMNS                                                            \
  PAWL_TASK_COLUMNS                                                                       \
  ", t.first_attempt, coalesce(n.id, t.task), coalesce(n.max_attempts, 1), "              \
  "coalesce(n.mapped, 0), CASE WHEN t.state IN ('retrying', 'deferred') THEN (SELECT "    \
  "min(x.due_wall) FROM timer AS x WHERE x.run = t.run AND x.task = t.task AND x.item = " \
  "t.item "                                                                               \
  "AND x.kind IN ('retry', 'deferral')) END"

/// Whether task `t` failed or is held and nobody has settled that, in the words of the index
/// task_unresolved, so that it serves; a whole only when no item of it failed.
#define PAWL_TASK_IS_UNRESOLVED                                                        \
  "t.state IN ('held', 'failed') AND t.dismissed = 0 AND NOT (t.item = -1 AND EXISTS " \
  "(SELECT 1 FROM mapped AS m WHERE m.run = t.run AND m.task = t.task AND m.failed + m.held > 0))"

/// Whether run `r` with its counts `c` failed by itself (failed_by_itself) and nobody has settled
/// that, in the words of the index run_unresolved.
#define PAWL_RUN_IS_UNRESOLVED                                                               \
  "r.state = 'failed' AND r.reason IN ('run_timeout', 'fail_fast') AND r.dismissed = 0 AND " \
  "(r.reason = 'run_timeout' OR c.failed + c.held = 0)"

/// Whether nobody need settle it: an item that failed or is held while its mapped task succeeded as
/// a whole, or a failure that its task allows. What is held and no such item waits for a person.
#define PAWL_TASK_IS_FORGIVEN                                                                      \
  "(t.item >= 0 AND EXISTS (SELECT 1 FROM task AS w WHERE w.run = t.run AND w.task = t.task AND "  \
  "w.item = -1 AND w.state = 'succeeded') OR t.state = 'failed' AND EXISTS (SELECT 1 FROM run AS " \
  "f JOIN version_task AS a ON a.version = f.version AND a.task = t.task WHERE f.id = t.run AND "  \
  "a.allow_failure = 1))"

/// Reads PAWL_TASK_VIEW_COLUMNS; `run` and `job` are filled by the caller.
TaskView read_task_view(RowReader& reader, std::optional<AttemptId>& first_attempt);

/// What a RunView has beside PAWL_RUN_COLUMNS, and the tables to it.
#define PAWL_RUN_VIEW_EXTRAS                                                              \
  ", v.labels, p.name, n.id FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id "     \
  "LEFT JOIN job_version AS v ON v.id = r.version LEFT JOIN run AS p ON p.id = r.parent " \
  "LEFT JOIN version_task AS n ON n.version = p.version AND n.task = r.parent_task"

/// Reads PAWL_RUN_COLUMNS and PAWL_RUN_VIEW_EXTRAS.
RunView read_run_view(RowReader& reader);

/// Words of a RunView beside its row.
std::map<std::string, std::string> labels_of(std::string_view json);

/// The filters that a run alone decides: job, labels. The run is `r`, its version is joined as `v`.
void add_run_filter(Query& query, const Selector& selector);
/// ` AND COLUMN IN (…)` for the named runs; nothing when nothing is named.
void add_named_runs(Query& query, const std::vector<Named>& names,
                    std::string_view column = "r.id");
std::vector<std::string> words_of(const std::vector<Reason>& reasons);

/// Whether one of the names (all, when there are none) means this task.
bool is_named(const std::vector<Named>& names, const TaskKey& key);

/// Shell-style match of base/text.h; the empty pattern matches all.
bool matches(const std::string& glob, std::string_view text);

}  // namespace pawl
