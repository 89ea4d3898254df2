"""What only the rest of the capture tells of a TCP segment, where no calls were recorded: appended to its sentence.

Octets that were not captured and are acknowledged were not lost: the capture missed them. What is said here stands at
the end of a sentence, so that a packet told as it comes (`following`) is told the same way, as far as it goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.tcp_resets import other_ttl
from rawlab.attribution.words import packets_in_words
from rawlab.model.analysis import Mark
from rawlab.model.facts import IcmpMessage
from rawlab.model.serial import Serial

_MOST = 10_000  # octets beside what was seen that an acknowledgment may name; more are numbers of no stream


def add(connection: Connection) -> None:
    """Adds what became of what was missing, and whether resets came another way."""
    for end, other in (connection.ends, connection.ends[::-1]):
        acks = _acknowledgments(connection, other)
        for first, stop, draft in end.sight.gaps:
            if draft.finding.marks & Mark.LOST_SEGMENT:
                _append(draft, _fate(end, first, stop, draft, acks))
    for draft in connection.drafts:
        odd = other_ttl(draft, connection.direction(draft)[0]) if "R" in segment_of(draft).flags else None
        if odd is not None and odd not in draft.cause.reason:
            _append(draft, odd)


def foresee(connection: Connection) -> None:
    """What each end shows, later, not to have had when the capture saw it pass: SYN-ACK, FIN."""
    opened: set[bool] = set()
    fins: dict[bool, Serial | None] = {}
    asked: dict[bool, Serial] = {}
    for draft in connection.drafts:
        segment, forward, sight = segment_of(draft), draft.forward, connection.direction(draft)[0].sight
        if "S" in segment.flags and "A" not in segment.flags:
            if forward in opened:
                sight.denies_syn = draft.n
            opened.add(forward)
        if "A" in segment.flags and "R" not in segment.flags and (fin := fins.get(not forward)) is not None:
            if segment.ack <= fin:
                sight.denies_fin = draft.n
            else:
                fins[not forward] = None  # it has come
        elif segment.flags == "R" and fins.get(not forward) is not None and segment.seq == asked.get(not forward):
            sight.denies_fin = draft.n  # what came fits no connection there
        if "A" in segment.flags:
            asked[forward] = segment.ack
        if "F" in segment.flags:
            fins.setdefault(forward, segment.seq + segment.length)


def tell_unanswered(connections: Sequence[Connection], drafts: Sequence[Draft]) -> None:
    """Of a SYN that was sent again and again, and that nothing ever answered, what follows; ICMP's errors are answers.
    """
    quoted = {n for draft in drafts if isinstance(draft.facts.transport, IcmpMessage) for n in draft.cause.packets}
    for connection in connections:
        mine = [draft for draft in connection.drafts if draft.copy_of is None]
        only = all({"S", "A"} & set(segment_of(draft).flags) == {"S"} and draft.forward for draft in mine)
        if only and len(mine) > 1 and quoted.isdisjoint(draft.n for draft in connection.drafts):
            _append(mine[-1], "nothing ever answers here: filtered on the way, or no such host")


def _append(draft: Draft, words: str) -> None:
    draft.cause = replace(draft.cause, reason=f"{draft.cause.reason}; {words}")


_Acks = tuple[Sequence[int], Sequence[Draft]]
"""Acknowledgment numbers, each higher than the one before, and their packets."""


def _acknowledgments(connection: Connection, end: End) -> _Acks:
    numbers: list[int] = []
    drafts: list[Draft] = []
    for draft in connection.drafts:
        if connection.direction(draft)[0] is end and draft.ack is not None and (not numbers or draft.ack > numbers[-1]):
            numbers.append(draft.ack)
            drafts.append(draft)
    return numbers, drafts


def _fate(end: End, first: int, stop: int, draft: Draft, acks: _Acks) -> str:
    """What became of the octets [first, stop) that were not seen when that packet came."""
    later = end.carriers(first, stop)
    missing = list(end.sight.sent.missing(first, stop))
    came = f"filled later by {packets_in_words(later)}: overtaken, or lost on the way to here" if later else ""
    if not missing:
        return came
    numbers, packets = acks
    at = bisect_left(numbers, missing[-1][1])
    what = "the others never come" if later else "they never come"
    if at < len(packets):
        fate = f"{what}, but packet {packets[at].n} acknowledges them: not lost, only not captured"
    else:
        fate = f"{what}, and nothing acknowledges them"
    return f"{came}; {fate}" if came else fate


def missed(connections: Sequence[Connection]) -> Iterator[tuple[End, int, int]]:
    """(who sent them, octets, in how many places) of what was acknowledged and is not in the capture."""
    for connection in connections:
        for end in connection.ends:
            if not end.sight.sent.covers(1, 2) and not end.has_spoken:
                continue
            stop = min(end.peer_ack, end.sent_end + _MOST)
            places = list(end.sight.sent.missing(next(iter(end.sight.sent), (1, 1))[0], stop))
            if places:
                yield end, sum(last - first for first, last in places), len(places)
