#include "cli/pausing.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/change.h"
#include "cli/history_access.h"
#include "cli/listing.h"
#include "cli/submit.h"
#include "cli/view.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

using nlohmann::json;

struct Meant {
  std::vector<std::string> jobs;
  std::vector<std::string> runs;  ///< full names
};

Result<Meant> everything_paused(HistoryAccess& access) {
  Meant meant;
  if (access.is_empty()) return meant;
  const auto jobs = access.history().jobs();
  if (!jobs) return jobs.error();
  for (const JobView& job : *jobs) {
    if (job.row.paused) meant.jobs.push_back(job.row.name);
  }
  Selector selector;
  selector.states = {"paused"};
  auto pager = access.history().runs(selector);
  for (;;) {
    const auto page = pager.next(kRowsPerPage);
    if (!page) return page.error();
    for (const RunView& run : *page) meant.runs.push_back(run.row.name);
    if (page->size() < kRowsPerPage) return meant;
  }
}

Result<Meant> what_is_meant(const Session& session, const Pausing& pausing) {
  Result<HistoryAccess> access = HistoryAccess::open(session);
  if (!access) return access.error();
  if (pausing.all) return everything_paused(*access);
  Meant meant;
  for (const std::string& word : pausing.words) {
    if (!access->is_empty()) {
      const auto job = access->history().job(word);
      if (!job) return job.error();
      if (*job) {
        meant.jobs.push_back(word);
        continue;
      }
    }
    const Result<Named> named = access->resolve_beside_jobs(word);
    if (!named) return named.error();
    if (named->task) {
      return Error{ErrorKind::invalid, fmt::format("{}: jobs and runs are paused, not tasks",
                                                   escape_for_terminal(word))};
    }
    meant.runs.push_back(named->run.name);
  }
  return meant;
}

/// Shows what is meant, where that is more than one; true when it shall be done. Each was named, or
/// all of them: who cannot be asked has said enough.
bool agree(const Session& session, const Pausing& pausing, const Meant& meant) {
  const std::size_t count = meant.jobs.size() + meant.runs.size();
  if (count == 1 && !pausing.dry_run) return true;
  const Terminal& stream = pausing.dry_run ? session.out : session.err;
  const std::string_view verb = pausing.pause ? "pause" : "unpause";
  stream.line(fmt::format("{} {}:", verb, counted(static_cast<std::int64_t>(count), "target")));
  for (const std::string& job : meant.jobs)
    stream.line(fmt::format("  job {}", escape_for_terminal(job)));
  for (const std::string& run : meant.runs) stream.line("  run " + run);
  if (pausing.dry_run) return false;
  if (pausing.yes || !can_ask(session) || ask_yes(session, fmt::format("{} them?", verb)))
    return true;
  session.notice("nothing was done");
  return false;
}

Result<void> set_jobs(const Session& session, std::unique_ptr<Port>& port, const Pausing& pausing,
                      const std::vector<std::string>& jobs) {
  for (const std::string& job : jobs) {
    const std::string path =
        fmt::format("/v1/jobs/{}/{}", Client::encode(job), pausing.pause ? "pause" : "unpause");
    const auto done =
        ask(session, port, Reach::any, "POST", path, {{"note", pausing.note}}, kAnswerTimeout);
    if (!done) return done.error();
    session.err.line(fmt::format(
        "job {} {}", job, pausing.pause ? "paused: its schedule starts nothing" : "goes on"));
  }
  return {};
}

/// Runs that were changed; `code` becomes 4 when some were refused.
Result<std::vector<std::string>> set_runs(const Session& session, std::unique_ptr<Port>& port,
                                          const Pausing& pausing,
                                          const std::vector<std::string>& runs, int& code) {
  std::vector<std::string> changed;
  if (runs.empty()) return changed;
  json targets = json::array();
  for (const std::string& run : runs) {
    targets.push_back({{"run", run}, {"task", nullptr}, {"index", nullptr}});
  }
  const json body = {{"verb", pausing.pause ? "pause" : "unpause"},
                     {"targets", std::move(targets)},
                     {"options", {{"note", pausing.note}}}};
  const auto answer = ask(session, port, Reach::any, "POST", "/v1/commands", body, kAnswerTimeout);
  if (!answer) return answer.error();
  const auto results = answer->find("results");
  if (results == answer->end() || !results->is_array()) return changed;
  for (const json& result : *results) {
    const std::string run = result.value("run", std::string());
    if (result.value("ok", false)) {
      session.err.line(
          fmt::format("run {} {}", run, pausing.pause ? "paused: nothing more starts" : "goes on"));
      changed.push_back(run);
    } else if (!pausing.all) {  // of all, one that has ended meanwhile is none that is paused
      session.notice(fmt::format("{}: {}", short_name(run),
                                 escape_for_terminal(result.value("message", std::string()))));
      code = exit_code(ErrorKind::refused);
    }
  }
  return changed;
}

}  // namespace

Result<int> carry_out(const Session& session, const Pausing& pausing) {
  if (pausing.words.empty() && !pausing.all) {
    return Error{ErrorKind::invalid, fmt::format("{}: nothing is selected. Name jobs or runs",
                                                 pausing.pause ? "pause" : "unpause")};
  }
  const Result<Meant> meant = what_is_meant(session, pausing);
  if (!meant) return meant.error();
  if (meant->jobs.empty() && meant->runs.empty()) {
    session.err.line("nothing is paused");
    return 0;
  }
  if (!agree(session, pausing, *meant)) return 0;
  Result<std::unique_ptr<Port>> opened = open_port(session, Reach::any);
  if (!opened) return opened.error();
  std::unique_ptr<Port> port = *std::move(opened);
  int code = 0;
  const auto jobs = set_jobs(session, port, pausing, meant->jobs);
  if (!jobs) return jobs.error();
  const auto runs = set_runs(session, port, pausing, meant->runs, code);
  if (!runs) return runs.error();
  if (pausing.pause) return code;
  const Result<int> seen = see_open_through(session, port, *runs);
  if (!seen) return seen.error();
  return std::max(*seen, code);
}

}  // namespace pawl
