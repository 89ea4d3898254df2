"""A local endpoint: a port at some addresses, which opens connections, or listens and has them wait to be accepted.

As in Linux, both queues are bounded: a SYN is dropped while one is full, and so is the ACK that would end a handshake
while the accept queue is; the peer sends again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rawlab.endpoints.tcp.connection import Connection
from rawlab.endpoints.tcp.events import TcpError
from rawlab.endpoints.tcp.segment import Segment
from rawlab.endpoints.tcp.settings import Settings
from rawlab.model.address import Endpoint

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.host import Host


class LocalEndpoint:
    """Made by `Host.open`."""

    def __init__(self, host: Host, port: int, addresses: tuple[str, ...], settings: Settings) -> None:
        self.host = host
        self.port = port
        self.addresses = addresses
        self.settings = settings
        "what new connections take"
        self.reuse = True
        "SO_REUSEADDR"
        self.listening = False
        self.backlog = 0
        self.queue: deque[Connection] = deque()
        "established, and not accepted yet"
        self.half_open: dict[int, Connection] = {}
        "in SYN-RECEIVED, by id"

    def listen(self, backlog: int = 128) -> None:
        """SYNs are answered; `backlog` connections at the most wait to be accepted."""
        self.listening, self.backlog = True, max(backlog, 1)

    def accept(self) -> Connection | None:
        """The connection that waits longest; it may be over already, as its events say."""
        return self.queue.popleft() if self.queue else None

    def connect(self, peer: Endpoint, now_ns: int) -> Connection:
        """Sends a SYN. Raises TcpError."""
        host = self.host
        host.clock(now_ns)
        local = host.source_for(self.addresses, peer.address)
        if local is None:
            raise TcpError("EADDRNOTAVAIL", f"an address of the same family as {peer.address} expected, none there")
        if not 0 < peer.port <= 0xFFFF:
            raise TcpError("EADDRNOTAVAIL", f"a port from 1 to 65535 expected, {peer.port} given")
        connection = host.new_connection(self, Endpoint(local, self.port), peer, passive=False)
        connection.opening.begin()
        return connection

    def close(self, now_ns: int) -> None:
        """Forgets the port: who is not accepted yet gets RST; accepted connections go on."""
        self.host.clock(now_ns)
        self.listening = False
        for connection in (*self.half_open.values(), *self.queue):
            connection.abort(now_ns)
        self.half_open.clear()
        self.queue.clear()
        self.host.release(self)

    # ---- for the parts

    def arrive(self, segment: Segment, local: Endpoint, peer: Endpoint) -> None:
        """A SYN for this port (RFC 9293 section 3.10.7.2)."""
        most = self.settings.max_half_open
        if len(self.queue) >= self.backlog or len(self.half_open) >= most or self.host.full:
            return
        connection = self.host.new_connection(self, local, peer, passive=True)
        self.half_open[connection.id] = connection
        connection.opening.answer(segment)

    def admits(self, connection: Connection) -> bool:
        """Whether a handshake may end: there is room in the accept queue, where it then waits."""
        if not connection.passive:
            return True
        if len(self.queue) >= self.backlog:
            return False
        self.half_open.pop(connection.id, None)
        self.queue.append(connection)
        return True
