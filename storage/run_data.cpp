#include "storage/run_data.h"

#include "scheduler/core/item_chunk.h"
#include "storage/database.h"
#include "storage/rows_sql.h"
#include "storage/statement.h"

namespace pawl {
namespace {

OutputRow read_output(const Statement& row, RunId run, TaskIndex task) {
  OutputRow out;
  out.key = {run, task, ItemIndex{row.integer(0)}};
  out.attempt = static_cast<std::int32_t>(row.integer(1));
  out.format = row.text(2);
  out.value = row.text(3);
  out.file = row.text(4);
  out.bytes = row.integer(5);
  return out;
}

}  // namespace

struct RunData::Statements {
  explicit Statements(std::unique_ptr<Database> opened)
      : database(std::move(opened)),
        chunk(*database,
              "SELECT first, count, bytes FROM item WHERE run = ? AND task = ? AND first <= ? "
              "ORDER BY first DESC LIMIT 1"),
        past(*database,
             "SELECT a.handle, a.state_text, (SELECT before.reason FROM attempt AS before WHERE "
             "before.id = CASE WHEN a.number = 2 THEN (SELECT t.first_attempt FROM task AS t WHERE "
             "t.run = a.run AND t.task = a.task AND t.item = a.item) ELSE (SELECT n.id FROM "
             "attempt AS n WHERE n.run = a.run AND n.task = a.task AND n.item = a.item AND "
             "n.number = a.number - 1 AND n.number > 1) END) FROM attempt AS a WHERE a.id = ?"),
        failed(*database,
               "SELECT coalesce(n.id, t.task), t.task, nullif(t.item, -1), n.source_task, "
               "coalesce(t.reason, ''), coalesce(t.error, a.error_message, '') "
               "FROM task AS t JOIN run AS r ON r.id = t.run "
               "LEFT JOIN version_task AS n ON n.version = r.version AND n.task = t.task "
               "LEFT JOIN attempt AS a ON a.id = CASE WHEN t.attempts = 1 THEN t.first_attempt "
               "ELSE (SELECT b.id FROM attempt AS b WHERE b.run = t.run AND b.task = t.task AND "
               "b.item = t.item AND b.number = t.attempts AND b.number > 1) END "
               "WHERE t.run = ?1 AND t.task < ?2 AND t.state IN ('failed', 'held') "
               "AND NOT (t.item = -1 AND EXISTS (SELECT 1 FROM mapped AS m WHERE m.run = t.run "
               "AND m.task = t.task AND m.failed + m.held > 0)) "
               "ORDER BY t.task, t.item LIMIT ?3"),
        newest_call(
            *database,
            "SELECT " PAWL_RUN_COLUMNS
            " FROM run AS r INDEXED BY run_caller LEFT JOIN run_counts AS c ON c.run = r.id "
            "WHERE r.parent = ? AND r.parent_task = ? AND r.parent_item = ? "
            "ORDER BY r.parent_attempt DESC LIMIT 1"),
        outputs_of_tasks(*database,
                         "SELECT o.item, o.attempt, o.format, o.value, o.file, o.bytes, o.task, "
                         "n.id FROM output AS o JOIN run AS r ON r.id = o.run JOIN version_task AS "
                         "n ON n.version = r.version AND n.task = o.task WHERE o.run = ? AND "
                         "o.item = -1 AND n.id NOT LIKE 'hook:%' AND " PAWL_IS_RESULT
                         " ORDER BY o.task"),
        output(*database,
               "SELECT item, attempt, format, value, file, bytes FROM output AS o "
               "WHERE run = ? AND task = ? AND item = ? AND " PAWL_IS_RESULT),
        outputs(*database,
                "SELECT item, attempt, format, value, file, bytes FROM output AS o "
                "WHERE run = ? AND task = ? AND item >= ? AND " PAWL_IS_RESULT " ORDER BY item") {}

  std::unique_ptr<Database> database;
  Statement chunk;
  Statement past;
  Statement failed;
  Statement newest_call;
  Statement outputs_of_tasks;
  Statement output;
  Statement outputs;
};

RunData::RunData() = default;
RunData::~RunData() = default;

Result<std::unique_ptr<RunData>> RunData::open(const std::string& path) {
  DatabaseOptions options;
  options.mode = DatabaseOptions::Mode::read_only;
  options.beside_writer = true;
  auto database = Database::open(path, options);
  if (!database) return database.error();
  std::unique_ptr<RunData> data(new RunData());
  data->statements_ = std::make_unique<Statements>(std::move(*database));
  const Statements& made = *data->statements_;
  for (const Statement* statement : {&made.chunk, &made.past, &made.failed, &made.newest_call,
                                     &made.outputs_of_tasks, &made.output, &made.outputs}) {
    if (!*statement) return made.database->error("opening the store", *statement);
  }
  return data;
}

Result<std::optional<ItemChunkRow>> RunData::chunk_with(RunId run, TaskIndex task,
                                                        std::int64_t item) {
  Statement& chunk = statements_->chunk;
  std::optional<ItemChunkRow> out;
  chunk.bind(run, task, item);
  if (chunk.step()) {
    ItemChunkRow row{run, task, chunk.integer(0), chunk.integer(1), std::string(chunk.text(2))};
    if (item < row.first + row.count) out = std::move(row);
  }
  const bool good = chunk.ok();
  chunk.reset();
  if (!good) return statements_->database->error("reading items");
  return out;
}

Result<AttemptPast> RunData::attempt_past(AttemptId attempt) {
  Statement& past = statements_->past;
  AttemptPast out;
  past.bind(attempt);
  if (past.step()) {
    out = {std::string(past.text(0)), std::string(past.text(1)),
           reason_from(past.text(2)).value_or(Reason::none)};
  }
  const bool good = past.ok();
  past.reset();
  if (!good) return statements_->database->error("reading what an attempt left");
  return out;
}

Result<std::vector<FailedTask>> RunData::failed(RunId run, TaskIndex before, int limit) {
  Statement& failed = statements_->failed;
  std::vector<FailedTask> out;
  std::vector<TaskIndex> sources;
  failed.bind(run, before, limit);
  while (failed.step()) {
    FailedTask task;
    task.task = failed.text(0);
    if (!failed.is_null(2)) task.item = failed.integer(2);
    task.reason = failed.text(4);
    task.error = failed.text(5);
    out.push_back(std::move(task));
    sources.push_back(
        TaskIndex{static_cast<std::uint32_t>(failed.integer(failed.is_null(3) ? 1 : 3))});
  }
  const bool good = failed.ok();
  failed.reset();
  if (!good) return statements_->database->error("reading what failed");
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!out[i].item) continue;
    auto chunk = chunk_with(run, sources[i], *out[i].item);
    if (!chunk) return chunk.error();
    if (!*chunk) continue;
    const auto items = read_item_chunk((*chunk)->bytes);
    const auto place = static_cast<std::size_t>(*out[i].item - (*chunk)->first);
    if (items && place < items->size()) out[i].key = (*items)[place].key;
  }
  return out;
}

Result<std::optional<RunRow>> RunData::newest_call(TaskKey key) {
  return read_row(*statements_->database,
                  statements_->newest_call.bind(key.run, key.task, key.item), "looking for a run",
                  read_run);
}

Result<void> RunData::outputs_of_tasks(
    RunId run, const std::function<bool(std::string_view, const OutputRow&)>& each) {
  Statement& query = statements_->outputs_of_tasks;
  query.bind(run);
  while (query.step()) {
    const TaskIndex task{static_cast<std::uint32_t>(query.integer(6))};
    if (!each(query.text(7), read_output(query, run, task))) break;
  }
  const bool good = query.ok();
  query.reset();
  if (!good) return statements_->database->error("reading outputs");
  return {};
}

Result<std::optional<OutputRow>> RunData::output(TaskKey key) {
  Statement& output = statements_->output;
  std::optional<OutputRow> out;
  output.bind(key.run, key.task, key.item);
  if (output.step()) out = read_output(output, key.run, key.task);
  const bool good = output.ok();
  output.reset();
  if (!good) return statements_->database->error("reading an output");
  return out;
}

Result<void> RunData::outputs(RunId run, TaskIndex task, ItemIndex first,
                              const std::function<bool(const OutputRow&)>& each) {
  Statement& outputs = statements_->outputs;
  outputs.bind(run, task, first);
  while (outputs.step()) {
    if (!each(read_output(outputs, run, task))) break;
  }
  const bool good = outputs.ok();
  outputs.reset();
  if (!good) return statements_->database->error("reading outputs");
  return {};
}

}  // namespace pawl
