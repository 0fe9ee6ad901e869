#!/usr/bin/env python3
"""Hooks, as who waits for a run, looks at it and repairs it sees them."""

import json

import cli_support


class Hooks(cli_support.HomeTest):
    def states(self, run):
        return {t["task"]: t["state"] for t in
                self.pawl("tasks", "--run", run, "-o", "json").json()}

    def test_a_hook_that_fails_is_told_beside_the_run_and_changes_nothing(self):
        path = self.job("night", [{"id": "a", "command": ["true"]}],
                        on_success=[{"script": ["echo no route >&2", "exit 3"]}],
                        on_failure=[{"command": ["true"]}])
        done = self.pawl("run", path)
        run = done.lines[0]
        self.assertIn("succeeded night", done.err)
        self.assertIn("hook:on_success:0 failed: exit:3", done.err)
        self.assertEqual(self.states(run), {"a": "succeeded", "hook:on_success:0": "failed"})
        self.assertEqual(self.pawl("logs", f"{run}/hook:on_success:0").out, "no route\n")
        self.assertEqual([f["task"] for f in self.pawl("failed", "-o", "json").json()],
                         ["hook:on_success:0"])
        shown = self.pawl("show", run, "-o", "json").json()
        self.assertEqual(shown["state"], "succeeded")
        self.assertEqual(shown["counts"]["failed"], 0)
        self.assertIn("hook:on_success:0", self.pawl("show", run).out)
        self.assertIn("hook:on_success:0  failed", self.pawl("graph", run).out)

    def test_a_failed_hook_is_repeated_alone(self):
        path = self.job("night", [{"id": "a", "command": ["false"]}],
                        on_failure=[{"script": [f"test -e {self.root}/up"]}],
                        on_exit=[{"command": ["true"]}])
        run = self.pawl("run", path, code=1).lines[0]
        (self.root / "up").touch()
        self.pawl("resume", f"{run}/hook:on_failure:0", "-y", code=1)
        attempts = self.pawl("attempts", "--run", run, "-o", "json").json()
        tries = sorted((a["task"], a["attempt"], a["state"]) for a in attempts)
        self.assertEqual(tries, [("a", 1, "failed"), ("hook:on_exit:0", 1, "succeeded"),
                                 ("hook:on_failure:0", 1, "failed"),
                                 ("hook:on_failure:0", 2, "succeeded")])
        self.assertEqual(self.pawl("show", run, "-o", "json").json()["state"], "failed")

    def test_hooks_see_what_failed_and_run_again_after_a_resume(self):
        path = self.job(
            "fan", [{"id": "m", "map": {"items": ["x", "y"], "key": "{{ item }}"},
                     "script": [f"test -e {self.root}/up || {{ echo down >&2; exit 4; }}"]}],
            on_failure=[{"env": {"FAILED": "{{ json(run.failed) }}", "STATE": "{{ run.state }}"},
                         "script": ["echo \"$STATE $FAILED\""]}],
            on_success=[{"command": ["echo", "{{ run.state }}"]}])
        run = self.pawl("run", path, code=1).lines[0]
        state, failed = self.pawl("logs", f"{run}/hook:on_failure:0").out.split(" ", 1)
        self.assertEqual(state, "failed")
        self.assertEqual([(f["task"], f["index"], f["key"], f["reason"]) for f in json.loads(failed)],
                         [("m", 0, "x", "exit"), ("m", 1, "y", "exit")])
        (self.root / "up").touch()
        self.pawl("resume", run, "-y")
        self.assertEqual(self.pawl("logs", f"{run}/hook:on_success:0").out, "succeeded\n")


if __name__ == "__main__":
    cli_support.main()
