"""A story laid out as a ladder: where each packet, call, state and word stands (`drawing`).

    time │ client's calls │ states ║ lifeline ── packets ── lifeline ║ states │ server's calls

Whose lifelines there are, is `places`'s affair; which states when, `lanes`'s; how far apart moments are, `time_axis`'s;
all else stands where `_Layout` puts it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views import captions, lanes, time_axis
from rawlab.views.captions import SMALL, WORDS, call_words, duration, entry_words, marked, notes, packet_words, title
from rawlab.views.conversations import Conversations
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
from rawlab.views.lanes import Key
from rawlab.views.places import Places
from rawlab.views.rows import Row, rows
from rawlab.views.time_axis import AXES, Axis, Need

__all__ = ["AXES", "Axis", "layout"]

_TITLE, _STATE = 20.0, 13.0
_TOP, _MARGIN, _FOOT = 84.0, 20.0, 28.0
_ROW = 20.0  # a line of words and the air below it
_TIMES = 76.0  # the column of times, at the least
_LEAST_WIRE = 380.0
_BAR, _LEVEL = 14.0, 9.0  # from the lane to a call's bar; from a bar to the one of a call that goes on meanwhile
_LANE_AIR = 8.0
_ENDS = "exit_group"  # does not return, and nothing goes on
_TRIES, _FLYING, _MOST_SHARE, _MOST_AIR = 4, 8, 0.6, 60.0  # of room for words below the lines of packets on their way
_HEAD = 4.0  # half an arrow's head
_NOTE = 16.0  # a line below the drawing


def layout(story: Story, *, shown: Collection[str] | None = None, axis: Axis = "compressed") -> Ladder:
    """The story's ladder; `shown`: the rows ('c5', 'p7') that it is of, all where None."""
    return _Layout(story, shown, axis).ladder()


class _Layout:
    """One ladder in the making."""

    def __init__(self, story: Story, shown: Collection[str] | None, axis: Axis) -> None:
        self.story, self.axis = story, axis
        self.calls = [told for told in story.calls if shown is None or told.label in shown]
        self.packets = [packet for packet in story.packets if shown is None or f"p{packet.n}" in shown]
        self.moments = time_axis.moments(self.calls, self.packets)
        self.begun_ns = time_axis.begun(story)
        self.places = Places(story, self.packets)
        self.names = self.places.names
        self.ends = {packet.n: self.places.ends(packet) for packet in self.packets}
        self.conversations = Conversations(story)
        self._take_words()
        self._take_changes()
        self.levels = self._levels()
        self._place_columns()
        self._place_moments()

    # ---- what there is

    def _take_words(self) -> None:
        """What stands beside each packet and call; where there are several conversations, first whose it is."""
        several = len(self.conversations.all) > 1
        self.words: dict[int, Sequence[tuple[str, float]]] = {}
        for packet in self.packets:
            number = self.conversations.of_packet.get(packet.n) if several else None
            self.words[packet.n] = marked(packet_words(packet, self.story), number)
        self.call_text: dict[int, tuple[str, str]] = {}
        for told in self.calls:
            about = self.conversations.of_call[told.n]
            mark = f"#{min(about)} " if several and len(about) == 1 else ""
            self.call_text[told.n] = (mark + call_words(told), mark + entry_words(told))

    def _take_changes(self) -> None:
        """The states that lanes show, and which conversations have lanes."""
        calls, packets = {told.n: told for told in self.calls}, {packet.n: packet for packet in self.packets}
        found = lanes.changes(self.story, self.moments, calls, packets, self.conversations, self.places)
        self.laned = sorted({change.conversation for change in found})
        self.changes = [change for change in found if change.conversation in self.laned[: lanes.MOST]]

    def _levels(self) -> dict[int, int]:
        """How many of its host's calls go on at a call's entry, side by side with it."""
        levels: dict[int, int] = {}
        self.most_levels: dict[int, int] = defaultdict(int)
        going: dict[str, dict[int, float]] = defaultdict(dict)
        for told in self.calls:
            busy = going[told.call.host]
            for level in [level for level, until in busy.items() if until <= told.call.entered_ns]:
                del busy[level]
            level = next(level for level in range(len(busy) + 1) if level not in busy)
            busy[level] = told.call.entered_ns if told.call.name == _ENDS else told.call.returned_ns or math.inf
            levels[told.n] = level
            self.most_levels[self._host(told)] = max(self.most_levels[self._host(told)], level)
        return levels

    # ---- columns

    def _place_columns(self) -> None:
        """x of lifelines, and how wide what stands beside them is: left of the first, right of the others."""
        count = len(self.names)
        wide: dict[tuple[int, int], float] = {}
        for change in self.changes:
            lane = (change.host, change.conversation)
            wide[lane] = max(wide.get(lane, 0.0), width(change.state, _STATE) + _LANE_AIR)
        self.lane = [sum(one for (place, _), one in wide.items() if place == host) for host in range(count)]
        self.lanes: dict[tuple[int, int], tuple[float, float]] = {}
        "of each host's and conversation's lane: how far from the lifeline it begins, and its width"
        for host, number in sorted(wide):
            begins = sum(self.lanes[lane][1] for lane in self.lanes if lane[0] == host)
            self.lanes[host, number] = (begins, wide[host, number])
        beside = [0.0] * count
        for told in self.calls:
            host = self._host(told)
            reach = _BAR + _LEVEL * self.most_levels[host] + 10 + width(self.call_text[told.n][0], WORDS)
            beside[host] = max(beside[host], reach)
        titles = [width(terminal(name), _TITLE) for name in self.names]
        wires = [max(_LEAST_WIRE, sum(titles[place : place + 2]) / 2 + 30) for place in range(count - 1)]
        for packet in self.packets:
            wire = self._wire(packet)
            wires[wire] = max(wires[wire], *(width(line, size) + 60 for line, size in self.words[packet.n]))
        latest = self.moments[-1].at_ns - self.begun_ns if self.moments else 0
        self.times = max(_TIMES, width(time_axis.since(latest), SMALL) + 12)
        x = _MARGIN + self.times + max(beside[0] + self.lane[0], titles[0] / 2)
        self.x = [x]
        for place, across in enumerate(wires):
            x += across + (self.lane[place] + beside[place] if place else 0)
            self.x.append(x)
        self.beyond = [0.0, *(lane + more for lane, more in zip(self.lane[1:], beside[1:], strict=True))]
        "right of a lifeline, as far as its own lane and calls reach"
        outer = max(self.beyond[-1], titles[-1] / 2)
        self.notes = self._notes()
        self.width = max(x + outer, *(_MARGIN + width(note, SMALL) for note in self.notes), 0) + _MARGIN

    def _notes(self) -> list[str]:
        number_of = self.conversations.of_packet.get
        present = {number_of(packet.n, 0) for packet in self.packets}
        legend = [one for one in self.conversations.all if one.n in present]
        told = notes(self.story, legend if len(self.conversations.all) > 1 else [], self.laned)
        return [*told, *captions.strokes(self.packets, self.calls)]

    def _host(self, told: CallStory) -> int:
        return self.places.of_host(told.call.host)

    def _wire(self, packet: Packet) -> int:
        """The wire on which its words stand: its sender's, on the receiver's side."""
        sender, receiver = self.ends[packet.n]
        return sender if receiver > sender else sender - 1

    def _calls_column(self, host: int) -> str:
        """A host's calls; those of one in the middle share a column with the wire that they stand on."""
        return f"wire {host}" if 0 < host < len(self.names) - 1 else f"calls {host}"

    def _outwards(self, host: int) -> int:
        return 1 if host else -1

    # ---- moments

    def _needs(self) -> dict[Key, list[Need]]:
        needs: dict[Key, list[Need]] = defaultdict(list)
        for told in self.calls:
            column = self._calls_column(self._host(told))
            needs["c", told.n, 0].append(Need(column=column, above=_ROW / 2, below=_ROW / 2))
        for packet in self.packets:
            high = self._words_height(packet) + self.air[packet.n]
            mine = self._wire(packet)
            for wire in range(min(self.ends[packet.n]), max(self.ends[packet.n])):
                needs["p", packet.n, 0].append(Need(column=f"wire {wire}", above=high if wire == mine else 4, below=4))
                needs["p", packet.n, 1].append(Need(column=f"wire {wire}", above=0, below=_HEAD))
        for change in self.changes:
            column = f"lane {change.host} {change.conversation}"
            needs[change.key].append(Need(column=column, above=0, below=_STATE * 1.3))
        return needs

    def _words_height(self, packet: Packet) -> float:
        return sum(size * 1.2 for _, size in self.words[packet.n]) + 10

    def _place_moments(self) -> None:
        self.air: dict[int, float] = defaultdict(float)
        "what more a packet's words need, so that they stand below the line of one that is still on its way"
        for _ in range(_TRIES):
            placed = time_axis.place(self.moments, self._needs(), self.axis, top=_TOP)
            self.y, self.words_y, self.bottom = placed.y, placed.words_y, placed.bottom + _ROW
            if self.axis == "true" or not self._make_room():
                break
        self.folds = [
            Fold(
                y1=middle - 7,
                y2=middle + 7,
                label=Label(text=f"nothing for {duration(took_ns)}", x=_MARGIN, y=middle + 4, size=SMALL),
            )
            for middle, took_ns in placed.silences
        ]

    def _make_room(self) -> bool:
        """Whether words were crossed by the line of a packet that left before them, the same way; they get room.

        Long words do not: where they end, the line is nearly as low as its packet's arrival, which comes later still.
        """
        before: list[Packet] = []
        made = False
        for packet in self.packets:
            top = self.y["p", packet.n, 0] - self._words_height(packet)
            sender, receiver = self.ends[packet.n]
            reach = max(width(line, size) for line, size in self.words[packet.n]) + 14
            share = reach / abs(self.x[sender] - self.x[receiver])
            before = [one for one in before[-_FLYING:] if self.y.get(("p", one.n, 1), 0.0) > top]
            for one in before:
                begins, ends = self.y["p", one.n, 0], self.y["p", one.n, 1]
                crossed = begins + (ends - begins) * share
                if self.ends[one.n] == (sender, receiver) and share < _MOST_SHARE and crossed > top + 1:
                    self.air[packet.n] = min(self.air[packet.n] + crossed - top, _MOST_AIR)
                    made = True
            before.append(packet)
        return made

    # ---- the drawing

    def ladder(self) -> Ladder:
        """All of it."""
        leaders: list[Leader] = []
        return Ladder(
            title=title(self.story, self.names),
            width=self.width,
            height=self.bottom + _FOOT + len(self.notes) * _NOTE,
            lifelines=tuple(self._lifelines()),
            arrows=tuple(self._arrow(packet, leaders) for packet in self.packets),
            bars=tuple(self._bar(told, leaders) for told in self.calls),
            ties=tuple(self._ties()),
            spans=tuple(self._spans()),
            folds=tuple(self.folds),
            ticks=tuple(self._ticks()),
            leaders=tuple(leaders),
            steps=tuple(self._steps()),
            heads=tuple(self._heads()),
            notes=tuple(
                Label(text=note, x=_MARGIN, y=self.bottom + _FOOT + number * _NOTE, size=SMALL)
                for number, note in enumerate(self.notes)
            ),
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
        x = start + self.beyond[sender] * (sender < len(self.names) - 1) + 14 if end > start else start - 14
        stands = self.words_y.get((("p", packet.n, 0), f"wire {self._wire(packet)}"), top)
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
            by_kernel=packet.cause.kind == "kernel",
            confidence=packet.cause.confidence,
            labels=tuple(labels),
        )

    def _bar_x(self, told: CallStory) -> float:
        host = self._host(told)
        return self.x[host] + self._outwards(host) * (self.lane[host] + _BAR + _LEVEL * self.levels[told.n])

    def _bar(self, told: CallStory, leaders: list[Leader]) -> Bar:
        host, x = self._host(told), self._bar_x(told)
        top = self.y["c", told.n, 0]
        ends = told.call.name == _ENDS
        bottom = self.y.get(("c", told.n, 1), top if ends else self.bottom - _ROW)
        outer = self.x[host] + self._outwards(host) * (self.lane[host] + _BAR + _LEVEL * self.most_levels[host] + 10)
        stands = self.words_y.get((("c", told.n, 0), self._calls_column(host)), top)
        if stands - top > 1:
            leaders.append(Leader(x1=x, y1=top, x2=outer, y2=stands))
        words, entry = self.call_text[told.n]
        return Bar(
            row=told.label,
            host=host,
            x=x,
            y1=top,
            y2=max(bottom, top + 8),
            returned=ends or told.call.returned_ns is not None,
            label=Label(text=words, x=outer, y=stands + 5, size=WORDS, anchor="start" if host else "end"),
            entry=entry,
        )

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
        for (host, number), (begins, wide) in self.lanes.items():
            mine = [one for one in self.changes if (one.host, one.conversation) == (host, number)]
            tops = [self.y[change.key] for change in mine]
            left = self._lane_x(host, begins, wide)
            for change, top, bottom in zip(mine, tops, [*tops[1:], self.bottom - _ROW], strict=True):
                stands = self.words_y.get((change.key, f"lane {host} {number}"), top)
                high = max(bottom - top, 2.0)
                fits = self.axis != "true" or (stands == top and high >= _STATE * 1.2)
                words = Label(text=change.state, x=left + wide / 2, y=stands + _STATE, size=_STATE, anchor="middle")
                yield Span(
                    state=change.state,
                    host=host,
                    conversation=number,
                    x=left,
                    y1=top,
                    y2=top + high,
                    width=wide,
                    label=words if fits else None,
                )

    def _lane_x(self, host: int, begins: float, wide: float) -> float:
        """A lane's left edge."""
        return self.x[host] - begins - wide if host == 0 else self.x[host] + begins

    def _heads(self) -> Iterator[Label]:
        for (host, number), (begins, wide) in self.lanes.items():
            if len(self.conversations.all) > 1:
                middle = self._lane_x(host, begins, wide) + wide / 2
                yield Label(text=f"#{number}", x=middle, y=_TOP - 6, size=_STATE, anchor="middle")

    def _ticks(self) -> Iterator[Tick]:
        free = 0.0
        for moment in self.moments:
            y = self.y[moment.key]
            if moment.key[2] == 0 and y >= free:
                free = y + SMALL * 1.3
                words = time_axis.since(moment.at_ns - self.begun_ns)
                yield Tick(y=y, label=Label(text=words, x=_MARGIN + self.times - 12, y=y + 4, size=SMALL, anchor="end"))

    def _steps(self) -> Iterator[Step]:
        mine = {told.label for told in self.calls} | {f"p{packet.n}" for packet in self.packets}
        for row in rows(self.story):
            if row.label in mine:
                yield Step(row=row.label, y=self.y[_key(row)], text=row.text, why=row.why, notes=row.notes)


def _key(row: Row) -> Key:
    """The moment at which a row begins."""
    if row.packet is not None:
        return ("p", row.packet.n, 0)
    assert row.call is not None
    return ("c", row.call.n, int(row.at_ns != row.call.call.entered_ns))
