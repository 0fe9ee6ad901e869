#!/usr/bin/env python3
"""Kills pawl at random, again and again, and lets verify.py judge what came of it.

    crash_test.py --pawl PATH [--kills N] [--seed S] [--keep]

A scratch home serves a job of several hundred small tasks: chains, fans, a mapped task and one
that follows it item by item; some fail on their first attempts and are tried again, some always
fail, some may run only once. A second job is due every two seconds, and catches up on all it
misses: each of its times has one run in the end. In each round runs are submitted and then, at a random moment,
`kill -9` hits the scheduler, a random worker, or the scheduler and all workers, or the scheduler
is stopped politely. What the store says is verified after each death of the scheduler, and once
more when everything has come to its end. The same seed gives the same job and the same faults, at
about the same moments. Exit code 0 only when nothing was wrong and every kind of fault has hit.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import verify

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "integration"))
import sanitizers  # noqa: E402
from patience import patient  # noqa: E402

SUBMISSION_SECONDS = patient(60)
LEAVING_SECONDS = patient(30)
QUIET_SECONDS = patient(240)  # all that is open must end within this once the faults are over


def make_job(rng, ledger):
    """The job file. Durations are 0 to 200 ms; most tasks may be tried often enough to succeed."""
    def program(milliseconds, fail_first=0, code=0):
        return [sys.executable, "-I", "-S", str(HERE / "ledger_task.py"), str(ledger),
                str(milliseconds), str(fail_first), str(code)]

    def task(name, after=(), **more):
        fails = rng.random() < 0.15
        spec = {"id": name, "depends_on": list(after),
                "command": program(rng.randrange(200), rng.randint(1, 2) if fails else 0, 3)}
        return spec | more

    tasks = [task("root")]
    for chain in range(12):
        before = "root"
        for link in range(5):
            name = f"chain{chain}_{link}"
            tasks.append(task(name, [before]))
            before = name
    fan = [f"fan{i}" for i in range(40)]
    tasks += [task(name, ["root"]) for name in fan]
    tasks.append(task("join", fan))
    tasks += [task(f"diamond{i}", ["join"] + rng.sample(fan, 5)) for i in range(10)]

    # Run on over the death of a scheduler, however long the next one takes to start.
    tasks += [task(f"slow{i}", ["root"], command=program(rng.randrange(1000, 4000)))
              for i in range(6)]

    # May run only once: an interruption holds it, and what follows is upstream_failed.
    tasks += [task(f"once{i}", ["root"], retry={"max_attempts": 1},
                   command=program(rng.randrange(200))) for i in range(6)]
    tasks += [task(f"after_once{i}", [f"once{i}"]) for i in range(6)]
    # Always fails: as often as it may and not once more.
    tasks.append(task("hopeless", ["root"], command=program(10, 1_000_000, 7),
                      retry={"max_attempts": 3, "delay": "20ms", "backoff": "fixed",
                             "jitter": "none"}))
    tasks.append(task("after_hopeless", ["hopeless"]))
    tasks.append(task("report", ["hopeless", "join", "once0"], trigger_rule="all_done"))

    items = [{"id": i, "ms": rng.randrange(200), "fail": 1 if rng.random() < 0.1 else 0}
             for i in range(150)]
    mapped = [sys.executable, "-I", "-S", str(HERE / "ledger_task.py"), str(ledger),
              "{{ item.ms }}", "{{ item.fail }}", "5"]
    tasks.append({"id": "each", "depends_on": ["root"], "map": {"items": items},
                  "command": mapped})
    # Item by item: none waits for the slowest of the others.
    tasks.append({"id": "again", "depends_on": [{"task": "each", "each": True}],
                  "command": mapped})
    tasks.append(task("after_again", ["again"]))
    return {"name": "crash", "overlap": "allow", "catchup": {"policy": "none"},
            "defaults": {"retry": {"max_attempts": 8, "delay": "30ms",
                                   "backoff": "fixed", "jitter": "none"}},
            "tasks": tasks}


CLOCK = {"name": "clock", "schedule": {"every": "2s"}, "overlap": "allow", "max_active_runs": 1000,
         "catchup": {"policy": "all", "limit": 1000, "window": "1d"},
         "pools": {"clock": 2}, "tasks": [{"id": "tick", "pool": "clock", "command": ["true"],
                                           "retry": {"max_attempts": 8, "delay": "30ms"}}]}
CLOCK_PERIOD_MS = 2000


class CrashTest:
    UNANSWERED = {69, 74, 75, 130}  # exit codes of a submission of which nobody knows what became

    def __init__(self, pawl, seed, root, home=None):
        self.pawl = pawl
        self.rng = random.Random(seed)
        self.root = root
        self.home = home or root / "home"
        self.ledger = root / "ledger"
        self.ledger.touch()
        (root / "jobs").mkdir()
        self.job = root / "jobs" / "crash.json"
        self.job.write_text(json.dumps(make_job(self.rng, self.ledger)))
        self.home.mkdir(mode=0o700)
        (self.home / "settings.json").write_text(json.dumps({"pools": {"default": 24}}))
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8",
            "PAWL_HOME": str(self.home)} | sanitizers.OPTIONS
        self.scheduler = None
        self.log = open(root / "serve.log", "ab")
        self.accepted = {}      # run -> request id or ""
        self.pending = []       # (process, request id, begun)
        self.asked_again = []   # request ids whose answer was lost
        self.requests = 0
        self.faults = []
        self.snapshots = []
        self.problems = []

    # -- the scheduler and its workers

    def start(self):
        if self.snapshots and "restarted_ns" not in self.snapshots[-1]:
            self.snapshots[-1]["restarted_ns"] = time.monotonic_ns()
        self.scheduler = subprocess.Popen(
            self.serving(), env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=self.root)

    def serving(self):
        return [self.pawl, "serve", "--jobs", str(self.root / "jobs")]

    def scheduler_died_by_itself(self):
        code = self.scheduler.poll()
        if code is None:
            return False
        self.problems.append(f"the scheduler ended by itself with exit code {code}; see serve.log")
        return True

    def workers(self):
        """Folder name of each living worker to its pid, as its lock says.

        Whoever merely has the lock open may be a program of it that is about to start."""
        found = {}
        program = os.stat(self.pawl)
        for lock in (self.home / "workers").glob("*/lock"):
            try:
                pid = int(lock.read_text().split()[1])
                of = os.stat(f"/proc/{pid}/exe")
                if (of.st_dev, of.st_ino) == (program.st_dev, program.st_ino):
                    found[lock.parent.name] = pid
            except (OSError, IndexError, ValueError):
                pass  # it begins, or it ended meanwhile
        return found

    def kill_workers(self, how_many):
        workers = self.workers()
        names = sorted(workers)
        if how_many is not None:
            names = self.rng.sample(names, min(how_many, len(names)))
        for name in names:
            try:
                os.kill(workers[name], signal.SIGKILL)
            except ProcessLookupError:
                pass
        return names

    def until_it_hears(self, number):
        """Until the scheduler holds back or handles a signal: before that (it is not in its main yet)
        the signal's default ends it, as it ends any program, and nothing of pawl has begun. A library
        may hold back all signals for an instant, which proves nothing: pawl leaves SIGALRM alone."""
        bit, others = 1 << (number - 1), 1 << (signal.SIGALRM - 1)
        deadline = time.monotonic() + LEAVING_SECONDS
        while self.scheduler.poll() is None and time.monotonic() < deadline:
            status = Path(f"/proc/{self.scheduler.pid}/status").read_text()
            held, handled = (int(line.split()[1], 16) for line in status.splitlines()
                             if line.startswith(("SigBlk:", "SigCgt:")))
            if handled & bit or (held & bit and not held & others):
                return
            time.sleep(0.002)

    def until_it_runs_something(self):
        """Else a slow machine is hit by all faults while the next scheduler starts, and by none while
        there is work in flight."""
        deadline = time.monotonic() + LEAVING_SECONDS
        while self.scheduler.poll() is None and time.monotonic() < deadline:
            self.collect()
            answer = subprocess.run([self.pawl, "status", "-o", "json"], env=self.environment,
                                    capture_output=True, text=True, timeout=SUBMISSION_SECONDS)
            scheduler = json.loads(answer.stdout)["scheduler"] if answer.returncode == 0 else None
            if scheduler and scheduler["live_attempts"] > 0:
                return
            if not self.pending and self.open_runs() == 0:
                self.submit()  # the last one came before the scheduler could take it, or has ended
            time.sleep(0.05)

    def fault(self):
        """Lets one fault happen; True when the scheduler is dead after it."""
        kind = self.rng.choices(["scheduler", "worker", "everything", "polite"], [45, 20, 20, 15])[0]
        if kind != "polite" and self.rng.random() < 0.6:
            self.until_it_runs_something()
        killed = []
        if kind == "worker":
            killed = self.kill_workers(1)
        elif kind == "polite":
            self.until_it_hears(signal.SIGTERM)
            self.scheduler.send_signal(signal.SIGTERM)
            try:
                code = self.scheduler.wait(LEAVING_SECONDS)
                if code != 0:
                    self.problems.append(f"SIGTERM made the scheduler end with {code}")
            except subprocess.TimeoutExpired:
                self.problems.append(f"the scheduler did not leave within {LEAVING_SECONDS} s of SIGTERM")
                self.scheduler.kill()
                self.scheduler.wait()
        else:
            if kind == "everything" and self.rng.random() < 0.5:
                killed = self.kill_workers(None)
            self.scheduler.kill()
            self.scheduler.wait()
            if kind == "everything" and not killed:
                killed = self.kill_workers(None)
        self.faults.append({"kind": kind, "workers": killed})
        return kind != "worker"

    # -- submissions

    def submit(self):
        if self.asked_again:
            request = self.asked_again.pop(0)
        else:
            self.requests += 1
            request = f"request-{self.requests}" if self.requests % 3 else ""
        command = ([self.pawl, "trigger", "crash", "--request-id", request, "--detach"] if request
                   else [self.pawl, "run", str(self.job), "--detach"])
        process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pending.append((process, request, time.monotonic()))

    def collect(self, wait=False):
        """Notes which submissions were accepted. One without an answer is asked again when it has
        a request id; then the answer names the same run, whether or not it was made the first time."""
        still = []
        for process, request, begun in self.pending:
            if not wait and process.poll() is None and time.monotonic() < begun + SUBMISSION_SECONDS:
                still.append((process, request, begun))
                continue
            try:
                out, err = process.communicate(timeout=SUBMISSION_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                self.problems.append(f"no answer to a submission within {SUBMISSION_SECONDS} s: {err}")
            # The first line of standard output is the answer, whatever came after it.
            first = out.split("\n", 1)[0].strip() if "\n" in out else ""
            if process.returncode == 0 and not first:
                self.problems.append(f"a submission ended with 0 and named no run: {out!r} {err!r}")
            if first:
                known = [r for r, q in self.accepted.items() if request and q == request]
                if known and known != [first]:
                    self.problems.append(f"request {request} made two runs: {known[0]}, {first}")
                self.accepted[first] = request
            elif process.returncode not in self.UNANSWERED:
                self.problems.append(f"a submission failed with {process.returncode}: {err.strip()}")
            elif request:
                self.asked_again.append(request)
        self.pending = still

    # -- judging

    def judge(self, at_rest):
        """Verifies the store; the scheduler must be dead."""
        snapshot, problems, report = verify.verify(
            home=self.home, ledger=self.ledger, job=self.job, accepted=self.accepted,
            faults=self.faults, before=self.snapshots, at_rest=at_rest, strays=at_rest,
            jobs={"crash"})
        self.snapshots.append(snapshot)
        self.problems += [f"after round {len(self.faults)}: {p}" for p in problems]
        return report

    def open_runs(self):
        answer = subprocess.run([self.pawl, "runs", "--job", "crash", "--state",
                                 "queued,running,paused", "--limit", "0", "-o", "json"], env=self.environment, capture_output=True,
                                text=True, timeout=SUBMISSION_SECONDS)
        if answer.returncode != 0:
            self.problems.append(f"pawl runs failed with {answer.returncode}: {answer.stderr}")
            return 0
        return len(json.loads(answer.stdout))

    def round(self):
        begun = time.monotonic()
        if len(self.pending) + (self.snapshots[-1]["open_runs"] if self.snapshots else 0) < 3:
            self.submit()
        time.sleep(self.rng.choice([self.rng.uniform(0, 0.3), self.rng.uniform(0.2, 1.5)]))
        self.collect()
        if self.scheduler_died_by_itself():
            self.start()
            return
        if self.fault():
            time.sleep(self.rng.uniform(0, 0.25))
            self.judge(at_rest=False)
            self.start()
        print(f"round {len(self.faults)}: {self.faults[-1]['kind']}, "
              f"{len(self.accepted)} runs accepted, {time.monotonic() - begun:.1f}s", flush=True)

    def quiet_phase(self):
        """No more faults: all that is open comes to its end."""
        deadline = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < deadline and not self.scheduler_died_by_itself():
            self.collect()
            if self.asked_again:
                self.submit()
            if not self.pending and not self.asked_again and self.open_runs() == 0:
                break
            time.sleep(0.5)
        else:
            self.problems.append(f"after {QUIET_SECONDS} s of quiet {self.open_runs()} runs are open")
        self.collect(wait=True)

    def stop(self):
        if self.scheduler is not None and self.scheduler.poll() is None:
            self.scheduler.send_signal(signal.SIGTERM)
            try:
                self.scheduler.wait(LEAVING_SECONDS)
            except subprocess.TimeoutExpired:
                self.problems.append(f"the scheduler did not leave within {LEAVING_SECONDS} s of SIGTERM")
                self.scheduler.kill()
                self.scheduler.wait()

    def clear_away(self):
        for process, _, _ in self.pending:
            process.kill()
            process.wait()
        if self.scheduler is not None and self.scheduler.poll() is None:
            self.scheduler.kill()
            self.scheduler.wait()
        self.kill_workers(None)
        for pid in verify.processes_of(self.home):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.log.close()

    def judge_clock(self):
        """No time of the schedule is without a run, none has two; how many there are."""
        fires, problems = verify.verify_schedule(self.home, CLOCK["name"], CLOCK_PERIOD_MS)
        self.problems += problems
        return fires

    def kills(self):
        return sum(fault["kind"] != "polite" for fault in self.faults)

    def run(self, kills):
        (self.root / "jobs" / "clock.json").write_text(json.dumps(CLOCK))
        try:
            self.start()
            self.wait_until_served()
            while self.kills() < kills and len(self.problems) < 20:
                self.round()
            self.quiet_phase()
            self.stop()
            report = self.judge(at_rest=True)
            report["fires"] = self.judge_clock()
        finally:
            self.clear_away()
        return report

    def wait_until_served(self):
        for _ in range(300):
            answer = subprocess.run([self.pawl, "jobs", "-o", "name"], env=self.environment,
                                    capture_output=True, text=True)
            if answer.returncode == 0 and "crash" in answer.stdout.split():
                return
            time.sleep(0.1)
        raise SystemExit(f"the scheduler did not serve the job within 30 s: {answer.stderr}\n"
                         f"{(self.root / 'serve.log').read_text()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True, type=lambda p: str(Path(p).resolve()))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    root = Path(tempfile.mkdtemp(prefix="pawl-crash-"))
    print(f"seed {seed}, {args.kills} kills, {root}", flush=True)

    test = CrashTest(args.pawl, seed, root)
    report = test.run(args.kills)
    print(verify.text_of(report))
    print(f"times of the schedule: {report['fires']}")
    kinds = [fault["kind"] for fault in test.faults]
    print("faults: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
    # A green run proves something only when the faults have hit work in flight.
    if args.kills >= 40:
        for what in ("adopted", "ended_meanwhile", "never_started", "interrupted", "lost"):
            if report[what] == 0:
                test.problems.append(f"no attempt was {what.replace('_', ' ')}: the faults missed")
    for problem in test.problems[:50]:
        print("WRONG", problem)
    if test.problems or args.keep:
        print(f"seed {seed}; all is kept in {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)
    print("crash test: " + (f"{len(test.problems)} problems" if test.problems else "nothing wrong"))
    return 1 if test.problems else 0


if __name__ == "__main__":
    sys.exit(main())
