"""A segment that came for a connection, in the order of RFC 9293 section 3.10.7, with RFC 5961's challenge ACKs and
RFC 7323's protection against old segments (PAWS)."""

from __future__ import annotations

from rawlab.endpoints.tcp.acknowledging import acknowledge
from rawlab.endpoints.tcp.connection import OPEN_TO_DATA, Connection
from rawlab.endpoints.tcp.segment import Segment
from rawlab.endpoints.unwrapped import BITS, HALF, unwrap
from rawlab.model.states import TcpEvent, TcpState
from rawlab.wire.tcp_build import ACK, FIN, RST, SYN, URG

OLD = 24 * 86_400 * 1_000_000_000
"ns: an older timestamp says nothing (RFC 7323 section 5.5)"


def arrive(connection: Connection, segment: Segment, now: int) -> None:
    """One segment with the right checksum."""
    connection.heard = now
    if connection.state is TcpState.SYN_SENT:
        _in_syn_sent(connection, segment, now)
        return
    inbound, flags = connection.inbound, segment.flags
    following = inbound.next
    seq = unwrap(segment.seq, following)
    if flags & SYN and not flags & RST:
        if connection.state is not TcpState.SYN_RECEIVED or seq != inbound.irs:
            connection.challenge()  # whatever its number (RFC 5961 section 4.2); in SYN-RECEIVED, too
            return
        if not flags & ACK:  # the same SYN: our SYN-ACK was lost
            connection.opening.again()
            return
        seq += 1  # both sent SYN at once, and this acknowledges ours
    if connection.timestamps and not flags & RST and not _stamped(connection, segment, seq):
        return
    edge, data = inbound.edge, segment.data
    end = seq + len(data) + (flags & FIN)
    if not (seq == following or (seq < edge if seq > following else end > following)):
        _unfit(connection, flags, end > seq)
    elif flags & RST:
        _reset(connection, seq)
    elif flags & ACK:
        cut = seq < following or end > edge
        if cut:
            data = data[max(following - seq, 0) : max(edge - seq, 0)]
            flags &= ~FIN if end > edge else flags
        _acknowledged(connection, segment, max(seq, following), flags, data, cut, now)


def _unfit(connection: Connection, flags: int, takes_room: bool) -> None:
    """It lies outside of the window."""
    if flags & RST:
        return
    if connection.state is TcpState.TIME_WAIT and flags & FIN:
        connection.wait_timer.start(connection.host.now + connection.settings.time_wait)
    if takes_room:
        connection.acknowledge()  # what came before comes again: our ACK was lost
    else:
        connection.challenge()


def _stamped(connection: Connection, segment: Segment, seq: int) -> bool:
    """RFC 7323 sections 3.2, 4.3, 5.3: a segment without timestamp is not read, nor one with an old one."""
    if segment.timestamp is None:
        return False
    newer = segment.timestamp - connection.ts_recent & BITS
    if newer >= HALF and connection.host.now - connection.ts_recent_at < OLD:
        if segment.length:
            connection.acknowledge()
        else:
            connection.challenge()
        return False
    if seq <= connection.last_ack:
        connection.ts_recent, connection.ts_recent_at = segment.timestamp, connection.host.now
    return True


def _reset(connection: Connection, seq: int) -> None:
    """RST counts where it has exactly the number that is next (RFC 5961 section 3.2)."""
    if seq != connection.inbound.next:
        connection.challenge()
        return
    refused = connection.state is TcpState.SYN_RECEIVED
    connection.over(TcpEvent.RECEIVE_RST, "ECONNREFUSED" if refused else "ECONNRESET")


def _acknowledged(
    connection: Connection, segment: Segment, seq: int, flags: int, data: bytes, owed: bool, now: int
) -> None:
    """A segment with ACK in the window, cut to it: what it acknowledges, then what it brings.

    `owed`: it must be acknowledged at once.
    """
    out, inbound = connection.outbound, connection.inbound
    una = out.una
    ack = unwrap(segment.ack, una)
    if connection.state is TcpState.SYN_RECEIVED:
        if ack != out.highest:
            connection.host.refuse(segment, connection.local, connection.peer)
            return
        if not connection.endpoint.admits(connection):
            return
        connection.opening.done(segment, ack, TcpEvent.RECEIVE_ACK_OF_SYN)
    elif ack > out.highest or ack < una - out.widest:  # RFC 5961 section 5.2
        connection.challenge()
        return
    acknowledge(connection, segment, seq, ack, now)
    if connection.state in OPEN_TO_DATA:
        if flags & URG:
            inbound.point(unwrap(segment.seq, inbound.next) + segment.urgent)
        if data:
            if connection.is_closed:
                connection.abort(now)
                return
            owed = inbound.data(seq, data) or owed
        if flags & FIN:
            inbound.close(seq + len(data))
            owed = True
        if inbound.fin is not None:
            inbound.finished()
    elif connection.state is TcpState.CLOSED:
        return
    elif data or flags & FIN:
        owed = True
    if owed:
        connection.acknowledge()
    elif inbound.unacked and connection.ack_timer.due is None:
        connection.ack_timer.start(now + connection.settings.ack_delay)


def _in_syn_sent(connection: Connection, segment: Segment, now: int) -> None:
    """RFC 9293 section 3.10.7.3. Data in a SYN is left out; it comes again."""
    flags, out = segment.flags, connection.outbound
    if flags & ACK and segment.ack != out.highest & BITS:
        if not flags & RST:
            connection.host.refuse(segment, connection.local, connection.peer)
    elif flags & RST:
        if flags & ACK:
            connection.over(TcpEvent.RECEIVE_RST, "ECONNREFUSED")
    elif flags & SYN and flags & ACK:
        connection.opening.agree(segment)
        connection.opening.done(segment, out.highest, TcpEvent.RECEIVE_SYN_ACK)
        connection.acknowledge()
    elif flags & SYN:
        connection.opening.answer(segment)
