// How worker processes are started.

#include "scheduler/daemon/worker_process.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

/// The environment of a worker, as a program sees it that stands in for pawl.
std::string environment_of_worker(const std::string& plugin) {
  const ScratchFolder scratch;
  const std::string program = scratch / "program";
  write_file(program, "#!/bin/sh\nexec env\n");
  REQUIRE(::chmod(program.c_str(), 0700) == 0);
  const Settings settings;
  const Result<pid_t> pid =
      start_worker({program,
                    scratch.path(),
                    scratch / "1",
                    WorkerId{1},
                    0,
                    plugin,
                    {},
                    WorkerWays("none", Duration(1), plugin.empty() ? nullptr : &settings.hosts)});
  REQUIRE(pid);
  int status = 0;
  REQUIRE(::waitpid(*pid, &status, 0) == *pid);
  REQUIRE(status == 0);
  std::ostringstream log;
  log << "\n" << std::ifstream(scratch / "1/log").rdbuf();
  return log.str();
}

}  // namespace

TEST_CASE("a host is started with an allocator for many attempts at once, a supervisor is not") {
  ::unsetenv("GLIBC_TUNABLES");
  CHECK_THAT(environment_of_worker("http.so"),
             Catch::Contains("\nGLIBC_TUNABLES=glibc.malloc.tcache_count="));
  CHECK_THAT(environment_of_worker(""), !Catch::Contains("GLIBC_TUNABLES"));
}

TEST_CASE("the user's own tunables of the C library stay as they are") {
  ::setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1", 1);
  const std::string seen = environment_of_worker("http.so");
  ::unsetenv("GLIBC_TUNABLES");
  CHECK_THAT(seen, Catch::Contains("\nGLIBC_TUNABLES=glibc.malloc.arena_max=1\n"));
  CHECK_THAT(seen, !Catch::Contains("tcache_count"));
}

}  // namespace pawl::test
