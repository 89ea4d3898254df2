"""The capture with comments: Wireshark's own reader shows them, and all else is as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rawlab.api import explain
from rawlab.attribution.telling import tell
from rawlab.views import commented
from rawlab.wire import capture, notes
from rawlab.wire.decode import decode
from tests.attribution.test_unproven import without_calls
from tests.views.stories import ECHO
from tests.wire.frames import tool

CAPTURE = Path(__file__).parents[2] / "captures" / "tcp-echo.pcapng"


def test_every_packet_s_frames_have_its_why_as_comment() -> None:
    """With what it means; at both points of observation; calls, times and statistics stay."""
    source = CAPTURE.read_bytes()
    before = capture.read(source)
    assert before is not None
    story = explain(before)
    after = capture.read(commented.render(story, source))
    assert after is not None
    comments = {frame.number: frame.comments for frame in after.frames}
    for packet in story.packets:
        for number in packet.frames:
            (said,) = comments[number]
            assert said.startswith(f"p{packet.n}: {packet.cause.reason}")
    plain = [(one.number, one.at_ns, one.point, bytes(one.data)) for one in before.frames]
    assert [(one.number, one.at_ns, one.point, bytes(one.data)) for one in after.frames] == plain
    assert (after.calls, after.points, after.run, after.complete) == (before.calls, before.points, before.run, True)


def test_comments_that_are_there_stay_and_none_is_written_twice() -> None:
    """The lecturer's first; done again, nothing changes."""
    source = CAPTURE.read_bytes()
    timeline = capture.read(source)
    assert timeline is not None
    number = timeline.frames[0].number
    source = b"".join(notes.rewritten(source, {number: ["the lecturer's"]}))
    noted = capture.read(source)
    assert noted is not None
    once = commented.render(explain(noted), source)
    found = capture.read(once)
    assert found is not None
    assert found.frames[0].comments[0] == "the lecturer's"
    assert len(found.frames[0].comments) == 2
    assert commented.render(explain(found), once) == once


def test_a_part_of_them() -> None:
    """Only the packets that are asked for are commented; no packet is left out."""
    source = CAPTURE.read_bytes()
    timeline = capture.read(source)
    assert timeline is not None
    after = capture.read(commented.render(explain(timeline), source, shown={"p3"}))
    assert after is not None
    assert len(after.frames) == len(timeline.frames)
    assert sum(bool(frame.comments) for frame in after.frames) == 2


def test_a_pcap_becomes_a_pcapng(tmp_path: Path) -> None:
    """Its packets with their times and comments, as tshark reads them."""
    story = without_calls(ECHO)
    path = tmp_path / "made.pcapng"
    path.write_bytes(commented.render(story, b"\xd4\xc3\xb2\xa1"))
    command = [tool("tshark"), "-n", "-r", str(path), "-T", "fields", "-e", "frame.number", "-e", "frame.comment"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(story.frames)
    assert lines[0].startswith("1\tp1: ")
    again = capture.read(path.read_bytes())
    assert again is not None
    assert [frame.at_ns for frame in again.frames] == [frame.at_ns for frame in story.frames]
    assert [one.cause for one in tell(again, decode).packets] == [one.cause for one in story.packets]
