// The operator `python`: how calls end that raise, return or print what is out of the ordinary.

#include <filesystem>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "plugins/worker/program_spec.h"
#include "tests/integration/python_support.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

constexpr const char* kModule = R"py(
import collections
import io
import os
import sys
import time

import pawl


def fail():
    raise ValueError("boom")


def answer():
    return 42


def misplaced():
    raise SyntaxError("bad", ("f.sql", "7", "3", "select"))


class Mute(Exception):
    def __str__(self):
        sys.exit("I say nothing")


def mute():
    raise Mute


def deferred_anyhow():
    raise pawl.Deferred("soon", None)


class Ghost(dict):
    def items(self):
        raise KeyError("gone")


def ghost():
    return Ghost(a=1)


def twins():
    return [{"of": ({1: "a", "2": "b", None: "c"}, {True: 1, "x": {3: "d", "3": "e"}})}]


def kinds_of_keys():
    return {1: {None: 1, "None": 2}, "2": {1.5: 3, False: {}}}


def quiet():
    sys.stdout = io.StringIO()


def say(word):
    print(word)


def wait_until_seen():
    while not os.path.exists("seen"):
        time.sleep(0.01)


def draw_a_bar():
    for percent in (50, 100):
        sys.stderr.write(f"\r{percent} %")
    wait_until_seen()


def draw_dots():
    print(".", end="")
    wait_until_seen()


def letters(count):
    return "x" * count


def folder_and_pid():
    return [os.getcwd(), os.getpid()]
)py";

}  // namespace

TEST_CASE("a module of the user's with a standard name does not hinder telling what failed") {
  for (const int threads : {1, 2}) {
    for (const char* name : {"token.py", "tokenize.py", "textwrap.py", "linecache.py"}) {
      INFO(threads << ' ' << name);
      PythonCalls calls(kModule);
      write_file(calls.python.folder() + "/" + name, "x = 1\n");
      const OperatorResult& result =
          calls.call("fail", {{"threads", threads}, {"permanent", {"ValueError"}}});
      CHECK(result.reason == Reason::permanent);
      CHECK(result.message == "ValueError: boom");
      CHECK_THAT(result.trace, Catch::Contains("raise ValueError(\"boom\")"));
    }
  }
}

TEST_CASE("an exception that cannot be printed fails its call, and no other one") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    PythonCalls calls(kModule);
    const json more = {{"threads", threads}};
    const OperatorResult misplaced = calls.call("misplaced", more);
    CHECK(misplaced.reason == Reason::error);
    CHECK(misplaced.error_class == "SyntaxError");
    CHECK_THAT(misplaced.trace, Catch::Contains("in misplaced\n"));
    CHECK_THAT(misplaced.trace, Catch::Contains("SyntaxError, which cannot be printed: "));
    const OperatorResult mute = calls.call("mute", more);
    CHECK(mute.reason == Reason::error);
    CHECK(mute.message == "shop.Mute: its message cannot be made: SystemExit");
    CHECK(calls.call("deferred_anyhow", more).reason == Reason::error);
    const OperatorResult ghost = calls.call("ghost", more);
    CHECK(ghost.reason == Reason::output);
    CHECK_THAT(ghost.message, Catch::Contains("cannot be written as JSON: 'gone'"));
    CHECK(calls.call("answer", more).output == "42");
    CHECK(calls.host.host->process_count() == 1);
  }
}

TEST_CASE("of two keys that are one in JSON none is lost: the call fails") {
  PythonCalls calls(kModule);
  const OperatorResult twins = calls.call("twins");
  CHECK(twins.reason == Reason::output);
  CHECK_THAT(twins.message, Catch::Contains("as JSON: of a dict two keys are \"3\" there"));
  CHECK(json::parse(calls.call("kinds_of_keys").output) ==
        json::parse(R"({"1": {"null": 1, "None": 2}, "2": {"1.5": 3, "false": {}}})"));
}

TEST_CASE("a module that ends the program when it is imported is no call that succeeded") {
  PythonCalls calls("import sys\nsys.exit()\n\ndef answer():\n    return 42\n");
  const OperatorResult& result = calls.call("answer");
  CHECK(result.reason == Reason::error);
  CHECK(result.error_class == "ImportError");
  CHECK_THAT(result.message, Catch::Contains("shop:answer: to import its module ends the program"));
}

TEST_CASE("a call that turned its prints away leaves the next one its log") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    PythonCalls calls(kModule);
    const json more = {{"threads", threads}};
    calls.call("quiet", more);
    const std::int64_t next = calls.start("say", {{"threads", threads}, {"args", {"heard"}}});
    calls.host.end(next);
    CHECK(calls.told(next).out == "heard\n");
  }
}

TEST_CASE("what is no line yet is seen while its call goes on") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    PythonCalls calls(kModule);
    const std::int64_t bar = calls.start("draw_a_bar", {{"threads", threads}});
    calls.host.wait([&] { return calls.told(bar).err.find("\r50 %\r") == 0; });
    write_file(calls.python.folder() + "/seen", "");
    calls.host.end(bar);
    CHECK(calls.told(bar).err == "\r50 %\r100 %");
    std::filesystem::remove(calls.python.folder() + "/seen");
    const std::int64_t dots = calls.start("draw_dots", {{"threads", threads}});
    calls.host.wait([&] { return calls.told(dots).out == "."; });
    write_file(calls.python.folder() + "/seen", "");
    calls.host.end(dots);
  }
}

TEST_CASE("a text of a mebibyte is no larger for the quotes around it") {
  PythonCalls calls(kModule);
  const auto letters = [&](std::size_t count) {
    OperatorRequest request = calls.python.request(++calls.last, "letters", {{"args", {count}}});
    request.output = OutputFormat::text;
    calls.host.start(std::move(request));
    return calls.host.end(calls.last);
  };
  CHECK(letters(1 << 20).output.size() == 1 << 20);
  CHECK_THAT(letters((1 << 20) + 1).message, Catch::Contains("has 1048577 bytes, more than 1 MiB"));
}

TEST_CASE("a call that is too large to hand over is not tried again") {
  PythonCalls calls(kModule);
  const OperatorResult& result = calls.call("say", {{"args", {std::string(9u << 20, 'x')}}});
  CHECK(result.reason == Reason::permanent);
  CHECK_THAT(result.message, Catch::Contains("over 8 MiB"));
}

TEST_CASE("interpreters of many folders do not add up") {
  PythonCalls calls(kModule);
  const auto most = static_cast<std::size_t>(4 * default_processes());
  std::set<std::string> pids;
  for (std::size_t i = 0; i < most + 8; ++i) {
    const std::string folder = calls.python.folder() + "/" + std::to_string(i);
    std::filesystem::create_directory(folder);
    write_file(folder + "/shop.py", kModule);
    OperatorRequest request = calls.python.request(++calls.last, "folder_and_pid");
    request.working_dir = folder;
    calls.host.start(std::move(request));
    const json where = json::parse(calls.host.end(calls.last).output);
    CHECK(where[0] == folder);
    pids.insert(where[1].dump());
  }
  CHECK(pids.size() == most + 8);
  // One more than may rest: the last one was at work when the others were counted.
  calls.host.wait([&] { return calls.host.host->process_count() <= most + 1; });
}
