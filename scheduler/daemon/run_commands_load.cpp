// What a command is about: the runs that it names, and what another definition makes of them.

#include <map>
#include <utility>

#include "scheduler/daemon/control.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/redefinition.h"
#include "scheduler/daemon/run_command.h"

namespace pawl {
namespace {

using nlohmann::json;

/// Each of them by its name. On the writer's thread.
Result<std::vector<RunRow>> rows_of(Store& store, const std::vector<std::string>& names) {
  std::vector<RunRow> rows;
  for (const std::string& name : names) {
    auto row = store.run_by_name(name);
    if (!row) return row.error();
    if (!*row) return Error{ErrorKind::not_found, "there is no run " + name};
    rows.push_back(std::move(**row));
  }
  return rows;
}

}  // namespace

void RunCommands::fail(Command& command, const Error& error) {
  finish(command, error, json::array());
}

/// What runs it is about: first their rows, then their definitions, then what is in the store of
/// them, which is to be as fresh as can be.
void RunCommands::load_rows(const std::shared_ptr<Command>& command) {
  pump_.flush();
  auto work = [this, alive = alive_, command,
               names = command->runs()](Store& store) -> std::function<void()> {
    auto rows = std::make_shared<Result<std::vector<RunRow>>>(rows_of(store, names));
    return [this, alive, command, rows] {
      if (!*alive) return;
      if (!*rows) return fail(*command, rows->error());
      auto loaded = std::make_shared<Loaded>();
      for (RunRow& row : **rows) loaded->push_back({std::move(row), {}, {}, {}, {}, {}});
      load_jobs(command, loaded);
    };
  };
  if (!writer_.load(std::move(work))) fail(*command, lost_answer());
}

void RunCommands::load_jobs(const std::shared_ptr<Command>& command,
                            const std::shared_ptr<Loaded>& loaded) {
  struct Reading {
    std::map<VersionId, SharedJob> jobs;
    std::size_t open = 0;
    std::optional<Error> error;
  };
  auto reading = std::make_shared<Reading>();
  for (const LoadedRun& run : *loaded) reading->jobs.try_emplace(run.row.version);
  reading->open = reading->jobs.size();
  for (auto& [version, job] : reading->jobs) {
    jobs_.stored(version, [this, alive = alive_, command, loaded, reading,
                           &job = job](const Result<SharedJob>& found) {
      if (!*alive) return;
      if (found) {
        job = *found;
      } else {
        reading->error = found.error();
      }
      if (--reading->open > 0) return;
      if (reading->error) return fail(*command, *reading->error);
      for (LoadedRun& run : *loaded) run.job = reading->jobs.at(run.row.version);
      load_rest(command, loaded);
    });
  }
}

void RunCommands::load_rest(const std::shared_ptr<Command>& command,
                            const std::shared_ptr<Loaded>& loaded) {
  if (!command->needs_snapshot()) return carry_out(command, loaded);
  LoadOptions options;
  options.final_items = command->verb != "dismiss" || command->names_items();
  options.succeeded_items = command->repeats_success();
  options.to_dismiss = command->verb == "dismiss";
  std::optional<Newest> newest;
  if (command->redefines() && !command->options["definition"].is_object()) {
    newest.emplace();
    for (const auto& [name, job] : jobs_.all()) newest->emplace(name, job.version);
  }
  pump_.flush();
  auto work = [this, alive = alive_, command, loaded, options,
               newest = std::move(newest)](Store& store) -> std::function<void()> {
    std::optional<Error> error;
    for (LoadedRun& run : *loaded) {
      auto done = load_run(store, options, command->redefines(), newest, run);
      if (!done) error = done.error();
      if (error) break;
    }
    return [this, alive, command, loaded, error] {
      if (!*alive) return;
      if (error) return fail(*command, *error);
      carry_out(command, loaded);
    };
  };
  if (!writer_.load(std::move(work))) fail(*command, lost_answer());
}

/// On the writer's thread. `newest`: of each job, where that is what the run shall go on with.
Result<void> RunCommands::load_run(Store& store, const LoadOptions& options, bool redefines,
                                   const std::optional<Newest>& newest, LoadedRun& run) {
  auto snapshot = store.load_run(run.row.id, options);
  if (!snapshot) return snapshot.error();
  run.snapshot = std::move(*snapshot);
  if (!redefines) return {};
  auto version = store.version(run.row.version);
  if (!version) return version.error();
  if (*version) run.text = std::move((*version)->body);
  if (!newest) return {};
  const auto found = newest->find(run.row.job);
  if (found == newest->end() || found->second.value == 0) {
    run.objection =
        "job " + run.row.job + " is not known here any more. Name the FILE that it goes on with";
    return {};
  }
  version = store.version(found->second);
  if (!version) return version.error();
  if (!*version)
    return Error{ErrorKind::storage, "job " + run.row.job + " has lost its definition"};
  run.newest = std::move(**version);
  return {};
}

void RunCommands::carry_out(const std::shared_ptr<Command>& command,
                            const std::shared_ptr<Loaded>& loaded) {
  if (command->redefines()) return redefine_runs(command, loaded);
  finish(*command, std::move(*loaded), json::array());
}

// Another definition -----------------------------------------------------------------------------

namespace {

struct Replacement {
  Definition definition;
  std::string folder;
};

/// A definition that a client hands in with a command.
Result<Replacement> definition_of(const json& given, const ParseOptions& reading) {
  if (!reading.folder.starts_with('/'))
    return Error{ErrorKind::invalid, "`folder` is not an absolute path"};
  ParseResult parsed = parse_job(text_of(given, "text"), reading);
  if (parsed.ok)
    return Replacement{{canonical_job_text(parsed.text), std::move(parsed.job)}, reading.folder};
  std::string message = "the job file has errors";
  for (const Diagnostic& d : parsed.diagnostics)
    message += "\n" + format_diagnostic(text_of(given, "file"), d);
  return Error{ErrorKind::invalid, message};
}

/// The one that a run shall go on with: its job's newest, or what was handed in.
Result<Replacement> newest_of(const std::optional<JobVersionRow>& stored,
                              const std::optional<Replacement>& handed_in) {
  if (!stored) return *handed_in;
  auto job = read_definition(*stored);
  if (!job) return job.error();
  return Replacement{{stored->body, std::move(*job)}, stored->folder};
}

/// A run, its text and its definition as they will be.
struct Fitted {
  Redefinition redefinition;
  SharedJob job;
};

Result<Fitted> fit(const Definition& before, const Replacement& after,
                   const RunSnapshot& snapshot) {
  const std::string& job = snapshot.run.job;
  if (after.definition.job.name != job) {
    return Error{ErrorKind::refused,
                 "the run is of job " + job + ", not of " + after.definition.job.name};
  }
  auto redefinition = redefine(before, after.definition, snapshot);
  if (!redefinition) return redefinition.error();
  if (redefinition->is_same()) return Fitted{std::move(*redefinition), {}};
  ParseResult parsed = parse_job(redefinition->text, stored_options(after.folder));
  if (!parsed.ok) {
    return Error{ErrorKind::refused,
                 "the new definition does not fit the run: " + parsed.diagnostics.front().message +
                     ". Make a new run: pawl trigger " + job};
  }
  return Fitted{std::move(*redefinition), SharedJob(std::move(parsed.job))};
}

}  // namespace

/// What is to be stored before the command itself. A run that does not fit holds up no other.
void RunCommands::redefine_runs(const std::shared_ptr<Command>& command,
                                const std::shared_ptr<Loaded>& loaded) {
  for (LoadedRun& run : *loaded) {
    const bool is_open = !run.snapshot || !is_final(run.snapshot->run.state);
    if (!is_open && !pump_.engine().has_run(run.row.id)) continue;
    run.objection =
        "the run is open: its definition changes only between its end and a resume. pawl cancel " +
        run.row.name + " ends it; what was cancelled runs again";
  }
  const json& given = command->options["definition"];
  auto redefined = std::make_shared<Result<Redefined>>(Redefined());
  works_.start(
      [loaded, redefined, given, reading = jobs_.reading(text_of(given, "folder"))] {
        *redefined = redefined_of(*loaded, given, reading);
      },
      [this, command, loaded, redefined] {
        if (!*redefined) return fail(*command, redefined->error());
        store_next(command, loaded, std::make_shared<Redefined>(std::move(**redefined)));
      });
}

/// On a thread: texts of 16 MiB are compared and read. Runs that do not fit get their objection.
Result<RunCommands::Redefined> RunCommands::redefined_of(Loaded& loaded, const Json& given,
                                                         const ParseOptions& reading) {
  std::optional<Replacement> handed_in;
  if (given.is_object()) {
    auto read = definition_of(given, reading);
    if (!read) return read.error();
    handed_in = std::move(*read);
  }
  Redefined out;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    LoadedRun& run = loaded[i];
    if (!run.objection.empty()) continue;
    auto newest = newest_of(run.newest, handed_in);
    if (!newest) return newest.error();
    auto fitted = fit({run.text, *run.job}, *newest, *run.snapshot);
    if (!fitted) {
      run.objection = fitted.error().message;
      continue;
    }
    for (const Redefinition::Line& line : fitted->redefinition.lines) {
      out.differences.push_back({{"run", run.row.name},
                                 {"task", line.task.empty() ? json(nullptr) : json(line.task)},
                                 {"change", to_string(line.change)},
                                 {"text", line.text}});
    }
    if (!fitted->redefinition.is_same())
      out.runs.push_back({i, std::move(fitted->redefinition.text), std::move(fitted->job)});
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
                     run.job = std::move(job);
                     store_next(command, loaded, redefined);
                   });
}

}  // namespace pawl
