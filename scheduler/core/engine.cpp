#include "scheduler/core/engine.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "scheduler/core/engine_state.h"

namespace pawl {

namespace {

// So long a definition stays without a run: whoever found it here hands a run of it in soon.
constexpr Duration kIdleVersionFor = std::chrono::minutes(1);

// A start on the calendar is looked at again at least so often: calendars drift and step.
constexpr Duration kCalendarLookMax = std::chrono::hours(1);

}  // namespace

Step Engine::State::handle(const Input& input, Now now) {
  now_ = now;
  step_ = {};
  looked_at_ = 0;
  changed_together_ = 0;
  std::visit([this](const auto& in) { on(in); }, input);
  settle();
  write_changes();
  forget_marked();
  // Last, so that what was found here a moment ago is still known to the input that needs it.
  drop_idle_versions();
  return std::move(step_);
}

/// Works off what follows from an input: rules to look at, times that have come, free slots.
void Engine::State::settle() {
  if (!is_recovered_) return;
  while (!is_full()) {
    if (!pending_.empty()) {
      const Place place = pending_.front();
      pending_.pop_front();
      ++looked_at_;
      if (Run* run = find(place.run)) evaluate(*run, place.task);
    } else if (!returns_.empty()) {
      const TaskKey key = returns_.front();
      returns_.pop_front();
      ++looked_at_;
      call_returned(key);
    } else if (!freed_.empty()) {
      ++looked_at_;
      admit_next();
    } else if (auto timer = timers_.take_due(now_.mono)) {
      ++looked_at_;
      on_timer(*timer);
    } else if (!delayed_.empty() && delayed_.begin()->first <= now_.wall) {
      ++looked_at_;
      admit_due();
    } else if (const auto due = schedules_.next_due(); due && *due <= now_.wall) {
      ++looked_at_;
      fire_due();
    } else if (has_bulk() && !is_half_full()) {
      settle_bulk();
    } else {
      break;
    }
  }
  if (!is_full()) dispatch();
  const auto due = timers_.next_due();
  step_.more = is_full() || !pending_.empty() || !returns_.empty() || !freed_.empty() ||
               has_bulk() || (due && *due <= now_.mono);
}

bool Engine::State::has_bulk() const {
  return !cancellations_.empty() || !cancelled_.empty() || !repeats_.empty() ||
         !dismissals_.empty() || !pairs_.empty() || !sweeps_.empty();
}

/// A piece of what may be very much, cancels first: they are to stop what starts meanwhile, and
/// what is paired with cancelled items is not decided before it is cancelled itself.
void Engine::State::settle_bulk() {
  if (!cancellations_.empty()) {
    cancel_targets();
  } else if (!cancelled_.empty()) {
    cancel_tasks(cancelled_.front());
  } else if (!repeats_.empty()) {
    repeat_some(repeats_.front());
  } else if (!dismissals_.empty()) {
    dismiss_some();
  } else if (!pairs_.empty()) {
    const Pair pair = pairs_.front();
    pairs_.pop_front();
    ++looked_at_;
    if (Run* run = find(pair.run)) look_at_pair(*run, pair.task, pair.item);
  } else {
    sweep_some(sweeps_.front());
  }
}

std::optional<MonoTime> Engine::State::next_deadline() const {
  if (!is_recovered_) return std::nullopt;
  std::optional<MonoTime> due = timers_.next_due();
  std::optional<WallTime> on_calendar = schedules_.next_due();
  if (!delayed_.empty() && (!on_calendar || delayed_.begin()->first < *on_calendar))
    on_calendar = delayed_.begin()->first;
  if (!on_calendar) return due;
  const Duration left = std::clamp(*on_calendar - now_.wall, Duration{0}, kCalendarLookMax);
  const MonoTime look = now_.mono + left;
  return due && *due < look ? due : look;
}

/// Counts are written once a step, however often they changed in it.
void Engine::State::write_changes() {
  for (std::size_t i = 0; i < changed_mapped_.size(); ++i) {
    const Place place = changed_mapped_[i];
    Run* run = find(place.run);
    if (run == nullptr || !run->node(place.task).mapped) continue;
    run->node(place.task).mapped->is_changed = false;
    write_mapped(*run, place.task);
    tell_upstreams(*run, place.task);
  }
  changed_mapped_.clear();
  for (RateLimit* rate : changed_rates_) write_rate(*rate);
  changed_rates_.clear();
  for (RunId id : changed_) {
    Run* run = find(id);
    if (run == nullptr) continue;
    run->counts_changed = false;
    change(mutation::SetRunCounts{id, run->row.counts});
  }
  changed_.clear();
}

void Engine::State::counts_changed(Run& run) {
  if (run.counts_changed) return;
  run.counts_changed = true;
  changed_.push_back(run.row.id);
}

void Engine::State::mapped_changed(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.is_changed) return;
  mapped.is_changed = true;
  changed_mapped_.push_back({run.row.id, task});
}

void Engine::State::record(const std::string& actor, std::string verb, const Target& target,
                           std::string text) {
  EventRow row;
  row.at = now_.wall;
  row.actor = actor.empty() ? "pawl" : actor;
  row.verb = std::move(verb);
  row.run = target.run;
  if (const Run* run = find(target.run)) row.job = run->row.job;
  if (target.task) row.task = TaskKey{target.run, *target.task, target.item.value_or(kWhole)};
  row.text = std::move(text);
  change(mutation::AddEvent{std::move(row)});
}

void Engine::State::record_of_job(const std::string& job, const std::string& actor,
                                  std::string verb, std::string text) {
  EventRow row;
  row.at = now_.wall;
  row.actor = actor.empty() ? "pawl" : actor;
  row.verb = std::move(verb);
  row.job = job;
  row.text = std::move(text);
  change(mutation::AddEvent{std::move(row)});
}

void Engine::State::on(const input::AddVersion& in) {
  if (const auto known = versions_.find(in.row.id); known != versions_.end()) {
    if (known->second->runs == 0) keep_idle(*known->second, in.row.id);
    return;
  }
  if (!in.is_stored) change(mutation::InsertVersion{in.row});
  const auto& version =
      versions_.emplace(in.row.id, std::make_unique<Version>(in.job)).first->second;
  ++versions_of_[version->job.name];
  keep_idle(*version, in.row.id);
  for (const auto& [name, pool] : version->job.pools) {
    const PoolKey key{version->job.name, name};
    VersionId& newest = pool_versions_[key];
    if (in.row.id < newest) continue;
    newest = in.row.id;
    set_pool(key, pool);
  }
}

/// One run in memory, or the schedule, goes without it.
void Engine::State::unpin(Version& version, VersionId id) {
  if (--version.runs == 0) keep_idle(version, id);
}

/// No run has it: it stays for a while from now on.
void Engine::State::keep_idle(Version& version, VersionId id) {
  version.idle_since = now_.mono;
  idle_versions_.emplace_back(now_.mono, id);
}

/// Definitions that no run in memory is pinned to leave after a while. With the last one of a job
/// go its pools. As many as the step has room for.
void Engine::State::drop_idle_versions() {
  if (!is_recovered_) return;  // their runs are still to come
  while (!idle_versions_.empty() && now_.mono - idle_versions_.front().first >= kIdleVersionFor) {
    if (is_full()) {
      step_.more = true;
      return;
    }
    ++looked_at_;
    const auto [since, id] = idle_versions_.front();
    const auto it = versions_.find(id);
    idle_versions_.pop_front();
    // One that was used meanwhile is named again further back.
    if (it == versions_.end() || it->second->runs > 0 || it->second->idle_since > since) continue;
    const std::string job = it->second->job.name;
    looked_at_ += kLooksPerVersion;
    versions_.erase(it);
    if (--versions_of_[job] > 0) continue;
    versions_of_.erase(job);
    drop_pools(job);
  }
}

/// Those of the job and what it has of rates; most jobs have neither.
void Engine::State::drop_pools(const std::string& job) {
  const auto pool = pools_.lower_bound({job, {}});
  const auto rate = rates_.lower_bound({job, {}, {}});
  const bool has_pools = pool != pools_.end() && pool->first.job == job;
  const bool has_rates = rate != rates_.end() && rate->first.job == job;
  if (!has_pools && !has_rates) return;
  looked_at_ += static_cast<std::int64_t>(lanes_.size() + pools_.size() + rates_.size());
  std::erase_if(pool_versions_, [&](const auto& p) { return p.first.job == job; });
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    const auto& keys = lane->first.second;
    const bool is_of_job =
        std::any_of(keys.begin(), keys.end(), [&](const PoolKey& key) { return key.job == job; });
    if (!is_of_job) drop_rated(*lane->second, job);
    lane = is_of_job ? drop_lane(lane) : std::next(lane);
  }
  std::erase_if(pools_, [&](const auto& p) { return p.first.job == job; });
  drop_idle_rates();
}

void Engine::State::on(const input::WorkerUp& in) {
  auto it = std::find_if(workers_.begin(), workers_.end(),
                         [&](const Worker& w) { return w.id == in.worker; });
  if (it == workers_.end()) {
    Worker worker{in.worker, in.operators, true, 0};
    for (const auto& [id, live] : live_) worker.live += live.worker == in.worker ? 1 : 0;
    workers_.push_back(std::move(worker));
  } else {
    it->accepts = true;
    it->operators = in.operators;
  }
  for (const std::string& name : in.operators) unpark(name);
}

void Engine::State::on(const input::WorkerDrains& in) {
  for (Worker& w : workers_) {
    if (w.id == in.worker) w.accepts = false;
  }
}

void Engine::State::on(const input::WorkerGone& in) {
  std::erase_if(workers_, [&](const Worker& w) { return w.id == in.worker; });
  // Its fate was told before; what is left here was never told of, so nothing is known of it.
  std::vector<AttemptId> left;
  for (const auto& [id, live] : live_) {
    if (live.worker == in.worker) left.push_back(id);
  }
  std::sort(left.begin(), left.end());
  for (AttemptId id : left) {
    AttemptResult result;
    result.attempt = id;
    result.worker = in.worker;
    result.outcome = AttemptResult::Outcome::lost;
    result.reason = Reason::lost;
    result.ended_at = now_.wall;
    end_attempt(result);
  }
}

void Engine::State::on(const input::SetPool& in) { set_pool({"", in.pool}, {in.slots, in.rate}); }

void Engine::State::on(const input::HoldStarts& in) { holds_starts_ = in.hold; }

void Engine::State::on(const input::Tick&) {}

Engine::Engine(EngineCounters counters, std::size_t step_max)
    : state_(std::make_unique<State>(counters, step_max)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Step Engine::handle(const Input& input, Now now) { return state_->handle(input, now); }
std::optional<MonoTime> Engine::next_deadline() const { return state_->next_deadline(); }
std::vector<Effect> Engine::regenerate_effects() const { return state_->regenerate_effects(); }
std::vector<std::string> Engine::operators_without_worker() const {
  std::vector<std::string> names;
  for (const auto& [name, places] : state_->parked_) names.push_back(name);
  return names;
}
bool Engine::has_run(RunId run) const { return state_->find(run) != nullptr; }
bool Engine::is_dormant(RunId id) const {
  const Run* run = state_->find(id);
  return run != nullptr && run->is_dormant;
}
bool Engine::is_stopping(RunId id) const {
  const Run* run = state_->find(id);
  return run != nullptr && State::is_stopping(*run);
}
bool Engine::knows_version(VersionId version) const { return state_->versions_.contains(version); }

std::vector<VersionId> Engine::versions() const {
  std::vector<VersionId> ids;
  for (const auto& [id, version] : state_->versions_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

SharedJob Engine::definition(VersionId version) const {
  const auto it = state_->versions_.find(version);
  return it == state_->versions_.end() ? SharedJob() : it->second->shared;
}

std::optional<RunId> Engine::run_of_request(const std::string& request_id) const {
  auto it = state_->requests_.find(request_id);
  if (it == state_->requests_.end()) return std::nullopt;
  return it->second;
}

const JobSpec* Engine::job_of(RunId id) const {
  const Run* run = state_->find(id);
  return run == nullptr ? nullptr : &run->version->job;
}

const RunRow* Engine::run(RunId id) const {
  const Run* run = state_->find(id);
  return run == nullptr ? nullptr : &run->row;
}

std::optional<ScheduleView> Engine::schedule(std::string_view job) const {
  const JobSchedule* s = state_->schedules_.find(job);
  if (s == nullptr) return std::nullopt;
  return ScheduleView{s->is_served, s->is_paused, s->decided_through,
                      s->is_armed() ? s->next : std::nullopt};
}

TaskView Engine::task(RunId run, TaskIndex task) const {
  return State::task_view(state_->at(run).nodes[task.value]);
}

RunStates Engine::states(RunId run) const { return State::states(state_->at(run)); }

bool Engine::has_mapped_tasks(RunId id) const {
  const Run* run = state_->find(id);
  return run != nullptr && std::any_of(run->nodes.begin(), run->nodes.end(),
                                       [](const Node& n) { return n.mapped != nullptr; });
}

std::vector<RunId> Engine::runs() const {
  std::vector<RunId> ids;
  for (const auto& [id, run] : state_->runs_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<RunId> Engine::run_named(const std::string& name) const {
  const auto found = state_->run_names_.find(name);
  if (found == state_->run_names_.end()) return std::nullopt;
  return found->second;
}

std::int64_t Engine::live_attempts() const {
  return static_cast<std::int64_t>(state_->live_.size());
}

std::vector<AttemptId> Engine::attempts_of(WorkerId worker) const {
  std::vector<AttemptId> ids;
  for (const auto& [id, live] : state_->live_) {
    if (live.worker == worker) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::int32_t Engine::stay_of(AttemptId attempt) const {
  auto it = state_->live_.find(attempt);
  return it == state_->live_.end() ? 0 : it->second.stay;
}

std::optional<WallTime> Engine::started_at(AttemptId attempt) const {
  auto it = state_->live_.find(attempt);
  if (it == state_->live_.end()) return std::nullopt;
  return it->second.started_at;
}

std::optional<TaskKey> Engine::key_of(AttemptId attempt) const {
  auto it = state_->live_.find(attempt);
  if (it == state_->live_.end()) return std::nullopt;
  return it->second.key();
}

TaskState Engine::item_state(TaskKey item) const {
  return State::item_state(*state_->find(item.run), item.task, item.item.value);
}

std::vector<Explanation> Engine::explain(const Target& target, Now now) const {
  return state_->explain(target, now);
}
std::vector<PoolView> Engine::pools(Now now) const { return state_->pools(now); }
Result<std::vector<PlanLine>> Engine::plan_resume(const input::Resume& resume) const {
  return state_->plan_resume(resume);
}

std::string run_name(WallTime accepted, RunId run) {
  const std::time_t seconds = static_cast<std::time_t>(accepted.ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char stamp[80];  // as long as the compiler can imagine; names have sixteen
  std::snprintf(stamp, sizeof stamp, "%04d%02d%02d-%02d%02d%02d-", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
  // Odd factors and xor-shifts are bijections of 30 bits.
  constexpr std::uint32_t kMask = (1U << 30) - 1;
  std::uint32_t x = static_cast<std::uint32_t>(run.value) & kMask;
  x = (x * 0x2545F491U + 0x1B873593U) & kMask;
  x ^= x >> 15;
  x = (x * 0x01000193U) & kMask;
  x ^= x >> 13;
  // No letters that are read as digits.
  constexpr char kLetters[] = "0123456789abcdefghjkmnpqrstvwxyz";
  static_assert(sizeof kLetters == 33);
  std::string name = stamp;
  for (int shift = 25; shift >= 0; shift -= 5) name.push_back(kLetters[x >> shift & 31U]);
  return name;
}

}  // namespace pawl
