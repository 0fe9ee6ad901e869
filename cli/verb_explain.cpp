#include <algorithm>

#include <fmt/format.h>

#include "cli/run_events.h"
#include "cli/scheduler_probe.h"
#include "cli/stored_job.h"
#include "cli/task_limits.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

using nlohmann::json;

struct Reasons {
  std::vector<std::pair<std::string, OrderedJson>> list;  ///< kind and the whole object

  void add(const std::string& kind, const std::string& text) {
    list.emplace_back(kind, OrderedJson{{"kind", kind}, {"text", text}});
  }
};

std::string text_of(const OrderedJson& reason) {
  const auto found = reason.find("text");
  return found != reason.end() && found->is_string() ? found->get<std::string>() : std::string();
}

class ExplainVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("RUN/TASK", name_, true, "a task, an item RUN/TASK:17, or a run");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl explain 7k3f9q/query:8120");
  }

  Result<int> run(Session& session) override {
    here_ = session.here();
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const Result<Named> named = access->resolve(name_);
    if (!named) return named.error();
    Result<TaskView> task = task_of(*access, *named);
    if (!task) return task.error();
    Reasons reasons;
    if (!is_final(named->run.state)) {
      if (const Result<void> asked = ask_scheduler(session, *named, *task, reasons); !asked) {
        return asked.error();
      }
    }
    const std::string state(named->task ? to_string(task->row.state) : to_string(named->run.state));
    if (const Result<void> own = explain_by_history(*access, *named, *task, reasons); !own) {
      return own.error();
    }
    if (const Result<void> who = explain_pause(*access, *named, reasons); !who) return who.error();
    if (const Result<void> limits = explain_limits(session, *access, *named, *task, reasons);
        !limits) {
      return limits.error();
    }
    print(session, *named, *task, state, reasons);
    return 0;
  }

 private:
  /// The task as it is; of a run, nothing of importance.
  static Result<TaskView> task_of(HistoryAccess& access, const Named& named) {
    TaskView task;
    if (!named.task) return task;
    Result<std::optional<TaskView>> found = access.history().task(named.key());
    if (!found) return found.error();
    if (*found) return **std::move(found);
    task.row.key = named.key();
    task.task = named.task_id;
    if (named.item == kWhole) {
      const Result<JobSpec> job = stored_job(access, named.run.version);
      if (!job) return job.error();
      found = one_task(access, named.run, *job, *named.task);
      if (!found) return found.error();
      return std::move(*found).value_or(task);
    }
    const auto whole = access.history().task({named.run.id, *named.task, kWhole});
    if (!whole) return whole.error();
    if (*whole && (*whole)->whole) {
      task.row.state = (*whole)->whole->rest_state;
      task.row.reason = (*whole)->whole->rest_reason;
      // Items that never started stand in line since their task began.
      if (task.row.state == TaskState::queued) task.row.queued_at = (*whole)->row.started_at;
    }
    return task;
  }

  /// Also of a task that has no row yet its state and since when it is queued, which only the
  /// scheduler knows.
  Result<void> ask_scheduler(const Session& session, const Named& named, TaskView& task,
                             Reasons& reasons) {
    std::string path = "/v1/explain?run=" + Client::encode(named.run.name);
    if (named.task) path += "&task=" + Client::encode(named.task_id);
    if (named.item != kWhole) path += fmt::format("&index={}", named.item.value);
    const Result<std::optional<json>> answer = ask_if_up(session, path);
    if (!answer) {
      // It ended since the history was read.
      if (answer.error().kind == ErrorKind::not_found) return {};
      if (answer.error().kind != ErrorKind::locked) return answer.error();
      reasons.add("scheduler_silent", answer.error().message);
      return {};
    }
    if (!*answer) {
      reasons.add("no_scheduler", "no scheduler is up");
      if (named.run.state == RunState::paused) {
        reasons.add("paused", fmt::format("the run is paused; `pawl unpause {}` lets it go on",
                                          short_name(named.run.name)));
      }
      return {};
    }
    const bool has_no_row = named.task && named.item == kWhole && task.row.attempts == 0 &&
                            (task.row.state == TaskState::waiting ||
                             (task.row.state == TaskState::queued && !task.row.queued_at));
    if (has_no_row) {
      if (const auto state = task_state_from((*answer)->value("state", std::string())))
        task.row.state = *state;
      task.row.queued_at = parse_utc((*answer)->value("queued_at", std::string()));
    }
    const auto list = (*answer)->find("reasons");
    if (list == (*answer)->end() || !list->is_array()) return {};
    for (const json& reason : *list) {
      reasons.list.emplace_back(reason.value("kind", std::string()),
                                OrderedJson::parse(reason.dump(), nullptr, false));
    }
    return {};
  }

  /// What the rows say, whoever is up.
  Result<void> explain_by_history(HistoryAccess& access, const Named& named, const TaskView& task,
                                  Reasons& reasons) const {
    if (!named.task) {
      if (is_final(named.run.state)) {
        reasons.add("ended", named.run.ended_at ? format_when(*named.run.ended_at, here_) : "");
      } else if (named.run.start_at && *named.run.start_at > here_.now) {
        reasons.add("start_at", "starts at " + format_local(*named.run.start_at, here_));
      } else if (named.run.state == RunState::running && named.run.started_at) {
        reasons.add("running", "for " + format_span(here_.now - *named.run.started_at));
      }
      return {};
    }
    const TaskRow& row = task.row;
    const std::string why = why_text(row.reason, row.detail);
    switch (row.state) {
      case TaskState::retrying: reasons.add("retry", retry_text(task, why)); return {};
      case TaskState::deferred: explain_deferral(task, reasons); return {};
      case TaskState::held:
        reasons.add("held", fmt::format("{}{}, resume or mark", why, ended_text(row)));
        return {};
      case TaskState::failed:
        reasons.add("failed", with_error(why + ended_text(row), task));
        return {};
      case TaskState::skipped: reasons.add("skipped", with_error(why, task)); return {};
      case TaskState::cancelled: reasons.add("cancelled", why + ended_text(row)); return {};
      case TaskState::succeeded:
        reasons.add("succeeded", row.ended_at ? format_when(*row.ended_at, here_) : "");
        return {};
      case TaskState::running: reasons.add("running", running_text(task)); return {};
      case TaskState::waiting:
      case TaskState::upstream_failed: return explain_upstreams(access, named, row.state, reasons);
      case TaskState::queued: return {};
    }
    return {};
  }

  /// Of a paused run who paused it, and why.
  Result<void> explain_pause(HistoryAccess& access, const Named& named, Reasons& reasons) const {
    if (named.run.state != RunState::paused) return {};
    Named whole;
    whole.run = named.run;
    const Result<std::vector<EventRow>> events = events_of(access, whole);
    if (!events) return events.error();
    const auto pause = std::find_if(events->rbegin(), events->rend(),
                                    [](const EventRow& event) { return event.verb == "pause"; });
    if (pause != events->rend())
      reasons.add("by", pause->actor + ": " + event_text(*pause, "", here_));
    return {};
  }

  /// Of a task that may yet run, and of one that was ended by a limit: who keeps them, and so how
  /// closely they hold.
  static Result<void> explain_limits(const Session& session, HistoryAccess& access,
                                     const Named& named, const TaskView& task, Reasons& reasons) {
    if (!named.task) return {};
    const Reason why = task.row.reason;
    const bool is_ended_by_one =
        why == Reason::oom || why == Reason::cpu_time || why == Reason::pids;
    if (is_final(task.row.state) && !is_ended_by_one) return {};
    const auto attempts = access.history().attempts_of(named.key());
    if (!attempts) return attempts.error();
    const Result<Json> limits = limits_of_task(session, access, named, *attempts);
    if (!limits) return limits.error();
    if (!limits->empty()) reasons.add("limits", resources_text(*limits));
    return {};
  }

  void explain_deferral(const TaskView& task, Reasons& reasons) const {
    const std::string_view run = task.child_run();
    if (run.empty()) {
      reasons.add("deferred", "looks again" + at_text(task));
      return;
    }
    const bool is_told = std::any_of(reasons.list.begin(), reasons.list.end(),
                                     [](const auto& reason) { return reason.first == "run"; });
    if (!is_told) reasons.add("run", "run " + std::string(short_name(run)));
  }

  static std::string with_error(std::string text, const TaskView& task) {
    const std::string error(task.error());
    // `when '…' was false` says it itself.
    if (error.empty() || error.starts_with(text + " ")) return error.empty() ? text : error;
    return text.empty() ? error : text + ": " + error;
  }

  std::string ended_text(const TaskRow& row) const {
    return row.ended_at ? " " + format_when(*row.ended_at, here_) : "";
  }

  /// ` at 14:02:10 (in 48s)`; empty when the row does not say.
  std::string at_text(const TaskView& task) const {
    if (!task.next_attempt_at) return {};
    const std::string local = format_local(*task.next_attempt_at, here_);
    return fmt::format(" at {} ({})", local.substr(local.find(' ') + 1),
                       format_when(*task.next_attempt_at, here_));
  }

  /// Of a mapped whole how long it has run; else of the attempt that runs.
  std::string running_text(const TaskView& task) const {
    if (task.last) {
      return fmt::format("for {}, attempt #{}", format_span(here_.now - task.last->started_at),
                         task.last->number);
    }
    const std::optional<WallTime>& since = task.row.started_at;
    return since ? "for " + format_span(here_.now - *since) : "it is being started";
  }

  std::string retry_text(const TaskView& task, const std::string& why) const {
    const std::string text =
        fmt::format("attempt {} of {}", task.row.counted + 1, task.max_attempts) + at_text(task);
    return why.empty() ? text : text + ", after " + why;
  }

  static Result<void> explain_upstreams(HistoryAccess& access, const Named& named, TaskState state,
                                        Reasons& reasons) {
    const bool known =
        std::any_of(reasons.list.begin(), reasons.list.end(), [](const auto& reason) {
          return reason.first == "upstream" || reason.first == "preparing";
        });
    if (known) return {};
    const Result<JobSpec> job = stored_job(access, named.run.version);
    if (!job) return job.error();
    const Result<std::vector<TaskView>> tasks = all_tasks(access, named.run, *job);
    if (!tasks) return tasks.error();
    if (named.task->value >= job->tasks.size()) return {};
    for (const Dependency& dependency : job->tasks[named.task->value].depends_on) {
      const auto found = std::find_if(tasks->begin(), tasks->end(), [&](const TaskView& other) {
        return other.row.key.task == dependency.task;
      });
      if (found == tasks->end()) continue;
      const TaskState upstream = found->row.state;
      const bool matters = state == TaskState::waiting
                               ? !is_final(upstream)
                               : upstream != TaskState::succeeded && upstream != TaskState::skipped;
      if (matters)
        reasons.add("upstream", fmt::format("{} ({})", found->task, to_string(upstream)));
    }
    return {};
  }

  void print(const Session& session, const Named& named, const TaskView& task,
             const std::string& state, const Reasons& reasons) const {
    if (output_.format == Format::name) {
      session.out.line(escape_for_terminal(
          named.task ? object_name(named.run.name, named.task_id, named.item) : named.run.name));
      return;
    }
    if (!output_.is_for_people()) {
      OrderedJson object = {
          {"run", named.run.name},
          {"task", named.task ? OrderedJson(named.task_id) : OrderedJson(nullptr)},
          {"index", named.item == kWhole ? OrderedJson(nullptr) : OrderedJson(named.item.value)},
          {"state", state}};
      object["reasons"] = OrderedJson::array();
      for (const auto& [kind, reason] : reasons.list) object["reasons"].push_back(reason);
      print_object(session.out, output_, object);
      return;
    }
    std::vector<const std::pair<std::string, OrderedJson>*> rest;
    for (const auto& reason : reasons.list) {
      if (reason.first == "no_scheduler" || reason.first == "scheduler_silent") {
        session.out.line(text_of(reason.second));
      } else {
        rest.push_back(&reason);
      }
    }
    session.out.line(escape_for_terminal(first_line(named, task, state, rest)));
    std::string last;
    for (const auto* reason : rest) {
      const std::string title = reason->first == last ? "" : title_of(reason->first);
      last = reason->first;
      session.out.line(
          escape_for_terminal(fmt::format("  {} {}", pad(title, 9), detail_of(reason->second))));
    }
  }

  /// Takes from `rest` what it says.
  std::string first_line(const Named& named, const TaskView& task, const std::string& state,
                         std::vector<const std::pair<std::string, OrderedJson>*>& rest) const {
    const auto take = [&rest](std::string_view kind) {
      std::string text;
      for (auto it = rest.begin(); it != rest.end();) {
        if ((*it)->first != kind) {
          ++it;
          continue;
        }
        text += (text.empty() ? "" : ", ") + text_of((*it)->second);
        it = rest.erase(it);
      }
      return text;
    };
    if (state == "waiting") {
      const std::string upstreams = take("upstream");
      if (!upstreams.empty()) return "waiting for " + upstreams;
    }
    if (state == "upstream_failed") {
      const std::string upstreams = take("upstream");
      return upstreams.empty() ? state : state + ": " + upstreams;
    }
    if (state == "deferred") {
      const std::string runs = take("run");
      if (!runs.empty()) return "deferred: waits for " + runs;
    }
    if (state == "running") {
      const std::string since = take("running");
      return (named.task ? "running" : "run running") + (since.empty() ? "" : " " + since);
    }
    std::string head = named.task ? state : "run " + state;
    const std::optional<WallTime> since = named.task ? task.row.queued_at : std::nullopt;
    if (state == "queued" && since) head += " for " + format_span(here_.now - *since);
    if (rest.empty()) return head;
    const std::string kind = rest.front()->first;
    std::string text = text_of(rest.front()->second);
    rest.erase(rest.begin());
    // `run queued: …` says it itself.
    if (text.starts_with(head)) return text;
    return text.empty() ? head : head + ": " + text;
  }

  static std::string title_of(const std::string& kind) {
    if (kind == "holder") return "held by";
    return kind;
  }

  static std::string detail_of(const OrderedJson& reason) {
    std::string text = text_of(reason);
    const auto number = reason.find("number");
    if (reason.value("kind", std::string()) == "holder" && number != reason.end()) {
      const std::size_t slash = text.find('/');
      if (slash != std::string::npos)
        text = std::string(short_name(text.substr(0, slash))) + text.substr(slash);
      text = pad(text, 16) + "  " + format_count(number->get<std::int64_t>());
    }
    return text;
  }

  std::string name_;
  OutputOptions output_;
  Here here_;
};

}  // namespace

std::unique_ptr<Verb> make_explain_verb() { return std::make_unique<ExplainVerb>(); }

}  // namespace pawl
