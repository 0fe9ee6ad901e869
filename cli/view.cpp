#include "cli/view.h"

#include <fmt/format.h>

#include "scheduler/base/bytes.h"
#include "scheduler/base/shell.h"
#include "scheduler/base/text.h"

namespace pawl {

OrderedJson text_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return text;
}

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

OrderedJson json_of(std::string_view text) {
  OrderedJson value = OrderedJson::parse(text, nullptr, false);
  return value.is_discarded() ? OrderedJson(nullptr) : value;
}

OrderedJson log_or_null(const std::string& home, const std::string& log) {
  if (log.empty()) return nullptr;
  return home + "/" + log;
}

template <typename Number>
OrderedJson number_or_null(const std::optional<Number>& number) {
  if (!number) return nullptr;
  return *number;
}

std::string when_or_blank(const std::optional<WallTime>& time, const Here& here) {
  return time ? format_when(*time, here) : "";
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
  if (task.mapped) return {};
  return fmt::format("{}/{}", task.row.counted, task.max_attempts);
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

}  // namespace

OrderedJson counts_object(const Counts& counts) {
  OrderedJson object = OrderedJson::object();
  for (std::size_t i = 0; i < counts.size(); ++i)
    object[std::string(kTaskStateWords[i])] = counts[i];
  return object;
}

OrderedJson time_or_null(const std::optional<WallTime>& time) {
  if (!time) return nullptr;
  return format_utc(*time);
}

std::string task_name(std::string_view task, ItemIndex item) {
  if (item == kWhole) return std::string(task);
  return fmt::format("{}:{}", task, item.value);
}

std::string object_name(std::string_view run, std::string_view task, ItemIndex item) {
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

static OrderedJson parent_or_null(const RunView& run) {
  if (run.parent.empty()) return nullptr;
  const auto& caller = run.row.caller;
  return {{"run", run.parent},
          {"task", text_or_null(run.parent_task)},
          {"index", caller ? index_or_null(caller->key.item) : OrderedJson(nullptr)}};
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

/// Whether the run is for the moment in which somebody asked for it, and for no other time.
static bool is_of_its_moment(const RunRow& row) {
  return row.trigger == Trigger::manual && row.logical_time <= row.created_at &&
         row.created_at - row.logical_time < std::chrono::seconds(1);
}

Entry run_entry(const RunView& run, const Here& here) {
  const RunRow& row = run.row;
  return {run_object(run),
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
          {"task", task.task},
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
          {"log", log_or_null(home, task.log)},
          {"child_run", text_or_null(task.child_run())}};
}

Entry task_entry(const TaskView& task, const std::string& home, const Here& here) {
  const TaskRow& row = task.row;
  const std::string progress = task.whole ? counts_text(task.whole->counts) : "";
  return {task_object(task, home),
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
          object_name(task.run, task.task, row.key.item)};
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

Entry failed_entry(const TaskView& task, const std::string& home, const Here& here) {
  const TaskRow& row = task.row;
  Entry entry;
  entry.object = task_object(task, home);
  entry.object["params"] = json_of(task.params);
  entry.object["item"] = task.item.empty() ? OrderedJson(nullptr) : json_of(task.item);
  entry.object["resume"] = "pawl resume " + object_name(task.run, task.task, row.key.item);
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
  entry.name = object_name(task.run, task.task, row.key.item);
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
  return {{"attempt_id", "run", "job", "task", "index", "key", "attempt", "state", "reason",
           "exit_code", "signal", "error", "started_at", "ended_at", "cpu_seconds",
           "peak_memory_bytes", "worker", "log"},
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

OrderedJson attempt_object(const AttemptView& attempt, const std::string& home) {
  const AttemptRow& row = attempt.row;
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
          {"started_at", format_utc(row.started_at)},
          {"ended_at", time_or_null(row.ended_at)},
          {"cpu_seconds",
           row.cpu_us > 0 ? OrderedJson(static_cast<double>(row.cpu_us) / 1e6) : OrderedJson()},
          {"peak_memory_bytes",
           row.peak_memory_bytes > 0 ? OrderedJson(row.peak_memory_bytes) : OrderedJson()},
          {"worker", row.worker.value == 0 ? OrderedJson(nullptr) : OrderedJson(row.worker.value)},
          {"log", log_or_null(home, attempt.log)}};
}

Entry attempt_entry(const AttemptView& attempt, const std::string& home, const Here& here) {
  const AttemptRow& row = attempt.row;
  const std::string name = fmt::format("#{}", row.number);
  return {
      attempt_object(attempt, home),
      {{short_object_name(attempt.run, attempt.task, row.key.item) + name},
       {attempt.job},
       {std::string(to_string(row.state)), style_of(row.state)},
       {reason_text(to_string(row.reason), row.exit_code, row.signal)},
       {format_when(row.started_at, here)},
       {took_text(row.started_at, row.ended_at, here)},
       {row.cpu_us > 0 ? format_took(Duration(row.cpu_us / 1000)) : ""},
       {row.peak_memory_bytes > 0 ? format_bytes(static_cast<std::uint64_t>(row.peak_memory_bytes))
                                  : ""},
       {row.worker.value == 0 ? "" : fmt::format("{}", row.worker.value)},
       {attempt.key},
       {row.failure.message}},
      object_name(attempt.run, attempt.task, row.key.item) + name};
}

// Jobs -------------------------------------------------------------------------------------------

ListShape job_shape() {
  return {{"job", "state", "file", "paused", "quarantined", "schedule", "timezone", "next_fire_at",
           "last_run", "last_state"},
          {{"JOB", false, false, 12},
           {"STATE"},
           {"SCHEDULE", false, false, 12},
           {"NEXT"},
           {"LAST RUN"},
           {"LAST STATE"},
           {"WHEN"},
           {"DROPPED"},
           {"FILE", true, false, 16},
           {"NOTE", false, false, 16}}};
}

const char* state_of(const JobRow& row) {
  if (!row.quarantined.empty()) return "quarantined";
  if (row.paused) return "paused";
  if (row.removed) return "removed";
  return row.file.empty() ? "by hand" : "served";
}

OrderedJson job_object(const JobView& job, std::string_view definition) {
  const OrderedJson body = json_of(definition);
  OrderedJson schedule = nullptr;
  OrderedJson timezone = nullptr;
  if (body.is_object() && body.contains("schedule")) {
    schedule = body["schedule"];
    const OrderedJson& first = schedule.is_array() && !schedule.empty() ? schedule[0] : schedule;
    if (first.is_object()) timezone = first.value("timezone", "UTC");
  }
  const JobRow& row = job.row;
  return {{"job", row.name},
          {"state", state_of(row)},
          {"file", text_or_null(row.file)},
          {"paused", row.paused},
          {"quarantined", text_or_null(row.quarantined)},
          {"schedule", std::move(schedule)},
          {"timezone", std::move(timezone)},
          {"next_fire_at", time_or_null(row.next_fire_at)},
          {"last_run", job.last_run ? OrderedJson(job.last_run->name) : OrderedJson(nullptr)},
          {"last_state",
           job.last_run ? OrderedJson(to_string(job.last_run->state)) : OrderedJson(nullptr)}};
}

std::string dropped_text(const DroppedRow& row, const Here& here) {
  std::string text = counted(row.count, "fire");
  text += row.first == row.last ? " at " + format_local(row.first, here)
                                : fmt::format(" from {} to {}", format_local(row.first, here),
                                              format_local(row.last, here));
  switch (row.reason) {
    case DropReason::catchup: return text + ": missed, and catchup does not ask for more";
    case DropReason::limit: return text + ": missed, and beyond catchup.limit";
    case DropReason::window: return text + ": missed, and older than catchup.window";
    case DropReason::skip: return text + ": a run was active, overlap skip";
    case DropReason::queue_limit: return text + ": too many waited, queue_limit";
    case DropReason::replaced: return text + ": a later one took its place, overlap replace";
  }
  return text;
}

/// `warehouse is being moved (ana, 2 min ago)`.
std::string pause_text(const JobRow& row, const Here& here) {
  std::string who = row.paused_by;
  if (row.paused_at) who += (who.empty() ? "" : ", ") + format_when(*row.paused_at, here);
  if (who.empty()) return row.pause_note;
  return row.pause_note.empty() ? who : fmt::format("{} ({})", row.pause_note, who);
}

/// `30 2 * * * Europe/Berlin` or `every 2s, at 2026-12-01T00:00`.
std::string schedule_text(const OrderedJson& schedule) {
  const OrderedJson list = schedule.is_object() ? OrderedJson::array({schedule}) : schedule;
  std::string text;
  for (const OrderedJson& one : list) {
    for (const char* kind : {"cron", "every", "at"}) {
      if (!one.is_object() || !one.contains(kind) || !one[kind].is_string()) continue;
      text += text.empty() ? "" : ", ";
      if (kind != std::string_view("cron")) text += std::string(kind) + " ";
      text += one[kind].get<std::string>();
    }
    if (one.is_object() && one.contains("timezone") && one["timezone"].is_string())
      text += " " + one["timezone"].get<std::string>();
  }
  return text;
}

namespace {

/// The first of the errors; `validate` shows all of them.
std::string quarantine_text(const JobRow& row) {
  const std::size_t end = row.quarantined.find('\n');
  if (end == std::string::npos) return row.quarantined;
  return row.quarantined.substr(0, end) + ", and more: pawl validate " + shell_word(row.file);
}

}  // namespace

Entry job_entry(const JobView& job, std::string_view definition, const Here& here) {
  Entry entry;
  entry.object = job_object(job, definition);
  const JobRow& row = job.row;
  const bool bad = !row.quarantined.empty();
  entry.cells = {{row.name},
                 {state_of(row), bad          ? Style::red
                                 : row.paused ? Style::yellow
                                              : Style::plain},
                 {schedule_text(entry.object["schedule"])},
                 {when_or_blank(row.next_fire_at, here)},
                 {job.last_run ? std::string(short_name(job.last_run->name)) : ""},
                 {job.last_run ? std::string(to_string(job.last_run->state)) : "",
                  job.last_run ? style_of(job.last_run->state) : Style::plain},
                 {job.last_run ? format_when(job.last_run->created_at, here) : ""},
                 {job.dropped > 0 ? format_count(job.dropped) : ""},
                 {row.file},
                 {bad          ? quarantine_text(row)
                  : row.paused ? pause_text(row, here)
                               : ""}};
  entry.name = row.name;
  return entry;
}

}  // namespace pawl
