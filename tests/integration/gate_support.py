"""Tasks that wait at gates which the tests open, and note their starts and ends in a ledger outside
of pawl, so that "ran once" is not pawl's own word. Nothing sleeps for a fixed time: everything is
waited for, with a deadline."""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import cli_support
from cli_support import HomeTest

GATE = """#!/bin/sh
# gate NAME CODE: notes its start, waits until gates/NAME exists, notes its end, ends with CODE.
echo "start $1 $PAWL_ATTEMPT $$" >> "$LEDGER"
until [ -e "$GATES/$1" ]; do sleep 0.02; done
echo "end $1 $PAWL_ATTEMPT $$" >> "$LEDGER"
[ "$2" != kill ] || kill -KILL $$
exit "$2"
"""


def is_alive(pid):
    """Not gone, and no zombie: the orphans of a dead worker wait for process 1 to reap them."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def most_memory_of(pid):
    """The most that a process has had in memory, in MiB; 0 for a zombie."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


class GateTest(HomeTest):
    def setUp(self):
        super().setUp()
        self.gates = self.root / "gates"
        self.gates.mkdir()
        self.ledger = self.root / "ledger"
        self.ledger.touch()
        self.gate_program = self.write("gate", GATE)
        self.gate_program.chmod(0o755)
        self.env |= {"COLUMNS": "200"}

    # -- jobs and their tasks

    def gate(self, name, code=0, **more):
        return {"id": name, "command": [str(self.gate_program), name, str(code)], **more}

    def gated_job(self, name, tasks, **more):
        return self.job(name, tasks, **({"env": {"LEDGER": str(self.ledger),
                                                "GATES": str(self.gates)}} | more))

    def open_gates(self, *names):
        for name in names:
            (self.gates / name).touch()

    def noted(self, word, name=None):
        """Lines of the ledger as (name, attempt, pid)."""
        lines = [line.split() for line in self.ledger.read_text(encoding="utf-8").splitlines()]
        return [(n, int(attempt), int(pid)) for w, n, attempt, pid in lines
                if w == word and name in (None, n)]

    def until_started(self, *names, attempt=1):
        for name in names:
            self.until(f"{name}, attempt {attempt} has started",
                       lambda n=name: any(a == attempt for _, a, _ in self.noted("start", n)))

    def assert_ran_once(self, *names):
        for name in names:
            self.assertEqual(len(self.noted("start", name)), 1, f"{name} ran more than once")

    # -- the scheduler and its workers

    def serve(self, *words, log="serve.log"):
        with open(self.root / log, "ab") as out:
            child = subprocess.Popen([cli_support.PAWL, "serve", *map(str, words)], env=self.env,
                                     cwd=self.root, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=out)
        self.children.append(child)
        self.until("the scheduler answers", lambda: self.is_served(child), seconds=60)
        return child

    def is_served(self, child):
        self.assertIsNone(child.poll(), f"serve ended with {child.returncode}: {self.served()}")
        status = self.pawl("status", "-o", "json", code=None)
        if status.code != 0:
            return False
        return f'"pid": {child.pid}' in json.dumps(status.json())

    def served(self):
        return (self.root / "serve.log").read_text(errors="replace")

    def workers(self):
        """Processes of this program in this home that are none of our children."""
        program = os.stat(cli_support.PAWL)
        mark = f"CLI_TEST={self.root}".encode()
        found = []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                of = os.stat(f"/proc/{pid}/exe")
                same = (of.st_dev, of.st_ino) == (program.st_dev, program.st_ino)
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if same and b"worker" in words and mark in Path(
                        f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
        return found

    def kill(self, *children):
        for child in children:
            child.kill()
            child.wait()

    def kill_workers(self):
        pids = self.workers()
        self.assertTrue(pids, "there are no workers to kill")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- what came of it

    def detach(self, job, *words):
        return self.pawl("run", job, "--detach", *words).lines[0]

    def run_of(self, run):
        return self.pawl("show", run, "-o", "json").json()

    def until_ended(self, run):
        return self.until(f"run {run} has ended",
                          lambda: (o := self.run_of(run))["state"] in
                          ("succeeded", "failed", "cancelled") and o, seconds=60)

    def tasks_of(self, run):
        return {t["task"]: t for t in
                self.pawl("tasks", "--run", run, "-o", "json", "--limit", 0).json()}

    def states(self, run):
        return {name: task["state"] for name, task in self.tasks_of(run).items()}

    def attempts_of(self, run):
        found = {}
        for a in self.pawl("attempts", "--run", run, "-o", "json", "--limit", 0).json():
            found[a["task"], a["attempt"]] = a
        return found
