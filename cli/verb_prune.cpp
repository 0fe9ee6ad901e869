#include <fmt/format.h>

#include "cli/port.h"
#include "cli/verb.h"

namespace pawl {

namespace {

// A first prune may have years of history to take away.
constexpr Duration kPatience = std::chrono::hours(1);

class PruneVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--older-than", "D", older_than_,
                     "runs that ended so long ago (what jobs and settings say)");
    arguments.output(output_, {Format::table, Format::json, Format::jsonl});
    arguments.note(
        "Takes old runs away, with their logs and outputs. Runs with an unresolved failure stay 90 "
        "days; open ones always.");
    arguments.example("pawl prune --older-than 30d");
  }

  Result<int> run(Session& session) override {
    if (const Result<void> there = require_home(session); !there) return there.error();
    nlohmann::json body = nlohmann::json::object();
    if (older_than_) body["older_than_ms"] = older_than_->count();
    Result<std::unique_ptr<Port>> opened = open_port(session, Reach::any);
    if (!opened) return opened.error();
    std::unique_ptr<Port> port = *std::move(opened);
    const auto answer = ask(session, port, Reach::any, "POST", "/v1/prune", body, kPatience);
    if (!answer) return answer.error();
    const std::int64_t runs = answer->value("runs", std::int64_t{0});
    if (output_.is_for_people()) {
      session.err.line(counted(runs, "run") + " taken away");
    } else {
      print_object(session.out, output_, {{"runs", runs}});
    }
    return 0;
  }

 private:
  std::optional<Duration> older_than_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_prune_verb() { return std::make_unique<PruneVerb>(); }

}  // namespace pawl
