#include "cli/not_yet.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class BackfillVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("JOB", job_, true, "the job");
    arguments.option("--from", "TIME", from_, "first fire time, inclusive");
    arguments.option("--to", "TIME", to_, "end, exclusive");
    arguments.option("--max-active", "N", max_active_, 1, "runs of it at a time");
    arguments.choice("--reprocess", "WHICH", reprocess_, {"none", "failed", "all"},
                     "fire times that already have a run");
    arguments.flag("--reverse", reverse_, "newest first");
    arguments.flag("-y,--yes", yes_, "do not ask");
    arguments.flag("--dry-run", dry_run_, "only show what would happen");
  }

  Result<int> run(Session&) override {
    return not_yet_available_error("backfill", "One run at a time: pawl trigger JOB --for TIME");
  }

 private:
  std::string job_;
  std::string from_;
  std::string to_;
  std::string reprocess_ = "none";
  std::optional<std::int64_t> max_active_;
  bool reverse_ = false;
  bool yes_ = false;
  bool dry_run_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_backfill_verb() { return std::make_unique<BackfillVerb>(); }

}  // namespace pawl
