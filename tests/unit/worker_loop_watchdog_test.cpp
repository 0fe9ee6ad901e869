#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include <catch2/catch.hpp>

#include "plugins/worker/loop_watchdog.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;

/// How a process ends that has `grace` for its end and does not get through its exit, as a wait
/// status.
int end_of_one_that_hangs_at_exit(Duration grace) {
  const pid_t child = ::fork();
  if (child == 0) {
    limit_end(grace, [] { ::kill(::getpid(), SIGKILL); });
    std::atexit([] {
      while (true) ::pause();
    });
    std::exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("a process that does not get through its exit is told so when its grace is over") {
  const int status = end_of_one_that_hangs_at_exit(50ms);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
}

}  // namespace pawl
