// The small headers that everything stands on: rounding, numbers, results, chance.

#include <array>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_set>

#include <catch2/catch.hpp>

#include "scheduler/base/floor.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/spread.h"

using namespace pawl;

TEST_CASE("division rounds down and up the same way on both sides of zero") {
  for (std::int64_t b : {1, 2, 3, 7, 1000}) {
    for (std::int64_t a = -25; a <= 25; ++a) {
      CAPTURE(a, b);
      const std::int64_t down = floor_div(a, b);
      const std::int64_t up = ceil_div(a, b);
      CHECK((down * b <= a && a < (down + 1) * b));
      CHECK(((up - 1) * b < a && a <= up * b));
    }
  }
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  CHECK(floor_div(-kMax, 2) == -(kMax / 2) - 1);
  CHECK(ceil_div(kMax, 2) == kMax / 2 + 1);
  CHECK(floor_div(std::numeric_limits<std::int64_t>::min(), 1) ==
        std::numeric_limits<std::int64_t>::min());
}

TEST_CASE("numbers of different things cannot be mixed up, and cost nothing") {
  STATIC_REQUIRE_FALSE(std::is_convertible_v<RunId, AttemptId>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<RunId, AttemptId>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::int64_t, RunId>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<RunId, std::int64_t>);
  STATIC_REQUIRE(sizeof(RunId) == sizeof(std::int64_t));
  STATIC_REQUIRE(sizeof(TaskIndex) == sizeof(std::uint32_t));
  CHECK(RunId{} == RunId{0});
  CHECK(RunId{2} < RunId{10});
  CHECK(kWhole < ItemIndex{0});
}

TEST_CASE("dense numbers are spread over a table by their hash") {
  std::set<std::size_t> places;
  for (std::int64_t id = 0; id < 1024; ++id) places.insert(std::hash<RunId>{}(RunId{id}) >> 54);
  CHECK(places.size() > 600);
  std::unordered_set<TaskIndex> tasks = {TaskIndex{1}, TaskIndex{2}, TaskIndex{1}};
  CHECK(tasks.size() == 2);
}

TEST_CASE("a result is its value or its error, and either can be moved out") {
  Result<std::unique_ptr<int>> good = std::make_unique<int>(7);
  REQUIRE(good.ok());
  CHECK(**good == 7);
  const std::unique_ptr<int> taken = *std::move(good);
  CHECK(*taken == 7);

  Result<std::unique_ptr<int>> bad = Error{ErrorKind::refused, "no: because"};
  CHECK_FALSE(bad);
  CHECK(bad.error().kind == ErrorKind::refused);
  const Error error = std::move(bad).error();
  CHECK(error.message == "no: because");

  Result<std::string> text = std::string("abc");
  CHECK(text->size() == 3);
  *text += "d";
  CHECK(text.value() == "abcd");
}

TEST_CASE("a result without a value is a success unless it is given an error") {
  CHECK(Result<void>().ok());
  const Result<void> failed = Error{ErrorKind::storage, "full"};
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message == "full");
}

TEST_CASE("every kind of error has an exit code of its own") {
  std::set<int> codes;
  int kinds = 0;
  for (ErrorKind kind :
       {ErrorKind::failed, ErrorKind::invalid, ErrorKind::not_found, ErrorKind::refused,
        ErrorKind::no_scheduler, ErrorKind::home_unusable, ErrorKind::storage, ErrorKind::locked,
        ErrorKind::version, ErrorKind::interrupted}) {
    codes.insert(exit_code(kind));
    ++kinds;
  }
  CHECK(codes.size() == static_cast<std::size_t>(kinds));
  CHECK_FALSE(codes.contains(0));
}

TEST_CASE("neighbours give numbers that have nothing in common") {
  CHECK(mixed(1) == mixed(1));
  // The published first outputs of splitmix64, from 0.
  CHECK(mixed(0) == 0xE220A8397B1DCDAFULL);
  CHECK(mixed(0x9E3779B97F4A7C15ULL) == 0x6E789E6AA1B965F4ULL);
  for (std::uint64_t n = 0; n < 1000; ++n) {
    const int differ = __builtin_popcountll(mixed(n) ^ mixed(n + 1));
    CHECK((differ > 8 && differ < 56));
  }
}

TEST_CASE("what is scaled stays below its bound and fills it evenly") {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  CHECK(scaled_below(0, 10) == 0);
  CHECK(scaled_below(kMost, 10) == 9);
  CHECK(scaled_below(kMost, 1) == 0);
  CHECK(scaled_below(kMost, kMost) == kMost - 1);
  std::array<int, 10> counts{};
  for (std::uint64_t n = 0; n < 10'000; ++n) ++counts.at(scaled_below(mixed(n), 10));
  for (int count : counts) CHECK((count > 850 && count < 1150));
}
