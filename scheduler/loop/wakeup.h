#pragma once

// A tap on the loop's shoulder from another thread.

#include <functional>

#include "scheduler/loop/loop.h"

namespace pawl {

class Wakeup {
 public:
  Wakeup(Loop& loop, std::function<void()> on_wake);
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  /// From any thread, and from a signal handler: calls `on_wake` on the loop's thread soon. Several
  /// calls before that become one. The object must outlive the call: join the other thread first.
  void wake();

  struct Impl;

 private:
  Impl* impl_;
};

}  // namespace pawl
