"""Parts of a capture: by number, by phase, by conversation; what is not there is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlab.api import Story, load
from rawlab.errors import UsageError
from rawlab.views.part import shown

CAPTURES = Path(__file__).parents[2] / "captures"


def story(name: str = "tcp-echo") -> Story:
    return load(CAPTURES / f"{name}.pcapng")


def labels(text: str) -> frozenset[str]:
    return frozenset(text.split())


def test_all_of_it_is_no_part() -> None:
    """Where nothing is chosen, None."""
    assert shown(story()) is None


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ("6", "p6 c7 c9"),
        ("p6-p7", "p6 p7 c7 c9"),
        ("3-4, c2", "p3 p4 c2 c3 c6"),
        ("c6", "c6 p3 p4"),
    ],
)
def test_rows_bring_what_they_are_tied_to(rows: str, chosen: str) -> None:
    """A packet its calls, a call its packets; plain numbers are packets."""
    assert shown(story(), rows=rows) == labels(chosen)


@pytest.mark.parametrize(
    ("name", "phase", "chosen"),
    [
        ("tcp-echo", "handshake", "c3 c4 c6 p3 p4 p5"),
        ("tcp-echo", "data", "c7 c8 c9 c10 p6 p7 p8 p9"),
        ("tcp-echo", "close", "c11 c12 c13 p10 p11 p12"),
        ("tcp-refused", "handshake", "c2 p3 p4"),
        ("sctp-echo", "handshake", "c3 c4 c6 p3 p4 p5 p6"),
        ("sctp-echo", "close", "c11 c12 p11 p12 p13"),
        ("udp-echo", "data", "c3 c5 c6 c7 p3 p4"),
    ],
)
def test_phases(name: str, phase: str, chosen: str) -> None:
    """The handshake ends with its last acknowledgment; the close begins with FIN or SHUTDOWN; a refusal is no close."""
    assert shown(story(name), phases=(phase,)) == labels(chosen)


def test_every_packet_of_a_conversation_is_in_a_phase() -> None:
    """Together they leave none out."""
    told = story("tcp-reset")
    phases = shown(told, phases=("handshake", "data", "close"))
    assert phases is not None
    assert {f"p{packet.n}" for packet in told.packets if packet.n > 2} <= phases


def test_a_flow_and_the_calls_on_its_sockets() -> None:
    """Of two at once, the second: its own calls, and those of the listening socket that it came from."""
    told = story("tcp-concurrent")
    second = shown(told, flow=2)
    assert second is not None
    ports = {getattr(packet.facts.transport, "source_port", 0) for packet in told.packets if f"p{packet.n}" in second}
    assert ports == {7, 49380}
    names = {one.call.name for one in told.calls if one.label in second}
    assert {"socket", "listen", "accept", "connect", "read", "write", "close"} <= names
    both = shown(told, flow=2, phases=("handshake",))
    assert both is not None
    assert {"p6", "p7", "p8", "c8", "c11"} <= both < second


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"rows": "99"}, "--rows 99: 99: no such row; there are c1 to c14, p1 to p12"),
        ({"rows": "c0"}, "no such row"),
        ({"rows": "1-999999999"}, "no such row"),
        ({"rows": "7-5"}, "the first comes after the last"),
        ({"rows": "c2-p3"}, "'c2-p3' is no row; expected 12, 5-7, p5-p7 or c3"),
        ({"rows": ""}, "'' is no row"),
        ({"rows": "٣"}, "is no row"),
        ({"flow": 3}, "--flow 3 of 1: no such conversation; there is 1: tcp 10.0.0.1:49356 – 10.0.0.2:7"),
        ({"rows": "1", "flow": 1}, "--flow 1: none of its rows is among the others"),
    ],
)
def test_what_is_not_there(words: dict[str, object], message: str) -> None:
    """One line that says what there is."""
    with pytest.raises(UsageError) as error:
        shown(story(), **words)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("phase", ["handshake", "data", "close"])
def test_a_capture_without_that_phase(phase: str) -> None:
    """A ping has no handshake, no stream's data, no close."""
    with pytest.raises(UsageError, match=f"--{phase}: the capture has no"):
        shown(story("raw-ping"), phases=(phase,))
