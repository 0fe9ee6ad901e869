#!/usr/bin/env python3
"""pawl next, and what validate says of schedules: neither needs a scheduler."""

import json

import cli_support
from cli_support import HomeTest, SECONDS

ECHO = [{"id": "say", "command": ["echo", "{{ run.date }}"], "output": "text"}]


class Next(HomeTest):
    def scheduled(self, name, schedule, **keys):
        path = self.root / f"{name}.json"
        path.write_text(json.dumps({"name": name, "schedule": schedule, "timeout": "1h",
                                    "tasks": ECHO, **keys}), encoding="utf-8")
        return str(path)

    def next(self, *words, **options):
        return self.pawl("next", *words, **options)

    def test_an_expression_gives_five_instants_in_utc(self):
        done = self.next("--cron", "30 2 * * *", "--from", "2026-03-06T00:00:00Z", "-o", "json")
        self.assertEqual(done.json(), [f"2026-03-{day:02}T02:30:00Z" for day in range(6, 11)])
        self.assertFalse(self.home.exists())

    def test_a_time_in_the_skipped_hour_moves_by_the_gap(self):
        done = self.next("--cron", "30 2 * * *", "--timezone", "America/New_York",
                         "--from", "2026-03-07", "-n", "3", "-o", "json")
        self.assertEqual(done.json(), ["2026-03-07T07:30:00Z", "2026-03-08T07:30:00Z",
                                       "2026-03-09T06:30:00Z"])

    def test_from_is_read_in_the_calendars_zone_and_is_left_out_itself(self):
        words = ["--cron", "0 9 * * *", "--timezone", "Asia/Tokyo", "-n", "1", "-o", "name"]
        self.assertEqual(self.next(*words, "--from", "2026-01-01 08:59").out,
                         "2026-01-01T00:00:00Z\n")
        self.assertEqual(self.next(*words, "--from", "2026-01-01 09:00").out,
                         "2026-01-02T00:00:00Z\n")

    def test_a_table_shows_local_time(self):
        done = self.next("--cron", "30 2 * * *", "--timezone", "America/New_York",
                         "--from", "2026-03-08T00:00:00Z", "-n", "1")
        self.assertIn("Sun 2026-03-08 03:30:00 EDT", done.out)

    def test_a_table_goes_as_far_as_the_calendar(self):
        done = self.next("--cron", "0 2 * * *", "--from", "2300-01-01", "-n", "1", "--no-header")
        self.assertTrue(done.out.startswith("Mon 2300-01-01 02:00:00 UTC"), done.out)

    def test_a_file_is_asked_before_anybody_serves_it(self):
        path = self.scheduled("dump", [{"cron": "0 2 * * *", "timezone": "Asia/Tokyo"},
                                 {"at": "2026-01-01T00:00:00Z"}])
        done = self.next(path, "--from", "2025-12-31T20:00:00Z", "-n", "2", "-o", "json")
        self.assertEqual(done.json(), ["2026-01-01T00:00:00Z", "2026-01-01T17:00:00Z"])
        self.assertIn("no schedule", self.next(self.plain("plain")).err)

    def plain(self, name):
        path = self.root / f"{name}.json"
        path.write_text(json.dumps({"name": name, "tasks": ECHO}), encoding="utf-8")
        return str(path)

    def test_a_job_of_the_home_is_asked_by_its_name(self):
        path = self.scheduled("dump", {"cron": "0 2 * * *", "timezone": "Asia/Tokyo"})
        run = self.pawl("run", path).lines[0]
        done = self.next("dump", "--from", "2026-01-01T00:00:00Z", "-n", "1", "-o", "json")
        self.assertEqual(done.json(), ["2026-01-01T17:00:00Z"])
        self.assertIn("in no folder that is served", done.err)
        self.assertEqual(self.next("-o", "json").json(), [])
        self.assertIn("Did you mean dump?", self.next("dumb", code=3).err)
        # The date of a run is that of the schedule's zone, at the run's logical time.
        logical = self.pawl("show", run, "-o", "json").json()["logical_time"]
        expected = self.next("--cron", "* * * * *", "--timezone", "Asia/Tokyo", "--from", logical,
                             "-n", "1").lines[-1].split()[1]
        self.assertEqual(self.pawl("output", f"{run}/say").out.strip(), expected)

    def test_all_jobs_of_the_home_in_order_of_time_with_or_without_a_scheduler(self):
        jobs = self.root / "jobs"
        jobs.mkdir(mode=0o755)
        for name, cron in (("early", "0 1 1 1 *"), ("late", "0 2 1 1 *"), ("paused", "0 0 1 1 *")):
            (jobs / f"{name}.json").write_text(json.dumps(
                {"name": name, "timeout": "1h", "schedule": {"cron": cron}, "tasks": ECHO}))
        scheduler = self.start("serve", "--jobs", str(jobs))
        self.until("they are loaded", lambda: len(
            self.pawl("jobs", "-o", "name", code=None).lines) == 3)
        self.pawl("pause", "paused")
        expected = [{"job": job, "at": f"{year}-01-01T0{hour}:00:00Z"} for year in (2027, 2028)
                    for job, hour in (("early", 1), ("late", 2))]
        words = ["--from", "2026-06-01", "-n", "4", "-o", "json"]
        self.assertEqual(self.next(*words).json(), expected)
        self.assertIn("1 job with a schedule left out", self.next().err)
        scheduler.terminate()
        scheduler.wait(timeout=SECONDS)
        self.assertEqual(self.next(*words).json(), expected)
        self.assertIn("paused is paused", self.next("paused").err)

    def test_what_is_wrong_is_said(self):
        self.assertIn("five fields", self.next("--cron", "0 2 * *", code=2).err)
        self.assertIn("no time zone", self.next("--cron", "@daily", "--timezone", "Mars/Dune",
                                                code=2).err)
        self.assertIn("no time", self.next("--cron", "@daily", "--from", "soon", code=2).err)
        self.assertIn("its own schedule", self.next("dump", "--cron", "@daily", code=2).err)
        self.next("--cron", "0 0 30 2 *", code=2)

    def test_a_schedule_that_is_over_gives_an_empty_list(self):
        path = self.scheduled("once", {"at": "2020-01-01T00:00:00Z"})
        self.assertEqual(self.next(path, "-o", "json").json(), [])
        self.assertIn("no fire left: the last was at 2020-01-01 00:00:00",
                      self.pawl("validate", path).err)

    def test_what_can_never_fire_is_an_error_with_its_place(self):
        path = self.scheduled("never", {"cron": "0 0 1 1 *", "start": "2026-01-01", "end": "2027-01-01",
                                  "except": ["2026-01-01"]})
        self.assertRegex(self.pawl("validate", path, code=2).err,
                         r"never.json:1:\d+: error: this can never fire.*at /schedule")

    def test_a_file_of_dates_must_be_there_and_hold_dates(self):
        path = self.scheduled("dump", {"cron": "0 2 * * *", "except": {"file": "holidays.txt"}})
        self.assertIn("holidays.txt", self.pawl("validate", path, code=2).err)
        (self.root / "holidays.txt").write_text("2026-01-02\nsoon\n", encoding="utf-8")
        self.assertIn("line 2: 'soon' is no date", self.pawl("validate", path, code=2).err)
        (self.root / "holidays.txt").write_text("# closed\n2026-01-02\n", encoding="utf-8")
        self.pawl("validate", path)
        done = self.next(path, "--from", "2026-01-01T12:00:00Z", "-n", "1", "-o", "json")
        self.assertEqual(done.json(), ["2026-01-03T02:00:00Z"])


if __name__ == "__main__":
    cli_support.main()
