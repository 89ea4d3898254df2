"""What each segment shows of its two ends, where no calls were recorded: kept in `sight`, for the rules of `tcp_seen`.

A connection whose beginning was not captured has states all the same, from when both ends have shown what they are in:
who sends data or FIN had not closed before, and so the other had not heard of it.
"""

from __future__ import annotations

from rawlab.attribution.carried import place
from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.lanes import TcpLane
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sight import LARGEST_SHIFT, blocks, shift
from rawlab.model.analysis import Mark
from rawlab.model.facts import TcpSegment
from rawlab.model.serial import Serial
from rawlab.model.states import TcpEvent, TcpState

_PROBES = Mark.KEEP_ALIVE | Mark.ZERO_WINDOW_PROBE
_AGAIN = Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION


def show(connection: Connection, draft: Draft, sender: End, receiver: End) -> None:
    """What the segment that leaves shows of who sent it; its cause is known, its octets are not yet noted."""
    segment, ip, sight = segment_of(draft), draft.facts.ip, sender.sight
    sender.has_spoken = True
    sight.recent.append(draft)
    sight.sights.append((ip.identification if ip is not None else 0, segment.seq.value, segment.ack.value))
    if "R" in segment.flags:
        sight.reset_sent = draft
        return
    if ip is not None:
        sight.ttls.add(ip.ttl)
    if "S" in segment.flags:
        sight.scale = shift(segment)
    else:
        _speaks_on(sender, draft.at_ns)
    sight.reset_by = sight.reset_sent = None
    if segment.window:
        sight.zero_since = None
    elif "S" not in segment.flags:
        sight.zero_since = sight.zero_since or draft
    if segment.span and sender.spans:
        _note_place(draft, sender)
    _note_push(draft, sender, receiver)
    _cross_fins(draft, sender, receiver)
    if is_half_open(draft, sender, receiver):
        sender.lane.restore(TcpState.ESTABLISHED, draft.at_ns)
    _tell_states(connection, draft, sender, receiver)
    sight.last_sent = draft


def _note_push(draft: Draft, sender: End, receiver: End) -> None:
    """Where a write may go on: behind what does not push, and behind a whole segment."""
    segment, sight = segment_of(draft), sender.sight
    if segment.length and draft.seq is not None and draft.seq + segment.length > sender.sent_end:
        sight.largest = max(sight.largest, segment.length)
        sight.part_pushed = "P" in segment.flags
        goes_on = not ("F" in segment.flags or "S" in segment.flags) and (
            not sight.part_pushed or segment.length >= whole(sender, receiver) > 0
        )
        sight.part_end = draft.seq + segment.length if goes_on else 0


def whole(sender: End, receiver: End) -> int:
    """Octets of a whole segment: the peer's MSS, less the options that each segment has (RFC 9293 section 3.7.1).

    Where SYNs were not seen, its largest so far, if that may be one; 0: not known.
    """
    if receiver.syn is None or sender.syn is None:
        return sender.sight.largest if sender.sight.largest >= _LEAST_WHOLE else 0
    if sender.sight.whole is None:
        found = {option.kind: option.values for option in segment_of(receiver.syn).options}
        stamped = _TIMESTAMPS in found and any(option.kind == _TIMESTAMPS for option in segment_of(sender.syn).options)
        sender.sight.whole = (found[_MSS][0] if found.get(_MSS) else _LEAST_WHOLE) - (12 if stamped else 0)
    return sender.sight.whole


_MSS, _TIMESTAMPS = 2, 8  # options
_LEAST_WHOLE = 536  # octets: RFC 9293 section 3.7.1, where no MSS is told


def is_half_open(draft: Draft, sender: End, receiver: End) -> bool:
    """Whether it answers SYN with an acknowledgment of something else: it has a connection of these ports still."""
    syn = receiver.syn if sender.last_ack is None else None
    if syn is None or "A" in segment_of(syn).flags or draft.ack is None or segment_of(draft).flags != "A":
        return False
    first = sender.syn is None and receiver.last_ack is None
    return first and not 0 < draft.ack <= receiver.sent_end


def _speaks_on(end: End, at_ns: int) -> None:
    """A reset that it was sent, or that was sent in its name, has not ended it."""
    sight = end.sight
    if (sight.reset_by or sight.reset_sent) and sight.before_reset is not None:
        end.lane.restore(sight.before_reset, at_ns)
        end.reset, sight.before_reset = False, None


def _cross_fins(draft: Draft, sender: End, receiver: End) -> None:
    """What it acknowledges tells whether the other's FIN has come there: it may have crossed its own."""
    if receiver.fin_number is None or draft.ack is None:
        return
    if draft.ack > receiver.fin_number:
        sender.lane.apply(TcpEvent.RECEIVE_FIN, draft.at_ns)
    elif "F" in segment_of(draft).flags and sender.lane.state is TcpState.CLOSE_WAIT:
        sender.lane.restore(TcpState.ESTABLISHED, draft.at_ns)


def open_late(draft: Draft, sender: End, receiver: End) -> None:
    """Its SYN leaves, after a SYN-ACK: that had come, if the capture has the two the wrong way round, or else had not.
    """
    if is_swapped(draft, sender, receiver):
        sender.lane.apply(TcpEvent.RECEIVE_SYN_ACK, draft.at_ns)
    elif sender.last_ack is None and sender.lane.state is TcpState.ESTABLISHED:
        sender.lane.restore(TcpState.SYN_SENT, draft.at_ns)


def is_swapped(draft: Draft, sender: End, receiver: End) -> bool:
    """Whether the capture has that SYN and the SYN-ACK before it the wrong way round: it is the only one, and at once.
    """
    syn = receiver.syn
    return syn is not None and sender.syn in (None, draft) and draft.at_ns - syn.at_ns < _SWAPPED_NS


_SWAPPED_NS = 10_000_000  # packets that are captured the wrong way round are so at once


def is_lost(draft: Draft, receiver: End) -> bool:
    """Whether it is a SYN-ACK that never came: the other end has said SYN again since."""
    return draft.n < receiver.sight.denies_syn and {"S", "A"} <= set(segment_of(draft).flags)


def _note_place(draft: Draft, sender: End) -> None:
    """Whether it lies behind what was not seen, or is sent again; what comes late for the first time is neither."""
    segment, sight = segment_of(draft), sender.sight
    assert draft.seq is not None
    if (marks := draft.finding.marks) and marks & _PROBES:
        return
    if draft.seq > sender.sent_end:
        sight.gaps.append((sender.sent_end, draft.seq, draft))
    elif (marks and marks & _AGAIN) or (
        draft.seq < sender.sent_end and not list(sight.sent.missing(draft.seq, draft.seq + segment.span))
    ):
        key = draft.seq if segment.length else -1 - draft.seq
        count, last, _ = sight.again.get(key) or (0, next(iter(sender.carriers(draft.seq, draft.seq + 1)), draft), 0)
        sight.again[key] = count + 1, draft, draft.at_ns - last.at_ns
        if segment.length:
            sight.last_again = draft.seq + segment.length, draft


def learn_acknowledgment(draft: Draft, ack: int, receiver: End) -> None:
    """What the segment that arrives acknowledges."""
    sight = receiver.sight
    if ack > receiver.peer_ack or sight.acked_by is None:
        sight.acked_by = draft
    near = receiver.sent_end
    edges = blocks(segment_of(draft)) if receiver.base is not None else ()
    if edges:
        sight.sacked = [tuple(receiver.relative(Serial(edge), near) for edge in block) for block in edges]
        sight.sacked_by = draft
    else:
        sight.sacked = ()


def is_outside(draft: Draft, receiver: End) -> bool:
    """Whether its number lies outside what the receiver takes, as far as that was seen: it may have moved on since."""
    assert draft.seq is not None
    if receiver.last_ack is None or receiver.last_window is None:
        return False
    scale = LARGEST_SHIFT if receiver.sight.scale is None else max(receiver.sight.scale, 0)
    end = max(receiver.last_ack + (receiver.last_window << scale), receiver.arrived.end_from(1))
    return not receiver.last_ack <= draft.seq <= end


# ---------------------------------------------------------------------------------- begun before the capture


def _tell_states(connection: Connection, draft: Draft, sender: End, receiver: End) -> None:
    if connection.seen_from_start:
        return
    segment = segment_of(draft)
    if sender.first_syn is not None or receiver.first_syn is not None:
        _after_syn_ack(connection, draft, sender, receiver)
        return
    sender.sight.sends |= bool(segment.length or "F" in segment.flags)
    if not connection.known_later and sender.sight.sends and receiver.sight.sends:
        connection.known_later = True
        for end in connection.ends:
            end.lane, end.told_ns = TcpLane(TcpState.ESTABLISHED), draft.at_ns
        if receiver.fin is not None:
            receiver.lane.apply(TcpEvent.SEND_FIN, draft.at_ns)
            sender.lane.apply(TcpEvent.RECEIVE_FIN, draft.at_ns)


def _after_syn_ack(connection: Connection, draft: Draft, sender: End, receiver: End) -> None:
    """SYN-ACK is the first that was seen: who sent it had been listening; who acknowledges it had sent SYN."""
    if sender.first_syn is None:
        sender.told_ns = draft.at_ns if sender.told_ns is None else sender.told_ns
        sender.lane.apply(TcpEvent.SEND_SYN, draft.at_ns)
        sender.lane.apply(TcpEvent.RECEIVE_SYN_ACK, draft.at_ns)
        return
    connection.known_later = receiver.has_spoken or "F" not in segment_of(draft).flags
    if sender.told_ns is None:
        sender.told_ns = draft.at_ns
    if draft.ack is not None and draft.ack > 1:  # of data, which is taken of nobody whose SYN-ACK is not acknowledged
        sender.lane.apply(TcpEvent.RECEIVE_ACK_OF_SYN, draft.at_ns)


# ------------------------------------------------------------------------------------------- captured twice

_TWINS_NS = 10_000_000  # what is captured twice is so at once


def twin(draft: Draft, sender: End) -> Draft | None:
    """The packet of which this is another sight: the same IPv4 identification, as no packet sent again has.

    Captures of several interfaces, of mirrored ports and of routers have such pairs: the TTL is lower behind a router.
    """
    ip = draft.facts.ip
    if ip is None or ip.version != 4 or not ip.identification:
        return None
    segment = segment_of(draft)
    if (ip.identification, segment.seq.value, segment.ack.value) not in sender.sight.sights:
        return None
    for other in reversed(sender.sight.recent):
        its = other.facts.ip
        if its is None or its.identification != ip.identification or draft.at_ns - other.at_ns > _TWINS_NS:
            continue
        if _is_same(segment_of(other), segment) and (_numbers(sender, other) or place(draft) != place(other)):
            return other
    return None


def _is_same(one: TcpSegment, other: TcpSegment) -> bool:
    return (one.seq, one.ack, one.flags, one.window, one.length, one.options) == (
        other.seq, other.ack, other.flags, other.window, other.length, other.options
    )


def _numbers(sender: End, other: Draft) -> bool:
    """Whether that packet's identification is its own: some systems give all packets the same."""
    its = other.facts.ip
    named = (draft for draft in sender.sight.recent if (ip := draft.facts.ip) is not None and its is not None
             and ip.identification == its.identification)
    return all(_is_same(segment_of(draft), segment_of(other)) for draft in named)
