"""Drives the real program in scratch homes. Standard library only."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import sanitizers
from patience import patient

PAWL = None  # path of the program, set by main()
SECONDS = patient(60)
SKIPPED = 77  # exit code when nothing failed and something cannot be tested on this machine

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-z]{6}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Done:
    """What a command left: its exit code, standard output, standard error."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def lines(self):
        return self.out.splitlines()

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- out\n{self.out}--- err\n{self.err}"


class Typed:
    """The terminal of a command: what it shows is read, and words are typed."""

    def __init__(self, main, process):
        self.main, self.process = main, process

    def read_until(self, text):
        said = b""
        while text not in said:
            said += os.read(self.main, 4096)
        return said

    def say(self, line):
        self.press(line.encode() + b"\n")

    def press(self, keys):
        os.write(self.main, keys)


class HomeTest(unittest.TestCase):
    """A scratch folder with a home in it; nothing of the user's own environment gets in."""

    maxDiff = None

    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="pawl-cli-", dir="/tmp"))
        self.home = self.root / "home"
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.root),
                    "PAWL_HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC", "USER": "ana",
                    "CLI_TEST": str(self.root)} | sanitizers.OPTIONS
        self.children = []

    def tearDown(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdout, child.stderr):
                if stream:
                    stream.close()
        self.end_strays()
        shutil.rmtree(self.root, ignore_errors=True)

    def end_strays(self):
        """Ends the processes of this test alone, known by a variable that only they have."""
        mark = f"CLI_TEST={self.root}".encode()
        home = f"PAWL_HOME={self.home}".encode()
        for patience in range(40):
            left = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if (mark in variables or home in variables) and int(pid) != os.getpid():
                    left.append(int(pid))
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, signal.SIGTERM if patience < 10 else signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)

    def pawl(self, *words, code=0, stdin="", env=None, cwd=None):
        """Runs a command to its end and checks its exit code (None: any)."""
        done = subprocess.run([PAWL, *map(str, words)], input=stdin, capture_output=True, text=True,
                              env=self.env | (env or {}), cwd=cwd or self.root, timeout=SECONDS,
                              errors="replace", check=False)
        result = Done(done.returncode, done.stdout, done.stderr)
        if code is not None:
            self.assertEqual(result.code, code, f"pawl {' '.join(map(str, words))}: {result}")
        return result

    def start(self, *words, **options):
        """Starts a command and leaves it running."""
        child = subprocess.Popen([PAWL, *map(str, words)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env=self.env, cwd=self.root, **options)
        self.children.append(child)
        return child

    @contextlib.contextmanager
    def on_a_terminal(self, *words, env=None):
        """A command at a terminal, as an object that is read and typed at."""
        main, child = pty.openpty()
        with subprocess.Popen([PAWL, *map(str, words)], stdin=child, stdout=child, stderr=child,
                              env=self.env | {"NO_COLOR": "1"} | (env or {}), cwd=self.root) as process:
            os.close(child)
            try:
                yield Typed(main, process)
            finally:
                process.kill()
                os.close(main)

    def is_served_by(self, child):
        """Whether this process serves the home, and not the one that it takes over from."""
        scheduler = self.pawl("status", "-o", "json").json()["scheduler"]
        return scheduler is not None and scheduler["pid"] == child.pid

    def write(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def job(self, name, tasks, **more):
        return self.write(f"{name}.json", {"name": name, "tasks": tasks, **more})

    def put_library(self, variable):
        """The plugin whose path is in a variable of the test's environment, for this home."""
        shutil.copy(os.environ[variable], self.plugins())

    def put_program(self, name, text):
        """A warm program in shell, and its manifest."""
        program = self.plugins() / f"{name}.sh"
        program.write_text(text)
        program.chmod(0o755)
        program.with_suffix(".json").write_text(json.dumps({"command": [f"./{program.name}"]}))

    def plugins(self):
        """The folder of plugins. A home that others may enter is refused."""
        folder = self.home / "plugins"
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.home.chmod(0o700)
        return folder

    def until(self, what, condition, seconds=30):
        """Waits for a condition with a deadline; its value."""
        end = time.monotonic() + patient(seconds)
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        self.fail(f"not within {patient(seconds):g} s: {what}")

    def fields(self, objects, names):
        for one in objects if isinstance(objects, list) else [objects]:
            self.assertEqual(list(one), names.split())


def main():
    global PAWL
    if len(sys.argv) < 3 or sys.argv[1] != "--pawl":
        sys.exit(f"usage: {sys.argv[0]} --pawl PATH [unittest arguments]")
    PAWL = str(Path(sys.argv[2]).resolve())
    ran = unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[3:]], exit=False).result
    for test, why in ran.skipped:
        print(f"skipped: {test.id()}: {why}", file=sys.stderr)
    sys.exit(1 if not ran.wasSuccessful() else SKIPPED if ran.skipped else 0)
