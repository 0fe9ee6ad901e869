#include "cli/pausing.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class PauseVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    pausing_.pause = true;
    declare_pausing(arguments, pausing_);
    arguments.option("--note", "TEXT", pausing_.note, "why, for those who look later");
    arguments.note(
        "A paused job's schedule starts nothing; its runs can still be triggered. Of a paused run "
        "nothing more starts; what runs goes on. An exact job name wins over a run.");
    arguments.example("pawl pause sales --note 'warehouse is being moved'");
  }

  Result<int> run(Session& session) override { return carry_out(session, pausing_); }

 private:
  Pausing pausing_;
};

}  // namespace

std::unique_ptr<Verb> make_pause_verb() { return std::make_unique<PauseVerb>(); }

}  // namespace pawl
