#include "tests/sim/simulator.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "scheduler/base/check.h"
#include "scheduler/base/text.h"
#include "scheduler/core/effect_gate.h"
#include "scheduler/core/engine.h"
#include "scheduler/core/trigger_rule.h"
#include "tests/sim/disk_store.h"
#include "tests/sim/job_text.h"
#include "tests/sim/model_store.h"
#include "tests/sim/random.h"
#include "tests/sim/world.h"

namespace pawl::sim {
namespace {

using namespace std::chrono_literals;

/// What a worker's journal says of an attempt, and its process, while it lives.
struct Record {
  effect::StartAttempt start;
  bool has_begun = false;  ///< the begin record is written
  bool is_alive = false;   ///< the process runs
  bool is_stopped = false;
  std::optional<AttemptResult> end;  ///< the end record
};

struct Worker {
  WorkerId id;
  std::int64_t boot = 0;
  bool is_alive = true;
  std::deque<Effect> inbox;  ///< sent, not yet executed
  std::map<AttemptId, Record> journal;
};

struct Batch {
  std::uint64_t sequence = 0;
  Mutations mutations;
  bool by_person = false;
};

class Life {
 public:
  Life(std::uint64_t seed, Planted planted, bool has_disk) : random_(seed), planted_(planted) {
    store_.compares = planted != Planted::no_compare;
    if (has_disk) disk_ = std::make_unique<DiskStore>(planted != Planted::no_sync);
  }

  Tale live() {
    try {
      begin();
      for (int i = 0; i < 400; ++i) step();
      quiet_phase();
    } catch (const BrokenInvariant& broken) {
      tale_.broken = "step " + std::to_string(tale_.steps) + ": " + broken.what();
    }
    return told();
  }

  Tale live(const Scenario& scenario, std::int64_t cut_at, Remains remains) {
    try {
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

 private:
  Tale told() {
    tale_.runs = static_cast<std::int64_t>(store_.runs.size());
    for (const auto& [id, run] : store_.runs) {
      tale_.calls += run.caller ? 1 : 0;
      tale_.calls_resumed += run.caller && run.resumes > 0 ? 1 : 0;
    }
    return tale_;
  }

  // The scheduler -------------------------------------------------------------------------------

  void begin() {
    for (int i = 0; i < 4; ++i) define(random_job(i));
    define_scheduled();
    open_world();
  }

  void open_world() {
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

  /// A job that fires every few seconds, with any catch-up and overlap.
  void define_scheduled() {
    static const char* const kOverlaps[] = {"queue", "skip", "replace", "allow"};
    static const char* const kCatchups[] = {"none", "latest", "all"};
    period_ = Duration((random_.below(6) + 3) * 1'000);
    JobSpec job = job_from_text(
        std::string("job name=") + kScheduled + " every=" + std::to_string(period_ / 1s) +
        "s overlap=" + kOverlaps[random_.below(4)] + " catchup=" + kCatchups[random_.below(3)] +
        " limit=3 window=40s waiting=2" + (random_.one_in(3) ? " pause_after=2" : "") +
        (random_.one_in(3) ? " jitter=2s" : "") + "; ta retry=2 delay=2s interrupt=retry");
    define(job);
    served_[kScheduled] = {VersionId{static_cast<std::int64_t>(jobs_.size())}, calendar_of(job),
                           calendar_key_of(job)};
  }

  void start_engine() {
    engine_ = std::make_unique<Engine>(EngineCounters{store_.last_run(), store_.last_attempt});
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

  std::vector<RunSnapshot> open_runs() {
    if (disk_) return disk_->open_runs();
    std::vector<RunSnapshot> all;
    for (RunId run : store_.open_runs()) all.push_back(store_.snapshot(run, false));
    return all;
  }

  JobVersionRow version_row(VersionId id) const {
    JobVersionRow row;
    row.id = id;
    row.job = jobs_.at(id).name;
    row.hash = std::to_string(id.value);
    row.body = "{}";
    return row;
  }

  void handle(const Input& input, bool by_person = false) {
    feed(input, by_person);
    for (int i = 0; more_ && i < 10'000; ++i) feed(input::Tick{}, false);
    if (more_) fail("a step asks for more for ever");
  }

  void feed(const Input& input, bool by_person) {
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

  // Limits --------------------------------------------------------------------------------------

  static bool begins(const Step& step, AttemptId attempt) {
    return std::any_of(step.mutations.begin(), step.mutations.end(), [&](const Mutation& m) {
      const auto* insert = std::get_if<mutation::InsertAttempt>(&m);
      return insert != nullptr && insert->row.id == attempt;
    });
  }

  /// A start as the scheduler decided it, under one rate.
  struct RatedStart {
    std::uint64_t sequence = 0;
    std::int64_t boot = 0;
    Now at;
    bool is_dated = true;  ///< the calendar did not step since
  };

  /// No window of a rate has more starts than it says. Over a boot the calendar measures, while it
  /// does not step.
  void count_start(const effect::StartAttempt& start, std::uint64_t sequence) {
    const RunRow& run = *engine_->run(start.key.run);
    const JobSpec& job = jobs_.at(run.version);
    const TaskSpec& task = job.node(start.key.task);
    std::vector<std::pair<RateKey, Rate>> rates;
    if (task.rate_limit) rates.push_back({{job.name, {}, task.id}, *task.rate_limit});
    for (const PoolUse& use : task.pools) {
      const auto pool = job.pools.find(use.pool);
      if (pool != job.pools.end() && pool->second.rate)
        rates.push_back({{job.name, use.pool, {}}, *pool->second.rate});
    }
    for (const auto& [key, rate] : rates) {
      ++tale_.rated;
      std::vector<RatedStart>& before = rated_[key];
      before.push_back({sequence, store_.boot, now_, true});
      const auto counts = std::count_if(before.begin(), before.end(), [&](const RatedStart& s) {
        if (s.boot != store_.boot) return s.is_dated && now_.wall - s.at.wall < rate.per;
        return now_.mono - s.at.mono < rate.per;
      });
      if (counts > rate.count) fail("a rate lets too many through: " + key.job + " " + key.task);
      if (counts == rate.count) ++tale_.throttled;
    }
  }

  /// Their batches are lost, so they never were.
  void uncount_starts(std::uint64_t from) {
    for (auto& [key, starts] : rated_)
      std::erase_if(starts, [&](const RatedStart& s) { return s.sequence >= from; });
  }

  void calendar_stepped() {
    for (auto& [key, starts] : rated_) {
      for (RatedStart& start : starts) start.is_dated = false;
    }
  }

  /// What is taken is what somebody holds, and no pool has more taken than it has.
  void check_slots() const {
    for (const PoolView& pool : engine_->pools(now_)) {
      std::int64_t held = 0;
      for (const auto& holder : pool.holders) held += holder.slots;
      if (held != pool.taken) fail("slots of pool " + pool.name + " are taken that nobody holds");
      if (pool.taken > pool.limit) fail("pool " + pool.name + " has more taken than it has");
      if (pool.rate && pool.started > pool.rate->count) fail("a bucket is overdrawn");
    }
  }

  /// No two attempts that run have one number of the same slots, and none has one beyond them.
  void check_slot_numbers() const {
    std::set<std::pair<std::string, std::int32_t>> seen;
    for (const auto& [key, id] : store_.live) {
      const AttemptRow& row = store_.attempts.at(id);
      if (row.state == AttemptState::deferred) continue;
      const RunRow& run = store_.runs.at(key.run);
      const JobSpec& job = jobs_.at(run.version);
      const TaskSpec& task = job.node(key.task);
      if (task.calls_job()) continue;
      const std::string& first = task.pools.front().pool;
      const auto pool = job.pools.find(first);
      std::string slots = pool == job.pools.end() ? first : job.name + " " + first;
      std::int64_t limit = pool == job.pools.end() ? kSlots : pool->second.slots;
      if (first == "default" && run.default_slots > 0) {
        slots = "run " + std::to_string(run.id.value);
        limit = run.default_slots;
      }
      if (key.item != kWhole && task.map && task.map->max_concurrent > 0) {
        slots = "items of " + std::to_string(run.id.value) + " " + task.id;
        limit = task.map->max_concurrent;
      }
      if (row.slot < 0 || row.slot >= limit) fail("a slot number is not one of " + slots);
      if (!seen.insert({slots, row.slot}).second) fail("a slot number twice, of " + slots);
    }
  }

  /// Makes the first `count` batches durable and lets their effects go; false when the power went
  /// instead.
  bool commit(std::size_t count) {
    if (disk_ && !queue_.empty()) {
      if (!disk_->apply(group_of(queue_, 0, count))) return false;
      if (random_.one_in(6) && !disk_->checkpoint()) return false;
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

  static std::vector<Mutations> group_of(const std::deque<Batch>& queue, std::size_t from,
                                         std::size_t count) {
    std::vector<Mutations> group;
    for (std::size_t i = from; i < queue.size() && group.size() < count; ++i)
      group.push_back(queue[i].mutations);
    return group;
  }

  void perform(const Effect& effect) {
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
      if (stored->is_stored)
        durable_handles_[stored->attempt] = "h" + std::to_string(stored->serial);
    }
    if (const auto* prepare = std::get_if<effect::Prepare>(&effect)) answer(*prepare);
    if (const auto* ended = std::get_if<effect::RunEnded>(&effect))
      answers_.emplace_back(input::RunDurable{ended->run});
  }

  void send(WorkerId to, const Effect& effect) {
    for (Worker& worker : workers_) {
      if (worker.id == to && worker.is_alive) worker.inbox.push_back(effect);
    }
  }

  void answer(const effect::Prepare& prepare) {
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

  // The workers ---------------------------------------------------------------------------------

  void add_worker() {
    workers_.push_back({WorkerId{++last_worker_}, store_.boot, true, {}, {}});
    if (is_up_) handle(input::WorkerUp{WorkerId{last_worker_}});
  }

  /// A worker executes the first thing it was sent.
  void execute(Worker& worker) {
    const Effect effect = std::move(worker.inbox.front());
    worker.inbox.pop_front();
    if (const auto* start = std::get_if<effect::StartAttempt>(&effect)) {
      spawn(worker, *start);
    } else if (const auto* stop = std::get_if<effect::StopAttempt>(&effect)) {
      if (auto it = worker.journal.find(stop->attempt);
          it != worker.journal.end() && it->second.is_alive) {
        it->second.is_stopped = true;
      }
    } else if (const auto* forget = std::get_if<effect::ForgetAttempt>(&effect)) {
      auto it = worker.journal.find(forget->attempt);
      if (it != worker.journal.end() && it->second.start.stay != forget->stay) return;
      if (it != worker.journal.end() && it->second.is_alive) fail("a running attempt is forgotten");
      worker.journal.erase(forget->attempt);
    }
  }

  void spawn(Worker& worker, const effect::StartAttempt& start) {
    Record record;
    record.start = start;
    record.has_begun = planted_ != Planted::spawn_before_begin;
    record.is_alive = true;
    const bool dies_between = random_.one_in(60);
    if (record.has_begun && dies_between) {
      // Between the begin record and the process.
      record.is_alive = false;
      worker.journal.insert_or_assign(start.attempt, record);
      kill_worker(worker);
      return;
    }
    check_start(start);
    std::erase_if(ledger_, [&](const Entry& e) { return e.start.attempt == start.attempt; });
    ledger_.push_back({start, false, false, false, ""});
    ++tale_.processes;
    worker.journal.insert_or_assign(start.attempt, record);
    if (dies_between) {
      kill_worker(worker);
      return;
    }
    worker.journal.at(start.attempt).has_begun = true;
    if (random_.one_in(3)) results_.emplace_back(input::AttemptBegan{start.attempt, now_.wall});
    const std::int64_t serial = ++last_serial_;
    if (random_.one_in(4) && !durable_handles_.contains(start.attempt)) {
      results_.emplace_back(
          input::AttemptHandle{start.attempt, worker.id, serial, "h" + std::to_string(serial)});
    }
  }

  struct Entry {
    effect::StartAttempt start;
    bool has_ended = false;
    bool has_succeeded = false;
    bool is_asleep = false;  ///< it ended its stay in a deferral
    std::string state_text;  ///< and left this
  };

  /// What must hold whenever a process starts, by a ledger that no scheduler can touch.
  void check_start(const effect::StartAttempt& start) {
    const auto row = store_.attempts.find(start.attempt);
    if (row == store_.attempts.end()) fail("a process starts and no store knows of it");
    for (const Entry& other : ledger_) {
      if (other.start.attempt == start.attempt) {
        if (!other.is_asleep) fail("an attempt starts twice");
        if (!start.has_past || row->second.state_text != other.state_text)
          fail("a deferred attempt goes on without what it left");
        ++tale_.woken;
        continue;
      }
      if (other.start.key != start.key) continue;
      if (!other.has_ended) fail("two processes of one task overlap");
      if (other.start.number >= start.number) fail("an attempt number is used twice, or falls");
      if (other.has_succeeded && other.start.work == start.work)
        fail("what succeeded runs again, and nobody asked");
    }
    check_handle(start, row->second);
    const RunRow& run = store_.runs.at(start.key.run);
    if (jobs_.at(run.version).is_hook(start.key.task)) {
      check_hook(
          run,
          jobs_.at(run.version).hooks[start.key.task.value - jobs_.at(run.version).tasks.size()]);
      return;
    }
    if (run.resumes > 0 || touched_.contains(run.id)) return;
    const JobSpec& job = jobs_.at(run.version);
    Tally tally;
    const TaskSpec& task = job.tasks[start.key.task.value];
    const Tally pairs = pairs_of(task, start.key);
    for (const Dependency& d : task.depends_on) {
      if (d.each) continue;
      const auto up = store_.tasks.find({run.id, d.task, kWhole});
      tally.add(up == store_.tasks.end() ? TaskState::waiting : up->second.state, +1);
    }
    const bool fits = decide(task.trigger_rule, tally) == Decision::run &&
                      decide(task.trigger_rule, pairs) == Decision::run;
    tale_.paired += task.mapped_over ? 1 : 0;
    if (!fits) fail("a task starts before what it waits for");
  }

  /// What came of the items that this one is paired with.
  Tally pairs_of(const TaskSpec& task, TaskKey key) const {
    Tally pairs;
    for (const Dependency& d : task.depends_on) {
      if (d.each) pairs.add(state_of_pair(key.run, d.task, key.item), +1);
    }
    return pairs;
  }

  /// In an ended run that no person changed, each item of a paired task came to what the items
  /// before it ask for: it ran, or was decided without running, by the rule and by nothing else.
  void check_pairs() const {
    for (const auto& [place, whole] : store_.mapped) {
      const RunRow& run = store_.runs.at(place.first);
      if (!whole.is_paired || !is_final(run.state) || run.resumes > 0 || touched_.contains(run.id))
        continue;
      const TaskSpec& task = jobs_.at(run.version).tasks[place.second.value];
      for (std::int64_t i = 0; i < whole.items; ++i) {
        const TaskKey key{place.first, place.second, ItemIndex{i}};
        const auto row = store_.tasks.find(key);
        const bool has_row = row != store_.tasks.end();
        const TaskState state = has_row ? row->second.state : whole.rest_state;
        if (state == TaskState::cancelled) continue;
        const Decision wanted = decide(task.trigger_rule, pairs_of(task, key));
        const bool ran = has_row && row->second.attempts > 0;
        const bool had_no_slot = state == TaskState::failed;
        const Decision came = ran || had_no_slot                    ? Decision::run
                              : state == TaskState::upstream_failed ? Decision::upstream_failed
                              : state == TaskState::skipped         ? Decision::skip
                                                                    : Decision::wait;
        if (came != wanted) {
          fail("item " + std::to_string(i) + " of " + task.id + " is " +
               std::string(to_string(state)) + " and did not follow the items that it is paired " +
               "with by " + std::string(to_string(task.trigger_rule)));
        }
      }
    }
  }

  /// What the store says of the item, or of the whole when the item never started.
  TaskState state_of_pair(RunId run, TaskIndex task, ItemIndex item) const {
    if (const auto row = store_.tasks.find({run, task, item}); row != store_.tasks.end())
      return row->second.state;
    const auto mapped = store_.mapped.find({run, task});
    if (mapped != store_.mapped.end() && item.value < mapped->second.items &&
        is_final(mapped->second.rest_state))
      return mapped->second.rest_state;
    const auto whole = store_.tasks.find({run, task, kWhole});
    return whole == store_.tasks.end() ? TaskState::waiting : whole->second.state;
  }

  /// A hook runs when what the tasks came to is decided, and asks for it.
  void check_hook(const RunRow& run, const HookSpec& hook) {
    ++tale_.hooks;
    if (!run.outcome) fail("a hook starts before all tasks are final");
    const bool fits = hook.kind == HookKind::on_exit ||
                      (hook.kind == HookKind::on_success) == (*run.outcome == RunState::succeeded);
    if (!fits || (hook.kind == HookKind::on_failure && *run.outcome == RunState::cancelled))
      fail("a hook runs after an end that it does not ask for");
  }

  /// An operator that was told that its handle is durable finds it again.
  void check_handle(const effect::StartAttempt& start, const AttemptRow& row) {
    auto wants = [&](AttemptId of) {
      const auto told = durable_handles_.find(of);
      if (told == durable_handles_.end()) return;
      if (!start.has_past || row.handle != told->second) fail("a durable handle is lost");
      ++tale_.handles_found;
    };
    wants(start.attempt);
    for (const auto& [id, before] : store_.attempts) {
      const bool has_no_proof =
          before.state == AttemptState::lost || before.state == AttemptState::interrupted;
      const bool has_own = durable_handles_.contains(start.attempt);
      if (before.key == start.key && before.number == start.number - 1 && has_no_proof &&
          !has_own && !entry_exists(start.attempt))
        wants(id);
    }
  }

  bool entry_exists(AttemptId attempt) const {
    return std::any_of(ledger_.begin(), ledger_.end(),
                       [&](const Entry& e) { return e.start.attempt == attempt; });
  }

  Entry& entry(AttemptId attempt) {
    const auto it = std::find_if(ledger_.begin(), ledger_.end(),
                                 [&](const Entry& e) { return e.start.attempt == attempt; });
    PAWL_CHECK(it != ledger_.end());
    return *it;
  }

  /// A process of the worker ends, and the end is in its journal before anybody hears of it.
  void end_one(Worker& worker) {
    for (auto& [id, record] : worker.journal) {
      if (!record.is_alive || !random_.one_in(2)) continue;
      AttemptResult result;
      result.attempt = id;
      result.worker = worker.id;
      result.stay = record.start.stay;
      result.ended_at = now_.wall;
      result.stop_seen = record.is_stopped;
      const std::int64_t dice = random_.below(10);
      result.outcome = record.is_stopped || dice >= 8 ? Outcome::failed
                       : dice == 7                    ? Outcome::skipped
                                                      : Outcome::succeeded;
      result.reason = result.outcome == Outcome::failed
                          ? (record.is_stopped ? Reason::signal : Reason::exit)
                          : Reason::none;
      if (dice == 9 && random_.one_in(4)) result.reason = Reason::permanent;
      Entry& e = entry(id);
      if (!record.is_stopped && random_.one_in(5)) {
        result.outcome = Outcome::deferred;
        result.reason = Reason::none;
        result.look_again_after = Duration(random_.below(20'000));
        result.state_text = "s" + std::to_string(++last_serial_);
        e.is_asleep = true;
        e.state_text = result.state_text;
        ++tale_.deferred;
      }
      record.is_alive = false;
      record.end = result;
      e.has_ended = true;
      e.has_succeeded = result.outcome == Outcome::succeeded;
      results_.emplace_back(input::AttemptsEnded{{result}});
      return;
    }
  }

  /// The worker dies and takes its processes along. What its journal says is told by whoever reads
  /// it: now, or after the next start.
  void kill_worker(Worker& worker) {
    if (!worker.is_alive) return;
    ++tale_.worker_deaths;
    worker.is_alive = false;
    worker.inbox.clear();
    for (auto& [id, record] : worker.journal) {
      if (!record.is_alive) continue;
      record.is_alive = false;
      entry(id).has_ended = true;
    }
    dead_.push_back(worker.id);
  }

  /// The fate of an attempt of a worker that is dead, or that answers after a restart.
  std::optional<AttemptResult> fate(const Worker& worker, AttemptId attempt, bool seen_dying) {
    AttemptResult result;
    result.attempt = attempt;
    result.worker = worker.id;
    result.ended_at = now_.wall;
    // Of an earlier stay it proves nothing.
    auto record = worker.journal.find(attempt);
    if (record != worker.journal.end() && record->second.start.stay != engine_->stay_of(attempt))
      record = worker.journal.end();
    if (record != worker.journal.end() && record->second.end) {
      if (!seen_dying) ++tale_.told_late;
      return record->second.end;
    }
    const bool has_begun = record != worker.journal.end() && record->second.has_begun;
    if (worker.is_alive) {
      if (record != worker.journal.end()) {
        ++tale_.adopted;
        return std::nullopt;
      }
      result.outcome = Outcome::never_started;
    } else if (has_begun || worker.boot != store_.boot) {
      result.outcome = seen_dying ? Outcome::lost : Outcome::interrupted;
      result.may_be_cause = random_.one_in(2);
      unproved_.insert(attempt);
    } else {
      result.outcome = Outcome::never_started;
    }
    if (result.outcome == Outcome::never_started) {
      ++tale_.never_started;
      if (planted_ == Planted::count_never_started) result.outcome = Outcome::interrupted;
    } else {
      ++tale_.interrupted;
    }
    if (planted_ == Planted::success_by_default && result.outcome != Outcome::never_started)
      result.outcome = Outcome::succeeded;
    return result;
  }

  /// The running scheduler learns of a death.
  void bury(WorkerId id) {
    const Worker& worker = worker_of(id);
    handle(input::WorkerDrains{id});
    input::AttemptsEnded ended;
    for (AttemptId attempt : engine_->attempts_of(id)) {
      if (auto result = fate(worker, attempt, true)) ended.results.push_back(*result);
    }
    handle(ended);
    handle(input::WorkerGone{id});
  }

  Worker& worker_of(WorkerId id) {
    return *std::find_if(workers_.begin(), workers_.end(),
                         [&](const Worker& w) { return w.id == id; });
  }

  // Faults --------------------------------------------------------------------------------------

  /// The scheduler dies: what was not committed is gone, or was committed after all; what was sent
  /// arrives in part. A new one recovers.
  void crash(bool is_reboot = false, Remains remains = Remains::everything) {
    ++tale_.crashes;
    const std::deque<Batch> left = std::move(queue_);
    queue_.clear();
    const std::int64_t boot = store_.boot + (is_reboot ? 1 : 0);
    const std::size_t kept =
        disk_ ? crash_disk(left, boot, remains)
        : left.empty()
            ? 0
            : static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(left.size()) + 1));
    for (std::size_t i = 0; i < kept; ++i)
      check(store_.apply(left[i].mutations, left[i].by_person));
    store_.boot = boot;
    tale_.lost_batches += static_cast<std::int64_t>(left.size() - kept);
    if (kept < left.size()) zombie_ = left[kept];
    if (kept < left.size()) uncount_starts(left[kept].sequence);
    if (random_.one_in(3)) {
      const Duration down(random_.below(120'000));
      now_ = {now_.mono + down, now_.wall + down};
    }
    for (Worker& worker : workers_) {
      if (worker.is_alive && !worker.inbox.empty())
        worker.inbox.resize(static_cast<std::size_t>(
            random_.below(static_cast<std::int64_t>(worker.inbox.size()) + 1)));
      while (worker.is_alive && !worker.inbox.empty()) execute(worker);
    }
    recover();
  }

  /// The process or the power goes while the store writes, and what the disk has afterwards says
  /// what was written: how many of the batches on their way.
  std::size_t crash_disk(const std::deque<Batch>& left, std::int64_t boot, Remains remains) {
    std::size_t maybe = under_way_;
    bool is_done = false;
    if (!disk_->disk().is_cut() && !left.empty()) {
      maybe = static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(left.size())) + 1);
      disk_->disk().cut_at(disk_->disk().operations() + random_.below(20) + 1);
      is_done = disk_->apply(group_of(left, 0, maybe));
      if (!is_done) ++tale_.cut_commits;
    }
    disk_->crash(remains, random_.next());
    disk_->open(boot);
    const auto difference_with = [&](std::size_t count) {
      ModelStore with = store_;
      for (std::size_t i = 0; i < count; ++i)
        check(with.apply(left[i].mutations, left[i].by_person));
      with.boot = boot;
      return disk_->difference(with);
    };
    const std::string with = difference_with(maybe);
    if (with.empty()) return maybe;
    // A commit that came back is there, whether or not anybody had heard of it.
    if (is_done || maybe == 0) fail("what was acknowledged is not what is there: " + with);
    const std::string without = difference_with(0);
    if (!without.empty())
      fail("neither without what was being written: " + without + "\nnor with it: " + with);
    return 0;
  }

  void recover() {
    is_up_ = false;
    start_engine();
    input::AttemptsEnded fates;
    for (const Worker& worker : workers_) {
      for (AttemptId attempt : engine_->attempts_of(worker.id)) {
        if (auto result = fate(worker, attempt, false)) fates.results.push_back(*result);
      }
    }
    dead_.clear();
    feed(fates, false);
    handle(input::Recovered{});
    if (!served_.empty()) {
      input::SetSchedule schedule = schedule_of(kScheduled, served_.at(kScheduled), store_);
      if (planted_ == Planted::fire_by_the_clock) schedule.decided_through = now_.wall - period_;
      handle(schedule);
    }
    is_up_ = true;
    // What a worker still knows and nobody asked for is told again, and forgotten.
    for (const Worker& worker : workers_) {
      for (const auto& [id, record] : worker.journal) {
        if (worker.is_alive && record.end)
          results_.emplace_back(input::AttemptsEnded{{*record.end}});
      }
    }
  }

  /// The old scheduler was not dead: its last batch reaches the store after the new one has gone
  /// on from there. The store refuses it for what it compares. (A batch that touches nothing that
  /// changed since is left out here: the epoch in the real store refuses that one.)
  void write_as_zombie() {
    if (!zombie_ || disk_) return;
    const Batch batch = *std::move(zombie_);
    zombie_.reset();
    ModelStore comparing = store_;
    comparing.compares = true;
    if (comparing.apply(batch.mutations, batch.by_person).empty()) return;
    ModelStore written = store_;
    if (!written.apply(batch.mutations, batch.by_person).empty()) {
      ++tale_.refused_batches;
      return;
    }
    store_ = std::move(written);
    for (const auto& [id, row] : store_.runs)
      check(broken_invariant(store_, id, jobs_.at(row.version)));
  }

  void reboot() {
    ++tale_.reboots;
    for (Worker& worker : workers_) kill_worker(worker);
    // The calendar goes on while the machine comes up.
    const Duration up(20'000 + random_.below(100'000));
    now_ = {MonoTime{} + up, now_.wall + up};
    crash(true, remains_ ? *remains_ : static_cast<Remains>(random_.below(3)));
    for (int i = 0; i < 2; ++i) add_worker();
  }

  /// The power went in the middle of a commit. Where everything remains, it was the process alone
  /// that died, and its workers live.
  void lose_power(std::size_t under_way) {
    under_way_ = under_way;
    ++tale_.cut_commits;
    if (remains_ == Remains::everything) {
      crash();
    } else {
      reboot();
    }
    under_way_ = 0;
  }

  // The world -----------------------------------------------------------------------------------

  void define(JobSpec job) {
    const VersionId id{static_cast<std::int64_t>(jobs_.size()) + 1};
    jobs_.emplace(id, std::move(job));
  }

  JobSpec random_job(int number) {
    static const char* const kRules[] = {"all_success", "all_success", "all_done", "none_failed",
                                         "one_success", "one_failed",  "always",   "all_skipped"};
    std::string text = "job name=j" + std::to_string(number) +
                       (random_.one_in(3) ? " overlap=allow active=3" : "") +
                       (random_.one_in(4) ? " fail_fast" : "") +
                       (random_.one_in(4) ? " timeout=90s" : "") +
                       (random_.one_in(3) ? " pool:p=2@3/10s" : " pool:p=2") +
                       (random_.one_in(4) ? " pool:q=3@1/2s;" : " pool:q=3;");
    const std::int64_t tasks = random_.below(5) + 2;
    std::vector<std::int64_t> sources;  ///< whose items each task has; -1: none
    for (std::int64_t i = 0; i < tasks; ++i) {
      text += std::string("t") + static_cast<char>('a' + i);
      std::string ups;
      std::int64_t source = -1;
      for (std::int64_t up = 0; up < i; ++up) {
        if (!random_.one_in(2)) continue;
        const std::int64_t theirs = sources[static_cast<std::size_t>(up)];
        const bool each = theirs >= 0 && (source < 0 || source == theirs) && random_.one_in(2);
        if (each) source = theirs;
        ups += std::string(ups.empty() ? "" : ",") + "t" + static_cast<char>('a' + up) +
               (each ? "*" : "");
      }
      if (!ups.empty()) text += " after " + ups + " rule=" + kRules[random_.below(8)];
      if (random_.one_in(2))
        text += " retry=3 delay=" + std::to_string(random_.below(20) + 1) + "s";
      static const char* const kInterrupts[] = {"retry", "hold", "fail"};
      text += std::string(" interrupt=") + kInterrupts[random_.below(3)];
      const bool is_mapped = source < 0 && random_.one_in(3);
      sources.push_back(is_mapped ? i : source);
      if (random_.one_in(6)) {
        text += " call=j" + std::to_string(random_.below(4)) +
                (is_mapped ? " map=" + std::to_string(random_.below(3)) : "") +
                (random_.one_in(5) ? " rate=2/10s" : "") +
                (random_.one_in(4) ? " timeout=30s" : "") +
                (random_.one_in(6) ? " total=60s" : "") + ";";
        continue;
      }
      if (is_mapped)
        text += " map=" + std::to_string(random_.below(8)) + (random_.one_in(2) ? " max=2" : "") +
                (random_.one_in(2) ? " tolerate=1" : "") + (random_.one_in(4) ? " stop=2" : "");
      static const char* const kRates[] = {"1/3s", "2/10s", "5/1s", "100/40s"};
      if (random_.one_in(5)) text += std::string(" rate=") + kRates[random_.below(4)];
      if (random_.one_in(6)) text += " queue=40s";
      if (random_.one_in(6)) text += " total=60s";
      if (random_.one_in(5)) text += " allow";
      if (random_.one_in(5)) text += " when";
      if (random_.one_in(4)) text += " priority=" + std::to_string(random_.below(3));
      static const char* const kPools[] = {"p", "q:3", "p:2,q", "q,default", "default:2", "p,q:2"};
      if (random_.one_in(2)) text += std::string(" pool=") + kPools[random_.below(6)];
      text += ";";
    }
    for (const char* kind : {"on_success", "on_failure", "on_exit"}) {
      if (!random_.one_in(3)) continue;
      text += std::string(kind) + (random_.one_in(3) ? " retry=2 delay=3s interrupt=retry" : "") +
              (random_.one_in(4) ? " when" : "") + ";";
    }
    return job_from_text(text);
  }

  /// The engine may have dropped a definition that nothing in memory uses.
  void know(VersionId id) {
    if (engine_->knows_version(id)) return;
    handle(input::AddVersion{version_row(id), jobs_.at(id), true});
    ++tale_.versions_told_again;
  }

  void submit() {
    // The last one seldom, so that its definition leaves memory between its runs.
    const auto& [id, job] = *std::next(jobs_.begin(), random_.one_in(12) ? 3 : random_.below(3));
    RunRow row;
    row.job = job.name;
    row.version = id;
    row.default_slots = random_.one_in(5) ? 2 : 0;
    if (random_.one_in(8)) row.start_at = now_.wall + Duration(random_.below(20'000));
    if (random_.one_in(3)) row.request_id = "q" + std::to_string(random_.below(30));
    for (const auto& [other_id, other] : store_.runs) {
      // Whoever asks again asks the store first.
      if (!row.request_id.empty() && other.request_id == row.request_id) return;
    }
    know(id);
    handle(input::Submit{row, random_.one_in(10), "ana", {}});
  }

  void submit_first() {
    RunRow row;
    row.version = jobs_.begin()->first;
    row.job = jobs_.begin()->second.name;
    handle(input::Submit{row, false, "ana", {}});
  }

  void command() {
    // A person's command is resolved behind all that is on its way to the store.
    (void)commit(queue_.size());
    if (store_.runs.empty()) return;
    ++tale_.commands;
    if (random_.one_in(8)) {
      handle(input::PauseJob{kScheduled, !store_.jobs[kScheduled].paused, "", "ana", {}});
      return;
    }
    const RunId id = random_.pick(store_.runs).first;
    const auto& job = jobs_.at(store_.runs.at(id).version);
    Target target{id, {}, {}};
    if (random_.one_in(2))
      target.task = TaskIndex{
          static_cast<std::uint32_t>(random_.below(static_cast<std::int64_t>(job.node_count())))};
    if (target.task && random_.one_in(2)) target.item = ItemIndex{random_.below(6)};
    std::vector<RunSnapshot> loaded;
    if (!engine_->has_run(id) || engine_->has_mapped_tasks(id))
      loaded.push_back(store_.snapshot(id, true));
    know(store_.runs.at(id).version);
    const std::vector<Target> targets{target};
    switch (random_.below(7)) {
      case 0: handle(input::Cancel{targets, random_.one_in(2), "ana", {}, {}}, true); break;
      case 1:
      case 2: {
        input::Resume resume{targets, false, false, false, "ana", {}, loaded};
        if (target.task) resume.from = random_.one_in(3);
        if (target.task) resume.only = !resume.from && random_.one_in(3);
        resume.downstream = random_.one_in(4);
        touched_.insert(id);
        (void)engine_->plan_resume(resume);
        handle(resume, true);
        break;
      }
      case 3: {
        static const TaskState kMarks[] = {TaskState::succeeded, TaskState::failed,
                                           TaskState::skipped};
        touched_.insert(id);
        handle(input::Mark{targets, kMarks[random_.below(3)], "ana", {}, loaded}, true);
        break;
      }
      case 4: handle(input::Dismiss{targets, "", "ana", {}, loaded}, true); break;
      case 5: handle(input::Pause{{{id, {}, {}}}, "", "ana", {}}, true); break;
      case 6: handle(input::Unpause{{{id, {}, {}}}, "ana", {}}, true); break;
    }
    for (const Explanation& line : engine_->explain(target, now_)) {
      if (line.text.empty()) fail("an explanation says nothing");
    }
  }

  void pass(Duration time) {
    now_ = {now_.mono + time, now_.wall + time};
    const auto due = engine_->next_deadline();
    if (due && *due <= now_.mono) handle(input::Tick{});
  }

  void deliver_answer() {
    const Input input = std::move(answers_.front());
    answers_.pop_front();
    const auto* call = std::get_if<input::CallJob>(&input);
    if (call != nullptr)
      know(call->known ? store_.runs.at(*call->known).version : call->run.version);
    // A run that is called again goes on as if a person had resumed it.
    handle(input, call != nullptr);
    if (call != nullptr && random_.one_in(20)) handle(input, true);
  }

  void deliver_results() {
    const Input input = std::move(results_.front());
    results_.pop_front();
    handle(input);
    if (random_.one_in(20)) handle(input);  // told twice
  }

  void step() {
    ++tale_.steps;
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
    if (queue_.empty() && random_.one_in(10)) check_quiet();
  }

  void look_after_workers() {
    if (!dead_.empty()) {
      const WorkerId id = dead_.front();
      dead_.erase(dead_.begin());
      bury(id);
    }
    const auto living =
        std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return w.is_alive; });
    if (living < 2) add_worker();
  }

  /// Nothing is on its way to the store: memory and store must be the same.
  void check_quiet() {
    if (disk_) check(disk_->difference(store_));
    if (planted_ == Planted::nothing) {
      check(difference_after_restart(*engine_, store_, jobs_, served_, now_, kSlots));
    }
    check_evidence();
    check_fires();
    check_slot_numbers();
    check_pairs();
  }

  /// Fires in (after, through], counted without a calendar.
  std::int64_t fires_between(WallTime after, WallTime through) const {
    return through.ms / period_.count() - after.ms / period_.count();
  }

  /// Each fire up to the place of the schedule has one run or one decision, and nothing else has.
  void check_fires() {
    const auto place = store_.jobs[kScheduled].decided_through;
    if (!place) return;
    const WallTime first = store_.first_places.at(kScheduled);
    std::set<WallTime> made;
    tale_.fires = tale_.caught_up = tale_.dropped_fires = 0;
    for (const auto& [id, run] : store_.runs) {
      if (!run.scheduled_for) continue;
      if (run.scheduled_for->ms % period_.count() != 0) fail("a run stands for no fire");
      if (*run.scheduled_for <= first || *run.scheduled_for > *place)
        fail("a run stands for a fire that is not decided");
      if (!made.insert(*run.scheduled_for).second) fail("a fire has two runs");
      ++(run.trigger == Trigger::catchup ? tale_.caught_up : tale_.fires);
    }
    std::int64_t decided = static_cast<std::int64_t>(made.size());
    for (const DroppedRow& row : store_.dropped) {
      // Taken out of the queue, it has a run.
      if (row.count == 1 && made.contains(row.first)) continue;
      decided += row.count;
      tale_.dropped_fires += row.count;
    }
    for (const auto& span : store_.paused_spans) decided += fires_between(span.after, span.through);
    if (decided != fires_between(first, *place)) {
      fail("of " + std::to_string(fires_between(first, *place)) + " fires " +
           std::to_string(decided) + " are decided");
    }
  }

  /// Success has its evidence, and every end its beginning.
  void check_evidence() {
    std::map<AttemptId, const Entry*> by_id;
    for (const Entry& e : ledger_) by_id[e.start.attempt] = &e;
    for (const auto& [id, row] : store_.attempts) {
      if (row.worker == WorkerId{}) continue;  // what the model of the store asks of a call
      const auto entry = by_id.find(id);
      if (row.state == AttemptState::succeeded &&
          (entry == by_id.end() || !entry->second->has_succeeded))
        fail("an attempt succeeded without evidence");
      if (is_final(row.state) && entry == by_id.end() && !unproved_.contains(id))
        fail("an attempt that never started counts");
    }
    for (const Entry& e : ledger_) {
      const auto row = store_.attempts.find(e.start.attempt);
      if (row == store_.attempts.end()) fail("a process that started has no attempt");
    }
    for (const auto& [key, row] : store_.tasks) {
      if (row.state != TaskState::succeeded || row.reason == Reason::marked ||
          store_.mapped.contains({key.run, key.task}))
        continue;
      const auto last = std::find_if(store_.attempts.rbegin(), store_.attempts.rend(),
                                     [&](const auto& a) { return a.second.key == key; });
      if (last == store_.attempts.rend() || last->second.state != AttemptState::succeeded)
        fail("a task succeeded without an attempt that did");
    }
  }

  /// What people do in a scenario, once its moment has come.
  void act_out(Act act, int step) {
    const std::vector<Target> targets{Target{store_.last_run(), {}, {}}};
    if (act == Act::nothing || store_.runs.empty()) return;
    if (!is_cancelled_ && step >= 3) {
      is_cancelled_ = true;
      handle(input::Cancel{targets, false, "ana", {}, {}}, true);
    } else if (is_cancelled_ && !is_resumed_ && is_final(store_.runs.at(store_.last_run()).state)) {
      is_resumed_ = true;
      touched_.insert(store_.last_run());
      know(jobs_.begin()->first);
      handle(
          input::Resume{
              targets, false, false, false, "ana", {}, {store_.snapshot(store_.last_run(), true)}},
          true);
    }
  }

  /// No more faults, but for a cut that was set before: every run must end.
  void quiet_phase(Act act = Act::nothing) {
    handle(input::HoldStarts{false});
    handle(input::RemoveSchedule{kScheduled});
    served_.clear();
    for (int i = 0; i < 20'000; ++i) {
      ++tale_.steps;
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
      if (queue_.empty() && results_.empty() && answers_.empty() && dead_.empty() &&
          store_.open_runs().empty()) {
        check_quiet();
        if (engine_->live_attempts() != 0) fail("attempts live on after all runs ended");
        return;
      }
    }
    std::string open;
    for (RunId id : store_.open_runs()) {
      open +=
          " " + std::to_string(id.value) + " " + std::string(to_string(store_.runs.at(id).state));
      if (const auto& at = store_.runs.at(id).start_at)
        open += " (starts in " + format_duration(*at - now_.wall) + ")";
    }
    fail("runs do not end:" + open);
  }

  void check(const std::string& wrong) const {
    if (!wrong.empty()) fail(wrong);
  }
  [[noreturn]] void fail(const std::string& what) const { throw BrokenInvariant(what); }

  static constexpr std::int64_t kSlots = 3;
  static constexpr const char* kScheduled = "clockwork";

  Random random_;
  Planted planted_;
  std::unique_ptr<DiskStore> disk_;  ///< the real store, where it lives along
  std::optional<Remains> remains_;   ///< of every cut, in a scenario
  std::size_t under_way_ = 0;        ///< batches in the commit that a cut ended
  bool is_cancelled_ = false;
  bool is_resumed_ = false;
  std::optional<Batch> zombie_;  ///< the batch that a crash took
  Tale tale_;
  std::unique_ptr<Engine> engine_;
  EffectGate gate_;
  ModelStore store_;
  std::map<VersionId, JobSpec> jobs_;
  std::map<std::string, Served> served_;
  Duration period_{};  ///< of the scheduled job
  std::deque<Batch> queue_;
  std::uint64_t sequence_ = 0;
  std::uint64_t durable_ = 0;
  bool more_ = false;
  bool is_up_ = false;
  Now now_{MonoTime{1'000'000}, WallTime{1'795'000'000'000}};
  std::int64_t last_worker_ = 0;
  std::vector<Worker> workers_;
  std::vector<WorkerId> dead_;  ///< and the scheduler has not noticed
  std::deque<Input> answers_;   ///< of the readers, on their way
  std::deque<Input> results_;   ///< of the workers, on their way
  std::vector<Entry> ledger_;
  std::map<AttemptId, std::string> durable_handles_;  ///< as operators were told
  std::int64_t last_serial_ = 0;
  std::map<RateKey, std::vector<RatedStart>> rated_;
  std::set<AttemptId> unproved_;  ///< of which nobody knows whether they began
  std::set<RunId> touched_;       ///< by a person, so that tasks may start out of turn
};

}  // namespace

Tale simulate(std::uint64_t seed, Planted planted) { return Life(seed, planted, false).live(); }

Tale simulate_on_disk(std::uint64_t seed, Planted planted) {
  return Life(seed, planted, true).live();
}

Tale play(const Scenario& scenario, std::int64_t cut_at, Remains remains, Planted planted) {
  return Life(1, planted, true).live(scenario, cut_at, remains);
}

}  // namespace pawl::sim
