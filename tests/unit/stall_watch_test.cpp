#include "scheduler/daemon/stall_watch.h"

#include <future>
#include <string>

#include <catch2/catch.hpp>

#include "scheduler/loop/wakeup.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

constexpr Duration kPatience = std::chrono::milliseconds(20);

}  // namespace

TEST_CASE("a loop that does not come back from a callback is told, with what it did") {
  Loop loop;
  std::promise<std::string> stalled;
  bool turns_again = false;
  Wakeup wakeup(loop, [&] { turns_again = true; });
  int told = 0;
  StallWatch watch([&] { return loop.pulse(); }, kPatience, [] { return std::string("resume"); },
                   [&](const std::string& text) {
                     if (++told == 1) stalled.set_value(text);
                     if (text.starts_with("the loop turns again")) wakeup.wake();
                   });
  auto first = stalled.get_future();
  // A callback of the loop that only returns once it was noticed.
  loop.defer([&] {
    REQUIRE(first.wait_for(patient(std::chrono::seconds(20))) == std::future_status::ready);
  });
  loop.run_once(false);
  const std::string text = first.get();
  REQUIRE(text.find("the loop has stood still for ") == 0);
  REQUIRE(text.find("Its last input: resume") != std::string::npos);
  REQUIRE(run_until(loop, [&] { return turns_again; }));
}

TEST_CASE("a loop that sleeps is not stalled") {
  std::promise<void> looked;
  int looks = 0;
  bool told = false;
  {
    StallWatch watch(
        [&] {
          if (++looks == 5) looked.set_value();
          return Loop::Pulse{.turns = 1, .idle = looks * kPatience};
        },
        kPatience, [] { return std::string("none"); }, [&](const std::string&) { told = true; });
    const auto enough = looked.get_future().wait_for(patient(std::chrono::seconds(20)));
    REQUIRE(enough == std::future_status::ready);
  }
  REQUIRE_FALSE(told);
}

}  // namespace pawl::test
