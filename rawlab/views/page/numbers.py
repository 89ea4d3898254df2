"""Sequence numbers over time: for each conversation and direction what was sent, what was acknowledged, and how far the
receiver's window reached. The page draws it; TCP counts octets, SCTP chunks (TSN).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rawlab.model.facts import TcpSegment
from rawlab.model.sctp import SctpData, SctpPacket, SctpSack
from rawlab.model.story import Packet, Story
from rawlab.views.escape import terminal
from rawlab.wire.line import relative

Way = dict[str, Any]
_WSCALE = 3  # the kind of TCP's option (RFC 7323)


def conversations(story: Story, shown: Collection[str]) -> list[dict[str, Any]]:
    """In order of their first packet; each has two ways. `sent`: [row, ns, first, last + 1];
    `acked`: [row, ns, next expected, the window's right edge or null].
    """
    start = min((packet.at_ns for packet in story.packets), default=0)
    found: dict[frozenset[Any], dict[str, Any]] = {}
    shifts: dict[Any, int | None] = {}
    for packet in story.packets:
        flow = packet.facts.flow
        if flow is None or not isinstance(packet.facts.transport, TcpSegment | SctpPacket):
            continue
        ends = frozenset((flow.source, flow.destination))
        if ends not in found:
            here = terminal(packet.sender or str(flow.source))
            there = terminal(packet.receiver or str(flow.destination))
            ways = [{"from": a, "to": b, "sent": [], "acked": []} for a, b in ((here, there), (there, here))]
            name = f"{flow.source} and {flow.destination}"
            found[ends] = {"name": name, "protocol": flow.protocol, "first": str(flow.source), "ways": ways}
        if f"p{packet.n}" not in shown:
            continue
        mine, other = found[ends]["ways"]
        if str(flow.source) != found[ends]["first"]:
            mine, other = other, mine
        at = packet.at_ns - start
        if isinstance(packet.facts.transport, TcpSegment):
            _segment(packet, packet.facts.transport, (ends, flow.source), shifts, at, mine, other)
        else:
            _chunks(packet, packet.facts.transport, at, mine, other)
    return [one for one in found.values() if any(way["sent"] or way["acked"] for way in one["ways"])]


def _segment(
    packet: Packet,
    segment: TcpSegment,
    end: tuple[Any, Any],
    shifts: dict[Any, int | None],
    at: int,
    mine: Way,
    other: Way,
) -> None:
    """RFC 7323 section 2.2: a SYN's own window is not scaled, and none is unless both SYNs have the option."""
    if "S" in segment.flags:
        scales = (option.values[0] for option in segment.options if option.kind == _WSCALE and option.values)
        shifts[end] = next(scales, None)
    if packet.seq is not None and segment.span:
        mine["sent"].append([f"p{packet.n}", at, packet.seq, packet.seq + segment.span])
    if packet.ack is not None and "A" in segment.flags:
        known = [shift for (ends, _), shift in shifts.items() if ends == end[0]]
        edge = None
        if "S" in segment.flags:
            edge = packet.ack + segment.window
        elif len(known) == 2:
            shift = shifts.get(end)
            scaled = 0 if None in known or shift is None else min(shift, 14)
            edge = packet.ack + (segment.window << scaled)
        other["acked"].append([f"p{packet.n}", at, packet.ack, edge])


def _chunks(packet: Packet, transport: SctpPacket, at: int, mine: Way, other: Way) -> None:
    data = [chunk for chunk in transport.chunks if isinstance(chunk, SctpData)]
    if data and packet.seq is not None:
        base = data[0].tsn - packet.seq
        for chunk in data:
            tsn = relative(chunk.tsn, base)
            mine["sent"].append([f"p{packet.n}", at, tsn, tsn + 1])
    sack = next((chunk for chunk in transport.chunks if isinstance(chunk, SctpSack)), None)
    if sack is not None and packet.ack is not None:
        other["acked"].append([f"p{packet.n}", at, packet.ack + 1, None])
