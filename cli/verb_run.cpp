#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/submit.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

class RunVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("FILE", file_, true, "the job file; - is standard input");
    declare_params(arguments, params_);
    arguments.option("--concurrency", "N", concurrency_, 1, "slots of pool `default` for this run");
    arguments.flag("--detach", detach_, "hand it to the scheduler that is up, and leave");
    arguments.option("--request-id", "ID", request_id_,
                     "the same id gives the same run, however often it is asked for");
    arguments.flag("-q,--quiet", quiet_, "no progress, only the end");
    arguments.output(output_, run_formats());
    arguments.note(
        "Runs the file to its end. Where a scheduler is up it is handed over and followed; else "
        "this "
        "command is the scheduler meanwhile.\nCtrl-C: nothing more starts, the run is paused once "
        "what runs has ended; again: that is cancelled. Closing the terminal leaves it running, "
        "and "
        "the next scheduler takes it over.\nExit code 0: succeeded, 1: failed.");
    arguments.example("pawl run sales.json");
    arguments.example("pawl run sales.json -p region=us -p mode=full");
    arguments.example("run=$(pawl run sales.json --detach)", "the id is the first line");
  }

  Result<int> run(Session& session) override {
    const Result<CheckedJob> checked = read_job(session, file_);
    if (!checked) return checked.error();
    const Result<std::string> params = params_from_words(checked->job, params_);
    if (!params) return params.error();
    // What the scheduler would refuse is refused before a home is made for it.
    if (const auto full = resolve_params(checked->job, *params); !full) return full.error();
    const Reach reach = detach_ ? Reach::socket : Reach::any;
    Result<std::unique_ptr<Port>> opened = open_port(session, reach);
    if (!opened) return opened.error();
    std::unique_ptr<Port> port = *std::move(opened);
    const auto answer =
        ask(session, port, reach, "POST", "/v1/runs", request(*checked, *params), kAnswerTimeout);
    if (!answer) return answer.error();
    const std::string name = answer->value("run", std::string());
    announce(session, *checked, *port, name, answer->value("created", true));
    Watch watch;
    watch.wait = !detach_;
    watch.owns_run = true;
    watch.quiet = quiet_;
    return see_through(session, port, output_, {name}, watch);
  }

 private:
  nlohmann::json request(const CheckedJob& checked, const std::string& params) {
    if (request_id_.empty()) request_id_ = new_request_id();
    return {{"text", checked.source.text},
            {"file", checked.source.path},
            {"folder", checked.source.folder},
            {"params", nlohmann::json::parse(params, nullptr, false)},
            {"request_id", request_id_},
            {"concurrency", concurrency_ ? nlohmann::json(*concurrency_) : nlohmann::json()}};
  }

  void announce(const Session& session, const CheckedJob& checked, const Port& port,
                const std::string& name, bool created) const {
    print_run_ids(session, output_, {name});
    if (quiet_) return;
    std::string line =
        fmt::format("run {} · {} · {}", name, checked.job.name,
                    counted(static_cast<std::int64_t>(checked.job.tasks.size()), "task"));
    if (!created) line += " · this request made it before";
    line += detach_ ? " · the scheduler has it" : staying_note(port);
    session.err.line(line);
    session.err.flush();
  }

  std::string file_;
  std::vector<std::string> params_;
  std::optional<std::int64_t> concurrency_;
  std::string request_id_;
  bool detach_ = false;
  bool quiet_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_run_verb() { return std::make_unique<RunVerb>(); }

}  // namespace pawl
