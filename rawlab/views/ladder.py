"""The ladder: a story as a drawing of two lifelines, in numbers; what draws them is another file (`svg`).

    client's calls │ lane ║ lifeline ── packets ── lifeline ║ lane │ server's calls

Every moment (a call's entry or return, a packet's departure or arrival) has a line of its own, in order of time,
all equally far apart: `y` counts them from 0. A packet is an arrow from its departure to its arrival, so that two
that crossed on the wire cross here; a call is a bar as long as it blocked; a state holds until the next begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.rows import STRSIZE, hosts, text_of
from rawlab.wire.strace import format_call


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A packet."""

    label: str
    side: int
    "where it left: 0 the first host, 1 the second"
    first: int
    "the moment at which it left"
    last: int
    "the moment at which it arrived"
    lost: bool
    by_call: bool
    "a call sent it; else the kernel by itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A call, from its entry to its return."""

    label: str
    side: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A TCP state, from one moment to another."""

    state: str
    side: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The whole drawing."""

    hosts: tuple[str, str]
    moments: int
    "how many lines high it is"
    arrows: tuple[Arrow, ...]
    bars: tuple[Bar, ...]
    spans: tuple[Span, ...]


def layout(story: Story) -> Ladder:
    """The story's ladder."""
    names = [*hosts(story), "", ""][:2]
    at = _moments(story)
    return Ladder(
        hosts=(names[0], names[1]),
        moments=len(at),
        arrows=tuple(_arrow(packet, at, names, text_of(packet, story)) for packet in story.packets),
        bars=tuple(_bar(told, at, names) for told in story.calls),
        spans=tuple(_spans(story, at, names)),
    )


Moments = dict[tuple[str, int, int], int]
"""('call' or 'packet', number, 0 beginning or 1 end): the line"""


def _moments(story: Story) -> Moments:
    times: list[tuple[int, int, str, int]] = []
    for told in story.calls:
        times.append((told.call.entered_ns, 0, "call", told.n))
        if told.call.returned_ns is not None:
            times.append((told.call.returned_ns, 1, "call", told.n))
    for packet in story.packets:
        times.append((packet.at_ns, 0, "packet", packet.n))
        if packet.sent_ns is not None and packet.arrived_ns is not None:
            times.append((packet.arrived_ns, 1, "packet", packet.n))
    return {(kind, n, end): line for line, (_, end, kind, n) in enumerate(sorted(times))}


def _side(host: str | None, names: list[str]) -> int:
    return 1 if host == names[1] else 0


def _arrow(packet: Packet, at: Moments, names: list[str], label: str) -> Arrow:
    first = at["packet", packet.n, 0]
    return Arrow(
        label=label,
        side=_side(packet.sender, names),
        first=first,
        last=at.get(("packet", packet.n, 1), first),
        lost=packet.lost,
        by_call=packet.cause.kind == "call",
    )


def _bar(told: CallStory, at: Moments, names: list[str]) -> Bar:
    first = at["call", told.n, 0]
    last = at.get(("call", told.n, 1), len(at) - 1)
    return Bar(label=format_call(told.call, STRSIZE), side=_side(told.call.host, names), first=first, last=last)


def _spans(story: Story, at: Moments, names: list[str]) -> Iterable[Span]:
    """Each host's states, in the order of the moments at which something told them."""
    told: list[tuple[int, str, str | None]] = []
    for packet in story.packets:
        told += [(at["packet", packet.n, 0], host, state) for host, state in packet.states]
    for call in story.calls:
        told += [(at["call", call.n, 0], host, state) for host, state in call.states]
        end = at.get(("call", call.n, 1), at["call", call.n, 0])
        told += [(end, host, state) for host, state in call.states_after]
    for side, name in enumerate(names):
        first, now = 0, ""
        for line, state in sorted((line, state) for line, host, state in told if host == name and state):
            if state != now:
                if now:
                    yield Span(state=now, side=side, first=first, last=line)
                first, now = line, state
        if now:
            yield Span(state=now, side=side, first=first, last=len(at) - 1)
