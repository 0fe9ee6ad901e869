#!/usr/bin/env python3
"""Plugins that block, leak, flood and starve, through the real program: what they do wrong ends at
most their host and its attempts.

    plugin_faults_test.py --pawl PATH [unittest arguments]

The plugin is plugins/faulty.cpp. Quicker misdeeds of it are in host_test.py."""

import contextlib
import json
import shutil
import time

import cli_support
import sanitizers
from gate_support import GateTest, most_memory_of
from warm_program import warm_program

# Pours a gigabyte onto one of its streams, then says that it has ended.
GUSH = warm_program("""\
  case $line in
    *'"to":"out"'*) head -c 1G /dev/zero | tr '\\0' x ;;
    *) yes 'a line of the flood' | head -n 50000000 >&2; echo end >&2 ;;
  esac
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' "$attempt"
""")

# Of the operator that prints without end.
LAST_WORDS = "a line of the flood\nthese are my last words\n"
# Speaks ten thousand times of an attempt that it does not have.
BABBLE = warm_program("""\
  i=0
  while [ $i -lt 10000 ]; do
    echo '{"type":"heartbeat","attempt":99999999}'
    i=$((i + 1))
  done
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded"}\\n' "$attempt"
""")


class PluginFaultTest(GateTest):
    def setUp(self):
        super().setUp()
        self.put_library("PAWL_FAULTY_PLUGIN")
        self.put_program("gush", GUSH)

    def task(self, name, operator, **more):
        return {"id": name, "operator": operator, **more}

    def ended(self, run):
        """The tasks of a run once it has ended, and the most memory that a process had meanwhile."""
        peak = 0
        while self.run_of(run)["state"] not in ("succeeded", "failed", "cancelled"):
            for pid in [*self.workers(), self.scheduler.pid]:
                with contextlib.suppress(OSError):
                    peak = max(peak, most_memory_of(pid))
        return self.tasks_of(run), peak

    def serve(self, *words, **more):
        self.scheduler = super().serve(*words, **more)
        return self.scheduler

    def assert_works(self):
        """Programs, and operators of the same plugin."""
        run = self.detach(self.job("well", [
            {"id": "a", "command": ["true"]}, self.task("b", "counter")]))
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertIsNone(self.scheduler.poll(), self.served())

    def bound(self, mebibytes):
        return mebibytes * (5 if sanitizers.OPTIONS else 1)


class Blocked(PluginFaultTest):
    def test_who_blocks_the_loop_of_its_host_ends_with_it_and_holds_up_nobody_elsewhere(self):
        self.serve()
        run = self.detach(self.gated_job("j", [
            self.task("beside", "patient", output="json", retry={"max_attempts": 3, "delay": "0s"}),
            self.gate("first"),
            self.task("block", "blocker", depends_on=["first"], on_interrupt="fail")]))
        self.until("one is at work", lambda: self.attempts_of(run).get(("beside", 1)))
        self.until_started("first")
        self.open_gates("first")
        self.until("the other has begun", lambda: self.attempts_of(run).get(("block", 1)))
        other = self.job("other", [{"id": "a", "command": ["true"]},
                                   {"id": "b", "operator": "noop"}])
        self.assertEqual(self.until_ended(self.detach(other))["state"], "succeeded")
        # A host that does not answer is given half a minute.
        self.until("it has ended", lambda: self.tasks_of(run)["block"]["state"] == "failed",
                   seconds=120)
        (self.root / "go").touch()
        self.until_ended(run)
        tasks = self.tasks_of(run)
        attempts = self.attempts_of(run)
        self.assertEqual(tasks["block"]["reason"], "lost")
        self.assertEqual(attempts["block", 1]["error"]["message"],
                         "its operator blocked the host's event loop, which ended the whole host")
        self.assertEqual(tasks["beside"]["state"], "succeeded")
        self.assertEqual([attempts["beside", number]["state"] for number in (1, 2)],
                         ["interrupted", "succeeded"])
        self.assertEqual(attempts["beside", 1]["error"]["message"],
                         "another attempt of its host blocked the host's event loop, which ended "
                         "both")
        self.assert_works()


class Loading(PluginFaultTest):
    def test_libraries_that_hang_when_they_are_loaded_hold_up_a_start_once_for_all(self):
        plugins = self.home / "plugins"
        self.put_library("PAWL_HANGS_PLUGIN")
        for name in ("also", "before_all"):
            shutil.copy(plugins / "hangs.so", plugins / f"{name}.so")
        begun = time.monotonic()
        done = self.pawl("run", self.job("well", [self.task("a", "counter")]))
        # All of them are given half a minute, and asked once.
        self.assertLess(time.monotonic() - begun, 55)
        for name in ("hangs", "also", "before_all"):
            self.assertIn(f"{plugins}/{name}.so: did not say in 30 s what it is: this plugin is left"
                          " out", done.err)


class Leaks(PluginFaultTest):
    def test_a_host_that_has_grown_makes_room_for_a_fresh_one_between_attempts(self):
        limit = self.bound(300)
        (self.home / "settings.json").write_text(json.dumps({"hosts": {"memory": f"{limit}MiB"}}))
        self.serve()
        count = 2 * limit // 20
        run = self.detach(self.job("leak", [
            self.task("a", "hoarder", map={"items": list(range(count)), "max_concurrent": 2})]))
        tasks, peak = self.ended(run)
        self.assertEqual(tasks["a"]["state"], "succeeded", tasks["a"])
        attempts = [a for a in self.pawl("attempts", "--run", run, "-o", "json", "--limit",
                                         0).json() if a["index"] is not None]
        self.assertEqual([(a["attempt"], a["state"]) for a in attempts],
                         [(1, "succeeded")] * count)
        self.assertGreater(len({a["worker"] for a in attempts}), 1)
        # It is looked at ten times a second.
        self.assertLess(peak, 2 * limit)
        self.assert_works()


class Descriptors(PluginFaultTest):
    def test_a_plugin_that_takes_all_descriptors_keeps_its_result_and_others_have_theirs(self):
        self.serve()
        run = self.detach(self.job("grab", [self.task("a", "grabber")]))
        self.until("all are taken", (self.root / "all_taken").exists)
        # Its host has none for a log: that costs lines and nothing else.
        beside = self.detach(self.job("beside", [self.task("a", "chatter", output="json")]))
        self.assertEqual(self.until_ended(beside)["state"], "succeeded")
        self.assertEqual(self.pawl("output", f"{beside}/a").out.strip(), "1")
        # Nor for the next scheduler, which is not held up by it.
        self.kill(self.scheduler)
        self.serve()
        other = self.job("other", [{"id": "a", "command": ["true"]}])
        self.assertEqual(self.until_ended(self.detach(other))["state"], "succeeded")
        self.assertEqual(self.tasks_of(run)["a"]["state"], "running")
        (self.root / "enough").touch()
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual([a["state"] for a in self.attempts_of(run).values()], ["succeeded"])
        self.assert_works()


class Floods(PluginFaultTest):
    def test_a_result_of_a_hundred_megabytes_fails_its_attempt_and_no_host(self):
        self.serve()
        run = self.detach(self.job("huge", [
            self.task(name, "huge", output=name) for name in ("text", "json", "jsonl")]))
        tasks, _ = self.ended(run)
        self.assertEqual({name: (t["state"], t["reason"]) for name, t in tasks.items()},
                         dict.fromkeys(tasks, ("failed", "output")), tasks)
        for name, task in tasks.items():
            self.assertIn("larger than", task["error"], name)
        self.assertLess(most_memory_of(self.scheduler.pid), self.bound(200))
        hosts = {a["worker"] for a in self.attempts_of(run).values()}
        self.assert_works()
        latest = self.pawl("runs", "-o", "name").lines[0]
        self.assertIn(self.attempts_of(latest)["b", 1]["worker"], hosts)

    def test_a_gigabyte_in_the_log_and_endless_words_of_an_error_are_cut(self):
        self.serve()
        run = self.detach(self.job("flood", [self.task("a", "flood")]))
        tasks, peak = self.ended(run)
        self.assertEqual((tasks["a"]["state"], tasks["a"]["reason"]), ("failed", "error"))
        self.assertLess(len(json.dumps(self.attempts_of(run)["a", 1])), 1 << 20)
        # The plugin itself has 200 MB of words.
        self.assertLess(peak, self.bound(600))
        self.assertLess(most_memory_of(self.scheduler.pid), self.bound(200))
        self.assert_logged(run)
        self.assert_works()

    def assert_logged(self, run):
        log = self.pawl("logs", f"{run}/a").out
        self.assertTrue(log.startswith("a line of the flood\n"), log[:100])
        self.assertTrue(log.endswith("\nend\n"), log[-100:])
        used = sum(p.stat().st_size for p in (self.home / "logs").rglob("*") if p.is_file())
        self.assertLess(used, 200 << 20)

    def worker_logs(self):
        """Of the workers that are there, by their folders."""
        return {path.parent.name: path for path in (self.home / "workers").glob("*/log")}

    def until_worker_logs_are_small(self):
        self.until("the logs are cut", lambda: all(
            path.stat().st_blocks * 512 <= 4 << 20 for path in self.worker_logs().values()))

    def test_what_a_library_prints_without_end_costs_no_disk_and_its_last_words_are_kept(self):
        self.env["TOKEN_OF_TEST"] = "canary-of-a-secret"
        self.serve()
        # The file itself, and from the first secret on a pipe.
        for more in ({}, {"token": "{{ secrets.TOKEN }}"}):
            host, _ = self.babble("well", more)
            self.until("its last words are there", lambda host=host: self.worker_logs()[
                host].read_text().endswith(LAST_WORDS))
            self.until_worker_logs_are_small()
            _, attempt = self.babble("crash", more)
            self.assertEqual(attempt["state"], "lost")
            self.assertTrue(attempt["error"]["trace"].endswith(LAST_WORDS), attempt["error"])

    def babble(self, end, more):
        run = self.detach(self.job(end, [self.task("a", "babbler", on_interrupt="fail", **{
            "with": {"end": end} | more})], secrets={"TOKEN": {"env": "TOKEN_OF_TEST"}}))
        self.until_ended(run)
        attempt = self.attempts_of(run)["a", 1]
        return str(attempt["worker"]), attempt

    def test_a_warm_program_that_talks_nonsense_without_end_is_noted_once(self):
        self.put_program("babble", BABBLE)
        manifest = self.home / "plugins" / "babble.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {
            "concurrency": 2, "processes": 1, "recycle_after": 1}))
        self.serve()
        run = self.detach(self.job("babble", [self.task("a", "babble")]))
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        host = str(self.attempts_of(run)["a", 1]["worker"])
        self.until("the program has ended", lambda: "times of attempts" in
                   self.worker_logs()[host].read_text())
        lines = self.worker_logs()[host].read_text().splitlines()
        self.assertEqual([line.split("): ")[1] for line in lines], [
            "it speaks of attempt 99999999, which it does not have; that is ignored",
            "it spoke 10000 times of attempts that it did not have"])

    def test_a_warm_program_that_pours_out_a_gigabyte_costs_no_memory(self):
        self.serve()
        run = self.detach(self.job("gush", [
            self.task("a", "gush", **{"with": {"to": "err"}}),
            self.task("b", "gush", on_interrupt="fail", **{"with": {"to": "out"}})]))
        tasks, peak = self.ended(run)
        self.assertEqual(tasks["a"]["state"], "succeeded", tasks["a"])
        self.assert_logged(run)
        # A line without an end is no line of the protocol.
        self.assertEqual((tasks["b"]["state"], tasks["b"]["reason"]), ("failed", "lost"))
        self.assertIn("a line of over 8 MiB", tasks["b"]["error"])
        self.assertLess(peak, self.bound(200))
        self.assert_works()


if __name__ == "__main__":
    cli_support.main()
