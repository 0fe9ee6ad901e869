#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "cli/run_events.h"
#include "cli/scheduler_probe.h"
#include "cli/stored_job.h"
#include "cli/task_limits.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/plan.h"

namespace pawl {

namespace {

constexpr std::size_t kErrorLines = 20;
/// Who did what: the newest; `-o json` has more.
constexpr std::size_t kEventsShown = 5;
/// Of a run: more running tasks than that nobody reads.
constexpr std::size_t kProgressesShown = 200;

/// `42%  1,000 of 4,000 rows`.
std::string progress_text(const OrderedJson& progress) {
  std::string text = fmt::format("{:.0f}%", progress.value("fraction", 0.0) * 100);
  const std::string words = progress.value("text", std::string());
  return words.empty() ? text : text + " " + words;
}

/// Lines of somebody else's text, each behind a bar; the last `kErrorLines` of it.
void print_quoted(const Session& session, std::string_view indent, std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const std::size_t first = lines.size() > kErrorLines ? lines.size() - kErrorLines : 0;
  if (first > 0) session.out.line(fmt::format("{}| … {} lines before", indent, first));
  for (std::size_t i = first; i < lines.size(); ++i) {
    session.out.line(fmt::format("{}| {}", indent, escape_for_terminal(lines[i])));
  }
}

class ShowVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("RUN[/TASK]", name_, true, "a run, a task RUN/TASK, an item RUN/TASK:17");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl show @latest");
    arguments.example("pawl show 7k3f9q/query:17");
  }

  Result<int> run(Session& session) override {
    here_ = session.here();
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const Result<Named> named = access->resolve(name_);
    if (!named) return named.error();
    return named->task ? show_task(session, *access, *named)
                       : show_run(session, *access, named->run);
  }

 private:
  // A run.

  Result<int> show_run(const Session& session, HistoryAccess& access, const RunRow& row) {
    const Result<std::optional<RunView>> run = access.history().run(row.id);
    if (!run) return run.error();
    if (!*run) return Error{ErrorKind::not_found, "run " + row.name + " was pruned meanwhile"};
    const Result<JobSpec> job = stored_job(access, row.version);
    if (!job) return job.error();
    const Result<std::vector<TaskView>> tasks = all_tasks(access, row, *job);
    if (!tasks) return tasks.error();
    Named whole;
    whole.run = row;
    const Result<std::vector<EventRow>> events = events_of(access, whole);
    if (!events) return events.error();
    ask_progress(session, *tasks);
    if (output_.format == Format::name) {
      session.out.line(row.name);
    } else if (output_.is_for_people()) {
      print_run(session, **run, *job, *tasks);
      print_events(session, *job, *events);
      const Result<bool> failures = has_unresolved(access, row);
      if (!failures) return failures.error();
      print_next(session, row, *failures);
    } else {
      OrderedJson object = run_object(**run);
      object["tasks"] = OrderedJson::array();
      for (const TaskView& task : *tasks)
        object["tasks"].push_back(with_progress(task, access.home()));
      object["events"] = events_json(*job, *events);
      print_object(session.out, output_, object);
    }
    return 0;
  }

  void print_run(const Session& session, const RunView& run, const JobSpec& job,
                 const std::vector<TaskView>& tasks) const {
    const RunRow& row = run.row;
    const std::string state(to_string(row.state));
    std::string head = fmt::format("{}  {}  {}", row.name, escape_for_terminal(row.job),
                                   styled(session.out, style_of(row.state), state));
    const std::string why(to_string(row.reason));
    if (row.outcome) {
      head += fmt::format(" ({}; its hooks run)", to_string(*row.outcome));
    } else if (!why.empty() && why != state) {
      head += " (" + why + ")";
    }
    if (row.started_at) {
      head += row.ended_at ? " in " + format_took(*row.ended_at - *row.started_at)
                           : " for " + format_span(here_.now - *row.started_at);
    }
    session.out.line(head);
    std::string facts =
        fmt::format("  {} {}", to_string(row.trigger), format_when(row.created_at, here_));
    if (!run.parent.empty()) {
      facts += row.caller
                   ? " by " + short_object_name(run.parent, run.parent_task, row.caller->key.item)
                   : " of " + std::string(short_name(run.parent));
    }
    if (row.scheduled_for) facts += " · scheduled for " + format_local(*row.scheduled_for, here_);
    if (row.params != "{}") facts += " · params " + row.params;
    if (row.resumes > 0) facts += " · reopened " + counted(row.resumes, "time");
    session.out.line(escape_for_terminal(facts));
    print_tasks(session, job, tasks);
  }

  // Who did what.

  static std::string task_of(const JobSpec& job, const EventRow& event) {
    if (!event.task || event.task->task.value >= job.node_count()) return {};
    return job.node(event.task->task).id;
  }

  static OrderedJson events_json(const JobSpec& job, const std::vector<EventRow>& events) {
    OrderedJson list = OrderedJson::array();
    for (const EventRow& event : events) list.push_back(event_object(event, task_of(job, event)));
    return list;
  }

  void print_events(const Session& session, const JobSpec& job,
                    std::vector<EventRow> events) const {
    std::erase_if(events, is_making);
    const std::size_t first = events.size() - std::min(events.size(), kEventsShown);
    if (first > 0)
      session.out.line(
          fmt::format("  … {} before: -o json", counted(static_cast<std::int64_t>(first), "act")));
    for (std::size_t i = first; i < events.size(); ++i) {
      session.out.line(
          fmt::format("  {}  {}", pad(escape_for_terminal(events[i].actor), 10),
                      escape_for_terminal(event_text(events[i], task_of(job, events[i]), here_))));
    }
  }

  void print_tasks(const Session& session, const JobSpec& job,
                   const std::vector<TaskView>& tasks) const {
    std::vector<ProgressLine> lines;
    int width = 0;
    for (const TaskView& task : tasks) {
      TaskProgress progress = progress_of(task);
      if (task.row.state == TaskState::waiting)
        progress.waiting_for = open_upstreams(job, tasks, task);
      lines.push_back(progress_line(progress, here_));
      std::string& detail = lines.back().detail;
      if (const OrderedJson* said = progress_of_attempt(task.row.live_attempt)) {
        detail += (detail.empty() ? "" : " · ") + progress_text(*said);
      }
      if (!task.child_run().empty()) {
        detail += (detail.empty() ? "run " : " · run ") + std::string(short_name(task.child_run()));
      }
      if (task.row.attempts > 1) {
        detail += (detail.empty() ? "" : " · ") + counted(task.row.attempts, "attempt");
      }
      width = std::max(width, display_width(lines.back().task));
    }
    const std::vector<std::string> texts = format_lines(session.out, lines, width);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      session.out.line(texts[i]);
      const TaskState state = tasks[i].row.state;
      const bool bad = state == TaskState::failed || state == TaskState::held;
      if (bad && !tasks[i].error().empty()) print_quoted(session, "    ", tasks[i].error());
    }
  }

  // What running attempts say of themselves: only a scheduler that is up knows.

  void ask_progress(const Session& session, const std::vector<TaskView>& tasks) {
    std::string attempts;
    std::size_t count = 0;
    for (const TaskView& task : tasks) {
      if (task.row.live_attempt.value == 0 || ++count > kProgressesShown) continue;
      attempts += (attempts.empty() ? "" : ",") + std::to_string(task.row.live_attempt.value);
    }
    if (attempts.empty()) return;
    const auto answer = ask_if_up(session, "/v1/progress?attempts=" + attempts);
    if (!answer || !*answer || !(*answer)->is_array()) return;
    for (const nlohmann::json& said : **answer) {
      progress_[said.value("attempt_id", std::int64_t{0})] = {
          {"fraction", said.value("fraction", 0.0)},
          {"text", said.value("text", std::string())},
          {"at", said.value("at", std::string())}};
    }
  }

  const OrderedJson* progress_of_attempt(AttemptId attempt) const {
    const auto said = progress_.find(attempt.value);
    return said == progress_.end() ? nullptr : &said->second;
  }

  OrderedJson with_progress(const TaskView& task, const std::string& home) const {
    OrderedJson object = task_object(task, home);
    const OrderedJson* said = progress_of_attempt(task.row.live_attempt);
    object["progress"] = said != nullptr ? *said : OrderedJson(nullptr);
    return object;
  }

  /// What a waiting task waits for.
  static std::vector<std::string> open_upstreams(const JobSpec& job,
                                                 const std::vector<TaskView>& tasks,
                                                 const TaskView& task) {
    std::vector<std::string> names;
    const std::uint32_t index = task.row.key.task.value;
    if (index >= job.tasks.size()) return names;
    for (const Dependency& dependency : job.tasks[index].depends_on) {
      const auto upstream = std::find_if(tasks.begin(), tasks.end(), [&](const TaskView& other) {
        return other.row.key.task == dependency.task;
      });
      if (upstream != tasks.end() && !is_final(upstream->row.state))
        names.push_back(upstream->task);
    }
    return names;
  }

  /// Whether `pawl failed` tells of it.
  static Result<bool> has_unresolved(HistoryAccess& access, const RunRow& row) {
    Selector selector;
    ObjectName& name = selector.names.emplace_back();
    name.run = row.name;
    const auto first =
        FailedPager(access.history(), std::move(selector), false, {false, false, false}).next(1);
    if (!first) return first.error();
    return !first->empty();
  }

  static void print_next(const Session& session, const RunRow& row, bool has_failed) {
    const std::string name(short_name(row.name));
    switch (row.state) {
      case RunState::failed:
      case RunState::cancelled:
        if (has_failed) session.out.line(fmt::format("  list them   pawl failed {}", name));
        session.out.line(fmt::format("  go on       pawl resume {}", name));
        return;
      case RunState::paused:
        session.out.line(fmt::format("  go on       pawl resume {}", name));
        return;
      case RunState::queued:
        session.out.line(fmt::format("  why         pawl explain {}", name));
        return;
      case RunState::running:
      case RunState::succeeded: return;
    }
  }

  // A task or an item.

  Result<int> show_task(const Session& session, HistoryAccess& access, const Named& named) {
    Result<std::optional<TaskView>> found = access.history().task(named.key());
    if (!found) return found.error();
    TaskView task;
    if (*found) {
      task = **std::move(found);
    } else {
      const Result<TaskView> waiting = without_row(access, named);
      if (!waiting) return waiting.error();
      task = *waiting;
    }
    Result<std::vector<AttemptView>> attempts = access.history().attempts_of(named.key());
    if (!attempts) return attempts.error();
    if (named.attempt) {
      std::erase_if(*attempts,
                    [&](const AttemptView& a) { return a.row.number != *named.attempt; });
      if (attempts->empty()) {
        return Error{
            ErrorKind::not_found,
            fmt::format("{} has no attempt #{}", task_name(task.task, named.item), *named.attempt)};
      }
    }
    const Result<std::string> payload = payload_of(access, named);
    if (!payload) return payload.error();
    const Result<Json> resources = limits_of_task(session, access, named, *attempts);
    if (!resources) return resources.error();
    const Result<std::vector<EventRow>> events = events_of(access, named);
    if (!events) return events.error();
    const Result<JobSpec> job = stored_job(access, named.run.version);
    if (!job) return job.error();
    ask_progress(session, {task});
    if (output_.format == Format::name) {
      session.out.line(escape_for_terminal(object_name(task.run, task.task, named.item)));
    } else if (output_.is_for_people()) {
      print_task(session, access, named, task, *attempts, *payload, resources_text(*resources));
      print_events(session, *job, *events);
    } else {
      OrderedJson object = with_progress(task, access.home());
      object["item"] =
          payload->empty() ? OrderedJson(nullptr) : OrderedJson::parse(*payload, nullptr, false);
      object["resources"] =
          resources->empty() ? OrderedJson(nullptr) : OrderedJson::parse(resources->dump());
      object["counts"] = task.whole ? counts_object(task.whole->counts) : OrderedJson(nullptr);
      object["attempt_list"] = OrderedJson::array();
      OverdueAttempts overdue(access, here_.now);
      for (const AttemptView& attempt : *attempts) {
        object["attempt_list"].push_back(
            attempt_object(attempt, overdue.text_of(attempt), access.home()));
      }
      object["events"] = events_json(*job, *events);
      print_object(session.out, output_, object);
    }
    return 0;
  }

  /// A task that was not decided yet, or an item that was not started.
  static Result<TaskView> without_row(HistoryAccess& access, const Named& named) {
    const Result<JobSpec> job = stored_job(access, named.run.version);
    if (!job) return job.error();
    if (named.item == kWhole) {
      Result<std::optional<TaskView>> found = one_task(access, named.run, *job, *named.task);
      if (!found) return found.error();
      if (*found) return **std::move(found);
    }
    TaskView task;
    task.row.key = named.key();
    task.run = named.run.name;
    task.job = named.run.job;
    task.task = named.task_id;
    const std::uint32_t index = named.task->value;
    if (index < job->node_count()) {
      const TaskSpec& spec = job->node(*named.task);
      task.max_attempts = spec.retry.max_attempts;
      task.mapped = spec.is_mapped() && named.item == kWhole;
    }
    if (named.item != kWhole) {
      const Result<std::optional<MappedRow>> mapped =
          access.history().mapped(named.run.id, *named.task);
      if (!mapped) return mapped.error();
      if (!*mapped || named.item.value >= (*mapped)->items) {
        return Error{ErrorKind::not_found,
                     fmt::format("{} has no item {}{}", named.task_id, named.item.value,
                                 *mapped ? fmt::format("; it has {}", (*mapped)->items) : "")};
      }
      task.row.state = (*mapped)->rest_state;
      task.row.reason = (*mapped)->rest_reason;
    }
    return task;
  }

  static Result<std::string> payload_of(HistoryAccess& access, const Named& named) {
    if (named.item == kWhole) return std::string();
    const auto item = access.history().item(named.run.id, *named.task, named.item.value);
    if (!item) return item.error();
    return *item ? (*item)->payload : std::string();
  }

  void print_task(const Session& session, HistoryAccess& access, const Named& named,
                  const TaskView& task, const std::vector<AttemptView>& attempts,
                  const std::string& payload, const std::string& limits) const {
    const TaskRow& row = task.row;
    const std::string name = short_object_name(task.run, task.task, row.key.item);
    ProgressLine line = progress_line(progress_of(task), here_);
    std::string head = fmt::format("{}  {}", escape_for_terminal(name),
                                   styled(session.out, style_of(row.state), line.state));
    if (!line.detail.empty()) head += "  " + escape_for_terminal(line.detail);
    session.out.line(head);
    const auto fact = [&](std::string_view what, const std::string& text) {
      if (!text.empty()) {
        session.out.line(fmt::format("  {}  {}", pad(what, 8), escape_for_terminal(text)));
      }
    };
    if (const OrderedJson* said = progress_of_attempt(row.live_attempt)) {
      fact("progress", progress_text(*said));
    }
    fact("key", task.key);
    fact("item", payload);
    fact("limits", limits);
    if (!task.child_run().empty())
      fact("its run", "pawl show " + std::string(short_name(task.child_run())));
    if (task.next_attempt_at) {
      fact(row.state == TaskState::deferred ? "looks at" : "next try",
           fmt::format("{} ({})", format_local(*task.next_attempt_at, here_),
                       format_when(*task.next_attempt_at, here_)));
    }
    if (attempts.empty() && !task.error().empty()) print_quoted(session, "  ", task.error());
    const ListShape shape = attempt_shape();
    OutputOptions table = output_;
    Listing list(session.out, table, shape.fields, shape.columns);
    OverdueAttempts overdue(access, here_.now);
    for (const AttemptView& attempt : attempts) {
      list.add(
          attempt_entry(attempt, overdue.text_of(attempt), access.home(), here_, output_.format));
    }
    list.finish();
    if (!attempts.empty()) {
      const Failure& failure = attempts.back().row.failure;
      if (!failure.trace.empty()) print_quoted(session, "  ", failure.trace);
      const AttemptView& last = attempts.back();
      const std::string one = named.attempt ? fmt::format("#{}", *named.attempt) : std::string();
      if (has_log(access.home(), last.log, last.row)) fact("log", "pawl logs " + name + one);
    }
    if (task.mapped) fact("items", "pawl tasks " + name);
    if (row.state == TaskState::failed || row.state == TaskState::held) {
      fact("go on", "pawl resume " + name);
    }
  }

  std::string name_;
  OutputOptions output_;
  Here here_;
  std::map<std::int64_t, OrderedJson> progress_;  ///< by number of the attempt
};

}  // namespace

std::unique_ptr<Verb> make_show_verb() { return std::make_unique<ShowVerb>(); }

}  // namespace pawl
