// What is measured of a process in which attempts run.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include <catch2/catch.hpp>

#include "plugins/worker/process_meter.h"

namespace pawl::test {
namespace {

constexpr std::size_t kMuch = 64u << 20;

/// Has that much memory for a moment.
void swell() {
  void* memory = ::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  std::memset(memory, 1, kMuch);
  ::munmap(memory, kMuch);
}

}  // namespace

TEST_CASE(
    "the bound of a process's memory counts what it had for a moment, between any two looks") {
  PeakMeter meter(::getpid());
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    meter.begin();
    std::int64_t before = 0;
    // Often enough that the last ones are no looks of their own.
    for (int look = 0; look < 4; ++look) before = meter.bound(own_faults());
    REQUIRE(before > 0);
    swell();
    const std::int64_t after = meter.bound(own_faults());
    CHECK(after > before + static_cast<std::int64_t>(kMuch / 2));
    CHECK(meter.bound(own_faults()) >= after);
  }
}

TEST_CASE("what was given back before a span is not in its bound") {
  PeakMeter meter(::getpid());
  meter.begin();
  swell();
  const std::int64_t of_first = meter.bound(own_faults());
  meter.begin();
  CHECK(meter.bound(own_faults()) < of_first - static_cast<std::int64_t>(kMuch / 2));
}

}  // namespace pawl::test
