#!/usr/bin/env python3
"""What operators are told, how long they may be silent, how many wait at once and how they end:
through the real program.

    honest_operators_test.py --pawl PATH [unittest arguments]

Their plugin is plugins/honest.cpp; what others do wrong is in host_test.py."""

import json
import time
from pathlib import Path

import cli_support
from gate_support import GateTest, is_alive
from operator_kinds import Server
from patience import patient
from warm_program import warm_program

CALLS = '''
import os
import time

import pawl


def wait(go, says=None):
    attempt = pawl.attempt()
    while not os.path.exists(go):
        if says == "heartbeat":
            attempt.heartbeat()
        elif says == "progress":
            attempt.progress(0.5, "waits")
        time.sleep(0.01)


def mirror():
    attempt = pawl.attempt()
    with open(os.path.join(attempt.scratch, "note"), "w") as out:
        out.write("mine")
    if attempt.number == 1:
        raise RuntimeError(attempt.idempotency_key)
    names = ("scratch job run task item key index number deadline working_dir idempotency_key "
             "handle state")
    told = {name: getattr(attempt, name) for name in names.split()}
    return told | {name: attempt.env.get(name) for name in ("FOO", "PAWL_RUN_ID", "PAWL_MAP_KEY")}
'''

WARM = warm_program('''\
  until [ -e GO ]; do
    case $line in
      *'"says":"heartbeat"'*) printf '{"type":"heartbeat","attempt":%s}\\n' "$attempt" ;;
      *'"says":"progress"'*)
        printf '{"type":"progress","attempt":%s,"fraction":0.5,"text":"waits"}\\n' "$attempt" ;;
    esac
    sleep 0.02
  done
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' "$attempt"
''')

# As long as a machine could need it.
ENDLESS_SQL = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
               "SELECT count(*) FROM n")


class HonestTest(GateTest):
    def setUp(self):
        super().setUp()
        self.put_library("PAWL_HONEST_PLUGIN")
        self.go = self.root / "go"

    def settings(self, **settings):
        self.write("home/settings.json", settings)

    def rows_of(self, run):
        """The attempts of a run, in the order of its items."""
        rows = self.pawl("attempts", "--run", run, "-o", "json", "--limit", 0).json()
        return sorted(rows, key=lambda a: (a["task"], a["index"] or 0, a["attempt"]))

    def hosts(self):
        """Processes that have the plugin."""
        return [pid for pid in self.workers()
                if b"honest.so" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def worker_of(self, pid):
        """What the scheduler says of one."""
        workers = self.pawl("status", "-o", "json").json()["scheduler"]["workers"]
        return next((w for w in workers if w["pid"] == pid), {"state": "gone", "attempts": 0})

    def assert_succeeds(self, tasks):
        """The hosts that a run of these had."""
        run = self.detach(self.job("well", tasks))
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.rows_of(run))
        return {a["worker"] for a in self.rows_of(run)}


class Stalls(HonestTest):
    def test_an_operator_that_is_silent_stalls_and_one_that_says_something_does_not(self):
        span = patient(1)
        self.write("calls.py", CALLS)
        self.put_program("warm", WARM.replace("GO", str(self.go)))
        server = Server(lambda gate: False)
        self.addCleanup(server.close)
        kinds = {"thread": {"operator": "waits_on_thread"}, "loop": {"operator": "waits_on_loop"},
                 "python": {"operator": "python"}, "warm": {"operator": "warm"}}
        speaking, silent = [], []
        for name, kind in kinds.items():
            of_all = {"call": "calls:wait"} if name == "python" else {}
            for voice in ("heartbeat", "progress"):
                says = {"says": voice}
                own = {"args": [str(self.go), voice]} if name == "python" else says
                speaking.append({"id": f"{name}_{voice}", **kind, "with": of_all | own})
            own = {"args": [str(self.go)]} if name == "python" else {}
            silent.append({"id": name, **kind, "with": of_all | own})
        silent += [
            {"id": "http", "operator": "http", "with": {"url": f"{server.url}/wait"}},
            {"id": "sqlite", "operator": "sqlite",
             "with": {"database": ":memory:", "sql": ENDLESS_SQL}}]
        self.serve()
        # A program that reads nothing while it has an attempt ends by being killed.
        of_all = {"stall_timeout": f"{int(span * 1000)}ms", "kill_grace": "200ms"}
        run = self.detach(self.job("j", [task | of_all for task in speaking + silent]),
                          "--concurrency", len(speaking + silent))
        names = [{task["id"] for task in tasks} for tasks in (speaking, silent)]
        self.until("those that speak are at work",
                   lambda: {self.states(run)[name] for name in names[0]} == {"running"})
        begun = time.monotonic()
        self.until("the silent ones have ended",
                   lambda: {n for n, s in self.states(run).items() if s == "failed"} >= names[1])
        self.until("the others have had twice as long",
                   lambda: time.monotonic() - begun > 2 * span)
        self.go.touch()
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual({n: (tasks[n]["state"], tasks[n]["reason"]) for n in names[1]},
                         dict.fromkeys(names[1], ("failed", "stalled")), tasks)
        self.assertEqual({n: tasks[n]["state"] for n in names[0]},
                         dict.fromkeys(names[0], "succeeded"), tasks)
        self.until("the server is not waited for any more", lambda: not server.waiting)


class Told(HonestTest):
    """What an attempt is told of itself."""

    ITEMS = [{"name": "jp", "n": 1}, {"name": "us", "n": [2]}]

    def told(self, operator, deadline, **more):
        """What the two tasks tell, one of which has items: by the place of the item, None for the
        task that has none."""
        folder = self.root / "below"
        folder.mkdir()
        self.serve()
        run = self.detach(self.job("told", [
            {"id": "whole", "output": "json", "env": {"FOO": "of the task"}, **operator},
            {"id": "each", "output": "json", "env": {"FOO": "of {{ item.name }}"},
             "map": {"items": self.ITEMS, "key": "{{ item.name }}"}, "timeout": "1h",
             "working_dir": "below", **operator}], **more))
        before = time.time()
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.rows_of(run))
        found = {None: self.pawl("output", f"{run}/whole").json()}
        for line in self.pawl("output", f"{run}/each").lines:
            one = json.loads(line)
            found[one["index"]] = one
        self.assertEqual(set(found), {None, 0, 1})
        for place, one in found.items():
            at = one.pop(deadline)
            if place is None:
                self.assertIsNone(at)
            else:
                at = at / 1000 if deadline == "deadline_ms" else at
                self.assertTrue(before - 60 < at - 3600 < time.time() + 1, one)
        return run, found

    def expected(self, run, place, **more):
        mapped = place is not None
        item = self.ITEMS[place] if mapped else None
        return {"job": "told", "run": run, "task": "each" if mapped else "whole", "item": item,
                "key": item["name"] if mapped else "", "index": place, "handle": "",
                "working_dir": str(self.root / "below" if mapped else self.root),
                "FOO": f"of {item['name']}" if mapped else "of the task", "PAWL_RUN_ID": run,
                "PAWL_MAP_KEY": item["name"] if mapped else None, **more}

    def assert_removed(self, scratches):
        self.until("the scratch folders are removed",
                   lambda: not [path for path in scratches if Path(path).exists()])

    def test_a_native_operator_is_told_what_it_works_for_and_gets_its_state_back(self):
        parameters = {"a": [1, "two"], "b": {}}
        run, found = self.told({"operator": "mirror", "with": parameters}, "deadline_ms")
        scratches, keys = [], set()
        for place, told in found.items():
            state = json.loads(told.pop("state"))
            scratches += [state["scratch"], told.pop("scratch")]
            self.assertEqual(state["idempotency_key"], told["idempotency_key"])
            keys.add(told.pop("idempotency_key"))
            if place is None:
                self.assertEqual(told["index"], -1)
                told["index"] = None
            self.assertEqual(told, self.expected(run, place, number=1, output_format="json",
                                                 parameters=parameters))
        self.assertEqual(len(keys), 3)
        self.assert_removed(scratches)

    def test_a_call_in_python_is_told_what_it_works_for(self):
        self.write("calls.py", CALLS)
        run, found = self.told(
            {"operator": "python", "with": {"call": "calls:mirror", "path": str(self.root)},
             "retry": {"max_attempts": 2, "delay": "0s"}}, "deadline")
        keys = {None if a["task"] == "whole" else a["index"]: a["error"]["message"]
                for a in self.rows_of(run) if a["attempt"] == 1 and a["error"]}
        scratches = []
        for place, told in found.items():
            scratches.append(told.pop("scratch"))
            # The first attempt of the same work had the same one.
            self.assertEqual(keys[place], f"RuntimeError: {told.pop('idempotency_key')}")
            self.assertEqual(told, self.expected(run, place, number=2, state=""))
        self.assertEqual(len(set(keys.values())), 3)
        self.assert_removed(scratches)


class Thousands(HonestTest):
    COUNT = 2500

    def begin(self):
        """All of them at once in the one host that there is."""
        job = self.job("many", [{"id": "a", "operator": "waits_on_loop",
                                 "map": {"items": list(range(self.COUNT)),
                                         "max_concurrent": self.COUNT}}])
        run = self.detach(job, "--concurrency", self.COUNT)
        # The host itself has said so of each.
        self.until("all are at work",
                   lambda: [a["state"] for a in self.rows_of(run)] == ["running"] * self.COUNT)
        return run

    def assert_ended_once(self, run, state):
        """Each of them, in one host."""
        rows = self.rows_of(run)
        self.assertEqual([(a["index"], a["attempt"], a["state"]) for a in rows],
                         [(i, 1, state) for i in range(self.COUNT)])
        self.assertEqual(len({a["worker"] for a in rows}), 1)

    def test_they_wait_in_one_host_outlive_the_scheduler_and_are_cancelled_together(self):
        self.settings(hosts={"per_library": 1})
        serve = self.serve()
        run = self.begin()
        host, = self.hosts()
        self.kill(serve)
        serve = self.serve()
        self.until("it has them all", lambda: self.worker_of(host)["attempts"] == self.COUNT)
        self.go.touch()
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ended_once(run, "succeeded")
        self.go.unlink()
        run = self.begin()
        later_host, = set(self.hosts()) - {host}
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")
        self.assert_ended_once(run, "cancelled")
        # They ended as they were asked to: nobody had to end their host.
        self.assertIn(later_host, self.hosts())


class Hosts(HonestTest):
    def wait(self, name="a", **more):
        return {"id": name, "operator": "waits_on_loop", **more}

    def test_a_host_without_attempts_goes_after_a_while_and_a_fresh_one_takes_the_next(self):
        self.settings(hosts={"idle": "1s"})
        self.serve()
        self.go.touch()
        first = self.assert_succeeds([self.wait()])
        pids = self.hosts()
        self.until("its host has gone", lambda: not self.hosts())
        second = self.assert_succeeds([self.wait()])
        self.assertTrue(first.isdisjoint(second), (first, second))
        self.assertTrue(set(pids).isdisjoint(self.hosts()))

    def test_one_on_the_loop_that_never_ends_takes_its_host_along_when_all_others_have_ended(self):
        self.serve()
        run = self.detach(self.job("j", [
            self.wait("beside"),
            {"id": "a", "operator": "endless", "timeout": "100ms", "kill_grace": "100ms"}]))
        self.until("one is at work", lambda: ("beside", 1) in self.attempts_of(run))
        host, = self.hosts()
        self.until("the host takes no more", lambda: self.worker_of(host)["state"] != "up")
        self.assertEqual(self.tasks_of(run)["beside"]["state"], "running")
        self.go.touch()
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["a"]["state"], tasks["a"]["reason"]), ("failed", "timeout"))
        self.assertEqual(tasks["beside"]["state"], "succeeded")
        self.assertEqual(sorted(self.attempts_of(run)), [("a", 1), ("beside", 1)])
        self.until("its host has gone", lambda: not is_alive(host))
        self.assert_succeeds([self.wait()])


class Libraries(HonestTest):
    def test_an_operator_that_cannot_begin_says_why_and_the_others_of_its_library_work(self):
        self.go.touch()
        self.serve()
        run = self.detach(self.job("j", [
            {"id": "a", "operator": "unlicensed", "retry": {"max_attempts": 2, "delay": "0s"}},
            {"id": "b", "operator": "waits_on_thread", "depends_on": ["a"],
             "trigger_rule": "all_done"},
            {"id": "c", "operator": "waits_on_loop"}]))
        self.assertEqual(self.until_ended(run)["state"], "failed")
        attempts = self.attempts_of(run)
        self.assertEqual({key: (a["state"], a["reason"], (a["error"] or {}).get("message"))
                          for key, a in attempts.items()},
                         {("a", 1): ("failed", "error", "no licence here"),
                          ("a", 2): ("failed", "error", "no licence here"),
                          ("b", 1): ("succeeded", None, None),
                          ("c", 1): ("succeeded", None, None)})
        self.assertEqual(len({a["worker"] for a in attempts.values()}), 1)

    def test_a_plugin_whose_tables_have_more_at_their_ends_works(self):
        self.put_library("PAWL_LATER_PLUGIN")
        tasks = [{"id": name, "operator": name, "output": "json"} for name in ("later", "later_too")]
        done = self.pawl("run", self.job("j", tasks))
        self.assertNotIn("later.so", done.err)
        for task in tasks:
            self.assertEqual(self.pawl("output", f"@latest/{task['id']}").json(), "works")


if __name__ == "__main__":
    cli_support.main()
