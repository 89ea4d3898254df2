"""The live table: a row a packet, in columns that never move, and nothing in it that a terminal obeys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rawlab import store
from rawlab.attribution.following import Follower
from rawlab.model.story import Packet
from rawlab.model.timeline import Host, Point
from rawlab.views.live_table import LiveTable
from rawlab.wire.decode import decode

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))


def seen(name: str) -> tuple[tuple[Point, ...], tuple[Host, ...], list[Packet]]:
    timeline = store.load(next(path for path in CAPTURES if path.stem == name))
    follower = Follower(timeline.points, timeline.hosts, decode)
    packets = (follower.see(frame) for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns))
    return timeline.points, timeline.hosts, [packet for packet in packets if packet is not None]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 129, 130, 200])
@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("name", ["tcp-echo", "sctp-echo", "udp-large"])
def test_no_line_is_wider_than_the_terminal(name: str, sockets: bool, width: int) -> None:
    """Cells are folded; the head has the rows' columns."""
    points, hosts, packets = seen(name)
    table = LiveTable(points, hosts, width=width, sockets=sockets)
    head = table.header().split("\n")
    rows = [table.row(packet, "python3[123456] fd 12, closed already") for packet in packets]
    lines = [line for text in (*head, *rows) for line in text.split("\n")]
    least = 80 if sockets else 62  # below, columns keep what makes them readable
    assert max(map(len, lines)) <= max(width, least)
    starts = [at for at in range(len(head[1])) if head[1][at] == "-" and (at == 0 or head[1][at - 1] == " ")]
    assert all(line[at - 1] == " " for line in lines for at in starts[1:] if len(line) >= at)
    for row, packet in zip(rows, packets, strict=True):
        assert row.startswith(f"p{packet.n} ")


def test_in_a_pipe_a_row_is_a_line() -> None:
    """However long its cells are: for grep and head."""
    points, hosts, packets = seen("tcp-echo")
    table = LiveTable(points, hosts)
    for packet in packets:
        assert "\n" not in table.row(packet)
    states = ["client", "is", "server", "is"]
    assert table.header().splitlines()[0].split() == ["#", "ms", "from", "packet", *states, "why"]


def test_in_a_pipe_a_column_is_as_wide_as_its_longest_cell_so_far() -> None:
    """A row that is wider than the head moves no row behind it back: what stands after it is aligned with it."""
    points, hosts, packets = seen("sctp-echo")
    table = LiveTable(points, hosts)
    places = []
    for packet in packets:
        row = table.row(packet)
        places.append(row.index(packet.cause.reason))
    assert places == sorted(places)
    assert places[0] < places[-1]


def test_where_a_router_is_the_ttl_is_told() -> None:
    """Each packet's own, as in a saved capture's table; elsewhere it says nothing."""
    points, hosts, packets = seen("raw-traceroute")
    table = LiveTable(points, hosts)
    told = [(packet.facts.ip.ttl, table.row(packet)) for packet in packets if packet.facts.ip is not None]
    assert told
    assert all(f", ttl {ttl} " in row for ttl, row in told)
    points, hosts, packets = seen("udp-large")
    table = LiveTable(points, hosts)
    assert not any(", ttl" in table.row(packet) for packet in packets)


def test_the_words_are_the_tables() -> None:
    """Number, milliseconds since the first row, who, what, both states, why and how sure that is."""
    points, hosts, packets = seen("tcp-echo")
    table = LiveTable(points, hosts)
    rows = [table.row(packet) for packet in packets]
    syn = next(row for row in rows if "[S]" in row)
    assert "client  10.0.0.1." in syn
    assert "> 10.0.0.2.7: [S] seq 0, win 64240, len 0" in syn
    assert "a connect sends SYN; takes segments of at most 1460 octets (MSS), offers window scale" in syn
    assert syn.endswith("(inferred)")
    assert rows[0].split()[1] == "0.000"


def test_json_is_one_object_a_line() -> None:
    """Without a head; what only the future can say is null."""
    points, hosts, packets = seen("tcp-echo")
    table = LiveTable(points, hosts, as_json=True)
    assert table.header() == ""
    values = [json.loads(table.row(packet)) for packet in packets]
    assert [value["n"] for value in values] == [packet.n for packet in packets]
    assert all(value["lost"] is None for value in values)


def test_nothing_that_a_terminal_obeys() -> None:
    """From whatever place it came: reasons and sockets' names too."""
    points, hosts, packets = seen("tcp-echo")
    hostile = "\x1b[2J\x9b31m\r\n\u202e"
    packet = replace(packets[0], cause=replace(packets[0].cause, reason=hostile))
    for width in (None, 80):
        row = LiveTable(points, hosts, width=width, sockets=True).row(packet, hostile)
        assert not set(row) & set("\x1b\x9b\r\u202e")


def test_colour_tells_who_and_what_is_unknown() -> None:
    """The sender's, or red; each line of a row is painted by itself."""
    points, hosts, packets = seen("tcp-echo")
    table = LiveTable(points, hosts, width=80, colour=True)
    syn = next(packet for packet in packets if packet.sender == "client")
    lines = table.row(syn).split("\n")
    assert all(line.startswith("\x1b[36m") and line.endswith("\x1b[0m") for line in lines)
    unknown = replace(syn, cause=replace(syn.cause, kind="unknown"))
    assert table.row(unknown).startswith("\x1b[31m")
