#pragma once

// One event loop, on one thread. Everything of this folder that takes a Loop& must be made, used
// and destroyed on the thread that runs it, and be gone before the loop is; the only exception is
// `Wakeup::wake()`. Objects neither copy nor move. An object may be destroyed inside its own
// callback. Callbacks do not throw.

#include <cstdint>
#include <functional>
#include <memory>

#include "scheduler/base/time.h"

struct uv_loop_s;

namespace pawl {

class Loop {
 public:
  Loop();
  /// Waits for work that still runs on the pool.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Turns until `stop()` is called or nothing is left that could call back. Not re-entrant.
  void run();

  /// One turn: calls back what is ready. With `wait`, sleeps until something is. True while
  /// something is left that could call back.
  bool run_once(bool wait);

  /// Makes `run()` return after this turn, or at once when it is called before `run()`.
  void stop();

  /// Calls `fn` once at the end of this turn, after the callbacks of what is ready now and before
  /// the loop sleeps, in the order of deferral. What a deferred function defers runs in the next
  /// turn, which does not sleep.
  void defer(std::function<void()> fn);

  /// How far the loop's thread has come. Where `turns` stays and `idle` does not grow, a callback
  /// does not return.
  struct Pulse {
    std::uint64_t turns = 0;
    Duration idle{};  ///< slept so far, what it sleeps now included
  };
  /// From any thread, while the loop lives.
  Pulse pulse() const;

  // For the classes of this folder.
  struct Retired {
    virtual ~Retired() = default;
  };
  struct Impl;
  /// Destroys `object` at the end of this turn, when no callback of it can be on the stack.
  void retire(std::unique_ptr<Retired> object);
  uv_loop_s* handle();
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl
