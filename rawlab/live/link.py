"""The wire as a relay: two veth pairs joined by a process that passes frames on, late or with faults if asked to.

    client ══ to-client ▶ relay ▶ to-server ══ server          (and back; a second path has such pairs of its own)

A lab whose point needs time on the wire (two FINs that cross), or the loss of one packet, gets it exactly and in
every run. The relay sits in a network namespace of its own; both hosts' ends are captured as ever, each frame as
it left and as it arrived: one that is dropped here has left and does not arrive.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NoReturn

from rawlab.live import libc
from rawlab.live.faults import Faults
from rawlab.model.faults import AnyFault

_ETH_P_ALL = 0x0003
_PACKET_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_LONGEST_FRAME = 65_600
_BUFFER = 16 << 20  # what waits for the relay, so that it loses nothing that it was not asked to
_BURST = 64  # frames taken from one end before the others' turn comes


@dataclass(frozen=True, slots=True)
class _Side:
    """Where frames of one host come in, and where they go out."""

    end: socket.socket
    other: socket.socket
    way: str
    path: int


def start(delay_ms: int, faults: Sequence[AnyFault], paths: Sequence[tuple[str, str]]) -> int:
    """Forks a process that relays between pairs of interfaces of the present network namespace; its pid.

    Each path is its interface towards the client and the one towards the server.
    """
    sides = []
    for path, (client, server) in enumerate(paths, 1):
        one, other = _end(client), _end(server)
        sides += [_Side(one, other, "client>", path), _Side(other, one, "server>", path)]
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            libc.prctl(libc.PR_SET_NAME, b"wire")
            _relay(sides, delay_ms / 1000, Faults(faults))
        finally:
            os._exit(1)
    for side in sides:
        side.end.close()
    return pid


def _end(interface: str) -> socket.socket:
    """A packet socket that hears what comes in; made without a protocol, so that it hears no other interface."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setblocking(False)
    end.setsockopt(263, _PACKET_IGNORE_OUTGOING, 1)  # SOL_PACKET
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    with contextlib.suppress(PermissionError):  # an ordinary user's buffers end at net.core.rmem_max
        end.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    end.bind((interface, _ETH_P_ALL))
    return end


def _relay(sides: Sequence[_Side], delay: float, faults: Faults) -> NoReturn:
    """Passes every frame to the other end, `delay` seconds after it came, in the order of arrival, but for faults."""
    by_end = {side.end: side for side in sides}
    queue = Queue()
    while True:
        ready, _, _ = select.select(by_end, (), (), queue.patience(time.monotonic()))
        for end in ready:
            side = by_end[end]
            for frame in _received(end):
                passage = faults.passage(side.way, side.path, frame)
                at = time.monotonic() + delay + passage.late_ms / 1000
                for _ in range(passage.copies):
                    queue.put(at, side.other, frame, passage.behind_ms / 1000)
        for end, frame in queue.due(time.monotonic()):
            with contextlib.suppress(OSError):  # as on any wire, what can't be sent is lost
                end.send(frame)


def _received(end: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        for _ in range(_BURST):
            yield end.recv(_LONGEST_FRAME)


class Queue:
    """The frames on the wire, each with its time and where it goes; some wait for the next that goes there."""

    def __init__(self) -> None:
        self._order = count()
        self._waiting: list[tuple[float, int, socket.socket, bytes]] = []
        self._held: defaultdict[socket.socket, list[tuple[float, bytes]]] = defaultdict(list)

    def put(self, at: float, end: socket.socket, frame: bytes, behind: float = 0) -> None:
        """A frame that is due `at`, or behind the next frame that goes there, if it comes within `behind` seconds."""
        if behind:
            self._held[end].append((at + behind, frame))
            return
        heapq.heappush(self._waiting, (at, next(self._order), end, frame))
        for _, held in self._held.pop(end, ()):
            heapq.heappush(self._waiting, (at, next(self._order), end, held))

    def patience(self, now: float) -> float | None:
        """How long nothing is due; None: until another frame comes."""
        moments = [self._waiting[0][0]] if self._waiting else []
        moments += [until for held in self._held.values() for until, _ in held]
        return max(min(moments) - now, 0) if moments else None

    def due(self, now: float) -> Iterator[tuple[socket.socket, bytes]]:
        """The frames whose time has come, in order."""
        for end, held in self._held.items():
            for until, frame in held:
                if until <= now:
                    heapq.heappush(self._waiting, (until, next(self._order), end, frame))
            held[:] = [(until, frame) for until, frame in held if until > now]
        while self._waiting and self._waiting[0][0] <= now:
            _, _, end, frame = heapq.heappop(self._waiting)
            yield end, frame
