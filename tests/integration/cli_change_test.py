#!/usr/bin/env python3
"""The verbs that change, with no scheduler up: each is the scheduler for as long as it needs."""

import concurrent.futures
import contextlib
import json
import sqlite3

import cli_support
from cli_support import HomeTest, RUN_ID, SECONDS


def sh(text):
    return ["sh", "-c", text]


class Changing(HomeTest):
    """A job whose middle task fails until a file is there."""

    def setUp(self):
        super().setUp()
        self.cured = self.root / "cured"
        self.path = self.job("cure", [
            {"id": "first", "command": ["true"]},
            {"id": "second", "depends_on": ["first"], "command": sh(f"test -e {self.cured}")},
            {"id": "third", "depends_on": ["second"], "command": ["true"]},
        ])

    def failed_run(self):
        return self.pawl("run", self.path, "-q", code=1).lines[0]

    def states(self, run):
        return {t["task"]: t["state"] for t in self.pawl("show", run, "-o", "json").json()["tasks"]}

    def test_resume_repeats_what_failed_and_goes_on(self):
        run = self.failed_run()
        self.assertEqual(self.states(run),
                         {"first": "succeeded", "second": "failed", "third": "upstream_failed"})
        self.cured.touch()
        done = self.pawl("resume", run)
        self.assertIn("succeeded cure", done.err)
        self.assertEqual(set(self.states(run).values()), {"succeeded"})
        attempts = self.pawl("attempts", run, "-o", "json").json()
        self.assertEqual(sorted((a["task"], a["attempt"]) for a in attempts),
                         [("first", 1), ("second", 1), ("second", 2), ("third", 1)])
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])

    def test_an_attempt_knows_why_the_one_before_it_ended_also_after_a_resume(self):
        path = self.job("again", [
            {"id": "a", "command": sh('echo "after ${PAWL_PREVIOUS_REASON:-nothing}"; exit 3')},
            {"id": "m", "map": {"items": [1]},
             "command": sh('echo "after ${PAWL_PREVIOUS_REASON:-nothing}"; kill -9 $$')}])
        run = self.pawl("run", path, "-q", code=1).lines[0]
        done = self.pawl("resume", run, code=1)
        self.assertNotIn("retried", done.err)
        self.pawl("resume", run, code=1)
        for task, reason in (("a", "exit"), ("m:0", "signal")):
            said = [self.pawl("logs", f"{run}/{task}#{n}").out for n in (1, 2, 3)]
            self.assertEqual(said, ["after nothing\n"] + 2 * [f"after {reason}\n"])

    def test_resume_of_what_ended_well_is_refused(self):
        self.cured.touch()
        run = self.pawl("run", self.path, "-q").lines[0]
        self.assertIn("pawl: ", self.pawl("resume", run, code=4).err)
        self.pawl("resume", "nothing-like-it", code=3)
        self.assertIn("nothing is selected", self.pawl("resume", code=2).err)

    def test_a_run_goes_on_with_the_file_as_it_is_now(self):
        run = self.failed_run()
        self.job("cure", [
            {"id": "before", "command": ["true"]},
            {"id": "first", "command": ["false"]},
            {"id": "second", "depends_on": ["first", "before"], "command": ["true"]},
        ])
        plan = self.pawl("resume", run, "--with-definition", self.path, "--dry-run").out
        self.assertIn('command: ["true"] → ["false"]', plan)
        self.assertEqual(self.states(run)["second"], "failed")
        done = self.pawl("resume", run, "--with-definition", self.path)
        for text in ("the definition is another one", "succeeded before, and stays",
                     "new: it runs when its turn comes", "gone: ", "succeeded cure"):
            self.assertIn(text, done.err)
        states = self.states(run)
        # What succeeded stays, what is gone is nobody's business any more.
        self.assertEqual({name: states[name] for name in ("first", "second", "before")},
                         {"first": "succeeded", "second": "succeeded", "before": "succeeded"})
        attempts = self.pawl("attempts", run, "-o", "json").json()
        self.assertEqual(sorted((a["task"], a["attempt"]) for a in attempts),
                         [("before", 1), ("first", 1), ("second", 1), ("second", 2)])

    def test_with_the_newest_definition_that_the_home_knows(self):
        run = self.failed_run()
        self.assertIn("the definition is the same",
                      self.pawl("resume", run, "--with-definition", "latest", code=1).err)
        self.cured.touch()
        self.job("cure", [{"id": "second", "command": ["true"]}])
        self.pawl("run", self.path, "-q")
        done = self.pawl("resume", run, "--with-definition", "latest")
        self.assertIn("depends_on", done.err)
        self.assertEqual(self.states(run)["second"], "succeeded")
        self.assertIn("say latest, or name a FILE",
                      self.pawl("resume", run, "--with-definition", "newest", code=2).err)

    def test_a_run_that_a_definition_does_not_fit_holds_up_no_other(self):
        other = self.pawl("run", self.job("other", [{"id": "only", "command": ["false"]}]), "-q",
                          code=1).lines[0]
        run = self.failed_run()
        self.cured.touch()
        self.job("cure", [{"id": "second", "command": ["true"]}])
        asked = ("resume", run, other, "--with-definition", self.path)
        why = "the run is of job other, not of cure"
        plan = self.pawl(*asked, "--dry-run", "-o", "json", code=4).json()
        self.assertEqual({(line["run"], line["text"]) for line in plan["plan"]
                          if line["action"] == "refused"}, {(other, why)})
        self.assertEqual({line["run"] for line in plan["definition"]}, {run})
        done = self.pawl(*asked, "-y", code=4)
        self.assertIn(f"pawl: {other[-6:]}: {why}", done.err)
        self.assertEqual(self.states(run)["second"], "succeeded")
        self.assertEqual(self.states(other)["only"], "failed")
        alone = self.pawl("resume", other, "--with-definition", self.path, code=4).err
        self.assertNotIn("the definition is the same", alone)

    def test_a_rerun_that_is_asked_again_makes_no_second_run(self):
        run = self.failed_run()
        self.cured.touch()
        new = self.pawl("rerun", run).lines[0]
        shown = self.pawl("show", new, "-o", "json").json()
        self.assertRegex(shown["request_id"], f"^cli-[0-9a-f]{{32}}/{run}$")

    def test_resume_of_one_task_alone(self):
        run = self.failed_run()
        self.cured.touch()
        self.pawl("resume", run, "--only", "second", code=None)
        self.assertEqual(self.states(run)["second"], "succeeded")

    def test_a_plan_changes_nothing(self):
        run = self.failed_run()
        before = self.pawl("show", run, "-o", "json").json()
        done = self.pawl("resume", run, "--dry-run")
        self.assertIn("second", done.out)
        self.assertIn("third", done.out)
        self.assertEqual(self.pawl("show", run, "-o", "json").json(), before)

    def test_several_need_a_yes(self):
        runs = {self.failed_run(), self.failed_run()}
        self.cured.touch()
        done = self.pawl("resume", "--job", "cure", code=2)
        self.assertIn("Say -y", done.err)
        self.assertEqual(len(self.pawl("runs", "--state", "failed", "-o", "name").lines), 2)
        self.pawl("resume", "--job", "cure", "-y")
        self.assertEqual(set(self.pawl("runs", "--state", "succeeded", "-o", "name").lines), runs)

    def test_rerun_makes_a_new_run_with_the_same_params(self):
        old = self.failed_run()
        self.cured.touch()
        new = self.pawl("rerun", old).lines[0]
        self.assertRegex(new, f"^{RUN_ID.pattern}$")
        self.assertNotEqual(new, old)
        one = self.pawl("show", new, "-o", "json").json()
        before = self.pawl("show", old, "-o", "json").json()
        self.assertEqual((one["trigger"], one["state"], one["scheduled_for"]), ("rerun", "succeeded", None))
        self.assertEqual(one["logical_time"], before["logical_time"])

    def test_of_one_named_run_json_is_its_object_and_else_one_array(self):
        old = [self.failed_run(), self.failed_run()]
        plan = self.pawl("resume", old[0], "--dry-run", "-o", "json").json()
        self.fields(plan, "verb targets plan")
        self.assertEqual([(line["task"], line["action"]) for line in plan["plan"]],
                         [("second", "run"), ("third", "wait")])
        self.cured.touch()
        one = self.pawl("resume", old[0], "-q", "-o", "json").json()
        self.assertEqual((one["run"], one["state"]), (old[0], "succeeded"))
        many = self.pawl("rerun", *old, "-y", "-q", "-o", "json").json()
        self.assertEqual([run["trigger"] for run in many], ["rerun"] * 2)
        lines = self.pawl("rerun", *old, "-y", "-q", "-o", "jsonl").lines
        self.assertEqual([json.loads(line)["state"] for line in lines], ["succeeded"] * 2)
        by_filter = self.pawl("rerun", "--job", "cure", "--run", old[0], "-q", "-o", "json").json()
        self.assertEqual(len(by_filter), 1)

    def test_mark_decides_by_hand_and_lets_the_rest_run(self):
        run = self.failed_run()
        self.pawl("mark", f"{run}/second", "succeeded")
        self.assertEqual(self.states(run),
                         {"first": "succeeded", "second": "succeeded", "third": "succeeded"})
        one = self.pawl("tasks", f"{run}/second", "-o", "json").json()[0]
        self.assertEqual((one["reason"], one["attempts"], one["error"]), ("marked", 1, None))
        self.assertNotIn("resumed", self.pawl("show", run).out)
        self.assertIn("last word", self.pawl("mark", f"{run}/second", code=2).err)

    def test_show_names_the_list_of_failures_while_there_is_something_in_it(self):
        run = self.failed_run()
        self.assertIn("list them", self.pawl("show", run).out)
        self.pawl("dismiss", run)
        page = self.pawl("show", run).out
        self.assertNotIn("list them", page)
        self.assertIn("pawl resume", page)

    def test_a_plan_of_a_paused_run_says_that_it_goes_on(self):
        child = self.start("run", self.job("wait", [{"id": "a", "command": ["sleep", "300"]}]))
        self.until("a runs", lambda: self.pawl("tasks", "--state", "running", "-o", "name").out)
        run = self.pawl("runs", "-o", "name").lines[0]
        self.pawl("pause", run)
        plan = self.pawl("resume", run, "--dry-run", "-o", "json").json()["plan"]
        self.assertEqual([(line["run"], line["action"]) for line in plan], [(run, "unpause")])
        self.pawl("cancel", run)
        child.communicate(timeout=SECONDS)

    def test_who_did_what_to_a_run_is_shown(self):
        run = self.failed_run()
        self.pawl("dismiss", f"{run}/second", "--note", "known since May")
        self.assertIn("marked succeeded", self.pawl("mark", f"{run}/second", "succeeded").err)
        page = self.pawl("show", run).out
        self.assertRegex(page, r"\n  \w+ +dismiss second, .*: known since May\n"
                               r"  \w+ +mark succeeded second, ")
        events = self.pawl("show", run, "-o", "json").json()["events"]
        self.fields(events, "at actor verb task index text")
        self.assertEqual([(e["verb"], e["task"], e["text"]) for e in events],
                         [("manual", None, None), ("dismiss", "second", "known since May"),
                          ("mark succeeded", "second", None)])
        of_task = self.pawl("show", f"{run}/first", "-o", "json").json()["events"]
        self.assertEqual(of_task, [])

    def test_a_run_that_its_time_out_ended_is_found_dismissed_and_resumed(self):
        path = self.job("late", [
            {"id": "wait", "command": sh(f"test -e {self.cured} || exec sleep 600")},
            {"id": "after", "depends_on": ["wait"], "command": ["true"]},
        ], timeout="1s")
        run, other = (self.pawl("run", path, "-q", code=1).lines[0] for _ in range(2))
        # Nothing of it failed but itself.
        self.assertEqual(self.states(run), {"wait": "cancelled", "after": "cancelled"})
        rows = self.pawl("failed", "-o", "json").json()
        self.assertEqual([(r["run"], r["task"], r["state"], r["reason"], r["resume"]) for r in rows],
                         [(name, None, "failed", "run_timeout", f"pawl resume {name}")
                          for name in (other, run)])
        table = self.pawl("failed").out
        self.assertIn("the run did not end within its timeout", table)
        self.assertIn("2 failed in 2 runs of 7 days", table)
        self.assertIn("2 failures: pawl failed", self.pawl("status").out)
        groups = self.pawl("failed", "--by", "reason", "-o", "json").json()
        self.assertEqual([(g["reason"], g["count"], g["example"]) for g in groups],
                         [("run_timeout", 2, other)])
        self.assertEqual(self.pawl("failed", "-o", "name").lines, [other, run])
        for words in ([], ["--by", "error"]):
            self.assertIn("nothing unresolved. Not shown: 2 older (--since 365d)",
                          self.pawl("failed", *words, "--since", "0s").out)
        self.pawl("dismiss", "--job", "late", "--until", "now", "--reason", "run_timeout", "-y")
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])
        self.assertEqual(self.pawl("show", run, "-o", "json").json()["reason"], "run_timeout")
        self.cured.touch()
        self.pawl("resume", run)
        self.assertEqual(set(self.states(run).values()), {"succeeded"})

    def test_what_a_time_out_took_away_is_told_until_it_is_repeated(self):
        waits = sh(f"test -e {self.cured} || exec sleep 600")
        path = self.job("late", [
            {"id": "one", "command": waits}, {"id": "two", "command": waits},
            {"id": "after", "depends_on": ["one", "two"], "command": ["true"]},
        ], timeout="1s")
        run = self.pawl("run", path, "-q", code=1).lines[0]
        self.cured.touch()
        self.pawl("resume", f"{run}/one", code=1)
        self.assertEqual(self.states(run),
                         {"one": "succeeded", "two": "cancelled", "after": "cancelled"})
        self.assertEqual(self.pawl("failed", "-o", "name").lines, [run])
        self.pawl("resume", run)
        self.assertEqual(set(self.states(run).values()), {"succeeded"})
        self.assertEqual(self.pawl("failed", "-o", "name").lines, [])

    def test_what_fail_fast_took_away_is_told_until_it_is_repeated(self):
        path = self.job("strict", [
            {"id": "bad", "command": ["false"]},
            {"id": "after", "depends_on": ["slow"], "command": ["true"]},
            {"id": "slow", "command": ["sleep", "600"]},
        ], fail_fast=True)
        run = self.pawl("run", path, "-q", code=1).lines[0]
        self.assertEqual(self.pawl("failed", "-o", "name").lines, [f"{run}/bad"])
        self.pawl("mark", f"{run}/bad", "succeeded")
        self.assertEqual(self.pawl("failed", "-o", "name").lines, [run])
        self.assertIn("took away", self.pawl("failed").out)
        self.pawl("dismiss", run)
        self.assertEqual(self.pawl("failed", "-o", "name").lines, [])

    def test_a_filter_dismisses_what_it_chose_and_nothing_else(self):
        run = self.pawl("run", self.job("late", [
            {"id": "slow", "command": ["sleep", "600"]},
            {"id": "bad", "command": sh("exit 4")},
            {"id": "some", "command": sh("test $PAWL_MAP_INDEX = 1"),
             "map": {"items": [1, 2], "tolerated_failures": 1}},
        ], timeout="1s"), "-q", code=1).lines[0]

        def failed():
            rows = self.pawl("failed", "--tolerated", "-o", "json").json()
            return sorted((r["task"] or "", r["index"]) for r in rows)
        self.assertEqual(failed(), [("", None), ("bad", None), ("some", 0)])
        self.pawl("dismiss", "--reason", "run_timeout", "-y")
        self.assertEqual(failed(), [("bad", None), ("some", 0)])
        self.pawl("dismiss", run)
        self.assertEqual(failed(), [])

    def test_dismiss_hides_and_changes_no_state(self):
        run = self.failed_run()
        self.pawl("dismiss", run, "--note", "known")
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])
        self.assertEqual(self.states(run)["second"], "failed")

    def test_cancel_of_what_ended_is_refused(self):
        run = self.failed_run()
        self.pawl("cancel", run, code=4)

    def test_one_that_is_refused_holds_up_no_other(self):
        failed = self.failed_run()
        self.cured.touch()
        done = self.pawl("run", self.path, "-q").lines[0]
        plan = self.pawl("resume", failed, done, "--dry-run", "-o", "json", code=4).json()["plan"]
        self.assertEqual([(line["run"], line["task"], line["action"]) for line in plan],
                         [(failed, "second", "run"), (failed, "third", "wait"),
                          (done, None, "refused")])
        self.assertIn("nothing of it failed", plan[2]["text"])
        asked = self.pawl("resume", failed, done, code=2)
        self.assertRegex(asked.err, rf"{done[-6:]} +refused: nothing of it failed")
        self.assertIn("Say -y", asked.err)
        went_on = self.pawl("resume", failed, done, "-y", code=4)
        self.assertIn(f"{done[-6:]}: nothing of it failed", went_on.err)
        self.assertEqual(set(self.states(failed).values()), {"succeeded"})

    def test_what_is_refused_is_told_of_the_run_that_it_is_about(self):
        for backwards in (False, True):
            self.cured.unlink(missing_ok=True)
            failed = self.failed_run()
            self.cured.touch()
            done = self.pawl("run", self.path, "-q").lines[0]
            went_on = self.pawl("resume", *sorted((failed, done), reverse=backwards), "-y", "-o",
                                "json", code=4)
            self.assertEqual([run["run"] for run in went_on.json()], [failed])
            self.assertIn(f"{done[-6:]}: nothing of it failed", went_on.err)
            self.assertNotIn(f"{failed[-6:]}: nothing of it failed", went_on.err)

    def test_several_shells_at_once_all_get_what_they_ask_for(self):
        path = self.job("many", [{"id": "m", "map": {"items": list(range(24))},
                                  "command": ["false"]}])
        run = self.pawl("run", path, "-q", code=1).lines[0]
        quick = self.job("quick", [{"id": "a", "command": ["true"]},
                                   {"id": "b", "depends_on": ["a"], "command": ["true"]}])

        def shell(*commands):
            return [self.pawl(*words, code=None) for words in commands]

        with concurrent.futures.ThreadPoolExecutor() as shells:
            done = [shells.submit(shell, *commands) for commands in (
                [("mark", f"{run}/m:{i}", "succeeded") for i in range(12)],
                [("dismiss", f"{run}/m:{i}") for i in range(12, 24)],
                [(verb, "many") for verb in ("pause", "unpause")] * 4,
                [("run", quick)] * 4)]
            ended = [one for each in done for one in each.result()]
        self.assertEqual([one for one in ended if one.code != 0], [])
        items = self.pawl("tasks", run, "--task", "m", "--state", "succeeded", "-o", "json").json()
        self.assertEqual(len(items), 12)
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])

    def test_what_would_be_refused_is_told_beforehand(self):
        run = self.failed_run()
        self.pawl("dismiss", run, "--dry-run")
        self.pawl("dismiss", run)
        for words in (("dismiss", run), ("dismiss", f"{run}/second"), ("pause", run),
                      ("unpause", run)):
            with self.subTest(words):
                plan = self.pawl(*words, "--dry-run", code=4)
                self.assertIn("refused: ", plan.out)
                self.assertIn(plan.out.split("refused: ")[1].strip(),
                              self.pawl(*words, code=4).err)

    def test_trigger_starts_a_known_job(self):
        self.cured.touch()
        self.pawl("run", self.path, "-q")
        done = self.pawl("trigger", "cure", "--for", "2026-01-02")
        run = self.pawl("show", done.lines[0], "-o", "json").json()
        self.assertEqual((run["state"], run["logical_time"]), ("succeeded", "2026-01-02T00:00:00.000Z"))
        self.pawl("trigger", "unknown", code=3)
        self.pawl("trigger", "cure", "--for", "soon", code=2)

    def test_one_request_id_is_one_run(self):
        self.cured.touch()
        first = self.pawl("run", self.path, "--request-id", "r1").lines[0]
        again = self.pawl("run", self.path, "--request-id", "r1")
        self.assertEqual(again.lines[0], first)
        self.assertIn("made it before", again.err)
        self.assertEqual(len(self.pawl("runs", "-o", "name").lines), 1)
        other = self.job("other", [{"id": "a", "command": ["true"]}])
        self.pawl("run", other, "--request-id", "r1", code=4)

    def test_pausing_a_job(self):
        self.failed_run()
        self.pawl("pause", "cure", "--note", "moving")
        self.assertTrue(self.pawl("job", "cure", "-o", "json").json()["paused"])
        self.pawl("unpause", "--all")
        self.assertFalse(self.pawl("job", "cure", "-o", "json").json()["paused"])
        self.assertIn("neither a job nor a run", self.pawl("pause", "no-such-thing", code=3).err)
        self.pawl("run", self.job("other", [{"id": "a", "command": ["true"]}]))
        plan = self.pawl("pause", "cure", "other", "--dry-run")
        self.assertEqual(plan.lines, ["pause 2 targets:", "  job cure", "  job other"])
        with self.on_a_terminal("pause", "cure", "other") as person:
            person.read_until(b"pause them? [y/N]")
            person.say("n")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)
        self.assertFalse(any(job["paused"] for job in self.pawl("jobs", "-o", "json").json()))
        self.assertIn("Did you mean cure?", self.pawl("pause", "cured", code=3).err)

    def test_detach_needs_a_scheduler_and_does_nothing_without_one(self):
        self.assertIn("pawl serve", self.pawl("run", self.path, "--detach", code=69).err)
        run = self.failed_run()
        for words in (["trigger", "cure"], ["resume", run], ["resume", "--job", "cure", "-y"],
                      ["rerun", run]):
            self.assertIn("pawl serve", self.pawl(*words, "--detach", code=69).err)
        self.assertEqual([(r["run"], r["state"]) for r in self.pawl("runs", "-o", "json").json()],
                         [(run, "failed")])

    def test_after_an_upgrade_a_store_is_copied_as_it_is_and_changed_without_a_service(self):
        run = self.failed_run()
        older = lambda: self.pawl("failed", code=78).err
        with contextlib.closing(sqlite3.connect(self.home / "pawl.db")) as store:  # as 0003 left it
            store.executescript("ALTER TABLE attempt DROP COLUMN memory_bound_bytes;"
                                "DROP INDEX run_fire; DELETE FROM setting;"
                                "PRAGMA user_version=3")
        self.assertIn("is of an older pawl. Start pawl serve once", older())
        copy = self.root / "before.db"
        self.pawl("backup", copy)
        with contextlib.closing(sqlite3.connect(copy)) as store:
            self.assertEqual(store.execute("PRAGMA user_version").fetchone(), (3,))
        older()
        self.cured.touch()
        self.pawl("resume", run, "-q")
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])

    def test_a_backup_comes_back_in_another_home(self):
        run = self.failed_run()
        self.pawl("backup", "copy.db")
        self.pawl("backup", "copy.db", code=4)
        self.pawl("--home", self.root / "second", "restore", "copy.db")
        listed = self.pawl("--home", self.root / "second", "runs", "-o", "name").lines
        self.assertEqual(listed, [run])
        self.assertIn("--replace", self.pawl("restore", "copy.db", code=4).err)
        self.pawl("restore", "none.db", code=3)

    def test_a_restored_home_goes_on_although_a_run_of_it_ended_meanwhile(self):
        path = self.job("cut", [{"id": "a", "command": ["sleep", "300"]},
                                {"id": "b", "depends_on": ["a"], "command": ["true"]}])
        child = self.start("run", path)
        self.until("a runs", lambda: self.pawl("tasks", "--state", "running", "-o", "name").out)
        self.pawl("backup", "copy.db")
        child.terminate()
        child.communicate(timeout=cli_support.SECONDS)
        second = ["--home", self.root / "second"]
        self.pawl(*second, "restore", "copy.db")
        # Its held task decides the run as soon as it may go on, and not before.
        self.pawl(*second, "pause", "@latest")
        self.assertEqual(self.pawl(*second, "runs", "-o", "json").json()[0]["state"], "paused")
        self.pawl(*second, "unpause", "--all")
        self.assertEqual(self.pawl(*second, "runs", "-o", "json").json()[0]["state"], "failed")

    def test_doctor_finds_what_is_wrong_with_a_home(self):
        self.failed_run()
        findings = self.pawl("doctor", "-o", "json", code=None).json()
        self.fields(findings, "check state text remedy")
        good = {f["check"]: f["state"] for f in findings}
        self.assertEqual((good["home"], good["store"], good["scheduler"]), ("good", "good", "good"))
        self.home.chmod(0o755)
        findings = self.pawl("doctor", "-o", "json", code=1).json()
        bad = next(f for f in findings if f["check"] == "home")
        self.assertEqual(bad["state"], "problem")
        self.assertIn("chmod 700", bad["remedy"])
        self.home.chmod(0o700)
        (self.home / "machine").write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
        findings = self.pawl("doctor", "-o", "json", code=1).json()
        bad = next(f for f in findings if f["check"] == "machine")
        self.assertEqual(bad["state"], "problem")
        self.assertIn("0123456789abcdef", bad["text"])

    def test_a_worker_whose_lock_cannot_be_read_is_not_taken_for_one_that_has_ended(self):
        self.failed_run()
        folder = self.home / "workers" / "9"
        folder.mkdir(mode=0o700)
        (folder / "lock").symlink_to("nowhere")
        findings = self.pawl("doctor", "-o", "json", code=None).json()
        found = next(f for f in findings if f["check"] == "workers")
        self.assertEqual(found["state"], "warning")
        self.assertIn(f"cannot read {folder}/lock: ", found["text"])
        orphans = self.pawl("status", "-o", "json", code=None).json()["orphans"]
        self.assertIn({"worker": "9", "state": "unknown", "pid": None}, orphans)
        self.assertIn("worker 9 has a lock that cannot be read",
                      self.pawl("status", code=None).out)

    def test_prune_takes_old_runs_away(self):
        self.cured.touch()
        self.pawl("run", self.path, "-q")
        self.assertEqual(self.pawl("prune", "-o", "json").json(), {"runs": 0})
        self.pawl("run", self.path, "-q")
        old = ["prune", "--older-than", "0s"]
        self.assertEqual(self.pawl(*old, "--dry-run", "-o", "json").json(), {"runs": 2})
        self.assertIn("2 runs ended so long ago. Say -y", self.pawl(*old, code=2).err)
        self.assertEqual(len(self.pawl("runs", "-o", "json").json()), 2)
        self.assertEqual(self.pawl(*old, "-y", "-o", "json").json(), {"runs": 2})
        self.assertEqual(self.pawl("runs", "-o", "json").json(), [])
        self.pawl("run", self.path, "-q")
        self.assertEqual(self.pawl("prune", "--dry-run", "-o", "json").json(), {"runs": 0})
        self.write("home/settings.json", {"retention": {"runs": 1}})
        self.pawl("run", self.path, "-q")
        self.assertEqual(self.pawl("prune", "--dry-run").out, "1 run would be taken away\n")
        self.assertEqual(self.pawl("prune", "-o", "json").json(), {"runs": 1})

    def test_prune_takes_no_more_than_was_agreed_to(self):
        kept = self.failed_run()
        self.cured.touch()
        for _ in range(2):
            self.pawl("run", self.path, "-q")
        with self.on_a_terminal("prune", "--older-than", "0s") as person:
            person.read_until(b"2 runs ended so long ago. Take them away for good? [y/N]")
            later = self.pawl("run", self.path, "-q").lines[0]
            self.pawl("dismiss", kept)
            person.say("y")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)
        self.assertEqual(self.pawl("runs", "-o", "name").lines, [later, kept])


if __name__ == "__main__":
    cli_support.main()
