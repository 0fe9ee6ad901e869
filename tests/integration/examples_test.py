#!/usr/bin/env python3
"""Runs the jobs of examples/ and compares what became of every task.

    examples_test.py --pawl PATH [NAME...]    names of examples; default: all
    examples_test.py --pawl PATH --demo       examples/demo.sh, to its end
    examples_test.py --complete               is there an expectation for each example?

Each example runs in a home of its own, from a copy of the folder.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import sanitizers
from patience import patient

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"
SECONDS = patient(240)


class Wrong(Exception):
    """An example did something else than it says."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


class Counterpart:
    """A server that prints its port and ends with its standard input."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, **options)
        self.port = self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


# Jobs that an example calls: known once they have run.
CALLED = {"all-regions": "region"}

KEY = "the-key-of-the-example"
# What an example talks to beside pawl: its arguments `PORT` are the counterpart's.
COUNTERPARTS = {
    "web-service": lambda _: Counterpart(EXAMPLES / "services/orders.py",
                                         env=os.environ | {"SERVICE_KEY": KEY}),
    "mail-report": lambda root: Counterpart(ROOT / "tests/unit/counterparts.py", "smtp",
                                            "--keep", root),
}


class Played:
    """One run of an example, and the home it left."""

    def __init__(self, pawl, root, name, arguments):
        self.pawl = pawl
        self.root = root
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8",
            "TZ": "UTC", "PAWL_HOME": str(root / "home"), "TMPDIR": str(root),
            "SERVICE_KEY": KEY} | sanitizers.OPTIONS
        if "PAWL_POSTGRES_PID" in os.environ:
            self.environment["WAREHOUSE"] = (
                f"host={os.environ['PGHOST']} user={os.environ['PGUSER']} dbname=postgres")
        if name in CALLED:
            self.ask("run", f"examples/{CALLED[name]}.json")
        self.code, out, self.told = self.call("run", f"examples/{name}.json", *arguments)
        expect(out.strip(), f"pawl run printed no id; it said:\n{self.told}")
        self.run = out.split()[0]
        self.tasks = json.loads(self.ask("tasks", "--run", self.run, "-o", "json", "--limit", "0"))

    def call(self, *words):
        done = subprocess.run([self.pawl, *words], cwd=self.root, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        return done.returncode, done.stdout, done.stderr

    def ask(self, *words, code=0):
        got, out, err = self.call(*words)
        expect(got == code, f"pawl {' '.join(words)}: exit code {got} instead of {code}\n{out}{err}")
        return out

    def states(self):
        """`task=state` of wholes and unmapped tasks."""
        return {t["task"]: t["state"] for t in self.tasks if t["index"] is None}

    def items(self, task):
        return {t["index"]: t for t in self.tasks if t["task"] == task and t["index"] is not None}

    def item_states(self, task):
        return Counter(t["state"] for t in self.items(task).values())

    def task(self, name):
        return next(t for t in self.tasks if t["task"] == name and t["index"] is None)

    def log(self, place):
        return self.ask("logs", f"{self.run}/{place}")

    def output(self, place):
        return self.ask("output", f"{self.run}/{place}")

    def failed(self, *words):
        return json.loads(self.ask("failed", "-o", "json", "--limit", "0", *words))


# --- what each example must do -------------------------------------------------------------------
# (arguments, exit code, states of tasks, items by task and state, further checks)

def check_hello(run):
    expect(run.log("greet") == "hello, world\n", "the log of greet is another one")


def check_diamond(run):
    expect(run.log("bottom") == "right failed, both upstream_failed\n", run.log("bottom"))


def check_python_functions(run):
    expect(run.output("total") == "177000\n", run.output("total"))
    expect(run.log("price:key=order-3") == "3 of pen, attempt 1\n", "another log of order-3")


def check_retry(run):
    expect(run.task("flaky")["attempts"] == 3, "flaky: not three attempts")
    expect(run.task("hopeless")["attempts"] == 1, "hopeless: it was tried again")
    expect(run.task("hopeless")["exit_code"] == 3, "hopeless: another exit code")
    expect(run.log("flaky#1") == "attempt 1, before it: nothing\n", run.log("flaky#1"))
    expect(run.log("flaky") == "attempt 3, before it: exit\n", run.log("flaky"))


def check_map_csv(run):
    expect(run.log("check:1") == "order 1002 from us: 1,200\n", run.log("check:1"))
    expect(run.log("check:key=1005") == "order 1005 from us: 99\n", "no item of key 1005")
    expect(run.items("check")[3]["key"] == "1004" and run.items("check")[3]["reason"] == "exit",
           "the skipped order is another one")


def check_map_lines(run):
    expect(run.log("ping:2") == "would ping gamma.example.net, line 2\n", run.log("ping:2"))
    expect(run.log("summary") == "4 hosts\n", run.log("summary"))


def check_conditions(run):
    expect(run.task("full_load")["reason"] == "when", "full_load: not skipped by its condition")
    expect(run.task("index_full")["reason"] == "rule", "index_full: not skipped by its rule")
    expect(run.task("nothing_new")["reason"] == "exit", "nothing_new: not skipped by its code")


def check_params(run):
    expect(run.log("show") == "2 copies for jp\n", run.log("show"))
    expect(run.log("script") == 'jp 2 ["night","small"]\n', run.log("script"))
    for wrong in ("copies=three", "region=xx", "copies=10", "colour=red"):
        code, _, err = run.call("run", "examples/params.json", "-p", wrong)
        expect(code == 2 and wrong.split("=")[0] in err, f"{wrong} was not refused: {code} {err}")


def check_params_given(run):
    expect(run.log("show") == "9 copies for eu\n", run.log("show"))
    expect(run.log("each_tag:0") == "$(rm -rf /); x\n", run.log("each_tag:0"))


def check_outputs(run):
    expect(run.output("sum").strip() == "nightly: [400,400,400]", run.output("sum"))
    expect(run.log("name") == "this goes to the log\n", run.log("name"))
    parts = [json.loads(line)["value"]["part"] for line in
             run.ask("output", f"{run.run}/part", "-o", "jsonl").splitlines()]
    expect(parts == ["a", "b", "c"], f"parts are {parts}")


def check_all_regions(run):
    closed = run.items("region")[1]
    expect("of job region failed: task extract: exit" in closed["error"], closed["error"])
    called = json.loads(run.ask("show", closed["child_run"], "-o", "json"))
    expect(called["parent"] == {"run": run.run, "task": "region", "index": 1},
           f"the called run has another parent: {called['parent']}")
    (run.root / "examples/us-is-open").touch()
    run.ask("resume", run.run, "-y")
    tasks = json.loads(run.ask("tasks", "--run", run.run, "-o", "json"))
    expect(all(t["state"] == "succeeded" for t in tasks), "the resumed run has not succeeded")
    again = [t["child_run"] for t in tasks if t["index"] == 1]
    expect(again == [closed["child_run"]], "the resume made another run of us")
    expect(run.log("report") == "rows by region: [40,40,40]\n", run.log("report"))


def check_nightly(run):
    day = run.log("load").split()[0]
    expect(run.output("report").strip() == f"loaded {day} jp, asked for by manual",
           run.output("report"))


def check_timeout(run):
    expect(run.task("slow_once")["attempts"] == 2, "slow_once: not two attempts")
    expect(run.task("stubborn")["reason"] == "timeout", "stubborn: another reason")
    expect(run.task("silent")["reason"] == "stalled", "silent: another reason")
    attempts = json.loads(run.ask("attempts", "--run", run.run, "-o", "json", "--limit", "0"))
    first = next(a for a in attempts if a["task"] == "slow_once" and a["attempt"] == 1)
    expect((first["state"], first["reason"]) == ("failed", "timeout"), f"slow_once: {first}")


def check_cleanup(run):
    expect(run.log("give_back") == "cluster given back, work was failed\n", run.log("give_back"))
    expect([t["task"] for t in run.failed()] == ["work"], "pawl failed names others than work")


def check_hooks(run):
    alert = run.log("hook:on_failure:0")
    expect(alert.startswith("alert: ["), alert)
    failed = json.loads(alert.removeprefix("alert: "))
    expect([(f["task"], f["index"], f["reason"]) for f in failed] == [("load", None, "exit")], alert)
    expect(run.log("hook:on_exit:0") == "hooks failed\n", run.log("hook:on_exit:0"))


def check_rate_limit(run):
    ran = json.loads(run.ask("show", run.run, "-o", "json"))
    took = datetime.fromisoformat(ran["ended_at"]) - datetime.fromisoformat(ran["started_at"])
    # Six starts, two in each half second: the last ones come a second after the first ones.
    expect(took >= timedelta(seconds=1), f"six items at two in 500ms took {took}")


def check_tolerate(run):
    expect(run.log("report") == "7 of 100 were not there\n", run.log("report"))
    forgiven = json.loads(run.ask("failed", "--tolerated", "-o", "json", "--limit", "0"))
    visits = sorted(t["index"] for t in forgiven if t["task"] == "visit")
    expect(visits == [3, 17, 31, 45, 59, 73, 87], f"forgiven are {visits}")


def check_queue(run):
    tries = Counter(t["attempts"] for t in run.items("work").values())
    expect(tries == {1: 90, 2: 10}, f"tries by count: {tries}")
    expect(run.items("work")[13]["attempts"] == 1, "the hopeless one was tried again")
    expect(run.output("report").strip() == "99 succeeded, 1 given up", run.output("report"))
    expect(run.failed() == [], "what the job lets fail waits for somebody")
    expect([t["index"] for t in run.failed("--tolerated")] == [13],
           "pawl failed --tolerated does not list the given up one")


def check_queries(run):
    tries = Counter(t["attempts"] for t in run.items("query").values())
    expect(tries == {1: 180, 2: 20}, f"tries by count: {tries}")
    rows = sum(i * 17 % 1000 for i in range(1, 201) if i != 7)
    expect(run.output("report").strip() == f"{rows} rows, 1 failed", run.output("report"))
    lost = run.items("query")[6]
    expect(lost["exit_code"] == 2 and "sales_jp_7" in (lost["error"] or ""),
           f"the error of query 7 is not shown: {lost}")


def check_many_calls(run):
    expect(run.output("check").strip() == "300 results, the last is 90000", run.output("check"))
    values = run.ask("output", f"{run.run}/call", "-o", "jsonl").splitlines()
    expect(len(values) == 300, f"{len(values)} results")


def check_sql_report(run):
    amounts = {r["region"]: (r["orders"], r["amount"]) for r in json.loads(run.output("report"))}
    expect(amounts == {"eu": (1, 80), "jp": (2, 250), "us": (2, 1299)}, f"amounts are {amounts}")
    expect(run.log("tell") == '["eu","jp","us"]\n', run.log("tell"))


def check_postgres_report(run):
    amounts = {r["region"]: (r["orders"], r["amount"]) for r in json.loads(run.output("report"))}
    expect(amounts == {"eu": (1, 80), "jp": (2, 250), "us": (2, 1299)}, f"amounts are {amounts}")


def check_web_service(run):
    expect(run.log("tell") == "100 orders, the last costs 300\n", run.log("tell"))
    tries = Counter(t["attempts"] for t in run.items("price").values())
    expect(tries == {1: 100}, f"who was asked to wait was tried again: {tries}")
    expect(KEY not in run.log("price:key=order-7"), "the log shows the key")


def check_mail_report(run):
    mail = json.loads((run.root / "1.json").read_text(encoding="utf-8"))
    subject = mail["headers"]["subject"]
    expect(subject.startswith("5 orders until "), f"the subject is {subject}")
    expect("orders.csv" in json.dumps(mail), "nothing is attached")
    expect(json.loads(run.output("tell"))["recipients"] == 1, run.output("tell"))


def check_warm_program(run):
    expect(run.output("all").strip() == "1048", run.output("all"))
    expect(run.log("add:1") == "added up 40,2\n", run.log("add:1"))


def check_one_log(run):
    lines = run.ask("logs", run.run).splitlines()
    found = Counter(m.groups() for line in lines
                    if (m := re.search(r"writer (\d+) line (\d+)$", line)))
    expect(len(found) == 8 * 200 and set(found.values()) == {1},
           f"{len(found)} different lines of 1600, most often {found.most_common(1)}")
    expect(sum(" is at " in line for line in lines) == 32, "lines of standard error are missing")


def faulty(reason):
    def check(run):
        call = [t for t in run.failed() if t["task"] == "call"]
        expect([t["index"] for t in call] == [4], f"pawl failed names {call}")
        expect(call[0]["reason"] == reason, f"the reason is {call[0]['reason']}, not {reason}")
        expect(run.task("handle")["state"] in ("cancelled", "upstream_failed"), "handle ran")
        states = run.item_states("call")
        expect(states["failed"] == 1 and set(states) <= {"failed", "succeeded", "cancelled"},
               f"items are {states}")
    return check


def check_handler(run):
    expect([t["task"] for t in run.failed()] == ["handle"], "pawl failed does not name handle")


def check_batch(run):
    runs = json.loads(run.ask("runs", "-o", "json"))
    expect((runs[0]["state"], runs[0]["reason"]) == ("failed", "run_timeout"), f"{runs[0]}")
    states = run.item_states("call")
    expect(states["succeeded"] > 0 and set(states) <= {"succeeded", "cancelled"}, f"{states}")


def check_census(run):
    zones = len(json.loads(run.output("list")))
    expect(zones > 100, f"only {zones} zones")
    expect(run.item_states("examine") == {"succeeded": zones}, f"{run.item_states('examine')}")
    expect(run.output("report").startswith(f"{zones} time zone files"), run.output("report"))
    ledger = Counter(line.split()[1] for line in
                     (run.root / "work/ledger").read_text(encoding="utf-8").splitlines())
    busy = {z for z in ledger if re.search(r"[FQVYZ][^/]*$", z) and
            z.rsplit("/", maxsplit=1)[-1][0] in "FQVYZ"}
    expect(all(n == (2 if z in busy else 1) for z, n in ledger.items()), "visits were repeated")


def check_item_chain(run):
    expect(run.output("convert:1") == "ABOUT PEARS", run.output("convert:1"))
    expect(run.log("upload:4") == "cherries: ABOUT CHERRIES\n", run.log("upload:4"))
    expect(run.items("upload")[3]["key"] == "nothing", f"{run.items('upload')[3]}")
    # The slow page keeps nobody but its own followers.
    slow = run.items("fetch")[0]["ended_at"]
    expect(all(run.items("upload")[i]["ended_at"] < slow for i in (1, 2, 4)),
           "pages waited for another one")
    expect(run.items("convert")[0]["started_at"] >= slow, "a page was converted before it came")
    expect(run.output("report") == "4 pages are there", run.output("report"))


FAULTS = "error-handling-for-child-processes"
NUMBERS = {"numbers": "succeeded"}
CASES = {
    "python-functions": [((), 0, {"list": "succeeded", "price": "succeeded", "total": "succeeded"},
                          {"price": {"succeeded": 20}}, check_python_functions)],
    "hello": [((), 0, {"greet": "succeeded"}, {}, check_hello)],
    "diamond": [((), 0, {"top": "succeeded", "left": "succeeded", "right": "failed",
                         "both": "upstream_failed", "either": "succeeded", "repair": "succeeded",
                         "bottom": "succeeded"}, {}, check_diamond)],
    "retry": [((), 0, {"flaky": "succeeded", "hopeless": "failed"}, {}, check_retry)],
    "map-csv": [((), 0, {"check": "succeeded"}, {"check": {"succeeded": 4, "skipped": 1}},
                 check_map_csv)],
    "map-lines": [((), 0, {"ping": "succeeded", "summary": "succeeded"},
                   {"ping": {"succeeded": 4}}, check_map_lines)],
    "conditions": [
        ((), 0, {"count": "succeeded", "full_load": "skipped", "delta_load": "succeeded",
                 "index_full": "skipped", "alarm": "skipped", "nothing_new": "skipped",
                 "report": "succeeded"}, {}, check_conditions),
        (("-p", "mode=full"), 0,
         {"count": "succeeded", "full_load": "succeeded", "delta_load": "skipped",
          "index_full": "succeeded", "alarm": "skipped", "nothing_new": "skipped",
          "report": "succeeded"}, {}, None)],
    "params": [
        ((), 0, {"show": "succeeded", "script": "succeeded", "each_tag": "succeeded"},
         {"each_tag": {"succeeded": 2}}, check_params),
        (("-p", "copies=9", "-p", "region=eu", "-p", 'tags=["$(rm -rf /); x"]'), 0,
         {"show": "succeeded", "script": "succeeded", "each_tag": "succeeded"},
         {"each_tag": {"succeeded": 1}}, check_params_given)],
    "outputs": [((), 0, {"measure": "succeeded", "name": "succeeded", "part": "succeeded",
                         "sum": "succeeded"}, {"part": {"succeeded": 3}}, check_outputs)],
    "region": [((), 0, {"extract": "succeeded", "load": "succeeded"}, {}, None)],
    "all-regions": [((), 1, {"region": "failed", "report": "upstream_failed"},
                     {"region": {"succeeded": 2, "failed": 1}}, check_all_regions)],
    "nightly": [((), 0, {"load": "succeeded", "report": "succeeded"}, {}, check_nightly)],
    "timeout": [((), 0, {"slow_once": "succeeded", "stubborn": "failed", "silent": "failed"}, {},
                 check_timeout)],
    "cleanup": [((), 1, {"rent": "succeeded", "work": "failed", "publish": "upstream_failed",
                         "give_back": "succeeded"}, {}, check_cleanup)],
    "hooks": [((), 1, {"load": "failed", "report": "upstream_failed",
                       "hook:on_failure:0": "succeeded", "hook:on_exit:0": "succeeded"}, {},
               check_hooks)],
    "rate-limit": [((), 0, {"slow_api": "succeeded", "fast_api": "succeeded",
                            "other": "succeeded"},
                    {"slow_api": {"succeeded": 6}, "fast_api": {"succeeded": 6}},
                    check_rate_limit)],
    "tolerate": [((), 0, NUMBERS | {"visit": "succeeded", "strict": "failed",
                                    "report": "succeeded"},
                  {"visit": {"succeeded": 93, "failed": 7}}, check_tolerate)],
    "queue-with-retries": [
        (("-p", "seconds=0.02", "--concurrency", "20"), 0,
         NUMBERS | {"work": "failed", "report": "succeeded"},
         {"work": {"succeeded": 99, "failed": 1}}, check_queue)],
    "ten-thousand-queries": [
        ((), 0, {"list": "succeeded", "query": "succeeded", "report": "succeeded"},
         {"query": {"succeeded": 199, "failed": 1}}, check_queries)],
    "many-calls": [((), 0, {"inputs": "succeeded", "call": "succeeded", "check": "succeeded"},
                    {"call": {"succeeded": 300}}, check_many_calls)],
    "item-chain": [(("-p", f"slow={patient(5)}"), 0,
                    {"fetch": "succeeded", "convert": "succeeded", "upload": "succeeded",
                     "report": "succeeded"},
                    {"fetch": {"succeeded": 4, "failed": 1},
                     "convert": {"succeeded": 4, "upstream_failed": 1},
                     "upload": {"succeeded": 4, "upstream_failed": 1}}, check_item_chain)],
    FAULTS: [
        ((), 0, NUMBERS | {"call": "succeeded", "handle": "succeeded"},
         {"call": {"succeeded": 100}}, None),
        (("-p", "fault=raise"), 1, NUMBERS | {"call": "failed"}, {}, faulty("exit")),
        (("-p", "fault=hang"), 1, NUMBERS | {"call": "failed"}, {}, faulty("timeout")),
        (("-p", "fault=killed"), 1, NUMBERS | {"call": "failed"}, {}, faulty("signal")),
        (("-p", "fault=flood"), 1, NUMBERS | {"call": "failed"}, {}, faulty("output")),
        (("-p", "fault=handler"), 1, NUMBERS | {"call": "succeeded", "handle": "failed"}, {},
         check_handler),
        (("-p", "fault=batch"), 1, NUMBERS, {}, check_batch)],
    "sql-report": [((), 0, {"arrived": "succeeded", "tables": "succeeded", "load": "succeeded",
                            "settle": "succeeded", "report": "succeeded", "tell": "succeeded"},
                    {"load": {"succeeded": 5}}, check_sql_report)],
    "postgres-report": [((), 0, {"tables": "succeeded", "load": "succeeded",
                                 "report": "succeeded", "tell": "succeeded"},
                         {"load": {"succeeded": 5}}, check_postgres_report)],
    "web-service": [(("-p", "service=http://127.0.0.1:PORT"), 0,
                     {"ready": "succeeded", "list": "succeeded", "price": "succeeded",
                      "tell": "succeeded"}, {"price": {"succeeded": 100}}, check_web_service)],
    "mail-report": [(("-p", "port=PORT"), 0, {"count": "succeeded", "tell": "succeeded"}, {},
                     check_mail_report)],
    "warm-program": [((), 0, {"add": "succeeded", "all": "succeeded"}, {"add": {"succeeded": 3}},
                      check_warm_program)],
    "one-log": [((), 0, {"writers": "succeeded", "write": "succeeded"},
                 {"write": {"succeeded": 8}}, check_one_log)],
    "zone-census": [(("-p", "work=work"), 0, {"list": "succeeded", "examine": "succeeded",
                                              "report": "succeeded"}, {}, check_census)],
}


def give_time(file, arguments):
    """Leaves the example the limit of time that its fault runs into; a busy machine keeps the others."""
    job = json.loads(file.read_text())
    if "fault=batch" not in arguments:
        job["timeout"] = "10m"
    if "fault=hang" not in arguments:
        next(task for task in job["tasks"] if task["id"] == "call")["timeout"] = "5m"
    file.write_text(json.dumps(job))


def make_home(root, name):
    """With the plugins of the examples. Who follows the words of `warm-program` has all that it
    takes, whatever the mask of the shell is."""
    home = root / ".local/state/pawl"
    (root / "home").symlink_to(home)
    if name != "warm-program":
        home.mkdir(mode=0o700, parents=True)
        return shutil.copytree(EXAMPLES / "plugins", home / "plugins")
    told = json.loads((EXAMPLES / f"{name}.json").read_text())["description"]
    commands = [line for line in told if "~/.local/state/pawl" in line]
    return subprocess.run(["sh", "-ec", "umask 002\n" + "\n".join(commands)], cwd=root,
                          env=os.environ | {"HOME": str(root)}, check=True)


def play(pawl, name, case):
    arguments, code, states, items, check = case
    # A relative working area would be one of each task's folder.
    root = Path(tempfile.mkdtemp(prefix="pawl-example-"))
    counterpart = COUNTERPARTS[name](root) if name in COUNTERPARTS else None
    try:
        shutil.copytree(EXAMPLES, root / "examples")
        if name == FAULTS:
            give_time(root / "examples" / f"{name}.json", arguments)
        make_home(root, name)
        arguments = [a.replace("work=work", f"work={root}/work") for a in arguments]
        if counterpart:
            arguments = [a.replace("PORT", counterpart.port) for a in arguments]
        run = Played(pawl, root, name, arguments)
        expect(run.code == code, f"exit code {run.code} instead of {code}\n{run.told}")
        found = run.states()
        for task, state in states.items():
            expect(found.get(task) == state, f"{task} is {found.get(task)} instead of {state}\n"
                   f"{run.told}")
        for task, wanted in items.items():
            expect(run.item_states(task) == wanted,
                   f"items of {task} are {dict(run.item_states(task))} instead of {wanted}")
        if check:
            check(run)
    finally:
        if counterpart:
            counterpart.close()
        shutil.rmtree(root, ignore_errors=True)


def demo(pawl):
    done = subprocess.run([EXAMPLES / "demo.sh", pawl], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0 or "All as told." not in done.stdout:
        print(done.stdout, done.stderr, f"exit code {done.returncode}", sep="\n")
        return 1
    return 0


def complete():
    missing = {p.stem for p in EXAMPLES.glob("*.json")} ^ set(CASES)
    if missing:
        print("examples without an expectation, or the other way round:", sorted(missing))
    return 1 if missing else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", type=Path)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--complete", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if args.complete:
        return complete()
    if args.pawl is None or not os.access(args.pawl, os.X_OK):
        parser.error(f"--pawl {args.pawl}: no such program")
    pawl = args.pawl.resolve()
    if args.demo:
        return demo(pawl)
    wrong = 0
    names = args.names or sorted(CASES)
    if "PAWL_POSTGRES_PID" not in os.environ:
        names = [name for name in names if name != "postgres-report" or args.names]
    for name in names:
        for case in CASES[name]:
            title = " ".join([name, *case[0]])
            try:
                play(pawl, name, case)
                print(f"{title}: as it says", flush=True)
            except (Wrong, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
                wrong += 1
                print(f"{title}: WRONG: {error}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
