#!/usr/bin/env python3
"""What the whole program costs on this machine, beside its peers in the same run.

    PAWL=build/release/cli/pawl bench/e2e.py [--rounds N] [--folder DIR] [NAME...]

NAME: noop, log, chain, idle, items, history, folders, origins (default: all). Each figure is the median of five
rounds. Rows are `what | measured | must (aim) | peers`. Nothing here judges: people do.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASKS = 10_000
# Slots of the figures: what starts and ends together is committed together, so more slots cost less
# for each task. The default of a machine is shown beside them.
AT_A_TIME = 64
LINKS = 1_000
MILLION = 1_000_000
TICKS = os.sysconf("SC_CLK_TCK")


def row(what, measured, must="", peers=""):
    print(f"{what} | {measured} | {must} | {peers}", flush=True)


def per_second(count, seconds):
    return f"{count / seconds:,.0f}/s"


class Bench:
    def __init__(self, pawl, folder, rounds):
        self.pawl = pawl
        self.root = Path(tempfile.mkdtemp(prefix="pawl-bench-", dir=folder))
        self.rounds = rounds
        self.scheduler = None
        self.count = 0
        self.home = None
        self.env = {}
        self.fresh_home()

    # -- homes and processes

    def fresh_home(self):
        self.count += 1
        self.home = self.root / f"home{self.count}"
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.root),
                    "LANG": "C.UTF-8", "TZ": "UTC", "PAWL_HOME": str(self.home)}

    def call(self, *words, code=0):
        done = subprocess.run([self.pawl, *map(str, words)], env=self.env, cwd=self.root,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if code is not None and done.returncode != code:
            sys.exit(f"e2e: pawl {' '.join(map(str, words))}: exit code {done.returncode}\n"
                     f"{done.stdout}{done.stderr}")
        return done.stdout

    def serve(self, *words):
        """Starts the scheduler; the seconds until it answers."""
        with open(self.root / "serve.log", "ab") as log:
            begun = time.perf_counter()
            self.scheduler = subprocess.Popen([self.pawl, "serve", *words], env=self.env, cwd=self.root,
                                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self.answers():
            if self.scheduler.poll() is not None:
                sys.exit("e2e: serve ended:\n" + (self.root / "serve.log").read_text())
            time.sleep(0.0005)
        return time.perf_counter() - begun

    def answers(self):
        connection = http.client.HTTPConnection("pawl")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.home / "sock"))
            connection.request("GET", "/v1/status")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def workers(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"worker" in words and str(self.home).encode() in words:
                    found.append(int(pid))
        return found

    def stop(self, hard=False):
        workers = self.workers()
        if self.scheduler is not None:
            self.scheduler.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self.scheduler.wait()
            self.scheduler = None
        # Without work and without a scheduler they leave by themselves; that is no part of a figure.
        end = time.monotonic() + (0 if hard else 5)
        while time.monotonic() < end and any(Path(f"/proc/{pid}").exists() for pid in workers):
            time.sleep(0.005)
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in workers:
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.001)

    def end_tasks(self):
        """Ends what killed workers left running: processes that carry this home's name."""
        mark = f"PAWL_HOME={self.home}".encode()
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if mark in variables and pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)

    def close(self):
        self.stop(hard=True)
        self.end_tasks()
        shutil.rmtree(self.root, ignore_errors=True)

    def own_cpu(self):
        """Seconds of the scheduler and its workers themselves, without what they started."""
        return self.cpu_of([self.scheduler.pid, *self.workers()])

    @staticmethod
    def cpu_of(pids):
        """Seconds that these processes have used."""
        total = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    # -- jobs

    def job(self, name, tasks):
        path = self.root / f"{name}.json"
        path.write_text(json.dumps({"name": name, "tasks": tasks}))
        return path

    def lines(self, count):
        path = self.root / f"lines{count}"
        if not path.exists():
            path.write_text("".join(f"{i}\n" for i in range(count)))
        return {"file": str(path), "format": "lines"}

    def time_of(self, *command, **options):
        begun = time.perf_counter()
        subprocess.run(command, cwd=self.root, stdout=subprocess.DEVNULL, check=True,
                       stdin=options.get("stdin", subprocess.DEVNULL), stderr=subprocess.DEVNULL)
        return time.perf_counter() - begun

    def median(self, measure, rounds=None):
        return statistics.median(measure() for _ in range(rounds or self.rounds))

    def run_time(self, job, *words):
        begun = time.perf_counter()
        self.call("run", job, "-q", *words)
        return time.perf_counter() - begun

    # -- peers

    def peer(self, name, measure, count, rounds=None):
        if shutil.which(name.split()[0]) is None:
            return f"{name}: not installed"
        return f"{name} {per_second(count, self.median(measure, rounds))}"

    def xargs(self, *command):
        with open(self.root / f"lines{TASKS}") as lines:
            return self.time_of("xargs", "-P2", "-n1", *command, stdin=lines)

    def parallel(self, *command):
        with open(self.root / "lines1000") as lines:
            return self.time_of("parallel", "-j2", "--joblog", str(self.root / "joblog"), *command,
                                stdin=lines)

    def make(self, name, rules):
        path = self.root / name
        if not path.exists():
            path.write_text(rules())
        return self.time_of("make", "-j2", "-s", "-f", path)

    def ninja(self, name, rules):
        folder = self.root / name
        if not folder.exists():
            folder.mkdir()
            (folder / "build.ninja").write_text(rules())
        for state in (".ninja_log", ".ninja_deps"):
            (folder / state).unlink(missing_ok=True)
        return self.time_of("ninja", "-j2", "-C", folder, "--quiet")


def fan_of_make():
    names = " ".join(f"t{i}" for i in range(TASKS))
    return f"all: {names}\n.PHONY: all {names}\n{names}:\n\t@/bin/true\n"


def chain_of_make():
    names = [f"t{i}" for i in range(LINKS)]
    rules = "".join(f"{a}: {b}\n" for a, b in zip(names[1:], names))
    return (f".PHONY: all {' '.join(names)}\nall: {names[-1]}\n{rules}"
            f"{' '.join(names)}:\n\t@/bin/true\n")


def fan_of_ninja():
    return ("rule noop\n  command = /bin/true\n" +
            "".join(f"build t{i}: noop\n" for i in range(TASKS)))


def chain_of_ninja():
    return ("rule noop\n  command = /bin/true\nbuild t0: noop\n" +
            "".join(f"build t{i}: noop t{i - 1}\n" for i in range(1, LINKS)))


def commit_latency(bench):
    """One row, one commit, FULL, in milliseconds."""
    path = bench.root / "commits.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (n INTEGER)")
        times = []
        for number in range(300):
            begun = time.perf_counter()
            db.execute("INSERT INTO t VALUES (?)", (number,))
            times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e3


def noop(bench):
    bench.lines(TASKS)
    bench.lines(1000)
    job = bench.job("noop", [{"id": "n", "command": ["/bin/true"],
                              "map": {"items": bench.lines(TASKS)}}])
    bench.serve()
    bench.run_time(job)  # its workers are up, its files are in memory
    times, cpus = [], []
    for _ in range(bench.rounds):
        before = bench.own_cpu()
        times.append(bench.run_time(job, "--concurrency", AT_A_TIME))
        cpus.append(bench.own_cpu() - before)
    few = bench.median(lambda: bench.run_time(job))
    bench.stop()
    peers = [bench.peer("xargs -P2", lambda: bench.xargs("/bin/true"), TASKS),
             bench.peer("make -j2", lambda: bench.make("fan.mk", fan_of_make), TASKS),
             bench.peer("ninja -j2", lambda: bench.ninja("fan", fan_of_ninja), TASKS),
             bench.peer("parallel -j2 --joblog", lambda: bench.parallel("true"), 1000, 1)]
    row(f"10,000 x /bin/true, durable, whole path, {AT_A_TIME} slots", per_second(TASKS, statistics.median(times)),
        ">= 3,200/s (3,600)", ", ".join(peers))
    row("own CPU of pawl for each of them", f"{statistics.median(cpus) / TASKS * 1e6:.0f} us",
        "<= 70 us")
    row("the same with the default slots", per_second(TASKS, few))


def log(bench):
    bench.lines(TASKS)
    bench.lines(1000)
    job = bench.job("log", [{"id": "n", "command": ["sh", "-c", "echo hello"],
                             "map": {"items": bench.lines(TASKS)}}])
    bench.serve()
    bench.run_time(job)
    took = bench.median(lambda: bench.run_time(job, "--concurrency", AT_A_TIME))
    bench.stop()
    peers = [bench.peer("xargs -P2", lambda: bench.xargs("sh", "-c", "echo hello"), TASKS),
             bench.peer("parallel -j2 --joblog",
                        lambda: bench.parallel("sh", "-c", "'echo hello'"), 1000, 1)]
    row(f"10,000 x sh -c 'echo hello', each with its log, {AT_A_TIME} slots", per_second(TASKS, took),
        ">= 2,600/s (2,900)", ", ".join(peers))


def chain(bench):
    job = bench.job("chain", [{"id": f"t{i}", "command": ["/bin/true"],
                               "depends_on": [f"t{i - 1}"] if i else []} for i in range(LINKS)])
    bench.serve()
    bench.run_time(job)
    took = bench.median(lambda: bench.run_time(job))
    bench.stop()
    peers = []
    for name, measure in (("make", lambda: bench.make("chain.mk", chain_of_make)),
                          ("ninja", lambda: bench.ninja("chain", chain_of_ninja))):
        if shutil.which(name):
            peers.append(f"{name} {bench.median(measure) / LINKS * 1e3:.2f} ms")
    row("chain of 1,000 x /bin/true, each link", f"{took / LINKS * 1e3:.2f} ms", "<= 1.5 ms",
        ", ".join(peers))


def switches(pid):
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def idle(bench):
    bench.serve()
    bench.call("run", bench.job("one", [{"id": "a", "command": ["/bin/true"]}]), "-q")
    time.sleep(2)  # what follows work (a checkpoint, say) is no idling
    before = switches(bench.scheduler.pid)
    time.sleep(10)
    after = switches(bench.scheduler.pid)
    status = Path(f"/proc/{bench.scheduler.pid}/status").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    bench.stop()
    row("idle scheduler, resident", f"{memory / 1024:.1f} MiB", "<= 20 MB")
    row("idle scheduler, context switches in 10 s", f"{after - before}")


def until_ingested(bench):
    with contextlib.closing(sqlite3.connect(f"file:{bench.home}/pawl.db?mode=ro", uri=True)) as db:
        while True:
            done = db.execute("SELECT items, complete FROM mapped").fetchone()
            if done and done[1]:
                return done[0]
            time.sleep(0.002)


def items(bench):
    """A run of a million items: accepted, then found again by a scheduler that starts."""
    sign = bench.root / "sign"
    command = ["/bin/sh", "-c", f"echo > {sign}; exec sleep 1000"]
    job = bench.job("million", [{"id": "m", "command": command, "retry": {"max_attempts": 9},
                                 "map": {"items": bench.lines(MILLION), "max_concurrent": 1}}])
    accepted, restarted = [], []
    for _ in range(bench.rounds):
        bench.fresh_home()
        bench.serve()
        begun = time.perf_counter()
        bench.call("run", job, "--detach")
        if until_ingested(bench) != MILLION:
            sys.exit("e2e: not a million items")
        accepted.append(time.perf_counter() - begun)
        while not sign.exists():
            time.sleep(0.001)
        bench.stop(hard=True)
        sign.unlink()
        begun = time.perf_counter()
        bench.serve()
        while not sign.exists():
            time.sleep(0.001)
        restarted.append(time.perf_counter() - begun)
        bench.stop(hard=True)
        bench.end_tasks()
        sign.unlink(missing_ok=True)
        shutil.rmtree(bench.home)
    row("run of 1,000,000 items accepted, durable", f"{statistics.median(accepted):.2f} s",
        "<= 2.5 s (1.0)")
    row("restart with 1,000,000 unfinished items to the first dispatch",
        f"{statistics.median(restarted):.2f} s", "<= 1 s")


# Makes of one finished run with two items, one of which failed, a run with a million finished items
# of which 1,000 failed. Columns that are not named are those of the first two.
GROW = """
CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM c
  WHERE i < {last}) SELECT i, i % 1000 = 0 AS bad FROM c;
INSERT INTO task ({task}) SELECT {task_of} FROM n JOIN task AS t ON t.item = n.bad;
INSERT INTO attempt ({attempt}) SELECT {attempt_of} FROM n JOIN attempt AS t ON t.item = n.bad;
UPDATE counter SET value = (SELECT max(id) FROM attempt) WHERE name = 'attempt';
UPDATE mapped SET items = {last} + 1, next_fresh = {last} + 1, low_water = {last} + 1,
  succeeded = {last} - {last} / 1000, failed = {last} / 1000 + 1;
"""


def history(bench):
    bench.fresh_home()
    bench.call("run", bench.job("past", [{
        "id": "m", "map": {"items": [0, 1]}, "command": ["sh", "-c", "exit {{ item }}"]}]),
        "-q", code=1)
    bench.stop()
    empty = bench.root / "empty-home"
    shutil.copytree(bench.home, empty, ignore=shutil.ignore_patterns("sock", "workers"))
    with contextlib.closing(sqlite3.connect(bench.home / "pawl.db")) as db:
        def columns(table):
            return [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
        first = db.execute("SELECT max(id) FROM attempt").fetchone()[0]
        task, attempt = columns("task"), columns("attempt")
        new_task = {"item": "n.i", "first_attempt": f"{first} + n.i"}
        new_attempt = {"item": "n.i", "id": f"{first} + n.i"}
        db.executescript(GROW.format(
            last=MILLION - 1, task=", ".join(task), attempt=", ".join(attempt),
            task_of=", ".join(new_task.get(c, f"t.{c}") for c in task),
            attempt_of=", ".join(new_attempt.get(c, f"t.{c}") for c in attempt)))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = db.execute("SELECT count(*) FROM task WHERE item >= 0").fetchone()[0]
    if rows != MILLION:
        sys.exit(f"e2e: {rows} finished items instead of a million")

    def took(*words):
        begun = time.perf_counter()
        bench.call(*words)
        return time.perf_counter() - begun

    def failed():
        begun = time.perf_counter()
        out = bench.call("failed", "-o", "json")
        seconds = time.perf_counter() - begun
        if len(json.loads(out)) != 50:
            sys.exit("e2e: pawl failed does not list its first 50")
        return seconds

    def start():
        seconds = bench.serve()
        bench.stop()
        return seconds

    took_failed = bench.median(failed)
    took_start = bench.median(start)
    with contextlib.closing(sqlite3.connect(bench.home / "pawl.db")) as db:
        run = db.execute("SELECT name FROM run").fetchone()[0]
        db.execute("UPDATE task SET state = 'failed', reason = 'exit', detail = 1 WHERE item >= 0")
        db.commit()
    took_unresolved = bench.median(lambda: took("failed"))  # with its counts
    took_status = bench.median(lambda: took("status"))
    took_pages = bench.median(
        lambda: took("attempts", f"{run}/m", "--limit", "20000", "-o", "csv"))
    bench.home = empty
    bench.env["PAWL_HOME"] = str(empty)
    took_empty = bench.median(start)
    row("pawl failed over 1,000,000 finished tasks", f"{took_failed * 1e3:.1f} ms", "<= 50 ms")
    row("pawl failed with all of them failed, and their counts", f"{took_unresolved * 1e3:.0f} ms")
    row("pawl status with all of them failed", f"{took_status * 1e3:.0f} ms")
    row("20,000 of their attempts by their task's name", f"{took_pages * 1e3:.0f} ms")
    row("start over 1,000,000 finished tasks, to the first answer", f"{took_start * 1e3:.1f} ms",
        "<= 50 ms", f"pawl over an empty store {took_empty * 1e3:.1f} ms")


# The techniques that pawl replaces, as people wrote them: what they do and no more.
QUEUE = """
import asyncio
async def main():
    queue, given_up, done = asyncio.Queue(), [], []
    for n in range(100): queue.put_nowait((n, 1))
    async def work():
        while True:
            n, attempt = await queue.get()
            await asyncio.sleep(1)
            if n == 13 or (n * 7 + attempt * 3) % 10 == 0:
                if attempt < 4: queue.put_nowait((n, attempt + 1))
                else: given_up.append(n)
            else: done.append(n)
            queue.task_done()
    workers = [asyncio.create_task(work()) for _ in range(20)]
    await queue.join()
    for worker in workers: worker.cancel()
    assert (len(done), given_up) == (99, [13])
asyncio.run(main())
"""
QUERIES = """
import os, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
def query(n):
    for attempt in range(1, 5):
        done = subprocess.run([sys.argv[1], str(n), "jp"], capture_output=True,
                              env=os.environ | {"PAWL_ATTEMPT": str(attempt)})
        if done.returncode != 75: return done.returncode == 0
        time.sleep(0.2)
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    assert sum(pool.map(query, range(1, 10001))) == 9999
"""
CALLS = """
import time
from multiprocessing import Pool
def call(n):
    time.sleep(0.1)
    return n * n
if __name__ == "__main__":
    with Pool(200) as pool:
        assert sum(1 for _ in pool.imap_unordered(call, range(10000))) == 10000
"""


def origins(bench):
    """Three of the programs that pawl replaces, beside their own techniques. One round each."""
    examples = Path(__file__).resolve().parent.parent / "examples"
    slots = max(4, 2 * os.cpu_count())
    bench.serve()
    took = bench.run_time(examples / "queue-with-retries.json", "--concurrency", "20")
    peer = bench.time_of(sys.executable, "-c", QUEUE)
    row("100 tasks of 1 s, 20 workers, retries, one hopeless", f"{took:.1f} s", "",
        f"asyncio queue in memory {peer:.1f} s")
    took = bench.run_time(examples / "ten-thousand-queries.json", "-p", "queries=10000")
    peer = bench.time_of(sys.executable, "-c", QUERIES, str(examples / "origins/query"), str(slots))
    row("10,000 queries by a script, one in ten busy", f"{took:.1f} s", "",
        f"thread pool of {slots} {peer:.1f} s")
    job = bench.job("calls", [{"id": "c", "command": ["sleep", "0.1"],
                               "map": {"items": bench.lines(TASKS)}}])
    took = bench.run_time(job, "--concurrency", "200")
    peer = bench.time_of(sys.executable, "-c", CALLS)
    row("10,000 calls of 100 ms, 200 at a time", f"{took:.1f} s", "",
        f"process pool of 200 {peer:.1f} s")
    bench.stop()


def folders(bench):
    """Folders of 10,000 and of 100,000 scheduled jobs: loaded, and one of them changed."""
    for count, must in ((10_000, "<= 2 s"), (100_000, "")):
        bench.fresh_home()
        jobs = bench.root / f"jobs{count}"
        jobs.mkdir(mode=0o700)

        def write(number, command):
            name = f"job{number:06}"
            at = {"cron": f"{number % 60} {number // 60 % 24} 29 2 *", "timezone": "Europe/Berlin"}
            text = json.dumps({"name": name, "timeout": "1h", "schedule": at,
                               "tasks": [{"id": "a", "command": [command]}]})
            part = jobs / f".{name}"  # never seen half written
            part.write_text(text)
            part.rename(jobs / f"{name}.json")

        for number in range(count):
            write(number, "true")

        def ask(question):
            with contextlib.closing(sqlite3.connect(f"file:{bench.home}/pawl.db?mode=ro",
                                                    uri=True)) as db:
                return db.execute(question).fetchone()[0]

        begun = time.perf_counter()
        bench.serve("--jobs", str(jobs))
        while ask("SELECT count(*) FROM job") < count:
            time.sleep(0.005)
        took = time.perf_counter() - begun

        def change():
            before = ask("SELECT max(id) FROM job_version")
            change.number += 1
            begun = time.perf_counter()
            write(change.number, f"true{change.number}")
            while ask("SELECT max(id) FROM job_version") == before:
                time.sleep(0.001)
            return time.perf_counter() - begun
        change.number = 0
        reload = bench.median(change)
        memory = next(int(line.split()[1]) for line in
                      Path(f"/proc/{bench.scheduler.pid}/status").read_text().splitlines()
                      if line.startswith("VmRSS"))
        time.sleep(2)
        before = bench.own_cpu()
        time.sleep(10)
        busy = bench.own_cpu() - before
        bench.stop()
        row(f"folder of {count:,} scheduled jobs, from start to the last one stored", f"{took:.2f} s", must)
        row(f"one changed file of {count:,}, until stored", f"{reload * 1e3:.0f} ms", "<= 50 ms")
        row(f"scheduler with {count:,} jobs of which none fires, CPU", f"{busy * 100:.0f} ms/s")
        row(f"scheduler with {count:,} jobs, resident", f"{memory / 1024:.0f} MiB")
        shutil.rmtree(jobs)


def fires(bench):
    """How late runs start that are due together, and those of a schedule on an idle machine."""
    jobs = bench.root / "fires"
    jobs.mkdir(mode=0o700)
    due = int(time.time()) + 8  # the folder is loaded by then

    def write(name, schedule):
        (jobs / f"{name}.json").write_text(json.dumps(
            {"name": name, "timeout": "1h", "schedule": schedule,
             "tasks": [{"id": "a", "operator": "noop"}]}))

    def utc(second):
        return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).isoformat()

    for number in range(1_000):
        write(f"due{number:04}", {"at": utc(due)})
    seconds = 4 * bench.rounds
    write("tick", {"every": "1s", "start": utc(due + 3)})
    bench.serve("--jobs", str(jobs))
    time.sleep(max(0, due - time.time()) + 3 + seconds)
    bench.stop()
    with contextlib.closing(sqlite3.connect(f"file:{bench.home}/pawl.db?mode=ro", uri=True)) as db:
        def late(jobs):
            return sorted(ms for (ms,) in db.execute(
                "SELECT a.started_at - r.scheduled_for FROM run AS r "
                "JOIN attempt AS a ON a.run = r.id WHERE r.job GLOB ?", (jobs,)))
        together, ticks = late("due*"), late("tick")
    shutil.rmtree(jobs)
    row(f"{len(together):,} runs due at the same second, the last one starts after",
        f"{together[-1]} ms", "<= 1,000 ms")
    row(f"{len(ticks)} fires, one each second, late by",
        f"p50 {statistics.median(ticks):.0f} ms, worst {ticks[-1]} ms", "<= 5 ms")


BENCHES = {"noop": noop, "log": log, "chain": chain, "idle": idle, "items": items,
           "history": history, "folders": folders, "fires": fires,
           "origins": origins}


def main(benches=None, rounds=5):
    """Runs those that the command line names, each in a fresh home; `benches`: name to function."""
    benches = benches or BENCHES
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--folder", default=None, help="where homes are made")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if unknown := set(args.names) - set(benches):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(benches)}")
    pawl = os.environ.get("PAWL")
    if not pawl or not os.access(pawl, os.X_OK):
        sys.exit("bench: PAWL is not the path of a program")
    bench = Bench(str(Path(pawl).resolve()), args.folder, args.rounds)
    try:
        row("one commit alone (FULL)", f"{commit_latency(bench):.2f} ms", "of the disk")
        for name in args.names or benches:
            bench.fresh_home()
            benches[name](bench)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
