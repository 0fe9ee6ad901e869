// The operator `python`: what a call does to the process of its interpreter, which others have
// after it: forks.

#include <string>
#include <utility>

#include "tests/integration/python_support.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

constexpr const char* kModule = R"py(
import os
import subprocess
import sys

import pawl


def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def come_back():
    return {1, 2}


def print_late():
    sys.stdout = open(2, "w", closefd=False)
    print("buffered")


def exit_with(*words):
    sys.exit(*words)


def fail():
    raise ValueError("cannot load")


def fork_and(function, *words):
    child = os.fork()
    if child == 0:
        return globals()[function](*words)
    return status_of(child)


def name_a_handle():
    sys.exit(4 if pawl.attempt().set_handle("job-7") is False else 5)


def fork_twice(files):
    child = os.fork()
    if child == 0:
        opened = [open(f"file {i}", "w") for i in range(files)]
        sys.exit(fork_and("write_to", opened))
    return status_of(child)


def write_to(files):
    for file in files:
        file.write("written")
        file.close()
    sys.exit(len(files))


def fork_and_start():
    child = os.fork()
    if child == 0:
        said = subprocess.run(["echo", "said"], stdout=subprocess.PIPE, preexec_fn=os.setsid)
        sys.exit(said.stdout.decode())
    return status_of(child)
)py";

struct Calls : PythonCalls {
  Calls() : PythonCalls(kModule) {}

  const OperatorResult& call_in(int threads, const std::string& function,
                                json args = json::array()) {
    return call(function, {{"threads", threads}, {"args", std::move(args)}});
  }
};

}  // namespace

TEST_CASE("a fork that comes back from the call ends as Python does, and is not the interpreter") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    Calls calls;
    const auto status = [&](json how) {
      return calls.call_in(threads, "fork_and", std::move(how)).output;
    };
    CHECK(status({"come_back"}) == "0");
    CHECK(status({"exit_with"}) == "0");
    CHECK(status({"exit_with", 3}) == "3");
    CHECK(status({"exit_with", -1}) == "255");
    CHECK(calls.told(calls.last).err.empty());
    CHECK(status({"print_late"}) == "0");
    CHECK(calls.told(calls.last).err == "buffered\n");
    CHECK(status({"exit_with", "nothing to load"}) == "1");
    CHECK(calls.told(calls.last).err == "nothing to load\n");
    CHECK(status({"fail"}) == "1");
    const std::string& trace = calls.told(calls.last).err;
    CHECK_THAT(trace, Catch::StartsWith("Traceback (most recent call last):\n"));
    CHECK_THAT(trace, Catch::EndsWith("\nValueError: cannot load\n"));
    CHECK_THAT(trace, !Catch::Contains("pawl_python"));
    CHECK(calls.host.host->process_count() == 1);
  }
}

TEST_CASE("a fork of a fork keeps its files, and pawl says nothing in it") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    Calls calls;
    for (const char* files : {"0", "8"}) {
      CHECK(calls.call_in(threads, "fork_twice", {json::parse(files)}).output == files);
      CHECK(calls.told(calls.last).err.empty());
    }
    CHECK(calls.call_in(threads, "fork_and_start").output == "1");
    CHECK(calls.told(calls.last).err == "said\n\n");
  }
}

TEST_CASE("a fork that names a handle is told that it is not kept") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    Calls calls;
    CHECK(calls.call_in(threads, "fork_and", {"name_a_handle"}).output == "4");
  }
}
