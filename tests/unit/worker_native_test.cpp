// Operators of libraries as their host sees them, without a library: the table alone.

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/native_misuse.h"
#include "plugins/worker/native_operator.h"
#include "tests/unit/loop_support.h"
#include "tests/unit/thread_shortage.h"
#include "tests/unit/worker_support.h"

using namespace pawl;

namespace {

struct Heard final : OperatorEvents {
  void log(AttemptId, LogStream, std::string_view) override { ++said; }
  void heartbeat(AttemptId) override { ++said; }
  void waits(AttemptId) override {}
  void begins(AttemptId) override {}
  void progress(AttemptId, double, std::string_view) override { ++said; }
  bool set_handle(AttemptId, std::string_view) override { return true; }
  void finished(AttemptId, OperatorResult&& result) override { ends.push_back(std::move(result)); }
  void note(const std::string& text) override { notes.push_back(text); }

  int said = 0;
  std::vector<OperatorResult> ends;
  std::vector<std::string> notes;
};

const pawl_host* host = nullptr;

int open_operator(const pawl_host* its_host, void**, pawl_bytes*) {
  host = its_host;
  return 0;
}

pawl_operator table_of(void (*run)(void*, pawl_attempt*, const pawl_request*)) {
  pawl_operator table{};
  table.size = sizeof(table);
  table.open = open_operator;
  table.run = run;
  return table;
}

void succeed(void*, pawl_attempt* attempt, const pawl_request*) {
  pawl_result result{};
  result.size = sizeof(result);
  host->finish(attempt, &result);
}

std::shared_ptr<const OperatorRequest> request_of(std::int64_t attempt) {
  auto request = std::make_shared<OperatorRequest>();
  request->attempt = AttemptId(attempt);
  request->parameters = "{}";
  return request;
}

/// Goes on after its end, as often as it likes.
void go_on(void*, pawl_attempt* attempt, const pawl_request*) {
  succeed(nullptr, attempt, nullptr);
  for (int i = 0; i < 3; ++i) {
    host->heartbeat(attempt);
    succeed(nullptr, attempt, nullptr);
  }
}

void miscount(void*, pawl_attempt* attempt, const pawl_request*) {
  for (int i = 0; i < 3; ++i) {
    host->progress(attempt, 17, {});
    host->log(attempt, 5, {"word", 4});
  }
  succeed(nullptr, attempt, nullptr);
  host->heartbeat(attempt);
}

constexpr int kBeats = 1'000'000;
std::atomic<int> beats = 0;
std::atomic<pid_t> beating_thread = 0;

void beat(void*, pawl_attempt* attempt, const pawl_request*) {
  beating_thread = static_cast<pid_t>(::syscall(SYS_gettid));
  for (; beats < kBeats; ++beats) host->heartbeat(attempt);
}

/// It waits for something: it does not run.
bool sleeps(pid_t thread) {
  const std::string stat = test::read_whole("/proc/self/task/" + std::to_string(thread) + "/stat");
  const std::size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.substr(name_end, 3) == ") S";
}

}  // namespace

TEST_CASE("an attempt that no thread can be had for ends, and the host goes on") {
  Loop loop;
  Heard heard;
  const pawl_operator table = table_of(succeed);
  NativeOperator one(loop, &table, heard);
  {
    const test::ThreadShortage shortage;
    one.start(request_of(1));
  }
  REQUIRE(heard.ends.size() == 1);
  CHECK(heard.ends[0].reason == Reason::spawn);
  CHECK(heard.ends[0].message.starts_with("no thread can be started: "));
  one.cancel(AttemptId(1));  // it is not known any more
  one.start(request_of(2));
  REQUIRE(test::run_until(loop, [&] { return heard.ends.size() == 2; }));
  CHECK(heard.ends[1].outcome == Outcome::succeeded);
}

TEST_CASE("a thread that only says that it is alive waits for the loop to hear it") {
  Loop loop;
  Heard heard;
  const pawl_operator table = table_of(beat);
  NativeOperator one(loop, &table, heard);
  one.start(request_of(1));
  while (beats < kBeats && (beating_thread == 0 || !sleeps(beating_thread))) {
  }
  CHECK(beats < kBeats);
  REQUIRE(test::run_until(loop, [&] { return heard.ends.size() == 1; }));
  CHECK(heard.said == kBeats);
  CHECK(heard.ends[0].breaks_contract);  // it returned without a result
}

TEST_CASE("what comes after the end of an attempt is noted once of each attempt") {
  Loop loop;
  Heard heard;
  pawl_operator table = table_of(go_on);
  table.name = {"wordy", 5};
  NativeOperator one(loop, &table, heard);
  one.start(request_of(7));
  one.start(request_of(8));
  REQUIRE(test::run_until(loop, [&] { return heard.notes.size() >= 2; }));
  std::sort(heard.notes.begin(), heard.notes.end());
  CHECK(heard.notes == std::vector<std::string>{
                           "operator wordy, attempt 7: heartbeat was called after its end; that is "
                           "ignored",
                           "operator wordy, attempt 8: heartbeat was called after its end; that is "
                           "ignored"});
  CHECK(heard.ends.size() == 2);
}

TEST_CASE("a wrong value is noted once of an attempt, and another is taken for it") {
  Loop loop;
  Heard heard;
  const pawl_operator table = table_of(miscount);
  NativeOperator one(loop, &table, heard);
  one.start(request_of(7));
  REQUIRE(test::run_until(loop, [&] { return heard.ends.size() == 1 && !heard.notes.empty(); }));
  CHECK(heard.said == 6);
  CHECK(heard.notes == std::vector<std::string>{
                           "operator , attempt 7: progress got a fraction outside of 0 to 1; 0 is "
                           "taken"});
}

TEST_CASE("an operator that goes on after the end of all its attempts does not fill a log") {
  Loop loop;
  Heard heard;
  const pawl_operator table = table_of(go_on);
  NativeOperator one(loop, &table, heard);
  constexpr std::size_t kAttempts = 3 * NativeMisuse::kNotesMax;
  for (std::size_t id = 1; id <= kAttempts; ++id)
    one.start(request_of(static_cast<std::int64_t>(id)));
  REQUIRE(test::run_until(loop, [&] { return heard.ends.size() == kAttempts; }));
  REQUIRE(test::run_until(loop, [&] { return heard.notes.size() > NativeMisuse::kNotesMax; }));
  CHECK(heard.notes.size() == NativeMisuse::kNotesMax + 1);
  CHECK(heard.notes.back() == "operator : no more of that is noted");
}
