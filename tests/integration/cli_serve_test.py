#!/usr/bin/env python3
"""With `pawl serve` up: verbs talk to it over the home's socket."""

import fcntl
import json
import os
import re
import signal
from pathlib import Path

import cli_support
from cli_support import SECONDS
from gate_support import GateTest


class Served(GateTest):
    def serve(self, *words):
        child = self.start("serve", *words)
        self.until("the scheduler is up", lambda: self.is_served_by(child))
        return child

    def end(self, child):
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 0, err)
        return err

    def test_a_sigterm_while_it_starts_is_answered_when_it_listens(self):
        self.pawl("run", self.job("ok", [{"id": "a", "command": ["true"]}]))
        self.end_strays()
        with open(self.home / "lock", "r+", encoding="utf-8") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)  # so that it stays where it is
            child = self.start("serve")
            self.until("it holds the signal back", lambda: self.holds_back(child, signal.SIGTERM))
            self.until("it has a thread", lambda: len(os.listdir(f"/proc/{child.pid}/task")) > 1)
            child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 0, err)

    @staticmethod
    def holds_back(child, number):
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
        mask = next(int(l.split()[1], 16) for l in status.splitlines() if l.startswith("SigBlk:"))
        return mask & 1 << (number - 1)

    def test_a_run_is_handed_over_and_followed(self):
        child = self.serve()
        path = self.job("ok", [{"id": "a", "command": ["true"]}])
        done = self.pawl("run", path)
        self.assertNotIn("no scheduler", done.err)
        self.assertIn("succeeded ok", done.err)
        self.pawl("run", self.job("bad", [{"id": "a", "command": ["false"]}]), code=1)
        self.end(child)

    def test_detach_returns_at_once_and_the_run_goes_on(self):
        child = self.serve()
        path = self.gated_job("slow", [self.gate("a")])
        run = self.pawl("run", path, "--detach").lines[0]
        self.until("it runs", lambda: self.pawl(
            "explain", f"{run}/a").out.split()[0] == "running")
        self.open_gates("a")
        self.until("it ends", lambda: self.pawl("runs", "--state", "succeeded", "-o", "name").out)
        self.end(child)

    def test_what_is_past_its_time_out_is_told_to_be_ended_until_it_is(self):
        child = self.serve()
        path = self.gated_job("deaf", [{
            "id": "a", "timeout": "300ms", "kill_grace": "10m", "retry": {"max_attempts": 2, "delay": "50ms"},
            "script": "[ $PAWL_ATTEMPT = 2 ] || exit 1\ntrap '' TERM\n" +
                      "until [ -e $GATES/a ]; do sleep 0.02; done"}])
        run = self.pawl("run", path, "--detach").lines[0]
        ending = (r"its timeout of 300ms is over: it was told to end \d+s ago, and is killed in "
                  r"(9m)?\d+[ms]")
        for words in (["explain", f"{run}/a"], ["attempts", f"{run}/a"], ["show", f"{run}/a"]):
            said = self.until(f"{words[0]} tells it", lambda w=words: next(
                (line for line in self.pawl(*w).lines if "told to end" in line), ""))
            self.assertRegex(said, ending)
        rows = json.loads(self.pawl("attempts", f"{run}/a", "-o", "json").out)
        self.assertIsNone(rows[1]["ending"])
        self.assertRegex(rows[0]["ending"], ending)
        listed = json.loads(self.pawl("show", f"{run}/a", "-o", "json").out)["attempt_list"]
        self.assertRegex(listed[1]["ending"], ending)
        self.assertRegex(self.pawl("explain", f"{run}/a").lines[0],
                         r"^running for \d+(\.\d+)?m?s, attempt #2$")
        self.open_gates("a")
        self.until("it ends", lambda: self.pawl("runs", "--state", "failed", "-o", "name").out)
        self.assertNotIn("told to end", self.pawl("attempts", f"{run}/a").out)
        self.end(child)

    def test_a_resume_and_a_rerun_that_are_detached_are_the_schedulers(self):
        child = self.serve()
        path = self.job("cured", [{"id": "a", "command": ["test", "-e", str(self.root / "cured")]}])
        run = self.pawl("run", path, code=1).lines[0]
        (self.root / "cured").touch()
        self.pawl("resume", run, "--detach")
        again = self.pawl("rerun", run, "--detach").lines[0]
        self.until("both have ended", lambda: self.pawl(
            "runs", "--state", "succeeded", "-o", "name").lines == [again, run])
        self.end(child)

    def test_one_that_drains_takes_nothing_new(self):
        child = self.serve("--drain")
        self.pawl("run", self.job("ok", [{"id": "a", "command": ["true"]}]))
        self.pawl("run", self.gated_job("slow", [self.gate("a")]), "--detach")
        self.until_started("a")
        child.send_signal(signal.SIGTERM)
        self.until("it drains", lambda: self.pawl(
            "status", "-o", "json").json()["scheduler"]["draining"])
        for words in (("run", self.root / "ok.json", "--detach"), ("trigger", "ok"),
                      ("rerun", "ok@latest"), ("rerun", "ok@latest", "--dry-run"),
                      ("resume", "ok@latest", "--dry-run")):
            self.assertIn("the scheduler is draining", self.pawl(*words, code=4).err)
        self.assertEqual(len(self.pawl("runs", "-o", "name").lines), 2)
        self.open_gates("a")
        _, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 0, err)

    def test_commands_reach_running_work(self):
        child = self.serve()
        path = self.job("long", [{"id": "a", "command": ["sleep", "300"]}])
        run = self.pawl("run", path, "--detach").lines[0]
        self.until("it runs", lambda: self.pawl("tasks", "--state", "running", "-o", "name").out)
        self.assertIn("refused: is running; cancel it first", self.pawl(
            "mark", f"{run}/a", "succeeded", "--dry-run", code=4).out)
        self.pawl("pause", run)
        self.assertEqual(self.pawl("runs", "-o", "json").json()[0]["state"], "paused")
        self.pawl("unpause", run)
        self.pawl("cancel", run)
        self.until("it is cancelled", lambda: self.pawl("runs", "--state", "cancelled", "-o", "name").out)
        pools = self.pawl("pools", "-o", "json").json()
        self.fields(pools, "pool job run slots used waiting rate holders next")
        self.assertEqual(pools[0]["used"], 0)
        self.end(child)

    def test_the_log_says_what_happens(self):
        child = self.serve()
        run = self.pawl("run", self.job("ok", [{"id": "a", "command": ["true"]}])).lines[0]
        child.send_signal(signal.SIGHUP)
        self.pawl("status")
        lines = self.end(child).splitlines()
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning) \S")
        for text in ("starts in", "ready: serving", " is up", f"run {run} of ok accepted",
                     f"run {run} of ok running", f"run {run} of ok succeeded",
                     "reading the job folders again", "stopping: "):
            self.assertTrue(any(text in line for line in lines), f"{text}: {lines}")

    def test_warnings_alone_when_asked(self):
        child = self.serve("--log-level", "warning")
        self.pawl("run", self.job("ok", [{"id": "a", "command": ["true"]}]))
        self.assertEqual(self.end(child), "")

    def test_status_tells_pools_and_lag(self):
        child = self.serve()
        status = self.pawl("status").out
        self.assertRegex(status, r"(?m)^pools +default 0 of \d+$")
        self.until("nothing waits to be stored", lambda: re.search(
            r"(?m)^lag +none", self.pawl("status").out))
        self.assertEqual(self.pawl("status", "-o", "json").json()["orphans"], [])
        self.end(child)

    def test_a_rate_holds_over_a_kill_and_is_told(self):
        child = self.serve()
        path = self.job("calls", [{"id": "get", "command": ["true"], "pool": "api",
                                   "map": {"items": [1, 2, 3]}}],
                        pools={"api": {"slots": 9, "rate": {"count": 1, "per": "1h"}}})
        run = self.pawl("run", path, "--detach").lines[0]
        done = ("tasks", "--run", run, "--state", "succeeded", "-o", "name")
        self.until("one is done", lambda: self.pawl(*done).out)
        for _ in range(2):
            self.assertRegex(
                self.pawl("explain", f"{run}/get:2").out,
                r"^queued(?: for \S+)?: needs 1 start of pool api, 1 of 1 in 1h used, the next in "
                r"(59m\d+s|1h), its own in (1h59m\d+s|2h) or later\n")
            self.assertEqual(len(self.pawl(*done).lines), 1)
            pool = next(p for p in self.pawl("pools", "-o", "json").json() if p["pool"] == "api")
            self.assertEqual((pool["job"], pool["used"], pool["waiting"]), ("calls", 0, 2))
            self.assertEqual((pool["rate"]["count"], pool["rate"]["used"]), (1, 1))
            self.assertEqual([n["task"] for n in pool["next"]], ["get"])
            self.assertRegex(self.pawl("pools").out,
                             r"api of calls +9 +0 +2 +1 of 1 in 1h +in (59m|1h).*: \w{6}/get")
            child.kill()
            child.communicate()
            child = self.serve()
        self.end(child)

    def test_a_folder_of_jobs_is_served(self):
        (self.root / "jobs").mkdir()
        self.job("jobs/one", [{"id": "a", "command": ["true"]}])
        self.write("jobs/one.json", '{"name": "one", "tasks": [{"id": "a", "command": ["true"]}]}')
        child = self.serve("--jobs", "jobs")
        self.until("the job is known", lambda: self.pawl("jobs", "-o", "name").out == "one\n")
        self.assertIn("succeeded one", self.pawl("trigger", "one", "--wait").err)
        for verb in (["trigger", "onne"], ["job", "onne"], ["next", "onne"],
                     ["backfill", "onne", "--from", "2026-01-01", "--to", "2026-01-02", "-y"]):
            self.assertIn("no job 'onne' here. Did you mean one?", self.pawl(*verb, code=3).err)
        self.write("jobs/one.json", '{"name": "one", "tasks": []}')
        self.until("it is quarantined",
                   lambda: self.pawl("job", "one", "-o", "json").json()["quarantined"])
        self.write("jobs/two.json", '{"name": "two", "tasks": [{"id": "b", "comand": ["true"]}]}')
        self.until("that too", lambda: self.pawl("job", "two", code=None).code == 0)
        self.assertRegex(self.pawl("jobs").out, r"two +quarantined .* \(at /tasks/0\), and more: "
                                                r"pawl validate .*/jobs/two.json\n")
        self.assertRegex(self.pawl("trigger", "two", code=4).err,
                         r"job two has never had a valid definition: .* \(at /tasks/0\)")
        self.pawl("trigger", "one", "--wait")  # the last good version stays
        self.end(child)

    def test_a_second_file_with_a_name_is_quarantined_from_the_first_reading_on(self):
        folder = self.root / "jobs"
        folder.mkdir()
        for name in ("first", "second"):
            (folder / f"{name}.json").write_text(json.dumps(
                {"name": "same", "tasks": [{"id": "a", "command": ["echo", name]}]}),
                encoding="utf-8")
        child = self.serve("--jobs", folder)

        def told():
            rows = {row["file"]: row for row in self.pawl("jobs", "-o", "json").json()}
            return len(rows) == 2 and rows
        rows = self.until("both are told of", told)
        self.assertEqual(rows[str(folder / "first.json")]["state"], "served")
        second = rows[str(folder / "second.json")]
        self.assertEqual(second["state"], "quarantined")
        self.assertIn(f"already defined by {folder}/first.json", second["quarantined"])
        (folder / "first.json").unlink()
        self.until("the other one is served", lambda: [
            (row["job"], row["file"], row["state"]) for row in self.pawl("jobs", "-o", "json").json()
            if row["state"] != "removed"] == [("same", str(folder / "second.json"), "served")])
        self.end(child)

    def test_a_definition_that_comes_back_after_it_was_pruned_is_stored_again(self):
        folder = self.root / "jobs"
        folder.mkdir()
        child = self.serve("--jobs", folder)

        def served(text):
            (folder / "w.json").write_text(json.dumps(
                {"name": "w", "tasks": [{"id": "a", "command": ["echo", text]}]}), encoding="utf-8")

            def run():
                done = self.pawl("trigger", "w", "--wait", "-q", code=None)
                return done.code == 0 and self.pawl("logs", f"{done.lines[0]}/a").out == text + "\n"
            self.until(f"{text} is served", run)
        for text in ("one", "two"):
            served(text)
        self.pawl("prune", "--older-than", "0s", "-y")
        served("one")
        self.assertIn("succeeded", self.pawl("show", "@latest").out)
        findings = self.pawl("doctor", "-o", "json", code=None).json()
        self.assertEqual([f for f in findings if f["check"] == "store" and f["state"] != "good"], [])
        self.end(child)

    def test_what_waits_for_its_first_slot_is_listed_and_explained_as_queued(self):
        child = self.serve()
        path = self.gated_job("narrow", [self.gate("a"), {"id": "b", "command": ["true"]},
                                         {"id": "c", "depends_on": ["b"], "command": ["true"]}])
        run = self.pawl("run", path, "--detach", "--concurrency", "1").lines[0]
        self.until_started("a")

        def states(*words):
            rows = self.pawl("tasks", run, *words, "-o", "json").json()
            return [(row["task"], row["state"]) for row in rows]
        everything = [("a", "running"), ("b", "queued"), ("c", "waiting")]
        self.until("b stands in line", lambda: states() == everything)
        self.assertEqual(states("--limit", "2"), everything[:2])
        self.assertEqual(states("--state", "queued"), everything[1:2])
        self.assertEqual(states("--state", "waiting,running"), [everything[0], everything[2]])
        shown = self.pawl("show", run, "-o", "json").json()
        self.assertEqual([(t["task"], t["state"]) for t in shown["tasks"]], everything)
        self.assertIn("queued", self.pawl("show", f"{run}/b").lines[0])
        self.assertEqual(self.pawl("explain", f"{run}/b", "-o", "json").json()["state"], "queued")
        self.assertRegex(self.pawl("explain", f"{run}/b").lines[0],
                         r"^queued for \d+m?s: needs 1 slot of the run \(--concurrency\), 1 of 1 in use$")
        self.assertRegex(self.pawl("explain", f"{run}/c").lines[0], r"^waiting for b \(queued\)$")
        self.end(child)
        # Nobody is up who would know: the rows say it.
        self.assertEqual(states(), everything)
        self.assertIn("queued", self.pawl("explain", f"{run}/b").out)

    def test_a_restore_is_refused_beside_workers_that_go_on_with_the_store(self):
        child = self.serve()
        run = self.pawl("run", self.gated_job("slow", [self.gate("a")]), "--detach").lines[0]
        self.until_started("a")
        self.pawl("backup", "copy.db")
        self.end(child)
        refused = self.pawl("restore", "--replace", "copy.db", code=4).err
        self.assertRegex(refused, r"worker \d+ is alive and has live attempts of this store \(1\)")
        self.assertIn("--drain", refused)
        self.open_gates("a")
        child = self.serve()
        self.until("it has ended", lambda: self.pawl(
            "show", run, "-o", "json").json()["state"] == "succeeded")
        self.end(child)
        # A worker that has nothing to do is in nobody's way.
        self.pawl("restore", "--replace", "copy.db")
        self.pawl("restore", "--replace", "copy.db")
        self.assertTrue((self.home / "pawl.db.replaced").exists())
        self.assertTrue((self.home / "pawl.db.replaced-2").exists())

    def test_a_job_can_be_triggered_as_soon_as_its_scheduler_answers(self):
        for number in range(400):
            self.write(f"jobs/job{number:03}.json", {
                "name": f"job{number:03}", "tasks": [{"id": "a", "command": ["true"]}]})
        child = self.serve("--jobs", self.root / "jobs")
        self.pawl("trigger", "job399", "--wait")
        self.end(child)

    def test_a_file_that_holds_another_job_or_has_another_name_leaves_nothing_behind(self):
        (self.root / "jobs").mkdir()
        one = self.root / "jobs/one.json"

        def job(name):
            return json.dumps({"name": name, "tasks": [{"id": "a", "command": ["true"]}]})

        def told():
            return {j["job"]: j["state"] for j in self.pawl("jobs", "-o", "json").json()}

        one.write_text(job("one"))
        child = self.serve("--jobs", "jobs")
        self.until("it is served", lambda: told() == {"one": "served"})
        self.pawl("pause", "one")
        one.write_text(job("two"))
        self.until("the other is", lambda: told() == {"one": "removed", "two": "served"})
        one.rename(self.root / "jobs/other.json")
        self.until("the file is followed",
                   lambda: self.pawl("job", "two", "-o", "json").json()["file"].endswith("/other.json"))
        self.until("nobody has two", lambda: told() == {"one": "removed", "two": "served"})
        one.write_text("{")
        self.until("it is quarantined", lambda: told().get("one") == "quarantined")
        one.write_text(job("three"))
        self.until("it is none any more",
                   lambda: told() == {"one": "removed", "two": "served", "three": "served"})
        self.end(child)

    def test_a_second_scheduler_is_refused(self):
        child = self.serve()
        self.assertEqual(self.pawl("serve", code=75).out, "")
        self.end(child)

    def test_serve_takes_over_from_a_verb_which_follows(self):
        path = self.gated_job("slow", [self.gate("a"), {"id": "b", "depends_on": ["a"],
                                                        "command": ["true"]}])
        verb = self.start("run", path)
        self.until_started("a")
        child = self.serve()
        self.open_gates("a")
        _, err = verb.communicate(timeout=SECONDS)
        self.assertEqual(verb.returncode, 0, err)
        self.assertIn("succeeded slow", err)
        self.assertEqual(len(self.pawl("attempts", "-o", "name").lines), 2)
        self.end(child)

    def test_runs_go_on_when_the_verb_that_was_their_scheduler_is_killed(self):
        first = self.start("run", self.gated_job("x", [self.gate("x1")]))
        self.until_started("x1")
        others = [self.start("run", self.gated_job(name, [
            self.gate(f"{name}1"), {**self.gate(f"{name}2"), "depends_on": [f"{name}1"]}]))
            for name in ("y", "z")]
        self.until_started("y1", "z1")
        self.kill(first)
        self.open_gates("y1", "z1")
        # One of the two is the scheduler now, and has more to do than its own.
        self.until_started("y2", "z2")
        self.open_gates("y2", "z2", "x1")
        for verb in others:
            _, err = verb.communicate(timeout=SECONDS)
            self.assertEqual(verb.returncode, 0, err)

    def test_running_tasks_outlive_the_scheduler(self):
        child = self.serve()
        self.pawl("run", self.gated_job("slow", [self.gate("a")]), "--detach")
        self.until_started("a")
        self.end(child)
        self.open_gates("a")
        child = self.serve()
        self.until("it ends", lambda: self.pawl("runs", "--state", "succeeded", "-o", "name").out)
        self.assertEqual(len(self.pawl("attempts", "-o", "name").lines), 1)
        self.end(child)

    def test_a_folder_that_is_not_there_is_refused(self):
        self.pawl("serve", "--jobs", "none", code=3)


del GateTest  # or it would be run too

if __name__ == "__main__":
    cli_support.main()
