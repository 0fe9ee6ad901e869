#include "scheduler/loop/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/signal.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/wakeup.h"
#include "scheduler/loop/work.h"
#include "tests/unit/loop_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::patient;
using test::run_until;

struct Pipe {
  Fd reader;
  Fd writer;
};

Pipe make_pipe() {
  std::array<int, 2> fds{};
  REQUIRE(::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

}  // namespace

TEST_CASE("a loop with nothing to wait for returns at once") {
  Loop loop;
  loop.run();
  REQUIRE_FALSE(loop.run_once(true));
}

TEST_CASE("deferred functions run in order, and what they defer runs in the next turn") {
  Loop loop;
  std::string order;
  loop.defer([&] {
    order += "a";
    loop.defer([&] { order += "c"; });
  });
  loop.defer([&] { order += "b"; });
  loop.run_once(false);
  REQUIRE(order.substr(0, 2) == "ab");
  loop.run();
  REQUIRE(order == "abc");
}

TEST_CASE("what a callback defers runs after all callbacks of the turn") {
  Loop loop;
  std::string order;
  Timer first(loop, [&] {
    order += "1";
    loop.defer([&] { order += "d"; });
  });
  Timer second(loop, [&] { order += "2"; });
  const MonoTime past = mono_now() - 5ms;
  first.start_at(past);
  second.start_at(past + 1ms);
  loop.run();
  REQUIRE(order == "12d");
}

TEST_CASE("stop ends the run after the turn, and also before it began") {
  Loop loop;
  int turns = 0;
  Timer timer(loop, [&] { ++turns; });
  timer.start_at(mono_now());
  loop.stop();
  loop.run();
  REQUIRE(turns == 0);

  Timer stopper(loop, [&] { loop.stop(); });
  Timer never(loop, [&] { turns = 100; });
  stopper.start_at(mono_now());
  never.start_after(1h);
  loop.run();
  REQUIRE(turns == 1);
}

TEST_CASE("timers fire in order of time, then of arming, and once") {
  Loop loop;
  std::string order;
  const MonoTime past = mono_now() - 10ms;
  Timer c(loop, [&] { order += "c"; });
  Timer a(loop, [&] { order += "a"; });
  Timer b(loop, [&] { order += "b"; });
  c.start_at(past + 2ms);
  a.start_at(past);
  b.start_at(past);
  REQUIRE(a.armed());
  loop.run();
  REQUIRE(order == "abc");
  REQUIRE_FALSE(a.armed());
}

TEST_CASE("a timer never fires early") {
  Loop loop;
  for (int i = 0; i < 20; ++i) {
    const MonoTime when = mono_now() + 2ms;
    MonoTime fired{};
    Timer timer(loop, [&] { fired = mono_now(); });
    timer.start_at(when);
    loop.run();
    REQUIRE(fired >= when);
  }
}

TEST_CASE("a timer that another cancels in the same turn does not fire") {
  Loop loop;
  bool fired = false;
  Timer second(loop, [&] { fired = true; });
  Timer first(loop, [&] { second.cancel(); });
  const MonoTime past = mono_now() - 10ms;
  first.start_at(past);
  second.start_at(past + 1ms);
  loop.run();
  REQUIRE_FALSE(fired);
}

TEST_CASE("starting a timer again replaces the old time") {
  Loop loop;
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  timer.start_after(1h);
  timer.start_after(0ms);
  loop.run();
  REQUIRE(fired == 1);
}

TEST_CASE("a timer that is always late lets the rest of the loop turn") {
  Loop loop;
  Pipe pipe = make_pipe();
  int fired = 0;
  bool ready = false;
  std::optional<Timer> late;
  late.emplace(loop, [&] {
    ++fired;
    late->start_at(MonoTime{0});
  });
  late->start_at(MonoTime{0});
  Poll poll(loop, pipe.reader.get(), [&](PollEvents) { ready = true; });
  poll.watch({.readable = true});
  REQUIRE(::write(pipe.writer.get(), "x", 1) == 1);
  REQUIRE(run_until(loop, [&] { return ready && fired > 3; }));
}

TEST_CASE("a timer may be destroyed in its own callback") {
  Loop loop;
  auto timer = std::make_unique<std::optional<Timer>>();
  std::string kept_by_callback(100, 'x');
  std::size_t seen = 0;
  timer->emplace(loop, [&timer, &seen, kept_by_callback] {
    timer.reset();
    seen = kept_by_callback.size();
  });
  (*timer)->start_after(0ms);
  loop.run();
  REQUIRE(seen == 100);
}

TEST_CASE("ten thousand timers share one descriptor") {
  Loop loop;
  int fired = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  const MonoTime base = mono_now();
  for (int i = 0; i < 10'000; ++i) {
    timers.push_back(std::make_unique<Timer>(loop, [&] { ++fired; }));
    timers.back()->start_at(base + Duration(i % 7));
  }
  loop.run();
  REQUIRE(fired == 10'000);
}

TEST_CASE("a wall timer fires at its time, also when that has passed") {
  Loop loop;
  std::vector<WallTimer::Event> events;
  WallTimer timer(loop, [&](WallTimer::Event event) { events.push_back(event); });
  timer.start_at(WallTime{-5});
  REQUIRE(timer.armed());
  REQUIRE(run_until(loop, [&] { return !events.empty(); }));
  REQUIRE(events.back() == WallTimer::Event::due);
  REQUIRE_FALSE(timer.armed());

  const WallTime when = wall_now() + 3ms;
  timer.start_at(when);
  REQUIRE(run_until(loop, [&] { return !timer.armed(); }));
  REQUIRE(wall_now() >= when);
}

TEST_CASE("a wall timer that is cancelled or beyond the kernel's clock stays silent") {
  Loop loop;
  int events = 0;
  WallTimer timer(loop, [&](WallTimer::Event) { ++events; });
  timer.start_at(wall_now() + 1ms);
  timer.cancel();
  WallTimer far(loop, [&](WallTimer::Event) { ++events; });
  far.start_at(WallTime{std::numeric_limits<std::int64_t>::max()});
  bool later = false;
  Timer end(loop, [&] { later = true; });
  end.start_after(5ms);
  REQUIRE(run_until(loop, [&] { return later; }));
  REQUIRE(events == 0);
}

TEST_CASE("poll tells readable, writable, and the end of the other side") {
  Loop loop;
  Pipe pipe = make_pipe();
  PollEvents seen;
  Poll writer(loop, pipe.writer.get(), [&](PollEvents events) {
    seen.writable = events.writable;
    writer.stop();
  });
  writer.watch({.writable = true});
  Poll reader(loop, pipe.reader.get(), [&](PollEvents events) {
    seen.readable = events.readable;
    reader.stop();
  });
  reader.watch({.readable = true});
  REQUIRE(run_until(loop, [&] { return seen.writable; }));
  REQUIRE_FALSE(seen.readable);
  reader.watch({.readable = true});
  pipe.writer.reset();
  REQUIRE(run_until(loop, [&] { return seen.readable; }));
}

TEST_CASE("poll tells both when the descriptor is in error") {
  Loop loop;
  Pipe pipe = make_pipe();
  std::array<char, 4096> filling{};
  while (::write(pipe.writer.get(), filling.data(), filling.size()) > 0) {
  }
  PollEvents seen;
  Poll writer(loop, pipe.writer.get(), [&](PollEvents events) { seen = events; });
  writer.watch({.writable = true});
  pipe.reader.reset();
  REQUIRE(run_until(loop, [&] { return seen.readable && seen.writable; }));
}

TEST_CASE("a poll may be destroyed, and its descriptor closed, in its own callback") {
  Loop loop;
  Pipe pipe = make_pipe();
  std::optional<Poll> poll;
  int calls = 0;
  poll.emplace(loop, pipe.reader.get(), [&, kept = std::string(100, 'y')](PollEvents) {
    poll.reset();
    pipe.reader.reset();
    calls += kept.size() == 100 ? 1 : 1000;
  });
  poll->watch({.readable = true});
  REQUIRE(::write(pipe.writer.get(), "x", 1) == 1);
  loop.run();
  REQUIRE(calls == 1);
}

TEST_CASE("a wake-up from another thread reaches the loop") {
  Loop loop;
  int woken = 0;
  Wakeup wakeup(loop, [&] { ++woken; });
  std::thread other([&] { wakeup.wake(); });
  REQUIRE(run_until(loop, [&] { return woken == 1; }));
  other.join();
}

TEST_CASE("the pulse of a loop that sleeps tells of more and more idle time") {
  Loop loop;
  bool woken = false;
  Wakeup wakeup(loop, [&] { woken = true; });
  bool has_grown = false;
  std::thread other([&] {
    const MonoTime late = mono_now() + patient(20s);
    const Duration before = loop.pulse().idle;
    while (!has_grown && mono_now() < late) has_grown = loop.pulse().idle > before + 5ms;
    wakeup.wake();
  });
  while (!woken) loop.run_once(true);
  other.join();
  REQUIRE(has_grown);
}

TEST_CASE("a wake-up may be destroyed in its own callback") {
  Loop loop;
  int woken = 0;
  std::optional<Wakeup> wakeup;
  wakeup.emplace(loop, [&] {
    wakeup.reset();
    ++woken;
  });
  wakeup->wake();
  loop.run();
  REQUIRE(woken == 1);
}

TEST_CASE("a signal becomes a callback") {
  Loop loop;
  int signals = 0;
  std::optional<Signal> signal;
  signal.emplace(loop, SIGUSR2, [&] {
    ++signals;
    signal.reset();
  });
  REQUIRE(::kill(::getpid(), SIGUSR2) == 0);
  loop.run();
  REQUIRE(signals == 1);
}

TEST_CASE("work runs on another thread and ends on the loop's") {
  Loop loop;
  Work work(loop);
  std::thread::id ran_on;
  std::thread::id ended_on;
  bool busy_in_done = true;
  REQUIRE(work.start([&] { ran_on = std::this_thread::get_id(); },
                     [&] {
                       ended_on = std::this_thread::get_id();
                       busy_in_done = work.busy();
                     }));
  REQUIRE(work.busy());
  REQUIRE_FALSE(work.start([] {}, [] {}));
  loop.run();
  REQUIRE(ran_on != std::this_thread::get_id());
  REQUIRE(ran_on != std::thread::id());
  REQUIRE(ended_on == std::this_thread::get_id());
  REQUIRE_FALSE(busy_in_done);
}

TEST_CASE("work whose owner is gone ends unreported") {
  auto ran = std::make_shared<bool>(false);
  bool done = false;
  {
    Loop loop;
    Work work(loop);
    REQUIRE(work.start([ran] { *ran = true; }, [&] { done = true; }));
  }
  REQUIRE_FALSE(done);
}

TEST_CASE("slow work, however much of it, holds up no quick one, and all of it is done") {
  constexpr int kSlow = 50;  // more than run at once
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_open = false;
  };
  Gate gate;
  Loop loop;
  int ended = 0;
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < kSlow; ++i) {
    works.push_back(std::make_unique<Work>(loop, Work::Pace::slow));
    REQUIRE(works.back()->start(
        [&gate] {
          std::unique_lock lock(gate.mutex);
          gate.changed.wait(lock, [&gate] { return gate.is_open; });
        },
        [&ended] { ++ended; }));
  }
  bool is_done = false;
  Work quick(loop);
  REQUIRE(quick.start([] {}, [&is_done] { is_done = true; }));
  CHECK(run_until(loop, [&] { return is_done; }));
  CHECK(ended == 0);
  REQUIRE(works.back()->busy());
  works.pop_back();  // of which nothing has begun
  {
    const std::lock_guard lock(gate.mutex);
    gate.is_open = true;
  }
  gate.changed.notify_all();
  CHECK(run_until(loop, [&] { return ended == kSlow - 1; }));
}

TEST_CASE("slow work whose owner is gone ends unreported, and the loop waits for it") {
  auto ran = std::make_shared<std::atomic<bool>>(false);
  bool done = false;
  {
    Loop loop;
    Work work(loop, Work::Pace::slow);
    REQUIRE(work.start([ran] { *ran = true; }, [&] { done = true; }));
  }
  REQUIRE(*ran);
  REQUIRE_FALSE(done);
}

TEST_CASE("slow work may begin again, and destroy its owner, at its end") {
  Loop loop;
  auto work = std::make_unique<Work>(loop, Work::Pace::slow);
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds == 3) return work.reset();
    REQUIRE(work->start([] {}, [&again] { again(); }));
  };
  again();
  loop.run();
  REQUIRE(rounds == 3);
}

}  // namespace pawl
