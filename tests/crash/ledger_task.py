"""A task of the crash test: notes in an outside ledger that it runs, and for how long.

    python3 -I -S ledger_task.py LEDGER MILLISECONDS FAIL_FIRST EXIT_CODE

It sleeps, then fails with EXIT_CODE while its attempt number is at most FAIL_FIRST, else succeeds.
Each line of the ledger is one write on a descriptor in append mode, so no two lines mix:

    START attempt_id idempotency_key monotonic_ns pid run task index attempt
    TICK attempt_id monotonic_ns              every few milliseconds: it is still alive
    END attempt_id monotonic_ns code          the last thing it does
"""

import os
import sys
import time

ledger = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
attempt_id = os.environ["PAWL_ATTEMPT_ID"]


def note(word, *rest):
    line = " ".join([word, attempt_id, *map(str, rest)]) + "\n"
    assert os.write(ledger, line.encode()) == len(line.encode())


begun = time.monotonic_ns()
note("START", os.environ["PAWL_IDEMPOTENCY_KEY"], begun, os.getpid(), os.environ["PAWL_RUN_ID"],
     os.environ["PAWL_TASK_ID"], os.environ.get("PAWL_MAP_INDEX") or "-", os.environ["PAWL_ATTEMPT"])
end = begun + int(sys.argv[2]) * 1_000_000
while (left := end - time.monotonic_ns()) > 0:
    time.sleep(min(left / 1e9, 0.008))
    note("TICK", time.monotonic_ns())
code = int(sys.argv[4]) if int(os.environ["PAWL_ATTEMPT"]) <= int(sys.argv[3]) else 0
if code != 0:
    print(f"attempt {os.environ['PAWL_ATTEMPT']} fails by intent", file=sys.stderr)
note("END", time.monotonic_ns(), code)
sys.exit(code)
