#include "cli/submit.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "cli/history_access.h"
#include "cli/stored_job.h"
#include "cli/view.h"
#include "cli/when.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"

namespace pawl {

namespace {

/// The objects of runs as `pawl runs -o json` shows them.
class RunObjects {
 public:
  /// `lists`: with json one array, else the object as it is.
  RunObjects(const Session& session, const OutputOptions& output, bool lists)
      : session_(session),
        output_(output),
        lists_(lists && output.format == Format::json),
        list_(session.out, output, {}, {}) {}

  Result<void> print(const std::string& name, bool beside_scheduler) {
    if (output_.format == Format::name) return {};
    Result<HistoryAccess> history = HistoryAccess::open(session_, beside_scheduler);
    if (!history) return history.error();
    Result<OrderedJson> object = run_object(*history, name);
    if (!object) return object.error();
    if (lists_) {
      list_.add({*std::move(object), {}, name});
    } else {
      print_object(session_.out, output_, *object);
    }
    return {};
  }

  /// Ends the array.
  void finish() {
    if (std::exchange(lists_, false)) list_.finish();
  }
  ~RunObjects() { finish(); }
  RunObjects(const RunObjects&) = delete;
  RunObjects& operator=(const RunObjects&) = delete;

 private:
  const Session& session_;
  const OutputOptions& output_;
  bool lists_;
  Listing list_;
};

/// Until the reader has taken so much that there is room for more, or a signal came. The scheduler
/// that this process is goes on meanwhile.
Result<void> wait_for_reader(const Session& session, Port& port, const SignalWatch& signals) {
  constexpr Duration kLook = std::chrono::milliseconds(100);
  while (session.out.unread() > Outlet::kUnreadBytesMax && signals.leave() == 0 &&
         signals.interrupts() == 0) {
    const Result<void> turned = port.turn_for(kLook);
    // Whoever follows on goes to the scheduler that took the home over.
    if (!turned && turned.error().kind == ErrorKind::no_scheduler) return {};
    if (!turned) return turned.error();
  }
  return {};
}

/// 130 outweighs 1 outweighs 0.
int worse(int a, int b) { return std::max(a, b); }

}  // namespace

std::vector<Format> run_formats() { return {Format::name, Format::json, Format::jsonl}; }

Result<WayToHome> open_known_home(const Session& session, bool detach) {
  if (const Result<void> there = require_home(session); !there && !detach) return there.error();
  const Reach reach = detach ? Reach::socket : Reach::any;
  Result<std::unique_ptr<Port>> port = open_port(session, reach);
  if (!port) return port.error();
  return WayToHome{reach, *std::move(port)};
}

Result<HistoryAccess> open_to_change(const Session& session, Reach reach) {
  Result<HistoryAccess> access = HistoryAccess::open(session);
  if (access || access.error().kind != ErrorKind::version) return access;
  if (const auto port = open_port(session, reach); !port) return port.error();
  return HistoryAccess::open(session);
}

Result<Here> here_of_job(const Session& session, const std::string& job) {
  Here here = session.here();
  Result<HistoryAccess> access = open_to_change(session, Reach::any);
  if (!access) return access.error();
  if (access->is_empty()) return here;
  const Result<std::optional<JobView>> known = access->history().job(job);
  if (!known) return known.error();
  if (!*known || (*known)->row.version.value == 0) return here;
  const Result<JobSpec> spec = stored_job(*access, (*known)->row.version);
  if (!spec) return spec.error();
  if (spec->schedules.empty()) return here;
  here.zone = zone_named(spec->schedules.front().timezone).value_or(here.zone);
  return here;
}

Result<void> check_time_option(std::string_view key, const std::string& text) {
  if (text.empty()) return {};
  const Result<std::string> time = utc_of_option(Here{}, key, text);
  if (!time) return time.error();
  return {};
}

Result<std::string> utc_of_option(const Here& here, std::string_view key, const std::string& text) {
  const Result<WallTime> time = parse_when(text, here);
  if (!time) return Error{ErrorKind::invalid, fmt::format("--{}: {}", key, time.error().message)};
  return format_utc(*time);
}

void print_run_ids(const Session& session, const OutputOptions& output,
                   const std::vector<std::string>& runs) {
  if (output.format != Format::name) return;
  // On a terminal the line of progress below names the run; a second time would only be noise.
  if (session.out.is_terminal && session.err.is_terminal && runs.size() == 1) return;
  for (const std::string& run : runs) session.out.line(run);
  session.out.flush();
}

Result<int> see_through(const Session& session, std::unique_ptr<Port>& port,
                        const OutputOptions& output, const std::vector<std::string>& runs,
                        const Watch& watch) {
  int code = 0;
  const bool follows = watch.wait || port->is_scheduler();
  const SignalWatch signals;
  RunObjects objects(session, output, watch.lists);
  Together together;
  together.runs = runs;
  for (const std::string& run : runs) {
    if (follows) {
      FollowOptions options;
      options.owns_run = watch.owns_run || port->is_scheduler();
      options.quiet = watch.quiet;
      const Result<Followed> followed = follow_run(session, port, run, signals, options, together);
      if (!followed) return followed.error();
      code = worse(code, print_ending(session, *followed, port->is_scheduler()));
      if (followed->how == Followed::How::left) return code;
    }
    if (const auto printed = objects.print(run, port->is_scheduler()); !printed)
      return printed.error();
    if (const auto taken = wait_for_reader(session, *port, signals); !taken) return taken.error();
  }
  objects.finish();
  if (const Result<void> others = port->see_others_through(); !others) return others.error();
  return code;
}

Result<int> see_open_through(const Session& session, std::unique_ptr<Port>& port,
                             const std::vector<std::string>& runs) {
  if (!port->is_scheduler()) return 0;
  std::vector<std::string> open;
  for (const std::string& run : runs) {
    const Result<RunProgress> progress = look_at(session, port, run);
    if (!progress) return progress.error();
    if (progress->ended || progress->state == RunState::paused) continue;
    session.err.line("run " + run + " goes on" + staying_note(*port));
    open.push_back(run);
  }
  if (open.empty()) return 0;
  OutputOptions output;
  output.format = Format::name;
  return see_through(session, port, output, open, Watch{});
}

}  // namespace pawl
