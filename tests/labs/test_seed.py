"""The course's text names system calls, functions and flags: each is in a lab, and its run says what it did."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rawlab.labs import stream
from rawlab.model.story import Story
from rawlab.wire.strace import format_call
from tests.labs.runs import NAMES
from tests.labs.test_programs import source

CALLS = [
    *("socket", "bind", "connect", "listen", "accept", "read", "write", "close"),
    *("getpeername", "getsockname", "sendto", "recvfrom", "fork", "exit_group"),
]
SHOWN = {
    **{flag: flag for flag in ("MSG_OOB", "MSG_PEEK", "MSG_DONTROUTE", "SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW")},
    "INADDR_ANY": "0.0.0.0:",
    "898989": "0.0.0.0:47021",
}
"""What the course says, and how strace shows it; a port has 16 bits."""


@pytest.mark.parametrize("name", CALLS)
def test_a_system_call_of_the_course_is_in_a_lab(name: str, stories: Mapping[str, Story]) -> None:
    """With packets that it sent or waited for, or a sentence that it sent nothing."""
    found = [told for story in stories.values() for told in story.calls if told.call.name == name]
    assert found, f"{name}: in no lab"
    assert all(told.sent or told.waited_for or "nothing is sent" in told.why for told in found)


@pytest.mark.parametrize("word", SHOWN)
def test_a_flag_of_the_course_is_in_a_lab(word: str, stories: Mapping[str, Story]) -> None:
    """As an argument of a call."""
    calls = [format_call(told.call) for story in stories.values() for told in story.calls]
    assert any(SHOWN[word] in call for call in calls)


@pytest.mark.parametrize(("function", "call"), [("writen", "write"), ("readline", "read")])
def test_a_function_of_the_course_is_in_a_lab(function: str, call: str) -> None:
    """The course's writen and readline are made of write and read."""
    assert any(f"{function}(c, " in source(name) for name in NAMES)
    assert call in getattr(stream, function).__code__.co_names
