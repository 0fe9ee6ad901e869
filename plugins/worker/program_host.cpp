#include "plugins/worker/program_host.h"

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "plugins/worker/process_table.h"
#include "scheduler/base/check.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr std::size_t kReapsPerTurn = 512;
/// Orphans of programs become children of the host; those that have ended are collected so often.
constexpr Duration kSweepEvery = std::chrono::seconds(1);
/// While something that was killed is not gone.
constexpr Duration kLookAgainAfter{10};
constexpr Duration kLastGrace = std::chrono::seconds(1);
/// While looks still find some: what was killed leaves what it had started, one level at a time.
constexpr Duration kLastGraceMax = std::chrono::seconds(10);
/// What was killed a moment ago is mostly gone; while nothing ends, looks get rarer.
constexpr long kLookAgainSoonNs = 100'000;
constexpr long kLastLookEveryNs = 5'000'000;

}  // namespace

ProgramHost::ProgramHost(Loop& loop, std::string name, const rlimit& descriptors)
    : loop_(loop),
      name_(std::move(name)),
      launcher_(descriptors, Launcher::Parting::with_parent),
      tree_([this](pid_t pid) { return program_of_process(pid, name_); }),
      sweep_timer_(loop, [this] { reap(); }) {}

ProgramHost::~ProgramHost() {
  *alive_ = false;
  const auto all_over = [this] { return over_.size() == owners_.size(); };
  const auto wait_until = [this](Duration grace_max, auto is_done) {
    const MonoTime last = mono_now() + grace_max;
    timespec pause{0, kLookAgainSoonNs};
    for (MonoTime deadline = mono_now() + kLastGrace; mono_now() < deadline;) {
      std::vector<ProcessTree::Exit> exits;
      const std::uint64_t before = tree_.reaped();
      tree_.reap(kReapsPerTurn, exits);
      for (const ProcessTree::Exit& exit : exits) over_.push_back(exit.attempt);
      if (is_done()) return;
      const bool is_getting_on = tree_.reaped() > before;
      if (is_getting_on) deadline = std::min(mono_now() + kLastGrace, last);
      pause.tv_nsec =
          is_getting_on ? kLookAgainSoonNs : std::min(2 * pause.tv_nsec, kLastLookEveryNs);
      ::nanosleep(&pause, nullptr);
    }
  };
  wait_until(kLastGrace, all_over);
  for (const auto& [process, owner] : owners_) tree_.kill(process);
  wait_until(kLastGraceMax, [&] {
    for (AttemptId gone : tree_.clear(over_)) {
      std::erase(over_, gone);
      owners_.erase(gone);
    }
    return owners_.empty();
  });
}

std::uint64_t ProgramHost::mark_of(AttemptId process) const {
  return program_mark(process.value, name_);
}

void ProgramHost::add(AttemptId process, Owner& owner) {
  owners_[process] = &owner;
  if (!sweep_timer_.armed()) sweep_timer_.start_after(kSweepEvery);
}

void ProgramHost::abandon(AttemptId process) {
  const auto at = owners_.find(process);
  if (at != owners_.end()) at->second = nullptr;
}

void ProgramHost::schedule_reaping() {
  if (is_reaping_scheduled_) return;
  is_reaping_scheduled_ = true;
  loop_.defer([this, alive = alive_] {
    if (*alive) reap();
  });
}

void ProgramHost::reap() {
  is_reaping_scheduled_ = false;
  std::vector<ProcessTree::Exit> exits;
  const bool may_be_more = tree_.reap(kReapsPerTurn, exits);
  for (ProcessTree::Exit& exit : exits) {
    over_.push_back(exit.attempt);
    Owner* owner = owners_.at(exit.attempt);
    if (owner == nullptr) continue;
    const bool was_killed = exit.exit.signal == SIGKILL && !owner->has_killed(exit.attempt);
    if (was_killed && oom_.claim()) exit.exit.limit = Reason::oom;
    owner->on_exit(exit);
  }
  oom_.settle();
  clear();
  if (may_be_more) schedule_reaping();
  if (!owners_.empty()) sweep_timer_.start_after(over_.empty() ? kSweepEvery : kLookAgainAfter);
}

/// Ends what the dead have left behind; who has nothing left is gone.
void ProgramHost::clear() {
  if (over_.empty()) return;
  for (AttemptId process : tree_.clear(over_)) {
    std::erase(over_, process);
    tree_.remove(process, true);
    Owner* owner = owners_.at(process);
    owners_.erase(process);
    if (owner != nullptr) owner->on_gone(process);
  }
}

}  // namespace pawl
