// What attempts cost that share a thread.

#include <map>

#include <catch2/catch.hpp>

#include "plugins/worker/loop_share.h"

namespace pawl {
namespace {

/// Attempts of a host whose clock is set by hand.
struct Host {
  void touch(std::int64_t id) { shares.touch(AttemptId(id), attempts[AttemptId(id)]); }
  void end(std::int64_t cpu_us) {
    shares.end(cpu_us, [this](AttemptId id) {
      const auto at = attempts.find(id);
      return at == attempts.end() ? nullptr : &at->second;
    });
  }
  double cpu_us(std::int64_t id) { return attempts[AttemptId(id)].cpu_us; }

  LoopShares shares;
  std::map<AttemptId, LoopShare> attempts;
};

TEST_CASE("who had something done in a span has an equal part of it, however often") {
  Host host;
  host.shares.begin(1'000);
  host.touch(1);
  host.touch(2);
  host.touch(1);
  host.end(1'600);
  CHECK(host.cpu_us(1) == 300);
  CHECK(host.cpu_us(2) == 300);
}

TEST_CASE("who waits has no part, and the parts add up to the whole") {
  Host host;
  host.shares.begin(0);
  host.touch(1);
  host.touch(2);
  host.end(100);
  host.touch(2);
  host.end(1'100);
  host.touch(1);
  host.end(1'110);
  CHECK(host.cpu_us(1) == 60);
  CHECK(host.cpu_us(2) == 1'050);
}

TEST_CASE("what the thread used while nobody was there is nobody's") {
  Host host;
  CHECK_FALSE(host.shares.is_open());
  host.shares.begin(5'000'000);
  host.touch(1);
  CHECK(host.shares.is_open());
  host.end(5'000'010);
  CHECK_FALSE(host.shares.is_open());
  CHECK(host.cpu_us(1) == 10);
}

TEST_CASE("the part of one that is gone is not given to the others") {
  Host host;
  host.touch(1);
  host.touch(2);
  host.attempts.erase(AttemptId(1));
  host.end(100);
  CHECK(host.cpu_us(2) == 50);
}

}  // namespace
}  // namespace pawl
