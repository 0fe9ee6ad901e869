// `wait_file` looks, remembers what it saw, and looks again later.

#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/loop_support.h"
#include "tests/unit/operator_host.h"

using namespace pawl;
using namespace pawl::test;

namespace {

namespace fs = std::filesystem;

struct Folder : ScratchFolder {
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(*this / name).parent_path());
    write_file(*this / name, text);
  }
};

struct Waiting {
  Folder folder;
  Loop loop;
  OperatorHost host{loop, "basic", "wait_file"};
  Ask ask;

  explicit Waiting(const std::string& with, const std::string& output = "json") {
    ask.with = with;
    ask.output = output;
    ask.working_dir = folder.path();
  }
  /// One look; what it remembers is there for the next.
  End look() {
    End end = host.run(ask);
    ask.state = end.state;
    return end;
  }
  /// Moves a time that was remembered back.
  void pretend_ago(const std::string& key, std::int64_t ms) {
    const std::string name = '"' + key + "\":";
    const std::size_t at = ask.state.find(name);
    REQUIRE(at != std::string::npos);
    const std::size_t digits = at + name.size();
    const std::size_t end = ask.state.find_first_not_of("0123456789", digits);
    const std::int64_t then = std::stoll(ask.state.substr(digits, end - digits)) - ms;
    ask.state.replace(digits, end - digits, std::to_string(then));
  }
  std::string path(const std::string& name) const { return folder / name; }
};

}  // namespace

TEST_CASE("a file that is there is found at the first look") {
  Waiting waiting(R"({"path": "in/data.csv"})");
  waiting.folder.write("in/data.csv", "1");
  const End end = waiting.look();
  REQUIRE(end.outcome == PAWL_SUCCEEDED);
  REQUIRE(end.output == '"' + waiting.path("in/data.csv") + '"');
}

TEST_CASE("a file that is not there is looked for again after `every`") {
  Waiting waiting(R"({"path": "data.csv", "every": "7s"})", "text");
  const End first = waiting.look();
  REQUIRE(first.outcome == PAWL_DEFERRED);
  REQUIRE(first.after == std::chrono::seconds(7));
  waiting.folder.write("data.csv", "1");
  const End second = waiting.look();
  REQUIRE(second.outcome == PAWL_SUCCEEDED);
  REQUIRE(second.output == waiting.path("data.csv"));
}

TEST_CASE("a file counts as complete once it has not changed for `stable_for`") {
  Waiting waiting(R"({"path": "data.csv", "stable_for": "30s", "every": "1h"})");
  waiting.folder.write("data.csv", "1");
  const End first = waiting.look();
  REQUIRE(first.outcome == PAWL_DEFERRED);
  REQUIRE(first.after == std::chrono::seconds(30));

  waiting.pretend_ago("since", 10'000);
  const End second = waiting.look();
  REQUIRE(second.outcome == PAWL_DEFERRED);
  REQUIRE(second.after <= std::chrono::seconds(20));

  waiting.folder.write("data.csv", "12");
  waiting.pretend_ago("since", 60'000);
  const End changed = waiting.look();
  REQUIRE(changed.outcome == PAWL_DEFERRED);
  REQUIRE(changed.after == std::chrono::seconds(30));

  waiting.pretend_ago("since", 30'000);
  REQUIRE(waiting.look().outcome == PAWL_SUCCEEDED);
}

TEST_CASE("a pattern waits for all its files to be stable, also for new ones") {
  Waiting waiting(R"({"path": "in/*.csv", "stable_for": "30s"})");
  REQUIRE(waiting.look().outcome == PAWL_DEFERRED);
  waiting.folder.write("in/b.csv", "1");
  REQUIRE(waiting.look().outcome == PAWL_DEFERRED);
  waiting.pretend_ago("since", 60'000);
  waiting.folder.write("in/a.csv", "1");
  waiting.folder.write("in/c.txt", "1");
  REQUIRE(waiting.look().outcome == PAWL_DEFERRED);
  waiting.pretend_ago("since", 60'000);
  const End end = waiting.look();
  REQUIRE(end.outcome == PAWL_SUCCEEDED);
  REQUIRE(end.output ==
          "[\"" + waiting.path("in/a.csv") + "\",\"" + waiting.path("in/b.csv") + "\"]");
}

TEST_CASE("in a pattern ? is one character, in any language") {
  Waiting waiting(R"({"path": "in/b?r-[ä-ü].csv"})");
  waiting.folder.write("in/bär-ö.csv", "1");
  waiting.folder.write("in/b\xff.csv", "1");  // no UTF-8
  waiting.folder.write("in/baar-ö.csv", "1");
  const End end = waiting.look();
  REQUIRE(end.outcome == PAWL_SUCCEEDED);
  REQUIRE(end.output == "[\"" + waiting.path("in/bär-ö.csv") + "\"]");
}

TEST_CASE("paths found by a pattern are lines in text") {
  Waiting waiting(R"({"path": "*.csv"})", "text");
  waiting.folder.write("a.csv", "1");
  waiting.folder.write("b.csv", "1");
  REQUIRE(waiting.look().output == waiting.path("a.csv") + "\n" + waiting.path("b.csv"));
}

TEST_CASE("links that lead in a circle hide no file that a pattern matches") {
  Waiting waiting(R"({"path": "in/*"})");
  waiting.folder.write("in/data.csv", "1");
  fs::create_symlink("circle", waiting.path("in/circle"));
  fs::create_symlink("gone", waiting.path("in/dangling"));
  CHECK(waiting.look().output == "[\"" + waiting.path("in/data.csv") + "\"]");
  Waiting circle(R"({"path": "circle"})");
  fs::create_symlink("circle", circle.path("circle"));
  CHECK_THAT(circle.look().message, Catch::Contains("Too many levels of symbolic links"));
}

TEST_CASE("a name that no output can hold is told, and not put down as another") {
  for (const char* output : {"json", "jsonl", "text"}) {
    Waiting waiting(R"({"path": "in/*"})", output);
    waiting.folder.write("in/bad\xff.bin", "1");
    const End end = waiting.look();
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.message == "path: an output is UTF-8, and the name of this file is not: " +
                             waiting.path("in/bad\\xff.bin"));
    waiting.ask.output = "none";
    CHECK(waiting.look().outcome == PAWL_SUCCEEDED);
  }
}

TEST_CASE("a file below `min_size` is waited for") {
  Waiting waiting(R"({"path": "data.csv", "min_size": "3B"})");
  waiting.folder.write("data.csv", "12");
  REQUIRE(waiting.look().outcome == PAWL_DEFERRED);
  waiting.folder.write("data.csv", "123");
  REQUIRE(waiting.look().outcome == PAWL_SUCCEEDED);
}

TEST_CASE("giving up fails the task, or skips it, and says what was missing") {
  for (const bool skips : {false, true}) {
    Waiting waiting(
        std::string(R"({"path": "data.csv", "every": "1h", "timeout": "1m", "on_timeout": ")") +
        (skips ? "skip" : "fail") + "\"}");
    const End first = waiting.look();
    REQUIRE(first.outcome == PAWL_DEFERRED);
    waiting.pretend_ago("first", 30'000);
    const End second = waiting.look();
    REQUIRE(second.outcome == PAWL_DEFERRED);
    REQUIRE(second.after <= std::chrono::seconds(30));
    waiting.pretend_ago("first", 30'000);
    const End end = waiting.look();
    REQUIRE(end.outcome == (skips ? PAWL_SKIPPED : PAWL_FAILED));
    REQUIRE(end.message == "after 1m: " + waiting.path("data.csv") + " is not there");
  }
}

TEST_CASE("characters of a pattern in a folder's name, or escaped, are taken as they are") {
  Waiting waiting(R"({"path": "*.csv"})", "text");
  waiting.folder.write("day[1]/a.csv", "1");
  waiting.ask.working_dir = waiting.path("day[1]");
  REQUIRE(waiting.look().output == waiting.path("day[1]/a.csv"));

  waiting.ask.with = R"({"path": "what\\?"})";
  waiting.folder.write("day[1]/what?", "1");
  REQUIRE(waiting.look().output == waiting.path("day[1]/what?"));
}

TEST_CASE("a file whose name looks like a pattern is found by its name") {
  Waiting waiting(R"({"path": "day[1].csv"})");
  waiting.folder.write("day[1].csv", "1");
  REQUIRE(waiting.look().outcome == PAWL_SUCCEEDED);
}

TEST_CASE("a path below something that is no folder does not exist yet") {
  Waiting waiting(R"({"path": "file/data.csv"})");
  waiting.folder.write("file", "1");
  REQUIRE(waiting.look().outcome == PAWL_DEFERRED);
}

TEST_CASE("a folder is no file") {
  Waiting named(R"({"path": "in/"})");
  named.folder.write("in/data.csv/part", "1");
  const End end = named.look();
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.message == "path: " + named.path("in/") +
                             " is a folder, and what is waited for is a " + "file; " +
                             named.path("in/*") + " waits for one in it");

  Waiting matched(R"({"path": "in/*.csv"})");
  matched.folder.write("in/data.csv/part", "1");
  REQUIRE(matched.look().outcome == PAWL_DEFERRED);
  matched.folder.write("in/more.csv", "1");
  REQUIRE(matched.look().output == "[\"" + matched.path("in/more.csv") + "\"]");
}

TEST_CASE("durations and sizes that are none are no parameters") {
  Loop loop;
  OperatorHost host(loop, "basic", "wait_file");
  for (const char* wrong :
       {R"({"path": "a", "every": "often"})", R"({"path": "a", "min_size": "large"})",
        R"({"path": "a", "stable_for": "5"})", R"({"path": "a", "timeout": "never"})"}) {
    INFO(wrong);
    REQUIRE(host.violation(wrong).has_value());
  }
}

TEST_CASE("wait_file waits no longer between two looks than an attempt may") {
  Waiting waiting(R"({"path": "later.csv", "every": "400d"})");
  const End end = waiting.look();
  REQUIRE(end.outcome == PAWL_DEFERRED);
  REQUIRE(end.after == std::chrono::hours(24 * 366));
}
