// The scheduler of a life, and time.

#include "tests/sim/life.h"

#include <algorithm>
#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "tests/sim/store_invariants.h"

namespace pawl::sim {

using namespace std::chrono_literals;

Life::Life(std::uint64_t seed, Planted planted, bool has_disk)
    : random_(seed),
      steps_(~seed),
      has_small_steps_(planted == Planted::nothing && steps_.one_in(2)),
      planted_(planted) {
  store_.compares = planted != Planted::no_compare;
  store_.wakes_at_once = !has_small_steps_;
  if (has_disk) disk_ = std::make_unique<DiskStore>(planted != Planted::no_sync);
}

Tale Life::live() {
  try {
    begin();
    for (int i = 0; i < 400; ++i) step();
    quiet_phase();
  } catch (const BrokenInvariant& broken) {
    tale_.broken = "step " + std::to_string(tale_.steps) + ": " + broken.what();
  }
  return told();
}

Tale Life::live(const Scenario& scenario, std::int64_t cut_at, Remains remains) {
  try {
    has_small_steps_ = false;
    store_.wakes_at_once = true;
    define(job_from_text(scenario.job));
    open_world();
    remains_ = remains;
    const std::int64_t before = disk_->disk().operations();
    if (cut_at > 0) disk_->disk().cut_at(before + cut_at);
    for (int i = 0; i < scenario.runs; ++i) submit_first();
    quiet_phase(scenario.act);
    tale_.operations = disk_->disk().operations() - before;
  } catch (const BrokenInvariant& broken) {
    tale_.broken = "step " + std::to_string(tale_.steps) + ": " + broken.what();
  }
  return told();
}

Tale Life::told() {
  tale_.runs = static_cast<std::int64_t>(store_.runs.size());
  for (const auto& [id, run] : store_.runs) {
    tale_.calls += run.caller ? 1 : 0;
    tale_.calls_resumed += run.caller && run.resumes > 0 ? 1 : 0;
  }
  return tale_;
}

void Life::begin() {
  for (int i = 0; i < 4; ++i) define(random_job(i));
  define_scheduled();
  open_world();
}

void Life::open_world() {
  if (disk_) disk_->open(store_.boot);
  for (int i = 0; i < 2; ++i) add_worker();
  start_engine();
  handle(input::Recovered{});
  if (!served_.empty()) {
    // As the loader of job folders does, before it hands the schedule in.
    if (disk_) disk_->insert_job(kScheduled);
    handle(schedule_of(kScheduled, served_.at(kScheduled), store_));
  }
  is_up_ = true;
}

void Life::start_engine() {
  const std::size_t step_max = has_small_steps_ ? static_cast<std::size_t>(steps_.below(60) + 1)
                                                : limits::kMutationsPerStepMax;
  engine_ =
      std::make_unique<Engine>(EngineCounters{store_.last_run(), store_.last_attempt}, step_max);
  gate_ = EffectGate();
  queue_.clear();
  answers_.clear();
  results_.clear();
  for (const auto& [id, job] : jobs_)
    feed(input::AddVersion{version_row(id), job, store_.versions.contains(id)}, false);
  feed(input::SetPool{kSlots}, false);
  for (RunSnapshot& run : open_runs()) feed(input::Recover{std::move(run)}, false);
  if (planted_ != Planted::full_buckets)
    feed(input::RecoverRates{disk_ ? disk_->rates() : store_.rate_rows()}, false);
  for (Worker& worker : workers_) {
    if (worker.is_alive) feed(input::WorkerUp{worker.id}, false);
  }
}

std::vector<RunSnapshot> Life::open_runs() {
  if (disk_) return disk_->open_runs();
  std::vector<RunSnapshot> all;
  for (RunId run : store_.open_runs()) all.push_back(store_.snapshot(run, false));
  return all;
}

JobVersionRow Life::version_row(VersionId id) const {
  JobVersionRow row;
  row.id = id;
  row.job = jobs_.at(id).name;
  row.hash = std::to_string(id.value);
  row.body = "{}";
  return row;
}

void Life::handle(const Input& input, bool by_person) {
  // What a command left to be done in small steps is still of a person.
  feed(input, by_person || has_small_steps_);
  while (more_ && !(has_small_steps_ && steps_.one_in(4))) go_on();
}

void Life::go_on() {
  if (++in_a_row_ > 10'000) fail("a step asks for more for ever");
  feed(input::Tick{}, has_small_steps_);
  if (!more_) in_a_row_ = 0;
}

void Life::feed(const Input& input, bool by_person) {
  Step step = engine_->handle(input, now_);
  more_ = step.more;
  const std::uint64_t sequence = ++sequence_;
  for (const Effect& effect : step.effects) {
    const auto* start = std::get_if<effect::StartAttempt>(&effect);
    // A call that is asked for again, or is told that its run has ended, starts nothing.
    if (start != nullptr && (start->worker != WorkerId{} || begins(step, start->attempt)))
      count_start(*start, sequence);
  }
  check_slots();
  if (planted_ == Planted::place_before_run) {
    // The places of schedules first, in a commit of their own.
    const auto others = std::stable_partition(
        step.mutations.begin(), step.mutations.end(),
        [](const Mutation& m) { return std::holds_alternative<mutation::SetSchedule>(m); });
    Mutations places(std::make_move_iterator(step.mutations.begin()),
                     std::make_move_iterator(others));
    step.mutations.erase(step.mutations.begin(), others);
    if (!places.empty()) queue_.push_back({sequence, std::move(places), by_person});
  }
  if (!step.mutations.empty()) queue_.push_back({sequence, std::move(step.mutations), by_person});
  if (planted_ == Planted::start_before_commit) {
    for (const Effect& effect : step.effects) perform(effect);
  } else {
    gate_.hold(sequence, std::move(step.effects));
  }
}

bool Life::commit(std::size_t count) {
  if (disk_ && !queue_.empty()) {
    if (!disk_->apply(group_of(queue_, 0, count))) return false;
    if (random_.one_in(6) && !disk_->checkpoint(random_.one_in(2))) return false;
  }
  for (std::size_t i = 0; i < count && !queue_.empty(); ++i) {
    const Batch batch = std::move(queue_.front());
    queue_.pop_front();
    check(store_.apply(batch.mutations, batch.by_person));
    durable_ = batch.sequence;
  }
  if (queue_.empty()) durable_ = sequence_;
  for (Effect& effect : gate_.release(durable_)) perform(effect);
  for (const auto& [id, row] : store_.runs)
    check(broken_invariant(store_, id, jobs_.at(row.version)));
  return true;
}

std::vector<Mutations> Life::group_of(const std::deque<Batch>& queue, std::size_t from,
                                      std::size_t count) {
  std::vector<Mutations> group;
  for (std::size_t i = from; i < queue.size() && group.size() < count; ++i)
    group.push_back(queue[i].mutations);
  return group;
}

void Life::perform(const Effect& effect) {
  if (const auto* start = std::get_if<effect::StartAttempt>(&effect)) {
    if (start->worker == WorkerId{}) {
      answers_.push_back(answer_of(*start, store_, jobs_).input);
    } else {
      send(start->worker, effect);
    }
  }
  if (const auto* stop = std::get_if<effect::StopAttempt>(&effect)) send(stop->worker, effect);
  if (const auto* forget = std::get_if<effect::ForgetAttempt>(&effect))
    send(forget->worker, effect);
  if (const auto* stored = std::get_if<effect::HandleStored>(&effect)) {
    if (stored->is_stored) durable_handles_[stored->attempt] = "h" + std::to_string(stored->serial);
  }
  if (const auto* prepare = std::get_if<effect::Prepare>(&effect)) answer(*prepare);
  if (const auto* ended = std::get_if<effect::RunEnded>(&effect))
    answers_.emplace_back(input::RunDurable{ended->run});
}

void Life::send(WorkerId to, const Effect& effect) {
  for (Worker& worker : workers_) {
    if (worker.id == to && worker.is_alive) worker.inbox.push_back(effect);
  }
}

void Life::answer(const effect::Prepare& prepare) {
  const auto run = store_.runs.find(prepare.run);
  if (run == store_.runs.end()) fail("items are read for a run that is not durable");
  const TaskSpec& task = jobs_.at(run->second.version).node(prepare.task);
  input::Prepared prepared{prepare.run, prepare.task, prepare.stamp, {}, {}, {}};
  if (!prepare.is_open && random_.one_in(12)) {
    prepared.outcome =
        random_.one_in(2) ? input::Prepared::Outcome::skip : input::Prepared::Outcome::error;
    prepared.reason = Reason::when;
  }
  if (!prepare.is_open) answers_.emplace_back(prepared);
  if (!task.map || prepared.outcome != input::Prepared::Outcome::go) return;
  const std::int64_t items = std::stoll(task.map->items);
  std::int64_t first = prepare.from;
  do {
    const std::int64_t count = std::min<std::int64_t>(random_.below(3) + 1, items - first);
    input::ItemsRead read{
        prepare.run, prepare.task, prepare.stamp, first, std::max<std::int64_t>(count, 0),
        "",          "place",      false,         ""};
    first += read.count;
    read.complete = first >= items;
    if (random_.one_in(25)) {
      read.complete = false;
      read.error = "cannot read";
      answers_.emplace_back(std::move(read));
      return;
    }
    answers_.emplace_back(std::move(read));
  } while (first < items);
}

void Life::pass(Duration time) {
  now_ = {now_.mono + time, now_.wall + time};
  const auto due = engine_->next_deadline();
  if (due && *due <= now_.mono) handle(input::Tick{});
}

void Life::deliver_answer() {
  const Input input = std::move(answers_.front());
  answers_.pop_front();
  const auto* call = std::get_if<input::CallJob>(&input);
  if (call != nullptr) know(call->known ? store_.runs.at(*call->known).version : call->run.version);
  // A run that is called again goes on as if a person had resumed it.
  handle(input, call != nullptr);
  if (call != nullptr && random_.one_in(20)) handle(input, true);
}

void Life::deliver_results() {
  const Input input = std::move(results_.front());
  results_.pop_front();
  handle(input);
  if (random_.one_in(20)) handle(input);  // told twice
}

void Life::step() {
  ++tale_.steps;
  if (more_ && steps_.one_in(2)) go_on();
  Worker& worker = random_.pick(workers_);
  const std::int64_t dice = random_.below(1'000);
  if (dice < 40)
    submit();
  else if (dice < 260)
    (void)commit(static_cast<std::size_t>(random_.below(5) + 1));
  else if (dice < 460) {
    if (worker.is_alive && !worker.inbox.empty()) execute(worker);
  } else if (dice < 620) {
    if (worker.is_alive) end_one(worker);
  } else if (dice < 720) {
    if (!results_.empty()) deliver_results();
  } else if (dice < 800) {
    if (!answers_.empty()) deliver_answer();
  } else if (dice < 920)
    pass(Duration(random_.below(4'000)));
  else if (dice < 950)
    command();
  else if (dice < 965)
    crash();
  else if (dice < 970)
    kill_worker(worker);
  else if (dice < 974)
    reboot();
  else if (dice < 978) {
    now_.wall = now_.wall + Duration((random_.below(3) - 1) * 365 * 24 * 3'600'000);
    calendar_stepped();
    handle(input::Tick{});
  } else if (dice < 982)
    handle(input::HoldStarts{random_.one_in(3)});
  else if (dice < 987)
    write_as_zombie();
  else
    look_after_workers();
  if (queue_.empty() && random_.one_in(10) && !more_) check_quiet();
}

void Life::quiet_phase(Act act) {
  handle(input::HoldStarts{false});
  handle(input::RemoveSchedule{kScheduled});
  served_.clear();
  for (int i = 0; i < 20'000; ++i) {
    ++tale_.steps;
    while (more_) go_on();
    // One by one where a cut may come between any two.
    for (std::size_t left = queue_.size(); left > 0; left = queue_.size()) {
      const std::size_t size = remains_ ? 1 : left;
      if (!commit(size)) {
        lose_power(size);
        break;
      }
    }
    (void)commit(0);
    act_out(act, i);
    if (!dead_.empty() || i % 20 == 0) look_after_workers();
    for (Worker& worker : workers_) {
      while (worker.is_alive && !worker.inbox.empty()) execute(worker);
      if (worker.is_alive) end_one(worker);
    }
    if (!results_.empty()) deliver_results();
    if (!answers_.empty()) deliver_answer();
    for (RunId id : store_.open_runs()) {
      if (store_.runs.at(id).state == RunState::paused && engine_->run(id) != nullptr &&
          engine_->run(id)->state == RunState::paused) {
        handle(input::Unpause{{{id, {}, {}}}, "ana", {}}, true);
      }
    }
    pass(Duration(500));
    // The calendar may have stepped back by years below a run's start.
    for (const auto& [id, row] : store_.runs) {
      if (is_final(row.state) || !row.start_at || *row.start_at <= now_.wall + 1h) continue;
      now_.wall = *row.start_at;
      calendar_stepped();
    }
    if (!more_ && queue_.empty() && results_.empty() && answers_.empty() && dead_.empty() &&
        store_.open_runs().empty()) {
      check_quiet();
      if (engine_->live_attempts() != 0) fail("attempts live on after all runs ended");
      return;
    }
  }
  std::string open;
  for (RunId id : store_.open_runs()) {
    open += " " + std::to_string(id.value) + " " + std::string(to_string(store_.runs.at(id).state));
    if (const auto& at = store_.runs.at(id).start_at)
      open += " (starts in " + format_duration(*at - now_.wall) + ")";
  }
  fail("runs do not end:" + open);
}

}  // namespace pawl::sim
