"""What is missing from connections for good: what the list counts, against what random transfers really never had."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from rawlab import store
from rawlab.columns.flow_table import FlowTable
from rawlab.columns.survey import Survey
from tests import many
from tests.attribution.random_tcp import lossy, pcap

PCAPS = Path(__file__).parents[2].parent / "shared" / "pcaps"
A, B = ("10.0.0.1", 4000), ("10.0.0.2", 80)


def surveyed(octets: bytes | memoryview) -> FlowTable:
    return Survey(memoryview(octets)).run().table()


def sent(*pieces: tuple[int, int]) -> bytes:
    """A connection in which these octets, from and to, were captured, in this order."""
    frames = many.conversation(1)[:3]
    a, b = ("10.1.0.1", 20001), ("10.2.0.1", 80)
    frames += [many.tcp(a, b, 16, 1001 + begin, 5001, b"x" * (end - begin)) for begin, end in pieces]
    return many.pcap(frames)


@pytest.mark.parametrize(
    ("pieces", "missing"),
    [
        ([(0, 100), (200, 300), (100, 200)], 0),
        ([(0, 100), (200, 300), (300, 400)], 1),
        ([(0, 100), (200, 300), (100, 150)], 1),
        ([(0, 100), (200, 300), (100, 150), (150, 200)], 0),
        ([(0, 100), (400, 500), (200, 300)], 1),
        ([(0, 100), (400, 500), (200, 300), (100, 200), (300, 400)], 0),
        ([(0, 100), (200, 300), (400, 500), (50, 250)], 1),
        ([(0, 100), (200, 300), (400, 500), (0, 500)], 0),
        ([(0, 100), (200, 300), (400, 500)], 2),
    ],
)
def test_a_gap_that_is_filled_is_none(pieces: list[tuple[int, int]], missing: int) -> None:
    """In one piece or in several, with what was there already or without; half of it filled, it is one gap still."""
    table = surveyed(sent(*pieces))
    assert table.values("tcp_missing").tolist() == [missing]
    assert table.values("tcp_lost_segments")[0] >= missing


def test_random_transfers_miss_what_never_came() -> None:
    """Over windows of lossy transfers, and over the numbers' wrap: a direction has a gap if octets amid it lack."""
    rows = [row._replace(flags=row.flags & ~7) for row in lossy(Random(11), 80, 150) if row.length]
    table = surveyed(pcap(rows))
    came: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    for row in rows:
        spans = came.setdefault((row.connection, row.forward), [])
        first = spans[0][0] if spans else row.seq
        begin = first + (row.seq - first + (1 << 31)) % (1 << 32) - (1 << 31)
        spans.append((begin, begin + row.length))
    lacks: dict[int, bool] = {}
    for (connection, _), spans in came.items():
        start = reach = spans[0][0]
        for begin, end in sorted(spans):
            if end > start:
                lacks[connection] = lacks.get(connection, False) or begin > reach
                reach = max(reach, end)
    order = list(dict.fromkeys(row.connection for row in rows))
    assert 0 < sum(lacks.values()) < len(order)
    assert [bool(count) for count in table.values("tcp_missing").tolist()] == [lacks[number] for number in order]


@pytest.mark.skipif(not PCAPS.is_dir(), reason="no captures by others beside the repository")
def test_what_was_sent_again_is_not_missing() -> None:
    """tshark marks the gap where it opens; later it is filled."""
    table = surveyed(store.opened(str(PCAPS / "tcp-sack.cap")).octets)
    assert (table.values("tcp_lost_segments").tolist(), table.values("tcp_missing").tolist()) == ([1], [0])


def test_a_round_trip_is_only_told_of_what_was_answered_once() -> None:
    """None where the SYN was sent again, or was captured behind its answer; the handshake is whole all the same."""
    syn, answer, ack = many.tcp(A, B, 2, 100), many.tcp(B, A, 18, 500, 101), many.tcp(A, B, 16, 101, 501)
    for frames, rtt in (
        ([syn, answer, ack], 2_000_000),
        ([syn, answer, syn, answer, ack], -1),
        ([syn, syn, answer, ack], -1),
        ([answer, syn, ack], -1),
    ):
        table = surveyed(many.pcap(frames))
        assert table.values("opened").tolist() == ["handshake"]
        assert table.values("handshake_rtt_ns").tolist() == [rtt]


def test_data_on_a_syn_and_urgent_data_are_notable() -> None:
    """Both are rare enough to be named."""
    frames = [many.tcp(A, B, 2, 100, 0, b"early"), many.tcp(B, A, 18, 500, 106), many.tcp(A, B, 0x38, 106, 501, b"!")]
    table = surveyed(many.pcap(frames))
    assert table.values("notable").tolist() == ["data on SYN, urgent data 1×"]
    assert surveyed(many.pcap(many.mixed())).values("tcp_urgent").sum() == 0
