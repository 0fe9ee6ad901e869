#!/usr/bin/env python3
"""Schedules as users meet them: served, paused, changed, caught up, backfilled."""

import signal
import sqlite3
from datetime import datetime, timedelta, timezone

import cli_support
from cli_support import HomeTest, SECONDS

TASKS = [{"id": "a", "command": ["true"]}]


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Scheduling(HomeTest):
    def setUp(self):
        super().setUp()
        (self.root / "jobs").mkdir(mode=0o755)

    def serve(self, *words):
        child = self.start("serve", "--jobs", "jobs", *words)
        self.until("the scheduler is up", lambda: self.is_served_by(child))
        # It answers before it has read its folders.
        names = {path.stem for path in (self.root / "jobs").glob("*.json")}
        self.until("its jobs are there", lambda: names <= set(self.pawl("jobs", "-o", "name").lines))
        return child

    def end(self, child, how=signal.SIGTERM):
        child.send_signal(how)
        child.communicate(timeout=SECONDS)

    def served(self, name="tick", schedule=None, tasks=None, **more):
        self.write(f"jobs/{name}.json", {"name": name, "timeout": "1h", "tasks": tasks or TASKS,
                                         "schedule": schedule or {"every": "1s"}, **more})

    def runs(self, *words):
        return self.pawl("runs", "--limit", "0", "-o", "json", *words).json()

    def job_row(self, name="tick"):
        return self.pawl("job", name, "-o", "json").json()

    def fires(self):
        """Seconds of the fires that have a run, in the order of the runs."""
        return [instant(run["scheduled_for"]) for run in reversed(self.runs())
                if run["scheduled_for"]]


class Scheduled(Scheduling):
    def test_a_job_fires_on_time_and_each_fire_once(self):
        self.served()
        child = self.serve()
        self.until("it fired", lambda: len(self.runs("--state", "succeeded")) >= 3)
        row = self.job_row()
        self.assertGreater(instant(row["next_fire_at"]),
                           datetime.now(timezone.utc) - timedelta(seconds=30))
        self.end(child)
        fires = self.fires()
        for before, after in zip(fires, fires[1:]):
            self.assertEqual(after - before, timedelta(seconds=1))
        run = self.runs()[0]
        self.assertEqual(run["trigger"], "schedule")
        self.assertEqual(run["logical_time"], run["scheduled_for"])

    def test_only_serve_arms_schedules(self):
        self.served()
        self.end(self.serve())
        before = len(self.fires())
        self.pawl("trigger", "tick")
        self.pawl("run", self.job("other", [{"id": "a", "command": ["sleep", "2"]}]))
        self.assertEqual(len(self.fires()), before)

    def test_what_a_kill_made_it_miss_is_caught_up_as_the_job_says(self):
        for policy in ("none", "latest", "all"):
            self.served(policy, catchup={"policy": policy, "limit": 3}, queue_limit=1000)
        child = self.serve()
        self.until("all fired", lambda: {run["job"] for run in self.runs()} == {
            "none", "latest", "all"})
        self.end(child, signal.SIGKILL)
        last = max(self.fires())
        self.until("some seconds are missed",
                   lambda: datetime.now(timezone.utc) - last > timedelta(seconds=7))
        child = self.serve()
        self.until("what is wanted is caught up",
                   lambda: len(self.runs("--job", "all", "--state", "succeeded")) > 4)
        self.end(child)
        made = {name: [run for run in self.runs("--job", name) if run["trigger"] == "catchup"]
                for name in ("none", "latest", "all")}
        self.assertEqual([len(made[name]) for name in ("none", "latest", "all")], [0, 1, 3])
        for name, reason in (("none", "catchup"), ("latest", "catchup"), ("all", "limit")):
            row = self.job_row(name)
            self.assertGreater(row["dropped"], 1)
            self.assertEqual({one["reason"] for one in row["dropped_fires"]}, {reason})
            self.assertRegex(self.pawl("job", name).out, r"fires from .* missed, and ")
            # Every second has its run or its decision.
            runs = {instant(run["scheduled_for"]) for run in self.runs("--job", name)}
            span = (max(runs) - min(runs)).seconds + 1
            self.assertEqual(len(runs) + row["dropped"], span)

    def test_killed_again_and_again_no_fire_is_lost_or_doubled(self):
        self.served(catchup={"policy": "all", "limit": 1000}, queue_limit=1000,
                    tasks=[{"id": "a", "command": ["true"], "on_interrupt": "retry"}])
        for _ in range(6):
            child = self.serve()
            before = len(self.fires())
            # The kill comes with a fire: after its run is there, before much else is.
            self.until("it fires", lambda count=before: len(self.fires()) > count)
            child.kill()
            child.wait()
        child = self.serve()
        self.until("nothing is open", lambda: self.fires() and not self.runs(
            "--state", "queued,running"))
        self.end(child)
        fires = sorted(self.fires())
        for before, after in zip(fires, fires[1:]):
            self.assertEqual(after - before, timedelta(seconds=1))
        self.assertEqual(self.job_row()["dropped"], 0)

    def test_a_paused_job_misses_nothing(self):
        self.served(catchup={"policy": "all"})
        self.pawl("run", self.job("other", TASKS))
        child = self.serve()
        self.until("it fired", self.fires)
        self.pawl("pause", "tick", "--note", "warehouse is being moved")
        row = self.job_row()
        self.assertEqual((row["paused"], row["note"], row["next_fire_at"]),
                         (True, "warehouse is being moved", None))
        self.assertTrue(row["paused_by"])
        self.assertIn("warehouse is being moved", self.pawl("jobs").out)
        paused = self.fires()
        self.end(child, signal.SIGKILL)
        child = self.serve()
        self.pawl("run", self.job("sleep", [{"id": "a", "command": ["sleep", "3"]}]))
        self.assertEqual(self.fires(), paused)
        self.pawl("unpause", "tick")
        self.until("it fires again", lambda: len(self.fires()) > len(paused))
        self.end(child)
        self.assertEqual({run["trigger"] for run in self.runs("--job", "tick")}, {"schedule"})
        self.assertEqual(self.job_row()["dropped"], 0)

    def test_a_changed_file_and_a_file_that_goes_take_effect(self):
        self.served()
        child = self.serve()
        self.until("it fired", self.fires)
        self.served(schedule={"cron": "0 0 1 1 *", "timezone": "Asia/Tokyo"})
        year = datetime.now(timezone.utc).year
        self.until("the new schedule counts",
                   lambda: self.job_row()["next_fire_at"] in
                   (f"{year - 1}-12-31T15:00:00.000Z", f"{year}-12-31T15:00:00.000Z"))
        self.assertEqual(self.job_row()["timezone"], "Asia/Tokyo")
        self.served()
        self.until("the old one again", lambda: self.job_row()["next_fire_at"] < f"{year}-12-31T14")
        (self.root / "jobs/tick.json").unlink()
        self.until("it is not served", lambda: self.job_row()["next_fire_at"] is None)
        gone = len(self.fires())
        self.pawl("run", self.job("sleep", [{"id": "a", "command": ["sleep", "2"]}]))
        self.assertEqual(len(self.fires()), gone)
        self.end(child)

    def test_a_broken_file_leaves_the_last_good_schedule_in_force(self):
        self.served()
        self.end(self.serve())
        self.write("jobs/tick.json", '{"name": "tick", "tasks": []}')
        child = self.serve()
        self.until("it is quarantined", lambda: self.job_row()["quarantined"])
        before = len(self.fires())
        self.until("it fires", lambda: len(self.fires()) > before)
        self.end(child)

    def test_a_run_that_waits_says_for_whom(self):
        self.served(tasks=[{"id": "a", "command": ["sleep", "300"]}], queue_limit=1)
        child = self.serve()
        waiting = self.until("one waits", lambda: self.runs("--state", "queued"))
        active = self.runs("--state", "running")[0]["run"][-6:]
        # It waits for a second only: then the next one takes its place.
        said = f"run queued: {active} is active, overlap queue"
        self.until("it says so", lambda: [run for run in self.runs("--state", "queued") if self.pawl(
            "explain", run["run"]).out.startswith(said)])
        self.assertTrue(waiting)
        self.until("the oldest is dropped", lambda: self.job_row()["dropped"] > 0)
        dropped = self.runs("--state", "cancelled")[0]
        self.assertEqual(dropped["reason"], "replaced")
        self.assertEqual(self.job_row()["dropped_fires"][0]["reason"], "queue_limit")
        self.pawl("pause", "tick")
        self.pawl("cancel", "--job", "tick", "--force", "-y")
        self.end(child)

    def test_failures_in_a_row_pause_the_schedule(self):
        self.served(tasks=[{"id": "a", "command": ["false"]}], pause_after_failures=2)
        child = self.serve()
        self.until("it is paused", lambda: self.job_row()["paused"])
        row = self.job_row()
        self.assertEqual(row["paused_by"], "pawl")
        self.assertRegex(row["note"], "2 scheduled runs in a row failed, the last one is ")
        self.end(child)

    def test_a_restored_home_starts_with_schedules_paused(self):
        self.served()
        child = self.serve()
        self.until("it fired", self.fires)
        self.pawl("backup", "copy.db")
        self.end(child)
        self.env["PAWL_HOME"] = str(self.root / "restored")
        self.pawl("restore", "copy.db")
        before = len(self.fires())
        child = self.serve()
        self.pawl("run", self.job("sleep", [{"id": "a", "command": ["sleep", "2"]}]))
        self.assertEqual(self.job_row()["note"], "restored")
        self.assertEqual(len(self.fires()), before)
        self.pawl("unpause", "--all")
        self.until("it fires", lambda: len(self.fires()) > before)
        self.end(child)

    def test_trigger_for_a_time_and_at_a_time(self):
        self.served(schedule={"cron": "0 0 1 1 *"})
        child = self.serve()
        self.until("it is known", lambda: self.pawl("jobs", "-o", "name").out)
        run = self.pawl("trigger", "tick", "--for", "2026-11-19T00:00:00Z", "--wait").lines[0]
        shown = self.pawl("show", run, "-o", "json").json()
        self.assertEqual(shown["logical_time"], "2026-11-19T00:00:00.000Z")
        self.assertIsNone(shown["scheduled_for"])
        run = self.pawl("trigger", "tick", "--at", "2126-01-01T00:00:00Z").lines[0]
        self.assertIn("run queued: starts at", self.pawl("explain", run).out)
        self.pawl("cancel", run, "-y")
        soon = datetime.now(timezone.utc) + timedelta(seconds=2)
        run = self.pawl("trigger", "tick", "--at", soon.strftime("%Y-%m-%dT%H:%M:%SZ")).lines[0]
        self.until("it starts", lambda: self.pawl("show", run, "-o", "json").json()["started_at"])
        started = instant(self.pawl("show", run, "-o", "json").json()["started_at"])
        self.assertGreaterEqual(started, soon.replace(microsecond=0))
        self.end(child)


class Backfill(Scheduling):
    DAYS = ("--from", "2026-10-30", "--to", "2026-11-04")

    def known(self, **more):
        self.served(schedule={"cron": "30 1 * * *", "timezone": "America/New_York"}, **more)
        child = self.serve()
        self.until("it is known", lambda: self.pawl("jobs", "-o", "name").out)
        return child

    def test_one_run_for_each_fire_time(self):
        child = self.known()
        plan = self.pawl("backfill", "tick", *self.DAYS, "--dry-run", "-o", "json").json()
        self.assertEqual(len(plan["fires"]), 5)
        shown = self.pawl("backfill", "tick", *self.DAYS, "--dry-run")
        self.assertEqual(([line.strip() for line in shown.lines[:5]], shown.err),
                         (plan["fires"], ""))
        self.assertIn("5 runs", shown.lines[5])
        self.assertEqual(self.runs(), [])
        made = self.pawl("backfill", "tick", *self.DAYS, "--max-active", "2", "--wait")
        self.assertEqual(len(made.lines), 5)
        runs = list(reversed(self.runs()))
        self.assertEqual([run["run"] for run in runs], made.lines)
        self.assertEqual([run["scheduled_for"] for run in runs],
                         ["2026-10-30T05:30:00.000Z", "2026-10-31T05:30:00.000Z",
                          "2026-11-01T05:30:00.000Z", "2026-11-02T06:30:00.000Z",
                          "2026-11-03T06:30:00.000Z"])
        self.assertEqual({(run["trigger"], run["state"]) for run in runs},
                         {("backfill", "succeeded")})
        again = self.pawl("backfill", "tick", *self.DAYS)
        self.assertEqual(again.lines, [])
        self.assertEqual(self.pawl("backfill", "tick", *self.DAYS, "-o", "json").json(), [])
        all_of_it = self.pawl("backfill", "tick", *self.DAYS, "--reprocess", "all", "--wait", "-o",
                              "json").json()
        self.assertEqual([run["trigger"] for run in all_of_it], ["backfill"] * 5)
        self.assertIn("5 fire times have a run already", again.err)
        self.end(child)

    def test_reprocess_and_reverse(self):
        child = self.known(tasks=[{"id": "a", "command": ["sh", "-c", "test $DAY != 2026-11-01"],
                                   "env": {"DAY": "{{ run.date }}"}}])
        self.pawl("backfill", "tick", *self.DAYS, "--reverse", "--wait", code=1)
        first = list(reversed(self.runs()))
        self.assertEqual(first[0]["logical_time"], "2026-11-03T06:30:00.000Z")
        self.assertEqual([run["state"] for run in first].count("failed"), 1)
        self.pawl("backfill", "tick", *self.DAYS, "--reprocess", "failed", "--wait", code=1)
        again = self.runs()[0]
        self.assertEqual(again["logical_time"], "2026-11-01T05:30:00.000Z")
        self.assertIsNone(again["scheduled_for"])
        self.pawl("backfill", "tick", *self.DAYS, "--reprocess", "all", "--wait", code=1)
        self.assertEqual(len(self.runs()), 11)
        self.end(child)

    def test_it_goes_on_after_a_kill_and_never_beyond_its_limit(self):
        child = self.known(tasks=[{"id": "a", "command": ["sleep", "0.3"], "on_interrupt": "retry"}])
        made = self.pawl("backfill", "tick", *self.DAYS, "--max-active", "2")
        self.end(child, signal.SIGKILL)
        child = self.serve()
        self.until("all end", lambda: len(self.runs("--state", "succeeded")) == 5)
        self.assertEqual(sorted(run["run"] for run in self.runs()), sorted(made.lines))
        with sqlite3.connect(f"file:{self.home}/pawl.db?mode=ro", uri=True) as store:
            spans = store.execute("SELECT started_at, ended_at FROM run").fetchall()
        for start, _ in spans:
            self.assertLessEqual(sum(1 for a, b in spans if a <= start < b), 2)
        self.end(child)

    def test_without_a_scheduler_the_command_is_it(self):
        self.end(self.known())
        made = self.pawl("backfill", "tick", *self.DAYS)
        self.assertEqual(len(made.lines), 5)
        self.assertEqual(len(self.runs("--state", "succeeded")), 5)

    def test_times_of_the_job_are_read_in_its_zone_and_others_in_the_users(self):
        child = self.known()
        tokyo = {"TZ": "Asia/Tokyo"}
        for first in ("2026-10-30", "2026-10-30 00:00", "2026-10-30T00:00"):
            plan = self.pawl("backfill", "tick", "--from", first, "--to", "2026-10-31", "--dry-run",
                             "-o", "json", env=tokyo).json()
            self.assertEqual(plan["fires"], ["2026-10-30T05:30:00.000Z"])
        run = self.pawl("trigger", "tick", "--for", "2026-10-30 01:30", "--at", "2126-01-01 09:00",
                        "-o", "json", env=tokyo).json()
        self.assertEqual(run["logical_time"], "2026-10-30T05:30:00.000Z")
        self.assertIn("2126-01-01 00:00", self.pawl("explain", run["run"]).out)
        self.end(child)

    def test_what_would_be_made_may_change_while_a_person_is_asked(self):
        self.end(self.known())
        with self.on_a_terminal("backfill", "tick", *self.DAYS, "--reprocess", "failed") as person:
            self.assertIn(b"5 runs", person.read_until(b"[y/N]"))
            self.pawl("backfill", "tick", "--from", "2026-10-30", "--to", "2026-11-01")
            person.say("y")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)
        self.assertEqual(len(self.runs("--state", "succeeded")), 5)

    def test_what_cannot_be_is_refused(self):
        self.served("often", schedule={"every": "1s"})
        child = self.known()
        self.pawl("backfill", "none", *self.DAYS, code=3)
        self.assertIn("fire times", self.pawl("backfill", "often", "--from", "2025-01-01", "--to",
                                              "2026-01-01", code=4).err)
        self.assertIn("not after", self.pawl("backfill", "tick", "--from", "2026-01-02", "--to",
                                             "2026-01-01", code=2).err)
        self.pawl("backfill", "tick", "--from", "soon", "--to", "2026-01-01", code=2)
        self.pawl("run", self.job("by-hand", TASKS))
        self.assertIn("has no schedule", self.pawl("backfill", "by-hand", *self.DAYS, code=4).err)
        ahead = self.pawl("backfill", "tick", "--from", "2126-01-01", "--to", "2126-01-03")
        self.assertIn("2 fire times are still to come", ahead.err)
        self.end(child)


del HomeTest  # or it would be run too

if __name__ == "__main__":
    cli_support.main()
