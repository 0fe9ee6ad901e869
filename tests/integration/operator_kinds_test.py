#!/usr/bin/env python3
"""Every kind of operator through restarts of the scheduler, deaths of workers, cancellations,
time-outs and failures.

    operator_kinds_test.py --pawl PATH [unittest arguments]
"""

import json
import os
import time

import cli_support
from gate_support import GateTest
from operator_kinds import ASLEEP, KILL, SENSORS, TERM, KindsTest
from patience import patient
from warm_program import warm_program


class RestartedUnderThem(KindsTest):
    def assert_real_results(self, run):
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.states(run))
        self.assert_outputs(run)
        attempts = {name for name, _ in self.attempts_of(run)}
        self.assertEqual({(n, t["attempts"]) for n, t in self.tasks_of(run).items()},
                         {(name, 1) for name in self.kinds})
        self.assertEqual(attempts, set(self.kinds))
        self.assertEqual(self.server.seen, 1, "the server was called twice")
        self.assertEqual(self.mail.taken, 1, "the mail was sent twice")
        self.assertEqual([r["state"] for r in self.runs_below()], ["succeeded"])
        self.assert_ran_once("process", "job")

    def restart(self, how, ends_meanwhile):
        serve = self.serve()
        run = self.run_kinds()
        self.until_all_wait(run)
        self.stop(serve, how)
        if ends_meanwhile:
            self.let_all_go()
            self.until("what needs no scheduler has ended", lambda: not self.going_on() - {"warm"})
        self.serve()
        if not ends_meanwhile:
            states = self.states(run)
            sensors = set(SENSORS)  # between two looks they may be anything
            self.assertEqual({n for n, s in states.items() if s == "running"} - sensors,
                             set(self.kinds) - set(ASLEEP), states)
            self.assertEqual(states["job"], "deferred")
            self.let_all_go()
        self.assert_real_results(run)

    def test_kill_9_disturbs_none_of_them(self):
        self.restart(KILL, ends_meanwhile=False)

    def test_sigterm_disturbs_none_of_them(self):
        self.restart(TERM, ends_meanwhile=False)

    def test_what_ends_while_nobody_is_up_is_known_afterwards(self):
        self.restart(KILL, ends_meanwhile=True)


class WorkersDie(KindsTest):
    """What a worker had when it died is begun again, and what nobody had goes on as if nothing was."""

    def die_under_them(self, with_scheduler):
        serve = self.serve()
        run = self.run_kinds(retry={"max_attempts": 3, "delay": "0s"})
        self.until_all_wait(run)
        first = [pid for _, _, pid in self.noted("start")]
        pid_files = [self.pid_file, self.gates / "warm.pid"]
        first += map(self.pid_in, pid_files)
        for path in pid_files:
            path.unlink()
        statements = self.statements_of_postgres()
        self.assertEqual(len(statements), int("postgres" in self.kinds))
        if with_scheduler:
            self.kill(serve)
        self.kill_workers()
        if with_scheduler:
            self.serve()
        self.until_all_wait(run, attempt=2)
        self.assertEqual([pid for pid in first if self.is_running(pid)], [])
        self.until("the server has ended the statements of the dead",
                   lambda: not statements & self.statements_of_postgres())
        self.let_all_go()
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.states(run))
        self.assert_outputs(run)
        outcomes = {}
        for (name, _), attempt in sorted(self.attempts_of(run).items()):
            outcomes.setdefault(name, []).append(attempt["state"])
        for name in SENSORS:  # one that looked just then is lost, too
            self.assertEqual(outcomes.pop(name)[-1], "succeeded")
        # The call is the scheduler's own; of its run the program was a worker's.
        self.assertEqual(outcomes.pop("job"), ["succeeded"])
        below, = self.runs_below()
        how = "interrupted" if with_scheduler else "lost"
        self.assertEqual([a["state"] for _, a in sorted(self.attempts_of(below["run"]).items())],
                         [how, "succeeded"])
        self.assertEqual(outcomes, {name: [how, "succeeded"] for name in self.kinds
                                    if name not in ASLEEP})
        self.assertEqual((self.server.seen, self.mail.taken), (2, 1))
        self.assertEqual(self.lock.execute("SELECT count(*) FROM t").fetchone(), (1,))

    def test_what_they_had_is_lost_gone_and_begun_again_and_nothing_is_done_twice(self):
        self.die_under_them(with_scheduler=False)

    def test_when_everything_dies_all_is_begun_again_and_nothing_is_done_twice(self):
        self.die_under_them(with_scheduler=True)


class Sleepers(GateTest):
    """Nobody has them while they sleep."""

    def sleeper(self, span, **more):
        return {"id": "a", "operator": "sleep", "with": {"for": f"{int(span)}ms"}, **more}

    def until_it_sleeps(self, run):
        self.until("it sleeps", lambda: self.states(run) == {"a": "deferred"})

    def test_a_sleeper_wakes_when_it_was_to_wake_whatever_dies_meanwhile(self):
        deaths = {"scheduler": (True, False), "workers": (False, True), "both": (True, True)}
        for name, (scheduler, workers) in deaths.items():
            with self.subTest(name):
                serve = self.serve()
                span = patient(4000)
                job = self.job("sleeper", [self.sleeper(span)])
                begun = time.monotonic()
                run = self.detach(job)
                self.until_it_sleeps(run)
                if scheduler:
                    self.kill(serve)
                if workers:
                    self.kill_workers()
                if scheduler:
                    serve = self.serve()
                self.assertEqual(self.states(run), {"a": "deferred"})
                self.assertEqual(self.until_ended(run)["state"], "succeeded")
                self.assertGreaterEqual(time.monotonic() - begun, span / 1000)
                self.assertEqual({k: a["state"] for k, a in self.attempts_of(run).items()},
                                 {("a", 1): "succeeded"})
                self.kill(serve)
                self.end_strays()

    def test_a_time_out_of_an_attempt_does_not_count_sleep_and_one_of_the_task_does(self):
        self.serve()
        hour = 3_600_000
        run = self.detach(self.job("sleeper", [self.sleeper(hour, timeout="50ms")]))
        given_up = self.detach(self.job("short", [self.sleeper(hour, total_timeout="300ms")]))
        self.assertEqual(self.until_ended(given_up)["state"], "failed")
        task = self.tasks_of(given_up)["a"]
        self.assertEqual((task["state"], task["reason"], task["attempts"]),
                         ("failed", "total_timeout", 1))
        self.assertEqual(self.states(run), {"a": "deferred"})
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")


class LooksAndWaits(KindsTest):
    """A call that the server wants to be asked again later, and a look whose answer it holds."""

    def setUp(self):
        super().setUp()
        self.kinds = {"busy": {"operator": "http", "with": {"url": f"{self.server.url}/busy"}},
                      "held": {"operator": "wait_http",
                               "with": {"url": f"{self.server.url}/held", "every": "100ms",
                                        "look_timeout": "10m"}}}

    def begun(self):
        run = self.run_kinds()
        self.until("one is to come again, and one waits for its answer", lambda: (
            self.states(run) == {"busy": "deferred", "held": "running"} and self.server.waiting == 1))
        self.assertEqual(self.calls(), {"/busy": 1, "/held": 1})
        return run

    def calls(self):
        return {path: len(times) for path, times in self.server.calls.copy().items()}

    def restart(self, how, ends_meanwhile):
        serve = self.serve()
        run = self.begun()
        self.stop(serve, how)
        # It is not asked again before its time, whenever somebody is up again.
        self.open_gates("busy")
        if ends_meanwhile:
            self.open_gates("held")
            self.until("the answer has come", lambda: not self.server.waiting)
        self.serve()
        if not ends_meanwhile:
            self.assertEqual((self.states(run)["held"], self.server.waiting), ("running", 1))
            self.open_gates("held")
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.states(run))
        for name in self.kinds:
            self.assertEqual(self.pawl("output", f"{run}/{name}").json(), name)
        self.assertEqual({key: a["state"] for key, a in self.attempts_of(run).items()},
                         {(name, 1): "succeeded" for name in self.kinds})
        self.assertEqual(self.calls(), {"/busy": 2, "/held": 1})
        first, second = self.server.calls["/busy"]
        self.assertGreaterEqual(second - first, self.server.RETRY_AFTER)

    def test_kill_9_disturbs_neither(self):
        self.restart(KILL, ends_meanwhile=False)

    def test_sigterm_disturbs_neither(self):
        self.restart(TERM, ends_meanwhile=False)

    def test_what_is_answered_while_nobody_is_up_is_known_afterwards(self):
        self.restart(KILL, ends_meanwhile=True)

    def test_a_cancellation_ends_both_and_the_server_is_not_called_again(self):
        self.serve()
        run = self.begun()
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")
        self.assertEqual(self.states(run), dict.fromkeys(self.kinds, "cancelled"))
        self.until("the answer is not waited for any more", lambda: not self.server.waiting)
        # Once a later call is made again, the time of the cancelled one has been over.
        path = "/busy/later"
        later = self.detach(self.job("later", [
            {"id": "a", "operator": "http", "with": {"url": self.server.url + path}}]))
        self.until("a later one is made again", lambda: len(self.server.calls[path]) > 1)
        self.pawl("cancel", later, "-y")
        self.assertEqual({p: n for p, n in self.calls().items() if p != path},
                         {"/busy": 1, "/held": 1})


class Noop(GateTest):
    """It ends at once: to meet it at work there must be many, for some seconds."""

    COUNT = 3000

    def begin(self, **more):
        job = self.job("many", [
            {"id": "a", "operator": "noop", "map": {"items": list(range(self.COUNT))},
             "rate_limit": {"count": 400, "per": "1s"}, **more},
            {"id": "z", "depends_on": ["a"], "operator": "noop", "with": {"output": [1, "two"]},
             "output": "json"}])
        run = self.detach(job)
        self.until_some_are_done(run, 1)
        return run

    def done(self, run):
        return self.run_of(run)["counts"]["succeeded"]

    def until_some_are_done(self, run, count):
        self.until(f"{count} are done", lambda: self.done(run) >= count)

    def assert_all_done(self, run):
        ended = self.until_ended(run)
        self.assertEqual((ended["state"], ended["counts"]["succeeded"]),
                         ("succeeded", self.COUNT + 1), ended["counts"])
        self.assertEqual(self.pawl("output", f"{run}/z").json(), [1, "two"])
        # One success of each, and attempts without a gap.
        found = {}
        for attempt in self.pawl("attempts", "--run", run, "-o", "json", "--limit", 0).json():
            found.setdefault((attempt["task"], attempt["index"]), {})[attempt["attempt"]] = (
                attempt["state"])
        self.assertEqual(len(found), self.COUNT + 1)
        for key, attempts in found.items():
            self.assertEqual(sorted(attempts), list(range(1, len(attempts) + 1)), key)
            states = [state for _, state in sorted(attempts.items())]
            self.assertEqual(states[-1:], ["succeeded"], key)
            self.assertLessEqual(set(states[:-1]), {"lost", "interrupted"}, key)

    def test_kills_of_the_scheduler_lose_and_double_none(self):
        serve = self.serve()
        run = self.begin()
        for share in (16, 8, 4):
            self.until_some_are_done(run, self.COUNT // share)
            self.kill(serve)
            self.assertLess(self.done(run), self.COUNT, "all was done before the kill")
            serve = self.serve()
        self.assert_all_done(run)

    def test_a_kill_of_their_host_loses_and_doubles_none(self):
        serve = self.serve()
        run = self.begin(retry={"max_attempts": 3, "delay": "0s"})
        self.until_some_are_done(run, self.COUNT // 4)
        self.kill_workers()
        self.assertLess(self.done(run), self.COUNT, "all was done before the kill")
        self.assert_all_done(run)
        self.assertIsNone(serve.poll())

    def test_a_cancellation_leaves_what_is_done_and_starts_no_more(self):
        self.serve()
        run = self.begin()
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")
        done = self.done(run)
        self.assertTrue(0 < done < self.COUNT, done)


class Ended(KindsTest):
    def test_a_cancellation_ends_every_kind_outside_too(self):
        self.serve()
        self.kinds["sleep"] = {"operator": "sleep", "with": {"for": "1h"}, "output": "none"}
        run = self.run_kinds(kill_grace="500ms")
        self.until_all_wait(run)
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")
        self.assertEqual(self.states(run), dict.fromkeys(self.kinds, "cancelled"))
        self.assertEqual([r["state"] for r in self.runs_below()], ["cancelled"])
        self.until("nothing goes on outside", lambda: not self.going_on())
        self.assert_not_written()

    def test_a_time_out_ends_every_kind_outside_too(self):
        self.serve()
        # A deferral is no running: a sensor's own time-out is what it is given up by.
        self.kinds = {n: t for n, t in self.kinds.items() if n not in SENSORS}
        run = self.run_kinds(timeout=f"{int(patient(1500))}ms", kill_grace="500ms")
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        self.assertEqual({n: (t["state"], t["reason"]) for n, t in tasks.items()},
                         dict.fromkeys(self.kinds, ("failed", "timeout")))
        self.assertEqual(self.server.seen, 1)
        self.assertEqual([r["state"] for r in self.runs_below()], ["cancelled"])
        self.until("nothing goes on outside", lambda: not self.going_on())
        self.assert_not_written()

    def assert_not_written(self):
        self.lock.execute("ROLLBACK")
        self.assertEqual(self.lock.execute("SELECT count(*) FROM t").fetchone(), (0,))
        self.assertEqual(self.mail.taken, 0)


class Failed(GateTest):
    """What a person reads of each: reason, class, and a message that names what was wrong."""

    def test_every_kind_says_what_failed_and_whether_it_may_heal(self):
        self.write("calls.py", "def fail():\n    raise KeyError('no such row')\n")
        self.put_program("warm", WARM_THAT_FAILS)
        self.put_library("PAWL_FAULTY_PLUGIN")
        nobody = "127.0.0.1:1"
        wait = {"every": "100ms", "timeout": "100ms"}
        mail = {"host": "127.0.0.1", "port": 1, "tls": "none", "from": "a@example.org",
                "to": "b@example.org", "subject": "s"}
        kinds = {
            "process": ({"command": ["sh", "-c", "exit 3"]}, ("exit", "", "exit code 3")),
            "http": ({"operator": "http", "with": {"url": f"http://{nobody}/"}},
                     ("error", "CouldntConnect", nobody)),
            "mail": ({"operator": "mail", "with": mail}, ("error", "CouldntConnect", nobody)),
            "sqlite": ({"operator": "sqlite", "with": {"database": ":memory:", "sql": "SELEC 1"}},
                       ("permanent", "SQLITE_ERROR", "SELEC")),
            "python": ({"operator": "python", "with": {"call": "calls:fail"}},
                       ("error", "KeyError", "no such row")),
            "warm": ({"operator": "warm"}, ("permanent", "Denied", "not you")),
            "native": ({"operator": "thrower"}, ("error", "std::out_of_range", "no such row")),
            "noop": ({"operator": "noop", "with": {"output": "{{ int(params.span) }}"}},
                     ("template", "", "a while")),
            "sleep": ({"operator": "sleep", "with": {"for": "{{ params.span }}"}},
                      ("template", "", "a while")),
            "file": ({"operator": "wait_file", "with": {"path": "nothing", **wait}},
                     ("error", "Timeout", "nothing")),
            "ready": ({"operator": "wait_http", "with": {"url": f"http://{nobody}/", **wait}},
                      ("error", "Timeout", nobody)),
            "job": ({"operator": "job", "with": {"job": "nobody"}},
                    ("permanent", "", "nobody")),
        }
        if "PAWL_POSTGRES_PID" in os.environ:
            dsn = f"host={os.environ['PGHOST']} user={os.environ['PGUSER']} dbname=postgres"
            kinds["postgres"] = ({"operator": "postgres", "with": {"dsn": dsn, "sql": "SELEC 1"}},
                                 ("permanent", "42601", "SELEC"))
        job = self.job("kinds", [{"id": name, **task} for name, (task, _) in kinds.items()],
                       params={"span": {"type": "string", "default": "a while"}})
        run = self.pawl("run", job, code=1).lines[0].split()[0]
        for (name, number), attempt in self.attempts_of(run).items():
            reason, its_class, words = kinds[name][1]
            error = attempt["error"]
            self.assertEqual((number, attempt["reason"], error["class"]), (1, reason, its_class),
                             (name, error))
            self.assertIn(words, error["message"], name)
        self.assertEqual(set(self.tasks_of(run)), set(kinds))


WARM_THAT_FAILS = warm_program("""\
  echo '{"type":"finish","outcome":"failed","reason":"permanent","class":"Denied",' \\
       '"message":"not you","attempt":'"$attempt}"
""")


if __name__ == "__main__":
    cli_support.main()
