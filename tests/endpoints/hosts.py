"""Two hosts with sockets of ours and a wire between them, all in one process, on a clock that a test moves.

world = World()
listener = world.server.listening(7)
connecting = world.start(client.connect((SERVER,)))       a call that goes on by itself as packets come
accepted = world.returns(listener.accept())               a call, driven to its end
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rawlab.endpoints import sctp, tcp
from rawlab.endpoints.host import CallError
from rawlab.endpoints.sockets import Answer, Table, Wait
from rawlab.endpoints.sockets.sctp import Sockets as SctpSockets
from rawlab.endpoints.sockets.tcp import Sockets as TcpSockets
from rawlab.model.address import Endpoint
from rawlab.model.event import Value

CLIENT, SERVER = Endpoint("10.0.0.1", 0), Endpoint("10.0.0.2", 7)
_SECOND = 1_000_000_000
_MOST_SECONDS = 600


@dataclass(slots=True)
class Going:
    """A call that was begun."""

    wait: Wait
    answer: Answer | None = None
    error: str | None = None
    until: int | None = None

    @property
    def over(self) -> bool:
        """Whether it has returned."""
        return self.answer is not None or self.error is not None

    def go_on(self) -> bool:
        """As far as it can go; whether it has just returned."""
        if self.over:
            return False
        try:
            self.until = next(self.wait)
        except StopIteration as end:
            self.answer = end.value
        except CallError as error:
            self.error = error.errno
        return self.over


class Side:
    """One host and its sockets: of SCTP, or of TCP with those settings."""

    def __init__(self, addresses: tuple[str, ...], seed: int, of_tcp: tcp.Settings | None = None) -> None:
        self.host: sctp.Host | tcp.Host
        self.sockets: Table[Any]
        chance = random.Random(seed).randbytes
        if of_tcp is not None:
            self.host = own = tcp.Host(addresses, chance, 0, of_tcp)
            self.sockets = TcpSockets(own)
        else:
            self.host = host = sctp.Host(addresses, chance, 0)
            self.sockets = SctpSockets(host, sctp.Settings())

    def socket(self, kind: str = "SOCK_STREAM", domain: str = "AF_INET") -> Any:
        """A new one."""
        made = self.sockets.socket(domain, kind).made
        assert made is not None
        return made

    def listening(self, port: int, kind: str = "SOCK_STREAM", backlog: int = 10) -> Any:
        """One that listens at the port, on all addresses."""
        made = self.socket(kind)
        made.bind(Endpoint("0.0.0.0", port))
        made.listen(backlog)
        return made


@dataclass(slots=True)
class World:
    """Both hosts."""

    client: Side = field(default_factory=lambda: Side(("10.0.0.1", "10.0.1.1"), 1))
    server: Side = field(default_factory=lambda: Side(("10.0.0.2", "10.0.1.2"), 2))
    lost: Callable[[bytes, str], bool] = lambda packet, destination: False
    "whether the wire loses a packet to that address"
    seen: list[bytes] = field(default_factory=list)
    "every packet that was put on the wire"
    now_ns: int = 0
    going: list[Going] = field(default_factory=list)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Client and server."""
        return self.client, self.server

    def start(self, wait: Wait) -> Going:
        """Begins a call, which goes on as the world does."""
        self.going.append(begun := Going(wait))
        self.settle()
        return begun

    def ends(self, wait: Wait) -> Going:
        """A call, and time, until it has returned."""
        begun = self.start(wait)
        while not begun.over:
            assert self.advance(), "it waits for ever"
        return begun

    def returns(self, wait: Wait) -> Answer:
        """What a call returns, which must not fail."""
        ended = self.ends(wait)
        assert ended.answer is not None, ended.error
        return ended.answer

    def fails(self, wait: Wait) -> str | None:
        """The errno of a call that must fail."""
        return self.ends(wait).error

    def settle(self) -> None:
        """Until nothing moves any more without time."""
        moves = True
        while moves:
            moves = False
            for side in self.sides:
                side.sockets.now_ns = self.now_ns
                side.sockets.turn()
            self.going = [going for going in self.going if not going.over]
            moves = any(going.go_on() for going in self.going)
            for side in self.sides:
                side.sockets.turn()
                for out in side.host.take():
                    moves = True
                    self.seen.append(out.packet)
                    if not self.lost(out.packet, out.destination):
                        receiver = next(other for other in self.sides if out.destination in other.host.addresses)
                        receiver.host.receive(out.packet, out.source, out.destination, self.now_ns)

    def advance(self) -> bool:
        """To the next moment at which something is due; whether there was one."""
        due = [going.until for going in self.going if going.until is not None]
        due += [side.host.deadline_ns for side in self.sides if side.host.deadline_ns is not None]
        if not due or min(due) > _MOST_SECONDS * _SECOND:
            return False
        self.now_ns = max(self.now_ns, min(due))
        for side in self.sides:
            side.host.wake(self.now_ns)
        self.settle()
        return True

    def rest(self, seconds: float = 5) -> None:
        """Lets so much time pass."""
        until = self.now_ns + int(seconds * _SECOND)
        while True:
            due = [side.host.deadline_ns for side in self.sides if side.host.deadline_ns is not None]
            if not due or min(due) > until:
                break
            self.advance()
        self.now_ns = until
        self.settle()

    def connected(self, port: int = 7) -> tuple[Any, Any]:
        """The client's and the server's socket of a new association, one-to-one, or of a connection."""
        listener = next((known for known in self.server.sockets if known.listening), None) or self.server.listening(
            port
        )
        client = self.client.socket()
        self.returns(client.connect((Endpoint("10.0.0.2", port),)))
        accepted = self.returns(listener.accept()).made
        assert accepted is not None
        return client, accepted

    def set(self, socket: Any, optname: str, *value: Value) -> Answer:
        """setsockopt, which must not fail."""
        return self.returns(socket.sockets.setsockopt(socket, optname, value))
