// The words that explain a failure, and what /proc and the kernel's counters are read for.

#include <unistd.h>

#include <string>

#include <catch2/catch.hpp>

#include "plugins/worker/oom.h"
#include "plugins/worker/process_table.h"
#include "plugins/worker/resource_watch.h"
#include "plugins/worker/streams.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"
#include "tests/unit/worker_support.h"

namespace pawl {

TEST_CASE("the last line of standard error explains a failure") {
  auto words = explain_failure("starting\ncannot reach warehouse 3\n\n", "out\n");
  CHECK(words.message == "cannot reach warehouse 3");
  CHECK(words.trace == "starting\ncannot reach warehouse 3");
  CHECK(words.error_class.empty());
}

TEST_CASE("when standard error is silent, standard output explains") {
  auto words = explain_failure(" \n", "one line\n");
  CHECK(words.message == "one line");
  CHECK(words.trace.empty());
}

TEST_CASE("an exception is named by its class") {
  std::string text =
      "Traceback (most recent call last):\n  File \"x.py\", line 1\nurllib.error.URLError: no\n";
  auto words = explain_failure(text, "");
  CHECK(words.error_class == "urllib.error.URLError");
  CHECK(words.message == "urllib.error.URLError: no");
  CHECK(explain_failure("warning: not a class\n", "").error_class.empty());
}

TEST_CASE("words of programs are UTF-8 without NUL, whatever they were") {
  CHECK(to_utf8(std::string("a\xff\0b\xc3\xa4\xc3", 7)) ==
        "a\xEF\xBF\xBD\xE2\x90\x80"
        "b\xc3\xa4\xEF\xBF\xBD");
  CHECK(to_utf8("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("of several limits that are passed the one that hurts the machine most is told") {
  const Resources limits{64u << 20, std::chrono::seconds(10), 20, {}};
  CHECK_FALSE(over_limit({}, {std::int64_t{1} << 40, 1'000'000'000, 1'000}));
  CHECK_FALSE(over_limit(limits, {64 << 20, 9'999'999, 20}));
  CHECK(over_limit(limits, {(64 << 20) + 1, 20'000'000, 21})->reason == Reason::oom);
  CHECK(over_limit(limits, {0, 20'000'000, 21})->reason == Reason::pids);
  const auto hit = over_limit(limits, {0, 10'250'000, 0});
  CHECK(hit->reason == Reason::cpu_time);
  CHECK(hit->message == "its processes used 10s250ms of CPU time, resources.cpu_time is 10s");
}

TEST_CASE("an attempt is found in the limits of a process, by a mark that is its home's own") {
  auto limits = [](const std::string& locks) {
    return "Limit                     Soft Limit           Hard Limit           Units     \n"
           "Max address space         unlimited            unlimited            bytes     \n"
           "Max file locks            " +
           locks + "            unlimited            locks     \n";
  };
  for (std::int64_t attempt : {std::int64_t{1}, std::int64_t{17}, (std::int64_t{1} << 39) - 1}) {
    const std::string mark = std::to_string(attempt_mark(attempt, "/h"));
    CHECK(attempt_in_limits(limits(mark), "/h") == attempt);
    CHECK_FALSE(attempt_in_limits(limits(mark), "/other"));
  }
  CHECK_FALSE(attempt_in_limits(limits("unlimited"), "/h"));
  CHECK_FALSE(attempt_in_limits(limits("1024"), "/h"));
  CHECK_FALSE(attempt_in_limits(limits(""), "/h"));
  CHECK_FALSE(attempt_in_limits("", "/h"));
  // The programs of a host have marks that are no attempt's, and no other host's.
  for (std::int64_t program : {1, 17, 1 << 23}) {
    const std::string mark = std::to_string(program_mark(program, "/h/workers/1"));
    CHECK(program_in_limits(limits(mark), "/h/workers/1") == program);
    CHECK_FALSE(program_in_limits(limits(mark), "/h/workers/2"));
    CHECK_FALSE(program_in_limits(limits(std::to_string(attempt_mark(program, "/h"))), "/h"));
    CHECK(attempt_in_limits(limits(mark), "/h/workers/1").value_or(1LL << 39) >= 1LL << 39);
  }
}

TEST_CASE("an environment names an attempt only together with the home") {
  auto env = [](std::string_view text) {
    std::string bytes(text);
    for (char& c : bytes) {
      if (c == '|') c = '\0';
    }
    return bytes;
  };
  CHECK(attempt_in_environment(env("A=1|PAWL_HOME=/h|PAWL_ATTEMPT_ID=17|"), "/h") == 17);
  CHECK_FALSE(attempt_in_environment(env("PAWL_HOME=/other|PAWL_ATTEMPT_ID=17|"), "/h"));
  CHECK_FALSE(attempt_in_environment(env("PAWL_ATTEMPT_ID=17"), "/h"));
  CHECK_FALSE(attempt_in_environment(env("PAWL_HOME=/h|PAWL_ATTEMPT_ID=17x"), "/h"));
  CHECK_FALSE(attempt_in_environment(env("XPAWL_HOME=/h|XPAWL_ATTEMPT_ID=17"), "/h"));
}

TEST_CASE("out of memory is named once for each kill that the kernel counts") {
  test::TempFolder folder;
  auto set = [&](int count) {
    test::write_whole(folder / "events", "oom 9\noom_kill " + std::to_string(count) + "\n");
  };
  set(3);
  OomWatch watch(folder / "events");
  CHECK_FALSE(watch.claim());
  set(5);
  CHECK(watch.claim());
  CHECK(watch.claim());
  CHECK_FALSE(watch.claim());
  set(6);
  watch.settle();
  CHECK(watch.claim());
  set(7);
  watch.settle();
  watch.settle();
  CHECK_FALSE(watch.claim());
  OomWatch blind(folder / "missing");
  CHECK_FALSE(blind.claim());
}

}  // namespace pawl
