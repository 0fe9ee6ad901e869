#include <algorithm>

#include <fmt/format.h>

#include "cli/change.h"
#include "cli/submit.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

using nlohmann::json;

constexpr std::size_t kFiresShown = 20;

class BackfillVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("JOB", job_, true, "the job");
    arguments.option("--from", "TIME", from_, "first fire time, inclusive");
    arguments.option("--to", "TIME", to_, "end, exclusive");
    arguments.option("--max-active", "N", max_active_, 1, "runs of it at a time (1)");
    arguments.choice("--reprocess", "WHICH", reprocess_, {"none", "failed", "all"},
                     "fire times that already have a run: leave them (none), run those again that "
                     "failed or were cancelled, or all");
    arguments.flag("--reverse", reverse_, "newest first");
    arguments.flag("--wait", wait_, "wait for the end of all; the exit code is the worst");
    arguments.flag("--detach", detach_, "only hand it to a scheduler that is up");
    arguments.flag("-y,--yes", yes_, "do not ask");
    arguments.flag("--dry-run", dry_run_, "only show what would happen");
    arguments.flag("-q,--quiet", quiet_, "no progress, only the end");
    arguments.output(output_, run_formats());
    arguments.check([this]() -> Result<void> {
      if (from_.empty() || to_.empty())
        return Error{ErrorKind::invalid, "--from and --to say which fire times are meant"};
      if (auto read = check_time_option("from", from_); !read) return read;
      return check_time_option("to", to_);
    });
    arguments.note(
        "One run for each fire time of the schedule from --from to --to; a time without a zone is "
        "one of the job's, a bare date its midnight. All of them are accepted at once, wait behind "
        "what is scheduled, and "
        "go on after any restart. What the schedule has yet to fire is left to it.");
    arguments.example("pawl backfill sales --from 2026-11-01 --to 2026-11-08 --max-active 4");
    arguments.example("pawl backfill sales --from 2026-11-01 --to 2026-11-08 --reprocess failed");
  }

  Result<int> run(Session& session) override {
    Result<json> body = request(session);
    if (!body) return body.error();
    Result<WayToHome> way = open_known_home(session, detach_);
    if (!way) return way.error();
    auto& [reach, port] = *way;
    const bool asks = !yes_ && !dry_run_ && can_ask(session);
    if (dry_run_ || asks) {
      const Result<bool> agreed = agree(session, port, reach, *body);
      if (!agreed) return agreed.error();
      if (!*agreed) return 0;
    }
    const auto answer = send(session, port, reach, *body);
    if (!answer) return answer.error();
    const auto runs = answer->value("runs", std::vector<std::string>());
    if (!quiet_ && !asks) tell(session.err, *answer);
    print_run_ids(session, output_, runs);
    Watch watch;
    watch.wait = wait_;
    watch.quiet = quiet_ || runs.size() > 1;
    watch.lists = true;
    return see_through(session, port, output_, runs, watch);
  }

 private:
  Result<json> request(const Session& session) const {
    json body = {{"job", job_},
                 {"max_active", max_active_.value_or(1)},
                 {"reprocess", reprocess_},
                 {"reverse", reverse_},
                 {"dry_run", false},
                 {"request_id", new_request_id()}};
    const Result<Here> here = here_of_job(session, job_);
    if (!here) return here.error();
    for (const auto& [key, text] : {std::pair{"from", &from_}, std::pair{"to", &to_}}) {
      const Result<std::string> time = utc_of_option(*here, key, *text);
      if (!time) return time.error();
      body[key] = *time;
    }
    return body;
  }

  /// Shows what would be made; true when it shall.
  Result<bool> agree(const Session& session, std::unique_ptr<Port>& port, Reach reach,
                     json body) const {
    body["dry_run"] = true;
    Result<json> plan = send(session, port, reach, body);
    if (!plan) return plan.error();
    show_plan(session, *plan);
    const std::vector<std::string> fires = fires_of(*plan);
    if (dry_run_) return false;
    if (fires.size() <= 1) return true;
    const auto look_again = [&]() -> Result<bool> {
      Result<json> now = send(session, port, reach, body);
      if (!now) return now.error();
      const bool same = is_within(fires_of(*now), fires_of(*plan));
      if (!same) {
        session.notice("something else would be made by now:");
        show_plan(session, *now);
      }
      plan = std::move(now);
      return same;
    };
    Result<bool> said = ask_beside_home(session, port, reach, "make them?", look_again);
    if (said && !*said) session.notice("nothing was done");
    return said;
  }

  static bool is_within(std::vector<std::string> fires, std::vector<std::string> agreed) {
    std::sort(fires.begin(), fires.end());
    std::sort(agreed.begin(), agreed.end());
    return std::includes(agreed.begin(), agreed.end(), fires.begin(), fires.end());
  }

  static std::vector<std::string> fires_of(const json& plan) {
    return plan.value("fires", std::vector<std::string>());
  }

  static Result<json> send(const Session& session, std::unique_ptr<Port>& port, Reach reach,
                           const json& body) {
    return ask(session, port, reach, "POST", "/v1/backfill", body, kAnswerTimeout);
  }

  void show_plan(const Session& session, const json& plan) const {
    const std::vector<std::string> fires = fires_of(plan);
    if (dry_run_ && output_.format != Format::name) {
      print_object(session.out, output_, OrderedJson::parse(plan.dump()));
      return;
    }
    const Terminal& stream = dry_run_ ? session.out : session.err;
    for (std::size_t i = 0; i < std::min(fires.size(), kFiresShown); ++i)
      stream.line("  " + fires[i]);
    if (fires.size() > kFiresShown)
      stream.line(fmt::format("  … and {} more", fires.size() - kFiresShown));
    tell(stream, plan);
  }

  void tell(const Terminal& stream, const json& answer) const {
    const auto fires = static_cast<std::int64_t>(std::max(
        answer.value("fires", json::array()).size(), answer.value("runs", json::array()).size()));
    std::string line = fmt::format("backfill {} · {} · {} at a time", escape_for_terminal(job_),
                                   counted(fires, "run"), answer.value("max_active", 1));
    if (const auto left = answer.value("left_out", std::int64_t{0}); left > 0)
      line += fmt::format(" · {} have a run already (--reprocess {})", counted(left, "fire time"),
                          reprocess_);
    if (const auto later = answer.value("to_come", std::int64_t{0}); later > 0)
      line += fmt::format(" · {} still to come", counted(later, "fire time is", "fire times are"));
    stream.line(line);
    stream.flush();
  }

  std::string job_;
  std::string from_;
  std::string to_;
  std::string reprocess_ = "none";
  std::optional<std::int64_t> max_active_;
  bool reverse_ = false;
  bool wait_ = false;
  bool detach_ = false;
  bool yes_ = false;
  bool dry_run_ = false;
  bool quiet_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_backfill_verb() { return std::make_unique<BackfillVerb>(); }

}  // namespace pawl
