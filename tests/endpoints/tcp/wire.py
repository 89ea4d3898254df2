"""One end of a veth pair, at an address that no kernel has, where packets can get lost, doubled, late.

What they go through is `live.own_address`; here is the loop around it, and what goes wrong on the way: the same in each
run of a seed, as far as the kernel at the other end sends the same.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from rawlab.endpoints.tcp import Host, Outgoing
from rawlab.live.links import Args
from rawlab.live.own_address import OwnAddressLink

MAC = bytes.fromhex("020000000099")
TCP = 6
MS, SECOND = 1_000_000, 1_000_000_000
BATCH = 64

now = time.monotonic_ns


class Wire:
    """The link, and what goes wrong on the way to it."""

    def __init__(self, host: Host, interface: str, share: float = 0.0, seed: int = 1) -> None:
        self.host = host
        self.share = share
        "of the packets that are lost, doubled, late; each way"
        self.random = Random(seed)
        self.packets = [0, 0]
        "in, out"
        self.calls = self.waited = 0
        "ns in the socket's calls, and in poll"
        self.link = OwnAddressLink(host.addresses, interface, MAC, TCP, self._timed)
        self._poll = select.poll()
        self._poll.register(self.link.filenos[0], select.POLLIN)
        self._late: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def _timed(self, name: str, args: Args, call: Callable[[], Any], after: Callable[[Any], tuple[int, Args]]) -> Any:
        """Makes a call of the link's."""
        begun = now()
        try:
            return call()
        finally:
            self.calls += now() - begun

    def _fate(self, act: Callable[[], None]) -> None:
        """Does it now, twice, later, or not at all."""
        chance = self.random.random()
        if chance < self.share:
            return
        if chance < 2 * self.share:
            act()
        elif chance < 3 * self.share:
            self._count += 1
            heappush(self._late, (now() + self.random.randrange(1, 5) * MS, self._count, act))
            return
        act()

    def _send(self, out: Outgoing) -> None:
        self.packets[1] += 1
        self.link.send(*out)

    def _receive(self) -> None:
        """What has come."""
        for _ in range(BATCH):
            if (arrived := self.link.receive(self.link.filenos[0])) is None:
                return
            self.packets[0] += 1
            packet, source, destination = arrived
            if self.share:
                self._fate(lambda all=arrived: self.host.receive(all[0], all[1], all[2], now()))  # type: ignore[misc]
            else:
                self.host.receive(packet, source, destination, now())

    def turn(self, patience: int = SECOND) -> None:
        """Waits for what comes first, for so many ns at the most, and does it."""
        self.flush()
        at = now()
        due = [at + patience]
        if self._late:
            due.append(self._late[0][0])
        if (deadline := self.host.deadline_ns) is not None:
            due.append(deadline)
        ready = self._poll.poll(max(min(due) - at, 0) / MS)
        self.waited += now() - at
        if ready:
            self._receive()
        at = now()
        while self._late and self._late[0][0] <= at:
            heappop(self._late)[2]()
        self.host.wake(at)
        self.flush()

    def flush(self) -> None:
        """Sends what is there."""
        for out in self.host.take():
            if self.share:
                self._fate(lambda out=out: self._send(out))  # type: ignore[misc]
            else:
                self._send(out)
