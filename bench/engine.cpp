// What the engine costs by itself, on this machine: no store, no worker, no clock. Tasks go through
// all their states (waiting or fresh, queued, running, succeeded), ends come in batches of 1,000.
//
//   bench_engine [PART]     PART: items, pairs, retry, asleep, fan, chain, fail, runs (default:
//   all)

#include "scheduler/core/engine.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace pawl {
namespace {

constexpr int kRounds = 5;
constexpr std::int64_t kItems = 1'000'000;
constexpr std::int64_t kTasks = 100'000;
constexpr std::int64_t kLive = 1'000;

double seconds_since(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void row(const char* what, const std::string& measured, const char* must) {
  std::printf("%-58s | %18s | %s\n", what, measured.c_str(), must);
  std::fflush(stdout);
}

/// With a comma between thousands.
std::string number(double value, const char* unit) {
  char digits[64];
  std::snprintf(digits, sizeof digits, value >= 10'000 ? "%.0f" : "%.1f", value);
  std::string text = digits;
  for (std::size_t at = std::min(text.find('.'), text.size()); at > 3;) text.insert(at -= 3, ",");
  return text + " " + unit;
}

std::size_t bytes_in_use() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Hands inputs in, answers ticks, collects what is to start. Steps are thrown away, as the writer
/// would have taken them.
struct Driver {
  Engine engine{EngineCounters{}};
  Now now{MonoTime{1'000}, WallTime{1'795'000'000'000}};
  std::vector<effect::StartAttempt> starts;
  double longest_step = 0;

  void handle(const Input& input) {
    bool more = true;
    const Input tick = input::Tick{};
    for (const Input* next = &input; more; next = &tick) {
      const auto from = std::chrono::steady_clock::now();
      Step step = engine.handle(*next, now);
      longest_step = std::max(longest_step, seconds_since(from));
      more = step.more;
      for (const Effect& effect : step.effects) {
        if (const auto* start = std::get_if<effect::StartAttempt>(&effect))
          starts.push_back(*start);
      }
    }
  }
  RunId begin(JobSpec job) {
    JobVersionRow version;
    version.id = VersionId{1};
    RunRow run;
    run.job = job.name;
    run.version = version.id;
    handle(input::Recovered{});
    handle(input::SetPool{kLive});
    handle(input::WorkerUp{WorkerId{1}});
    handle(input::WorkerUp{WorkerId{2}});
    handle(input::AddVersion{version, std::move(job), true});
    handle(input::Submit{run, false, "", {}});
    return RunId{1};
  }
  /// Ends all that is live, in one batch; the number of ends.
  std::int64_t end_all(AttemptResult::Outcome outcome) {
    input::AttemptsEnded ended;
    ended.results.reserve(starts.size());
    for (const auto& start : starts) {
      AttemptResult& result = ended.results.emplace_back();
      result.attempt = start.attempt;
      result.worker = start.worker;
      result.outcome = outcome;
      if (outcome == AttemptResult::Outcome::failed) result.reason = Reason::exit;
      result.stay = start.stay;
      result.look_again_after = std::chrono::hours(1);
    }
    starts.clear();
    handle(ended);
    return static_cast<std::int64_t>(ended.results.size());
  }
};

JobSpec graph_job(std::int64_t tasks, bool is_chain) {
  JobSpec job;
  job.name = "bench";
  for (std::uint32_t i = 0; i < tasks; ++i) {
    TaskSpec& task = job.tasks.emplace_back();
    task.id = "t" + std::to_string(i);
    if (i > 0) task.depends_on.push_back({TaskIndex{is_chain ? i - 1 : 0}, false});
  }
  return job;
}

JobSpec mapped_job(std::int32_t attempts) {
  JobSpec job;
  job.name = "bench";
  TaskSpec& task = job.tasks.emplace_back();
  task.id = "m";
  task.map.emplace();
  task.retry.max_attempts = attempts;
  task.retry.delay = std::chrono::seconds(1);
  return job;
}

void read_items(Driver& driver, RunId run, std::int64_t items = kItems) {
  driver.handle(input::Prepared{run, TaskIndex{0}, 1, {}, {}, {}});
  for (std::int64_t first = 0; first < items; first += 1'000) {
    driver.handle(
        input::ItemsRead{run, TaskIndex{0}, 1, first, 1'000, "", "", first + 1'000 == items, ""});
  }
}

void must_have_ended(const Driver& driver, RunId run, RunState state) {
  const RunRow* row = driver.engine.run(run);
  if (row == nullptr || row->state != state) {
    std::fprintf(stderr, "bench_engine: the run did not end as it should\n");
    std::exit(1);
  }
}

void items() {
  std::vector<double> rates, bytes, steps;
  for (int round = 0; round < kRounds; ++round) {
    malloc_trim(0);
    const std::size_t before = bytes_in_use();
    std::size_t most = 0;
    Driver driver;
    const auto from = std::chrono::steady_clock::now();
    const RunId run = driver.begin(mapped_job(1));
    read_items(driver, run);
    for (std::int64_t ended = 0; ended < kItems;) {
      ended += driver.end_all(AttemptResult::Outcome::succeeded);
      if (ended % 100'000 == 0) most = std::max(most, bytes_in_use());
    }
    rates.push_back(static_cast<double>(kItems) / seconds_since(from));
    bytes.push_back(static_cast<double>(most - before) / static_cast<double>(kItems));
    steps.push_back(driver.longest_step * 1e3);
    must_have_ended(driver, run, RunState::succeeded);
  }
  row("a fan-out of 1,000,000 items through all states", number(median(rates), "tasks/s"),
      "1,000,000 (1,500,000)");
  row("  memory per item, all that the engine holds", number(median(bytes), "bytes"), "64 (16)");
  row("  longest step", number(median(steps), "ms"), "50 (10)");
}

/// Three tasks of 100,000 items each, item by item.
void pairs() {
  constexpr std::int64_t kPaired = 100'000;
  std::vector<double> rates, bytes, steps;
  for (int round = 0; round < kRounds; ++round) {
    malloc_trim(0);
    const std::size_t before = bytes_in_use();
    std::size_t most = 0;
    JobSpec job = mapped_job(1);
    for (std::uint32_t i = 1; i < 3; ++i) {
      TaskSpec& task = job.tasks.emplace_back();
      task.id = "n" + std::to_string(i);
      task.depends_on.push_back({TaskIndex{i - 1}, true});
      task.mapped_over = TaskIndex{0};
    }
    Driver driver;
    const auto from = std::chrono::steady_clock::now();
    const RunId run = driver.begin(std::move(job));
    read_items(driver, run, kPaired);
    for (std::int64_t ended = 0; ended < 3 * kPaired;) {
      ended += driver.end_all(AttemptResult::Outcome::succeeded);
      if (ended % 50'000 == 0) most = std::max(most, bytes_in_use());
    }
    rates.push_back(static_cast<double>(3 * kPaired) / seconds_since(from));
    bytes.push_back(static_cast<double>(most - before) / static_cast<double>(3 * kPaired));
    steps.push_back(driver.longest_step * 1e3);
    must_have_ended(driver, run, RunState::succeeded);
  }
  row("three tasks of 100,000 items each, item by item", number(median(rates), "tasks/s"), "");
  row("  memory per item, all that the engine holds", number(median(bytes), "bytes"), "");
  row("  longest step", number(median(steps), "ms"), "");
}

void retries() {
  std::vector<double> rates, bytes;
  for (int round = 0; round < kRounds; ++round) {
    malloc_trim(0);
    const std::size_t before = bytes_in_use();
    Driver driver;
    const RunId run = driver.begin(mapped_job(2));
    read_items(driver, run);
    const auto from = std::chrono::steady_clock::now();
    // All fail once and wait together, then all run again.
    for (std::int64_t ended = 0; ended < kItems;)
      ended += driver.end_all(AttemptResult::Outcome::failed);
    bytes.push_back(static_cast<double>(bytes_in_use() - before) / static_cast<double>(kItems));
    driver.now = {driver.now.mono + std::chrono::hours(1), driver.now.wall + std::chrono::hours(1)};
    driver.handle(input::Tick{});
    while (!driver.starts.empty()) (void)driver.end_all(AttemptResult::Outcome::succeeded);
    rates.push_back(static_cast<double>(2 * kItems) / seconds_since(from));
    must_have_ended(driver, run, RunState::succeeded);
  }
  row("1,000,000 items that all fail once and wait for a retry",
      number(median(rates), "attempts/s"), "300,000 (500,000)");
  row("  memory per item that waits", number(median(bytes), "bytes"), "64");
}

/// All items sleep at once: deferred, with a timer each.
void asleep() {
  std::vector<double> bytes, rates;
  for (int round = 0; round < kRounds; ++round) {
    malloc_trim(0);
    const std::size_t before = bytes_in_use();
    Driver driver;
    const RunId run = driver.begin(mapped_job(1));
    read_items(driver, run);
    const auto from = std::chrono::steady_clock::now();
    for (std::int64_t ended = 0; ended < kItems;)
      ended += driver.end_all(AttemptResult::Outcome::deferred);
    malloc_trim(0);
    bytes.push_back(static_cast<double>(bytes_in_use() - before) / static_cast<double>(kItems));
    driver.now = {driver.now.mono + std::chrono::hours(2), driver.now.wall + std::chrono::hours(2)};
    driver.handle(input::Tick{});
    while (!driver.starts.empty()) (void)driver.end_all(AttemptResult::Outcome::succeeded);
    rates.push_back(static_cast<double>(2 * kItems) / seconds_since(from));
    must_have_ended(driver, run, RunState::succeeded);
  }
  row("1,000,000 items that are all deferred, and look again", number(median(rates), "stays/s"),
      "300,000 (500,000)");
  row("  memory per item that sleeps", number(median(bytes), "bytes"), "64");
}

void graph(const char* what, bool is_chain, const char* must) {
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    Driver driver;
    const RunId run = driver.begin(graph_job(kTasks, is_chain));
    const auto from = std::chrono::steady_clock::now();
    std::int64_t ended = 0;
    while (!driver.starts.empty()) ended += driver.end_all(AttemptResult::Outcome::succeeded);
    rates.push_back(static_cast<double>(ended) / seconds_since(from));
    must_have_ended(driver, run, RunState::succeeded);
  }
  row(what, number(median(rates), "tasks/s"), must);
}

void failure() {
  std::vector<double> times, steps;
  for (int round = 0; round < kRounds; ++round) {
    Driver driver;
    const RunId run = driver.begin(graph_job(kTasks, true));
    driver.longest_step = 0;
    const auto from = std::chrono::steady_clock::now();
    (void)driver.end_all(AttemptResult::Outcome::failed);
    times.push_back(seconds_since(from) * 1e3);
    steps.push_back(driver.longest_step * 1e3);
    must_have_ended(driver, run, RunState::failed);
  }
  row("a failure at the head of a chain of 100,000, to its end", number(median(times), "ms"),
      "500 (100)");
  row("  longest step", number(median(steps), "ms"), "50 (10)");
}

void many_runs() {
  constexpr int kRuns = 20'000;
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    Driver driver;
    JobSpec job = graph_job(3, true);
    job.overlap = Overlap::allow;
    job.max_active_runs = kRuns;
    (void)driver.begin(job);
    RunRow run;
    run.job = job.name;
    run.version = VersionId{1};
    for (int i = 1; i < kRuns; ++i) driver.handle(input::Submit{run, false, "", {}});
    const auto from = std::chrono::steady_clock::now();
    std::int64_t ended = 0;
    while (!driver.starts.empty()) ended += driver.end_all(AttemptResult::Outcome::succeeded);
    rates.push_back(static_cast<double>(ended) / seconds_since(from));
  }
  row("20,000 runs of three tasks each, all at once", number(median(rates), "tasks/s"),
      "300,000 (600,000)");
}

}  // namespace
}  // namespace pawl

int main(int argc, char** argv) {
  const std::string part = argc > 1 ? argv[1] : "";
  auto wanted = [&part](const char* name) { return part.empty() || part == name; };
  std::printf("%-58s | %18s | %s\n", "what", "measured", "must (aim)");
  if (wanted("items")) pawl::items();
  if (wanted("pairs")) pawl::pairs();
  if (wanted("retry")) pawl::retries();
  if (wanted("asleep")) pawl::asleep();
  if (wanted("fan")) pawl::graph("a fan of 100,000 tasks", false, "500,000 (1,000,000)");
  if (wanted("chain"))
    pawl::graph("a chain of 100,000 tasks, one end per step", true, "200,000 (400,000)");
  if (wanted("fail")) pawl::failure();
  if (wanted("runs")) pawl::many_runs();
  return 0;
}
