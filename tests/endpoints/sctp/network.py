"""A network without a kernel: hosts, virtual time, and a wire that loses, doubles, delays what it is told to.

All chance comes from one seed, so a test that fails fails again. `Network.log` is what a capture would show; a fault
is named (`drop("INIT ACK")`: the first packet with such a chunk), or a share of all packets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from rawlab.endpoints.sctp import Association, Event, Host, LocalEndpoint, Message, Outgoing, Settings
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SctpPacket
from rawlab.wire import symbols
from rawlab.wire.sctp import parse

MS, SECOND = 1_000_000, 1_000_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A packet on the wire."""

    time: int
    "ns"
    out: Outgoing
    lost: bool

    @property
    def facts(self) -> SctpPacket:
        """Read."""
        facts = parse(self.out.packet)
        assert isinstance(facts, SctpPacket)
        return facts

    @property
    def names(self) -> str:
        """Its chunks: 'COOKIE ECHO + DATA'."""
        return " + ".join(symbols.sctp_chunk(chunk.type) for chunk in self.facts.chunks)

    def __str__(self) -> str:
        arrow = "-x" if self.lost else "->"
        return f"{self.time / 1e9:9.4f} {self.out.source} {arrow} {self.out.destination}: {self.names}"


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

    def drop(self, name: str, times: int = 1, source: str | None = None) -> None:
        """The first packets with such a chunk get lost."""
        self.faults += [(self._named(name, source), "drop")] * times

    def double(self, name: str, source: str | None = None) -> None:
        """The first packet with such chunks arrives twice."""
        self.faults.append((self._named(name, source), "double"))

    @staticmethod
    def _named(name: str, source: str | None) -> Callable[[Seen], bool]:
        return lambda seen: name in seen.names.split(" + ") and source in (None, seen.out.source)

    def _put(self, out: Outgoing) -> None:
        seen = Seen(time=self.now, out=out, lost=False)
        copies = 1
        for place, (matches, what) in enumerate(self.faults):
            if matches(seen):
                copies = 0 if what == "drop" else 2
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
                self._put(out)

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
        for host in dict.fromkeys(self.hosts.values()):
            host.wake(self.now)
        return True

    def run(self, ns: int = 60 * SECOND, until: Callable[[], bool] | None = None, steps: int = 1_000_000) -> None:
        """So much virtual time, or until it is so."""
        end = self.now + ns
        while not (until and until()) and self.step(end):
            steps -= 1
            assert steps, "the network does not come to rest"
        self._flush()

    def names(self) -> list[str]:
        """What was seen, as 'client INIT'."""
        return [f"{'client' if seen.out.source == CLIENT else 'server'} {seen.names}" for seen in self.log]


@dataclass
class Pair:
    """A client and a server, with an association between them."""

    network: Network
    client: Host
    server: Host
    listener: LocalEndpoint
    local: LocalEndpoint
    association: Association

    @property
    def accepted(self) -> Association:
        """The server's side of it."""
        (association,) = self.listener.associations.values()
        return association

    def events(self, kind: type[Event] = Event, *, server: bool = True) -> list[Event]:
        """What one side's program was told."""
        return [event for event in (self.listener if server else self.local).events if isinstance(event, kind)]

    def messages(self, *, server: bool = True) -> list[bytes]:
        """The messages that came."""
        return [event.data for event in self.events(Message, server=server) if isinstance(event, Message)]


def pair(
    network: Network | None = None,
    *,
    settings: Settings | None = None,
    server_settings: Settings | None = None,
    streams: int = 10,
    run: bool = True,
    client: tuple[str, ...] = (CLIENT,),
    server: tuple[str, ...] = (SERVER,),
) -> Pair:
    """A client that connects to a server; `run`: until it is established."""
    network = network or Network()
    near = network.host(*client, settings=settings)
    far = network.host(*server, settings=server_settings or settings)
    listener = far.open(7)
    listener.listen()
    local = near.open()
    association = local.associate(Endpoint(server[0], 7), network.now, streams=streams)
    made = Pair(network, near, far, listener, local, association)
    if run:
        network.run(until=lambda: bool(local.events) and bool(listener.events))
    return made
