#include "cli/change.h"
#include "cli/verb.h"

namespace pawl {

namespace {

// Longer than any program may take to die: its grace, and a minute after SIGKILL.
constexpr Duration kPatience = std::chrono::minutes(3);

class CancelVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    change_.verb = "cancel";
    declare_change(arguments, change_);
    arguments.flag("--force", force_, "kill running programs at once");
    arguments.note("Waiting work ends at once; running programs get SIGTERM, then SIGKILL.");
    arguments.example("pawl cancel 7k3f9q");
    arguments.example("pawl cancel --job 'sales*' -y");
  }

  Result<int> run(Session& session) override {
    change_.run_states = {"queued", "running", "paused"};
    change_.task_states = {"waiting", "queued", "running", "retrying", "deferred"};
    change_.options = {{"force", force_}};
    change_.done = force_ ? "is being killed" : "is being cancelled";
    Result<Changed> changed = carry_out(session, change_);
    if (!changed) return changed.error();
    if (changed->is_dry) return changed->code;
    if (const Result<void> done = wait_for_final(session, *changed, kPatience); !done) {
      return done.error();
    }
    return changed->code;
  }

 private:
  Change change_;
  bool force_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cancel_verb() { return std::make_unique<CancelVerb>(); }

}  // namespace pawl
