#pragma once

// A signal of this process as a callback on the loop.

#include <functional>

#include "scheduler/loop/loop.h"

namespace pawl {

class Signal {
 public:
  /// Catches `number` (SIGTERM …) while the object lives; the default comes back after it. Several
  /// deliveries before the loop turns may become one.
  Signal(Loop& loop, int number, std::function<void()> on_signal);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  struct Impl;

 private:
  Impl* impl_;
};

}  // namespace pawl
