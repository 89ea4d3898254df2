"""Packets as they come, as rawlab sees it: what is asked of the stage, and the frames that it hands over.

The stage writes pcapng blocks to a file, which is read here as it grows, or to a pipe. This side holds no privilege.
Frames of several interfaces are given out in the order of time, as soon as the stage has said that all have been read
up to then. `live.sniff_run` is the stage's side; `live.labs_running` finds labs.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import select
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rawlab.errors import LabError
from rawlab.live.labs_running import RunningLab
from rawlab.live.session import Session, error_of
from rawlab.model.event import Frame
from rawlab.model.timeline import Host, Point
from rawlab.wire import pcapng

_F_SETPIPE_SZ, _PIPE_OCTETS = 1031, 1 << 20
_READ_OCTETS = 1 << 20
_ETHERNET = 1
LAB_ENDED = "the lab has ended"
"""Why listening to a lab stopped, where nobody stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffing:
    """What to listen to."""

    interface: str | None
    "of the present network; None: a lab"
    lab: RunningLab | None
    program: bytes
    "the filter: an array of struct sock_filter; b'': everything"
    version: str

    def to_json(self, *, file: bool) -> dict[str, Any]:
        """What the stage is told."""
        asked: dict[str, Any] = {"interface": self.interface, "lab": None}
        if self.lab is not None:
            asked |= {"lab": self.lab.stage, "own_tcp": self.lab.own_tcp, "order": self.lab.interfaces}
        asked |= {"program": base64.b64encode(self.program).decode(), "file": file, "version": self.version}
        return {"sniff": asked, "loopback": True}


@dataclass(slots=True, kw_only=True)
class Ended:
    """How it ended."""

    stopped: str | None = None
    captured: int = 0
    dropped: int = 0
    error: str | None = None
    "why the file could not grow"


@dataclass(slots=True, kw_only=True)
class Source:
    """The blocks, as they are read."""

    descriptor: int
    growing: bool
    "a file, read behind the stage; else a pipe"
    at: int = 0
    "octets of the file that were read"
    rest: bytes = b""
    "the beginning of a block whose end is not there yet"
    records: int = 0
    frames: list[Frame] = field(default_factory=list)
    "read and not given out yet"

    def read(self) -> bool:
        """Takes what is there now; whether there was anything. Raises LabError where it is no pcapng."""
        try:
            data = os.pread(self.descriptor, _READ_OCTETS, self.at) if self.growing else self._read_pipe()
        except BlockingIOError:
            return False
        self.at += len(data)
        self._take(self.rest + data)
        return bool(data)

    def _read_pipe(self) -> bytes:
        return os.read(self.descriptor, _READ_OCTETS)

    def _take(self, data: bytes) -> None:
        view, at = memoryview(data), 0
        while at + 8 <= len(data):
            kind, total = struct.unpack_from("=II", data, at)
            if total < 12 or total > pcapng.MAX_BLOCK:
                raise LabError(f"the stage's packets: a block of {total} octets came")
            if at + total > len(data):
                break
            if kind == pcapng.ENHANCED_PACKET:
                self._packet(view[at + 8 : at + total - 4])
            at += total
        self.rest = data[at:]

    def _packet(self, body: memoryview) -> None:
        number, high, low, captured, length = struct.unpack_from("=5I", body)
        flags = pcapng.read_options(body, 20 + captured + -captured % 4, "=")
        direction = next((value[0] & 3 for code, value in flags if code == pcapng.EPB_FLAGS), 0)
        self.records += 1
        self.frames.append(
            Frame(
                number=self.records,
                at_ns=high << 32 | low,
                point=number,
                outgoing={pcapng.OUTBOUND: True, pcapng.INBOUND: False}.get(direction),
                data=bytes(body[20 : 20 + captured]),
                length=length,
            )
        )


class Sniffer(Session):
    """The stage that listens; `frames` gives what it hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: list[Host] = []
        self.points: list[Point] = []
        self.ended = Ended()
        self.dropped = 0
        "frames that the kernel has dropped so far"
        self.hurried = False
        "a second signal came: what is not shown yet is left out"
        self._done = self._stop_sent = False
        self._until = 0

    @property
    def signal(self) -> int | None:
        """SIGINT or SIGTERM, where one of them stopped it."""
        return self._signal

    def stop(self, why: str) -> None:
        """Ends it in good order; a signal that comes after that leaves out the rest of the table."""
        if self._stop_sent:
            self.hurried = self._signal is not None
            return
        super().stop(why)
        self._stop_sent = self._requested

    def begin(self, sniffing: Sniffing, descriptor: int | None) -> Source:
        """Has the stage listen; into that file, or else into a pipe. Returns when it does. Raises RawlabError."""
        if descriptor is not None:
            self._ask(sniffing.to_json(file=True), descriptor)
            source = Source(descriptor=descriptor, growing=True)
        else:
            reader, writer = os.pipe()
            with contextlib.suppress(OSError):
                fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_OCTETS)
            self._ask(sniffing.to_json(file=False), writer)
            os.close(writer)
            os.set_blocking(reader, False)
            source = Source(descriptor=reader, growing=False)
        while not self.points and not self._done:
            self._hear()
        return source

    def frames(self, source: Source, other: int | None = None, deadline: float | None = None) -> Iterator[list[Frame]]:
        """Frames in the order of time, some at a time, until the end; none, so that time is seen to pass.

        `other`: a descriptor that ends it when it becomes readable (a pidfd); so does `deadline`, of time.monotonic().
        Raises RawlabError.
        """
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if not source.growing:
            poll.register(source.descriptor, select.POLLIN)
        if other is not None:
            poll.register(other, select.POLLIN)
        more = False
        while not self._done:
            ready = dict(poll.poll(0 if more else self._patience(deadline)))
            if other is not None and other in ready:
                poll.unregister(other)
                self.stop(LAB_ENDED)
            if self._control.fileno() in ready:
                self._hear()
            more = source.read()
            while len(self.points) > 1 and source.read():
                pass  # what stands in order needs all that is there
            if not more and not source.growing and ready.get(source.descriptor, 0) & select.POLLHUP:
                poll.unregister(source.descriptor)
            yield self._in_order(source)
            if deadline is not None and time.monotonic() >= deadline:
                self.stop("the time is over")
                deadline = None
        while source.read():
            yield self._in_order(source)
        self._until = 1 << 63
        yield self._in_order(source)

    def _patience(self, deadline: float | None) -> int:
        """Milliseconds."""
        return 500 if deadline is None else max(0, min(500, int((deadline - time.monotonic()) * 1000) + 1))

    def _in_order(self, source: Source) -> list[Frame]:
        """What is to be given out now. Of one interface all that was read, as it stands in the file."""
        frames = source.frames
        if len(self.points) < 2:
            source.frames = []
            return frames
        frames.sort(key=lambda frame: frame.at_ns)
        ready = next((n for n, frame in enumerate(frames) if frame.at_ns > self._until), len(frames))
        source.frames = frames[ready:]
        return frames[:ready]

    def _hear(self) -> None:
        """One message of the stage's. Raises RawlabError."""
        try:
            answer = self._receive()
        except LabError:
            raise LabError("sniff: the listening process was killed; what it had captured until then is kept") from None
        if "error" in answer:
            raise error_of(answer)
        if "started" in answer:
            self.hosts = [
                Host(name=name, addresses=tuple(addresses), own_tcp=tuple(own))
                for name, addresses, own in answer["hosts"]
            ]
            self.points = [Point(name=name, linktype=_ETHERNET, host=host) for name, host in answer["points"]]
        if "until" in answer:
            self._until, self.dropped = answer["until"], answer["dropped"]
        if "done" in answer:
            self.ended = Ended(**answer["done"])
            self.dropped = self.ended.dropped
            self._done = True
