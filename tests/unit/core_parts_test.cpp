// The small parts of the engine, each by itself.

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include "scheduler/core/effect_gate.h"
#include "scheduler/core/graph.h"
#include "scheduler/core/item_chunk.h"
#include "scheduler/core/overdue.h"
#include "scheduler/core/retry.h"
#include "scheduler/core/slots.h"
#include "scheduler/core/timers.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE(
    "each back-off and jitter stays within its bounds, and is the same for the same attempt") {
  for (const Backoff backoff : {Backoff::exponential, Backoff::linear, Backoff::fixed}) {
    for (const Jitter jitter : {Jitter::equal, Jitter::full, Jitter::none}) {
      TaskSpec task;
      task.retry = {100'000, 10s, backoff, 2.0, 1h, jitter, retried_by_default(), {}, {}};
      AttemptResult result;
      result.outcome = Outcome::failed;
      result.reason = Reason::exit;
      result.exit_code = 1;
      for (const std::int32_t n : {1, 2, 3, 9, 10, 50, 1'000, 50'000}) {
        const double plain = backoff == Backoff::fixed    ? 10'000.0
                             : backoff == Backoff::linear ? 10'000.0 * n
                                                          : 10'000.0 * std::pow(2.0, n - 1);
        const auto cap = static_cast<std::int64_t>(std::min(plain, 3'600'000.0));
        const std::int64_t least = jitter == Jitter::none    ? cap
                                   : jitter == Jitter::equal ? cap / 2
                                                             : 0;
        TaskHistory history;
        history.counted = n;
        for (std::int64_t id = 1; id < 200; ++id) {
          const auto verdict = judge_task(task, result, {AttemptEvent::fail, Reason::exit}, history,
                                          jitter_of(AttemptId{id}));
          REQUIRE(verdict.event == TaskEvent::retry);
          REQUIRE(verdict.delay.count() >= least);
          REQUIRE(verdict.delay.count() <= cap);
          REQUIRE(verdict.delay == judge_task(task, result, {AttemptEvent::fail, Reason::exit},
                                              history, jitter_of(AttemptId{id}))
                                       .delay);
        }
      }
    }
  }
}

TEST_CASE("exit codes decide over a retry where they are listed") {
  TaskSpec task;
  task.retry.max_attempts = 5;
  auto event = [&](int code) {
    AttemptResult result;
    result.outcome = Outcome::failed;
    result.reason = Reason::exit;
    result.exit_code = code;
    TaskHistory history;
    history.counted = 1;
    return judge_task(task, result, judge_attempt(result, Reason::none), history, 0).event;
  };
  CHECK(event(1) == TaskEvent::retry);
  CHECK(event(126) == TaskEvent::fail);
  CHECK(event(127) == TaskEvent::fail);
  task.retry.not_exit_codes = {2, 3};
  CHECK(event(1) == TaskEvent::retry);
  CHECK(event(3) == TaskEvent::fail);
  task.retry.not_exit_codes.clear();
  task.retry.exit_codes = std::vector<int>{75, 127};
  CHECK(event(1) == TaskEvent::fail);
  CHECK(event(75) == TaskEvent::retry);
  CHECK(event(127) == TaskEvent::retry);
}

TEST_CASE("a stop wins over how the attempt ended once the worker had seen it") {
  AttemptResult result;
  result.outcome = Outcome::failed;
  result.reason = Reason::signal;
  result.stop_seen = true;
  CHECK(judge_attempt(result, Reason::cancelled).event == AttemptEvent::cancel);
  CHECK(judge_attempt(result, Reason::total_timeout).event == AttemptEvent::fail);
  CHECK(judge_attempt(result, Reason::none).event == AttemptEvent::fail);
  result.stop_seen = false;
  CHECK(judge_attempt(result, Reason::cancelled).reason == Reason::signal);
  result.stop_seen = true;
  result.reason = Reason::unkillable;
  CHECK(judge_attempt(result, Reason::cancelled).reason == Reason::unkillable);
}

TEST_CASE("slot numbers are the smallest that are free") {
  SlotNumbers numbers;
  for (int i = 0; i < 200; ++i) CHECK(numbers.take() == i);
  numbers.give_back(130);
  numbers.give_back(3);
  CHECK(numbers.take() == 3);
  CHECK(numbers.take() == 130);
  CHECK(numbers.take() == 200);
  numbers.take(1'000);
  CHECK(numbers.take() == 201);
  numbers.give_back(5'000);
  CHECK(numbers.take() == 202);
}

TEST_CASE("timers come in the order of their time, and what means nothing is swept") {
  Timers timers;
  for (int i = 0; i < 10'000; ++i)
    timers.set({MonoTime{(i * 7'919) % 10'000},
                {RunId{1}, TaskIndex{static_cast<std::uint32_t>(i)}, kWhole},
                TimerKind::retry,
                0});
  CHECK(timers.wants_sweep());
  timers.sweep([](const Alarm& a) { return a.due.ms % 10 == 0; });
  CHECK(timers.size() == 1'000);
  CHECK(!timers.wants_sweep());
  std::int64_t last = -1;
  while (auto alarm = timers.take_due(MonoTime{20'000})) {
    CHECK(alarm->due.ms == last + (last < 0 ? 1 : 10));
    last = alarm->due.ms;
  }
  CHECK(last == 9'990);
  CHECK(!timers.next_due());
}

TEST_CASE("alarms that mean nothing any more do not pile up") {
  World w;
  w.checks = false;
  w.default_slots = 100;
  w.handle(input::SetPool{100});
  const RunId run = w.start("m map=30000 total=24h queue=24h");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  const RunId other = w.start("job name=other; a");
  CHECK(w.state(other) == "running");
}

TEST_CASE("effects wait for their batch and come once, in order") {
  EffectGate gate;
  auto ended = [](std::int64_t run) { return std::vector<Effect>{effect::RunEnded{RunId{run}}}; };
  gate.hold(1, ended(1));
  gate.hold(1, ended(2));
  gate.hold(2, {});
  gate.hold(3, ended(3));
  CHECK(gate.release(0).empty());
  const auto first = gate.release(2);
  REQUIRE(first.size() == 2);
  CHECK(std::get<effect::RunEnded>(first[1]).run == RunId{2});
  CHECK(!gate.empty());
  CHECK(gate.release(9).size() == 1);
  CHECK(gate.empty());
}

TEST_CASE("followers and what is downstream") {
  const JobSpec job = job_from_text("a; b after a; c after a,b; d; e after c,d");
  const Graph graph(job);
  CHECK(graph.followers(TaskIndex{0}).size() == 2);
  CHECK(graph.followers(TaskIndex{4}).empty());
  const TaskIndex roots[] = {TaskIndex{1}};
  CHECK(graph.downstream_of(roots) == std::vector<bool>{false, true, true, false, true});
}

TEST_CASE("a chunk of items is read as it was written, and nothing else is read") {
  ItemChunkWriter writer;
  const std::string large(300, 'x');
  writer.add("", "1");
  writer.add("key", large);
  writer.add(large, "");
  CHECK(writer.count() == 3);
  const std::string bytes = writer.take();
  CHECK(writer.count() == 0);
  const auto items = read_item_chunk(bytes);
  REQUIRE(items.has_value());
  REQUIRE(items->size() == 3);
  CHECK((*items)[1].key == "key");
  CHECK((*items)[1].payload == large);
  CHECK((*items)[2].key == large);
  CHECK(read_item_chunk("")->empty());
  // Cut anywhere, it is a whole number of items or nothing.
  for (std::size_t n = 1; n < bytes.size(); ++n) {
    const auto cut = read_item_chunk(std::string_view(bytes).substr(0, n));
    if (cut) REQUIRE(cut->size() < 3);
  }
  CHECK(!read_item_chunk(std::string(10, '\xff')));
}

TEST_CASE("an attempt is overdue from its time-out on, and only where a worker keeps that") {
  TaskSpec task;
  CHECK(overdue_text(task, 1'000h).empty());
  task.timeout = 2s;
  task.kill_grace = 1500ms;
  CHECK(overdue_text(task, 1999ms).empty());
  CHECK(overdue_text(task, 2s) ==
        "its timeout of 2s is over: it was told to end 0s ago, and is killed in 2s");
  CHECK(overdue_text(task, 3499ms) ==
        "its timeout of 2s is over: it was told to end 1s ago, and is killed in 1s");
  CHECK_THAT(overdue_text(task, 3500ms),
             Catch::EndsWith("and is killed, as its kill_grace of 1s500ms is over, too"));
  task.operator_name = kJobOperator;
  CHECK(overdue_text(task, 1h).empty());
}
