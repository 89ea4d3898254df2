"""A capture put on a wire again, by the stage: the wire, the rings at its ends, the process that sends; and the counts.

    rawlab ── the plan, through a pipe; the capture, a descriptor ──▶ replay_sender, a process of its own
    rawlab ◀── what was captured, through a pipe or a file ── rings at both ends ◀── the wire

The stage looks into no packet. Outside of a lab there is one interface, no ring, and no network of our own.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from typing import Any

from rawlab.errors import LabError, PermissionMissing
from rawlab.live import libc, needs
from rawlab.live.network import CLIENT, SERVER
from rawlab.live.replay_sender import Counts, Plan, Sender, open_socket
from rawlab.live.replay_wire import SilentWire, silent_wire
from rawlab.live.ring import Ring
from rawlab.live.sniff_run import Pipe
from rawlab.live.writer import Writer
from rawlab.model.timeline import Point
from rawlab.wire import capture

POINTS = tuple(Point(name=host.name, linktype=1, host=host.name) for host in (CLIENT, SERVER))
_STEP_SECONDS, _TOLD_SECONDS = 0.1, 0.25
_RETIRE_MS = 50  # seldom: a process that wakes up is in the sender's way
_DRAIN_SECONDS = 0.11  # more than twice the ring's retire time
_RECEIVED_OCTETS, _RECEIVED, _SENT = 0, 1, 9
"columns of net/dev"
_Message = dict[str, Any]


class ReplayRun:
    """One replay. `perform` is its whole life."""

    def __init__(self, control: socket.socket, request: _Message, descriptor: int) -> None:
        self.control = control
        self.asked: _Message = request["replay"]
        self.outside: str | None = self.asked["interface"]
        self.writer = Writer(descriptor) if self.asked["file"] else Pipe(descriptor)
        self.counts = Counts.shared()
        self.stopped: str | None = None
        self.rings: list[Ring] = []
        self.network: SilentWire | None = None
        self.selector = selectors.DefaultSelector()

    def perform(self) -> _Message:
        """Sends, captures, drains, counts. Raises PermissionMissing, LabError, OSError."""
        plan, octets = self._descriptors()
        if plan is None or octets is None:  # stopped, or rawlab is gone
            return {"stopped": self.stopped or "stopped", "error": None, "report": None}
        sockets = self._open()
        before = self._interfaces()
        pid = self._start(sockets, plan, octets)
        for descriptor in (plan, octets, *(opened.detach() for opened in sockets)):
            with contextlib.suppress(OSError):  # both sides have the same one, outside
                os.close(descriptor)
        self.selector.register(self.control, selectors.EVENT_READ)
        for ring in self.rings:
            self.selector.register(ring, selectors.EVENT_READ)
        self._tell({"started": True})
        self._watch(pid)
        return self._end(before)

    def _descriptors(self) -> tuple[int | None, int | None]:
        """The plan's pipe and the capture, which rawlab hands over."""
        while True:
            message, found, _, _ = socket.recv_fds(self.control, 4096, 2)
            if len(found) == 2:
                return found[0], found[1]
            if not message:
                return None, None
            self.stopped = json.loads(message)["stop"]
            self.counts.stop = 1

    # ---- before

    def _open(self) -> list[socket.socket]:
        """A socket for each side; the wire and its rings, in a lab. Raises PermissionMissing, LabError."""
        if self.outside is not None:
            return self._open_outside(self.outside)
        self.network = silent_wire()
        sockets = []
        for index, point in enumerate(POINTS):
            with self.network.inside(point.name):
                try:
                    if self.asked["rings"]:
                        incoming_only = not self.asked["file"]
                        ring = Ring(point.name, interface_id=index, retire_ms=_RETIRE_MS, ignore_outgoing=incoming_only)
                        self.rings.append(ring)
                    sockets.append(open_socket(point.name, bypass=not self.asked["file"]))
                except PermissionError:
                    raise PermissionMissing(
                        f"a packet socket on {point.name} is refused (EPERM): {needs.why_refused()}"
                    ) from None
        return sockets

    def _open_outside(self, interface: str) -> list[socket.socket]:
        try:
            opened = open_socket(interface, bypass=False)
        except PermissionError:
            raise PermissionMissing("sending outside of a lab needs root: use sudo") from None
        except OSError as error:
            raise LabError(f"{interface}: {error.strerror}") from None
        return [opened, opened]

    def _interfaces(self) -> list[list[int]]:
        """What each end's kernel has counted, net/dev of proc_pid_net(5)."""
        found: list[list[int]] = []
        if self.network is None:
            return found
        for point in POINTS:
            with self.network.inside(point.name), open("/proc/thread-self/net/dev") as file:
                rows = (line.partition(":") for line in file)
                found.append(next(list(map(int, row.split())) for name, _, row in rows if name.strip() == point.name))
        return found

    def _start(self, sockets: list[socket.socket], plan: int, octets: int) -> int:
        """The process that sends."""
        stage = os.getpid()
        if pid := os.fork():
            return pid
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != stage:
                os._exit(1)
            libc.prctl(libc.PR_SET_NAME, b"sender")
            os.close(self.control.detach())  # so that rawlab sees when the stage is gone
            os.close(self.writer.descriptor)
            Sender(sockets, octets, self.counts, topspeed=self.asked["topspeed"]).send(Plan(plan))
        except OSError as error:
            self.counts.errno = error.errno or 1
        except BaseException:
            if os.environ.get("RAWLAB_DEBUG"):
                import traceback

                traceback.print_exc()
            os._exit(1)
        os._exit(0)

    # ---- while it runs

    def _watch(self, pid: int) -> None:
        """Until the sender has ended."""
        ended = os.pidfd_open(pid)
        self.selector.register(ended, selectors.EVENT_READ)
        told = time.monotonic()
        while True:
            ready = [key.fileobj for key, _ in self.selector.select(_STEP_SECONDS)]
            self._collect()
            if self.control in ready:
                self._obey()
            if ended in ready:
                break
            if time.monotonic() - told > _TOLD_SECONDS:
                told = time.monotonic()
                self._tell({"sent": sum(self.counts.sent)}, wait=False)
            if self.writer.error:
                self._stop("the file can't grow")
        self.selector.unregister(ended)
        _, status = os.waitpid(pid, 0)
        if status:
            how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "a fault of its own"
            self.stopped = self.stopped or f"the process that sends was ended by {how}"

    def _collect(self) -> bool:
        came = False
        for ring in self.rings:
            blocks = ring.take()
            self.writer.append(blocks)
            ring.release()
            came |= bool(blocks)
        return came

    def _obey(self) -> None:
        """rawlab says stop, or is gone."""
        message = self.control.recv(4096)
        if not message:
            os._exit(0)
        self._stop(json.loads(message)["stop"])

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        self.counts.stop = 1

    def _tell(self, message: _Message, *, wait: bool = True) -> None:
        with contextlib.suppress(BlockingIOError):
            self.control.send(json.dumps(message).encode(), 0 if wait else socket.MSG_DONTWAIT)

    # ---- after

    def _end(self, before: list[list[int]]) -> _Message:
        quiet = 0
        while self.rings and quiet < 2:
            time.sleep(_DRAIN_SECONDS)
            quiet = 0 if self._collect() else quiet + 1
        points = []
        captured = dropped = 0
        for point, ring in zip(POINTS, self.rings, strict=False):
            found = ring.statistics()
            captured, dropped = captured + found.captured, dropped + found.dropped
            points.append(Point(name=point.name, linktype=1, captured=found.captured, dropped=found.dropped))
        if self.asked["file"]:
            self.writer.append([capture.statistics(points, time.time_ns())])
        error = self.writer.error
        report = self._report(before) | {"captured": captured if self.rings else None, "dropped": dropped}
        return {"stopped": self.stopped, "error": error.strerror if error else None, "report": report}

    def _report(self, before: list[list[int]]) -> _Message:
        counts = self.counts
        sent = list(counts.sent)
        report: _Message = {
            "sent": sent,
            "octets": list(counts.octets),
            "refused": counts.refused,
            "refused_errno": libc.errno_name(counts.refused_errno) if counts.refused else None,
            "error": libc.errno_name(counts.errno) if counts.errno else None,
            "took_ns": max(counts.ended_ns - counts.began_ns, 0),
        }
        if self.network is None:
            return report | {"received": None, "received_octets": None, "others": 0, "lost": 0}
        after = self._interfaces()
        client, server = (
            [now - then for now, then in zip(*pair, strict=True)] for pair in zip(after, before, strict=True)
        )
        return report | {
            "received": [server[_RECEIVED], client[_RECEIVED]],
            "received_octets": [server[_RECEIVED_OCTETS], client[_RECEIVED_OCTETS]],
            "others": max(client[_SENT] - sent[0], 0) + max(server[_SENT] - sent[1], 0),
            "lost": max(sent[0] - server[_RECEIVED], 0) + max(sent[1] - client[_RECEIVED], 0),
        }

