#pragma once

// How long tests wait before they say that something does not come: tests/integration/patience.py
// tells why.

#include <cstdlib>

#include "scheduler/base/time.h"

namespace pawl::test {

/// `time`, times PAWL_TEST_PATIENCE where that is set.
inline Duration patient(Duration time) {
  const char* factor = std::getenv("PAWL_TEST_PATIENCE");
  const double by = factor == nullptr ? 1 : std::strtod(factor, nullptr);
  return by <= 0 ? time : std::chrono::duration_cast<Duration>(time * by);
}

}  // namespace pawl::test
