"""Why DATA and SACK chunks were sent: which call's octets, which retransmission, which TSNs acknowledged."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import takewhile

from rawlab.attribution.association import Message, SctpEnd
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import RECEIVERS, NumberedCall
from rawlab.attribution.words import kernel, numbers, packets_in_words, took
from rawlab.model.ranges import RangeSet
from rawlab.model.sctp import SctpChunk, SctpData, SctpSack
from rawlab.model.story import Cause, Confidence

_MISSING_REPORTS = 3  # after so many, a TSN is sent again at once (RFC 9260 section 7.2.4)
_DELAYED_NS = 100_000_000  # an acknowledgment that waits for a second packet waits at most 200 ms (section 6.2)


def tsns(first: int, end: int) -> str:
    """'TSN 3', 'TSN 3 to 5' of relative TSNs [first, end)."""
    return f"TSN {first}" if end - first == 1 else f"TSN {first} to {end - 1}"


def data_cause(draft: Draft, chunks: Sequence[SctpData], sender: SctpEnd, receiver: SctpEnd) -> Cause:
    """Why the packet carries its DATA chunks."""
    found = [sender.relative(chunk.tsn) for chunk in chunks]
    old = [tsn for tsn in found if tsn in sender.sent]
    new = [tsn for tsn in found if tsn not in sender.sent]
    if not sender.sockets and not old:
        return Cause(kind="call", reason=f"{_sends(chunks)} ({_runs(found)})", confidence="inferred")
    carried = _carried([tsn for tsn in found if tsn in sender.message_of], sender)
    untied = [tsn for tsn in found if tsn not in sender.message_of or sender.message_of[tsn].call is None]
    if untied and sender.recorded:
        return Cause(kind="unknown", reason=f"no recorded call sent {_runs(untied)}", confidence="unknown")
    if not old:
        return _first_time(draft, found, carried, sender, receiver)
    why, packets, confidence = _why_again(draft, old, sender)
    if new:
        why += f"; {_first_time(draft, new, carried, sender, receiver).reason}"
    return Cause(
        kind="call" if new else "kernel",
        calls=tuple(dict.fromkeys(n for n, _, _ in carried)),
        packets=numbers(packets),
        bytes=carried,
        reason=why,
        confidence=confidence,
    )


_NAMED = 3  # messages of one packet


def _sends(chunks: Sequence[SctpData]) -> str:
    """The sends that chunks imply: each message is one's."""
    if len(chunks) > _NAMED:
        octets = sum(chunk.size for chunk in chunks)
        return f"{len(chunks)} chunks of messages, {octets} octets in all, each message a send's"
    parts = [_part(chunk) for chunk in chunks]
    whole = all(chunk.begins for chunk in chunks)
    many = "a send" if len(chunks) == 1 else f"{len(chunks)} sends" if whole else "sends"
    return f"{many} of {' and '.join(parts)}"


def _part(chunk: SctpData) -> str:
    size = f"{chunk.size} octet{'' if chunk.size == 1 else 's'}"
    if not chunk.begins or not chunk.ends:
        which = "the first" if chunk.begins else "the last" if chunk.ends else "another"
        size = f"{which} {size} of a message"
    return f"{size} on stream {chunk.stream}"


def _carried(found: Sequence[int], sender: SctpEnd) -> tuple[tuple[int, int, int], ...]:
    """(call, first, last + 1): the octets of each call, neighbouring fragments as one."""
    parts: list[tuple[int, int, int]] = []
    for tsn in found:
        message = sender.message_of[tsn]
        if message.call is None:
            continue
        n, (first, end) = message.call[0], message.part(tsn)
        if parts and parts[-1][0] == n and parts[-1][2] == first:
            parts[-1] = (n, parts[-1][1], end)
        else:
            parts.append((n, first, end))
    return tuple(parts)


def _first_time(
    draft: Draft,
    found: Sequence[int],
    carried: tuple[tuple[int, int, int], ...],
    sender: SctpEnd,
    receiver: SctpEnd,
) -> Cause:
    messages = list({message.first: message for tsn in found if (message := sender.message_of.get(tsn))}.values())
    if len(messages) == 1 and len(messages[0].tsns) > 1:
        reason = _fragments(found, messages[0])
    else:
        reason = "carries " + ", ".join(_whole(message, found) for message in messages)
    held = [
        acked
        for acked, _, _ in sender.peer_acks[-1:]
        if messages and messages[0].call and _returned(messages[0].call) < acked.arrival_ns
    ]
    if held:
        reason += f"; held back until packet {held[0].n} came"
    return Cause(
        kind="call",
        calls=tuple(dict.fromkeys(n for n, _, _ in carried)),
        packets=numbers(held),
        bytes=carried,
        reason=reason,
        confidence="exact",
    )


def _returned(numbered: NumberedCall) -> int:
    _, call = numbered
    return call.entered_ns if call.returned_ns is None else call.returned_ns


def _whole(message: Message, found: Sequence[int]) -> str:
    assert message.call is not None
    n, call = message.call
    mine = [tsn for tsn in found if tsn in message.tsns]
    if len(message.tsns) > 1:
        return _fragments(mine, message).removeprefix("carries ")
    what = "the one octet" if message.size == 1 else f"all {message.size} octets"
    return f"{what} of {call.name} (call {n})"


def _fragments(found: Sequence[int], message: Message) -> str:
    assert message.call is not None
    n, call = message.call
    first = message.part(found[0])[0]
    end = message.part(found[-1])[1]
    numbers = f"{found[0] - message.first + 1}"
    if len(found) > 1:
        numbers = f"{numbers} to {found[-1] - message.first + 1}"
    plural = "s" if len(found) > 1 else ""
    of = f"{len(message.tsns)}" if message.whole else "several"
    return f"fragment{plural} {numbers} of {of}: {end - first} of the {message.size} octets of {call.name} (call {n})"


def _why_again(draft: Draft, old: Sequence[int], sender: SctpEnd) -> tuple[str, list[Draft], Confidence]:
    """Why TSNs are sent again: three SACKs missed them, the peer's window is closed, or the timer."""
    before = [sender.sent[tsn][-1] for tsn in old]
    since = min(earlier.at_ns for earlier in before)
    begun = sender.sent[old[0]][0].at_ns
    later = takewhile(lambda told: told[0].arrival_ns > begun, reversed(sender.peer_acks))
    reports = [
        acked
        for acked, cumulative, gaps in reversed(list(later))
        if any(old[0] < cumulative + start for start, _ in gaps)
        and not any(cumulative + start <= old[0] <= cumulative + end for start, end in gaps)
        and cumulative < old[0]
    ]
    waited = (draft.at_ns - since) / 1e6
    again = f"{_runs(old)} again"
    if len(reports) >= _MISSING_REPORTS and len(sender.sent[old[0]]) == 1:
        last = reports[-_MISSING_REPORTS:]
        why = f"{again}: {packets_in_words(last)} each said that it was missing (fast retransmit)"
        return why, [*before, *last], "exact"
    if sender.peer_window == 0:
        return f"{again}: asks whether the peer's window, which is zero, has opened", before, "exact"
    why = f"{again}: {packets_in_words(before)} {'was' if len(set(map(id, before))) == 1 else 'were'} not acknowledged"
    other = _other_path(draft, before[0])
    return f"{why} for {waited:.0f} ms (T3-rtx){other}", before, "exact"


def _other_path(draft: Draft, before: Draft) -> str:
    """', by another path' where it goes to another address than before."""
    old, new = before.facts.ip, draft.facts.ip
    if old is None or new is None or old.destination == new.destination:
        return ""
    return f"; by another path, to {new.destination}"


def _runs(found: Sequence[int]) -> str:
    """'TSN 3 to 5 and 8' of single TSNs."""
    runs = RangeSet()
    for tsn in found:
        runs.add(tsn, tsn + 1)
    return _spans(list(runs))


def _spans(spans: Sequence[tuple[int, int]]) -> str:
    """'TSN 3 to 5 and 8'"""
    words = [tsns(first, end).removeprefix("TSN ") for first, end in spans]
    return "TSN " + (" and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}")


# ------------------------------------------------------------------------------------------------- SACK


def sack_cause(draft: Draft, chunk: SctpChunk, sender: SctpEnd, receiver: SctpEnd) -> Cause:
    """What the SACK acknowledges for the first time, and what it says is missing."""
    assert isinstance(chunk, SctpSack)
    cumulative = receiver.relative(chunk.cumulative_tsn)
    blocks = [(0, cumulative + 1), *((cumulative + start, cumulative + end + 1) for start, end in chunk.gaps)]
    new = [part for block in blocks for part in sender.told.missing(*block)]
    if not new:
        return _nothing_new(draft, chunk, sender, receiver)
    brought = _brought(sender, new)
    why = f"acknowledges {_spans(new)}{f' ({packets_in_words(brought)})' if brought else ''}"
    if brought and not sender.recorded:
        why += f", {took(draft.at_ns - brought[-1].at_ns)} after {'it' if len(brought) == 1 else 'the last'}"
    if cumulative >= new[-1][1]:
        why += f", and with it all up to TSN {cumulative}"
    if chunk.gaps:
        missing = _missing(blocks)
        why += f"; {_spans(missing)} {'is' if _one(missing) else 'are'} missing"
    if chunk.duplicates:
        why += f"; {_runs([receiver.relative(tsn) for tsn in chunk.duplicates])} came more than once"
    if chunk.a_rwnd == 0:
        why += "; no room for more"
    last = max((packet.arrival_ns for packet in brought), default=draft.at_ns)
    if len(brought) == 1 and not chunk.gaps and draft.at_ns - last > _DELAYED_NS:
        why += f", having waited {(draft.at_ns - last) / 1e6:.0f} ms for a second packet"
    seen = all(end - first <= len(sender.brought) and _came(sender, first, end) for first, end in new)
    return kernel(why, packets=brought, confidence="exact" if seen else "inferred")


_Spans = Sequence[tuple[int, int]]
"""TSNs [first, end), in order."""


def _brought(sender: SctpEnd, spans: _Spans) -> list[Draft]:
    """The packets that first brought it those TSNs, in order; spans from a hostile file may be huge."""
    found: dict[int, Draft] = {}
    for first, end in spans:
        tsns = range(first, end)
        known = tsns if len(tsns) <= len(sender.brought) else [tsn for tsn in sender.brought if tsn in tsns]
        found |= {packet.n: packet for tsn in known if (packet := sender.brought.get(tsn)) is not None}
    return [packet for _, packet in sorted(found.items())]


def _came(sender: SctpEnd, first: int, end: int) -> bool:
    return all(tsn in sender.brought for tsn in range(first, end))


def _one(spans: _Spans) -> bool:
    return sum(end - first for first, end in spans) == 1


def _nothing_new(draft: Draft, chunk: SctpSack, sender: SctpEnd, receiver: SctpEnd) -> Cause:
    """A SACK that tells again what it told before: a packet came twice, or the window has opened."""
    if chunk.duplicates:
        again = _runs([receiver.relative(tsn) for tsn in chunk.duplicates])
        came = packets_in_words(sender.unacknowledged) if sender.unacknowledged else "in a packet that was not seen"
        return kernel(f"{again} came once more ({came})", packets=sender.unacknowledged)
    before = sender.last_sack
    calls = sender.calls(*RECEIVERS)
    readers = calls[:bisect_right(calls, draft.at_ns, key=lambda numbered: numbered[1].entered_ns)][-1:]
    if before is not None and chunk.a_rwnd > before.a_rwnd and readers:
        n, call = readers[0]
        why = f"{call.name} (call {n}) made room: the window opens from {before.a_rwnd} to {chunk.a_rwnd} octets"
        return kernel(why, readers, confidence="inferred")
    if sender.unacknowledged:
        came = packets_in_words(sender.unacknowledged)
        return kernel(f"tells again what has arrived, since {came} came", packets=sender.unacknowledged)
    return kernel("tells again what has arrived", packets=[sender.last_arrival], confidence="inferred")


def _missing(blocks: _Spans) -> list[tuple[int, int]]:
    """The TSNs between the first block, which is the cumulative one's, and the last block's end that no block has."""
    there = RangeSet()
    for first, end in blocks[1:]:
        there.add(first, end)
    return list(there.missing(blocks[0][1], max(end for _, end in blocks)))
