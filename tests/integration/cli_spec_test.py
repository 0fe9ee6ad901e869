#!/usr/bin/env python3
"""The verbs that need no home: help, validate, plan, eval, schema, graph of a file, version,
completion; and how wrong command lines are answered."""

import json
import shutil
import subprocess

import cli_support
from cli_support import HomeTest

SALES = {
    "name": "sales",
    "params": {"region": {"type": "string", "enum": ["jp", "us"], "default": "jp"}},
    "tasks": [
        {"id": "list", "command": ["echo", "{{ params.region }}"], "output": "text"},
        {"id": "query", "depends_on": ["list"], "map": {"items": [1, 2, 3]},
         "retry": {"max_attempts": 4, "delay": "60s"}, "command": ["true", "{{ item }}"]},
        {"id": "report", "depends_on": ["query"], "trigger_rule": "all_done", "script": "exit 0"},
    ],
}


class Help(HomeTest):
    def test_the_overview_names_every_verb_under_a_purpose(self):
        page = self.pawl("--help").out
        for title in ("Make work happen", "Look", "Change", "Write jobs", "Keep the home"):
            self.assertIn(f"\n{title}\n", page)
        for verb in ("run serve validate plan eval schema jobs job next trigger backfill pause "
                     "unpause runs tasks attempts failed show explain resume rerun cancel mark "
                     "dismiss logs output graph operators pools status backup restore prune doctor "
                     "version").split():
            self.assertRegex(page, rf"(?m)^  {verb} ")
            self.pawl(verb, "--help")
        self.assertEqual(self.pawl("help").out, page)
        self.assertEqual(self.pawl("-h").out, page)

    def test_both_ways_to_a_verbs_page_are_the_same_and_show_examples(self):
        page = self.pawl("help", "run").out
        self.assertEqual(self.pawl("run", "--help").out, page)
        self.assertEqual(self.pawl("run", "-h", "--nonsense").out, page)
        self.assertEqual(self.pawl("--help", "run").out, page)
        self.assertIn("usage: pawl run FILE", page)
        self.assertIn("pawl run sales.json", page)

    def test_without_a_verb_the_overview_goes_to_standard_error(self):
        done = self.pawl(code=2)
        self.assertEqual(done.out, "")
        self.assertIn("usage: pawl", done.err)

    def test_no_page_goes_beyond_a_hundred_columns(self):
        for verb in ("", "run", "failed", "tasks", "resume", "serve", "logs"):
            for line in self.pawl("help", *([verb] if verb else [])).lines:
                self.assertLessEqual(len(line), 100, line)


class WrongUsage(HomeTest):
    def test_a_typo_of_a_verb_is_met_with_the_nearest_one(self):
        done = self.pawl("stauts", code=2)
        self.assertEqual(done.err, "pawl: there is no verb 'stauts'. Did you mean pawl status?\n")
        self.assertIn("Did you mean pawl help run?", self.pawl("help", "rnu", code=2).err)
        self.assertIn("pawl run x.json", self.pawl("x.json", code=2).err)

    def test_a_wrong_option_shows_the_usage_of_its_verb(self):
        done = self.pawl("validate", "--strict", "x", code=2)
        self.assertIn("pawl: validate: there is no option '--strict'", done.err)
        self.assertIn("usage: pawl validate FILE…", done.err)
        self.assertIn("pawl: validate: FILE is missing", self.pawl("validate", code=2).err)
        self.assertIn("there is no option '--hoem'", self.pawl("--hoem", "x", "runs", code=2).err)

    def test_words_that_mean_nothing_together_show_the_usage_of_their_verb(self):
        for words in ("resume", "rerun", "cancel", "dismiss", "mark succeeded", "mark x", "mark x running",
                      "pause", "unpause", "backfill hello", "resume x --from a --only b",
                      "run x.json -p region", "trigger hello -p region", "trigger hello --for nope",
                      "backfill hello --from 2026-01-01 --to nope", "runs --state foo",
                      "tasks --reason bogus", "failed --since abc", "runs --label x",
                      "cancel --state foo", "cancel --job a --job b", "runs --state failed --state held",
                      "schema operator", "schema job x", "operators check", "operators check x --with {"):
            done = self.pawl(*words.split(), code=2)
            self.assertIn(f"pawl: {words.split()[0]}: ", done.err, words)
            self.assertIn(f"usage: pawl {words.split()[0]} ", done.err, words)

    def test_an_option_without_its_value_says_what_it_wants(self):
        self.assertIn("run: --param wants K=V behind it", self.pawl("run", "x.json", "-p", code=2).err)

    def test_hostile_words_are_shown_escaped(self):
        done = self.pawl("\x1b[2J", code=2)
        self.assertNotIn("\x1b", done.err)
        self.assertIn("\\x1b[2J", done.err)

    def test_nothing_of_this_makes_a_home(self):
        self.pawl("stauts", code=2)
        self.pawl("help")
        self.pawl("version")
        self.assertFalse(self.home.exists())


class Validate(HomeTest):
    def test_valid_files_are_met_with_silence(self):
        done = self.pawl("validate", self.job("a", [{"id": "t", "command": ["true"]}]))
        self.assertEqual((done.out, done.err), ("", ""))

    def test_every_error_of_every_file_is_told_with_its_place(self):
        self.write("bad.json", '{\n  "name": "bad",\n  "taks": [],\n  "tasks": []\n}\n')
        self.write("worse.json", "{")
        good = self.job("good", [{"id": "t", "command": ["true"]}])
        done = self.pawl("validate", "bad.json", good, "worse.json", code=2)
        self.assertEqual(done.out, "")
        self.assertRegex(done.err, r"(?m)^bad\.json:3:3: error: .*tasks")
        self.assertRegex(done.err, r"(?m)^worse\.json:\d+:\d+: error: ")
        self.assertNotIn("good.json", done.err)

    def test_standard_input_is_a_file_too(self):
        self.pawl("validate", "-", stdin=json.dumps(SALES))
        self.assertIn("standard input:", self.pawl("validate", "-", stdin="[]", code=2).err)

    def test_what_is_no_file_is_named(self):
        self.assertIn("there is no such file", self.pawl("validate", "none.json", code=3).err)
        self.assertIn("not a regular file", self.pawl("validate", "/dev/zero", code=2).err)
        self.assertIn("not a regular file", self.pawl("validate", self.root, code=2).err)


class Plan(HomeTest):
    def test_json_has_the_tasks_in_topological_order_with_all_settings(self):
        path = self.write("sales.json", SALES)
        plan = self.pawl("plan", path, "-o", "json").json()
        self.assertEqual(plan["job"], "sales")
        self.assertEqual(plan["params"], {"region": "jp"})
        self.assertEqual([t["id"] for t in plan["tasks"]], ["list", "query", "report"])
        self.assertEqual([t["level"] for t in plan["tasks"]], [0, 1, 2])
        listed, query, report = plan["tasks"]
        self.assertEqual(list(listed)[:6], ["id", "level", "operator", "depends_on",
                                            "trigger_rule", "retry_delays_seconds"])
        self.assertEqual(listed["command"], ["echo", "jp"])
        self.assertEqual(listed["operator"], "process")
        self.assertEqual(query["depends_on"], ["list"])
        self.assertEqual(query["retry_delays_seconds"], [60, 120, 240])
        self.assertNotIn("command", query)
        self.assertEqual(report["trigger_rule"], "all_done")
        self.assertEqual(report["retry_delays_seconds"], [])

    def test_a_date_is_a_parameter_like_others(self):
        path = self.job("day", [{"id": "a", "command": ["load", "{{ params.day }}"]}],
                        params={"day": {"type": "string", "format": "date"}})
        plan = self.pawl("plan", path, "-p", "day=2026-11-20", "-o", "json").json()
        self.assertEqual(plan["tasks"][0]["command"], ["load", "2026-11-20"])
        self.pawl("plan", path, "-p", "day=2026-11-31", code=2)

    def test_params_are_rendered_and_checked(self):
        path = self.write("sales.json", SALES)
        plan = self.pawl("plan", path, "-p", "region=us", "-o", "json").json()
        self.assertEqual(plan["tasks"][0]["command"], ["echo", "us"])
        self.pawl("plan", path, "-p", "region=mars", code=2)
        self.pawl("plan", path, "-p", "regoin=us", code=2)
        self.assertIn("write NAME=VALUE", self.pawl("plan", path, "-p", "region", code=2).err)
        for words in (["plan", path], ["run", path], ["trigger", "j"]):
            self.assertIn("-p region=us: region is given as 'jp', too, but takes one value",
                          self.pawl(*words, "-p", "region=jp", "-p", "region=us", code=2).err)
        self.pawl("plan", path, "-p", "region=jp", "-p", "region=jp")

    def test_people_read_the_same(self):
        page = self.pawl("plan", self.write("sales.json", SALES)).out
        self.assertIn("sales", page)
        self.assertIn("echo jp", page)
        self.assertEqual(self.pawl("plan", "sales.json", "-o", "name").lines,
                         ["list", "query", "report"])

    def test_an_invalid_file_is_refused(self):
        self.write("bad.json", '{"name": "bad", "tasks": [{"id": "a", "depends_on": ["a"]}]}')
        self.assertIn("not a valid job file", self.pawl("plan", "bad.json", code=2).err)


class Eval(HomeTest):
    def test_values_are_printed_as_json(self):
        for text, value in (("1 + 2", 3), ("'a' + \"b\"", "ab"), ("[1, 2, 3].filter(x, x > 1)", [2, 3]),
                            ("{'k': true}", {"k": True}), ("9223372036854775807", 2**63 - 1)):
            self.assertEqual(self.pawl("eval", text).json(), value, text)

    def test_the_context_is_a_file_or_standard_input(self):
        self.write("names.json", {"params": {"n": 4}})
        self.assertEqual(self.pawl("eval", "params.n * 2", "-c", "names.json").json(), 8)
        self.assertEqual(self.pawl("eval", "x", "--context", "-", stdin='{"x": [1]}').json(), [1])
        self.pawl("eval", "x", "-c", "-", stdin="[1]", code=2)

    def test_the_integers_of_the_context_keep_their_digits(self):
        for number in (2**53 + 1, 2**63 - 1, -2**63):
            done = self.pawl("eval", "x", "-c", "-", stdin=f'{{"x": {number}}}')
            self.assertEqual(done.out, f"{number}\n")
        done = self.pawl("eval", "x", "-c", "-", stdin='{"x": 123456789012345678901}', code=2)
        self.assertIn("the integer 123456789012345678901 needs more than 64 bits", done.err)

    def test_an_error_says_where(self):
        done = self.pawl("eval", "1 + ", code=2)
        self.assertEqual(done.out, "")
        self.assertRegex(done.err, r"^pawl: eval: at byte \d+: ")
        self.pawl("eval", "nonsense", code=2)
        self.pawl("eval", "1 / 0", code=2)


class Others(HomeTest):
    def test_the_schema_is_one_json_schema(self):
        schema = self.pawl("schema").json()
        self.assertIn("2020-12", schema["$schema"])
        self.assertEqual(self.pawl("schema", "job").json(), schema)
        self.pawl("schema", "moon", code=2)

    def test_the_graph_of_a_file_in_three_formats(self):
        path = self.write("sales.json", SALES)
        text = self.pawl("graph", path).out
        for task in ("list", "query", "report"):
            self.assertIn(task, text)
        graph = self.pawl("graph", path, "-o", "json").json()
        self.fields(graph, "job run tasks")
        self.assertEqual([(t["id"], t["depends_on"], t["state"]) for t in graph["tasks"]],
                         [("list", [], None), ("query", ["list"], None), ("report", ["query"], None)])
        self.assertEqual(self.pawl("graph", path, "-o", "name").lines, ["list", "query", "report"])
        self.assertEqual(self.pawl("graph", path, "-o", "wide").out, text)
        self.assertEqual(self.pawl("graph", path, "-o", "csv").lines[:2],
                         ["id,depends_on,trigger_rule,mapped,state",
                          "list,[],all_success,false,"])
        self.assertRegex(self.pawl("graph", path, "--format", "dot").out, r"(?s)digraph.*->.*\}")
        self.assertRegex(self.pawl("graph", path, "--format", "mermaid").out, r"(?s)(flowchart|graph) ")

    def test_the_version_tells_its_libraries(self):
        one = self.pawl("version", "-o", "json").json()
        self.fields(one, "version commit libraries")
        self.assertIn("SQLite", one["libraries"])
        self.assertEqual(self.pawl("--version").lines[0], self.pawl("version").lines[0])
        self.assertEqual(self.pawl("version", "-o", "name").out.strip(), one["version"])

    def test_the_completions_are_scripts_of_their_shells(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.pawl("completion", shell).out
            self.assertIn("resume", script)
            with self.subTest(shell=shell):
                if shutil.which(shell) is None:
                    self.skipTest(f"{shell} is not installed")
                subprocess.run([shell, "-n"], input=script, text=True, check=True)
        self.pawl("completion", "tcsh", code=2)

    def test_bash_completes_verbs_options_and_words(self):
        script = self.pawl("completion", "bash").out
        for words, expected in ((["pawl", "sta"], "status"), (["pawl", "run", "--con"], "--concurrency"),
                                (["pawl", "graph", "--format", "mer"], "mermaid"),
                                (["pawl", "help", "doc"], "doctor")):
            quoted = " ".join(f"'{word}'" for word in words)
            code = (f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
                    "_pawl; printf '%s\\n' \"${COMPREPLY[@]}\"")
            done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
            self.assertIn(expected, done.stdout.split(), done.stderr)

    def test_operators_are_listed_and_say_what_they_take(self):
        self.assertIn("process\n", self.pawl("operators", "-o", "name").out)
        schema = self.pawl("schema", "operator", "process").json()
        self.assertEqual(sorted(schema["properties"]),
                         ["command", "comment", "script", "shell", "skip_exit_codes", "stdin"])
        self.assertIn("Did you mean process?", self.pawl("schema", "operator", "proces", code=3).err)

    def test_a_full_standard_output_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([cli_support.PAWL, "schema"], stdout=full, env=self.env,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 74)


if __name__ == "__main__":
    cli_support.main()
