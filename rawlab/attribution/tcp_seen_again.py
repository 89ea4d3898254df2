"""Octets that were sent before, or come late, where no calls were recorded: which, and why the sender sent them again.

What tells a timer from a fast retransmit is what the sender had learnt by then, as far as that was captured:
acknowledgments, duplicates, selective ones. The times are Linux's; other systems' timers may be shorter.
"""

from __future__ import annotations

from rawlab.attribution.connection import End, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.words import kernel, octets, packets_in_words, took
from rawlab.model.analysis import Mark
from rawlab.model.story import Cause

_LEAST_RTO_NS = 200_000_000  # Linux's TCP_RTO_MIN
_DUPLICATES = 3  # RFC 5681 section 3.2


def all_again(draft: Draft, sender: End, first: int, end: int) -> Cause:
    """The cause of a segment whose octets [first, end) were all seen before."""
    before = sender.carriers(first, end)
    what = f"{octets(first, end)} again, as in {packets_in_words(before)}"
    if draft.finding.marks & Mark.SPURIOUS_RETRANSMISSION:
        return _in_vain(draft, sender, what, before)
    return kernel(f"{what}: {_why(draft, sender, first, end, before)}", packets=before, confidence="inferred")


def _in_vain(draft: Draft, sender: End, what: str, before: list[Draft]) -> Cause:
    acked = sender.sight.acked_by
    if acked is None:
        return kernel(f"{what}, though they were acknowledged: spurious", packets=before, confidence="inferred")
    why = f"packet {acked.n} had acknowledged them {took(draft.at_ns - acked.at_ns)} before; the sender did not know"
    return kernel(f"{what}, in vain: {why} (spurious)", packets=[*before, acked], confidence="inferred")


def unanswered(draft: Draft, first: Draft, again: tuple[int, Draft, int] | None) -> tuple[int, str, str]:
    """(ns since it was sent last, how long that is, what that says of the timer), of what is sent again.

    `again`: how often it was before, as `Sight.again` has it.
    """
    if again is None:
        waited = draft.at_ns - first.at_ns
        return waited, took(waited), "the retransmission timer ran out (RFC 6298)"
    count, last, before = again
    waited = draft.at_ns - last.at_ns
    since = f"{took(waited)} since packet {last.n}, {took(draft.at_ns - first.at_ns)} since packet {first.n}"
    doubled = _DOUBLED[0] * before <= waited * 10 <= _DOUBLED[1] * before
    timer = "timer ran out, twice as long as before (RFC 6298 section 5.5)" if doubled else "timer ran out (RFC 6298)"
    return waited, f"{since}, for the {_ordinal(count + 1)} time", f"the retransmission {timer}"


_DOUBLED = 17, 23  # tenths of the time before


def _why(draft: Draft, sender: End, first: int, end: int, before: list[Draft]) -> str:
    """What made the sender send again what begins at `first`."""
    sight, duplicates = sender.sight, sender.duplicate_acks
    count = first in sight.again
    waited, long, timer = unanswered(draft, before[0] if before else draft, sight.again.get(first))
    if draft.finding.marks & Mark.FAST_RETRANSMISSION:
        many = f"{len(duplicates)} duplicate acknowledgments" if duplicates else "duplicate acknowledgments"
        return f"fast retransmit after {many} (RFC 5681 section 3.2)"
    if sight.sacked and sight.sacked_by is not None and not count:
        if any(block[0] <= first and end <= block[1] for block in sight.sacked):
            return f"though packet {sight.sacked_by.n} has told that they arrived (SACK): the timer ran out"
        if any(block[0] >= end for block in sight.sacked) and (len(duplicates) > 0 or waited < _LEAST_RTO_NS):
            return f"packet {sight.sacked_by.n} tells that later ones arrived, and these did not (SACK, RFC 6675)"
    if _is_fast(draft, sender, first) and not count:
        return f"fast retransmit after {len(duplicates)} duplicate acknowledgments (RFC 5681 section 3.2)"
    if _follows_another(draft, sender, first):
        assert sight.last_again is not None
        return f"what lies before was sent again (packet {sight.last_again[1].n}), and this is believed lost, too"
    if waited >= _LEAST_RTO_NS:
        return f"not acknowledged for {long}: {timer}"
    if end >= sender.sent_end:
        return f"not acknowledged for {long}: a probe, since the tail may be lost (RFC 8985 section 7)"
    why = f"after {long}, sooner than Linux's timer, which waits 200 ms: another system's,"
    return f"{why} or acknowledgments told that were not captured"


def _follows_another(draft: Draft, sender: End, first: int) -> bool:
    """Whether the one before it, sent again, ended here: after a loss, one follows the other (RFC 5681, RFC 6582)."""
    last = sender.sight.last_again
    return last is not None and last[0] == first and draft.at_ns - last[1].at_ns < _LEAST_RTO_NS


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def late(draft: Draft, sender: End, first: int, end: int) -> Cause:
    """The cause of octets of which some were not seen before, though later ones were."""
    behind = next(iter(sender.carriers(end, max(sender.sent_end, end + 1))), None)
    if behind is None:
        behind = sender.spans[-1][2] if sender.spans else sender.sight.last_sent or draft
    what, marks = octets(first, end), draft.finding.marks
    some = "" if len(list(sender.sight.sent.missing(first, end))) == 1 and not sender.carriers(first, end) else " all"
    since = took(draft.at_ns - behind.at_ns)
    if marks & Mark.SPURIOUS_RETRANSMISSION:
        acked = sender.sight.acked_by
        which = f" by packet {acked.n}" if acked is not None else ""
        why = f"{what} again: in vain, since they were acknowledged{which}, though not{some} captured (spurious)"
    elif marks & (Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION):
        why = f"{what} again, though not{some} seen before: packet {behind.n}, which lies behind them, came"
        why += f" {since} ago: lost before this point of the way; {_reported(draft, sender, first, end)}"
    elif marks & Mark.OUT_OF_ORDER:
        why = f"{what}, overtaken on the way by packet {behind.n}, which lies behind them (out of order)"
    else:
        why = f"{what}, {since} after packet {behind.n}, which lies behind them: overtaken, or lost and sent again"
    if marks & (Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION):
        return kernel(why, packets=[behind], confidence="inferred")
    return Cause(kind="call", reason=why, packets=(behind.n,), confidence="inferred")


def _reported(draft: Draft, sender: End, first: int, end: int) -> str:
    """What the sender was told of the loss."""
    sight, duplicates = sender.sight, sender.duplicate_acks
    if any(block[0] >= end for block in sight.sacked) and sight.sacked_by is not None:
        if draft.finding.marks & Mark.FAST_RETRANSMISSION:
            return f"fast retransmit, since packet {sight.sacked_by.n} told that they were missing (SACK, RFC 6675)"
        return f"packet {sight.sacked_by.n} told that they were missing (SACK, RFC 6675)"
    if draft.finding.marks & Mark.FAST_RETRANSMISSION or _is_fast(draft, sender, first):
        return f"fast retransmit after {len(duplicates)} duplicate acknowledgments (RFC 5681 section 3.2)"
    return "no acknowledgment of them came, until the retransmission timer ran out (RFC 6298)"


def _is_fast(draft: Draft, sender: End, first: int) -> bool:
    """Whether three duplicate acknowledgments of what lies before came, the last of them just now."""
    duplicates = sender.duplicate_acks
    if first != sender.peer_ack or len(duplicates) < _DUPLICATES:
        return False
    return draft.at_ns - duplicates[-1].at_ns < _LEAST_RTO_NS


def fin_again(draft: Draft, sender: End) -> Cause:
    """FIN once more, without data."""
    assert sender.fin is not None
    again = sender.sight.again.get(-1 - (sender.fin_number or 0))
    last = sender.fin if again is None else again[1]
    waited, long, timer = unanswered(draft, sender.fin, again)
    if draft.finding.marks & Mark.SPURIOUS_RETRANSMISSION:
        acked = f" by packet {sender.sight.acked_by.n}" if sender.sight.acked_by is not None else ""
        why = f"FIN again, as in packet {sender.fin.n}: in vain, since it was acknowledged{acked} (spurious)"
    elif segment_of(draft).ack != segment_of(last).ack and waited < _LEAST_RTO_NS:
        why = f"says FIN again with its acknowledgment: packet {sender.fin.n} is not acknowledged yet"
    else:
        why = f"FIN again: packet {sender.fin.n} was not acknowledged for {long}"
        why += f": {timer}" if waited >= _LEAST_RTO_NS else ""
    return kernel(why, packets=[sender.fin], confidence="inferred")
