// When the loop of a host counts as full.

#include "scheduler/daemon/host_load.h"

#include <unistd.h>

#include <catch2/catch.hpp>

namespace pawl::test {
namespace {

constexpr WorkerId kHost{7};
constexpr Duration kLook = HostLoad::kLookEvery;
constexpr MonoTime kBegin{1'000'000};

}  // namespace

TEST_CASE("a host is full when its loop had a core for most of the time between two looks") {
  HostLoad load;
  CHECK_FALSE(load.is_full(kHost, Duration(5'000), kBegin));
  CHECK(load.is_full(kHost, Duration(5'000) + kLook * 7 / 10, kBegin + kLook));
  CHECK_FALSE(load.is_full(kHost, Duration(5'000) + kLook * 12 / 10, kBegin + 2 * kLook));
}

TEST_CASE("a host is looked at again after a while, and one that died is another one") {
  HostLoad load;
  CHECK(load.is_due(kHost, kBegin));
  load.is_full(kHost, Duration(0), kBegin);
  CHECK_FALSE(load.is_due(kHost, kBegin + kLook - Duration(1)));
  CHECK(load.is_due(kHost, kBegin + kLook));
  load.forget(kHost);
  CHECK(load.is_due(kHost, kBegin));
  CHECK_FALSE(load.is_full(kHost, kLook, kBegin + kLook));
}

TEST_CASE("what a host did before it had nothing to do for long says nothing of now") {
  HostLoad load;
  load.is_full(kHost, Duration(0), kBegin);
  CHECK_FALSE(load.is_full(kHost, 10 * kLook, kBegin + 10 * kLook));
  CHECK(load.is_full(kHost, 11 * kLook, kBegin + 11 * kLook));
}

TEST_CASE("the time of a loop is that of the first thread of its process") {
  const auto before = loop_cpu_time(::getpid());
  REQUIRE(before);
  std::optional<Duration> after = before;
  while (*after == *before) after = loop_cpu_time(::getpid());
  CHECK(*after > *before);
  CHECK_FALSE(loop_cpu_time(-1));
}

}  // namespace pawl::test
