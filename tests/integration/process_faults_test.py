#!/usr/bin/env python3
"""What is stopped, starved of processes, memory or descriptors, flooded with output, or copied.

    process_faults_test.py --pawl PATH [unittest arguments]

Control groups (version 1 or 2) starve; a case for which this machine has none is skipped."""

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cli_support
import sanitizers
from cli_support import SECONDS
from gate_support import GateTest, is_alive, most_memory_of


def may_trace():
    return shutil.which("strace") is not None and subprocess.run(
        ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


class Group:
    """A control group of its own, with one limit."""

    def __init__(self, controller):
        self.name = f"pawl-test-{os.getpid()}-{time.monotonic_ns()}"
        one, two = Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup")
        self.version = 1 if one.is_dir() else 2
        self.folder = (one if self.version == 1 else two) / self.name
        self.folder.mkdir()
        if self.version == 2 and not (self.folder / f"{controller}.max").exists():
            self.folder.rmdir()
            raise OSError(f"the controller {controller} is not enabled")

    def limit(self, **files):
        """The first of the files that this version has."""
        for name, value in files.items():
            file = self.folder / name.replace("__", ".")
            if file.exists():
                file.write_text(str(value))
                return
        raise OSError(f"no such limits: {', '.join(files)}")

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def oom_kills(self):
        file = self.folder / ("memory.oom_control" if self.version == 1 else "memory.events")
        counts = dict(line.split() for line in file.read_text().splitlines())
        return int(counts["oom_kill"])

    def processes(self):
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def clear_away(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.05)


class FaultTest(GateTest):
    def group(self, controller):
        if os.geteuid() != 0:
            self.skipTest("needs root for a control group")
        try:
            group = Group(controller)
        except OSError as error:
            self.skipTest(f"no control group: {error}")
        self.addCleanup(group.clear_away)
        return group

    def serve_so(self, *before, preexec_fn=None, words=()):
        """`pawl serve` by way of another program, or with something done in its process first."""
        with open(self.root / "serve.log", "ab") as out:
            child = subprocess.Popen([*map(str, before), cli_support.PAWL, "serve",
                                      *map(str, words)], env=self.env,
                                     cwd=self.root, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=out, preexec_fn=preexec_fn)
        self.children.append(child)
        return child

    def until_served(self, child):
        self.until("the scheduler answers", lambda: self.is_served(child), seconds=60)
        return child

    def give_slots(self, count):
        self.home.mkdir(mode=0o700, exist_ok=True)
        (self.home / "settings.json").write_text(json.dumps({"pools": {"default": count}}))

    def simple(self, name="small", **more):
        return self.job(name, [{"id": "a", "command": ["true"], **more}])

    def assert_works(self, serve):
        self.assertEqual(self.until_ended(self.detach(self.simple("well")))["state"], "succeeded")
        self.assertIsNone(serve.poll(), self.served())


class Stopped(FaultTest):
    def test_a_scheduler_that_is_stopped_holds_its_home_and_misses_nothing(self):
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("good"), self.gate("five", 5)]))
        self.until_started("good", "five")
        serve.send_signal(signal.SIGSTOP)
        self.open_gates("good", "five")
        pids = [pid for _, _, pid in self.noted("start")]
        self.until("both have ended", lambda: not any(is_alive(pid) for pid in pids))
        # Nobody else gets in; what only reads still does.
        refused = self.pawl("serve", code=75)
        remedy = f"process {serve.pid} is stopped. Let it go on: kill -CONT {serve.pid}"
        self.assertIn(remedy, refused.err)
        self.assertEqual(self.pawl("runs", "-o", "name").lines, [run])
        self.assertIn(remedy, self.pawl("status").out)
        self.assertIn(remedy, self.pawl("pools").err)
        self.assertIn(remedy, self.pawl("cancel", run, code=75).err)
        serve.send_signal(signal.SIGCONT)
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assert_ran_once("good", "five")
        self.assert_works(serve)

    def test_a_worker_that_is_stopped_delays_its_own_tasks_and_no_others(self):
        self.give_slots(8)
        serve = self.serve()
        workers = self.workers()
        if len(workers) < 2:
            self.skipTest("one worker only")
        # Who is up first would take them all.
        self.until("all workers are up", lambda: [
            w["state"] for w in self.pawl("status", "-o", "json").json()["scheduler"]["workers"]
        ] == ["up"] * len(workers))
        run = self.detach(self.gated_job("gated", [self.gate(n) for n in "abcdefgh"]))
        self.until_started(*"abcdefgh")
        os.kill(workers[0], signal.SIGSTOP)
        self.open_gates(*"abcdefgh")
        self.until("the others' tasks are recorded", lambda: [
            t for t in self.tasks_of(run).values() if t["state"] == "succeeded"])
        self.assertIsNone(serve.poll())
        os.kill(workers[0], signal.SIGCONT)
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ran_once(*"abcdefgh")

    def test_a_worker_that_is_stopped_when_a_scheduler_starts_is_told_as_silent_until_it_answers(self):
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("a")]))
        self.until_started("a")
        stopped = self.workers()
        serve.kill()
        serve.wait()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        self.serve()

        def orphans():
            return {w["pid"] for w in self.pawl("status", "-o", "json").json()["orphans"]}
        self.until("they are silent", lambda: orphans() == set(stopped), seconds=60)
        # Longer than it takes until they are asked again.
        until = time.monotonic() + 3
        while time.monotonic() < until:
            self.assertEqual(orphans(), set(stopped))
        self.assertIn(f"(pid {stopped[0]}) does not answer", self.pawl("status").out)
        for words in ((run,), (f"{run}/a",)):
            self.assertRegex(self.pawl("explain", *words).out,
                             r"its worker \d+ \(pid \d+\) does not answer")
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        self.open_gates("a")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.until("all have answered", lambda: not orphans())
        self.assertNotIn("does not answer", self.pawl("explain", run).out)
        self.assert_ran_once("a")

    def test_a_disk_that_takes_seconds_for_a_sync_delays_and_breaks_nothing(self):
        if not may_trace():
            self.skipTest("strace may not trace")
        self.pawl("run", self.simple("first"))
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        tracer = self.serve_so("strace", "-f", "-qqq", "-b", "execve", "-o", "/dev/null", "-e",
                               "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=5s:when=8+9")
        self.until("the scheduler answers", lambda: '"pid": ' in json.dumps(
            self.pawl("status", "-o", "json").json().get("scheduler")), seconds=60)
        runs = [self.detach(self.gated_job(f"job{n}", [self.gate(f"t{n}")])) for n in range(3)]
        self.assertEqual(len(self.pawl("runs", "--job", "job*", "-o", "name").lines), 3)
        self.open_gates("t0", "t1", "t2")
        for run in runs:
            self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ran_once("t0", "t1", "t2")
        self.assertIsNone(tracer.poll())


class WorkerAtEachCall(FaultTest):
    """strace kills a worker as it enters one system call of the way of its attempts: before and
    after the begin record, at the start of a program, while it reads and reaps, at the end record,
    before it is told."""

    CALLS = {"fallocate": 1, "pwrite64": 3, "clone": 3, "write": 3, "waitid": 3, "wait4": 3,
             "sendto": 2}
    PROGRAM = """#!/bin/sh
echo "start $1 $PAWL_ATTEMPT $$" >> "$LEDGER"
[ ! -e "$GATES/$1" ] || ! grep -q '^State:.[^ZX]' "/proc/$(cat "$GATES/$1")/status" 2>/dev/null ||
  echo "overlap $1 $PAWL_ATTEMPT $$" >> "$LEDGER"
echo $$ > "$GATES/$1"
echo a line of its log
sleep 0.05
echo "end $1 $PAWL_ATTEMPT $$" >> "$LEDGER"
"""

    def test_whatever_it_was_at_nothing_runs_twice_at_once_and_all_ends_well(self):
        if not may_trace():
            self.skipTest("strace may not trace")
        self.home.mkdir(mode=0o700)
        (self.home / "settings.json").write_text('{"workers": 1}')
        program = self.write("program", self.PROGRAM)
        program.chmod(0o755)
        job = self.gated_job("three", [
            {"id": "a", "map": {"items": ["x", "y", "z"]}, "command": [str(program), "{{ item }}"],
             "retry": {"max_attempts": 3, "delay": "0s"}}])
        serve = self.serve()
        again = 0
        for call, times in self.CALLS.items():
            for when in range(1, times + 1):
                with self.subTest(call=call, when=when):
                    worker = self.doom(call, when)
                    # Ends that come together are told by one call: then the next run has the other.
                    for _ in range(when):
                        self.ledger.write_text("")
                        for gate in self.gates.iterdir():
                            gate.unlink()
                        run = self.detach(job)
                        self.assertEqual(self.until_ended(run)["state"], "succeeded")
                        again += self.judge(run)
                        if not is_alive(worker):
                            break
                    self.assertFalse(is_alive(worker), "it was not killed")
        self.assertGreater(again, 0, "no attempt was under way at any of them")
        self.assert_works(serve)

    def doom(self, call, when):
        """The pid of the worker that dies at its next such call."""
        def up():
            found = self.pawl("status", "-o", "json").json()["scheduler"]["workers"]
            return [w["pid"] for w in found if w["state"] == "up"]
        worker, = self.until("one worker is up", up)
        self.children.append(subprocess.Popen(
            ["strace", "-f", "-qqq", "-b", "execve", "-o", "/dev/null", "-p", str(worker),
             "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}"]))
        self.until("it is traced", lambda: "TracerPid:\t0" not in Path(
            f"/proc/{worker}/status").read_text())
        return worker

    def judge(self, run):
        """How many attempts were begun again."""
        found = {}
        for one in self.pawl("attempts", "--run", run, "-o", "json", "--limit", 0).json():
            found.setdefault("xyz"[one["index"]], {})[one["attempt"]] = one["state"]
        starts = [(name, number) for name, number, _ in self.noted("start")]
        self.assertEqual(len(starts), len(set(starts)), "one attempt was started twice")
        self.assertEqual(self.noted("overlap"), [])
        self.assertEqual(sorted(found), ["x", "y", "z"])
        for name, attempts in found.items():
            self.assertEqual(sorted(attempts), list(range(1, len(attempts) + 1)))
            self.assertLessEqual({n for of, n in starts if of == name}, set(attempts))
            *lost, last = [state for _, state in sorted(attempts.items())]
            self.assertEqual((set(lost) - {"lost"}, last), (set(), "succeeded"))
            self.assertIn((name, len(attempts)), [(n, a) for n, a, _ in self.noted("end")])
        return sum(len(attempts) - 1 for attempts in found.values())


class ReusedPid(FaultTest):
    """The case runs once more inside a pid namespace, where it is process 1 and may say which pid
    comes next."""

    INSIDE = "PAWL_TEST_IN_PID_NAMESPACE"
    LAST_PID = Path("/proc/sys/kernel/ns_last_pid")

    def test_who_got_the_pid_of_a_dead_attempt_is_left_alone(self):
        if os.environ.get(self.INSIDE):
            self.live_and_die()
            return
        apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        if not self.LAST_PID.exists() or subprocess.run(
                [*apart, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no pid namespace in which pids can be chosen")
        done = subprocess.run(
            [*apart, sys.executable, __file__, "--pawl", cli_support.PAWL, "ReusedPid"],
            env=os.environ | {self.INSIDE: "yes"}, capture_output=True, text=True,
            timeout=3 * SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def live_and_die(self):
        self.assertEqual(os.getpid(), 1)
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("once")]))
        self.until_started("once")
        self.until("the store says so", lambda: [a["state"] for a in self.attempts_of(
            run).values()] == ["running"])
        pid = self.noted("start", "once")[0][2]
        workers = self.workers()
        self.kill(serve)
        for orphan in [*workers, pid]:
            os.kill(orphan, signal.SIGKILL)
        # Who is process 1 is left all orphans, and a pid is not free while one is of its session.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        bystander = self.bystander(pid)
        self.serve()
        self.until_ended(run)
        self.assertEqual(self.tasks_of(run)["once"]["state"], "held")
        self.assertTrue(is_alive(pid), "who has the pid now was killed for the one who had it")
        self.assertIsNone(bystander.poll())

    def bystander(self, pid):
        """A program of nobody's that leads a session, as an attempt does, under this very pid."""
        for _ in range(50):
            self.LAST_PID.write_text(str(pid - 1))
            child = subprocess.Popen(["sleep", "600"], start_new_session=True,
                                     env={"PATH": os.environ["PATH"]})
            self.children.append(child)
            if child.pid == pid:
                return child
            child.kill()
            child.wait()
        self.fail(f"pid {pid} does not come again")


class Busy(FaultTest):
    def test_with_every_core_busy_all_is_done_and_nobody_is_taken_for_dead(self):
        serve = self.serve()
        for _ in range(4 * os.cpu_count()):
            self.children.append(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
        run = self.detach(self.job("busy", [
            {"id": "first", "command": ["true"]},
            {"id": "all", "depends_on": ["first"], "map": {"items": list(range(100))},
             "command": ["true"]},
            {"id": "last", "depends_on": ["all"], "command": ["true"]}]))
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assertEqual(self.run_of(run)["counts"]["succeeded"], 102)
        self.assertEqual({a["state"] for a in self.attempts_of(run).values()}, {"succeeded"})
        self.assert_works(serve)


class ManyAtOnce(FaultTest):
    def test_five_hundred_programs_that_end_at_once_are_all_recorded(self):
        self.give_slots(500)
        serve = self.serve()
        job = self.gated_job("many", [
            {"id": "all", "map": {"items": list(range(500))},
             "command": [str(self.gate_program), "all", "{{ index % 7 == 3 ? '3' : '0' }}"]}])
        run = self.detach(job)
        self.until("all have started", lambda: len(self.noted("start")) == 500, seconds=60)
        self.open_gates("all")
        self.assertEqual(self.until_ended(run)["state"], "failed")
        counts = self.run_of(run)["counts"]
        failed = len([i for i in range(500) if i % 7 == 3])
        self.assertEqual((counts["failed"], counts["succeeded"]), (failed, 500 - failed))
        self.assertEqual(len(self.noted("end")), 500)
        self.assert_works(serve)


class NoMore(FaultTest):
    """Processes, memory and descriptors run out."""

    def test_where_no_process_can_be_made_the_attempt_says_so_and_pawl_goes_on(self):
        group = self.group("pids")
        serve = self.until_served(self.serve_so(preexec_fn=group.enter))
        waits = ("import os, time\nopen(os.environ['GATES'] + '/waiting', 'w')\n"
                 "while not os.path.exists(os.environ['GATES'] + '/good'): time.sleep(0.02)")
        run = self.detach(self.gated_job("gated", [
            {"id": "good", "command": ["python3", "-c", waits]}]))
        self.until("it has started", (self.gates / "waiting").exists)
        group.limit(pids__max=1)
        self.assertEqual(self.until_ended(self.detach(self.simple("starved")))["state"], "failed")
        latest = self.pawl("runs", "-o", "name").lines[0]
        task = self.tasks_of(latest)["a"]
        self.assertEqual(task["reason"], "spawn", task)
        self.assertRegex(task["error"], "Resource temporarily unavailable")
        group.limit(pids__max="max")
        self.open_gates("good")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_works(serve)

    def test_a_fork_bomb_ends_with_its_task(self):
        group = self.group("pids")
        group.limit(pids__max=400)
        serve = self.until_served(self.serve_so(preexec_fn=group.enter))
        bomb = self.job("bomb", [{
            "id": "bomb", "kill_grace": "100ms",
            "command": ["bash", "-c", "f() { f | f & sleep 0.01; }; for i in 1 2 3; do f; done 2>/dev/null; "
                        "setsid env -i bash -c 'f() { f | f & sleep 0.01; }; f; sleep 600' & sleep 600"]}])
        run = self.detach(bomb)
        # It is left alone until it has all that it can get, however long that takes here.
        self.until("the bomb fills the group", lambda: len(group.processes()) > 300, seconds=120)
        self.pawl("cancel", run)
        self.until_ended(run)
        task = self.tasks_of(run)["bomb"]
        self.assertEqual((task["state"], task["reason"]), ("cancelled", "cancelled"), task)
        mine = set(self.workers()) | {serve.pid}
        self.until("nothing of it is left", lambda: not [
            p for p in group.processes() if p not in mine and is_alive(p)])
        self.assert_works(serve)

    def test_a_task_that_is_killed_for_memory_says_so_and_pawl_goes_on(self):
        group = self.group("memory")
        serve = self.until_served(self.serve_so(preexec_fn=group.enter))
        try:
            group.limit(memory__limit_in_bytes=300 << 20, memory__max=300 << 20)
            with contextlib.suppress(OSError):
                group.limit(memory__swap__max=0)
        except OSError as error:
            self.skipTest(f"no limit of memory: {error}")
        eater = self.job("eater", [{"id": "a", "command": [
            "python3", "-c", "b = []\nwhile True: b.append(bytearray(1 << 20))"]}])
        run = self.detach(eater)
        self.until_ended(run)
        task = self.tasks_of(run)["a"]
        self.assertEqual((task["state"], task["reason"]), ("failed", "oom"), task)
        self.assert_works(serve)

    def test_few_descriptors_mean_few_slots_and_more_are_refused(self):
        few = ["prlimit", "--nofile=256:256"]
        settings = self.home / "settings.json"
        self.pawl("run", self.simple("first"))
        self.end_strays()
        self.give_slots(500)
        refused = self.serve_so(*few)
        self.assertEqual(refused.wait(SECONDS), 2, self.served())
        self.assertRegex(self.served(), "500 slots.*ulimit")
        settings.unlink()
        serve = self.until_served(self.serve_so(*few))
        run = self.detach(self.job("wide", [
            {"id": "all", "map": {"items": list(range(300))}, "command": ["true"]}]))
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_works(serve)


class NoDescriptors(FaultTest):
    """A process that is up may open no more: pipes, sockets, files."""

    def starve(self, *pids):
        self.limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
        for pid, (_, hard) in self.limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))

    def feed(self):
        for pid, limits in self.limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    def computed(self, pid):
        """Seconds of CPU."""
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def test_a_scheduler_without_descriptors_records_what_ends_and_answers_once_it_has_some(self):
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("good"), self.gate("five", 5)]))
        self.until_started("good", "five")
        self.starve(serve.pid)
        before = self.computed(serve.pid)
        waits = self.start("run", self.simple("later"), "--detach")
        self.open_gates("good", "five")
        # What only looks needs no scheduler, and lists do not ask it.
        self.until("what ended is recorded", lambda: self.pawl(
            "runs", run, "-o", "json").json()[0]["state"] == "failed")
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assertLess(self.computed(serve.pid) - before, 3, "it spins")
        self.feed()
        out, err = waits.communicate(timeout=SECONDS)
        self.assertEqual(waits.returncode, 0, err)
        self.assertEqual(self.until_ended(out.split()[0])["state"], "succeeded")
        self.assert_ran_once("good", "five")
        self.assert_works(serve)

    def test_a_worker_without_descriptors_fails_what_it_cannot_start_and_keeps_what_runs(self):
        self.write("calls.py", "def here():\n    return 'here'\n")
        python = {"id": "p", "operator": "python", "output": "json", "with": {"call": "calls:here"}}
        serve = self.serve()
        # The host of interpreters is up, and has ended the one that it had.
        first = self.detach(self.job("warm", [{**python, "with": {**python["with"],
                                                                 "recycle_after": 1}}]))
        self.assertEqual(self.until_ended(first)["state"], "succeeded")
        run = self.detach(self.gated_job("gated", [self.gate("good")]))
        self.until_started("good")
        self.starve(*self.workers())
        starved = self.detach(self.job("starved", [{"id": "a", "command": ["true"]}, python]))
        self.assertEqual(self.until_ended(starved)["state"], "failed")
        for name, task in self.tasks_of(starved).items():
            self.assertEqual((task["state"], task["reason"]), ("failed", "spawn"), name)
            self.assertIn("Too many open files", task["error"], name)
        self.feed()
        self.open_gates("good")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ran_once("good")
        self.pawl("resume", starved, "-y")
        self.assertEqual(self.until_ended(starved)["state"], "succeeded")
        self.assert_works(serve)


class NoMemory(FaultTest):
    def test_a_scheduler_that_is_killed_for_memory_leaves_its_programs_to_the_next_one(self):
        group = self.group("memory")
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("good"), self.gate("five", 5)]))
        self.until_started("good", "five")
        # What it has is not counted, what it takes from now on is.
        try:
            group.limit(memory__limit_in_bytes=48 << 20, memory__max=48 << 20)
            with contextlib.suppress(OSError):
                group.limit(memory__swap__max=0)
        except OSError as error:
            self.skipTest(f"no limit of memory: {error}")
        (group.folder / "cgroup.procs").write_text(str(serve.pid))
        accepted = [run]
        def killed():
            # Each stays open, and with it its definition.
            big = self.gated_job(f"big{len(accepted)}", [self.gate("never")],
                                 description="x" * 4_000_000)
            done = self.pawl("run", big, "--detach", code=None)
            accepted.extend(done.lines[:1])
            return serve.poll() is not None
        self.until("the kernel has killed it", killed, seconds=120)
        self.assertEqual(serve.returncode, -signal.SIGKILL)
        self.assertGreater(group.oom_kills(), 0)
        serve = self.serve(log="second.log")
        self.open_gates("good", "five")
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assert_ran_once("good", "five")
        known = {r["run"] for r in self.pawl("runs", "-o", "json", "--limit", 0).json()}
        self.assertLessEqual(set(accepted), known, "an accepted run is gone")
        self.assert_works(serve)


class Floods(FaultTest):
    def test_a_gigabyte_on_standard_output_costs_no_memory_and_no_disk(self):
        serve = self.serve()
        run = self.detach(self.job("flood", [{"id": "a", "script":
                                              "(yes 'a line of the flood' || true) | head -c 1G; echo end"}]))
        peak = 0
        while self.run_of(run)["state"] not in ("succeeded", "failed"):
            for pid in self.workers() + [serve.pid]:
                with contextlib.suppress(OSError):
                    peak = max(peak, most_memory_of(pid))
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        limit = 1000 if sanitizers.OPTIONS else 200
        self.assertLess(peak, limit, "MiB in memory")
        log = self.pawl("logs", f"{run}/a").out
        self.assertTrue(log.endswith("end\n"), log[-100:])
        used = sum(p.stat().st_size for p in (self.home / "logs").rglob("*") if p.is_file())
        self.assertLess(used, 200 << 20)
        self.assert_works(serve)

    def test_a_result_of_a_hundred_megabytes_fails_its_attempt_or_is_spooled(self):
        serve = self.serve()
        # Long lines: how many there are is not the point, and each costs a parser.
        line = json.dumps({"a": "0123456789" * 100})
        run = self.detach(self.job("results", [
            {"id": "text", "script": "head -c 100M /dev/zero | tr '\\0' x", "output": "text"},
            {"id": "lines", "script": f"(yes '{line}' || true) | head -n 100000",
             "output": "jsonl"},
            {"id": "file", "script": "head -c 100M /dev/zero | tr '\\0' 7 > \"$PAWL_OUTPUT\"",
             "output": {"format": "json", "from": "file"}}]))
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        for name in ("text", "file"):
            self.assertEqual((tasks[name]["state"], tasks[name]["reason"]), ("failed", "output"))
        self.assertEqual(tasks["lines"]["state"], "succeeded", tasks["lines"])
        told = subprocess.run([cli_support.PAWL, "output", f"{run}/lines"],
                              env=self.env, capture_output=True, check=True)
        self.assertEqual(told.stdout.count(b"\n"), 100_000)
        for pid in self.workers() + [serve.pid]:
            self.assertLess(most_memory_of(pid),
                            2000 if sanitizers.OPTIONS else 300)
        self.assert_works(serve)


class TheStore(FaultTest):
    def test_a_reader_that_stays_holds_up_nobody(self):
        serve = self.serve()
        first = self.detach(self.simple("first"))
        self.until_ended(first)
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/pawl.db?mode=ro",
                                                uri=True)) as reader:
            reader.execute("BEGIN")
            seen = reader.execute("SELECT count(*) FROM run").fetchone()
            many = self.job("many", [{"id": "a", "map": {"items": list(range(400))},
                                      "command": ["true"]}])
            for _ in range(3):
                self.assertEqual(self.until_ended(self.detach(many))["state"], "succeeded")
            self.assertEqual(reader.execute("SELECT count(*) FROM run").fetchone(), seen)
        self.assert_works(serve)

    def test_a_writer_that_stays_ends_the_scheduler_by_name_and_the_next_one_goes_on(self):
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("five", 5)]))
        self.until_started("five")
        with contextlib.closing(sqlite3.connect(self.home / "pawl.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            self.open_gates("five")
            self.until("the scheduler has given up", lambda: serve.poll() is not None)
            self.assertEqual(serve.returncode, 75, self.served())
            self.assertRegex(self.served(), "another program is using")
        self.serve(log="second.log")
        self.until_ended(run)
        self.assertEqual(self.tasks_of(run)["five"]["exit_code"], 5)
        self.assert_ran_once("five")

    def test_a_store_with_bytes_flipped_is_refused_or_served_and_never_made_worse(self):
        for number in range(3):
            self.pawl("run", self.simple(f"job{number}"))
        self.end_strays()
        store = self.home / "pawl.db"
        with contextlib.closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        good = store.read_bytes()
        for place in (0, 18, 100, 4096, 4096 * 3 + 7, len(good) // 2, len(good) - 100):
            bad = bytearray(good)
            for offset in range(place, min(place + 16, len(bad))):
                bad[offset] ^= 0xFF
            store.write_bytes(bad)
            done = self.pawl("run", self.simple("after"), code=None)
            self.assertIn(done.code, (0, 74), f"at {place}: {done}")
            if done.code == 74:
                self.assertRegex(done.err, "pawl restore FILE|damaged|no SQLite", f"at {place}")
            listed = self.pawl("runs", "-o", "name", code=None)
            self.assertIn(listed.code, (0, 74), f"at {place}: {listed}")
            self.end_strays()
            for name in ("pawl.db-wal", "pawl.db-shm"):
                (self.home / name).unlink(missing_ok=True)
        store.write_bytes(good)
        self.assertEqual(len(self.pawl("runs", "-o", "name").lines), 3)

    def test_a_row_that_makes_no_sense_costs_its_own_run_and_no_other(self):
        serve = self.serve()
        runs = [self.detach(self.gated_job(f"job{n}", [self.gate(f"g{n}")])) for n in range(3)]
        self.until_started("g0", "g1", "g2")
        self.kill(serve)
        with contextlib.closing(sqlite3.connect(self.home / "pawl.db")) as db:
            db.execute("PRAGMA ignore_check_constraints = ON")
            changed = db.execute("UPDATE task SET state = 'sleepwalking' WHERE run = "
                                 "(SELECT id FROM run WHERE name = ?)", (runs[1],))
            self.assertEqual(changed.rowcount, 1)
            db.commit()
        serve = self.serve()
        self.open_gates("g0", "g1", "g2")
        for run in (runs[0], runs[2]):
            self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ran_once("g0", "g1", "g2")
        self.assertIn(f"cannot be read and is left alone: run {runs[1]}: ", self.served())
        self.assertIn(f"run {runs[1]} has the unknown state sleepwalking",
                      self.pawl("doctor", code=None).out)
        self.assert_works(serve)

    def test_a_log_of_the_store_that_is_gone_or_foreign_leaves_a_store_that_works(self):
        self.pawl("run", self.simple("first"))
        self.end_strays()
        for content in (None, b"", os.urandom(32 << 10)):
            for name in ("pawl.db-wal", "pawl.db-shm"):
                (self.home / name).unlink(missing_ok=True)
            if content is not None:
                (self.home / "pawl.db-wal").write_bytes(content)
            self.assertIn("succeeded", self.pawl("run", self.simple("again")).err)
            self.end_strays()

    def test_a_copy_of_a_living_home_hurts_nobody(self):
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("good"), self.gate("five", 5)]))
        self.until_started("good", "five")
        copy = self.root / "copy"
        shutil.copytree(self.home, copy, ignore=lambda folder, names: [
            n for n in names if (Path(folder) / n).is_socket()])
        copy.chmod(0o700)
        other = {"PAWL_HOME": str(copy)}
        # Whatever it does with its copy of the store: the programs are not its own to end.
        self.pawl("run", self.simple("elsewhere"), code=None, env=other)
        self.pawl("doctor", code=None, env=other)
        pids = [pid for _, _, pid in self.noted("start")]
        self.assertTrue(all(is_alive(pid) for pid in pids), "a copy killed what the original runs")
        self.open_gates("good", "five")
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assert_ran_once("good", "five")
        self.assert_works(serve)


class Journals(FaultTest):
    """Everything dies, and what is left of the workers' journals is damaged."""

    def die(self, begun):
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [
            self.gate("done"), self.gate("safe", retry={"max_attempts": 3, "delay": "10ms"}),
            self.gate("once")]))
        self.until_started("done", "safe", "once")
        if begun:
            self.until("the store says so", lambda: [a["state"] for a in self.attempts_of(
                run).values()] == ["running"] * 3)
        self.kill(serve)
        self.open_gates("done")
        pid = self.noted("start", "done")[0][2]
        self.until("one has ended", lambda: not is_alive(pid))
        return run

    def test_a_journal_that_is_gone_or_damaged_never_makes_a_success_and_never_runs_twice(self):
        damages = {
            "cut": lambda data: data[: max(40, len(data.rstrip(b"\0")) - 30)],
            "flipped": lambda data: data[:60] + bytes([data[60] ^ 0xFF]) + data[61:],
            # That a worker's journal knows nothing is no proof when the store says that it began.
            "empty": lambda data: b"",
        }
        for name, damage in damages.items():
            with self.subTest(name):
                self.ledger.write_text("")
                for gate in self.gates.iterdir():
                    gate.unlink()
                run = self.die(begun=name == "empty")
                self.kill_workers()
                for pid in [p for _, _, p in self.noted("start")]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                for segment in (self.home / "workers").glob("*/journal*/*"):
                    segment.write_bytes(damage(segment.read_bytes()))
                for segment in (self.home / "workers").glob("*/journal*"):
                    if segment.is_file():
                        segment.write_bytes(damage(segment.read_bytes()))
                self.open_gates("safe", "once")
                serve = self.serve()
                self.until_ended(run)
                tasks = self.tasks_of(run)
                self.assertEqual(tasks["safe"]["state"], "succeeded", tasks["safe"])
                # "done" ended with 0: true, or nobody knows; "once" cannot have succeeded.
                self.assertIn(tasks["done"]["state"], ("succeeded", "held"), tasks["done"])
                self.assertEqual(tasks["once"]["state"], "held", tasks["once"])
                self.assert_ran_once("done", "once")
                serve.send_signal(signal.SIGTERM)
                serve.wait(SECONDS)
                self.end_strays()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cli_support.main()
