#!/usr/bin/env python3
"""Every kind of operator through restarts of the scheduler, cancellations and time-outs.

    operator_kinds_test.py --pawl PATH [unittest arguments]
"""

import json

import cli_support
from operator_kinds import KILL, TERM, KindsTest
from patience import patient


class RestartedUnderThem(KindsTest):
    def assert_real_results(self, run):
        self.assertEqual(self.until_ended(run)["state"], "succeeded", self.states(run))
        for name, output in self.outputs.items():
            got = self.pawl("output", f"{run}/{name}").out
            if name == "process":
                self.assertEqual(got.strip(), output)
            else:
                self.assertEqual(json.loads(got), output, name)
        attempts = {name for name, _ in self.attempts_of(run)}
        self.assertEqual({(n, t["attempts"]) for n, t in self.tasks_of(run).items()},
                         {(name, 1) for name in self.kinds})
        self.assertEqual(attempts, set(self.kinds))
        self.assertEqual(self.server.seen, 1, "the server was called twice")
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
            sensors = {"file", "ready"}  # between two looks they may be anything
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
        self.kinds = {n: t for n, t in self.kinds.items() if n not in ("file", "ready")}
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


if __name__ == "__main__":
    cli_support.main()
