"""Marks of many connections at once are those of one segment at a time, wherever the windows of a capture are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest

from rawlab.attribution.tcp_analysis import TcpAnalysis
from rawlab.columns import analysis
from rawlab.columns.analysis import Analysis
from rawlab.columns.tcp_rows import Rows
from rawlab.columns.window import Window
from rawlab.model.analysis import Mark
from tests.attribution.random_tcp import ACK, CIRCLE, FIN, PSH, SYN, Row, lossy, wild

KINDS: dict[str, Callable[[Random], list[Row]]] = {
    "wild": lambda random: wild(random, 200, 20),
    "wild, no odd flags": lambda random: wild(random, 150, 30, 0),
    "wild, longer": lambda random: wild(random, 40, 200, 0.01),
    "wild, all flags": lambda random: wild(random, 300, 10, 0.5),
    "lossy": lambda random: lossy(random, 25, 100),
    "lossy, one": lambda random: lossy(random, 1, 2000),
}


class Flows:
    """Which connection each row is of, and of each connection, whether its ends had one before."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.reused: list[bool] = []
        self.flow: list[int] = []
        self.marks: list[Mark] = []
        "of each row, one at a time"
        self.rtt_ns: list[int] = []
        known: dict[int, tuple[TcpAnalysis, int]] = {}
        for number, row in enumerate(rows, 1):
            if row.connection not in known or known[row.connection][0].begins_anew(row.forward, row.seq, row.flags):
                self.reused.append(row.connection in known)
                known[row.connection] = TcpAnalysis(reused=self.reused[-1]), len(self.reused) - 1
            segment = row._asdict()
            del segment["connection"], segment["sack"]
            one, flow = known[row.connection]
            self.flow.append(flow)
            found = one.see(number=number, **segment)
            self.marks.append(found.marks)
            self.rtt_ns.append(-1 if found.rtt_ns is None else found.rtt_ns)


def window(rows: Sequence[Row], flow: Sequence[int], first: int = 0) -> Window:
    """Rows as columns."""
    count = len(rows)
    zeros = np.zeros(count, np.int32)
    return Window(
        number=np.arange(first + 1, first + count + 1),
        offset=zeros.astype(np.int64),
        captured=zeros + 40,
        length=np.array([40 + row.length for row in rows], np.int32),
        at_ns=np.array([row.at_ns for row in rows], np.int64),
        point=zeros,
        protocol=np.full(count, 6, np.int16),
        flow=np.array(flow, np.int32),
        forward=np.array([row.forward for row in rows], np.bool_),
        seq=np.array([row.seq for row in rows], np.uint32),
        ack=np.array([row.ack for row in rows], np.uint32),
        flags=np.array([row.flags for row in rows], np.uint16),
        window=np.array([row.window for row in rows], np.int32),
        payload=np.array([row.length for row in rows], np.int32),
        payload_at=zeros + 40,
        wscale=np.array([-1 if row.wscale is None else row.wscale for row in rows], np.int8),
        mss=zeros,
        slow=np.zeros(count, np.bool_),
    )


def marks(rows: Sequence[Row], flows: Flows, cuts: Sequence[int] = ()) -> list[int]:
    """Of each row, in windows cut at these rows."""
    follower = Analysis(flows)
    found: list[int] = []
    for begin, end in pairwise(sorted({0, len(rows), *cuts})):
        found += follower.marks(window(rows[begin:end], flows.flow[begin:end], begin)).tolist()
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [0, 12, 200])
def test_marks_are_those_of_one_segment_at_a_time(kind: str, cuts: int) -> None:
    """Of some thousand random segments, in windows cut at random places."""
    random = Random(f"{kind} {cuts}")
    rows = KINDS[kind](random)
    flows = Flows(rows)
    found = marks(rows, flows, [random.randrange(len(rows)) for _ in range(cuts)])
    differ = [row for row, (mark, expected) in enumerate(zip(found, flows.marks, strict=True)) if mark != expected]
    assert not differ, (differ[0], Mark(found[differ[0]]), flows.marks[differ[0]])


@pytest.mark.parametrize("cuts", [0, 40])
def test_round_trips_are_those_of_one_segment_at_a_time(cuts: int) -> None:
    """Of transfers that keep to TCP: since the eldest segment that ends where the ACK points."""
    random = Random(cuts)
    rows = lossy(random, 25, 100)
    flows = Flows(rows)
    follower = Analysis(flows, rtts=True)
    found: list[int] = []
    for begin, end in pairwise(sorted({0, len(rows), *(random.randrange(len(rows)) for _ in range(cuts))})):
        follower.marks(window(rows[begin:end], flows.flow[begin:end], begin))
        found += follower.rtt_ns.tolist()
    last: dict[tuple[int, bool], int] = {}
    expected = []
    for row, rtt_ns in zip(rows, flows.rtt_ns, strict=True):
        side = row.connection, row.forward
        expected.append(-1 if last.get(side) == row.ack else rtt_ns)  # a duplicate acknowledges nothing anew
        last[side] = row.ack
    assert found == expected
    assert sum(rtt >= 0 for rtt in found) > len(rows) // 10


def test_random_segments_have_every_mark() -> None:
    """So that no rule is compared that never holds: each mark is on at least five of the segments above."""
    random = Random(1)
    rows = [row for kind in KINDS for row in KINDS[kind](random)]
    found = Flows(rows).marks
    assert {mark.name: min(5, sum(mark in marks for marks in found)) for mark in Mark} == {
        mark.name: 5 for mark in Mark
    }


def test_most_connections_are_not_followed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transfers that keep to TCP need no walk, though they lose and reorder."""
    random = Random(2)
    rows = lossy(random, 50, 100)
    flows = Flows(rows)
    walked: list[int] = []
    segment = analysis._segment

    def walk(rows: Rows, row: int) -> dict[str, Any]:
        walked.append(row)
        return segment(rows, row)

    monkeypatch.setattr(analysis, "_segment", walk)
    assert marks(rows, flows, [2000]) == flows.marks
    assert len(walked) < len(rows) // 20


def test_more_octets_in_a_window_than_can_be_unwrapped() -> None:
    """A flow may go around the circle of sequence numbers in one window: it is cut."""
    step = 260_000  # what no segment has, but no rule asks that
    numbers = range(1, CIRCLE // step + 4000)
    rows = [
        Row(10**18 + 1000 * number, 0, True, number * step % CIRCLE, 1, ACK, 500, step)
        for number in numbers
        if number % 1000
    ]
    flows = Flows(rows)
    assert sum(Mark.LOST_SEGMENT in mark for mark in flows.marks) == len(numbers) // 1000
    assert marks(rows, flows) == flows.marks


def test_a_window_may_hold_no_tcp() -> None:
    """What is no TCP has no marks, nor have fragments without a header."""
    row = Row(10**18, 0, True, 1, 1, ACK, 0, 0)
    columns = window([row, row, row], [0, 0, 0])
    assert Analysis(()).marks(columns).tolist() == [Mark.ZERO_WINDOW] * 3
    assert Analysis(()).marks(replace(columns, protocol=np.full(3, 17, np.int16))).tolist() == [0, 0, 0]
    assert Analysis(()).marks(replace(columns, payload_at=np.zeros(3, np.int32))).tolist() == [0, 0, 0]
    assert Analysis(()).marks(window([], [])).tolist() == []


def test_flows_may_come_in_any_number() -> None:
    """More than 2^16 of them in one window, which are sorted in two steps."""
    rows = [Row(number, number % 70_000, True, 5 + number // 70_000, 1, ACK, 9, 1) for number in range(140_000)]
    rows += [Row(10**6 + number, number, True, 5, 1, PSH | ACK, 9, 1) for number in range(0, 70_000, 1000)]
    found = Analysis(()).marks(window(rows, [row.connection for row in rows]))
    assert not found[:140_000].any()
    assert (found[140_000:] != 0).all()


@pytest.mark.parametrize("flags", [FIN | ACK, SYN])
def test_a_direction_that_was_not_acknowledged_for_long(flags: int) -> None:
    """tshark remembers 10,000 segments; FIN after more of them takes no sequence number for it."""
    rows = [Row(10**18 + number, 0, True, 100 + number, 1, ACK, 9, 1) for number in range(10_001)]
    rows.append(Row(10**18 + 20_000, 0, True, 100 + len(rows), 1, flags, 9, 0))
    rows.append(Row(10**18 + 30_000, 0, True, 100 + len(rows), 1, ACK, 9, 0))
    flows = Flows(rows)
    assert marks(rows, flows, [5000]) == flows.marks
