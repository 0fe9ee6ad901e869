#include "scheduler/daemon/run_commands.h"

#include <algorithm>
#include <array>

#include "scheduler/daemon/control.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/redefinition.h"

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

struct RunCommands::Command {
  struct Named {
    std::string run;
    std::string task;
    std::optional<std::int64_t> index;
  };
  std::string verb;
  std::vector<Named> targets;
  Json options;
  std::string actor;
  std::string request_id;
  bool dry_run = false;
  ControlAnswer answer;

  /// What must be known of runs that may have left memory.
  bool needs_snapshot() const { return verb == "resume" || verb == "mark" || verb == "dismiss"; }
  bool repeats_success() const {
    return flag_of(options, "from") || flag_of(options, "only") || flag_of(options, "downstream") ||
           verb == "mark";
  }
  bool names_items() const {
    return std::any_of(targets.begin(), targets.end(),
                       [](const Named& target) { return target.index.has_value(); });
  }
  bool redefines() const { return verb == "resume" && options.contains("definition"); }

  std::vector<std::string> runs() const {
    std::vector<std::string> names;
    for (const Named& target : targets) names.push_back(target.run);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
};

RunCommands::RunCommands(Pump& pump, Writer& writer, Jobs& jobs, Replies& replies,
                         Submissions& submissions, Followers& followers,
                         std::function<void(RunId)> run_changed)
    : pump_(pump),
      writer_(writer),
      jobs_(jobs),
      replies_(replies),
      submissions_(submissions),
      followers_(followers),
      run_changed_(std::move(run_changed)) {}

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
    Command::Named named{text_of(target, "run"), text_of(target, "task"), {}};
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
  load(*command, [this, command](Result<Loaded> loaded) { carry_out(command, std::move(loaded)); });
}

void RunCommands::carry_out(const std::shared_ptr<Command>& command, Result<Loaded> loaded) {
  if (loaded && command->redefines()) {
    auto redefined = redefine_runs(*loaded);
    if (!redefined) {
      loaded = redefined.error();
    } else {
      return store_next(command, std::make_shared<Loaded>(std::move(*loaded)),
                        std::make_shared<Redefined>(std::move(*redefined)));
    }
  }
  finish(*command, std::move(loaded), json::array());
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

// Loading ----------------------------------------------------------------------------------------

namespace {

/// A definition that a client hands in with a command.
Result<Definition> definition_of(const json& given, const ParseOptions& reading) {
  if (!reading.folder.starts_with('/'))
    return Error{ErrorKind::invalid, "`folder` is not an absolute path"};
  ParseResult parsed = parse_job(text_of(given, "text"), reading);
  if (parsed.ok) return Definition{canonical_job_text(parsed.text), std::move(parsed.job)};
  std::string message = "the job file has errors";
  for (const Diagnostic& d : parsed.diagnostics)
    message += "\n" + format_diagnostic(text_of(given, "file"), d);
  return Error{ErrorKind::invalid, message};
}

}  // namespace

/// One run with all that the command needs of it. On the writer's thread.
Result<RunCommands::LoadedRun> RunCommands::load_run(Store& store, const std::string& name,
                                                     bool with_snapshot,
                                                     const LoadOptions& options) {
  auto row = store.run_by_name(name);
  if (!row) return row.error();
  if (!*row) return Error{ErrorKind::not_found, "there is no run " + name};
  LoadedRun run;
  run.row = **row;
  auto version = store.version(run.row.version);
  if (!version) return version.error();
  if (!*version) return Error{ErrorKind::storage, "run " + name + " has lost its definition"};
  run.version = **version;
  auto job = read_definition(run.version);
  if (!job) return job.error();
  run.job = std::move(*job);
  if (!with_snapshot) return run;
  auto snapshot = store.load_run(run.row.id, options);
  if (!snapshot) return snapshot.error();
  run.snapshot = std::move(*snapshot);
  return run;
}

void RunCommands::load(const Command& command, std::function<void(Result<Loaded>)> done) {
  LoadOptions options;
  options.final_items = command.verb != "dismiss" || command.names_items();
  options.succeeded_items = command.repeats_success();
  options.to_dismiss = command.verb == "dismiss";
  std::map<std::string, VersionId> newest;
  if (command.redefines()) {
    for (const auto& [name, job] : jobs_.all()) newest.emplace(name, job.version);
  }
  json given = command.options.value("definition", json());
  ParseOptions reading = jobs_.reading(text_of(given, "folder"));
  pump_.flush();
  auto work = [alive = alive_, names = command.runs(), with_snapshot = command.needs_snapshot(),
               options, newest = std::move(newest), given = std::move(given),
               reading = std::move(reading), redefines = command.redefines(),
               done](Store& store) -> std::function<void()> {
    Loaded runs;
    std::optional<Error> error;
    for (const std::string& name : names) {
      auto run = load_run(store, name, with_snapshot, options);
      if (run && redefines) {
        if (auto found = load_newest(store, newest, given, reading, *run); !found)
          error = found.error();
      }
      if (!run) error = run.error();
      if (error) break;
      runs.push_back(std::move(*run));
    }
    auto loaded = std::make_shared<Result<Loaded>>(error ? Result<Loaded>(*error)
                                                         : Result<Loaded>(std::move(runs)));
    return [alive, done, loaded] {
      if (*alive) done(std::move(*loaded));
    };
  };
  if (!writer_.load(std::move(work))) done(Error{ErrorKind::storage, "the store is closed"});
}

/// The definition that the run shall go on with. On the writer's thread.
Result<void> RunCommands::load_newest(Store& store, const std::map<std::string, VersionId>& newest,
                                      const Json& given, const ParseOptions& reading,
                                      LoadedRun& run) {
  if (given.is_object()) {
    auto definition = definition_of(given, reading);
    if (!definition) return definition.error();
    if (definition->job.name != run.row.job) {
      return Error{ErrorKind::refused, "run " + run.row.name + " is of job " + run.row.job +
                                           ", not of " + definition->job.name};
    }
    run.newest = *std::move(definition);
    run.newest_folder = reading.folder;
    return {};
  }
  const auto found = newest.find(run.row.job);
  if (found == newest.end() || found->second.value == 0)
    return Error{ErrorKind::not_found, "job " + run.row.job + " is not known here any more"};
  auto version = store.version(found->second);
  if (!version) return version.error();
  if (!*version)
    return Error{ErrorKind::storage, "job " + run.row.job + " has lost its definition"};
  auto job = read_definition(**version);
  if (!job) return job.error();
  run.newest = Definition{(*version)->body, std::move(*job)};
  run.newest_folder = (*version)->folder;
  return {};
}

Result<std::vector<Target>> RunCommands::targets_of(const Command& command, const Loaded& loaded) {
  std::map<std::string, const LoadedRun*> runs;
  for (const LoadedRun& run : loaded) runs.emplace(run.row.name, &run);
  std::vector<Target> targets;
  for (const Command::Named& named : command.targets) {
    const LoadedRun& run = *runs.at(named.run);
    Target target{run.row.id, {}, {}};
    if (!named.task.empty()) {
      target.task = task_named(run.job, named.task);
      if (!target.task) {
        return Error{ErrorKind::not_found,
                     "run " + named.run + " has no task '" + named.task + "'"};
      }
      if (named.index) target.item = ItemIndex{*named.index};
    }
    targets.push_back(target);
  }
  return targets;
}

// Another definition -----------------------------------------------------------------------------

/// What is to be stored before the command itself.
Result<RunCommands::Redefined> RunCommands::redefine_runs(const Loaded& loaded) const {
  Redefined out;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    const LoadedRun& run = loaded[i];
    const std::string name = run.row.name;
    if (!run.snapshot || !is_final(run.row.state) || pump_.engine().has_run(run.row.id)) {
      return Error{ErrorKind::refused,
                   "run " + name +
                       " is open: its definition changes only between its end and a "
                       "resume. pawl cancel " +
                       name + " ends it; what was cancelled runs again"};
    }
    auto redefinition = redefine({run.version.body, run.job}, run.newest, *run.snapshot);
    if (!redefinition) return redefinition.error();
    for (const Redefinition::Line& line : redefinition->lines) {
      out.differences.push_back({{"run", name},
                                 {"task", line.task.empty() ? json(nullptr) : json(line.task)},
                                 {"change", to_string(line.change)},
                                 {"text", line.text}});
    }
    if (redefinition->is_same()) continue;
    ParseResult parsed = parse_job(redefinition->text, stored_options(run.newest_folder));
    if (!parsed.ok) {
      return Error{ErrorKind::refused, "the new definition does not fit the run: " +
                                           parsed.diagnostics.front().message +
                                           ". Make a new run: pawl trigger " + run.row.job};
    }
    out.runs.push_back({i, std::move(redefinition->text), std::move(parsed.job)});
  }
  return out;
}

/// Stores the definitions one after the other, then does what the command says.
void RunCommands::store_next(const std::shared_ptr<Command>& command,
                             const std::shared_ptr<Loaded>& loaded,
                             const std::shared_ptr<Redefined>& redefined) {
  if (redefined->runs.empty())
    return finish(*command, std::move(*loaded), std::move(redefined->differences));
  Redefined::Run next = std::move(redefined->runs.back());
  redefined->runs.pop_back();
  jobs_.version_of(next.text, next.job,
                   [this, alive = alive_, command, loaded, redefined, place = next.place,
                    job = next.job](Result<VersionId> version) mutable {
                     if (!*alive) return;
                     if (!version) return finish(*command, version.error(), json::array());
                     LoadedRun& run = (*loaded)[place];
                     run.row.version = run.snapshot->run.version = *version;
                     run.version.id = *version;
                     run.job = std::move(job);
                     store_next(command, loaded, redefined);
                   });
}

// Doing ------------------------------------------------------------------------------------------

void RunCommands::apply(Command& command, Loaded loaded) {
  auto targets = targets_of(command, loaded);
  if (!targets) return refuse(command.answer, targets.error());
  std::vector<RunSnapshot> snapshots;
  for (LoadedRun& run : loaded) {
    jobs_.know(run.version, run.job);
    if (run.snapshot) snapshots.push_back(std::move(*run.snapshot));
    run_changed_(run.row.id);
    followers_.forget_ending(run.row.name);
  }
  // The engine answers run by run: keep the targets in that order, so that lines meet their names.
  std::vector<Command::Named> named = command.targets;
  if (command.verb == "resume") {
    std::stable_sort(named.begin(), named.end(),
                     [](const auto& a, const auto& b) { return a.run < b.run; });
  }
  auto input = input_of(command, std::move(*targets), std::move(snapshots));
  if (!input) return refuse(command.answer, input.error());
  const ReplyToken token =
      replies_.expect([answer = command.answer, named = std::move(named)](effect::Reply&& reply) {
        json results = json::array();
        for (std::size_t i = 0; i < reply.results.size() && i < named.size(); ++i) {
          json line = result_json(named[i].run, named[i].task, named[i].index);
          line["ok"] = reply.results[i].ok;
          line["message"] = reply.results[i].message;
          results.push_back(std::move(line));
        }
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
    jobs_.know(old.version, old.job);
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
    submissions_.submit(std::move(row), false, command.actor, json::array(), std::move(answer));
  }
}

// Planning ---------------------------------------------------------------------------------------

namespace {

/// What the engine would say to a target for its run's sake; empty when nothing.
std::string objection_to(std::string_view verb, RunState state, std::string_view task) {
  if (verb == "cancel" && is_final(state)) return "the run has ended";
  if (verb == "mark" && task.empty()) return "name a task: a run's state follows from its tasks";
  return {};
}

}  // namespace

void RunCommands::plan(Command& command, Loaded loaded, Json differences) {
  auto targets = targets_of(command, loaded);
  if (!targets) return refuse(command.answer, targets.error());
  json lines = json::array();
  if (command.verb == "resume") {
    auto planned = plan_of_resume(command, std::move(*targets), std::move(loaded));
    if (!planned) return refuse(command.answer, planned.error());
    lines = std::move(*planned);
  } else {
    std::map<std::string, RunState> states;
    for (const LoadedRun& run : loaded) states.emplace(run.row.name, run.row.state);
    for (const Command::Named& named : command.targets) {
      const std::string objection = objection_to(command.verb, states.at(named.run), named.task);
      lines.push_back({{"run", named.run},
                       {"task", named.task.empty() ? json(nullptr) : json(named.task)},
                       {"items", named.index ? json(1) : json(nullptr)},
                       {"index", named.index ? json(*named.index) : json(nullptr)},
                       {"action", objection.empty() ? command.verb : "refused"},
                       {"text", objection}});
    }
  }
  json out = {{"plan", std::move(lines)}};
  if (command.redefines()) out["definition"] = std::move(differences);
  command.answer(200, dump(out));
}

Result<RunCommands::Json> RunCommands::plan_of_resume(const Command& command,
                                                      std::vector<Target> targets, Loaded loaded) {
  input::Resume resume;
  resume.targets = std::move(targets);
  resume.from = flag_of(command.options, "from");
  resume.only = flag_of(command.options, "only");
  resume.downstream = flag_of(command.options, "downstream");
  std::map<RunId, std::pair<std::string, JobSpec>> runs;
  for (LoadedRun& run : loaded) {
    jobs_.know(run.version, run.job);
    runs.emplace(run.row.id, std::pair(run.row.name, std::move(run.job)));
    if (run.snapshot) resume.loaded.push_back(std::move(*run.snapshot));
  }
  auto planned = pump_.engine().plan_resume(resume);
  if (!planned) return planned.error();
  json lines = json::array();
  for (const PlanLine& line : *planned) {
    const auto& [name, job] = runs.at(line.run);
    lines.push_back(
        {{"run", name},
         {"task", job.node(line.task).id},
         {"items", line.items < 0 ? json(nullptr) : json(line.items)},
         {"action", line.action},
         {"text", line.action == "stale" ? "succeeded before; --downstream runs it again" : ""}});
  }
  return lines;
}

}  // namespace pawl
