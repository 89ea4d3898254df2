"""A flood inside a lab: the client's program sends as fast as it can; what the server's kernel makes of it is counted.

    client   socket(AF_PACKET, SOCK_RAW, 0) · setsockopt(PACKET_TX_RING, …) · bind · send, …: 4,096 packets each
    server   the program of a lab, if one is asked for; its interface's ring, net/dev, netstat and snmp

No call of it is recorded. What passes by the queueing disciplines passes by the client's packet sockets, too: there is
one point of observation, at the server's interface. Without a file to keep all, the first and the last are kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rawlab.live import flood, needs
from rawlab.live.answers import Answers
from rawlab.live.craft_run import CraftRun, traffic, wait_until_quiet, wait_until_ready
from rawlab.live.network import CLIENT, SERVER, server_points
from rawlab.live.program import Semaphores
from rawlab.live.ring import Ring
from rawlab.live.sample import Sample
from rawlab.live.witness import Witness
from rawlab.live.writer import Writer
from rawlab.model.calls import Calls, Sync
from rawlab.model.flood import SHOWN, Flood
from rawlab.model.lab import Options
from rawlab.wire import kernel_counters
from rawlab.wire.template import Template

_SETTINGS = (
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_max_syn_backlog",
    "net/core/somaxconn",
    "net/ipv4/icmp_ratelimit",
    "net/ipv4/icmp_msgs_per_sec",
)
_FILES = ("netstat", "snmp", "snmp6")
_IN, _OUT = 3, 11
"net/dev's columns of packets dropped"
_QUIET_AT_MOST = 3.0
"seconds for answers that go on, as SYN-ACKs that are sent again"


class FloodRun(CraftRun):
    """A run whose client floods."""

    def __init__(self, control: socket.socket, request: dict[str, Any], descriptor: int) -> None:
        super().__init__(control, request, descriptor)
        asked = request["flood"]
        self.whole: bool = asked["whole"]
        self.sample = Sample(SHOWN)
        self.counts = flood.Counts.shared()
        self.unkept = Writer(os.open(os.devnull, os.O_WRONLY))
        client = Flooder(
            templates=[Template.from_json(told) for told in asked["templates"]],
            count=asked["count"],
            seconds=asked["seconds"],
            wait=request["craft"]["wait"],
            server=request["serves"],
            counts=self.counts,
        )
        self.versions: list[int] = asked["versions"]
        self.templates = len(asked["templates"])
        self.lab = replace(self.lab, client=client)

    def _set_the_stage(self) -> Callable[[str], None]:
        network = self.network = self._network()
        with network.inside(CLIENT.name):
            needs.raw_sockets_or_say()
        self.points = server_points(self.lab.wire)
        self.rings.append(self._ring(0, self.points[0]))
        self.selector.register(self.rings[0], selectors.EVENT_READ, self.rings[0])
        self.selector.register(self.control, selectors.EVENT_READ)
        with network.inside(SERVER.name):
            self.answers = Answers(SERVER.name, self.versions)
            self.before, self.traffic = _counters(), traffic(SERVER.name)
            self.dropped = _dropped(SERVER.name, _IN)
        with network.inside(CLIENT.name):
            self.dropped += _dropped(CLIENT.name, _OUT)
        return network.enter

    def stop(self, why: str) -> None:
        """The client ends by itself, after the call that it is in: so it knows what it sent."""
        self.stopped = self.stopped or why
        self.counts.stop = 1

    def _collect(self, ring: Ring) -> bool:
        if self.whole:
            return super()._collect(ring)
        blocks = ring.take()
        self.sample.add(blocks)
        ring.release()
        if blocks:
            self.progress = time.monotonic()
        return bool(blocks)

    def _hear(self, witness: Witness) -> None:
        """The server's calls are let go on, and not kept: of a flood's packets few are kept, or too many."""
        kept, self.writer = self.writer, self.unkept
        super()._hear(witness)
        self.writer = kept

    def _end(self) -> dict[str, Any]:
        assert self.network is not None
        with self.network.inside(SERVER.name):
            after, (received, sent) = _counters(), traffic(SERVER.name)
            settings, dropped = dict(_settings()), _dropped(SERVER.name, _IN)
        with self.network.inside(CLIENT.name):
            dropped += _dropped(CLIENT.name, _OUT)
        kept = self.sample.blocks()
        self.writer.append(kept)
        counts = self.rings[0].statistics()
        told = Flood(
            sent=self.counts.sent,
            calls=self.counts.calls,
            batch=max(flood.SLOTS, self.templates),
            refused=self.counts.refused,
            error=flood.failure(self.counts),
            took_ns=self.counts.ended_ns - self.counts.began_ns,
            received=received - self.traffic[0],
            lost=dropped - self.dropped,
            answered=sent - self.traffic[1],
            answers=self.answers.counts(),
            captured=counts.captured,
            dropped=counts.dropped,
            kept=counts.captured if self.whole else len(kept),
            before=self.before,
            after=after,
            settings=settings,
            whole=self.whole,
        )
        return super()._end() | {"report": dataclasses.asdict(told)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooder:
    """The client's program."""

    templates: Sequence[Template]
    count: int
    seconds: float
    wait: float
    server: bool
    "whether a server's program is to be waited for"
    counts: flood.Counts

    def __call__(self, c: Calls, lab: Options, sync: Sync) -> None:
        assert isinstance(sync, Semaphores)
        if self.server:
            wait_until_ready(sync)
        with flood.open_socket(CLIENT.name) as opened:
            flood.send(opened, self.templates, self.counts, self.count, self.seconds)
        wait_until_quiet(CLIENT.name, self.wait, _QUIET_AT_MOST)


def _dropped(interface: str, column: int) -> int:
    """How many packets an interface of the present namespace has dropped, in or out."""
    with open("/proc/thread-self/net/dev") as file:
        rows = (line.partition(":") for line in file)
        return next(int(counts.split()[column]) for name, _, counts in rows if name.strip() == interface)


def _counters() -> dict[str, int]:
    """Of the present namespace, those that have words."""
    found: dict[str, int] = {}
    for name in _FILES:
        with contextlib.suppress(OSError), open(f"/proc/thread-self/net/{name}") as file:
            found |= kernel_counters.parse(file.read())
    return {name: found[name] for name in kernel_counters.MEANINGS if name in found}


def _settings() -> Iterator[tuple[str, str]]:
    for name in _SETTINGS:
        with contextlib.suppress(OSError), open(f"/proc/sys/{name}") as file:
            yield name.replace("/", "."), file.read().strip()
