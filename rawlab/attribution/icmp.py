"""Why each ICMP message exists (RFC 792, RFC 4443), and which call reported an ICMP error.

An error is tied to the packet that it quotes, an echo reply to its request. What a program wrote by hand has its cause
already, and is no less able to end another program's call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rawlab.attribution.fragments import Datagram
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sockets import Socket
from rawlab.attribution.words import kernel, packets_in_words
from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.facts import IcmpMessage, Quoted, TcpSegment, UdpDatagram

_ECHO = {(4, 0): 8, (6, 129): 128}  # (version, type of a reply): type of its request
_WHY = {
    (4, 3, 3): "no socket has that UDP port",
    (6, 1, 4): "no socket has that UDP port",
    (4, 3, 2): "nobody there speaks that IP protocol",
    (6, 4, 1): "nobody there speaks that IP protocol",
    (4, 3, 4): "the packet is larger than the way allows, and must not be fragmented",
    (6, 2, 0): "the packet is larger than the way allows",
    (4, 11, 0): "its time to live ran out on the way",
    (6, 3, 0): "its hop limit ran out on the way",
}
_TIME_EXCEEDED = {(4, 11, 0): "time to live", (6, 3, 0): "hop limit"}
_REASSEMBLY = frozenset(((4, 11, 1), (6, 3, 1)))
_REPORTED = frozenset(("ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EPROTO", "ENOPROTOOPT"))


def attribute(drafts: Sequence[Draft], found: Sequence[Datagram]) -> None:
    """Gives its cause to every ICMP message that has none; `found`: the datagrams of `drafts`."""
    for draft in drafts:
        message = draft.facts.transport
        if draft.cause is not UNKNOWN or not isinstance(message, IcmpMessage):
            continue
        earlier = drafts[: bisect_left(drafts, draft.at_ns, key=lambda other: other.at_ns)]
        if message.quoted is not None:
            _tie_error(draft, message, earlier, found)
        elif (asked := _ECHO.get((message.version, message.type))) is not None:
            request = next((other for other in reversed(earlier) if _asks(other, draft, message, asked)), None)
            if request is not None:
                why = f"the kernel answers packet {request.n} by itself: no process has a part in it"
                draft.cause = kernel(why, packets=[request])


def _tie_error(draft: Draft, message: IcmpMessage, earlier: Sequence[Draft], found: Sequence[Datagram]) -> None:
    kind = message.version, message.type, message.code
    why = _WHY.get(kind, f"ICMP {message.type}/{message.code}")
    came = (other for other in reversed(earlier) if draft.sender is None or other.receiver in (None, draft.sender))
    provoking = next((other for other in came if quotes(message, other)), None)
    if provoking is None:
        draft.cause = kernel(f"{why}; the packet that it quotes was not captured", confidence="inferred")
    elif kind in _REASSEMBLY:
        mine = next((datagram.parts for datagram in found if provoking in datagram.parts), [provoking])
        came_too = [part for part in mine if not part.lost]
        why = f"gives up on the datagram of {packets_in_words(came_too)}: a fragment is missing"
        draft.cause = kernel(f"the kernel {why}, and its time for reassembly ran out", packets=came_too)
    elif kind in _TIME_EXCEEDED:
        where = f"the {draft.sender}" if draft.sender else "a router"
        field = _TIME_EXCEEDED[kind]
        ttl = provoking.facts.ip.ttl if provoking.facts.ip else 0
        why = f"{where}'s kernel drops packet {provoking.n}: its {field} of {ttl} is used up"
        draft.cause = kernel(why, packets=[provoking])
        reason = f"{provoking.cause.reason}; {where} drops it: its {field} is used up, as packet {draft.n} says"
        provoking.cause = replace(provoking.cause, reason=reason)
    else:
        draft.cause = kernel(f"the kernel refuses packet {provoking.n}: {why}", packets=[provoking])


def quotes(message: IcmpMessage, other: Draft) -> bool:
    """Whether the packet is the one that the error quotes."""
    quoted, ip = message.quoted, other.facts.ip
    if quoted is None or ip is None or ip.is_fragment != quoted.ip.is_fragment:
        return False
    same = (ip.source, ip.destination, ip.protocol) == (quoted.ip.source, quoted.ip.destination, quoted.ip.protocol)
    if (ip.version == 4 or ip.is_fragment) and ip.identification != quoted.ip.identification:
        return False
    if ip.fragment_offset != quoted.ip.fragment_offset:
        return False
    match other.facts.transport:
        case UdpDatagram() | TcpSegment() as transport:
            ports = transport.source_port, transport.destination_port
            return same and ports == (quoted.source_port, quoted.destination_port)
    return same


def _asks(other: Draft, reply: Draft, message: IcmpMessage, asked: int) -> bool:
    request, asker, answerer = other.facts.transport, other.facts.ip, reply.facts.ip
    if not isinstance(request, IcmpMessage) or request.type != asked or asker is None or answerer is None:
        return False
    same = (request.identifier, request.sequence) == (message.identifier, message.sequence)
    return same and asker.source == answerer.destination


def reported(drafts: Sequence[Draft], ways: Sequence[Socket]) -> dict[int, list[Draft]]:
    """For each call that failed because of one, the ICMP error that it reports."""
    found: dict[int, list[Draft]] = {}
    used: set[int] = set()
    for socket in ways:
        for n, call in socket.calls:
            if call.errno not in _REPORTED:
                continue
            for draft in drafts:
                if draft.n not in used and _concerns(draft, socket, call):
                    found[n] = [draft]
                    used.add(draft.n)
                    break
    return found


def tell_forged(drafts: Sequence[Draft], errors: Mapping[int, list[Draft]], ways: Sequence[Socket]) -> None:
    """Of errors that a program wrote itself, what came of them; `errors`: as `reported` has them, `ways`: UDP's."""
    reporters = {draft.n: n for n, found in errors.items() for draft in found}
    for draft in drafts:
        message = draft.facts.transport
        if draft.cause.kind != "call" or not isinstance(message, IcmpMessage) or message.quoted is None:
            continue
        theirs = (socket for socket in ways if socket.host == draft.receiver)
        if draft.n in reporters:
            fate = f"call {reporters[draft.n]} reports it, though no kernel refused anything"
        elif message.quoted.ip.protocol == 17 and not any(fits(message.quoted, of.local, of.peer) for of in theirs):
            fate = "what it quotes fits no socket there: it is ignored"
        else:
            fate = "no kernel refused anything"
        draft.cause = replace(draft.cause, reason=f"{draft.cause.reason}; {fate}")


def _concerns(draft: Draft, socket: Socket, call: Call) -> bool:
    message = draft.facts.transport
    if not isinstance(message, IcmpMessage) or message.quoted is None or draft.receiver not in (None, socket.host):
        return False
    if draft.arrival_ns > (call.returned_ns or 0):
        return False
    return fits(message.quoted, call.local or socket.local, call.peer or socket.peer)


def fits(quoted: Quoted, local: Endpoint | None, peer: Endpoint | None) -> bool:
    """Whether the quoted packet is one from a socket's own address to its peer, as far as both are known."""
    ends = (local, quoted.ip.source, quoted.source_port), (peer, quoted.ip.destination, quoted.destination_port)
    return all(end is None or _is(end, address, port) for end, address, port in ends)


def _is(end: Endpoint, address: str, port: int | None) -> bool:
    return port in (None, end.port) and end.address in (address, "0.0.0.0", "::")
