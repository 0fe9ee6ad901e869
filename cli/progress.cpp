#include "cli/progress.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "scheduler/base/text.h"

namespace pawl {

namespace {

using nlohmann::json;

constexpr int kStateWidth = 9;  // `succeeded`; longer words push their own line only

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

std::optional<int> optional_number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int>();
}

std::optional<WallTime> time_of(const json& object, const char* key) {
  return parse_utc(text_of(object, key));
}

Counts read_counts(const json& object) {
  Counts counts{};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = number_of(object, std::string(kTaskStateWords[i]).c_str());
  }
  return counts;
}

std::optional<TaskProgress> read_task(const json& object) {
  if (!object.is_object()) return std::nullopt;
  const auto state = task_state_from(text_of(object, "state"));
  if (!state) return std::nullopt;
  TaskProgress task;
  task.task = text_of(object, "task");
  task.state = *state;
  task.reason = text_of(object, "reason");
  task.exit_code = optional_number_of(object, "exit_code");
  task.signal = optional_number_of(object, "signal");
  if (const auto counts = object.find("counts"); counts != object.end() && counts->is_object()) {
    task.counts = read_counts(*counts);
  }
  task.started_at = time_of(object, "started_at");
  task.ended_at = time_of(object, "ended_at");
  if (const auto rate = object.find("rate"); rate != object.end() && rate->is_number()) {
    task.rate = rate->get<double>();
  }
  task.retrying = number_of(object, "retrying");
  task.retries = number_of(object, "retries");
  task.attempts = number_of(object, "attempts");
  if (const auto list = object.find("waiting_for"); list != object.end() && list->is_array()) {
    for (const json& name : *list) {
      if (name.is_string()) task.waiting_for.push_back(name.get<std::string>());
    }
    task.waiting_for_more =
        number_of(object, "waiting_for_count") - static_cast<std::int64_t>(task.waiting_for.size());
  }
  return task;
}

void append(std::string& text, std::string part) {
  if (part.empty()) return;
  if (!text.empty()) text += " · ";
  text += part;
}

std::string mapped_detail(const TaskProgress& task) {
  const Counts& counts = *task.counts;
  const std::int64_t total = total_of(counts);
  const std::int64_t finished = finished_of(counts);
  std::string text;
  append(text, is_final(task.state)
                   ? counted(total, "item")
                   : fmt::format("{} of {}", format_count(finished), format_count(total)));
  const std::int64_t failed = count_of(counts, TaskState::failed);
  const std::int64_t held = count_of(counts, TaskState::held);
  const std::int64_t cancelled = count_of(counts, TaskState::cancelled);
  if (failed > 0) append(text, format_count(failed) + " failed");
  if (held > 0) append(text, format_count(held) + " held");
  if (cancelled > 0) append(text, format_count(cancelled) + " cancelled");
  if (is_final(task.state)) return text;
  const std::int64_t retrying = std::max(task.retrying, count_of(counts, TaskState::retrying));
  if (retrying > 0) append(text, format_count(retrying) + " retrying");
  if (task.rate > 0) {
    append(text, task.rate >= 10 ? format_count(static_cast<std::int64_t>(task.rate)) + "/s"
                                 : fmt::format("{:.1f}/s", task.rate));
    const auto left = static_cast<double>(total - finished) * 1000 / task.rate;
    // Below a second it is over; beyond a year the rate says nothing.
    if (left >= 1000 && left < 366.0 * 86'400'000) {
      append(text, format_span(Duration(static_cast<std::int64_t>(left))) + " left");
    }
  }
  return text;
}

std::string took(const TaskProgress& task) {
  if (!task.started_at || !task.ended_at) return {};
  return format_took(*task.ended_at - *task.started_at);
}

std::string detail_of(const TaskProgress& task, const Here& here) {
  std::string text;
  switch (task.state) {
    case TaskState::waiting:
    case TaskState::queued:
      if (!task.waiting_for.empty())
        text = "for " + joined_names(task.waiting_for, task.waiting_for_more);
      return text;
    case TaskState::running:
      if (task.counts) return mapped_detail(task);
      if (task.started_at) text = format_span(here.now - *task.started_at);
      return text;
    case TaskState::retrying:
    case TaskState::deferred:
      append(text, reason_text(task.reason, task.exit_code, task.signal));
      if (!task.waiting_for.empty())
        append(text, "for " + joined_names(task.waiting_for, task.waiting_for_more));
      return text;
    case TaskState::held:
    case TaskState::succeeded:
    case TaskState::failed:
    case TaskState::skipped:
    case TaskState::upstream_failed:
    case TaskState::cancelled:
      append(text, took(task));
      if (task.counts) append(text, mapped_detail(task));
      // The state says it already.
      if (task.reason != "upstream" && task.reason != to_string(task.state)) {
        append(text, reason_text(task.reason, task.exit_code, task.signal));
      }
      return text;
  }
  return text;
}

}  // namespace

Result<RunProgress> read_progress(const json& answer) {
  const auto state = answer.is_object() ? run_state_from(text_of(answer, "state")) : std::nullopt;
  if (!state) return Error{ErrorKind::failed, "follow: the scheduler's answer is no run"};
  RunProgress run;
  run.version = number_of(answer, "version");
  run.run = text_of(answer, "run");
  run.job = text_of(answer, "job");
  run.state = *state;
  run.reason = text_of(answer, "reason");
  run.created_at = time_of(answer, "created_at");
  run.started_at = time_of(answer, "started_at");
  run.ended_at = time_of(answer, "ended_at");
  if (const auto counts = answer.find("counts"); counts != answer.end() && counts->is_object()) {
    run.counts = read_counts(*counts);
  }
  if (const auto counts = answer.find("task_counts");
      counts != answer.end() && counts->is_object()) {
    run.task_counts = read_counts(*counts);
  }
  run.retries = number_of(answer, "retries");
  if (const auto tasks = answer.find("tasks"); tasks != answer.end() && tasks->is_array()) {
    for (const json& object : *tasks) {
      auto task = read_task(object);
      if (!task)
        return Error{ErrorKind::failed, "follow: the scheduler's answer has no task state"};
      run.tasks.push_back(*std::move(task));
    }
  }
  const auto flag = [&answer](const char* key) {
    const auto found = answer.find(key);
    return found != answer.end() && found->is_boolean() && found->get<bool>();
  };
  run.ended = flag("ended");
  run.dormant = flag("dormant");
  run.scheduler_pid = number_of(answer, "scheduler_pid");
  return run;
}

ProgressLine progress_line(const TaskProgress& task, const Here& here) {
  return {task.task, std::string(to_string(task.state)), style_of(task.state),
          detail_of(task, here)};
}

std::vector<std::string> format_lines(const Terminal& terminal,
                                      const std::vector<ProgressLine>& lines, int task_width) {
  std::vector<std::string> out;
  for (const ProgressLine& line : lines) {
    const std::string name =
        pad(cut_to_width(escape_for_terminal(line.task), std::max(task_width, 1)), task_width);
    const std::string detail = escape_for_terminal(line.detail);
    const std::string state =
        detail.empty() ? line.state : pad(line.state, kStateWidth) + std::string(3, ' ');
    std::string rest = detail;
    if (terminal.width != 0) {
      rest = cut_to_width(detail, terminal.width - 1 - 2 - task_width - 3 - display_width(state));
    }
    out.push_back("  " + name + "   " + styled(terminal, line.style, state) + rest);
  }
  return out;
}

bool is_hook(const TaskProgress& task) { return task.task.starts_with("hook:"); }

bool is_bad(TaskState state) { return state == TaskState::failed || state == TaskState::held; }

std::int64_t unlisted(const RunProgress& run, TaskState state) {
  const auto listed = std::count_if(
      run.tasks.begin(), run.tasks.end(),
      [&](const TaskProgress& task) { return task.state == state && !is_hook(task); });
  return count_of(run.task_counts, state) - listed;
}

std::string joined_names(const std::vector<std::string>& names, std::int64_t more) {
  constexpr std::size_t kNamesMax = 3;
  std::string text;
  const std::size_t shown = std::min(names.size(), kNamesMax);
  for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  more += static_cast<std::int64_t>(names.size() - shown);
  return more > 0 ? text + fmt::format(" and {} more", format_count(more)) : text;
}

std::int64_t count_of(const Counts& counts, TaskState state) {
  return counts[static_cast<std::size_t>(state)];
}

std::int64_t total_of(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

std::int64_t finished_of(const Counts& counts) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (is_final(static_cast<TaskState>(i))) sum += counts[i];
  }
  return sum;
}

Style style_of(TaskState state) {
  switch (state) {
    case TaskState::waiting:
    case TaskState::skipped:
    case TaskState::cancelled: return Style::dim;
    case TaskState::queued: return Style::plain;
    case TaskState::running: return Style::cyan;
    case TaskState::retrying:
    case TaskState::deferred: return Style::yellow;
    case TaskState::succeeded: return Style::green;
    case TaskState::held:
    case TaskState::failed:
    case TaskState::upstream_failed: return Style::red;
  }
  return Style::plain;
}

Style style_of(RunState state) {
  switch (state) {
    case RunState::queued: return Style::plain;
    case RunState::running: return Style::cyan;
    case RunState::paused: return Style::yellow;
    case RunState::succeeded: return Style::green;
    case RunState::failed: return Style::red;
    case RunState::cancelled: return Style::dim;
  }
  return Style::plain;
}

std::string reason_text(std::string_view reason, std::optional<int> exit_code,
                        std::optional<int> signal) {
  if (reason == "exit" && exit_code) return fmt::format("exit:{}", *exit_code);
  if (reason == "signal" && signal) return fmt::format("signal:{}", *signal);
  return std::string(reason);
}

std::string_view short_name(std::string_view run) {
  const std::size_t dash = run.rfind('-');
  return dash == std::string_view::npos ? run : run.substr(dash + 1);
}

}  // namespace pawl
