#include "scheduler/daemon/definitions.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace pawl::test {
namespace {

/// The answer in a process of a user without rights that has this `nice` itself.
bool may_have(int nice, int own_nice) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none{0, 0};
    const bool is_set = setpriority(PRIO_PROCESS, 0, own_nice) == 0 &&
                        setrlimit(RLIMIT_NICE, &none) == 0 &&
                        (::geteuid() != 0 || ::setuid(65534) == 0);
    ::_exit(!is_set ? 2 : may_have_nice(nice) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) < 2);
  return WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("without rights a program may be nicer than this process, not less nice") {
  CHECK(may_have(19, 10));
  CHECK(may_have(10, 10));
  CHECK_FALSE(may_have(9, 10));
  CHECK_FALSE(may_have(-1, 10));
}

TEST_CASE("asking for a nice changes nothing of this process") {
  const int before = getpriority(PRIO_PROCESS, 0);
  static_cast<void>(may_have_nice(-20));
  CHECK(may_have_nice(19));
  CHECK(getpriority(PRIO_PROCESS, 0) == before);
}

}  // namespace pawl::test
