"""One task of every kind of operator, each of which waits until the test lets it go: a program, a
call of a server, a mail, a statement that waits for a lock, a Python function, a warm program,
plugins on a thread and on the loop, a run of another job, sensors that defer themselves. And one look
from outside for each: whether what it does is still going on. (`noop` ends at once, and `sleep` has
nothing outside: tests that want them have jobs of their own.)

Where postgres_cluster.py has brought a server, PostgreSQL is one of them."""

import collections
import contextlib
import json
import math
import os
import signal
import socket
import socketserver
import sqlite3
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gate_support import GateTest
from patience import patient
from warm_program import warm_program

CALLS = '''
import os
import time


def wait(gates, pid_file):
    with open(pid_file, "w") as out:
        out.write(str(os.getpid()))
    while not os.path.exists(gates + "/python"):
        time.sleep(0.01)
    return "python"
'''

# A warm program that waits without reading: it hears of a cancellation only by being killed.
WARM = warm_program('''\
  echo $$ > GATES/warm.pid
  until [ -e GATES/warm ]; do sleep 0.02; done
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded","output":"warm"}\\n' "$attempt"
''')


class OwnThread:
    """A server that serves from `begin` to `close`."""

    daemon_threads = True

    def begin(self):
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Server(OwnThread, ThreadingHTTPServer):
    """GET /wait and /held are answered once their gates are open; /ready says whether its gate is;
    /busy, and what is below it, asks for time until its gate is."""

    HELD = {"/wait": "http", "/held": "held"}
    RETRY_AFTER = math.ceil(patient(2))

    def __init__(self, gate):
        super().__init__(("127.0.0.1", 0), Handler)
        self.gate, self.waiting = gate, 0
        self.calls = collections.defaultdict(list)  # by path: when each came
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.begin()

    @property
    def seen(self):
        """How often the answer of /wait was asked for."""
        return len(self.calls["/wait"])


def has_left(connection):
    """True once the other side has gone; looks for a moment."""
    connection.settimeout(0.02)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(None)


class MailServer(OwnThread, socketserver.ThreadingTCPServer):
    """Says that it has taken a mail once `gate` is open."""

    def __init__(self, gate):
        super().__init__(("127.0.0.1", 0), MailSession)
        self.gate, self.waiting, self.taken = gate, 0, 0
        self.port = self.server_address[1]
        self.begin()


class MailSession(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            self.talk()

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def talk(self):
        self.say("220 here")
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"DATA":
                self.say("354 go on")
                while self.rfile.readline() != b".\r\n":
                    pass
                if not self.may_take():
                    return
            self.say("221 bye" if verb == b"QUIT" else "250 fine")

    def may_take(self):
        self.server.waiting += 1
        try:
            while not self.server.gate("mail"):
                if has_left(self.connection):
                    return False
        finally:
            self.server.waiting -= 1
        self.server.taken += 1
        return True


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.calls[self.path].append(time.monotonic())
        if self.path == "/ready":
            return self.answer(200 if self.server.gate("ready") else 503, b'"ready"')
        if self.path.startswith("/busy"):
            if not self.server.gate("busy"):
                return self.answer(429, b"", Retry_After=self.server.RETRY_AFTER)
            return self.answer(200, b'"busy"')
        gate = self.server.HELD[self.path]
        self.server.waiting += 1
        try:
            while not self.server.gate(gate):
                if has_left(self.connection):
                    return None
        finally:
            self.server.waiting -= 1
        return self.answer(200, json.dumps(gate).encode())


class KindsTest(GateTest):
    """`kinds`: the tasks by name; what each leaves as output is its name."""

    def setUp(self):
        super().setUp()
        self.write("calls.py", CALLS)
        self.put_program("warm", WARM.replace("GATES", str(self.gates)))
        self.put_library("PAWL_FAULTY_PLUGIN")
        self.put_library("PAWL_HONEST_PLUGIN")
        self.native = self.root / "native"
        self.native.mkdir()
        self.server = Server(self.is_open)
        self.addCleanup(self.server.close)
        self.mail = MailServer(self.is_open)
        self.addCleanup(self.mail.close)
        self.lock = sqlite3.connect(self.root / "data.db", isolation_level=None)
        self.addCleanup(self.lock.close)
        self.lock.execute("CREATE TABLE t (a)")
        self.lock.execute("BEGIN EXCLUSIVE")
        self.pid_file = self.gates / "python.pid"
        self.write("jobs/below.json", {"name": "below", "tasks": [
            {"id": "x", "command": self.gated_program("job"), "output": "text",
             "retry": {"max_attempts": 3, "delay": "0s"}}]})
        self.kinds = {
            "process": {"command": self.gated_program("process"), "output": "text"},
            "job": {"operator": "job", "with": {"job": "below"}},
            "http": {"operator": "http", "with": {"url": f"{self.server.url}/wait"}},
            "mail": {"operator": "mail", "output": "none",
                     "with": {"host": "127.0.0.1", "port": self.mail.port, "tls": "none",
                              "from": "a@example.org", "to": "b@example.org", "subject": "s",
                              "text": "t"}},
            "native": {"operator": "patient", "working_dir": str(self.native)},
            "native_on_loop": {"operator": "waits_on_loop", "working_dir": str(self.native)},
            "sqlite": {"operator": "sqlite",
                       "with": {"database": "data.db", "busy_timeout": "10m",
                                "sql": ["INSERT INTO t VALUES (1);", "SELECT 'sqlite' AS a"]}},
            "python": {"operator": "python",
                       "with": {"call": "calls:wait",
                                "args": [str(self.gates), str(self.pid_file)]}},
            "warm": {"operator": "warm"},
            "file": {"operator": "wait_file", "with": {"path": "gates/file", "every": "100ms"}},
            "ready": {"operator": "wait_http",
                      "with": {"url": f"{self.server.url}/ready", "every": "100ms"}},
        }
        self.outputs = {"process": "process", "http": "http", "sqlite": [{"a": "sqlite"}],
                        "python": "python", "warm": "warm", "native": "went",
                        "native_on_loop": "went", "file": str(self.gates / "file"),
                        "ready": "ready"}
        if "PAWL_POSTGRES_PID" in os.environ:
            self.add_postgres()

    def add_postgres(self):
        # Its lock is a session's own: the test holds it in a session of psql.
        self.psql = subprocess.Popen(["psql", "-qAtX"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_psql)
        self.ask_postgres("SELECT pg_advisory_lock(17)")
        dsn = f"host={os.environ['PGHOST']} user={os.environ['PGUSER']} dbname=postgres"
        self.kinds["postgres"] = {
            "operator": "postgres",
            "with": {"dsn": dsn, "sql": "SELECT pg_advisory_lock(17), 'postgres' AS a"}}
        self.outputs["postgres"] = [{"pg_advisory_lock": "", "a": "postgres"}]

    def statements_of_postgres(self):
        """The server's processes that wait for the lock."""
        if "postgres" not in self.kinds:
            return set()
        return set(self.ask_postgres("SELECT pid FROM pg_locks WHERE locktype = 'advisory' "
                                     "AND objid = 17 AND NOT granted"))

    def ask_postgres(self, sql):
        self.psql.stdin.write(sql + ";\nSELECT 'end of it';\n")
        self.psql.stdin.flush()
        lines = []
        while (line := self.psql.stdout.readline().strip()) != "end of it":
            self.assertIsNone(self.psql.poll(), "psql has ended")
            lines.append(line)
        return lines

    def end_psql(self):
        self.psql.stdin.close()
        self.psql.wait()
        self.psql.stdout.close()

    def gated_program(self, name):
        return ["sh", "-c", f"echo start {name} 1 $$ >> {self.ledger}; "
                f"until [ -e {self.gates}/{name} ]; do sleep 0.02; done; echo {name}"]

    def serve(self, *words, **more):
        return super().serve("--jobs", self.root / "jobs", *words, **more)

    # -- the gates

    def is_open(self, name):
        return (self.gates / name).exists()

    def let_all_go(self):
        self.open_gates(*self.kinds)
        (self.native / "go").touch()
        self.lock.execute("ROLLBACK")
        if "postgres" in self.kinds:
            self.ask_postgres("SELECT pg_advisory_unlock(17)")

    # -- the job

    def runs_below(self):
        """Those that the task `job` has made."""
        return self.pawl("runs", "--job", "below", "-o", "json").json()

    def assert_outputs(self, run):
        below = self.pawl("output", f"{run}/job").json()
        self.assertEqual((below["state"], below["outputs"]), ("succeeded", {"x": "job"}))
        for name, output in self.outputs.items():
            got = self.pawl("output", f"{run}/{name}").out
            if name == "process":
                self.assertEqual(got.strip(), output)
            else:
                self.assertEqual(json.loads(got), output, name)

    def run_kinds(self, **more):
        of_programs = {"output": "json", **more}
        of_calls = {key: value for key, value in more.items() if key != "kill_grace"}
        tasks = [{"id": name, **(of_calls if name == "job" else of_programs), **task}
                 for name, task in self.kinds.items()]
        self.until("the job that one of them calls is known",
                   lambda: "below" in self.pawl("jobs", "-o", "name").lines)
        return self.detach(self.job("kinds", tasks), "--concurrency", len(tasks))

    def until_all_wait(self, run, attempt=1):
        """Each does what it is to do, as far as can be seen from outside."""
        self.until("programs and calls have begun", lambda: (
            {len(self.noted("start", name)) for name in ("process", "job")} == {attempt} and
            self.pid_file.exists() and
            self.is_open("warm.pid") and self.server.seen == attempt and
            self.server.waiting == 1 and self.mail.waiting == 1))
        # One that was lost in a look begins again a while after what was not.
        self.until("the sensors have looked, and sleep", lambda: attempt > 1 or all(
            state == "deferred" for name, state in self.states(run).items() if name in ASLEEP))
        self.until("the rest runs", lambda: all(
            (task["state"], task["attempts"]) == ("running", attempt)
            for name, task in self.tasks_of(run).items() if name not in ASLEEP))
        if "postgres" in self.kinds:
            self.until("the statement waits on the server", self.statements)

    def going_on(self):
        """The kinds of which something outside still goes on."""
        found = set()
        pids = {"process": [pid for _, _, pid in self.noted("start", "process")],
                "job": [pid for _, _, pid in self.noted("start", "job")],
                "python": [self.pid_in(self.pid_file)],
                "warm": [self.pid_in(self.gates / "warm.pid")]}
        for name, of in pids.items():
            # An interpreter outlives its call when that ends as it is asked to.
            if name != "python" and any(map(self.is_running, of)):
                found.add(name)
        if self.server.waiting:
            found.add("http")
        if self.mail.waiting:
            found.add("mail")
        if "postgres" in self.kinds and self.statements():
            found.add("postgres")
        return found

    def statements(self):
        return self.ask_postgres("SELECT pid FROM pg_stat_activity WHERE state = 'active' AND "
                                 "application_name = 'pawl kinds/postgres'")

    @staticmethod
    def pid_in(path):
        return int(path.read_text() or 0) if path.exists() else 0

    @staticmethod
    def is_running(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def stop(self, child, how):
        child.send_signal(how)
        child.wait(30)


KILL, TERM = signal.SIGKILL, signal.SIGTERM
SENSORS = ("file", "ready")
ASLEEP = (*SENSORS, "job", "sleep")  # no worker has them while they wait
