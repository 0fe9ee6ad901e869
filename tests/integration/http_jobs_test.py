#!/usr/bin/env python3
"""Jobs whose tasks call servers and send mail: the real program, its hosts, real counterparts.

    http_jobs_test.py --pawl PATH
"""

import argparse
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import sanitizers
from patience import patient

ROOT = Path(__file__).resolve().parent.parent.parent
COUNTERPARTS = ROOT / "tests" / "unit" / "counterparts.py"
PAWL = None
SECONDS = patient(120)


class Counterpart:
    """A server of tests/unit/counterparts.py; ends with its standard input."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.executable, COUNTERPARTS, *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Jobs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.root),
                            "LANG": "C.UTF-8", "TZ": "UTC", "PAWL_HOME": str(self.root / "home"),
                            "KEY": "the-secret-key-of-the-test"} | sanitizers.OPTIONS
        self.server = Counterpart("http")
        self.addCleanup(self.server.close)

    def call(self, *words):
        return subprocess.run([PAWL, *words], cwd=self.root, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)

    def run_job(self, job):
        (self.root / "job.json").write_text(json.dumps({"name": "job"} | job), encoding="utf-8")
        done = self.call("run", "job.json")
        self.assertTrue(done.stdout.strip(), done.stderr)
        self.run_id = done.stdout.split()[0]
        listed = self.call("tasks", "--run", self.run_id, "-o", "json", "--limit", "0")
        self.states = {t["task"]: t["state"] for t in json.loads(listed.stdout)
                       if t["index"] is None}
        return done

    def output(self, task):
        return json.loads(self.call("output", f"{self.run_id}/{task}").stdout)

    def outputs(self, task):
        """Of a mapped task, in the order of its items."""
        return [json.loads(line)
                for line in self.call("output", f"{self.run_id}/{task}").stdout.splitlines()]

    def test_calls_of_a_mapped_task_reach_the_server_with_their_items_and_secrets(self):
        done = self.run_job({
            "secrets": {"KEY": {"env": "KEY"}},
            "tasks": [{"id": "call", "operator": "http", "output": "json",
                       "map": {"items": [{"n": n} for n in range(50)], "max_concurrent": 20},
                       "with": {"url": f"{self.server.url}/echo", "query": {"n": "{{ item.n }}"},
                                "headers": {"X-Key": "{{ secrets.KEY }}"},
                                "body": {"n": "{{ item.n }}"}}}]})
        self.assertEqual(self.states, {"call": "succeeded"}, done.stderr)
        answers = self.outputs("call")
        self.assertEqual([a["path"] for a in answers], [f"/echo?n={n}" for n in range(50)])
        self.assertEqual([json.loads(a["body"]) for a in answers], [{"n": n} for n in range(50)])
        self.assertEqual(len({a["headers"]["idempotency-key"] for a in answers}), 50)

    def test_a_server_that_asks_for_time_gets_it_and_a_refusal_is_final(self):
        done = self.run_job({"tasks": [
            {"id": "busy", "operator": "http", "output": "json",
             "with": {"url": f"{self.server.url}/busy/k/1?after=1"}},
            {"id": "gone", "operator": "http", "allow_failure": True,
             "retry": {"max_attempts": 5, "delay": "10ms"},
             "with": {"url": f"{self.server.url}/status/404",
                      "headers": {"X-Key": "{{ secrets.KEY }}"}}}],
            "secrets": {"KEY": {"env": "KEY"}}})
        self.assertEqual(self.states, {"busy": "succeeded", "gone": "failed"}, done.stderr)
        self.assertEqual(self.output("busy"), {"calls": 2})
        log = self.call("logs", f"{self.run_id}/gone").stdout
        self.assertIn(f"> GET {self.server.url}/status/404\n< 404, ", log)
        self.assertNotIn("the-secret-key", log)

    def test_a_sensor_looks_until_the_answer_is_there_or_its_time_is_over(self):
        done = self.run_job({"tasks": [
            {"id": "ready", "operator": "wait_http", "output": "json",
             "with": {"url": f"{self.server.url}/ready/k/2", "every": "100ms",
                      "pointer": "/state", "equals": "ready"}},
            {"id": "never", "operator": "wait_http",
             "with": {"url": f"{self.server.url}/status/404", "every": "100ms",
                      "timeout": "300ms", "on_timeout": "skip"}}]})
        self.assertEqual(self.states, {"ready": "succeeded", "never": "skipped"}, done.stderr)
        self.assertEqual(self.output("ready")["rows"], [1, 2, 3])

    def test_mail_arrives(self):
        sink = Counterpart("smtp", "--keep", str(self.root))
        self.addCleanup(sink.close)
        done = self.run_job({"tasks": [
            {"id": "tell", "operator": "mail",
             "with": {"host": "127.0.0.1", "port": sink.port, "tls": "none",
                      "from": "pawl@example.org", "to": "ops@example.org",
                      "subject": "{{ run.job }} läuft", "text": "gut"}}]})
        self.assertEqual(self.states, {"tell": "succeeded"}, done.stderr)
        mail = json.loads((self.root / "1.json").read_text(encoding="utf-8"))
        self.assertEqual(mail["headers"]["subject"], "job läuft")
        # Where it went, and what the server called it: nothing else of a mail is in its log.
        self.assertEqual(self.call("logs", f"{self.run_id}/tell").stdout,
                         f"> smtp://127.0.0.1:{sink.port}: to ops@example.org\n"
                         f"< taken, {mail['headers']['message-id']}\n")

    def test_a_call_that_is_answered_soon_and_as_expected_leaves_no_log_file(self):
        done = self.run_job({"tasks": [
            {"id": "call", "operator": "http", "output": "json",
             "with": {"url": f"{self.server.url}/echo"}},
            {"id": "ready", "operator": "wait_http", "with": {"url": f"{self.server.url}/echo"}}]})
        self.assertEqual(self.states, {"call": "succeeded", "ready": "succeeded"}, done.stderr)
        self.assertEqual([p for p in (self.root / "home/logs").rglob("*") if p.is_file()], [])


def main():
    global PAWL
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", type=Path, required=True)
    args, rest = parser.parse_known_args()
    PAWL = args.pawl.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
