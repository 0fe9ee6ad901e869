// What the kernel says of processes, and what a forked one keeps.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string_view>

#include <catch2/catch.hpp>

#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/fork_guard.h"
#include "scheduler/loop/process_stat.h"

using namespace pawl;

namespace {

bool is_open_in_a_fork(int fd) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::fcntl(fd, F_GETFD) < 0 ? 1 : 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status == 0;
}

}  // namespace

TEST_CASE("a process is read from /proc even when its name holds blanks and parentheses") {
  auto stat = parse_process_stat(
      "812 (a) b (c)) S 1 812 811 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n");
  REQUIRE(stat);
  CHECK(stat->pid == 812);
  CHECK(stat->state == 'S');
  CHECK(stat->parent == 1);
  CHECK(stat->group == 812);
  CHECK(stat->session == 811);
  CHECK(stat->cpu_ticks == 5 + 6 + 7 + 8);
  CHECK(stat->children_cpu_ticks == 7 + 8);
  CHECK(stat->faults == 1 + 3);
  CHECK(stat->threads == 1);
  CHECK(stat->start_ticks == 987654);
  CHECK(stat->resident_pages == 2);
  for (std::string_view text : {"", "812", "812 (x", "812 (x) S", "x (x) S 1 2 3"}) {
    CHECK_FALSE(parse_process_stat(text));
  }
}

TEST_CASE("this process is found in /proc with its start time") {
  auto stat = read_process_stat(getpid());
  REQUIRE(stat);
  CHECK(stat->start_ticks == process_start_time(getpid()));
  CHECK_FALSE(stat->has_ended());
}

TEST_CASE("a guarded descriptor is closed in a fork, and no other one") {
  const Fd guarded(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::optional<ForkGuard> guard(std::in_place, guarded.get());
  CHECK_FALSE(is_open_in_a_fork(guarded.get()));
  CHECK(is_open_in_a_fork(other.get()));
  CHECK(::fcntl(guarded.get(), F_GETFD) >= 0);
  guard.reset();
  CHECK(is_open_in_a_fork(guarded.get()));
}
