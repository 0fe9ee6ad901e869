// The logs of many attempts as one sequence.

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "cli/log_merge.h"
#include "loop_support.h"
#include "scheduler/base/text.h"

namespace pawl::test {
namespace {

constexpr std::int64_t kBegin = 1'795'215'481'000;

/// The logs of the items of one task.
struct Logs {
  ScratchFolder scratch;
  LogFolder folder{"query", scratch.path()};

  std::string line(std::int64_t at_ms, const std::string& text) const {
    std::string time = format_utc(WallTime{kBegin + at_ms});
    time.insert(time.size() - 1, "000000");
    return time + " stdout F " + text + "\n";
  }
  void write(std::int64_t item, const std::string& lines) const {
    std::ofstream(source(item, 0).path(), std::ios::app) << lines;
  }
  LogSource source(std::int64_t item, std::int64_t started_ms, bool is_final = true) const {
    LogSource source;
    source.attempt = AttemptId{item + 1};
    source.folder = &folder;
    source.item = ItemIndex{item};
    source.started_at = WallTime{kBegin + started_ms};
    source.is_final = is_final;
    return source;
  }
};

std::vector<std::string> drain(LogMerge& merge) {
  std::vector<std::string> lines;
  const auto done = merge.drain([&](const LogSource& source, const LogLine& line) {
    lines.push_back(source.name() + " " + line.text);
  });
  REQUIRE(done.ok());
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("lines of many logs come in the order of time, whatever the order of the logs") {
  const Logs logs;
  logs.write(0, logs.line(10, "a") + logs.line(40, "d") + logs.line(9'000, "last"));
  logs.write(1, logs.line(30, "c") + logs.line(50, "e"));
  logs.write(2, logs.line(20, "b"));
  logs.write(3, logs.line(5'000, "late"));
  LogMerge merge;
  for (const auto& source :
       {logs.source(3, 4'999), logs.source(1, 25), logs.source(0, 5), logs.source(2, 15)}) {
    merge.add(source);
  }
  CHECK(drain(merge) == Lines{"query:0 a", "query:2 b", "query:1 c", "query:0 d", "query:1 e",
                              "query:3 late", "query:0 last"});
  CHECK(drain(merge).empty());
  CHECK_FALSE(merge.is_growing());
}

TEST_CASE("what was written at the same time comes in the order in which the logs were added") {
  const Logs logs;
  LogMerge merge;
  Lines expected;
  for (std::int64_t item = 0; item < 20; ++item) {
    logs.write(item, logs.line(10, "x"));
    merge.add(logs.source(item, 10));
    expected.push_back("query:" + std::to_string(item) + " x");
  }
  CHECK(drain(merge) == expected);
}

TEST_CASE("logs that grow are read on, and one is over once its attempt is and all was read") {
  const Logs logs;
  LogMerge merge;
  logs.write(0, logs.line(1, "a"));
  merge.add(logs.source(0, 0, false));
  merge.add(logs.source(1, 0, false));  // has no file yet
  CHECK(drain(merge) == Lines{"query:0 a"});
  CHECK(merge.is_growing());
  logs.write(0, logs.line(3, "c"));
  logs.write(1, logs.line(2, "b"));
  logs.write(2, logs.line(4, "d"));
  merge.add(logs.source(2, 4));
  CHECK(drain(merge) == Lines{"query:1 b", "query:0 c", "query:2 d"});

  std::vector<std::int64_t> asked;
  const auto is_final = [&](AttemptId attempt) -> Result<bool> {
    asked.push_back(attempt.value);
    return attempt.value == 1;
  };
  REQUIRE(merge.settle(is_final).ok());
  std::sort(asked.begin(), asked.end());
  CHECK(asked == std::vector<std::int64_t>{1, 2});
  logs.write(0, logs.line(5, "its last"));
  CHECK(drain(merge) == Lines{"query:0 its last"});
  asked.clear();
  REQUIRE(merge
              .settle([&](AttemptId attempt) -> Result<bool> {
                asked.push_back(attempt.value);
                return true;
              })
              .ok());
  CHECK(asked == std::vector<std::int64_t>{2});
  CHECK_FALSE(merge.is_growing());
  CHECK(drain(merge).empty());
}

TEST_CASE("a log that was emptied or replaced is read from its new beginning") {
  const Logs logs;
  LogMerge merge;
  logs.write(0, logs.line(1, "one") + logs.line(2, "two"));
  merge.add(logs.source(0, 0, false));
  CHECK(drain(merge).size() == 2);
  REQUIRE(::truncate(logs.source(0, 0).path().c_str(), 0) == 0);
  logs.write(0, logs.line(3, "three"));
  CHECK(drain(merge) == Lines{"query:0 three"});
  const std::string path = logs.source(0, 0).path();
  REQUIRE(::rename(path.c_str(), (path + ".1").c_str()) == 0);
  logs.write(0, logs.line(4, "four") + logs.line(5, "five"));
  CHECK(drain(merge) == Lines{"query:0 four", "query:0 five"});
}

TEST_CASE("logs that ran at the same time need no descriptor each") {
  const Logs logs;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlim_t given = limit.rlim_cur;
  LogMerge merge;
  for (std::int64_t item = 0; item < 300; ++item) {
    logs.write(item, logs.line(item, "first") + logs.line(1'000 + item, "second"));
    merge.add(logs.source(item, 0));
  }
  limit.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const Lines lines = drain(merge);
  limit.rlim_cur = given;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(lines.size() == 600);
  CHECK(lines[299] == "query:299 first");
  CHECK(lines[300] == "query:0 second");
}

}  // namespace pawl::test
