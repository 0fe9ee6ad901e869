#include "cli/job_view.h"

#include <fmt/format.h>

#include "cli/view.h"
#include "scheduler/base/shell.h"

namespace pawl {
namespace {

const char* state_of(const JobRow& row) {
  if (!row.quarantined.empty()) return "quarantined";
  if (row.removed) return "removed";
  if (row.paused) return "paused";
  return row.file.empty() ? "by hand" : "served";
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

/// The first of the errors; `validate` shows all of them.
std::string quarantine_text(const JobRow& row) {
  const std::size_t end = row.quarantined.find('\n');
  if (end == std::string::npos) return row.quarantined;
  return row.quarantined.substr(0, end) + ", and more: pawl validate " + shell_word(row.file);
}

}  // namespace

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
