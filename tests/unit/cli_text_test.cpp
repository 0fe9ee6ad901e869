// Failures put together by their errors, lines of logs, and the lines that show progress.

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <catch2/catch.hpp>

#include "cli/error_group.h"
#include "cli/log_text.h"
#include "cli/progress.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

// Errors -----------------------------------------------------------------------------------------

TEST_CASE("failures that differ only in numbers are one group, the largest comes first") {
  ErrorGroups groups;
  groups.add({"query", 4711, "timeout", "no end within 5m", 4});
  groups.add({"query", 3, "exit:5", "cannot reach warehouse 3", 4});
  groups.add({"query", 7, "exit:5", "cannot reach warehouse 7", 4});
  const auto list = groups.take();
  REQUIRE(list.size() == 2);
  CHECK(list[0].count == 2);
  CHECK(list[0].error == "cannot reach warehouse <n>");
  CHECK(indexes_text(list[0]) == ":3 :7");
  CHECK(tries_text(list[0]) == "4 tries each");
  CHECK(list[1].error == "no end within 5m");
  CHECK(indexes_text(list[1]) == ":4711");
  CHECK(tries_text(list[1]) == "4 tries");
}

TEST_CASE("one error said by all is shown as it is") {
  ErrorGroups groups;
  groups.add({"load", 1, "exit:1", "table 5 is missing", 1});
  groups.add({"load", 2, "exit:1", "table 5 is missing", 3});
  const auto list = groups.take();
  REQUIRE(list.size() == 1);
  CHECK(list[0].error == "table 5 is missing");
  CHECK(tries_text(list[0]) == "1 to 3 tries");
}

TEST_CASE(
    "errors of several lines that begin alike are one, and what is beyond all groups has none") {
  ErrorGroups groups;
  groups.add({"load", 1, "exit:1", "no table\nin line 1", 1});
  groups.add({"load", 2, "exit:1", "no table\nin line 2", 1});
  groups.add({"load", 3, "exit:2", "", 1});
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'j'; ++b) groups.add({"load", 4, "exit:3", std::string({a, b, a}), 1});
  }
  auto list = groups.take();
  std::erase_if(list, [](const ErrorGroup& group) { return group.reason == "exit:3"; });
  REQUIRE(list.size() == 3);
  CHECK(list[0].reason.empty());
  CHECK(list[0].error.empty());
  CHECK(list[0].count == 62);
  CHECK(list[1].error == "no table");
  CHECK(list[1].count == 2);
  CHECK(list[2].reason == "exit:2");
  CHECK(list[2].count == 1);
}

TEST_CASE("a group shows a few indexes and that there are more") {
  ErrorGroups groups;
  for (int i = 0; i < 10; ++i) groups.add({"q", i, "exit:1", "no", 1});
  groups.add({"whole", -1, "exit:1", "no", 1});
  const auto list = groups.take();
  REQUIRE(list.size() == 2);
  CHECK(indexes_text(list[0]) == ":0 :1 :2 …");
  CHECK(indexes_text(list[1]).empty());
}

TEST_CASE("ten thousand different errors stay a bounded number of groups") {
  ErrorGroups groups;
  for (int i = 0; i < 10'000; ++i) {
    std::string word = "x";
    for (int n = i; n > 0; n /= 20) word += static_cast<char>('g' + n % 20);
    groups.add({"q", i, "exit:1", word, 1});
  }
  const auto list = groups.take();
  CHECK(list.size() <= 201);
  std::int64_t sum = 0;
  for (const ErrorGroup& group : list) sum += group.count;
  CHECK(sum == 10'000);
}

// Logs -------------------------------------------------------------------------------------------

struct LogOnDisk {
  std::string path = "/tmp/pawl-log-XXXXXX";
  LogOnDisk() {
    // The name is what is wanted: some tests look at a log that is not there yet.
    const int descriptor = ::mkstemp(path.data());
    REQUIRE(descriptor >= 0);
    ::close(descriptor);
    ::unlink(path.c_str());
  }
  ~LogOnDisk() { ::unlink(path.c_str()); }
  LogOnDisk(const LogOnDisk&) = delete;
  LogOnDisk& operator=(const LogOnDisk&) = delete;
  void add(std::string_view text) const { std::ofstream(path, std::ios::app) << text; }
};

std::string next_text(LogReader& reader) {
  const auto line = reader.next();
  REQUIRE(line.ok());
  return *line ? (*line)->stream + ":" + (*line)->text + ((*line)->ended ? "" : "~") : "none";
}

constexpr std::string_view kTime = "2026-11-20T22:58:01.123456789Z ";

std::string record(std::string_view rest) { return std::string(kTime) + std::string(rest); }

TEST_CASE("a record is its time, stream, kind and text") {
  const std::string line = record("stderr P some  text ");
  const auto read = parse_log_record(line);
  REQUIRE(read.has_value());
  CHECK(read->time == "2026-11-20T22:58:01.123456789Z");
  CHECK(read->stream == "stderr");
  CHECK(read->partial);
  CHECK(read->text == "some  text ");
  CHECK(parse_log_record(record("stdout F "))->text.empty());
  CHECK(parse_log_record(record("stdout F"))->text.empty());
  for (const char* bad : {"", "no record", "2026-11-20T22:58:01.123456789Z stdout",
                          "2026-11-20T22:58:01.123456789Z stdout X text", "x y F text"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_log_record(bad).has_value());
  }
}

TEST_CASE("parts of a line are joined, also when the other stream speaks in between") {
  const LogOnDisk log;
  log.add(record("stdout P one \n") + record("stderr F err\n") + record("stdout F line\n"));
  LogReader reader(log.path);
  CHECK(next_text(reader) == "stderr:err");
  CHECK(next_text(reader) == "stdout:one line");
  CHECK(next_text(reader) == "none");
}

TEST_CASE("a log is read on as it grows, and half a record waits for its other half") {
  const LogOnDisk log;
  LogReader reader(log.path);
  CHECK(next_text(reader) == "none");
  log.add(record("stdout F a\n") + "2026-11-20T22:58:01.1");
  CHECK(next_text(reader) == "stdout:a");
  CHECK(next_text(reader) == "none");
  log.add("23456789Z stdout F b\n");
  CHECK(next_text(reader) == "stdout:b");
  CHECK(next_text(reader) == "none");
}

TEST_CASE("a last line without an end is handed out as such") {
  const LogOnDisk log;
  log.add(record("stdout F a\n") + record("stdout P b\n"));
  LogReader reader(log.path);
  CHECK(next_text(reader) == "stdout:a");
  CHECK(next_text(reader) == "none");
  const auto rest = reader.rest();
  REQUIRE((rest.ok() && *rest));
  CHECK((*rest)->text == "b");
  CHECK_FALSE((*rest)->ended);
  CHECK_FALSE(*reader.rest());
}

TEST_CASE("a missing log is a silent attempt, and foreign text is shown as it is") {
  LogReader missing("/nonexistent/pawl.log");
  CHECK(next_text(missing) == "none");
  const LogOnDisk log;
  log.add("who wrote this\n");
  LogReader reader(log.path);
  CHECK(next_text(reader) == ":who wrote this");
}

TEST_CASE("the tail of a log begins at a whole record") {
  const LogOnDisk log;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += record("stdout F line " + std::to_string(i) + "\n");
  log.add(text);
  LogReader reader(log.path);
  REQUIRE(reader.seek_tail(2));
  CHECK(next_text(reader) == "stdout:line 4998");
  CHECK(next_text(reader) == "stdout:line 4999");
  CHECK(next_text(reader) == "none");
  LogReader all(log.path);
  REQUIRE(all.seek_tail(1'000'000));
  CHECK(next_text(all) == "stdout:line 0");
}

TEST_CASE("a line of many mebibytes comes in pieces") {
  const LogOnDisk log;
  for (int i = 0; i < 160; ++i) log.add(record("stdout P " + std::string(16 << 10, 'x') + "\n"));
  LogReader reader(log.path);
  std::size_t bytes = 0;
  for (;;) {
    const auto line = reader.next();
    REQUIRE(line.ok());
    if (!*line) break;
    CHECK((*line)->text.size() <= (1u << 20) + (16u << 10));
    bytes += (*line)->text.size();
  }
  const auto rest = reader.rest();
  REQUIRE(rest.ok());
  if (*rest) bytes += (*rest)->text.size();
  CHECK(bytes == 160u << 14);
}

TEST_CASE("on a terminal colours and tabs pass, everything else that acts on it is escaped") {
  CHECK(log_text_for_terminal("a\tb \x1b[31mred\x1b[0m") == "a\tb \x1b[31mred\x1b[0m");
  CHECK(log_text_for_terminal("\x1b[2Jx") == "\\x1b[2Jx");
  CHECK(log_text_for_terminal("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
  CHECK(log_text_for_terminal("\x1b[31") == "\\x1b[31");
}

// Progress ---------------------------------------------------------------------------------------

Here at(std::string_view utc) { return {*parse_utc(utc), cctz::utc_time_zone()}; }

TaskProgress mapped(std::int64_t succeeded, std::int64_t failed, std::int64_t queued) {
  TaskProgress task;
  task.task = "query";
  task.state = TaskState::running;
  task.counts = Counts{};
  (*task.counts)[static_cast<std::size_t>(TaskState::succeeded)] = succeeded;
  (*task.counts)[static_cast<std::size_t>(TaskState::failed)] = failed;
  (*task.counts)[static_cast<std::size_t>(TaskState::queued)] = queued;
  return task;
}

TEST_CASE("a mapped task says how far it is, how fast, and how long it still takes") {
  TaskProgress task = mapped(7409, 3, 2588);
  task.retrying = 11;
  task.rate = 812;
  CHECK(progress_line(task, at("2026-11-20T22:58:01Z")).detail ==
        "7,412 of 10,000 · 3 failed · 11 retrying · 812/s · 3s left");
  task.rate = 0;
  task.retrying = 0;
  CHECK(progress_line(task, {}).detail == "7,412 of 10,000 · 3 failed");
}

TEST_CASE("other tasks say what they wait for, how long they took and why they failed") {
  TaskProgress task;
  task.task = "report";
  task.waiting_for = {"query"};
  CHECK(progress_line(task, {}).detail == "for query");
  task.waiting_for = {"a", "b", "c", "d", "e"};
  CHECK(progress_line(task, {}).detail == "for a, b, c and 2 more");
  task.waiting_for_more = 40;
  CHECK(progress_line(task, {}).detail == "for a, b, c and 42 more");
  task.state = TaskState::failed;
  task.reason = "exit";
  task.exit_code = 5;
  task.started_at = *parse_utc("2026-11-20T22:58:01.000Z");
  task.ended_at = *parse_utc("2026-11-20T22:58:01.300Z");
  CHECK(progress_line(task, {}).detail == "0.3s · exit:5");
  task.state = TaskState::running;
  CHECK(progress_line(task, at("2026-11-20T22:58:13.900Z")).detail == "12s");
  task.state = TaskState::upstream_failed;
  task.reason = "upstream";
  task.started_at.reset();
  CHECK(progress_line(task, {}).detail.empty());
}

TEST_CASE("lines stand in columns and a terminal cuts what does not fit") {
  const std::vector<ProgressLine> lines = {{"list", "succeeded", Style::green, "0.3s"},
                                           {"report", "waiting", Style::dim, "for query"},
                                           {"x", "upstream_failed", Style::red, ""}};
  const auto text = format_lines(Terminal{}, lines, 6);
  CHECK(text[0] == "  list     succeeded   0.3s");
  CHECK(text[1] == "  report   waiting     for query");
  CHECK(text[2] == "  x        upstream_failed");
  Terminal narrow;
  narrow.width = 30;
  CHECK(format_lines(narrow, {{"query", "running", Style::cyan, "7,412 of 10,000 · 3 failed"}},
                     6)[0] == "  query    running     7,412…");
}

TEST_CASE("an answer of the scheduler is read, and what is none is refused") {
  const auto answer = nlohmann::json::parse(R"({
    "version": 7, "run": "20261120-225801-7k3f9q", "job": "sales", "state": "running",
    "reason": "", "paused": false, "counts": {"succeeded": 2, "running": 1},
    "tasks": [{"task": "list", "state": "succeeded", "started_at": "2026-11-20T22:58:01.000Z",
               "ended_at": "2026-11-20T22:58:02.000Z", "counts": null, "waiting_for": []},
              {"task": "query", "state": "running", "counts": {"succeeded": 1, "running": 1},
               "rate": 2.5, "retrying": 1}],
    "ended": false, "scheduler_pid": 12})");
  const auto run = read_progress(answer);
  REQUIRE(run.ok());
  CHECK(run->version == 7);
  CHECK(run->tasks.size() == 2);
  CHECK(run->tasks[1].rate == 2.5);
  CHECK(total_of(*run->tasks[1].counts) == 2);
  CHECK(count_of(run->counts, TaskState::succeeded) == 2);
  CHECK_FALSE(run->ended);
  CHECK(short_name(run->run) == "7k3f9q");
  CHECK_FALSE(read_progress(nlohmann::json::parse(R"({"state": "flying"})")).ok());
  CHECK_FALSE(read_progress(nlohmann::json::parse("[]")).ok());
  CHECK_FALSE(read_progress(nlohmann::json::parse(R"({"state":"running","tasks":[1]})")).ok());
}

}  // namespace
}  // namespace pawl
