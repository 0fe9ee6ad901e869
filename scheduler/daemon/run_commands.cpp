#include "scheduler/daemon/run_commands.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

#include "scheduler/daemon/control.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/run_command.h"

namespace pawl {
namespace {

using nlohmann::json;

constexpr std::size_t kQueueMax = 1'000;
constexpr std::size_t kTargetsMax = 100'000;

void set_reply(auto& in, ReplyToken token) {
  if constexpr (requires { in.reply; }) in.reply = token;
}

json result_json(const std::string& run, const std::string& task,
                 std::optional<std::int64_t> index) {
  return {{"run", run},
          {"task", task.empty() ? json(nullptr) : json(task)},
          {"index", index ? json(*index) : json(nullptr)},
          {"ok", true},
          {"message", ""},
          {"new_run", nullptr}};
}

}  // namespace

RunCommands::RunCommands(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Replies& replies,
                         Submissions& submissions, Followers& followers,
                         std::function<void(RunId)> run_changed)
    : pump_(pump),
      writer_(writer),
      jobs_(jobs),
      replies_(replies),
      submissions_(submissions),
      followers_(followers),
      run_changed_(std::move(run_changed)),
      works_(loop) {}

RunCommands::~RunCommands() { *alive_ = false; }

Result<std::unique_ptr<RunCommands::Command>> RunCommands::read(const ControlRequest& request,
                                                                const Json& body) {
  auto command = std::make_unique<Command>();
  command->verb = text_of(body, "verb");
  command->options = body.value("options", json::object());
  if (!command->options.is_object()) command->options = json::object();
  command->actor = request.actor;
  command->request_id = text_of(body, "request_id");
  command->dry_run = flag_of(body, "dry_run");
  constexpr std::array<std::string_view, 7> kVerbs = {"cancel",  "resume", "rerun",  "mark",
                                                      "dismiss", "pause",  "unpause"};
  if (std::find(kVerbs.begin(), kVerbs.end(), command->verb) == kVerbs.end())
    return Error{ErrorKind::invalid, "there is no command '" + command->verb + "'"};
  const json targets = body.value("targets", json::array());
  if (!targets.is_array() || targets.empty())
    return Error{ErrorKind::invalid, "nothing is selected"};
  if (targets.size() > kTargetsMax) {
    return Error{ErrorKind::invalid,
                 "more than 100,000 targets at once. Select whole runs or tasks"};
  }
  for (const json& target : targets) {
    if (!target.is_object() || text_of(target, "run").empty())
      return Error{ErrorKind::invalid, "a target names no run"};
    Command::Named named{
        text_of(target, "run"), text_of(target, "task"), {}, flag_of(target, "itself")};
    if (auto it = target.find("index"); it != target.end() && it->is_number_integer())
      named.index = it->get<std::int64_t>();
    command->targets.push_back(std::move(named));
  }
  return command;
}

void RunCommands::handle(const ControlRequest& request, const Json& body, ControlAnswer answer) {
  auto command = read(request, body);
  if (!command) return refuse(answer, command.error());
  if (queue_.size() >= kQueueMax)
    return refuse(answer, {ErrorKind::refused, "too many commands wait. Try again in a moment"});
  (*command)->answer = std::move(answer);
  queue_.push_back(std::move(*command));
  run_next();
}

void RunCommands::run_next() {
  if (is_busy_ || queue_.empty()) return;
  is_busy_ = true;
  auto command = std::shared_ptr<Command>(std::move(queue_.front()));
  queue_.pop_front();
  load_rows(command);
}

void RunCommands::finish(Command& command, Result<Loaded> loaded, Json differences) {
  if (!loaded)
    refuse(command.answer, loaded.error());
  else if (command.dry_run)
    plan(command, std::move(*loaded), std::move(differences));
  else if (command.verb == "rerun")
    rerun(command, *loaded);
  else
    apply(command, std::move(*loaded));
  is_busy_ = false;
  run_next();
}

Result<std::vector<Target>> RunCommands::targets_of(const Command& command, const Loaded& loaded) {
  std::map<std::string, const LoadedRun*> runs;
  for (const LoadedRun& run : loaded) runs.emplace(run.row.name, &run);
  std::map<const JobSpec*, std::unordered_map<std::string_view, TaskIndex>> tasks;
  std::vector<Target> targets;
  for (const Command::Named& named : command.targets) {
    const LoadedRun& run = *runs.at(named.run);
    Target target{run.row.id, {}, {}, named.itself};
    if (!named.task.empty()) {
      const auto [known, is_new] = tasks.try_emplace(&*run.job);
      if (is_new) known->second = tasks_by_id(*run.job);
      const auto found = known->second.find(named.task);
      if (found == known->second.end()) {
        return Error{ErrorKind::not_found,
                     "run " + named.run + " has no task '" + named.task + "'"};
      }
      target.task = found->second;
      if (named.index) target.item = ItemIndex{*named.index};
    }
    targets.push_back(target);
  }
  return targets;
}

/// Once for each version, however many of its runs are meant.
void RunCommands::know(const Loaded& loaded) {
  std::set<VersionId> known;
  for (const LoadedRun& run : loaded) {
    if (known.insert(run.row.version).second) jobs_.know(run.row.version, run.job);
  }
}

namespace {

/// Why the engine refuses a target for its run's sake, and what would work; empty when it does not.
std::string objection_to(std::string_view verb, const RunRow& run, std::string_view task) {
  if ((verb == "cancel" || verb == "pause" || verb == "unpause") && is_final(run.state)) {
    const std::string name = run.name.substr(run.name.rfind('-') + 1);
    return "the run has ended: it is " + std::string(to_string(run.state)) + ". " +
           (run.state == RunState::succeeded
                ? "To make it anew: pawl rerun " + name
                : "It goes on with pawl resume " + name + ", and anew with pawl rerun " + name);
  }
  if (verb == "mark" && task.empty()) return "name a task: a run's state follows from its tasks";
  return {};
}

/// The same of an unpause, for what the engine knows of the run.
std::string objection_to_unpause(const Engine& engine, const RunRow& run) {
  if (run.state == RunState::paused || engine.is_dormant(run.id)) return {};
  return "is not paused; `pawl resume` repeats what failed";
}

/// The same of a pause.
std::string objection_to_pause(const Engine& engine, const RunRow& run) {
  if (!engine.is_stopping(run.id)) return {};
  return "is being stopped: what runs ends, and nothing more of it starts";
}

/// The same of a dismissal, for what is to be dismissed.
std::string objection_to_dismiss(const RunSnapshot& run, const Target& target) {
  const auto is_meant = [&](TaskIndex task) { return !target.task || *target.task == task; };
  const auto is_shown = [&](const TaskRow& row) {
    return (row.state == TaskState::failed || row.state == TaskState::held) && row.dismissed == 0;
  };
  bool is_any = !target.task && failed_by_itself(run.run) && !run.run.dismissed;
  if (!target.item) {
    for (const TaskRow& row : run.tasks)
      is_any = is_any || (is_meant(row.key.task) && is_shown(row));
  }
  for (const MappedSnapshot& part : run.mapped) {
    if (is_any || !is_meant(part.row.task)) continue;
    if (!target.item) {
      is_any = part.to_dismiss > 0;
      continue;
    }
    const auto row = std::lower_bound(
        part.final_items.begin(), part.final_items.end(), *target.item,
        [](const TaskRow& item, ItemIndex index) { return item.key.item < index; });
    is_any = row != part.final_items.end() && row->key.item == *target.item && is_shown(*row);
  }
  return is_any ? "" : "has nothing failed or held that is not dismissed already";
}

/// The same of a mark, for its task's sake: what runs is not decided by hand.
std::string objection_to_mark(const Engine& engine, const Target& target) {
  if (!target.task || !engine.has_run(target.run)) return {};
  const TaskView task = engine.task(target.run, *target.task);
  const bool is_item = target.item && target.item->value >= 0 && target.item->value < task.items;
  const TaskState state =
      is_item ? engine.item_state({target.run, *target.task, *target.item}) : task.state;
  if (is_final(state) || next(state, TaskEvent::mark_failed)) return {};
  return "is " + std::string(to_string(state)) + "; cancel it first";
}

/// A run that a command is about.
struct Meant {
  RunRow row;
  SharedJob job;
};

/// What became of one target.
json line_of(std::string_view verb, const Meant& run, const CommandResult& result) {
  const Target& target = result.target;
  const std::string task = target.task ? run.job->node(*target.task).id : std::string();
  std::optional<std::int64_t> index;
  if (target.item) index = target.item->value;
  json line = result_json(run.row.name, task, index);
  line["ok"] = result.ok;
  line["message"] = result.message;
  if (result.ok || !is_final(run.row.state)) return line;
  const std::string why = objection_to(verb, run.row, task);
  if (!why.empty()) line["message"] = why;
  return line;
}

}  // namespace

// Doing ------------------------------------------------------------------------------------------

/// Takes out the runs that do not go on with the definition that they were given. A result for each
/// target of theirs.
RunCommands::Json RunCommands::take_objections(Command& command, Loaded& loaded) {
  std::map<std::string, std::string> objections;
  for (LoadedRun& run : loaded) {
    if (!run.objection.empty()) objections.emplace(run.row.name, std::move(run.objection));
  }
  json results = json::array();
  for (const Command::Named& named : command.targets) {
    const auto objection = objections.find(named.run);
    if (objection == objections.end()) continue;
    json line = result_json(named.run, named.task, named.index);
    line["ok"] = false;
    line["message"] = objection->second;
    results.push_back(std::move(line));
  }
  const auto is_out = [&](const std::string& run) { return objections.contains(run); };
  std::erase_if(command.targets, [&](const auto& named) { return is_out(named.run); });
  std::erase_if(loaded, [&](const LoadedRun& run) { return is_out(run.row.name); });
  return results;
}

void RunCommands::apply(Command& command, Loaded loaded) {
  json refused = take_objections(command, loaded);
  if (command.targets.empty()) return command.answer(200, dump({{"results", std::move(refused)}}));
  auto targets = targets_of(command, loaded);
  if (!targets) return refuse(command.answer, targets.error());
  know(loaded);
  std::vector<RunSnapshot> snapshots;
  std::unordered_map<RunId, Meant> runs;
  for (LoadedRun& run : loaded) {
    runs.emplace(run.row.id, Meant{run.row, run.job});
    if (run.snapshot) snapshots.push_back(std::move(*run.snapshot));
    run_changed_(run.row.id);
    followers_.forget_ending(run.row.name);
  }
  auto input = input_of(command, std::move(*targets), std::move(snapshots));
  if (!input) return refuse(command.answer, input.error());
  const ReplyToken token =
      replies_.expect([answer = command.answer, runs = std::move(runs), verb = command.verb,
                       results = std::move(refused)](effect::Reply&& reply) mutable {
        // In the order of the engine, which may answer run by run.
        for (const CommandResult& result : reply.results)
          results.push_back(line_of(verb, runs.at(result.target.run), result));
        answer(200, dump({{"results", std::move(results)}}));
      });
  std::visit([&](auto& in) { set_reply(in, token); }, *input);
  pump_.feed(std::move(*input));
}

Result<Input> RunCommands::input_of(const Command& command, std::vector<Target> targets,
                                    std::vector<RunSnapshot> snapshots) {
  const json& options = command.options;
  const std::string& actor = command.actor;
  if (command.verb == "cancel")
    return Input(input::Cancel{std::move(targets), flag_of(options, "force"), actor, {}, {}});
  if (command.verb == "resume") {
    return Input(input::Resume{std::move(targets),
                               flag_of(options, "from"),
                               flag_of(options, "only"),
                               flag_of(options, "downstream"),
                               actor,
                               {},
                               std::move(snapshots)});
  }
  if (command.verb == "mark") {
    const auto state = task_state_from(text_of(options, "state"));
    const bool is_markable = state && (*state == TaskState::succeeded ||
                                       *state == TaskState::failed || *state == TaskState::skipped);
    if (!is_markable)
      return Error{ErrorKind::invalid, "a task is marked succeeded, failed or skipped"};
    return Input(input::Mark{std::move(targets), *state, actor, {}, std::move(snapshots)});
  }
  if (command.verb == "dismiss") {
    return Input(input::Dismiss{
        std::move(targets), text_of(options, "note"), actor, {}, std::move(snapshots)});
  }
  if (command.verb == "pause")
    return Input(input::Pause{std::move(targets), text_of(options, "note"), actor, {}});
  return Input(input::Unpause{std::move(targets), actor, {}});
}

/// New runs with the same parameters and logical time. The request id of the command and the run
/// that is repeated make theirs, so that a command asked again makes none twice.
void RunCommands::rerun(Command& command, const Loaded& loaded) {
  struct Together {
    json results = json::array();
    std::size_t open = 0;
    ControlAnswer answer;
  };
  auto together = std::make_shared<Together>();
  together->answer = command.answer;
  together->open = loaded.size();
  for (const LoadedRun& old : loaded) {
    RunRow row;
    row.job = old.row.job;
    row.version = old.row.version;
    row.params = old.row.params;
    row.trigger = Trigger::rerun;
    row.logical_time = old.row.logical_time;
    row.interval_start = old.row.interval_start;
    row.interval_end = old.row.interval_end;
    row.default_slots = old.row.default_slots;
    row.parent = old.row.id;
    if (!command.request_id.empty()) row.request_id = command.request_id + "/" + old.row.name;
    auto answer = [together, name = old.row.name](int status, const std::string& body) {
      json line = result_json(name, "", std::nullopt);
      const json made = json::parse(body, nullptr, false);
      if (status < 300 && made.is_object()) {
        line["new_run"] = made.value("run", "");
      } else {
        line["ok"] = false;
        line["message"] = error_from(status, body).message;
      }
      together->results.push_back(std::move(line));
      if (--together->open == 0)
        together->answer(200, dump({{"results", std::move(together->results)}}));
    };
    submissions_.submit(std::move(row), old.job, false, command.actor, json::array(),
                        std::move(answer));
  }
}

// Planning ---------------------------------------------------------------------------------------

void RunCommands::plan(Command& command, Loaded loaded, Json differences) {
  auto targets = targets_of(command, loaded);
  if (!targets) return refuse(command.answer, targets.error());
  json lines = json::array();
  const bool fits = std::any_of(loaded.begin(), loaded.end(),
                                [](const LoadedRun& run) { return run.objection.empty(); });
  if (command.verb == "resume") {
    lines = plan_of_resume(command, *targets, std::move(loaded));
  } else {
    std::map<std::string, const LoadedRun*> runs;
    for (const LoadedRun& run : loaded) runs.emplace(run.row.name, &run);
    for (std::size_t i = 0; i < command.targets.size(); ++i) {
      const Command::Named& named = command.targets[i];
      const LoadedRun& run = *runs.at(named.run);
      std::string objection = objection_to(command.verb, run.row, named.task);
      if (objection.empty() && command.verb == "mark")
        objection = objection_to_mark(pump_.engine(), (*targets)[i]);
      if (objection.empty() && command.verb == "pause")
        objection = objection_to_pause(pump_.engine(), run.row);
      if (objection.empty() && command.verb == "unpause")
        objection = objection_to_unpause(pump_.engine(), run.row);
      if (objection.empty() && command.verb == "dismiss" && run.snapshot)
        objection = objection_to_dismiss(*run.snapshot, (*targets)[i]);
      lines.push_back({{"run", named.run},
                       {"task", named.task.empty() ? json(nullptr) : json(named.task)},
                       {"items", named.index ? json(1) : json(nullptr)},
                       {"index", named.index ? json(*named.index) : json(nullptr)},
                       {"action", objection.empty() ? command.verb : "refused"},
                       {"text", objection}});
    }
  }
  json out = {{"plan", std::move(lines)}};
  if (command.redefines() && fits) out["definition"] = std::move(differences);
  command.answer(200, dump(out));
}

/// Of each run what would run again, or why nothing would: one that is refused holds up no other.
RunCommands::Json RunCommands::plan_of_resume(const Command& command,
                                              const std::vector<Target>& targets, Loaded loaded) {
  know(loaded);
  std::map<RunId, std::vector<Target>> of_run;
  for (const Target& target : targets) of_run[target.run].push_back(target);
  json lines = json::array();
  for (LoadedRun& run : loaded) {
    const auto add_line = [&](const char* action, const std::string& text) {
      lines.push_back({{"run", run.row.name},
                       {"task", nullptr},
                       {"items", nullptr},
                       {"action", action},
                       {"text", text}});
    };
    if (!run.objection.empty()) {
      add_line("refused", run.objection);
      continue;
    }
    input::Resume resume;
    resume.targets = std::move(of_run[run.row.id]);
    resume.from = flag_of(command.options, "from");
    resume.only = flag_of(command.options, "only");
    resume.downstream = flag_of(command.options, "downstream");
    if (run.snapshot) resume.loaded.push_back(std::move(*run.snapshot));
    const auto planned = pump_.engine().plan_resume(resume);
    if (!planned) {
      add_line("refused", planned.error().message);
      continue;
    }
    if (run.row.state == RunState::paused || pump_.engine().is_dormant(run.row.id))
      add_line("unpause", "what waits may start");
    for (const PlanLine& line : *planned) {
      lines.push_back(
          {{"run", run.row.name},
           {"task", run.job->node(line.task).id},
           {"items", line.items < 0 ? json(nullptr) : json(line.items)},
           {"action", line.action},
           {"text", line.action == "stale" ? "succeeded before; --downstream runs it again" : ""}});
    }
  }
  return lines;
}

}  // namespace pawl
