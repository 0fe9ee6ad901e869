#!/usr/bin/env python3
"""Faults at each system call on the way of a commit, one at a time, judged by verify.py.

    commit_faults_test.py --pawl PATH [--seed S] [--all] [--only WORD]... [--keep]

`pawl run` of a small job runs under strace, which kills it as it enters the N-th call of a kind, or
makes that call fail: writes and syncs of the store, locks, what goes to workers and clients. strace
lets go of workers and programs as they start, so the fault is the scheduler's alone, and whatever it
had started runs on. Then a new scheduler brings all to its end, and verify.py compares store and
outside ledger, before and after. Each kind of fault goes through N = 1, 2, ... until a run ends
untouched; --all takes every N, otherwise they are thinned out evenly, from a random first.

Exit code 0 when nothing was wrong and the faults have hit, 77 where strace may not trace.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import verify

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "integration"))
import sanitizers  # noqa: E402
from patience import patient  # noqa: E402

SKIPPED = 77
SECONDS = patient(60)

STORAGE_ERROR = 74
UNUSABLE_HOME = 73  # of a home that cannot be made


@dataclass(frozen=True)
class Fault:
    """`what` happens to the calls `name`, the `first` and `count` - 1 more (0: all that follow)."""
    home: str          # "new": the home is made, too; "used": it is there, with a history
    name: str
    what: str          # KILL, or the name of an error
    first: int
    count: int = 1

    def __str__(self):
        which = f"{self.first}" if self.count == 1 else f"{self.first} and on"
        return f"{self.what} at {self.name} {which} ({self.home} home)"

    def injection(self):
        when = f"{self.first}"
        if self.count == 0:
            when += "+"
        elif self.count > 1:
            when += f"..{self.first + self.count - 1}"
        act = "signal=KILL" if self.what == "KILL" else f"error={self.what}"
        return f"inject={self.name}:{act}:when={when}"


# Home, call, samples when not --all. The first lines are the commit itself, the others lie between
# commit and start, between the answer and what it speaks of, and in the making of a home.
KILLS = [("used", "pwrite64", 24), ("used", "fdatasync", 12), ("used", "fcntl", 10),
         ("used", "write", 8), ("used", "sendto", 8), ("used", "ftruncate", 2),
         ("used", "timerfd_settime", 3), ("used", "clone3", 3), ("used", "connect", 2),
         ("new", "pwrite64", 8), ("new", "fdatasync", 6), ("new", "mkdir", 3),
         ("new", "openat", 4), ("new", "fallocate", 1)]
ERRORS = [("used", "fdatasync", "EIO", 1, 6), ("used", "pwrite64", "EIO", 1, 6),
          ("used", "fdatasync", "EIO", 0, 2), ("used", "pwrite64", "EIO", 0, 2),
          ("used", "pread64", "EIO", 1, 4), ("used", "pread64", "EIO", 0, 1),
          ("used", "pwrite64", "ENOSPC", 1, 5), ("used", "pwrite64", "ENOSPC", 9, 3),
          ("used", "pwrite64", "ENOSPC", 0, 3), ("new", "pwrite64", "ENOSPC", 0, 2),
          ("new", "fdatasync", "EIO", 1, 3)]


def make_job(ledger):
    def program(milliseconds, fail_first=0):
        return [sys.executable, "-I", "-S", str(HERE / "ledger_task.py"), str(ledger),
                str(milliseconds), str(fail_first), "3"]
    items = [{"id": i, "ms": 5 + i} for i in range(5)]
    return {"name": "commits", "defaults": {"retry": {
                "max_attempts": 3, "delay": "10ms", "backoff": "fixed", "jitter": "none"}},
            "tasks": [
                {"id": "first", "command": program(5)},
                {"id": "again", "depends_on": ["first"], "command": program(1, 1)},
                {"id": "each", "depends_on": ["first"], "map": {"items": items},
                 "command": [sys.executable, "-I", "-S", str(HERE / "ledger_task.py"), str(ledger),
                             "{{ item.ms }}", "0", "3"]},
                {"id": "long", "command": program(60)},
                {"id": "last", "depends_on": ["again", "each", "long"], "command": program(1)}]}


class Trial:
    """One life with one fault, and what came of it."""

    def __init__(self, pawl, root, fault, used_home):
        self.pawl, self.root, self.fault = pawl, root, fault
        self.home = root / "home"
        self.ledger = root / "ledger"
        self.problems = []
        self.accepted = {}
        self.report = None
        self.hit = False
        root.mkdir()
        self.ledger.touch()
        self.job = root / "commits.json"
        self.job.write_text(json.dumps(make_job(self.ledger)))
        if fault is not None and fault.home == "used":
            shutil.copytree(used_home, self.home, symlinks=True)
            self.home.chmod(0o700)
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8",
            "PAWL_HOME": str(self.home)} | sanitizers.OPTIONS
        # A process that is traced cannot look for its own leaks.
        self.environment["ASAN_OPTIONS"] = self.environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"

    def wrong(self, text):
        self.problems.append(f"{self.fault}: {text}")

    def command(self, *words, seconds=SECONDS):
        return subprocess.run([self.pawl, *words], env=self.environment, cwd=self.root, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                              check=False)

    # -- the life with the fault

    def traced(self, arguments, seconds):
        """Runs the job under strace; exit code (negative: signal), output. None: it did not end."""
        child = subprocess.Popen(["strace", "-f", "-qqq", "-b", "execve", "-o", self.root / "trace",
                                  *arguments, self.pawl, "run", "--quiet", str(self.job)],
                                 env=self.environment, cwd=self.root, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = child.communicate(timeout=seconds)
            return child.returncode, out, err
        except subprocess.TimeoutExpired:
            for pid in self.schedulers():
                os.kill(pid, signal.SIGKILL)
            out, err = child.communicate()
            return None, out, err

    def schedulers(self):
        """The traced program: the one that runs `pawl run` in this home."""
        found = []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == self.pawl.encode() and str(self.job).encode() in words:
                found.append(pid)
        return found

    def live(self):
        fault = self.fault
        endless = fault.count == 0 and fault.what == "ENOSPC"
        code, out, err = self.traced(
            ["-e", f"trace={fault.name}", "-e", fault.injection()], patient(3) if endless else SECONDS)
        trace = (self.root / "trace").read_text(errors="replace")
        self.hit = "(INJECTED)" in trace or "killed by SIGKILL" in trace
        if code == 127 and "error while loading shared libraries" in err:
            self.hit = False  # the fault was the loader's: there was no pawl yet
            return code
        # The first line of standard output is the acknowledgement, whatever came after it.
        if "\n" in out:
            self.accepted[out.split("\n", 1)[0].strip()] = ""
        if code is None and not endless:
            self.wrong(f"it hung: {err}")
        elif not self.hit:
            if code != 0:
                self.wrong(f"nothing was injected, and it ended with {code}: {err}")
        elif fault.what == "KILL":
            if code not in (-9, 137):
                self.wrong(f"was killed, and ended with {code}: {err}")
        elif fault.what == "ENOSPC":
            # 0: it was full from the last copy into the database on, when all was in the log.
            if fault.count == 0 and code not in (None, 0, UNUSABLE_HOME, STORAGE_ERROR):
                self.wrong(f"a disk that stays full made it end with {code}: {err}")
            if fault.count > 0 and code not in (0, STORAGE_ERROR):
                self.wrong(f"a disk that was full for a moment made it end with {code}: {err}")
        elif code not in (0, UNUSABLE_HOME, STORAGE_ERROR):
            self.wrong(f"ended with {code}: {err}")
        # The last copy into the database may fail after all has ended well; then it is said.
        if code == 0 and self.hit and fault.what == "EIO" and "the disk of" not in err:
            self.wrong(f"an error of the disk was passed over in silence: {err!r}")
        if code not in (None, 0, -9, 137) and not err.startswith("pawl: ") and "\npawl: " not in err:
            self.wrong(f"ended with {code} and no word of it: {err!r}")
        return code

    # -- the life after it

    def go_on(self):
        """A new scheduler brings everything to its end. A run that was not accepted is given again."""
        with open(self.root / "serve.log", "ab") as log:
            serve = subprocess.Popen([self.pawl, "serve"], env=self.environment, cwd=self.root,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.until(lambda: serve.poll() is not None or f'"pid": {serve.pid}' in
                       self.command("status", "-o", "json").stdout, "the scheduler answers")
            if not self.accepted and not self.runs():
                answer = self.command("run", str(self.job), "--detach")
                if answer.returncode != 0:
                    self.wrong(f"the next scheduler takes no run: {answer.returncode} {answer.stderr}")
                else:
                    self.accepted[answer.stdout.split("\n", 1)[0].strip()] = ""
            self.until(lambda: serve.poll() is not None or not self.runs("queued,running,paused"),
                       "all runs have ended")
        finally:
            if serve.poll() is None:
                serve.send_signal(signal.SIGTERM)
            try:
                code = serve.wait(SECONDS)
                if code != 0:
                    self.wrong(f"the scheduler after it ended with {code}: "
                               + (self.root / "serve.log").read_text(errors="replace")[-2000:])
            except subprocess.TimeoutExpired:
                serve.kill()
                serve.wait()
                self.wrong("the scheduler after it does not leave")

    def until(self, condition, what):
        end = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > end:
                self.wrong(f"not within {SECONDS} s: {what}")
                return
            time.sleep(0.03)

    def runs(self, states=""):
        answer = self.command("runs", "--limit", "0", "-o", "json",
                              *(["--state", states] if states else []))
        if answer.returncode != 0:
            self.wrong(f"pawl runs: {answer.returncode} {answer.stderr}")
            return []
        # The history that a used home came with is another job's.
        return [run for run in json.loads(answer.stdout) if run["job"] == "commits"]

    def has_store(self):
        try:
            with verify.tempfile.TemporaryDirectory(prefix="pawl-look-") as folder:
                database = sqlite3.connect(verify.copy_of_database(self.home, folder))
                found = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'run'")
                has = found.fetchone()[0] == 1
                database.close()
                return has
        except sqlite3.Error as error:
            self.wrong(f"the store cannot be read: {error}")
            return False

    def trust(self, code, snapshot):
        """An end with 0 is a promise: the store has the success before anybody else looks at it."""
        for run in self.accepted if code == 0 else ():
            if (state := snapshot["runs"].get(run)) != "succeeded":
                self.wrong(f"ended with 0, and the store says that {run} is {state or 'open'}")
        if code == 0 and not self.accepted:
            self.wrong("ended with 0 and named no run")

    def judge(self, before, at_rest):
        snapshot, problems, self.report = verify.verify(
            home=self.home, ledger=self.ledger, job=self.job, accepted=self.accepted, faults=[],
            before=before, at_rest=at_rest, strays=at_rest, jobs={"commits"})
        for problem in problems:
            self.wrong(f"{'at the end' if at_rest else 'after the fault'}: {problem}")
        return snapshot

    def run(self):
        try:
            code = self.live()
            if self.hit:
                snapshots = []
                if self.has_store():
                    snapshots.append(self.judge([], at_rest=False))
                    self.trust(code, snapshots[0])
                    snapshots[0]["restarted_ns"] = time.monotonic_ns()
                elif code == 0 or self.accepted or self.ledger.stat().st_size:
                    self.wrong("something was accepted or ran, and there is no store")
                self.go_on()
                self.judge(snapshots, at_rest=True)
        except Exception as error:  # whatever it is belongs to this fault
            self.wrong(f"{type(error).__name__}: {error}")
        finally:
            self.clear_away()
        return self

    def clear_away(self):
        for pid in verify.processes_in(self.home):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class CommitFaultsTest:
    def __init__(self, args, root):
        self.args, self.root = args, root
        self.rng = random.Random(args.seed)
        self.used_home = root / "used"
        self.hits = Counter()
        self.outcomes = Counter()
        self.problems = []
        self.number = 0

    def make_used_home(self):
        """A home with a finished run of another job, and no scheduler."""
        trial = Trial(self.args.pawl, self.root / "making", None, None)
        (trial.root / "other.json").write_text(
            json.dumps({"name": "other", "tasks": [{"id": "a", "command": ["true"]}]}))
        answer = trial.command("run", str(trial.root / "other.json"))
        if answer.returncode != 0:
            raise SystemExit(f"cannot make a home: {answer.stderr}")
        trial.clear_away()
        shutil.rmtree(trial.home / "workers", ignore_errors=True)
        (trial.home / "sock").unlink(missing_ok=True)
        trial.home.rename(self.used_home)

    def calls(self, home):
        """How often a thread of an undisturbed scheduler makes each call, at most."""
        trial = Trial(self.args.pawl, self.root / f"counting-{home}",
                      Fault(home, "", "", 0), self.used_home)
        code, _, err = trial.traced([], SECONDS)
        trial.clear_away()
        if code != 0:
            raise SystemExit(f"an undisturbed run ended with {code}: {err}")
        counts = Counter(re.findall(r"^(\d+) +(\w+)\(", (trial.root / "trace").read_text(), re.M))
        most = Counter()
        for (_, name), count in counts.items():
            most[name] = max(most[name], count)
        return most

    def positions(self, most, samples):
        if self.args.all or most <= samples:
            return list(range(1, most + 1))
        step = most / samples
        first = self.rng.uniform(0, step)
        return sorted({1 + int(first + i * step) for i in range(samples)} & set(range(1, most + 1)))

    def faults(self):
        most = {home: self.calls(home) for home in ("new", "used")}
        for home, name, samples in KILLS:
            for first in self.positions(most[home][name], samples):
                yield Fault(home, name, "KILL", first)
        for home, name, error, count, samples in ERRORS:
            for first in self.positions(most[home][name], samples):
                yield Fault(home, name, error, first, count)

    def one(self, numbered):
        number, fault = numbered
        trial = Trial(self.args.pawl, self.root / f"{number}", fault, self.used_home).run()
        if not trial.problems and not self.args.keep:
            shutil.rmtree(trial.root, ignore_errors=True)
        return trial

    def run(self):
        self.make_used_home()
        faults = [f for f in self.faults()
                  if not self.args.only or any(word in str(f) for word in self.args.only)]
        print(f"seed {self.args.seed}, {len(faults)} faults, {self.root}", flush=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for trial in pool.map(self.one, enumerate(faults, 1)):
                self.note(trial)
        return len(faults)

    def note(self, trial):
        for problem in trial.problems:
            print("WRONG", problem, flush=True)
        self.problems += trial.problems
        if not trial.hit:
            self.outcomes["missed"] += 1
            return
        self.hits[f"{trial.fault.what} at {trial.fault.name}"] += 1
        if trial.report:
            for word in ("in_flight", "adopted", "ended_meanwhile", "never_started"):
                self.outcomes[word] += trial.report[word]


def may_trace():
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=write", "-e",
                            "inject=write:error=EIO:when=1", "true"], capture_output=True, text=True,
                           check=False)
    return "" if tried.returncode == 0 else f"strace may not trace: {tried.stderr.strip()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True, type=lambda p: str(Path(p).resolve()))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--all", action="store_true", help="each N of each fault")
    parser.add_argument("--only", action="append", help="faults whose name holds this")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    args = parser.parse_args()
    if why_not := may_trace():
        print(f"skipped: {why_not}")
        return SKIPPED
    root = Path(tempfile.mkdtemp(prefix="pawl-commits-"))
    test = CommitFaultsTest(args, root)
    count = test.run()
    print("hits: " + ", ".join(f"{n} × {what}" for what, n in sorted(test.hits.items())))
    print("attempts in flight at the fault: {in_flight}; of these {adopted} adopted, "
          "{ended_meanwhile} ended meanwhile, {never_started} never started; faults that a run "
          "ended before: {missed}".format_map(
              {w: test.outcomes[w] for w in ("in_flight", "adopted", "ended_meanwhile",
                                             "never_started", "missed")}))
    # A green run proves something only when the faults have hit, and hit work in flight.
    if not args.only:
        if sum(test.hits.values()) < count // 2:
            test.problems.append("most faults hit nothing")
        for word in ("adopted", "never_started", "ended_meanwhile"):
            if test.outcomes[word] == 0:
                test.problems.append(f"no attempt was {word.replace('_', ' ')} at a fault")
    if test.problems or args.keep:
        print(f"seed {args.seed}; what went wrong is kept in {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)
    print("commit faults: " + (f"{len(test.problems)} problems" if test.problems else "nothing wrong"))
    return 1 if test.problems else 0


if __name__ == "__main__":
    sys.exit(main())
