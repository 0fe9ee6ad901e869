"""Queues that people use for small tasks, each with an empty task and two workers: BullMQ, Celery,
RQ, APScheduler. They are installed into a folder of their own, at fixed versions, where npm and pip
can reach their registries; the first three need `redis-server`, which runs there on a socket and
syncs its log each second, as its users have it. None of them makes each start and end durable.

`measure(folder)` gives (what, figure) for each; what cannot be had says so.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TASKS = 20_000
INSTALL_SECONDS = 300
RUN_SECONDS = 600
# Later versions of kombu ask for a redis that this Celery refuses.
PYTHON = {"celery": ["celery[redis]==5.4.0", "kombu==5.3.7"], "rq": ["rq==2.0.0"],
          "apscheduler": ["APScheduler==3.10.4"]}
BULLMQ = "bullmq@5.12.10"
UNREACHABLE = re.compile(
    "Connection refused|Name or service not known|Temporary failure in name resolution|"
    "Network is unreachable|No route to host|timed out|Cannot connect to proxy|Forbidden|"
    "ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ENETUNREACH|ETIMEDOUT")

# Each program prints how many tasks were done and in how many seconds.
CELERY = """
import os, subprocess, sys, time
from celery import Celery
sock, count = sys.argv[1], int(sys.argv[2])
os.environ["PEER_SOCK"] = sock
open("tasks.py", "w").write('''
import os
from celery import Celery
sock = os.environ["PEER_SOCK"]
app = Celery("tasks", broker=f"redis+socket://{sock}", backend=f"redis+socket://{sock}")
app.conf.worker_prefetch_multiplier = 100
@app.task
def nothing(): pass
''')
sys.path.insert(0, ".")
import tasks
from celery import group
worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "tasks", "worker", "-c", "2",
                           "--without-gossip", "--without-mingle", "-l", "ERROR"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    tasks.nothing.delay().get(timeout=60)
    begun = time.perf_counter()
    results = [tasks.nothing.delay() for _ in range(count)]
    for result in results: result.get(timeout=600)
    print(count, time.perf_counter() - begun)
finally:
    worker.terminate(); worker.wait()
"""
RQ = """
import os, subprocess, sys, time
from redis import Redis
from rq import Queue
sock, count = sys.argv[1], int(sys.argv[2])
open("rq_tasks.py", "w").write("def nothing(): pass\\n")
sys.path.insert(0, ".")
import rq_tasks
redis = Redis(unix_socket_path=sock)
queue = Queue(connection=redis)
workers = [subprocess.Popen([sys.executable, "-m", "rq.cli", "worker", "-q", "--worker-class",
                             "rq.worker.SimpleWorker", "--url", f"unix://{sock}"],
                            env=os.environ | {"PYTHONPATH": "."}, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL) for _ in range(2)]
try:
    begun = time.perf_counter()
    jobs = [queue.enqueue(rq_tasks.nothing) for _ in range(count)]
    finished = queue.finished_job_registry
    while finished.count < count: time.sleep(0.02)
    print(count, time.perf_counter() - begun)
finally:
    for worker in workers: worker.terminate()
    for worker in workers: worker.wait()
"""
APSCHEDULER = """
import logging, sys, threading, time
from apscheduler.schedulers.background import BackgroundScheduler
logging.disable(logging.CRITICAL)
count = int(sys.argv[2])
done, left, lock = threading.Event(), count, threading.Lock()
def nothing():
    global left
    with lock:
        left -= 1
        if left == 0: done.set()
scheduler = BackgroundScheduler(executors={"default": {"type": "threadpool", "max_workers": 2}},
                                job_defaults={"misfire_grace_time": None})
scheduler.start(paused=True)
begun = time.perf_counter()
for _ in range(count): scheduler.add_job(nothing)
scheduler.resume()
if not done.wait(600): sys.exit("not done in ten minutes")
print(count, time.perf_counter() - begun)
scheduler.shutdown(wait=False)
"""
BULLMQ_PROGRAM = """
const {Queue, Worker} = require('bullmq');
const [sock, count] = [process.argv[1], Number(process.argv[2])];
const connection = {path: sock, maxRetriesPerRequest: null};
(async () => {
  const queue = new Queue('noop', {connection});
  const begun = process.hrtime.bigint();
  const jobs = Array.from({length: count}, () => ({name: 'n', data: {}}));
  for (let i = 0; i < count; i += 1000) await queue.addBulk(jobs.slice(i, i + 1000));
  let done = 0;
  await new Promise((resolve) => {
    const worker = new Worker('noop', async () => {}, {connection, concurrency: 100});
    worker.on('completed', () => { if (++done === count) resolve(); });
  });
  console.log(count, Number(process.hrtime.bigint() - begun) / 1e9);
  process.exit(0);
})();
"""


class Missing(Exception):
    """Something that a peer needs is not here and cannot be had."""


def quietly(command, folder, seconds, what):
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise Missing(f"no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{what}: no end within {seconds} s") from None
    if done.returncode != 0:
        raise Missing(f"{what}: {reason_in(done.stderr or done.stdout)}")
    return done.stdout


def reason_in(text):
    """Installers that reach nobody end with guesses: what they saw on the way says more."""
    unreachable = UNREACHABLE.search(text)
    if unreachable:
        return f"its registry cannot be reached ({unreachable[0]})"
    return (text.strip().splitlines() or ["no reason given"])[-1][:120]


def python_with(name, folder):
    """The interpreter of an environment of its own that has the packages."""
    environment = folder / f"{name}-venv"
    quietly([sys.executable, "-m", "venv", environment], folder, INSTALL_SECONDS, "venv")
    python = environment / "bin" / "python"
    quietly([python, "-m", "pip", "install", "--quiet", "--no-input", "--retries", "1",
             "--timeout", "15", "--disable-pip-version-check", *PYTHON[name]],
            folder, INSTALL_SECONDS, f"pip install {' '.join(PYTHON[name])}")
    return [python, "-c"]


def node_with_bullmq(folder):
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"no {program}")
    quietly(["npm", "install", "--no-audit", "--no-fund", "--fetch-retries=1",
             "--fetch-timeout=15000", "--prefix", folder, BULLMQ], folder, INSTALL_SECONDS, f"npm install {BULLMQ}")
    return ["node", "-e"]


@contextlib.contextmanager
def redis(folder):
    """A server of its own on a socket in the folder, empty."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise Missing("no redis-server and no valkey-server")
    # Socket names end at 107 bytes, whatever folder this is.
    path = Path(f"/tmp/pawl-peers-{os.getpid()}.sock")
    with subprocess.Popen([program, "--port", "0", "--unixsocket", path, "--dir", folder,
                           "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as server:
        try:
            end = time.monotonic() + 10
            while not path.exists():
                if server.poll() is not None or time.monotonic() > end:
                    raise Missing("redis-server does not start")
                time.sleep(0.01)
            yield path
        finally:
            server.terminate()
            server.wait()
            path.unlink(missing_ok=True)


def rate_of(interpreter, program, folder, sock):
    """Interpreters take the program as a word; both give it the words after it from number 1 on."""
    out = quietly([*interpreter, program, str(sock), str(TASKS)], folder, RUN_SECONDS, "run")
    count, seconds = out.split()[-2:]
    return f"{int(count) / float(seconds):,.0f}/s"


def without_redis(name, program, folder):
    return rate_of(python_with(name, folder), program, folder, "none")


def with_redis(make_interpreter, program, folder):
    # What is cheap to find out comes before anything is installed.
    with redis(folder) as sock:
        return rate_of(make_interpreter(), program, folder, sock)


def measure(folder):
    ways = {
        "APScheduler, in memory": lambda: without_redis("apscheduler", APSCHEDULER, folder),
        "RQ": lambda: with_redis(lambda: python_with("rq", folder), RQ, folder),
        "Celery": lambda: with_redis(lambda: python_with("celery", folder), CELERY, folder),
        "BullMQ": lambda: with_redis(lambda: node_with_bullmq(folder), BULLMQ_PROGRAM, folder),
    }
    for name, way in ways.items():
        folder.mkdir(exist_ok=True)
        try:
            figure = way()
        except Missing as why:
            figure = f"not measured: {why}"
        shutil.rmtree(folder, ignore_errors=True)
        yield f"peer {name}: {TASKS:,} empty tasks", figure


if __name__ == "__main__":
    for peer, measured in measure(Path(sys.argv[1])):
        print(f"{peer} | {measured} | |")
