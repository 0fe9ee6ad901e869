#pragma once

// Timers. All `Timer`s of a loop share one descriptor of the kernel's boot-time clock, so a timer
// costs a map entry and suspended time counts.

#include <functional>
#include <memory>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// Calls back once at a time of the machine's clock.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> on_fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Fires once at `when`, or in the next turn when that has passed. Replaces what was armed.
  void start_at(MonoTime when);
  /// Fires once `after` from now. Replaces what was armed.
  void start_after(Duration after);
  void cancel();
  /// Armed and not fired. False inside the callback until started again.
  bool armed() const;

  struct Impl;

 private:
  Impl* impl_;
};

/// Calls back once at a time of the calendar, and whenever the calendar's clock is set.
class WallTimer {
 public:
  enum class Event {
    due,      ///< the time has come; not armed any more
    stepped,  ///< somebody set the clock: read it again. What was armed stays armed
  };

  /// Steps are reported from construction on, armed or not.
  WallTimer(Loop& loop, std::function<void(Event)> on_event);
  ~WallTimer();
  WallTimer(const WallTimer&) = delete;
  WallTimer& operator=(const WallTimer&) = delete;

  /// Fires at `when`, or in the next turn when that has passed. Replaces what was armed.
  void start_at(WallTime when);
  void cancel();
  bool armed() const;

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace pawl
