"""Where a capture was made, inferred from what the packets show, and said once with what that hides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rawlab.attribution.telling import tell
from rawlab.model.story import Vantage
from rawlab.views.summary import summary
from rawlab.wire.decode import decode
from tests.attribution.test_foreign import MSS, captured

NEAR_CLIENT = """
client 0 [S] seq 0
server 20 [S.] seq 0 ack 1 ttl {ttl}
client 20.1 [.] seq 1 ack 1
"""
NEAR_SERVER = "client 0 [S] seq 0\nserver 0.1 [S.] seq 0 ack 1\nclient 30 [.] seq 1 ack 1"


def vantage(script: str) -> Vantage:
    told = captured(script).vantage
    assert told is not None
    return told


SCRIPTS = {
    "the client answers at once": (NEAR_CLIENT.format(ttl=64), "client", "it answers SYN-ACK within 0.100 ms"),
    "the server answers at once": (NEAR_SERVER, "server", "it answers SYN within 0.100 ms"),
    "the server's TTL has passed routers": (
        "client 0 [S] seq 0\nserver 1 [S.] seq 0 ack 1 ttl 52\nclient 2 [.] seq 1 ack 1", "client",
        "its TTL is a full 64, the other's has passed routers",
    ),
    "the client's frames are not padded": (
        "client 0 [S] seq 0\nserver 1 [S.] seq 0 ack 1 pad\nclient 2 [.] seq 1 ack 1", "client",
        "its short frames have no padding yet",
    ),
    "the server's checksums are not filled in": (
        "client 0 [S] seq 0\nserver 1 [S.] seq 0 ack 1 bad\nclient 2 [.] seq 1 ack 1\n"
        "server 3 [.] seq 1 len 9 ack 1 bad",
        "server", "its checksums are not filled in yet (offload)",
    ),
    "the server's segments are not cut": (
        f"client 0 [S] seq 0 opts {MSS}\nserver 0.1 [S.] seq 0 ack 1 opts {MSS}\nclient 30 [.] seq 1 ack 1\n"
        "server 31 [.] seq 1 len 4000 ack 1", "server", "segments larger than the MSS of 1460, not cut yet (TSO)",
    ),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_at_which_end_it_was_made(what: str) -> None:
    """By that evidence; and inferred, never more."""
    script, place, why = SCRIPTS[what]
    told = vantage(script)
    assert (told.place, told.confidence) == (place, "inferred")
    assert why in told.reason


def test_on_the_way() -> None:
    """Both ends' packets have passed routers."""
    script = "client 0 [S] seq 0 ttl 60\nserver 9 [S.] seq 0 ack 1 ttl 52\nclient 18 [.] seq 1 ack 1 ttl 60"
    assert vantage(script).place == "between"


def test_what_speaks_for_both_ends_tells_nothing() -> None:
    """The delays say the server, the TTLs the client: it cannot be told, and why not is said."""
    told = vantage("client 0 [S] seq 0\nserver 0.1 [S.] seq 0 ack 1 ttl 52\nclient 30 [.] seq 1 ack 1")
    assert (told.place, told.confidence) == ("unknown", "unknown")
    assert "speaks for both ends" in told.reason


def test_loopback_is_both() -> None:
    """No wire lies between two programs on one host."""
    story = captured(NEAR_SERVER)
    here = bytes((127, 0, 0, 1))
    frames = [
        replace(frame, data=bytes(frame.data).replace(b"\x0a\0\0\x01", here).replace(b"\x0a\0\0\x02", here))
        for frame in story.timeline.frames
    ]
    told = tell(replace(story.timeline, frames=tuple(frames)), decode).vantage
    assert told is not None
    assert (told.place, told.confidence) == ("both", "exact")


def test_it_is_said_below_the_table() -> None:
    """Where, why, and what that hides, in a line."""
    told = summary(captured(NEAR_SERVER)).splitlines()
    line = next(line for line in told if line.startswith("where it was captured"))
    assert "at 10.0.0.2 or close to it" in line
    assert "what it sent that was lost before it came here, is not seen" in line
    assert line.endswith("(inferred)")
