#!/usr/bin/env python3
"""Cuts the power of pawl's disk, again and again, and lets verify.py judge what came of it.

    power_test.py --pawl PATH [--cuts N] [--seed S] [--keep]

The home lies on ext4 on a loop device. A cut is the file system's own shutdown call: what was not
synced is gone, as without power. Then everything is killed, the file system is mounted anew, and
the next scheduler sees another boot of the machine (a boot id of its own, in its own mount
namespace). The outside ledger is on another disk and keeps all. The work is that of crash_test.py.
Exit code 0 only when nothing was wrong and the cuts have hit; 77 where this is not permitted.
"""

import argparse
import errno
import fcntl
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import uuid
from pathlib import Path

import verify
from crash_test import LEAVING_SECONDS, CrashTest
from commands import command  # of tests/integration, which crash_test has put on the path

SKIPPED = 77
EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Disk:
    def __init__(self, image, mounted_at):
        self.image, self.mounted_at, self.device = image, mounted_at, None

    def make(self):
        """Why it cannot be made; empty when it was."""
        self.mounted_at.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(512 << 20)
        done = command("losetup", "-f", "--show", self.image)
        if done.returncode != 0:
            return done.stderr.strip()
        self.device = done.stdout.strip()
        for words in (["mkfs.ext4", "-q", "-F", self.device], self.mounting()):
            if (done := command(*words)).returncode != 0:
                return done.stderr.strip()
        return ""

    def mounting(self):
        return ["mount", self.device, self.mounted_at]

    def cut(self):
        folder = os.open(self.mounted_at, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(folder)

    def come_back(self):
        deadline = time.monotonic() + LEAVING_SECONDS
        while (done := command("umount", self.mounted_at)).returncode != 0:
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.05)
        # The dead scheduler's mount namespace holds a mount of its own until the kernel has taken the
        # namespace apart; a mount before that would get the same dead file system back.
        while self.is_mounted_somewhere():
            assert time.monotonic() < deadline, f"{self.device} is still mounted in another namespace"
            time.sleep(0.01)
        done = command(*self.mounting())
        assert done.returncode == 0, done.stderr

    def is_mounted_somewhere(self):
        """A block device that carries a mounted file system cannot be opened for oneself alone."""
        try:
            os.close(os.open(self.device, os.O_RDONLY | os.O_EXCL))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return True
        return False

    def clear_away(self):
        command("umount", "-l", self.mounted_at)
        if self.device:
            command("losetup", "-d", self.device)


class PowerTest(CrashTest):
    UNANSWERED = CrashTest.UNANSWERED | {-signal.SIGKILL}  # without power nothing runs, no client either

    def __init__(self, pawl, seed, root, disk):
        super().__init__(pawl, seed, root, disk.mounted_at / "home")
        self.disk = disk
        command("sync", "-f", self.home)  # the settings that the test itself wrote
        self.boot = root / "boot_id"
        self.boot.write_text(f"{uuid.UUID(int=self.rng.getrandbits(128))}\n")

    def serving(self):
        """The scheduler in a mount namespace in which the machine has a boot id of our own."""
        return ["unshare", "-m", "--propagation", "slave", "sh", "-c",
                f'mount --bind "$0" {BOOT_ID} && exec "$@"', str(self.boot), *super().serving()]

    def fault(self):
        if self.rng.random() < 0.6:
            self.until_it_runs_something()
        self.disk.cut()
        folders = [path.name for path in (self.home / "workers").iterdir()]
        # Without power nothing runs: no scheduler, no worker, no program.
        deadline = time.monotonic() + LEAVING_SECONDS
        while found := verify.processes_in(self.home):
            assert time.monotonic() < deadline, f"cannot be killed: {found}"
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.scheduler.poll()
            time.sleep(0.01)
        self.scheduler.wait()
        self.collect(wait=True)
        self.disk.come_back()
        self.boot.write_text(f"{uuid.UUID(int=self.rng.getrandbits(128))}\n")
        self.faults.append({"kind": "power", "workers": folders})
        return True


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    with tempfile.NamedTemporaryFile() as boot:
        done = command("unshare", "-m", "--propagation", "slave", "mount", "--bind", boot.name, BOOT_ID)
    return done.stderr.strip() if done.returncode != 0 else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pawl", required=True, type=lambda p: str(Path(p).resolve()))
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pawl-power-"))
    disk = Disk(root / "image", root / "disk")
    try:
        if reason := why_not() or disk.make():
            print(f"skipped: the power of a disk cannot be cut here: {reason}")
            return SKIPPED
        print(f"seed {args.seed}, {args.cuts} cuts, {root}", flush=True)
        test = PowerTest(args.pawl, args.seed, root, disk)
        report = test.run(args.cuts)
        print(verify.text_of(report))
        if args.cuts >= 5:
            for what in ("in_flight", "interrupted"):
                if report[what] == 0:
                    test.problems.append(f"no attempt was {what.replace('_', ' ')} at a cut")
        for problem in test.problems[:50]:
            print("WRONG", problem)
        print("power test: " + (f"{len(test.problems)} problems" if test.problems else "nothing wrong"))
        return 1 if test.problems else 0
    finally:
        disk.clear_away()
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
