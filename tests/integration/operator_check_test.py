#!/usr/bin/env python3
"""`pawl operators check` against operators that break the contract, and against pawl's own.

    operator_check_test.py --pawl PATH --bad LIBRARY --operators FOLDER
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from patience import patient

# What each bad operator must fail; all else of it passes or is not looked at.
BAD = {
    "deaf": "a cancelled attempt ends",
    "crashing": "an attempt ends once",
    "leaking": "nothing is left behind",
    "twice": "an attempt ends once",
    "empty": "an attempt ends once",
    "strange": "an attempt ends once",
    "wrong_schema": "schema",
}
# Pawl's own, with parameters that need nothing of the machine: nobody listens at port 1.
OWN = [
    ("basic", "noop", "{}"),
    ("basic", "sleep", '{"for": "1h"}'),
    ("basic", "sleep", '{"for": "20ms"}'),
    ("basic", "wait_file", '{"path": "nothing"}'),
    ("sqlite", "sqlite", '{"database": ":memory:", "sql": "SELECT 1"}'),
    ("postgres", "postgres", '{"host": "/nowhere", "sql": "SELECT 1"}'),
    ("http", "http", '{"url": "http://127.0.0.1:1/"}'),
    ("http", "wait_http", '{"url": "http://127.0.0.1:1/"}'),
    ("mail", "mail", '{"host": "127.0.0.1", "port": 1, "tls": "none", "from": "a@example.org",'
                     ' "to": "b@example.org", "subject": "s"}'),
]
MANIFESTS = {"plugins/sum.json": '{"numbers": [1, 2, 39]}'}
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
# A program that dies with its attempt, and one that leaves a process behind that nobody finds by
# itself, so that the host has to end it.
DIES = """#!/bin/sh
echo '{"type":"ready","protocol":1}'
read -r hello; read -r start; exit 3
"""
NAPS = """#!/bin/sh
echo '{"type":"ready","protocol":1}'
setsid sleep 1000 <&- >&- 2>&- &
while read -r line; do
  case $line in '{"type":"shutdown"'*) exit 0 ;; esac
done
"""
TWICE = """#!/bin/sh
echo '{"type":"ready","protocol":1}'
while read -r line; do
  case $line in
    '{"type":"shutdown"'*) exit 0 ;;
    '{"type":"start"'*) ;;
    *) continue ;;
  esac
  attempt=${line#*\\"attempt\\":}
  end='{"type":"finish","attempt":'${attempt%%,*}',"outcome":"succeeded"}'
  printf '%s\\n%s\\n' "$end" "$end"
done
"""


def check(pawl, library, operator=None, parameters=None):
    words = [pawl, "operators", "check", str(library)]
    words += ["--operator", operator] if operator else []
    words += ["--with", parameters] if parameters else []
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=patient(400), check=False)
    return done.returncode, done.stdout, done.stderr


def program(folder, name, text):
    """A manifest and its program."""
    path = Path(folder, name)
    path.write_text(text)
    path.chmod(0o755)
    manifest = Path(folder, f"{name}.json")
    manifest.write_text(json.dumps({"command": [f"./{name}"], "processes": 2}))
    return manifest


def expect(condition, text):
    if not condition:
        sys.exit(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True)
    parser.add_argument("--bad", required=True)
    parser.add_argument("--operators", required=True, type=Path)
    options = parser.parse_args()

    for operator, broken in BAD.items():
        code, out, err = check(options.pawl, options.bad, operator)
        expect(code == 1, f"{operator}: exit code {code}\n{out}{err}")
        expect(any(line.startswith("FAILED") and f"{operator}: {broken}" in line
                   for line in out.splitlines()), f"{operator} does not fail '{broken}':\n{out}")
    words = [options.pawl, "operators", "check", options.bad, "--operator", "wrong_schema"]
    done = subprocess.run([*words, "-o", "json"], capture_output=True, text=True,
                          timeout=patient(400), check=False)
    listed = json.loads(done.stdout)
    expect(done.returncode == 1 and any(
        list(one) == ["operator", "check", "outcome", "why"] and one["operator"] == "wrong_schema"
        and one["check"] == "schema" and one["outcome"] == "failed" and one["why"]
        for one in listed), f"as JSON: {done}")
    code, out, err = check(options.pawl, options.bad, "good")
    expect(code == 0 and "FAILED" not in out, f"good: exit code {code}\n{out}{err}")

    catalog = json.loads((options.operators / "catalog.json").read_text())
    expect({one["name"] for one in catalog} == {name for _, name, _ in OWN},
           "an operator of pawl is not checked here, or is gone")
    for library, operator, parameters in OWN:
        code, out, err = check(options.pawl, options.operators / f"{library}.so", operator,
                               parameters)
        expect(code == 0, f"{operator} {parameters}: exit code {code}\n{out}{err}")
        expect("skipped" not in out, f"{operator} {parameters}:\n{out}")

    for manifest, parameters in MANIFESTS.items():
        code, out, err = check(options.pawl, EXAMPLES / manifest, None, parameters)
        expect(code == 0 and "skipped" not in out, f"{manifest}: exit code {code}\n{out}{err}")
    with tempfile.TemporaryDirectory() as folder:
        code, out, err = check(options.pawl, program(folder, "dies", DIES))
        expect(code == 1 and "dies: an attempt ends once" in out and "died" in out, out + err)
        code, out, err = check(options.pawl, program(folder, "mute", "#!/bin/sh\nexit 3\n"))
        expect(code == 1 and "did not get ready" in out, f"mute: exit code {code}\n{out}{err}")
        code, out, err = check(options.pawl, program(folder, "again", TWICE))
        expect(code == 1 and "FAILED  again: an attempt ends once" in out and "twice" in out,
               f"again: exit code {code}\n{out}{err}")
        gone = Path(folder) / "gone.json"
        gone.write_text('{"command": ["./nothing"]}')
        code, out, err = check(options.pawl, gone)
        expect(code == 1 and "FAILED  gone: an attempt ends once" in out and
               "cannot start" in out, f"gone: exit code {code}\n{out}{err}")
        code, out, err = check(options.pawl, program(folder, "naps", NAPS))
        expect(code == 0 and "no process" in out, f"naps: exit code {code}\n{out}{err}")
        code, out, err = check(options.pawl, Path(folder) / "naps.json", None, "{}")
        expect(code == 1 and "FAILED  naps: an attempt ends once" in out and "--with" in out,
               f"naps that must end: exit code {code}\n{out}{err}")

        found = Path(folder) / "found.json"
        found.write_text(json.dumps({"command": ["sh", str(EXAMPLES / "plugins/sum.sh")]}))
        code, out, err = check(options.pawl, found, None, '{"numbers": [1, 2, 39]}')
        expect(code == 0, f"found by PATH: exit code {code}\n{out}{err}")

    code, out, err = check(options.pawl, options.pawl)
    expect(code == 1 and "FAILED" in out, f"what is no library: exit code {code}\n{out}{err}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
