// Started by the scheduler, never by people: not on the help page.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "cli/program.h"
#include "cli/verb.h"
#include "plugins/worker/plugin_description.h"
#include "plugins/worker/worker.h"
#include "scheduler/loop/fd.h"

namespace pawl {

namespace {

class WorkerVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--id", "N", id_, 1, "its number");
    arguments.option("--class", "CLASS", class_, "supervisor");
    arguments.option("--plugin", "FILE", plugins_, "of a host: what it loads");
    arguments.option("--operator", "NAME", operators_, "of a host: what it was started for");
    arguments.option("--describe", "FILE", described_, "print the operators of plugins as JSON");
    arguments.option("--control-groups", "DIR", control_groups_,
                     "of attempts with limits: a folder, auto, none");
    arguments.option("--idle-ms", "N", idle_ms_, 1, "ends after so long without work");
    arguments.option("--recycle-after", "N", recycle_after_, 0, "of a host: attempts");
    arguments.option("--memory-max", "BYTES", memory_max_, 0, "of a host: resident");
    arguments.option("--descriptors", "N", descriptors_, 1, "soft limit for programs");
  }

  Result<int> run(Session& session) override {
    if (!described_.empty()) return describe();
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
    options.control_groups = control_groups_;
    if (idle_ms_) options.idle_exit = Duration(*idle_ms_);
    options.recycle_after = static_cast<std::uint64_t>(recycle_after_.value_or(0));
    options.memory_bytes_max = static_cast<std::uint64_t>(memory_max_.value_or(0));
    options.plugins = plugins_;
    options.operators = operators_;
    return worker_main(options);
  }

 private:
  /// On what was standard output; what a library prints when it is loaded is no part of the answer.
  Result<int> describe() const {
    const Fd answers(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!answers || !nowhere || ::dup2(nowhere.get(), STDOUT_FILENO) < 0)
      return Error{ErrorKind::failed, std::string("no descriptor: ") + std::strerror(errno)};
    std::vector<OperatorInfo> all;
    for (const std::string& plugin : described_) {
      auto found = describe_plugin(plugin);
      if (!found) {
        say(answers, found.error().message + "\n");
        return exit_code(found.error().kind);
      }
      all.insert(all.end(), found->begin(), found->end());
    }
    say(answers, write_catalog(all));
    return 0;
  }

  static void say(const Fd& answers, std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::write(answers.get(), text.data(), text.size());
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return;  // who asked is gone
      text.remove_prefix(static_cast<std::size_t>(put));
    }
  }

  std::vector<std::string> plugins_;
  std::vector<std::string> operators_;
  std::vector<std::string> described_;
  std::optional<std::int64_t> id_;
  std::optional<std::int64_t> descriptors_;
  std::optional<std::int64_t> idle_ms_;
  std::optional<std::int64_t> recycle_after_;
  std::optional<std::int64_t> memory_max_;
  std::string class_ = "supervisor";
  std::string control_groups_ = "auto";
};

}  // namespace

std::unique_ptr<Verb> make_worker_verb() { return std::make_unique<WorkerVerb>(); }

}  // namespace pawl
