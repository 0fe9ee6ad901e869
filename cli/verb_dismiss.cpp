#include "cli/change.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class DismissVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    change_.verb = "dismiss";
    change_.of_tasks = true;
    change_.of_failures = true;
    declare_change(arguments, change_);
    arguments.option("--note", "TEXT", note_, "why, for those who look later");
    arguments.note("Seen, and not shown by `pawl failed` again. The tasks stay as they are.");
    arguments.example("pawl dismiss 7k3f9q --note 'fixed upstream'");
  }

  Result<int> run(Session& session) override {
    change_.options = {{"note", note_}};
    Result<Changed> changed = carry_out(session, change_);
    if (!changed) return changed.error();
    return changed->code;
  }

 private:
  Change change_;
  std::string note_;
};

}  // namespace

std::unique_ptr<Verb> make_dismiss_verb() { return std::make_unique<DismissVerb>(); }

}  // namespace pawl
