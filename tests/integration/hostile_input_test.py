#!/usr/bin/env python3
"""What somebody who means ill puts into parameters, items, names, messages and files, and who may
read and ask: through the real program.

    hostile_input_test.py --pawl PATH [unittest arguments]
"""

import json
import os
import socket
import stat
import subprocess

import cli_support
from gate_support import GateTest

CANARY = "canary-9d40b1-of-the-hostile-test"
WORDS = ["$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "&& touch pwned",
         "\ntouch pwned", "'; touch pwned; '", '"; touch pwned; "', "$TOKEN", "${TOKEN}",
         "{{ secrets.TOKEN }}", "{{ 1 + 1 }}", "}}", "{{", "%s%n%x", "--help", "-rf", "*", "~root",
         "../../../up", "\\", "'); DROP TABLE t; --", "\x1b[2J", "\u202e", " ", ""]


class HostileTest(GateTest):
    def tree(self):
        """What there is outside of the home."""
        found = {path for path in self.root.iterdir() if path != self.home}
        return found | {below for path in found for below in path.rglob("*")
                        if "__pycache__" not in below.parts}


class Injection(HostileTest):
    def test_values_reach_programs_and_statements_as_they_are_and_run_nothing(self):
        self.write("calls.py", "def back(text):\n    return text\n")
        items = {"items": "{{ params.words }}", "max_concurrent": 4}
        job = self.job("hostile", [
            {"id": "argument", "map": items, "output": "text",
             "command": ["printf", "%s", "{{ item }}"]},
            {"id": "variable", "map": items, "output": "text", "env": {"TEXT": "{{ item }}"},
             "script": 'printf %s "$TEXT"'},
            {"id": "standard_input", "map": items, "output": "text", "stdin": "{{ item }}",
             "command": ["cat"]},
            {"id": "inner", "map": items, "output": "text",
             "command": ["printf", "%s", "<{{ item }}>"]},
            {"id": "statement", "map": items, "output": "json", "operator": "sqlite",
             "with": {"database": ":memory:", "sql": "SELECT ? AS a", "parameters": ["{{ item }}"]}},
            {"id": "function", "map": items, "output": "json", "operator": "python",
             "with": {"call": "calls:back", "args": ["{{ item }}"]}},
            {"id": "uses", "env": {"TOKEN": "{{ secrets.TOKEN }}"}, "command": ["true"]}],
            params={"words": {"type": "array", "items": {"type": "string"}}},
            secrets={"TOKEN": {"env": "SOURCE"}})
        self.env["SOURCE"] = CANARY
        before = self.tree()
        run = self.pawl("run", job, "-p", f"words={json.dumps(WORDS)}").lines[0]

        def outputs(task):
            lines = self.pawl("output", f"{run}/{task}", "-o", "jsonl").lines
            return [json.loads(line)["value"] for line in lines]
        for task in ("argument", "variable", "standard_input", "function"):
            self.assertEqual(outputs(task), WORDS, task)
        self.assertEqual(outputs("inner"), [f"<{word}>" for word in WORDS])
        self.assertEqual(outputs("statement"), [[{"a": word}] for word in WORDS])
        self.assertEqual({path for path in self.tree() - before if path.name != "__pycache__"}, set(), "something was run")
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(CANARY.encode(), path.read_bytes(), path)


    def test_an_integer_that_would_lose_digits_is_refused_where_it_comes_in(self):
        big = "18446744073709551616"
        job = self.job("ids", [
            {"id": "lines", "map": {"items": {"file": "lines.jsonl"}}, "command": ["echo", "{{ item }}"]},
            {"id": "list", "map": {"items": {"file": "list.json", "format": "json"}},
             "command": ["echo", "{{ item }}"]},
            {"id": "says", "output": "json", "command": ["echo", big]}])
        self.write("lines.jsonl", f"1\n{big}\n")
        self.write("list.json", f"[{big}]")
        run = self.pawl("run", job, code=1).lines[0]
        why = f"the integer {big} needs more than 64 bits and would lose digits: write it as a text"
        told = {t["task"]: (t["reason"], t["error"])
                for t in self.pawl("tasks", run, "-o", "json").json() if t["index"] is None}
        self.assertEqual(told, {
            "lines": ("items", f"{self.root}/lines.jsonl:2: cannot be an item: {why}"),
            "list": ("items", f"cannot read items from {self.root}/list.json: {why}"),
            "says": ("output", f"standard output: {why}")})


class Paths(HostileTest):
    def test_names_that_lead_elsewhere_are_no_names(self):
        for name in ("../up", "/abs", "a/b", "..", "a\nb", "\x1b[2J", ""):
            self.pawl("validate", self.write("j.json", {
                "name": name, "tasks": [{"id": "a", "command": ["true"]}]}), code=2)
            self.pawl("validate", self.job("j", [{"id": name, "command": ["true"]}]), code=2)
        self.write("victim", CANARY)
        self.pawl("run", self.job("j", [{"id": "a", "command": ["echo", "word"]}]))
        for verb in ("logs", "output", "show", "explain"):
            for name in ("../../victim", f"{self.root}/victim", "@latest/../../../victim",
                         "@latest/a:../../victim", "..", "/"):
                done = self.pawl(verb, name, code=None)
                self.assertIn(done.code, (2, 3), (verb, name, done))
                self.assertNotIn(CANARY, done.out + done.err, (verb, name))

    def test_keys_of_items_are_no_paths(self):
        keys = ["../../../../up", "/abs", "a/b", "..", ".", "\x1b[2J", "x" * 200]
        run = self.pawl("run", self.job("j", [
            {"id": "a", "map": {"items": [{"k": key} for key in keys], "key": "{{ item.k }}"},
             "command": ["echo", "{{ item.k }}"]}])).lines[0]
        self.assertEqual({path.name for path in self.tree()}, {"gates", "ledger", "gate", "j.json"})
        logs = [p for p in (self.home / "logs").rglob("*") if p.is_file()]
        self.assertEqual(len(logs), len(keys))
        for number, key in enumerate(keys):
            self.assertEqual(self.pawl("logs", f"{run}/a:{number}").out, key + "\n")

    def test_a_task_that_puts_a_link_in_place_of_its_log_or_output_reaches_nothing(self):
        victim = self.write("victim", CANARY + "\n")
        done = self.pawl("run", self.job("j", [
            {"id": "log", "script": ["echo one", f"log=$(find {self.home}/logs -name '*.log')",
                                     "while [ -z \"$log\" ]; do sleep 0.02; log=$(find "
                                     f"{self.home}/logs -name '*.log'); done",
                                     f"ln -sf {victim} $log", "echo two", "sleep 0.1", "echo three"]},
            {"id": "output", "depends_on": ["log"], "script": f"ln -s {victim} $PAWL_OUTPUT",
             "output": {"format": "text", "from": "file"}}]), code=1)
        run = done.lines[0]
        self.assertEqual(victim.read_text(), CANARY + "\n")
        tasks = self.tasks_of(run)
        self.assertEqual(tasks["log"]["state"], "succeeded")
        self.assertEqual((tasks["output"]["state"], tasks["output"]["reason"]), ("failed", "output"))
        self.assertNotIn(CANARY, self.pawl("output", f"{run}/output", code=None).out)
        self.assertNotIn(CANARY, self.pawl("logs", f"{run}/log", code=None).out)


class Terminals(GateTest):
    EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\rhidden\x08\x7f"

    def test_no_table_lets_words_of_others_act_on_a_terminal(self):
        run = self.pawl("run", self.job("j", [
            {"id": "a", "script": ["cat >&2", "exit 3"], "stdin": self.EVIL},
            {"id": "m", "map": {"items": [{"k": self.EVIL}], "key": "{{ item.k }}"},
             "command": ["false"]}], description=self.EVIL), code=1).lines[0]
        for words in (["failed"], ["tasks", "--run", run], ["attempts", run], ["show", run],
                      ["show", f"{run}/a"], ["show", f"{run}/m:0"], ["explain", f"{run}/a"],
                      ["runs"], ["jobs"], ["job", "j"], ["events"], ["graph", run]):
            for more in ([], ["-o", "wide"], ["-o", "name"]):
                done = self.pawl(*words, *more, code=None)
                bad = [c for c in done.out + done.err if (c < " " and c != "\n") or c in "\x7f\x9b"]
                self.assertEqual(bad, [], (words, more, done.out))
        # To programs it is what it was.
        error = self.attempts_of(run)["a", 1]["error"]["message"]
        self.assertIn("\x1b]0;owned", error)


class Others(GateTest):
    def test_nobody_else_can_read_anything_of_the_home_whatever_the_umask(self):
        before = os.umask(0)
        try:
            self.serve()
        finally:
            os.umask(before)
        run = self.detach(self.gated_job("j", [
            {"id": "a", "command": ["echo", "word"], "output": "text"},
            {"id": "lines", "command": ["echo", "{}"], "output": "jsonl"},
            {"id": "b", "operator": "noop"}, self.gate("g")]))
        self.until_started("g")
        self.open_gates("g")
        self.until_ended(run)
        # Home, parts, workers' folders; what lies in those of the workers comes and goes.
        places = [self.home, *self.home.iterdir(), *(self.home / "workers").iterdir(),
                  *(self.home / "logs").rglob("*")]
        names = {path.name for path in places}
        self.assertLessEqual({"pawl.db", "pawl.db-wal", "sock", "lock", "logs", "outputs"}, names)
        self.assertEqual([path for path in places if stat.S_IMODE(path.stat().st_mode) & 0o077], [])

    def test_another_user_is_not_answered_even_where_somebody_opened_the_folder(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to be somebody else")
        self.serve()
        ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(20)\n"
               "s.connect(sys.argv[1]); s.sendall(b'GET /v1/status HTTP/1.0\\r\\n\\r\\n')\n"
               "print(len(s.recv(100)))")

        def answer(user):
            # One that others may start, too.
            done = subprocess.run(["/usr/bin/python3", "-I", "-c", ask, self.home / "sock"], user=user,
                                  capture_output=True, text=True, timeout=cli_support.SECONDS,
                                  check=False)
            return done.stdout.strip() or done.stderr.strip().splitlines()[-1]
        self.assertNotEqual(answer(0), "0")
        self.assertIn("PermissionError", answer(65534))
        self.root.chmod(0o711)
        self.home.chmod(0o711)
        (self.home / "sock").chmod(0o777)
        refused = answer(65534)
        self.assertTrue(refused == "0" or "ConnectionResetError" in refused or
                        "BrokenPipeError" in refused, refused)
        self.assertNotEqual(answer(0), "0")

    def test_paths_and_bytes_that_no_client_sends_are_refused(self):
        self.serve()
        self.write("victim", CANARY)
        for request in (b"GET /../../victim HTTP/1.0\r\n\r\n",
                        b"GET /%2e%2e/%2e%2e/victim HTTP/1.0\r\n\r\n",
                        b"GET /v1/runs/..%2f..%2fvictim HTTP/1.0\r\n\r\n",
                        b"GET /v1/runs/%ff%fe HTTP/1.0\r\n\r\n",
                        b"POST /v1/runs HTTP/1.0\r\nContent-Length: 3\r\n\r\n\xff\xfe\x00"):
            answer = self.ask(request)
            self.assertNotIn(CANARY.encode(), answer)
            if answer:
                self.assertRegex(answer.split(b"\r\n")[0], rb"^HTTP/1\.[01] 4\d\d ", request)
        self.pawl("status")

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(cli_support.SECONDS)
            one.connect(str(self.home / "sock"))
            one.sendall(request)
            answer = b""
            while True:
                try:
                    said = one.recv(1 << 16)
                except ConnectionResetError:
                    return answer
                if not said:
                    return answer
                answer += said


if __name__ == "__main__":
    cli_support.main()
