// Rates: at most so many starts in any window, whoever asks, over restarts and steps of the
// calendar; and nobody waits for a token that he does not need.

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/core/rate.h"
#include "tests/sim/random.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

/// The most starts that any window of `per` has.
std::int64_t most_in_a_window(const std::vector<MonoTime>& starts, Duration per) {
  std::int64_t most = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    while (starts[first] + per <= starts[i]) ++first;
    most = std::max(most, static_cast<std::int64_t>(i - first + 1));
  }
  return most;
}

/// Ends what runs, and lets `time` pass in which each wake-up is counted.
std::size_t work(World& w, RunId run, Duration time) {
  const Now end{w.now.mono + time, w.now.wall + time};
  std::size_t wakes = 0;
  w.finish_all(run);
  while (const auto due = w.engine.next_deadline()) {
    if (*due > end.mono) break;
    const Duration step = *due - w.now.mono;
    w.now = {w.now.mono + step, w.now.wall + step};
    w.handle(input::Tick{});
    ++wakes;
    w.finish_all(run);
  }
  w.now = end;
  return wakes;
}

/// A run of which nothing starts before all is ready.
RunId start_at_once(World& w, const std::string& text,
                    const std::function<void(RunRow&)>& change = {}) {
  w.handle(input::HoldStarts{true});
  const RunId run = w.start(w.define(text), change);
  w.handle(input::HoldStarts{false});
  return run;
}

}  // namespace

TEST_CASE("no window has more starts than the rate, however they come") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    const Rate rate{random.below(3) == 0 ? random.below(500) + 1 : random.below(9) + 1,
                    Duration(random.below(3'000) + 1)};
    const bool is_greedy = random.below(2) == 0;
    INFO(rate.count << " in " << rate.per.count() << " ms, seed " << seed);
    TokenBucket bucket;
    bucket.set_rate(rate);
    std::vector<MonoTime> starts;
    MonoTime now{random.below(1'000'000)};
    for (int i = 0; i < 500; ++i) {
      bucket.settle(now);
      for (std::int64_t n = is_greedy ? 1'000 : random.below(20); n > 0 && bucket.has_token();
           --n) {
        bucket.take(now);
        starts.push_back(now);
      }
      REQUIRE(bucket.tokens() >= 0);
      REQUIRE(bucket.starts(now).size() <= 66);
      if (!bucket.has_token()) {
        REQUIRE(bucket.next_token() > now);
        REQUIRE(bucket.next_token() <= now + rate.per);
      }
      now = bucket.has_token() || random.below(2) == 0
                ? now + Duration(random.below(rate.per.count()) / 3 + 1)
                : bucket.next_token();
    }
    REQUIRE(most_in_a_window(starts, rate.per) <= rate.count);
  }
}

TEST_CASE("who always has something to start gets the whole rate") {
  TokenBucket bucket;
  bucket.set_rate({2'500, 1s});
  std::vector<MonoTime> starts;
  for (MonoTime now{0}; now < MonoTime{20'000}; now = now + Duration(1)) {
    bucket.settle(now);
    for (int slots = 7; slots > 0 && bucket.has_token(); --slots) {
      bucket.take(now);
      starts.push_back(now);
    }
  }
  CHECK(most_in_a_window(starts, 1s) <= 2'500);
  CHECK(starts.size() > 49'000);  // of 50,000
}

TEST_CASE("a rate that was lowered waits until the starts of before count no more") {
  TokenBucket bucket;
  bucket.set_rate({4, 10s});
  for (int i = 0; i < 4; ++i) bucket.take(MonoTime{i * 1'000});
  bucket.set_rate({2, 10s});
  CHECK_FALSE(bucket.has_token());
  CHECK(bucket.next_token() == MonoTime{12'000});
  bucket.settle(MonoTime{12'000});
  CHECK(bucket.tokens() == 1);
}

TEST_CASE("items start no faster than the rate, and what waits costs no wake-ups") {
  World w;
  w.checks = false;
  w.default_slots = 1'000;
  w.handle(input::SetPool{1'000});
  const RunId run = w.start("m map=200000 rate=100/1s");
  CHECK(w.starts.size() == 100);
  const std::size_t steps = w.steps;
  const std::size_t wakes = work(w, run, 20s);
  CHECK(w.starts.size() == 2'100);
  CHECK(most_in_a_window(w.started_at, 1s) == 100);
  CHECK(wakes <= 20 * 66);
  CHECK(w.steps - steps < 3'000);
}

TEST_CASE("retries and the next stays of an attempt are starts") {
  World w;
  const RunId run = w.start("a rate=2/1m retry=5 delay=1s backoff=fixed");
  w.finish(run, "a", Outcome::failed);
  w.pass(1s);
  CHECK(w.starts.size() == 2);
  w.defer(run, "a", 1s);
  w.pass(58s);
  CHECK(w.states(run) == "a=queued");
  w.pass(1s);
  CHECK(w.states(run) == "a=running");
  CHECK(w.starts.size() == 3);
}

TEST_CASE("a rate_limit is one for all runs of its job, and another job's is its own") {
  World w;
  const VersionId version = w.define("job overlap=allow active=9; a rate=2/1m");
  const RunId one = w.start(version);
  const RunId two = w.start(version, [](RunRow& row) { row.default_slots = 1; });
  const RunId three = w.start(version);
  const RunId other = w.start("job name=other; a rate=1/1m");
  CHECK(w.states(one) + w.states(two) + w.states(three) == "a=runninga=runninga=queued");
  CHECK(w.states(other) == "a=running");
  w.finish_all(one);
  CHECK(w.states(three) == "a=queued");
  w.pass(1min);
  CHECK(w.states(three) == "a=running");
}

TEST_CASE("without a token a task is in nobody's way, and has its place when one comes") {
  World w;
  const RunId run = start_at_once(
      w, "job pool:p=1 pool:q=1; a pool=p,q rate=1/10s priority=9 map=3; b pool=p map=9; c pool=q");
  CHECK(w.items(run, "a") == "queued=2 running=1");
  w.finish(run, "a:0", Outcome::succeeded);
  CHECK(w.items(run, "b") == "queued=8 running=1");
  CHECK(w.states(run).find("c=running") != std::string::npos);
  w.finish(run, "b:0", Outcome::succeeded);
  CHECK(w.items(run, "b") == "queued=7 running=1 succeeded=1");
  w.pass(10s);
  // Its turn: what it lacks is kept for it.
  w.finish(run, "b:1", Outcome::succeeded);
  CHECK(w.items(run, "b") == "queued=7 succeeded=2");
  w.finish(run, "c", Outcome::succeeded);
  CHECK(w.items(run, "a") == "queued=1 running=1 succeeded=1");
}

TEST_CASE("a pool without a token holds up who wants it and nobody else") {
  World w;
  const RunId run = start_at_once(
      w,
      "job pool:api=9@2/30s pool:q=1; low pool=api map=9; high pool=api,q priority=1 map=2; "
      "c pool=q map=3");
  CHECK(w.items(run, "high") == "queued=1 running=1");
  CHECK(w.items(run, "low") == "queued=9");
  w.finish(run, "high:0", Outcome::succeeded);
  // The second token, before those of lower priority.
  CHECK(w.items(run, "high") == "running=1 succeeded=1");
  w.finish(run, "high:1", Outcome::succeeded);
  CHECK(w.items(run, "c") == "queued=2 running=1");
  CHECK(w.items(run, "low") == "queued=9");
  w.pass(29s);
  CHECK(w.items(run, "low") == "queued=9");
  w.pass(1s);
  CHECK(w.items(run, "low") == "queued=7 running=2");
}

TEST_CASE("a token is kept for the first that lacks slots, so that it is not starved") {
  World w;
  const RunId run = start_at_once(
      w,
      "job pool:api=9@1/1s pool:q=2; hog pool=q priority=2; wide pool=api,q:2 priority=1; "
      "narrow pool=api map=50; more pool=q map=50");
  CHECK(w.states(run).find("hog=running wide=queued") == 0);
  for (int i = 0; i < 5; ++i) {
    w.pass(1s);
    CHECK(w.items(run, "narrow") == "queued=50");
    CHECK(w.items(run, "more") == "queued=50");
  }
  w.finish(run, "hog", Outcome::succeeded);
  CHECK(w.states(run).find("wide=running") != std::string::npos);
  w.pass(1s);
  CHECK(w.items(run, "narrow") == "queued=49 running=1");
}

TEST_CASE("slots of a run's own go by the rate of the pool default") {
  World w;
  w.handle(input::SetPool{4, "default", Rate{2, 1min}});
  const RunId own =
      w.start(w.define("job name=own; m map=5"), [](RunRow& row) { row.default_slots = 3; });
  CHECK(w.items(own, "m") == "queued=3 running=2");
  const RunId plain = w.start("job name=plain; m map=5 priority=1");
  CHECK(w.items(plain, "m") == "queued=5");
  w.pass(1min);
  CHECK(w.items(plain, "m") == "queued=3 running=2");
  CHECK(w.items(own, "m") == "queued=3 running=2");
  SECTION("and a pool whose rate goes lets all through") {
    w.handle(input::SetPool{4});
    CHECK(w.items(plain, "m") == "queued=1 running=4");
    CHECK(w.items(own, "m") == "queued=2 running=3");
  }
  SECTION("and a higher rate counts at once") {
    w.handle(input::SetPool{4, "default", Rate{3, 1min}});
    CHECK(w.items(plain, "m") == "queued=2 running=3");
  }
}

TEST_CASE("a restart lets no more through than the rate, whatever the calendar does") {
  World w;
  w.default_slots = 9;
  w.handle(input::SetPool{9});
  const RunId run = w.start("m map=90 rate=3/10m");
  CHECK(w.items(run, "m") == "queued=87 running=3");
  w.pass(4min);
  SECTION("in the same boot the machine's clock counts") {
    w.now.wall = w.now.wall + 24h;
    w.restart();
    w.pass(6min - 1ms);
    CHECK(w.starts.size() == 3);
    w.now.wall = w.now.wall - 48h;
    w.handle(input::Tick{});
    CHECK(w.starts.size() == 3);
    w.pass(1ms);
    CHECK(w.starts.size() == 6);
  }
  SECTION("after a boot the calendar counts") {
    w.restart(true);
    w.pass(6min - 1ms);
    CHECK(w.starts.size() == 3);
    w.pass(1ms);
    CHECK(w.starts.size() == 6);
  }
  SECTION("and where it is behind, the time since the boot") {
    w.now.wall = w.now.wall - 24h;
    w.restart(true);  // 50 s after the boot
    w.pass(9min + 10s - 1ms);
    CHECK(w.starts.size() == 3);
    w.pass(1ms);
    CHECK(w.starts.size() == 6);
  }
  SECTION("also when its job comes back later") {
    w.cancel(run);
    w.finish_all(run);
    w.pass(2min);
    w.restart();
    const RunId again = w.start(w.jobs.begin()->first);
    CHECK(w.items(again, "m") == "queued=90");
    w.pass(4min);
    CHECK(w.items(again, "m") == "queued=87 running=3");
  }
}

TEST_CASE(
    "what a rate counted is stored while it counts, and forgotten with the last who needs it") {
  World w;
  for (int i = 0; i < 200; ++i) {
    const RunId run = w.start("job name=j" + std::to_string(i) + "; a rate=1/1s");
    w.finish_all(run);
    w.pass(2min);
  }
  CHECK(w.store.rates.size() <= 66);
}

TEST_CASE("the newest definition that runs says the rate of its task") {
  World w;
  const RunId run = w.start("job overlap=allow active=9; m map=9 rate=1/1h");
  CHECK(w.items(run, "m") == "queued=8 running=1");
  (void)w.start("job overlap=allow active=9; m map=1 rate=4/1h");
  CHECK(w.items(run, "m") == "queued=6 running=3");
}

TEST_CASE("who waits for a token is told of which rate, and when the next one comes") {
  World w;
  const RunId run =
      start_at_once(w, "job pool:api=9@40/1h; a pool=api rate=2/1m map=9; b pool=api map=200");
  w.pass(12s);
  CHECK(w.explain(run, "a:5")
            .find("needs 1 start of its rate_limit, 2 of 2 in 1m used, the next in "
                  "48s, its own in 1m48s or later\nneeds 1 slot of pool api") == 0);
  const auto lines = w.engine.explain(w.target(run, "a:5"), w.now);
  CHECK(lines.front().kind == "rate");
  CHECK(lines.front().number == 48'000);
  w.finish_all(run);
  CHECK(w.explain(run, "b").find("needs 1 start of pool api, 40 of 40 in 1h used, the next in "
                                 "59m48s") != std::string::npos);
  const auto pools = w.engine.pools(w.now);
  REQUIRE(pools[1].name == "api");
  CHECK(pools[1].rate->count == 40);
  CHECK(pools[1].started == 40);
  CHECK(pools[1].next_start == 59min + 48s);
  REQUIRE_FALSE(pools[1].next.empty());
  CHECK(pools[1].next[0].task == TaskIndex{1});
}
