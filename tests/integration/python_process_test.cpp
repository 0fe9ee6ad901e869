// The operator `python`: what a call does to the process of its interpreter, which others have
// after it: forks, timers, signal handlers.

#include <string>
#include <utility>

#include "tests/integration/python_support.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

constexpr const char* kModule = R"py(
import faulthandler
import os
import signal
import subprocess
import sys
import time
import weakref

import pawl

os.umask(0o027)


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


TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_watched = []


def set_timers():
    for timer in TIMERS:
        signal.setitimer(timer, 1000)
    with open(os.devnull) as file:
        faulthandler.dump_traceback_later(1000, exit=True, file=file)
        _watched.append(weakref.ref(file))  # as long as somebody may write to it


def running_timers():
    watched = [one() is not None for one in _watched]
    return [timer for timer in TIMERS if signal.getitimer(timer)[0] > 0] + watched


def set_timers_and_wait():
    set_timers()
    print("set", flush=True)
    while not os.path.exists("seen"):
        time.sleep(0.01)
    return running_timers()


def umask():
    now = os.umask(0)
    os.umask(now)
    return now


def surroundings():
    handlers = [signal.getsignal(one) for one in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1)]
    return [oct(umask()), *map(str, handlers), os.getpid()]


def change_surroundings():
    os.umask(0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
)py";

constexpr const char* kModuleWithHandler = R"py(
import signal

signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def is_ignored():
    return signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN


def take_back():
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
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

TEST_CASE("timers that a call leaves behind do not end the next one") {
  for (const int threads : {1, 2}) {
    INFO(threads);
    Calls calls;
    calls.call_in(threads, "set_timers");
    CHECK(calls.call_in(threads, "running_timers").output == "[false]");
  }
}

TEST_CASE("with threads, timers run while any call does") {
  Calls calls;
  const json two = {{"threads", 2}};
  const std::int64_t waits = calls.start("set_timers_and_wait", two);
  calls.wait_for_log(waits, "set");
  CHECK(calls.call("running_timers", two).output == "[0,1,2,true]");
  write_file(calls.python.folder() + "/seen", "");
  CHECK(calls.host.end(waits).output == "[0,1,2,true]");
  CHECK(calls.call("running_timers", two).output == "[false]");
}

TEST_CASE("signal handlers and the umask of a call are its own") {
  Calls calls;
  const std::string before = calls.call("surroundings").output;
  CHECK_THAT(before, Catch::StartsWith(R"(["0o27",)"));
  CHECK(calls.call("change_surroundings").outcome == Outcome::succeeded);
  CHECK(calls.call("surroundings").output == before);
}

TEST_CASE("a signal handler that a module sets when it is imported stays") {
  PythonCalls calls(kModuleWithHandler);
  CHECK(calls.call("is_ignored").output == "true");
  CHECK(calls.call("take_back").outcome == Outcome::succeeded);
  CHECK(calls.call("is_ignored").output == "true");
}
