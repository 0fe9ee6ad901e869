#!/usr/bin/env python3
"""`pawl operators check` against operators that break the contract, and against pawl's own.

    operator_check_test.py --pawl PATH --bad LIBRARY --operators FOLDER
"""

import argparse
import subprocess
import sys
from pathlib import Path

# What each bad operator must fail; all else of it passes or is not looked at.
BAD = {
    "deaf": "a cancelled attempt ends",
    "crashing": "an attempt ends once",
    "leaking": "nothing is left behind",
    "twice": "an attempt ends once",
    "wrong_schema": "schema",
}
# Pawl's own, with parameters that need nothing of the machine.
OWN = [
    ("basic", "noop", "{}"),
    ("basic", "sleep", '{"for": "1h"}'),
    ("basic", "sleep", '{"for": "20ms"}'),
    ("basic", "wait_file", '{"path": "nothing"}'),
    ("sqlite", "sqlite", '{"database": ":memory:", "sql": "SELECT 1"}'),
    ("postgres", "postgres", '{"host": "/nowhere", "sql": "SELECT 1"}'),
]


def check(pawl, library, operator=None, parameters=None):
    words = [pawl, "operators", "check", str(library)]
    words += ["--operator", operator] if operator else []
    words += ["--with", parameters] if parameters else []
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=400, check=False)
    return done.returncode, done.stdout, done.stderr


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
    code, out, err = check(options.pawl, options.bad, "good")
    expect(code == 0 and "FAILED" not in out, f"good: exit code {code}\n{out}{err}")

    for library, operator, parameters in OWN:
        code, out, err = check(options.pawl, options.operators / f"{library}.so", operator,
                               parameters)
        expect(code == 0, f"{operator} {parameters}: exit code {code}\n{out}{err}")
        expect("skipped" not in out, f"{operator} {parameters}:\n{out}")

    code, out, err = check(options.pawl, options.pawl)
    expect(code == 1 and "FAILED" in out, f"what is no library: exit code {code}\n{out}{err}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
