"""The handshake: what a SYN offers, what was agreed on, SYN and SYN-ACK sent again (RFC 9293 section 3.5, RFC 7323)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.tcp.acknowledging import measure
from rawlab.endpoints.tcp.segment import Segment
from rawlab.model.states import TcpEvent, TcpState
from rawlab.wire import tcp_build as build
from rawlab.wire.tcp_build import ACK, SYN

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.connection import Connection

TCP_HEADER, TIMESTAMPS = 20, 12
IP_HEADERS = {4: 20, 6: 40}
DEFAULT_MSS = {4: 536, 6: 1220}
"RFC 9293 section 3.7.1"
LEAST_MSS = 48
"whatever a peer says, as in Linux"


class Opening:
    """Of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.version = 6 if ":" in connection.peer.address else 4
        self.mss = connection.settings.mtu - IP_HEADERS[self.version] - TCP_HEADER
        "what we say that we take (RFC 6691: options are not counted)"
        self.lost = False
        "a SYN was sent again"
        settings = connection.settings
        self.scales = settings.window_scale
        "a window scale is offered, or was offered by the peer and is answered; so are the two that follow"
        self.stamps = settings.timestamps
        self.sacks = settings.sack

    def begin(self) -> None:
        """Active: sends a SYN."""
        self.connection.ts_offset = self.connection.host.number32()
        self._send(SYN, TcpEvent.SEND_SYN)

    def answer(self, segment: Segment) -> None:
        """A SYN came: passive, or in SYN-SENT (simultaneous). Sends a SYN-ACK."""
        if self.connection.passive:
            self.connection.ts_offset = self.connection.host.number32()
        self.agree(segment)
        self._send(SYN | ACK, TcpEvent.RECEIVE_SYN)

    def _send(self, flags: int, event: TcpEvent) -> None:
        connection = self.connection
        out, now = connection.outbound, connection.host.now
        connection.emit(flags, out.iss)
        out.nxt = out.highest = out.iss + 1
        out.timed = out.nxt if event is TcpEvent.SEND_SYN or connection.passive else None
        out.timed_since = out.last_sent = now
        out.timer.start(now + out.rtt.rto)
        connection.moves(event)

    def again(self) -> None:
        """SYN or SYN-ACK once more."""
        self.lost = True
        connection = self.connection
        connection.outbound.timed = None
        flags = SYN if connection.state is TcpState.SYN_SENT else SYN | ACK
        connection.emit(flags, connection.outbound.iss)

    def agree(self, segment: Segment) -> None:
        """What the peer's SYN says counts from now on."""
        connection, settings = self.connection, self.connection.settings
        inbound, out = connection.inbound, connection.outbound
        self.scales = settings.window_scale and segment.shift is not None
        self.stamps = settings.timestamps and segment.timestamp is not None
        self.sacks = settings.sack and segment.sack_permitted
        connection.timestamps, connection.sack = self.stamps, self.sacks
        if segment.timestamp is not None:
            connection.ts_recent, connection.ts_recent_at = segment.timestamp, connection.host.now
        peer = segment.mss if segment.mss is not None else DEFAULT_MSS[self.version]
        connection.mss = max(min(peer, self.mss) - (TIMESTAMPS if self.stamps else 0), LEAST_MSS)
        inbound.begin(segment.seq)
        if self.scales:
            inbound.shift, out.shift = self.shift, segment.shift or 0
        out.window = out.widest = segment.window  # of a SYN: never scaled
        out.wl1, out.wl2 = inbound.irs, out.iss

    @property
    def shift(self) -> int:
        """So that the whole buffer can be told."""
        return min(max((self.connection.settings.receive_buffer - 1).bit_length() - 16, 0), 14)

    def options(self, flags: int) -> bytes:
        """Of our SYN, in Linux' order; of a SYN-ACK what the peer offered, too."""
        connection = self.connection
        found = build.mss(self.mss)
        if self.sacks:
            found += build.sack_permitted() if self.stamps else b"\x01\x01" + build.sack_permitted()
        if self.stamps:
            echo = connection.ts_recent if flags & ACK else 0
            stamps = build.timestamps(connection.clock(connection.host.now), echo)
            found += stamps[2:] if self.sacks else stamps
        if self.scales:
            found += b"\x01" + build.window_scale(self.shift)
        return found

    def done(self, segment: Segment, ack: int, event: TcpEvent) -> None:
        """Our SYN is acknowledged: established."""
        connection = self.connection
        out, now = connection.outbound, connection.host.now
        measure(connection, segment, ack, now)
        if self.lost:
            out.rtt.syn_was_lost()
        out.una = out.iss + 1
        out.tries = 0
        out.timer.stop()
        out.congestion.open(connection.mss, out.una, lost=self.lost)
        connection.moves(event)
        connection.established()
