"""Why data was sent once more: what the sender knew, and how it goes about losses.

The kernel does as RFC 6298, RFC 5681, RFC 6675 and RFC 8985 say. rawlab's TCP knows timers and duplicate
acknowledgments (RFC 6298, RFC 5681, RFC 6582), and no selective ones: after a loss, what is not acknowledged is sent
again from there on, as acknowledgments come.
"""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.attribution.connection import End
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import NumberedCall
from rawlab.attribution.words import OWN_TCP, kernel, octets, packets_in_words
from rawlab.model.story import Cause

_LEAST_RTO_MS = 200  # Linux's TCP_RTO_MIN
_TIMER = "its timer ran out"
_PROBE = "a probe, since its tail may be lost (RFC 8985 section 7)"
_BEHIND = "believed lost with what came before it, which was sent again (RFC 5681, RFC 6582)"


def sent_again(
    draft: Draft,
    sender: End,
    carried: tuple[tuple[int, int, int], ...],
    calls: Sequence[NumberedCall],
    first: int,
    end: int,
) -> Cause:
    """The cause of a segment whose octets [first, end) were all sent before."""
    before = sender.carriers(first, end)
    what = (
        f"{octets(first, end)} again, as in {packets_in_words(before)}"
        if before
        else f"{octets(first, end)} again"
    )
    duplicates = sender.duplicate_acks
    earlier = sender.sends_again(first, draft)
    if first >= sender.peer_ack and len(duplicates) >= 3:
        why = f"fast retransmit after {len(duplicates)} duplicate acknowledgments"
        return kernel(f"{what}: {why}", calls, [*before, *duplicates[:3]], bytes=carried)
    if sender.speaker == OWN_TCP:
        if earlier is None:
            return kernel(f"{what}: {_BEHIND}", calls, before, bytes=carried)
        waited = (draft.at_ns - earlier.at_ns) / 1e6
        return kernel(f"{what}: not acknowledged for {waited:.0f} ms: {_TIMER}", calls, before, bytes=carried)
    waited = (draft.at_ns - before[-1].at_ns) / 1e6 if before else 0
    why = (
        "selective acknowledgments tell that it is missing"
        if duplicates
        else f"not acknowledged for {waited:.0f} ms: {_TIMER if waited >= _LEAST_RTO_MS else _PROBE}"
    )
    return kernel(f"{what}: {why}", calls, [*before, *duplicates[:1]], bytes=carried)
