#!/usr/bin/env python3
"""Judges a home of pawl from outside, against a ledger that the tasks themselves kept.

    verify.py --home HOME --ledger LEDGER --job FILE [--accepted FILE] [--faults FILE]
              [--before SNAPSHOT]... [--snapshot FILE] [--open] [--no-strays]

It shares no code with pawl and reads nothing but the database, the ledger and /proc. No scheduler
may be up: the database is copied with its write-ahead log and read from the copy, so that looking
does not change what a restart finds. With --open, work may still be open (the scheduler is dead in
the middle of it); without, everything must have ended. What is checked is said at each check below.

The ledger is described in ledger_task.py. ACCEPTED has a line `RUN [REQUEST_ID]` for every run that
pawl said it accepted. FAULTS is a JSON array of {"kind", "workers": [folder, ...]}. A
SNAPSHOT is what --snapshot wrote earlier. Exit code 0 when all is well, 1 when something is wrong.
"""

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

RUN_FINAL = {"succeeded", "failed", "cancelled"}
TASK_FINAL = {"held", "succeeded", "failed", "skipped", "upstream_failed", "cancelled"}
ATTEMPT_FINAL = {"succeeded", "failed", "skipped", "cancelled", "lost", "interrupted"}
NO_EVIDENCE = {"lost", "interrupted"}
WHOLE = -1
SHOWN_PER_CHECK = 8

# --- what is read --------------------------------------------------------------------------------


@dataclass
class Attempt:
    """An attempt as the store has it. `work` is (run, task, item), by the names users see."""
    id: int
    work: tuple
    number: int
    state: str
    reason: str
    exit_code: int | None
    worker: int


@dataclass
class Task:
    work: tuple
    state: str
    reason: str
    attempts: int
    counted: int
    live: int


@dataclass
class Mapped:
    work: tuple
    items: int
    complete: bool
    next_fresh: int
    rest_state: str


@dataclass
class Store:
    runs: dict = field(default_factory=dict)       # name -> row
    tasks: dict = field(default_factory=dict)      # work -> Task
    mapped: dict = field(default_factory=dict)     # work of the whole -> Mapped
    attempts: dict = field(default_factory=dict)   # id -> Attempt
    timers: set = field(default_factory=set)       # (work, kind)
    integrity: list = field(default_factory=list)


@dataclass
class Start:
    """An attempt as its own program saw it."""
    attempt_id: str
    key: str
    ns: int
    pid: int
    work: tuple
    number: int
    alive_ns: int        # the last sign of life
    end_ns: int | None = None
    code: int | None = None


def read_ledger(path, problems):
    """The starts of the ledger in order, by (work, number)."""
    starts, by_id = [], {}
    text = Path(path).read_text()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(" ")
        if words[0] == "START" and len(words) == 9:
            item = WHOLE if words[7] == "-" else int(words[7])
            start = Start(words[1], words[2], int(words[3]), int(words[4]),
                          (words[5], words[6], item), int(words[8]), int(words[3]))
            if words[1] in by_id:
                problems.append(f"attempt {words[1]} started twice: {by_id[words[1]].work}, {start.work}")
            starts.append(start)
            by_id[words[1]] = start
        elif words[0] == "TICK" and len(words) == 3 and words[1] in by_id:
            by_id[words[1]].alive_ns = int(words[2])
        elif words[0] == "END" and len(words) == 4 and words[1] in by_id:
            start = by_id[words[1]]
            start.alive_ns = start.end_ns = int(words[2])
            start.code = int(words[3])
        else:
            problems.append(f"ledger line {number} cannot be read: {line!r}")
    return starts


def copy_of_database(home, folder):
    """The database and its write-ahead log as they lie there; the index of the log is made anew."""
    for name in ("pawl.db", "pawl.db-wal"):
        if (Path(home) / name).exists():
            shutil.copy(Path(home) / name, Path(folder) / name)
    return Path(folder) / "pawl.db"


def read_store(home, jobs=None):
    with tempfile.TemporaryDirectory(prefix="pawl-verify-") as folder:
        database = sqlite3.connect(copy_of_database(home, folder))
        database.row_factory = sqlite3.Row
        with contextlib.closing(database):
            return rows_of(database, jobs)


def rows_of(database, jobs=None):
    store = Store()
    store.integrity = [text for (text,) in database.execute("PRAGMA integrity_check") if text != "ok"]
    names = {(row["version"], row["task"]): row["id"]
             for row in database.execute("SELECT version, task, id FROM version_task")}
    runs = {row["id"]: row for row in database.execute("SELECT * FROM run")}
    others = {number for number, row in runs.items() if jobs is not None and row["job"] not in jobs}
    runs = {number: row for number, row in runs.items() if number not in others}

    def rows(table):
        return (row for row in database.execute(f"SELECT * FROM {table}") if row["run"] not in others)

    def work(row, item=None):
        """(run, task, item) by name; a row of a run or task that does not exist keeps its number."""
        run = runs.get(row["run"])
        if run is None:
            store.integrity.append(f"a row names run {row['run']}, which does not exist")
            return (str(row["run"]), str(row["task"]), row["item"] if item is None else item)
        return (run["name"], names.get((run["version"], row["task"]), str(row["task"])),
                row["item"] if item is None else item)

    counts = {row["run"]: {k: row[k] for k in row.keys() if k != "run"}
              for row in rows("run_counts")}
    for row in runs.values():
        store.runs[row["name"]] = {"state": row["state"], "request_id": row["request_id"] or "",
                                   "counts": counts.get(row["id"], {})}
    for row in rows("mapped"):
        store.mapped[work(row, WHOLE)] = Mapped(work(row, WHOLE), row["items"], bool(row["complete"]),
                                                row["next_fresh"], row["rest_state"])
    for row in rows("task"):
        store.tasks[work(row)] = Task(work(row), row["state"], row["reason"] or "", row["attempts"],
                                      row["counted"], row["live_attempt"] or 0)
    for row in rows("attempt"):
        store.attempts[row["id"]] = Attempt(row["id"], work(row), row["number"], row["state"],
                                            row["reason"] or "", row["exit_code"], row["worker"] or 0)
    store.timers = {(work(row), row["kind"]) for row in rows("timer")}
    return store


class Complaints:
    """Problems by check, so that one cause does not drown the others."""

    def __init__(self):
        self.by_check = defaultdict(list)

    def add(self, check, text):
        self.by_check[check].append(text)

    def all(self):
        out = []
        for check, texts in self.by_check.items():
            out += [f"{check}: {text}" for text in texts[:SHOWN_PER_CHECK]]
            if len(texts) > SHOWN_PER_CHECK:
                out.append(f"{check}: and {len(texts) - SHOWN_PER_CHECK} more")
        return out


def name_of(work):
    return f"{work[0]}/{work[1]}" + ("" if work[2] == WHOLE else f":{work[2]}")


# --- the checks ----------------------------------------------------------------------------------


def has_items(spec):
    """Of its own, or item by item with those of another task."""
    return "map" in spec or any(isinstance(dependency, dict)
                                for dependency in spec.get("depends_on", []))


class Judge:
    def __init__(self, store, starts, job, accepted, faults, before, at_rest):
        self.store = store
        self.starts = starts
        self.job = {task["id"]: task for task in job["tasks"]}
        self.defaults = job.get("defaults", {})
        self.accepted = accepted
        self.faults = faults
        self.before = before
        self.at_rest = at_rest
        self.wrong = Complaints()
        self.rows = {(a.work, a.number): a for a in store.attempts.values()}
        self.started = {(s.work, s.number): s for s in starts}
        self.rows_of = defaultdict(list)
        for attempt in store.attempts.values():
            self.rows_of[attempt.work].append(attempt)
        self.starts_of = defaultdict(list)
        for start in starts:
            self.starts_of[start.work].append(start)
        for group in self.rows_of.values():
            group.sort(key=lambda a: a.number)
        for group in self.starts_of.values():
            group.sort(key=lambda s: s.ns)

    def max_attempts(self, task):
        merged = dict(self.defaults.get("retry", {})) | dict(self.job[task].get("retry", {}))
        return merged.get("max_attempts", 1)

    def integrity(self):
        """The database is sound."""
        for text in self.store.integrity:
            self.wrong.add("integrity_check", text)

    def accepted_runs_exist(self):
        """Every run that was accepted exists, and a request id names one run."""
        for run, request in self.accepted.items():
            row = self.store.runs.get(run)
            if row is None:
                self.wrong.add("accepted run exists", f"{run} {request} is not in the store")
            elif request and row["request_id"] != request:
                self.wrong.add("accepted run exists",
                               f"{run} was accepted for {request}, the store says {row['request_id']}")
        requests = [row["request_id"] for row in self.store.runs.values() if row["request_id"]]
        for request in {r for r in requests if requests.count(r) > 1}:
            self.wrong.add("accepted run exists", f"request {request} made more than one run")

    def starts_have_rows(self):
        """Intent before action: what ran was committed before."""
        for start in self.starts:
            row = self.rows.get((start.work, start.number))
            if row is None:
                self.wrong.add("start has a row", f"{name_of(start.work)}#{start.number} ran "
                                                  f"(id {start.attempt_id}) and has no attempt row")
            elif str(row.id) != start.attempt_id:
                self.wrong.add("start has a row", f"{name_of(start.work)}#{start.number} ran as id "
                                                  f"{start.attempt_id}, its row has id {row.id}")

    def success_has_evidence(self):
        """What the store says of an end is what the program itself did, and the other way round."""
        for (work, number), row in self.rows.items():
            start = self.started.get((work, number))
            code = start.code if start else None
            who = f"{name_of(work)}#{number} is {row.state}"
            if row.state == "succeeded" and code != 0:
                self.wrong.add("success has evidence", f"{who}, the ledger says {code}")
            elif row.state == "failed" and (code in (None, 0) or row.exit_code != code
                                            or row.reason != "exit"):
                self.wrong.add("success has evidence",
                               f"{who} ({row.reason}:{row.exit_code}), the ledger says {code}")
            elif row.state in ("skipped", "cancelled"):
                self.wrong.add("success has evidence", f"{who}, and nobody asked for that")

    def only_faults_interrupt(self):
        """`lost` and `interrupted` need a worker that was killed. When proves nothing: on a busy
        machine a program that its worker had just spawned comes to its first line seconds later."""
        killed = {folder_number(folder) for fault in self.faults for folder in fault["workers"]}
        for (work, number), row in self.rows.items():
            if row.state in NO_EVIDENCE and row.worker not in killed:
                start = self.started.get((work, number))
                self.wrong.add("only faults interrupt",
                               f"{name_of(work)}#{number} is {row.state}, its worker {row.worker} "
                               f"was not killed; the ledger says "
                               f"{start.code if start else 'it never started'}")

    def nothing_ended_runs_again(self):
        """After a success nothing of that work starts, and it succeeded once."""
        for work, rows in self.rows_of.items():
            good = [a for a in rows if a.state == "succeeded"]
            if len(good) > 1:
                self.wrong.add("ended is ended", f"{name_of(work)} succeeded {len(good)} times")
            if good and good[0].number != rows[-1].number:
                self.wrong.add("ended is ended",
                               f"{name_of(work)} succeeded in {good[0].number} and ran again")
        for work, starts in self.starts_of.items():
            for index, start in enumerate(starts[:-1]):
                row = self.rows.get((work, start.number))
                if start.code == 0 and row is not None and row.state not in NO_EVIDENCE:
                    self.wrong.add("ended is ended",
                                   f"{name_of(work)}#{start.number} ended with 0, is {row.state}, "
                                   f"and #{starts[index + 1].number} started after it")

    def no_overlap(self):
        """At most one live attempt: an attempt starts after the last sign of life of the one
        before, and numbers rise with time."""
        for work, starts in self.starts_of.items():
            for one, two in zip(starts, starts[1:]):
                if two.ns < one.alive_ns:
                    self.wrong.add("no overlap",
                                   f"{name_of(work)}#{two.number} started "
                                   f"{(one.alive_ns - two.ns) / 1e6:.1f} ms before #{one.number} ended")
                if two.number <= one.number:
                    self.wrong.add("no overlap",
                                   f"{name_of(work)}#{two.number} started after #{one.number}")

    def numbers_have_no_gap(self):
        for work, rows in self.rows_of.items():
            numbers = [a.number for a in rows]
            if numbers != list(range(1, len(numbers) + 1)):
                self.wrong.add("no gap", f"{name_of(work)} has attempts {numbers}")
            task = self.store.tasks.get(work)
            if task is None:
                self.wrong.add("no gap", f"{name_of(work)} has attempts and no task row")
            elif task.attempts != len(numbers):
                self.wrong.add("no gap", f"{name_of(work)} counts {task.attempts} attempts "
                                         f"and has {len(numbers)}")
        for work, task in self.store.tasks.items():
            if task.attempts and work not in self.rows_of:
                self.wrong.add("no gap", f"{name_of(work)} counts {task.attempts} attempts, has none")

    def keys_are_one_to_one(self):
        """The idempotency key is the same over all attempts of a piece of work, and its own."""
        key_of, work_of = {}, {}
        for start in self.starts:
            if key_of.setdefault(start.work, start.key) != start.key:
                self.wrong.add("idempotency key", f"{name_of(start.work)} changed its key")
            if work_of.setdefault(start.key, start.work) != start.work:
                self.wrong.add("idempotency key", f"{name_of(start.work)} and "
                                                  f"{name_of(work_of[start.key])} share one")

    def final_states_stay(self):
        now = {"runs": {r: row["state"] for r, row in self.store.runs.items()},
               "tasks": {key_of(w): t.state for w, t in self.store.tasks.items()},
               "attempts": {key_of(a.work + (a.number,)): a.state
                            for a in self.store.attempts.values()}}
        for snapshot in self.before:
            for kind in now:
                for key, state in snapshot[kind].items():
                    if now[kind].get(key) != state:
                        self.wrong.add("final states stay",
                                       f"{kind[:-1]} {key} was {state}, is {now[kind].get(key)}")

    def followers_start_after(self):
        """What a task waits for is over before its first start; under all_success it succeeded."""
        for work, starts in self.starts_of.items():
            run, name, item = work
            for dependency in self.job[name].get("depends_on", []):
                each = isinstance(dependency, dict)
                upstream = dependency["task"] if each else dependency
                wanted = [(run, upstream, item)] if each else self.works_of(run, upstream)
                for other in wanted:
                    self.one_follows(starts[0], other,
                                     self.job[name].get("trigger_rule", "all_success"))

    def works_of(self, run, task):
        """The pieces of work of a task: itself, or all its items. A mapped task that never began has
        no items, so there is only the whole to wait for."""
        mapped = self.store.mapped.get((run, task, WHOLE))
        if mapped is None:
            return [(run, task, WHOLE)]
        return [(run, task, item) for item in range(mapped.items)]

    def one_follows(self, start, upstream, rule):
        who = f"{name_of(start.work)} after {name_of(upstream)}"
        others = self.starts_of.get(upstream, [])
        if rule == "all_success":
            good = [o for o in others if o.code == 0 and o.end_ns <= start.ns
                    and getattr(self.rows.get((upstream, o.number)), "state", "") == "succeeded"]
            if not good:
                self.wrong.add("followers start after", f"{who}: it had not succeeded by then")
        elif any(o.alive_ns > start.ns for o in others):
            self.wrong.add("followers start after", f"{who}: it was still running")
        task = self.store.tasks.get(upstream)
        if task is None or task.state not in TASK_FINAL:
            self.wrong.add("followers start after",
                           f"{who}: it is {task.state if task else 'not decided'}")

    def open_work_has_an_owner(self):
        """Open tasks name what will move them on; nothing else claims to."""
        owned = set()
        for work, task in self.store.tasks.items():
            state, whole = task.state, work in self.store.mapped
            run = self.store.runs[work[0]]["state"]
            live = self.store.attempts.get(task.live)
            if state not in TASK_FINAL and run in RUN_FINAL:
                self.wrong.add("owner", f"{name_of(work)} is {state} in a run that is {run}")
            if state == "running" and not whole:
                if live is None or live.work != work or live.state in ATTEMPT_FINAL:
                    self.wrong.add("owner", f"{name_of(work)} is running without a live attempt "
                                            f"(names {task.live})")
                else:
                    owned.add(live.id)
            elif task.live:
                self.wrong.add("owner", f"{name_of(work)} is {state} and names attempt {task.live}")
            if state == "retrying" and (work, "retry") not in self.store.timers:
                self.wrong.add("owner", f"{name_of(work)} is retrying without a timer")
        for attempt in self.store.attempts.values():
            if attempt.state not in ATTEMPT_FINAL and attempt.id not in owned:
                self.wrong.add("owner", f"attempt {attempt.id} of {name_of(attempt.work)} is "
                                        f"{attempt.state} and no task names it")
        for work, kind in self.store.timers:
            task = self.store.tasks.get(work)
            if kind == "retry" and (task is None or task.state != "retrying"):
                self.wrong.add("owner", f"a retry timer of {name_of(work)}, which is "
                                        f"{task.state if task else 'unknown'}")

    def everything_ended(self):
        """At rest nothing is open, every task has its state for the right reason, and what a run
        says is what its tasks say."""
        for run, row in self.store.runs.items():
            if row["state"] not in RUN_FINAL:
                self.wrong.add("everything ended", f"run {run} is {row['state']}")
                continue
            states = self.leaf_states(run)
            bad = [w for w, s in states.items() if s in ("failed", "held")]
            if row["state"] != ("failed" if bad else "succeeded"):
                self.wrong.add("everything ended", f"run {run} is {row['state']}, and "
                                                   f"{len(bad)} of its tasks failed or are held")
        for work, task in self.store.tasks.items():
            if task.state not in TASK_FINAL:
                self.wrong.add("everything ended", f"{name_of(work)} is {task.state}")
            elif work not in self.store.mapped:
                self.ended_rightly(work, task)

    def leaf_states(self, run):
        """The state of every unmapped task and every item of a run."""
        states = {}
        for name, spec in self.job.items():
            if has_items(spec) and (run, name, WHOLE) not in self.store.mapped:
                continue  # it never began: it has no items, and a whole is not counted
            for work in self.works_of(run, name):
                task = self.store.tasks.get(work)
                whole = self.store.mapped.get((run, name, WHOLE))
                if task is not None:
                    states[work] = task.state
                elif whole is not None and work[2] >= whole.next_fresh:
                    states[work] = whole.rest_state
                else:
                    states[work] = "waiting"
        return states

    def ended_rightly(self, work, task):
        rows = self.rows_of.get(work, [])
        last = rows[-1].state if rows else None
        failures = sum(a.state == "failed" for a in rows)
        budget = self.max_attempts(work[1])
        who = f"{name_of(work)} is {task.state} ({task.reason})"
        if task.state == "succeeded":
            if last != "succeeded":
                self.wrong.add("ended rightly", f"{who}, its last attempt is {last}")
        elif task.state == "failed":
            if last != "failed" or failures != budget:
                self.wrong.add("ended rightly", f"{who} after {failures} failures of {budget}")
        elif task.state == "held":
            interruptions = sum(a.state in NO_EVIDENCE for a in rows)
            if last not in NO_EVIDENCE or (budget > 1 and interruptions < 3):
                self.wrong.add("ended rightly", f"{who} after {interruptions} interruptions")
        elif task.state == "upstream_failed":
            ups = [d["task"] if isinstance(d, dict) else d
                   for d in self.job[work[1]].get("depends_on", [])]
            if rows or not any(
                    getattr(self.store.tasks.get(w), "state", None) in
                    ("failed", "held", "upstream_failed", "cancelled")
                    for up in ups for w in [(work[0], up, WHOLE), (work[0], up, work[2])]):
                self.wrong.add("ended rightly", f"{who} with {len(rows)} attempts and nothing "
                                                "failed before it")
        else:
            self.wrong.add("ended rightly", f"{who}, and nobody asked for that")

    def counts_are_right(self):
        """The counts of a run are those of its tasks and items."""
        for run, row in self.store.runs.items():
            have = defaultdict(int)
            for state in self.leaf_states(run).values():
                have[state] += 1
            said = {s: n for s, n in row["counts"].items() if n}
            if said != dict(have):
                self.wrong.add("counts", f"run {run} says {said}, its tasks say {dict(have)}")

    def judge(self):
        self.integrity()
        self.accepted_runs_exist()
        self.starts_have_rows()
        self.success_has_evidence()
        self.only_faults_interrupt()
        self.nothing_ended_runs_again()
        self.no_overlap()
        self.numbers_have_no_gap()
        self.keys_are_one_to_one()
        self.final_states_stay()
        self.followers_start_after()
        self.open_work_has_an_owner()
        if self.at_rest:
            self.everything_ended()
            self.counts_are_right()
        return self.wrong.all()


def folder_number(folder):
    """A worker's folder is named by its number."""
    digits = "".join(c for c in folder if c.isdigit())
    return int(digits) if digits else -1


def key_of(work):
    return "/".join(map(str, work))


# --- the report ----------------------------------------------------------------------------------


def snapshot_of(store):
    """What must stay as it is, and what was in flight."""
    return {
        "taken_ns": time.monotonic_ns(),
        "open_runs": sum(row["state"] not in RUN_FINAL for row in store.runs.values()),
        "runs": {r: row["state"] for r, row in store.runs.items() if row["state"] in RUN_FINAL},
        "tasks": {key_of(w): t.state for w, t in store.tasks.items() if t.state in TASK_FINAL},
        "attempts": {key_of(a.work + (a.number,)): a.state for a in store.attempts.values()
                     if a.state in ATTEMPT_FINAL},
        "live": [[*a.work, a.number] for a in store.attempts.values()
                 if a.state not in ATTEMPT_FINAL]}


def report_of(judge):
    """How often the faults hit work in flight, and what became of that work."""
    report = {"runs": len(judge.store.runs), "tasks": len(judge.store.tasks),
              "attempts": len(judge.store.attempts), "started": len(judge.starts),
              "in_flight": 0, "adopted": 0, "ended_meanwhile": 0, "never_started": 0,
              "interrupted": 0, "lost": 0}
    for snapshot in judge.before:
        restarted = snapshot.get("restarted_ns", snapshot["taken_ns"])
        for run, task, item, number in snapshot["live"]:
            key = ((run, task, item), number)
            row, start = judge.rows.get(key), judge.started.get(key)
            report["in_flight"] += 1
            if row is not None and row.state in NO_EVIDENCE:
                report["interrupted"] += 1
            elif start is None or start.ns > restarted:
                report["never_started"] += 1
            elif start.end_ns is not None and start.end_ns < restarted:
                report["ended_meanwhile"] += 1
            else:
                report["adopted"] += 1
    report["lost"] = sum(a.state == "lost" for a in judge.store.attempts.values())
    return report


def text_of(report):
    return ("{runs} runs, {tasks} tasks, {attempts} attempts, {started} starts in the ledger\n"
            "in flight when the scheduler died: {in_flight}; of these {adopted} adopted, "
            "{ended_meanwhile} ended while it was down, {never_started} never started, "
            "{interrupted} interrupted; lost under a living scheduler: {lost}").format(**report)


def processes_in(home, of_tasks=False):
    """Processes whose environment names this home; `of_tasks`: and an attempt."""
    found = []
    mark = f"PAWL_HOME={home}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            is_task = any(v.startswith(b"PAWL_ATTEMPT_ID=") for v in variables)
            if mark in variables and (is_task or not of_tasks):
                found.append(int(pid))
    return found


def processes_of(home):
    """Processes that tasks of this home left."""
    return processes_in(home, of_tasks=True)


def verify(home, ledger, job, accepted, faults, before, at_rest, strays, jobs=None):
    """Returns the snapshot, the problems and the report. `jobs`: runs of others are not judged."""
    problems = []
    # The database first: a start that the ledger gained since then would have no row yet, but no
    # scheduler is up, so none is gained by intent; a live worker may still begin what it was sent.
    store = read_store(home, jobs)
    starts = read_ledger(ledger, problems)
    judge = Judge(store, starts, json.loads(Path(job).read_text()), accepted, faults, before, at_rest)
    problems += judge.judge()
    if strays:
        problems += [f"stray process {pid}" for pid in processes_of(home)]
    return snapshot_of(store), problems, report_of(judge)


def verify_schedule(home, job, period_ms):
    """How many times the schedule of a job has had, and what is wrong: between the first and the last
    each has one run that has ended well, or has a task that was held after three interruptions, and
    nothing was dropped. The last one may just have begun."""
    with tempfile.TemporaryDirectory(prefix="pawl-verify-") as folder:
        with contextlib.closing(sqlite3.connect(copy_of_database(home, folder))) as database:
            rows = database.execute(
                "SELECT scheduled_for, state, EXISTS (SELECT 1 FROM task AS t WHERE t.run = run.id AND "
                "t.state = 'held' AND t.reason = 'poison' AND (SELECT count(*) FROM attempt AS a "
                "WHERE a.run = t.run AND a.task = t.task AND a.item = t.item AND "
                "a.state IN ('lost', 'interrupted')) >= 3) FROM run "
                "WHERE job = ? AND scheduled_for IS NOT NULL ORDER BY scheduled_for", (job,)).fetchall()
            dropped = database.execute("SELECT count(*) FROM dropped_fire WHERE job = ?", (job,)).fetchone()
    problems = []
    times = [time_ms for time_ms, _, _ in rows]
    for one, two in zip(times, times[1:]):
        if two - one != period_ms:
            problems.append(f"schedule of {job}: a run for {one}, the next for {two}")
    for time_ms, state, is_poisoned in rows[:-1]:
        if state != "succeeded" and not (state == "failed" and is_poisoned):
            problems.append(f"schedule of {job}: the run for {time_ms} is {state}")
    if dropped[0]:
        problems.append(f"schedule of {job}: {dropped[0]} fires were dropped")
    if not rows:
        problems.append(f"schedule of {job}: it never fired")
    return len(rows), problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--ledger", required=True, type=Path)
    parser.add_argument("--job", required=True, type=Path)
    parser.add_argument("--accepted", type=Path)
    parser.add_argument("--faults", type=Path)
    parser.add_argument("--before", type=Path, action="append", default=[])
    parser.add_argument("--snapshot", type=Path)
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--no-strays", action="store_true")
    args = parser.parse_args()
    accepted = {}
    if args.accepted:
        for line in args.accepted.read_text().splitlines():
            run, _, request = line.partition(" ")
            accepted[run] = request
    snapshot, problems, report = verify(
        args.home, args.ledger, args.job, accepted,
        json.loads(args.faults.read_text()) if args.faults else [],
        [json.loads(path.read_text()) for path in args.before], not args.open,
        not (args.open or args.no_strays))
    if args.snapshot:
        args.snapshot.write_text(json.dumps(snapshot))
    print(text_of(report))
    for problem in problems:
        print("WRONG", problem)
    print("nothing wrong" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
