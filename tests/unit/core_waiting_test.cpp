// Who waits: items for their time, tasks for slots and tokens.

#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/spread.h"
#include "scheduler/core/lanes.h"
#include "scheduler/core/sleepers.h"

namespace pawl {
namespace {

Sleeper sleeper(std::uint32_t item, std::int64_t wake_ms) {
  Sleeper one;
  one.item = item;
  one.wake = MonoTime{wake_ms};
  return one;
}

std::vector<std::uint32_t> items_in_order(Sleepers& sleepers) {
  std::vector<std::uint32_t> items;
  while (!sleepers.empty()) items.push_back(sleepers.take_first().item);
  return items;
}

}  // namespace

TEST_CASE("sleepers wake in the order of their times, and of their numbers at one time") {
  Sleepers sleepers;
  for (const auto& [item, wake] : {std::pair{4, 50}, {1, 70}, {9, 10}, {3, 50}, {0, 70}, {7, 50}})
    sleepers.add(sleeper(static_cast<std::uint32_t>(item), wake));
  CHECK(sleepers.size() == 6);
  CHECK(sleepers.next_wake() == MonoTime{10});
  CHECK(items_in_order(sleepers) == std::vector<std::uint32_t>{9, 3, 4, 7, 0, 1});
}

TEST_CASE("those that are taken out by their numbers leave the others in order") {
  for (std::uint32_t gone = 0; gone < 40; ++gone) {
    Sleepers sleepers;
    for (std::uint32_t item = 0; item < 40; ++item)
      sleepers.add(sleeper(item, static_cast<std::int64_t>(scaled_below(mixed(item), 10))));
    const std::vector<std::uint32_t> some{gone, gone + 7, 90};
    const std::vector<Sleeper> taken = sleepers.take(some);
    const std::size_t count = gone + 7 < 40 ? 2 : 1;
    REQUIRE(taken.size() == count);
    CHECK(taken.front().item == gone);
    CHECK(taken.back().item == some[count - 1]);
    CHECK(sleepers.take(some).empty());
    std::pair<std::int64_t, std::int64_t> before{-1, -1};
    for (std::size_t left = 40 - count; left > 0; --left) {
      REQUIRE(sleepers.size() == left);
      CHECK(sleepers.next_wake().ms >= before.first);
      const Sleeper first = sleepers.take_first();
      const std::pair<std::int64_t, std::int64_t> here{first.wake.ms, first.item};
      CHECK(before < here);
      before = here;
    }
    CHECK(sleepers.empty());
  }
}

TEST_CASE("all sleepers at once come with the highest number first") {
  Sleepers sleepers;
  for (std::uint32_t item : {3U, 9U, 1U}) sleepers.add(sleeper(item, 5));
  const auto all = sleepers.take_all();
  REQUIRE(all.size() == 3);
  CHECK((all[0].item == 9 && all[1].item == 3 && all[2].item == 1));
  CHECK(sleepers.empty());
  CHECK(sleepers.take({1}).empty());
}

TEST_CASE("the head with the higher priority goes first, then the lower class, then the turn") {
  const auto head = [](std::int64_t priority, std::int64_t priority_class, std::uint64_t turn) {
    Head one;
    one.rank = {-priority, priority_class};
    one.source.turn = turn;
    return one;
  };
  CHECK(head(5, 1, 9).is_before(head(0, 0, 1)));
  CHECK(head(0, 0, 9).is_before(head(0, 1, 1)));
  CHECK(head(0, 0, 1).is_before(head(0, 0, 2)));
  CHECK_FALSE(head(0, 0, 1).is_before(head(0, 0, 1)));
  CHECK(head(5, 1, 9).place() < head(0, 0, 1).place());
}

TEST_CASE("a lane is shared when another one wants of its pools, or of the pool's rate") {
  Pool pool;
  Pool other;
  RateLimit rate;
  Lane mine;
  Lane theirs;
  mine.pools = {&pool};
  pool.lanes = {&mine};
  CHECK_FALSE(mine.is_shared());
  SECTION("of the pool itself") { pool.lanes.push_back(&theirs); }
  SECTION("of the rate of the pool") {
    pool.rate = &rate;
    rate.lanes = {&mine};
    CHECK_FALSE(mine.is_shared());
    rate.lanes.push_back(&theirs);
  }
  SECTION("of one of several pools") {
    mine.pools.push_back(&other);
    other.lanes = {&mine, &theirs};
  }
  CHECK(mine.is_shared());
  CHECK(mine.plain.is_shared());
}

TEST_CASE("a line is shared when another lane needs tokens of its task's rate") {
  Lane mine;
  Lane theirs;
  RateLimit rate;
  rate.key = {"sales", "", "query"};
  CHECK(rate.is_of_task());
  Line line;
  line.lane = &mine;
  line.rate = &rate;
  rate.lanes = {&mine};
  CHECK_FALSE(line.is_shared());
  rate.lanes.push_back(&theirs);
  CHECK(line.is_shared());
  CHECK_FALSE(mine.is_shared());
  RateLimit of_pool;
  of_pool.key = {"", "default", ""};
  CHECK_FALSE(of_pool.is_of_task());
}

TEST_CASE("a lane lists its lines by their first, and is empty without them") {
  Lane lane;
  CHECK(lane.is_empty());
  lane.plain.ring[{0, 0}].push_back({RunId{1}, TaskIndex{0}, 1});
  CHECK_FALSE(lane.is_empty());
  lane.plain.ring.clear();
  Line early;
  Line late;
  lane.listed.insert({{{0, 0}, 2}, &late});
  lane.listed.insert({{{0, 0}, 1}, &early});
  lane.listed.insert({{{-1, 0}, 3}, &lane.plain});
  CHECK_FALSE(lane.is_empty());
  CHECK(lane.listed.begin()->line == &lane.plain);
  CHECK(std::next(lane.listed.begin())->line == &early);
}

}  // namespace pawl
