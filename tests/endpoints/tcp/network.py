"""A network without a kernel: hosts, virtual time, and a wire that loses, doubles, delays what it is told to.

All chance comes from one seed, so a test that fails fails again. `Network.log` is what a capture would show; a fault
is named (`drop("SA")`: the first SYN-ACK), or a share of all packets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from random import Random
from typing import TypeVar

from rawlab.endpoints.tcp import Connection, Data, Event, Host, LocalEndpoint, Outgoing, Settings, StateChanged, Window
from rawlab.live.links import ip_header
from rawlab.model.address import Endpoint
from rawlab.model.facts import TcpSegment
from rawlab.model.states import TcpState, after
from rawlab.wire import tcp_build as build
from rawlab.wire.decode import decode
from rawlab.wire.packets import summary

MS, SECOND = 1_000_000, 1_000_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
CLIENT6, SERVER6 = "fd00::1", "fd00::2"
RAW_IP = 101
Kind = TypeVar("Kind", bound=Event)


def facts(out: Outgoing) -> TcpSegment:
    """A segment as our decoder reads it."""
    segment = decode(ip_header(6, len(out.packet), out.source, out.destination) + out.packet, RAW_IP).transport
    assert isinstance(segment, TcpSegment)
    return segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A packet on the wire."""

    time: int
    "ns"
    out: Outgoing
    lost: bool

    @property
    def facts(self) -> TcpSegment:
        """Read."""
        return facts(self.out)

    @property
    def from_client(self) -> bool:
        """Or from the server."""
        return self.out.source in (CLIENT, CLIENT6)

    def __str__(self) -> str:
        arrow = "-x" if self.lost else "->"
        whole = decode(
            ip_header(6, len(self.out.packet), self.out.source, self.out.destination) + self.out.packet, RAW_IP
        )
        return f"{self.time / 1e9:9.4f} {self.out.source} {arrow} {self.out.destination}: {summary(whole)}"


@dataclass
class Network:
    """Hosts and the wire between them."""

    seed: int = 0
    delay: int = 5 * MS
    "each way"
    loss: float = 0.0
    duplicates: float = 0.0
    reordered: float = 0.0
    "share of packets that take up to 4 times as long"
    now: int = 1_000 * SECOND
    log: list[Seen] = field(default_factory=list)
    keep_log: bool = True

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.hosts: dict[str, Host] = {}
        self.cut: set[str] = set()
        "addresses that nothing goes to or comes from"
        self.faults: list[tuple[Callable[[Seen], bool], str]] = []
        self._wire: list[tuple[int, int, Outgoing]] = []
        self._count = 0

    def host(self, *addresses: str, settings: Settings | None = None) -> Host:
        """A new host."""
        host = Host(addresses, self.random.randbytes, self.now, settings)
        self.hosts.update(dict.fromkeys(addresses, host))
        return host

    def drop(self, flags: str, times: int = 1, *, client: bool | None = None, data: bool | None = None) -> None:
        """The first packets with just these flags, from the client or not, with data or not, get lost."""

        def fits(seen: Seen) -> bool:
            segment = seen.facts
            return (
                segment.flags == flags
                and client in (None, seen.from_client)
                and data in (None, segment.length > 0)
            )

        self.faults += [(fits, "drop")] * times

    def lose(self, fits: Callable[[Seen], bool], times: int = 1) -> None:
        """The first packets that fit get lost."""
        self.faults += [(fits, "drop")] * times

    def put(self, out: Outgoing) -> None:
        """On the wire."""
        seen = Seen(time=self.now, out=out, lost=False)
        copies = 1
        for place, (matches, _) in enumerate(self.faults):
            if matches(seen):
                copies = 0
                del self.faults[place]
                break
        else:
            copies = 0 if self.random.random() < self.loss else 1
            copies += copies and self.random.random() < self.duplicates
        if self.cut & {out.source, out.destination}:
            copies = 0
        if self.keep_log:
            self.log.append(Seen(time=self.now, out=out, lost=not copies))
        for _ in range(copies):
            late = self.random.randrange(4 * self.delay) if self.random.random() < self.reordered else 0
            self._count += 1
            heappush(self._wire, (self.now + self.delay + late, self._count, out))

    def _flush(self) -> None:
        for host in dict.fromkeys(self.hosts.values()):
            for out in host.take():
                self.put(out)

    def step(self, until: int) -> bool:
        """The next thing that happens, if it does by then: a packet comes or a timer is due."""
        self._flush()
        times = [self._wire[0][0]] if self._wire else []
        times += [due for host in self.hosts.values() if (due := host.deadline_ns) is not None]
        if not times or min(times) > until:
            self.now = max(self.now, until)
            return False
        self.now = max(self.now, min(times))
        while self._wire and self._wire[0][0] <= self.now:
            out = heappop(self._wire)[2]
            if (to := self.hosts.get(out.destination)) is not None:
                to.receive(out.packet, out.source, out.destination, self.now)
                self._flush()
        for host in dict.fromkeys(self.hosts.values()):
            host.wake(self.now)
        return True

    def run(self, ns: int = 10 * SECOND, until: Callable[[], bool] | None = None, steps: int = 1_000_000) -> None:
        """So much virtual time, or until it is so."""
        end = self.now + ns
        while not (until and until()) and self.step(end):
            steps -= 1
            assert steps, "the network does not come to rest"
        self._flush()

    def lines(self) -> list[str]:
        """What was seen, as '> S', '< SA', 'x A' (lost), with the length of data behind it."""
        told = []
        for seen in self.log:
            segment = seen.facts
            way = "x" if seen.lost else ">" if seen.from_client else "<"
            told.append(f"{way} {segment.flags}{f' {segment.length}' if segment.length else ''}")
        return told


@dataclass
class Pair:
    """A client and a server, with a connection between them."""

    network: Network
    client: Host
    server: Host
    listener: LocalEndpoint
    local: LocalEndpoint
    near: Connection

    @property
    def far(self) -> Connection:
        """The server's side of it."""
        return next(iter(self.server.connections.values()))

    def settle(self, ns: int = 2 * SECOND) -> None:
        """Some time goes by."""
        self.network.run(ns)


def told(connection: Connection, kind: type[Kind]) -> list[Kind]:
    """The events of a kind."""
    return [event for event in connection.events if isinstance(event, kind)]


def received(connection: Connection) -> bytes:
    """All data that was told; it has no gap."""
    data = b""
    for event in told(connection, Data):
        assert event.offset == len(data)
        data += event.data
    return data


def path(connection: Connection) -> list[TcpState]:
    """The states that it went through, each step of which the table has."""
    steps = told(connection, StateChanged)
    for step in steps:
        assert after(step.before, step.why) is step.state
    for one, following in pairwise(steps):
        assert one.state is following.before
    return [step.state for step in steps]


def state(connection: Connection) -> TcpState:
    """Its state now. (What mypy saw in an attribute, it believes for good.)"""
    return connection.state


def windows(connection: Connection) -> list[tuple[str, int, int]]:
    """(why, cwnd, ssthresh) of each change."""
    return [(event.why, event.cwnd, event.ssthresh) for event in told(connection, Window)]


def pair(
    network: Network | None = None,
    *,
    settings: Settings | None = None,
    server_settings: Settings | None = None,
    run: bool = True,
    version: int = 4,
    isn: int | None = None,
) -> Pair:
    """A client that connects to a server; `run`: until both are established. `isn`: of both."""
    network = network or Network()
    here, there = (CLIENT, SERVER) if version == 4 else (CLIENT6, SERVER6)
    client = network.host(here, settings=settings)
    server = network.host(there, settings=server_settings or settings)
    if isn is not None:
        client.initial_number = server.initial_number = lambda key: isn  # type: ignore[method-assign]
    listener = server.open(7)
    listener.listen()
    local = client.open()
    near = local.connect(Endpoint(there, 7), network.now)
    made = Pair(network, client, server, listener, local, near)
    if run:
        network.run(until=lambda: bool(listener.queue))
    return made


def craft(
    to: Connection,
    flags: str,
    *,
    seq: int = 0,
    ack: int = 0,
    data: bytes = b"",
    window: int = 1000,
    urgent: int = 0,
    options: bytes | None = None,
) -> bytes:
    """A segment from the peer of a connection, `seq` behind what it expects, `ack` behind what is acknowledged."""
    inbound, out = to.inbound, to.outbound
    if options is None:
        options = build.timestamps(to.ts_recent, 0) if to.timestamps else b""
    return build.segment(
        to.peer.port,
        to.local.port,
        inbound.next + seq & 0xFFFFFFFF,
        out.una + ack & 0xFFFFFFFF,
        build.flag_bits(flags),
        window,
        ends=to.ends,
        options=options,
        payload=data,
        urgent=urgent,
    )


def give(host: Host, to: Connection, packet: bytes, now: int) -> list[TcpSegment]:
    """A packet comes for a connection; what is answered."""
    host.take()
    host.receive(packet, to.peer.address, to.local.address, now)
    return [facts(out) for out in host.take()]
