"""A story laid out as a ladder: where each packet, call, state and word stands (`drawing`).

    time │ client's calls │ states ║ lifeline ── packets ── lifeline ║ states │ server's calls

Moments (a call's entry and return, a packet's departure and arrival) come one below the other in order of time. How
far apart, says the axis: `even`, all alike; `compressed`, the more the longer it took, and a long silence folded;
`true`, in proportion. But for `true`, a moment waits until the words above it in its column have ended, so that no two
overlap; there, where a moment can't wait, its words do, and a line leads to them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.captions import SMALL, WORDS, call_words, duration, packet_words
from rawlab.views.drawing import (
    Anchor,
    Arrow,
    Bar,
    Fold,
    Label,
    Ladder,
    Leader,
    Lifeline,
    Span,
    Step,
    Tick,
    Tie,
    width,
)
from rawlab.views.escape import terminal
from rawlab.views.rows import Row, hosts, rows

Axis = Literal["compressed", "even", "true"]
AXES: tuple[Axis, ...] = ("compressed", "even", "true")

_TITLE, _STATE = 20.0, 13.0
_TOP, _MARGIN, _FOOT = 84.0, 20.0, 28.0
_ROW = 20.0  # a line of words and the air below it
_TIMES = 76.0  # the column of times
_LEAST_WIRE = 380.0
_BAR, _LEVEL = 14.0, 9.0  # from the lane to a call's bar; from a bar to the one of a call that goes on meanwhile
_LANE_AIR = 8.0
_EVEN = 14.0
_FOLD = 30.0
_SILENCE_NS = 100_000_000  # what may be folded
_TRUE_ROW = 30.0  # a row's share of a true axis's height
_LEAST_TRUE, _MOST_TRUE = 700.0, 40_000.0

Key = tuple[str, int, int]
"""('c' or 'p', number, 0 beginning or 1 end)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    at_ns: int
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """Room in a column: so much above the moment, so much below it."""

    column: str
    above: float
    below: float


def layout(story: Story, *, shown: Collection[str] | None = None, axis: Axis = "compressed") -> Ladder:
    """The story's ladder; `shown`: the rows ('c5', 'p7') that it is of, all where None."""
    return _Layout(story, shown, axis).ladder()


class _Layout:
    """One ladder in the making."""

    def __init__(self, story: Story, shown: Collection[str] | None, axis: Axis) -> None:
        self.story, self.axis = story, axis
        self.names = list(hosts(story))
        self.calls = [told for told in story.calls if shown is None or told.label in shown]
        self.packets = [packet for packet in story.packets if shown is None or f"p{packet.n}" in shown]
        self.moments = sorted(self._moments(), key=lambda moment: (moment.at_ns, moment.key[2], *moment.key[:2]))
        self.ends = {packet.n: self._ends(packet) for packet in self.packets}
        self.words = {packet.n: packet_words(packet, story) for packet in self.packets}
        self.call_text = {told.n: call_words(told) for told in self.calls}
        self.changes = self._changes()
        self.levels = self._levels()
        self._place_columns()
        self.y: dict[Key, float] = {}
        self.folds: list[Fold] = []
        self.label_y: dict[tuple[Key, str], float] = {}
        "where the words of a moment stand, where not at the moment itself"
        self._place_moments()

    # ---- what there is

    def _moments(self) -> Iterator[_Moment]:
        for told in self.calls:
            yield _Moment(at_ns=told.call.entered_ns, key=("c", told.n, 0))
            if told.call.returned_ns is not None:
                yield _Moment(at_ns=told.call.returned_ns, key=("c", told.n, 1))
        for packet in self.packets:
            yield _Moment(at_ns=packet.at_ns, key=("p", packet.n, 0))
            if packet.sent_ns is not None and packet.arrived_ns is not None:
                yield _Moment(at_ns=packet.arrived_ns, key=("p", packet.n, 1))

    def _ends(self, packet: Packet) -> tuple[int, int]:
        """The places of its sender and its receiver; of one whose sender nobody knows, who spoke first is the first."""
        last = len(self.names) - 1
        if packet.sender in self.names:
            sender = self.names.index(packet.sender)
        elif packet.receiver in self.names:
            sender = 1 if self.names.index(packet.receiver) == 0 else self.names.index(packet.receiver) - 1
        else:
            sender = 0 if _source(packet) == _source(_first_between(self.story, packet)) else last
        if packet.receiver in self.names and packet.receiver != packet.sender:
            return sender, self.names.index(packet.receiver)
        return sender, sender - 1 if sender == last else sender + 1

    def _changes(self) -> list[tuple[Key, int, str]]:
        """(moment, host's place, state): each state that began."""
        told: list[tuple[Key, str, str | None]] = []
        for packet in self.packets:
            told += [(("p", packet.n, 0), host, state) for host, state in packet.states]
        for one in self.calls:
            told += [(("c", one.n, 0), host, state) for host, state in one.states]
            end = 0 if one.call.returned_ns is None else 1
            told += [(("c", one.n, end), host, state) for host, state in one.states_after]
        order = {moment.key: place for place, moment in enumerate(self.moments)}
        now: dict[str, str] = {}
        changes = []
        for key, host, state in sorted(told, key=lambda one: order[one[0]]):
            if state and host in self.names and now.get(host) != state:
                now[host] = state
                changes.append((key, self.names.index(host), state))
        return changes

    def _levels(self) -> dict[int, int]:
        """How many of its host's calls go on at a call's entry, side by side with it."""
        levels: dict[int, int] = {}
        going: dict[str, dict[int, float]] = defaultdict(dict)
        for told in self.calls:
            busy = going[told.call.host]
            for level in [level for level, until in busy.items() if until <= told.call.entered_ns]:
                del busy[level]
            level = next(level for level in range(len(busy) + 1) if level not in busy)
            busy[level] = math.inf if told.call.returned_ns is None else told.call.returned_ns
            levels[told.n] = level
        return levels

    # ---- columns

    def _place_columns(self) -> None:
        """x of lifelines, and how wide what stands beside them is: left of the first, right of the others."""
        count = len(self.names)
        self.lane = [0.0] * count
        for _, host, state in self.changes:
            self.lane[host] = max(self.lane[host], width(state, _STATE) + _LANE_AIR)
        beside = [0.0] * count
        for told in self.calls:
            host = self._host(told)
            reach = _BAR + _LEVEL * self.levels[told.n] + 10 + width(self.call_text[told.n], WORDS)
            beside[host] = max(beside[host], reach)
        wires = [_LEAST_WIRE] * max(count - 1, 0)
        for packet in self.packets:
            sender, receiver = self.ends[packet.n]
            long = max(width(line, size) for line, size in self.words[packet.n]) + 60
            wires[min(sender, receiver)] = max(wires[min(sender, receiver)], long)
        x = _MARGIN + _TIMES + beside[0] + self.lane[0]
        self.x = [x]
        for place, wire in enumerate(wires):
            x += wire + (self.lane[place] + beside[place] if place else 0)
            self.x.append(x)
        outer = max(self.lane[-1] + beside[-1] if count > 1 else 0, width(self.names[-1], _TITLE) / 2)
        self.width = x + outer + _MARGIN

    def _host(self, told: CallStory) -> int:
        return self.names.index(told.call.host) if told.call.host in self.names else 0

    def _outwards(self, host: int) -> int:
        return 1 if host else -1

    # ---- moments

    def _needs(self) -> dict[Key, list[_Need]]:
        needs: dict[Key, list[_Need]] = defaultdict(list)
        for told in self.calls:
            needs["c", told.n, 0].append(_Need(column=f"calls {self._host(told)}", above=_ROW / 2, below=_ROW / 2))
        for packet in self.packets:
            high = sum(size * 1.2 for _, size in self.words[packet.n]) + 10
            wire = min(self.ends[packet.n])
            needs["p", packet.n, 0].append(_Need(column=f"wire {wire}", above=high, below=4))
        for key, host, _ in self.changes:
            needs[key].append(_Need(column=f"lane {host}", above=0, below=_STATE * 1.3))
        return needs

    def _place_moments(self) -> None:
        needs = self._needs()
        free: dict[str, float] = defaultdict(lambda: _TOP - 20)
        y = before = _TOP
        last_ns = self.moments[0].at_ns if self.moments else 0
        gaps = [b.at_ns - a.at_ns for a, b in zip(self.moments, self.moments[1:], strict=False)]
        silence = max(_SILENCE_NS, 20 * sorted(gaps)[len(gaps) // 2]) if gaps else _SILENCE_NS
        scale = self._scale(sum(gaps))
        for number, moment in enumerate(self.moments):
            took = moment.at_ns - last_ns
            last_ns = moment.at_ns
            mine = needs[moment.key]
            if self.axis == "true":
                y = _TOP + (moment.at_ns - self.moments[0].at_ns) * scale
                for need in mine:
                    stands = max(y, free[need.column] + need.above)
                    self.label_y[moment.key, need.column.split()[0]] = stands
                    free[need.column] = stands + need.below
            else:
                if self.axis == "compressed" and took >= silence:
                    before = max([y, *free.values()])
                    y = before + _FOLD
                    self._fold(before, y, took)
                    free = defaultdict(lambda floor=y: floor, dict.fromkeys(free, y))  # type: ignore[misc]
                    took = 0
                step = 0.0 if not number else _EVEN if self.axis == "even" else _gap(took)
                y = max([y + step, *(free[need.column] + need.above for need in mine)])
                for need in mine:
                    free[need.column] = y + need.below
            self.y[moment.key] = y
        self.bottom = max([y, *free.values()]) + _ROW

    def _scale(self, whole_ns: int) -> float:
        """Points a nanosecond, of a true axis."""
        high = min(max(_LEAST_TRUE, _TRUE_ROW * len(self.moments)), _MOST_TRUE)
        return high / whole_ns if whole_ns else 0.0

    def _fold(self, top: float, bottom: float, took_ns: int) -> None:
        middle = (top + bottom) / 2
        words = f"nothing for {duration(took_ns)}"
        label = Label(text=words, x=_MARGIN, y=middle + 4, size=SMALL)
        self.folds.append(Fold(y1=middle - 7, y2=middle + 7, label=label))

    # ---- the drawing

    def ladder(self) -> Ladder:
        """All of it."""
        leaders: list[Leader] = []
        return Ladder(
            title=_title(self.story, self.names),
            width=self.width,
            height=self.bottom + _FOOT,
            lifelines=tuple(self._lifelines()),
            arrows=tuple(self._arrow(packet, leaders) for packet in self.packets),
            bars=tuple(self._bar(told, leaders) for told in self.calls),
            ties=tuple(self._ties()),
            spans=tuple(self._spans()),
            folds=tuple(self.folds),
            ticks=tuple(self._ticks()),
            leaders=tuple(leaders),
            steps=tuple(self._steps()),
        )

    def _lifelines(self) -> Iterator[Lifeline]:
        for name, x in zip(self.names, self.x, strict=True):
            title = Label(text=terminal(name), x=x, y=34, size=_TITLE, anchor="middle")
            yield Lifeline(host=name, x=x, top=_TOP - 36, bottom=self.bottom, title=title)

    def _arrow(self, packet: Packet, leaders: list[Leader]) -> Arrow:
        sender, receiver = self.ends[packet.n]
        start, end = self.x[sender], self.x[receiver]
        top = self.y["p", packet.n, 0]
        bottom = self.y.get(("p", packet.n, 1), top)
        if packet.lost:
            end, bottom = (start + end) / 2, top + 10
        anchor: Anchor = "start" if end > start else "end"
        x = start + (14 if end > start else -14)
        stands = self.label_y.get((("p", packet.n, 0), "wire"), top)
        labels: list[Label] = []
        y = stands - 6
        for text, size in reversed(self.words[packet.n]):
            labels.insert(0, Label(text=text, x=x, y=y, size=size, anchor=anchor))
            y -= size * 1.2
        if stands - top > 1:
            leaders.append(Leader(x1=start, y1=top, x2=x, y2=stands))
        return Arrow(
            row=f"p{packet.n}",
            sender=sender,
            receiver=receiver,
            x1=start,
            y1=top,
            x2=end,
            y2=bottom,
            lost=packet.lost,
            by_call=packet.cause.kind == "call",
            confidence=packet.cause.confidence,
            labels=tuple(labels),
        )

    def _bar_x(self, told: CallStory) -> float:
        host = self._host(told)
        return self.x[host] + self._outwards(host) * (self.lane[host] + _BAR + _LEVEL * self.levels[told.n])

    def _bar(self, told: CallStory, leaders: list[Leader]) -> Bar:
        host, x = self._host(told), self._bar_x(told)
        top = self.y["c", told.n, 0]
        bottom = self.y.get(("c", told.n, 1), self.bottom - _ROW)
        most = max((self.levels[one.n] for one in self.calls if self._host(one) == host), default=0)
        outer = self.x[host] + self._outwards(host) * (self.lane[host] + _BAR + _LEVEL * most + 10)
        stands = self.label_y.get((("c", told.n, 0), "calls"), top)
        if stands - top > 1:
            leaders.append(Leader(x1=x, y1=top, x2=outer, y2=stands))
        words = self.call_text[told.n]
        label = Label(text=words, x=outer, y=stands + 5, size=WORDS, anchor="start" if host else "end")
        returned = told.call.returned_ns is not None
        return Bar(row=told.label, host=host, x=x, y1=top, y2=max(bottom, top + 8), returned=returned, label=label)

    def _ties(self) -> Iterator[Tie]:
        for told in self.calls:
            host, x = self._host(told), self._bar_x(told)
            top, bottom = self.y["c", told.n, 0], self.y.get(("c", told.n, 1), self.bottom - _ROW)
            bottom = max(bottom, top + 8)
            for n in told.sent:
                if n in self.ends and self.ends[n][0] == host:
                    at = self.y["p", n, 0]
                    near = min(max(at, top), bottom)
                    yield Tie(call=told.label, packet=f"p{n}", kind="sent", x1=x, y1=near, x2=self.x[host], y2=at)
            for n in told.waited_for:
                if n in self.ends and self.ends[n][1] == host:
                    at = self.y.get(("p", n, 1), self.y["p", n, 0])
                    near = min(max(at, top), bottom)
                    yield Tie(call=told.label, packet=f"p{n}", kind="waited", x1=self.x[host], y1=at, x2=x, y2=near)

    def _spans(self) -> Iterator[Span]:
        for host in range(len(self.names)):
            mine = [(key, state) for key, place, state in self.changes if place == host]
            tops = [self.y[key] for key, _ in mine]
            ends = [*tops[1:], self.bottom - _ROW] if tops else []
            left = self.x[host] - self.lane[host] if host == 0 else self.x[host]
            for (key, state), top, bottom in zip(mine, tops, ends, strict=True):
                stands = self.label_y.get((key, "lane"), top)
                high = max(bottom - top, 2.0)
                fits = self.axis != "true" or (stands == top and high >= _STATE * 1.2)
                middle = left + self.lane[host] / 2
                words = Label(text=state, x=middle, y=stands + _STATE, size=_STATE, anchor="middle")
                label = words if fits else None
                yield Span(state=state, host=host, x=left, y1=top, y2=top + high, width=self.lane[host], label=label)

    def _ticks(self) -> Iterator[Tick]:
        free = 0.0
        begun = self.moments[0].at_ns if self.moments else 0
        for moment in self.moments:
            y = self.y[moment.key]
            if moment.key[2] == 0 and y >= free and not any(fold.y1 - 8 < y < fold.y2 + 8 for fold in self.folds):
                free = y + SMALL * 1.3
                words = duration(moment.at_ns - begun)
                yield Tick(y=y, label=Label(text=words, x=_MARGIN + _TIMES - 12, y=y + 4, size=SMALL, anchor="end"))

    def _steps(self) -> Iterator[Step]:
        mine = {told.label for told in self.calls} | {f"p{packet.n}" for packet in self.packets}
        for row in rows(self.story):
            if row.label in mine:
                yield Step(row=row.label, y=self.y[_key(row)], text=row.text, why=row.why)


def _key(row: Row) -> Key:
    """The moment at which a row begins."""
    if row.packet is not None:
        return ("p", row.packet.n, 0)
    assert row.call is not None
    return ("c", row.call.n, int(row.at_ns != row.call.call.entered_ns))


def _gap(took_ns: int) -> float:
    """How far apart moments are that are so long apart: 10 points for 1 µs, 30 for 1 ms, 60 for a second."""
    return 4 + 10 * math.log10(1 + took_ns / 1_000)


def _source(packet: Packet) -> tuple[str, int]:
    ip, transport = packet.facts.ip, packet.facts.transport
    return (ip.source if ip else "", getattr(transport, "source_port", 0))


def _destination(packet: Packet) -> tuple[str, int]:
    ip, transport = packet.facts.ip, packet.facts.transport
    return (ip.destination if ip else "", getattr(transport, "destination_port", 0))


def _first_between(story: Story, packet: Packet) -> Packet:
    """The first packet between the same two, either way."""
    ends = {_source(packet), _destination(packet)}
    return next(one for one in story.packets if {_source(one), _destination(one)} == ends)


def _title(story: Story, names: Sequence[str]) -> str:
    return f"{story.timeline.run.lab or 'capture'}: calls and packets of {' and '.join(names)}"
