#!/usr/bin/env python3
"""What dies, and what comes of it: the scheduler, its workers, both; the home, the store.

    recovery_test.py --pawl PATH [unittest arguments]

Tasks wait at gates that the tests open, and note their starts and ends in a ledger outside of pawl.
Nothing sleeps for a fixed time: everything is waited for, with a deadline."""

import contextlib
import json
import os
import secrets
import signal
import sqlite3
from pathlib import Path

import cli_support
from cli_support import SECONDS
from gate_support import GateTest, is_alive


class SchedulerDies(GateTest):
    TASKS = {"good": 0, "three": 3, "seven": 7, "killed": "kill"}

    def start_four(self, **more):
        job = self.gated_job("four", [self.gate(n, c) for n, c in self.TASKS.items()] + [
            {"id": "after", "depends_on": ["good"], "command": ["true"]}], **more)
        run = self.detach(job)
        self.until_started(*self.TASKS)
        return run

    def assert_real_ends(self, run):
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        seen = {n: (t["state"], t["reason"], t["exit_code"], t["signal"], t["attempts"])
                for n, t in tasks.items()}
        self.assertEqual(seen["good"], ("succeeded", None, None, None, 1))
        self.assertEqual(seen["three"], ("failed", "exit", 3, None, 1))
        self.assertEqual(seen["seven"], ("failed", "exit", 7, None, 1))
        self.assertEqual(seen["killed"], ("failed", "signal", None, 9, 1))
        self.assertEqual(seen["after"][0], "succeeded")
        self.assert_ran_once(*self.TASKS)

    def test_running_tasks_survive_kill_9_of_the_scheduler_and_keep_their_real_results(self):
        serve = self.serve()
        run = self.start_four()
        self.kill(serve)
        pids = {n: pid for n, _, pid in self.noted("start")}
        serve = self.serve()
        self.assertEqual({n: t["state"] for n, t in self.tasks_of(run).items()
                          if n in self.TASKS}, dict.fromkeys(self.TASKS, "running"))
        for name, pid in pids.items():
            os.kill(pid, 0)  # still there
            self.assertNotIn(name, [n for n, _, _ in self.noted("end")])
        self.open_gates(*self.TASKS)
        self.assert_real_ends(run)

    def test_workers_that_outlive_it_take_secrets_and_variables_from_the_next_scheduler(self):
        job = self.job("uses", [
            {"id": "program", "script": "echo ${#KEPT} ${#ADDED} ${#SHOWN}", "output": "text",
             "env": {"SHOWN": "{{ secrets.KEPT }}"}, "pass_env": ["KEPT", "ADDED"]},
            {"id": "host", "operator": "sqlite", "output": "json", "with": {
                "database": ":memory:", "sql": "SELECT length(?) AS kept, length(?) AS added",
                "parameters": ["{{ secrets.KEPT }}", "{{ secrets.ADDED }}"]}}],
            secrets={"KEPT": {"env": "KEPT"}, "ADDED": {"env": "ADDED"}})
        self.env |= {"KEPT": "as-it-was-before"}
        serve = self.serve()
        supervisors = set(self.until("workers are there", self.workers))
        self.pawl("run", job, code=1)
        self.assertEqual(self.pawl("output", "@latest/program").out.strip(), "16 0 16")
        self.assertIn("ADDED is not set", self.tasks_of("@latest")["host"]["error"])
        run = self.detach(self.gated_job("holds", [self.gate("stay")]))
        self.until_started("stay")
        self.kill(serve)
        self.env |= {"KEPT": "changed", "ADDED": "was-not-there-before"}
        self.serve()
        self.pawl("run", job)
        self.assertEqual(self.pawl("output", "@latest/program").out.strip(), "7 20 7")
        self.assertEqual(self.pawl("output", "@latest/host").json(), [{"kept": 7, "added": 20}])
        self.assertLessEqual(supervisors, set(self.workers()))
        self.open_gates("stay")
        self.until_ended(run)

    def test_running_tasks_survive_sigterm_of_the_scheduler(self):
        serve = self.serve()
        run = self.start_four()
        serve.terminate()
        self.assertEqual(serve.wait(SECONDS), 0)
        self.serve()
        self.open_gates(*self.TASKS)
        self.assert_real_ends(run)

    def test_what_ended_while_no_scheduler_was_up_is_taken_from_the_worker(self):
        serve = self.serve()
        run = self.start_four()
        self.kill(serve)
        self.open_gates(*self.TASKS)
        self.until("all have ended", lambda: len(self.noted("end")) == len(self.TASKS))
        self.serve()
        self.assert_real_ends(run)

    def test_what_ended_before_its_worker_died_too_is_taken_from_the_journal(self):
        serve = self.serve()
        run = self.start_four()
        self.kill(serve)
        self.open_gates(*self.TASKS)
        pids = [pid for _, _, pid in self.noted("start")]
        self.until("all are gone and reaped",
                   lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        self.until("their workers have nothing left to write", self.workers_sleep)
        self.kill_workers()
        self.serve()
        self.assert_real_ends(run)

    def workers_sleep(self):
        """Reaped, and idle in their loops: the end records are written before they sleep again."""
        def ticks():
            return [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
                    for pid in self.workers()]
        return all(state == "S" for state in ticks())

    def test_a_foreground_run_that_is_killed_is_adopted_but_waits_for_somebody_to_want_it(self):
        job = self.gated_job("alone", [self.gate("one", 4, allow_failure=True),
                                       {"id": "two", "depends_on": ["one"],
                                        "trigger_rule": "all_done", "command": ["true"]}])
        child = self.start("run", job)
        self.until_started("one")
        self.kill(child)
        self.open_gates("one")
        # The other run may be over sooner than this program.
        pids = [pid for _, _, pid in self.noted("start")]
        self.until("it is gone and reaped",
                   lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        self.until("its worker has nothing left to write", self.workers_sleep)
        other = self.gated_job("other", [{"id": "x", "command": ["true"]}])
        self.pawl("run", other)
        run = next(r for r in self.pawl("runs", "-o", "json").json() if r["job"] == "alone")["run"]
        states = {n: t["state"] for n, t in self.tasks_of(run).items()}
        self.assertEqual(states["one"], "failed")
        self.assertNotEqual(states.get("two"), "succeeded")
        self.assertEqual(self.tasks_of(run)["one"]["exit_code"], 4)
        self.serve()
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ran_once("one")


class EverythingDies(GateTest):
    def test_without_evidence_an_attempt_is_interrupted_and_its_task_decides(self):
        job = self.gated_job("trio", [
            self.gate("again", on_interrupt="retry"),
            self.gate("lost", on_interrupt="fail"),
            self.gate("asks", on_interrupt="hold"),
            self.gate("default"),
            {"id": "after", "depends_on": ["asks"], "command": ["true"]}])
        names = ["again", "lost", "asks", "default"]
        serve = self.serve()
        run = self.detach(job)
        self.until_started(*names)
        self.kill(serve)
        self.kill_workers()
        first = {n: pid for n, _, pid in self.noted("start")}
        self.serve()
        self.until_started("again", attempt=2)
        self.assertFalse(is_alive(first["again"]),
                         "the first attempt was still alive when the second began")
        self.open_gates(*names)
        self.assertEqual(self.until_ended(run)["state"], "failed")
        for name, pid in first.items():
            self.assertFalse(is_alive(pid), f"{name} left a process")
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["again"]["state"], tasks["again"]["attempts"]), ("succeeded", 2))
        self.assertEqual((tasks["lost"]["state"], tasks["lost"]["reason"]),
                         ("failed", "interrupted"))
        for name in ("asks", "default"):
            self.assertEqual((tasks[name]["state"], tasks[name]["reason"]), ("held", "interrupted"))
        self.assertEqual(tasks["after"]["state"], "upstream_failed")
        attempts = self.attempts_of(run)
        self.assertTrue(all(attempts[n, 1]["state"] == "interrupted" for n in names))
        # They printed nothing, so nothing was removed.
        for words in ([run], [f"{run}/lost"]):
            done = self.pawl("logs", *words)
            self.assertEqual((done.out, done.err), ("", ""))
        failed = {t["task"] for t in self.pawl("failed", "-o", "json").json()}
        self.assertEqual(failed, {"lost", "asks", "default"})

        # A person decides: one is marked, the others run again, and what waited on them runs too.
        self.pawl("mark", f"{run}/default", "succeeded", "-y")
        self.pawl("resume", run, "-y")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual({n: len(self.noted("start", n)) for n in names},
                         {"again": 2, "lost": 2, "asks": 2, "default": 1})
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])

    def test_what_an_attempt_wrote_before_it_was_cut_off_is_shown(self):
        says, silent = (self.gate(name, retry={"max_attempts": 1}) for name in ("says", "silent"))
        says["command"] = ["sh", "-c", 'echo row 17 is next; exec "$@"', "-", *says["command"]]
        run = self.start("run", self.gated_job("cut", [says, silent]))
        self.until_started("says", "silent")
        self.kill_workers()
        _, ending = run.communicate(timeout=60)
        self.assertIn("the end of says, try 1\n      | row 17 is next\n", ending)
        name = self.pawl("runs", "-o", "name").lines[0]
        self.assertEqual(self.pawl("logs", f"{name}/says").out, "row 17 is next\n")
        self.assertEqual(self.pawl("logs", name).out, "says | row 17 is next\n")
        self.assertIn(f"pawl logs {name.split('-')[-1]}/says", self.pawl("show", f"{name}/says").out)
        self.assertNotIn("pawl logs", self.pawl("show", f"{name}/silent").out)
        logs = {t["task"]: t["log"] for t in self.pawl("failed", "-o", "json").json()}
        self.assertEqual(logs, {"says": str(self.home / "logs" / name / "says" / "1.log"),
                                "silent": None})

    def test_a_worker_that_dies_alone_loses_what_it_ran_and_is_replaced(self):
        job = self.gated_job("pair", [self.gate("first", retry={"max_attempts": 2})])
        serve = self.serve()
        run = self.detach(job)
        self.until_started("first")
        self.kill_workers()
        self.until_started("first", attempt=2)
        self.open_gates("first")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual(self.attempts_of(run)["first", 1]["state"], "lost")
        self.assertIsNone(serve.poll())

    def test_over_an_older_copy_of_the_store_no_worker_moves_into_the_folder_of_another(self):
        job = self.job("again", [{"id": "a", "command": ["true"]}])
        self.pawl("run", job)
        self.end_strays()
        store = self.home / "pawl.db"
        with contextlib.closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        older = store.read_bytes()
        self.pawl("run", job)
        self.end_strays()
        there = [int(folder.name) for folder in (self.home / "workers").iterdir()]
        store.write_bytes(older)
        for name in ("pawl.db-wal", "pawl.db-shm"):
            (self.home / name).unlink(missing_ok=True)
        run = self.pawl("run", job, "-o", "json").json()["run"]
        self.assertGreater(self.attempts_of(run)["a", 1]["worker"], max(there))


class TwoSchedulers(GateTest):
    def test_a_second_scheduler_is_refused_and_the_first_goes_on(self):
        serve = self.serve()
        second = self.pawl("serve", code=75)
        self.assertTrue(second.err.startswith("pawl: "), second.err)
        self.assertIn(str(self.home), second.err)
        self.assertIsNone(serve.poll())
        self.assertEqual(self.run_of(self.detach(self.job("j", [
            {"id": "a", "command": ["true"]}])))["job"], "j")

    def test_run_goes_through_the_scheduler_that_is_up(self):
        self.serve()
        good = self.pawl("run", self.job("good", [{"id": "a", "command": ["true"]}]))
        self.assertNotIn("this command is it", good.err)
        bad = self.pawl("run", self.job("bad", [{"id": "a", "command": ["false"]}]), code=1)
        self.assertIn("FAILED", bad.err)
        self.assertEqual({r["job"]: r["state"] for r in self.pawl("runs", "-o", "json").json()},
                         {"good": "succeeded", "bad": "failed"})

    def test_serve_takes_over_from_a_foreground_run_which_then_follows_as_a_client(self):
        job = self.gated_job("long", [self.gate("first"),
                                      {"id": "second", "depends_on": ["first"],
                                       "command": ["true"]}])
        child = self.start("run", job)
        self.until_started("first")
        serve = self.serve()
        self.assertIsNone(child.poll(), "the foreground run left")
        self.open_gates("first")
        out, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 0, err)
        run = out.split()[0]
        self.assertEqual(self.run_of(run)["state"], "succeeded")
        self.assert_ran_once("first")
        self.assertIsNone(serve.poll())

    def test_a_request_that_is_repeated_makes_one_run(self):
        self.serve()
        job = self.job("j", [{"id": "a", "command": ["true"]}])
        first = self.detach(job, "--request-id", "night-1")
        self.assertEqual(self.detach(job, "--request-id", "night-1"), first)
        self.assertNotEqual(self.detach(job, "--request-id", "night-2"), first)


class NoScheduler(GateTest):
    def test_what_only_reads_needs_no_scheduler_and_changes_nothing(self):
        job = self.job("j", [
            {"id": "a", "script": "echo word; exit 3"},
            {"id": "b", "command": ["echo", "7"], "output": "json"},
            {"id": "m", "map": {"items": [1, 2]}, "command": ["echo", "{{ item }}"]}])
        run = self.pawl("run", job, code=1).lines[0]
        before = self.listing()
        self.assertEqual(self.pawl("runs", "-o", "name").lines, [run])
        self.assertEqual(self.pawl("logs", f"{run}/a").out, "word\n")
        self.assertEqual(self.pawl("output", f"{run}/b").out.strip(), "7")
        self.assertEqual(len(self.pawl("attempts", "-o", "json").json()), 4)
        self.assertEqual([t["task"] for t in self.pawl("failed", "-o", "json").json()], ["a"])
        for verb in ("tasks", "jobs", "pools", "status"):
            self.pawl(verb, code=None)
        for words in (("show", run), ("graph", run), ("explain", f"{run}/a")):
            self.pawl(*words)
        self.assertEqual(self.listing(), before)

    def listing(self):
        """All but the folders of workers, which clear them away while they end."""
        found = []
        for folder, folders, files in os.walk(self.home):
            if "workers" in folders:
                folders.remove("workers")
            for name in files:
                if not name.endswith(("-shm", "-wal")):
                    its = os.stat(os.path.join(folder, name))
                    found.append((folder, name, its.st_size, its.st_mtime_ns))
        return sorted(found)

    def test_what_only_reads_makes_no_home(self):
        for verb in ("runs", "tasks", "failed", "jobs", "status"):
            self.pawl(verb, code=None)
            self.assertFalse(self.home.exists(), f"pawl {verb} made a home")

    def test_what_cannot_start_is_refused_and_names_the_way(self):
        done = self.pawl("run", self.job("j", [{"id": "a", "command": ["true"]}]), "--detach",
                         code=69)
        self.assertIn("pawl serve", done.err)


class UnusableHome(GateTest):
    def refused(self, home, verb=("serve",)):
        done = self.pawl(*verb, code=73, env={"PAWL_HOME": str(home)})
        self.assertTrue(done.err.splitlines()[-1].startswith("pawl: "), done.err)
        self.assertIn(str(home), done.err)
        return done

    def test_a_home_that_cannot_be_made_or_used_is_refused_with_its_reason(self):
        job = self.job("j", [{"id": "a", "command": ["true"]}])
        self.refused("/proc/pawl-home")
        self.refused("/proc/pawl-home", ("run", job))
        self.refused(self.write("file", "text"))
        if os.geteuid() != 0:
            (self.root / "shut").mkdir(mode=0o500)
            self.refused(self.root / "shut" / "home")

    def test_a_home_that_others_may_enter_is_refused(self):
        home = self.root / "wide"
        home.mkdir()
        home.chmod(0o777)
        self.refused(home)

    def test_a_store_from_a_newer_version_is_refused_and_left_alone(self):
        self.pawl("run", self.job("j", [{"id": "a", "command": ["true"]}]))
        store = self.home / "pawl.db"
        with contextlib.closing(sqlite3.connect(store)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute(f"PRAGMA user_version = {version + 1000}")
        for words in (["serve"], ["run", self.root / "j.json"], ["runs"], ["failed"]):
            done = self.pawl(*words, code=78)
            self.assertIn(str(version + 1000), done.err)
        with contextlib.closing(sqlite3.connect(store)) as db:
            self.assertEqual(db.execute("PRAGMA user_version").fetchone()[0], version + 1000)
            self.assertEqual(db.execute("SELECT count(*) FROM run").fetchone()[0], 1)


class JobFolder(GateTest):
    def jobs(self):
        return {j["job"]: j for j in self.pawl("jobs", "-o", "json").json()}

    def put(self, name, text):
        """As an editor does: whole, by a rename."""
        folder = self.root / "jobs"
        folder.mkdir(exist_ok=True)
        (folder / f".{name}").write_text(text)
        (folder / f".{name}").rename(folder / f"{name}.json")

    def test_a_job_file_that_breaks_is_quarantined_alone_and_its_last_good_version_stays(self):
        def job(name, word):
            return json.dumps({"name": name, "tasks": [
                {"id": "say", "command": ["echo", word], "output": "text"}]})
        self.put("a", job("a", "old"))
        self.put("b", job("b", "b"))
        serve = self.serve("--jobs", self.root / "jobs")
        self.until("both jobs are known", lambda: set(self.jobs()) == {"a", "b"})
        self.put("a", '{"name": "a", "tasks": [')
        self.until("a is quarantined", lambda: self.jobs()["a"]["quarantined"])
        self.assertFalse(self.jobs()["b"]["quarantined"])
        self.assertIn("a.json", self.pawl("job", "a").out)
        for name, word in (("a", "old"), ("b", "b")):
            run = self.pawl("trigger", name, "--wait").lines[0]
            self.assertEqual(self.pawl("output", f"{run}/say").out.strip(), word)
        self.put("a", job("a", "new"))
        self.until("a is well again", lambda: not self.jobs()["a"]["quarantined"])
        run = self.pawl("trigger", "a", "--wait").lines[0]
        self.assertEqual(self.pawl("output", f"{run}/say").out.strip(), "new")
        self.assertIsNone(serve.poll())

    def test_what_became_of_job_files_while_no_scheduler_was_up_is_seen_by_the_next(self):
        names = ("stays", "breaks", "goes", "is-none")
        for name in names:
            self.put(name, json.dumps({"name": name, "tasks": [{"id": "a", "command": ["true"]}]}))
        serve = self.serve("--jobs", self.root / "jobs")
        self.until("all are known", lambda: set(self.jobs()) == set(names))
        serve.terminate()
        self.assertEqual(serve.wait(SECONDS), 0)
        self.put("breaks", '{"name": "breaks", "tasks": [')
        (self.root / "jobs/goes.json").unlink()
        self.put("is-none", '{"colour": "red"}')
        self.serve("--jobs", self.root / "jobs")
        self.until("what is gone is removed", lambda: {
            name for name, job in self.jobs().items() if job["state"] == "removed"
        } == {"goes", "is-none"})
        # Perhaps it is only being written: a little later.
        self.until("it is quarantined", lambda: self.jobs()["breaks"]["quarantined"])
        for name in ("stays", "breaks"):
            self.pawl("trigger", name, "--wait")


class Canary(GateTest):
    def test_a_secret_is_nowhere_but_in_the_task_that_names_it(self):
        canary = "canary-" + secrets.token_hex(16)
        other = "second-" + secrets.token_hex(16)
        self.write("secret", other + "\n").chmod(0o600)
        self.env["SOURCE_OF_SECRET"] = canary
        job = self.gated_job("hidden", [
            self.gate("wait", env={"TOKEN": "{{ secrets.TOKEN }}"}),
            {"id": "uses", "env": {"TOKEN": "{{ secrets.TOKEN }}", "FILE": "{{ secrets.FILE }}"},
             "script": ["echo \"$TOKEN$FILE\" | wc -c > \"$PAWL_OUTPUT\"",
                        "echo \"in the log: $TOKEN\"", "echo \"in an error: $FILE\" >&2", "exit 3"],
             "output": {"format": "text", "from": "file"}},
            {"id": "has_none", "script": "env | grep -c -e canary- -e second- || true"},
        ], secrets={"TOKEN": {"env": "SOURCE_OF_SECRET"}, "FILE": {"file": "secret"}})
        self.serve()
        run = self.detach(job)
        self.until_started("wait")
        lines = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                lines.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        self.assertFalse([line for line in lines if canary.encode() in line], "it is in ps")
        self.open_gates("wait")
        self.assertEqual(self.until_ended(run)["state"], "failed")
        self.assertEqual(self.pawl("logs", f"{run}/has_none").out, "0\n")
        log = self.pawl("logs", f"{run}/uses").out
        self.assertIn("in the log: ***", log)
        self.assertIn("in an error: ***", log)
        told = [log, self.served()]
        for words in (["show", run], ["tasks"], ["attempts"], ["failed"], ["runs"],
                      ["explain", f"{run}/uses"], ["job", "hidden"]):
            told.append(self.pawl(*words, "-o", "json", code=None).out)
        for word in (canary, other):
            self.assertFalse([t for t in told if word in t], "pawl tells it")
            for path in self.home.rglob("*"):
                if path.is_file() and path.name != "lock":
                    self.assertNotIn(word.encode(), path.read_bytes(), f"it is in {path}")


if __name__ == "__main__":
    cli_support.main()
