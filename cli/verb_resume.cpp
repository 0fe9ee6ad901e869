#include <algorithm>

#include "cli/change.h"
#include "cli/not_yet.h"
#include "cli/submit.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class ResumeVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    declare_change(arguments, change_);
    arguments.option("--from", "TASK", from_,
                     "also this task and all downstream, whatever their state");
    arguments.option("--only", "TASK", only_, "this task alone");
    arguments.flag("--downstream", downstream_,
                   "also what succeeded downstream of what runs again");
    arguments.choice("--with-definition", "WHICH", definition_, {"latest"},
                     "go on with the job's newest definition");
    arguments.flag("--wait", wait_, "wait for the end; the exit code is the run's");
    arguments.flag("-q,--quiet", quiet_, "no progress, only the end");
    arguments.output(output_, run_formats());
    arguments.note(
        "The same run goes on: what failed, was held, cancelled or paused runs again, and "
        "downstream "
        "of it what could not. What succeeded stays. Attempt numbers go on, the retry budget "
        "starts "
        "anew. With no scheduler up this command is it until the run ends.");
    arguments.example("pawl resume 7k3f9q");
    arguments.example("pawl resume 7k3f9q/query:17");
    arguments.example("pawl resume --job 'sales*' --since 24h --dry-run");
  }

  Result<int> run(Session& session) override {
    if (!definition_.empty()) {
      return not_yet_available_error("resume --with-definition",
                                     "Run the changed file anew: pawl run FILE");
    }
    if (!from_.empty() && !only_.empty()) {
      return Error{ErrorKind::invalid, "resume: --from and --only exclude each other"};
    }
    change_.verb = "resume";
    change_.run_states = {"failed", "cancelled", "paused"};
    change_.task_states = {"failed", "held", "cancelled"};
    change_.options = {
        {"from", !from_.empty()}, {"only", !only_.empty()}, {"downstream", downstream_}};
    // `--from TASK` names the task of the runs that were chosen.
    const std::string& task = from_.empty() ? only_ : from_;
    if (!task.empty()) {
      for (std::string& name : change_.words.names) {
        if (name.find('/') != std::string::npos) {
          return Error{ErrorKind::invalid, "resume: with --from or --only name runs, not tasks"};
        }
        name += "/" + task;
      }
    }
    Result<Changed> changed = carry_out(session, change_);
    if (!changed) return changed.error();
    if (changed->is_dry || changed->runs.empty()) return changed->code;
    if (!quiet_) {
      for (const std::string& run : changed->runs) {
        session.err.line("run " + run + " goes on" +
                         (changed->port->is_scheduler()
                              ? " · no scheduler is up: this command is it until the run ends"
                              : ""));
      }
    }
    Watch watch;
    watch.wait = wait_;
    watch.quiet = quiet_;
    const Result<int> code = see_through(session, changed->port, output_, changed->runs, watch);
    if (!code) return code.error();
    return std::max(*code, changed->code);
  }

 private:
  Change change_;
  std::string from_;
  std::string only_;
  std::string definition_;
  bool downstream_ = false;
  bool wait_ = false;
  bool quiet_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_resume_verb() { return std::make_unique<ResumeVerb>(); }

}  // namespace pawl
