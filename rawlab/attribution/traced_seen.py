"""Which TCP and UDP conversations a capture holds, and when: what strace's sockets are looked up in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from rawlab.attribution.pairing import Decode
from rawlab.model.address import Endpoint
from rawlab.model.facts import TcpSegment, UdpDatagram
from rawlab.model.timeline import Timeline
from rawlab.model.traced import Place

SENDS = frozenset(("send", "sendto", "sendmsg", "write", "writev", "sendmmsg"))
FREE = frozenset(("0.0.0.0", "::"))
"addresses of a socket that is bound to none"
_NEAR_NS = 1_000_000_000  # a packet of a socket's comes no longer before its first call, or its last packet after that

Key = tuple[Endpoint, Endpoint] | Endpoint | int


@dataclass(slots=True)
class Seen:
    """The capture's conversations, as far as they tie sockets."""

    spans: dict[Key, tuple[int, int]] = field(default_factory=dict)
    "by (source, destination) of TCP's and UDP's packets, by endpoint, by port: when the first and the last were"
    syns: dict[Endpoint, list[tuple[int, Endpoint]]] = field(default_factory=lambda: defaultdict(list))
    "by destination: when, from where; in order of time"
    datagrams: dict[Endpoint, list[tuple[int, Endpoint]]] = field(default_factory=lambda: defaultdict(list))
    reached: dict[tuple[Endpoint, int], Endpoint] = field(default_factory=dict)
    "by source and destination port, the destination"
    addresses: dict[str, None] = field(default_factory=dict)
    "every IP address, in order of appearance"
    first_ns: int = 0
    last_ns: int = 0


def look(timeline: Timeline, decode: Decode) -> Seen:
    seen = Seen()
    times = [frame.at_ns for frame in timeline.frames] or [0]
    seen.first_ns, seen.last_ns = min(times), max(times)
    for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns):
        facts = decode(frame.data, timeline.points[frame.point].linktype, frame.length)
        if facts.ip is not None:
            seen.addresses |= {facts.ip.source: None, facts.ip.destination: None}
        flow, segment = facts.flow, facts.transport
        if flow is None or not isinstance(segment, TcpSegment | UdpDatagram):
            continue
        for key in keys(flow.source, flow.destination):
            seen.spans[key] = seen.spans.get(key, (frame.at_ns, 0))[0], frame.at_ns
        seen.reached.setdefault((flow.source, flow.destination.port), flow.destination)
        if isinstance(segment, UdpDatagram):
            seen.datagrams[flow.destination].append((frame.at_ns, flow.source))
        elif "S" in segment.flags and "A" not in segment.flags:
            seen.syns[flow.destination].append((frame.at_ns, flow.source))
    return seen


def keys(source: Endpoint, destination: Endpoint) -> tuple[Key, ...]:
    return (source, destination), (destination, source), source, destination, source.port, destination.port


def is_seen(place: Place, seen: Seen) -> bool:
    """Whether packets between its addresses, or of the one that it is bound to, are in the capture at its time."""
    local, peer = place.local, place.peer
    key: Key | None = (local, peer) if local is not None and peer is not None else local or peer
    if peer is None and local is not None and local.address in FREE:
        key = local.port
    span = seen.spans.get(key) if key is not None else None
    return span is not None and span[0] <= place.last_ns + _NEAR_NS and span[1] >= place.first_ns - _NEAR_NS


def is_answered(place: Place, seen: Seen) -> bool:
    """Whether the connection between its addresses was opened from the other side, by the capture's SYN."""
    if place.local is None or place.peer is None:
        return False
    opened = any(source == place.local for _, source in seen.syns.get(place.peer, ()))
    return not opened and any(source == place.peer for _, source in seen.syns.get(place.local, ()))
