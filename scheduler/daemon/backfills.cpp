#include "scheduler/daemon/backfills.h"

#include <algorithm>
#include <map>
#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/loop/clock.h"
#include "scheduler/spec/civil.h"

namespace pawl {
namespace {

using nlohmann::json;

constexpr Duration kTick{1};
constexpr std::int64_t kPriorityClass = 1;  ///< behind what is scheduled and what people start

// A fire may come in while the store is asked; then it is asked again, up to this often.
constexpr int kLooksMax = 20;

// Backfills that wait for another one to be accepted.
constexpr std::size_t kWaitingMax = 100;

/// A time with an offset, or one of the zone's calendar; a date is its midnight.
Result<WallTime> time_in(const cctz::time_zone& zone, const std::string& text, const char* name) {
  const auto civil = parse_civil(text);
  if (!civil) {
    return Error{ErrorKind::invalid,
                 std::string("`") + name + "` is no time: " + escape_for_terminal(text)};
  }
  if (civil->offset_minutes) return WallTime{civil->count_ms()};
  const cctz::civil_second second(civil->year, civil->month, civil->day, civil->hour, civil->minute,
                                  civil->second);
  const auto instant = cctz::convert(second, zone).time_since_epoch();
  return WallTime{std::chrono::duration_cast<Duration>(instant).count() + civil->ms};
}

json times_json(const std::vector<WallTime>& times) {
  json out = json::array();
  for (WallTime time : times) out.push_back(format_utc(time));
  return out;
}

}  // namespace

Backfills::Backfills(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Replies& replies)
    : loop_(loop), pump_(pump), writer_(writer), jobs_(jobs), replies_(replies) {}

void Backfills::handle(const ControlRequest& request, const json& body, ControlAnswer answer) {
  const std::string name = text_of(body, "job");
  const JobRow* job = jobs_.find(name);
  if (job == nullptr || job->version.value == 0) {
    return refuse(answer, jobs_.unknown(name));
  }
  if (waiting_.size() >= kWaitingMax)
    return refuse(answer, {ErrorKind::refused, "too many backfills wait already; try again soon"});
  auto ask = std::make_shared<Asked>();
  ask->row.job = name;
  ask->row.version = job->version;
  ask->row.trigger = Trigger::backfill;
  ask->row.priority_class = kPriorityClass;
  ask->row.max_active = 1;
  if (const auto it = body.find("max_active"); it != body.end() && it->is_number_integer())
    ask->row.max_active = it->get<std::int64_t>();
  if (ask->row.max_active < 1)
    return refuse(answer, {ErrorKind::invalid, "max_active must be at least 1"});
  const std::string reprocess = text_of(body, "reprocess");
  if (reprocess == "failed") ask->reprocess = Reprocess::failed;
  if (reprocess == "all") ask->reprocess = Reprocess::all;
  if (!reprocess.empty() && reprocess != "none" && ask->reprocess == Reprocess::none)
    return refuse(answer, {ErrorKind::invalid, "reprocess is none, failed or all"});
  ask->from = text_of(body, "from");
  ask->to = text_of(body, "to");
  ask->reverse = flag_of(body, "reverse");
  ask->dry_run = flag_of(body, "dry_run");
  ask->request_id = text_of(body, "request_id");
  ask->actor = request.actor;
  ask->answer = std::move(answer);
  waiting_.push_back(ask);
  if (waiting_.size() == 1) begin(ask);
}

void Backfills::load(const Ask& ask, std::function<std::function<void()>(Store&)> look) {
  pump_.flush();
  if (!writer_.load(std::move(look))) fail(*ask, lost_answer());
}

/// The definition, and whether this very request was accepted before.
void Backfills::begin(const Ask& ask) {
  load(ask, [this, alive = alive_, ask](Store& store) -> std::function<void()> {
    auto known = ask->request_id.empty() || ask->dry_run
                     ? Result<std::vector<std::string>>(std::vector<std::string>())
                     : store.runs_of_request(ask->request_id);
    return [this, alive, ask, known = std::move(known)] {
      if (!*alive) return;
      if (!known) return fail(*ask, known.error());
      if (!known->empty()) return answer_with(*ask, 200, *known, false, {});
      jobs_.stored(ask->row.version, [this, alive, ask](const Result<SharedJob>& job) {
        if (!*alive) return;
        if (!job) return fail(*ask, job.error());
        ask->job = *job;
        read(ask);
      });
    };
  });
}

void Backfills::read(const Ask& ask) {
  if (ask->job->schedules.empty()) {
    return fail(*ask, {ErrorKind::refused,
                       "job " + ask->row.job +
                           " has no schedule, so no fire times to run. One run at a time: pawl "
                           "trigger " +
                           ask->row.job + " --for TIME"});
  }
  auto params = resolve_params(*ask->job, "{}");
  if (!params) return fail(*ask, params.error());
  ask->row.params = *params;
  auto calendar = std::make_shared<Result<JobCalendar>>(JobCalendar{});
  work_ = std::make_unique<Work>(loop_);
  work_->start([ask, calendar] { *calendar = calendar_of(*ask->job); },
               [this, ask, calendar] {
                 if (!*calendar) return fail(*ask, calendar->error());
                 ask->calendar = **calendar;
                 if (auto found = find_fires(*ask); !found) return fail(*ask, found.error());
                 look_up(ask);
               });
}

/// The fires of the range that are not in the future. Errors: invalid, refused when there are more
/// than one step may accept.
Result<void> Backfills::find_fires(Asked& ask) const {
  const Calendar& calendar = *ask.calendar.calendar;
  const auto from = time_in(calendar.zone(), ask.from, "from");
  if (!from) return from.error();
  const auto to = time_in(calendar.zone(), ask.to, "to");
  if (!to) return to.error();
  if (*to <= *from)
    return Error{ErrorKind::invalid,
                 "`to` is not after `from`: " + format_utc(*from) + " to " + format_utc(*to)};
  ask.begin = *from;
  ask.end = std::min(*to, wall_now() + kTick);
  if (*to > ask.end)
    ask.to_come = calendar.count(std::max(ask.end, *from) - kTick, *to - kTick).fires;
  if (ask.end <= ask.begin) return {};
  const std::int64_t count = calendar.count(ask.begin - kTick, ask.end - kTick).fires;
  const auto tasks = static_cast<std::int64_t>(ask.job->tasks.size());
  const std::int64_t limit = std::min(limits::kBackfillRunsMax,
                                      std::max<std::int64_t>(1, limits::kBackfillTasksMax / tasks));
  if (count > limit) {
    return Error{ErrorKind::refused,
                 "the range has " + std::to_string(count) + " fire times, and " +
                     std::to_string(limit) +
                     " runs of this job can be accepted at once. Take a shorter range, one after "
                     "the other"};
  }
  ask.fires = calendar.newest(ask.begin - kTick, ask.end - kTick, static_cast<std::size_t>(limit));
  return {};
}

/// Which fires have a run. The schedule may make one meanwhile.
void Backfills::look_up(const Ask& ask) {
  const auto place = [this, ask] {
    const auto schedule = pump_.engine().schedule(ask->row.job);
    return schedule ? schedule->decided_through : WallTime{};
  };
  load(ask,
       [this, alive = alive_, ask, place, before = place()](Store& store) -> std::function<void()> {
         auto runs = store.runs_of_fires(ask->row.job, ask->begin, ask->end);
         return [this, alive, ask, place, before, runs = std::move(runs)] {
           if (!*alive) return;
           if (!runs) return fail(*ask, runs.error());
           if (place() != before && ++ask->looks < kLooksMax) return look_up(ask);
           if (place() != before)
             return fail(*ask, {ErrorKind::refused,
                                "the schedule fires faster than it can be looked "
                                "at; let `to` lie a little in the past"});
           submit(ask, *runs);
         };
       });
}

void Backfills::submit(const Ask& ask, const std::vector<FireRun>& runs) {
  std::map<WallTime, RunState> last;
  for (const FireRun& run : runs) last[run.fire] = run.state;
  input::SubmitAll all;
  std::vector<WallTime> fires;
  for (const WallTime fire : ask->fires) {
    const auto known = last.find(fire);
    const bool is_new = known == last.end();
    if (!is_new) {
      const RunState state = known->second;
      const bool has_failed = state == RunState::failed || state == RunState::cancelled;
      const bool again = (ask->reprocess == Reprocess::failed && has_failed) ||
                         (ask->reprocess == Reprocess::all && is_final(state));
      if (!again) continue;
    }
    RunRow row = ask->row;
    if (is_new) row.scheduled_for = fire;
    row.logical_time = fire;
    row.interval_start = ask->calendar.calendar->previous(fire);
    row.interval_end = fire;
    all.runs.push_back(std::move(row));
    fires.push_back(fire);
  }
  if (ask->dry_run || fires.empty()) return answer_with(*ask, 200, {}, false, fires);
  if (ask->reverse) {
    std::reverse(all.runs.begin(), all.runs.end());
    std::reverse(fires.begin(), fires.end());
  }
  for (std::size_t i = 0; i < all.runs.size() && !ask->request_id.empty(); ++i)
    all.runs[i].request_id = ask->request_id + ":" + std::to_string(i);
  all.version = ask->row.version;
  all.actor = ask->actor;
  all.reply = replies_.expect([this, alive = alive_, ask, fires](effect::Reply&& reply) {
    if (!*alive) return;
    if (!reply.status) return fail(*ask, reply.status.error());
    std::vector<std::string> names;
    for (CommandResult& result : reply.results) names.push_back(std::move(result.message));
    answer_with(*ask, 201, names, true, fires);
  });
  jobs_.know(ask->row.version, ask->job);
  pump_.feed(std::move(all));
}

void Backfills::answer_with(const Asked& ask, int status, const std::vector<std::string>& runs,
                            bool created, const std::vector<WallTime>& fires) {
  const json out = {{"job", ask.row.job},
                    {"runs", runs},
                    {"created", created},
                    {"fires", times_json(fires)},
                    {"max_active", ask.row.max_active},
                    {"left_out", ask.fires.size() - std::min(ask.fires.size(), fires.size())},
                    {"to_come", ask.to_come}};
  ask.answer(status, dump(out));
  end();
}

void Backfills::fail(const Asked& ask, const Error& error) {
  refuse(ask.answer, error);
  end();
}

void Backfills::end() {
  waiting_.pop_front();
  if (waiting_.empty()) return;
  loop_.defer([this, alive = alive_] {
    if (*alive) begin(waiting_.front());
  });
}

}  // namespace pawl
