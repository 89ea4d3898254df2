"""Why a TCP segment with RST was sent, where no calls were recorded: refused, aborted, too late, or no peer's at all.

A kernel sends RST of two forms (RFC 9293 section 3.5.2): as an answer to a segment with ACK that fits no connection, it
has that segment's acknowledgment number and no ACK itself; else it acknowledges. So its form tells what provoked it.
"""

from __future__ import annotations

from rawlab.attribution.connection import End, segment_of
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.tcp_rules import is_ignored
from rawlab.attribution.words import kernel, numbers
from rawlab.model.story import Cause


def cause_of(draft: Draft, sender: End, receiver: End) -> Cause:
    """The cause of a reset."""
    cause = _dropped(draft, sender, receiver) or _answer(draft, sender, receiver) or _abort(draft, sender)
    odd = other_ttl(draft, sender)
    return cause if odd is None else Cause(
        kind=cause.kind, reason=f"{cause.reason}; {odd}", confidence=cause.confidence, packets=cause.packets
    )


def _dropped(draft: Draft, sender: End, receiver: End) -> Cause | None:
    """A reset that its receiver drops: its peer's kernel would have sent one with another number."""
    if not is_ignored(draft, receiver):
        return None
    syn = receiver.syn
    if receiver.last_ack is None:
        which = f" (packet {syn.n})" if syn is not None else ""
        why = f"a reset that does not acknowledge SYN{which}: SYN-SENT ignores it (RFC 9293 section 3.10.7.3)"
    else:
        why = f"a reset with number {draft.seq}, where {receiver.last_ack} is expected: outside the receiver's window,"
        why += " so it is dropped (RFC 5961 section 3.2)"
    why += "; too old, or written by another host that guessed"
    return Cause(kind="unknown", packets=numbers([sender.last_arrival]), reason=why, confidence="unknown")


def _answer(draft: Draft, sender: End, receiver: End) -> Cause | None:
    """A reset that answers a segment: SYN to a port where nobody listens, or what fits no connection (any more)."""
    provoking = sender.last_arrival
    if provoking is None:
        return None
    flags = segment_of(provoking).flags
    if "S" in flags and "A" not in flags and draft.ack is not None and sender.syn is None:
        why = f"no socket listens on port {sender.address.port}: {sender.speaker} refuses SYN (packet {provoking.n})"
        return kernel(why, packets=[provoking], confidence="inferred")
    if draft.ack is not None or "A" not in flags or draft.seq != provoking.ack:
        return _late_data(sender, provoking)
    if sender.syn is not None and sender.last_ack is None and not 0 < (provoking.ack or 0) <= sender.sent_end:
        why = f"packet {provoking.n} does not acknowledge its SYN (packet {sender.syn.n}): SYN-SENT answers with a"
        why += " reset that has the number asked for, and ends the other end's connection (RFC 9293 section 3.10.7.3)"
    elif "S" in flags:
        why = f"no socket asked for SYN-ACK (packet {provoking.n}): it was given up, or another host sent the SYN"
    elif sender.sight.reset_by is not None or sender.reset:
        why = f"packet {provoking.n} came when the connection had been reset"
    elif sender.fin is not None:
        why = f"packet {provoking.n} came when this end had closed for good (FIN, packet {sender.fin.n})"
    else:
        why = f"packet {provoking.n} fits no connection of this host"
        if sender.sight.last_sent is not None:
            why += " any more: it has lost it (half-open, RFC 9293 section 3.5.1), or a program had spoken by hand"
    return kernel(why, packets=[provoking], confidence="inferred")


def _late_data(sender: End, provoking: Draft) -> Cause | None:
    if sender.fin is None or not segment_of(provoking).length or provoking.at_ns < sender.fin.at_ns:
        return None
    why = f"packet {provoking.n} brought data after this end had closed (FIN, packet {sender.fin.n}):"
    return kernel(f"{why} nobody can read it any more", packets=[provoking, sender.fin], confidence="inferred")


def _abort(draft: Draft, sender: End) -> Cause:
    if draft.ack is None and sender.last_arrival is None:
        return UNKNOWN_RESET
    again = "again " if sender.reset else ""
    why = f"aborts the connection {again}(a close with data unread, or SO_LINGER of 0 seconds),"
    return Cause(kind="call", reason=f"{why} or another host injected it", confidence="inferred")


UNKNOWN_RESET = Cause(
    kind=UNKNOWN.kind, reason="a reset; what provoked it was not captured", confidence=UNKNOWN.confidence
)


def other_ttl(draft: Draft, sender: End) -> str | None:
    """Whether it came another way than all else that this end sent: then it may not be this end's."""
    ip, known = draft.facts.ip, sender.sight.ttls
    if ip is None or not known or ip.ttl in known:
        return None
    field = "TTL" if ip.version == 4 else "hop limit"
    usual = " or ".join(str(ttl) for ttl in sorted(known)[:3])
    return f"its {field} is {ip.ttl}, its sender's other packets have {usual}: another host on the way may have sent it"
