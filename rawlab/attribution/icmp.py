"""Why each ICMP message exists (RFC 792, RFC 4443), and which call reported an ICMP error.

An error is tied to the packet that it quotes, an echo reply to its request. What a program wrote by hand has its cause
already, and is no less able to end another program's call.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rawlab.attribution.fragments import Datagram
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sockets import Socket
from rawlab.attribution.words import kernel, packets_in_words, took
from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.facts import IcmpMessage, IpHeader, Quoted, TcpSegment, UdpDatagram

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


def attribute(drafts: Sequence[Draft], found: Sequence[Datagram], *, recorded: bool = True) -> None:
    """Gives its cause to every ICMP message that has none; `found`: the datagrams of `drafts`, in order of time.

    `recorded`: calls were; if not, what the error does to them is said.
    """
    asked: dict[_Asked, Draft] = {}
    earlier: dict[_Way, deque[Draft]] = defaultdict(lambda: deque(maxlen=_LOOKED_AT))
    for draft in drafts:
        message, ip = draft.facts.transport, draft.facts.ip
        if isinstance(message, IcmpMessage) and draft.cause is UNKNOWN:
            if message.quoted is not None:
                _tie_error(draft, message, earlier[_way(message.quoted.ip)], found, recorded=recorded)
            elif (kind := _ECHO.get((message.version, message.type))) is not None and ip is not None:
                request = asked.get((kind, message.identifier, message.sequence, ip.destination))
                if request is not None:
                    _answer(draft, request, recorded=recorded)
        if ip is None:
            continue
        for outer in draft.facts.outer:
            earlier[_way(outer.ip)].append(draft)
        earlier[ip.source, ip.destination, ip.protocol].append(draft)
        if isinstance(message, IcmpMessage) and message.type in _ECHO.values():
            asked[message.type, message.identifier, message.sequence, ip.source] = draft


_Asked = tuple[int, int | None, int | None, str]
"""An echo request: type, identifier, sequence number, who asks."""
_Way = tuple[str, str, int]
"""From where, to where, by which protocol."""
_LOOKED_AT = 1000  # packets of one way, of which an error may quote one


def _way(ip: IpHeader) -> _Way:
    return ip.source, ip.destination, ip.protocol


def _answer(draft: Draft, request: Draft, *, recorded: bool) -> None:
    since = "" if recorded else f", {took(draft.at_ns - request.at_ns)} after it"
    why = f"the kernel answers packet {request.n} by itself{since}: no process has a part in it"
    draft.cause = kernel(why, packets=[request])


def _tie_error(
    draft: Draft, message: IcmpMessage, earlier: Iterable[Draft], found: Sequence[Datagram], *, recorded: bool
) -> None:
    kind = message.version, message.type, message.code
    why = _WHY.get(kind, f"ICMP {message.type}/{message.code}")
    came = [other for other in earlier if draft.sender is None or other.receiver in (None, draft.sender)]
    provoking = next((other for other in reversed(came) if quotes(message, other)), None)
    if provoking is None:
        where = "was not captured" if recorded else "is not among these: it is in another flow, or was not captured"
        draft.cause = kernel(f"{why}; the packet that it quotes {where}", confidence="inferred")
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
        reports = "" if recorded else _reports(kind, provoking)
        why = f"{_who(draft, provoking)} refuses packet {provoking.n}: {why}{reports}"
        draft.cause = kernel(why, packets=[provoking])


def _who(draft: Draft, provoking: Draft) -> str:
    """Who refuses: the host that the packet went to, or, where hosts have no names, a router before it."""
    mine, its = draft.facts.ip, provoking.facts.ip
    if draft.sender is not None or mine is None or its is None or mine.source == its.destination:
        return "the kernel"
    return f"a router, {mine.source},"


_ERRNOS = {
    (4, 3, 3): "ECONNREFUSED",
    (6, 1, 4): "ECONNREFUSED",
    (4, 3, 2): "ENOPROTOOPT",
    (4, 3, 4): "EMSGSIZE",
    (6, 2, 0): "EMSGSIZE",
    (4, 3, 0): "ENETUNREACH",
    (6, 1, 0): "ENETUNREACH",
    (4, 3, 1): "EHOSTUNREACH",
    (6, 1, 3): "EHOSTUNREACH",
}
"""What Linux makes of it for a connected socket (ip(7), udp(7))."""


def _reports(kind: tuple[int, int, int], provoking: Draft) -> str:
    """The errno that it brings to the sender of a datagram."""
    errno = _ERRNOS.get(kind)
    if errno is None or not isinstance(provoking.facts.transport, UdpDatagram):
        return ""
    return f"; the next call on the sender's socket fails with {errno}, if that is connected (udp(7))"


def quotes(message: IcmpMessage, other: Draft) -> bool:
    """Whether the packet is the one that the error quotes, or is carried by that one in a tunnel."""
    quoted, ip = message.quoted, other.facts.ip
    if quoted is None or ip is None:
        return False
    if any(_is_same(outer.ip, quoted.ip) for outer in other.facts.outer):
        return True
    match other.facts.transport:
        case UdpDatagram() | TcpSegment() as transport:
            ports = transport.source_port, transport.destination_port
            same = _is_same(ip, quoted.ip) or _begins(ip, quoted.ip)
            return same and ports == (quoted.source_port, quoted.destination_port)
    return _is_same(ip, quoted.ip)


def _is_same(ip: IpHeader, quoted: IpHeader) -> bool:
    if (ip.is_fragment, ip.fragment_offset) != (quoted.is_fragment, quoted.fragment_offset):
        return False
    if (ip.version == 4 or ip.is_fragment) and ip.identification != quoted.identification:
        return False
    return (ip.source, ip.destination, ip.protocol) == (quoted.source, quoted.destination, quoted.protocol)


def _begins(ip: IpHeader, quoted: IpHeader) -> bool:
    """Whether it is the first fragment of what is quoted: a receiver quotes what it has put together."""
    if not ip.is_fragment or ip.fragment_offset or quoted.is_fragment:
        return False
    if ip.version == 4 and ip.identification != quoted.identification:
        return False
    return (ip.source, ip.destination, ip.protocol) == (quoted.source, quoted.destination, quoted.protocol)


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
