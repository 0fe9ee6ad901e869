// What a name stands for.

#include <algorithm>

#include "scheduler/base/text.h"
#include "storage/history_sql.h"

namespace pawl {
namespace {

constexpr std::string_view kLatest = "@latest";
constexpr int kShownMax = 5;  // runs in "could be"

/// Runs of a query that selects PAWL_RUN_COLUMNS, at most `limit`.
std::vector<RunRow> read_runs(Statement& query, int limit) {
  std::vector<RunRow> runs;
  while (static_cast<int>(runs.size()) < limit && query.step()) {
    RowReader reader(query);
    runs.push_back(read_run(reader));
  }
  return runs;
}

Query run_query(std::string_view condition, const std::string& value) {
  Query query("SELECT " PAWL_RUN_COLUMNS
              " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id ");
  query.add(condition, value);
  return query;
}

}  // namespace

Result<RunRow> History::find_run(std::string_view name) {
  const std::string text(name);
  auto ask = [&](const Query& query, int limit) -> Result<std::vector<RunRow>> {
    Statement statement = query.prepare(*database_);
    auto runs = read_runs(statement, limit);
    if (!statement.ok()) return error();
    return runs;
  };
  if (name.ends_with(kLatest)) {
    const std::string job(name.substr(0, name.size() - kLatest.size()));
    auto runs = job.empty()
                    ? ask(Query("SELECT " PAWL_RUN_COLUMNS " FROM run AS r LEFT JOIN "
                                "run_counts AS c ON c.run = r.id ORDER BY r.id DESC LIMIT 1"),
                          1)
                    : ask(run_query("WHERE r.job = ? ORDER BY r.id DESC LIMIT 1", job), 1);
    if (!runs) return std::move(runs).error();
    if (!runs->empty()) return std::move(runs->front());
    if (job.empty()) {
      return Error{ErrorKind::not_found,
                   "run @latest: there is no run yet. Start one: pawl run FILE"};
    }
    const std::string near = nearest_job(job);
    const bool is_known = near.empty() || near == job;
    return Error{ErrorKind::not_found,
                 "run " + escape_for_terminal(text) + ": there is no run of job '" +
                     escape_for_terminal(job) + "'. " +
                     (is_known ? "See pawl jobs, pawl runs" : "Did you mean " + near + "@latest?")};
  }
  auto exact = ask(run_query("WHERE r.name = ?", text), 1);
  if (!exact) return std::move(exact).error();
  if (!exact->empty()) return std::move(exact->front());
  std::vector<RunRow> runs;
  if (!text.empty()) {
    auto found = ask(run_query("WHERE r.id IN (SELECT id FROM run WHERE instr(name, ?) > 0 "
                               "ORDER BY name DESC LIMIT 6) ORDER BY r.id DESC",
                               text),
                     kShownMax + 1);
    if (!found) return std::move(found).error();
    runs = std::move(*found);
  }
  if (runs.size() == 1) return std::move(runs.front());
  if (runs.empty()) {
    const std::string near = nearest_job(text);
    return Error{ErrorKind::not_found,
                 "run '" + escape_for_terminal(text) + "': there is none of that name. " +
                     (near.empty() ? "See pawl runs"
                                   : "The last run of job " + near + " is " + near + "@latest")};
  }
  std::string message = "run '" + escape_for_terminal(text) + "': several have that in their name:";
  for (std::size_t i = 0; i < runs.size() && i < kShownMax; ++i) {
    message += (i == 0 ? " " : ", ") + runs[i].name + " (" + runs[i].job + ")";
  }
  if (runs.size() > kShownMax) message += " and more";
  return Error{ErrorKind::invalid, message + ". Give more of it"};
}

/// The job that is called so, or nearly so; empty when there is none.
std::string History::nearest_job(const std::string& word) {
  Statement query(*database_, "SELECT name FROM job WHERE removed = 0");
  std::vector<std::string> names;
  while (query.step()) names.emplace_back(query.text(0));
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return std::string(nearest_word(word, candidates));
}

Result<std::string> History::task_id(const RunRow& run, TaskIndex task) {
  Statement& query = statements_->task_name.bind(run.version, task);
  std::string id = std::to_string(task.value);
  if (query.step()) id = query.text(0);
  const bool ok = query.ok();
  query.reset();
  if (!ok) return error();
  return id;
}

Result<TaskIndex> History::find_task(const RunRow& run, const std::string& id) {
  Statement query(*database_, "SELECT task, id FROM version_task WHERE version = ? ORDER BY task");
  query.bind(run.version);
  std::vector<std::string> ids;
  while (query.step()) {
    if (query.text(1) == id) return TaskIndex{static_cast<std::uint32_t>(query.integer(0))};
    ids.emplace_back(query.text(1));
  }
  if (!query.ok()) return error();
  const std::vector<std::string_view> candidates(ids.begin(), ids.end());
  const std::string_view near = nearest_word(id, candidates);
  std::string message =
      "task '" + escape_for_terminal(id) + "': run " + run.name + " has none of that name";
  message += near.empty() ? ". See pawl show " + run.name
                          : ". Did you mean " + run.name + "/" + std::string(near);
  return Error{ErrorKind::not_found, std::move(message)};
}

Result<Named> History::resolve(const ObjectName& name) {
  ReadTransaction transaction(*database_);
  auto run = find_run(name.run);
  if (!run) return std::move(run).error();
  Named named;
  named.run = std::move(*run);
  named.attempt = name.attempt;
  if (name.task.empty()) return named;
  auto task = find_task(named.run, name.task);
  if (!task) return std::move(task).error();
  named.task = *task;
  named.task_id = name.task;
  if (!name.item && !name.key) return named;

  const std::string whole = named.run.name + "/" + name.task;
  auto row = mapped(named.run.id, *task);
  if (!row) return std::move(row).error();
  if (!*row) {
    return Error{ErrorKind::not_found, to_text(name) + ": " + whole +
                                           " has no items. It is not mapped, "
                                           "or did not begin"};
  }
  if (name.key) {
    // A key may end as the name of an attempt does; one that there is wins.
    if (name.attempt) {
      auto exact =
          item_by_key(named.run.id, *task, *name.key + "#" + std::to_string(*name.attempt));
      if (!exact) return std::move(exact).error();
      if (*exact) {
        named.item = ItemIndex{**exact};
        named.attempt.reset();
        return named;
      }
    }
    auto index = item_by_key(named.run.id, *task, *name.key);
    if (!index) return std::move(index).error();
    if (!*index) {
      return Error{ErrorKind::not_found, "item '" + escape_for_terminal(*name.key) + "': " + whole +
                                             " has none with that key. See pawl tasks " + whole};
    }
    named.item = ItemIndex{**index};
    return named;
  }
  if (*name.item >= (*row)->items) {
    return Error{ErrorKind::not_found, to_text(name) + ": " + whole + " has " +
                                           std::to_string((*row)->items) + " items, from 0"};
  }
  named.item = ItemIndex{*name.item};
  return named;
}

Result<std::vector<Named>> History::resolve_all(const std::vector<ObjectName>& names) {
  std::vector<Named> all;
  for (const ObjectName& name : names) {
    auto named = resolve(name);
    if (!named) return std::move(named).error();
    all.push_back(std::move(*named));
  }
  return all;
}

}  // namespace pawl
