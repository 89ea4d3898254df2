"""What an acceptable ACK does to what was sent (RFC 9293 section 3.10.7.4, RFC 5681 section 3.2, RFC 6298)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.tcp.segment import Segment
from rawlab.endpoints.unwrapped import BITS
from rawlab.model.states import TcpEvent
from rawlab.wire.tcp_build import FIN

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.connection import Connection

MS = 1_000_000


def acknowledge(connection: Connection, segment: Segment, seq: int, ack: int, now: int) -> None:
    """`ack` lies in what was sent; `seq` is the segment's number."""
    out = connection.outbound
    known = out.window
    if out.wl1 < seq or (out.wl1 == seq and out.wl2 <= ack):
        out.window = segment.window << out.shift
        out.wl1, out.wl2 = seq, ack
        if out.window > out.widest:
            out.widest = out.window
    if ack > out.una:
        _new(connection, segment, ack, now)
    elif ack == out.una and out.highest > out.una:
        out.tries = out.tries if out.window else 0  # the peer lives, its window is closed
        if not segment.data and not segment.flags & FIN and (known == out.window or segment.sacks) and out.window:
            _duplicate(connection, now)
    elif not out.window:
        out.tries = 0
    if out.window and out.persist.due is not None and out.una + out.window > out.nxt:
        out.tries = 0
    if out.data or out.finishing:
        connection.wants_to_send()


def _new(connection: Connection, segment: Segment, ack: int, now: int) -> None:
    """Something is acknowledged for the first time."""
    out = connection.outbound
    octets = ack - out.una
    if ack > out.base:
        finished = ack > out.end
        del out.data[: ack - out.base]
        out.base = ack - finished
    out.una = ack
    if out.nxt < ack:
        out.nxt = ack
    out.tries = 0
    measure(connection, segment, ack, now)
    lost = out.congestion.acknowledged(octets, ack, limited=out.limited)
    if ack == out.highest:
        out.timer.due = None
    else:
        out.timer.start(now + out.rtt.rto)
    if lost:
        out.again(now)
    if out.fin_acknowledged:
        connection.moves(TcpEvent.RECEIVE_ACK_OF_FIN)


def measure(connection: Connection, segment: Segment, ack: int, now: int) -> None:
    """The round trip: of a segment that was sent once, to the ns (Karn); else by the echoed timestamp, to the ms."""
    out = connection.outbound
    if out.timed is not None:
        if ack >= out.timed:
            out.timed = None
            out.rtt.measured(now - out.timed_since)
    elif out.rtt.backoff and segment.timestamp is not None and connection.timestamps:
        elapsed = connection.clock(now) - segment.echo & BITS
        if elapsed < 1 << 24:
            out.rtt.measured(max(elapsed, 1) * MS)


def _duplicate(connection: Connection, now: int) -> None:
    out = connection.outbound
    flight = min(out.highest - out.una, out.congestion.cwnd)  # without what RFC 3042 let go beyond
    if out.congestion.duplicate(flight, out.una, out.highest):
        out.again(now)
