// The workers of a life and their processes.

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "tests/sim/life.h"

namespace pawl::sim {

using namespace std::chrono_literals;

void Life::add_worker() {
  workers_.push_back({WorkerId{++last_worker_}, store_.boot, true, {}, {}});
  if (is_up_) handle(input::WorkerUp{WorkerId{last_worker_}});
}

void Life::execute(Worker& worker) {
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

void Life::spawn(Worker& worker, const effect::StartAttempt& start) {
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

bool Life::entry_exists(AttemptId attempt) const {
  return std::any_of(ledger_.begin(), ledger_.end(),
                     [&](const Entry& e) { return e.start.attempt == attempt; });
}

Entry& Life::entry(AttemptId attempt) {
  const auto it = std::find_if(ledger_.begin(), ledger_.end(),
                               [&](const Entry& e) { return e.start.attempt == attempt; });
  PAWL_CHECK(it != ledger_.end());
  return *it;
}

void Life::end_one(Worker& worker) {
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

void Life::kill_worker(Worker& worker) {
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

std::optional<AttemptResult> Life::fate(const Worker& worker, AttemptId attempt, bool seen_dying) {
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

void Life::bury(WorkerId id) {
  const Worker& worker = worker_of(id);
  handle(input::WorkerDrains{id});
  input::AttemptsEnded ended;
  for (AttemptId attempt : engine_->attempts_of(id)) {
    if (auto result = fate(worker, attempt, true)) ended.results.push_back(*result);
  }
  handle(ended);
  handle(input::WorkerGone{id});
}

Worker& Life::worker_of(WorkerId id) {
  return *std::find_if(workers_.begin(), workers_.end(),
                       [&](const Worker& w) { return w.id == id; });
}

void Life::look_after_workers() {
  if (!dead_.empty()) {
    const WorkerId id = dead_.front();
    dead_.erase(dead_.begin());
    bury(id);
  }
  const auto living =
      std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return w.is_alive; });
  if (living < 2) add_worker();
}

}  // namespace pawl::sim
