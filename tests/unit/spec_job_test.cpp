#include <catch2/catch.hpp>

#include "scheduler/spec/job.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

namespace {

RetryPolicy policy(Backoff backoff, Duration delay, Duration max_delay = 1h) {
  RetryPolicy out;
  out.max_attempts = 10;
  out.backoff = backoff;
  out.delay = delay;
  out.max_delay = max_delay;
  return out;
}

}  // namespace

TEST_CASE("a fixed delay stays, a linear one grows by itself, an exponential one multiplies") {
  CHECK(retry_delay(policy(Backoff::fixed, 10s), 1) == 10s);
  CHECK(retry_delay(policy(Backoff::fixed, 10s), 9) == 10s);
  CHECK(retry_delay(policy(Backoff::linear, 10s), 1) == 10s);
  CHECK(retry_delay(policy(Backoff::linear, 10s), 3) == 30s);
  CHECK(retry_delay(policy(Backoff::exponential, 10s), 1) == 10s);
  CHECK(retry_delay(policy(Backoff::exponential, 10s), 4) == 80s);
  RetryPolicy slow = policy(Backoff::exponential, 10s);
  slow.multiplier = 1.5;
  CHECK(retry_delay(slow, 3) == 22'500ms);
}

TEST_CASE("no delay is longer than the cap, whatever the attempt") {
  for (const Backoff backoff : {Backoff::linear, Backoff::exponential}) {
    CHECK(retry_delay(policy(backoff, 10s, 1min), 50'000) == 1min);
    CHECK(retry_delay(policy(backoff, 10s, 1min), INT64_MAX) == 1min);
  }
  CHECK(retry_delay(policy(Backoff::fixed, 2h, 1h), 1) == 1h);
  CHECK(retry_delay(policy(Backoff::exponential, 0s), 50'000) == 0s);
  CHECK(retry_delay(policy(Backoff::linear, 0s), 50'000) == 0s);
  CHECK(retry_delay(policy(Backoff::exponential, 10s, 0s), 3) == 0s);
}

TEST_CASE("jitter draws from all of the delay, from its upper half, or not at all") {
  RetryPolicy p = policy(Backoff::fixed, 10s);
  p.jitter = Jitter::none;
  CHECK(jittered_retry_delay(p, 1, 12345) == 10s);
  p.jitter = Jitter::full;
  CHECK(jittered_retry_delay(p, 1, 0) == 0s);
  CHECK(jittered_retry_delay(p, 1, UINT64_MAX) == 10s);
  CHECK(jittered_retry_delay(p, 1, UINT64_MAX / 2) == 5s);
  p.jitter = Jitter::equal;
  CHECK(jittered_retry_delay(p, 1, 0) == 5s);
  CHECK(jittered_retry_delay(p, 1, UINT64_MAX) == 10s);
  p.delay = 0s;
  CHECK(jittered_retry_delay(p, 1, UINT64_MAX) == 0s);
}

TEST_CASE("the tolerance of failures is a count or a share rounded down") {
  CHECK(Tolerance{false, 3}.of(1) == 3);
  CHECK(Tolerance{true, 1}.of(99) == 0);
  CHECK(Tolerance{true, 1}.of(100) == 1);
  CHECK(Tolerance{true, 0.5}.of(1000) == 5);
  CHECK(Tolerance{true, 100}.of(7) == 7);
}

TEST_CASE("topological order keeps the order of the file where it can") {
  const auto order_of = [](std::string_view tasks) {
    const JobSpec job = valid_job(tasks_of(tasks));
    std::string out;
    for (const TaskIndex t : topological_order(job)) out += job.tasks[t.value].id;
    return out;
  };
  CHECK(order_of(R"({"id":"c","command":["x"]},{"id":"a","command":["x"]},
                    {"id":"b","command":["x"]})") == "cab");
  CHECK(order_of(R"({"id":"c","command":["x"],"depends_on":["a"]},{"id":"a","command":["x"]},
                    {"id":"b","command":["x"]})") == "acb");
  CHECK(order_of(R"({"id":"a","command":["x"]},{"id":"b","command":["x"],"depends_on":["a"]},
                    {"id":"c","command":["x"]})") == "abc");
  CHECK(order_of(R"({"id":"d","command":["x"],"depends_on":["b","c"]},
                    {"id":"c","command":["x"],"depends_on":["a"]},
                    {"id":"b","command":["x"],"depends_on":["a"]},
                    {"id":"a","command":["x"]})") == "acbd");
}

TEST_CASE("a level is one more than the deepest upstream") {
  const JobSpec job = valid_job(tasks_of(
      R"({"id":"d","command":["x"],"depends_on":["a","c"]},{"id":"a","command":["x"]},
         {"id":"b","command":["x"],"depends_on":["a"]},
         {"id":"c","command":["x"],"depends_on":["b"]})"));
  CHECK(levels(job) == std::vector<std::int32_t>{3, 0, 1, 2});
}

TEST_CASE("the words of an enumeration are the words of the file") {
  CHECK(to_string(TriggerRule::none_failed_min_one_success) == "none_failed_min_one_success");
  CHECK(to_string(Backoff::exponential) == "exponential");
  CHECK(to_string(Jitter::equal) == "equal");
  CHECK(to_string(OnInterrupt::hold) == "hold");
  CHECK(to_string(OutputFormat::jsonl) == "jsonl");
  CHECK(to_string(ItemFormat::csv) == "csv");
  CHECK(to_string(CatchupPolicy::latest) == "latest");
  CHECK(to_string(Overlap::replace) == "replace");
  CHECK(to_string(HookKind::on_exit) == "on_exit");
}

TEST_CASE("a task that calls a job takes no slots, and refuses what belongs to processes") {
  const std::string task = R"({"id": "a", "operator": "job", "with": {"job": "load"})";
  const ParseResult good = parse(tasks_of(task + "}", R"("defaults": {"pool": "default"})"));
  REQUIRE(good.ok);
  CHECK(good.job.tasks[0].calls_job());
  CHECK(good.job.tasks[0].pools.empty());
  CHECK(good.job.tasks[0].output == OutputFormat::json);
  for (const char* key :
       {R"("pool": "default")", R"("output": "text")", R"("working_dir": "/tmp")",
        R"("stall_timeout": "5m")", R"("kill_grace": "5s")", R"("pass_env": ["A"])"}) {
    const auto errors = errors_of(tasks_of(task + ", " + key + "}"));
    INFO(key);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].message.find("starts no process and takes no slot") != std::string::npos);
  }
  const auto errors =
      errors_of(tasks_of(R"({"id": "a", "operator": "job", "with": {"job": "j"}})"));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "job \"j\" would start itself");
  CHECK(errors[0].pointer == "/tasks/0/with/job");
}
