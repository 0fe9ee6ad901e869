#include "plugins/worker/supervision.h"

#include <algorithm>

namespace pawl {

SupervisionAction::Verdict judge_exit(const ProgramExit& exit, bool skip) {
  SupervisionAction::Verdict verdict;
  verdict.exit = exit;
  if (exit.signal) {
    verdict.reason = exit.limit != Reason::none ? exit.limit : Reason::signal;
  } else if (skip) {
    verdict.outcome = Outcome::skipped;
    verdict.reason = Reason::exit;
  } else if (exit.code == 0) {
    verdict.outcome = Outcome::succeeded;
  } else {
    verdict.reason = exit.limit != Reason::none ? exit.limit : Reason::exit;
  }
  return verdict;
}

Outcome outcome_of_stop(Reason cause) {
  switch (cause) {
    case Reason::timeout:
    case Reason::stalled:
    case Reason::total_timeout:
    case Reason::oom:
    case Reason::cpu_time:
    case Reason::pids:
    case Reason::error:
    case Reason::permanent: return Outcome::failed;
    case Reason::none:
    case Reason::exit:
    case Reason::signal:
    case Reason::spawn:
    case Reason::template_:
    case Reason::output:
    case Reason::lost:
    case Reason::interrupted:
    case Reason::upstream:
    case Reason::rule:
    case Reason::when:
    case Reason::cancelled:
    case Reason::queue_timeout:
    case Reason::run_timeout:
    case Reason::fail_fast:
    case Reason::stop_after_failures:
    case Reason::replaced:
    case Reason::items:
    case Reason::tolerance:
    case Reason::poison:
    case Reason::unkillable:
    case Reason::restored:
    case Reason::marked:
    case Reason::no_worker:
    case Reason::hooks: return Outcome::cancelled;
  }
  return Outcome::cancelled;
}

// Inputs -----------------------------------------------------------------------------------------

bool Supervision::start(AttemptId id, const AttemptLimits& limits) {
  auto [at, is_new] = attempts_.try_emplace(id);
  if (!is_new) return false;
  at->second.limits = limits;
  ++open_;
  return true;
}

void Supervision::spawned(AttemptId id, MonoTime now, Actions& actions) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || attempt->phase != AttemptPhase::starting) return;
  attempt->phase = AttemptPhase::running;
  attempt->started = now;
  attempt->last_active = now;
  if (attempt->force) {
    begin_kill(id, *attempt, now, actions);
  } else if (attempt->stop_seen) {
    begin_stop(id, *attempt, attempt->cause, now, actions);
  } else {
    rearm(id, *attempt);
  }
}

void Supervision::refused(AttemptId id, Reason reason, Actions& actions) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || attempt->phase != AttemptPhase::starting) return;
  SupervisionAction::Verdict verdict;
  verdict.reason = reason;
  if (attempt->stop_seen) {
    verdict.outcome = outcome_of_stop(attempt->cause);
    verdict.reason = attempt->cause;
  }
  finish(id, *attempt, verdict, actions);
}

void Supervision::stop(AttemptId id, Reason reason, bool force, MonoTime now, Actions& actions) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  switch (attempt->phase) {
    case AttemptPhase::starting:
      if (!attempt->stop_seen) attempt->cause = reason;
      attempt->force = attempt->force || force;
      break;
    case AttemptPhase::running:
      if (force) {
        attempt->cause = reason;
        begin_kill(id, *attempt, now, actions);
      } else {
        begin_stop(id, *attempt, reason, now, actions);
      }
      break;
    case AttemptPhase::stopping:
      if (force) begin_kill(id, *attempt, now, actions);
      break;
    case AttemptPhase::killing: break;
    case AttemptPhase::clearing:
    case AttemptPhase::keeping:
      if (attempt->cause == Reason::none) attempt->cause = reason;
      break;
    case AttemptPhase::ended: return;
  }
  attempt->stop_seen = true;
}

void Supervision::limit_reached(AttemptId id, Reason reason, MonoTime now, Actions& actions) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  const bool is_urgent = reason != Reason::cpu_time;
  if (attempt->phase == AttemptPhase::running) {
    attempt->cause = reason;
    if (is_urgent) {
      begin_kill(id, *attempt, now, actions);
    } else {
      begin_stop(id, *attempt, reason, now, actions);
    }
  } else if (attempt->phase == AttemptPhase::stopping && is_urgent) {
    begin_kill(id, *attempt, now, actions);
  }
}

void Supervision::waits(AttemptId id) {
  if (Attempt* attempt = find(id)) attempt->last_active.reset();
}

void Supervision::active(AttemptId id, MonoTime now) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  const bool has_waited = !attempt->last_active;
  attempt->last_active = has_waited ? now : std::max(*attempt->last_active, now);
  // Otherwise its entry in the heap stays: when it fires, it finds the later time and is armed
  // anew.
  if (has_waited) rearm(id, *attempt);
}

void Supervision::exited(AttemptId id, const ProgramExit& exit, bool skip, MonoTime now) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  switch (attempt->phase) {
    case AttemptPhase::running:
    case AttemptPhase::stopping: attempt->give_up_at = now + options_.unkillable_after; break;
    case AttemptPhase::killing: break;  // counts from the SIGKILL
    case AttemptPhase::starting:
    case AttemptPhase::clearing:
    case AttemptPhase::keeping:
    case AttemptPhase::ended: return;
  }
  attempt->phase = AttemptPhase::clearing;
  attempt->exit = exit;
  attempt->skip = skip;
  rearm(id, *attempt);
}

void Supervision::cleared(AttemptId id) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || attempt->phase != AttemptPhase::clearing) return;
  attempt->phase = AttemptPhase::keeping;
  rearm(id, *attempt);
}

void Supervision::finished(AttemptId id, Actions& actions) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || attempt->phase != AttemptPhase::keeping) return;
  auto verdict = judge_exit(attempt->exit, attempt->skip);
  if (attempt->cause != Reason::none) {
    verdict.outcome = outcome_of_stop(attempt->cause);
    verdict.reason = attempt->cause;
  }
  finish(id, *attempt, verdict, actions);
}

bool Supervision::forget(AttemptId id) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || attempt->phase != AttemptPhase::ended) return false;
  attempts_.erase(id);
  return true;
}

void Supervision::advance(MonoTime now, Actions& actions) {
  while (!due_.empty() && due_.begin()->first <= now) {
    AttemptId id = due_.begin()->second;
    due_.erase(due_.begin());
    Attempt& attempt = attempts_.at(id);
    attempt.due.reset();
    fire(id, attempt, now, actions);
  }
}

// Questions --------------------------------------------------------------------------------------

std::optional<MonoTime> Supervision::next_deadline() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

bool Supervision::may_succeed(AttemptId id) const {
  auto at = attempts_.find(id);
  if (at == attempts_.end() || at->second.cause != Reason::none) return false;
  return judge_exit(at->second.exit, at->second.skip).outcome == Outcome::succeeded;
}

bool Supervision::is_stopped(AttemptId id) const {
  auto at = attempts_.find(id);
  return at != attempts_.end() && at->second.stop_seen;
}

std::optional<AttemptPhase> Supervision::phase(AttemptId id) const {
  auto at = attempts_.find(id);
  if (at == attempts_.end()) return std::nullopt;
  return at->second.phase;
}

// Inside -----------------------------------------------------------------------------------------

Supervision::Attempt* Supervision::find(AttemptId id) {
  auto at = attempts_.find(id);
  return at == attempts_.end() ? nullptr : &at->second;
}

void Supervision::begin_stop(AttemptId id, Attempt& attempt, Reason cause, MonoTime now,
                             Actions& actions) {
  attempt.phase = AttemptPhase::stopping;
  attempt.cause = cause;
  attempt.kill_at = now + attempt.limits.grace;
  actions.push_back({SupervisionAction::Kind::terminate, id, {}});
  rearm(id, attempt);
}

void Supervision::begin_kill(AttemptId id, Attempt& attempt, MonoTime now, Actions& actions) {
  attempt.phase = AttemptPhase::killing;
  attempt.give_up_at = now + options_.unkillable_after;
  actions.push_back({SupervisionAction::Kind::kill, id, {}});
  rearm(id, attempt);
}

void Supervision::finish(AttemptId id, Attempt& attempt, SupervisionAction::Verdict verdict,
                         Actions& actions) {
  attempt.phase = AttemptPhase::ended;
  verdict.stop_seen = attempt.stop_seen;
  --open_;
  rearm(id, attempt);
  actions.push_back({SupervisionAction::Kind::finish, id, verdict});
}

void Supervision::fire(AttemptId id, Attempt& attempt, MonoTime now, Actions& actions) {
  if (attempt.phase == AttemptPhase::killing || attempt.phase == AttemptPhase::clearing) {
    if (now >= attempt.give_up_at) {
      SupervisionAction::Verdict verdict;
      verdict.reason = Reason::unkillable;
      verdict.exit = attempt.exit;
      return finish(id, attempt, verdict, actions);
    }
  } else if (attempt.phase == AttemptPhase::stopping && now >= attempt.kill_at) {
    return begin_kill(id, attempt, now, actions);
  } else if (attempt.phase == AttemptPhase::running) {
    const AttemptLimits& limits = attempt.limits;
    if (!attempt.began_reported && now >= attempt.started + options_.begun_after) {
      attempt.began_reported = true;
      actions.push_back({SupervisionAction::Kind::report_began, id, {}});
    }
    auto is_over = [&](Duration limit, MonoTime since) {
      return limit > Duration(0) && now >= since + limit;
    };
    if (is_over(limits.total, attempt.started)) {
      return begin_stop(id, attempt, Reason::total_timeout, now, actions);
    }
    if (is_over(limits.timeout, attempt.started)) {
      return begin_stop(id, attempt, Reason::timeout, now, actions);
    }
    if (attempt.last_active && is_over(limits.stall, *attempt.last_active)) {
      return begin_stop(id, attempt, Reason::stalled, now, actions);
    }
  }
  rearm(id, attempt);
}

void Supervision::rearm(AttemptId id, Attempt& attempt) {
  const std::optional<MonoTime> next = earliest(attempt);
  // An entry that fires early finds nothing to do and is armed anew: cheaper than to move it each
  // time, as most attempts are over before it fires.
  if (attempt.due && next && (*attempt.due)->first <= *next) return;
  if (attempt.due) due_.erase(*attempt.due);
  attempt.due.reset();
  // What begins last is mostly due last: no way down the tree to its place.
  if (next) attempt.due = due_.emplace_hint(due_.end(), *next, id);
}

std::optional<MonoTime> Supervision::earliest(const Attempt& attempt) const {
  switch (attempt.phase) {
    case AttemptPhase::starting:
    case AttemptPhase::keeping:
    case AttemptPhase::ended: return std::nullopt;
    case AttemptPhase::stopping: return attempt.kill_at;
    case AttemptPhase::killing:
    case AttemptPhase::clearing: return attempt.give_up_at;
    case AttemptPhase::running: break;
  }
  std::optional<MonoTime> first;
  auto consider = [&](bool is_set, MonoTime at) {
    if (is_set && (!first || at < *first)) first = at;
  };
  const AttemptLimits& limits = attempt.limits;
  consider(!attempt.began_reported, attempt.started + options_.begun_after);
  consider(limits.timeout > Duration(0), attempt.started + limits.timeout);
  consider(limits.total > Duration(0), attempt.started + limits.total);
  if (attempt.last_active)
    consider(limits.stall > Duration(0), *attempt.last_active + limits.stall);
  return first;
}

}  // namespace pawl
