#include "cli/live_view.h"

#include <sys/ioctl.h>

#include <algorithm>

#include <fmt/format.h>

#include "scheduler/daemon/run_progress.h"

namespace pawl {

namespace {

constexpr std::size_t kLinesPerUpdate = 100;
constexpr Duration kCountsEvery = std::chrono::seconds(10);
constexpr int kTaskWidthMax = 40;
constexpr int kRowsUnknown = 24;

int rows_of(const Terminal& terminal) {
  winsize size{};
  if (ioctl(fileno(terminal.stream), TIOCGWINSZ, &size) != 0 || size.ws_row == 0) {
    return kRowsUnknown;
  }
  return size.ws_row;
}

int task_width(const RunProgress& run) {
  int width = 0;
  for (const TaskProgress& task : run.tasks) width = std::max(width, display_width(task.task));
  return std::min(width, kTaskWidthMax);
}

/// At most `count` tasks, those that matter most, in the order of the job.
std::vector<const TaskProgress*> chosen(const RunProgress& run, std::size_t count) {
  std::vector<TaskState> states;
  for (const TaskProgress& task : run.tasks) states.push_back(task.state);
  std::vector<const TaskProgress*> tasks;
  for (TaskIndex place : foremost_tasks(states, count)) tasks.push_back(&run.tasks[place.value]);
  return tasks;
}

/// Tasks of the run that are not among these.
std::int64_t others(const RunProgress& run, const std::vector<const TaskProgress*>& tasks) {
  const auto shown = std::count_if(tasks.begin(), tasks.end(),
                                   [](const TaskProgress* task) { return !is_hook(*task); });
  return total_of(run.task_counts) - shown;
}

bool is_whole(const RunProgress& run) {
  const auto listed = std::count_if(run.tasks.begin(), run.tasks.end(),
                                    [](const TaskProgress& task) { return !is_hook(task); });
  return listed >= total_of(run.task_counts);
}

}  // namespace

void LiveView::update(const RunProgress& run, const Here& here) {
  // Whoever reads slowly sees fewer pictures, the last one always.
  const std::size_t may_wait = terminal_.moves ? 0 : Outlet::kUnreadBytesMax;
  if (!run.ended && terminal_.unread() > may_wait) return;
  if (terminal_.moves) {
    redraw(run, here);
  } else {
    print_changes(run, here);
  }
  terminal_.flush();
}

void LiveView::erase() {
  if (drawn_ == 0) return;
  // Up to the first line of the picture, and everything below it away.
  terminal_.print(fmt::format("\x1b[{}A\r\x1b[J", drawn_));
  drawn_ = 0;
}

void LiveView::say(const std::string& line) {
  erase();
  terminal_.line(line);
  terminal_.flush();
}

void LiveView::redraw(const RunProgress& run, const Here& here) {
  const auto room = static_cast<std::size_t>(std::max(rows_of(terminal_) - 3, 3));
  const std::vector<const TaskProgress*> tasks = chosen(run, room);
  std::vector<ProgressLine> lines;
  for (const TaskProgress* task : tasks) lines.push_back(progress_line(*task, here));
  std::vector<std::string> texts = format_lines(terminal_, lines, task_width(run));
  if (const std::int64_t more = others(run, tasks); more > 0) {
    texts.push_back(fmt::format("  and {}", counted(more, "more task")));
  }
  erase();
  for (const std::string& text : texts) terminal_.line(text);
  drawn_ = static_cast<int>(texts.size());
}

void LiveView::print_changes(const RunProgress& run, const Here& here) {
  std::vector<ProgressLine> lines;
  std::int64_t left_out = 0;
  const bool tells_all = is_whole(run);
  for (const TaskProgress& task : run.tasks) {
    if (!tells_all && !is_bad(task.state)) continue;
    const auto [entry, is_new] = seen_.try_emplace(task.task);
    Seen& seen = entry->second;
    const std::int64_t finished = task.counts ? finished_of(*task.counts) : 0;
    // A task that only waits has not changed yet.
    const bool moved = seen.state != task.state;
    const bool counted_on = !moved && task.counts && !is_final(task.state) &&
                            finished != seen.finished && here.now - seen.counted_at >= kCountsEvery;
    if (!moved && !counted_on) continue;
    seen = {task.state, here.now, finished};
    if (lines.size() < kLinesPerUpdate) {
      lines.push_back(progress_line(task, here));
    } else {
      ++left_out;
    }
  }
  for (const std::string& text : format_lines(terminal_, lines, task_width(run))) {
    terminal_.line(text);
  }
  if (left_out > 0) terminal_.line(fmt::format("  and {}", counted(left_out, "more change")));
  if (!tells_all) print_total(run, here);
}

void LiveView::print_total(const RunProgress& run, const Here& here) {
  if (!run.ended && here.now - total_at_ < kCountsEvery) return;
  total_at_ = here.now;
  std::string text = fmt::format("  {} of {}", format_count(finished_of(run.task_counts)),
                                 counted(total_of(run.task_counts), "task"));
  for (const TaskState state : {TaskState::failed, TaskState::held}) {
    if (const std::int64_t count = count_of(run.task_counts, state); count > 0)
      text += fmt::format(" · {} {}", format_count(count), to_string(state));
  }
  terminal_.line(text);
}

}  // namespace pawl
