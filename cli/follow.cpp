#include "cli/follow.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "cli/live_view.h"

namespace pawl {

namespace {

using nlohmann::json;

// How long one answer may be waited for: short enough that durations on a terminal tick and that
// Ctrl-C is obeyed at once.
constexpr Duration kPoll = std::chrono::milliseconds(250);

/// What a person who presses Ctrl-C again and again means.
struct Step {
  const char* verb;
  bool force;
  const char* says;
};
constexpr Step kSteps[] = {
    {"pause", false, "nothing more starts; waiting for what runs. Ctrl-C again cancels it"},
    {"cancel", false, "cancelling what runs. Ctrl-C again kills it"},
    {"cancel", true, "killing what runs"},
};

Result<void> act(const Session& session, std::unique_ptr<Port>& port,
                 const std::vector<std::string>& runs, const Step& step) {
  json targets = json::array();
  for (const std::string& run : runs)
    targets.push_back({{"run", run}, {"task", nullptr}, {"index", nullptr}});
  const json body = {
      {"verb", step.verb}, {"targets", std::move(targets)}, {"options", {{"force", step.force}}}};
  const auto done = ask(session, port, Reach::any, "POST", "/v1/commands", body, kAnswerTimeout);
  if (!done) return done.error();
  return {};
}

/// Of runs whose scheduler went for good while they were followed, or before that, this process or
/// another command is the scheduler now, and has adopted them as any other: nothing of them would
/// start.
Result<void> take_over(const Session& session, std::unique_ptr<Port>& port, LiveView& view,
                       const std::vector<std::string>& runs) {
  if (port->is_scheduler())
    view.say("pawl: its scheduler is gone: this command is it until the run ends");
  std::vector<std::string> open;
  for (const std::string& run : runs) {
    const Result<RunProgress> progress = look_at(session, port, run);
    if (!progress) return progress.error();
    if (!progress->ended && progress->state != RunState::paused) open.push_back(run);
  }
  if (open.empty()) return {};
  return act(session, port, open, {"unpause", false, ""});
}

std::int64_t live_of(const RunProgress& run) { return count_of(run.counts, TaskState::running); }

}  // namespace

Result<RunProgress> look_at(const Session& session, std::unique_ptr<Port>& port,
                            const std::string& run) {
  const auto answer = ask(session, port, Reach::any, "GET",
                          fmt::format("/v1/runs/{}/follow?version=0", Client::encode(run)), nullptr,
                          kAnswerTimeout);
  if (!answer) return answer.error();
  return read_progress(*answer);
}

Result<Followed> follow_run(const Session& session, std::unique_ptr<Port>& port,
                            const std::string& run, const SignalWatch& signals,
                            const FollowOptions& options, Together& together) {
  LiveView view(session.err);
  Followed followed;
  std::int64_t version = 0;
  std::int64_t woken_by = 0;
  for (;;) {
    const std::string path = fmt::format("/v1/runs/{}/follow?version={}&timeout_ms={}",
                                         Client::encode(run), version, kPoll.count());
    const auto answer =
        ask(session, port, Reach::any, "GET", path, nullptr, kPoll + kAnswerTimeout);
    if (!answer) return answer.error();
    followed.interrupted = signals.interrupts() > 0;
    Result<RunProgress> progress = read_progress(*answer);
    if (!progress) return progress.error();
    version = progress->version;
    followed.run = *std::move(progress);
    const bool is_asleep = followed.run.dormant && followed.run.state != RunState::paused;
    if (is_asleep && woken_by != followed.run.scheduler_pid) {
      woken_by = followed.run.scheduler_pid;
      if (const auto taken = take_over(session, port, view, together.runs); !taken)
        return taken.error();
    }
    if (!options.quiet) view.update(followed.run, session.here());
    if (followed.run.ended) {
      view.finish();
      return followed;
    }
    if (signals.leave() != 0) {
      followed.how = Followed::How::left;
      followed.signal = signals.leave();
      return followed;
    }
    if (signals.interrupts() > together.obeyed) {
      if (!options.owns_run) {
        followed.how = Followed::How::left;
        followed.signal = SIGINT;
        return followed;
      }
      const Step& step =
          kSteps[std::min<std::size_t>(static_cast<std::size_t>(together.obeyed), 2)];
      ++together.obeyed;
      view.say(fmt::format("pawl: {}", step.says));
      if (const auto done = act(session, port, together.runs, step); !done) return done.error();
      continue;  // a fresh look before deciding that nothing runs
    }
    if (followed.run.state == RunState::paused && live_of(followed.run) == 0) {
      view.finish();
      followed.how = Followed::How::paused;
      return followed;
    }
  }
}

}  // namespace pawl
