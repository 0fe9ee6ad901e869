// What the kernel says of processes.

#include <unistd.h>

#include <string_view>

#include <catch2/catch.hpp>

#include "scheduler/loop/clock.h"
#include "scheduler/loop/process_stat.h"

using namespace pawl;

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
