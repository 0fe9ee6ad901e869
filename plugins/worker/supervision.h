#pragma once

// What a supervisor decides, without doing any of it: events of attempts come in, actions go out.
// No clock, no process, no file; the same inputs give the same actions.
//
//   starting ──spawned──► running ──stop, time-out──► stopping ──grace over──► killing
//      │                     │                           │                       │
//      │                     └────────── exited ─────────┴───────────────────────┤
//   refused                                                                      ▼
//      │                                        ended ◄──cleared── clearing (the rest of the tree)
//      └──────────────────────────────────────────►│◄──── not gone after 60 s: unkillable
//                                                  └─forget─► not known
//
// The first cause of a stop stays its cause, and wins over how the program then ends. A STOP that
// comes before the end is recorded is a cause too, also when the program has ended by itself in the
// meantime: the scheduler has written down that it stops the attempt, and two truths help nobody.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugins/worker/attempt_end.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/time.h"

namespace pawl {

/// The times that bound an attempt; 0 is none, but for the grace.
struct AttemptLimits {
  Duration timeout{};
  Duration total{};  ///< what is left of `total_timeout`
  Duration stall{};
  Duration grace = limits::kKillGraceDefault;
};

enum class AttemptPhase : std::uint8_t {
  starting,  ///< known; its program does not run yet
  running,
  stopping,  ///< SIGTERM was sent
  killing,   ///< SIGKILL was sent
  clearing,  ///< the program has ended; what it left behind is being killed
  keeping,   ///< its processes are gone; its output is being kept
  ended,     ///< said so; waits to be forgotten
};
inline constexpr std::size_t kAttemptPhaseCount = 7;

/// How a program ended, as wait(2) tells it.
struct ProgramExit {
  std::optional<int> code;
  std::optional<int> signal;
  /// What the kernel says it ended or hindered the program for: `oom`, `pids`; else `none`.
  Reason limit = Reason::none;
};

/// What is to be done now, in order.
struct SupervisionAction {
  enum class Kind : std::uint8_t {
    terminate,     ///< SIGTERM and SIGCONT to the attempt's group
    kill,          ///< SIGKILL to the attempt's group and all that is known of its tree
    report_began,  ///< it lives longer than `begun_after`
    finish,        ///< it is over: record and report `verdict`
  };
  /// How it ended, as far as the processes tell; the output may still fail a success.
  struct Verdict {
    Outcome outcome = Outcome::failed;
    Reason reason = Reason::none;
    ProgramExit exit;
    bool stop_seen = false;
  };

  Kind kind = Kind::finish;
  AttemptId attempt;
  Verdict verdict;  ///< of `finish`
};

class Supervision {
 public:
  struct Options {
    Duration begun_after = std::chrono::milliseconds(500);
    Duration unkillable_after = limits::kUnkillableAfter;
  };
  using Actions = std::vector<SupervisionAction>;

  explicit Supervision(Options options) : options_(options) {}

  // Each adds what is to be done to `actions`. An attempt that is not known, and an input that
  // means nothing in its phase, change nothing.

  /// A new attempt, `starting`. False when it is known already.
  bool start(AttemptId attempt, const AttemptLimits& limits);
  /// Its program runs since `now`. A STOP that came before acts now.
  void spawned(AttemptId attempt, MonoTime now, Actions& actions);
  /// It could not be started: `reason` says why.
  void refused(AttemptId attempt, Reason reason, Actions& actions);
  void stop(AttemptId attempt, Reason reason, bool force, MonoTime now, Actions& actions);
  /// Its processes have reached a limit: `oom` and `pids` kill at once, for the machine's sake,
  /// `cpu_time` leaves the grace.
  void limit_reached(AttemptId attempt, Reason reason, MonoTime now, Actions& actions);
  /// It waits within its worker until somebody is free for it: `stall_timeout` does not count
  /// before it is `active`.
  void waits(AttemptId attempt);
  /// It wrote something, or its turn has come: `stall_timeout` counts from now on.
  void active(AttemptId attempt, MonoTime now);
  /// Its program has ended; `skip` says whether that code means skipped.
  void exited(AttemptId attempt, const ProgramExit& exit, bool skip, MonoTime now);
  /// Nothing of its tree is left.
  void cleared(AttemptId attempt);
  /// Its output is kept, or none was declared.
  void finished(AttemptId attempt, Actions& actions);
  /// Its outcome is durable. True when it was ended and is not known any more.
  bool forget(AttemptId attempt);
  /// Time has passed.
  void advance(MonoTime now, Actions& actions);

  /// When `advance` may have something to do, and no later than it has; nothing: never.
  std::optional<MonoTime> next_deadline() const;
  /// True when its program, by all that is known, makes a success, so that its output counts.
  bool may_succeed(AttemptId attempt) const;
  /// A STOP has come for it.
  bool is_stopped(AttemptId attempt) const;
  /// Nothing when it is not known.
  std::optional<AttemptPhase> phase(AttemptId attempt) const;
  /// Attempts that have not ended.
  std::size_t open_count() const { return open_; }
  std::size_t known_count() const { return attempts_.size(); }

 private:
  using Due = std::set<std::pair<MonoTime, AttemptId>>;
  struct Attempt {
    AttemptPhase phase = AttemptPhase::starting;
    AttemptLimits limits;
    MonoTime started;
    std::optional<MonoTime> last_active;  ///< nothing: it waits
    MonoTime kill_at;                     ///< phase stopping: the grace is over
    MonoTime give_up_at;                  ///< phases killing, clearing
    bool began_reported = false;
    bool stop_seen = false;
    bool force = false;           ///< of a STOP that came while starting
    Reason cause = Reason::none;  ///< of the stop
    bool skip = false;
    ProgramExit exit;
    std::optional<Due::iterator> due;  ///< its entry
  };

  Attempt* find(AttemptId attempt);
  void begin_stop(AttemptId id, Attempt& attempt, Reason cause, MonoTime now, Actions& actions);
  void begin_kill(AttemptId id, Attempt& attempt, MonoTime now, Actions& actions);
  void finish(AttemptId id, Attempt& attempt, SupervisionAction::Verdict verdict, Actions& actions);
  void fire(AttemptId id, Attempt& attempt, MonoTime now, Actions& actions);
  void rearm(AttemptId id, Attempt& attempt);
  std::optional<MonoTime> earliest(const Attempt& attempt) const;

  Options options_;
  std::unordered_map<AttemptId, Attempt> attempts_;
  Due due_;
  std::size_t open_ = 0;
};

/// What the exit of a program means when nobody stopped it.
SupervisionAction::Verdict judge_exit(const ProgramExit& exit, bool skip);

/// What an attempt that was stopped for `cause` ends as: time-outs fail it, all else cancels it.
Outcome outcome_of_stop(Reason cause);

/// Acts on each of `actions` and on those that acting adds: each ends an attempt at most, so this
/// ends too.
template <typename Act>
void carry_out(Supervision::Actions& actions, Act act) {
  while (!actions.empty()) {
    for (const SupervisionAction& action : std::exchange(actions, {})) act(action);
  }
}

}  // namespace pawl
