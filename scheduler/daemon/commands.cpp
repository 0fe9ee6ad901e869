#include "scheduler/daemon/commands.h"

#include <algorithm>
#include <charconv>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/daemon/run_json.h"
#include "scheduler/loop/clock.h"
#include "scheduler/spec/parse.h"

namespace pawl {
namespace {

using nlohmann::json;

// Whoever follows is told at most so often: a busy run changes thousands of times a second.
constexpr Duration kTellEvery = std::chrono::milliseconds(50);
constexpr Duration kFollowMax = std::chrono::seconds(60);
constexpr std::size_t kFollowersMax = 1'000;
constexpr std::size_t kEndedMax = 64;
constexpr std::size_t kQueueMax = 1'000;
constexpr std::size_t kTargetsMax = 100'000;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void refuse(const ControlAnswer& answer, Error error) {
  answer(http_status(error.kind), error_body(error));
}

std::string text_of(const json& body, const char* key) {
  auto it = body.find(key);
  return it != body.end() && it->is_string() ? it->get<std::string>() : std::string();
}

bool flag_of(const json& body, const char* key) {
  auto it = body.find(key);
  return it != body.end() && it->is_boolean() && it->get<bool>();
}

std::int64_t number_of(const std::map<std::string, std::string>& query, const std::string& key,
                       std::int64_t otherwise) {
  auto it = query.find(key);
  if (it == query.end()) return otherwise;
  std::int64_t value = otherwise;
  std::from_chars(it->second.data(), it->second.data() + it->second.size(), value);
  return value;
}

json diagnostics_json(const std::vector<Diagnostic>& diagnostics) {
  json out = json::array();
  for (const Diagnostic& d : diagnostics) {
    out.push_back({{"severity", d.severity == Diagnostic::Severity::error ? "error" : "warning"},
                   {"line", d.line},
                   {"column", d.column},
                   {"pointer", d.pointer},
                   {"message", d.message}});
  }
  return out;
}

std::optional<TaskIndex> task_named(const JobSpec& job, const std::string& id) {
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    if (job.tasks[i].id == id) return TaskIndex{i};
  }
  return std::nullopt;
}

}  // namespace

struct Commands::Command {
  struct Named {
    std::string run;
    std::string task;
    std::optional<std::int64_t> index;
  };
  std::string verb;
  std::vector<Named> targets;
  Json options;
  std::string actor;
  bool dry_run = false;
  ControlAnswer answer;

  /// What must be known of runs that may have left memory.
  bool needs_snapshot() const { return verb == "resume" || verb == "mark" || verb == "dismiss"; }
  bool repeats_success() const {
    return flag_of(options, "from") || flag_of(options, "only") || flag_of(options, "downstream") ||
           verb == "mark";
  }
};

Commands::Commands(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Epoch epoch,
                   ServiceHooks hooks)
    : loop_(loop),
      pump_(pump),
      writer_(writer),
      jobs_(jobs),
      hooks_(std::move(hooks)),
      first_version_(static_cast<std::uint64_t>(epoch.value) << 32),
      tell_timer_(loop, [this] { tell_followers(); }) {}

Commands::~Commands() { *alive_ = false; }

void Commands::handle(ControlRequest request, ControlAnswer answer) {
  const std::string route = request.method + " " + request.path;
  if (request.method == "GET") {
    constexpr std::string_view kRuns = "/v1/runs/";
    constexpr std::string_view kFollow = "/follow";
    if (request.path.starts_with(kRuns) && request.path.ends_with(kFollow) &&
        request.path.size() > kRuns.size() + kFollow.size()) {
      const std::string run =
          request.path.substr(kRuns.size(), request.path.size() - kRuns.size() - kFollow.size());
      return follow(run, request, std::move(answer));
    }
    if (request.path == "/v1/status") return answer(200, dump(hooks_.status()));
    if (request.path == "/v1/pools") return answer(200, dump(pools_json(pump_.engine())));
    if (request.path == "/v1/explain") return explain(request, std::move(answer));
  } else if (request.method == "POST") {
    json body = request.body.empty() ? json::object() : json::parse(request.body, nullptr, false);
    if (!body.is_object())
      return refuse(answer, {ErrorKind::invalid, "the body is not a JSON object"});
    if (request.path == "/v1/hand_over" || request.path == "/v1/reload") {
      const Result<void> done = request.path == "/v1/reload" ? hooks_.reload() : hooks_.hand_over();
      return done ? answer(200, "{}") : refuse(answer, done.error());
    }
    if (hooks_.storage_full()) {
      return refuse(answer, {ErrorKind::storage,
                             "the disk is full: nothing new is accepted, what runs goes on. Make "
                             "room; it goes on by itself"});
    }
    if (request.path == "/v1/runs") return submit_file(request, body, std::move(answer));
    if (request.path == "/v1/trigger") return trigger(request, body, std::move(answer));
    if (request.path == "/v1/commands") return command(request, body, std::move(answer));
    if (request.path == "/v1/prune") {
      std::optional<Duration> older_than;
      if (auto it = body.find("older_than_ms"); it != body.end() && it->is_number_integer())
        older_than = Duration(it->get<std::int64_t>());
      if (older_than && *older_than < Duration{0})
        return refuse(answer, {ErrorKind::invalid, "a duration is not negative"});
      return hooks_.prune(older_than, [answer](Result<std::int64_t> runs) {
        if (!runs) return refuse(answer, runs.error());
        answer(200, dump({{"runs", *runs}}));
      });
    }
    constexpr std::string_view kJobs = "/v1/jobs/";
    for (const bool pause : {true, false}) {
      const std::string_view end = pause ? "/pause" : "/unpause";
      if (request.path.starts_with(kJobs) && request.path.ends_with(end) &&
          request.path.size() > kJobs.size() + end.size()) {
        return pause_job(
            request.path.substr(kJobs.size(), request.path.size() - kJobs.size() - end.size()),
            pause, body, std::move(answer));
      }
    }
  }
  refuse(answer,
         {ErrorKind::not_found,
          "there is no " + route + ". Is the scheduler of an older version? See pawl status"});
}

// Making runs ------------------------------------------------------------------------------------

void Commands::submit_file(const ControlRequest& request, const Json& body, ControlAnswer answer) {
  struct Parsed {
    ParseResult result;
  };
  auto parsed = std::make_shared<Parsed>();
  const auto text = std::make_shared<const std::string>(text_of(body, "text"));
  const std::string folder = text_of(body, "folder");
  if (!folder.starts_with('/'))
    return refuse(answer, {ErrorKind::invalid, "`folder` is not an absolute path"});

  auto proceed = [this, parsed, text, body, folder, actor = request.actor, answer] {
    ParseResult& result = parsed->result;
    if (!result.ok) {
      std::string message = "the job file has errors";
      for (const Diagnostic& d : result.diagnostics) {
        message += "\n" + format_diagnostic(text_of(body, "file"), d);
      }
      return refuse(answer, {ErrorKind::invalid, message});
    }
    const std::vector<std::string> missing = not_yet_available(result.job);
    if (!missing.empty()) {
      std::string message = "this job cannot run";
      for (const std::string& line : missing) message += "\n  " + line;
      return refuse(answer, {ErrorKind::refused, message});
    }
    const json params = body.value("params", json::object());
    auto resolved = resolve_params(result.job, dump(params));
    if (!resolved) return refuse(answer, resolved.error());
    RunRow row;
    row.job = result.job.name;
    row.params = *resolved;
    row.request_id = text_of(body, "request_id");
    row.logical_time = wall_now();
    if (auto it = body.find("concurrency"); it != body.end() && it->is_number_integer()) {
      row.default_slots = it->get<std::int64_t>();
      if (row.default_slots < 1 || row.default_slots > hooks_.slots_max) {
        return refuse(answer, {ErrorKind::invalid,
                               "concurrency must be from 1 to " + std::to_string(hooks_.slots_max) +
                                   ": each slot needs descriptors (ulimit -Hn)"});
      }
    }
    jobs_.version_of(*text, result.job,
                     [this, row, actor, answer, diagnostics = diagnostics_json(result.diagnostics)](
                         Result<VersionId> version) mutable {
                       if (!version) return refuse(answer, version.error());
                       row.version = *version;
                       // Known by name from now on, so that it can be triggered again.
                       JobRow job;
                       if (const JobRow* known = jobs_.find(row.job)) job = *known;
                       if (job.name.empty() || job.file.empty()) {
                         job.name = row.job;
                         job.version = *version;
                         if (!job.first_loaded_at) job.first_loaded_at = wall_now();
                         jobs_.set(std::move(job));
                       }
                       submit(std::move(row), false, std::move(actor), std::move(diagnostics),
                              std::move(answer));
                     });
  };

  std::erase_if(works_, [](const auto& w) { return !w->busy(); });
  works_.push_back(std::make_unique<Work>(loop_));
  works_.back()->start(
      [parsed, text, folder] {
        parsed->result = parse_job(*text, ParseOptions{folder, {"default"}, {}});
      },
      [alive = alive_, proceed] {
        if (*alive) proceed();
      });
}

void Commands::trigger(const ControlRequest& request, const Json& body, ControlAnswer answer) {
  const std::string name = text_of(body, "job");
  const JobRow* job = jobs_.find(name);
  if (job == nullptr || job->version.value == 0) {
    return refuse(answer,
                  {ErrorKind::not_found,
                   "there is no job '" + name +
                       "' here. `pawl jobs` lists those there are; `pawl run FILE` runs a file"});
  }
  RunRow row;
  row.job = name;
  row.version = job->version;
  row.request_id = text_of(body, "request_id");
  row.logical_time = wall_now();
  for (const auto& [key, into] : {std::pair{"for", &row.logical_time}}) {
    const std::string given = text_of(body, key);
    if (given.empty()) continue;
    const auto time = parse_utc(given);
    if (!time)
      return refuse(answer,
                    {ErrorKind::invalid, std::string("`") + key + "` is no time: " + given});
    *into = *time;
  }
  if (const std::string at = text_of(body, "at"); !at.empty()) {
    row.start_at = parse_utc(at);
    if (!row.start_at) return refuse(answer, {ErrorKind::invalid, "`at` is no time: " + at});
  }
  const bool force = flag_of(body, "force");
  const json params = body.value("params", json::object());
  auto proceed = [this, row, force, params, body, actor = request.actor,
                  answer](std::optional<JobVersionRow> version) mutable {
    if (version) {
      if (auto known = jobs_.know(*version); !known) return refuse(answer, known.error());
    }
    // The engine has the definition; parameters are checked against it where it is parsed.
    ParseResult parsed = parse_job(version ? version->body : std::string(),
                                   ParseOptions{version ? version->folder : "/", {"default"}, {}});
    if (!parsed.ok)
      return refuse(
          answer, {ErrorKind::invalid, "the stored definition of " + row.job + " cannot be read"});
    if (const auto missing = not_yet_available(parsed.job); !missing.empty()) {
      std::string message = "this job cannot run";
      for (const std::string& line : missing) message += "\n  " + line;
      return refuse(answer, {ErrorKind::refused, message});
    }
    json given = params;
    if (auto texts = body.find("param_texts"); texts != body.end() && texts->is_object()) {
      for (const auto& [key, value] : texts->items()) {
        if (!value.is_string()) continue;
        auto converted = param_from_text(parsed.job, key, value.get<std::string>());
        if (!converted) return refuse(answer, converted.error());
        given[key] = json::parse(*converted, nullptr, false);
      }
    }
    auto resolved = resolve_params(parsed.job, dump(given));
    if (!resolved) return refuse(answer, resolved.error());
    row.params = *resolved;
    submit(std::move(row), force, std::move(actor), json::array(), std::move(answer));
  };
  pump_.flush();
  writer_.load(
      [id = job->version, proceed, alive = alive_](Store& store) mutable -> std::function<void()> {
        auto version = store.version(id);
        return [proceed, alive, version = std::move(version)]() mutable {
          if (*alive) proceed(version ? *version : std::nullopt);
        };
      });
}

void Commands::answer_existing(const RunRow& known, const RunRow& asked, ControlAnswer& answer) {
  if (known.job != asked.job ||
      json::parse(known.params, nullptr, false) != json::parse(asked.params, nullptr, false)) {
    return refuse(answer,
                  {ErrorKind::refused, "the request id '" + asked.request_id + "' belongs to run " +
                                           known.name + " of job " + known.job +
                                           " with other parameters. Use another id"});
  }
  answer(200, dump({{"run", known.name},
                    {"job", known.job},
                    {"created", false},
                    {"diagnostics", json::array()}}));
}

void Commands::submit(RunRow row, bool force, std::string actor, Json diagnostics,
                      ControlAnswer answer) {
  auto make = [this, force, actor = std::move(actor), diagnostics = std::move(diagnostics)](
                  RunRow run, ControlAnswer to) mutable {
    const std::uint64_t token = next_token_++;
    replies_[token] = [to, job = run.job,
                       diagnostics = std::move(diagnostics)](effect::Reply&& reply) {
      if (!reply.status) return refuse(to, reply.status.error());
      to(reply.created ? 201 : 200, dump({{"run", reply.run_name},
                                          {"job", job},
                                          {"created", reply.created},
                                          {"diagnostics", diagnostics}}));
    };
    pump_.feed(input::Submit{std::move(run), force, std::move(actor), ReplyToken{token}});
  };
  if (row.request_id.empty()) return make(std::move(row), std::move(answer));
  if (auto id = pump_.engine().run_of_request(row.request_id)) {
    if (const RunRow* known = pump_.engine().run(*id)) return answer_existing(*known, row, answer);
  }
  pump_.flush();
  writer_.load(
      [this, alive = alive_, row, make, answer](Store& store) mutable -> std::function<void()> {
        auto known = store.run_by_request(row.request_id);
        return [this, alive, row = std::move(row), make = std::move(make),
                answer = std::move(answer), known = std::move(known)]() mutable {
          if (!*alive) return;
          if (!known) return refuse(answer, known.error());
          if (*known) return answer_existing(**known, row, answer);
          make(std::move(row), std::move(answer));
        };
      });
}

// Commands ---------------------------------------------------------------------------------------

void Commands::command(const ControlRequest& request, const Json& body, ControlAnswer answer) {
  auto cmd = std::make_unique<Command>();
  cmd->verb = text_of(body, "verb");
  cmd->options = body.value("options", json::object());
  if (!cmd->options.is_object()) cmd->options = json::object();
  cmd->actor = request.actor;
  cmd->dry_run = flag_of(body, "dry_run");
  cmd->answer = std::move(answer);
  constexpr std::array<std::string_view, 7> kVerbs = {"cancel",  "resume", "rerun",  "mark",
                                                      "dismiss", "pause",  "unpause"};
  if (std::find(kVerbs.begin(), kVerbs.end(), cmd->verb) == kVerbs.end()) {
    return refuse(cmd->answer, {ErrorKind::invalid, "there is no command '" + cmd->verb + "'"});
  }
  const json targets = body.value("targets", json::array());
  if (!targets.is_array() || targets.empty())
    return refuse(cmd->answer, {ErrorKind::invalid, "nothing is selected"});
  if (targets.size() > kTargetsMax)
    return refuse(cmd->answer, {ErrorKind::invalid,
                                "more than 100,000 targets at once. Select whole runs or tasks"});
  for (const json& target : targets) {
    if (!target.is_object() || text_of(target, "run").empty())
      return refuse(cmd->answer, {ErrorKind::invalid, "a target names no run"});
    Command::Named named{text_of(target, "run"), text_of(target, "task"), {}};
    if (auto it = target.find("index"); it != target.end() && it->is_number_integer())
      named.index = it->get<std::int64_t>();
    cmd->targets.push_back(std::move(named));
  }
  if (queue_.size() >= kQueueMax)
    return refuse(cmd->answer,
                  {ErrorKind::refused, "too many commands wait. Try again in a moment"});
  queue_.push_back(std::move(cmd));
  run_next();
}

/// One after the other: a snapshot that a command is handed must not be older than what the command
/// before it did.
void Commands::run_next() {
  if (is_busy_ || queue_.empty()) return;
  is_busy_ = true;
  auto cmd = std::shared_ptr<Command>(std::move(queue_.front()));
  queue_.pop_front();
  load(*cmd, [this, cmd](Load loaded) {
    if (loaded.error)
      refuse(cmd->answer, *loaded.error);
    else if (cmd->verb == "rerun" && !cmd->dry_run)
      rerun(*cmd, std::move(loaded));
    else if (cmd->dry_run)
      plan(*cmd, std::move(loaded));
    else
      apply(*cmd, std::move(loaded));
    is_busy_ = false;
    run_next();
  });
}

void Commands::load(const Command& command, std::function<void(Load)> done) {
  std::vector<std::string> names;
  for (const Command::Named& target : command.targets) names.push_back(target.run);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  pump_.flush();
  const bool wants_snapshot = command.needs_snapshot();
  LoadOptions options;
  options.final_items = true;
  options.succeeded_items = command.repeats_success();
  const bool is_queued = writer_.load([alive = alive_, names, wants_snapshot, options,
                                       done](Store& store) -> std::function<void()> {
    Load out;
    for (const std::string& name : names) {
      auto row = store.run_by_name(name);
      if (!row) {
        out.error = row.error();
        break;
      }
      if (!*row) {
        out.error = Error{ErrorKind::not_found, "there is no run " + name};
        break;
      }
      LoadedRun loaded{**row, {}, {}};
      auto version = store.version(loaded.row.version);
      if (version) loaded.version = *version;
      if (wants_snapshot) {
        auto snapshot = store.load_run(loaded.row.id, options);
        if (!snapshot) {
          out.error = snapshot.error();
          break;
        }
        loaded.snapshot = std::move(*snapshot);
      }
      out.runs.push_back(std::move(loaded));
    }
    return [alive, done, out = std::make_shared<Load>(std::move(out))] {
      if (*alive) done(std::move(*out));
    };
  });
  if (!is_queued) {
    Load closed;
    closed.error = Error{ErrorKind::storage, "the store is closed"};
    done(std::move(closed));
  }
}

Result<std::vector<Target>> Commands::targets_of(const Command& command, const Load& loaded) {
  std::vector<Target> targets;
  std::map<std::string, std::pair<RunId, JobSpec>> parsed;
  for (const LoadedRun& run : loaded.runs) {
    JobSpec job;
    if (run.version) {
      if (auto known = jobs_.know(*run.version); !known) return known.error();
      job = parse_job(run.version->body, ParseOptions{run.version->folder, {"default"}, {}}).job;
    }
    parsed.emplace(run.row.name, std::pair(run.row.id, std::move(job)));
  }
  for (const Command::Named& named : command.targets) {
    const auto& [id, job] = parsed.at(named.run);
    Target target{id, {}, {}};
    if (!named.task.empty()) {
      target.task = task_named(job, named.task);
      if (!target.task)
        return Error{ErrorKind::not_found,
                     "run " + named.run + " has no task '" + named.task + "'"};
      if (named.index) target.item = ItemIndex{*named.index};
    }
    targets.push_back(target);
  }
  return targets;
}

void Commands::apply(Command& command, Load loaded) {
  auto targets = targets_of(command, loaded);
  if (!targets) return refuse(command.answer, targets.error());
  std::vector<RunSnapshot> snapshots;
  for (LoadedRun& run : loaded.runs) {
    if (run.snapshot) snapshots.push_back(std::move(*run.snapshot));
    hooks_.run_changed(run.row.id);
    // It may be opened again: what was its last word is not any more.
    std::erase_if(ended_, [&](const auto& e) { return e.first == run.row.name; });
  }
  const std::uint64_t token = next_token_++;
  replies_[token] = [answer = command.answer, named = command.targets](effect::Reply&& reply) {
    json results = json::array();
    for (std::size_t i = 0; i < reply.results.size(); ++i) {
      const CommandResult& result = reply.results[i];
      json line = {{"run", nullptr},  {"task", nullptr},           {"index", nullptr},
                   {"ok", result.ok}, {"message", result.message}, {"new_run", nullptr}};
      if (i < named.size()) {
        line["run"] = named[i].run;
        if (!named[i].task.empty()) line["task"] = named[i].task;
        if (named[i].index) line["index"] = *named[i].index;
      }
      results.push_back(std::move(line));
    }
    answer(200, dump({{"results", std::move(results)}}));
  };
  const ReplyToken reply{token};
  const json& options = command.options;
  // The engine answers run by run: keep the targets in that order, so that lines meet their names.
  if (command.verb == "resume") {
    std::stable_sort(command.targets.begin(), command.targets.end(),
                     [](const auto& a, const auto& b) { return a.run < b.run; });
  }
  if (command.verb == "cancel") {
    pump_.feed(
        input::Cancel{std::move(*targets), flag_of(options, "force"), command.actor, reply, {}});
  } else if (command.verb == "resume") {
    pump_.feed(input::Resume{std::move(*targets), flag_of(options, "from"),
                             flag_of(options, "only"), flag_of(options, "downstream"),
                             command.actor, reply, std::move(snapshots)});
  } else if (command.verb == "mark") {
    const auto state = task_state_from(text_of(options, "state"));
    const bool is_markable = state && (*state == TaskState::succeeded ||
                                       *state == TaskState::failed || *state == TaskState::skipped);
    if (!is_markable) {
      replies_.erase(token);
      return refuse(command.answer,
                    {ErrorKind::invalid, "a task is marked succeeded, failed or skipped"});
    }
    pump_.feed(
        input::Mark{std::move(*targets), *state, command.actor, reply, std::move(snapshots)});
  } else if (command.verb == "dismiss") {
    pump_.feed(input::Dismiss{std::move(*targets), text_of(options, "note"), command.actor, reply,
                              std::move(snapshots)});
  } else if (command.verb == "pause") {
    pump_.feed(input::Pause{std::move(*targets), text_of(options, "note"), command.actor, reply});
  } else {
    pump_.feed(input::Unpause{std::move(*targets), command.actor, reply});
  }
}

void Commands::plan(Command& command, Load loaded) {
  auto targets = targets_of(command, loaded);
  if (!targets) return refuse(command.answer, targets.error());
  json lines = json::array();
  if (command.verb == "resume") {
    input::Resume resume;
    resume.targets = std::move(*targets);
    resume.from = flag_of(command.options, "from");
    resume.only = flag_of(command.options, "only");
    resume.downstream = flag_of(command.options, "downstream");
    std::map<RunId, std::string> names;
    std::map<RunId, JobSpec> jobs;
    for (LoadedRun& run : loaded.runs) {
      names[run.row.id] = run.row.name;
      if (run.version)
        jobs[run.row.id] =
            parse_job(run.version->body, ParseOptions{run.version->folder, {"default"}, {}}).job;
      if (run.snapshot) resume.loaded.push_back(std::move(*run.snapshot));
    }
    auto planned = pump_.engine().plan_resume(resume);
    if (!planned) return refuse(command.answer, planned.error());
    for (const PlanLine& line : *planned) {
      lines.push_back(
          {{"run", names[line.run]},
           {"task", jobs[line.run].tasks[line.task.value].id},
           {"items", line.items < 0 ? json(nullptr) : json(line.items)},
           {"action", line.action},
           {"text", line.action == "stale" ? "succeeded before; --downstream runs it again" : ""}});
    }
  } else {
    for (const Command::Named& named : command.targets) {
      lines.push_back({{"run", named.run},
                       {"task", named.task.empty() ? json(nullptr) : json(named.task)},
                       {"items", named.index ? json(1) : json(nullptr)},
                       {"index", named.index ? json(*named.index) : json(nullptr)},
                       {"action", command.verb},
                       {"text", ""}});
    }
  }
  command.answer(200, dump({{"plan", std::move(lines)}}));
}

void Commands::rerun(Command& command, Load loaded) {
  struct Together {
    json results = json::array();
    std::size_t open = 0;
    ControlAnswer answer;
  };
  auto together = std::make_shared<Together>();
  together->answer = command.answer;
  together->open = loaded.runs.size();
  for (const LoadedRun& run : loaded.runs) {
    if (run.version) {
      if (auto known = jobs_.know(*run.version); !known)
        return refuse(command.answer, known.error());
    }
  }
  for (const LoadedRun& old : loaded.runs) {
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
    const std::uint64_t token = next_token_++;
    replies_[token] = [together, name = old.row.name](effect::Reply&& reply) {
      together->results.push_back({{"run", name},
                                   {"task", nullptr},
                                   {"index", nullptr},
                                   {"ok", true},
                                   {"message", ""},
                                   {"new_run", reply.run_name}});
      if (--together->open == 0)
        together->answer(200, dump({{"results", std::move(together->results)}}));
    };
    pump_.feed(input::Submit{std::move(row), false, command.actor, ReplyToken{token}});
  }
}

void Commands::on(effect::Reply&& reply) {
  auto it = replies_.find(reply.token.value);
  if (it == replies_.end()) return;
  auto answer = std::move(it->second);
  replies_.erase(it);
  answer(std::move(reply));
}

void Commands::pause_job(const std::string& name, bool pause, const Json& body,
                         ControlAnswer answer) {
  const JobRow* known = jobs_.find(name);
  if (known == nullptr)
    return refuse(answer, {ErrorKind::not_found,
                           "there is no job '" + name + "'. `pawl jobs` lists those there are"});
  JobRow row = *known;
  row.paused = pause;
  row.pause_note = pause ? text_of(body, "note") : "";
  jobs_.set(std::move(row));
  pump_.write({}, [answer, name, pause] { answer(200, dump({{"job", name}, {"paused", pause}})); });
}

// Reading ----------------------------------------------------------------------------------------

std::optional<RunId> Commands::open_run(const std::string& name) const {
  for (RunId id : pump_.engine().runs()) {
    if (pump_.engine().run(id)->name == name) return id;
  }
  return std::nullopt;
}

Commands::Json Commands::progress(RunId run, bool ended) const {
  const Engine& engine = pump_.engine();
  json out = progress_json(*engine.view(run), *engine.job_of(run), wall_now());
  auto version = versions_.find(run);
  out["version"] = first_version_ + (version == versions_.end() ? 1 : version->second);
  out["ended"] = ended;
  out["scheduler_pid"] = own_identity().pid;
  return out;
}

void Commands::follow(const std::string& run, const ControlRequest& request, ControlAnswer answer) {
  for (const auto& [name, last] : ended_) {
    if (name == run) return answer(200, last);
  }
  const auto id = open_run(run);
  if (!id) return follow_stored(run, std::move(answer));
  const auto known = static_cast<std::uint64_t>(number_of(request.query, "version", 0));
  const bool is_final_run =
      is_final(pump_.engine().run(*id)->state);  // its last word comes once durable
  auto version = versions_.find(*id);
  const std::uint64_t now = first_version_ + (version == versions_.end() ? 1 : version->second);
  // Who asks for the first time is told at once; who has just been told waits for the next turn of
  // telling, or a busy run would spend its time on being watched.
  if (!is_final_run && known < first_version_) return answer(200, dump(progress(*id, false)));
  if (followers_.size() >= kFollowersMax)
    return refuse(answer,
                  {ErrorKind::refused, "too many clients follow runs. Try again in a moment"});
  const Duration wait =
      std::clamp(Duration(number_of(request.query, "timeout_ms", 10'000)), Duration{0}, kFollowMax);
  Follower follower{run, known, std::move(answer), nullptr};
  followers_.push_back(std::move(follower));
  // At the time-out it is told what there is, changed or not.
  followers_.back().timer = std::make_unique<Timer>(loop_, [this, run] {
    for (std::size_t i = 0; i < followers_.size(); ++i) {
      if (followers_[i].run != run || followers_[i].timer->armed()) continue;
      ControlAnswer to = std::move(followers_[i].answer);
      followers_.erase(followers_.begin() + static_cast<std::ptrdiff_t>(i));
      const auto still = open_run(run);
      if (still)
        to(200, dump(progress(*still, false)));
      else
        follow_stored(run, std::move(to));
      return;
    }
  });
  followers_.back().timer->start_after(wait);
  if (!is_final_run && now > known && !tell_timer_.armed()) tell_timer_.start_after(kTellEvery);
}

void Commands::changed() {
  for (RunId run : pump_.take_changed()) {
    if (pump_.engine().has_run(run)) ++versions_.try_emplace(run, 1).first->second;
  }
  if (!followers_.empty() && !tell_timer_.armed()) tell_timer_.start_after(kTellEvery);
}

void Commands::tell_followers() {
  std::vector<Follower> keep;
  std::vector<Follower> told;
  for (Follower& f : followers_) {
    const auto id = open_run(f.run);
    const bool is_told = id && !is_final(pump_.engine().run(*id)->state) &&
                         first_version_ + versions_[*id] > f.version;
    (is_told ? told : keep).push_back(std::move(f));
  }
  followers_ = std::move(keep);
  for (Follower& f : told) {
    if (const auto id = open_run(f.run)) f.answer(200, dump(progress(*id, false)));
  }
}

void Commands::run_ended(RunId run) {
  const RunRow* row = pump_.engine().run(run);
  if (row == nullptr) return;
  const std::string name = row->name;
  std::erase_if(ended_, [&](const auto& e) { return e.first == name; });
  if (!is_final(row->state)) return;  // opened again meanwhile
  ++versions_.try_emplace(run, 1).first->second;
  const std::string last = dump(progress(run, true));
  versions_.erase(run);
  ended_.emplace_back(name, last);
  if (ended_.size() > kEndedMax) ended_.pop_front();
  std::vector<Follower> told;
  for (auto it = followers_.begin(); it != followers_.end();) {
    if (it->run != name) {
      ++it;
      continue;
    }
    told.push_back(std::move(*it));
    it = followers_.erase(it);
  }
  for (Follower& f : told) f.answer(200, last);
}

void Commands::follow_stored(const std::string& run, ControlAnswer answer) {
  pump_.flush();
  writer_.load([alive = alive_, run, answer,
                first = first_version_](Store& store) -> std::function<void()> {
    auto body = std::make_shared<std::pair<int, std::string>>();
    auto fail = [&](const Error& error) { *body = {http_status(error.kind), error_body(error)}; };
    auto row = store.run_by_name(run);
    if (!row) {
      fail(row.error());
    } else if (!*row) {
      fail({ErrorKind::not_found, "there is no run " + run});
    } else {
      auto version = store.version((*row)->version);
      auto snapshot = store.load_run((*row)->id, LoadOptions{});
      if (!version || !*version || !snapshot || !*snapshot) {
        fail({ErrorKind::storage, "run " + run + " cannot be read. `pawl doctor` says more"});
      } else {
        const JobSpec job =
            parse_job((*version)->body, ParseOptions{(*version)->folder, {"default"}, {}}).job;
        json out = progress_json(view_of(**snapshot, job), job, wall_now());
        out["version"] = first + 1;
        out["ended"] = is_final((*row)->state);
        out["scheduler_pid"] = own_identity().pid;
        *body = {200, dump(out)};
      }
    }
    return [alive, answer, body] {
      if (*alive) answer(body->first, body->second);
    };
  });
}

void Commands::explain(const ControlRequest& request, ControlAnswer answer) {
  auto get = [&](const char* key) {
    auto it = request.query.find(key);
    return it == request.query.end() ? std::string() : it->second;
  };
  const std::string name = get("run");
  const auto id = open_run(name);
  if (!id)
    return refuse(
        answer, {ErrorKind::not_found,
                 "run " + name + " is not open; its history says how it ended: pawl show " + name});
  const Engine& engine = pump_.engine();
  Target target{*id, {}, {}};
  const std::string task = get("task");
  const RunView view = *engine.view(*id);
  json out = {
      {"run", name}, {"state", to_string(view.run.state)}, {"reason", to_string(view.run.reason)}};
  if (!task.empty()) {
    target.task = task_named(*engine.job_of(*id), task);
    if (!target.task)
      return refuse(answer, {ErrorKind::not_found, "run " + name + " has no task '" + task + "'"});
    const std::int64_t index = number_of(request.query, "index", -1);
    if (index >= 0) target.item = ItemIndex{index};
    const TaskView& at = view.tasks[target.task->value];
    out["task"] = task;
    out["state"] = to_string(at.state);
    out["reason"] = to_string(at.reason);
    out["detail"] = at.detail;
    if (at.counts) out["counts"] = counts_json(*at.counts);
  }
  out["reasons"] = explanation_json(engine, engine.explain(target, read_clocks()));
  answer(200, dump(out));
}

}  // namespace pawl
