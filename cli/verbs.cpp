#include <array>
#include <vector>

#include <fmt/format.h>

#include "cli/verb.h"

namespace pawl {

// Each is defined in verb_NAME.cpp.
#define PAWL_VERB(name) std::unique_ptr<Verb> make_##name##_verb();
PAWL_VERB(run)
PAWL_VERB(serve)
PAWL_VERB(trigger)
PAWL_VERB(backfill)
PAWL_VERB(resume)
PAWL_VERB(rerun)
PAWL_VERB(runs)
PAWL_VERB(tasks)
PAWL_VERB(attempts)
PAWL_VERB(failed)
PAWL_VERB(show)
PAWL_VERB(explain)
PAWL_VERB(logs)
PAWL_VERB(output)
PAWL_VERB(graph)
PAWL_VERB(jobs)
PAWL_VERB(job)
PAWL_VERB(next)
PAWL_VERB(pools)
PAWL_VERB(status)
PAWL_VERB(cancel)
PAWL_VERB(pause)
PAWL_VERB(unpause)
PAWL_VERB(mark)
PAWL_VERB(dismiss)
PAWL_VERB(validate)
PAWL_VERB(plan)
PAWL_VERB(eval)
PAWL_VERB(schema)
PAWL_VERB(operators)
PAWL_VERB(backup)
PAWL_VERB(restore)
PAWL_VERB(prune)
PAWL_VERB(doctor)
PAWL_VERB(completion)
PAWL_VERB(version)
PAWL_VERB(help)
PAWL_VERB(worker)
#undef PAWL_VERB

namespace {

constexpr auto kVerbs = std::to_array<VerbEntry>({
    {"run", Purpose::work, "run a job file to its end", make_run_verb},
    {"serve", Purpose::work, "the long-lived scheduler: schedules, and runs handed to it",
     make_serve_verb},
    {"trigger", Purpose::work, "start a run of a known job", make_trigger_verb},
    {"backfill", Purpose::work, "one run per fire time of a past span", make_backfill_verb},
    {"resume", Purpose::work, "go on where a run stopped; what succeeded stays", make_resume_verb},
    {"rerun", Purpose::work, "new runs with the same params", make_rerun_verb},

    {"runs", Purpose::look, "runs, newest first", make_runs_verb},
    {"tasks", Purpose::look, "tasks and items of runs", make_tasks_verb},
    {"attempts", Purpose::look, "every attempt, with its end and what it used", make_attempts_verb},
    {"failed", Purpose::look, "what failed and waits for somebody, over all runs",
     make_failed_verb},
    {"show", Purpose::look, "one run or task in full", make_show_verb},
    {"explain", Purpose::look, "why something is not running", make_explain_verb},
    {"logs", Purpose::look, "what attempts printed", make_logs_verb},
    {"output", Purpose::look, "results of a task", make_output_verb},
    {"graph", Purpose::look, "the graph of a file, a job or a run", make_graph_verb},
    {"jobs", Purpose::look, "known jobs, their last run and what is wrong with their files",
     make_jobs_verb},
    {"job", Purpose::look, "one job in full", make_job_verb},
    {"next", Purpose::look, "the next fire times", make_next_verb},
    {"pools", Purpose::look, "limits, who holds what, who waits", make_pools_verb},
    {"status", Purpose::look, "is a scheduler up, and how is it doing", make_status_verb},

    {"cancel", Purpose::change, "stop work", make_cancel_verb},
    {"pause", Purpose::change, "start nothing more of a job or run", make_pause_verb},
    {"unpause", Purpose::change, "go on", make_unpause_verb},
    {"mark", Purpose::change, "decide a task by hand", make_mark_verb},
    {"dismiss", Purpose::change, "seen, and not to be shown again", make_dismiss_verb},

    {"validate", Purpose::jobs, "check job files; silent when all are valid", make_validate_verb},
    {"plan", Purpose::jobs, "what a run would do", make_plan_verb},
    {"eval", Purpose::jobs, "the value of an expression", make_eval_verb},
    {"schema", Purpose::jobs, "JSON Schema of what pawl reads", make_schema_verb},
    {"operators", Purpose::jobs, "the operators that are loaded", make_operators_verb},

    {"backup", Purpose::home, "a verified copy of the store, while it is in use", make_backup_verb},
    {"restore", Purpose::home, "put a copy back into a home", make_restore_verb},
    {"prune", Purpose::home, "forget old runs now", make_prune_verb},
    {"doctor", Purpose::home, "check home, store and machine, with a remedy each",
     make_doctor_verb},

    {"completion", Purpose::program, "completion for bash, zsh or fish", make_completion_verb},
    {"version", Purpose::program, "version, commit, libraries", make_version_verb},
    {"help", Purpose::program, "this page, or that of a verb", make_help_verb},
    {"worker", Purpose::internal, "runs programs for a scheduler", make_worker_verb},
});

std::string_view title_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::work: return "Make work happen";
    case Purpose::look: return "Look";
    case Purpose::change: return "Change";
    case Purpose::jobs: return "Write jobs";
    case Purpose::home: return "Keep the home";
    case Purpose::program: return "The program";
    case Purpose::internal: return "";
  }
  return "";
}

}  // namespace

std::span<const VerbEntry> verbs() {
  static_assert(kVerbs.back().purpose == Purpose::internal);
  return std::span(kVerbs).first(kVerbs.size() - 1);
}

const VerbEntry* find_verb(std::string_view name) {
  for (const VerbEntry& entry : kVerbs) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::string overview(const Terminal& terminal) {
  std::string page =
      "pawl runs jobs: small graphs of tasks, on schedules, by hand or from a program.\n"
      "Whatever dies, `pawl failed` lists what failed and `pawl resume` goes on from there.\n\n"
      "usage: pawl [--home DIR] VERB …\n";
  std::string_view title;
  for (const VerbEntry& entry : verbs()) {
    if (title_of(entry.purpose) != title) {
      title = title_of(entry.purpose);
      page += fmt::format("\n{}\n", styled(terminal, Style::bold, title));
    }
    page += fmt::format("  {}  {}\n", pad(entry.name, 11), entry.summary);
  }
  page +=
      "\nState lives in one home: --home DIR, else PAWL_HOME, else $XDG_STATE_HOME/pawl, else\n"
      "~/.local/state/pawl. Names: a run is 20261120-225801-7k3f9q, or any unambiguous part of\n"
      "that, or @latest, or JOB@latest; a task RUN/TASK, an item RUN/TASK:17, an attempt #2 of "
      "it.\n\n"
      "pawl help VERB says more. Start: pawl run FILE.json\n";
  return page;
}

std::string help_page(const VerbEntry& entry, const Terminal& terminal) {
  const std::unique_ptr<Verb> verb = entry.make();
  Arguments arguments{std::string(entry.name), std::string(entry.summary)};
  verb->declare(arguments);
  return arguments.help(terminal);
}

}  // namespace pawl
