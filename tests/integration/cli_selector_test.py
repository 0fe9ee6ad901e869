#!/usr/bin/env python3
"""Every selector on every verb that changes: what it chooses, and that nothing is done by looking."""

import cli_support
from cli_support import HomeTest, SECONDS


def sh(text):
    return ["sh", "-c", text]


class Selecting(HomeTest):
    """Two runs of `sales` and one of `dump`, all failed: of `query` the items 1 and 3, `pg` as a
    whole."""

    def setUp(self):
        super().setUp()
        self.path = self.job("sales", [
            {"id": "query", "command": sh("test $PAWL_MAP_INDEX = 0 || test $PAWL_MAP_INDEX = 2"),
             "map": {"items": ["jp", "us", "eu", "uk"], "key": "{{ item }}"}},
            {"id": "report", "depends_on": ["query"], "command": ["true"]},
        ], labels={"team": "money"})
        self.other = self.job("dump", [{"id": "pg", "command": sh("exit 5")}])
        self.first = self.failed(self.path)
        self.second = self.failed(self.path)
        self.third = self.failed(self.other)

    def failed(self, path):
        return self.pawl("run", path, "-q", code=1).lines[0]

    def chosen(self, verb, *words, state=None):
        """The targets of a dry run, by their names without the date."""
        done = self.pawl(verb, *words, *([state] if state else []), "--dry-run", code=None)
        self.assertEqual(done.code, 4 if "refused:" in done.out else 0, done)
        self.assertRegex(done.lines[0], rf"^{verb} \d+ target")
        return [line.split()[0] for line in done.lines[1:] if not line.startswith("  and ")]

    @staticmethod
    def short(run, rest=""):
        return run.rsplit("-", 1)[1] + rest

    def history(self):
        return self.pawl("tasks", "--limit", "0", "-o", "json").out + self.pawl("runs", "-o", "json").out

    # What each selector means for verbs about runs, and for verbs about tasks.
    def runs_and_tasks(self):
        s = self.short
        a, b, c = self.first, self.second, self.third
        items = ["/query:1", "/query:3"]
        return [
            ([a], [s(a)], [s(a)]),
            ([s(a)], [s(a)], [s(a)]),
            ([a, a, s(a)], [s(a)], [s(a)]),
            (["@latest"], [s(c)], [s(c)]),
            (["sales@latest"], [s(b)], [s(b)]),
            (["--run", a], [s(a)], [s(a)]),
            ([f"{a}/query"], None, [s(a, "/query")]),
            ([f"{a}/query:3"], None, [s(a, "/query:3")]),
            ([f"{a}/query:key=uk"], None, [s(a, "/query:3")]),
            (["--job", "sales"], [s(b), s(a)], [s(b, i) for i in items] + [s(a, i) for i in items]),
            (["--job", "d*"], [s(c)], [s(c, "/pg")]),
            (["--task", "pg"], [s(c)], [s(c, "/pg")]),
            (["--key", "u?", "--run", a], [s(a)], [s(a, i) for i in items]),
            (["--reason", "exit", "--job", "dump"], [s(c)], [s(c, "/pg")]),
            (["--state", "failed", "--job", "dump"], [s(c)], [s(c, "/pg")]),
            (["--label", "team=money", "--run", b], [s(b)], [s(b, i) for i in items]),
            (["--since", "1h", "--job", "dump"], [s(c)], [s(c, "/pg")]),
            (["--until", "now", "--since", "1h", "--job", "dump"], [s(c)], [s(c, "/pg")]),
        ]

    def test_rerun_chooses_whole_runs(self):
        before = self.history()
        for words, runs, _ in self.runs_and_tasks():
            if runs is None:
                self.assertIn("repeats whole runs", self.pawl("rerun", *words, code=2).err)
            else:
                self.assertEqual(sorted(self.chosen("rerun", *words)), sorted(runs), words)
        self.assertEqual(self.history(), before)

    def test_mark_and_dismiss_choose_tasks(self):
        before = self.history()
        for words, _, tasks in self.runs_and_tasks():
            self.assertEqual(sorted(self.chosen("dismiss", *words)), sorted(tasks), words)
            if words[0].startswith("--") and "--key" not in words:  # the whole is chosen too
                tasks = {name.split(":")[0] for name in tasks}
            self.assertEqual(sorted(self.chosen("mark", *words, state="succeeded")), sorted(tasks),
                             words)
        self.assertEqual(self.history(), before)

    def test_a_mapped_task_that_is_chosen_means_its_items_that_never_started_too(self):
        self.home.joinpath("settings.json").write_text('{"pools": {"default": 1}}')
        items = list("abcdef")
        stopped = self.failed(self.job("stopped", [
            {"id": "m", "command": sh("exit 3"),
             "map": {"items": items, "key": "{{ item }}", "stop_after_failures": 1}}]))
        late = self.failed(self.job("late", [
            {"id": "m", "command": sh("test $PAWL_MAP_INDEX = 0 || exec sleep 600"),
             "map": {"items": items}}], timeout="1s"))

        def plan(*words):
            return self.pawl("resume", *words, "--dry-run").lines
        rows = self.pawl("tasks", stopped, "-o", "json").json()
        self.assertEqual([row["index"] for row in rows], [None, 0])
        for words in (["--task", "m"], ["--state", "failed"], ["--reason", rows[0]["reason"]]):
            self.assertEqual(plan("--job", "stopped", *words),
                             ["resume 1 target:", f"  {self.short(stopped)}/m  run 6 items"], words)
        for words in (["--key", "a"], ["--reason", "exit"], ["--task", "m", "--key", "?"]):
            self.assertEqual(plan("--job", "stopped", *words),
                             ["resume 1 target:", f"  {self.short(stopped)}/m  run 1 item"], words)
        self.assertEqual(plan("--reason", "run_timeout"), plan(late))
        self.pawl("mark", "--job", "stopped", "--state", "failed", "succeeded")
        self.assertIn("nothing of it failed", self.pawl("resume", stopped, "--dry-run", code=4).out)

    def test_resume_chooses_runs_or_what_of_them_is_named(self):
        before = self.history()
        for words, _, tasks in self.runs_and_tasks():
            # The plan shows what would run, which is more: the choice is in its title.
            done = self.pawl("resume", *words, "--dry-run")
            self.assertRegex(done.lines[0], r"^resume \d+ target")
            for name in tasks:
                self.assertIn(name.split("/")[0].split(":")[0], done.out, words)
            self.assertEqual("dump" in done.out or self.short(self.third) in done.out,
                             any(name.startswith(self.short(self.third)) for name in tasks), words)
        self.assertEqual(self.history(), before)

    def test_from_and_only_name_a_task_of_all_chosen_runs(self):
        plan = self.pawl("resume", "--job", "sales", "--only", "query", "--dry-run").out
        self.assertIn("resume 2 targets", plan)
        self.assertNotIn("report", plan)
        plan = self.pawl("resume", "--job", "sales", "--from", "report", "--dry-run").out
        self.assertIn(self.short(self.first, "/report"), plan)
        self.assertIn(self.short(self.second, "/report"), plan)
        for words in (["--task", "query"], ["--key", "us"], [f"{self.first}/query"]):
            self.assertIn("choose runs", self.pawl("resume", *words, "--only", "query", code=2).err)
        self.pawl("resume", "--job", "sales", "--only", "none-such", "-y", code=3)

    def test_states_of_tasks_choose_tasks(self):
        held = self.job("hold", [{"id": "a", "command": sh("kill -9 $PPID"), "on_interrupt": "hold"}])
        self.pawl("run", held, "-q", code=1)
        run = self.pawl("runs", "--job", "hold", "-o", "name").lines[0]
        for verb, state in (("dismiss", None), ("mark", "failed")):
            self.assertEqual(self.chosen(verb, "--state", "held", state=state), [self.short(run, "/a")])
        # It was tried once, although an attempt that ended without a word does not count.
        self.assertRegex(self.pawl("failed", run).lines[1], r" held +1/1 ")
        self.assertIn(self.short(run), self.pawl("resume", "--state", "held", "--dry-run").out)
        self.assertEqual(self.chosen("rerun", "--state", "held"), [self.short(run)])

    def test_cancel_chooses_what_is_open(self):
        slow = self.job("slow", [{"id": "wait", "command": ["sleep", "60"],
                                  "map": {"items": ["a", "b"], "key": "{{ item }}"}}])
        self.start("run", slow, "-q")
        run = self.until("both run", lambda: (
            len(self.pawl("tasks", "--job", "slow", "--state", "running", "--key", "?",
                          "-o", "name").lines) == 2 and
            self.pawl("runs", "--job", "slow", "-o", "name").lines[0]))
        s = self.short(run)
        for words, expected in (([run], [s]), (["--job", "*"], [s]), (["--state", "running"], [s]),
                                (["--task", "wait"], [s + "/wait"]),
                                (["--task", "wait", "--state", "running"],
                                 [s + "/wait:0", s + "/wait:1"]),
                                (["--key", "b"], [s + "/wait:1"]), ([f"{run}/wait:1"], [s + "/wait:1"])):
            self.assertEqual(sorted(self.chosen("cancel", *words)), expected, words)
        self.pawl("cancel", "--job", "*", "-y")
        self.until("it is cancelled", lambda: self.pawl(
            "show", run, "-o", "json").json()["state"] == "cancelled")
        self.assertIn("nothing matches", self.pawl("cancel", "--job", "*", "-y", code=3).err)

    def test_nothing_selected_nothing_matching_and_nobody_to_ask(self):
        for verb, state in (("resume", []), ("rerun", []), ("cancel", []), ("dismiss", []),
                            ("mark", ["succeeded"])):
            self.assertIn("nothing is selected", self.pawl(verb, *state, code=2).err)
            self.assertIn("nothing is selected", self.pawl(verb, *state, "-y", code=2).err)
            self.assertIn("nothing matches", self.pawl(verb, "--job", "no-*", *state, "-y", code=3).err)
            self.pawl(verb, "20200101-000000-zzzzzz", *state, code=3)
        before = self.history()
        for verb, state in (("resume", []), ("rerun", []), ("dismiss", []), ("mark", ["skipped"])):
            done = self.pawl(verb, "--job", "sales", *state, code=2)
            self.assertIn("Say -y", done.err)
        self.assertEqual(self.history(), before)

    def test_a_person_is_asked_and_may_say_no(self):
        before = self.history()
        with self.on_a_terminal("dismiss", "--job", "*") as person:
            said = person.read_until(b"[y/N]")
            person.say("n")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)
        self.assertIn(b"dismiss 5 targets", said)
        self.assertEqual(self.history(), before)

    def test_while_a_question_is_open_the_home_is_everybodys_and_what_was_agreed_to_is_done(self):
        with self.on_a_terminal("resume", "--job", "sales") as person:
            self.assertIn(b"run 2 items", person.read_until(b"[y/N]"))
            # Another command is the scheduler meanwhile, and what would happen is not the same.
            self.pawl("mark", f"{self.first}/query:3", "succeeded")
            person.say("y")
            said = person.read_until(b"[y/N]")
            self.assertIn(b"something else would happen by now", said)
            self.assertIn(b"run 1 item\r\n", said)
            person.say("n")
            self.assertEqual(person.process.wait(timeout=SECONDS), 0)
        self.assertEqual({run["state"] for run in
                          self.pawl("runs", "--job", "sales", "-o", "json").json()}, {"failed"})
        # What cannot be done any more is no reason to ask again.
        with self.on_a_terminal("dismiss", "--job", "*") as person:
            person.read_until(b"[y/N]")
            self.pawl("dismiss", f"{self.third}/pg")
            person.say("y")
            self.assertEqual(person.process.wait(timeout=SECONDS), 4)
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])

    def test_what_cannot_be_done_is_refused_with_its_reason(self):
        ended = f"it is failed. It goes on with pawl resume {self.short(self.third)}"
        for words, why in ((["cancel", self.third], ended), (["pause", self.third], ended),
                           (["mark", self.third, "succeeded"], "name a task"),
                           (["mark", f"{self.third}/pg", "failed"], "failed already"),
                           (["dismiss", f"{self.first}/report"], "nothing failed or held")):
            done = self.pawl(*words, code=None)
            self.assertIn(why, done.err, words)
            self.assertEqual(done.code, 0 if why == "failed already" else 4, words)

    def test_a_plan_says_what_will_be_refused(self):
        for words, why in ((["cancel", self.third], "the run has ended"),
                           (["mark", self.third, "skipped"], "name a task")):
            self.assertIn(f"refused: {why}", self.pawl(*words, "--dry-run", code=4).out)

    def test_one_yes_applies_all_of_it(self):
        self.pawl("dismiss", "--job", "*", "-y")
        self.assertEqual(self.pawl("failed", "-o", "json").json(), [])
        self.pawl("mark", "--job", "sales", "--key", "u*", "succeeded", "-y")
        self.assertEqual({run["state"] for run in self.pawl("runs", "--job", "sales", "-o", "json").json()},
                         {"succeeded"})

    def test_failures_that_are_the_same_but_for_names_are_one_group(self):
        noisy = self.job("noisy", [
            {"id": "get", "map": {"items": [3, 7, 4711]},
             "command": sh("echo cannot read /data/$PAWL_ITEM/x.csv of wh-0$PAWL_ITEM after "
                           "${PAWL_ITEM}ms >&2; exit 1")},
        ])
        self.pawl("run", noisy, "-q", code=1)
        groups = self.pawl("failed", "--by", "error", "--job", "noisy", "-o", "json").json()
        self.assertEqual(len(groups), 1, groups)
        self.fields(groups, "error count held runs first_at last_at example")
        self.assertEqual((groups[0]["count"], groups[0]["runs"]), (3, 1))
        run = groups[0]["example"].split("/")[0]
        # What is settled is not counted any more.
        self.pawl("dismiss", f"{run}/get:0")
        self.assertEqual(self.pawl("failed", "--by", "error", "--job", "noisy", "-o", "json").json()[0]["count"], 2)
        self.pawl("mark", f"{run}/get:1", "succeeded")
        self.assertEqual(self.pawl("failed", "--by", "error", "--job", "noisy", "-o", "json").json()[0]["count"], 1)


if __name__ == "__main__":
    cli_support.main()
