"""Which call a packet implies, where none was recorded: anyone's capture. What is said here is inferred, never exact.

TCP's and SCTP's packets get theirs from their own rules; here are those that nothing else explains.
"""

from __future__ import annotations

from collections.abc import Iterable

from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.model.facts import IcmpMessage, UdpDatagram
from rawlab.model.story import Cause

_ECHO_REQUESTS = ((4, 8), (6, 128))


def attribute(drafts: Iterable[Draft]) -> None:
    """Gives the call that it implies to every UDP datagram and echo request without a cause."""
    for draft in drafts:
        if draft.cause is UNKNOWN and (reason := _reason(draft)) is not None:
            draft.cause = Cause(kind="call", reason=reason, confidence="inferred")


def _reason(draft: Draft) -> str | None:
    match draft.facts.transport:
        case UdpDatagram(length=length):
            return f"a sendto (or send, write) of {length} octet{'' if length == 1 else 's'}"
        case IcmpMessage(version=version, type=kind) if (version, kind) in _ECHO_REQUESTS:
            return "a sendto on a raw socket or a ping socket (icmp(7))"
    return None
