#include "cli/history_access.h"

#include <fmt/format.h>

#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"

namespace pawl {

Result<HistoryAccess> HistoryAccess::open(const Session& session, bool beside_scheduler) {
  Result<std::string> path = resolve_home(session.home_flag);
  if (!path) return path.error();
  const auto nothing = [&] {
    // So that nobody takes the clean list of the wrong home for good news.
    session.notice(fmt::format("nothing has run in {} yet", escape_for_terminal(*path)));
    return HistoryAccess(*path, nullptr);
  };
  const Result<Home> home = Home::open(*path);
  if (!home) {
    if (home.error().kind == ErrorKind::not_found) return nothing();
    return home.error();
  }
  HistoryOptions options;
  options.beside_writer = beside_scheduler;
  Result<std::unique_ptr<History>> history = History::open(home->database(), options);
  if (!history) {
    if (history.error().kind == ErrorKind::not_found) return nothing();
    return history.error();
  }
  return HistoryAccess(*path, *std::move(history));
}

Result<Named> HistoryAccess::resolve(std::string_view name) {
  const Result<ObjectName> object = parse_object_name(name);
  if (!object) return object.error();
  if (is_empty()) {
    return Error{ErrorKind::not_found,
                 fmt::format("{}: there are no runs in {}", escape_for_terminal(name),
                             escape_for_terminal(home_))};
  }
  return history_->resolve(*object);
}

Result<Named> HistoryAccess::resolve_beside_jobs(std::string_view name) {
  Result<Named> named = resolve(name);
  const bool is_bare = name.find_first_of("/@:") == std::string_view::npos;
  if (named || is_empty() || !is_bare || named.error().kind != ErrorKind::not_found) return named;
  const Result<std::vector<JobView>> jobs = history_->jobs();
  if (!jobs) return jobs.error();
  std::vector<std::string_view> names;
  for (const JobView& job : *jobs) names.push_back(job.row.name);
  const std::string_view near = nearest_word(name, names);
  return Error{ErrorKind::not_found,
               fmt::format("'{}' is neither a job nor a run here. {}", escape_for_terminal(name),
                           near.empty() ? "See pawl jobs, pawl runs"
                                        : fmt::format("Did you mean {}?", near))};
}

Result<RunRow> HistoryAccess::find_run(std::string_view name) {
  const Result<Named> named = resolve(name);
  if (!named) return named.error();
  return named->run;
}

}  // namespace pawl
