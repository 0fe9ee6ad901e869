// Bounds: no step does more than it changes, however much is pending.

#include <algorithm>
#include <chrono>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "tests/cpu_time.h"
#include "tests/patience.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace pawl::test;
using namespace std::chrono_literals;

namespace {

JobSpec wide_job(std::size_t tasks, bool is_chain) {
  JobSpec job;
  job.name = "wide";
  for (std::uint32_t i = 0; i < tasks; ++i) {
    TaskSpec& task = job.tasks.emplace_back();
    task.id = "t" + std::to_string(i);
    if (i > 0) task.depends_on.push_back({TaskIndex{is_chain ? i - 1 : 0}, false});
  }
  return job;
}

/// Hands inputs in and answers with ticks as asked; the largest step.
struct Driver {
  Engine engine{EngineCounters{}};
  Now now{MonoTime{1'000}, WallTime{1'795'000'000'000}};
  std::size_t largest = 0;
  std::size_t steps = 0;
  std::size_t mutations = 0;
  std::vector<effect::StartAttempt> starts;
  std::vector<effect::Reply> replies;  ///< to somebody

  void handle(const Input& input, bool bounded = true) {
    bool more = true;
    const Input tick = input::Tick{};
    for (const Input* next = &input; more; next = &tick) {
      Step step = engine.handle(*next, now);
      more = step.more;
      ++steps;
      mutations += step.mutations.size();
      if (bounded) largest = std::max(largest, step.mutations.size());
      for (const Effect& effect : step.effects) {
        if (const auto* start = std::get_if<effect::StartAttempt>(&effect))
          starts.push_back(*start);
        if (const auto* reply = std::get_if<effect::Reply>(&effect);
            reply != nullptr && reply->token != ReplyToken{})
          replies.push_back(*reply);
      }
      REQUIRE(steps < 10'000'000);
    }
  }
  RunId start(const JobSpec& job) {
    JobVersionRow row;
    row.id = VersionId{1};
    handle(input::Recovered{});
    handle(input::SetPool{16});
    handle(input::WorkerUp{WorkerId{1}});
    handle(input::AddVersion{row, job, false});
    RunRow run;
    run.job = job.name;
    run.version = VersionId{1};
    handle(input::Submit{run, false, "", {}});
    return RunId{1};
  }
  void end(Outcome outcome, Duration look_again_after = {}) {
    input::AttemptsEnded ended;
    for (const auto& start : starts) {
      AttemptResult result;
      result.attempt = start.attempt;
      result.worker = start.worker;
      result.outcome = outcome;
      result.stay = start.stay;
      result.look_again_after = look_again_after;
      result.reason = outcome == Outcome::failed ? Reason::exit : Reason::none;
      ended.results.push_back(std::move(result));
    }
    starts.clear();
    handle(ended);
  }
};

constexpr std::size_t kStepMax = limits::kMutationsPerStepMax + 100;

}  // namespace

TEST_CASE("the failure at the head of a chain of 100,000 reaches its end in bounded steps") {
  Driver d;
  const RunId run = d.start(wide_job(100'000, true));
  d.end(Outcome::failed);
  REQUIRE(d.engine.run(run) != nullptr);
  CHECK(d.engine.run(run)->state == RunState::failed);
  CHECK(d.engine.run(run)->counts[static_cast<std::size_t>(TaskState::upstream_failed)] == 99'999);
  CHECK(d.largest <= kStepMax);
  CHECK(d.steps > 25);
}

TEST_CASE("the failure at the head of a fan of 100,000 too") {
  Driver d;
  const RunId run = d.start(wide_job(100'000, false));
  d.end(Outcome::failed);
  CHECK(d.engine.run(run)->state == RunState::failed);
  CHECK(d.largest <= kStepMax);
}

TEST_CASE("a fan of 100,000 runs to its end, with a constant number of changes per task") {
  Driver d;
  const RunId run = d.start(wide_job(100'000, false));
  while (!d.starts.empty()) d.end(Outcome::succeeded);
  CHECK(d.engine.run(run)->state == RunState::succeeded);
  CHECK(d.mutations < 100'000 * 5);
}

TEST_CASE("a chain of 100,000 runs to its end") {
  Driver d;
  const RunId run = d.start(wide_job(100'000, true));
  while (!d.starts.empty()) d.end(Outcome::succeeded);
  CHECK(d.engine.run(run)->state == RunState::succeeded);
  CHECK(d.mutations < 100'000 * 6);
}

TEST_CASE("a million items run to their end, and cancelling those that never started is one row") {
  JobSpec job;
  job.name = "wide";
  job.tasks.emplace_back().id = "m";
  job.tasks[0].map.emplace();
  Driver d;
  const RunId run = d.start(job);
  d.handle(input::Prepared{run, TaskIndex{0}, 1, {}, {}, {}});
  for (std::int64_t first = 0; first < 1'000'000; first += 1'000) {
    d.handle(input::ItemsRead{run, TaskIndex{0}, 1, first, 1'000, "", "", first == 999'000, ""});
  }
  d.handle(input::SetPool{1'000});
  SECTION("to their end") {
    while (!d.starts.empty()) d.end(Outcome::succeeded);
    CHECK(d.engine.run(run)->state == RunState::succeeded);
    CHECK(d.engine.task(run, TaskIndex{0})
              .counts->at(static_cast<std::size_t>(TaskState::succeeded)) == 1'000'000);
    CHECK(d.largest <= kStepMax + 1'000);
  }
  SECTION("cancelled") {
    const std::size_t before = d.mutations;
    d.handle(input::Cancel{{{run, {}, {}}}, false, "", {}, {}});
    CHECK(d.mutations - before < 1'100);
    d.end(Outcome::failed);
    CHECK(d.engine.run(run)->counts[static_cast<std::size_t>(TaskState::cancelled)] == 999'000);
  }
}

TEST_CASE("a cancel of a run of 100,000 tasks goes in bounded steps, and others start meanwhile") {
  Driver d;
  const RunId run = d.start(wide_job(100'000, false));
  d.end(Outcome::succeeded);
  REQUIRE(d.starts.size() == 16);
  JobVersionRow row;
  row.id = VersionId{2};
  d.handle(input::AddVersion{row, job_from_text("job name=other; a"), false});
  Step step = d.engine.handle(input::Cancel{{{run, {}, {}}}, false, "", {}, {}}, d.now);
  REQUIRE(step.more);
  CHECK(step.mutations.size() <= kStepMax);
  (void)d.engine.handle(input::SetPool{17}, d.now);
  RunRow other;
  other.job = "other";
  other.version = VersionId{2};
  step = d.engine.handle(input::Submit{other, false, "", {}}, d.now);
  const auto begins = [](const Effect& effect) {
    const auto* start = std::get_if<effect::StartAttempt>(&effect);
    return start != nullptr && start->key.run == RunId{2};
  };
  CHECK(std::any_of(step.effects.begin(), step.effects.end(), begins));
  REQUIRE(step.more);
  d.handle(input::Tick{});
  CHECK(d.largest <= kStepMax);
  CHECK(d.engine.run(run)->counts[static_cast<std::size_t>(TaskState::cancelled)] == 99'983);
}

TEST_CASE(
    "a cancel of 20,000 runs is answered when all of them are told, and goes in bounded steps") {
  Driver d;
  JobVersionRow row;
  row.id = VersionId{1};
  d.handle(input::Recovered{});
  d.handle(input::SetPool{1});
  d.handle(input::AddVersion{row, job_from_text("job name=j active=10; a; b after a"), false});
  RunRow run;
  run.job = "j";
  run.version = VersionId{1};
  input::Cancel cancel;
  cancel.reply = ReplyToken{7};
  for (std::int64_t i = 1; i <= 20'000; ++i) {
    d.handle(input::Submit{run, false, "", {}});
    cancel.targets.push_back({RunId{i}, {}, {}});
  }
  d.handle(cancel);
  CHECK(d.largest <= kStepMax);
  REQUIRE(d.replies.size() == 1);
  CHECK(d.replies.front().results.size() == 20'000);
  for (const CommandResult& result : d.replies.front().results) CHECK(result.ok);
  CHECK(d.engine.run(RunId{20'000})->state == RunState::cancelled);
}

TEST_CASE("what is pending costs a step nothing: many runs that wait, many lanes, many retries") {
  Driver d;
  JobSpec job = job_from_text("job overlap=allow active=1000000; a; b after a");
  JobVersionRow row;
  row.id = VersionId{1};
  d.handle(input::Recovered{});
  d.handle(input::SetPool{1});
  d.handle(input::WorkerUp{WorkerId{1}});
  d.handle(input::AddVersion{row, job, false});
  RunRow run;
  run.job = job.name;
  run.version = VersionId{1};
  for (int i = 0; i < 20'000; ++i) {
    run.default_slots = i % 2;
    d.handle(input::Submit{run, false, "", {}});
  }
  const std::size_t before = d.mutations;
  const std::size_t steps = d.steps;
  const Duration before_ticks = cpu_time();
  for (int i = 0; i < 10'000; ++i) d.handle(input::Tick{});
  CHECK(d.mutations == before);
  CHECK(d.steps == steps + 10'000);
  // 10,000 steps over 20,000 pending runs: two hundred million looks, were each to look at all.
  CHECK(cpu_time() - before_ticks < patient(200ms));
}

TEST_CASE("three tasks of 100,000 items each go item by item in bounded steps") {
  const JobSpec job = job_from_text("m map=0; n after m*; o after n*,m*");
  Driver d;
  const RunId run = d.start(job);
  d.handle(input::Prepared{run, TaskIndex{0}, 1, {}, {}, {}});
  for (std::int64_t first = 0; first < 100'000; first += 1'000)
    d.handle(input::ItemsRead{run, TaskIndex{0}, 1, first, 1'000, "", "", first == 99'000, ""});
  d.handle(input::SetPool{1'000});
  const auto count = [&](std::uint32_t task, TaskState state) {
    return d.engine.task(run, TaskIndex{task}).counts->at(static_cast<std::size_t>(state));
  };
  SECTION("to their end, with a constant number of changes per item") {
    while (!d.starts.empty()) d.end(Outcome::succeeded);
    CHECK(d.engine.run(run)->state == RunState::succeeded);
    CHECK(count(2, TaskState::succeeded) == 100'000);
    CHECK(d.mutations < 300'000 * 6);
    CHECK(d.largest <= kStepMax + 2'000);
  }
  SECTION("cancelled: what never started is one word in each") {
    const std::size_t before = d.mutations;
    d.handle(input::Cancel{{{run, TaskIndex{0}, {}}}, false, "", {}, {}});
    d.end(Outcome::failed);
    CHECK(count(0, TaskState::cancelled) == 99'000);
    CHECK(count(1, TaskState::upstream_failed) == 100'000);
    CHECK(count(2, TaskState::upstream_failed) == 100'000);
    CHECK(d.engine.run(run)->state == RunState::failed);
    CHECK(d.largest <= kStepMax + 2'000);
    // The third one waits for two, and each of its items is decided by itself.
    CHECK(d.mutations - before < 150'000);
  }
}

TEST_CASE("50,000 sleeping items that are named one by one are woken together") {
  constexpr std::int64_t kItems = 50'000;
  const JobSpec job = job_from_text("m map=0 tolerate=50000; n after m");
  Driver d;
  const RunId run = d.start(job);
  d.handle(input::Prepared{run, TaskIndex{0}, 1, {}, {}, {}});
  for (std::int64_t first = 0; first < kItems; first += 1'000) {
    d.handle(
        input::ItemsRead{run, TaskIndex{0}, 1, first, 1'000, "", "", first + 1'000 == kItems, ""});
  }
  d.handle(input::SetPool{1'000});
  while (!d.starts.empty()) d.end(Outcome::deferred, 1h);
  const auto count = [&](TaskState state) {
    return d.engine.task(run, TaskIndex{0}).counts->at(static_cast<std::size_t>(state));
  };
  REQUIRE(count(TaskState::deferred) == kItems);
  input::Cancel cancel;
  cancel.reply = ReplyToken{7};
  // The last one first: the order is that of whoever asks.
  for (std::int64_t i = kItems - 1; i > 0; --i)
    cancel.targets.push_back({run, TaskIndex{0}, ItemIndex{i}});
  const Duration before = cpu_time();
  d.handle(cancel);
  // Each of them alone would be looked for among all that sleep: over a billion looks.
  CHECK(cpu_time() - before < patient(2s));
  CHECK(d.largest <= kStepMax + 2'000);
  CHECK(count(TaskState::cancelled) == kItems - 1);
  CHECK(count(TaskState::deferred) == 1);
  REQUIRE(d.replies.size() == 1);
  for (const CommandResult& result : d.replies.front().results) CHECK(result.ok);
  // The one that nobody named sleeps on, and wakes in time.
  d.now.mono = d.now.mono + 1h;
  d.handle(input::Tick{});
  REQUIRE(d.starts.size() == 1);
  d.end(Outcome::succeeded);
  CHECK(d.engine.run(run)->counts[static_cast<std::size_t>(TaskState::succeeded)] == 1);
}

TEST_CASE("definitions that nobody needs leave in bounded steps, each at the same cost") {
  constexpr std::int64_t kJobs = 12'000;
  Driver d;
  d.handle(input::Recovered{});
  const JobSpec empty = job_from_text("a");
  for (std::int64_t i = 1; i <= kJobs; ++i) {
    JobVersionRow row;
    row.id = VersionId{i};
    JobSpec job = empty;
    job.name = "j" + std::to_string(i / 2);
    d.handle(input::AddVersion{row, std::move(job), false});
  }
  REQUIRE(d.engine.versions().size() == kJobs);
  d.now.mono = d.now.mono + 1min;
  const Step first = d.engine.handle(input::Tick{}, d.now);
  CHECK(first.more);
  CHECK(d.engine.versions().size() > kJobs / 2);
  CHECK(d.engine.versions().size() < kJobs);
  d.handle(input::Tick{});
  CHECK(d.engine.versions().empty());
}
