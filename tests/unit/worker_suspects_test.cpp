#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/suspects.h"
#include "scheduler/base/limits.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;

constexpr Duration kMoment = limits::kSuspectWatchedFor;

/// A host's suspects with a clock that is set by hand.
struct Host {
  Suspects suspects;
  MonoTime now{1'000'000};

  bool start(std::int64_t attempt, std::int32_t losses) {
    if (!suspects.may_start(losses, now)) return false;
    suspects.started(AttemptId(attempt), losses, now);
    return true;
  }
  void end(std::int64_t attempt) { suspects.ended(AttemptId(attempt)); }
  /// How many of a thousand that were lost so often may start now.
  int starts(std::int32_t losses) {
    int count = 0;
    while (count < 1000 && start(10'000 + 1'000 * losses + count, losses)) ++count;
    return count;
  }
};

}  // namespace

TEST_CASE("what was never lost starts beside anything that was not either") {
  Host host;
  CHECK(host.starts(0) == 1000);
  CHECK_FALSE(host.suspects.next_change(host.now + kMoment));
}

TEST_CASE("a suspect waits for a moment after the last fresh start, and fresh ones for it") {
  Host host;
  REQUIRE(host.start(1, 0));
  CHECK_FALSE(host.start(2, 1));
  CHECK(host.suspects.next_change(host.now) == host.now + kMoment);
  SECTION("until what was fresh has ended") {
    host.end(1);
    CHECK(host.start(2, 1));
    CHECK_FALSE(host.start(3, 0));
    host.end(2);
    CHECK(host.start(3, 0));
  }
  SECTION("or has lived, however long both run on") {
    host.now = host.now + kMoment;
    CHECK(host.start(2, 1));
    CHECK_FALSE(host.start(3, 0));
    CHECK(host.suspects.next_change(host.now) == host.now + kMoment);
    host.now = host.now + kMoment;
    CHECK(host.start(3, 0));
  }
}

TEST_CASE("the more often they were lost, the fewer suspects are watched at once") {
  CHECK(Host().starts(1) == 64);
  CHECK(Host().starts(2) == 8);
  CHECK(Host().starts(3) == 1);
  CHECK(Host().starts(9) == 1);
  Host host;
  REQUIRE(host.start(1, 3));
  CHECK_FALSE(host.start(2, 1));
  CHECK(host.suspects.is_watched_alone(AttemptId(1), host.now));
  host.end(1);
  CHECK(host.starts(2) == 8);
  CHECK(host.starts(1) == 0);
  CHECK_FALSE(host.start(1, 3));
}

TEST_CASE("who is watched alone beside others that have proven themselves is known") {
  Host host;
  REQUIRE(host.start(1, 1));
  REQUIRE(host.start(2, 1));
  CHECK_FALSE(host.suspects.is_watched_alone(AttemptId(1), host.now));
  host.now = host.now + kMoment;
  CHECK_FALSE(host.suspects.is_watched_alone(AttemptId(1), host.now));
  REQUIRE(host.start(3, 3));
  CHECK(host.suspects.is_watched_alone(AttemptId(3), host.now));
  CHECK_FALSE(host.suspects.is_watched_alone(AttemptId(1), host.now));
  host.now = host.now + kMoment;
  CHECK_FALSE(host.suspects.is_watched_alone(AttemptId(3), host.now));
}

TEST_CASE("the culprits among two thousand that run for an hour are found, and nobody else is") {
  constexpr int kAttempts = 2'000;
  const std::set<std::int64_t> culprits = {700, 701, 1'999};
  std::map<std::int64_t, int> losses;
  std::map<std::int64_t, int> lost_in_all;
  int most_lost = 0;
  std::map<std::int64_t, int> blamed;
  std::deque<std::int64_t> queue;
  for (std::int64_t id = 1; id <= kAttempts; ++id) queue.push_back(id);
  Host host;
  const MonoTime begin = host.now;
  std::map<std::int64_t, MonoTime> running;
  while (!queue.empty()) {
    const std::int64_t id = queue.front();
    if (!host.start(id, losses[id])) {
      const auto next = host.suspects.next_change(host.now);
      REQUIRE(next);
      REQUIRE(*next > host.now);
      host.now = *next;
      continue;
    }
    queue.pop_front();
    running[id] = host.now;
    if (!culprits.contains(id)) continue;
    // The process dies with all that it has; what had not begun keeps its place.
    if (host.suspects.is_watched_alone(AttemptId(id), host.now)) ++blamed[id];
    const bool any_watched = losses[id] > 0;  // itself at least
    for (const auto& [lost, since] : running) {
      const bool is_suspect = !any_watched || (losses[lost] > 0 && host.now - since < kMoment);
      losses[lost] = is_suspect ? losses[lost] + 1 : 0;
      most_lost = std::max(most_lost, ++lost_in_all[lost]);
      if (blamed[lost] < 3) queue.push_back(lost);
    }
    running.clear();
    host.suspects = Suspects();
  }
  for (const auto& [id, count] : blamed) {
    INFO(id);
    CHECK(count == (culprits.contains(id) ? 3 : 0));
  }
  CHECK(running.size() == kAttempts - culprits.size());
  CHECK(most_lost <= 6);
  // Not one after another, for hours.
  CHECK(host.now - begin < 5min);
}

}  // namespace pawl
