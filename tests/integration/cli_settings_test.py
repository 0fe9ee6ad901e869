#!/usr/bin/env python3
"""The settings of a home, with the real program: what they change, when, and what is said of it."""

import http.server
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import cli_support
from cli_support import HomeTest, SECONDS

TOKEN = "canary-7f20c1-of-the-settings-test"


class Settings(HomeTest):
    def settings(self, content):
        self.home.mkdir(mode=0o700, exist_ok=True)
        return self.write("home/settings.json", content)

    def serve(self, *words, ready="the scheduler is up"):
        child = self.start("serve", *words)
        child.told = []
        child.listener = threading.Thread(target=lambda: child.told.extend(child.stderr),
                                          daemon=True)
        child.listener.start()
        self.until(ready, lambda: self.is_served_by(child))
        return child

    def hang_up(self, child, word):
        """Sends SIGHUP and waits for a line of the log with that word; it."""
        before = len(child.told)
        child.send_signal(signal.SIGHUP)
        return self.until(word, lambda: next((t for t in child.told[before:] if word in t), None))

    def end(self, child):
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(SECONDS), 0)
        child.listener.join(SECONDS)

    def doctor(self, *words):
        rows = self.pawl("doctor", "--quick", "-o", "json", *words, code=None).json()
        return {row["check"]: row for row in rows}

    def log_of(self, run, task):
        return self.pawl("logs", f"{run}/{task}").out

    # Operators.

    def operator(self, name, answer):
        """A warm program that answers every attempt with that text."""
        self.write(f"home/plugins/{name}.sh", f"""#!/bin/sh
echo '{{"type":"ready","protocol":1}}'
while read -r line; do
  case $line in '{{"type":"start"'*) ;; *) continue ;; esac
  attempt=${{line#*\\"attempt\\":}}
  echo '{{"type":"finish","attempt":'${{attempt%%,*}}',"outcome":"succeeded","output":"{answer}"}}'
done
""").chmod(0o755)
        self.write(f"home/plugins/{name}.json", {"command": [f"./{name}.sh"]})

    def test_plugins_are_taken_up_and_replaced_by_a_reload(self):
        self.home.mkdir(mode=0o700)
        served = self.serve()
        path = self.job("say", [{"id": "a", "operator": "say", "output": "text"}])
        self.operator("say", "one")
        # The scheduler has not looked since; each of its errors has a line of its own.
        self.assertRegex(self.pawl("run", path, "-q", code=2).err,
                         r"^pawl: the job file has errors\n/\S*say.json:1:\d+: error: there is no operator")
        self.hang_up(served, "the operators have changed")
        self.until("the run is accepted",
                   lambda: self.pawl("run", path, "-q", code=None).code == 0)
        self.assertEqual(self.pawl("output", "@latest/a").out, "one")
        self.operator("say", "two")
        self.hang_up(served, "reading the job folders again")
        self.pawl("run", path, "-q")
        self.assertEqual(self.pawl("output", "@latest/a").out, "two")
        self.end(served)

    # What is wrong.

    def test_wrong_settings_refuse_the_start_with_everything_that_is_wrong(self):
        path = self.settings('{"pols": {},\n "workers": 0,\n "kill_grace": 5}')
        job = self.job("ok", [{"id": "a", "command": ["true"]}])
        for words in (["serve"], ["run", job], ["validate", job], ["plan", job]):
            said = self.pawl(*words, code=2).err
            for line in (f'{path}:1:2: error: unknown key "pols" of settings; did you mean "pools"? '
                         "(at /pols)",
                         f"{path}:2:13: error: 0 is out of range: 1 to 1024 are allowed (at /workers)",
                         f"{path}:3:16: error: expected a duration"):
                self.assertIn(line, said)
        found = [row for row in self.pawl("doctor", "--quick", "-o", "json", code=1).json()
                 if row["check"] == "settings"]
        self.assertEqual([row["state"] for row in found], ["problem"] * 3)
        self.assertIn("/workers", found[1]["text"])
        self.pawl("serve", "--settings", "none.json", code=3)

    def test_settings_that_others_may_write_are_refused(self):
        path = self.settings({"workers": 1})
        path.chmod(0o666)
        self.assertIn("others may write it. Try chmod go-w", self.pawl("serve", code=2).err)
        path.unlink()
        os.mkfifo(path)
        self.assertIn("a FIFO, not a file", self.pawl("serve", code=2).err)

    def test_more_slots_than_descriptors_are_refused_and_change_nothing_later(self):
        self.settings({"pools": {"default": 1_000_000}})
        self.assertIn("pool default: 1000000 slots", self.pawl("serve", code=2).err)
        self.settings({"pools": {"default": 7}})
        child = self.serve()
        self.settings({"pools": {"default": 1_000_000}})
        self.assertIn("pool default: 1000000 slots", self.hang_up(child, "stay as they were"))
        self.assertEqual(self.slots()["default"], 7)
        self.end(child)

    def slots(self):
        return {p["pool"]: p["slots"] for p in self.pawl("pools", "-o", "json").json()}

    # What changes.

    def test_a_hang_up_changes_settings_and_a_wrong_file_changes_nothing(self):
        job = {"name": "j", "tasks": [{"id": "a", "command": ["sh", "-c", "echo $WHO"],
                                       "pool": "warehouse"}]}
        first = {"pools": {"warehouse": 3}, "job_defaults": {"env": {"WHO": "first"}}}
        self.settings(first)
        self.write("jobs/j.json", job)
        child = self.serve("--jobs", "jobs")
        self.until("the job is known", lambda: "j" in self.pawl("jobs", "-o", "name").lines)
        self.assertEqual(self.log_of(self.pawl("trigger", "j", "--wait").lines[0], "a"), "first\n")
        self.assertEqual(self.slots()["warehouse"], 3)

        path = self.settings({**first, "pools": {"warehouse": 0}})
        told = self.hang_up(child, "the settings stay as they were")
        self.assertIn(f"{path}:1:", told)
        self.assertIn("0 is out of range", told)
        self.assertEqual(self.slots()["warehouse"], 3)

        self.settings({"pools": {"warehouse": 5, "default": 9},
                       "job_defaults": {"env": {"WHO": "second"}}})
        self.hang_up(child, "the settings have changed")
        self.assertEqual(self.slots(), {"default": 9, "warehouse": 5})
        self.until("the job is read again", lambda: self.log_of(
            self.pawl("trigger", "j", "--wait").lines[0], "a") == "second\n")
        self.end(child)

    def test_a_pool_that_is_gone_quarantines_its_jobs_and_is_named_by_explain(self):
        self.settings({"pools": {"warehouse": 1}})
        self.write("jobs/j.json", {"name": "j", "tasks": [
            {"id": "a", "command": ["true"], "pool": "warehouse"}]})
        child = self.serve("--jobs", "jobs")
        self.until("the job is known", lambda: "j" in self.pawl("jobs", "-o", "name").lines)
        self.settings({})
        self.hang_up(child, "the settings have changed")
        why = self.until("the job is set aside",
                         lambda: self.pawl("job", "j", "-o", "json").json()["quarantined"])
        self.assertIn('there is no pool "warehouse"', why)
        run = self.pawl("trigger", "j").lines[0]
        self.assertIn("pool warehouse, which is not in the settings any more",
                      self.until("it waits", lambda: self.pawl("explain", f"{run}/a").out))
        self.settings({"pools": {"warehouse": 1}})
        self.hang_up(child, "the settings have changed")
        self.until("it goes on", lambda: self.pawl("runs", "--run", run, "-o", "json").json()[0][
            "state"] == "succeeded")
        self.end(child)

    def test_a_rate_of_the_settings_holds_for_all_jobs_and_changes_with_a_hang_up(self):
        self.settings({"pools": {"api": {"slots": 9, "rate": {"count": 1, "per": "1h"}}}})
        child = self.serve()
        runs = [self.pawl("run", "--detach", self.job(name, [
            {"id": "a", "command": ["true"], "pool": "api"}])).lines[0] for name in ("one", "two")]

        def done():
            return [run for run in runs if self.states(run) == ["succeeded"]]
        first = self.until("one goes", done)
        waits = next(run for run in runs if run not in first)
        self.assertIn("of pool api", self.pawl("explain", f"{waits}/a").out)
        self.assertEqual(len(done()), 1)
        self.settings({"pools": {"api": 9}})
        self.hang_up(child, "the settings have changed")
        self.until("the other goes", lambda: len(done()) == 2)
        self.end(child)

    def test_workers_follow_the_settings_and_what_runs_goes_on(self):
        self.settings({"workers": 1})
        child = self.serve()
        gate = self.root / "gate"
        run = self.pawl("run", "--detach", self.job("slow", [{"id": "a", "command": [
            "sh", "-c", f"until [ -e {gate} ]; do sleep 0.05; done; echo done"]}])).lines[0]
        self.until("it runs", lambda: self.states(run) == ["running"])

        def up():
            workers = self.pawl("status", "-o", "json").json()["scheduler"]["workers"]
            return [w["worker"] for w in workers if w["state"] == "up"]
        first = up()
        self.settings({"workers": 3})
        self.hang_up(child, "the settings have changed")
        self.until("three workers", lambda: len(up()) == 3)
        self.assertIn(first[0], up())
        # The one that works stays: it has most to do.
        self.settings({"workers": 1})
        self.hang_up(child, "the settings have changed")
        self.until("one worker", lambda: up() == first)
        # Another way to run is another worker; the old one ends what it has.
        self.settings({"workers": 1, "control_groups": "none", "worker_idle": "2s"})
        self.hang_up(child, "the settings have changed")
        self.until("a fresh worker", lambda: len(up()) == 1 and up() != first)
        gate.touch()
        self.until("it ends", lambda: self.states(run) == ["succeeded"])
        self.assertEqual(self.log_of(run, "a"), "done\n")
        attempts = self.pawl("attempts", "--run", run, "-o", "json").json()
        self.assertEqual(len(attempts), 1)
        self.end(child)

    def states(self, run):
        return [t["state"] for t in self.pawl("tasks", "--run", run, "-o", "json").json()]

    def test_the_cap_of_logs_is_that_of_the_settings(self):
        self.settings({"limits": {"log": "64KiB"}})
        run = self.pawl("run", self.job("loud", [{"id": "a", "command": [
            "sh", "-c", "echo first; yes | head -c 1000000; echo last"]}])).lines[0]
        text = self.log_of(run, "a")
        self.assertLess(len(text), 64 << 10)
        self.assertTrue(text.startswith("first\n"))
        self.assertTrue(text.endswith("last\n"))

    # What is shown.

    def test_who_keeps_the_limits_of_a_task_is_said_as_the_settings_have_it(self):
        self.settings({"control_groups": "none"})
        gate = self.root / "gate"
        job = self.job("limits", [
            {"id": "a", "command": ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.02; done"],
             "resources": {"memory": "256MiB", "pids": 50}},
            {"id": "b", "command": ["true"], "depends_on": ["a"], "resources": {"nice": 1}}])
        limits = "memory 256.0 MiB, pids 50 (kept by looking at the processes)"
        self.assertIn(limits, self.pawl("plan", job).out)
        self.serve()
        run = self.pawl("run", job, "--detach").lines[0]

        def explained(task):
            return self.pawl("explain", f"{run}/{task}").out

        self.until("it runs", lambda: explained("a").startswith("running"))
        self.assertIn(f"\n  limits    {limits}\n", explained("a"))
        self.assertRegex(explained("b"), r"^waiting for a \(running .*\)\n  limits    nice 1\n$")
        self.assertIn(limits, self.pawl("show", f"{run}/a").out)
        reasons = self.pawl("explain", f"{run}/a", "-o", "json").json()["reasons"]
        self.assertIn({"kind": "limits", "text": limits}, reasons)
        gate.touch()
        self.until("both have ended", lambda: explained("b").startswith("succeeded"))
        self.assertNotIn("limits", explained("a") + explained("b"))

    def test_doctor_shows_each_value_where_it_is_from_and_whether_it_counts_yet(self):
        path = self.settings('{"workers": 1,\n "pools": {"warehouse": 3}}')
        found = self.doctor()
        self.assertEqual(found["setting workers"]["text"], f"1 ({path}:1)")
        self.assertEqual(found["setting pools.warehouse"]["text"], f"3 ({path}:2)")
        self.assertEqual(found["setting pools.default"]["text"], "twice the cores, at least 4 (default)")
        self.assertEqual(found["setting hosts.idle"]["text"], '"5m" (default)')
        child = self.serve()
        self.assertEqual(self.doctor()["setting workers"]["state"], "good")
        self.settings('{"workers": 2}')
        found = self.doctor()
        self.assertEqual(found["setting workers"]["state"], "warning")
        self.assertEqual(found["setting workers"]["text"], f"2 ({path}:1); the scheduler has 1")
        self.assertIn("SIGHUP", found["setting workers"]["remedy"])
        self.assertIn("it is gone", found["setting pools.warehouse"]["text"])
        self.hang_up(child, "the settings have changed")
        found = self.doctor()
        self.assertEqual(found["setting workers"], {
            "check": "setting workers", "state": "good", "text": f"2 ({path}:1)", "remedy": None})
        self.assertNotIn("setting pools.warehouse", found)
        self.end(child)

    def test_settings_of_another_file_hold_for_verbs_that_look_too(self):
        path = self.write("elsewhere/s.json", {"pools": {"gpu": 2}})
        job = self.job("j", [{"id": "a", "command": ["true"], "pool": "gpu"}])
        self.assertIn('there is no pool "gpu"', self.pawl("validate", job, code=2).err)
        child = self.serve("--settings", "elsewhere/s.json")
        self.pawl("validate", job)
        self.pawl("run", job)
        self.assertEqual(self.doctor()["setting pools.gpu"]["text"], f"2 ({path}:1)")
        self.assertIn("gpu", self.pawl("pools").out)
        self.end(child)
        self.assertIn("(default)", self.doctor()["setting workers"]["text"])
        self.assertEqual(self.doctor("--settings", "elsewhere/s.json")["setting pools.gpu"]["text"],
                         f"2 ({path}:1)")

    def test_the_schema_of_settings_is_shown(self):
        schema = self.pawl("schema", "settings").json()
        self.assertIn("connections", schema["properties"])

    def test_the_example_of_the_page_is_right(self):
        page = (Path(__file__).resolve().parents[2] / "docs/settings.md").read_text()
        self.settings(page.split("```json\n", 1)[1].split("```", 1)[0])
        found = self.doctor()
        self.assertIn("is fine", found["settings"]["text"])
        self.assertIn('"password":{"env":"SMTP_PASSWORD"}', found["setting connections.office"]["text"])

    # What jobs have of them.

    def test_what_is_said_for_all_jobs_reaches_a_job_with_its_hooks(self):
        told = self.root / "told"
        self.settings({"timezone": "Asia/Tokyo", "job_defaults": {
            "defaults": {"retry": {"max_attempts": 2, "delay": "0s"}},
            "on_failure": [{"command": ["sh", "-c", f'echo "$PAWL_JOB" >> {told}']}]}})
        bad = self.job("bad", [{"id": "a", "command": ["false"]}])
        run = self.pawl("run", bad, code=1).lines[0]
        self.assertEqual(told.read_text(), "bad\n")
        attempts = self.pawl("attempts", "--run", run, "--task", "a", "-o", "json").json()
        self.assertEqual(len(attempts), 2)
        self.assertRegex(self.pawl("plan", bad).out, r"attempts +2,")
        # Later settings do not change a run: it resumes as it was accepted.
        self.settings({})
        self.pawl("resume", run, code=1)
        self.assertEqual(told.read_text(), "bad\nbad\n")
        self.pawl("run", self.job("quiet", [{"id": "a", "command": ["false"]}]), code=1)
        self.assertEqual(told.read_text(), "bad\nbad\n")

    def test_a_hook_for_all_jobs_is_the_jobs_own_to_refuse(self):
        told = self.root / "told"
        self.settings({"job_defaults": {"on_exit": [{"command": ["touch", str(told)]}]}})
        self.pawl("run", self.job("j", [{"id": "a", "command": ["true"]}], on_exit=None))
        self.assertFalse(told.exists())

    # Connections.

    def test_a_connection_reaches_its_operator_and_its_secret_nothing_else(self):
        heard = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                heard.append((self.path, self.headers.get("Authorization")))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        self.env["WAREHOUSE_TOKEN"] = TOKEN
        self.settings({"connections": {"warehouse": {"operator": "http", "with": {
            "url": f"{url}/of-the-settings", "headers": {
                "Authorization": {"env": "WAREHOUSE_TOKEN"}, "Accept": "application/json"}}}}})
        job = self.job("ask", [
            {"id": "plain", "operator": "http", "with": {"connection": "warehouse"}},
            {"id": "own", "operator": "http", "with": {"connection": "warehouse",
                                                       "url": f"{url}/own"}}])
        child = self.serve()
        run = self.pawl("run", job).lines[0]
        self.assertEqual(sorted(heard), [("/of-the-settings", TOKEN), ("/own", TOKEN)])
        shown = self.pawl("doctor", "--quick", code=None).out + self.pawl("plan", job).out + \
            self.pawl("show", run, "-o", "json").out
        self.assertNotIn(TOKEN, shown)
        # The run stays as it was asked for: what has moved is found where it is now.
        moved = {"warehouse": {"operator": "http", "with": {"url": f"{url}/moved"}}}
        self.settings({"connections": moved})
        self.hang_up(child, "the settings have changed")
        self.pawl("rerun", run, "-y", "--wait")
        self.assertIn(("/moved", None), heard)
        self.settings({})
        self.hang_up(child, "the settings have changed")
        again = self.pawl("rerun", run, "-y", "--wait", code=1).lines[0]
        failed = self.pawl("tasks", "--run", again, "-o", "json").json()[0]
        self.assertIn('there is no connection "warehouse"', failed["error"])
        self.assertEqual(failed["reason"], "template")
        self.end(child)
        for folder, _, files in os.walk(self.home):
            for name in files:
                path = Path(folder) / name
                content = path.read_bytes() if path.is_file() else b""
                self.assertNotIn(TOKEN.encode(), content, name)
                if name.startswith("pawl.db"):
                    self.assertNotIn(b"/of-the-settings", content, name)

    def test_a_secret_of_a_connection_that_is_not_there_is_named_as_its_field(self):
        self.settings({"connections": {"ware-house": {"operator": "http", "with": {
            "url": "http://127.0.0.1:1/", "headers": {"Authorization": {"env": "NOT_SET"}}}}}})
        run = self.pawl("run", self.job("ask", [
            {"id": "a", "operator": "http", "with": {"connection": "ware-house"}}]), code=1)
        error = self.pawl("tasks", run.lines[0], "-o", "json").json()[0]["error"]
        self.assertEqual(error, "headers.Authorization of connection ware-house: variable NOT_SET "
                                "is not set where the scheduler was started")

    def test_a_database_is_named_once_for_all_jobs(self):
        database = self.root / "sales.db"
        subprocess.run(["sqlite3", database, "create table t(n); insert into t values (7)"],
                       check=True)
        self.settings({"connections": {"sales": {"operator": "sqlite",
                                                 "with": {"database": str(database)}}}})
        job = self.job("count", [{"id": "a", "operator": "sqlite", "output": "json", "with": {
            "connection": "sales", "sql": "select n from t"}}])
        run = self.pawl("run", job).lines[0]
        self.assertIn("7", self.pawl("output", f"{run}/a").out)
        misspelt = self.job("miss", [{"id": "a", "operator": "sqlite", "with": {
            "connection": "sale", "sql": "select n from t"}}])
        said = self.pawl("validate", misspelt, code=2).err
        self.assertIn('did you mean "sales"?', said)
        self.assertIn("/tasks/0/with/connection", said)


if __name__ == "__main__":
    cli_support.main()
