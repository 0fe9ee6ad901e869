#pragma once

// Whether a worker answers, and when one that does not is ended. A worker that is stopped as a
// whole (SIGSTOP, a frozen control group, a disk that hangs) keeps its lock and its connection, so
// nothing else tells of it. Knows no clock and no worker.
//
//   answers ──kAsks questions without an answer──► silent ──its time is over──► ended ──► outlived
//      ▲                                              │
//      └──────────────── it says something ───────────┘
//
// Only what this process has waited through counts: each question and each look is a step of its
// own, so a process, or a machine, that was stopped for an hour wakes up to one of them.

#include <optional>

#include "scheduler/base/limits.h"
#include "scheduler/base/time.h"

namespace pawl {

class SignsOfLife {
 public:
  struct Patience {
    Duration answer = std::chrono::seconds(10);  ///< who says nothing for so long is silent
    /// What a silent one gets beyond the time by which it ought to have ended an attempt, and then
    /// to be gone.
    Duration end = limits::kUnkillableAfter;
    friend bool operator==(const Patience&, const Patience&) = default;
  };

  explicit SignsOfLife(Patience patience) : patience_(patience) {}

  /// Pause between two questions to one that has something to do, and between two looks at one
  /// that is silent.
  Duration ask_every() const { return patience_.answer / kAsks; }

  /// Before each question. True: it is silent from now on, and need not be asked.
  bool ask(MonoTime now);
  /// It is known to be silent from `now` on. Of one that is, nothing changes: false.
  bool fall_silent(MonoTime now);
  /// It has said something. True when it was silent.
  bool heard();

  /// Of a silent one: an attempt of it ought to be over at `at` by its own doing. The earliest
  /// counts.
  void ought_to_end(MonoTime at);
  /// Of a silent one: a person does not want to wait for it.
  void end_at_once();

  enum class Look { wait, end, outlives };
  /// A look at a silent one. `end` once: its time is over. `outlives` once: that was long ago, and
  /// it is still there.
  Look look(MonoTime now);
  /// What that `end` asked for could not be done: the next look asks for it again.
  void not_ended();

  bool is_silent() const { return silent_since_.has_value(); }

 private:
  static constexpr int kAsks = 4;

  Patience patience_;
  int unanswered_ = 0;
  std::optional<MonoTime> silent_since_;
  std::optional<MonoTime> due_;  ///< of the next look that is not `wait`
  bool is_ended_ = false;
  MonoTime looked_at_;
};

}  // namespace pawl
