// What must hold, after each step and where nothing is on its way.

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "tests/sim/life.h"
#include "tests/sim/restart_check.h"

namespace pawl::sim {

using namespace std::chrono_literals;

bool Life::begins(const Step& step, AttemptId attempt) {
  return std::any_of(step.mutations.begin(), step.mutations.end(), [&](const Mutation& m) {
    const auto* insert = std::get_if<mutation::InsertAttempt>(&m);
    return insert != nullptr && insert->row.id == attempt;
  });
}

void Life::count_start(const effect::StartAttempt& start, std::uint64_t sequence) {
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
  for (const auto& named : rates) {
    const auto& key = named.first;
    const auto& rate = named.second;
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

void Life::uncount_starts(std::uint64_t from) {
  for (auto& [key, starts] : rated_)
    std::erase_if(starts, [&](const RatedStart& s) { return s.sequence >= from; });
}

void Life::calendar_stepped() {
  for (auto& [key, starts] : rated_) {
    for (RatedStart& start : starts) start.is_dated = false;
  }
}

void Life::check_slots() const {
  for (const PoolView& pool : engine_->pools(now_)) {
    std::int64_t held = 0;
    for (const auto& holder : pool.holders) held += holder.slots;
    if (held != pool.taken) fail("slots of pool " + pool.name + " are taken that nobody holds");
    if (pool.taken > pool.limit) fail("pool " + pool.name + " has more taken than it has");
    if (pool.rate && pool.started > pool.rate->count) fail("a bucket is overdrawn");
  }
}

void Life::check_slot_numbers() const {
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

void Life::check_start(const effect::StartAttempt& start) {
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

Tally Life::pairs_of(const TaskSpec& task, TaskKey key) const {
  Tally pairs;
  for (const Dependency& d : task.depends_on) {
    if (d.each) pairs.add(state_of_pair(key.run, d.task, key.item), +1);
  }
  return pairs;
}

void Life::check_pairs() const {
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

TaskState Life::state_of_pair(RunId run, TaskIndex task, ItemIndex item) const {
  if (const auto row = store_.tasks.find({run, task, item}); row != store_.tasks.end())
    return row->second.state;
  const auto mapped = store_.mapped.find({run, task});
  if (mapped != store_.mapped.end() && item.value < mapped->second.items &&
      is_final(mapped->second.rest_state))
    return mapped->second.rest_state;
  const auto whole = store_.tasks.find({run, task, kWhole});
  return whole == store_.tasks.end() ? TaskState::waiting : whole->second.state;
}

void Life::check_hook(const RunRow& run, const HookSpec& hook) {
  ++tale_.hooks;
  if (!run.outcome) fail("a hook starts before all tasks are final");
  const bool fits = hook.kind == HookKind::on_exit ||
                    (hook.kind == HookKind::on_success) == (*run.outcome == RunState::succeeded);
  if (!fits || (hook.kind == HookKind::on_failure && *run.outcome == RunState::cancelled))
    fail("a hook runs after an end that it does not ask for");
}

void Life::check_handle(const effect::StartAttempt& start, const AttemptRow& row) {
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
    if (before.key == start.key && before.number == start.number - 1 && has_no_proof && !has_own &&
        !entry_exists(start.attempt))
      wants(id);
  }
}

void Life::check_quiet() {
  if (disk_) check(disk_->difference(store_));
  if (planted_ == Planted::nothing) {
    check(difference_after_restart(*engine_, store_, jobs_, served_, now_, kSlots));
  }
  check_evidence();
  check_fires();
  check_slot_numbers();
  check_pairs();
}

std::int64_t Life::fires_between(WallTime after, WallTime through) const {
  return through.ms / period_.count() - after.ms / period_.count();
}

void Life::check_fires() {
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

void Life::check_evidence() {
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
  for (const auto& task : store_.tasks) {
    const auto& key = task.first;
    const auto& row = task.second;
    if (row.state != TaskState::succeeded || row.reason == Reason::marked ||
        store_.mapped.contains({key.run, key.task}))
      continue;
    const auto last = std::find_if(store_.attempts.rbegin(), store_.attempts.rend(),
                                   [&](const auto& a) { return a.second.key == key; });
    if (last == store_.attempts.rend() || last->second.state != AttemptState::succeeded)
      fail("a task succeeded without an attempt that did");
  }
}

void Life::check(const std::string& wrong) const {
  if (!wrong.empty()) fail(wrong);
}

}  // namespace pawl::sim
