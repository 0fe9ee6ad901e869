#include "cli/ending.h"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include "cli/error_group.h"
#include "cli/log_text.h"
#include "cli/stored_job.h"
#include "cli/view.h"
#include "plugins/worker/definition.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/run_context.h"

namespace pawl {

namespace {

constexpr std::size_t kTasksShown = 5;
constexpr std::size_t kGroupsShown = 5;
constexpr std::size_t kItemsRead = 20'000;
constexpr std::int64_t kLogLines = 8;
constexpr int kLogLineColumns = 400;  // the whole log is one command away
constexpr std::size_t kPage = 500;

/// From the start, else from the making, to the end, else to now.
std::string took(const RunProgress& run, const Here& here) {
  const std::optional<WallTime> from = run.started_at ? run.started_at : run.created_at;
  return from ? format_took(run.ended_at.value_or(here.now) - *from) : "0ms";
}

std::string name_of(const RunProgress& run) {
  return fmt::format("{} {}", escape_for_terminal(run.job), short_name(run.run));
}

std::string done_text(const RunProgress& run) {
  const std::int64_t done = count_of(run.counts, TaskState::succeeded);
  std::string text = format_count(done) + " done";
  const auto add = [&text](std::int64_t count, std::string_view what) {
    if (count > 0) text += fmt::format(" · {} {}", format_count(count), what);
  };
  add(count_of(run.counts, TaskState::skipped), "skipped");
  add(count_of(run.counts, TaskState::failed), "failed");
  add(run.retries, "retried");
  return text;
}

/// The run and its definition, as the store has them.
struct Pinned {
  RunRow row;
  JobSpec job;

  /// A failure that its task allows is no reason why the run failed.
  bool allows(const TaskProgress& task) const {
    if (task.state != TaskState::failed) return false;
    const auto index = task_named(job, task.task);
    return index && job.node(*index).allow_failure;
  }
};

Result<Pinned> pinned(HistoryAccess& access, const RunProgress& run) {
  const Result<RunRow> row = access.find_run(run.run);
  if (!row) return row.error();
  const Result<JobSpec> job = stored_job(access, row->version);
  if (!job) return job.error();
  Pinned out;
  out.row = *row;
  out.job = *job;
  return out;
}

/// `query failed, report upstream_failed`.
std::string verdict(const RunProgress& run, const Pinned* definition) {
  std::vector<const TaskProgress*> bad;
  std::int64_t more = 0;
  for (const TaskState wanted :
       {TaskState::failed, TaskState::held, TaskState::upstream_failed, TaskState::cancelled}) {
    more += unlisted(run, wanted);
    for (const TaskProgress& task : run.tasks) {
      const bool counts = definition == nullptr || !definition->allows(task);
      if (task.state == wanted && counts && !is_hook(task)) bad.push_back(&task);
    }
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(bad.size(), kTasksShown); ++i) {
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", bad[i]->task, to_string(bad[i]->state));
  }
  if (bad.size() > kTasksShown) more += static_cast<std::int64_t>(bad.size() - kTasksShown);
  if (more > 0) text += fmt::format(" and {} more", format_count(more));
  return text;
}

/// The screen of a failure.
class FailureScreen {
 public:
  FailureScreen(const Session& session, const RunProgress& run, HistoryAccess& access,
                const Pinned& definition)
      : session_(session),
        run_(run),
        access_(access),
        here_(session.here()),
        row_(definition.row),
        job_(definition.job) {
    for (const TaskProgress& task : run_.tasks) {
      if (shown_.size() == kTasksShown) break;
      if (!is_bad(task.state) || is_hook(task) || definition.allows(task)) continue;
      if (const auto index = task_named(job_, task.task)) shown_.push_back({&task, *index});
    }
  }

  void print() {
    int width = 0;
    for (const Shown& one : shown_) width = std::max(width, display_width(one.task->task));
    for (const Shown& one : shown_) print_task(*one.task, one.index, width);
    print_commands();
  }

 private:
  void line(const std::string& text) const { session_.err.line(text); }

  void print_task(const TaskProgress& task, TaskIndex index, int width) {
    const std::string title = "  " + pad(task.task, width) + "   ";
    ErrorGroups collected;
    const Result<Read> read = read_failures(index, collected);
    if (!read) {
      line(title + escape_for_terminal(read.error().message));
      return;
    }
    std::vector<ErrorGroup> groups = collected.take();
    if (task.counts && bad_items(task) > 0) {
      line(title + mapped_text(task, job_.tolerance_of(index)));
    } else {
      const std::string tries = groups.empty() ? "" : ", " + tries_text(groups.front());
      line(title + reason_text(task.reason, task.exit_code, task.signal) +
           (task.state == TaskState::held ? ", held for you" : "") + tries);
    }
    print_groups(groups, task.counts && bad_items(task) > 0);
    if (read->is_cut) {
      line(fmt::format("    among the first {}; among all: pawl failed {} --by error",
                       format_count(static_cast<std::int64_t>(kItemsRead)), short_name(run_.run)));
    }
    if (!groups.empty() && !groups.front().examples.empty()) {
      print_log_end(index, groups.front().examples.front());
    }
  }

  static std::int64_t bad_items(const TaskProgress& task) {
    return count_of(*task.counts, TaskState::failed) + count_of(*task.counts, TaskState::held);
  }

  static std::string mapped_text(const TaskProgress& task, const Tolerance& t) {
    const std::int64_t bad = bad_items(task);
    std::string tolerated = "none tolerated";
    if (t.value > 0) {
      tolerated = t.is_percent ? fmt::format("{}% tolerated", t.value)
                               : fmt::format("{} tolerated", format_count(t.of(0)));
    }
    return fmt::format("{} of {} failed, {}", format_count(bad),
                       counted(total_of(*task.counts), "item"), tolerated);
  }

  struct Read {
    bool is_cut = false;  ///< there are more items that failed
  };

  /// Items that failed, or the task itself when it is no fan-out or none of its items did.
  Result<Read> read_failures(TaskIndex index, ErrorGroups& groups) {
    Selector selector;
    ObjectName name;
    name.run = row_.name;
    name.task = job_.tasks[index.value].id;
    selector.names.push_back(std::move(name));
    selector.states = {"failed", "held"};
    TaskPager pager = access_.history().tasks(selector);
    std::optional<Failed> whole;
    std::size_t items = 0;
    while (true) {
      const auto page = pager.next(kPage);
      if (!page) return page.error();
      for (const TaskView& task : *page) {
        Failed failed{task.task, task.row.key.item.value,
                      why_text(task.row.reason, task.row.detail), std::string(task.error()),
                      tries_of(task)};
        if (task.row.key.item == kWhole) {
          whole = std::move(failed);
          continue;
        }
        if (items == kItemsRead) return Read{true};
        groups.add(failed);
        ++items;
      }
      if (page->size() < kPage) break;
    }
    if (items == 0 && whole) groups.add(*whole);
    return Read{};
  }

  void print_groups(const std::vector<ErrorGroup>& groups, bool are_items) const {
    // Of a single task the line above has said why; what is left is the error.
    if (!are_items) {
      for (const ErrorGroup& group : groups) {
        if (!group.error.empty()) line("    " + escape_for_terminal(group.error));
      }
      return;
    }
    std::vector<std::vector<std::string>> rows;
    std::vector<int> widths(4, 0);
    for (std::size_t i = 0; i < std::min(groups.size(), kGroupsShown); ++i) {
      const ErrorGroup& group = groups[i];
      constexpr int kErrorWidth = 60;
      const std::string reason = group.reason.empty() ? "others" : group.reason;
      rows.push_back({fmt::format("{} × {}", format_count(group.count), reason),
                      cut_to_width(escape_for_terminal(group.error), kErrorWidth),
                      indexes_text(group), tries_text(group)});
      for (std::size_t c = 0; c < widths.size(); ++c) {
        widths[c] = std::max(widths[c], display_width(rows.back()[c]));
      }
    }
    for (const auto& row : rows) {
      std::string text = "    ";
      for (std::size_t c = 0; c < row.size(); ++c) {
        text += c + 1 == row.size() ? row[c] : pad(row[c], widths[c]) + "   ";
      }
      line(text);
    }
    if (groups.size() > kGroupsShown) {
      line(fmt::format("    and {} of other kinds: pawl failed {} --by error",
                       counted(static_cast<std::int64_t>(groups.size() - kGroupsShown), "group"),
                       short_name(run_.run)));
    }
  }

  void print_log_end(TaskIndex index, const Failed& failed) {
    const ItemIndex item{failed.index};
    const auto attempts = access_.history().attempts_of({row_.id, index, item});
    if (!attempts || attempts->empty() || attempts->back().log.empty()) return;
    const AttemptView& last = attempts->back();
    LogReader reader(
        log_path(log_folder(access_.home(), row_.name, failed.task), item, last.row.number));
    if (!reader.seek_tail(kLogLines)) return;
    std::vector<std::string> lines;
    for (;;) {
      auto next = reader.next();
      if (next && !*next) next = reader.rest();
      if (!next || !*next) break;
      lines.push_back((*next)->text);
    }
    if (lines.empty()) return;
    const std::string name = task_name(failed.task, item);
    if (example_.empty()) example_ = name;
    line(fmt::format("    the end of {}, try {}", name, last.row.number));
    for (const std::string& text : lines)
      line("      | " + cut_to_width(escape_for_terminal(text), kLogLineColumns));
  }

  void print_commands() const {
    const std::string_view run = short_name(run_.run);
    line(fmt::format("  list them   pawl failed {}", run));
    if (!example_.empty()) line(fmt::format("  whole log   pawl logs {}/{}", run, example_));
    const std::string again = resume_text();
    line(
        fmt::format("  go on       pawl resume {}{}{}", run, again.empty() ? "" : "      ", again));
  }

  /// `runs 3 items, then report; 9,998 finished stay`.
  std::string resume_text() const {
    std::int64_t items = 0;
    std::vector<std::string> again;
    std::vector<std::string> then;
    for (const TaskProgress& task : run_.tasks) {
      if (is_hook(task)) continue;
      const bool repeats = is_bad(task.state) || task.state == TaskState::cancelled;
      // A mapped task that failed as a whole, before it had items or beside them, begins anew.
      const std::int64_t again_of_it =
          task.counts ? bad_items(task) + count_of(*task.counts, TaskState::cancelled) : 0;
      if (repeats && again_of_it > 0) {
        items += again_of_it;
      } else if (repeats) {
        again.push_back(task.task);
      } else if (task.state == TaskState::upstream_failed) {
        then.push_back(task.task);
      }
    }
    if (items > 0) again.insert(again.begin(), counted(items, "item"));
    std::int64_t again_more = 0;
    for (const TaskState state : {TaskState::failed, TaskState::held, TaskState::cancelled})
      again_more += unlisted(run_, state);
    const std::int64_t then_more = unlisted(run_, TaskState::upstream_failed);
    std::string text = again.empty() ? "" : "runs " + joined_names(again, again_more);
    if (!then.empty()) text += (text.empty() ? "runs " : ", then ") + joined_names(then, then_more);
    const std::int64_t stay =
        count_of(run_.counts, TaskState::succeeded) + count_of(run_.counts, TaskState::skipped);
    if (stay > 0)
      text += fmt::format("{}{} finished stay", text.empty() ? "" : "; ", format_count(stay));
    return text;
  }

  const Session& session_;
  const RunProgress& run_;
  HistoryAccess& access_;
  Here here_;
  const RunRow& row_;
  const JobSpec& job_;
  struct Shown {
    const TaskProgress* task;
    TaskIndex index;
  };
  std::vector<Shown> shown_;
  std::string example_;  ///< whose log was shown
};

void print_failed_hooks(const Session& session, const RunProgress& run) {
  for (const TaskProgress& task : run.tasks) {
    if (!is_hook(task) || !is_bad(task.state)) continue;
    session.err.line(fmt::format(
        "  {} {}: {}      pawl logs {}/{}", task.task, to_string(task.state),
        reason_text(task.reason, task.exit_code, task.signal), short_name(run.run), task.task));
  }
}

int print_left(const Session& session, const Followed& followed, bool was_scheduler) {
  const std::string_view run = short_name(followed.run.run);
  if (was_scheduler) {
    session.err.line(fmt::format("left {}: what runs goes on, and the next scheduler takes it over",
                                 name_of(followed.run)));
    session.err.line(fmt::format("  go on       pawl resume {}", run));
  } else {
    session.err.line(fmt::format("run {} goes on in its scheduler: pawl show {}", run, run));
  }
  return 128 + followed.signal;
}

}  // namespace

int print_ending(const Session& session, const Followed& followed, bool was_scheduler) {
  const RunProgress& run = followed.run;
  const Here here = session.here();
  const Terminal& err = session.err;
  switch (followed.how) {
    case Followed::How::left: return print_left(session, followed, was_scheduler);
    case Followed::How::paused:
      err.line(fmt::format("{}  {} after {} · {}", styled(err, Style::yellow, "paused"),
                           name_of(run), took(run, here), done_text(run)));
      err.line(fmt::format("  go on       pawl resume {}", short_name(run.run)));
      return followed.interrupted ? exit_code(ErrorKind::interrupted)
                                  : exit_code(ErrorKind::failed);
    case Followed::How::ended: break;
  }
  switch (run.state) {
    case RunState::succeeded:
      err.line(fmt::format("{} {} in {} · {}", styled(err, Style::green, "succeeded"), name_of(run),
                           took(run, here), done_text(run)));
      print_failed_hooks(session, run);
      return 0;
    case RunState::cancelled:
      err.line(fmt::format("{}  {} after {} · {}", styled(err, Style::bold, "CANCELLED"),
                           name_of(run), took(run, here), done_text(run)));
      print_failed_hooks(session, run);
      err.line(fmt::format("  go on       pawl resume {}", short_name(run.run)));
      return followed.interrupted ? exit_code(ErrorKind::interrupted)
                                  : exit_code(ErrorKind::failed);
    case RunState::failed: {
      Result<HistoryAccess> access = HistoryAccess::open(session, was_scheduler);
      const Result<Pinned> definition =
          access ? pinned(*access, run) : Result<Pinned>(access.error());
      std::string why = verdict(run, definition ? &*definition : nullptr);
      if (run.reason == "run_timeout") why = "run_timeout" + (why.empty() ? "" : ", " + why);
      err.line(fmt::format("{}  {} in {}{}", styled(err, Style::red, "FAILED"), name_of(run),
                           took(run, here), why.empty() ? "" : ": " + escape_for_terminal(why)));
      if (definition) FailureScreen(session, run, *access, *definition).print();
      print_failed_hooks(session, run);
      return exit_code(ErrorKind::failed);
    }
    case RunState::queued:
    case RunState::running:
    case RunState::paused: break;
  }
  return exit_code(ErrorKind::failed);
}

}  // namespace pawl
