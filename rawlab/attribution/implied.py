"""Which call a packet implies, where none was recorded: anyone's capture. What is said here is inferred, never exact.

TCP's and SCTP's packets get theirs from their own rules; here are those that nothing else explains. UDP knows neither
requests nor answers: a datagram answers the oldest one of the other end that is still unanswered, as most protocols
over it have it; DNS's by the number that both carry (RFC 1035 section 4.1.1). Between ends that send much unasked, no
pairs are made.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.words import numbers, took
from rawlab.model.address import Endpoint, Flow
from rawlab.model.facts import IcmpMessage, UdpDatagram
from rawlab.model.story import Cause

_ECHO_REQUESTS = ((4, 8), (6, 128))
_NUMBERED = frozenset((53, 5353, 5355))  # DNS, mDNS, LLMNR: two octets name the question
_MOST_OPEN = 3  # of one end: more is no request that waits for its answer
FLOWS = 10_000
"conversations that are remembered"


def attribute(drafts: Iterable[Draft]) -> None:
    """Gives the call that it implies to every UDP datagram and echo request without a cause, in order of time."""
    implied = Implied()
    for draft in drafts:
        implied.see(draft)


class Implied:
    """What was asked and not yet answered, of the latest conversations."""

    def __init__(self) -> None:
        self._open: OrderedDict[Flow, dict[Endpoint, deque[Draft]]] = OrderedDict()

    def see(self, draft: Draft) -> None:
        """The next packet."""
        if draft.cause is not UNKNOWN:
            return
        match draft.facts.transport:
            case UdpDatagram(length=length):
                why = f"a sendto (or send, write) of {length} octet{'' if length == 1 else 's'}"
                asked, what = self._before(draft)
                told = f"{why}: {what}" if what else why
                draft.cause = Cause(kind="call", reason=told, confidence="inferred", packets=numbers([asked]))
            case IcmpMessage(version=version, type=kind) if (version, kind) in _ECHO_REQUESTS:
                why = "a sendto on a raw socket or a ping socket (icmp(7))"
                draft.cause = Cause(kind="call", reason=why, confidence="inferred")

    def _before(self, draft: Draft) -> tuple[Draft | None, str]:
        """The datagram that it answers, and that in words; or what it says again."""
        flow = draft.facts.flow
        if flow is None or flow.source == flow.destination or _to_many(flow.destination.address):
            return None, ""
        ends = self._open.setdefault(flow.conversation, {})
        self._open.move_to_end(flow.conversation)
        if len(self._open) > FLOWS:
            self._open.popitem(last=False)
        theirs, mine = ends.get(flow.destination), ends.setdefault(flow.source, deque(maxlen=_MOST_OPEN + 1))
        if theirs and len(theirs) <= _MOST_OPEN and (asked := _asked(draft, theirs, flow)) is not None:
            for same in [one for one in theirs if _payload(one) == _payload(asked)]:
                theirs.remove(same)
            return asked, f"answers packet {asked.n} after {took(draft.at_ns - asked.at_ns)}"
        again = next((earlier for earlier in mine if _payload(earlier) == _payload(draft) != b""), None)
        mine.append(draft)
        if again is None:
            return None, ""
        since = took(draft.at_ns - again.at_ns)
        return None, f"the same octets as packet {again.n}, to which no answer has come for {since}"


def _to_many(address: str) -> bool:
    """Whether it is a group's: who answers, does so from an address of its own."""
    return address.endswith(".255") or ip_address(address).is_multicast


def _asked(draft: Draft, theirs: Sequence[Draft], flow: Flow) -> Draft | None:
    """Which of the other end's datagrams this one answers; of a request that was sent again, the last."""
    first = next(iter(theirs), None)
    if _NUMBERED.isdisjoint((flow.source.port, flow.destination.port)):
        return first and next(one for one in reversed(theirs) if _payload(one) == _payload(first))
    return next((one for one in reversed(theirs) if _payload(one)[:2] == _payload(draft)[:2]), None)


def _payload(draft: Draft) -> bytes:
    transport = draft.facts.transport
    first, end = transport.data if isinstance(transport, UdpDatagram) else (0, 0)
    return bytes(draft.data[first:end])
