"""The wire as a relay: two veth pairs joined by a process that passes frames on, late if asked to.

    client ══ to-client ▶ relay ▶ to-server ══ server          (and back)

A lab whose point needs time on the wire (two FINs that cross) gets it exactly and in every run. The relay sits in
a network namespace of its own; both hosts' ends are captured as ever, each frame as it left and as it arrived.
"""

from __future__ import annotations

import heapq
import os
import select
import signal
import socket
import time
from itertools import count
from typing import NoReturn

from rawlab.live import libc

_ETH_P_ALL = 0x0003
_PACKET_IGNORE_OUTGOING = 23
_LONGEST_FRAME = 65_600


def start(delay_ms: int, first: str, second: str) -> int:
    """Forks a process that relays between two interfaces of the present network namespace; its pid."""
    ends = _end(first), _end(second)
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            libc.prctl(libc.PR_SET_NAME, b"wire")
            _relay(ends, delay_ms / 1000)
        finally:
            os._exit(1)
    for end in ends:
        end.close()
    return pid


def _end(interface: str) -> socket.socket:
    """A packet socket that hears what comes in; made without a protocol, so that it hears no other interface."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setsockopt(263, _PACKET_IGNORE_OUTGOING, 1)  # SOL_PACKET
    end.bind((interface, _ETH_P_ALL))
    return end


def _relay(ends: tuple[socket.socket, socket.socket], delay: float) -> NoReturn:
    """Passes every frame to the other end, `delay` seconds after it came, in the order of arrival."""
    others = {ends[0]: ends[1], ends[1]: ends[0]}
    order = count()
    waiting: list[tuple[float, int, socket.socket, bytes]] = []
    while True:
        patience = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        ready, _, _ = select.select(ends, (), (), patience)
        for end in ready:
            heapq.heappush(waiting, (time.monotonic() + delay, next(order), others[end], end.recv(_LONGEST_FRAME)))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(waiting)
            end.send(frame)
