#pragma once

// Invariants of pawl's own code. They stay on in release builds: a scheduler that goes on with a
// broken invariant can lose work, one that stops is restarted and recovers. Nothing that a user
// can write may reach one.

#include <cstdio>
#include <cstdlib>

namespace pawl {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr,
               "pawl: internal error: %s does not hold (%s:%d). Please report this; the store is "
               "intact and the next start recovers\n",
               condition, file, line);
  std::abort();
}

}  // namespace pawl

/// Ends the process with a message when `condition` is false. Evaluated in every build.
#define PAWL_CHECK(condition) \
  ((condition) ? void(0) : ::pawl::check_failed(#condition, __FILE__, __LINE__))
