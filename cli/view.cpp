#include "cli/view.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

OrderedJson reason_or_null(Reason reason) { return text_or_null(to_string(reason)); }

OrderedJson index_or_null(ItemIndex item) {
  if (item == kWhole) return nullptr;
  return item.value;
}

OrderedJson detail_or_null(Reason reason, Reason wanted, std::int32_t detail) {
  if (reason != wanted) return nullptr;
  return detail;
}

OrderedJson log_or_null(const std::string& home, const std::string& log,
                        const AttemptRow& attempt) {
  if (!has_log(home, log, attempt)) return nullptr;
  return home + "/" + log;
}

template <typename Number>
OrderedJson number_or_null(const std::optional<Number>& number) {
  if (!number) return nullptr;
  return *number;
}

std::string took_text(const std::optional<WallTime>& from, const std::optional<WallTime>& to,
                      const Here& here) {
  if (!from) return {};
  return to ? format_took(*to - *from) : format_span(here.now - *from);
}

/// The time that says most about a task: when it ended, else started, else was queued.
std::optional<WallTime> latest(const TaskRow& row) {
  if (row.ended_at) return row.ended_at;
  return row.started_at ? row.started_at : row.queued_at;
}

std::string tries_text(const TaskView& task) {
  if (task.mapped || task.is_run()) return {};
  return fmt::format("{}/{}", tries_of(task), task.max_attempts);
}

Style style_of(AttemptState state) {
  switch (state) {
    case AttemptState::starting:
    case AttemptState::running: return Style::cyan;
    case AttemptState::stopping:
    case AttemptState::deferred: return Style::yellow;
    case AttemptState::succeeded: return Style::green;
    case AttemptState::skipped:
    case AttemptState::cancelled: return Style::dim;
    case AttemptState::failed:
    case AttemptState::lost:
    case AttemptState::interrupted: return Style::red;
  }
  return Style::plain;
}

/// `7,412 of 10,000 · 3 failed`, of the whole run or of a mapped task.
std::string counts_text(const Counts& counts) {
  const std::int64_t total = total_of(counts);
  const std::int64_t finished = finished_of(counts);
  std::string text = finished == total
                         ? format_count(total)
                         : fmt::format("{} of {}", format_count(finished), format_count(total));
  const std::int64_t bad = count_of(counts, TaskState::failed) + count_of(counts, TaskState::held);
  if (bad > 0) text += fmt::format(" · {} failed", format_count(bad));
  return text;
}

OrderedJson parent_or_null(const RunView& run) {
  if (run.parent.empty()) return nullptr;
  const auto& caller = run.row.caller;
  return {{"run", run.parent},
          {"task", text_or_null(run.parent_task)},
          {"index", caller ? index_or_null(caller->key.item) : OrderedJson(nullptr)}};
}

/// The object of an entry that is no row of a table; with names nobody sees it.
template <typename MakeObject>
OrderedJson object_for(Format format, MakeObject make_object) {
  return format == Format::name ? OrderedJson() : make_object();
}

/// Whether the run is for the moment in which somebody asked for it, and for no other time.
bool is_of_its_moment(const RunRow& row) {
  return row.trigger == Trigger::manual && row.logical_time <= row.created_at &&
         row.created_at - row.logical_time < std::chrono::seconds(1);
}

}  // namespace

OrderedJson counts_object(const Counts& counts) {
  OrderedJson object = OrderedJson::object();
  for (std::size_t i = 0; i < counts.size(); ++i)
    object[std::string(kTaskStateWords[i])] = counts[i];
  return object;
}

OrderedJson text_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return text;
}

OrderedJson time_or_null(const std::optional<WallTime>& time) {
  if (!time) return nullptr;
  return format_utc(*time);
}

OrderedJson json_of(std::string_view text) {
  OrderedJson value = OrderedJson::parse(text, nullptr, false);
  return value.is_discarded() ? OrderedJson(nullptr) : value;
}

std::string when_or_blank(const std::optional<WallTime>& time, const Here& here) {
  return time ? format_when(*time, here) : "";
}

bool has_log(const std::string& home, const std::string& log, const AttemptRow& attempt) {
  if (log.empty()) return false;
  const bool is_told = attempt.log_bytes > 0 || !is_final(attempt.state);
  return is_told || ::access((home + "/" + log).c_str(), F_OK) == 0;
}

std::string task_name(std::string_view task, ItemIndex item) {
  if (item == kWhole) return std::string(task);
  return fmt::format("{}:{}", task, item.value);
}

std::string object_name(std::string_view run, std::string_view task, ItemIndex item) {
  if (task.empty()) return std::string(run);
  return fmt::format("{}/{}", run, task_name(task, item));
}

std::string short_object_name(std::string_view run, std::string_view task, ItemIndex item) {
  return object_name(short_name(run), task, item);
}

std::string why_text(Reason reason, std::int32_t detail) {
  return reason_text(to_string(reason), detail, detail);
}

// Runs -------------------------------------------------------------------------------------------

ListShape run_shape() {
  return {{"run", "job", "state", "reason", "trigger", "scheduled_for", "logical_time",
           "request_id", "created_at", "started_at", "ended_at", "params", "counts", "parent"},
          {{"RUN"},
           {"JOB", false, false, 10},
           {"STATE"},
           {"WHY"},
           {"TASKS", false, false, 10},
           {"CREATED"},
           {"TOOK", false, true},
           {"TRIGGER"},
           {"FOR"},
           {"PARAMS", true, false, 20}}};
}

OrderedJson run_object(const RunView& run) {
  const RunRow& row = run.row;
  return {{"run", row.name},
          {"job", row.job},
          {"state", to_string(row.state)},
          {"reason", reason_or_null(row.reason)},
          {"trigger", to_string(row.trigger)},
          {"scheduled_for", time_or_null(row.scheduled_for)},
          {"logical_time", format_utc(row.logical_time)},
          {"request_id", text_or_null(row.request_id)},
          {"created_at", format_utc(row.created_at)},
          {"started_at", time_or_null(row.started_at)},
          {"ended_at", time_or_null(row.ended_at)},
          {"params", json_of(row.params)},
          {"counts", counts_object(row.counts)},
          {"parent", parent_or_null(run)}};
}

Result<OrderedJson> run_object(HistoryAccess& access, const std::string& name) {
  const Result<RunRow> row = access.find_run(name);
  if (!row) return row.error();
  const Result<std::optional<RunView>> view = access.history().run(row->id);
  if (!view) return view.error();
  if (!*view) return Error{ErrorKind::not_found, "there is no run " + escape_for_terminal(name)};
  return run_object(**view);
}

Entry run_entry(const RunView& run, const Here& here, Format format) {
  const RunRow& row = run.row;
  if (!is_table(format)) return {object_for(format, [&] { return run_object(run); }), {}, row.name};
  return {{},
          {{std::string(short_name(row.name))},
           {row.job},
           {std::string(to_string(row.state)), style_of(row.state)},
           {std::string(to_string(row.reason))},
           {counts_text(row.counts)},
           {format_when(row.created_at, here)},
           {took_text(row.started_at, row.ended_at, here)},
           {std::string(to_string(row.trigger))},
           {is_of_its_moment(row) ? "" : format_local(row.logical_time, here)},
           {row.params}},
          row.name};
}

// Tasks ------------------------------------------------------------------------------------------

std::int32_t tries_of(const TaskView& task) {
  const TaskRow& row = task.row;
  if (row.state == TaskState::held) return row.attempts;
  const bool last_was_silent = task.last && (task.last->state == AttemptState::lost ||
                                             task.last->state == AttemptState::interrupted);
  return row.counted + (is_final(row.state) && last_was_silent ? 1 : 0);
}

ListShape task_shape() {
  return {{"run", "job", "task", "index", "key", "state", "reason", "exit_code", "signal",
           "attempts", "counted_attempts", "max_attempts", "queued_at", "started_at", "ended_at",
           "next_attempt_at", "error", "log", "child_run"},
          {{"RUN"},
           {"JOB", false, false, 10},
           {"TASK", false, false, 12},
           {"STATE"},
           {"WHY"},
           {"TRIES"},
           {"WHEN"},
           {"TOOK", false, true},
           {"KEY", true, false, 10},
           {"ERROR", false, false, 16}}};
}

OrderedJson task_object(const TaskView& task, const std::string& home) {
  const TaskRow& row = task.row;
  return {{"run", task.run},
          {"job", task.job},
          {"task", text_or_null(task.task)},
          {"index", index_or_null(row.key.item)},
          {"key", text_or_null(task.key)},
          {"state", to_string(row.state)},
          {"reason", reason_or_null(row.reason)},
          {"exit_code", detail_or_null(row.reason, Reason::exit, row.detail)},
          {"signal", detail_or_null(row.reason, Reason::signal, row.detail)},
          {"attempts", row.attempts},
          {"counted_attempts", row.counted},
          {"max_attempts", task.max_attempts},
          {"queued_at", time_or_null(row.queued_at)},
          {"started_at", time_or_null(row.started_at)},
          {"ended_at", time_or_null(row.ended_at)},
          {"next_attempt_at", time_or_null(task.next_attempt_at)},
          {"error", text_or_null(task.error())},
          {"log", task.last ? log_or_null(home, task.log, *task.last) : nullptr},
          {"child_run", text_or_null(task.child_run())}};
}

Entry task_entry(const TaskView& task, const std::string& home, const Here& here, Format format) {
  const TaskRow& row = task.row;
  std::string name = object_name(task.run, task.task, row.key.item);
  if (!is_table(format))
    return {object_for(format, [&] { return task_object(task, home); }), {}, std::move(name)};
  const std::string progress = task.whole ? counts_text(task.whole->counts) : "";
  return {{},
          {{std::string(short_name(task.run))},
           {task.job},
           {task_name(task.task, row.key.item)},
           {std::string(to_string(row.state)), style_of(row.state)},
           {why_text(row.reason, row.detail)},
           {tries_text(task)},
           {when_or_blank(latest(row), here)},
           {took_text(row.started_at, row.ended_at, here)},
           {task.key},
           {task.error().empty() ? progress : std::string(task.error())}},
          std::move(name)};
}

ListShape failed_shape() {
  ListShape shape = task_shape();
  for (const char* field : {"params", "item", "resume"}) shape.fields.emplace_back(field);
  shape.columns = {{"RUN"},
                   {"JOB", false, false, 10},
                   {"TASK", false, false, 12},
                   {"WHY"},
                   {"TRIES"},
                   {"WHEN"},
                   {"ERROR", false, false, 24},
                   {"KEY", true, false, 10},
                   {"PARAMS", true, false, 16},
                   {"ITEM", false, false, 16}};
  return shape;
}

Entry failed_entry(const TaskView& task, const std::string& home, const Here& here, Format format) {
  const TaskRow& row = task.row;
  Entry entry;
  entry.name = object_name(task.run, task.task, row.key.item);
  if (!is_table(format)) {
    entry.object = object_for(format, [&] {
      OrderedJson object = task_object(task, home);
      object["params"] = json_of(task.params);
      object["item"] = task.item.empty() ? OrderedJson(nullptr) : json_of(task.item);
      object["resume"] = "pawl resume " + entry.name;
      return object;
    });
    return entry;
  }
  const bool held = row.state == TaskState::held;
  std::string error(task.error());
  if (held) {
    // What holds it is the news; the state stands where a failure has its reason.
    const std::string why = why_text(row.reason, row.detail);
    error = error.empty() ? why : fmt::format("{}: {}", why, error);
  }
  entry.cells = {
      {std::string(short_name(task.run))},
      {task.job},
      {task_name(task.task, row.key.item)},
      {held ? "held" : why_text(row.reason, row.detail), held ? Style::yellow : Style::red},
      {tries_text(task)},
      {when_or_blank(row.ended_at, here)},
      {error},
      {task.key},
      {task.params == "{}" ? "" : task.params},
      {task.item}};
  return entry;
}

TaskProgress progress_of(const TaskView& task) {
  TaskProgress progress;
  progress.task = task_name(task.task, task.row.key.item);
  progress.state = task.row.state;
  progress.reason = to_string(task.row.reason);
  progress.exit_code = task.row.detail;
  progress.signal = task.row.detail;
  if (task.whole) progress.counts = task.whole->counts;
  progress.started_at = task.row.started_at;
  progress.ended_at = task.row.ended_at;
  progress.attempts = task.row.attempts;
  return progress;
}

// Attempts ---------------------------------------------------------------------------------------

ListShape attempt_shape() {
  return {{"attempt_id",
           "run",
           "job",
           "task",
           "index",
           "key",
           "attempt",
           "state",
           "reason",
           "exit_code",
           "signal",
           "error",
           "ending",
           "started_at",
           "ended_at",
           "cpu_seconds",
           "peak_memory_bytes",
           "memory_bound_bytes",
           "worker",
           "log"},
          {{"ATTEMPT"},
           {"JOB", false, false, 10},
           {"STATE"},
           {"WHY"},
           {"STARTED"},
           {"TOOK", false, true},
           {"CPU", false, true},
           {"MEMORY", false, true},
           {"WORKER", true, true},
           {"KEY", true, false, 10},
           {"ERROR", false, false, 16}}};
}

/// Of one of its stays only a bound is known, which is above the peaks of the others.
bool has_but_bound(const AttemptRow& row) { return row.memory_bound_bytes > row.peak_memory_bytes; }

std::string memory_text(const AttemptRow& row) {
  const std::int64_t bytes = std::max(row.peak_memory_bytes, row.memory_bound_bytes);
  if (bytes == 0) return "";
  return (has_but_bound(row) ? "≤ " : "") + format_bytes(static_cast<std::uint64_t>(bytes));
}

OrderedJson bytes_or_null(std::int64_t bytes) {
  if (bytes == 0) return nullptr;
  return bytes;
}

OrderedJson attempt_object(const AttemptView& attempt, const std::string& ending,
                           const std::string& home) {
  const AttemptRow& row = attempt.row;
  const bool is_bound = has_but_bound(row);
  OrderedJson error = nullptr;
  if (!row.failure.empty()) {
    error = {{"class", row.failure.error_class},
             {"message", row.failure.message},
             {"trace", row.failure.trace}};
  }
  return {{"attempt_id", row.id.value},
          {"run", attempt.run},
          {"job", attempt.job},
          {"task", attempt.task},
          {"index", index_or_null(row.key.item)},
          {"key", text_or_null(attempt.key)},
          {"attempt", row.number},
          {"state", to_string(row.state)},
          {"reason", reason_or_null(row.reason)},
          {"exit_code", number_or_null(row.exit_code)},
          {"signal", number_or_null(row.signal)},
          {"error", std::move(error)},
          {"ending", text_or_null(ending)},
          {"started_at", format_utc(row.started_at)},
          {"ended_at", time_or_null(row.ended_at)},
          {"cpu_seconds",
           row.cpu_us > 0 ? OrderedJson(static_cast<double>(row.cpu_us) / 1e6) : OrderedJson()},
          {"peak_memory_bytes", bytes_or_null(is_bound ? 0 : row.peak_memory_bytes)},
          {"memory_bound_bytes", bytes_or_null(is_bound ? row.memory_bound_bytes : 0)},
          {"worker", row.worker.value == 0 ? OrderedJson(nullptr) : OrderedJson(row.worker.value)},
          {"log", log_or_null(home, attempt.log, attempt.row)}};
}

Entry attempt_entry(const AttemptView& attempt, const std::string& ending, const std::string& home,
                    const Here& here, Format format) {
  const AttemptRow& row = attempt.row;
  const std::string number = fmt::format("#{}", row.number);
  std::string name = object_name(attempt.run, attempt.task, row.key.item) + number;
  if (!is_table(format)) {
    return {object_for(format, [&] { return attempt_object(attempt, ending, home); }),
            {},
            std::move(name)};
  }
  return {{},
          {{short_object_name(attempt.run, attempt.task, row.key.item) + number},
           {attempt.job},
           {std::string(to_string(row.state)), style_of(row.state)},
           {reason_text(to_string(row.reason), row.exit_code, row.signal)},
           {format_when(row.started_at, here)},
           {took_text(row.started_at, row.ended_at, here)},
           {row.cpu_us > 0 ? format_took(Duration(row.cpu_us / 1000)) : ""},
           {memory_text(row)},
           {row.worker.value == 0 ? "" : fmt::format("{}", row.worker.value)},
           {attempt.key},
           {ending.empty() ? row.failure.message : ending}},
          std::move(name)};
}

}  // namespace pawl
