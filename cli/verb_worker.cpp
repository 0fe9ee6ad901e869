// Started by the scheduler, never by people: not on the help page.

#include "cli/program.h"
#include "cli/verb.h"
#include "plugins/worker/worker.h"

namespace pawl {

namespace {

class WorkerVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--id", "N", id_, 1, "its number");
    arguments.option("--class", "CLASS", class_, "supervisor");
    arguments.option("--descriptors", "N", descriptors_, 1, "soft limit for programs");
  }

  Result<int> run(Session& session) override {
    if (!id_ || session.home_flag.empty()) {
      return Error{ErrorKind::invalid,
                   "worker: only a scheduler starts this. To run jobs: pawl run"};
    }
    WorkerOptions options;
    options.home = session.home_flag;
    options.id = WorkerId{*id_};
    options.worker_class = class_;
    options.version = program_version();
    options.program_descriptors = static_cast<std::uint64_t>(descriptors_.value_or(0));
    return worker_main(options);
  }

 private:
  std::optional<std::int64_t> id_;
  std::optional<std::int64_t> descriptors_;
  std::string class_ = "supervisor";
};

}  // namespace

std::unique_ptr<Verb> make_worker_verb() { return std::make_unique<WorkerVerb>(); }

}  // namespace pawl
