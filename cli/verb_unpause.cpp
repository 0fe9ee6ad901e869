#include "cli/pausing.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class UnpauseVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    pausing_.pause = false;
    declare_pausing(arguments, pausing_);
    arguments.flag("--all", pausing_.all, "every paused job and run");
    arguments.note(
        "Only goes on; `pawl resume` also repeats what failed. With no scheduler up this command "
        "is "
        "it until the runs end.");
    arguments.example("pawl unpause sales");
  }

  Result<int> run(Session& session) override { return carry_out(session, pausing_); }

 private:
  Pausing pausing_;
};

}  // namespace

std::unique_ptr<Verb> make_unpause_verb() { return std::make_unique<UnpauseVerb>(); }

}  // namespace pawl
