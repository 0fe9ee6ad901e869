#include <algorithm>

#include "cli/change.h"
#include "cli/submit.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class MarkVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    change_.verb = "mark";
    change_.of_tasks = true;
    arguments.check([this]() -> Result<void> {
      std::vector<std::string>& words = change_.words.names;
      state_ = words.empty() ? "" : words.back();
      if (state_ != "succeeded" && state_ != "failed" && state_ != "skipped") {
        return Error{ErrorKind::invalid, "the last word must be succeeded, failed or skipped"};
      }
      words.pop_back();
      return {};
    });
    declare_change(arguments, change_);
    arguments.note(
        "The last word is the state: succeeded, failed or skipped. It is recorded with who and "
        "when. "
        "Not on a running task. On an ended run it opens the run again when that lets something "
        "run.");
    arguments.example("pawl mark 6zq01b/pg_dump succeeded");
  }

  Result<int> run(Session& session) override {
    change_.task_states = {"held", "failed", "cancelled"};
    change_.options = {{"state", state_}};
    change_.done = "marked " + state_;
    Result<Changed> changed = carry_out(session, change_);
    if (!changed) return changed.error();
    if (changed->is_dry) return changed->code;
    const Result<int> code = see_open_through(session, changed->port, changed->runs);
    if (!code) return code.error();
    return std::max(*code, changed->code);
  }

 private:
  Change change_;
  std::string state_;  ///< that they are given
};

}  // namespace

std::unique_ptr<Verb> make_mark_verb() { return std::make_unique<MarkVerb>(); }

}  // namespace pawl
