#include <fmt/format.h>

#include "cli/change.h"
#include "cli/history_access.h"
#include "cli/listing.h"
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
    arguments.flag("-y,--yes", yes_, "do not ask");
    arguments.flag("--dry-run", dry_run_, "only show what would happen; with --older-than");
    arguments.output(output_, {Format::table, Format::json, Format::jsonl});
    arguments.note(
        "Takes old runs away, with their logs and outputs. Runs with an unresolved failure stay 90 "
        "days; open ones always. What jobs and settings say goes by itself in time, so nothing is "
        "asked; with --older-than it is more than that.");
    arguments.example("pawl prune --older-than 30d");
  }

  Result<int> run(Session& session) override {
    if (const Result<void> there = require_home(session); !there) return there.error();
    if (dry_run_ && !older_than_)
      return Error{ErrorKind::invalid, "prune: --dry-run needs --older-than"};
    if (older_than_) {
      const Result<bool> agreed = agree(session);
      if (!agreed) return agreed.error();
      if (!*agreed) return 0;
    }
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
  /// Says how many it is about; true when they shall go.
  Result<bool> agree(const Session& session) const {
    const Result<std::int64_t> runs = count_old(session);
    if (!runs) return runs.error();
    const std::string what = fmt::format("{} ended so long ago", counted(*runs, "run"));
    if (dry_run_) {
      if (output_.is_for_people()) {
        session.out.line(what + ". Those with an unresolved failure stay 90 days");
      } else {
        print_object(session.out, output_, {{"old_runs", *runs}});
      }
      return false;
    }
    if (yes_ || *runs <= 1) return true;
    if (!can_ask(session)) {
      return Error{ErrorKind::invalid,
                   fmt::format("prune: {}. Say -y, or look first with --dry-run", what)};
    }
    const bool said = ask_yes(session, what + ". Take them away for good?");
    if (!said) session.notice("nothing was done");
    return said;
  }

  Result<std::int64_t> count_old(const Session& session) const {
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    if (access->is_empty()) return 0;
    const WallTime cut = session.here().now - *older_than_;
    Selector selector;
    selector.states = {"succeeded", "failed", "cancelled"};
    selector.until = cut;  // who ended before it was made before it
    auto pager = access->history().runs(selector);
    std::int64_t count = 0;
    for (;;) {
      const auto page = pager.next(kRowsPerPage);
      if (!page) return page.error();
      for (const RunView& run : *page) count += run.row.ended_at && *run.row.ended_at < cut ? 1 : 0;
      if (page->size() < kRowsPerPage) return count;
    }
  }

  std::optional<Duration> older_than_;
  bool yes_ = false;
  bool dry_run_ = false;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_prune_verb() { return std::make_unique<PruneVerb>(); }

}  // namespace pawl
