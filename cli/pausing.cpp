#include "cli/pausing.h"

#include <algorithm>
#include <map>

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
  Result<HistoryAccess> access = open_to_change(session, Reach::any);
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

std::string_view verb_of(const Pausing& pausing) { return pausing.pause ? "pause" : "unpause"; }

json body_of(const Pausing& pausing, const std::vector<std::string>& runs) {
  json targets = json::array();
  for (const std::string& run : runs) {
    targets.push_back({{"run", run}, {"task", nullptr}, {"index", nullptr}});
  }
  return {{"verb", verb_of(pausing)},
          {"targets", std::move(targets)},
          {"options", {{"note", pausing.note}}},
          {"dry_run", pausing.dry_run}};
}

/// `objections`: by run, of those that would be refused.
void show(const Terminal& stream, const Pausing& pausing, const Meant& meant,
          const std::map<std::string, std::string>& objections) {
  const std::size_t count = meant.jobs.size() + meant.runs.size();
  stream.line(
      fmt::format("{} {}:", verb_of(pausing), counted(static_cast<std::int64_t>(count), "target")));
  for (const std::string& job : meant.jobs)
    stream.line(fmt::format("  job {}", escape_for_terminal(job)));
  for (const std::string& run : meant.runs) {
    const auto objection = objections.find(run);
    stream.line("  run " + run +
                (objection == objections.end()
                     ? ""
                     : "  refused: " + escape_for_terminal(objection->second)));
  }
}

/// Shows what would happen. The exit code: 4 when some of it would be refused.
Result<int> show_dry(const Session& session, const Pausing& pausing, const Meant& meant) {
  std::map<std::string, std::string> objections;
  if (!meant.runs.empty()) {
    Result<std::unique_ptr<Port>> port = open_port(session, Reach::any);
    if (!port) return port.error();
    const auto answer = ask(session, *port, Reach::any, "POST", "/v1/commands",
                            body_of(pausing, meant.runs), kAnswerTimeout);
    if (!answer) return answer.error();
    for (const json& line : answer->value("plan", json::array())) {
      if (line.value("action", std::string()) == "refused")
        objections.emplace(line.value("run", std::string()), line.value("text", std::string()));
    }
  }
  show(session.out, pausing, meant, objections);
  return objections.empty() ? 0 : exit_code(ErrorKind::refused);
}

/// Shows what is meant, where that is more than one; true when it shall be done. Each was named, or
/// all of them: who cannot be asked has said enough.
bool agree(const Session& session, const Pausing& pausing, const Meant& meant) {
  if (meant.jobs.size() + meant.runs.size() == 1) return true;
  show(session.err, pausing, meant, {});
  const std::string question = fmt::format("{} them?", verb_of(pausing));
  if (pausing.yes || !can_ask(session) || ask_yes(session, question)) return true;
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
  const auto answer = ask(session, port, Reach::any, "POST", "/v1/commands", body_of(pausing, runs),
                          kAnswerTimeout);
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

void declare_pausing(Arguments& arguments, Pausing& pausing) {
  arguments.words("JOB|RUN", pausing.words, false, "jobs by name, or runs");
  arguments.flag("-y,--yes", pausing.yes, "do not ask");
  arguments.flag("--dry-run", pausing.dry_run, "only show what would happen");
  arguments.check([&pausing]() -> Result<void> {
    if (!pausing.words.empty() || pausing.all) return {};
    return Error{ErrorKind::invalid, "nothing is selected. Name jobs or runs"};
  });
}

Result<int> carry_out(const Session& session, const Pausing& pausing) {
  const Result<Meant> meant = what_is_meant(session, pausing);
  if (!meant) return meant.error();
  if (meant->jobs.empty() && meant->runs.empty()) {
    session.err.line("nothing is paused");
    return 0;
  }
  if (pausing.dry_run) return show_dry(session, pausing, *meant);
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
