// The operator `python`: what calls print and log.

#include <algorithm>
#include <sstream>
#include <string>

#include "tests/integration/python_support.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

constexpr const char* kModule = R"py(
import concurrent.futures
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading

import pawl


def talk():
    print("to out")
    print("to err", file=sys.stderr)
    logging.warning("logged")
    sys.stdout.buffer.write(b"bytes\n")
    print("no end", end="")


def write_pieces():
    for byte in "ä€😀\n".encode():
        sys.stdout.buffer.write(bytes([byte]))
        sys.stdout.flush()
    sys.stderr.buffer.write("half: ".encode() + b"\xe2\x82")


def talk_in_threads():
    def say(word):
        print(word, pawl.attempt().id)

    thread = threading.Thread(target=say, args=("thread",))
    thread.start()
    thread.join()
    _pool.submit(say, "pool").result()


_pool = concurrent.futures.ThreadPoolExecutor(1)
_wake = threading.Event()
_left = []


def leave_a_thread():
    def speak_later():
        _wake.wait()
        print("left behind")

    _left.append(threading.Thread(target=speak_later))
    _left[0].start()


def wake_the_thread():
    _wake.set()
    _left[0].join()


def program():
    subprocess.run(["echo", "from a program"], check=True)
    os.write(1, b"from below\n")


def say_and_crash():
    print("to out", flush=True)
    print("at", end=" ", flush=True)
    for number in range(30):
        print("step", number, file=sys.stderr)
    ctypes.string_at(0)


_barrier = threading.Barrier(3, timeout=20)


def meet(name):
    print("I am", name)
    _barrier.wait()
    return [name, pawl.attempt().id]


def rings(lines, every, times):
    is_armed = False

    def ring(*_):
        nonlocal is_armed
        for _ in range(times):
            sys.stdout.write("ring\n")
        is_armed = False

    signal.signal(signal.SIGALRM, ring)
    try:
        for i in range(lines):
            if not is_armed:  # however slow the host: no more than it takes
                is_armed = True
                signal.setitimer(signal.ITIMER_REAL, every)
            sys.stdout.write(f"line {i}\n")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def rings_between_lines(lines):
    """Also between any two lines of the code that prints. Returns how often."""
    rung = 0

    def ring(*_):
        nonlocal rung
        rung += 1
        sys.stdout.write(f"ring {rung}\n")

    def look(frame, event, _):
        if frame.f_code.co_name not in ("alone", "_do_late", "_do_next_late", "_hold"):
            return None
        if event == "line":
            signal.raise_signal(signal.SIGALRM)
        return look

    signal.signal(signal.SIGALRM, ring)
    sys.settrace(look)
    try:
        for i in range(lines):
            sys.stdout.write(f"line {i}\n")
    finally:
        sys.settrace(None)
    return rung


def rings_much(times):
    """As often, within one print. Returns what that says."""
    def ring(*_):
        for _ in range(times):
            sys.stdout.write("ring\n")

    def look(frame, event, _):
        if frame.f_code.co_name == "_log":
            sys.settrace(None)
            signal.raise_signal(signal.SIGALRM)

    signal.signal(signal.SIGALRM, ring)
    sys.settrace(look)
    try:
        sys.stdout.write("line\n")
    except RuntimeError as error:
        return str(error)
    finally:
        sys.settrace(None)
)py";

struct Calls : PythonCalls {
  Calls() : PythonCalls(kModule) {}
};

}  // namespace

TEST_CASE("what is printed and logged goes to the attempt's log") {
  Calls calls;
  const std::int64_t id = calls.start("talk");
  CHECK(calls.host.end(id).outcome == Outcome::succeeded);
  CHECK(calls.told(id).out == "to out\nbytes\nno end");
  CHECK(calls.told(id).err == "to err\nWARNING:root:logged\n");
}

TEST_CASE("a character that is written in pieces comes whole") {
  Calls calls;
  const std::int64_t id = calls.start("write_pieces");
  CHECK(calls.host.end(id).outcome == Outcome::succeeded);
  CHECK(calls.told(id).out == "ä€😀\n");
  CHECK(calls.told(id).err == "half: \\xe2\\x82");
}

TEST_CASE("who handles a signal may print while a line is being printed") {
  constexpr int kLines = 20'000;
  std::string expected;
  for (int i = 0; i < kLines; ++i) expected += "line " + std::to_string(i) + "\n";
  Calls calls;
  // A line often, and thousands now and then.
  for (const json& rings : {json{0.0002, 1}, json{0.01, 3'000}}) {
    const json arguments = {kLines, rings[0], rings[1]};
    const OperatorResult& result = calls.call("rings", {{"args", arguments}});
    INFO(result.message << result.trace);
    CHECK(result.outcome == Outcome::succeeded);
    std::string lines;
    int rung = 0;
    std::istringstream log(calls.told(calls.last).out);
    for (std::string line; std::getline(log, line);) {
      if (line == "ring") {
        ++rung;
      } else {
        lines += line + '\n';
      }
    }
    CHECK(rung > 0);
    CHECK(rung % rings[1].get<int>() == 0);
    CHECK(lines == expected);
  }
}

TEST_CASE("who handles a signal may print between any two steps of a print") {
  Calls calls;
  const OperatorResult& result = calls.call("rings_between_lines", {{"args", {50}}});
  INFO(result.message << result.trace);
  REQUIRE(result.outcome == Outcome::succeeded);
  const int rung = std::stoi(result.output);
  CHECK(rung > 50);
  int next = 0;
  int heard = 0;
  std::istringstream log(calls.told(calls.last).out);
  for (std::string line; std::getline(log, line);) {
    if (line.starts_with("ring"))
      CHECK(line == "ring " + std::to_string(++heard));
    else
      CHECK(line == "line " + std::to_string(next++));
  }
  CHECK(next == 50);
  CHECK(heard == rung);
}

TEST_CASE("more than can wait for a print is an error of it, and tears no line") {
  Calls calls;
  const OperatorResult& result = calls.call("rings_much", {{"args", {100'003}}});
  INFO(result.message << result.trace);
  CHECK(result.output == R"("3 prints are lost: too much was printed within a print")");
  const std::string& out = calls.told(calls.last).out;
  CHECK(out.starts_with("line\nring\n"));
  CHECK(std::count(out.begin(), out.end(), '\n') == 100'001);
}

TEST_CASE("what threads of a call print goes to the attempt's log") {
  for (int threads : {1, 2}) {
    Calls calls;
    for (const char* number : {"1", "2"}) {
      CHECK(calls.call("talk_in_threads", {{"threads", threads}}).outcome == Outcome::succeeded);
      const std::string of_call = std::string(" ") + number + "\n";
      CHECK(calls.told(calls.last).out == "thread" + of_call + "pool" + of_call);
    }
  }
}

TEST_CASE("a thread that outlives its call does not speak for it any more") {
  Calls calls;
  const json two = {{"threads", 2}};
  CHECK(calls.call("leave_a_thread", two).outcome == Outcome::succeeded);
  CHECK(calls.call("wake_the_thread", two).outcome == Outcome::succeeded);
  CHECK(calls.told(1).out.empty());
  CHECK(calls.told(2).err == "left behind\n");  // of the interpreter, which has one attempt
  CHECK(calls.host.recorder.notes.empty());
}

TEST_CASE("what a program of a call prints goes to the attempt's log too") {
  Calls calls;
  const std::int64_t id = calls.start("program");
  CHECK(calls.host.end(id).outcome == Outcome::succeeded);
  CHECK(calls.told(id).err == "from a program\nfrom below\n");
}

TEST_CASE("what a call said on standard error or flushed is there when its interpreter crashes") {
  Calls calls;
  const std::int64_t id = calls.start("say_and_crash");
  const OperatorResult& dead = calls.host.end(id);
  CHECK(dead.outcome == Outcome::lost);
  std::string steps;
  for (int i = 0; i < 30; ++i) steps += "step " + std::to_string(i) + "\n";
  CHECK_THAT(calls.told(id).err, Catch::StartsWith(steps));
  CHECK(calls.told(id).out == "to out\nat ");
  INFO(dead.trace);
  CHECK_THAT(dead.trace,
             Catch::Contains("shop.py\", line") && Catch::Contains(" in say_and_crash"));
}

TEST_CASE("with threads, calls run at once and each has its own log") {
  Calls calls;
  for (const char* name : {"a", "b", "c"}) {
    calls.start("meet", {{"threads", 3}, {"args", {name}}});
  }
  CHECK(calls.host.end(1).output == R"(["a",1])");
  CHECK(calls.host.end(2).output == R"(["b",2])");
  CHECK(calls.host.end(3).output == R"(["c",3])");
  CHECK(calls.told(1).out == "I am a\n");
  CHECK(calls.told(3).out == "I am c\n");
  CHECK(calls.host.host->process_count() == 1);
}
