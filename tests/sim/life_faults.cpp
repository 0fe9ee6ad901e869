// What dies: the scheduler, its machine, power in the middle of a commit.

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "tests/sim/life.h"
#include "tests/sim/store_invariants.h"

namespace pawl::sim {

using namespace std::chrono_literals;

void Life::crash(bool is_reboot, Remains remains) {
  ++tale_.crashes;
  const std::deque<Batch> left = std::move(queue_);
  queue_.clear();
  const std::int64_t boot = store_.boot + (is_reboot ? 1 : 0);
  const std::size_t kept =
      disk_ ? crash_disk(left, boot, remains)
      : left.empty()
          ? 0
          : static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(left.size()) + 1));
  for (std::size_t i = 0; i < kept; ++i) check(store_.apply(left[i].mutations, left[i].by_person));
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

std::size_t Life::crash_disk(const std::deque<Batch>& left, std::int64_t boot, Remains remains) {
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
    for (std::size_t i = 0; i < count; ++i) check(with.apply(left[i].mutations, left[i].by_person));
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

void Life::recover() {
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
      if (worker.is_alive && record.end) results_.emplace_back(input::AttemptsEnded{{*record.end}});
    }
  }
}

void Life::write_as_zombie() {
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

void Life::reboot() {
  ++tale_.reboots;
  for (Worker& worker : workers_) kill_worker(worker);
  // The calendar goes on while the machine comes up.
  const Duration up(20'000 + random_.below(100'000));
  now_ = {MonoTime{} + up, now_.wall + up};
  crash(true, remains_ ? *remains_ : static_cast<Remains>(random_.below(3)));
  for (int i = 0; i < 2; ++i) add_worker();
}

void Life::lose_power(std::size_t under_way) {
  under_way_ = under_way;
  ++tale_.cut_commits;
  if (remains_ == Remains::everything) {
    crash();
  } else {
    reboot();
  }
  under_way_ = 0;
}

}  // namespace pawl::sim
