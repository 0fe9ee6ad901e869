// The operator `python`: calls in warm interpreters.

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/python_support.h"
#include "tests/skip.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

constexpr const char* kModule = R"py(
import os
import subprocess
import sys
import threading
import time

import pawl


def nothing():
    pass


def echo(*args, **kwargs):
    return [list(args), kwargs]


def pid():
    return os.getpid()


def version_of_goods():
    import goods
    return goods.VERSION


class Shop:
    class Closed(ValueError):
        pass

    @staticmethod
    def buy(count):
        if count > 2:
            raise Shop.Closed(f"no {count} today")
        return count


def deep(n):
    if n == 0:
        raise KeyError("bottom")
    deep(n - 1)


def give_up():
    raise pawl.Permanent("never again")


def silent():
    raise TimeoutError


def close():
    sys.exit("out of stock")


def interpreter():
    return sys._xoptions.get("from", "none")


def surroundings():
    found = pawl.attempt()
    return [os.environ["PAWL_ATTEMPT_ID"], os.environ.get("LEFT"), os.getcwd(), found.key, found.item,
            found.index, found.idempotency_key, found.secret("TOKEN"), found.deadline, found.number,
            found.state, found.handle]


def leave_traces():
    os.environ["LEFT"] = "behind"
    os.chdir("/tmp")


def report():
    found = pawl.attempt()
    found.heartbeat()
    found.progress(0.25, "a quarter")
    return [found.set_handle("job-7"), found.set_handle("refused")]


def ask_from_threads(rounds):
    found = pawl.attempt()
    answers = {"job-7": [], "refused": []}
    together = threading.Barrier(len(answers))

    def ask(handle):
        for _ in range(rounds):
            together.wait()
            answers[handle].append(found.set_handle(handle))

    threads = [threading.Thread(target=ask, args=(handle,)) for handle in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[handle].count(True) for handle in answers]


def wait_long():
    print("waiting", flush=True)
    try:
        time.sleep(1000)
    except pawl.Cancelled:
        print("cleaned up")
        raise


def wait_deaf():
    print("deaf", flush=True)
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass


def wait_polite():
    found = pawl.attempt()
    print("polite", flush=True)
    while not found.is_cancelled():
        time.sleep(0.01)
    return "went"


def defer():
    if pawl.attempt().state:
        return pawl.attempt().state
    pawl.attempt().defer(1.5, state="second look")


def defer_by(seconds):
    pawl.attempt().defer(seconds)


def secret(name):
    return pawl.attempt().secret(name)


def lines():
    yield "line"


async def lines_later():
    yield "line"


async def lines_of_another():
    return (line for line in lines())


def skip():
    pawl.attempt().skip("nothing new")


def not_json():
    return {1, 2}


def half_a_pair():
    return "\ud800"


def too_large():
    return "x" * (2 << 20)


def huge_number():
    return 12345678901234567890123


def leave():
    os._exit(7)


def crash():
    import ctypes
    ctypes.string_at(0)


def exit_well():
    sys.exit()


def exit_badly():
    sys.exit("no way")


async def later():
    import asyncio
    await asyncio.sleep(0)
    print("async")
    return "later"


_barrier = threading.Barrier(3, timeout=20)


def burn(ms):
    until = time.thread_time() + ms / 1000
    while time.thread_time() < until:
        pass


def burn_in_a_program(ms):
    work = f"import time\nwhile time.process_time() < {ms / 1000}: pass"
    subprocess.run([sys.executable, "-c", work], check=True)


def burn_and_leave(ms):
    burn(ms)
    os._exit(7)


def fill(mebibytes):
    len(b"x" * (mebibytes << 20))


def fill_and_leave(mebibytes):
    fill(mebibytes)
    os._exit(7)


def meet_and_burn(ms):
    _barrier.wait()
    burn(ms)
    _barrier.wait()
)py";

struct Calls : PythonCalls {
  Calls() : PythonCalls(kModule) {}
};

}  // namespace

TEST_CASE("the schema of python is one that pawl offers") {
  CHECK(check_operator_schema(json::parse(python_schema())).empty());
}

TEST_CASE("a call returns its output") {
  Calls calls;
  const OperatorResult& result =
      calls.call("echo", {{"args", {1, "ü", nullptr}}, {"kwargs", {{"a", 2.5}}}});
  INFO(result.message << result.trace);
  CHECK(result.outcome == Outcome::succeeded);
  CHECK(result.output == R"([[1,"ü",null],{"a":2.5}])");
  CHECK(calls.call("nothing").output == "null");
  CHECK(calls.call("huge_number").output == "12345678901234567890123");
  CHECK(calls.call("Shop.buy", {{"args", {2}}}).output == "2");
  CHECK(calls.call("later").output == "\"later\"");
}

TEST_CASE("an interpreter stays warm") {
  Calls calls;
  const std::string pid = calls.call("pid").output;
  CHECK(calls.call("pid").output == pid);
  CHECK(calls.call("pid", {{"threads", 2}}).output != pid);
}

TEST_CASE("an interpreter ends after the calls that its task gives it") {
  Calls calls;
  std::vector<std::string> pids;
  for (int i = 0; i < 6; ++i) pids.push_back(calls.call("pid", {{"recycle_after", 2}}).output);
  CHECK(pids[0] == pids[1]);
  CHECK(pids[2] == pids[3]);
  CHECK(pids[4] == pids[5]);
  CHECK(std::set<std::string>(pids.begin(), pids.end()).size() == 3);
}

TEST_CASE("an interpreter above its memory limit is replaced between calls, below it is not") {
  Calls calls;
  const auto pid = [&](const char* limit) {
    return calls.call("pid", {{"memory_limit", limit}}).output;
  };
  const std::string roomy = pid("64GiB");
  calls.host.pass(Duration(150));  // memory is looked at ten times a second at most
  CHECK(pid("64GiB") == roomy);
  CHECK(calls.host.recorder.notes.empty());
  const std::string narrow = pid("1MiB");
  CHECK(pid("1MiB") != narrow);
  CHECK_THAT(calls.host.recorder.notes, Catch::Contains("memory_limit"));
}

TEST_CASE("calls share an interpreter unless what it or its loader reads once is different") {
  Calls calls;
  const auto pid = [&](const Variables& env) {
    OperatorRequest request = calls.python.request(++calls.last, "pid");
    request.variables = env;
    calls.host.start(std::move(request));
    return calls.host.end(calls.last).output;
  };
  const std::string plain = pid({});
  CHECK(pid({{"ORDER", "1"}}) == plain);
  std::set<std::string> pids = {plain};
  for (const auto& [name, value] :
       {std::pair("PYTHONHASHSEED", "1"), {"PYTHONHASHSEED", "2"}, {"LD_BIND_NOW", "1"}}) {
    INFO(name << '=' << value);
    const std::string own = pid({{name, value}});
    CHECK(pids.insert(own).second);
    CHECK(pid({{name, value}}) == own);
  }
  CHECK(pid({}) == plain);
}

TEST_CASE("an exception tells its class, its message and its trace without pawl's own frames") {
  Calls calls;
  const OperatorResult& result = calls.call("deep", {{"args", {2}}});
  CHECK(result.outcome == Outcome::failed);
  CHECK(result.reason == Reason::error);
  CHECK(result.error_class == "KeyError");
  CHECK(result.message == "KeyError: 'bottom'");
  CHECK_THAT(result.trace, Catch::StartsWith("Traceback (most recent call last):\n  File \"" +
                                             calls.python.folder() + "/shop.py\""));
  CHECK_THAT(result.trace, Catch::Contains("deep(n - 1)"));
  CHECK_THAT(result.trace, !Catch::Contains("pawl_python"));
  CHECK(calls.call("Shop.buy", {{"args", {3}}}).error_class == "shop.Shop.Closed");
}

TEST_CASE("the message of an exception is what Python prints, a sentence of its caller alone") {
  Calls calls;
  CHECK(calls.call("silent").message == "TimeoutError");
  CHECK(calls.call("Shop.buy", {{"args", {3}}}).message == "shop.Shop.Closed: no 3 today");
  CHECK(calls.call("give_up").message == "never again");
  CHECK(calls.call("close").message == "out of stock");
}

TEST_CASE("listed classes and their children are permanent") {
  Calls calls;
  const json three = {3};
  for (const char* name : {"ValueError", "shop.Shop.Closed", "Closed"}) {
    CHECK(calls.call("Shop.buy", {{"args", three}, {"permanent", {name}}}).reason ==
          Reason::permanent);
  }
  CHECK(calls.call("Shop.buy", {{"args", three}, {"permanent", {"OSError"}}}).reason ==
        Reason::error);
  CHECK(calls.call("give_up").reason == Reason::permanent);
}

TEST_CASE("what cannot be imported or called fails with the reason") {
  Calls calls;
  CHECK(calls.call("missing").error_class == "AttributeError");
  CHECK(calls.call("_barrier.parties").error_class == "TypeError");
  const OperatorResult& result =
      calls.call("pid", {{"path", {calls.python.folder() + "/elsewhere"}}});
  CHECK(result.error_class == "ModuleNotFoundError");
  CHECK(result.message == "ModuleNotFoundError: No module named 'shop'");
}

TEST_CASE("an output that is no JSON fails as output") {
  Calls calls;
  for (const char* name : {"not_json", "half_a_pair", "too_large"}) {
    INFO(name);
    CHECK(calls.call(name).reason == Reason::output);
  }
  OperatorRequest request = calls.python.request(100, "not_json");
  request.output = OutputFormat::none;
  calls.host.start(std::move(request));
  CHECK(calls.host.end(100).outcome == Outcome::succeeded);
}

TEST_CASE("a call finds its attempt, and nothing of the one before") {
  Calls calls;
  CHECK(calls.call("leave_traces").outcome == Outcome::succeeded);
  OperatorRequest request = calls.python.request(50, "surroundings");
  request.key = "k";
  request.item = R"({"n":1})";
  request.index = ItemIndex(4);
  request.secrets = {{"TOKEN", "sesame"}};
  request.deadline = WallTime{1500};
  request.number = 3;
  request.state = "s";
  request.handle = "h";
  calls.host.start(std::move(request));
  const json expected = {
      "50", nullptr, calls.python.folder(), "k", {{"n", 1}}, 4, "key-50", "sesame", 1.5, 3,
      "s",  "h"};
  CHECK(json::parse(calls.host.end(50).output) == expected);
}

TEST_CASE("a call reports while it runs") {
  for (int threads : {1, 2}) {
    Calls calls;
    const std::int64_t id = calls.start("report", {{"threads", threads}});
    CHECK(calls.host.end(id).output == "[true,false]");
    CHECK(calls.told(id).heartbeats == 1);
    CHECK(calls.told(id).fraction == 0.25);
    CHECK(calls.told(id).progress == "a quarter");
  }
}

TEST_CASE("threads of one call hear each its own answer") {
  for (int threads : {1, 2}) {
    Calls calls;
    const int rounds = threads == 1 ? 3 : 50;  // with one thread answers are read by the ticker
    const std::int64_t id =
        calls.start("ask_from_threads", {{"threads", threads}, {"args", {rounds}}});
    CHECK(calls.host.end(id).output == "[" + std::to_string(rounds) + ",0]");
  }
}

TEST_CASE("a cancelled call is interrupted where it waits, and may clean up") {
  Calls calls;
  const std::int64_t id = calls.start("wait_long");
  calls.wait_for_log(id, "waiting");
  calls.host.backend->cancel(AttemptId(id));
  CHECK(calls.host.end(id).error_class == "pawl.Cancelled");
  CHECK(calls.told(id).out == "waiting\ncleaned up\n");
  CHECK(calls.call("nothing").outcome == Outcome::succeeded);
  CHECK(calls.host.recorder.notes.empty());
}

TEST_CASE("a cancellation that is read together with its start is not forgotten") {
  Calls calls;
  const pid_t interpreter = std::stoi(calls.call("pid").output);
  REQUIRE(::kill(interpreter, SIGSTOP) == 0);
  const std::int64_t id = calls.start("wait_long");
  calls.host.wait([&] { return !calls.told(id).is_waiting; });
  calls.host.backend->cancel(AttemptId(id));
  REQUIRE(::kill(interpreter, SIGCONT) == 0);
  CHECK(calls.host.end(id).error_class == "pawl.Cancelled");
  CHECK(calls.told(id).out.empty());
  CHECK(calls.call("pid").output == std::to_string(interpreter));
}

TEST_CASE("a call that asks sees that it is cancelled, with threads too") {
  Calls calls;
  const std::int64_t id = calls.start("wait_polite", {{"threads", 2}});
  calls.wait_for_log(id, "polite");
  calls.host.backend->cancel(AttemptId(id));
  CHECK(calls.host.end(id).output == "\"went\"");
}

TEST_CASE("a call that does not listen is killed with its interpreter") {
  Calls calls;
  const std::int64_t id = calls.start("wait_deaf");
  calls.wait_for_log(id, "deaf");
  calls.host.backend->cancel(AttemptId(id));
  CHECK(calls.host.backend->kill(AttemptId(id)));
  CHECK(calls.host.end(id).outcome == Outcome::lost);
  CHECK(calls.call("nothing").outcome == Outcome::succeeded);
}

TEST_CASE("a call may defer, and is told its state the next time") {
  Calls calls;
  const OperatorResult& result = calls.call("defer");
  CHECK(result.outcome == Outcome::deferred);
  CHECK(result.after == Duration(1500));
  OperatorRequest request = calls.python.request(60, "defer");
  request.state = result.state;
  calls.host.start(std::move(request));
  CHECK(calls.host.end(60).output == "\"second look\"");
}

TEST_CASE("a call defers by a time that there is") {
  Calls calls;
  for (const char* seconds : {"-1", "1e9"}) {
    const OperatorResult& result =
        calls.call("defer_by", {{"kwargs", {{"seconds", json::parse(seconds)}}}});
    CHECK(result.error_class == "ValueError");
    CHECK_THAT(result.message, Catch::StartsWith("ValueError: defer: 0 s to 366 days, not "));
  }
  CHECK(calls.call("defer_by", {{"args", {0}}}).outcome == Outcome::deferred);
}

TEST_CASE("a generator is no call that has run, and fails for good") {
  Calls calls;
  using Case = std::pair<std::string, std::string>;
  for (const auto& [name, instead] : {Case{"lines", "list(…)"}, Case{"lines_of_another", "list(…)"},
                                      Case{"lines_later", "[one async for one in …]"}}) {
    for (const OutputFormat output : {OutputFormat::none, OutputFormat::json}) {
      INFO(name);
      OperatorRequest request = calls.python.request(++calls.last, name);
      request.output = output;
      calls.host.start(std::move(request));
      const OperatorResult& result = calls.host.end(calls.last);
      CHECK(result.reason == Reason::permanent);
      CHECK_THAT(result.message, Catch::StartsWith("shop:" + name + " gave a") &&
                                     Catch::Contains("nothing of it has run") &&
                                     Catch::EndsWith("as in `return " + instead + '`'));
    }
  }
}

TEST_CASE("who asks for a secret that the task does not name is told which it names") {
  Calls calls;
  const auto message_of = [&](const std::map<std::string, std::string>& secrets) {
    OperatorRequest request = calls.python.request(++calls.last, "secret", {{"args", {"TOKNE"}}});
    request.secrets = secrets;
    calls.host.start(std::move(request));
    return calls.host.end(calls.last).message;
  };
  CHECK(message_of({{"TOKEN", "sesame"}, {"KEY", "open"}}) ==
        "KeyError: \"the task names no secret 'TOKNE', only KEY, TOKEN\"");
  CHECK(message_of({}) == "KeyError: \"the task names no secret 'TOKNE', and no other\"");
}

TEST_CASE("a call may skip, or exit as a script would") {
  Calls calls;
  const OperatorResult& skipped = calls.call("skip");
  CHECK(skipped.outcome == Outcome::skipped);
  CHECK(skipped.message == "nothing new");
  CHECK(calls.call("exit_well").outcome == Outcome::succeeded);
  CHECK(calls.call("exit_badly").error_class == "SystemExit");
}

TEST_CASE("an interpreter that dies loses its call") {
  Calls calls;
  const OperatorResult& left = calls.call("leave");
  CHECK(left.outcome == Outcome::lost);
  CHECK_THAT(left.message, Catch::Contains("exited with code 7"));
  CHECK_THAT(calls.call("crash").message, Catch::Contains("SIGSEGV"));
  CHECK(calls.call("nothing").outcome == Outcome::succeeded);
}

TEST_CASE("a call has the CPU time and the memory that it used, not those of the calls before") {
  Calls calls;
  CHECK(calls.call("fill", {{"args", {100}}}).use.peak_memory_bytes > 100 << 20);
  const OperatorResult& busy = calls.call("burn", {{"args", {200}}});
  CHECK(busy.use.cpu_us >= 200'000);
  CHECK(busy.use.peak_memory_bytes > 0);
  CHECK(busy.use.peak_memory_bytes < 100 << 20);
  CHECK(busy.use.memory_bound_bytes == 0);
  const OperatorResult& quick = calls.call("nothing");
  CHECK(std::max(quick.use.peak_memory_bytes, quick.use.memory_bound_bytes) > 1 << 20);
  CHECK(quick.use.cpu_us > 0);
  CHECK(quick.use.cpu_us < 200'000);
  CHECK(calls.call("burn_in_a_program", {{"args", {200}}}).use.cpu_us >= 190'000);
  const OperatorResult& dead = calls.call("burn_and_leave", {{"args", {200}}});
  CHECK(dead.outcome == Outcome::lost);
  CHECK(dead.use.cpu_us >= 200'000);
  CHECK(dead.use.memory_bound_bytes > 1 << 20);
}

TEST_CASE("of an interpreter that dies in its first call the memory is told") {
  Calls calls;
  // More than what this process has, see ProcessTree.
  const OperatorResult& dead = calls.call("fill_and_leave", {{"args", {600}}});
  CHECK(dead.outcome == Outcome::lost);
  CHECK(dead.use.peak_memory_bytes > 600 << 20);
}

TEST_CASE("with threads, each call has the CPU time of its own thread, and of memory a bound") {
  Calls calls;
  for (int ms : {0, 300, 0}) calls.start("meet_and_burn", {{"threads", 3}, {"args", {ms}}});
  for (std::int64_t id : {1, 2, 3}) {
    CAPTURE(id);
    const OperatorResult& end = calls.host.end(id);
    CHECK(end.outcome == Outcome::succeeded);
    CHECK(end.use.cpu_us > 0);
    CHECK((end.use.cpu_us >= 300'000) == (id == 2));
    CHECK(end.use.peak_memory_bytes == 0);
    CHECK(end.use.memory_bound_bytes > 1 << 20);
  }
}

TEST_CASE("a changed file is imported anew") {
  Calls calls;
  const auto answer = [&](const std::string& text) {
    write_file(calls.python.folder() + "/helper.py", "VALUE = " + text + "\n");
    write_file(calls.python.folder() + "/answer.py",
               "import helper\ndef answer():\n    return helper.VALUE\n");
  };
  const auto ask = [&](std::int64_t id) {
    OperatorRequest request = calls.python.request(id, "pid");
    request.parameters = R"({"call":"answer:answer"})";
    calls.host.start(std::move(request));
    return calls.host.end(id).output;
  };
  answer("1");
  CHECK(ask(1) == "1");
  answer("12");
  // An interpreter looks at files at most ten times a second.
  calls.host.pass(Duration(150));
  CHECK(ask(2) == "12");
  // The second and the size may be those of before.
  for (int value : {13, 14, 15}) {
    answer(std::to_string(value));
    calls.host.pass(Duration(150));
    CHECK(ask(value) == std::to_string(value));
  }
}

TEST_CASE("an interpreter that does not exist fails what asks for it") {
  Calls calls;
  const OperatorResult& missing = calls.call("nothing", {{"python", "python9"}});
  CHECK(missing.reason == Reason::spawn);
  CHECK_THAT(missing.message, Catch::Contains("cannot start python9"));
  CHECK_THAT(calls.call("nothing", {{"python", "./venv"}}).message,
             Catch::Contains(calls.python.folder() + "/./venv"));
}

TEST_CASE("a virtual environment is its folder, and another one in each working folder") {
  Calls calls;
  const ScratchFolder other;
  const std::string module = calls.python.folder();
  for (const std::string& folder : {calls.python.folder(), other.path()}) {
    std::filesystem::create_directories(folder + "/venv/bin");
    std::filesystem::create_directories(folder + "/python3");  // no virtual environment
    write_file(folder + "/venv/bin/python",
               "#!/bin/sh\nexec python3 -X from=" + folder + " \"$@\"\n");
    std::filesystem::permissions(folder + "/venv/bin/python", std::filesystem::perms::owner_all);
  }
  const auto ask = [&](std::int64_t id, const std::string& folder, const json& python) {
    OperatorRequest request = calls.python.request(id, "interpreter", {{"path", module}});
    json parameters = json::parse(request.parameters);
    if (!python.is_null()) parameters["python"] = python;
    request.parameters = parameters.dump();
    request.working_dir = folder;
    calls.host.start(std::move(request));
    return calls.host.end(id).output;
  };
  CHECK(ask(1, module, "venv") == json(module).dump());
  CHECK(ask(2, other.path(), "venv") == json(other.path()).dump());
  CHECK(ask(3, other.path(), "./venv") == json(other.path()).dump());
  CHECK(ask(4, module, other / "venv") == json(other.path()).dump());
  CHECK(ask(5, module, nullptr) == "\"none\"");
  CHECK(ask(6, module, "python3") == "\"none\"");
}

TEST_CASE("what is installed in a virtual environment is there for the calls that name it") {
  Calls calls;
  const std::string venv = calls.python.folder() + "/.venv";
  if (std::system("python3 -c 'import venv' 2>/dev/null") != 0) {
    return skip("python3 has no module venv");
  }
  REQUIRE(std::system(("python3 -m venv --without-pip " + venv).c_str()) == 0);
  std::string packages;
  for (const auto& entry : std::filesystem::directory_iterator(venv + "/lib")) {
    packages = entry.path().string() + "/site-packages";
  }
  write_file(packages + "/goods.py", "VERSION = 7\n");
  const json named = {{"python", ".venv"}};
  CHECK(calls.call("version_of_goods", named).output == "7");
  const std::string pid = calls.call("pid", named).output;
  CHECK(calls.call("pid", {{"python", ".venv/bin/python"}}).output == pid);
  CHECK(calls.call("version_of_goods").error_class == "ModuleNotFoundError");
}
