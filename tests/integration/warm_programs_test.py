#!/usr/bin/env python3
"""Operators that are warm programs, as users meet them: a manifest in the home, and `python`.

    warm_programs_test.py --pawl PATH
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import sanitizers
from patience import patient

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = patient(60)
pawl = None

CALLS = '''
import os
import subprocess
import time

import pawl


def fail():
    raise ValueError("no good")


def odd():
    return object()


def leave():
    os._exit(9)


def told():
    for i in range(50):
        print("line", i, flush=True)
    os._exit(9)


def dots():
    for _ in range(8):
        print(".", end="", flush=True)
        time.sleep(0.25)


def whispers(secret):
    os.write(2, secret.encode() + b"\\nso it is\\n")


def slow():
    print("here", flush=True)
    try:
        time.sleep(1000)
    except pawl.Cancelled:
        print("cleaned up")
        raise


def deaf():
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass


def again():
    found = pawl.attempt()
    if not found.state:
        found.defer(0.1, "second look")
    return found.state


def later():
    pawl.attempt().defer(400 * 86_400)


def names():
    me = pawl.attempt()
    return [me.set_handle("x" * 4096), me.set_handle("x" * 4097)]


def show(secret):
    print("the secret is", secret)


def tells(gate):
    me = pawl.attempt()
    for row in range(1000):
        me.progress(row / 4000, f"{row} of 4,000 rows")
    me.progress(0.25, "1,000 of 4,000 rows")
    while not os.path.exists(gate):
        time.sleep(0.02)


def once(file):
    """Waits at first, beside a program that has left all that it was given; made again, it tells
    whether that one still runs."""
    if os.path.exists(file):
        with open(file) as told:
            helper = told.read().split()[1]
        return "beside the first" if os.path.exists(f"/proc/{helper}/exe") else "made again"
    helper = subprocess.Popen(["/bin/sleep", "86412"], env={}, start_new_session=True)
    with open(file + ".new", "w") as out:
        out.write(f"{os.getpid()} {helper.pid}")
    os.rename(file + ".new", file)
    time.sleep(1000)
'''


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def eventually(is_true, what):
    until = time.monotonic() + PATIENCE
    while not is_true():
        if time.monotonic() > until:
            raise AssertionError(f"it never came: {what}")
        time.sleep(0.02)


class WarmPrograms(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pawl-warm-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.home = self.folder / "home"
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8",
            "PAWL_HOME": str(self.home), "TMPDIR": str(self.folder),
            "TOKEN": "sesame-open-up"} | sanitizers.OPTIONS
        (self.folder / "calls.py").write_text(CALLS)

    def pawl(self, *words, code=0):
        done = subprocess.run([pawl, *words], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                              check=False)
        self.assertEqual(done.returncode, code, f"pawl {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def job(self, *tasks, **more):
        file = self.folder / "job.json"
        file.write_text(json.dumps({"name": "warm", "tasks": tasks, **more}))
        return str(file)

    def run_job(self, *tasks, code=0, **more):
        return self.pawl("run", self.job(*tasks, **more), code=code).split()[0]

    def attempts(self, run):
        return json.loads(self.pawl("attempts", run, "-o", "json"))

    def task(self, run, name):
        rows = json.loads(self.pawl("tasks", "--run", run, "-o", "json"))
        return next(row for row in rows if row["task"] == name)

    def test_a_manifest_in_the_home_is_an_operator(self):
        plugins = self.home / "plugins"
        self.home.mkdir(mode=0o700)
        plugins.mkdir()
        for name in ("sum.json", "sum.sh"):
            shutil.copy(ROOT / "examples/plugins" / name, plugins)
        run = self.run_job({"id": "add", "operator": "sum", "with": {"numbers": [1, 2, 39]},
                            "output": "json"})
        self.assertEqual(self.pawl("output", f"{run}/add").strip(), "42")
        self.assertEqual(self.pawl("logs", f"{run}/add"), "added up 1,2,39\n")
        self.pawl("validate", self.job({"id": "add", "operator": "sum", "with": {"numbers": []}}),
                  code=2)

    def test_how_calls_end(self):
        def call(name, **more):
            return {"id": name, "operator": "python", "with": {"call": f"calls:{name}"},
                    "allow_failure": True, **more}

        # A time-out runs while its call waits for an interpreter: the others have started those.
        others = {"depends_on": ["fail", "again", "show"], "trigger_rule": "all_done",
                  "timeout": f"{int(patient(500))}ms"}
        run = self.run_job(
            call("fail"), call("odd", output="json"), call("later"), call("names", output="json"), call("leave", on_interrupt="fail"), call("again", output="text"),
            call("slow", **others), call("deaf", kill_grace="500ms", **others),
            {"id": "show", "operator": "python",
             "with": {"call": "calls:show", "args": ["{{ secrets.TOKEN }}"]}},
            secrets={"TOKEN": {"env": "TOKEN"}})
        names = ("fail", "odd", "leave", "slow", "deaf", "later")
        self.assertEqual([self.task(run, name)["reason"] for name in names],
                         ["error", "output", "lost", "timeout", "timeout", "error"])
        self.assertIn("0 s to 366 days", self.task(run, "later")["error"])
        self.assertEqual(json.loads(self.pawl("output", f"{run}/names")), [True, False])
        self.assertIn("it has 4097 bytes, and at most 4096", self.pawl("logs", f"{run}/names"))
        self.assertEqual(self.pawl("output", f"{run}/again").strip(), "second look")
        self.assertEqual(self.pawl("logs", f"{run}/slow"), "here\ncleaned up\n")
        self.assertEqual(self.pawl("logs", f"{run}/show"), "the secret is ***\n")
        failed = next(row for row in self.attempts(run) if row["task"] == "fail")
        self.assertIn("no good", json.dumps(failed))
        odd = next(row for row in self.attempts(run) if row["task"] == "odd")["error"]
        self.assertEqual(odd["class"], "TypeError")
        self.assertIn("what the function returned cannot be written as JSON", odd["message"])

    def test_what_was_flushed_is_there_whatever_becomes_of_the_interpreter(self):
        run = self.run_job({"id": "told", "operator": "python", "with": {"call": "calls:told"},
                            "on_interrupt": "fail"}, code=1)
        self.assertEqual(self.pawl("logs", f"{run}/told"),
                         "".join(f"line {i}\n" for i in range(50)))

    def test_a_line_that_is_flushed_bit_by_bit_is_a_sign_of_life(self):
        run = self.run_job({"id": "dots", "operator": "python", "with": {"call": "calls:dots"},
                            "stall_timeout": f"{int(patient(1000))}ms"})
        self.assertEqual(self.pawl("logs", f"{run}/dots"), "........")

    def test_what_one_call_said_is_not_told_of_another(self):
        """The secret of one, on standard error, would stand in the trace of the next."""
        secrets = {"TOKEN": {"env": "TOKEN"}}
        run = self.run_job(
            {"id": "whispers", "operator": "python",
             "with": {"call": "calls:whispers", "args": ["{{ secrets.TOKEN }}"], "processes": 1}},
            {"id": "leave", "operator": "python", "with": {"call": "calls:leave", "processes": 1},
             "depends_on": ["whispers"], "on_interrupt": "fail"}, secrets=secrets, code=1)
        self.assertEqual(self.task(run, "leave")["reason"], "lost")
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"sesame-open-up", path.read_bytes(), path)

    def test_a_call_that_always_ends_its_interpreter_is_held_as_poison(self):
        run = self.run_job({"id": "leave", "operator": "python", "with": {"call": "calls:leave"},
                            "retry": {"max_attempts": 9, "delay": "0s"}}, code=1)
        found = self.task(run, "leave")
        self.assertEqual((found["state"], found["reason"]), ("held", "poison"))
        self.assertEqual([a["state"] for a in self.attempts(run)], ["lost"] * 3)

    def test_what_a_call_says_of_how_far_it_is_is_shown_while_it_runs(self):
        gate = self.folder / "gate"
        job = self.job({"id": "tells", "operator": "python",
                        "with": {"call": "calls:tells", "args": [str(gate)]}})
        running = subprocess.Popen([pawl, "run", job], cwd=self.folder, env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(running.kill)
        run = running.stdout.readline().split()[0]

        def said(name=run):
            return json.loads(self.pawl("show", name, "-o", "json"))

        eventually(lambda: said()["tasks"][0]["progress"], "the progress of the call")
        found = said(f"{run}/tells")["progress"]
        self.assertEqual((found["fraction"], found["text"]), (0.25, "1,000 of 4,000 rows"))
        self.assertRegex(self.pawl("show", run), r"25% 1,000 of 4,000 rows")
        self.assertRegex(self.pawl("show", f"{run}/tells"), r"progress +25% 1,000 of 4,000 rows")
        gate.touch()
        running.stdout.read()
        self.assertEqual(running.wait(), 0)
        # What ended says nothing any more, and nothing of it was stored.
        self.assertIsNone(said()["tasks"][0]["progress"])

    def test_a_host_that_is_killed_takes_all_that_its_calls_started_before_one_is_made_again(self):
        file = self.folder / "began"
        job = self.job({"id": "once", "operator": "python", "output": "text",
                        "with": {"call": "calls:once", "args": [str(file)]},
                        "retry": {"max_attempts": 2, "delay": "10ms"}})
        running = subprocess.Popen([pawl, "run", job], cwd=self.folder, env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(running.kill)
        eventually(file.exists, "the call begins")
        interpreter, helper = map(int, file.read_text().split())
        self.addCleanup(lambda: alive(helper) and os.kill(helper, signal.SIGKILL))
        host = int(Path(f"/proc/{interpreter}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(host, signal.SIGKILL)
        eventually(lambda: not alive(interpreter), "the interpreter goes with its host")
        out, _ = running.communicate(timeout=PATIENCE)
        self.assertEqual(running.returncode, 0)
        run = out.split()[0]
        self.assertEqual(self.pawl("output", f"{run}/once").strip(), "made again")
        self.assertEqual({row["state"] for row in self.attempts(run)}, {"lost", "succeeded"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True, type=Path)
    arguments, rest = parser.parse_known_args()
    pawl = str(arguments.pawl.resolve())
    unittest.main(argv=["warm_programs_test", *rest])
