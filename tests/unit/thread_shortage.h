#pragma once

// A process that gets no more threads, as one whose limits are reached.

#include <pthread.h>

#include <cstddef>

#include "scheduler/base/check.h"

namespace pawl::test {

/// As long as it lives no thread can be started in this process: each would get a stack that no
/// address space has.
class ThreadShortage {
 public:
  ThreadShortage() {
    PAWL_CHECK(::pthread_getattr_default_np(&before_) == 0);
    pthread_attr_t attributes;
    PAWL_CHECK(::pthread_getattr_default_np(&attributes) == 0);
    PAWL_CHECK(::pthread_attr_setstacksize(&attributes, kStackBytes) == 0);
    PAWL_CHECK(::pthread_setattr_default_np(&attributes) == 0);
    ::pthread_attr_destroy(&attributes);
  }
  ~ThreadShortage() {
    PAWL_CHECK(::pthread_setattr_default_np(&before_) == 0);
    ::pthread_attr_destroy(&before_);
  }
  ThreadShortage(const ThreadShortage&) = delete;
  ThreadShortage& operator=(const ThreadShortage&) = delete;

 private:
  static constexpr std::size_t kStackBytes = std::size_t{1} << 60;
  pthread_attr_t before_{};
};

}  // namespace pawl::test
