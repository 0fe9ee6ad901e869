#pragma once

// The inside of a Loop, for the files of this folder only.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <uv.h>

#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"

namespace pawl {

class TimerQueue;

/// Ends the process when the machine refuses what an event loop cannot be without (descriptors,
/// kernel memory). `code` is libuv's.
void require_uv(int code, const char* what);

struct Loop::Impl {
  uv_loop_t uv;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;  ///< active while something is deferred or retired, so that no turn sleeps on it
  std::vector<std::function<void()>> deferred;
  std::vector<std::unique_ptr<Retired>> retired;
  std::unique_ptr<TimerQueue> timers;    ///< made with the first timer
  std::size_t objects = 0;               ///< of this folder's classes that live on this loop
  std::size_t slow_running = 0;          ///< work, see Work::Pace
  std::deque<Work::Impl*> slow_waiting;  ///< for one of these to end
  std::atomic<std::uint64_t> turns{0};
  bool stopping = false;
  bool running = false;

  Impl();
  ~Impl();
  void keep_turning();
  void end_turn();
};

}  // namespace pawl
