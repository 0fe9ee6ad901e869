#!/usr/bin/env python3
"""Jobs that call jobs, with the real program: what is shown of both, and what comes of it when the
scheduler dies in between."""

import cli_support
from gate_support import GateTest


class Calls(GateTest):
    def setUp(self):
        super().setUp()
        self.jobs = self.root / "jobs"
        self.jobs.mkdir()

    def job(self, name, tasks, **more):
        return self.write(f"jobs/{name}.json", {"name": name, "tasks": tasks, **more})

    def call(self, task, job, **more):
        return {"id": task, "operator": "job", "with": {"job": job} | more.pop("with_", {}), **more}

    def serve_jobs(self):
        return self.serve("--jobs", self.jobs)

    def trigger(self, job, *words):
        return self.until(f"job {job} is known",
                          lambda: (d := self.pawl("trigger", job, "--detach", *words,
                                                  code=None)).code == 0 and d.lines[0])

    def runs(self, job):
        return [r["run"] for r in self.pawl("runs", "--job", job, "-o", "json").json()]

    def called(self, run, task="a"):
        return self.until("the job was called", lambda: self.tasks_of(run)[task]["child_run"])

    def test_the_two_runs_are_linked_and_explained(self):
        self.gated_job("load", [
            self.gate("x"),
            {"id": "y", "depends_on": ["x"], "output": "json",
             "command": ["echo", "{{ params.day }}"]}],
            params={"day": {"type": "integer", "default": 1}})
        self.gated_job("top", [
            self.call("a", "load", with_={"params": {"day": "{{ params.day + 1 }}"}}),
            {"id": "b", "depends_on": ["a"],
             "command": ["echo", "{{ tasks.a.output.state }} {{ tasks.a.output.outputs.y }}"]}],
            params={"day": {"type": "integer", "default": 6}})
        self.serve_jobs()
        run = self.trigger("top")
        self.until_started("x")
        called = self.called(run)
        self.assertEqual(self.tasks_of(run)["a"]["state"], "deferred")
        shown = self.run_of(called)
        self.assertEqual(shown["parent"], {"run": run, "task": "a", "index": None})
        self.assertEqual((shown["trigger"], shown["params"]), ("job", {"day": 7}))
        self.assertEqual(shown["logical_time"], self.run_of(run)["logical_time"])
        self.assertIsNone(self.run_of(run)["parent"])
        short = called.rsplit("-", 1)[1]
        self.assertIn(f"run {short}", self.pawl("show", run).out)
        self.assertIn(f"by {run.rsplit('-', 1)[1]}/a", self.pawl("show", called).out)
        self.assertTrue(self.pawl("explain", f"{run}/a").out.startswith(
            f"deferred: waits for run {short} of job load (running"))
        reasons = self.pawl("explain", f"{run}/a", "-o", "json").json()["reasons"]
        self.assertEqual([(r["kind"], r["run"]) for r in reasons], [("run", called)])
        self.open_gates("x")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual(self.pawl("logs", f"{run}/b").out, "succeeded 7\n")

    def test_a_failure_names_the_one_below_it_and_a_resume_goes_on_there(self):
        self.gated_job("load", [
            {"id": "once", "script": ["echo start once 1 $$ >> $LEDGER"]},
            {"id": "x", "depends_on": ["once"],
             "script": [f"test -e {self.root}/up || {{ echo no route >&2; exit 4; }}"]}])
        self.gated_job("top", [self.call("a", "load")])
        self.serve_jobs()
        run = self.trigger("top")
        self.assertEqual(self.until_ended(run)["state"], "failed")
        called = self.called(run)
        error = self.tasks_of(run)["a"]["error"]
        self.assertIn(f"run {called} of job load failed: task x: exit", error)
        listed = self.pawl("failed", "-o", "json").json()
        self.assertEqual({(f["run"], f["task"]) for f in listed}, {(run, "a"), (called, "x")})
        (self.root / "up").touch()
        self.pawl("resume", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual(self.runs("load"), [called])
        self.assertEqual(self.run_of(called)["state"], "succeeded")
        self.assertEqual(len(self.noted("start", "once")), 1)
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])

    def test_kill_9_of_the_scheduler_loses_and_doubles_nothing(self):
        self.gated_job("low", [self.gate("x")])
        self.gated_job("mid", [self.call("m", "low")])
        self.gated_job("top", [self.call("a", "mid"), self.gate("b")])
        serve = self.serve_jobs()
        run = self.trigger("top")
        self.until_started("x", "b")
        self.kill(serve)
        serve = self.serve_jobs()
        self.assertEqual(self.tasks_of(run)["a"]["state"], "deferred")
        mid = self.called(run)
        low = self.called(mid, "m")
        # The last one ends while nobody is there to hear of it.
        self.kill(serve)
        self.open_gates("x", "b")
        self.until("both have ended", lambda: len(self.noted("end")) == 2)
        self.serve_jobs()
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual([self.runs(j) for j in ("mid", "low")], [[mid], [low]])
        self.assertEqual([self.tasks_of(r)[t]["attempts"] for r, t in
                          ((run, "a"), (mid, "m"), (low, "x"))], [1, 1, 1])
        self.assert_ran_once("x", "b")
        self.pawl("doctor", code=None)

    def test_a_scheduler_that_is_killed_at_any_moment_makes_one_run(self):
        self.gated_job("load", [{"id": "x", "command": ["true"]}], overlap="allow")
        self.gated_job("top", [self.call("a", "load", map={"items": list(range(40)),
                                                           "max_concurrent": 8})])
        serve = self.serve_jobs()
        run = self.trigger("top")
        for wanted in (1, 10, 20):
            self.until("some were called", lambda n=wanted: len(self.runs("load")) >= n)
            self.kill(serve)
            serve = self.serve_jobs()
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        runs = self.pawl("runs", "--job", "load", "-o", "json", "--limit", 0).json()
        self.assertEqual(sorted(r["parent"]["index"] for r in runs), list(range(40)))
        self.assertEqual({r["state"] for r in runs}, {"succeeded"})

    def test_a_cancel_ends_both(self):
        self.gated_job("load", [self.gate("x")])
        self.gated_job("top", [self.call("a", "load")])
        self.serve_jobs()
        run = self.trigger("top")
        self.until_started("x")
        called = self.called(run)
        self.pawl("cancel", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "cancelled")
        self.assertEqual(self.run_of(called)["state"], "cancelled")

    def test_what_cannot_be_called_says_why(self):
        self.gated_job("load", [{"id": "x", "command": ["true"]}],
                       params={"day": {"type": "integer"}})
        self.gated_job("top", [
            self.call("typo", "laod", retry={"max_attempts": 3}),
            self.call("missing", "load"),
            self.call("wrong", "load", with_={"params": {"day": "monday"}}),
            self.call("nobody", "load", with_={"params": {"day": 1, "night": 2}}),
            self.call("circle", "{{ run.job }}")])
        self.serve_jobs()
        run = self.trigger("top")
        self.until_ended(run)
        tasks = self.tasks_of(run)
        for name, text in (("typo", "there is no job 'laod' here. Did you mean load?"),
                           ("missing", "day"), ("wrong", "day"), ("nobody", "night"),
                           ("circle", "job top would start itself: top → top")):
            self.assertEqual((tasks[name]["state"], tasks[name]["reason"], tasks[name]["attempts"]),
                             ("failed", "permanent", 1), name)
            self.assertIn(text, tasks[name]["error"])
        self.assertEqual(self.runs("load"), [])

    def test_a_job_whose_file_breaks_is_called_as_it_was_and_one_that_never_was_whole_says_why(self):
        self.gated_job("load", [{"id": "x", "command": ["echo", "old"]}])
        self.gated_job("top", [self.call("a", "load"), self.call("b", "broken")])
        self.serve_jobs()
        self.until("both are known",
                   lambda: len(self.pawl("jobs", "-o", "json", code=None).out) > 2
                   and {j["job"] for j in self.pawl("jobs", "-o", "json").json()} >= {"load", "top"})
        self.write("jobs/load.json", '{"name": "load", "tasks": []}')
        self.write("jobs/broken.json", '{"name": "broken", "tasks": []}')
        self.until("both are quarantined", lambda: [
            j["job"] for j in self.pawl("jobs", "-o", "json").json() if j["quarantined"]]
            == ["broken", "load"])
        run = self.trigger("top")
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual(tasks["a"]["state"], "succeeded")
        self.assertEqual((tasks["b"]["state"], tasks["b"]["reason"]), ("failed", "permanent"))
        self.assertIn("job broken has never had a valid definition", tasks["b"]["error"])

    def test_items_that_are_paired_call_with_what_came_before_them(self):
        self.gated_job("load", [{"id": "x", "output": "json",
                                 "command": ["echo", "{{ params.n }}"]}],
                       params={"n": {"type": "integer"}}, overlap="allow")
        self.gated_job("top", [
            {"id": "m", "map": {"items": [1, 2, 3]}, "output": "json",
             "command": ["echo", "{{ item * 10 }}"]},
            {"id": "c", "operator": "job", "depends_on": [{"task": "m", "each": True}],
             "with": {"job": "load", "params": {"n": "{{ tasks.m.output + item }}"}}},
            {"id": "z", "depends_on": ["c"],
             "command": ["echo", "{{ json(tasks.c.output.map(o, o.outputs.x)) }}"]}])
        self.serve_jobs()
        run = self.trigger("top")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual(self.pawl("logs", f"{run}/z").out, "[11,22,33]\n")

    def test_what_is_run_again_calls_again_and_a_resume_of_the_called_stays_with_it(self):
        self.gated_job("load", [{"id": "x", "command": ["true"]}])
        self.gated_job("top", [self.call("a", "load")])
        self.serve_jobs()
        first = self.trigger("top")
        self.until_ended(first)
        called = self.called(first)
        again = self.pawl("rerun", first, "-y").lines[0]
        self.until_ended(again)
        self.assertNotEqual(self.called(again), called)
        self.assertEqual(self.run_of(again)["parent"],
                         {"run": first, "task": None, "index": None})
        alone = self.pawl("rerun", called, "-y").lines[0]
        self.until_ended(alone)
        self.assertEqual(self.called(first), called)

    def test_a_plan_tells_of_the_call_and_of_no_slot(self):
        top = self.gated_job("top", [self.call("a", "load", with_={"params": {"day": 1}},
                                               retry={"max_attempts": 2, "delay": "5s"})])
        plan = self.pawl("plan", top, "-o", "json").json()["tasks"][0]
        self.assertEqual((plan["operator"], plan["with"]),
                         ("job", {"job": "load", "params": {"day": 1}}))
        self.assertNotIn("not_yet_available", plan)
        self.assertIn('job {"job":"load"', self.pawl("plan", top).out)
        self.assertNotIn("pool", self.pawl("plan", top).out)
        self.pawl("validate", top)

    def test_a_restored_home_goes_on_in_the_run_that_was_called(self):
        self.gated_job("load", [self.gate("x")])
        self.gated_job("top", [self.call("a", "load")])
        serve = self.serve_jobs()
        run = self.trigger("top")
        self.until_started("x")
        called = self.called(run)
        self.pawl("backup", "copy.db")
        self.open_gates("x")
        self.until_ended(run)
        self.kill(serve)
        self.env["PAWL_HOME"] = str(self.root / "restored")
        self.pawl("restore", "copy.db")
        self.assertEqual((self.tasks_of(run)["a"]["state"], self.run_of(called)["state"]),
                         ("held", "paused"))
        self.serve_jobs()
        self.until("the jobs are known", lambda: self.pawl("unpause", "--all", code=None).code == 0)
        self.pawl("resume", called, "-y")
        self.pawl("resume", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual(self.called(run), called)
        self.assertEqual(self.runs("load"), [called])

    def test_a_task_that_waits_too_long_ends_with_its_run(self):
        self.gated_job("load", [self.gate("x")])
        self.gated_job("top", [self.call("a", "load", timeout="1s")])
        self.serve_jobs()
        run = self.trigger("top")
        self.until_started("x")
        called = self.called(run)
        self.assertEqual(self.until_ended(run)["state"], "failed")
        task = self.tasks_of(run)["a"]
        self.assertEqual(task["reason"], "timeout")
        self.assertIn("no end within 1s", task["error"])
        self.assertEqual(self.run_of(called)["state"], "cancelled")

    def test_a_foreground_run_is_the_scheduler_of_what_it_calls(self):
        load = self.gated_job("load", [{"id": "x", "command": ["true"]}])
        self.pawl("run", load)
        top = self.gated_job("top", [self.call("a", "load")])
        run = self.pawl("run", top).lines[0]
        self.assertEqual(self.run_of(self.called(run))["state"], "succeeded")
        self.assertIn("job", [o["operator"] for o in self.pawl("operators", "-o", "json").json()])
        self.assertEqual(self.pawl("schema", "operator", "job").json()["required"], ["job"])


if __name__ == "__main__":
    cli_support.main()
