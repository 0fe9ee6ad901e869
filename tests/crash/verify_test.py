#!/usr/bin/env python3
"""Plants wrongs in a small story and checks that verify.py finds each of them, and only then.

The story: `a` fails once, is interrupted once when its worker is killed, then succeeds; `b` follows
it; the two items of `m` run, item 1 after a retry; `once` is interrupted and held, so `late` and the
mapped `never`, whose items were never read, are upstream_failed. Standard library only.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import verify

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
RUN = "20261120-225801-7k3f9q"
JOB = {"name": "story", "defaults": {"retry": {"max_attempts": 4}}, "tasks": [
    {"id": "a", "command": ["x"]},
    {"id": "b", "command": ["x"], "depends_on": ["a"]},
    {"id": "m", "command": ["x"], "map": {"items": [1, 2]}},
    {"id": "once", "command": ["x"], "retry": {"max_attempts": 1}},
    {"id": "late", "command": ["x"], "depends_on": ["once"]},
    {"id": "never", "command": ["x"], "depends_on": ["once"], "map": {"items": [1, 2]}},
    {"id": "paired", "command": ["x"], "depends_on": [{"task": "never", "each": True}]}]}
# id, task, item, number, state, reason, exit_code, worker, start, end, code in the ledger (or None)
ATTEMPTS = [
    (1, 0, -1, 1, "failed", "exit", 3, 1, 100, 200, 3),
    (2, 2, 0, 1, "succeeded", None, 0, 1, 110, 210, 0),
    (3, 2, 1, 1, "failed", "exit", 5, 1, 120, 220, 5),
    (4, 3, -1, 1, "interrupted", "interrupted", None, 2, 130, 290, None),
    (5, 0, -1, 2, "lost", "lost", None, 2, 230, 300, None),
    (6, 2, 1, 2, "succeeded", None, 0, 1, 310, 400, 0),
    (7, 0, -1, 3, "succeeded", None, 0, 1, 320, 410, 0),
    (8, 1, -1, 1, "succeeded", None, 0, 1, 420, 500, 0)]
FAULTS = [{"kind": "everything", "workers": ["2"]}]


class Story:
    def __init__(self, folder):
        self.home = Path(folder)
        self.db = sqlite3.connect(self.home / "pawl.db", isolation_level=None)
        self.db.execute("PRAGMA synchronous = OFF")
        for path in sorted(MIGRATIONS.glob("*.sql")):
            self.db.executescript(path.read_text())
        self.ledger = []
        self.accepted = {RUN: "request-1"}
        self.faults = json.loads(json.dumps(FAULTS))
        self.before = []
        self.at_rest = True
        self.tell()

    def sql(self, text, *values):
        assert self.db.execute(text, values).rowcount != 0, f"changed nothing: {text}"

    def insert(self, table, **columns):
        """A row with the given columns; 0, '' or NULL in all others, as the schema allows."""
        row = {}
        for _, name, kind, not_null, _, _ in self.db.execute(f"PRAGMA table_info({table})"):
            row[name] = columns.pop(name, ("" if kind == "TEXT" else 0) if not_null else None)
        assert not columns, f"{table} has no {columns}"
        names = ", ".join(f'"{name}"' for name in row)
        self.sql(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", *row.values())

    def task(self, task, item, state, attempts, reason=None):
        self.insert("task", run=1, task=task, item=item, state=state, attempts=attempts,
                    counted=attempts, reason=reason)

    def tell(self):
        self.insert("run", id=1, name=RUN, job="story", version=1, state="failed",
                    request_id="request-1")
        for fire in range(4):
            self.insert("run", id=10 + fire, name=f"fire-{fire}", job="clock", version=2,
                        state="failed" if fire == 1 else "succeeded",
                        scheduled_for=2000 * (1 + fire))
        self.insert("task", run=11, task=0, item=-1, state="held", reason="poison", attempts=3)
        for number in (1, 2, 3):
            self.insert("attempt", id=100 + number, run=11, task=0, item=-1, number=number,
                        state="interrupted")
        for place, task in enumerate(JOB["tasks"]):
            self.insert("version_task", version=1, task=place, id=task["id"])
        self.insert("run_counts", run=1, succeeded=4, held=1, upstream_failed=1)
        self.insert("mapped", run=1, task=2, items=2, complete=1, next_fresh=2,
                    rest_state="queued", succeeded=2)
        self.task(0, -1, "succeeded", 3)
        self.task(1, -1, "succeeded", 1)
        self.task(2, -1, "succeeded", 0)
        self.task(2, 0, "succeeded", 1)
        self.task(2, 1, "succeeded", 2)
        self.task(3, -1, "held", 1, "interrupted")
        self.task(4, -1, "upstream_failed", 0, "upstream")
        self.task(5, -1, "upstream_failed", 0, "upstream")
        self.task(6, -1, "upstream_failed", 0, "upstream")
        for number, task, item, count, state, reason, exit_code, worker, start, end, code in ATTEMPTS:
            self.insert("attempt", id=number, run=1, task=task, item=item, number=count,
                        state=state, reason=reason, exit_code=exit_code, worker=worker)
            self.start(number, task, item, count, start, end, code)

    def start(self, attempt, task, item, number, start, end, code):
        name = JOB["tasks"][task]["id"]
        self.ledger.append(f"START {attempt} key-{task}-{item} {start} 4711 {RUN} {name} "
                           f"{'-' if item < 0 else item} {number}")
        self.ledger.append(f"TICK {attempt} {end - 1}")
        if code is not None:
            self.ledger.append(f"END {attempt} {end} {code}")

    def replace(self, old, new):
        assert old in self.ledger, old
        self.ledger[self.ledger.index(old)] = new

    def problems(self):
        (self.home / "job.json").write_text(json.dumps(JOB))
        (self.home / "ledger").write_text("".join(line + "\n" for line in self.ledger))
        self.db.commit()
        snapshot, problems, report = verify.verify(
            self.home, self.home / "ledger", self.home / "job.json", self.accepted, self.faults,
            self.before, self.at_rest, strays=True, jobs={"story"})
        return snapshot, problems + verify.verify_schedule(self.home, "clock", 2000)[1], report


def nothing(story):
    pass


def run_is_gone(story):
    story.accepted["20261120-225802-aaaaa2"] = ""


def request_of_another(story):
    story.accepted[RUN] = "request-2"


def start_without_a_row(story):
    story.start(9, 1, -1, 2, 600, 700, 0)


def start_before_the_commit(story):
    """As start_without_a_row, but the number was given out again under another id."""
    story.replace(f"START 8 key-1--1 420 4711 {RUN} b - 1", f"START 9 key-1--1 420 4711 {RUN} b - 1")
    story.replace("TICK 8 499", "TICK 9 499")
    story.replace("END 8 500 0", "END 9 500 0")


def fire_skipped(story):
    story.sql("DELETE FROM run WHERE name = 'fire-2'")


def fire_dropped(story):
    story.insert("dropped_fire", job="clock", count=1)


def fire_without_success(story):
    story.sql("UPDATE run SET state = 'failed' WHERE name = 'fire-2'")


def fire_held_too_soon(story):
    story.sql("DELETE FROM attempt WHERE run = 11 AND number = 1")


def schedule_asleep(story):
    story.sql("UPDATE run SET job = 'another' WHERE job = 'clock'")


def same_start_twice(story):
    story.start(8, 1, -1, 1, 600, 700, 0)


def success_by_default(story):
    story.sql("UPDATE attempt SET state = 'succeeded' WHERE id = 4")
    story.sql("UPDATE task SET state = 'succeeded' WHERE task = 3")


def failure_called_success(story):
    story.sql("UPDATE attempt SET state = 'succeeded' WHERE id = 1")


def success_called_failure(story):
    story.sql("UPDATE attempt SET state = 'failed', reason = 'exit', exit_code = 1 WHERE id = 6")


def wrong_exit_code(story):
    story.sql("UPDATE attempt SET exit_code = 4 WHERE id = 3")


def interrupted_without_a_fault(story):
    story.faults[0]["workers"] = ["3"]


def success_forgotten_and_repeated(story):
    """The worker lives, the attempt ended with 0, and yet the work ran again."""
    story.sql("UPDATE attempt SET state = 'interrupted' WHERE id = 2")
    story.insert("attempt", id=9, run=1, task=2, item=0, number=2, state="succeeded", worker=1)
    story.sql("UPDATE task SET attempts = 2 WHERE task = 2 AND item = 0")
    story.start(9, 2, 0, 2, 600, 700, 0)


def ran_again_after_success(story):
    story.insert("attempt", id=9, run=1, task=2, item=0, number=2, state="succeeded", worker=1)
    story.sql("UPDATE task SET attempts = 2 WHERE task = 2 AND item = 0")
    story.start(9, 2, 0, 2, 600, 700, 0)


def two_at_a_time(story):
    story.replace("TICK 5 299", "TICK 5 330")


def a_gap(story):
    story.sql("UPDATE attempt SET number = 4 WHERE id = 7")
    story.sql("UPDATE task SET attempts = 4 WHERE task = 0")
    story.replace(f"START 7 key-0--1 320 4711 {RUN} a - 3", f"START 7 key-0--1 320 4711 {RUN} a - 4")


def never_started_counted(story):
    story.sql("UPDATE task SET attempts = 2 WHERE task = 1")


def another_key(story):
    story.replace(f"START 7 key-0--1 320 4711 {RUN} a - 3", f"START 7 key-other 320 4711 {RUN} a - 3")


def final_state_left(story):
    story.before = [{"runs": {}, "tasks": {f"{RUN}/b/-1": "failed"}, "attempts": {}, "live": [],
                     "taken_ns": 1}]


def final_attempt_vanished(story):
    story.before = [{"runs": {}, "tasks": {}, "attempts": {f"{RUN}/b/-1/7": "failed"}, "live": [],
                     "taken_ns": 1}]


def follower_too_early(story):
    story.replace(f"START 8 key-1--1 420 4711 {RUN} b - 1", f"START 8 key-1--1 405 4711 {RUN} b - 1")


def follower_of_a_failure(story):
    story.start(9, 4, -1, 1, 600, 700, 0)
    story.insert("attempt", id=9, run=1, task=4, item=-1, number=1, state="succeeded", worker=1)
    story.sql("UPDATE task SET state = 'succeeded', attempts = 1 WHERE task = 4")


def running_without_owner(story):
    story.at_rest = False
    story.sql("UPDATE run SET state = 'running'")
    story.sql("UPDATE task SET state = 'running' WHERE task = 1")


def live_attempt_without_task(story):
    story.at_rest = False
    story.sql("UPDATE attempt SET state = 'running' WHERE id = 8")


def retry_without_timer(story):
    story.at_rest = False
    story.sql("UPDATE run SET state = 'running'")
    story.sql("UPDATE task SET state = 'retrying' WHERE task = 1")


def open_at_the_end(story):
    story.sql("UPDATE run SET state = 'running'")


def failed_too_soon(story):
    story.sql("UPDATE task SET state = 'failed' WHERE task = 0")


def run_made_better(story):
    story.sql("UPDATE run SET state = 'succeeded'")


def counts_wrong(story):
    story.sql("UPDATE run_counts SET succeeded = 5")


def a_whole_counted(story):
    story.sql("UPDATE run_counts SET upstream_failed = 2")


def damaged_index(story):
    story.sql("PRAGMA writable_schema = ON")
    story.sql("UPDATE sqlite_schema SET sql = 'CREATE INDEX run_job ON run (state)' "
              "WHERE name = 'run_job'")


def stray_process(story):
    story.child = subprocess.Popen(["sleep", "60"], env={"PAWL_HOME": str(story.home),
                                                         "PAWL_ATTEMPT_ID": "1"})
    while not verify.processes_of(story.home):  # until it is past its exec
        time.sleep(0.01)


PLANTED = {
    run_is_gone: "accepted run exists", request_of_another: "accepted run exists",
    start_without_a_row: "start has a row", start_before_the_commit: "start has a row",
    same_start_twice: "started twice", success_by_default: "success has evidence",
    failure_called_success: "success has evidence", success_called_failure: "success has evidence",
    wrong_exit_code: "success has evidence", interrupted_without_a_fault: "only faults interrupt",
    success_forgotten_and_repeated: "only faults interrupt",
    ran_again_after_success: "ended is ended", two_at_a_time: "no overlap", a_gap: "no gap",
    never_started_counted: "no gap", another_key: "idempotency key",
    final_state_left: "final states stay", final_attempt_vanished: "final states stay",
    follower_too_early: "followers start after", follower_of_a_failure: "followers start after",
    running_without_owner: "owner", live_attempt_without_task: "owner",
    retry_without_timer: "owner", open_at_the_end: "everything ended",
    failed_too_soon: "ended rightly", run_made_better: "everything ended", counts_wrong: "counts",
    a_whole_counted: "counts",
    fire_skipped: "schedule of clock", fire_dropped: "schedule of clock",
    fire_without_success: "schedule of clock", fire_held_too_soon: "schedule of clock",
    schedule_asleep: "schedule of clock",
    damaged_index: "integrity_check", stray_process: "stray process"}


def try_one(plant):
    with tempfile.TemporaryDirectory(prefix="pawl-verify-test-") as folder:
        story = Story(folder)
        story.child = None
        try:
            plant(story)
            return story.problems()
        finally:
            story.db.close()
            if story.child is not None:
                story.child.kill()
                story.child.wait()


def main():
    _, problems, _ = try_one(nothing)
    missed = [f"the sound story is refused: {p}" for p in problems]
    for plant, check in PLANTED.items():
        _, problems, _ = try_one(plant)
        if not any(check in problem for problem in problems):
            missed.append(f"{plant.__name__}: no '{check}' in {problems}")
    for text in missed:
        print(text)
    print(f"{len(PLANTED) - len(missed)} of {len(PLANTED)} planted wrongs were found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
