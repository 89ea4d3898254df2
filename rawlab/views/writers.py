"""Who wrote which octets of a packet: a process, by which call; a kernel; our own endpoint; or a process not recorded.

Claims on octets are laid over each other: at the bottom who sent the packet, then what a call wrote, on top what the
kernel filled in of that; of a packet that a router sends on, those of the packet that came to it, and on top what a
router changes. What does not belong here: which call a packet is of (`attribution`), layers (`wire.fields`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rawlab.model.event import Call
from rawlab.model.facts import Facts, IcmpMessage, Other, TcpSegment, UdpDatagram
from rawlab.model.sctp import SctpData, SctpPacket
from rawlab.model.story import Packet, Story
from rawlab.views.places import addresses
from rawlab.wire.layer import Layer

_UDP = 17
_FILLED_IN = ((2, 4), (4, 6), (10, 12), (12, 16))
"""Of an IPv4 header by hand, what the kernel may write itself: length, identification, checksum, source (raw(7))."""
_ICMPV6_CHECKSUM = (2, 4)
"""Of an ICMPv6 message by hand, what the kernel fills in (RFC 3542 section 3.1)."""
_FORWARDED = {4: ((8, 9), (10, 12)), 6: ((7, 8),)}
"""Of an IP header, by version, what a router writes anew (RFC 1812 section 5.3.1, RFC 8200 section 3)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Octets of a frame, and who wrote them."""

    first: int
    end: int
    who: str
    call: int | None = None
    "whose octets they are"
    at: int = 0
    "which octet of the call's is the first"

    def moved(self, was: int, head: int) -> Claim:
        """The same, from `was` on, in a frame in which that octet is `head`."""
        skipped = max(was - self.first, 0)
        return Claim(self.first + skipped - was + head, self.end - was + head, self.who, self.call, self.at + skipped)


def written(layer: Layer, told: Packet, story: Story) -> list[tuple[str, str]]:
    """('14–23, 26–33', who wrote them) for each who wrote a part of the layer, by the first octet."""
    found: dict[str, list[Claim]] = {}
    for part in _visible(claims(told, story), layer.offset, layer.offset + layer.length):
        found.setdefault(part.who, []).append(part)
    return [(_spans(parts), _who(parts)) for parts in found.values()]


def writer(layer: Layer, told: Packet, story: Story) -> str:
    """The same in one line."""
    parts = written(layer, told, story)
    return parts[0][1] if len(parts) == 1 else "; ".join(f"{octets} {who}" for octets, who in parts)


def claims(told: Packet, story: Story) -> list[Claim]:
    """Who wrote which octets of the frame; a later claim goes over an earlier one."""
    before, ip = _forwarded(told, story), told.facts.ip
    kernel = _kernel(told, story)
    if before is not None and ip is not None and before.facts.ip is not None:
        head, was = _header(told.facts), _header(before.facts)
        earlier = [one.moved(was, head) for one in claims(before, story) if one.end > was]
        kernel = kernel if story.timeline.hosts or story.calls else "a router"
        changed = [Claim(head + first, head + end, kernel) for first, end in _FORWARDED[ip.version]]
        return [Claim(0, len(told.data), kernel), *earlier, *changed]
    return [*_sent(told, story, kernel), *_calls(told, story, kernel)]


def _kernel(told: Packet, story: Story) -> str:
    """Who fills in headers; where nothing is recorded, nobody knows by what: the host, by its address."""
    if story.timeline.hosts or story.calls:
        return f"the {told.sender or 'sender'}'s kernel"
    source, _ = addresses(told)
    return f"the host {source}" if source else "the sender's host"


def _sent(told: Packet, story: Story, kernel: str) -> Iterator[Claim]:
    """Whose the packet is where no call is known."""
    ip, transport = told.facts.ip, told.facts.transport
    own = {address for host in story.timeline.hosts for address in host.own_tcp}
    source = ip.source if ip is not None else getattr(transport, "sender", None)  # ARP
    tcp = source in own  # whole frames, through a packet socket
    yield Claim(0, len(told.data), f"the {told.sender or 'sender'}'s TCP, rawlab's own" if tcp else kernel)
    if ip is not None and not story.timeline.hosts and not story.calls:  # who carries a packet in a tunnel wraps it
        for n, outer in enumerate(told.facts.outer):
            yield Claim(outer.ip.start if n else 0, ip.start, f"the tunnel's end {outer.ip.source}")
    if ip is not None and story.timeline.run.stack == "user" and isinstance(transport, SctpPacket):
        yield Claim(ip.payload[0], len(told.data), f"the {told.sender or 'sender'}'s SCTP, rawlab's own")
    if isinstance(transport, Other) and transport.protocol != _UDP:  # a fragment of something else
        return
    if not told.cause.bytes and not story.calls:
        yield from (Claim(at, end, "a process, which one is not recorded") for at, end in _data(told))


def _calls(told: Packet, story: Story, kernel: str) -> Iterator[Claim]:
    """What calls wrote, and what the kernel filled in of it."""
    if not told.cause.bytes:
        return
    process, ip = f"the {told.sender or 'sender'}'s process", told.facts.ip
    n, first, end = told.cause.bytes[0]
    start = _raw_start(told, story)
    if start is None:
        yield from _carried(told, process)
        return
    yield Claim(start, min(start + end - first, len(told.data)), process, n, first)
    if ip is None or first:
        return
    head, data = _header(told.facts), bytes(story.calls[n - 1].call.data or b"")
    filled = [(head, place) for place in _FILLED_IN] if start == head and ip.version == 4 else []
    message = told.facts.transport
    if start == ip.payload[0] and isinstance(message, IcmpMessage) and message.version == 6:
        filled = [(start, _ICMPV6_CHECKSUM)]
    for base, (low, high) in filled:
        theirs = data[low:high]
        if len(theirs) == high - low and bytes(told.data[base + low : base + high]) != theirs:
            yield Claim(base + low, base + high, kernel)


def _carried(told: Packet, process: str) -> Iterator[Claim]:
    """Octets of calls in the data of TCP, UDP or SCTP."""
    runs = _data(told)
    rest = [[n, first, end] for n, first, end in told.cause.bytes]
    if sum(end - at for at, end in runs) > sum(end - first for _, first, end in rest):  # of some the call is unknown
        yield from (Claim(at, end, process) for at, end in runs)
        return
    for at, end in runs:
        while at < end and rest:
            n, low, high = rest[0]
            size = min(end - at, high - low)
            yield Claim(at, at + size, process, n, low)
            at += size
            rest[0][1] += size
            if rest[0][1] == high:
                rest.pop(0)


def _data(told: Packet) -> list[tuple[int, int]]:
    """Where the data of TCP, UDP or SCTP lies in the frame."""
    ip, transport = told.facts.ip, told.facts.transport
    if isinstance(transport, SctpPacket):
        return [chunk.data for chunk in transport.chunks if isinstance(chunk, SctpData)]
    if isinstance(transport, TcpSegment | UdpDatagram):
        return [transport.data]
    return [ip.payload] if ip is not None and ip.is_fragment and ip.fragment_offset else []


def _forwarded(told: Packet, story: Story) -> Packet | None:
    """The packet that a router sends on as this one: what came to it, but for what a router changes."""
    ip = told.facts.ip
    if ip is None or told.cause.kind != "kernel" or len(told.cause.packets) != 1:
        return None
    before = story.packets[told.cause.packets[0] - 1]
    if before.facts.ip is None or before.receiver != told.sender or before.n >= told.n:
        return None
    same = bytes(told.data[ip.payload[0] : ip.payload[1]]) == bytes(
        before.data[before.facts.ip.payload[0] : before.facts.ip.payload[1]]
    )
    ends = (ip.source, ip.destination) == (before.facts.ip.source, before.facts.ip.destination)
    return before if same and ends and ip.ttl < before.facts.ip.ttl else None


def _header(facts: Facts) -> int:
    """Where the IP header begins in the frame."""
    assert facts.ip is not None
    return facts.ip.payload[1] - facts.ip.length


def _raw_start(told: Packet, story: Story) -> int | None:
    """Where a raw socket's octets begin in the frame; None for a packet of another kind of socket."""
    call, ip = story.calls[told.cause.bytes[0][0] - 1].call, told.facts.ip
    made = next((each.call for each in story.calls if each.call.new_socket == call.socket), None)
    if made is None:
        return None
    arguments = dict(made.args)
    raw = "SOCK_RAW" in str(arguments.get("type"))
    if arguments.get("domain") == "AF_PACKET":
        return 0 if raw or ip is None else _header(told.facts)
    if ip is None or not raw:
        return None
    return _header(told.facts) if arguments.get("protocol") == "IPPROTO_RAW" or _asks(call, story) else ip.payload[0]


def _asks(sent: Call, story: Story) -> bool:
    """Whether the socket's user asked to write the IP header."""
    mine = (each.call for each in story.calls if each.call.socket == sent.socket and each.call.name == "setsockopt")
    return any(dict(call.args).get("optname") == "IP_HDRINCL" for call in mine)


def _visible(claimed: list[Claim], begin: int, end: int) -> Iterator[Claim]:
    """The parts of [begin, end) as they are once all claims are laid over each other."""
    edges = {begin, end} | {edge for one in claimed for edge in (one.first, one.end) if begin < edge < end}
    for first, last in pairwise(sorted(edges)):
        top = next((one for one in reversed(claimed) if one.first <= first < one.end), None)
        if top is not None:
            yield Claim(first, last, top.who, top.call, top.at + first - top.first)


def _spans(parts: list[Claim]) -> str:
    joined: list[list[int]] = []
    for part in parts:
        if joined and joined[-1][1] == part.first:
            joined[-1][1] = part.end
        else:
            joined.append([part.first, part.end])
    return ", ".join(f"{first}–{end - 1}" if end - first > 1 else f"{first}" for first, end in joined)


def _who(parts: list[Claim]) -> str:
    """'the client's process: c5, its octets 0 to 9, 12 to 19; c6, its octet 0'."""
    found: dict[int, list[list[int]]] = {}
    for part in parts:
        if part.call is not None:
            ranges = found.setdefault(part.call, [])
            if ranges and ranges[-1][1] == part.at:
                ranges[-1][1] += part.end - part.first
            else:
                ranges.append([part.at, part.at + part.end - part.first])
    calls = []
    for n, ranges in found.items():
        words = ", ".join(f"{first} to {end - 1}" if end - first > 1 else f"{first}" for first, end in ranges)
        calls.append(f"c{n}, its octet{'s' if sum(end - first for first, end in ranges) > 1 else ''} {words}")
    return f"{parts[0].who}: {'; '.join(calls)}" if calls else parts[0].who
