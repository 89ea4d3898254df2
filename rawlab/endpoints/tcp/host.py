"""One host's TCP: which connection or endpoint a segment is for, the timers, and what goes out.

Sans-IO: `receive` takes packets, `wake` the time, `take` gives packets; nothing here touches a descriptor or a clock.
A segment with a wrong checksum is dropped without a word; one that belongs to nothing is answered with RST.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2s
from ipaddress import ip_address

from rawlab.endpoints.host import BaseHost, Outgoing
from rawlab.endpoints.tcp.arriving import arrive
from rawlab.endpoints.tcp.connection import Connection
from rawlab.endpoints.tcp.endpoint import LocalEndpoint
from rawlab.endpoints.tcp.events import TcpError
from rawlab.endpoints.tcp.segment import Segment, parse
from rawlab.endpoints.tcp.settings import Settings
from rawlab.endpoints.unwrapped import BITS, HALF
from rawlab.model.address import Endpoint
from rawlab.model.states import TcpEvent, TcpState
from rawlab.wire import tcp_build as build
from rawlab.wire.tcp_build import ACK, FIN, RST, SYN

ISN_TICK = 4000
"ns: RFC 9293 section 3.4.1"

Key = tuple[str, int, str, int]


class Host(BaseHost[LocalEndpoint]):
    """All endpoints and connections of a host."""

    error = TcpError

    def __init__(
        self,
        addresses: Sequence[str],
        entropy: Callable[[int], bytes],
        now_ns: int,
        settings: Settings | None = None,
    ) -> None:
        """`entropy(n)` gives n octets that nobody can guess: for initial numbers, ports, timestamps."""
        super().__init__(addresses, entropy, now_ns)
        self.settings = settings or Settings()
        self.connections: dict[int, Connection] = {}
        "by id: all but those in CLOSED"
        self.ready: dict[int, Connection] = {}
        "connections that may have something to send"
        self.watched = False
        "`news` was asked for: connections with new events are kept in `told`"
        self.told: dict[int, Connection] = {}
        self._by_key: dict[Key, Connection] = {}
        self._ports: Counter[int] = Counter()
        "connections by local port"
        self._secret = entropy(16)
        self._last_id = 0

    # ---- the program's side

    def open(self, port: int = 0, addresses: Sequence[str] = (), *, reuse: bool = True) -> LocalEndpoint:
        """Binds a port, at some or all addresses; port 0: any free one. Raises TcpError.

        `reuse`: SO_REUSEADDR; without it, or where they had not, connections that are left of the port keep it.
        """
        port, chosen = self._choose(port, addresses)
        left = (one for one in self.connections.values() if one.local.port == port and one.local.address in chosen)
        if self._ports[port] and any(not (reuse and one.endpoint.reuse) for one in left):
            raise TcpError("EADDRINUSE", f"port {port} has connections")
        endpoint = self._bind(LocalEndpoint(self, port, chosen, self.settings))
        endpoint.reuse = reuse
        return endpoint

    def _is_free(self, port: int, addresses: Sequence[str]) -> bool:
        return not self._ports[port] and super()._is_free(port, addresses)

    def news(self) -> list[Connection]:
        """Connections that had an event since this was last asked, those in LISTEN's queues, too."""
        if not self.watched:
            self.watched = True
            return [connection for connection in self.connections.values() if connection.events]
        found, self.told = list(self.told.values()), {}
        return found

    # ---- the wire's side

    def receive(self, packet: bytes, source: str, destination: str, now_ns: int) -> None:
        """A segment that came, from the TCP header on. Never raises."""
        if now_ns > self.now:
            self.now = now_ns
        segment = parse(packet, source, destination)
        if segment is None:
            return
        connection = self._by_key.get((destination, segment.destination_port, source, segment.source_port))
        if connection is None or (connection.state is TcpState.TIME_WAIT and self._begins_anew(connection, segment)):
            self._without_connection(segment, source, destination)
        else:
            arrive(connection, segment, self.now)

    def _begins_anew(self, connection: Connection, segment: Segment) -> bool:
        """A SYN that TIME-WAIT gives way to (RFC 6191, RFC 9293 section 3.10.7.4): newer than all that came."""
        if segment.flags & (SYN | ACK | RST | FIN) != SYN:
            return False
        if connection.timestamps and segment.timestamp is not None:
            newer = segment.timestamp - connection.ts_recent & BITS
        else:
            newer = segment.seq - connection.inbound.next & BITS
        if not 0 < newer < HALF:
            return False
        connection.moves(TcpEvent.TIMEOUT)
        return True

    def _without_connection(self, segment: Segment, source: str, destination: str) -> None:
        """CLOSED and LISTEN (RFC 9293 sections 3.10.7.1, 3.10.7.2)."""
        if destination not in self.addresses or not segment.source_port or not _unicast(source):
            return
        endpoint = self.endpoints.get((destination, segment.destination_port))
        local, peer = Endpoint(destination, segment.destination_port), Endpoint(source, segment.source_port)
        if segment.flags & RST:
            return
        if segment.flags & ACK or endpoint is None or not endpoint.listening:
            self.refuse(segment, local, peer)
        elif segment.flags & SYN and not segment.flags & FIN:
            endpoint.arrive(segment, local, peer)

    def refuse(self, segment: Segment, local: Endpoint, peer: Endpoint) -> None:
        """RST in answer to a segment (section 3.10.7.1)."""
        if segment.flags & ACK:
            seq, ack, flags = segment.ack, 0, RST
        else:
            seq, ack, flags = 0, segment.seq + segment.length & BITS, RST | ACK
        ends = build.pseudo(local.address, peer.address)
        packet = build.segment(local.port, peer.port, seq, ack, flags, 0, ends=ends)
        self.out.append(Outgoing(packet, local.address, peer.address))

    def take(self) -> list[Outgoing]:
        """What is to be put on the wire, in this order."""
        if self.ready:
            ready, self.ready = self.ready, {}
            for connection in ready.values():
                connection.outbound.transmit(self.now)
        packets, self.out = self.out, []
        return packets

    @property
    def busy(self) -> bool:
        """Whether anything is still to be sent, acknowledged, or closed; TIME-WAIT is not waited for."""
        return bool(self.out or self.ready) or any(one.busy for one in self.connections.values())

    # ---- for the parts

    @property
    def full(self) -> bool:
        """No more connections."""
        return len(self.connections) >= self.settings.max_connections

    def initial_number(self, key: Key) -> int:
        """ISN: a clock, and for each four-tuple a place on the circle that nobody can guess (RFC 6528)."""
        place = blake2s(repr(key).encode(), key=self._secret, digest_size=4).digest()
        return int.from_bytes(place, "big") + self.now // ISN_TICK & BITS

    def source_for(self, local: Sequence[str], peer: str) -> str | None:
        """Which of our addresses a segment to this one comes from: the one most like it (RFC 6724 section 5 rule 8)."""
        packed = ip_address(peer).packed
        same = [one for one in local if len(ip_address(one).packed) == len(packed)]
        return min(same, key=lambda one: _number(one) ^ int.from_bytes(packed, "big"), default=None)

    def new_connection(self, endpoint: LocalEndpoint, local: Endpoint, peer: Endpoint, *, passive: bool) -> Connection:
        """Between these two. Raises TcpError."""
        key = (local.address, local.port, peer.address, peer.port)
        if key in self._by_key:
            raise TcpError("EADDRNOTAVAIL", f"there is a connection from {local} to {peer} already")
        if self.full:
            raise TcpError("EAGAIN", f"{self.settings.max_connections} connections at the most")
        self._last_id += 1
        connection = Connection(endpoint, self._last_id, local, peer, self.initial_number(key), passive=passive)
        self._by_key[key] = self.connections[connection.id] = connection
        self._ports[local.port] += 1
        return connection

    def forget(self, connection: Connection) -> None:
        """It is in CLOSED."""
        local, peer = connection.local, connection.peer
        if self.connections.pop(connection.id, None) is None:
            return
        self._by_key.pop((local.address, local.port, peer.address, peer.port), None)
        self._ports[local.port] -= 1
        if not self._ports[local.port]:
            del self._ports[local.port]
        connection.endpoint.half_open.pop(connection.id, None)
        self.ready.pop(connection.id, None)
        if len(self.timers) > 64 + 16 * len(self.connections):
            self.timers.prune()


def _number(address: str) -> int:
    return int.from_bytes(ip_address(address).packed, "big")


def _unicast(address: str) -> bool:
    """Whether someone may be answered there (RFC 9293 section 3.9.2.3)."""
    one = ip_address(address)
    return not (one.is_multicast or one.is_unspecified or address == "255.255.255.255")
