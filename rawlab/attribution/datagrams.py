"""Why each UDP datagram, ICMP message and hand-made packet exists, and which call received it.

A datagram is tied to the call whose octets it carries: the same host, ports and addresses, the same length, the same
octets as far as they were recorded, the first such call that no earlier datagram was tied to. Its fragments share its
cause; but for those that a program made: what a raw socket wrote with its IP header is the packet itself. ICMP
messages that no call wrote are `icmp`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rawlab.attribution import icmp
from rawlab.attribution.fragments import Datagram, alone, datagrams, ip_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import RECEIVERS, SENDERS, Socket, Sockets
from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.story import Cause

_UDP_HEADER = 8
_FILLED_IN = {
    "total length": slice(2, 4),
    "identification": slice(4, 6),
    "checksum": slice(10, 12),
    "source": slice(12, 16),
}
"""The fields of an IPv4 header by hand that the kernel writes itself (raw(7))."""
_ALWAYS = ("total length", "checksum")


def attribute(drafts: Sequence[Draft], sockets: Sockets) -> dict[int, list[Draft]]:
    """Gives its cause to every packet that is no stream's; for each receiving call the packets that it returned."""
    ways = [socket for socket in sockets if socket.type in ("SOCK_DGRAM", "SOCK_RAW")]
    pieces = [draft for draft in drafts if draft.facts.ip is not None and draft.facts.ip.is_fragment]
    found = list(datagrams(drafts if ways else pieces))
    below = [socket for socket in ways if socket.is_packet]
    above = [socket for socket in ways if not socket.is_packet]
    by_hand = [socket for socket in above if socket.includes_header]
    packets = [alone(draft) for draft in drafts if draft.facts.ip is not None] if by_hand or below else []
    _tie_sends(packets, by_hand)
    _tie_sends(found, [socket for socket in above if not socket.includes_header])
    icmp.attribute(drafts, found, recorded=sockets.recorded)
    received = _tie_receives(found, above) | _tie_receives(packets, below)
    received |= (errors := icmp.reported(drafts, ways))
    icmp.tell_forged(drafts, errors, [socket for socket in ways if socket.type == "SOCK_DGRAM"])
    return received | _tie_polls(received, ways, sockets)


# ------------------------------------------------------------------------------------------------ sends


def _tie_sends(found: Sequence[Datagram], ways: Sequence[Socket]) -> None:
    unsent: dict[str, list[tuple[int, Call, Socket]]] = defaultdict(list)
    for socket in ways:
        for n, call in socket.named(*SENDERS, "sendmmsg"):
            if call.errno is None:
                unsent[socket.host] += [(n, one, socket) for _, one in _singly(n, call)]
    for waiting in unsent.values():
        waiting.sort(key=lambda sent: sent[0])
    for datagram in sorted(found, key=lambda datagram: datagram.at_ns):
        first = datagram.first
        if first.cause.kind == "call" or first.forwarded is not None or first.copy_of is not None:
            continue
        hosts = [datagram.first.sender] if datagram.first.sender else list(unsent)
        for host in hosts:
            candidates = unsent.get(host, [])
            index = next((i for i, sent in enumerate(candidates) if _is_sent_by(datagram, *sent[1:])), None)
            if index is not None:
                n, call, socket = candidates.pop(index)
                _claim(datagram, n, call, socket)
                break


def _singly(n: int, call: Call) -> Iterator[tuple[int, Call]]:
    """The call; of sendmmsg(2) and recvmmsg(2), each message that it moved, as if a call of its own had."""
    if call.name not in ("sendmmsg", "recvmmsg"):
        yield n, call
        return
    vector = dict(call.args).get("msgvec")
    for number, message in enumerate(vector if isinstance(vector, tuple) else (), 1):
        if isinstance(message, tuple) and len(message) == 3 and isinstance(size := message[2], int):
            args = (("msg_name", message[0]), ("buf", message[1]), ("flags", dict(call.args).get("flags")))
            yield n, replace(call, name=f"message {number} of {call.name}", args=args, result=size)


def _is_sent_by(datagram: Datagram, call: Call, socket: Socket) -> bool:
    """Whether the datagram is what this call sent: addresses, length and octets."""
    if call.entered_ns > datagram.at_ns:
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
        return _is_whole(datagram.first, data)
    if datagram.ip.protocol != socket.protocol:
        return False
    if datagram.ip.protocol == 58:  # the kernel fills in ICMPv6's checksum (RFC 3542 section 3.1)
        return _begins_alike(datagram.payload[:2] + datagram.payload[4:], data[:2] + data[4:])
    return _begins_alike(datagram.payload, data)


def _is_whole(draft: Draft, written: bytes) -> bool:
    """Whether the packet is what was written with its IP header, but for what the kernel fills in."""
    return _begins_alike(_unfilled(_packet(draft), written), _unfilled(written, written))


def _packet(draft: Draft) -> bytes:
    """A frame from its IP header on."""
    ip = ip_of(draft)
    return bytes(draft.data[ip.payload[1] - ip.length : ip.payload[1]])


def _unfilled(packet: bytes, written: bytes) -> bytes:
    """The packet with 0 in the fields that the kernel fills in always, or where 0 was written."""
    if packet[:1] and packet[0] >> 4 == 4:
        for name, place in _FILLED_IN.items():
            if name in _ALWAYS or not any(written[place]):
                packet = packet[: place.start] + bytes(place.stop - place.start) + packet[place.stop :]
    return packet


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
    size = call.result or 0
    for part in datagram.parts:
        part.sender = part.sender or socket.host
        ip = ip_of(part)
        first, end = 0, size
        if not socket.includes_header:  # else what was written is the packet
            first = max(ip.fragment_offset - header, 0)
            end = min(max(ip.fragment_offset + ip.payload[1] - ip.payload[0] - header, 0), size)
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
            return f"the whole packet is what {call.name} (call {n}) wrote{_filled_in(part, call)}"
        return f"all behind the IP header is what {call.name} (call {n}) wrote{_checksum(datagram, part, call)}"
    size = call.result or 0
    if len(datagram.parts) > 1:
        number = datagram.parts.index(part) + 1
        return f"fragment {number} of {len(datagram.parts)}: {carried} of the {size} octets of {call.name} (call {n})"
    amount = "no octet" if size == 0 else "the one octet" if size == 1 else f"all {size} octets"
    return f"carries {amount} of {call.name} (call {n})"


def _filled_in(draft: Draft, call: Call) -> str:
    """Which of them it has filled in: 'but for the identification and the checksum, which …'."""
    packet, written = _packet(draft), call.data or b""
    changed = [f"the {name}" for name, place in _FILLED_IN.items() if packet[place] != written[place]]
    if ip_of(draft).version == 6 or len(written) < 20 or not changed:
        return ""
    return f", but for {' and '.join(changed)} in the IP header, which the kernel filled in (raw(7))"


def _checksum(datagram: Datagram, part: Draft, call: Call) -> str:
    """ICMPv6's, which stands in the first part: ', but for …' where it is not what was written."""
    written = (call.data or b"")[2:4]
    if datagram.ip.protocol != 58 or part is not datagram.first or datagram.payload[2:4] == written:
        return ""
    return ", but for the ICMPv6 checksum, which the kernel filled in (RFC 3542 section 3.1)"


# --------------------------------------------------------------------------------------------- receives


def _tie_receives(found: Sequence[Datagram], ways: Sequence[Socket]) -> dict[int, list[Draft]]:
    arrived = [datagram for datagram in found if datagram.arrived_ns is not None]
    arrived.sort(key=lambda datagram: datagram.arrived_ns or 0)
    taken: set[tuple[int, int]] = set()
    received: dict[int, list[Draft]] = {}
    for socket in ways:
        for n, call in (found for whole in socket.named(*RECEIVERS, "recvmmsg") for found in _singly(*whole)):
            if call.errno is not None or call.returned_ns is None:
                continue
            for index, datagram in enumerate(arrived):
                mine = (socket.inode, index)
                if mine not in taken and _is_received_by(datagram, call, socket):
                    received[n] = [*received.get(n, ()), *datagram.parts]
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
    if socket.is_packet:
        return datagram.first.receiver is not None and _is_frame(datagram.first, data, socket)
    if socket.type == "SOCK_RAW":
        return datagram.ip.protocol == socket.protocol and _is_copy(datagram, data)
    udp = datagram.udp
    if udp is None or socket.local is None or udp.destination_port != socket.local.port:
        return False
    if isinstance(source, Endpoint) and source.port != udp.source_port:
        return False
    return _begins_alike(datagram.payload[_UDP_HEADER:], data)


def _is_frame(draft: Draft, data: bytes, socket: Socket) -> bool:
    """Whether a packet socket's octets are this packet's: from the link header on, or behind it (packet(7))."""
    ip = ip_of(draft)
    start = 0 if socket.type == "SOCK_RAW" else ip.payload[1] - ip.length
    return len(data) > 0 and bytes(draft.data[start : start + len(data)]) == data


def _is_copy(datagram: Datagram, data: bytes) -> bool:
    """Whether a raw socket's octets are this packet's: with its IP header for IPv4, without for IPv6 (raw(7))."""
    ip = datagram.ip
    start = ip.payload[1] - ip.length if ip.version == 4 else ip.payload[0]
    whole = bytes(memoryview(datagram.first.data)[start : ip.payload[1]])
    return len(data) > 0 and whole[: len(data)] == data


def _tie_polls(
    received: Mapping[int, list[Draft]], ways: Sequence[Socket], sockets: Sockets
) -> dict[int, list[Draft]]:
    """For each poll that found a socket ready, the packets that the next call on it took."""
    found: dict[int, list[Draft]] = {}
    for socket in ways:
        for n, call, events in sockets.polled.get((socket.host, socket.inode), ()):
            taken = next((received[m] for m, _ in socket.calls if m > n and m in received), [])
            if "POLLIN" in events and all(draft.arrival_ns <= (call.returned_ns or 0) for draft in taken):
                found[n] = [*found.get(n, ()), *taken]
    return found
