"""Why each UDP datagram, ICMP message and hand-made packet exists, and which call received it.

A datagram is tied to the call whose octets it carries: the same host, ports and addresses, the same length, the same
octets as far as they were recorded, the first such call that no earlier datagram was tied to. Its fragments share its
cause. What a raw socket wrote is the packet itself. An ICMP error is tied to the datagram that it quotes, and to the
later call that reports it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sockets import RECEIVERS, SENDERS, Socket, Sockets
from rawlab.attribution.words import kernel
from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.facts import IcmpMessage, IpHeader, TcpSegment, UdpDatagram
from rawlab.model.story import Cause

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
_UDP_HEADER = 8


@dataclass(slots=True, kw_only=True)
class Datagram:
    """One IP packet as its sender's transport made it: one frame, or several fragments."""

    parts: list[Draft]
    payload: bytearray = field(default_factory=bytearray)
    "the IP payload, as far as it was seen, in order from its beginning"

    @property
    def first(self) -> Draft:
        return self.parts[0]

    @property
    def ip(self) -> IpHeader:
        assert self.first.facts.ip is not None
        return self.first.facts.ip

    @property
    def udp(self) -> UdpDatagram | None:
        transport = self.first.facts.transport
        return transport if isinstance(transport, UdpDatagram) else None

    @property
    def arrived_ns(self) -> int | None:
        """When its last part arrived; None if one was lost."""
        times = [part.arrival_ns for part in self.parts]
        return None if any(part.lost for part in self.parts) else max(times)


def attribute(drafts: Sequence[Draft], sockets: Sockets) -> dict[int, list[Draft]]:
    """Gives its cause to every packet that is no stream's; for each receiving call the packets that it returned."""
    ways = [socket for socket in sockets if socket.type in ("SOCK_DGRAM", "SOCK_RAW")]
    found = list(datagrams(drafts)) if ways else []  # streams alone: nothing to put together
    _tie_sends(found, ways)
    for draft in drafts:
        if draft.cause is UNKNOWN and isinstance(draft.facts.transport, IcmpMessage):
            _tie_icmp(draft, draft.facts.transport, drafts)
    received = _tie_receives(found, ways)
    received |= _tie_errors(drafts, ways)
    return received


def datagrams(drafts: Sequence[Draft]) -> Iterator[Datagram]:
    """IP packets with their fragments put together, in order of their first part."""
    whole: dict[tuple[str, str, int, int], Datagram] = {}
    for draft in drafts:
        ip = draft.facts.ip
        if ip is None:
            continue
        first, end = ip.payload
        if not ip.is_fragment:
            yield Datagram(parts=[draft], payload=bytearray(memoryview(draft.data)[first:end]))
            continue
        key = ip.source, ip.destination, ip.protocol, ip.identification
        if ip.fragment_offset == 0:
            whole[key] = Datagram(parts=[draft], payload=bytearray(memoryview(draft.data)[first:end]))
        elif key in whole and ip.fragment_offset == len(whole[key].payload):
            whole[key].parts.append(draft)
            whole[key].payload += memoryview(draft.data)[first:end]
            if not ip.more_fragments:
                yield whole.pop(key)
    yield from whole.values()


# ------------------------------------------------------------------------------------------------ sends


def _tie_sends(found: Sequence[Datagram], ways: Sequence[Socket]) -> None:
    unsent: dict[str, list[tuple[int, Call, Socket]]] = defaultdict(list)
    for socket in ways:
        for n, call in socket.named(*SENDERS):
            if call.errno is None:
                unsent[socket.host].append((n, call, socket))
    for waiting in unsent.values():
        waiting.sort(key=lambda sent: sent[0])
    for datagram in sorted(found, key=lambda datagram: datagram.first.at_ns):
        hosts = [datagram.first.sender] if datagram.first.sender else list(unsent)
        for host in hosts:
            candidates = unsent.get(host, [])
            index = next((i for i, sent in enumerate(candidates) if _is_sent_by(datagram, *sent[1:])), None)
            if index is not None:
                n, call, socket = candidates.pop(index)
                _claim(datagram, n, call, socket)
                break


def _is_sent_by(datagram: Datagram, call: Call, socket: Socket) -> bool:
    """Whether the datagram is what this call sent: addresses, length and octets."""
    if call.entered_ns > datagram.first.at_ns:
        return False
    target = _target(call, socket)
    if target is not None and target.address != datagram.ip.destination:
        return False
    data = call.data or b""
    if socket.type == "SOCK_RAW":
        return _is_raw_of(datagram, data, call, socket)
    udp = datagram.udp
    if udp is None or socket.local is None or udp.source_port != socket.local.port:
        return False
    if (target is not None and target.port != udp.destination_port) or udp.length != call.result:
        return False
    return _begins_alike(datagram.payload[_UDP_HEADER:], data)


def _is_raw_of(datagram: Datagram, data: bytes, call: Call, socket: Socket) -> bool:
    if socket.includes_header:
        payload = data[(data[0] & 15) * 4 :] if data[:1] and data[0] >> 4 == 4 else data[40:]
    elif datagram.ip.protocol == socket.protocol:
        payload = data
    else:
        return False
    if datagram.ip.protocol == 58:  # the kernel fills in ICMPv6's checksum (RFC 3542 section 3.1)
        return _begins_alike(datagram.payload[:2] + datagram.payload[4:], payload[:2] + payload[4:])
    return _begins_alike(datagram.payload, payload)


def _begins_alike(seen: bytes | bytearray, recorded: bytes) -> bool:
    """Whether two strings are the same as far as both go: either may have been cut."""
    common = min(len(seen), len(recorded))
    return seen[:common] == recorded[:common] and (common > 0 or len(seen) == len(recorded) == 0)


def _target(call: Call, socket: Socket) -> Endpoint | None:
    arguments = dict(call.args)
    named = arguments.get("dest_addr", arguments.get("msg_name"))
    return named if isinstance(named, Endpoint) else socket.peer


def _claim(datagram: Datagram, n: int, call: Call, socket: Socket) -> None:
    """Every part is this call's, with the octets that it carries."""
    header = _UDP_HEADER if socket.type == "SOCK_DGRAM" else 0
    if socket.includes_header:  # what was written begins with the IP header, which is no payload
        header = -((call.result or 0) - len(datagram.payload))
    size = call.result or 0
    for part in datagram.parts:
        ip = part.facts.ip
        assert ip is not None
        length = ip.payload[1] - ip.payload[0]
        first = max(ip.fragment_offset - header, 0) if header >= 0 or ip.fragment_offset else 0
        end = min(max(ip.fragment_offset + length - header, 0), size)
        part.cause = Cause(
            kind="call",
            calls=(n,),
            bytes=((n, first, end),) if end > first else (),
            reason=_reason(datagram, part, n, call, socket, end - first),
            confidence="exact",
        )


def _reason(datagram: Datagram, part: Draft, n: int, call: Call, socket: Socket, carried: int) -> str:
    if socket.type == "SOCK_RAW":
        if socket.includes_header:
            return f"the whole packet is what {call.name} (call {n}) wrote, but for the IP checksum (raw(7))"
        return f"all behind the IP header is what {call.name} (call {n}) wrote"
    size = call.result or 0
    if len(datagram.parts) > 1:
        number = datagram.parts.index(part) + 1
        return f"fragment {number} of {len(datagram.parts)}: {carried} of the {size} octets of {call.name} (call {n})"
    amount = "no octet" if size == 0 else "the one octet" if size == 1 else f"all {size} octets"
    return f"carries {amount} of {call.name} (call {n})"


# ------------------------------------------------------------------------------------------------- ICMP


def _tie_icmp(draft: Draft, message: IcmpMessage, drafts: Sequence[Draft]) -> None:
    earlier = drafts[: bisect_left(drafts, draft.at_ns, key=lambda other: other.at_ns)]
    if message.quoted is not None:
        provoking = next((other for other in reversed(earlier) if quotes(message, other)), None)
        why = _WHY.get((message.version, message.type, message.code), f"ICMP {message.type}/{message.code}")
        if provoking is not None:
            draft.cause = kernel(f"the kernel refuses packet {provoking.n}: {why}", packets=[provoking])
        else:
            draft.cause = kernel(f"{why}; the packet that it quotes was not captured", confidence="inferred")
    elif (asked := _ECHO.get((message.version, message.type))) is not None:
        request = next((other for other in reversed(earlier) if _asks(other, draft, message, asked)), None)
        if request is not None:
            why = f"the kernel answers packet {request.n} by itself: no process has a part in it"
            draft.cause = kernel(why, packets=[request])


def quotes(message: IcmpMessage, other: Draft) -> bool:
    """Whether the packet is the one that the error quotes."""
    quoted, ip = message.quoted, other.facts.ip
    if quoted is None or ip is None or ip.is_fragment != quoted.ip.is_fragment:
        return False
    same = (ip.source, ip.destination, ip.protocol) == (quoted.ip.source, quoted.ip.destination, quoted.ip.protocol)
    if ip.version == 4 and ip.identification != quoted.ip.identification:
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


# --------------------------------------------------------------------------------------------- receives


def _tie_receives(found: Sequence[Datagram], ways: Sequence[Socket]) -> dict[int, list[Draft]]:
    arrived = [datagram for datagram in found if datagram.arrived_ns is not None]
    arrived.sort(key=lambda datagram: datagram.arrived_ns or 0)
    taken: set[tuple[int, int]] = set()
    received: dict[int, list[Draft]] = {}
    for socket in ways:
        for n, call in socket.named(*RECEIVERS):
            if call.errno is not None or call.returned_ns is None:
                continue
            for index, datagram in enumerate(arrived):
                mine = (socket.inode, index)
                if mine not in taken and _is_received_by(datagram, call, socket):
                    received[n] = list(datagram.parts)
                    if "MSG_PEEK" not in str(dict(call.args).get("flags")):
                        taken.add(mine)
                    break
    return received


def _is_received_by(datagram: Datagram, call: Call, socket: Socket) -> bool:
    if datagram.first.receiver not in (None, socket.host) or (datagram.arrived_ns or 0) > (call.returned_ns or 0):
        return False
    arguments = dict(call.args)
    source = arguments.get("src_addr", arguments.get("msg_name"))
    if isinstance(source, Endpoint) and source.address != datagram.ip.source:
        return False
    data = call.data or b""
    if socket.type == "SOCK_RAW":
        return datagram.ip.protocol == socket.protocol and _is_copy(datagram, data)
    udp = datagram.udp
    if udp is None or socket.local is None or udp.destination_port != socket.local.port:
        return False
    if isinstance(source, Endpoint) and source.port != udp.source_port:
        return False
    return _begins_alike(datagram.payload[_UDP_HEADER:], data)


def _is_copy(datagram: Datagram, data: bytes) -> bool:
    """Whether a raw socket's octets are this packet's: with its IP header for IPv4, without for IPv6 (raw(7))."""
    ip = datagram.ip
    start = ip.payload[1] - ip.length if ip.version == 4 else ip.payload[0]
    whole = bytes(memoryview(datagram.first.data)[start : ip.payload[1]])
    return len(data) > 0 and whole[: len(data)] == data


def _tie_errors(drafts: Sequence[Draft], ways: Sequence[Socket]) -> dict[int, list[Draft]]:
    """For each call that failed because of one, the ICMP error that it reports."""
    reported: dict[int, list[Draft]] = {}
    used: set[int] = set()
    for socket in ways:
        for n, call in socket.calls:
            if call.errno not in ("ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EPROTO", "ENOPROTOOPT"):
                continue
            for draft in drafts:
                if draft.n not in used and _concerns(draft, socket, call):
                    reported[n] = [draft]
                    used.add(draft.n)
                    break
    return reported


def _concerns(draft: Draft, socket: Socket, call: Call) -> bool:
    message = draft.facts.transport
    if not isinstance(message, IcmpMessage) or message.quoted is None or draft.receiver not in (None, socket.host):
        return False
    if draft.arrival_ns > (call.returned_ns or 0):
        return False
    return socket.local is None or message.quoted.source_port in (None, socket.local.port)
