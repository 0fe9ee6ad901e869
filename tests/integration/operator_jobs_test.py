#!/usr/bin/env python3
"""Jobs whose tasks are operators, run by the real program.

    operator_jobs_test.py --pawl PATH [unittest arguments]

What needs a PostgreSQL server is run when postgres_cluster.py brings one, and says so otherwise.
"""

import json
import os
import subprocess
import unittest

import cli_support
from cli_support import HomeTest, SECONDS


class OperatorJobs(HomeTest):
    def run_job(self, tasks, code=0, **more):
        """Runs a job to its end; what became of each unmapped task and whole."""
        path = self.job("work", tasks, **more)
        done = self.pawl("run", path, code=code)
        self.run_id = done.lines[0]
        rows = self.pawl("tasks", "--run", self.run_id, "-o", "json", "--limit", "0").json()
        return {row["task"]: row for row in rows if row["index"] is None}

    def output(self, task):
        return json.loads(self.pawl("output", f"{self.run_id}/{task}").out)

    def logged(self):
        """The log files of the home, by the names of their tasks."""
        return sorted(path.parent.name for path in (self.home / "logs").rglob("*")
                      if path.is_file())


class Known(OperatorJobs):
    def test_operators_are_listed_with_where_they_come_from(self):
        listed = {one["operator"]: one for one in self.pawl("operators", "-o", "json").json()}
        self.assertEqual(listed["process"]["from"], "pawl")
        self.assertLessEqual({"sleep", "wait_file", "sqlite", "postgres"}, set(listed))
        self.assertTrue(listed["sqlite"]["from"].endswith("/sqlite.so"))

    def test_they_are_the_same_for_a_pawl_that_is_found_in_path(self):
        folder = self.root / "bin"
        folder.mkdir()
        (folder / "pawl").symlink_to(cli_support.PAWL)
        path = f"{folder}:{self.env['PATH']}"
        found = subprocess.run(["pawl", "operators", "-o", "json"], env=self.env | {"PATH": path},
                               capture_output=True, check=True, timeout=SECONDS)
        self.assertEqual(json.loads(found.stdout), self.pawl("operators", "-o", "json").json())

    def test_the_schema_of_an_operator_is_printed(self):
        schema = json.loads(self.pawl("schema", "operator", "sqlite").out)
        self.assertEqual(schema["required"], ["database", "sql"])
        self.pawl("schema", "operator", "nothing", code=3)


class Silent(OperatorJobs):
    """What has nothing to say leaves no file: a million tasks would be a million files."""

    def test_only_who_says_something_has_a_log_file(self):
        self.run_job([
            {"id": "says", "command": ["echo", "a word"]},
            {"id": "process", "command": ["true"]},
            {"id": "noop", "operator": "noop"},
            {"id": "sleep", "operator": "sleep", "with": {"for": "60ms"}},
            {"id": "wait_file", "operator": "wait_file", "with": {"path": "work.json"}},
            {"id": "sqlite", "operator": "sqlite", "output": "json",
             "with": {"database": "data.db", "sql": ["CREATE TABLE t(a);", "SELECT 1 AS a"]}},
            {"id": "python", "operator": "python", "with": {"call": "os:getcwd"}},
            {"id": "wrong", "operator": "sqlite", "allow_failure": True,
             "with": {"database": ":memory:", "sql": "SELEC 1"}}])
        self.assertEqual(self.logged(), ["says"])
        self.assertEqual(self.pawl("logs", f"{self.run_id}/sqlite").out, "")


class Sleep(OperatorJobs):
    def test_sleepers_hold_no_slot(self):
        path = self.job("naps", [
            {"id": "nap", "map": {"items": list(range(40)), "max_concurrent": 40},
             "operator": "sleep", "with": {"for": "1h"}}])
        child = self.start("run", path)
        run = child.stdout.readline().strip()
        self.until("all sleep, which are more than there are slots", lambda: len(self.pawl(
            "tasks", "--run", run, "--state", "deferred", "-o", "name").lines) == 40)
        pool = self.pawl("pools", "-o", "json").json()[0]
        self.assertEqual(pool["used"], 0)
        self.assertLess(pool["slots"], 40)
        self.pawl("cancel", run)
        child.communicate(timeout=SECONDS)


class WaitFile(OperatorJobs):
    def test_a_file_that_comes_later_is_waited_for(self):
        path = self.job("late", [
            {"id": "arrived", "operator": "wait_file", "output": "text",
             "with": {"path": "in/*.csv", "every": "100ms"}},
            {"id": "after", "depends_on": ["arrived"],
             "command": ["echo", "{{ tasks.arrived.output }}"]}])
        child = self.start("run", path)
        run = child.stdout.readline().strip()
        self.until("the wait is deferred", lambda: any(
            task["state"] == "deferred" for task in
            self.pawl("tasks", "--run", run, "-o", "json").json()))
        self.write("in/data.csv", "1\n")
        self.assertEqual(child.wait(SECONDS), 0)
        self.assertEqual(self.pawl("logs", f"{run}/after").out, f"{self.root}/in/data.csv\n")

    def test_giving_up_may_skip(self):
        tasks = self.run_job([
            {"id": "arrived", "operator": "wait_file",
             "with": {"path": "nothing", "every": "100ms", "timeout": "200ms",
                      "on_timeout": "skip"}},
            {"id": "after", "depends_on": ["arrived"], "command": ["true"]}])
        self.assertEqual((tasks["arrived"]["state"], tasks["after"]["state"]),
                         ("skipped", "skipped"))


class Sqlite(OperatorJobs):
    def test_rows_are_the_output_and_values_are_bound(self):
        tasks = self.run_job([
            {"id": "load", "operator": "sqlite",
             "with": {"database": "data.db", "sql": ["CREATE TABLE t(a);", "INSERT INTO t VALUES (?)"],
                      "parameters": ["{{ params.evil }}"]}},
            {"id": "ask", "depends_on": ["load"], "operator": "sqlite", "output": "json",
             "with": {"database": "data.db", "sql": "SELECT a FROM t"}}],
            params={"evil": {"type": "string", "default": "'); DROP TABLE t; --"}})
        self.assertEqual(tasks["ask"]["state"], "succeeded")
        self.assertEqual(self.output("ask"), [{"a": "'); DROP TABLE t; --"}])

    def test_a_constraint_is_not_tried_again(self):
        tasks = self.run_job([
            {"id": "twice", "operator": "sqlite", "retry": {"max_attempts": 5, "delay": "0s"},
             "with": {"database": ":memory:",
                      "sql": ["CREATE TABLE t(a UNIQUE);", "INSERT INTO t VALUES (1), (1)"]}}],
            code=1)
        self.assertEqual((tasks["twice"]["reason"], tasks["twice"]["attempts"]), ("permanent", 1))
        self.assertEqual(tasks["twice"]["error"], "UNIQUE constraint failed: t.a")

    def test_a_timeout_interrupts_the_statement(self):
        endless = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                   "SELECT max(i) FROM n")
        tasks = self.run_job([{"id": "count", "operator": "sqlite", "timeout": "300ms",
                               "with": {"database": ":memory:", "sql": endless}}], code=1)
        self.assertEqual(tasks["count"]["reason"], "timeout")


@unittest.skipUnless("PAWL_POSTGRES_PID" in os.environ, "there is no PostgreSQL server")
class Postgres(OperatorJobs):
    def setUp(self):
        super().setUp()
        self.dsn = f"host={os.environ['PGHOST']} user={os.environ['PGUSER']} dbname=postgres"
        self.env["WAREHOUSE"] = self.dsn
        self.secrets = {"WAREHOUSE": {"env": "WAREHOUSE"}}

    def test_a_secret_says_where_and_the_server_knows_who(self):
        tasks = self.run_job([
            {"id": "ask", "operator": "postgres", "output": "json",
             "with": {"dsn": "{{ secrets.WAREHOUSE }}",
                      "sql": "SELECT current_setting('application_name') AS who, $1::int + 1 AS n",
                      "parameters": ["{{ params.n }}"]}}],
            params={"n": {"type": "integer", "default": 41}}, secrets=self.secrets)
        self.assertEqual(tasks["ask"]["state"], "succeeded")
        self.assertEqual(self.output("ask"), [{"who": "pawl work/ask", "n": 42}])

    def test_a_statement_that_has_nothing_to_say_leaves_no_log_file_and_a_notice_does(self):
        ask = {"dsn": "{{ secrets.WAREHOUSE }}"}
        self.run_job([
            {"id": "silent", "operator": "postgres", "output": "json",
             "with": {**ask, "sql": "SELECT 1 AS a"}},
            {"id": "notes", "operator": "postgres",
             "with": {**ask, "sql": "DO $$ BEGIN RAISE NOTICE 'half way'; END $$"}}],
            secrets=self.secrets)
        self.assertEqual(self.logged(), ["notes"])
        self.assertIn("half way", self.pawl("logs", f"{self.run_id}/notes").out)

    def test_a_timeout_ends_the_statement_on_the_server(self):
        tasks = self.run_job([
            {"id": "nap", "operator": "postgres", "timeout": "300ms",
             "with": {"dsn": "{{ secrets.WAREHOUSE }}", "sql": "SELECT pg_sleep(600)"}},
            {"id": "look", "depends_on": ["nap"], "trigger_rule": "all_done",
             "operator": "postgres", "output": "text",
             "with": {"dsn": "{{ secrets.WAREHOUSE }}",
                      "sql": ["SELECT count(*) FROM pg_stat_activity",
                              "WHERE state = 'active' AND application_name = 'pawl work/nap'"]}}],
            code=1, secrets=self.secrets)
        self.assertEqual(tasks["nap"]["reason"], "timeout")
        self.assertEqual(self.pawl("output", f"{self.run_id}/look").out.strip(), "0")

    def test_a_wrong_statement_is_not_tried_again_and_says_where(self):
        tasks = self.run_job([
            {"id": "ask", "operator": "postgres", "retry": {"max_attempts": 5, "delay": "0s"},
             "with": {"dsn": "{{ secrets.WAREHOUSE }}", "sql": ["SELECT 1", "FROM nowhere"]}}],
            code=1, secrets=self.secrets)
        self.assertEqual((tasks["ask"]["reason"], tasks["ask"]["attempts"]), ("permanent", 1))
        attempts = self.pawl("attempts", "--run", self.run_id, "-o", "json").json()
        self.assertEqual(attempts[0]["error"]["class"], "42P01")
        self.assertIn("line 2, column 6", attempts[0]["error"]["trace"])

    def test_a_hundred_statements_share_few_connections(self):
        tasks = self.run_job([
            {"id": "ask", "map": {"items": list(range(100)), "max_concurrent": 8},
             "operator": "postgres", "output": "json",
             "with": {"dsn": "{{ secrets.WAREHOUSE }}",
                      "sql": "SELECT pg_backend_pid() AS pid, $1::int AS i",
                      "parameters": ["{{ item }}"]}}], secrets=self.secrets)
        self.assertEqual(tasks["ask"]["state"], "succeeded")
        lines = self.pawl("output", f"{self.run_id}/ask", "-o", "jsonl").lines
        rows = [json.loads(line)["value"][0] for line in lines]
        self.assertEqual([row["i"] for row in rows], list(range(100)))
        self.assertLess(len({row["pid"] for row in rows}), 100)


if __name__ == "__main__":
    cli_support.main()
