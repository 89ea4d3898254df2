"""The list of flows for a pipe, laid out at once: the same text that the view draws row by row."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from rawlab import store
from rawlab.columns.flow_lines import FlowLines
from rawlab.columns.flow_table import FlowTable
from rawlab.columns.survey import Survey
from rawlab.views import escape, flow_list
from rawlab.views.style import Style
from tests import many

ROOT = Path(__file__).parents[2]
OTHERS = ROOT.parent / "shared" / "pcaps"


def _table(octets: bytes | memoryview) -> FlowTable:
    return Survey(memoryview(octets)).run().table()


def _lines(table: FlowTable, rows: np.ndarray) -> str:
    drawn = FlowLines(table, rows, flow_list.TITLES, flow_list.RIGHT, escape.terminal)
    return "\n".join([flow_list.head(drawn.widths), b"".join(drawn.text()).decode()]).rstrip("\n")


def _drawn(table: FlowTable, rows: np.ndarray) -> str:
    return flow_list.render(table.lists(flow_list.NEEDED, rows), Style())


def test_every_kind_of_flow_reads_as_the_view_draws_it() -> None:
    """TCP, UDP, ICMP, ARP; refused, and with notable words."""
    table = _table(many.pcap(many.mixed()))
    rows = np.arange(len(table))
    assert _lines(table, rows) == _drawn(table, rows)


def test_some_rows_in_any_order_read_alike() -> None:
    """As --where and --sort leave them; none, too."""
    table = _table(many.pcap(many.mixed()))
    for rows in ([3, 1, 5], [4], []):
        chosen = np.array(rows, np.int64)
        assert _lines(table, chosen) == _drawn(table, chosen)


def test_times_between_two_thousandths_read_alike() -> None:
    """Halves are rounded as Python rounds a float's decimals, as every other table of times does."""
    table = _table(many.pcap(many.mixed()))
    chance = random.Random(7)
    rows = np.arange(len(table))
    for _ in range(200):
        halves = [chance.randrange(10**7) * 10**6 + chance.choice((500_000, 499_999, 500_001, 0)) for _ in rows]
        table.values("start_ns")[:] = halves
        table.values("duration_ns")[:] = halves[::-1]
        table.values("handshake_rtt_ns")[:] = [half // 1000 for half in halves]
        assert _lines(table, rows) == _drawn(table, rows)


def test_more_rows_than_a_step_are_all_there() -> None:
    """And the widths are those of all."""
    table = _table(many.pcap(many.mixed()))
    rows = np.tile(np.arange(len(table)), 3000)
    assert _lines(table, rows) == _drawn(table, rows)


@pytest.mark.skipif(not OTHERS.is_dir(), reason="no captures by others beside the repository")
def test_captures_by_others_read_alike() -> None:
    """IPv6, SCTP, tunnels, link layers that nobody decodes."""
    for path in sorted(OTHERS.glob("*.*cap*")):
        if path.name in ("file-empty.pcap", "file-bad-caplen.pcap"):
            continue
        table = _table(store.opened(str(path)).octets)
        rows = np.arange(len(table))
        assert _lines(table, rows) == _drawn(table, rows), path.name
