"""How far down each moment of a ladder stands: time made room for words.

Moments (a call's entry and return, a packet's departure and arrival) come one below the other in order of time. How
far apart, says the axis: `even`, all alike; `compressed`, the more the longer it took, and a long silence folded;
`true`, in proportion. But for `true`, a moment waits until the words above it in its column have ended, so that no two
overlap; there, where a moment can't wait, its words do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.lanes import Key, Moment

Axis = Literal["compressed", "even", "true"]
AXES: tuple[Axis, ...] = ("compressed", "even", "true")

_EVEN = 14.0
_FOLD = 30.0
_ABOVE = 20.0  # the first words may reach so far above the first moment
_SILENCE_NS = 100_000_000  # what may be folded
_TRUE_ROW = 30.0  # a row's share of a true axis's height
_LEAST_TRUE, _MOST_TRUE = 700.0, 40_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Room in a column: so much above the moment, so much below it."""

    column: str
    above: float
    below: float


@dataclass(slots=True, kw_only=True)
class Placed:
    """Where they stand."""

    y: dict[Key, float] = field(default_factory=dict)
    words_y: dict[tuple[Key, str], float] = field(default_factory=dict)
    "where the words of a moment stand in a column, where not at the moment itself"
    silences: list[tuple[float, int]] = field(default_factory=list)
    "(y, ns): the middle of each time left out, and how long it was"
    bottom: float
    "where the last of them and its words end"


def begun(story: Story) -> int:
    """When the first thing of all happened: the table's, and every axis's, nought."""
    firsts = [told.call.entered_ns for told in story.calls] + [packet.at_ns for packet in story.packets]
    return min(firsts, default=0)


def since(ns: int) -> str:
    """A moment's time since the first, as tables have it: '1511.234 ms'."""
    return f"{ns / 1e6:.3f} ms"


def moments(calls: Sequence[CallStory], packets: Sequence[Packet]) -> list[Moment]:
    """Entries and returns, departures and arrivals, in order of time."""
    found = []
    for told in calls:
        found.append(Moment(at_ns=told.call.entered_ns, key=("c", told.n, 0)))
        if told.call.returned_ns is not None:
            found.append(Moment(at_ns=told.call.returned_ns, key=("c", told.n, 1)))
    for packet in packets:
        found.append(Moment(at_ns=packet.at_ns, key=("p", packet.n, 0)))
        if packet.sent_ns is not None and packet.arrived_ns is not None:
            found.append(Moment(at_ns=packet.arrived_ns, key=("p", packet.n, 1)))
    return sorted(found, key=lambda moment: (moment.at_ns, moment.key[2], *moment.key[:2]))


def silence(gaps_ns: Sequence[int]) -> int:
    """Nanoseconds from which on nothing happened for so long that the time is left out."""
    return max(_SILENCE_NS, 20 * sorted(gaps_ns)[len(gaps_ns) // 2]) if gaps_ns else _SILENCE_NS


def place(moments: Sequence[Moment], needs: Mapping[Key, Sequence[Need]], axis: Axis, *, top: float) -> Placed:
    """Each moment's place, the first no higher than `top`; `moments` in order of time."""
    return (_in_proportion if axis == "true" else _in_turn)(moments, needs, axis, top)


def _in_proportion(moments: Sequence[Moment], needs: Mapping[Key, Sequence[Need]], axis: Axis, top: float) -> Placed:
    placed = Placed(bottom=top)
    free: dict[str, float] = defaultdict(lambda: top - _ABOVE)
    first_ns, last_ns = (moments[0].at_ns, moments[-1].at_ns) if moments else (0, 0)
    high = min(max(_LEAST_TRUE, _TRUE_ROW * len(moments)), _MOST_TRUE)
    scale = high / (last_ns - first_ns) if last_ns > first_ns else 0.0
    for moment in moments:
        y = placed.y[moment.key] = top + (moment.at_ns - first_ns) * scale
        for need in needs.get(moment.key, ()):
            stands = max(y, free[need.column] + need.above)
            placed.words_y[moment.key, need.column] = stands
            free[need.column] = stands + need.below
        placed.bottom = y
    placed.bottom = max([placed.bottom, *free.values()])
    return placed


def _in_turn(moments: Sequence[Moment], needs: Mapping[Key, Sequence[Need]], axis: Axis, top: float) -> Placed:
    placed = Placed(bottom=top)
    floor, y = top - _ABOVE, top
    free: dict[str, float] = defaultdict(lambda: floor)
    gaps = [after.at_ns - before.at_ns for before, after in pairwise(moments)]
    folded_ns = silence(gaps)
    for moment, took in zip(moments, [0, *gaps], strict=False):
        step = 0.0 if not placed.y else _EVEN if axis == "even" else _gap(took)
        if axis == "compressed" and took >= folded_ns:
            begins = max([y, *free.values()])
            floor = y = begins + _FOLD
            free.clear()
            placed.silences.append(((begins + y) / 2, took))
            step = _gap(0)
        mine = needs.get(moment.key, ())
        y = max([y + step, *(free[need.column] + need.above for need in mine)])
        for need in mine:
            free[need.column] = y + need.below
        placed.y[moment.key] = y
    placed.bottom = max([y, *free.values()])
    return placed


def _gap(took_ns: int) -> float:
    """How far apart moments are that are so long apart: 10 points for 1 µs, 30 for 1 ms, 60 for a second."""
    return 4 + 10 * math.log10(1 + took_ns / 1_000)
