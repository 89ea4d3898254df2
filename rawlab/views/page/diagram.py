"""The state diagrams of RFC 9293 (figure 5) and RFC 9260 (figure 3), drawn from the tables of `model.states`.

Only where each state stands is said here; which arrows there are, and what brings each about, is the tables' word.
CLOSED stands twice, as in RFC 9293's figure: at the beginning, and at the end. The page lights the present states.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from rawlab.model.facts import TcpSegment
from rawlab.model.sctp import SctpPacket
from rawlab.model.states import SCTP_TRANSITIONS, TCP_TRANSITIONS
from rawlab.model.story import Story

_HIGH, _WIDE, _LINE = 34, 156, 14
Places = Mapping[str, tuple[int, int]]
Move = tuple[str, str, str]
"a state, what happens, the state that follows"
State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)

_END = " "  # behind the name of a state that stands a second time, at the end
_TCP: Places = {
    "CLOSED": (90, 180),
    "LISTEN": (330, 60),
    "SYN-SENT": (330, 300),
    "SYN-RECEIVED": (590, 60),
    "ESTABLISHED": (830, 180),
    "FIN-WAIT-1": (1070, 60),
    "CLOSE-WAIT": (1070, 300),
    "FIN-WAIT-2": (1330, 60),
    "CLOSING": (1200, 180),
    "LAST-ACK": (1330, 300),
    "TIME-WAIT": (1580, 60),
    f"CLOSED{_END}": (1580, 300),
}
_SCTP: Places = {
    "CLOSED": (90, 200),
    "COOKIE-WAIT": (310, 60),
    "COOKIE-ECHOED": (640, 60),
    "ESTABLISHED": (820, 200),
    "SHUTDOWN-PENDING": (1050, 60),
    "SHUTDOWN-RECEIVED": (1050, 300),
    "SHUTDOWN-SENT": (1340, 60),
    "SHUTDOWN-ACK-SENT": (1340, 300),
    f"CLOSED{_END}": (1580, 180),
}
_BENT = {
    ("SYN-RECEIVED", "CLOSE-WAIT"): (640, 330),
    ("COOKIE-WAIT", "ESTABLISHED"): (520, 170),
    ("FIN-WAIT-1", "TIME-WAIT"): (1325, -30),
}
"arrows that go round what stands between, and by way of where"
_TCP_MORE: Sequence[Move] = (
    ("SYN-SENT", "RST, timeout", "CLOSED"),  # section 3.10.7.3, and 3.8.3's R2
    ("FIN-WAIT-1", "receive FIN and ACK of FIN", "TIME-WAIT"),  # figure 5, note 2: both in one segment
)
"what no single event of the table is"
_ANYWHERE = ("RST", "ABORT", "limit")  # what leads from every state to CLOSED: said below, not drawn
_ENDING = ("LAST-ACK", "TIME-WAIT", "SHUTDOWN-SENT", "SHUTDOWN-ACK-SENT")


def render(story: Story) -> str:
    """The diagram of each transport protocol of the story's that has states; '' where none has."""
    kinds = {type(packet.facts.transport) for packet in story.packets}
    stated = any(state for told in story.calls for _, state in told.states_after)  # by calls alone, listen's say
    drawn = []
    title = "The states of a TCP connection, RFC 9293"
    if TcpSegment in kinds or (stated and SctpPacket not in kinds):
        note = (
            "A reset (RST) leads from every state to CLOSED, but from SYN-RECEIVED after a passive open (listen) "
            "back to LISTEN; a listening socket survives it."
        )
        drawn.append(_draw("TCP", title, _TCP, _moves(TCP_TRANSITIONS), note, _TCP_MORE))
    if SctpPacket in kinds:
        note = "ABORT, and too many retransmissions, lead from every state to CLOSED."
        title = "The states of an SCTP association, RFC 9260"
        drawn.append(_draw("SCTP", title, _SCTP, _moves(SCTP_TRANSITIONS), note))
    return "\n".join(drawn)


def _moves(table: Mapping[tuple[State, Event], State]) -> list[Move]:
    return [(str(before), str(event), str(after)) for (before, event), after in table.items()]


def _draw(
    protocol: str, title: str, places: Places, moves: Iterable[Move], note: str, more: Sequence[Move] = ()
) -> str:
    wide = max(x for x, _ in places.values()) + _WIDE // 2 + 12
    high = max(y for _, y in places.values()) + 56
    top = -8 if more else 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" data-of="{protocol}" role="img" '
        f'viewBox="0 {top} {wide} {high - top}">',
        f"<title>{title}</title>",
        f'<defs><marker id="tip-{protocol}" markerWidth="9" markerHeight="8" refX="9" refY="4" orient="auto">'
        '<path class="tip" d="M0 0 9 4 0 8z"/></marker></defs>',
        *_edges(protocol, places, moves, more),
        *(_node(name, x, y) for name, (x, y) in places.items()),
        f'<text class="note" x="10" y="{high - 8}">{note}</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _edges(protocol: str, places: Places, moves: Iterable[Move], more: Sequence[Move]) -> Iterator[str]:
    """One arrow for each pair of states, with all that brings it about; words last, so that no line crosses them."""
    events: dict[tuple[str, str], list[str]] = {}
    for before, event, after in moves:
        if not any(word in event for word in _ANYWHERE):
            end = f"{after}{_END}" if after == "CLOSED" and before in _ENDING else after
            events.setdefault((before, end), []).append(event)
    for before, event, after in more:
        events.setdefault((before, after), []).append(event)
    words = []
    for (before, end), names in events.items():
        aside = 16.0 if (end, before) in events else 0.0
        x1, y1, x2, y2 = _between(places[before], _BENT.get((before, end), places[end]), aside)
        x, y, line = (x1 + x2) / 2, (y1 + y2) / 2, f"L{x2:.0f} {y2:.0f}"
        if bend := _BENT.get((before, end)):
            _, _, x2, y2 = _between(bend, places[end], aside)
            x, y = (x1 + 2 * bend[0] + x2) / 4, (y1 + 2 * bend[1] + y2) / 4
            line = f"Q{bend[0]} {bend[1]} {x2:.0f} {y2:.0f}"
        yield f'<path class="edge" marker-end="url(#tip-{protocol})" d="M{x1:.0f} {y1:.0f}{line}"/>'
        said = [part for name in names for part in re.split("(?<=send|eive) ", name, maxsplit=1)]
        y += 4 - _LINE * (len(said) - 1) / 2
        for number, part in enumerate(said):
            place = f'x="{x:.0f}" y="{y + _LINE * number:.0f}" text-anchor="middle"'
            words.append(f'<text class="event" {place}>{html.escape(part)}</text>')
    yield from words


def _between(start: tuple[int, int], end: tuple[int, int], aside: float) -> tuple[float, float, float, float]:
    """A straight line from edge to edge of two boxes, moved to its right by `aside`."""
    (x1, y1), (x2, y2) = start, end
    long = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    dx, dy = (x2 - x1) / long, (y2 - y1) / long
    right_x, right_y = -dy * aside, dx * aside

    def edge(x: float, y: float, sign: int) -> tuple[float, float]:
        """Where the line leaves the box round (x, y)."""
        across = (_WIDE / 2 - sign * math.copysign(1, dx) * right_x) / abs(dx) if dx else math.inf
        down = (_HIGH / 2 - sign * math.copysign(1, dy) * right_y) / abs(dy) if dy else math.inf
        reach = min(across, down)
        return x + right_x + sign * dx * reach, y + right_y + sign * dy * reach

    return (*edge(x1, y1, 1), *edge(x2, y2, -1))


def _node(name: str, x: int, y: int) -> str:
    place = f'x="{x - _WIDE / 2:.0f}" y="{y - _HIGH / 2:.0f}" width="{_WIDE}" height="{_HIGH}" rx="6"'
    state = name.removesuffix(_END)
    last = ' data-end=""' if name != state else ""
    return (
        f'<g class="node" data-state="{state}"{last}><rect {place}/><text x="{x}" y="{y + 5}" text-anchor="middle">'
        f'{state}</text><text class="who" x="{x}" y="{y + _HIGH / 2 + 14:.0f}" text-anchor="middle"></text></g>'
    )
