"""SYN, SYN-ACK and the last step of the handshake, where no calls were recorded: what was offered, taken and declined.

Options by RFC 9293 section 3.2 (MSS), RFC 7323 (window scale, timestamps), RFC 2018 (SACK), RFC 3168 (ECN), RFC 7413
(Fast Open).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sight import shift
from rawlab.attribution.tcp_rules import syn_cause
from rawlab.attribution.tcp_seen_again import unanswered
from rawlab.attribution.tcp_sight import is_swapped
from rawlab.attribution.words import kernel, took
from rawlab.model.facts import TcpSegment
from rawlab.model.story import Cause

_MSS, _SCALE, _SACK, _TIMESTAMPS, _FAST_OPEN = 2, 3, 4, 8, 34
_EXPERIMENT, _MAGIC = 254, (0xF9, 0x89)  # Fast Open's before it had a number (RFC 7413 section 4.1.1)
_NAMES = {_SCALE: "window scale", _SACK: "SACK", _TIMESTAMPS: "timestamps"}


def cause_of(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause:
    """Of a segment with SYN."""
    segment = segment_of(draft)
    again, answer = sender.syn is not None, "A" in segment.flags
    cause = syn_cause(connection, draft, sender, receiver)
    assert cause is not None
    why = cause.reason
    if again and answer and not sender.answered:
        why += "; SYN-ACK is its SYN again, with ACK"
    elif again and not answer and sender.sight.reset_by is not None:
        why = f"SYN again, though packet {sender.sight.reset_by.n} refused it: some systems try more than once"
    elif again:
        why = _again(draft, sender, receiver, answer=answer)
    elif answer and not again and receiver.syn is not None:
        why += f" after {took(draft.at_ns - receiver.syn.at_ns)}: a program listens on port {sender.address.port}"
    elif answer and not again:
        why = "answers a SYN that was not seen before"
    elif not answer and is_swapped(draft, sender, receiver) and receiver.answered:
        assert receiver.syn is not None
        why += f"; it left before packet {receiver.syn.n}, which answers it: the capture has them the wrong way round"
    elif not answer and receiver.answered and receiver.syn is not None:
        why += f", again: packet {receiver.syn.n} answers one that was not captured, and had not come there"
    if not again and (offer := ", ".join(_offered(segment, receiver.syn))):
        why += f"; {offer}"
    if segment.length:
        why += f"; carries {segment.length} octets at once (Fast Open, RFC 7413)"
    return replace(cause, reason=why)


def _again(draft: Draft, sender: End, receiver: End, *, answer: bool) -> str:
    """SYN or SYN-ACK once more: by the timer, or SYN-ACK because SYN came once more."""
    assert sender.syn is not None
    last = sender.last_arrival
    if answer and last is not None and segment_of(last).flags == "S" and last.n > sender.syn.n:
        return f"SYN-ACK again, as in packet {sender.syn.n}: packet {last.n} has said SYN again"
    _, long, timer = unanswered(draft, sender.syn, sender.sight.again.get(-1))
    why = f"{'SYN-ACK' if answer else 'SYN'} again: packet {sender.syn.n} was not acknowledged for {long}: {timer}"
    if not answer and receiver.answered and receiver.syn is not None:
        why += f"; so packet {receiver.syn.n}, which answers it, had not come there: late, or lost behind this point"
    return why


def _offered(segment: TcpSegment, asked: Draft | None) -> Iterator[str]:
    """What a SYN offers, or what a SYN-ACK takes of what was `asked`, in words."""
    found = {option.kind: option.values for option in segment.options}
    if found.get(_EXPERIMENT, ())[:2] == _MAGIC:
        found[_FAST_OPEN] = found[_EXPERIMENT][2:]
    answers = "A" in segment.flags
    asked = asked if answers else None
    if found.get(_MSS):
        yield f"takes segments of at most {found[_MSS][0]} octets (MSS)"
    wanted = {option.kind for option in segment_of(asked).options} if asked is not None else set(found)
    both = [_named(kind, segment) for kind in _NAMES if kind in found and kind in wanted]
    if both:
        yield f"{'agrees to' if answers else 'offers'} {_listed(both)}"
    if asked is not None and (declined := [name for kind, name in _NAMES.items() if kind in wanted - set(found)]):
        yield f"declines {_listed(declined)}"
    yield from _congestion(segment, asked)
    if _FAST_OPEN in found:
        cookie = len(found[_FAST_OPEN])
        yes = "gives a Fast Open cookie" if answers else f"shows a Fast Open cookie of {cookie} octets"
        yield yes if cookie else "asks for a Fast Open cookie"


def _listed(words: Sequence[str]) -> str:
    """'SACK, timestamps and ECN'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _named(kind: int, segment: TcpSegment) -> str:
    return f"window scale (times {1 << max(shift(segment), 0)})" if kind == _SCALE else _NAMES[kind]


def _congestion(segment: TcpSegment, asked: Draft | None) -> Iterator[str]:
    """ECN: ECE and CWR on SYN ask for it, ECE alone on SYN-ACK takes it (RFC 3168 section 6.1.1)."""
    if asked is None and {"E", "W"} <= set(segment.flags):
        yield "offers ECN"
    elif asked is not None and {"E", "W"} <= set(segment_of(asked).flags):
        yield "agrees to ECN" if "E" in segment.flags and "W" not in segment.flags else "declines ECN"


def last_step(draft: Draft, sender: End, receiver: End) -> Cause | None:
    """The acknowledgment of SYN-ACK, or of a SYN that has crossed its own; None for any other segment."""
    if draft.ack != 1 or draft.seq not in (1, sender.sent_end) or sender.last_ack is not None or receiver.syn is None:
        return None
    syn = next(iter(sender.bringers(0, 1)), receiver.syn)
    since = took(draft.at_ns - syn.at_ns)
    if "A" not in segment_of(syn).flags and sender.syn is not None and "A" not in segment_of(sender.syn).flags:
        why = f"acknowledges SYN (packet {syn.n}), which has crossed its own: both open at once"
        return kernel(why, packets=[syn])
    if "A" not in segment_of(syn).flags:
        return kernel(f"acknowledges SYN (packet {syn.n})", packets=[syn], confidence="inferred")
    why = f"acknowledges SYN-ACK (packet {syn.n}) after {since}, the last of three steps: the connection is established"
    if sender.syn is not None and sender.syn.n < syn.n:  # else the capture has them the wrong way round
        why += f"; the handshake took {took(draft.at_ns - sender.syn.at_ns)}"
        why += f" since the first SYN (packet {sender.syn.n})" if -1 in sender.sight.again else ""
    return kernel(why, packets=[syn])
