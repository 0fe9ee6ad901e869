#include <algorithm>

#include <fmt/format.h>

#include "cli/change.h"
#include "cli/job_source.h"
#include "cli/submit.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

class ResumeVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    change_.verb = "resume";
    declare_change(arguments, change_);
    arguments.option("--from", "TASK", from_,
                     "this task and all downstream, whatever their state, and no others");
    arguments.option("--only", "TASK", only_, "this task alone");
    arguments.flag("--downstream", downstream_,
                   "also what succeeded downstream of what runs again");
    arguments.option("--with-definition", "WHICH", definition_,
                     "go on with another definition: `latest` of the job, or that of a FILE");
    arguments.flag("--wait", wait_, "wait for the end; the exit code is the run's");
    arguments.flag("--detach", change_.detach, "only hand it to a scheduler that is up");
    arguments.flag("-q,--quiet", quiet_, "no progress, only the end");
    arguments.output(change_.output, run_formats());
    arguments.check([this]() -> Result<void> {
      if (from_.empty() || only_.empty()) return {};
      return Error{ErrorKind::invalid, "--from and --only exclude each other"};
    });
    arguments.note(
        "The same run goes on: what failed, was held, cancelled or paused runs again, and "
        "downstream "
        "of it what could not. What succeeded stays. Attempt numbers go on, the retry budget "
        "starts "
        "anew. With no scheduler up this command is it until the run ends.");
    arguments.example("pawl resume 7k3f9q");
    arguments.example("pawl resume 7k3f9q/query:17");
    arguments.example("pawl resume 7k3f9q --with-definition latest", "the file was mended");
    arguments.example("pawl resume --job 'sales*' --since 24h --dry-run");
  }

  Result<int> run(Session& session) override {
    change_.run_states = {"failed", "cancelled", "paused"};
    change_.task_states = {"failed", "held", "cancelled"};
    change_.options = {
        {"from", !from_.empty()}, {"only", !only_.empty()}, {"downstream", downstream_}};
    if (const Result<void> read = read_definition_option(session); !read) return read.error();
    if (const Result<void> read = read_task_option(); !read) return read.error();
    Result<Changed> changed = carry_out(session, change_);
    if (!changed) return changed.error();
    if (changed->is_dry) return changed->code;
    if (!quiet_) {
      for (const std::string& run : changed->runs) {
        session.err.line("run " + run + " goes on" + staying_note(*changed->port));
      }
    }
    return see_through(session, *changed, change_, wait_, quiet_);
  }

 private:
  /// `--from TASK` and `--only TASK` name the task of the runs that are chosen.
  Result<void> read_task_option() {
    change_.task_of_runs = from_.empty() ? only_ : from_;
    if (change_.task_of_runs.empty()) return {};
    const SelectorWords& words = change_.words;
    const auto is_task = [](const std::string& name) {
      return name.find('/') != std::string::npos;
    };
    if (!words.task.empty() || !words.key.empty() ||
        std::any_of(words.names.begin(), words.names.end(), is_task)) {
      return Error{ErrorKind::invalid, "resume: with --from or --only choose runs, not tasks"};
    }
    return {};
  }

  /// A file has a slash in its name or ends in `.json`.
  Result<void> read_definition_option(const Session& session) {
    if (definition_.empty()) return {};
    change_.shows_plan = true;
    if (definition_ == "latest") {
      change_.options["definition"] = definition_;
      return {};
    }
    if (definition_.find('/') == std::string::npos && !definition_.ends_with(".json")) {
      return Error{ErrorKind::invalid,
                   fmt::format("--with-definition {}: say latest, or name a FILE",
                               escape_for_terminal(definition_))};
    }
    const Result<CheckedJob> checked = read_job(session, definition_);
    if (!checked) return checked.error();
    change_.options["definition"] = {{"text", checked->source.text},
                                     {"file", checked->source.path},
                                     {"folder", checked->source.folder}};
    return {};
  }

  Change change_;
  std::string from_;
  std::string only_;
  std::string definition_;
  bool downstream_ = false;
  bool wait_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_resume_verb() { return std::make_unique<ResumeVerb>(); }

}  // namespace pawl
