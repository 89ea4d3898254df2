"""A socket of our own TCP: its birth, its connection, its end; and what poll(2) says of it.

What each call returns in which state is Linux's, net/ipv4/af_inet.c and net/ipv4/tcp.c.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rawlab.endpoints.sockets.socket import ANY, BaseSocket
from rawlab.endpoints.sockets.tcp import urgent
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.endpoints.tcp import (
    Connection,
    Data,
    Down,
    LocalEndpoint,
    PeerClosed,
    Settings,
    TcpError,
    TcpState,
    Up,
    Urgent,
)
from rawlab.model.address import Endpoint

if TYPE_CHECKING:
    from rawlab.endpoints.sockets.tcp.table import Sockets

_SECOND = 1_000_000_000
_MOST_BACKLOG = 4096  # net.core.somaxconn
_ARRIVED = frozenset({TcpState.FIN_WAIT_2, TcpState.TIME_WAIT, TcpState.CLOSED})  # its FIN is acknowledged


class Socket(BaseSocket):
    """One socket."""

    failure = TcpError

    def __init__(self, sockets: Sockets, number: int, family: int) -> None:
        super().__init__(number, family)
        self.sockets = sockets
        self.settings: Settings = sockets.host.settings
        self.endpoint: LocalEndpoint | None = None
        "its own port; what accept(2) made has none"
        self.named = False
        "whether bind(2) chose the port"
        self.connection: Connection | None = None
        self.up = False
        "whether the handshake was done"
        self.over = False
        "whether the connection has ended in both directions"
        self.buffer = bytearray()
        "what came and was not read"
        self.offset = 0
        "place in the stream of the first octet of `buffer`"
        self.urgent = urgent.Urgent()
        self.reads_end = False
        "a read at the end of the buffer returns 0 (sk_shutdown & RCV_SHUTDOWN)"
        self.writes_end = False
        "sk_shutdown & SEND_SHUTDOWN"
        self.peer_closed = False
        "its FIN came"
        self.linger: tuple[int, int] = (0, 0)
        self.reuse: int = 0
        self.nodelay: int = 0
        self._asked = False
        "connect(2) has not told yet what came of it (SS_CONNECTING)"

    @property
    def listening(self) -> bool:
        """Whether listen(2) was called."""
        return self.endpoint is not None and self.endpoint.listening

    @property
    def state(self) -> str:
        """RFC 9293's."""
        if self.listening:
            return str(TcpState.LISTEN)
        return str(self.connection.state if self.connection else TcpState.CLOSED)

    @property
    def connecting(self) -> bool:
        """Whether its SYN is not answered yet."""
        return self.connection is not None and not self.up and not self.over

    @property
    def lives(self) -> bool:
        """A closed socket has nothing to do: its connection ends by itself."""
        return False

    # ---- before there is a connection

    def bind(self, address: Endpoint) -> Answer:
        """Binds it to one address, or to all with the wildcard."""
        if (self.family == 4) == (":" in address.address):
            raise TcpError("EAFNOSUPPORT" if self.family == 4 else "EINVAL", "another family")
        if self.endpoint is not None or self.connection is not None:
            raise TcpError("EINVAL", "bound already")
        self._open(address.port, () if address.address in ANY.values() else (address.address,))
        self.bound, self.named = replace(address, port=self.bound.port), True
        return Answer()

    def _open(self, port: int = 0, addresses: tuple[str, ...] = ()) -> LocalEndpoint:
        """Makes its endpoint at the port (0: any), on these addresses (none: all of its family)."""
        host = self.sockets.host
        mine = tuple(address for address in host.addresses if (":" in address) == (self.family == 6))
        self.endpoint = host.open(port, addresses or mine, reuse=bool(self.reuse))
        self.bound = replace(self.bound, port=self.endpoint.port)
        return self.endpoint

    def listen(self, backlog: int) -> Answer:
        """From now on SYNs are answered; the queue holds `backlog` + 1 connections, as Linux counts."""
        if self.connection is not None:
            raise TcpError("EINVAL", "it is connected")
        endpoint = self.endpoint or self._open()
        endpoint.settings = self.settings
        endpoint.listen(min(backlog, _MOST_BACKLOG) + 1 if backlog >= 0 else _MOST_BACKLOG)
        return Answer()

    def accept(self) -> Wait:
        """The first connection of the queue, as a socket of its own."""
        if self.endpoint is None or not self.endpoint.listening:
            raise TcpError("EINVAL", "it does not listen")
        while (connection := self.endpoint.accept()) is None:
            if self.nonblocking:
                raise TcpError("EAGAIN", "accept")
            yield None
            if not self.listening:
                raise TcpError("EINVAL", "it does not listen any more")
        made = self.sockets.add(self.family)
        made.settings, made.linger, made.reuse, made.nodelay = self.settings, self.linger, self.reuse, self.nodelay
        made._own(connection)
        made.turn()
        return Answer(address=connection.peer, made=made)

    def connect(self, addresses: tuple[Endpoint, ...]) -> Wait:
        """Sends SYN, and waits for the answer; with O_NONBLOCK it does not wait."""
        (address,) = addresses
        if not self._asked:
            self._begin(address)
            if self.nonblocking:
                raise TcpError("EINPROGRESS", "connect")
        elif self.connecting and self.nonblocking:
            raise TcpError("EALREADY", "connect")
        while self.connecting:
            yield None
        self._asked = False
        if not self.up:
            self.over = self.reads_end = self.writes_end = False  # it may connect once more
            raise self.take_error("ECONNABORTED")
        return Answer()

    def _begin(self, address: Endpoint) -> None:
        if (self.family == 4) == (":" in address.address):
            raise TcpError("EAFNOSUPPORT" if self.family == 4 else "EINVAL", "another family")
        if self.connection is not None or self.listening:
            raise TcpError("EISCONN", "connect")
        endpoint = self.endpoint or self._open()
        endpoint.settings = self.settings
        try:
            self._own(endpoint.connect(address, self.sockets.now_ns))
        except TcpError:
            self._release()
            raise
        self._asked = True

    def _own(self, connection: Connection) -> None:
        self.connection = connection
        connection.nodelay = connection.nodelay or bool(self.nodelay)
        self.bound = connection.local

    def _release(self) -> None:
        """A port that nobody asked for is free again."""
        if self.endpoint is not None and not self.named:
            self.endpoint.close(self.sockets.now_ns)
            self.endpoint = None

    # ---- what happens to it

    def turn(self) -> None:
        """Takes the events that have come."""
        connection = self.connection
        while connection is not None and connection.events:
            match connection.events.popleft():
                case Data(data=data, offset=offset):
                    self.urgent.look(data, offset)
                    self.buffer += data
                case Urgent(mark=mark):
                    self.urgent.mark(mark)
                    self.urgent.look(bytes(self.buffer), self.offset)
                case Up():
                    self.up, self.peer = True, connection.peer
                case PeerClosed():
                    self.reads_end = self.peer_closed = True
                case Down(errno=errno):
                    self._down(errno)

    def _down(self, errno: str | None) -> None:
        """Both directions are done."""
        self.over = self.reads_end = self.writes_end = True
        self.peer = None
        if errno == "ECONNRESET" and self.peer_closed:
            errno = "EPIPE"  # as Linux, tcp_reset
        self.error = None if errno == "ECONNABORTED" else errno
        if not self.up:
            self.connection = None
            self.bound = self.bound if self.named else Endpoint(ANY[self.family], self.bound.port)
            self._release()

    def take(self, size: int) -> bytes:
        """Takes so many octets off the buffer."""
        assert self.connection is not None
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.offset += len(taken)
        self.connection.consumed(len(taken), self.sockets.now_ns)
        return taken

    # ---- its end

    def shutdown(self, how: str) -> Answer:
        """SHUT_WR sends FIN behind what was written; SHUT_RD tells the peer nothing."""
        if how not in ("SHUT_RD", "SHUT_WR", "SHUT_RDWR"):
            raise TcpError("EINVAL", how)
        if self.listening:
            if how != "SHUT_WR":
                self._stop_listening()
            return Answer()
        if self.connection is None or (self.over and self.state == TcpState.CLOSED):
            raise TcpError("ENOTCONN", "shutdown")
        if self.connecting:
            self.connection.abort(self.sockets.now_ns)
            self.turn()
            return Answer()
        self.reads_end |= how != "SHUT_WR"
        if how != "SHUT_RD":
            self.writes_end = True
            self.connection.shutdown(self.sockets.now_ns)
        return Answer()

    def _stop_listening(self) -> None:
        """It has its address still, and nobody may connect any more."""
        assert self.endpoint is not None
        self.endpoint.close(self.sockets.now_ns)
        self.endpoint = None

    def close(self) -> Wait:
        """Lets go of it: the last one to do so sends FIN, or RST where data is unread, or SO_LINGER is 0 s."""
        self.holders -= 1
        if self.holders:
            return Answer()
        now_ns = self.sockets.now_ns
        self.closed = True
        on, seconds = self.linger
        connection = self.connection
        if connection is not None and on and not seconds:
            connection.abort(now_ns)
        elif connection is not None:
            connection.close(now_ns)
        if self.endpoint is not None:
            self.endpoint.close(now_ns)
        self.sockets.leave(self)
        if on and seconds and connection is not None:
            until = now_ns + seconds * _SECOND
            while connection.state not in _ARRIVED and self.sockets.now_ns < until:
                yield until
        return Answer()

    # ---- poll

    def ready(self) -> set[str]:
        """Which events poll(2) would give now: tcp_poll of net/ipv4/tcp.c."""
        if self.endpoint is not None and self.endpoint.listening:
            return {"POLLIN"} if self.endpoint.queue else set()
        connection = self.connection
        events = {"POLLERR"} if self.error else set()
        if connection is None or self.over or (self.reads_end and self.writes_end):
            events.add("POLLHUP")
        if self.reads_end:
            events |= {"POLLIN", "POLLRDHUP"}
        if self.connecting:
            return events
        if len(self.buffer) > (self.urgent.at == self.offset):
            events.add("POLLIN")
        if self.urgent.octet is not None:
            events.add("POLLPRI")
        if connection is None or self.writes_end or connection.room >= connection.queued // 2:
            events.add("POLLOUT")
        return events
