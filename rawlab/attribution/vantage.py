"""Where a capture was made: at which host, or on the way; from what the packets of both directions tell.

    direction   the capture says of its packets which of them left the host: LINUX_SLL, pcapng's flags
    padding     Ethernet frames of less than 60 octets: the interface that sends them pads them, after the capture
    checksums   wrong in all that one host sends: its interface fills them in (offload), after they were captured
    size        segments larger than the peer's MSS: cut by the interface (TSO), or put together by it (GRO)
    TTL         64, 128 or 255 is as the sender wrote it: no router lies between it and here
    delays      who is near answers at once: SYN to SYN-ACK against SYN-ACK to ACK

Each is evidence for one address, none is proof: what it weighs is a judgement, and the answer *inferred*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Literal

from rawlab.attribution.connection import Connection, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.words import took
from rawlab.model.facts import IpHeader, TcpSegment, UdpDatagram
from rawlab.model.story import Vantage
from rawlab.model.timeline import Timeline

_FULL = frozenset((64, 128, 255))
_ETHERNET, _SLL, _SLL2, _LEAST_FRAME = 1, 113, 276, 60
_SLL_OUTGOING, _SLL_HERE = 4, 0
_LOW = 32  # a TTL that small may be what its sender wrote: traceroute's, a neighbour's
_LOOK = 2000  # packets that are looked at: more tell nothing new
_SUMS = 40  # checksums that are counted for each address
_MSS = 2
_FAR = 8  # times as long: who takes that much longer is farther away
_ENOUGH = 3
Votes = dict[str, dict[str, int]]
"""By address, what speaks for it, and how much."""


def tell(timeline: Timeline, drafts: Sequence[Draft], connections: Sequence[Connection]) -> Vantage | None:
    """Where; None where there are no two addresses to tell by."""
    looked = [draft for draft in drafts[:_LOOK] if draft.facts.ip is not None]
    pairs = {(ip.source, ip.destination) for draft in looked if (ip := draft.facts.ip) is not None}
    if not pairs:
        return None
    if all(source == destination or ip_address(source).is_loopback for source, destination in pairs):
        why = "loopback: both ends are on this host, and no wire lies between them"
        return Vantage(place="both", address=None, reason=why, confidence="exact")
    votes: Votes = defaultdict(dict)
    kinds: dict[str, set[str]] = defaultdict(set)
    for what, votes_of in _evidence(timeline, looked, connections):
        for who, words, weight in votes_of:
            if what not in kinds[who] and not ip_address(who).is_unspecified:
                kinds[who].add(what)
                votes[who][words] = weight
    return _judged(votes, looked, connections)


_Vote = Iterator[tuple[str, str, int]]
"""Whose, why, and how much that weighs."""


def _evidence(
    timeline: Timeline, looked: Sequence[Draft], connections: Sequence[Connection]
) -> Iterator[tuple[str, _Vote]]:
    """By kind: each speaks once for an address."""
    yield "direction", _directions(timeline, looked)
    yield "padding", _paddings(timeline, looked)
    yield "checksums", _checksums(looked)
    for connection in connections[:_SUMS]:
        yield "size", _sizes(connection)
        yield "delays", _delays(connection)
    yield "TTL", _hops(looked)


def _ip(draft: Draft) -> IpHeader:
    assert draft.facts.ip is not None
    return draft.facts.ip


# ----------------------------------------------------------------------------------------------- evidence


def _directions(timeline: Timeline, looked: Sequence[Draft]) -> _Vote:
    outgoing = {frame.number: frame.outgoing for frame in timeline.frames if frame.outgoing is not None}
    for draft in looked:
        linktype = timeline.points[draft.point].linktype
        left = outgoing.get(draft.frames[0])
        kind = None
        if linktype == _SLL and len(draft.data) > 1:
            kind = int.from_bytes(draft.data[:2], "big")
        elif linktype == _SLL2 and len(draft.data) > 10:
            kind = draft.data[10]
        if left or kind == _SLL_OUTGOING:
            yield _ip(draft).source, "the capture marks its packets as leaving", 10
        elif left is False or kind == _SLL_HERE:
            yield _ip(draft).destination, "the capture marks packets to it as arriving", 10


def _paddings(timeline: Timeline, looked: Sequence[Draft]) -> _Vote:
    bare: dict[str, int] = defaultdict(int)
    padded: set[str] = set()
    for draft in looked:
        ip = _ip(draft)
        whole = 14 + ip.length
        if timeline.points[draft.point].linktype != _ETHERNET or whole >= _LEAST_FRAME or draft.facts.vlans:
            continue
        if len(draft.data) == whole:
            bare[ip.source] += 1
        elif len(draft.data) >= _LEAST_FRAME:
            padded.add(ip.source)
    for address in bare:
        if padded and address not in padded:
            yield address, "its short frames have no padding yet, the others' have", 6


def _checksums(looked: Sequence[Draft]) -> _Vote:
    wrong: dict[str, list[bool]] = defaultdict(list)
    for draft in looked:
        if len(wrong[_ip(draft).source]) < _SUMS and (bad := _is_wrong(draft)) is not None:
            wrong[_ip(draft).source].append(bad)
    right = any(found and not any(found) for found in wrong.values())
    for address, found in wrong.items():
        if right and len(found) > 1 and sum(found) * 10 >= len(found) * 9:
            yield address, "its checksums are not filled in yet (offload), the others' are", 6


def _is_wrong(draft: Draft) -> bool | None:
    """Whether the TCP or UDP checksum does not fit; None where that cannot be said."""
    ip, transport = _ip(draft), draft.facts.transport
    first, end = ip.payload
    if not isinstance(transport, TcpSegment | UdpDatagram) or ip.is_fragment or end > len(draft.data):
        return None
    if isinstance(transport, UdpDatagram) and not any(draft.data[first + 6 : first + 8]):
        return None
    if end - first < 8 or (ip.version == 4 and ip.length < end - first):
        return None
    size = end - first
    pseudo = ip_address(ip.source).packed + ip_address(ip.destination).packed + bytes((0, ip.protocol))
    octets = pseudo + size.to_bytes(4, "big") + bytes(draft.data[first:end]) + bytes(size % 2)
    return int.from_bytes(octets, "big") % 0xFFFF != 0


def _sizes(connection: Connection) -> _Vote:
    limits = {}
    for draft in connection.drafts[:_LOOK]:
        segment = segment_of(draft)
        sender, receiver = connection.direction(draft)
        if "S" in segment.flags:
            found = (one.values[0] for one in segment.options if one.kind == _MSS and one.values)
            limits[id(receiver)] = next(found, 0)
        elif (limit := limits.get(id(sender), 0)) and segment.length > limit:
            what = f"segments larger than the MSS of {limit}"
            yield sender.address.address, f"it sends {what}, not cut yet (TSO)", 3
            yield receiver.address.address, f"it is sent {what}, put together already (GRO)", 2


def _delays(connection: Connection) -> _Vote:
    """Of the handshake: how long the server took, as seen from here, and how long the client."""
    if not connection.seen_from_start or len(connection.drafts) < 3:
        return
    syn, answer, last = connection.drafts[:3]
    flags = [segment_of(draft).flags for draft in (syn, answer, last)]
    if "S" not in flags[0] or not {"S", "A"} <= set(flags[1]) or "S" in flags[2] or last.forward != syn.forward:
        return
    server_ns, client_ns = answer.at_ns - syn.at_ns, last.at_ns - answer.at_ns
    client, server = (end.address.address for end in connection.ends)
    if 0 <= server_ns * _FAR < client_ns:
        yield server, f"it answers SYN within {took(server_ns)}, the other SYN-ACK within {took(client_ns)}", 3
    elif 0 <= client_ns * _FAR < server_ns:
        yield client, f"it answers SYN-ACK within {took(client_ns)}, the other SYN within {took(server_ns)}", 3


def _hops(looked: Sequence[Draft]) -> _Vote:
    ttls: dict[str, set[int]] = defaultdict(set)
    for draft in looked:
        if draft.facts.flow is not None:  # not of routers' messages
            ttls[_ip(draft).source].add(_ip(draft).ttl)
    passed = [ttl for found in ttls.values() for ttl in found if len(found) == 1 and ttl > _LOW and ttl not in _FULL]
    for address, found in ttls.items():
        if passed and found <= _FULL:
            yield address, f"its TTL is a full {min(found)}, the other's has passed routers", 3


# ---------------------------------------------------------------------------------------------- judgement


def _judged(votes: Votes, looked: Sequence[Draft], connections: Sequence[Connection]) -> Vantage:
    counted = sorted(((sum(found.values()), who) for who, found in votes.items()), reverse=True)
    if counted and counted[0][0] >= _ENOUGH and (len(counted) == 1 or counted[0][0] >= 2 * counted[1][0]):
        who = counted[0][1]
        return _at(who, votes[who], connections)
    ttls = {_ip(draft).ttl for draft in looked if draft.facts.flow is not None}
    if not counted and ttls and not ttls & _FULL and min(ttls) > _LOW:
        why = "no packet has its full TTL: routers lie on both sides; times and losses are those seen from here"
        return Vantage(place="between", address=None, reason=why, confidence="inferred")
    why = "nothing tells one end from the other" if not counted else "what tells of it speaks for both ends:"
    if counted:
        why += " " + "; ".join(f"{who}: {', '.join(votes[who])}" for _, who in counted[:2])
    return Vantage(place="unknown", address=None, reason=why, confidence="unknown")


def _at(who: str, found: Mapping[str, int], connections: Sequence[Connection]) -> Vantage:
    near = all(what.startswith(("its TTL", "it answers")) for what in found)
    clients = {connection.ends[0].address.address for connection in connections}
    servers = {connection.ends[1].address.address for connection in connections}
    place: Literal["client", "server", "host"] = "host"
    if (who in clients) != (who in servers):
        place = "client" if who in clients else "server"
    where = f"at {who} or close to it" if near else f"at {who}"
    hides = "what the other side answers took the way there and back; when it made its calls, and what it sent that was"
    hides += " lost before it came here, is not seen"
    return Vantage(place=place, address=who, reason=f"{where}: {', '.join(found)}; {hides}", confidence="inferred")
