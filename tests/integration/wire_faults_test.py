#!/usr/bin/env python3
"""What comes over the wire between a scheduler and a living worker when it is not what it should be:
nothing, garbage, half a frame, a length of four gigabytes, everything twice, an end after the cancel.

    wire_faults_test.py --pawl PATH [unittest arguments]

A scheduler is killed while its workers run programs. Before the next one comes a relay takes the
place of each worker's socket; it passes on what both sides say, but for what the test does to it."""

import contextlib
import os
import select
import socket
import threading

import cli_support
from gate_support import GateTest, is_alive

LENGTH = 4  # bytes before each frame: its length, little end first


class Relay:
    """Between the scheduler and one worker. `first`: what the first connection gets instead of
    being relayed, a function of its socket and the worker's. `frames`: what becomes of the frames
    that the worker sends on connections that are relayed."""

    def __init__(self, folder, first=None, frames=None):
        self.place, self.behind = folder / "sock", folder / "sock.behind"
        self.place.rename(self.behind)
        self.first, self.frames = first, frames or (lambda frame: [frame])
        self.connections = 0
        self.open = []
        self.listening = self.at(self.place, "bind")
        self.listening.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @staticmethod
    def at(path, do):
        """A socket at a path of any length."""
        folder = os.open(path.parent, os.O_PATH)
        try:
            one = socket.socket(socket.AF_UNIX)
            getattr(one, do)(f"/proc/self/fd/{folder}/{path.name}")
            return one
        finally:
            os.close(folder)

    def serve(self):
        while True:
            try:
                scheduler, _ = self.listening.accept()
            except OSError:
                return
            worker = self.at(self.behind, "connect")
            self.connections += 1
            self.open += [scheduler, worker]
            with contextlib.suppress(OSError):
                if self.connections == 1 and self.first:
                    self.first(scheduler, worker)
                else:
                    threading.Thread(target=self.relay, args=(scheduler, worker),
                                     daemon=True).start()
                    continue
            for one in (scheduler, worker):
                one.close()

    def relay(self, scheduler, worker):
        unread = b""
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([scheduler, worker], [], [])
                if scheduler in ready:
                    said = scheduler.recv(1 << 16)
                    worker.sendall(said)
                    if not said:
                        break
                if worker in ready:
                    said = worker.recv(1 << 16)
                    if not said:
                        break
                    whole, unread = frames_of(unread + said)
                    for frame in whole:
                        for one in self.frames(frame):
                            scheduler.sendall(one)
        for one in (scheduler, worker):
            one.close()

    def close(self):
        # A thread that waits in accept is woken by this, not by a close.
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.thread.join()


def frames_of(data):
    """The whole frames, each with its length, and what is left."""
    whole = []
    while len(data) >= LENGTH:
        end = LENGTH + int.from_bytes(data[:LENGTH], "little")
        if len(data) < end:
            break
        whole.append(data[:end])
        data = data[end:]
    return whole, data


def four_gigabytes(scheduler, _):
    scheduler.sendall(b"\xff\xff\xff\xff" + b"x" * 4096)
    scheduler.recv(1)  # its hello; then it has hung up, or there is more
    while scheduler.recv(1 << 16):
        pass


def garbage(scheduler, _):
    body = os.urandom(3000)
    scheduler.sendall(len(body).to_bytes(LENGTH, "little") + body)
    while scheduler.recv(1 << 16):
        pass


def half_a_frame(scheduler, worker):
    """Cut in the middle of what the worker answers first."""
    worker.sendall(scheduler.recv(1 << 16))
    answer = worker.recv(1 << 16)
    scheduler.sendall(answer[: len(answer) // 2])


def hung_up(_scheduler, _worker):
    pass


def silence(scheduler, _):
    """Nothing, until the scheduler has had enough of it."""
    while scheduler.recv(1 << 16):
        pass


class WireFaults(GateTest):
    TASKS = {"good": 0, "five": 5}

    def setUp(self):
        super().setUp()
        self.put_library("PAWL_FAULTY_PLUGIN")
        self.go = self.root / "go"

    def begin(self, **relay):
        """Two programs and an operator are at work, their scheduler is dead, and relays stand before
        their workers."""
        serve = self.serve()
        run = self.detach(self.gated_job("gated", [
            *(self.gate(n, c) for n, c in self.TASKS.items()),
            {"id": "native", "operator": "patient"}]))
        self.until_started(*self.TASKS)
        self.until("the operator is at work", lambda: self.attempts_of(run).get(("native", 1)))
        self.kill(serve)
        relays = [Relay(place.parent, **relay)
                  for place in (self.home / "workers").glob("*/sock")]
        for one in relays:
            self.addCleanup(one.close)
        self.assertTrue(relays)
        return run, relays

    def assert_real_ends(self, run):
        self.assertEqual(self.until_ended(run)["state"], "failed")
        tasks = self.tasks_of(run)
        self.assertEqual((tasks["good"]["state"], tasks["five"]["exit_code"]), ("succeeded", 5))
        self.assertEqual(
            {k: a["state"] for k, a in self.attempts_of(run).items()},
            {("good", 1): "succeeded", ("five", 1): "failed", ("native", 1): "succeeded"})
        self.assert_ran_once(*self.TASKS)
        well = self.detach(self.job("well", [{"id": "a", "command": ["true"]}]))
        self.assertEqual(self.until_ended(well)["state"], "succeeded")

    def test_what_is_no_frame_costs_the_connection_and_the_next_one_has_it_all(self):
        for first in (four_gigabytes, garbage, half_a_frame, hung_up, silence):
            with self.subTest(first.__name__):
                run, relays = self.begin(first=first)
                serve = self.serve()
                self.until("all are asked again", lambda: all(r.connections > 1 for r in relays),
                           seconds=60)
                self.let_go(*self.TASKS)
                self.assert_real_ends(run)
                self.assertIsNone(serve.poll(), self.served())
                self.forget_all(serve)

    def test_what_is_said_twice_counts_once(self):
        run, _ = self.begin(frames=lambda frame: [frame, frame])
        serve = self.serve()
        self.let_go(*self.TASKS)
        self.assert_real_ends(run)
        self.assertIsNone(serve.poll(), self.served())

    def test_an_end_that_was_under_way_when_its_task_was_cancelled_is_the_one_that_counts(self):
        passes = threading.Event()
        held = threading.Event()
        holds = threading.Event()

        def frames(frame):
            if holds.is_set():
                held.set()
                passes.wait()
            return [frame]
        run, _ = self.begin(frames=frames)
        self.addCleanup(passes.set)
        self.serve()
        self.assertEqual({t["state"] for t in self.tasks_of(run).values()}, {"running"})
        holds.set()
        self.open_gates("good")
        (_, _, pid), = self.noted("start", "good")
        # What is held first may be another frame: the end is behind it once the program has ended.
        self.until("good has ended", lambda: not is_alive(pid))
        self.assertTrue(held.wait(cli_support.SECONDS), "the end is under way")
        self.pawl("cancel", f"{run}/good", "-y")
        passes.set()
        self.let_go("five")
        self.assert_real_ends(run)

    def let_go(self, *gates):
        self.open_gates(*gates)
        self.go.touch()

    def forget_all(self, serve):
        self.kill(serve)
        self.end_strays()
        self.go.unlink()
        self.ledger.write_text("")
        for gate in self.gates.iterdir():
            gate.unlink()


if __name__ == "__main__":
    cli_support.main()
