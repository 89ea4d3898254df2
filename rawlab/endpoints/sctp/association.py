"""An association: the face that the program sees, its state, and where each chunk that comes goes.

The parts: `routes` (paths, heartbeats), `outbound` and `acknowledging` (what is sent), `inbound` (what is received),
`opening` (INIT to COOKIE ACK), `closing` (SHUTDOWN, ABORT). The state moves by the table in `model.states`, through
`moves` alone, but for a peer's restart, which that figure does not draw. All sending ends in `emit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.host import Outgoing
from rawlab.endpoints.sctp import chunks
from rawlab.endpoints.sctp.acknowledging import Acknowledging
from rawlab.endpoints.sctp.closing import Closing
from rawlab.endpoints.sctp.cookie import Cookie
from rawlab.endpoints.sctp.events import Down, Event, SctpError, Up
from rawlab.endpoints.sctp.inbound import Inbound
from rawlab.endpoints.sctp.opening import Opening
from rawlab.endpoints.sctp.outbound import DATA_HEADER, Outbound
from rawlab.endpoints.sctp.paths import Path, PathStatus
from rawlab.endpoints.sctp.routes import Routes
from rawlab.endpoints.sctp.settings import Settings
from rawlab.endpoints.timers import Timer
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SctpPacket
from rawlab.model.states import SctpEvent, SctpState, sctp_after
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.endpoint import LocalEndpoint

SENDING = (SctpState.ESTABLISHED, SctpState.SHUTDOWN_PENDING, SctpState.SHUTDOWN_RECEIVED)
"DATA may be sent (section 4, figure 3)"
RECEIVING = (SctpState.ESTABLISHED, SctpState.SHUTDOWN_PENDING, SctpState.SHUTDOWN_SENT)
FRESH = (SctpState.CLOSED, SctpState.COOKIE_WAIT, SctpState.COOKIE_ECHOED)


class Association:
    """A conversation with one peer. Made by `LocalEndpoint.associate`, or by a valid COOKIE ECHO."""

    def __init__(
        self, endpoint: LocalEndpoint, number: int, peer_port: int, local_tag: int, local_tsn: int, settings: Settings
    ) -> None:
        self.endpoint = endpoint
        self.host = endpoint.host
        self.id = number
        self.settings = settings
        self.local_port = endpoint.port
        self.local_addresses = endpoint.addresses
        self.peer_port = peer_port
        self.local_tag = local_tag
        self.local_tsn = local_tsn
        self.peer_tag = 0
        self.ties = b""
        "the tie-tags in cookies of INITs that the peer sends meanwhile (section 5.2.2)"
        self.state = SctpState.CLOSED
        self.is_over = False
        "its Down was told"
        self.streams_in = 0
        self.streams_out = 0
        self.errors = 0
        "answers missed in a row, on all paths"
        self.routes = Routes(self)
        self.opening = Opening(self)
        self.closing = Closing(self)
        self.outbound = Outbound(self, local_tsn)
        self.acknowledging = Acknowledging(self, self.outbound)
        self.inbound = Inbound(self, 0)
        self.sack_timer = Timer(self.host.timers, self._sack_due)
        self.control: list[bytes] = []
        "chunks that go with the next packet"
        self.reply_path: Path | None = None
        "where they go"
        self.data_path: Path | None = None
        "where DATA last came from: SACKs go there (section 6.4)"

    def __repr__(self) -> str:
        return f"<association {self.id}: port {self.local_port} with {self.peer}, {self.state}>"

    # ---- what the program sees

    @property
    def peer(self) -> Endpoint:
        """The peer's primary address."""
        return Endpoint(self.routes.primary.address, self.peer_port)

    @property
    def peer_addresses(self) -> tuple[str, ...]:
        """All of the peer's addresses."""
        return tuple(self.routes.by_address)

    @property
    def paths(self) -> list[PathStatus]:
        """How each path is."""
        return [path.status(path is self.routes.primary) for path in self.routes.paths]

    @property
    def peer_rwnd(self) -> int:
        """Octets that the peer can take."""
        return self.outbound.peer_rwnd

    @property
    def unacknowledged(self) -> int:
        """DATA chunks sent and not acknowledged."""
        return len(self.outbound.sent)

    @property
    def pending(self) -> int:
        """DATA chunks that came and wait for others, and messages that the program has not taken."""
        return self.inbound.chunks

    @property
    def queued(self) -> int:
        """Octets in the send buffer."""
        return self.outbound.buffered

    @property
    def fragmentation_point(self) -> int:
        """Octets of the longest message that is sent in one chunk."""
        return min(path.payload for path in self.routes.paths) - DATA_HEADER

    @property
    def room(self) -> int:
        """Octets that fit into the send buffer."""
        return max(self.settings.send_buffer - self.outbound.buffered, 0)

    @property
    def busy(self) -> bool:
        """Whether it still has something to send, to wait for an answer to, or to say."""
        if self.state is SctpState.ESTABLISHED:
            return not self.outbound.idle or self.sack_timer.due is not None
        return True

    def send(
        self,
        data: bytes,
        *,
        stream: int = 0,
        ppid: int = 0,
        unordered: bool = False,
        now_ns: int,
        immediate: bool = False,
    ) -> None:
        """Queues a message; it leaves at the next `Host.take`. Raises SctpError."""
        if self.state is SctpState.CLOSED:
            raise SctpError("ENOTCONN", "the association is over")
        if self.closing.asked or self.state not in (*FRESH, SctpState.ESTABLISHED):
            raise SctpError("EPIPE", "the association is being shut down")
        if not data:
            raise SctpError("EINVAL", "a message has one octet at least (RFC 9260 section 3.3.1)")
        if not 0 <= stream < (self.streams_out or 1):
            raise SctpError("EINVAL", f"streams 0 to {self.streams_out - 1} expected, {stream} given")
        if len(data) > self.settings.send_buffer:
            raise SctpError("EMSGSIZE", f"{self.settings.send_buffer} octets at the most, {len(data)} given")
        if len(data) > self.room:
            raise SctpError("EAGAIN", f"the send buffer has room for {self.room} octets, {len(data)} given")
        self.host.clock(now_ns)
        self.outbound.add(bytes(data), stream, ppid, unordered, immediate)
        self.host.ready[self.id] = self

    def consumed(self, octets: int, now_ns: int) -> None:
        """The program took so many octets of what was delivered; the peer is told once that matters."""
        self.host.clock(now_ns)
        if self.inbound.taken_by_program(octets) and self.state in RECEIVING:
            self.control.append(self.inbound.sack())
            self.sack_timer.stop()
            self.reply_path = self.data_path
            self.flush(now_ns)

    def shutdown(self, now_ns: int) -> None:
        """Ends it once all is acknowledged (section 9.2)."""
        self.host.clock(now_ns)
        self.closing.shutdown(now_ns)

    def abort(self, now_ns: int, reason: bytes = b"") -> None:
        """Ends it at once (section 9.1); what was not acknowledged is lost."""
        self.host.clock(now_ns)
        if self.state is not SctpState.CLOSED:
            self.closing.abort(build.cause(chunks.USER_INITIATED_ABORT, reason[: chunks.MOST_REASON]))

    def set_primary(self, address: str) -> None:
        """New DATA goes there. Raises SctpError."""
        self.routes.primary = self._path(address)

    def heartbeat(self, now_ns: int, address: str | None = None) -> None:
        """Asks a path (the primary one) now (section 11.1.8). Raises SctpError."""
        self.host.clock(now_ns)
        path = self._path(address)
        if self.state in SENDING:
            self.routes.ask(path, now_ns)

    def set_heartbeat(self, interval_ns: int, address: str | None = None) -> None:
        """Heartbeats of a path, or of all: every so many ns, or (0) never (section 11.1.6). Raises SctpError."""
        for path in self.routes.paths if address is None else (self._path(address),):
            path.hb_interval = interval_ns
        self.routes.begin(self.host.now)

    def move(self, other: LocalEndpoint) -> None:
        """Another endpoint's from now on: accept(2), or sctp_peeloff(3). Its events go along."""
        mine = [event for event in self.endpoint.events if event.association is self]
        left = [event for event in self.endpoint.events if event.association is not self]
        self.endpoint.events.clear()
        self.endpoint.events.extend(left)
        other.events.extend(mine)
        if self.endpoint.associations.pop(self.id, None):
            other.associations[self.id] = self
        self.endpoint = other

    def _path(self, address: str | None) -> Path:
        if address is None:
            return self.routes.primary
        if address not in self.routes.by_address:
            raise SctpError("EINVAL", f"{address} is no address of this peer")
        return self.routes.by_address[address]

    # ---- what the parts use

    def moves(self, event: SctpEvent) -> None:
        """Moves the state by the table."""
        self.state = sctp_after(self.state, event)

    def tell(self, event: Event) -> None:
        """For the program."""
        self.endpoint.events.append(event)

    def established(self, now: int, *, restarted: bool = False) -> None:
        """Heartbeats begin, the program is told."""
        self.tell(Up(association=self, streams_in=self.streams_in, streams_out=self.streams_out, restarted=restarted))
        self.routes.begin(now)
        for path in self.routes.paths:
            if path.flight:
                path.t3.start(now + path.rto)
        if self.closing.asked:
            self.closing.shutdown(now)

    def adopt(self, cookie: Cookie) -> None:
        """What a cookie of ours says is so from now on."""
        self.local_tag, self.local_tsn = cookie.local_tag, cookie.local_tsn
        self.peer_tag = cookie.peer_tag
        self.streams_out, self.streams_in = cookie.streams_out, cookie.streams_in
        self.outbound.only_streams(self.streams_out)
        self.outbound.peer_rwnd = cookie.peer_rwnd
        self.inbound = Inbound(self, cookie.peer_tsn)

    def restart(self, cookie: Cookie) -> None:
        """The peer began anew: nothing of what was sent or received counts any more (section 5.2.4 action A)."""
        for failed in self.outbound.failed():
            self.tell(failed)
        self.closing.stop()
        self.closing = Closing(self)
        self.opening.stop()
        self.sack_timer.stop()
        self.routes.renew()
        self.outbound = Outbound(self, cookie.local_tsn)
        self.acknowledging = Acknowledging(self, self.outbound)
        self.errors = 0
        self.ties = b""
        self.control.clear()
        self.adopt(cookie)
        self.state = SctpState.ESTABLISHED

    def timed_out(self) -> None:
        """The peer did not answer once too often."""
        self.over(SctpEvent.TIMEOUT, "ETIMEDOUT")

    def over(self, event: SctpEvent, errno: str | None, reason: bytes = b"") -> None:
        """The end: nothing of it is kept, the program is told what was not acknowledged, and why."""
        self.moves(event)
        self.is_over = True
        self.routes.stop()
        self.opening.stop()
        self.closing.stop()
        self.sack_timer.stop()
        for failed in self.outbound.failed():
            self.tell(failed)
        self.outbound = Outbound(self, self.local_tsn)
        self.control.clear()
        self.host.forget(self)
        self.tell(Down(association=self, errno=errno, reason=reason))

    def emit(self, chunks: list[bytes], path: Path) -> None:
        """Puts a packet out."""
        packet = build.packet(self.local_port, self.peer_port, self.peer_tag, chunks)
        self.host.out.append(Outgoing(packet, path.source, path.address))

    def flush(self, now: int, burst: int = 0) -> None:
        """Sends what waits: control chunks in any case, a SACK with them or with DATA, DATA as the windows allow."""
        self.host.ready.pop(self.id, None)
        if not (self.control or self.outbound.queue or self.outbound.marked):
            self.reply_path = None
            return
        head, self.control = self.control, []
        to = self.reply_path or self.routes.sending()
        self.reply_path = None
        while len(head) > 1 and sum(map(len, head)) > to.payload:
            self.emit([head.pop(0)], to)
        if self.state in SENDING:
            if not head and self.sack_timer.due is not None and self.outbound.may_send:
                head.append(self.inbound.sack())
                self.sack_timer.stop()
                to = self.routes.sending()
            self.outbound.transmit(now, head, to, burst or self.settings.max_burst)
        elif head:
            self.emit(head, to)

    # ---- packets

    def receive(self, packet: SctpPacket, octets: bytes, path: Path, now: int) -> None:
        """A packet with the right verification tag: its chunks in order, then what they ask to be sent."""
        self.reply_path = path
        for chunk in packet.chunks:
            if self.is_over or not chunks.take(self, chunk, octets, path, now):
                break
        if self.is_over:
            return
        if (due := self.inbound.packet_ends()) is not None and self.state in RECEIVING:
            self._acknowledge(due, now)
        self.closing.proceed(now)
        self.flush(now)

    def _acknowledge(self, at_once: bool, now: int) -> None:
        """Section 6.2: every second packet, at once out of order, else within 200 ms."""
        if self.state is SctpState.SHUTDOWN_SENT:  # section 9.2
            self.closing.again(now)
            at_once = True
        if at_once:
            self.control.append(self.inbound.sack())
            self.sack_timer.stop()
        elif self.sack_timer.due is None:
            self.sack_timer.start(now + self.settings.sack_delay)

    def _sack_due(self, now: int) -> None:
        if self.state in RECEIVING:
            self.control.append(self.inbound.sack())
            self.reply_path = self.data_path
            self.flush(now)
