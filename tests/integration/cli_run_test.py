#!/usr/bin/env python3
"""Runs in the foreground, and the verbs that look at them: screens, JSON fields, exit codes."""

import json
import re
import signal
import subprocess
from pathlib import Path

import cli_support
from cli_support import HomeTest, ISO, RUN_ID, SECONDS
from gate_support import GateTest

RUN_FIELDS = ("run job state reason trigger scheduled_for logical_time request_id created_at "
              "started_at ended_at params counts parent")
TASK_FIELDS = ("run job task index key state reason exit_code signal attempts counted_attempts "
               "max_attempts queued_at started_at ended_at next_attempt_at error log "
               "child_run")
ATTEMPT_FIELDS = ("attempt_id run job task index key attempt state reason exit_code signal error "
                  "ending started_at ended_at cpu_seconds peak_memory_bytes memory_bound_bytes "
                  "worker log")
STATES = ("waiting queued running retrying deferred held succeeded failed skipped upstream_failed "
          "cancelled").split()


def sh(text):
    return ["sh", "-c", text]


class Sales(HomeTest):
    """A fan-out of four items of which two fail twice, between two single tasks."""

    def setUp(self):
        super().setUp()
        self.path = self.job("sales", [
            {"id": "list", "command": ["printf", '[{"id":1},{"id":2},{"id":3},{"id":4}]'],
             "output": "json"},
            {"id": "query", "depends_on": ["list"],
             "map": {"items": "{{ tasks.list.output }}", "key": "k{{ item.id }}"},
             "retry": {"max_attempts": 2, "delay": "50ms"}, "output": "text",
             "command": sh('echo "connecting to $PAWL_MAP_KEY"; [ "$PAWL_MAP_INDEX" -gt 1 ] && exit;'
                           'echo "cannot reach warehouse $PAWL_MAP_INDEX" >&2; exit 5')},
            {"id": "report", "depends_on": ["query"], "command": ["true"]},
        ], params={"region": {"type": "string", "default": "jp"}})

    def run_sales(self):
        done = self.pawl("run", self.path, code=1)
        self.run_id = done.lines[0]
        self.assertRegex(self.run_id, f"^{RUN_ID.pattern}$")
        self.short = self.run_id[-6:]
        return done


class Screens(Sales):
    def test_a_failure_says_what_failed_why_and_what_to_do(self):
        done = self.run_sales()
        self.assertEqual(done.out, self.run_id + "\n")
        lines = [re.sub(r"\d+(\.\d+)?(ms|s)\b", "T", line) for line in done.err.splitlines()]
        self.assertEqual(lines[0], f"pawl: new home {self.home}")
        self.assertEqual(lines[1], f"run {self.run_id} · sales · 3 tasks · no scheduler is up: this "
                                   "command is it until the run ends")
        end = lines[[i for i, line in enumerate(lines) if line.startswith("FAILED")][0]:]
        self.assertEqual(end, [
            f"FAILED  sales {self.short} in T: query failed, report upstream_failed",
            "  query   2 of 4 items failed, none tolerated",
            "    2 × exit:5   cannot reach warehouse <n>   :0 :1   2 tries each",
            "    the end of query:0, try 2",
            "      | connecting to k1",
            "      | cannot reach warehouse 0",
            f"  list them   pawl failed {self.short}",
            f"  whole log   pawl logs {self.short}/query:0",
            f"  go on       pawl resume {self.short}      runs 2 items, then report; 3 finished stay",
        ])
        self.assertIn("  list     succeeded   T", lines)
        self.assertIn("  report   upstream_failed", lines)

    def test_a_success_ends_in_one_line(self):
        path = self.job("ok", [{"id": "a", "command": ["true"]}])
        done = self.pawl("run", path)
        self.assertRegex(done.err.splitlines()[-1],
                         rf"^succeeded ok {done.lines[0][-6:]} in [\d.]+m?s · 1 done$")

    def test_quiet_shows_only_the_end(self):
        path = self.job("ok", [{"id": "a", "command": ["true"]}])
        self.pawl("run", path)
        done = self.pawl("run", path, "-q")
        self.assertEqual(len(done.err.splitlines()), 1)

    def test_failed_lists_what_failed_with_the_commands_that_lead_on(self):
        self.run_sales()
        done = self.pawl("failed")
        lines = [re.sub(r"\d+s ago", "0s ago", line) for line in done.lines]
        self.assertEqual(lines[0].split(), ["RUN", "JOB", "TASK", "WHY", "TRIES", "WHEN", "ERROR",
                                            "ITEM"])
        self.assertCountEqual([line.split() for line in lines[1:3]], [
            [self.short, "sales", f"query:{i}", "exit:5", "2/2", "0s", "ago", "cannot", "reach",
             "warehouse", str(i), f'{{"id":{i + 1}}}'] for i in (0, 1)])
        self.assertEqual(lines[3], "2 failed in 1 run of 7 days. Not shown: 1 upstream_failed")
        self.assertRegex(lines[4], rf"^try again  pawl resume {self.short} \| one: {self.short}/query:[01]$")
        self.assertIn("by cause   pawl failed --by error", lines[5])
        self.assertIn(f"pawl dismiss {self.short}", lines[5])

    def test_a_failure_that_its_task_allows_waits_for_nobody(self):
        path = self.job("may", [
            {"id": "probe", "command": sh("echo not there >&2; exit 3"), "allow_failure": True},
            {"id": "work", "depends_on": ["probe"], "trigger_rule": "all_done",
             "command": sh("exit 4")}])
        run = self.pawl("run", path, "-q", code=1)
        self.assertIn(": work failed\n", run.err)
        self.assertNotIn("not there", run.err)
        self.assertEqual([t["task"] for t in self.pawl("failed", "-o", "json").json()], ["work"])
        forgiven = self.pawl("failed", "--tolerated", "-o", "json").json()
        self.assertCountEqual([t["task"] for t in forgiven], ["work", "probe"])
        self.assertIn("1 tolerated (--tolerated)", self.pawl("failed").out)
        self.assertEqual(self.pawl("status", "-o", "json").json()["unresolved"], 1)
        self.pawl("mark", f"{run.lines[0]}/work", "succeeded")
        self.assertIn("nothing unresolved", self.pawl("failed").out)
        # Nobody need keep it for 90 days either.
        self.assertEqual(self.pawl("prune", "--older-than", "0s", "-o", "json").json(), {"runs": 1})

    def test_explain_says_why_something_did_not_run(self):
        self.run_sales()
        self.assertEqual(self.pawl("explain", f"{self.short}/report").out,
                         "upstream_failed: query (failed)\n")
        self.assertRegex(self.pawl("explain", f"{self.short}/query:0").out,
                         r"^failed: exit:5 \d+s ago: cannot reach warehouse 0\n$")
        one = self.pawl("explain", f"{self.short}/report", "-o", "json").json()
        self.fields(one, "run task index state reasons")
        self.assertEqual(one["reasons"][0]["kind"], "upstream")
        self.assertEqual(self.pawl("explain", f"{self.short}/query:0", "-o", "name").lines,
                         [f"{one['run']}/query:0"])
        self.assertEqual(self.pawl("status", "-o", "name").lines, [str(self.home)])

    def test_show_and_graph_tell_states(self):
        self.run_sales()
        page = self.pawl("show", self.short).out
        self.assertIn(f"{self.run_id}  sales  failed in ", page)
        self.assertIn("  report   upstream_failed", page)
        self.assertIn("query:0  failed", self.pawl("show", f"{self.short}/query:0").out)
        self.assertRegex(self.pawl("graph", self.run_id).out, r"report\s+upstream_failed")


class Json(Sales):
    def test_a_run(self):
        self.run_sales()
        runs = self.pawl("runs", "-o", "json").json()
        self.assertEqual(len(runs), 1)
        self.fields(runs, RUN_FIELDS)
        run = runs[0]
        self.assertEqual(run["run"], self.run_id)
        self.assertEqual((run["job"], run["state"], run["trigger"]), ("sales", "failed", "manual"))
        self.assertEqual(run["params"], {"region": "jp"})
        self.assertEqual(list(run["counts"]), STATES)
        self.assertEqual({k: n for k, n in run["counts"].items() if n},
                         {"succeeded": 3, "failed": 2, "upstream_failed": 1})
        for name in ("logical_time", "created_at", "started_at", "ended_at"):
            self.assertRegex(run[name], f"^{ISO.pattern}$")
        self.assertIsNone(run["scheduled_for"])
        shown = self.pawl("show", self.run_id, "-o", "json").json()
        self.fields(shown, RUN_FIELDS + " tasks events")
        self.fields(shown["tasks"], TASK_FIELDS + " progress")
        self.assertEqual([t["task"] for t in shown["tasks"]], ["list", "query", "report"])

    def test_tasks_and_items(self):
        self.run_sales()
        tasks = self.pawl("tasks", self.run_id, "-o", "json").json()
        self.fields(tasks, TASK_FIELDS)
        self.assertEqual([(t["task"], t["index"]) for t in tasks],
                         [("list", None), ("query", None), ("query", 0), ("query", 1),
                          ("query", 2), ("query", 3), ("report", None)])
        item = tasks[2]
        self.assertEqual((item["key"], item["state"], item["reason"]), ("k1", "failed", "exit"))
        self.assertEqual((item["exit_code"], item["signal"]), (5, None))
        self.assertEqual((item["attempts"], item["counted_attempts"], item["max_attempts"]), (2, 2, 2))
        self.assertEqual(item["error"], "cannot reach warehouse 0")
        self.assertTrue(item["log"].startswith(str(self.home)))
        self.assertIn("connecting", Path(item["log"]).read_text(encoding="utf-8"))
        self.assertIsNone(tasks[-1]["log"])

    def test_failed(self):
        self.run_sales()
        failed = self.pawl("failed", "-o", "json").json()
        self.fields(failed, TASK_FIELDS + " params item resume")
        one = next(f for f in failed if f["index"] == 1)
        self.assertEqual(one["item"], {"id": 2})
        self.assertEqual(one["params"], {"region": "jp"})
        self.assertEqual(one["resume"], f"pawl resume {self.run_id}/query:1")
        groups = self.pawl("failed", "--by", "error", "-o", "json").json()
        self.assertEqual([(g["error"], g["count"], g["runs"]) for g in groups],
                         [("cannot reach warehouse <n>", 2, 1)])
        self.assertEqual(self.pawl("failed", "--by", "reason", "-o", "json").json()[0]["reason"], "exit:5")

    def test_attempts(self):
        self.run_sales()
        attempts = self.pawl("attempts", self.run_id, "-o", "json").json()
        self.fields(attempts, ATTEMPT_FIELDS)
        self.assertEqual(len(attempts), 7)
        self.assertEqual(len({a["attempt_id"] for a in attempts}), 7)
        second = next(a for a in attempts if a["index"] == 0 and a["attempt"] == 2)
        self.assertEqual((second["state"], second["reason"], second["exit_code"]), ("failed", "exit", 5))
        self.assertEqual(list(second["error"]), ["class", "message", "trace"])

    def test_jobs(self):
        self.run_sales()
        jobs = self.pawl("jobs", "-o", "json").json()
        self.fields(jobs, "job state file paused quarantined schedule timezone next_fire_at last_run last_state")
        self.assertEqual(jobs[0]["last_run"], self.run_id)
        self.assertEqual(jobs[0]["last_state"], "failed")
        job = self.pawl("job", "sales", "-o", "json").json()
        self.fields(job, " ".join(jobs[0]) + " paused_by paused_at note dropped dropped_fires")
        self.assertEqual({key: job[key] for key in jobs[0]}, jobs[0])
        self.assertIn("Did you mean sales?", self.pawl("job", "slaes", code=3).err)

    def test_run_prints_the_runs_object(self):
        path = self.job("ok", [{"id": "a", "command": ["true"]}])
        run = self.pawl("run", path, "-o", "json").json()
        self.fields(run, RUN_FIELDS)
        self.assertEqual(run["state"], "succeeded")

    def test_the_other_formats(self):
        self.run_sales()
        rows = self.pawl("tasks", self.run_id, "-o", "jsonl").lines
        self.assertEqual(len(rows), 7)
        self.assertEqual(json.loads(rows[0])["task"], "list")
        self.assertEqual(self.pawl("tasks", self.run_id, "-o", "name").lines[2], f"{self.run_id}/query:0")
        table = self.pawl("runs", "-o", "csv").lines
        self.assertEqual(table[0], ",".join(RUN_FIELDS.split()))
        self.assertEqual(len(table), 2)
        self.assertEqual(len(self.pawl("runs", "-o", "csv", "--no-header").lines), 1)
        self.assertEqual(self.pawl("runs", "--job", "none*", "-o", "json").json(), [])

    def test_an_empty_list_says_so_to_people_and_to_nobody_else(self):
        self.run_sales()
        for words, text in ((["runs", "--job", "none*"], "no runs match\n"),
                            (["tasks", self.run_id, "--state", "held"], "no tasks match\n"),
                            (["attempts", "--since", "0s"], "no attempts match\n")):
            done = self.pawl(*words)
            self.assertEqual((done.out, done.err), ("", text))
            self.assertEqual(self.pawl(*words, "-o", "jsonl").err, "")


class Reports(HomeTest):
    def test_a_mapped_task_without_items_says_why_it_failed_and_begins_anew(self):
        path = self.job("none", [{"id": "query", "map": {"items": {"file": "missing.jsonl"}},
                                  "command": ["true"]}])
        err = self.pawl("run", path, code=1).err
        self.assertNotIn("0 of 0", err)
        self.assertRegex(err, r"go on       pawl resume \S+      runs query\n")

    def test_of_a_mapped_task_that_never_began_a_report_counts_nothing(self):
        path = self.job("report", [
            {"id": "list", "command": ["false"], "output": "jsonl"},
            {"id": "query", "depends_on": ["list"], "map": {"items": "{{ tasks.list.output }}"},
             "command": ["true"]},
            {"id": "report", "depends_on": ["query"], "trigger_rule": "all_done", "output": "text",
             "command": ["echo", "{{ tasks.query.state }} {{ tasks.query.counts.failed }}"]}])
        self.pawl("run", path, code=1)
        self.assertEqual(self.pawl("output", "@latest/report").out.strip(), "upstream_failed 0")


class StandardDescriptors(HomeTest):
    def run_with(self, redirections, pipe=""):
        path = self.job("quick", [{"id": "a", "command": ["true"]}])
        return subprocess.run(
            ["bash", "-c", f'"$0" run "$1" {redirections} {pipe}', cli_support.PAWL, path],
            env=self.env, cwd=self.root, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False)

    def test_those_that_are_closed_do_not_become_files_of_the_home(self):
        for redirections in (">&-", "2>&-", "<&- >&- 2>&-"):
            self.assertEqual(self.run_with(redirections).returncode, 0, redirections)
            run = self.pawl("runs", "-o", "json", "--limit", "1").json()[0]
            self.assertEqual(run["state"], "succeeded")
            self.assertNotIn(run["run"], (self.home / "lock").read_text(encoding="utf-8"))

    def test_a_reader_that_goes_does_not_end_the_scheduler(self):
        self.run_with("2>&1", "| head -n 1")
        self.assertEqual(self.pawl("runs", "-o", "json").json()[0]["state"], "succeeded")

    def test_a_terminal_that_stands_still_holds_up_no_run(self):
        path = self.job("chain", [
            {"id": f"task_{i}", "command": ["true"]} | ({"depends_on": [f"task_{i - 1}"]} if i else {})
            for i in range(30)])
        with self.on_a_terminal("run", path) as person:
            person.press(b"\x13")  # Ctrl-S
            self.until("it has ended", lambda: self.ended_well("chain"))
            # Nor is the home held for a reader.
            self.until("the home is free", lambda: self.pawl(
                "run", self.job("other", [{"id": "a", "command": ["true"]}]), code=None).code == 0)
            self.assertIsNone(person.process.poll())
            person.press(b"\x11")
            person.read_until(b" 30 done")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)

    def test_a_terminal_that_cannot_move_its_cursor_gets_lines(self):
        path = self.job("quick", [{"id": "a", "command": ["true"]}])
        with self.on_a_terminal("run", path, env={"TERM": "dumb"}) as person:
            said = person.read_until(b" 1 done")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)
        self.assertIn(b"  a  ", said)
        self.assertNotIn(b"\x1b", said)

    def test_a_pipe_that_nobody_reads_holds_up_no_run_and_gets_all_of_it(self):
        path = self.job("large", [{"id": "a", "command": ["true"]}],
                        params={"text": {"type": "string"}})
        child = self.start("run", path, "-q", "-o", "json", "-p", "text=" + "x" * 100_000)
        self.until("it has ended", lambda: self.ended_well("large"))
        self.until("the home is free", lambda: self.pawl(
            "run", self.job("other", [{"id": "a", "command": ["true"]}]), code=None).code == 0)
        self.assertIsNone(child.poll())
        out, _ = child.communicate(timeout=SECONDS)
        self.assertEqual(json.loads(out)["params"]["text"], "x" * 100_000)

    def ended_well(self, job):
        return self.pawl("runs", "--job", job, "--state", "succeeded", "-o", "name").out

    def test_a_program_ignores_no_signal(self):
        path = self.job("signals", [{"id": "a", "command": ["grep", "SigIgn", "/proc/self/status"],
                                     "output": "text"}])
        self.pawl("run", path)
        self.assertEqual(self.pawl("output", "@latest/a").out.split(), ["SigIgn:", "0" * 16])


class Logs(Sales):
    def test_of_an_attempt_its_bare_text(self):
        self.run_sales()
        item = f"{self.short}/query:1"
        text = "connecting to k2\ncannot reach warehouse 1\n"
        self.assertEqual(self.pawl("logs", item).out, text)
        self.assertEqual(self.pawl("logs", item + "#1").out, text)
        self.assertEqual(self.pawl("logs", f"{self.short}/query:key=k2").out, text)
        self.pawl("logs", item + "#3", code=3)

    def test_of_an_attempt_that_is_shown_its_own(self):
        self.run_sales()
        item = f"{self.short}/query:1"
        self.assertIn(f"pawl logs {item}\n", self.pawl("show", item).out)
        self.assertIn(f"pawl logs {item}#1\n", self.pawl("show", item + "#1").out)

    def test_of_a_silent_attempt_nothing(self):
        self.run_sales()
        done = self.pawl("logs", f"{self.short}/report")
        self.assertEqual((done.out, done.err), ("", ""))

    def test_of_a_run_every_line_with_its_task_in_front(self):
        self.run_sales()
        lines = self.pawl("logs", self.short).lines
        self.assertEqual(lines.count("query:0 | connecting to k1"), 1)
        self.assertEqual(lines.count("query:0#2 | connecting to k1"), 1)
        self.assertEqual(len([l for l in lines if l.startswith("query:")]), 10)
        self.assertEqual(self.pawl("logs", self.short, "--tail", "2").lines, lines[-2:])
        failed = self.pawl("logs", self.short, "--failed").lines
        self.assertEqual({l.split(" | ")[0] for l in failed},
                         {"query:0", "query:0#2", "query:1", "query:1#2"})
        raw = self.pawl("logs", self.short, "--raw").lines
        times = [re.search(r"\| (\S+Z) (stdout|stderr) ", line).group(1) for line in raw]
        self.assertEqual(times, sorted(times))

    def test_one_that_was_removed_is_told(self):
        self.run_sales()
        logs = [t["log"] for t in self.pawl("tasks", "--run", self.short, "--key", "*", "-o",
                                            "json").json() if t["log"]]
        Path(logs[0]).unlink()
        done = self.pawl("logs", self.short)
        self.assertIn("1 log is not there any more", done.err)
        self.assertIn(logs[0], done.err)
        for path in logs[1:]:
            Path(path).unlink()
        for follow in ([], ["-f"]):
            gone = self.pawl("logs", f"{self.short}/query:2", *follow, code=3)
            self.assertEqual(gone.out, "")
            self.assertIn("1 log is not there any more", gone.err)

    def test_follow_ends_with_the_run(self):
        gate = self.root / "gate"
        path = self.job("talk", [{"id": "a", "command": sh(
            f"echo one; until [ -e {gate} ]; do sleep 0.02; done; printf two")}])
        child = self.start("run", path)
        self.until("the run is there", lambda: self.pawl("runs", "--state", "running", "-o", "name").out)
        follower = self.start("logs", "@latest/a", "-f")
        self.assertEqual(follower.stdout.readline(), "one\n")
        gate.touch()
        self.assertEqual(follower.stdout.read(), "two")
        self.assertEqual(follower.wait(SECONDS), 0)
        child.wait(SECONDS)

    def test_output_is_what_the_task_gave(self):
        self.run_sales()
        self.assertEqual(self.pawl("output", f"{self.short}/list").json()[3], {"id": 4})
        lines = self.pawl("output", f"{self.short}/query", "-o", "jsonl").lines
        self.assertEqual([json.loads(l)["index"] for l in lines], [2, 3])
        self.assertEqual(json.loads(lines[0])["value"].strip(), "connecting to k3")
        self.pawl("output", f"{self.short}/report", code=3)
        self.pawl("output", self.short, code=2)

    def test_long_results_are_handed_on_whole(self):
        def python(text):
            return ["python3", "-c", "import json, os; long = 'x' * 100_000; " + text]

        path = self.job("long", [
            {"id": "list", "command": python("print(json.dumps([1, 2, long], indent=1))"),
             "output": "json"},
            {"id": "each", "map": {"items": "{{ tasks.list.output }}"}, "depends_on": ["list"],
             "command": python("print(long + os.environ['PAWL_MAP_INDEX'])"), "output": "text"},
            {"id": "lines", "map": {"items": [0, 1]}, "command": ["printf", "1\\n2\\n"],
             "output": "jsonl"},
            {"id": "end", "depends_on": ["each", "lines"], "output": "json",
             "env": {"EACH": "{{ tasks.each.output_file }}", "LINES": "{{ tasks.lines.output_file }}",
                     "SIZES": "{{ tasks.each.output.map(text, size(text)) }}"},
             "command": python("print(json.dumps([os.environ['SIZES']] + [[json.loads(line) for line "
                               "in open(os.environ[name])] for name in ('EACH', 'LINES')]))")}])
        self.pawl("run", path)
        sizes, each, lines = self.pawl("output", "@latest/end").json()
        self.assertEqual(each, ["x" * 100_000 + str(index) for index in range(3)])
        self.assertEqual(lines, [[1, 2], [1, 2]])
        self.assertEqual(json.loads(sizes), [100_001] * 3)

    def test_more_results_than_can_be_told_are_refused_and_their_files_are_named(self):
        ids = [f"t{n}" for n in range(17)]
        long = [{"id": id, "output": "text",
                 "command": ["python3", "-c", "print('x' * 1_048_000)"]} for id in ids]
        path = self.job("much", [*long, *(
            {"id": name, "depends_on": ids, "output": "text",
             "command": sh("cat $F0 $F16 | wc -c"),
             "env": {f"F{n}": f"{{{{ {of.format(n)} }}}}" for n in range(17)}}
            for name, of in (("values", "size(tasks.t{}.output)"),
                             ("files", "tasks.t{}.output_file")))])
        done = self.pawl("run", path, code=1)
        self.assertIn("too many to hand over: name the `output_file`", done.err)
        self.assertEqual(self.pawl("output", "@latest/files").out.strip(), str(2 * 1_048_000))

    def test_output_as_json_is_one_text(self):
        path = self.job("each", [
            {"id": "a", "command": ["echo", "[1]"], "output": "json"},
            {"id": "b", "command": ["echo", "{{ item }}"], "output": "text",
             "map": {"items": ["x", "y"]}}])
        self.pawl("run", path)
        self.assertEqual(self.pawl("output", "@latest/a", "-o", "json").json()["value"], [1])
        items = self.pawl("output", "@latest/b", "-o", "json").json()
        self.assertEqual([(o["index"], o["value"].strip()) for o in items], [(0, "x"), (1, "y")])

    def test_output_of_lines_ends_its_last_line_and_a_text_is_left_as_it_is(self):
        path = self.job("ends", [
            {"id": "lines", "command": ["printf", "1\\n2"], "output": "jsonl"},
            {"id": "text", "command": ["printf", "abc"], "output": "text"},
            {"id": "silent", "command": ["true"], "map": {"items": [1]}}])
        self.pawl("run", path, "-q")
        self.assertEqual(self.pawl("output", "@latest/lines").out, "1\n2\n")
        self.assertEqual(self.pawl("output", "@latest/text").out, "abc")
        self.assertIn("declares no `output`", self.pawl("output", "@latest/silent", code=3).err)


class Names(Sales):
    def test_any_unambiguous_part_and_latest_name_a_run(self):
        self.run_sales()
        for name in (self.run_id, self.short, self.short[:5], "@latest", "sales@latest"):
            self.assertEqual(self.pawl("show", name, "-o", "name").out.strip(), self.run_id, name)
        self.pawl("show", "zzzzzzzz", code=3)
        self.pawl("show", "other@latest", code=3)
        self.pawl("show", f"{self.short}/nothing", code=3)
        self.pawl("show", f"{self.short}/query:99", code=3)
        self.pawl("show", "///", code=2)

    def test_a_key_that_ends_as_an_attempt_does_can_be_named(self):
        path = self.job("keys", [{"id": "a", "command": ["echo", "{{ item }}"], "output": "text",
                                  "map": {"items": ["x", "x#2"], "key": "{{ item }}"}}])
        self.pawl("run", path)
        self.assertEqual(self.pawl("output", "@latest/a:key=x").out.strip(), "x")
        self.assertEqual(self.pawl("output", "@latest/a:key=x#2").out.strip(), "x#2")
        self.assertEqual(self.pawl("logs", "@latest/a:key=x#1").code, 0)

    def test_filters_choose(self):
        self.run_sales()
        ask = lambda *words: self.pawl("tasks", *words, "-o", "name").lines
        self.assertEqual(len(ask("--state", "failed", "--task", "query", "--key", "k*")), 2)
        self.assertEqual(len(ask("--reason", "exit")), 2)
        self.assertEqual(ask("--job", "nothing*"), [])
        self.assertEqual(len(ask("--since", "1h", "--limit", "3")), 3)
        self.assertEqual(ask("--until", "1h"), [])
        self.assertIn("--state", self.pawl("tasks", "--state", "fialed", code=2).err)
        self.assertIn("--since", self.pawl("tasks", "--since", "soon", code=2).err)
        self.pawl("tasks", "--reason", "because", code=2)


class WhatIsRefused(HomeTest):
    def test_verbs_that_look_make_no_home_and_name_the_one_they_mean(self):
        for verb in ("runs", "tasks", "attempts", "failed", "jobs", "status"):
            done = self.pawl(verb)
            self.assertIn(f"nothing has run in {self.home} yet", done.err)
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])
        self.pawl("show", "abc", code=3)
        self.assertFalse(self.home.exists())

    def test_an_invalid_file_and_wrong_parameters_make_no_home(self):
        self.write("bad.json", '{"name": "bad"}')
        self.pawl("run", "bad.json", code=2)
        self.pawl("run", "none.json", code=3)
        path = self.job("p", [{"id": "a", "command": ["true"]}], params={"n": {"type": "integer"}})
        self.pawl("run", path, "-p", "n=x", code=2)
        self.pawl("run", path, code=2)
        self.assertFalse(self.home.exists())

    def test_verbs_that_need_a_home_make_none(self):
        for words in (["prune"], ["trigger", "sales"]):
            self.assertIn("nothing has run in", self.pawl(*words, code=3).err)
        self.assertFalse(self.home.exists())

    def test_a_file_with_a_schedule_runs_by_hand(self):
        path = self.job("timed", [{"id": "a", "command": ["true"]}], timeout="1h",
                        schedule={"cron": "0 2 * * *", "timezone": "Europe/Berlin"})
        self.assertIn("succeeded timed", self.pawl("run", path).err)

    def test_a_skip_says_what_its_condition_saw(self):
        path = self.job("modes", [{"id": "a", "command": ["true"],
                                   "when": "params.mode == 'full' && run.trigger == 'manual'"}],
                        params={"mode": {"type": "string", "default": "delta"}})
        run = self.pawl("run", path).lines[0]
        self.assertEqual(self.pawl("explain", f"{run}/a").lines, [
            "skipped: when 'params.mode == 'full' && run.trigger == 'manual'' was false, "
            'mode is "delta", run.trigger is "manual"'])

    def test_a_task_that_wants_more_slots_than_the_concurrency_is_refused(self):
        path = self.job("wide", [{"id": "a", "command": ["true"], "pool": {"default": 2}}])
        self.assertIn("task a wants 2 slots of pool default",
                      self.pawl("run", path, "--concurrency", "1", code=2).err)
        self.pawl("run", path, "--concurrency", "2")

    def test_an_unknown_operator_and_wrong_parameters_are_errors_of_the_file(self):
        path = self.job("h", [{"id": "a", "operator": "slepe"}])
        self.assertIn('no operator "slepe"; did you mean "sleep"',
                      self.pawl("run", path, code=2).err)
        path = self.job("h", [{"id": "a", "operator": "sleep", "with": {"fro": "1s"}}])
        self.assertIn('unknown parameter "fro"', self.pawl("run", path, code=2).err)

    def test_a_home_that_cannot_be_used_is_73(self):
        self.write("file", "")
        path = self.job("a", [{"id": "a", "command": ["true"]}])
        self.pawl("--home", self.root / "file", "run", path, code=73)


class LargeRuns(HomeTest):
    def test_without_a_terminal_totals_and_what_went_wrong_are_told(self):
        tasks = [{"id": f"t{i}", "operator": "noop"} for i in range(300)]
        tasks[7] = {"id": "t7", "command": ["false"]}
        tasks += [{"id": "last", "depends_on": [t["id"] for t in tasks], "operator": "noop"}]
        done = self.pawl("run", self.job("wide", tasks), code=1)
        lines = done.err.splitlines()
        listed = [line.split() for line in lines if line.startswith("  t")]
        self.assertEqual({words[0] for words in listed}, {"t7"}, done.err)
        self.assertIn("  301 of 301 tasks · 1 failed", lines)
        end = next(line for line in lines if line.startswith("FAILED"))
        self.assertRegex(end, r": t7 failed, last upstream_failed$")
        self.assertTrue(any(re.search(r"go on +pawl resume \w+ +runs t7, then last; 299 finished stay$", line)
                            for line in lines), done.err)


class Upstreams(GateTest):
    def test_an_upstream_that_has_not_ended_is_told_of_as_it_is_when_an_item_starts(self):
        path = self.gated_job("early", [
            {"id": "fast", "command": ["true"]},
            self.gate("slow"),
            {"id": "each", "depends_on": ["fast", "slow"], "trigger_rule": "one_success",
             "map": {"items": [0, 1, 2], "max_concurrent": 1}, "output": "text",
             "env": {"SLOW": "{{ tasks.slow.state }}"},
             "command": sh(f"echo $SLOW; exec {self.gate_program} item 0")}])
        child = self.start("run", path)
        self.until_started("item")
        self.open_gates("slow")
        self.until("slow has ended", lambda: self.pawl(
            "tasks", "--task", "slow", "--state", "succeeded", "-o", "name").out)
        self.open_gates("item")
        self.assertEqual(child.wait(SECONDS), 0)
        told = [json.loads(line)["value"].strip()
                for line in self.pawl("output", "@latest/each", "-o", "jsonl").lines]
        self.assertEqual(told, ["running", "succeeded", "succeeded"])


class CtrlC(GateTest):
    def slow(self):
        path = self.gated_job("slow", [self.gate("a"), {"id": "b", "depends_on": ["a"],
                                                        "command": ["true"]}])
        child = self.start("run", path)
        self.until_started("a")
        return child

    def is_paused(self):
        return self.pawl("runs", "--state", "paused", "-o", "name").out

    def test_once_pauses_when_what_runs_has_ended(self):
        child = self.slow()
        child.send_signal(signal.SIGINT)
        self.until("it is paused", self.is_paused)
        self.open_gates("a")
        out, err = child.communicate(timeout=SECONDS)
        run = out.split()[0]
        self.assertEqual(child.returncode, 130, err)
        self.assertIn("nothing more starts", err)
        self.assertIn("the run is paused", self.pawl("explain", f"{run}/b").out)
        counts = self.pawl("status", "-o", "json").json()["open_tasks"]
        self.assertNotIn("succeeded", counts)
        self.assertRegex(err, rf"paused  slow {run[-6:]} after .* · 1 done\n  go on       pawl resume {run[-6:]}\n")
        self.assertEqual(self.pawl("runs", "-o", "json").json()[0]["state"], "paused")
        done = self.pawl("resume", run)
        self.assertIn("succeeded slow", done.err)
        self.assertEqual(len(self.pawl("attempts", run, "-o", "name").lines), 2)

    def test_again_cancels(self):
        path = self.job("long", [{"id": "a", "command": ["sleep", "300"]}])
        child = self.start("run", path)
        self.until("a runs", lambda: self.pawl("tasks", "--state", "running", "-o", "name").out)
        child.send_signal(signal.SIGINT)
        self.until("it is paused", self.is_paused)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 130, err)
        self.assertIn("CANCELLED", err)

    def test_it_is_meant_for_all_runs_of_the_command(self):
        self.open_gates("a", "b")
        old = [self.pawl("run", self.gated_job(f"job-{name}", [
            self.gate(name), {"id": "last", "depends_on": [name], "command": ["true"]}]),
            "-q").lines[0] for name in "ab"]
        for name in "ab":
            (self.gates / name).unlink()
        child = self.start("rerun", *old, "-y", "-o", "json")
        self.until("both have begun", lambda: len(self.noted("start")) == 4)
        child.send_signal(signal.SIGINT)
        self.until("both are paused", lambda: len(self.is_paused().split()) == 2)
        self.open_gates("a", "b")
        out, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 130, err)
        self.assertEqual([run["state"] for run in json.loads(out)], ["paused"] * 2)

    def test_a_hang_up_leaves_it_to_the_next_scheduler(self):
        child = self.slow()
        child.send_signal(signal.SIGHUP)
        out, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, 128 + signal.SIGHUP, err)
        run = out.split()[0]
        self.open_gates("a")
        done = self.pawl("resume", run)
        self.assertIn("succeeded slow", done.err)
        self.assertEqual(len(self.pawl("attempts", run, "-o", "name").lines), 2, "a ran once")


del GateTest  # or it would be run too

if __name__ == "__main__":
    cli_support.main()
