"""SCTP in captures by others: what its chunks imply, and states where both ends speak at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from rawlab import store
from rawlab.attribution.telling import tell
from rawlab.model.story import Story
from rawlab.wire.decode import decode

FOLDER = Path(__file__).parents[3] / "shared" / "pcaps"


@cache
def story(name: str) -> Story:
    if not (FOLDER / name).is_file():
        pytest.skip(f"{name}: not here")
    return tell(store.load(FOLDER / name), decode)


def states(name: str, n: int) -> list[str | None]:
    found = dict(story(name).packets[n - 1].states)
    return [found[head] for head in story(name).heads]


def reason(name: str, n: int) -> str:
    return story(name).packets[n - 1].cause.reason


def test_inits_that_cross() -> None:
    """One association comes of both (RFC 9260 section 5.2.1), though ABORTs answered all INITs before."""
    name = "sctp-init-collision.cap"
    assert "no socket listens on port 12345" in reason(name, 2)
    assert [states(name, n) for n in (17, 18, 20, 24)] == [
        [None, "COOKIE-WAIT"],
        ["COOKIE-WAIT", "COOKIE-WAIT"],
        ["COOKIE-ECHOED", "COOKIE-ECHOED"],
        ["ESTABLISHED", "ESTABLISHED"],
    ]
    for n, init in ((19, 18), (20, 17)):
        assert reason(name, n) == f"answers INIT (packet {init}), which has crossed its own: both set up at once"


def test_shutdowns_that_cross() -> None:
    """Each sent SHUTDOWN before the other's came, and so SHUTDOWN ACK (section 9.2)."""
    assert [states("sctp-init-collision.cap", n) for n in range(29, 34)] == [
        ["SHUTDOWN-SENT", "ESTABLISHED"],
        ["SHUTDOWN-ACK-SENT", "SHUTDOWN-SENT"],
        ["SHUTDOWN-ACK-SENT", "SHUTDOWN-ACK-SENT"],
        ["SHUTDOWN-ACK-SENT", "CLOSED"],
        ["CLOSED", "CLOSED"],
    ]


def test_messages_and_round_trips() -> None:
    """What was sent, on which stream, and how long its acknowledgment took."""
    name = "sctp-test-bulk.cap"
    assert reason(name, 5) == "2 sends of 512 octets on stream 0 and 512 octets on stream 1 (TSN 0 to 1)"
    assert reason(name, 6).startswith("acknowledges TSN 0 to 1 (packet 5), 0.247 ms after it")
