"""Operators of plugins through the real program: what they may do, and what they cannot break."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import cli_support
from cli_support import HomeTest
from warm_program import warm_program


def words_of(process):
    """The first word of a process by its folder in /proc; of other folders none."""
    try:
        return (process / "cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return b""


def is_host_of_faulty(pid):
    """False also of one that has ended since it was listed."""
    try:
        return b"faulty.so" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def name_of(process):
    """The name that a process gave to itself, by its folder in /proc; of one that has ended none."""
    try:
        text = (process / "stat").read_text()
        return "" if ") Z " in text else text[text.index("(") + 1:text.rindex(")")]
    except OSError:
        return ""


class PluginTest(HomeTest):
    def setUp(self):
        super().setUp()
        self.put_library("PAWL_FAULTY_PLUGIN")

    def task(self, name, operator, **more):
        return {"id": name, "operator": operator, **more}

    def run_of(self, tasks, code=0, **more):
        return self.pawl("run", self.job("j", tasks, **more), code=code)

    def row(self, task, run="@latest"):
        rows = self.pawl("tasks", run, "-o", "json").json()
        return next((r for r in rows if r["task"] == task and r["index"] is None), None)

    def attempts(self, task, run="@latest"):
        rows = self.pawl("attempts", run, "-o", "json", "--limit", 0).json()
        return sorted((r for r in rows if r["task"] == task), key=lambda r: r["attempt"])


class WhatOperatorsMayDo(PluginTest):
    def test_an_exception_is_the_error_of_the_attempt(self):
        self.run_of([self.task("a", "thrower")], code=1)
        attempt = self.attempts("a")[0]
        self.assertEqual((attempt["reason"], attempt["error"]["class"], attempt["error"]["message"]),
                         ("error", "std::out_of_range", "no such row"))

    def test_whatever_the_constructor_of_an_operator_throws_is_the_error_of_its_attempts(self):
        self.run_of([self.task("a", "stillborn")], code=1)
        attempt = self.attempts("a")[0]
        self.assertEqual((attempt["reason"], attempt["error"]["message"]), (
            "error", "the operator's constructor threw something that is no std::exception"))

    def test_what_comes_after_the_end_changes_nothing(self):
        self.run_of([self.task("a", "chatter", output="json")])
        self.assertEqual(self.pawl("logs", "@latest/a").out, "first\n")
        self.assertEqual(self.pawl("output", "@latest/a").out.strip(), "1")

    def test_a_deferred_attempt_goes_on_with_its_state_and_stays_one_attempt(self):
        self.run_of([self.task("a", "counter", output="json")])
        self.assertEqual(self.pawl("output", "@latest/a").out.strip(), '"xxx"')
        self.assertEqual([a["attempt"] for a in self.attempts("a")], [1])

    def test_what_works_on_the_loop_has_its_part_of_the_cpu_time(self):
        self.run_of([self.task("a", "burner", map={"items": list(range(20))})])
        used = [a["cpu_seconds"] for a in self.attempts("a")]
        self.assertEqual(len(used), 20)
        self.assertGreater(min(used), 0)
        self.assertGreater(sum(used), 20 * 0.0019)  # each computes for two milliseconds
        self.assertLess(sum(used), 2)

    def test_what_has_its_host_for_itself_has_its_memory(self):
        self.run_of([self.task("large", "filler"),
                     self.task("small", "toiler", depends_on=["large"])])
        large, small = (self.attempts(name)[0]["peak_memory_bytes"] for name in ("large", "small"))
        self.assertGreater(large, 200 << 20)
        self.assertGreater(small, 0)
        self.assertLess(small, large - (150 << 20))

    def test_of_what_is_too_short_for_a_look_a_bound_of_its_memory_is_told(self):
        self.run_of([{"id": "a", "operator": "noop"}])
        attempt = self.attempts("a")[0]
        self.assertGreater(max(attempt["peak_memory_bytes"] or 0,
                               attempt["memory_bound_bytes"] or 0), 1 << 20)

    def test_what_shares_its_host_took_no_more_than_the_host_had(self):
        tasks = [self.task("first", "patient"), self.task("second", "filler"),
                 {"id": "go", "command": ["touch", "go"], "depends_on": ["second"]}]
        self.pawl("run", self.job("j", tasks), "--concurrency", 3)
        for name in ("first", "second"):
            attempt = self.attempts(name)[0]
            self.assertIsNone(attempt["peak_memory_bytes"], name)
            self.assertGreater(attempt["memory_bound_bytes"], 200 << 20, name)
        self.assertIn("≤", self.pawl("attempts").out)

    def test_a_secret_is_masked_in_log_and_error_and_is_nowhere_in_the_home(self):
        secret = "canary-7f31c0de-secret"
        self.env["TOKEN_OF_TEST"] = secret
        self.run_of([self.task("a", "leaky", **{"with": {"token": "{{ secrets.TOKEN }}"}})], code=1,
                    secrets={"TOKEN": {"env": "TOKEN_OF_TEST"}})
        self.assertEqual(self.pawl("logs", "@latest/a").out, "token ***\n")
        error = self.attempts("a")[0]["error"]
        self.assertEqual((error["message"], error["trace"]), ("cannot log in with ***", "trace\n***"))
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_a_secret_where_the_operator_takes_none_is_an_error_of_the_file(self):
        done = self.run_of([self.task("a", "leaky", **{"with": {"plain": "{{ secrets.TOKEN }}"}})],
                           code=2, secrets={"TOKEN": {"env": "X"}})
        self.assertIn("takes no secrets here", done.err)

    def test_a_time_out_and_a_cancel_end_an_operator_that_listens(self):
        self.run_of([self.task("a", "obedient", timeout="200ms")], code=1)
        self.assertEqual(self.row("a")["reason"], "timeout")
        self.assertEqual(self.pawl("logs", "@latest/a").out, "waiting\n")
        # It claims success, which comes too late: what counts is that it was to end.
        running = self.start("run", self.job("second", [self.task("b", "obedient")]))
        run = running.stdout.readline().split()[0]
        self.until("it waits", lambda: self.pawl("logs", f"{run}/b", code=None).out == "waiting\n")
        self.pawl("cancel", run, "-y")
        running.communicate()
        self.assertEqual((self.row("b", run)["state"], self.row("b", run)["reason"]),
                         ("cancelled", "cancelled"))
        self.assertEqual([a["state"] for a in self.attempts("b", run)], ["cancelled"])


class HowManyHosts(PluginTest):
    def hosts_of(self, operator):
        """How many hosts 600 attempts of two milliseconds each had, forty at a time."""
        task = self.task("a", operator, map={"items": list(range(600))})
        self.pawl("run", self.job("j", [task]), "--concurrency", 40)
        return len({a["worker"] for a in self.attempts("a")})

    def setUp(self):
        super().setUp()
        settings = {"hosts": {"per_library": 2}}
        (self.home / "settings.json").write_text(json.dumps(settings))

    def test_a_loop_that_is_full_shares_what_follows_with_another_host(self):
        self.until_shared()

    def until_shared(self):
        """Full is a loop that computes most of the time: not while others have the processors."""
        self.until("a loop is full", lambda: self.hosts_of("burner") == 2)

    def test_work_on_threads_has_one_host(self):
        self.assertEqual(self.hosts_of("toiler"), 1)

    def test_a_smaller_number_holds_for_those_that_are_up(self):
        serve = self.start("serve")
        self.until("the scheduler is up", lambda: self.is_served_by(serve))
        self.until_shared()
        (self.home / "settings.json").write_text('{"hosts": {"per_library": 1}}')
        serve.send_signal(signal.SIGHUP)
        self.until("the setting holds for those that are up", lambda: len(self.hosts_up()) <= 1)
        self.assertEqual(self.hosts_of("burner"), 1)

    def hosts_up(self):
        workers = self.pawl("status", "-o", "json").json()["scheduler"]["workers"]
        return [w for w in workers if w["state"] == "up" and is_host_of_faulty(w["pid"])]


class Recycled(PluginTest):
    def test_a_host_that_has_had_enough_attempts_ends_them_and_a_fresh_one_follows(self):
        (self.home / "settings.json").write_text('{"hosts": {"recycle_after": 3}}')
        count = 10
        self.run_of([self.task("a", "burner", map={"items": list(range(count)),
                                                   "max_concurrent": 1})])
        attempts = self.attempts("a")
        # Each once, and none of them lost on the way from one host to the next.
        self.assertEqual([(a["index"], a["state"]) for a in sorted(attempts, key=lambda a: a["index"])],
                         [(i, "succeeded") for i in range(count)])
        hosts = [a["worker"] for a in attempts]
        # One may have been on its way when the host had enough.
        self.assertLessEqual(max(map(hosts.count, hosts)), 4)
        self.assertGreaterEqual(len(set(hosts)), 3)


class WhatOperatorsCannotBreak(PluginTest):
    def test_what_a_library_has_started_ends_with_its_host_before_anything_begins_again(self):
        self.run_of([self.task("a", "parent", on_interrupt="fail")], code=1)
        self.assertEqual(self.row("a")["reason"], "lost")
        # Its first word is the key of its attempt.
        run = self.pawl("runs", "-o", "name").lines[0].encode()
        left = [words for words in map(words_of, Path("/proc").iterdir()) if run in words]
        self.assertEqual(left, [])

    def test_what_a_library_has_forked_keeps_nobody_from_seeing_that_the_host_is_dead(self):
        self.run_of([self.task("a", "split", on_interrupt="fail", timeout="20s")], code=1)
        self.assertEqual(self.row("a")["reason"], "lost")
        run = self.pawl("runs", "-o", "name").lines[0]
        names = [name_of(process) for process in Path("/proc").iterdir()]
        self.assertEqual([name for name in names if name and run.endswith(name)], [])

    def test_a_crash_is_lost_and_held_as_poison_after_three_times_and_hurts_nobody_else(self):
        for how in ("abort", "exit", "segv"):
            self.run_of([self.task("a", "crash", **{"with": {"how": how}},
                                   retry={"max_attempts": 9, "delay": "0s"}),
                         {"id": "b", "command": ["true"]}], code=1)
            row = self.row("a")
            self.assertEqual((row["state"], row["reason"]), ("held", "poison"))
            self.assertEqual([a["state"] for a in self.attempts("a")], ["lost"] * 3)
            for attempt in self.attempts("a"):
                self.assertEqual(attempt["error"]["trace"],
                                 "the worker's log ends with:\nno chunk of that size\n")
            self.assertEqual(self.row("b")["state"], "succeeded")

    def test_what_a_thread_said_before_it_crashed_its_host_is_in_the_log(self):
        self.run_of([self.task("a", "crash_late")], code=1)
        self.assertEqual(self.attempts("a")[0]["state"], "lost")
        self.assertEqual(self.pawl("logs", "@latest/a").lines, [f"line {i}" for i in range(100)])

    def test_who_crashes_the_host_is_named_and_the_others_are_no_suspects(self):
        for how, words in (("abort", "crashed with SIGABRT"), ("leave", "called exit()"),
                           ("segv", "crashed with SIGSEGV")):
            go = self.write(f"{how}/began", "").with_name("go")
            again = {"max_attempts": 9, "delay": "0s"}
            running = self.start("run", self.job(how, [
                self.task("waits", "patient", working_dir=str(go.parent), retry=again),
                self.task("a", "crash", **{"with": {"how": how}}, retry=again)]))
            run = running.stdout.readline().split()[0]
            self.until("it is held", lambda: (self.row("a", run) or {}).get("reason") == "poison")
            go.touch()
            running.communicate()
            self.assertEqual([(a["state"], a["error"]["message"]) for a in self.attempts("a", run)],
                             [("lost", f"its operator {words}, which ended the whole host")] * 3)
            *before, last = self.attempts("waits", run)
            self.assertEqual(last["state"], "succeeded")
            for attempt in before:
                self.assertEqual((attempt["state"], attempt["error"]["message"]),
                                 ("interrupted",
                                  f"another attempt of its host {words}, which ended both"))

    def lost(self, operator, **more):
        """What is told of an attempt that was lost with its host."""
        self.run_of([self.task("a", operator, on_interrupt="fail", **more)], code=1)
        attempt = self.attempts("a")[0]
        self.assertEqual(attempt["state"], "lost")
        return attempt["error"]["message"]

    def test_a_crash_on_a_thread_of_no_attempt_is_told_as_what_it_was(self):
        for how, signal_name in (("segv", "SIGSEGV"), ("terminate", "SIGABRT"),
                                 ("post", "SIGABRT")):
            self.assertEqual(self.lost("crash_beside", **{"with": {"how": how}}),
                             f"a thread of its host that worked for no attempt crashed with "
                             f"{signal_name}, which ended the whole host")

    def test_an_operator_that_crashes_when_it_is_opened_is_named(self):
        self.assertEqual(self.lost("crash_unmade"),
                         "its operator crashed with SIGSEGV, which ended the whole host")

    def test_what_a_killed_host_had_begins_again_together(self):
        """A hundred that last as long as they like: 64 at once, the others five seconds later."""
        running = self.start("run", "--concurrency", 100, self.job("many", [
            self.task("a", "patient", map={"items": list(range(100))}, output="json",
                      retry={"max_attempts": 2, "delay": "0s"})]))
        run = running.stdout.readline().split()[0]

        def live(number):
            return [r for r in self.attempts("a", run)
                    if r["attempt"] == number and r["state"] == "running"]

        self.until("all run", lambda: len(live(1)) == 100)
        for worker in (self.home / "workers").iterdir():
            pid = int((worker / "lock").read_text().split()[1])
            if b"faulty.so" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        self.until("most run again", lambda: len(live(2)) >= 64)
        self.write("go", "")
        running.communicate()
        self.assertEqual(running.returncode, 0)
        states = sorted(a["state"] for a in self.attempts("a", run))
        self.assertEqual(states, ["lost"] * 100 + ["succeeded"] * 100)

    def test_an_innocent_beside_one_that_crashes_is_run_again_and_never_poison(self):
        self.write("go", "")
        self.run_of([self.task("a", "crash", retry={"max_attempts": 9, "delay": "0s"}),
                     self.task("b", "patient", retry={"max_attempts": 9, "delay": "0s"},
                               output="json")], code=1)
        self.assertEqual(self.row("a")["reason"], "poison")
        self.assertEqual(self.row("b")["state"], "succeeded")

    def test_one_that_does_not_listen_ends_with_its_host_and_keeps_its_reason(self):
        self.run_of([self.task("a", "deaf", timeout="100ms", kill_grace="100ms")], code=1)
        row = self.row("a")
        self.assertEqual((row["state"], row["reason"]), ("failed", "timeout"))
        self.assertEqual(len(self.attempts("a")), 1)

    def test_a_handle_leads_the_next_attempt_to_what_the_lost_one_began(self):
        self.run_of([self.task("a", "remote", output="json",
                               retry={"max_attempts": 3, "delay": "0s"})])
        self.assertEqual(self.pawl("output", "@latest/a").out.strip(), '"job-17"')
        self.assertEqual([a["state"] for a in self.attempts("a")], ["lost", "succeeded"])

    def test_a_killed_scheduler_leaves_operators_running_and_the_next_one_has_their_results(self):
        path = self.job("j", [self.task("a", "patient", output="json")])
        child = self.start("run", path)
        self.until("it runs", lambda: self.home.joinpath("workers").exists() and any(
            r["state"] == "running" for r in self.pawl("tasks", "-o", "json").json()))
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.write("go", "")
        self.pawl("resume", "@latest", "-y", code=None)
        self.until("it has ended", lambda: self.row("a")["state"] == "succeeded")
        self.assertEqual([a["state"] for a in self.attempts("a")], ["succeeded"])

    def test_after_a_restart_new_attempts_have_the_plugin_as_it_is_now(self):
        plugins = self.home / "plugins"
        (plugins / "told.sh").write_text(warm_program(f"""  touch {self.root}/$1
  until test -e {self.root}/go; do sleep 0.01; done
  printf '{{"type":"finish","attempt":%s,"outcome":"succeeded","output":"%s"}}\\n' $attempt $1
"""))
        (plugins / "told.sh").chmod(0o700)

        def put(word):
            (plugins / "told.json").write_text(json.dumps({"command": ["./told.sh", word]}))

        def serve():
            child = self.start("serve")
            self.until("it serves", lambda: f'"pid": {child.pid}' in self.pawl(
                "status", "-o", "json", code=None).out)
            return child

        def begun(word):
            job = self.job(word, [self.task("a", "told", output="json")])
            run = self.pawl("run", job, "--detach").lines[0]
            self.until(f"{word} has begun", (self.root / word).exists)
            return run
        put("old")
        first = serve()
        runs = [begun("old")]
        first.kill()
        first.wait()
        put("new")
        serve()
        runs.append(begun("new"))
        self.write("go", "")
        self.until("both have ended", lambda: [self.row("a", run)["state"] for run in runs] == [
            "succeeded", "succeeded"])
        self.assertEqual([self.pawl("output", f"{run}/a").out.strip() for run in runs],
                         ['"old"', '"new"'])

    def test_a_plugin_that_is_put_back_has_what_waits_for_it_and_what_comes(self):
        self.put_program("answers", warm_program(
            """  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' $attempt\n"""))
        manifest = self.plugins() / "answers.json"
        serve = self.start("serve")
        self.until("it serves", lambda: self.is_served_by(serve))
        path = self.job("j", [
            {"id": "hold", "command": ["sh", "-c", f"until test -e {self.root}/go; do sleep 0.01; done"]},
            {"id": "a", "operator": "answers", "depends_on": ["hold"]}])
        first = self.pawl("run", path, "--detach").lines[0]
        text = manifest.read_text()
        manifest.unlink()
        serve.send_signal(signal.SIGHUP)
        self.until("the scheduler does not know it any more", lambda: self.pawl(
            "run", self.job("k", [{"id": "b", "operator": "answers"}]), "--detach", code=None).code)
        self.write("go", "")
        explained = self.until("its task waits", lambda: next(
            (line for line in self.pawl("explain", f"{first}/a").lines if "answers" in line), ""))
        self.assertIn("its plugin is missing", explained)
        manifest.write_text(text)
        serve.send_signal(signal.SIGHUP)
        self.until("its task has run", lambda: self.row("a", first)["state"] == "succeeded")
        self.pawl("run", path)

    def test_who_misses_a_plugin_that_was_added_later_is_told_how_the_scheduler_takes_it_up(self):
        serve = self.start("serve")
        self.until("it serves", lambda: self.is_served_by(serve))
        self.put_program("added", warm_program(
            """  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' $attempt\n"""))
        path = self.job("j", [{"id": "a", "operator": "added"}])
        advice = (r'there is no operator "added".* added since is taken up with SIGHUP '
                  rf"\(kill -HUP {serve.pid}, or systemctl reload pawl\)")
        self.assertRegex(self.pawl("run", path, "--detach", code=2).err, advice)
        serve.send_signal(signal.SIGHUP)
        self.until("it takes it up", lambda: self.pawl("run", path, "--detach", code=None).code == 0)
        # The advice holds for the next one.
        other = self.job("k", [{"id": "a", "operator": "added_next"}])
        self.put_program("added_next", "#!/bin/sh\n")
        self.assertRegex(self.pawl("run", other, "--detach", code=2).err, advice.replace("\"added", "\"added_next"))

    def test_a_plugin_of_another_version_of_the_interface_is_left_out_and_says_what_to_do(self):
        shutil.copy(os.environ["PAWL_OTHER_VERSION_PLUGIN"], self.home / "plugins" / "newer.so")
        done = self.pawl("run", self.job("j", [{"id": "a", "command": ["true"]}]))
        self.assertIn("newer.so", done.err)
        self.assertIn("build it anew", done.err)

    def test_an_end_without_a_result_is_a_failure_for_good(self):
        self.put_library("PAWL_NO_RESULT_PLUGIN")
        self.run_of([self.task("a", "flawed", retry={"max_attempts": 3, "delay": "0s"})], code=1)
        attempts = self.attempts("a")
        self.assertEqual([a["reason"] for a in attempts], ["permanent"])
        self.assertEqual(attempts[0]["error"]["message"], "the operator ended without a result")

    def test_a_plugin_that_is_gone_when_it_is_needed_fails_what_needs_it(self):
        # It is read when the run begins, and needed when its first task does.
        path = self.job("j", [
            {"id": "take", "command": ["rm", str(self.home / "plugins" / "faulty.so")]},
            self.task("a", "thrower", depends_on=["take"])])
        self.pawl("run", path, code=1)
        self.assertEqual(self.row("a")["reason"], "spawn")
        self.assertIn("faulty.so", self.attempts("a")[0]["error"]["message"])

    def loads(self):
        """How often a library of plugins/loaded.c was loaded since this was asked last."""
        path = Path(self.env.setdefault("LOADS_OF_TEST", str(self.root / "loads")))
        count = len(path.read_text().splitlines()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return count

    def test_a_library_that_prints_when_it_is_loaded_is_an_operator_and_is_asked_once(self):
        self.put_library("PAWL_PRINTS_PLUGIN")
        self.loads()
        self.run_of([{"id": "a", "command": ["true"]}])
        self.assertEqual(self.loads(), 1)
        self.run_of([self.task("a", "loaded")])

    def test_a_library_that_harms_the_process_that_loads_it_is_left_out_and_named(self):
        for name, harm in (("crashes", "crashed when it was loaded (signal 6)"),
                           ("exits", "ended its process when it was loaded (code 0)"),
                           ("crashes_last", "crashed at the end of its process (signal 6)")):
            self.put_library(f"PAWL_{name.upper()}_PLUGIN")
            self.assertIn(f"{name}.so: {harm}: this plugin is left out", self.pawl("operators").err)

    def test_a_library_whose_hosts_do_not_come_up_is_named_with_their_last_words(self):
        self.put_library("PAWL_CRASHES_IN_HOSTS_PLUGIN")
        child = self.start("run", self.job("j", [self.task("a", "loaded")]))
        told = next((line for line in child.stderr if "do not come up" in line), "nothing")
        self.assertIn("crashes_in_hosts.so: the processes that load it do not come up, 3 in a row; "
                      'the last one crashed with SIGABRT and said "no licence". Its operators wait, '
                      "and it is tried again", told)
        self.assertIn("the scheduler's log says why", self.pawl("explain", "@latest/a").out)
        self.pawl("cancel", "@latest", "--yes", code=None)
        child.send_signal(signal.SIGTERM)
        child.communicate()

    def test_what_a_library_leaves_running_when_it_is_loaded_holds_up_nobody(self):
        self.put_library("PAWL_LEAVES_PLUGIN")
        begun = time.monotonic()
        self.assertIn("loaded", self.pawl("operators").out)
        self.assertLess(time.monotonic() - begun, 20)

    def test_of_two_libraries_with_operators_of_one_name_the_first_has_it(self):
        self.put_library("PAWL_PRINTS_PLUGIN")
        plugins = self.home / "plugins"
        shutil.copy(plugins / "prints.so", plugins / "again.so")
        done = self.run_of([self.task("a", "loaded")])
        self.assertIn(f"{plugins}/prints.so: there is an operator loaded already; this one is left "
                      "out", done.err)
        listed = self.pawl("operators", "-o", "json").json()
        self.assertEqual([one["from"] for one in listed if one["operator"] == "loaded"],
                         [str(plugins / "again.so")])

    def test_what_is_no_file_is_left_out_at_once_and_a_link_to_a_file_is_one(self):
        plugins = self.home / "plugins"
        for name in ("fifo.so", "fifo.json"):
            os.mkfifo(plugins / name)
        (plugins / "folder.so").mkdir()
        plugins.rename(self.home / "elsewhere")
        plugins.mkdir()
        for path in (self.home / "elsewhere").iterdir():
            (plugins / path.name).symlink_to(path)
        begun = time.monotonic()
        done = self.pawl("operators")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertIn("thrower", done.out)
        for name in ("fifo.so", "fifo.json", "folder.so"):
            self.assertIn(f"{plugins}/{name}: is no file, and no link to one: this plugin is left out",
                          done.err)

    def test_a_plugin_that_cannot_be_loaded_is_left_out_and_named(self):
        (self.home / "plugins" / "broken.so").write_text("no library\n")
        done = self.pawl("run", self.job("j", [{"id": "a", "command": ["true"]}]))
        self.assertIn("broken.so", done.err)


if __name__ == "__main__":
    cli_support.main()
