#include "scheduler/daemon/signs_of_life.h"

#include <catch2/catch.hpp>

namespace pawl::test {
namespace {

using Look = SignsOfLife::Look;

constexpr Duration kAnswer{400};
constexpr Duration kEnd{1000};

/// A worker, and a clock that only the test moves.
struct Watched {
  SignsOfLife signs{{kAnswer, kEnd}};
  MonoTime now{1'000'000};

  /// Asked until it is silent, without an answer. How long that took.
  Duration until_silent() {
    const MonoTime before = now;
    while (!signs.ask(now)) now = now + signs.ask_every();
    return now - before;
  }
  Look look_after(Duration time) {
    now = now + time;
    return signs.look(now);
  }
  /// Looks as often as one does, for so long. The first that is not `wait`.
  Look look_for(Duration time) {
    for (Duration passed{}; passed < time; passed += signs.ask_every()) {
      if (const Look look = look_after(signs.ask_every()); look != Look::wait) return look;
    }
    return Look::wait;
  }
};

}  // namespace

TEST_CASE("who answers no question is silent after its patience, and once") {
  Watched w;
  CHECK(w.until_silent() == kAnswer);
  CHECK(w.signs.is_silent());
  CHECK_FALSE(w.signs.ask(w.now));
}

TEST_CASE("a word between two questions begins the patience anew") {
  Watched w;
  for (int i = 0; i < 20; ++i) {
    REQUIRE_FALSE(w.signs.ask(w.now));
    REQUIRE_FALSE(w.signs.ask(w.now));
    REQUIRE_FALSE(w.signs.heard());
  }
}

TEST_CASE("a silent one that has no time to be over by is never ended") {
  Watched w;
  w.until_silent();
  CHECK(w.look_for(1000 * kEnd) == Look::wait);
}

TEST_CASE("a silent one is ended when the first of its attempts is over by long enough, and once") {
  Watched w;
  w.until_silent();
  w.signs.ought_to_end(w.now + Duration(5000));
  w.signs.ought_to_end(w.now + Duration(2000));
  w.signs.ought_to_end(w.now + Duration(9000));
  CHECK(w.look_for(Duration(2000) + kEnd - w.signs.ask_every()) == Look::wait);
  CHECK(w.look_for(w.signs.ask_every()) == Look::end);
  w.signs.ought_to_end(w.now);
  w.signs.end_at_once();
  CHECK(w.look_for(kEnd - w.signs.ask_every()) == Look::wait);
  CHECK(w.look_for(w.signs.ask_every()) == Look::outlives);
  CHECK(w.look_for(10 * kEnd) == Look::wait);
}

TEST_CASE(
    "a silent one that could not be ended is ended at the next look, and no survivor before") {
  Watched w;
  w.until_silent();
  w.signs.ought_to_end(w.now);
  for (int i = 0; i < 3; ++i) {
    CHECK(w.look_for(kEnd + w.signs.ask_every()) == Look::end);
    w.signs.not_ended();
  }
  CHECK(w.look_after(Duration(1)) == Look::end);
  CHECK(w.look_for(kEnd - w.signs.ask_every()) == Look::wait);
  CHECK(w.look_for(w.signs.ask_every()) == Look::outlives);
}

TEST_CASE("with force a silent one is ended at the next look") {
  Watched w;
  w.until_silent();
  w.signs.ought_to_end(w.now + Duration(5000));
  w.signs.end_at_once();
  CHECK(w.look_after(Duration(1)) == Look::end);
}

TEST_CASE("one that answers again goes on as if nothing had been") {
  Watched w;
  w.until_silent();
  w.signs.ought_to_end(w.now);
  CHECK(w.signs.heard());
  CHECK_FALSE(w.signs.is_silent());
  CHECK(w.look_for(10 * kEnd) == Look::wait);
  CHECK(w.until_silent() == kAnswer);
}

TEST_CASE("time in which this process was stopped is no silence") {
  Watched w;
  const Duration hour = std::chrono::hours(1);
  REQUIRE_FALSE(w.signs.ask(w.now));
  w.now = w.now + hour;
  REQUIRE_FALSE(w.signs.ask(w.now));
  w.signs.heard();
  w.until_silent();
  w.signs.ought_to_end(w.now);
  CHECK(w.look_after(hour) == Look::wait);
  CHECK(w.look_for(kEnd - kAnswer - w.signs.ask_every()) == Look::wait);
  CHECK(w.look_for(w.signs.ask_every()) == Look::end);
}

}  // namespace pawl::test
