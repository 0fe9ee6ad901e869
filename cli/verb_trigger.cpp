#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/submit.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

using nlohmann::json;

class TriggerVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("JOB", job_, true, "a job the home knows: served, or run from a file before");
    declare_params(arguments, params_);
    arguments.option("--for", "TIME", for_,
                     "its logical time (now); without a zone, one of the job's");
    arguments.option("--at", "TIME", at_, "start it later; without a zone, local time");
    arguments.option("--request-id", "ID", request_id_,
                     "the same id gives the same run, however often it is asked for");
    arguments.flag("--wait", wait_, "wait for its end; the exit code is the run's");
    arguments.flag("--force", force_,
                   "start it beside a run that is active, whatever `overlap` says");
    arguments.flag("--detach", detach_, "only hand it to a scheduler that is up");
    arguments.flag("-q,--quiet", quiet_, "no progress, only the end");
    arguments.output(output_, run_formats());
    arguments.check([this]() -> Result<void> {
      if (auto read = check_time_option("for", for_); !read) return read;
      return check_time_option("at", at_);
    });
    arguments.note(
        "With a scheduler up it gets the run and this returns at once (--wait stays). Else this "
        "command is the scheduler until the run ends.");
    arguments.example("pawl trigger sales -p region=us --wait");
    arguments.example("pawl trigger sales --for 2026-11-19");
  }

  Result<int> run(Session& session) override {
    Result<json> body = request(session);
    if (!body) return body.error();
    Result<WayToHome> way = open_known_home(session, detach_);
    if (!way) return way.error();
    auto& [reach, port] = *way;
    const auto answer = ask(session, port, reach, "POST", "/v1/trigger", *body, kAnswerTimeout);
    if (!answer) return answer.error();
    const std::string name = answer->value("run", std::string());
    print_run_ids(session, output_, {name});
    announce(session, *port, name, answer->value("created", true));
    Watch watch;
    watch.wait = wait_;
    watch.quiet = quiet_;
    return see_through(session, port, output_, {name}, watch);
  }

 private:
  Result<json> request(const Session& session) {
    // The types of the parameters stand in the job's definition, which the scheduler has.
    json texts = json::object();
    for (const std::string& word : params_) {
      const auto [name, text] = split_param(word);
      texts[name] = text;
    }
    if (request_id_.empty()) request_id_ = new_request_id();
    json body = {{"job", job_},
                 {"params", json::object()},
                 {"param_texts", texts},
                 {"force", force_},
                 {"request_id", request_id_}};
    // The logical time is one of the job's calendar, the start one of the person's clock.
    const Here mine = session.here();
    const Result<Here> here = for_.empty() ? Result<Here>(mine) : here_of_job(session, job_);
    if (!here) return here.error();
    for (const auto& [key, text] : {std::pair{"for", &for_}, std::pair{"at", &at_}}) {
      if (text->empty()) continue;
      const Result<std::string> time = utc_of_option(text == &for_ ? *here : mine, key, *text);
      if (!time) return time.error();
      body[key] = *time;
    }
    return body;
  }

  void announce(const Session& session, const Port& port, const std::string& name,
                bool created) const {
    if (quiet_) return;
    std::string line = fmt::format("run {} · {}", name, escape_for_terminal(job_));
    if (!created) line += " · this request made it before";
    line += staying_note(port);
    session.err.line(line);
    session.err.flush();
  }

  std::string job_;
  std::vector<std::string> params_;
  std::string for_;
  std::string at_;
  std::string request_id_;
  bool wait_ = false;
  bool force_ = false;
  bool detach_ = false;
  bool quiet_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_trigger_verb() { return std::make_unique<TriggerVerb>(); }

}  // namespace pawl
