"""Turn by turn: what the client says, what the server said, what it says now; and what differs."""

from __future__ import annotations

import json

import pytest

from rawlab.model.address import Endpoint
from rawlab.model.dialogue import Answered, Dialogue, Saying, Turn
from rawlab.views import dialogue

ENDS = {"client": Endpoint("10.0.0.1", 40000), "server": Endpoint("10.0.0.2", 7)}


def asked(*turns: tuple[bytes, bytes], unknown: tuple[tuple[int, int], ...] = ()) -> Dialogue:
    """Of TCP's; what the client said, and what was answered."""
    made = tuple(
        Turn(says=(Saying(data=says),) if says else (), answers=(answer,) if answer else (), unknown=unknown)
        for says, answer in turns
    )
    return Dialogue(protocol="tcp", turns=made, client_ends="FIN", server_ends="FIN", **ENDS)  # type: ignore[arg-type]


def now(*answers: bytes | None, ends: str | None = "FIN") -> Answered:
    told = tuple(None if answer is None else (answer,) if answer else () for answer in answers)
    return Answered(turns=told, ends=ends)  # type: ignore[arg-type]


def test_all_the_same() -> None:
    """Each turn says so, and the summary."""
    text = dialogue.render(asked((b"hi", b"ho"), (b"bye", b"")), now(b"ho", b""))
    assert text.count("the same") == 2
    assert "nothing either" in text
    assert text.endswith("the answer is the same")


def test_lines_that_differ() -> None:
    """As diff shows them; an exit code depends on `same`."""
    then, told = asked((b"GET /\r\n", b"one\r\ntwo\r\n")), now(b"one\r\nTWO\r\n")
    assert not dialogue.same(then, told)
    assert "  -two\n  +TWO" in dialogue.render(then, told)


def test_octets_that_differ() -> None:
    """From where they part."""
    text = dialogue.render(asked((b"?", bytes(20) + b"\x01")), now(bytes(20) + b"\x02"))
    assert "from octet 21 on" in text
    assert "-00 00 00 00 00 00 00 00 01\n" in text


def test_a_longer_answer_differs_where_the_other_ends() -> None:
    """Not an error: one is the beginning of the other."""
    assert "from octet 3 on" in dialogue.render(asked((b"?", b"\x00\x01")), now(b"\x00\x01\x02"))


def test_what_the_capture_does_not_hold_is_not_compared() -> None:
    """It is said how much of it that is."""
    then = asked((b"?", b"ab\0\0ef"), unknown=((2, 4),))
    assert dialogue.same(then, now(b"abXYef"))
    assert not dialogue.same(then, now(b"abXYeg"))
    assert "but for 2 octets that the capture has not" in dialogue.render(then, now(b"abXYef"))


def test_another_end() -> None:
    """A reset in place of FIN is told; that a turn was not reached, too."""
    then, told = asked((b"a", b"1"), (b"b", b"2")), now(b"1", None, ends="RST")
    text = dialogue.render(then, told)
    assert "not asked: the dialogue had ended" in text
    assert text.endswith("1 of 2 answers are the same; the server ended with FIN in the capture, now with RST")


@pytest.mark.parametrize("format", ["simple", "github", "html", "latex", "tsv"])
def test_what_a_server_says_is_inert(format: str) -> None:
    """No control character, no tag, in whatever format."""
    text = dialogue.render(asked((b"\x1b[2J", b"<script>")), now(b"\x1b]0;x\x07<b>"), format)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert format != "html" or "<script>" not in text


def test_as_json() -> None:
    """All octets in hex."""
    told = json.loads(dialogue.render(asked((b"a", b"1")), now(b"2"), "json"))
    assert told["turns"][0] == {"says": ["61"], "answers": ["31"], "unknown": [], "now": ["32"], "same": False}
    assert (told["same"], told["ends_now"]) == (False, "FIN")


def test_a_capture_that_ends_within_an_answer() -> None:
    """No end of either side is seen: what goes on behind it is no difference."""
    then = asked((b"?", b"one"))
    cut = Dialogue(protocol="tcp", turns=then.turns, **ENDS)  # type: ignore[arg-type]
    assert dialogue.same(cut, now(b"one and two", ends=None))
    assert "the same, and 8 octets more: the capture ends there" in dialogue.render(cut, now(b"one and two", ends=None))
    assert not dialogue.same(cut, now(b"on", ends=None))


def test_a_server_that_does_not_end_any_more() -> None:
    """Its FIN is part of what it said."""
    then, told = asked((b"?", b"one")), now(b"one", ends=None)
    assert not dialogue.same(then, told)
    assert "now it does not within 1 s" in dialogue.summary(then, told)


def test_an_answer_that_was_not_waited_for_any_longer() -> None:
    """How long it was waited for is said, and where a late one is counted."""
    then = asked((b"a", b"1"), (b"b", b"2"))
    told = Answered(turns=((), (b"1",)), ends="FIN", silent=frozenset((0,)))
    text = dialogue.render(then, told)
    assert "differs: nothing within 3 s" in text
    assert text.endswith("counted with a later turn")


def test_an_empty_message_that_did_not_come() -> None:
    """Of UDP's, nothing is less than an empty datagram."""
    then = Dialogue(protocol="udp", turns=(Turn(says=(Saying(data=b""),), answers=(b"",)),), **ENDS)  # type: ignore[arg-type]
    text = dialogue.render(then, Answered(turns=((),)))
    assert "1 empty message then, none now" in text
