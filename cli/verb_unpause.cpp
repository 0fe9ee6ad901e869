#include "cli/pausing.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class UnpauseVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.words("JOB|RUN", pausing_.words, false, "jobs by name, or runs");
    arguments.flag("--all", pausing_.all, "every paused job and run");
    arguments.flag("-y,--yes", pausing_.yes, "do not ask");
    arguments.flag("--dry-run", pausing_.dry_run, "only show what would happen");
    arguments.note(
        "Only goes on; `pawl resume` also repeats what failed. With no scheduler up this command "
        "is "
        "it until the runs end.");
    arguments.example("pawl unpause sales");
  }

  Result<int> run(Session& session) override {
    pausing_.pause = false;
    return carry_out(session, pausing_);
  }

 private:
  Pausing pausing_;
};

}  // namespace

std::unique_ptr<Verb> make_unpause_verb() { return std::make_unique<UnpauseVerb>(); }

}  // namespace pawl
