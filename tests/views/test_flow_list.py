"""The list of flows: what a line says, in a pipe, in a wide and in a narrow terminal."""

from __future__ import annotations

from typing import Any

import pytest

from rawlab.views import flow_list
from rawlab.views.style import COLOURS, Style

FLOWS: dict[str, list[Any]] = {
    "flow": [1, 2],
    "protocol": ["tcp", "udp"],
    "ends": ["10.0.0.1:4000 → 10.0.0.2:80", "10.0.0.1:5000 → 10.0.0.3:53"],
    "packets": [120, 1],
    "bytes_out": [100_000, 70],
    "bytes_in": [5, 0],
    "start_ns": [0, 1_500_000_000],
    "duration_ns": [2_000_000_000, 0],
    "opened": ["handshake", None],
    "ended": ["RST by B", None],
    "tcp_retransmissions": [3, 0],
    "tcp_missing": [0, 0],
    "handshake_rtt_ns": [123_000, None],
    "notable": ["zero window 2×", ""],
}


def test_in_a_pipe_each_flow_has_a_line() -> None:
    """Numbers stand on the right; what lacks is empty."""
    assert flow_list.render(FLOWS, Style()).split("\n") == [
        "#  protocol  flow                         packets  octets →  octets ←   at s  lasts s  opened     ended     "
        "resent  missing  RTT ms  notable",
        "-  --------  ---------------------------  -------  --------  --------  -----  -------  ---------  --------  "
        "------  -------  ------  --------------",
        "1  tcp       10.0.0.1:4000 → 10.0.0.2:80      120    100000         5  0.000    2.000  handshake  RST by B  "
        "     3            0.123  zero window 2×",
        "2  udp       10.0.0.1:5000 → 10.0.0.3:53        1        70         0  1.500    0.000",
    ]


def test_a_narrow_terminal_says_the_same() -> None:
    """No line is wider; what happened is in words in one column."""
    drawn = flow_list.render(FLOWS, Style(width=70))
    assert max(map(len, drawn.split("\n"))) <= 70
    words = " ".join(drawn.split())
    for said in ("handshake;", "3 resent;", "RTT 0.123 ms;", "100005"):
        assert said in words


def test_a_wide_terminal_is_not_left_behind() -> None:
    """Of 140 columns none is passed."""
    drawn = flow_list.render({name: values * 40 for name, values in FLOWS.items()}, Style(width=140))
    assert max(map(len, drawn.split("\n"))) <= 140


def test_red_is_a_flow_that_was_reset() -> None:
    """And its words say so, too."""
    first, second = flow_list.render(FLOWS, Style(width=200, colour=True)).split("\n")[2:]
    assert first.startswith(COLOURS["lost"])
    assert "RST by B" in first
    assert "\x1b" not in second


def test_of_too_many_the_middle_is_left_out() -> None:
    """And a line says how many."""
    drawn = flow_list.render({name: values * 2 for name, values in FLOWS.items()}, Style(width=140), left_out=90)
    words = " ".join(drawn.split())
    assert "90 rows left out; --full shows them" in words
    assert words.index("10.0.0.3:53") < words.index("90 rows") < words.rindex("10.0.0.3:53")


def test_lines_made_elsewhere_have_the_same_head() -> None:
    """Its titles stand as in the list that is drawn here."""
    assert flow_list.head([8] * len(flow_list.TITLES)).split("\n")[1] == "  ".join(["-" * 8] * len(flow_list.TITLES))
    drawn = flow_list.render(FLOWS, Style()).split("\n")
    assert flow_list.head([*map(len, drawn[1].split("  "))]).split("\n") == drawn[:2]


def test_no_flow_is_no_line() -> None:
    """A filter may leave none."""
    assert len(flow_list.render({name: [] for name in FLOWS}, Style()).split("\n")) == 2


def test_another_format_is_tabulates() -> None:
    """Cells harmless there."""
    assert "| 1   | tcp" in flow_list.render(FLOWS, Style(format="github"))


def test_the_summary_counts() -> None:
    """Flows by protocol, frames, the time that they span, what is missing."""
    assert flow_list.summary(["tcp", "udp"], 2, 121, 2_000_000_000, ["5 frames cut short"]) == (
        "2 flows (tcp 1, udp 1), 121 frames in 2.000 s; "
        "2 gaps where segments are missing from the capture; 5 frames cut short"
    )


@pytest.mark.parametrize("width", [70, 80, 100, 120, 130, 140, 160])
def test_a_port_is_never_parted_from_its_address(width: int) -> None:
    """Ends are broken behind the arrow, or not at all; no line is wider than the terminal."""
    long = {**FLOWS, "ends": ["10.255.10.10:49356 → 10.255.10.20:7", "10.255.10.10:50000 → 10.255.10.30:53"]}
    drawn = flow_list.render(long, Style(width=width))
    assert max(map(len, drawn.split("\n"))) <= width
    assert "10.255.10.10:49356 →" in drawn
    assert "10.255.10.20:7" in drawn


def test_what_is_blank_goes_first() -> None:
    """Then the octets share a column, then it is left out when the flow began."""
    blank = {**FLOWS, "tcp_retransmissions": [0, 0], "handshake_rtt_ns": [None, None], "notable": ["", ""]}
    titles = {width: flow_list.render(blank, Style(width=width)).split("\n")[0] for width in (160, 115, 104, 96)}
    assert "RTT ms" in titles[160]
    assert "RTT ms" not in titles[115]
    assert "octets →  octets ←" in titles[115]
    assert "octets → / ←   at s" in titles[104]
    assert "octets → / ←  lasts s" in titles[96]
