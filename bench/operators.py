#!/usr/bin/env python3
"""What tasks cost that run operators: no process of their own, every start and end durable.

    PAWL=build/release/cli/pawl bench/operators.py [--rounds N] [--folder DIR] [NAME...]

NAME: items, queued, latency, links, calls, peers (default: all). `peers` are the programs that people use
for this today, installed into a folder of their own where their registries answer (bench/peers.py).
Rows are as in bench/e2e.py, of which this uses the homes.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import e2e
import peers

# Attempts at a time. More of them fill each commit better; all of them are in memory.
SLOTS = 2_000
MANY_CALLS = 50_000
LINKS = 40


class Control:
    """A client of the home's socket that keeps its connection, as a program would."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.bytes = b""

    def ask(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: pawl\r\n"
                            f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        while b"\r\n\r\n" not in self.bytes:
            self.read()
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:"))
        while len(self.bytes) < size:
            self.read()
        answer, self.bytes = json.loads(self.bytes[:size]), self.bytes[size:]
        if not head.split()[1].startswith(b"2"):
            sys.exit(f"operators: {method} {path}: {answer}")
        return answer

    def read(self):
        got = self.socket.recv(1 << 16)
        if not got:
            sys.exit("operators: the scheduler closed the connection")
        self.bytes += got


def memory_mib(pids):
    """Of all processes together: a page that several have is counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
            total += sum(int(line.split()[1]) for line in text.splitlines()
                         if line.startswith("Pss:"))
    return total / 1024


class HighestMemory:
    """The most that the scheduler and its workers had together, looked at ten times a second."""

    def __init__(self, bench):
        self.bench = bench
        self.mib = 0.0
        self.is_over = threading.Event()
        self.watcher = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(0.1):
            self.mib = max(self.mib, memory_mib(everybody(self.bench)))

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.watcher.join()


def everybody(bench):
    return [bench.scheduler.pid, *bench.workers()]


def noop(count, **more):
    return [{"id": "n", "operator": "noop", "map": {"items": count, **more}}]


def items(bench):
    """A million of them in one mapped task."""
    one = bench.job("one", [{"id": "n", "operator": "noop"}])
    job = bench.job("items", noop(bench.lines(e2e.MILLION)))
    times, cpus, highest = [], [], 0
    for _ in range(bench.rounds):
        bench.fresh_home()
        bench.serve()
        bench.call("run", one, "-q")  # its host is up
        before = bench.own_cpu()
        with HighestMemory(bench) as memory:
            times.append(bench.run_time(job, "--concurrency", SLOTS))
        cpus.append(bench.own_cpu() - before)
        highest = max(highest, memory.mib)
        bench.stop(hard=True)
    rate = e2e.per_second(e2e.MILLION, statistics.median(times))
    e2e.row(f"1,000,000 x noop, one mapped task, durable, {SLOTS:,} slots", rate,
            ">= 60,000/s (120,000)")
    e2e.row("CPU of all processes of pawl for each of them",
            f"{statistics.median(cpus) / e2e.MILLION * 1e6:.1f} us", "<= 20 us (12)")
    e2e.row("memory of all processes of pawl meanwhile, highest", f"{highest:.0f} MiB")


def queued(bench):
    """A million that wait for the one slot that somebody holds."""
    bench.fresh_home()
    bench.serve()
    job = bench.job("queued", [
        {"id": "n", "operator": "sleep", "with": {"for": "1h"},
         "map": {"items": bench.lines(e2e.MILLION), "max_concurrent": 1}}])
    bench.call("run", job, "--detach")
    if e2e.until_ingested(bench) != e2e.MILLION:
        sys.exit("operators: not a million items")
    time.sleep(1)  # what was read has reached the store
    e2e.row("memory of all processes of pawl, 1,000,000 items queued",
            f"{memory_mib(everybody(bench)):.0f} MiB", "<= 120 MB")
    bench.stop(hard=True)


def shares(times):
    ordered = sorted(times)
    return (f"p50 {statistics.median(ordered) * 1e3:.2f} ms, "
            f"p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.2f} ms")


def submit(control, text, number):
    return control.ask("POST", "/v1/runs", {
        "text": text, "file": "bench.json", "folder": "/", "params": {},
        "request_id": f"bench-{number}"})["run"]


def until_ended(control, run):
    while True:
        # A version that never comes: only its end is news.
        if control.ask("GET", f"/v1/runs/{run}/follow?version={1 << 62}&timeout_ms=60000")["ended"]:
            return


def times_of_runs(bench, job, count):
    """(accepted, finished) of each run, seconds since it was sent, as its client sees it."""
    bench.fresh_home()
    bench.serve()
    control = Control(bench.home / "sock")
    text = json.dumps(job)
    times = []
    for number in range(count + 10):
        begun = time.perf_counter()
        run = submit(control, text, number)
        accepted = time.perf_counter()
        until_ended(control, run)
        if number >= 10:  # its host is up
            times.append((accepted - begun, time.perf_counter() - begun))
        time.sleep(0.002)
    bench.stop(hard=True)
    return times


def latency(bench):
    job = {"name": "one", "tasks": [{"id": "n", "operator": "noop"}]}
    # Many: the first few hundred runs of a fresh home make the store's log grow, which costs more.
    times = times_of_runs(bench, job, 3_000)
    e2e.row("one noop, idle, from accepted to finished, both durable",
            shares([end - accepted for accepted, end in times]), "p50 <= 0.5 ms, p99 <= 2 ms")
    e2e.row("the same from the client's request on", shares([end for _, end in times]))


def links(bench):
    tasks = [{"id": f"t{i}", "operator": "noop", "depends_on": [f"t{i - 1}"] if i else []}
             for i in range(LINKS)]
    times = times_of_runs(bench, {"name": "chain", "tasks": tasks}, 100)
    e2e.row(f"chain of {LINKS} noop", shares([end for _, end in times]), "p50 <= 20 ms")


def bare_calls(program, count):
    """(seconds, us of CPU each) of the same calls without the rest of pawl."""
    row = subprocess.run([program, str(count), str(SLOTS)], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    rate, cpu = row.split("|")[1].split(", ")[:2]
    return count / float(rate.split()[0]), float(cpu.split()[0])


def further_calls(few, many):
    """The rate of what many calls are more than few: without the first wave, which all begin at once,
    and without the last one, which is only waited for. Of 10,000 calls at 2,000 at a time each of the
    two is a fifth."""
    seconds = statistics.median(many) - statistics.median(few)
    return e2e.per_second(MANY_CALLS - e2e.TASKS, seconds)


def calls(bench):
    """Calls of a local server that takes 100 ms for each, beside the operator without the rest of pawl
    and libcurl without the operator, in turns."""
    build = Path(os.environ.get("PAWL_BUILD", ""))
    server = build / "bench/http_bench_server"
    what = f"{e2e.TASKS:,} x http of 100 ms, durable, {SLOTS:,} in flight"
    if not os.access(server, os.X_OK):
        e2e.row(what, "not measured: PAWL_BUILD has no http_bench_server")
        return
    others = [("their operator alone", build / "bench/bench_http"),
              ("libcurl alone", build / "bench/bench_curl")]
    others = [(name, program, [], []) for name, program in others if os.access(program, os.X_OK)]
    times, many_times, own_times, cpus = [], [], [], []
    with subprocess.Popen([server, "100"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        port = int(process.stdout.readline())
        bench.fresh_home()
        bench.serve()
        job, many = (bench.job(name, [
            {"id": "n", "operator": "http", "with": {"url": f"http://127.0.0.1:{port}/"},
             "map": {"items": bench.lines(count)}}])
            for name, count in (("calls", e2e.TASKS), ("many-calls", MANY_CALLS)))
        own = bench.job("own-calls", [
            {"id": "n", "operator": "http", "output": "text",
             "with": {"url": f"http://127.0.0.1:{port}/{{{{ item }}}}?index={{{{ index }}}}"},
             "map": {"items": bench.lines(e2e.TASKS)}}])
        with HighestMemory(bench) as memory:
            bench.run_time(job, "--concurrency", SLOTS)
        for _ in range(bench.rounds):
            parts = [[bench.scheduler.pid], bench.workers(), [process.pid]]
            before = [bench.cpu_of(pids) for pids in parts]
            times.append(bench.run_time(job, "--concurrency", SLOTS))
            cpus.append([bench.cpu_of(pids) - b for pids, b in zip(parts, before)])
            many_times.append(bench.run_time(many, "--concurrency", SLOTS))
            own_times.append(bench.run_time(own, "--concurrency", SLOTS))
            for _, program, few_seen, many_seen in others:
                few_seen.append(bare_calls(program, e2e.TASKS))
                many_seen.append(bare_calls(program, MANY_CALLS))
        bench.stop(hard=True)
        process.stdin.close()
    e2e.row(what, e2e.per_second(e2e.TASKS, statistics.median(times)), ">= 18,000/s (19,000)")
    each = [f"{statistics.median(part) / e2e.TASKS * 1e6:.0f} us" for part in zip(*cpus)]
    e2e.row("CPU for each of them", f"scheduler {each[0]}, host {each[1]}; the server {each[2]}")
    further = f"each further one, up to {MANY_CALLS:,}"
    e2e.row(further, further_calls(times, many_times), ">= 18,000/s (19,000)")
    e2e.row(f"{e2e.TASKS:,} calls, each with an address made of its item, the answers kept",
            e2e.per_second(e2e.TASKS, statistics.median(own_times)))
    for name, _, few_seen, many_seen in others:
        few, many = ([seconds for seconds, _ in seen] for seen in (few_seen, many_seen))
        rate = e2e.per_second(e2e.TASKS, statistics.median(few))
        cpu = statistics.median(used for _, used in few_seen)
        e2e.row(f"the same calls, {name}, in turns with them",
                f"{rate}, {cpu:.0f} us of CPU; each further one {further_calls(few, many)}")
    e2e.row("memory of all processes of pawl, highest", f"{memory.mib:.0f} MiB", "<= 80 MB")


def others(bench):
    for what, measured in peers.measure(bench.root / "peers"):
        e2e.row(what, measured)


BENCHES = {"items": items, "queued": queued, "latency": latency, "links": links, "calls": calls,
           "peers": others}


if __name__ == "__main__":
    e2e.main(BENCHES, rounds=3)
