#!/usr/bin/env python3
"""A secret that every kind of operator uses, and that nothing of pawl shows or keeps.

    operator_secrets_test.py --pawl PATH [unittest arguments]

Operators print it in pieces, put it into outputs and errors; then it is looked for in all that pawl
has written and says, and, while the tasks run, in the arguments and variables of all processes."""

import base64
import http.server
import json
import os
import threading
from pathlib import Path

import cli_support
from gate_support import GateTest

CANARY = "canary-5e1f0a77-of-the-secret-test"
PIECES = (CANARY[:11], CANARY[11:])

SCRIPT = f"""
printf '%s' "${{TOKEN%{PIECES[1]}}}"; sleep 0.05; printf '%s\\n' "${{TOKEN#{PIECES[0]}}}"
printf '%s' "${{TOKEN%{PIECES[1]}}}" >&2; sleep 0.05; printf '%s\\n' "${{TOKEN#{PIECES[0]}}}" >&2
head -c 65525 /dev/zero | tr '\\0' x; echo "$TOKEN"
printf '{{"t": "%s"}}' "$TOKEN" > "$PAWL_OUTPUT"
touch "$GATES/asked"
until [ -e "$GATES/process" ]; do sleep 0.02; done
"""
# The pieces of the secret would be found in the job's own text.
SCRIPT = SCRIPT.replace(f"%{PIECES[1]}", "%" + "?" * len(PIECES[1])).replace(
    f"#{PIECES[0]}", "#" + "?" * len(PIECES[0]))

CALLS = """
import sys
import time


def show(secret):
    print("begin", secret[:11], end="", flush=True)
    time.sleep(0.05)
    print(secret[11:])
    print("\\rbegin " + secret, file=sys.stderr)
    return {"secret": secret}


def fail(secret):
    raise ValueError("cannot log in with " + secret)
"""

TOLD = """
import os
import threading
import time

import pawl

barrier = threading.Barrier(2)


def tells(secret, gates):
    pawl.attempt().progress(0.5, f"at {secret} of it")
    while not os.path.exists(gates + "/tells"):
        time.sleep(0.02)
    return {"secret": secret}


def long(secret):
    raise ValueError("x" * 4080 + secret + "!")


def mutters(secret):
    barrier.wait()
    os.write(2, f"mutters {secret}\\n".encode())
    barrier.wait()


waits, wakes = os.pipe()


def leaves(secret):
    if os.fork() == 0:
        os.read(waits, 1)
        os.write(2, f"left {secret}\\n".encode())
        os._exit(0)


def hears():
    os.write(wakes, b"x")
    os.wait()
"""

# In no secret test file but in the secrets themselves.
MARK = "5e1f-mark"
FORMS = {
    "TOKEN": f'odd-{MARK} "value" \\ with @&+/% and \u00fc-of-the-secret-test',
    "URL": f"{{url}}/missing/{MARK}-a?wait=true",
    "DOTTED": f"{{url}}/missing/./{MARK}-b",
    "SPACED": f"{{url}}/missing/{MARK}-c \u00fc",
    "FRAGMENT": f"{{url}}/missing/{MARK}-d#f",
    "LOGIN": f"http://me:{MARK}-e@{{host}}/missing/login",
    "SEEN": f"{{url}}/ready/{MARK}-f?wait=true",
}


def forms_of(mark):
    """As a part of a secret may stand in a file."""
    yield mark.encode()
    for before in range(3):
        digits = base64.b64encode(bytes(before) + mark.encode())
        yield digits[(8 * before + 5) // 6:8 * (before + len(mark)) // 6]


WARM = """#!/usr/bin/env python3
import json
import sys


def say(**line):
    print(json.dumps(line), flush=True)


say(type="ready", protocol=1)
for line in sys.stdin:
    told = json.loads(line)
    if told["type"] == "shutdown":
        break
    if told["type"] == "start":
        attempt, secret = told["attempt"], told["parameters"]["token"]
        assert told["secrets"]["TOKEN"] == secret
        if "dies" in told["parameters"]:
            sys.stderr.write(secret + " " * 4080 + "x")
            sys.exit(3)
        say(type="log", attempt=attempt, text=secret[:11])
        say(type="log", attempt=attempt, text=secret[11:] + "\\n")
        sys.stderr.write(secret + "\\n")
        sys.stderr.flush()
        say(type="finish", attempt=attempt, outcome="failed", message="not " + secret,
            trace="trace\\n" + secret, **{"class": "Denied"})
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """Says all that it was told, as a careless server would."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.before_answer(self.path)
        told = json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode()
        self.server.told.append(told.decode())
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def do_POST(self):
        """The body as it is, or as a text in JSON."""
        told = self.rfile.read(int(self.headers["Content-Length"]))
        if "text" in self.path:
            told = json.dumps({"body": told.decode()}).encode()
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)


class Secrets(GateTest):
    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self.server.told = []
        self.server.before_answer = lambda path: None
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.write("calls.py", CALLS)
        self.write("token", CANARY + "\n")
        plugins = self.plugins()
        (plugins / "warm.py").write_text(WARM)
        (plugins / "warm.py").chmod(0o755)
        (plugins / "warm.json").write_text(json.dumps({
            "command": ["./warm.py"],
            "schema": {"type": "object", "properties": {
                "token": {"type": "string", "x-pawl-secret": True}}}}))
        self.put_library("PAWL_FAULTY_PLUGIN")

    def tasks(self):
        token = "{{ secrets.TOKEN }}"
        python = {"operator": "python"}
        tasks = {
            "process": {"script": SCRIPT, "env": {"TOKEN": token},
                        "output": {"format": "json", "from": "file"}},
            "http": {"operator": "http", "with": {
                "url": f"{self.url}/ask", "query": {"key": token}, "headers": {"X-Key": token},
                "auth": {"token": token}}},
            "missing": {"operator": "http", "with": {
                "url": f"{self.url}/missing", "headers": {"X-Key": token}}},
            "ready": {"operator": "wait_http", "with": {
                "url": f"{self.url}/ready", "headers": {"X-Key": token}}},
            "sqlite": {"operator": "sqlite", "with": {
                "database": ":memory:", "sql": "SELECT ? AS a", "parameters": [token]}},
            "rows": {"operator": "sqlite", "output": "jsonl", "with": {
                "database": ":memory:", "sql": "SELECT ? AS a", "parameters": [token]}},
            "lines": {"operator": "http", "output": "jsonl", "with": {
                "url": f"{self.url}/lines", "headers": {"X-Key": token}}},
            "python": {**python, "with": {"call": "calls:show", "args": [token]}},
            "raises": {**python, "with": {"call": "calls:fail", "kwargs": {"secret": token}}},
            "warm": {"operator": "warm", "with": {"token": token}},
            "native": {"operator": "leaky", "with": {"token": token}},
            "mail": {"operator": "mail", "output": "none", "with": {
                "host": "127.0.0.1", "port": 1, "tls": "none", "user": "u", "password": token,
                "from": "a@example.org", "to": "b@example.org", "subject": "s"}},
        }
        if "PAWL_POSTGRES_PID" in os.environ:
            dsn = (f"host={os.environ['PGHOST']} user={os.environ['PGUSER']} dbname=postgres "
                   f"password={token}")
            tasks["postgres"] = {"operator": "postgres", "with": {
                "dsn": dsn, "sql": "SELECT $1 AS a", "parameters": [token]}}
            tasks["wrong"] = {"operator": "postgres", "with": {
                "dsn": dsn, "sql": "SELECT $1::int AS a", "parameters": [token]}}
        return tasks

    def test_it_is_used_everywhere_and_found_nowhere(self):
        self.serve()
        tasks = self.tasks()
        failing = {"missing", "raises", "warm", "native", "mail", "wrong"}
        job = self.job("secret", [
            {"id": name, "output": "json", "allow_failure": True, **task}
            for name, task in tasks.items()],
            secrets={"TOKEN": {"file": "token"}}, env={"GATES": str(self.gates)})
        run = self.detach(job, "--concurrency", len(tasks))
        self.until("the program waits", lambda: (self.gates / "asked").exists())
        self.until("all others have ended", lambda: all(
            task["ended_at"] for name, task in self.tasks_of(run).items() if name != "process"))
        self.assert_not_in_processes()
        self.open_gates("process")
        self.until_ended(run)
        states = {name: task["state"] for name, task in self.tasks_of(run).items()}
        self.assertEqual(states, {name: "failed" if name in failing else "succeeded"
                                  for name in tasks})
        # They had it, or this would prove nothing.
        self.assertEqual(sum(CANARY in told for told in self.server.told), 4)
        self.assert_shown_masked(run)
        self.assert_not_in_answers(run, tasks)
        self.assert_not_in_files()

    def test_it_is_hidden_in_whatever_form_and_place_it_is_told(self):
        """In progress, in JSON that must escape it, in what threads mutter, where a text is cut,
        in what an earlier call has left behind, in why a program is not found."""
        secret = 'odd-5e1f "value" \\ with \u00fc-of-the-secret-test'
        self.write("odd", secret)
        self.write("told.py", TOLD)
        self.serve()
        token = ["{{ secrets.ODD }}"]
        gates = str(self.gates)
        run = self.detach(self.job("odd", [
            {"id": "tells", "operator": "python", "output": "json",
             "with": {"call": "told:tells", "args": [*token, gates]}},
            {"id": "prints", "script": "python3 -c 'import json, os; "
             "print(json.dumps([os.environ[\"ODD\"]]))'", "output": "json",
             "env": {"ODD": token[0]}},
            {"id": "long", "operator": "python", "allow_failure": True,
             "with": {"call": "told:long", "args": token}},
            {"id": "mutters", "operator": "python", "map": {"items": [1, 2]},
             "with": {"call": "told:mutters", "args": token, "threads": 2, "processes": 1}},
            {"id": "leaves", "operator": "python",
             "with": {"call": "told:leaves", "args": token, "threads": 1, "processes": 1}},
            {"id": "hears", "operator": "python", "depends_on": ["leaves"],
             "with": {"call": "told:hears", "threads": 1, "processes": 1}},
            {"id": "nowhere", "command": ["nosuch"], "allow_failure": True,
             "env": {"PATH": "/nowhere/" + token[0]}},
        ], secrets={"ODD": {"file": "odd"}}), "--concurrency", 8)
        self.until("the progress is told", lambda: self.run_of(run)["tasks"][0]["progress"])
        self.assertIn("at *** of it", self.pawl("show", run).out)
        self.assertEqual(self.run_of(run)["tasks"][0]["progress"]["text"], "at *** of it")
        self.open_gates("tells")
        self.until_ended(run)
        self.assertEqual({n: t["state"] for n, t in self.tasks_of(run).items()
                          if n not in ("long", "nowhere")},
                         dict.fromkeys(("tells", "prints", "mutters", "leaves", "hears"),
                                       "succeeded"))
        self.assertEqual(self.pawl("logs", f"{run}/hears").out, "left ***\n")
        self.assertEqual(self.pawl("output", f"{run}/tells").json(), {"secret": "***"})
        self.assertEqual(self.pawl("output", f"{run}/prints").json(), ["***"])
        error = self.attempts_of(run)["long", 1]["error"]["message"]
        self.assertEqual(error, "ValueError: " + "x" * 4080 + "***!")
        error = self.attempts_of(run)["nowhere", 1]["error"]["message"]
        self.assertTrue(error.endswith("folders of PATH: /nowhere/***"), error)
        logs = [path.read_text() for path in (self.home / "workers").glob("*/log")]
        self.assertTrue(any("mutters ***" in log for log in logs), logs)
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"odd-5e1f", path.read_bytes(), path)

    def test_it_is_hidden_in_every_form_that_pawl_gives_it_and_where_texts_are_cut(self):
        """As address, as Basic login, encoded in a query, in JSON within JSON, at the border of
        what is kept of an answer, of an error, of last words."""
        host = self.url.removeprefix("http://")
        secrets = {name: text.format(url=self.url, host=host) for name, text in FORMS.items()}
        for name, text in secrets.items():
            self.write(name, text)
        whole = "{{ secrets.TOKEN }}"
        http_tasks = {
            **{name.lower(): {"with": {"url": "{{ secrets.%s }}" % name}}
               for name in FORMS if name != "TOKEN"},
            "seen": {"operator": "wait_http", "with": {"url": "{{ secrets.SEEN }}",
                                                       "fail_status": "2xx"}},
            "basic": {"with": {"url": f"{self.url}/ask", "auth": {"user": "me", "password": whole}}},
            "query": {"with": {"url": f"{self.url}/ask", "query": {"key": whole}}},
            "nested": {"with": {"url": f"{self.url}/text", "body": {"key": whole}}},
            "full": {"with": {"url": f"{self.url}/text", "body": {"key": whole},
                              "response": "full"}},
            "cut": {"with": {"url": f"{self.url}/missing", "body": "x" * 4070 + whole + "y" * 99}},
            "kept": {"with": {"url": f"{self.url}/body", "body": "x" * 4070 + whole + "y" * 99}},
        }
        tasks = {name: {"operator": "http", "output": "json", **task}
                 for name, task in http_tasks.items()}
        tasks["long"] = {"operator": "leaky", "with": {"token": whole, "plain": "long"}}
        tasks["dies"] = {"operator": "warm", "on_interrupt": "fail",
                         "with": {"token": whole, "dies": True}}
        self.serve()
        run = self.detach(self.job("forms", [
            {"id": name, "allow_failure": True, **task} for name, task in tasks.items()],
            secrets={name: {"file": name} for name in FORMS}))
        self.until_ended(run)
        good = {"basic", "query", "nested", "full"}
        self.assertEqual({name: task["state"] for name, task in self.tasks_of(run).items()},
                         {name: "succeeded" if name in good else "failed" for name in tasks})

        def output(name):
            return self.pawl("output", f"{run}/{name}").json()
        self.assertRegex(output("basic")["headers"]["Authorization"], r"^Basic .{4}\*\*\*.{0,6}$")
        self.assertEqual(output("query")["path"], "/ask?key=***")
        self.assertEqual(json.loads(output("nested")["body"]), {"key": "***"})
        # The server says of no type, so it is text: JSON within JSON within JSON.
        told = json.loads(output("full")["body"])
        self.assertEqual(json.loads(told["body"]), {"key": "***"})
        errors = {name: attempt["error"] for (name, _), attempt in self.attempts_of(run).items()
                  if attempt["error"]}
        self.assertEqual(errors["url"]["message"], "Status404: GET ***?…")
        self.assertIn('"path": "***"', errors["url"]["trace"])
        self.assertEqual(errors["cut"]["trace"], "x" * 4070 + "\n")
        self.assertEqual(errors["kept"]["trace"], "x" * 4070 + "\n")
        self.assertEqual(errors["dies"]["trace"], "***" + " " * 4080 + "x")
        self.assertTrue(errors["long"]["trace"].endswith("xxx"), errors["long"]["trace"][-80:])
        told = "".join(self.pawl(*words, code=None).out for words in (
            ["show", run], ["show", run, "-o", "json"], ["attempts", run], ["failed"]))
        files = [self.root / "serve.log", self.root / "forms.json"]
        files += [path for path in self.home.rglob("*") if path.is_file()]
        for form in forms_of(MARK):
            self.assertNotIn(form, told.encode())
            for path in files:
                self.assertNotIn(form, path.read_bytes(), path)

    def test_one_that_changes_while_attempts_have_it_is_hidden_in_all(self):
        """The first call has it until the third was made, before which the second changes it."""
        is_third_here = threading.Event()
        other = "another-" + PIECES[0]

        def before_answer(path):
            if path == "/0":
                is_third_here.wait(cli_support.SECONDS)
            elif path == "/1":
                self.write("token", other)
            else:
                is_third_here.set()
        self.server.before_answer = before_answer
        self.serve()
        run = self.detach(self.job("changing", [
            {"id": "n", "operator": "http", "map": {"items": [0, 1, 2], "max_concurrent": 2},
             "with": {"url": self.url + "/{{ item }}", "headers": {"X-Key": "{{ secrets.TOKEN }}"}},
             "output": "json"}], secrets={"TOKEN": {"file": "token"}}), "--concurrency", 2)
        self.until_ended(run)
        sent = sorted((told["path"], told["headers"]["X-Key"])
                      for told in map(json.loads, self.server.told))
        self.assertEqual(sent, [("/0", CANARY), ("/1", CANARY), ("/2", other)])
        for index in range(3):
            answer = self.pawl("output", f"{run}/n:{index}").json()
            self.assertEqual(answer["headers"]["X-Key"], "***")

    def assert_shown_masked(self, run):
        def log(task):
            return self.pawl("logs", f"{run}/{task}").out

        def output(task):
            return json.loads(self.pawl("output", f"{run}/{task}").out)
        lines = log("process").splitlines()
        self.assertEqual(lines.count("***"), 2, lines[:3])
        self.assertTrue(log("process").replace("\n", "").endswith("x***"), lines[-1][-40:])
        self.assertEqual(output("process"), {"t": "***"})
        self.assertEqual(output("sqlite"), [{"a": "***"}])
        self.assertEqual(output("python"), {"secret": "***"})
        self.assertEqual(output("http")["headers"]["X-Key"], "***")
        self.assertEqual(log("native"), "token ***\n")
        printed = "".join(path.read_text() for path in (self.home / "workers").glob("*/log"))
        self.assertIn("prints ***\n", printed)
        self.assertIn("cries ***\n", printed)
        self.assertEqual(log("warm").splitlines().count("***"), 2, log("warm"))
        self.assertIn("begin ***", log("python"))
        errors = {name: attempt["error"] for (name, _), attempt in self.attempts_of(run).items()
                  if attempt["error"]}
        self.assertEqual(errors["raises"]["message"], "ValueError: cannot log in with ***")
        self.assertEqual(errors["warm"]["message"], "not ***")
        self.assertIn('"X-Key": "***"', errors["missing"]["trace"])
        if "wrong" in errors:
            self.assertEqual(errors["wrong"]["message"],
                             'invalid input syntax for type integer: "***"')

    def assert_not_in_answers(self, run, tasks):
        for words in (["status"], ["show", run], ["tasks", "--run", run], ["attempts", run],
                      ["failed"], ["runs"], ["explain", run], ["job", "secret"]):
            for format_words in ([], ["-o", "json"]):
                done = self.pawl(*words, *format_words, code=None)
                self.assertNotIn(CANARY, done.out + done.err, words)
        for name in tasks:
            for verb in ("logs", "output"):
                done = self.pawl(verb, f"{run}/{name}", code=None)
                self.assertNotIn(CANARY, done.out + done.err, f"{verb} {name}")

    def assert_not_in_files(self):
        looked = [self.root / "serve.log", self.root / "secret.json"]
        looked += [path for path in self.home.rglob("*") if path.is_file()]
        names = {path.name.split(".")[0] for path in looked}
        self.assertLessEqual({"pawl", "journal", "log", "serve"}, names)
        for path in looked:
            self.assertNotIn(CANARY.encode(), path.read_bytes(), path)

    def assert_not_in_processes(self):
        """Arguments of nobody, variables of nobody but the program that was given them."""
        programs = 0
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                words = (folder / "cmdline").read_bytes()
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            self.assertNotIn(CANARY.encode(), words)
            if any(CANARY.encode() in variable for variable in variables):
                self.assertIn(b"PAWL_TASK_ID=process", variables, words)
                programs += 1
        self.assertGreater(programs, 0)


if __name__ == "__main__":
    cli_support.main()
