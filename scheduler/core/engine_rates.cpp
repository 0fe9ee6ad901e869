// Rates: tokens of starts, and who waits for one.

#include <algorithm>
#include <utility>

#include "scheduler/core/engine_state.h"

namespace pawl {

RateLimit& Engine::State::rate_limit(const RateKey& key) {
  const auto found = rates_.find(key);
  if (found != rates_.end()) return found->second;
  if (rates_.size() >= drop_rates_at_) drop_idle_rates();
  RateLimit& rate = rates_[key];
  rate.key = key;
  rate.number = ++last_rate_;
  rates_by_number_[rate.number] = &rate;
  return rate;
}

/// The `rate_limit` of a task: one for all runs of its job, as the newest definition says that has
/// one.
RateLimit* Engine::State::rate_of_task(const Run& run, TaskIndex task) {
  const TaskSpec& spec = run.spec(task);
  if (!spec.rate_limit) return nullptr;
  RateLimit& rate = rate_limit({run.row.job, {}, spec.id});
  if (rate.said_by <= run.row.version) {
    rate.said_by = run.row.version;
    set_rate(rate, *spec.rate_limit);
  }
  return &rate;
}

void Engine::State::set_rate(RateLimit& rate, const Rate& now) {
  const Rate& before = rate.bucket.rate();
  if (before.count == now.count && before.per == now.per) return;
  rate.bucket.set_rate(now);
  look_at_rate(rate);
}

/// Slots of a run's own go by the rate of the pool that they stand for.
void Engine::State::set_pool_rate(const PoolKey& key, Pool& pool, const std::optional<Rate>& rate) {
  RateLimit* const before = pool.rate;
  pool.rate = rate ? &rate_limit({key.job, key.name, {}}) : nullptr;
  if (rate) set_rate(*pool.rate, *rate);
  if (pool.rate == before) return;
  if (key == kDefaultPool) {
    for (const auto& [id, run] : runs_) {
      if (run->own_pool) run->own_pool->rate = pool.rate;
    }
  }
  if (before != nullptr) {
    for (Lane* lane : std::exchange(before->lanes, {})) {
      lane->shut -= before->is_open ? 0 : 1;
      activate(*lane);
    }
    return;
  }
  for (const auto& [lane_key, lane] : lanes_) {
    for (const Pool* wanted : lane->pools) {
      if (wanted->rate != pool.rate) continue;
      pool.rate->lanes.push_back(lane.get());
      lane->shut += pool.rate->is_open ? 0 : 1;
    }
  }
}

void Engine::State::take_token(RateLimit& rate) {
  rate.bucket.settle(now_.mono);
  rate.bucket.take(now_.mono);
  if (!std::exchange(rate.is_changed, true)) changed_rates_.push_back(&rate);
  if (!rate.bucket.has_token()) shut_rate(rate);
}

/// After its tokens or its rate were changed from outside.
void Engine::State::look_at_rate(RateLimit& rate) {
  rate.bucket.settle(now_.mono);
  if (!rate.bucket.has_token()) {
    shut_rate(rate);
  } else if (!rate.is_open) {
    open_rate(rate);
  }
}

/// Its last token is gone: who needs one steps aside, and what was kept for them is free. One alarm
/// stands for all who wait.
void Engine::State::shut_rate(RateLimit& rate) {
  rate.opens_at = rate.bucket.next_token();
  set_alarm({rate.opens_at, {RunId{}, TaskIndex{rate.number}, kTokens}, TimerKind::retry, 0});
  if (!std::exchange(rate.is_open, false)) return;
  for (Lane* lane : rate.lanes) {
    if (rate.is_of_task()) {
      list(*lane->rated.at(rate.key));
    } else {
      ++lane->shut;
    }
    if (lane->is_shared()) activate_sharers(*lane);
    activate(*lane);
  }
}

/// The time of a token has come.
void Engine::State::open_rate(RateLimit& rate) {
  rate.bucket.settle(now_.mono);
  rate.opens_at = MonoTime{};
  rate.is_open = true;
  for (Lane* lane : rate.lanes) {
    if (rate.is_of_task()) {
      list(*lane->rated.at(rate.key));
    } else {
      --lane->shut;
    }
    activate(*lane);
  }
}

/// Where a rated line stands among those of its lane: where its first does, or nowhere while there
/// is no token or nobody waits.
void Engine::State::list(Line& line) {
  Lane& lane = *line.lane;
  std::optional<std::pair<Rank, std::uint64_t>> place;
  if (line.rate->is_open) {
    if (const std::optional<Head> first = first_of(line)) place = first->place();
  }
  if (place == line.listed) return;
  if (line.listed) lane.listed.erase({*line.listed, &line});
  if (place) lane.listed.insert({*place, &line});
  line.listed = place;
}

/// Whether there is a token for the head: heads before it in other lanes go first as long as they
/// can, and one is kept for each of them that cannot.
Verdict Engine::State::judge_token(RateLimit& rate, const Lane& lane, const Head& head) {
  rate.bucket.settle(now_.mono);
  std::int64_t left = rate.bucket.tokens();
  for (Lane* other : rate.lanes) {
    if (other == &lane || left < 1) continue;
    const std::optional<Head> first = this->head(*other);
    if (!first || !first->is_before(head)) continue;
    if (rate.is_of_task() && first->line->rate != &rate) continue;
    if (goes_first(*other, *first)) return Verdict::later;
    --left;
  }
  return left > 0 ? Verdict::now : Verdict::lacks;
}

/// The rate whose alarm this is, if it still waits for it.
RateLimit* Engine::State::find_rate(const Alarm& alarm) const {
  const auto found = rates_by_number_.find(alarm.key.task.value);
  if (found == rates_by_number_.end()) return nullptr;
  RateLimit* const rate = found->second;
  return !rate->is_open && rate->opens_at == alarm.due ? rate : nullptr;
}

void Engine::State::write_rate(RateLimit& rate) {
  rate.is_changed = false;
  rate.has_row = !rate.bucket.is_full();
  change(mutation::SetRate{{rate.key, now_.mono, now_.wall, rate.bucket.rate().per,
                            rate.bucket.starts(now_.mono), true}});
}

void Engine::State::on(const input::RecoverRates& in) {
  for (const RateRow& row : in.rates) {
    RateLimit& rate = rate_limit(row.key);
    // Its definition may come later, or never.
    if (rate.bucket.rate().count == 0) rate.bucket.set_rate({0, row.per});
    rate.has_row = true;
    const Duration since = row.same_boot
                               ? now_.mono - row.at
                               : std::max(now_.wall - row.at_wall, now_.mono - MonoTime{});
    for (const RateRow::Starts& starts : row.starts)
      rate.bucket.restore(now_.mono - since - starts.age, starts.count);
    if (rate.bucket.rate().count > 0) look_at_rate(rate);
  }
}

/// The lines of a job of which nothing is in memory any more.
void Engine::State::drop_rated(Lane& lane, const std::string& job) {
  auto it = lane.rated.lower_bound({job, {}, {}});
  while (it != lane.rated.end() && it->first.job == job) {
    Line& line = *it->second;
    if (line.listed) lane.listed.erase({*line.listed, &line});
    std::erase(line.rate->lanes, &lane);
    it = lane.rated.erase(it);
  }
}

/// Those that no task and no pool has, once all their tokens are back.
void Engine::State::drop_idle_rates() {
  for (auto it = rates_.begin(); it != rates_.end();) {
    RateLimit& rate = it->second;
    rate.bucket.settle(now_.mono);
    const auto pool = pools_.find({rate.key.job, rate.key.pool});
    const bool is_of_pool = pool != pools_.end() && pool->second.rate == &rate;
    if (!rate.lanes.empty() || is_of_pool || !rate.bucket.is_full()) {
      ++it;
      continue;
    }
    if (rate.has_row) write_rate(rate);
    rates_by_number_.erase(rate.number);
    it = rates_.erase(it);
  }
  drop_rates_at_ = std::max(kRatesIdleMax, 2 * rates_.size());
}

}  // namespace pawl
