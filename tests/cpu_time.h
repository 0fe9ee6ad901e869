#pragma once

// How much work something was, for tests that bound it: a machine with other things to do makes it
// take longer, and not more.

#include <time.h>

#include "scheduler/base/check.h"
#include "scheduler/base/time.h"

namespace pawl::test {

/// What this thread has computed so far.
inline Duration cpu_time() {
  timespec time{};
  PAWL_CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(time.tv_sec) +
                                              std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace pawl::test
