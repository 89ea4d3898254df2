"""The words and the form that all causes share."""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import NumberedCall
from rawlab.model.event import Call
from rawlab.model.story import Cause, Confidence

KERNEL, OWN_TCP = "the kernel", "rawlab's TCP"
"""Who speaks TCP."""


def kernel(
    reason: str,
    calls: Sequence[NumberedCall] = (),
    packets: Sequence[Draft | None] = (),
    confidence: Confidence = "exact",
    bytes: tuple[tuple[int, int, int], ...] = (),
) -> Cause:
    """The kernel (or the endpoint in its place) sent it, on behalf of those calls, because of those packets."""
    return Cause(
        kind="kernel",
        reason=reason,
        confidence=confidence,
        calls=tuple(n for n, _ in calls),
        packets=numbers(packets),
        bytes=bytes,
    )


def numbers(drafts: Sequence[Draft | None]) -> tuple[int, ...]:
    """The packets' numbers, each once, in order."""
    return tuple(sorted({draft.n for draft in drafts if draft is not None}))


def packets_in_words(drafts: Sequence[Draft]) -> str:
    """'packet 7', 'packets 7 and 9', 'packets 6, 8–10 and 20', 'packets 6 to 32 (14 of them)'."""
    found = numbers(drafts)
    if len(found) == 1:
        return f"packet {found[0]}"
    runs: list[list[int]] = []
    for n in found:
        if runs and n == runs[-1][-1] + 1 and len(found) != 2:
            runs[-1].append(n)
        else:
            runs.append([n])
    if len(runs) > _RUNS:
        return f"packets {found[0]} to {found[-1]} ({len(found)} of them)"
    words = [f"{run[0]}–{run[-1]}" if len(run) > 2 else " and ".join(map(str, run)) for run in runs]
    return f"packets {', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else f"packets {words[0]}"


_RUNS = 4  # of consecutive packets, named one by one


def waited(call: Call, drafts: Sequence[Draft]) -> str:
    """Whether the call had to wait for the packets: 'waits for packet 7', or 'packet 7 had come before: no wait'."""
    last = max((draft.arrival_ns for draft in drafts), default=call.entered_ns)
    if last <= call.entered_ns:
        return f"{packets_in_words(drafts)} had come before: no wait"
    return f"waits for {packets_in_words(drafts)}"


def octets(first: int, end: int) -> str:
    """'octet 1', 'octets 1 to 5' of relative sequence numbers [first, end), as the table's seq counts.

    Below 0 are those before the first that was captured, where the beginning was not.
    """
    if first < 0:
        before = f"{min(end, 1) - first} octets from before number 1"
        return before if end <= 1 else f"{before}, and those up to {end - 1}"
    return f"octet {first}" if end - first == 1 else f"octets {first} to {end - 1}"


def expected(ack: int) -> str:
    """'number 5', an acknowledgment's; of one from before all that was captured, only that."""
    return f"number {ack}" if ack >= 0 else "an older number"


def took(ns: int) -> str:
    """'0.073 ms', '185.458 ms', '60.992 s'."""
    return f"{ns / 1e6:.3f} ms" if abs(ns) < 1_000_000_000 else f"{ns / 1e9:.3f} s"
