"""Notes in a capture's octets: where they stand, what is written anew, and that all else stays as it was."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawlab.model.timeline import Timeline
from rawlab.wire import capture, notes, pcapng
from tests.attribution.ladder import read as ladder
from tests.attribution.test_unproven import ECHO
from tests.wire.frames import tool
from tests.wire.timelines import TEXTS, timelines

WHOLE = b"".join(capture.blocks_of(ladder(ECHO)))


def rewritten(data: bytes, wanted: Mapping[int, Sequence[str]]) -> bytes:
    return b"".join(notes.rewritten(data, wanted))


def notes_of(data: bytes) -> dict[int, tuple[str, ...]]:
    return {record.number: record.notes for record in notes.records(data)}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(timelines(), st.data())
def test_notes_are_put_and_taken_away_again(timeline: Timeline, data: st.DataObject) -> None:
    """Each record bears what it was given, no other changed; with its own notes again, the file is the same file."""
    whole = b"".join(capture.blocks_of(timeline))
    before = notes_of(whole)
    chosen = data.draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    wanted = {number: data.draw(st.lists(TEXTS, max_size=3).map(tuple)) for number in chosen}
    noted = rewritten(whole, wanted)
    assert notes_of(noted) == before | wanted
    assert rewritten(noted, {number: before[number] for number in wanted}) == whole


def test_a_note_is_part_of_the_timeline() -> None:
    """A packet's is its frame's comment, a call's its own, at its entry or its return."""
    records = list(notes.records(WHOLE))
    packet = next(record.number for record in records if record.is_packet)
    entry = next(record for record in records if record.call is not None)
    timeline = capture.read(rewritten(WHOLE, {packet: ["one", "two"], entry.number: ["three\nlines"]}))
    assert timeline is not None
    assert {frame.number: frame.comments for frame in timeline.frames if frame.comments} == {packet: ("one", "two")}
    assert [(call.entered_ns, call.notes) for call in timeline.calls if call.notes] == [
        (entry.call[2] if entry.call else 0, ("three\nlines",))
    ]
    assert timeline.complete


def big_endian(length: int) -> bytes:
    """A section in the other byte order, with one packet, which has flags and a hash among its options."""
    header = struct.pack(">IHHq", pcapng.BYTE_ORDER_MAGIC, 1, 0, length)
    interface = struct.pack(">HHI", 1, 0, 0)
    items = [(2, struct.pack(">I", 1)), (3, b"\x02abc")]
    packet = struct.pack(">IIIII", 0, 0, 1, 5, 5) + b"hello\0\0\0" + pcapng.options(items, ">")
    parts = [(pcapng.SECTION_HEADER, header), (pcapng.INTERFACE, interface), (pcapng.ENHANCED_PACKET, packet)]
    return b"".join(pcapng.block(kind, body, ">") for kind, body in parts)


def test_the_section_s_byte_order_and_its_length_are_kept_right() -> None:
    """A section that says how long it is says so of the longer one; other options stay."""
    data = big_endian(0)
    length = len(data) - 28
    data = big_endian(length)
    noted = rewritten(data, {1: ["a note"]})
    assert notes_of(noted) == {1: ("a note",)}
    grown = len(noted) - len(data)
    assert struct.unpack_from(">q", noted, 16) == (length + grown,)
    (packet,) = [block for block in pcapng.blocks(noted) if block.type == pcapng.ENHANCED_PACKET]
    assert pcapng.read_options(packet.body, 28, ">") == [(1, b"a note"), (2, b"\0\0\0\1"), (3, b"\x02abc")]
    assert rewritten(noted, {1: []}) == data


def test_only_the_changed_section_says_another_length() -> None:
    """Of two sections, the one that grew."""
    length = len(big_endian(0)) - 28
    one = big_endian(length)
    noted = rewritten(one + one, {2: ["x"]})
    assert noted[: len(one)] == one
    assert struct.unpack_from(">q", noted, len(one) + 16)[0] > length


def test_what_follows_damage_is_kept() -> None:
    """The file breaks off; the note stands before, and all octets behind it are there."""
    cut = WHOLE[:-5]
    number = next(record.number for record in notes.records(cut))
    noted = rewritten(cut, {number: ["x"]})
    assert noted.endswith(cut[-200:])
    assert notes_of(noted)[number] == ("x",)


def test_a_simple_packet_block_has_no_place() -> None:
    """It is told, and nothing is written."""
    header = pcapng.section_header() + pcapng.interface_description(1, "eth0")
    data = header + pcapng.block(pcapng.SIMPLE_PACKET, struct.pack("=I", 4) + b"abcd")
    (record,) = notes.records(data)
    assert not record.has_room
    with pytest.raises(ValueError, match="record 1 has no place for a note"):
        rewritten(data, {1: ["x"]})


def test_tshark_shows_packets_notes_as_comments_and_calls_as_fields(tmp_path: Path) -> None:
    """Wireshark's own reader finds both."""
    records = list(notes.records(WHOLE))
    packet = next(record.number for record in records if record.is_packet)
    call = next(record.number for record in records if not record.is_packet)
    path = tmp_path / "noted.pcapng"
    path.write_bytes(rewritten(WHOLE, {packet: ["see RFC 9293"], call: ["nothing is sent"]}))
    shown = [tool("tshark"), "-n", "-r", str(path), "-T", "fields", "-e", "frame.number", "-e", "frame.comment"]
    run = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert [line for line in run.stdout.splitlines() if not line.endswith("\t")] == [f"{packet}\tsee RFC 9293"]
    run = subprocess.run([tool("tshark"), "-n", "-r", str(path), "-V"], capture_output=True, text=True, check=True)
    assert "Field name: RAWLAB_NOTE" in run.stdout
    assert "Field value: nothing is sent" in run.stdout


def test_wireshark_s_comments_are_read(tmp_path: Path) -> None:
    """One that editcap wrote."""
    number = next(record.number for record in notes.records(WHOLE) if record.is_packet)
    before, after = tmp_path / "before.pcapng", tmp_path / "after.pcapng"
    before.write_bytes(WHOLE)
    subprocess.run([tool("editcap"), "-a", f"{number}:by hand", str(before), str(after)], check=True)
    assert notes_of(after.read_bytes())[number] == ("by hand",)


@given(st.data())
@settings(max_examples=100)
def test_damaged_octets_are_no_error(data: st.DataObject) -> None:
    """Whatever was changed: the records that are whole are told, and the file without new notes is the same file."""
    damaged = bytearray(WHOLE)
    for at in data.draw(st.lists(st.integers(0, len(WHOLE) - 1), max_size=6)):
        damaged[at] = data.draw(st.sampled_from([0, 10, 34, 255]))
    for record in notes.records(bytes(damaged)):
        hash((record.notes, record.call))
    assert rewritten(bytes(damaged), {}) == damaged
