"""A capture put on a wire again, as rawlab sees it: the plan is handed to the stage, and what was captured compared.

This side holds no privilege. It looks into packets, and the stage, which sends them, does not: that is told places in a
file. `live.replay_run` is the stage's side.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.errors import LabError
from rawlab.live.network import CLIENT, SERVER
from rawlab.live.replay_compare import Comparison
from rawlab.live.replay_run import POINTS
from rawlab.live.session import Session, error_of
from rawlab.live.sniff import Source
from rawlab.live.writer import Writer
from rawlab.model import timeline
from rawlab.model.replay import ROW, Planned, Replayed
from rawlab.wire import capture

Rows = npt.NDArray[Any]
_ROW = np.dtype(list(ROW.items()))
_F_SETPIPE_SZ, _PIPE_OCTETS = 1031, 1 << 20
_LOOK_MS = 100
_FRAMES_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """How a capture is to be put on a wire."""

    interface: str | None = None
    "of the present network; None: a lab's wire"
    topspeed: bool = False
    capture: int | None = None
    "a descriptor of a file for all that both ends see; None: what comes in is compared, and not kept"

    @property
    def rings(self) -> bool:
        """Whether anything is captured: not where that would only make it slower, nor outside."""
        return self.interface is None and (self.capture is not None or not self.topspeed)


@dataclass(slots=True, kw_only=True)
class Ended:
    """How it ended."""

    replayed: Replayed
    stopped: str | None
    error: str | None
    "why the file could not grow"


class Replayer(Session):
    """The stage that sends; `replay` is its whole run."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        "packets so far, as the stage has told"
        self._done: dict[str, Any] | None = None

    @property
    def signal(self) -> int | None:
        """SIGINT or SIGTERM, where one of them stopped it."""
        return self._signal

    def replay(
        self,
        replaying: Replaying,
        plan: Iterator[Rows],
        planned: Planned,
        octets: memoryview,
        descriptor: int,
        meanwhile: Callable[[int], None],
        version: str,
    ) -> Ended:
        """Has the stage send the plan's rows, whose octets are in the file `descriptor`, and `octets` for us.

        `meanwhile` is told now and then how many packets were sent. Raises PermissionMissing, LabError, OutputError.
        """
        source = self._begin(replaying, version)
        comparison = Comparison(octets) if replaying.rings else None
        feed = _Feed(plan, comparison)
        try:
            with contextlib.suppress(OSError):  # of a stage that is gone, `_receive` will tell
                socket.send_fds(self._control, [b"plan"], [feed.reader, descriptor])
            os.close(feed.reader)
            while self._done is None:
                self._step(feed, source, comparison)
                meanwhile(self.sent)
            while source is not None and comparison is not None and self._compare(source, comparison):
                pass
            return self._ended(planned, comparison, feed, timed=not replaying.topspeed)
        finally:
            feed.close()
            self.close()

    def _begin(self, replaying: Replaying, version: str) -> Source | None:
        """Asks the stage for it; what will be captured."""
        about = {
            "interface": replaying.interface,
            "topspeed": replaying.topspeed,
            "rings": replaying.rings,
            "file": replaying.capture is not None,
        }
        request = {"replay": about, "loopback": replaying.interface is not None}
        if replaying.capture is not None:
            run = timeline.Run(lab="replay", rawlab=version, kernel=os.uname().release)
            hosts = [timeline.Host(name=host.name) for host in (CLIENT, SERVER)]
            Writer(replaying.capture).append([capture.header(run, hosts, POINTS)])
            self._ask(request, replaying.capture)
            return Source(descriptor=replaying.capture, growing=True)
        reader, writer = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_OCTETS)
        os.set_blocking(reader, False)
        self._ask(request, writer)
        os.close(writer)
        return Source(descriptor=reader, growing=False) if replaying.rings else None

    def _step(self, feed: _Feed, source: Source | None, comparison: Comparison | None) -> None:
        """Sees to what is ready."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if feed.open:
            poll.register(feed.writer, select.POLLOUT)
        if source is not None and not source.growing:
            poll.register(source.descriptor, select.POLLIN)
        ready = dict(poll.poll(_LOOK_MS))
        if feed.open and feed.writer in ready:
            feed.write()
        if source is not None and comparison is not None and not self._compare(source, comparison):
            self._rest_if_hung_up(ready, source)
        if self._control.fileno() in ready:
            self._hear()

    def _rest_if_hung_up(self, ready: dict[int, int], source: Source) -> None:
        """A pipe without a writer is always ready: the stage's last word is waited for instead."""
        if ready.get(source.descriptor, 0) & select.POLLHUP:
            select.select([self._control], [], [], _LOOK_MS / 1000)

    def _compare(self, source: Source, comparison: Comparison) -> bool:
        """Takes what was captured; whether there was anything."""
        came = source.read()
        for frame in source.frames:
            if not frame.outgoing:
                comparison.see(frame)
        source.frames.clear()
        return came

    def _hear(self) -> None:
        """One message of the stage's. Raises RawlabError."""
        try:
            answer = self._receive()
        except LabError:
            raise LabError("replay: the processes of the lab were killed") from None
        if "error" in answer:
            raise error_of(answer)
        self.sent = answer.get("sent", self.sent)
        if "done" in answer:
            self._done = answer["done"]

    def _ended(self, planned: Planned, comparison: Comparison | None, feed: _Feed, *, timed: bool) -> Ended:
        assert self._done is not None
        report = self._done["report"] or _nothing()
        replayed = Replayed(planned=planned, **report)
        if comparison is not None:
            comparison.end(replayed, timed=timed)
        stopped, went = self._done["stopped"], sum(replayed.sent) + replayed.refused
        if stopped is None and replayed.error is None and went != feed.rows:
            stopped = f"of {feed.rows:,} packets {feed.rows - went:,} were not sent, for no reason that is known"
        return Ended(replayed=replayed, stopped=stopped, error=self._done["error"])


class _Feed:
    """The plan on its way to the stage, through a pipe that is never waited for."""

    def __init__(self, plan: Iterator[Rows], comparison: Comparison | None) -> None:
        self.reader, self.writer = os.pipe()
        self.open = True
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.writer, _F_SETPIPE_SZ, _PIPE_OCTETS)
        os.set_blocking(self.writer, False)
        self._plan = plan
        self._comparison = comparison
        self._rest = memoryview(b"")
        self._last = False
        self.rows = 0
        "that were handed over"

    def write(self) -> None:
        """What the pipe takes now. Closes it behind the last row."""
        if not self._rest:
            self._rest = self._following()
        try:
            self._rest = self._rest[os.write(self.writer, self._rest) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the sender has ended before the plan
            self.close()
            return
        if self._last and not self._rest:
            self.close()

    def _following(self) -> memoryview:
        rows = next(self._plan, None)
        if rows is None:
            self._last = True
            rows = np.zeros(1, _ROW)
            rows["end"] = 1
            return memoryview(rows.tobytes())
        self.rows += rows.size
        if self._comparison is not None:
            self._comparison.plan(rows)
        return memoryview(rows.tobytes())

    def close(self) -> None:
        """No row is written any more."""
        if self.open:
            self.open = False
            os.close(self.writer)


def _nothing() -> dict[str, Any]:
    """The report of a replay that was stopped before it began."""
    return {
        "sent": [0, 0],
        "octets": [0, 0],
        "refused": 0,
        "refused_errno": None,
        "error": None,
        "took_ns": 0,
        "received": None,
        "received_octets": None,
        "others": 0,
        "lost": 0,
        "captured": None,
        "dropped": 0,
    }
