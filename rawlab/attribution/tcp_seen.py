"""Why a TCP segment was sent, where no calls were recorded: from what was seen on the wire alone.

    finding (`tcp_analysis`)  what tshark, too, calls the segment: a retransmission, out of order, …
    sight (`connection`)      which octets were seen before, what was acknowledged, what windows were told

A write, connect or close is implied, never proven; what a kernel does by itself (acknowledgments, probes, what is sent
again) follows from the numbers. A sentence says nothing that a later packet could disprove: `tcp_hindsight` adds what
came later. SYN is `tcp_openings`', RST `tcp_resets`', what is sent again `tcp_seen_again`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rawlab.attribution import carried, tcp_openings, tcp_resets, tcp_seen_again, tcp_sight
from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sight import blocks
from rawlab.attribution.words import expected, kernel, octets, packets_in_words, took
from rawlab.model.analysis import Mark
from rawlab.model.serial import Serial
from rawlab.model.story import Cause

_BEHIND = "behind octets that the capture did not see"
_PROBES = Mark.KEEP_ALIVE | Mark.ZERO_WINDOW_PROBE
_ANSWERS = Mark.KEEP_ALIVE_ACK | Mark.ZERO_WINDOW_PROBE_ACK
_AT_ONCE_NS = 2_000_000  # so soon after a packet, an acknowledgment answers it, and was seen near who sent it


def cause_of(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause:
    """The segment's cause; its sentence holds all that is to be said of it."""
    cause = _main(connection, draft, sender, receiver)
    more = "; ".join(_more(draft, sender, receiver))
    proven = (draft.ack or 0) > (sender.last_ack or 0)  # its number proves what it acknowledges
    sure = proven or cause.confidence != "exact"
    if sure and not more:
        return cause
    return Cause(
        kind=cause.kind,
        reason=f"{cause.reason}; {more}" if more else cause.reason,
        confidence=cause.confidence if sure else "inferred",
        calls=cause.calls,
        packets=cause.packets,
        bytes=cause.bytes,
    )


def captured_twice(draft: Draft, first: Draft) -> Cause:
    """Of another sight of a packet."""
    mine, its = draft.facts.ip, first.facts.ip
    assert mine is not None
    assert its is not None
    why = f"packet {first.n} once more, {took(draft.at_ns - first.at_ns)} later, with the same IP identification"
    if carried.place(draft) != carried.place(first):
        where = f"captured in {carried.place(first) or 'no VLAN'}, then in {carried.place(draft) or 'none'}"
    elif mine.ttl < its.ttl:
        where = f"captured before and behind a router (TTL {its.ttl}, then {mine.ttl})"
    else:
        where = "captured twice"
    return kernel(f"{why}, {mine.identification}: {where}, not sent again", packets=[first], confidence="inferred")


def _main(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause:
    segment = segment_of(draft)
    if "R" in segment.flags:
        return tcp_resets.cause_of(draft, sender, receiver)
    if "S" in segment.flags:
        return tcp_openings.cause_of(connection, draft, sender, receiver)
    if (marks := draft.finding.marks) and marks & _PROBES:
        return _probe(draft, sender, receiver)
    if segment.length:
        return _data(draft, sender, receiver)
    if "F" in segment.flags:
        return _fin(connection, draft, sender, receiver)
    return tcp_openings.last_step(draft, sender, receiver) or _acknowledgment(draft, sender, receiver)


def _more(draft: Draft, sender: End, receiver: End) -> Iterator[str]:
    """What else is to be said of the segment, whatever it is."""
    segment, marks = segment_of(draft), draft.finding.marks
    if (segment.length or "F" in segment.flags) and draft.ack is not None and draft.ack > (sender.last_ack or 0):
        yield from _piggyback(draft, sender, receiver)
    if marks:
        yield from _by_marks(draft, sender)
    if "R" not in segment.flags and "S" not in segment.flags:
        yield from _came_twice(draft, receiver)
        yield from _after_reset(sender)


def _by_marks(draft: Draft, sender: End) -> Iterator[str]:
    segment, marks = segment_of(draft), draft.finding.marks
    assert draft.seq is not None
    if marks & Mark.LOST_SEGMENT and sender.sent_end < draft.seq:
        yield f"a hole before it: {octets(sender.sent_end, draft.seq)} had not passed here"
    if marks & Mark.WINDOW_FULL:
        yield "it fills the peer's window: no more may be sent until that opens (window full)"
    if marks & Mark.ZERO_WINDOW:
        yield "its own window is zero: it has no room for more"
    if marks & Mark.REUSED_PORTS:
        if "A" in segment.flags:
            reset = sender.sight.reset_sent
            which = f"packet {reset.n}, a reset" if reset is not None else "what was sent before"
            yield f"its number does not follow on {which}: another host's, or the ports were used again"
        else:
            yield "the same addresses and ports as an earlier connection's, used again"


def _piggyback(draft: Draft, sender: End, receiver: End) -> Iterator[str]:
    """What a segment with data acknowledges beside."""
    before = sender.last_ack if sender.last_ack is not None else 1
    assert draft.ack is not None
    if (marks := draft.finding.marks) and marks & Mark.ACK_LOST_SEGMENT:
        parts = _parts(before, draft.ack, receiver)
        seen = sender.arrived.covers(before, draft.ack)
        yield f"acknowledges {parts}, {_BEHIND if seen else 'of which the capture did not see all'}"
    elif draft.ack == 1 and sender.last_ack is None and receiver.answered and receiver.syn is not None:
        yield f"acknowledges SYN-ACK (packet {receiver.syn.n}), too: the connection is established"
    elif acknowledged := sender.bringers(before, draft.ack):
        yield f"acknowledges {packets_in_words(acknowledged)}{_rtt(draft)}"


def _came_twice(draft: Draft, receiver: End) -> Iterator[str]:
    """What a first SACK block below the acknowledgment, or within the second, tells (RFC 2883 section 4)."""
    edges = blocks(segment_of(draft)) if receiver.base is not None and draft.ack is not None else ()
    if not edges:
        return
    found = [tuple(receiver.relative(Serial(edge), receiver.sent_end) for edge in block) for block in edges[:2]]
    (first, end), ack = found[0], draft.ack or 0
    if first < end and (end <= ack or (len(found) > 1 and found[1][0] <= first and end <= found[1][1])):
        again = receiver.sight.again.get(first)
        vain = f": packet {again[1].n} sent them again in vain" if again is not None else ""
        yield f"{octets(first, end)} came twice (D-SACK, RFC 2883){vain}"


def _after_reset(sender: End) -> Iterator[str]:
    """It speaks on as if nothing had been."""
    if (reset := sender.sight.reset_by) is not None:
        yield f"so packet {reset.n}, a reset, had not come there yet, or was not accepted"
    if (reset := sender.sight.reset_sent) is not None:
        yield f"so packet {reset.n}, a reset in its name, was another host's, or has overtaken this"


def _rtt(draft: Draft) -> str:
    """' after 12.3 ms': since the segment that it acknowledges."""
    return "" if draft.finding.rtt_ns is None else f" after {took(draft.finding.rtt_ns)}"


# ----------------------------------------------------------------------------------------------- probes


def _probe(draft: Draft, sender: End, receiver: End) -> Cause:
    """A segment that is only sent to be answered: a keep-alive, or a window probe."""
    zero = receiver.sight.zero_since
    what = "" if draft.finding.marks & Mark.ZERO_WINDOW_PROBE else f", with {_below(draft)} what the peer expects"
    if zero is not None:
        form = "zero-window probe" if not what else "keep-alive as a zero-window probe"
        why = f"asks whether the peer's window, zero since packet {zero.n}, has opened{what} ({form})"
        return kernel(why, packets=[zero], confidence="inferred")
    if draft.finding.marks & Mark.ZERO_WINDOW_PROBE:
        return kernel("asks whether the peer's window has opened (zero-window probe)", confidence="inferred")
    last = max((one.at_ns for one in (sender.last_arrival, sender.sight.last_sent) if one is not None), default=None)
    quiet = "" if last is None else f", after {took(draft.at_ns - last)} of silence"
    return kernel(f"asks whether the peer is still there{what}{quiet} (keep-alive)", confidence="inferred")


def _below(draft: Draft) -> str:
    return "a number below" if draft.seq is None or draft.seq < 0 else f"number {draft.seq}, below"


# ------------------------------------------------------------------------------------------------- data


def _data(draft: Draft, sender: End, receiver: End) -> Cause:
    segment = segment_of(draft)
    assert draft.seq is not None
    first, end = draft.seq, draft.seq + segment.length
    fin = "; FIN: a close or shutdown" if "F" in segment.flags else ""
    unseen = list(sender.sight.sent.missing(first, end))
    if not unseen:
        cause = tcp_seen_again.all_again(draft, sender, first, end)
        return replace(cause, reason=cause.reason + fin)
    if first < sender.sent_end and unseen[0][0] < sender.sent_end and (sender.spans or draft.finding.marks):
        cause = tcp_seen_again.late(draft, sender, first, end)
        return replace(cause, reason=cause.reason + fin)
    why = _written(draft, sender, receiver, unseen[0][0], end)
    if first < unseen[0][0]:
        before = sender.carriers(first, unseen[0][0])
        why += f"; {octets(first, unseen[0][0])} again, as in {packets_in_words(before)}"
    if "U" in segment.flags and segment.urgent:
        why += f"; urgent data up to octet {first + segment.urgent - 1} (a send with MSG_OOB, tcp(7))"
    return Cause(kind="call", reason=why + fin, confidence="inferred")


def _written(draft: Draft, sender: End, receiver: End, first: int, end: int) -> str:
    """A write's octets: one is cut into whole segments, and PSH stands on the last (RFC 9293 section 3.9.1.2).

    Linux sets it on a whole one, too, where it has sent half the window since.
    """
    segment, sight = segment_of(draft), sender.sight
    pushes, goes_on = "P" in segment.flags or "F" in segment.flags, sight.part_end == first > 0
    whole = segment.length >= (most := tcp_sight.whole(sender, receiver)) > 0
    said = f"{octets(first, end)}{', a whole segment' if segment.length == most else ''}"
    if first > sender.sent_end and sender.spans:  # what lies between may be of the same
        return f"a write, or {'the end' if pushes and not whole else 'a part'} of one: {said}"
    ends, other = pushes and not whole, " or of another" if sight.part_pushed else ""
    if not goes_on and ends:
        return f"a write of {said}"
    if not goes_on:
        return f"{'the first part of a write' if whole and not pushes else 'a write, or the first part of one'}: {said}"
    if ends:
        return f"the end of that write{other} (PSH): {said}"
    return f"more of that write{other}{', or the end (PSH)' if pushes else ''}: {said}"


def _fin(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause:
    if sender.fin is not None:
        return tcp_seen_again.fin_again(draft, sender)
    why = "a close or shutdown sends FIN"
    if draft.seq is not None and draft.seq < sender.sent_end:
        before = sender.carriers(draft.seq, draft.seq + 1)
        used = f", in {packets_in_words(before)}" if before else ""
        why += f", with number {draft.seq} again, which was sent before{used}"
    if not connection.seen_from_start and not receiver.has_spoken:
        why += "; FIN-WAIT-1 follows, or LAST-ACK, if the other end's FIN, which was not captured, came before"
    return Cause(kind="call", reason=why, confidence="inferred")


# --------------------------------------------------------------------------------------- acknowledgments


def _acknowledgment(draft: Draft, sender: End, receiver: End) -> Cause:
    if draft.ack is None:
        return Cause(kind="unknown", reason="neither data nor a flag: TCP sends no such segment", confidence="unknown")
    marks, before = draft.finding.marks, sender.last_ack if sender.last_ack is not None else 1
    if draft.ack > before:
        return _acknowledges_new(draft, sender, receiver, before)
    if marks and marks & Mark.DUPLICATE_ACK:
        return _duplicate(draft, sender, receiver)
    if marks and marks & _ANSWERS:
        return _answers_probe(draft, sender)
    if tcp_sight.is_half_open(draft, sender, receiver):
        return _challenges(receiver)
    if draft.ack < before:
        why = f"acknowledges less than before, up to {expected(draft.ack)}: an older one, overtaken on the way"
        return kernel(why, confidence="inferred")
    if segment_of(draft).window != sender.last_window and sender.last_window is not None:
        return _window_update(draft, sender, receiver)
    return _says_again(draft, sender)


def _challenges(receiver: End) -> Cause:
    """It knows a connection of these ports from before: a challenge ACK."""
    assert receiver.syn is not None
    why = f"answers SYN (packet {receiver.syn.n}) with the number that it expects: it has a connection of these ports"
    why += " still (half-open, RFC 9293 section 3.5.1; challenge ACK, RFC 5961 section 4); an end that has lost that"
    return kernel(f"{why} answers with a reset", packets=[receiver.syn], confidence="inferred")


def _acknowledges_new(draft: Draft, sender: End, receiver: End, before: int) -> Cause:
    assert draft.ack is not None
    acknowledged = sender.bringers(before, draft.ack)
    parts = _parts(before, draft.ack, receiver)
    lost = bool((marks := draft.finding.marks) and marks & Mark.ACK_LOST_SEGMENT)
    if not acknowledged:
        unseen = "the capture did not see" if lost else "were not seen"
        return kernel(f"acknowledges {parts}, which {unseen}", confidence="inferred")
    why = f"acknowledges {parts} ({packets_in_words(acknowledged)})"
    if not sender.arrived.covers(max(before, 1), draft.ack):
        why += f", of which {'the capture did not see all' if lost else 'not all was seen'}"
    elif lost:
        why += f", {_BEHIND}"
    if draft.finding.rtt_ns is not None:
        of = " it" if [one.n for one in acknowledged] == [draft.finding.acks] else f" packet {draft.finding.acks}"
        why += f", {took(draft.finding.rtt_ns)} after{of}"
    again = receiver.sight.last_again
    if again is not None and before < again[0] <= draft.ack and again[1].n not in (draft.finding.acks, None):
        why += f", {took(draft.at_ns - again[1].at_ns)} after packet {again[1].n}, which sent it again"
    return kernel(why, packets=acknowledged)


def _parts(before: int, ack: int, receiver: End) -> str:
    """'octets 1 to 5 and FIN'."""
    fin = receiver.fin_number is not None and ack > receiver.fin_number
    parts = [octets(before, ack - fin)] if ack - fin > before else []
    return " and ".join([*parts, *(["FIN"] if fin else [])])


def _duplicate(draft: Draft, sender: End, receiver: End) -> Cause:
    """It repeats itself: something came that is not what it expects next (RFC 5681 section 4.2)."""
    found, last = draft.finding, sender.last_arrival
    which = f"duplicate acknowledgment {found.duplicate_number}"
    if found.duplicate_of is not None:
        which += f" of packet {found.duplicate_of}"
    what = f"says again that it expects {expected(draft.ack or 0)} ({which})"
    edges = blocks(segment_of(draft))
    if edges and (brought := _newest(edges[0], draft, sender, receiver)) is not None:
        return kernel(f"{what}: packet {brought.n} came, and what lies before it had not (SACK)", packets=[brought])
    if last is None or last.seq is None or draft.ack is None or draft.at_ns - last.at_ns > _AT_ONCE_NS:
        return kernel(f"{what}: something came that lies behind that, or came once more", confidence="inferred")
    if last not in sender.unacknowledged:
        return kernel(f"{what}: what made it do so was not captured", confidence="inferred")
    if last.seq > draft.ack:
        why = f"packet {last.n} came, and what lies before it had not"
    elif last.seq + segment_of(last).span <= draft.ack:
        why = f"packet {last.n} brought what it had already"
    else:
        why = f"something came that lies behind that; packet {last.n}, which it expects, had not come yet, or is lost"
    return kernel(f"{what}: {why}", packets=[last], confidence="inferred")


def _newest(block: tuple[int, int], draft: Draft, sender: End, receiver: End) -> Draft | None:
    """The packet that brought the end of the first SACK block, which holds what came last (RFC 2018 section 4)."""
    left, right = (receiver.relative(Serial(edge), receiver.sent_end) for edge in block)
    if draft.ack is None or right <= draft.ack or right <= left:
        return None  # of what came twice (RFC 2883)
    return next(iter(sender.bringers(right - 1, right)), None)


def _answers_probe(draft: Draft, sender: End) -> Cause:
    probe = sender.last_arrival
    which = f" (packet {probe.n})" if probe is not None else ""
    if draft.finding.marks & Mark.ZERO_WINDOW_PROBE_ACK:
        why = f"answers the zero-window probe{which}: the window is still zero"
    else:
        why = f"answers the keep-alive{which}: it is still there"
    return kernel(why, packets=[probe], confidence="inferred")


def _window_update(draft: Draft, sender: End, receiver: End) -> Cause:
    window, zero = segment_of(draft).window, sender.sight.zero_since
    room = _room(window, sender, receiver)
    if zero is not None and window:
        waited = took(draft.at_ns - zero.at_ns)
        why = f"there is room again, for {room}, after {waited} without: a program has read (window update)"
        return kernel(why, packets=[zero], confidence="inferred")
    grown = sender.last_window is not None and window > sender.last_window
    why = "a program has read: there" if grown else "there"
    update = " (window update)" if draft.finding.marks & Mark.WINDOW_UPDATE else ""
    return kernel(f"tells the changed window: {why} is room for {room}{update}", confidence="inferred")


def _room(window: int, sender: End, receiver: End) -> str:
    """A window in octets; as it stands in the header where what scales it was not seen (RFC 7323 section 2.2)."""
    shifts = sender.sight.scale, receiver.sight.scale
    if shifts[0] is None or shifts[1] is None:
        return f"{window}, unscaled (the SYNs were not seen)"
    return f"{window if -1 in shifts else window << shifts[0]} octets"


def _says_again(draft: Draft, sender: End) -> Cause:
    last = sender.last_arrival
    if last is None:
        why = f"says that it expects {expected(draft.ack or 0)} next; what it answers was not captured"
        return kernel(why, confidence="inferred")
    if last.seq is not None and draft.ack is not None and last.seq > draft.ack and segment_of(last).span:
        why = f"packet {last.n} came before what it expects"
    else:
        why = f"answers packet {last.n}"
    return kernel(f"{why}: it expects {expected(draft.ack or 0)} next", packets=[last], confidence="inferred")
