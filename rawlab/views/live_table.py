"""The timeline's table while it happens: a row a packet, in columns whose widths are fixed before the first.

For a terminal of a given width the cells are folded to it; else, for a pipe, a row is one line, and a column is as wide
as its longest cell so far. As JSON, a row is one object on one line. What a saved capture's own table shows, with
calls and both hosts side by side, is `table`'s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rawlab.model.story import Packet, Story
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.views import escape, story_json
from rawlab.views.columns import GAP, folded, line
from rawlab.views.rows import SENDER_AND_RECEIVER, addressed, marks
from rawlab.views.style import COLOURS, NARROW, paint

_NUMBER, _TIME, _STATE, _HOST, _SOCKET = 6, 11, 12, 6, 16
_PACKET, _MOST_PACKET = 60, 160  # in a pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    title: str
    width: int
    "characters; 0: as wide as it becomes, the last one only"


class LiveTable:
    """Rows as text, one packet at a time."""

    def __init__(
        self,
        points: Sequence[Point],
        hosts: Sequence[Host],
        *,
        width: int | None = None,
        colour: bool = False,
        sockets: bool = False,
        as_json: bool = False,
    ) -> None:
        """`width`: the terminal's columns; None: a pipe. `sockets`: whose socket is told in a column of its own."""
        names = [host.name for host in hosts]
        self._left, self._right = (names[0], names[-1]) if len(names) > 1 else SENDER_AND_RECEIVER
        self._by_role = len(names) < 2
        if {"client", "server"} <= set(names):
            self._left, self._right = "client", "server"
        self._tells_host = any(point.host is not None for point in points)
        self._width, self._colour, self._sockets, self._as_json = width, colour, sockets, as_json
        self._narrow = width is not None and width < NARROW
        self._columns = self._make_columns()
        self._start_ns: int | None = None
        timeline = Timeline(run=Run(lab="sniff"), hosts=tuple(hosts), points=tuple(points), calls=(), frames=())
        self._story = Story(timeline=timeline, calls=(), packets=())

    def _make_columns(self) -> list[Column]:
        columns = [Column(title="#", width=_NUMBER), Column(title="ms", width=_TIME)]
        if self._tells_host:
            columns.append(Column(title="from", width=_HOST))
        states = ["states"] if self._narrow else [f"{self._left} is", f"{self._right} is"]
        behind = [Column(title=title, width=_STATE) for title in states]
        if self._sockets:
            behind.append(Column(title="socket", width=_SOCKET if self._narrow else 2 * _SOCKET))
        if self._width is None:
            return [*columns, Column(title="packet", width=_PACKET), *behind, Column(title="why", width=0)]
        fixed = [*columns, *behind]
        room = max(self._width - sum(column.width for column in fixed) - len(GAP) * (len(fixed) + 1), 16)
        packet = room * 45 // 100
        return [*columns, Column(title="packet", width=packet), *behind, Column(title="why", width=room - packet)]

    def header(self) -> str:
        """Two lines; '' for JSON."""
        if self._as_json:
            return ""
        titles = [column.title for column in self._columns]
        rule = ["-" * (column.width or len(column.title)) for column in self._columns]
        return f"{line(titles, self._widths)}\n{line(rule, self._widths)}"

    def row(self, packet: Packet, socket: str | None = None) -> str:
        """One packet."""
        if self._as_json:
            value = story_json.packet_value(packet, self._story) | {"lost": None, "socket": socket}
            return json.dumps(value)
        if self._start_ns is None:
            self._start_ns = packet.at_ns
        found = dict(packet.states)
        both = (packet.sender or "", packet.receiver or "") if self._by_role else (self._left, self._right)
        states = [found.get(host) or "" for host in both]
        reason = packet.cause.reason
        if packet.cause.confidence != "exact":
            reason += f" ({packet.cause.confidence})"
        cells = [f"p{packet.n}", f"{(packet.at_ns - self._start_ns) / 1e6:.3f}"]
        cells += [packet.sender or ""] if self._tells_host else []
        cells += [addressed(packet, self._story) + marks(packet)]
        cells += ["\n".join(states).rstrip("\n") if self._narrow else states[0]]
        cells += [] if self._narrow else [states[1]]
        cells += [socket or ""] if self._sockets else []
        return self._painted(self._folded([escape.terminal(cell) for cell in [*cells, reason]]), packet)

    def _folded(self, cells: Sequence[str]) -> str:
        if self._width is None:
            flat = [cell.replace("\n", " ") for cell in cells]
            self._columns = [
                replace(column, width=min(max(column.width, len(cell)), _MOST_PACKET)) if column.width else column
                for column, cell in zip(self._columns, flat, strict=True)
            ]
            return line(flat, self._widths)
        return folded(cells, self._widths)

    @property
    def _widths(self) -> list[int]:
        return [column.width for column in self._columns]

    def _painted(self, text: str, packet: Packet) -> str:
        """Who sent it or, in red, what nothing explains; the text says both too."""
        if not self._colour:
            return text
        if packet.cause.kind == "unknown":
            return paint(text, COLOURS["lost"])
        if self._by_role:
            return text
        return paint(text, COLOURS["first" if packet.sender == self._left else "second"])
