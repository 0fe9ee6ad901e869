#include "storage/history.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"
#include "storage/history_sql.h"
#include "storage/migrate.h"

namespace pawl {
namespace {

constexpr std::size_t kChunksKept = 8;

}  // namespace

History::Statements::Statements(Database& db)
    : run_by_id(db, "SELECT " PAWL_RUN_COLUMNS PAWL_RUN_VIEW_EXTRAS " WHERE r.id = ?"),
      task_by_key(db, "SELECT " PAWL_TASK_VIEW_COLUMNS
                      ", r.name, r.job, r.params FROM task AS t "
                      "JOIN run AS r ON r.id = t.run LEFT JOIN version_task AS n "
                      "ON n.version = r.version AND n.task = t.task "
                      "WHERE t.run = ? AND t.task = ? AND t.item = ?"),
      attempt_by_id(db, "SELECT " PAWL_ATTEMPT_COLUMNS " FROM attempt AS a WHERE a.id = ?"),
      attempt_by_number(db, "SELECT " PAWL_ATTEMPT_COLUMNS
                            " FROM attempt AS a WHERE a.run = ? AND "
                            "a.task = ? AND a.item = ? AND a.number = ? AND a.number > 1"),
      later_attempts(db, "SELECT " PAWL_ATTEMPT_COLUMNS
                         " FROM attempt AS a WHERE a.run = ? AND a.task = ? AND a.item = ? AND "
                         "a.number > 1 ORDER BY a.number"),
      first_attempt(
          db, "SELECT first_attempt, attempts FROM task WHERE run = ? AND task = ? AND item = ?"),
      mapped(db, "SELECT " PAWL_MAPPED_COLUMNS " FROM mapped AS m WHERE m.run = ? AND m.task = ?"),
      chunk(db,
            "SELECT first, count, bytes FROM item WHERE run = ? AND task = ? AND first <= ? "
            "ORDER BY first DESC LIMIT 1"),
      task_name(db, "SELECT n.id FROM version_task AS n WHERE n.version = ? AND n.task = ?"),
      source_task(db,
                  "SELECT n.source_task FROM run AS r JOIN version_task AS n "
                  "ON n.version = r.version WHERE r.id = ? AND n.task = ? "
                  "AND n.source_task IS NOT NULL") {}

History::History(std::unique_ptr<Database> database)
    : database_(std::move(database)), statements_(std::make_unique<Statements>(*database_)) {}

History::~History() = default;

Result<std::unique_ptr<History>> History::open(const std::string& path, HistoryOptions options) {
  const DatabaseOptions how{DatabaseOptions::Mode::read_only, options.vfs, options.beside_writer};
  auto database = Database::open(path, how);
  if (!database) return std::move(database).error();
  if (auto fine = check_schema(**database); !fine) return std::move(fine).error();
  if (auto fine = (*database)->add_glob(); !fine) return std::move(fine).error();
  return std::unique_ptr<History>(new History(std::move(*database)));
}

// Shared parts -----------------------------------------------------------------------------------

std::string log_path_of(const AttemptRow& attempt, std::string_view run, std::string_view task) {
  if (!may_have_log(attempt)) return {};
  std::string path = "logs/" + std::string(run) + "/" + std::string(task) + "/";
  if (attempt.key.item != kWhole) path += std::to_string(attempt.key.item.value) + ".";
  return path + std::to_string(attempt.number) + ".log";
}

std::map<std::string, std::string> labels_of(std::string_view text) {
  std::map<std::string, std::string> labels;
  const auto object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object()) return labels;
  for (const auto& [name, value] : object.items()) {
    if (value.is_string()) labels.emplace(name, value.get<std::string>());
  }
  return labels;
}

void add_run_filter(Query& query, const Selector& selector) {
  query.add_glob("r.job", selector.job);
  for (const auto& [name, value] : selector.labels) {
    query.add(
        " AND EXISTS (SELECT 1 FROM json_each(v.labels) AS l WHERE l.key = ? AND l.value = ?)",
        name, value);
  }
}

void add_named_runs(Query& query, const std::vector<Named>& names, std::string_view column) {
  if (names.empty()) return;
  query.add(" AND ").add(column).add(" IN (");
  for (std::size_t i = 0; i < names.size(); ++i) {
    query.add(i == 0 ? "?" : ", ?", names[i].run.id.value);
  }
  query.add(")");
}

std::vector<std::string> words_of(const std::vector<Reason>& reasons) {
  std::vector<std::string> words;
  for (Reason reason : reasons) words.emplace_back(to_string(reason));
  return words;
}

bool is_named(const std::vector<Named>& names, const TaskKey& key) {
  if (names.empty()) return true;
  return std::any_of(names.begin(), names.end(), [&](const Named& name) {
    if (name.run.id != key.run) return false;
    if (!name.task) return true;
    return *name.task == key.task && (name.item == kWhole || name.item == key.item);
  });
}

bool matches(const std::string& glob, std::string_view text) {
  return glob.empty() || glob_match(glob, text);
}

RunView read_run_view(RowReader& reader) {
  RunView view;
  view.row = read_run(reader);
  view.labels = labels_of(reader.text());
  view.parent = reader.text();
  view.parent_task = reader.text();
  return view;
}

TaskView read_task_view(RowReader& reader, std::optional<AttemptId>& first_attempt) {
  TaskView view;
  view.row = read_task(reader);
  const auto first = reader.id<AttemptId>();
  first_attempt = first.value == 0 ? std::nullopt : std::optional(first);
  view.task = reader.text();
  view.max_attempts = reader.small();
  view.mapped = reader.flag() && view.row.key.item == kWhole;
  view.next_attempt_at = reader.time_or_none();
  return view;
}

/// Fills in what is not in the task's own row. False when the database failed.
bool History::complete(TaskView& view, TaskDetail detail, std::optional<AttemptId> first_attempt) {
  const TaskKey& key = view.row.key;
  if (key.item == kWhole) {
    auto row = mapped(key.run, key.task);
    if (!row) return false;
    view.whole = *row;
    view.mapped = view.mapped || view.whole.has_value();
  } else if (detail.key && !key_of(key, view.key)) {
    return false;
  }
  if (detail.item && key.item != kWhole) {
    auto text = item(key.run, key.task, key.item.value);
    if (!text) return false;
    if (*text) view.item = (*text)->payload;
  }
  if (!detail.attempt || view.row.attempts == 0) return true;
  const bool is_first = view.row.attempts == 1;
  if (is_first && !first_attempt) return true;
  Statement& query = is_first ? statements_->attempt_by_id.bind(*first_attempt)
                              : statements_->attempt_by_number.bind(key.run, key.task, key.item,
                                                                    view.row.attempts);
  if (query.step()) {
    RowReader reader(query);
    view.last = read_attempt(reader);
    view.log = log_path_of(*view.last, view.run, view.task);
    // Who waits for a run is not waiting for a time; what timer there is ends that.
    if (view.row.state == TaskState::deferred && !view.child_run().empty())
      view.next_attempt_at.reset();
  }
  const bool ok = query.ok();
  query.reset();
  return ok;
}

bool History::complete(AttemptView& view) {
  view.log = log_path_of(view.row, view.run, view.task);
  return view.row.key.item == kWhole || key_of(view.row.key, view.key);
}

// Items ------------------------------------------------------------------------------------------

const History::Chunk* History::chunk(RunId run, TaskIndex task, std::int64_t index, bool& ok) {
  ok = true;
  for (auto& kept : chunks_) {
    if (kept->run == run && kept->task == task && index >= kept->row.first &&
        index < kept->row.first + kept->row.count) {
      std::rotate(&kept, &kept + 1, chunks_.data() + chunks_.size());
      return chunks_.back().get();
    }
  }
  auto row = chunk_with(run, task, index);
  ok = row.ok();
  if (!ok || !*row) return nullptr;
  auto made = std::make_unique<Chunk>();
  made->run = run;
  made->task = task;
  made->row = std::move(**row);
  // A chunk that cannot be read shows no keys and no payloads; `pawl doctor` names it.
  if (auto items = read_item_chunk(made->row.bytes)) made->items = std::move(*items);
  if (chunks_.size() == kChunksKept) chunks_.erase(chunks_.begin());
  chunks_.push_back(std::move(made));
  return chunks_.back().get();
}

bool History::key_of(TaskKey key, std::string& text) {
  bool ok = true;
  const Chunk* found = chunk(key.run, key.task, key.item.value, ok);
  if (found == nullptr) return ok;
  const auto place = static_cast<std::size_t>(key.item.value - found->row.first);
  if (place < found->items.size()) text = found->items[place].key;
  return true;
}

Result<std::optional<ItemChunkRow>> History::chunk_with(RunId run, TaskIndex task,
                                                        std::int64_t index) {
  auto look = [&](TaskIndex of) -> Result<std::optional<ItemChunkRow>> {
    Statement& query = statements_->chunk.bind(run, of, index);
    std::optional<ItemChunkRow> row;
    if (query.step() && index < query.integer(0) + query.integer(1)) {
      row = ItemChunkRow{run, of, query.integer(0), query.integer(1), std::string(query.text(2))};
    }
    const bool ok = query.ok();
    query.reset();
    if (!ok) return error();
    return row;
  };
  auto own = look(task);
  if (!own || *own) return own;
  // Items may be those of the task that this one is paired with.
  Statement& query = statements_->source_task.bind(run, task);
  std::optional<TaskIndex> source;
  if (query.step()) source = TaskIndex{static_cast<std::uint32_t>(query.integer(0))};
  const bool ok = query.ok();
  query.reset();
  if (!ok) return error();
  if (!source || *source == task) return std::optional<ItemChunkRow>();
  return look(*source);
}

Result<std::optional<ItemText>> History::item(RunId run, TaskIndex task, std::int64_t index) {
  bool ok = true;
  const Chunk* found = chunk(run, task, index, ok);
  if (!ok) return error();
  if (found == nullptr) return std::optional<ItemText>();
  const auto place = static_cast<std::size_t>(index - found->row.first);
  if (place >= found->items.size()) return std::optional<ItemText>();
  return std::optional<ItemText>(
      ItemText{std::string(found->items[place].key), std::string(found->items[place].payload)});
}

Result<std::optional<std::int64_t>> History::item_by_key(RunId run, TaskIndex task,
                                                         std::string_view key) {
  std::int64_t index = 0;
  while (true) {
    auto row = chunk_with(run, task, index);
    if (!row) return std::move(row).error();
    if (!*row) return std::optional<std::int64_t>();
    const ItemChunkRow& chunk = **row;
    if (auto items = read_item_chunk(chunk.bytes)) {
      auto found = std::find_if(items->begin(), items->end(),
                                [&](const ItemView& item) { return item.key == key; });
      if (found != items->end()) {
        return std::optional<std::int64_t>(chunk.first + (found - items->begin()));
      }
    }
    index = chunk.first + chunk.count;
  }
}

// Single things ----------------------------------------------------------------------------------

Result<std::optional<RunView>> History::run(RunId run) {
  Statement& query = statements_->run_by_id.bind(run);
  std::optional<RunView> view;
  if (query.step()) {
    RowReader reader(query);
    view = read_run_view(reader);
  }
  const bool ok = query.ok();
  query.reset();
  if (!ok) return error();
  return view;
}

Result<std::optional<TaskView>> History::task(TaskKey key) {
  ReadTransaction transaction(*database_);
  Statement& query = statements_->task_by_key.bind(key.run, key.task, key.item);
  std::optional<TaskView> view;
  std::optional<AttemptId> first;
  if (query.step()) {
    RowReader reader(query);
    view = read_task_view(reader, first);
    view->run = reader.text();
    view->job = reader.text();
    view->params = reader.text();
  }
  const bool ok = query.ok();
  query.reset();
  if (!ok) return error();
  if (view && !complete(*view, {true, true, true}, first)) return error();
  return view;
}

Result<std::vector<TaskView>> History::run_tasks(const RunRow& run) {
  ReadTransaction transaction(*database_);
  Statement query(*database_,
                  "SELECT " PAWL_TASK_VIEW_COLUMNS
                  " FROM task AS t LEFT JOIN version_task AS n "
                  "ON n.version = ? AND n.task = t.task "
                  "WHERE t.run = ? AND (t.task, t.item) >= (?, -1) ORDER BY t.task, t.item");
  std::vector<TaskView> views;
  std::int64_t from = 0;
  for (bool again = true; again;) {
    again = false;
    query.bind(run.version, run.id, from);
    while (query.step()) {
      RowReader reader(query);
      std::optional<AttemptId> first;
      TaskView view = read_task_view(reader, first);
      if (view.row.key.item != kWhole) {  // go on behind the items
        from = std::int64_t{view.row.key.task.value} + 1;
        again = true;
        break;
      }
      view.run = run.name;
      view.job = run.job;
      if (!complete(view, {}, first)) return error();
      views.push_back(std::move(view));
    }
    if (!query.ok()) return error();
    query.reset();
  }
  return views;
}

Result<std::vector<AttemptView>> History::attempts_of(TaskKey key) {
  ReadTransaction transaction(*database_);
  TaskView task;
  task.row.key = key;
  auto run_view = run(key.run);
  if (!run_view) return std::move(run_view).error();
  if (!*run_view) return std::vector<AttemptView>();
  task.run = (*run_view)->row.name;
  task.job = (*run_view)->row.job;
  auto id = task_id((*run_view)->row, key.task);
  if (!id) return std::move(id).error();
  task.task = *id;
  return attempts_of_task(task);
}

Result<std::vector<AttemptView>> History::attempts_of_task(const TaskView& task) {
  ReadTransaction transaction(*database_);
  std::vector<AttemptView> views;
  auto take = [&](Statement& query) {
    RowReader reader(query);
    AttemptView view;
    view.row = read_attempt(reader);
    view.run = task.run;
    view.job = task.job;
    view.task = task.task;
    views.push_back(std::move(view));
  };
  const TaskKey& key = task.row.key;
  Statement& place = statements_->first_attempt.bind(key.run, key.task, key.item);
  std::int64_t first = 0;
  std::int32_t count = 0;
  if (place.step()) {
    RowReader reader(place);
    first = reader.integer();
    count = reader.small();
  }
  bool ok = place.ok();
  place.reset();
  Statement& by_id = statements_->attempt_by_id.bind(first);
  if (ok && by_id.step()) take(by_id);
  ok = ok && by_id.ok();
  by_id.reset();
  if (!ok) return error();
  if (count > 1) {
    Statement& again = statements_->later_attempts.bind(key.run, key.task, key.item);
    while (again.step()) take(again);
    ok = again.ok();
    again.reset();
    if (!ok) return error();
  }
  for (AttemptView& view : views) {
    if (!complete(view)) return error();
  }
  return views;
}

Result<std::optional<AttemptView>> History::attempt(AttemptId id) {
  ReadTransaction transaction(*database_);
  Statement& query = statements_->attempt_by_id.bind(id);
  std::optional<AttemptView> view;
  if (query.step()) {
    RowReader reader(query);
    view.emplace();
    view->row = read_attempt(reader);
  }
  const bool ok = query.ok();
  query.reset();
  if (!ok) return error();
  if (!view) return view;
  auto run_view = run(view->row.key.run);
  if (!run_view) return std::move(run_view).error();
  if (!*run_view) return std::optional<AttemptView>();
  view->run = (*run_view)->row.name;
  view->job = (*run_view)->row.job;
  auto task = task_id((*run_view)->row, view->row.key.task);
  if (!task) return std::move(task).error();
  view->task = *task;
  if (!complete(*view)) return error();
  return view;
}

Result<std::optional<MappedRow>> History::mapped(RunId run, TaskIndex task) {
  Statement& query = statements_->mapped.bind(run, task);
  std::optional<MappedRow> row;
  if (query.step()) {
    RowReader reader(query);
    row = read_mapped(reader);
  }
  const bool ok = query.ok();
  query.reset();
  if (!ok) return error();
  return row;
}

}  // namespace pawl
