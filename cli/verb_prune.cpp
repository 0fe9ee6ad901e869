#include <algorithm>

#include <fmt/format.h>

#include "cli/change.h"
#include "cli/history_access.h"
#include "cli/listing.h"
#include "cli/port.h"
#include "cli/settings.h"
#include "cli/verb.h"
#include "scheduler/daemon/definitions.h"
#include "storage/retention.h"

namespace pawl {

namespace {

// A first prune may have years of history to take away.
constexpr Duration kPatience = std::chrono::hours(1);

class PruneVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--older-than", "D", older_than_,
                     "runs that ended so long ago (what jobs and settings say)");
    arguments.flag("-y,--yes", yes_, "do not ask");
    arguments.flag("--dry-run", dry_run_, "only show what would happen");
    arguments.output(output_, {Format::table, Format::json, Format::jsonl});
    arguments.note(
        "Takes old runs away, with their logs and outputs. Runs with an unresolved failure stay 90 "
        "days; open ones always. What jobs and settings say goes by itself in time, so nothing is "
        "asked; with --older-than it is more than that.");
    arguments.example("pawl prune --older-than 30d");
  }

  Result<int> run(Session& session) override {
    if (const Result<void> there = require_home(session); !there) return there.error();
    PruneRequest request;
    request.now = session.here().now;
    // What was not counted stays, whatever ends, or is settled, while the question stands.
    if (older_than_) request.ended_before = request.now - *older_than_;
    std::optional<std::vector<std::string>> agreed;
    if (older_than_ || dry_run_) {
      Result<std::optional<std::vector<std::string>>> said = agree(session, request);
      if (!said) return said.error();
      if (!*said) return 0;
      agreed = *std::move(said);
    }
    Result<std::unique_ptr<Port>> opened = open_port(session, Reach::any);
    if (!opened) return opened.error();
    std::unique_ptr<Port> port = *std::move(opened);
    std::int64_t runs = 0;
    for (std::size_t at = 0; at == 0 || (agreed && at < agreed->size()); at += kPrunedByNameMax) {
      nlohmann::json body = nlohmann::json::object();
      if (agreed) body = body_of(request, *agreed, at);
      const auto answer = ask(session, port, Reach::any, "POST", "/v1/prune", body, kPatience);
      if (!answer) return answer.error();
      runs += answer->value("runs", std::int64_t{0});
    }
    if (output_.is_for_people()) {
      session.err.line(counted(runs, "run") + " taken away");
    } else {
      print_object(session.out, output_, {{"runs", runs}});
    }
    return 0;
  }

 private:
  /// Some of what was agreed to, from `at` on.
  static nlohmann::json body_of(const PruneRequest& request, const std::vector<std::string>& agreed,
                                std::size_t at) {
    const std::size_t end = std::min(agreed.size(), at + kPrunedByNameMax);
    nlohmann::json names = nlohmann::json::array();
    for (; at < end; ++at) names.push_back(agreed[at]);
    return {{"ended_before_ms", request.ended_before->ms}, {"runs", std::move(names)}};
  }

  /// Says how many it is about; those that shall go, nothing when none shall.
  Result<std::optional<std::vector<std::string>>> agree(const Session& session,
                                                        PruneRequest request) const {
    Result<std::vector<std::string>> names = names_of(session, std::move(request));
    if (!names) return names.error();
    const auto runs = static_cast<std::int64_t>(names->size());
    constexpr std::nullopt_t kNone = std::nullopt;
    if (dry_run_) {
      if (output_.is_for_people()) {
        session.out.line(counted(runs, "run") + " would be taken away");
      } else {
        print_object(session.out, output_, {{"runs", runs}});
      }
      return {kNone};
    }
    if (yes_ || runs <= 1) return std::optional(*std::move(names));
    const std::string what = fmt::format("{} ended so long ago", counted(runs, "run"));
    if (!can_ask(session)) {
      return Error{ErrorKind::invalid,
                   fmt::format("prune: {}. Say -y, or look first with --dry-run", what)};
    }
    if (ask_yes(session, what + ". Take them away for good?"))
      return std::optional(*std::move(names));
    session.notice("nothing was done");
    return {kNone};
  }

  static Result<std::vector<std::string>> names_of(const Session& session, PruneRequest request) {
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    if (access->is_empty()) return std::vector<std::string>();
    if (!request.ended_before) {
      if (const Result<void> read = read_kept(session, *access, request); !read)
        return read.error();
    }
    return prunable(access->history().database(), request);
  }

  /// What settings and jobs keep.
  static Result<void> read_kept(const Session& session, HistoryAccess& access,
                                PruneRequest& request) {
    const Result<ParsedSettings> settings = settings_of(session, nullptr);
    if (!settings) return settings.error();
    request.keep = {settings->settings.retention_runs, settings->settings.retention_days};
    const auto jobs = access.history().jobs();
    if (!jobs) return jobs.error();
    for (const JobView& job : *jobs) {
      const auto version = access.history().version(job.row.version);
      if (!version) return version.error();
      if (!*version) continue;
      if (const auto own = own_retention(**version))
        request.jobs[job.row.name] = own->over(request.keep);
    }
    return {};
  }

  std::optional<Duration> older_than_;
  bool yes_ = false;
  bool dry_run_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_prune_verb() { return std::make_unique<PruneVerb>(); }

}  // namespace pawl
