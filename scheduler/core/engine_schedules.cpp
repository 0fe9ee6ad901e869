// Schedules: each fire gets its run or its decision, once. A run and the place that its schedule
// has come to are one step, so one commit; the place never goes back. Fires that nobody could start
// in time were missed, and `catchup` says what becomes of them; a fire that meets an active run
// asks `overlap`.

#include <algorithm>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {
namespace {

// A fire that starts later than this was missed: the machine slept, its clock jumped, or the
// scheduler was stopped. Below it, somebody was only busy.
constexpr Duration kOnTimeWithin = std::chrono::seconds(10);

// How far jitter may have turned around the order of the last missed fires.
constexpr int kLookBackMax = 1'000;

constexpr Duration kInstant{1};

}  // namespace

// What people and folders change -----------------------------------------------------------------

void Engine::State::on(const input::SetSchedule& in) {
  const auto version = versions_.find(in.version);
  if (version == versions_.end()) return;
  JobSchedule* known = schedules_.find(in.job);
  JobSchedule& s = known != nullptr ? *known : schedules_.add(in.job);
  schedules_.disarm(s);
  const bool is_new = known == nullptr;
  const bool was_served = s.is_served;
  bool starts_anew = in.from_now;
  if (is_new) {
    s.is_paused = in.paused;
    s.failures = in.failures;
    s.stored = in.decided_through;
    s.decided_through = in.decided_through.value_or(now_.wall);
    starts_anew = starts_anew || !in.decided_through;
  } else if (!was_served) {
    starts_anew = true;
  } else if (s.calendar_key != in.calendar_key) {
    // What the old calendar owed until now is settled before the new one counts.
    while (s.is_armed() && *s.next <= now_.wall) fire_next(s);
    starts_anew = true;
  }
  unpin(s);
  s.version = version->second.get();
  s.version_id = in.version;
  ++s.version->runs;
  s.calendar = in.calendar;
  s.calendar_key = in.calendar_key;
  s.params = in.params;
  s.is_served = true;
  if (is_new || !was_served) s.since = now_.mono;
  if (starts_anew) {
    s.decided_through = std::max(s.decided_through, now_.wall);
    s.backlog_through.reset();
  }
  s.taken.insert(in.taken.begin(), in.taken.end());
  s.look_ahead();
  write_schedule(s);
  schedules_.arm(s);
}

void Engine::State::on(const input::RemoveSchedule& in) {
  JobSchedule* s = schedules_.find(in.job);
  if (s == nullptr || !s->is_served) return;
  schedules_.disarm(*s);
  s->is_served = false;
  unpin(*s);
  write_schedule(*s);
}

void Engine::State::on(const input::PauseJob& in) {
  pause_job(in.job, in.pause, in.note, in.actor);
  act(effect::Reply{in.reply, {}, {}, {}, false, {}});
}

void Engine::State::pause_job(const std::string& job, bool pause, const std::string& note,
                              const std::string& actor) {
  change(mutation::PauseJob{job, pause, pause ? note : "", actor, now_.wall});
  record_of_job(job, actor, pause ? "pause" : "unpause", note);
  JobSchedule* s = schedules_.find(job);
  if (s == nullptr) return;
  schedules_.disarm(*s);
  if (!pause) {
    // What passed meanwhile was not missed.
    s->decided_through = std::max(s->decided_through, now_.wall);
    if (s->stored) s->stored = std::max(*s->stored, now_.wall);
    s->backlog_through.reset();
    s->failures = 0;
    s->look_ahead();
  }
  s->is_paused = pause;
  write_schedule(*s);
  schedules_.arm(*s);
}

/// The definition may leave memory, as far as the schedule is concerned.
void Engine::State::unpin(JobSchedule& s) {
  if (s.version == nullptr) return;
  unpin(*s.version, s.version_id);
  s.version = nullptr;
}

void Engine::State::write_schedule(JobSchedule& s) {
  change(mutation::SetSchedule{s.job, s.stored, s.decided_through,
                               s.is_armed() ? s.next : std::nullopt, s.failures});
  s.stored = s.decided_through;
}

// Fires ------------------------------------------------------------------------------------------

/// The first fire that is due. One step of a bounded number.
void Engine::State::fire_due() {
  JobSchedule& s = schedules_.first();
  schedules_.disarm(s);
  fire_next(s);
  schedules_.arm(s);
}

/// The next fire of a schedule, whose time has come. Missed ones are judged all at once first.
void Engine::State::fire_next(JobSchedule& s) {
  const WallTime fire = *s.next;
  const bool is_backlog = s.backlog_through && fire <= *s.backlog_through;
  const Duration patience = std::clamp(now_.mono - s.since, Duration{0}, kOnTimeWithin);
  if (!is_backlog && now_.wall - s.due > patience) {
    judge_missed(s, newest_missed(s, now_.wall - patience));
  } else if (is_backlog) {
    if (s.version->job.overlap == Overlap::replace) replace_runs(s);
    make_run(s, Trigger::catchup);
  } else {
    fire_on_time(s);
  }
  s.look_ahead();
  write_schedule(s);
}

/// The last of the fires that should have started before `bound`; the next one should.
WallTime Engine::State::newest_missed(const JobSchedule& s, WallTime bound) const {
  WallTime newest = *s.next;
  std::optional<WallTime> fire = s.calendar->previous(bound);
  for (int i = 0; fire && *fire > newest && i < kLookBackMax; ++i) {
    if (s.start_of(*fire) < bound) return *fire;
    fire = s.calendar->previous(*fire);
  }
  return fire ? std::max(*fire, newest) : newest;
}

/// Missed fires: some are dropped, oldest first; those that are left become the backlog.
void Engine::State::judge_missed(JobSchedule& s, WallTime newest) {
  const JobSpec& job = s.version->job;
  const Catchup& catchup = job.catchup;
  WallTime through = s.decided_through;
  auto drop_through = [&](WallTime to, DropReason reason) {
    if (to <= through) return;
    drop(s, through, to, reason);
    through = to;
  };
  if (catchup.policy == CatchupPolicy::none) {
    drop_through(newest, DropReason::catchup);
  } else if (job.overlap == Overlap::skip && is_busy(s.job)) {
    drop_through(newest, DropReason::skip);
  } else {
    drop_through(std::min(newest, now_.wall - catchup.window - kInstant), DropReason::window);
    const bool is_latest = catchup.policy == CatchupPolicy::latest;
    if (!is_latest) drop_through(before_last(s, newest, catchup.limit), DropReason::limit);
    if (is_latest || job.overlap == Overlap::replace)
      drop_through(before_last(s, newest, 1),
                   is_latest ? DropReason::catchup : DropReason::replaced);
  }
  s.decided_through = through;
  s.backlog_through = newest;
}

/// The end of what lies before the last `count` fires that are open, up to `newest`.
WallTime Engine::State::before_last(const JobSchedule& s, WallTime newest, std::int64_t count) {
  const auto kept = s.calendar->newest(s.decided_through, newest, static_cast<std::size_t>(count));
  return kept.empty() ? newest : kept.front() - kInstant;
}

/// Records that the fires after `after` and up to `through` that have no run get none.
void Engine::State::drop(const JobSchedule& s, WallTime after, WallTime through,
                         DropReason reason) {
  const std::int64_t count = s.open_fires(after, through);
  if (count <= 0) return;
  DroppedRow row{
      s.job, reason,   *s.calendar->next(after), *s.calendar->previous(through + kInstant),
      count, now_.wall};
  change(mutation::DropFires{std::move(row)});
}

/// A fire that nobody missed meets what is active.
void Engine::State::fire_on_time(JobSchedule& s) {
  const WallTime fire = *s.next;
  const JobSpec& job = s.version->job;
  auto drop_it = [&](DropReason reason) {
    change(mutation::DropFires{{s.job, reason, fire, fire, 1, now_.wall}});
    s.decided_through = fire;
  };
  switch (job.overlap) {
    case Overlap::skip:
      if (is_busy(s.job)) return drop_it(DropReason::skip);
      make_run(s, Trigger::schedule);
      return;
    case Overlap::replace:
      replace_runs(s);
      make_run(s, Trigger::schedule);
      return;
    case Overlap::queue:
    case Overlap::allow:
      make_run(s, Trigger::schedule);
      shorten_queue(s);
      return;
  }
}

void Engine::State::make_run(JobSchedule& s, Trigger trigger) {
  const WallTime fire = *s.next;
  RunRow row;
  row.job = s.job;
  row.version = s.version_id;
  row.trigger = trigger;
  row.scheduled_for = fire;
  row.logical_time = fire;
  row.interval_start = s.calendar->previous(fire);
  row.interval_end = fire;
  row.params = s.params;
  s.decided_through = fire;
  accept(std::move(row), *s.version, false);
}

// What a fire meets ------------------------------------------------------------------------------

/// Whether a run of the job that counts for `overlap` is active, or waits to be.
bool Engine::State::is_busy(const std::string& job) {
  const auto it = jobs_.find({job, false});
  return it != jobs_.end() && (it->second.active > 0 || !waiting_runs(it->second).empty());
}

/// Those that wait for their turn, in order.
std::vector<Run*> Engine::State::waiting_runs(const Activity& activity) {
  std::vector<Run*> waiting;
  for (const auto& [rank, ids] : activity.waiting) {
    for (RunId id : ids) {
      Run* run = find(id);
      const bool waits = run != nullptr && run->row.state == RunState::queued &&
                         !run->is_admitted && run->stopping == Reason::none;
      if (waits) waiting.push_back(run);
    }
  }
  return waiting;
}

bool Engine::State::is_of_schedule(const Run& run) {
  return run.row.trigger == Trigger::schedule || run.row.trigger == Trigger::catchup;
}

/// A run that waited for its turn does not wait any more.
void Engine::State::take_from_queue(Run& run, DropReason reason) {
  for (auto& [rank, ids] : jobs_[line_of(run)].waiting) std::erase(ids, run.row.id);
  const WallTime fire = *run.row.scheduled_for;
  change(mutation::DropFires{{run.row.job, reason, fire, fire, 1, now_.wall}});
  cancel_rest(run, Reason::replaced, false);
}

/// Of the fires that came in time and wait, the oldest go. Those of a backlog have a limit of their
/// own.
void Engine::State::shorten_queue(const JobSchedule& s) {
  std::vector<Run*> waiting = waiting_runs(jobs_[{s.job, false}]);
  std::erase_if(waiting, [](const Run* run) { return run->row.trigger != Trigger::schedule; });
  const auto limit = static_cast<std::size_t>(s.version->job.queue_limit);
  for (std::size_t i = 0; i + limit < waiting.size(); ++i)
    take_from_queue(*waiting[i], DropReason::queue_limit);
}

/// A fire takes the place of all that came before it; what people start waits on.
void Engine::State::replace_runs(const JobSchedule& s) {
  const auto it = jobs_.find({s.job, false});
  if (it == jobs_.end()) return;
  for (Run* run : waiting_runs(it->second)) {
    if (is_of_schedule(*run)) take_from_queue(*run, DropReason::replaced);
  }
  std::vector<Run*> active;
  for (const auto& [id, run] : runs_) {
    if (run->is_admitted && !is_final(run->row.state) && line_of(*run) == it->first)
      active.push_back(run.get());
  }
  std::sort(active.begin(), active.end(),
            [](const Run* a, const Run* b) { return a->row.id < b->row.id; });
  for (Run* run : active) cancel_rest(*run, Reason::replaced, false);
}

/// Failures of scheduled runs in a row pause the schedule, if the job says so.
void Engine::State::count_failures(const Run& run) {
  if (!is_of_schedule(run)) return;
  JobSchedule* s = schedules_.find(run.row.job);
  if (s == nullptr || s->version == nullptr) return;
  const bool has_failed = run.row.state == RunState::failed && run.row.resumes == 0;
  const bool has_succeeded = run.row.state == RunState::succeeded && s->failures > 0;
  if (!has_failed && !has_succeeded) return;
  s->failures = has_failed ? s->failures + 1 : 0;
  write_schedule(*s);
  const std::int64_t limit = s->version->job.pause_after_failures;
  if (limit == 0 || s->failures < limit || s->is_paused) return;
  const std::string note = std::to_string(s->failures) +
                           " scheduled runs in a row failed, the last one is " + run.row.name;
  pause_job(s->job, true, note, "pawl");
  act(effect::JobPaused{s->job, note});
}

// Backfills --------------------------------------------------------------------------------------

void Engine::State::on(const input::SubmitAll& in) {
  effect::Reply reply{in.reply, {}, {}, {}, true, {}};
  const auto version = versions_.find(in.version);
  if (version == versions_.end()) {
    reply.status = Error{ErrorKind::refused, kNoDefinition};
    act(std::move(reply));
    return;
  }
  JobSchedule* s = in.runs.empty() ? nullptr : schedules_.find(in.runs.front().job);
  if (s != nullptr) schedules_.disarm(*s);
  for (const RunRow& asked : in.runs) {
    RunRow row = asked;
    row.version = in.version;
    if (s != nullptr && row.scheduled_for && *row.scheduled_for > s->decided_through)
      s->taken.insert(*row.scheduled_for);
    Run& run = accept(std::move(row), *version->second, false);
    reply.results.push_back({Target{run.row.id, {}, {}}, true, run.row.name});
  }
  if (s != nullptr) {
    s->look_ahead();
    write_schedule(*s);
    schedules_.arm(*s);
  }
  if (!in.runs.empty())
    record_of_job(in.runs.front().job, in.actor, "backfill",
                  std::to_string(in.runs.size()) + " runs");
  act(std::move(reply));
}

}  // namespace pawl
