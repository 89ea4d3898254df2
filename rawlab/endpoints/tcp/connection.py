"""A connection: the face that the program sees, its state, and how a segment of it is put together.

The parts: `outbound` (what is sent), `inbound` (what is received), `opening` (the handshake). Segments that come are
`arriving`'s. The state moves by the table in `model.states`, through `moves` alone; all sending ends in `emit`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rawlab.endpoints.host import Outgoing
from rawlab.endpoints.tcp.events import Down, Event, StateChanged, TcpError, Up, Window
from rawlab.endpoints.tcp.inbound import Inbound
from rawlab.endpoints.tcp.opening import Opening
from rawlab.endpoints.tcp.outbound import Outbound
from rawlab.endpoints.timers import Timer
from rawlab.endpoints.unwrapped import BITS
from rawlab.model.address import Endpoint
from rawlab.model.states import TcpEvent, TcpState, after
from rawlab.wire import tcp_build as build
from rawlab.wire.tcp_build import ACK, RST

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.endpoint import LocalEndpoint
    from rawlab.endpoints.tcp.settings import Settings

WRITABLE = frozenset({TcpState.SYN_SENT, TcpState.SYN_RECEIVED, TcpState.ESTABLISHED, TcpState.CLOSE_WAIT})
QUIET = frozenset(
    {TcpState.ESTABLISHED, TcpState.CLOSE_WAIT, TcpState.FIN_WAIT_2, TcpState.TIME_WAIT, TcpState.CLOSED}
)
"nothing is to be said, unless data or an ACK waits"
SACK_BLOCKS = 3
"with timestamps, more do not fit into the header"


class Connection:
    """Made by `LocalEndpoint.connect`, or by a SYN to one that listens."""

    def __init__(
        self, endpoint: LocalEndpoint, number: int, local: Endpoint, peer: Endpoint, iss: int, *, passive: bool
    ) -> None:
        self.endpoint = endpoint
        self.host = endpoint.host
        self.id = number
        self.settings = endpoint.settings
        self.local = local
        self.peer = peer
        self.passive = passive
        "opened by the peer's SYN"
        self.state = TcpState.LISTEN if passive else TcpState.CLOSED
        self.events: deque[Event] = deque()
        self.nodelay = not self.settings.nagle
        self.ends = build.pseudo(local.address, peer.address)
        self.mss = 536
        "octets of data in a segment that we send, at most"
        self.timestamps = False
        "agreed on, as are the two that follow"
        self.sack = False
        self.ts_offset = 0
        self.ts_recent = 0
        "TSval of the peer, to be echoed (RFC 7323 section 4.3)"
        self.ts_recent_at = 0
        "ns"
        self.last_ack = 0
        "Last.ACK.sent"
        self.heard = self.host.now
        "ns: when the last segment came"
        self.asked = 0
        "keep-alive probes without answer"
        self.challenged = 0
        "challenge ACKs since `challenged_since`"
        self.challenged_since = 0
        self.is_closed = False
        "the program will neither read nor write"
        self.is_over = False
        "its Down was told"
        self.outbound = Outbound(self, iss)
        self.inbound = Inbound(self)
        self.opening = Opening(self)
        timers = self.host.timers
        self.ack_timer = Timer(timers, self._ack_due)
        self.wait_timer = Timer(timers, self._waited)
        "TIME-WAIT; FIN-WAIT-2 after close()"
        self.keepalive = Timer(timers, self._ask)

    def __repr__(self) -> str:
        return f"<connection {self.id}: {self.local} with {self.peer}, {self.state}>"

    # ---- what the program sees

    @property
    def room(self) -> int:
        """Octets that fit into the send buffer."""
        return max(self.settings.send_buffer - len(self.outbound.data), 0)

    @property
    def queued(self) -> int:
        """Octets in the send buffer."""
        return len(self.outbound.data)

    @property
    def unacknowledged(self) -> int:
        """Sequence numbers sent and not acknowledged."""
        return self.outbound.highest - self.outbound.una

    @property
    def held(self) -> int:
        """Octets delivered and not consumed."""
        return self.inbound.held

    @property
    def cwnd(self) -> int:
        """The congestion window, octets."""
        return self.outbound.congestion.cwnd

    @property
    def ssthresh(self) -> int:
        """The slow start threshold, octets."""
        return self.outbound.congestion.ssthresh

    @property
    def srtt(self) -> int | None:
        """The smoothed round trip, ns."""
        return self.outbound.rtt.srtt

    @property
    def rto(self) -> int:
        """The retransmission timeout, ns."""
        return self.outbound.rtt.rto

    @property
    def snd_wnd(self) -> int:
        """The peer's window, octets."""
        return self.outbound.window

    @property
    def rcv_wnd(self) -> int:
        """Our window as the peer knows it, octets."""
        return self.inbound.window

    @property
    def busy(self) -> bool:
        """Whether it still has something to send, to wait for an answer to, or to say."""
        return self.state not in QUIET or (not self.is_over and (not self.outbound.idle or self.inbound.unacked > 0))

    def send(self, data: bytes | memoryview, now_ns: int, *, urgent: bool = False) -> int:
        """Queues as much as there is room for, and says how much; it leaves at the next `Host.take`. Raises TcpError.

        `urgent`: its last octet is urgent, once all is taken (RFC 6093: better not used by anything new).
        """
        self.host.clock(now_ns)
        if self.outbound.finishing or self.is_closed or self.state not in WRITABLE:
            raise TcpError("ENOTCONN" if self.state is TcpState.LISTEN else "EPIPE", "nothing more can be sent")
        room = self.room
        if not room and data:
            raise TcpError("EAGAIN", f"the send buffer of {self.settings.send_buffer} octets is full")
        taken = min(room, len(data))
        self.outbound.data += data if taken == len(data) else memoryview(data)[:taken]
        if urgent and taken == len(data):
            self.outbound.urgent = self.outbound.end
        self.wants_to_send()
        return taken

    def consumed(self, octets: int, now_ns: int) -> None:
        """The program took so many octets of what was delivered; the peer is told once that matters."""
        self.host.clock(now_ns)
        if self.inbound.consumed(octets) and self.state in OPEN_TO_DATA:
            self.acknowledge()

    def configure(self, settings: Settings) -> None:
        """Other buffers; a window that the peer knows stays open."""
        self.settings = settings
        self.inbound.buffer, self.inbound.half = settings.receive_buffer, settings.receive_buffer >> 1

    def shutdown(self, now_ns: int) -> None:
        """Nothing more will be sent: FIN behind what is queued (CLOSE, RFC 9293 section 3.10.4)."""
        self.host.clock(now_ns)
        if self.state is TcpState.SYN_SENT:
            self.over(TcpEvent.CLOSE, None)
        elif self.state in WRITABLE and not self.outbound.finishing:
            self.outbound.finishing = True
            self.wants_to_send()

    def close(self, now_ns: int) -> None:
        """Nothing more will be sent or read: FIN, or RST where something came that was not read (RFC 2525 2.17)."""
        self.host.clock(now_ns)
        self.is_closed = True
        unread = self.inbound.held or self.inbound.gaps
        if unread and self.state in OPEN_TO_DATA | {TcpState.CLOSE_WAIT}:
            self.abort(now_ns)
            return
        self.shutdown(now_ns)
        if self.state is TcpState.FIN_WAIT_2:
            self.wait_timer.start(self.host.now + self.settings.fin_wait_2)

    def abort(self, now_ns: int) -> None:
        """Ends it at once, with RST where there is a peer to tell (ABORT, section 3.10.5)."""
        self.host.clock(now_ns)
        self._break("ECONNABORTED")

    def _break(self, errno: str) -> None:
        """RST, where there is someone to tell; where the RFC leaves it out (CLOSING, LAST-ACK), it does no harm."""
        if self.state is TcpState.TIME_WAIT:
            self.over(TcpEvent.TIMEOUT, errno)
        elif self.state is TcpState.SYN_SENT:
            self.over(TcpEvent.CLOSE, errno)
        elif self.state is not TcpState.CLOSED:
            self.emit(RST | ACK, self._seq)
            self.over(TcpEvent.SEND_RST, errno)

    # ---- what the parts use

    def moves(self, event: TcpEvent) -> None:
        """Moves the state by the table, and does what the new one asks for."""
        before, self.state = self.state, after(self.state, event)
        state, now = self.state, self.host.now
        if state is before:
            return
        self.tell(StateChanged(connection=self, before=before, state=state, why=event, at=now))
        if state is TcpState.TIME_WAIT:
            self._end(None)
            self.wait_timer.start(now + self.settings.time_wait)
        elif state is TcpState.FIN_WAIT_2 and self.is_closed:
            self.wait_timer.start(now + self.settings.fin_wait_2)
        elif state is TcpState.CLOSED:
            self.host.forget(self)
            if event is TcpEvent.RECEIVE_ACK_OF_FIN:
                self._end(None)

    def tell(self, event: Event) -> None:
        """For the program."""
        self.events.append(event)
        if self.host.watched:
            self.host.told[self.id] = self

    def window_changed(self, why: str) -> None:
        """The congestion window did; `why` is a key of `congestion.WHY`."""
        if self.settings.window_events:
            out = self.outbound
            cwnd, ssthresh, flight = out.congestion.cwnd, out.congestion.ssthresh, out.highest - out.una
            at = self.host.now
            self.tell(Window(connection=self, cwnd=cwnd, ssthresh=ssthresh, flight=flight, why=why, at=at))

    def established(self) -> None:
        """The handshake is done."""
        self.tell(Up(connection=self))
        if self.settings.keepalive_idle:
            self.keepalive.start(self.host.now + self.settings.keepalive_idle)
        self.wants_to_send()

    def wants_to_send(self) -> None:
        """`Host.take` will ask what may leave."""
        self.host.ready[self.id] = self

    @property
    def most_tries(self) -> int:
        """How often something is sent again."""
        if self.state is TcpState.SYN_SENT:
            return self.settings.syn_retries
        return self.settings.syn_ack_retries if self.state is TcpState.SYN_RECEIVED else self.settings.retries

    def timed_out(self) -> None:
        """The peer did not answer once too often (section 3.8.3)."""
        self._break("ETIMEDOUT")

    def over(self, event: TcpEvent, errno: str | None) -> None:
        """The end, at once."""
        self.moves(event)
        self._end(errno)

    def _end(self, errno: str | None) -> None:
        """Both directions are done: nothing to be sent is kept, the program is told."""
        self.outbound.stop()
        for timer in (self.ack_timer, self.wait_timer, self.keepalive):
            timer.stop()
        if not self.is_over:
            self.is_over = True
            self.tell(Down(connection=self, errno=errno))

    # ---- segments

    def emit(self, flags: int, seq: int, payload: bytes | bytearray = b"") -> None:
        """Puts a segment out; with ACK in it, all that came is acknowledged."""
        inbound, urgent = self.inbound, 0
        options = self.opening.options(flags) if flags & build.SYN else b""
        if not options and self.timestamps:
            options = build.timestamps(self.clock(self.host.now), self.ts_recent)
        if inbound.gaps and self.sack and not payload:
            blocks = [(first & BITS, end & BITS) for first, end in inbound.gaps.blocks(SACK_BLOCKS)]
            options += build.padded(b"\x01\x01", build.sack(blocks))
        if (ahead := self.outbound.urgent - seq) > 0 and payload:
            flags, urgent = flags | build.URG, min(ahead, 0xFFFF)
        if flags & ACK:
            self.last_ack, inbound.unacked = inbound.next, 0
            self.ack_timer.due = None
        local, peer = self.local, self.peer
        packet = build.segment(
            local.port,
            peer.port,
            seq & BITS,
            inbound.next & BITS if flags & ACK else 0,
            flags,
            inbound.first_window if flags & build.SYN else inbound.offer(),
            ends=self.ends,
            options=options,
            payload=payload,
            urgent=urgent,
        )
        self.host.out.append(Outgoing(packet, local.address, peer.address))

    def acknowledge(self) -> None:
        """A segment that only acknowledges."""
        self.emit(ACK, self._seq)

    @property
    def _seq(self) -> int:
        """Of a segment without data. A probe of a closed window was sent, but did not count."""
        out = self.outbound
        return out.highest if out.persist.due is None else out.nxt

    def challenge(self) -> None:
        """A challenge ACK (RFC 5961), or one for a segment that does not fit: not more than so many in a while."""
        now, settings = self.host.now, self.settings
        if now - self.challenged_since > settings.challenge_time:
            self.challenged_since, self.challenged = now, 0
        if self.challenged < settings.challenges:
            self.challenged += 1
            self.acknowledge()

    def clock(self, now: int) -> int:
        """TSval: milliseconds, from anywhere on (RFC 7323 sections 5.4, 7.1)."""
        return now // 1_000_000 + self.ts_offset & BITS

    # ---- timers

    def _ack_due(self, now: int) -> None:
        if self.inbound.unacked:
            self.acknowledge()

    def _waited(self, now: int) -> None:
        """2 MSL are over; or a program has closed, and the peer's FIN never came."""
        if self.state is TcpState.TIME_WAIT:
            self.moves(TcpEvent.TIMEOUT)
        else:
            self._break("ETIMEDOUT")

    def _ask(self, now: int) -> None:
        """Keep-alive (section 3.8.4): an old number, so that the peer acknowledges."""
        settings = self.settings
        quiet = now - self.heard
        if quiet < settings.keepalive_idle:
            self.asked = 0
            self.keepalive.start(self.heard + settings.keepalive_idle)
        elif self.asked >= settings.keepalive_probes:
            self.timed_out()
        else:
            self.asked += 1
            if not self.unacknowledged:
                self.emit(ACK, self.outbound.nxt - 1)
            self.keepalive.start(now + settings.keepalive_interval)


OPEN_TO_DATA = frozenset({TcpState.ESTABLISHED, TcpState.FIN_WAIT_1, TcpState.FIN_WAIT_2})
