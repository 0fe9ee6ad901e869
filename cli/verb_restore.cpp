#include <fmt/format.h>

#include "cli/live_workers.h"
#include "cli/program.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"
#include "storage/backup.h"

namespace pawl {

namespace {

class RestoreVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("FILE", file_, true, "a copy that `pawl backup` made");
    arguments.flag("--replace", replace_,
                   "also when runs are in this home; its store is kept beside");
    arguments.output(output_, {Format::table, Format::json, Format::jsonl});
    arguments.note(
        "The home must not be in use. What was open in the copy starts paused (`restored`), "
        "schedules "
        "too, until `pawl unpause --all`; attempts that were live count as interrupted and are "
        "held.");
    arguments.example("pawl restore pawl-2026-11-20.db");
  }

  Result<int> run(Session& session) override {
    const Result<std::string> path = resolve_home(session.home_flag);
    if (!path) return path.error();
    const Result<Home> home = Home::open_or_create(*path);
    if (!home) return home.error();
    const Result<FileLock> lock = home->lock(Duration::zero());
    if (!lock) return lock.error();
    RestoreOptions options;
    options.replace = replace_;
    options.actor = user_name();
    options.now = session.here().now;
    for (const LiveWorker& worker : live_workers(home->workers()))
      options.workers.push_back(worker.id);
    const Result<RestoreReport> report = restore_store(file_, home->database(), options);
    if (!report) return report.error();
    if (!output_.is_for_people()) {
      print_object(
          session.out, output_,
          {{"home", home->path()},
           {"runs", report->runs},
           {"paused_runs", report->paused_runs},
           {"paused_jobs", report->paused_jobs},
           {"interrupted_attempts", report->interrupted_attempts},
           {"kept", report->kept.empty() ? OrderedJson(nullptr) : OrderedJson(report->kept)}});
      return 0;
    }
    session.err.line(fmt::format("{}: {}", escape_for_terminal(home->path()),
                                 counted(report->runs, "run") + " restored"));
    if (report->paused_runs + report->paused_jobs > 0) {
      session.err.line(fmt::format("  {} and {} are paused until pawl unpause --all",
                                   counted(report->paused_runs, "open run"),
                                   counted(report->paused_jobs, "job")));
    }
    if (report->interrupted_attempts > 0) {
      session.err.line(fmt::format(
          "  {} held: pawl failed",
          counted(report->interrupted_attempts, "interrupted task is", "interrupted tasks are")));
    }
    if (!report->kept.empty()) {
      session.err.line("  the store that was here: " + escape_for_terminal(report->kept));
    }
    return 0;
  }

 private:
  std::string file_;
  bool replace_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_restore_verb() { return std::make_unique<RestoreVerb>(); }

}  // namespace pawl
