#!/usr/bin/env python3
"""Disks that fill up, run out of inodes, fail, or turn read-only under a working scheduler.

    disk_faults_test.py --pawl PATH [unittest arguments]

Each test has a file system of its own, mounted inside its scratch folder: a small tmpfs, or ext4 on
a loop device over a sparse image, which fails for real once the tmpfs below it is full. Where that
is not permitted the tests are skipped, with exit code 77."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import cli_support
from cli_support import SECONDS
from commands import command
from gate_support import GateTest, is_alive



def why_not():
    """Why nothing can be mounted here; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    folder = tempfile.mkdtemp(prefix="pawl-mount-", dir="/tmp")
    done = command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
    if done.returncode == 0:
        command("umount", folder)
    os.rmdir(folder)
    return done.stderr.strip()


class Loop:
    """ext4 on a loop device over a sparse image in a folder."""

    def __init__(self, image, mounted_at):
        self.image, self.mounted_at, self.device = image, mounted_at, None

    def make(self, megabytes):
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        self.attach()
        done = command("mkfs.ext4", "-q", "-F", "-m", "0", self.device)
        if done.returncode != 0:
            raise OSError(done.stderr)
        self.mount()

    def attach(self):
        done = command("losetup", "-f", "--show", self.image)
        if done.returncode != 0:
            raise OSError(done.stderr)
        self.device = done.stdout.strip()

    def mount(self):
        done = command("mount", "-o", "errors=remount-ro", self.device, self.mounted_at)
        assert done.returncode == 0, done.stderr
        os.chmod(self.mounted_at, 0o700)

    def repair(self):
        """As an administrator would: unmount, check, mount."""
        done = command("umount", self.mounted_at)
        assert done.returncode == 0, done.stderr
        done = command("e2fsck", "-fy", self.device)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        self.mount()

    def break_down(self):
        """The kernel finds the file system damaged: it turns read-only, whatever is open."""
        name = Path(self.device).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("by intent")

    def clear_away(self):
        command("umount", "-l", self.mounted_at)
        if self.device:
            command("losetup", "-d", self.device)


class DiskTest(GateTest):
    def setUp(self):
        super().setUp()
        self.loops, self.mounts = [], []
        self.stop_filling = threading.Event()
        self.filler = None
        self.addCleanup(self.clear_away)

    def clear_away(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def tearDown(self):
        self.stop_filling.set()
        if self.filler:
            self.filler.join()
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        self.end_strays()
        for loop in self.loops:
            loop.clear_away()
        for folder in reversed(self.mounts):
            command("umount", "-l", folder)
        super().tearDown()

    def small_disk(self, folder, options="size=96m"):
        folder.mkdir(exist_ok=True)
        done = command("mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "tmpfs", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.mounts.append(folder)
        return folder

    def ext4_disk(self, folder, image_folder, megabytes=160):
        folder.mkdir()
        loop = Loop(image_folder / "image", folder)
        self.loops.append(loop)
        try:
            loop.make(megabytes)
        except (OSError, AssertionError) as error:
            self.skipTest(f"no loop device: {error}")
        return loop

    def put_home(self, folder):
        self.home = folder
        self.env["PAWL_HOME"] = str(folder)

    def fill(self, folder):
        """Takes all room of a file system, and every byte that comes free, until `make_room`."""
        self.filled = folder / "filler"

        def work():
            with open(self.filled, "ab", buffering=0) as out:
                while not self.stop_filling.is_set():
                    for size in (1 << 20, 1 << 12, 1):
                        with contextlib.suppress(OSError):
                            while not self.stop_filling.is_set():
                                out.write(b"x" * size)
                    self.stop_filling.wait(0.01)
        self.filler = threading.Thread(target=work)
        self.filler.start()
        self.until("the disk is full", lambda: shutil.disk_usage(folder).free < (1 << 16))

    def make_room(self):
        self.stop_filling.set()
        self.filler.join()
        self.filler = None
        self.filled.unlink()

    def simple(self, name="small", **more):
        return self.job(name, [{"id": "a", "command": ["true"], **more}])


class RoomLeft(DiskTest):
    """What `pawl doctor` says of a disk is what a scheduler makes of it."""

    def room(self):
        findings = self.pawl("doctor", "--quick", "-o", "json", code=None).json()
        return next(row["state"] for row in findings if row["check"] == "room")

    def test_less_than_a_full_disk_needs_to_go_on_is_a_problem_and_more_is_none(self):
        disk = self.small_disk(self.root / "disk", "size=100m")
        self.put_home(disk / "home")
        self.serve()
        self.assertTrue((self.home / "ballast").exists())
        for free, state in ((33, "warning"), (31, "problem"), (40, "warning")):
            with open(disk / "filled", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - (free << 20))
            self.assertEqual(self.room(), state, f"{free} MiB")
            os.unlink(disk / "filled")


class DiskFull(DiskTest):
    """A home on a small file system of its own, and somebody who takes all its room."""

    def setUp(self):
        super().setUp()
        self.disk = self.small_disk(self.root / "disk")
        self.put_home(self.disk / "home")

    def test_retention_makes_room_on_a_full_disk(self):
        self.serve()
        small = self.job("small", [{"id": "a", "command": ["true"]}])
        old = self.detach(small)
        self.until_ended(old)
        run = self.detach(self.gated_job("gated", [self.gate("good")]))
        self.until_started("good")
        self.fill(self.disk)
        self.open_gates("good")

        def refused():
            return self.pawl("run", small, "--detach", code=None).code == 74
        self.until("new work is refused", refused, seconds=60)
        # As when somebody deletes some logs: enough to write, too little to go on.
        self.stop_filling.set()
        self.filler.join()
        lacks = (20 << 20) - shutil.disk_usage(self.disk).free
        os.truncate(self.filled, self.filled.stat().st_size - lacks)
        self.until_ended(run)
        self.assertTrue(refused())
        self.until("retention is not refused", lambda: self.pawl(
            "prune", "--older-than", "0s", "-y", code=None).code == 0)
        self.assertNotIn(old, self.pawl("runs", "-o", "name", "--limit", "0").lines)
        self.assertTrue(refused())
        self.make_room()
        self.until("work is taken again", lambda: not refused())

    def test_a_start_on_a_full_disk_is_given_the_room_of_the_ballast(self):
        path = self.job("bad", [{"id": "a", "command": ["false"]}])
        run = self.pawl("run", path, "-q", code=1).lines[0]
        self.fill(self.disk)
        self.stop_filling.set()
        self.filler.join()
        self.pawl("dismiss", run)
        self.pawl("prune", "--older-than", "0s", "-y")
        self.assertEqual(self.pawl("runs", "-o", "name").lines, [])
        self.serve()
        self.make_room()
        self.until_ended(self.detach(self.simple()))

    def test_a_full_disk_refuses_new_work_loses_nothing_and_goes_on_by_itself(self):
        serve = self.serve()
        gated = self.gated_job("gated", [self.gate("good"), self.gate("five", 5),
                                         {"id": "after", "depends_on": ["good"],
                                          "command": ["true"]}])
        run = self.detach(gated)
        self.until_started("good", "five")
        small = self.job("small", [{"id": "a", "command": ["true"]}])
        accepted = [run]
        self.fill(self.disk)
        self.open_gates("good", "five")
        self.until("both have ended", lambda: len(self.noted("end")) == 2)

        def refused():
            done = self.pawl("run", small, "--detach", code=None)
            if done.code == 0:
                accepted.append(done.lines[0])
                return False
            self.assertEqual(done.code, 74, done)
            return done.err

        text = self.until("new work is refused", refused, seconds=60)
        self.assertRegex(text, r"(?i)full|room|space")
        self.assertIsNone(serve.poll(), "the scheduler gave up")
        self.make_room()
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assertEqual(tasks["after"]["state"], "succeeded")
        for one in accepted[1:]:
            self.assertEqual(self.until_ended(one)["state"], "succeeded")
        accepted.append(self.until("work is taken again", lambda: (
            d := self.pawl("run", small, "--detach", code=None)).code == 0 and d.lines[0]))
        self.until_ended(accepted[-1])
        runs = {r["run"] for r in self.pawl("runs", "-o", "json", "--limit", 0).json()}
        self.assertEqual(runs, set(accepted), "a refused run exists, or an accepted one does not")
        self.assert_ran_once("good", "five")
        self.assertIsNone(serve.poll())

    def test_an_end_without_room_outlives_its_worker_and_then_the_scheduler(self):
        serve = self.serve()
        names = [f"t{number}" for number in range(40)]
        # Results that no room left in the store's files takes.
        wordy = f"{self.gate_program} $0 0 && printf %060000d 7"
        run = self.detach(self.gated_job("gated", [
            {"id": name, "command": ["sh", "-c", wordy, name], "output": "text", "pool": "wide"}
            for name in names], pools={"wide": len(names)}))
        self.until("all are known to run", lambda: self.states_of(run) == {"running"})
        self.until_started(*names)
        small = self.simple()
        self.fill(self.disk)
        self.until("new work is refused", lambda: self.pawl(
            "run", small, "--detach", code=None).code == 74, seconds=60)
        self.open_gates(*names)

        def knows_more_than_it_stored():
            now = self.pawl("status", "-o", "json").json()["scheduler"]
            return now["live_attempts"] == 0 and now["queued_changes"] > 0 and now["storage_full"]
        self.until("all ends are known, and some are not stored", knows_more_than_it_stored)
        self.assertIn("running", self.states_of(run))
        self.kill_workers()
        for worker in {a["worker"] for a in self.attempts_of(run).values()}:
            self.until(f"worker {worker} is known to be dead",
                       lambda w=worker: f"worker {w} is gone" in self.served())
        self.assertIn("running", self.states_of(run))
        self.kill(serve)
        self.make_room()
        self.serve(log="second.log")
        self.assertEqual(self.until_ended(run)["state"], "succeeded")
        self.assert_ran_once(*names)

    def states_of(self, run):
        return {task["state"] for task in self.tasks_of(run).values()}


class PartsFull(DiskTest):
    """Logs or journals on a file system of their own, which is full."""

    def part(self, name, options):
        self.pawl("run", self.simple("first"))
        self.until("the workers of the first run are gone", lambda: not self.workers() or
                   self.end_strays())
        folder = self.home / name
        for old in folder.iterdir():
            shutil.rmtree(old)
        return self.small_disk(folder, options)

    def test_logs_without_room_cost_lines_and_nothing_else(self):
        self.part("logs", "size=128k")
        serve = self.serve()
        loud = self.job("loud", [
            {"id": "a", "script": "head -c 3000000 /dev/zero | tr '\\0' 'x' | fold; exit 4"},
            {"id": "b", "script": "echo out; echo 7 > \"$PAWL_OUTPUT\"",
             "output": {"format": "json", "from": "file"}}])
        run = self.detach(loud)
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["a"]["reason"], tasks["a"]["exit_code"]), ("exit", 4))
        self.assertEqual(tasks["b"]["state"], "succeeded")
        self.assertEqual(self.pawl("output", f"{run}/b").out.strip(), "7")
        self.pawl("logs", f"{run}/a", code=None)
        self.assertIsNone(serve.poll())

    def test_journals_without_room_start_nothing_and_lose_no_end(self):
        disk = self.part("workers", "size=64m")
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("good"), self.gate("five", 5)]))
        self.until_started("good", "five")
        self.fill(disk)
        # Results of 60 KB fill the segments that are there.
        many = self.job("many", [{"id": "a", "map": {"items": list(range(400))},
                                  "command": ["printf", "%060000d", "{{ item }}"],
                                  "output": "text"}])
        refused = self.detach(many)
        self.until_ended(refused)
        items = self.pawl("tasks", "--run", refused, "--state", "failed", "-o", "json", "--limit",
                          0).json()
        items = [i for i in items if i["index"] is not None]
        self.assertTrue(items, "the journals took everything")
        for item in items:
            self.assertEqual(item["reason"], "spawn", item)
            self.assertRegex(item["error"], "journal|scratch|room|space", item)
        # Nobody hears of the ends but the journals; then these are all that is left of the workers.
        self.kill(serve)
        pids = [pid for _, _, pid in self.noted("start") if is_alive(pid)]
        self.open_gates("good", "five")
        self.until("both have ended", lambda: not any(is_alive(pid) for pid in pids))
        self.until("both ends are written", lambda: len(
            [1 for name, _, _ in self.noted("end") if name in ("good", "five")]) == 2)
        self.settle_workers()
        self.kill_workers()
        self.make_room()
        self.serve(log="second.log")
        self.until_ended(run)
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assert_ran_once("good", "five")
        self.assertEqual(self.until_ended(self.detach(self.simple("well")))["state"], "succeeded")

    def settle_workers(self):
        """Waits until the workers sleep: what they had to write they have written."""
        def all_sleep():
            return all("S" == Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
                       for pid in self.workers())
        for _ in range(5):
            self.until("the workers sleep", all_sleep)


class NoInodes(DiskTest):
    def test_without_inodes_what_runs_is_recorded_and_it_goes_on_by_itself(self):
        disk = self.small_disk(self.root / "disk", "size=96m,nr_inodes=400")
        self.put_home(disk / "home")
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [self.gate("good"), self.gate("five", 5)]))
        self.until_started("good", "five")
        (disk / "many").mkdir()
        with contextlib.suppress(OSError):
            for number in range(1000):
                (disk / "many" / str(number)).touch()
        with self.assertRaises(OSError):
            (disk / "one-more").touch()
        self.open_gates("good", "five")
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        # What is new may need a file (a script does): then its end says so.
        done = self.pawl("run", self.job("scripted", [{"id": "a", "script": "echo a"}]),
                         "--detach", code=None)
        self.assertIn(done.code, (0, 74), done)
        if done.code == 0:
            state = self.until_ended(done.lines[0])["state"]
            task = self.tasks_of(done.lines[0])["a"]
            self.assertEqual((state, task["reason"]), ("failed", "spawn"), task)
        self.assertIsNone(serve.poll(), "the scheduler gave up")
        shutil.rmtree(disk / "many")
        self.assertEqual(self.until_ended(self.detach(self.simple("well")))["state"], "succeeded")
        self.assert_ran_once("good", "five")
        self.assertIsNone(serve.poll())


class DiskFails(DiskTest):
    """ext4 that fails while tasks run: the scheduler ends with 74, and the next one reads the truth."""

    def begin(self, loop_folder):
        self.loop = self.ext4_disk(self.root / "disk", loop_folder)
        self.put_home(self.root / "disk" / "home")
        serve = self.serve()
        self.gated = self.detach(self.gated_job("gated", [
            self.gate("good"), self.gate("five", 5),
            {"id": "after", "depends_on": ["good"], "command": ["true"]}]))
        self.until_started("good", "five")
        # The store says so, too, before the disk fails: then no lost journal makes them run again.
        self.until("both are known to run", lambda: [a["state"] for a in self.attempts_of(
            self.gated).values()] == ["running", "running"])
        self.accepted = [self.gated]
        return serve

    def submit_until_it_ends(self, serve):
        """New runs keep it writing; what it says about each is noted."""
        job = self.simple()

        def ended():
            if serve.poll() is not None:
                return True
            done = self.pawl("run", job, "--detach", code=None)
            if done.lines:
                self.accepted.append(done.lines[0])
            else:
                self.assertIn(done.code, (69, 73, 74, 75), done)
            return serve.poll() is not None
        self.until("the scheduler has ended", ended, seconds=60)
        self.assertEqual(serve.returncode, 74, self.served())
        self.assertRegex(self.served(), r"(?m)^pawl: .*(disk|read-only|damaged|failed)")

    def go_on(self):
        self.open_gates("good", "five")
        pids = [pid for _, _, pid in self.noted("start")]
        self.until("the programs have ended", lambda: not any(is_alive(pid) for pid in pids))
        self.end_strays()  # workers on a file system that is repaired are gone, too
        self.loop.repair()
        serve = self.serve(log="second.log")
        for run in self.accepted[1:]:
            self.assertIn(self.until_ended(run)["state"], ("succeeded", "failed"))
        state = self.until_ended(self.gated)["state"]
        tasks = self.tasks_of(self.gated)
        # An end that only a failed disk knew of is no evidence.
        for name, good in (("good", ("succeeded", None)), ("five", ("failed", 5))):
            task = tasks[name]
            self.assertIn((task["state"], task["exit_code"]), (good, ("held", None)), task)
        self.assertEqual(state, "failed")
        self.assert_ran_once("good", "five")
        known = {r["run"] for r in self.pawl("runs", "-o", "json", "--limit", 0).json()}
        self.assertLessEqual(set(self.accepted), known, "an accepted run is gone")
        self.assertEqual(self.until_ended(self.detach(self.simple("well")))["state"], "succeeded")
        serve.send_signal(signal.SIGTERM)
        self.assertEqual(serve.wait(SECONDS), 0)
        self.pawl("doctor", code=None)

    def test_a_disk_that_cannot_write_ends_the_scheduler_with_74_and_nothing_accepted_is_lost(self):
        below = self.small_disk(self.root / "below", "size=48m")
        serve = self.begin(below)
        self.fill(below)
        self.submit_until_it_ends(serve)
        self.make_room()
        self.go_on()

    def test_a_disk_that_turns_read_only_ends_the_scheduler_with_74_and_it_can_be_read(self):
        below = self.small_disk(self.root / "below", "size=192m")
        serve = self.begin(below)
        self.loop.break_down()
        self.submit_until_it_ends(serve)
        # The history can be read as it stands; nothing can start.
        self.assertIn(self.gated, self.pawl("runs", "-o", "name").lines)
        refused = self.pawl("serve", code=None)
        self.assertIn(refused.code, (73, 74), refused)
        self.assertRegex(refused.err, r"(?i)read-only")
        self.go_on()

    def test_a_home_on_a_read_only_disk_is_refused_and_can_be_listed(self):
        below = self.small_disk(self.root / "below", "size=192m")
        serve = self.begin(below)
        self.open_gates("good", "five")
        self.until_ended(self.gated)
        serve.send_signal(signal.SIGTERM)
        self.assertEqual(serve.wait(SECONDS), 0)
        self.end_strays()
        self.until("nobody writes on the disk", lambda: command(
            "mount", "-o", "remount,ro", self.loop.mounted_at).returncode == 0)
        for words in (["serve"], ["run", self.simple()]):
            refused = self.pawl(*words, code=None)
            self.assertIn(refused.code, (73, 74), refused)
            self.assertRegex(refused.err, r"(?i)read-only")
        self.assertEqual(self.pawl("runs", "-o", "name").lines, [self.gated])
        self.assertEqual(self.tasks_of(self.gated)["five"]["exit_code"], 5)


class FileSizeLimit(DiskTest):
    def test_a_limit_of_file_sizes_ends_the_scheduler_with_74_and_no_worker(self):
        self.pawl("run", self.simple("first"))
        self.end_strays()
        log = open(self.root / "serve.log", "ab")
        child = subprocess.Popen(["prlimit", "--fsize=24000000", cli_support.PAWL, "serve"],
                                 env=self.env, cwd=self.root, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log)
        log.close()
        self.children.append(child)
        self.until("the scheduler answers", lambda: self.is_served(child), seconds=60)
        run = self.detach(self.gated_job("gated", [self.gate("five", 5)]))
        self.until_started("five")
        accepted = [run]

        def ended():
            name = f"big{len(accepted)}"
            job = self.job(name, [{"id": "a", "command": ["true"]}], description="x" * 4_000_000)
            done = self.pawl("run", job, "--detach", code=None)
            if done.lines:
                accepted.append(done.lines[0])
            return child.poll() is not None
        self.until("the limit is hit", ended, seconds=60)
        self.assertEqual(child.returncode, 74, self.served())
        self.assertIn("File too large", self.served())
        self.assertTrue(self.workers(), "the workers have gone with it")
        self.open_gates("five")
        self.serve(log="second.log")
        self.assertEqual(self.until_ended(run)["state"], "failed")
        self.assertEqual(self.tasks_of(run)["five"]["exit_code"], 5)
        self.assert_ran_once("five")
        for one in accepted[1:]:
            self.assertEqual(self.until_ended(one)["state"], "succeeded")


if __name__ == "__main__":
    if reason := why_not():
        print(f"skipped: nothing can be mounted here: {reason}")
        sys.exit(cli_support.SKIPPED)
    cli_support.main()
