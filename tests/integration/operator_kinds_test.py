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
from operator_kinds import KILL, SENSORS, TERM, KindsTest
from patience import patient


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
        self.assert_ran_once("process")

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
                             set(self.kinds) - sensors, states)
            self.let_all_go()
        self.assert_real_results(run)

    def test_kill_9_disturbs_none_of_them(self):
        self.restart(KILL, ends_meanwhile=False)

    def test_sigterm_disturbs_none_of_them(self):
        self.restart(TERM, ends_meanwhile=False)

    def test_what_ends_while_nobody_is_up_is_known_afterwards(self):
        self.restart(KILL, ends_meanwhile=True)


    def test_a_sleeper_wakes_when_it_was_to_wake(self):
        serve = self.serve()
        span = patient(1500)
        job = self.job("sleeper", [{"id": "a", "operator": "sleep",
                                    "with": {"for": f"{int(span)}ms"}}])
        begun = time.monotonic()
        run = self.detach(job)
        self.until("it sleeps", lambda: self.states(run) == {"a": "deferred"})
        self.stop(serve, KILL)
        self.serve()
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertGreaterEqual(time.monotonic() - begun, span / 1000)
        self.assertEqual(set(self.attempts_of(run)), {("a", 1)})


class WorkersDie(KindsTest):
    def test_what_they_had_is_lost_gone_and_begun_again_and_nothing_is_done_twice(self):
        self.serve()
        run = self.run_kinds(retry={"max_attempts": 3, "delay": "0s"})
        self.until_all_wait(run)
        first = [pid for _, _, pid in self.noted("start", "process")]
        pid_files = [self.pid_file, self.gates / "warm.pid"]
        first += map(self.pid_in, pid_files)
        for path in pid_files:
            path.unlink()
        self.kill_workers()
        self.until_all_wait(run, attempt=2)
        self.assertEqual([pid for pid in first if self.is_running(pid)], [])
        self.let_all_go()
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.states(run))
        self.assert_outputs(run)
        outcomes = {}
        for (name, _), attempt in sorted(self.attempts_of(run).items()):
            outcomes.setdefault(name, []).append(attempt["state"])
        for name in SENSORS:  # one that looked just then is lost, too
            self.assertEqual(outcomes.pop(name)[-1], "succeeded")
        again = {name: ["lost", "succeeded"] for name in self.kinds if name not in SENSORS}
        self.assertEqual(outcomes, again)
        self.assertEqual((self.server.seen, self.mail.taken), (2, 1))
        self.assertEqual(self.lock.execute("SELECT count(*) FROM t").fetchone(), (1,))


class Ended(KindsTest):
    def test_a_cancellation_ends_every_kind_outside_too(self):
        self.serve()
        run = self.run_kinds(kill_grace="500ms")
        self.until_all_wait(run)
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")
        self.assertEqual(self.states(run), dict.fromkeys(self.kinds, "cancelled"))
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
        (self.home / "plugins").mkdir(parents=True, mode=0o700)
        self.home.chmod(0o700)
        program = self.home / "plugins" / "warm.sh"
        program.write_text(WARM_THAT_FAILS)
        program.chmod(0o755)
        (self.home / "plugins" / "warm.json").write_text('{"command": ["./warm.sh"]}')
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


WARM_THAT_FAILS = """#!/bin/sh
echo '{"type":"ready","protocol":1}'
while read -r line; do
  case $line in
    '{"type":"shutdown"'*) exit 0 ;;
    '{"type":"start"'*) ;;
    *) continue ;;
  esac
  attempt=${line#*\\"attempt\\":}
  attempt=${attempt%%,*}
  echo '{"type":"finish","outcome":"failed","reason":"permanent","class":"Denied",' \\
       '"message":"not you","attempt":'"$attempt}"
done
"""


if __name__ == "__main__":
    cli_support.main()
