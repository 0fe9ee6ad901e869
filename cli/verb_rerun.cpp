#include "cli/change.h"
#include "cli/submit.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class RerunVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    change_.verb = "rerun";
    change_.of_whole_runs = true;
    declare_change(arguments, change_);
    arguments.flag("--wait", wait_, "wait for the end; the exit code is the run's");
    arguments.flag("--detach", change_.detach, "only hand it to a scheduler that is up");
    arguments.flag("-q,--quiet", quiet_, "no progress, only the end");
    arguments.output(change_.output, run_formats());
    arguments.note(
        "Makes new runs with the params and the logical time of the old ones, and prints their "
        "ids. "
        "To repeat only what failed: pawl resume. Chosen by tasks (--task, --key, --reason), the "
        "runs "
        "that have them are repeated as a whole.");
    arguments.example("pawl rerun 7k3f9q");
  }

  Result<int> run(Session& session) override {
    for (const std::string& name : change_.words.names) {
      if (name.find('/') == std::string::npos) continue;
      return Error{ErrorKind::invalid,
                   "rerun: it repeats whole runs. Name the run, or repeat a task and what follows: "
                   "pawl resume RUN --from TASK"};
    }
    change_.request_id = new_request_id();
    change_.run_states = {"succeeded", "failed", "cancelled"};
    Result<Changed> changed = carry_out(session, change_);
    if (!changed) return changed.error();
    if (changed->is_dry) return changed->code;
    print_run_ids(session, change_.output, changed->runs);
    if (!quiet_) {
      for (const std::string& run : changed->runs) session.err.line("run " + run + " is new");
    }
    return see_through(session, *changed, change_, wait_, quiet_);
  }

 private:
  Change change_;
  bool wait_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_rerun_verb() { return std::make_unique<RerunVerb>(); }

}  // namespace pawl
