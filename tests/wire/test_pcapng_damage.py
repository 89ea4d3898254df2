"""Files that are not whole: what stands before the damage is given, then Damage says where and why."""

from __future__ import annotations

import random
import re
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.event import Call
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.wire import capture, pcapng
from rawlab.wire.pcapng import Damage, Interface, PacketRecord

CALL = Call(host="client", pid=1, name="close", args=(("fd", 3),), result=0, entered_ns=5, returned_ns=9)
PARTS = [
    pcapng.section_header([(pcapng.SHB_USERAPPL, b"rawlab 0")]),
    pcapng.interface_description(1, "eth0", [bytes([10, 0, 0, 1])]),
    pcapng.enhanced_packet(
        PacketRecord(interface=0, at_ns=7, data=memoryview(b"hello"), length=5, direction=2, comments=("a note",))
    ),
    capture.call_block(CALL, "1", at_return=True),
    pcapng.interface_statistics(0, 9, 1, 0),
]
FILE = b"".join(PARTS)


def read(data: bytes) -> Timeline:
    timeline = capture.read(data)
    assert timeline is not None
    return timeline


def test_the_file_is_whole() -> None:
    """Before it is damaged: one frame, one call, counts."""
    whole = read(FILE)
    assert (len(whole.frames), whole.calls, whole.damaged_at, whole.complete) == (1, (CALL,), None, True)


@pytest.mark.parametrize("end", range(4, len(FILE)))
def test_a_file_cut_at_any_octet_gives_what_is_whole(end: int) -> None:
    """Between blocks it is whole as far as it goes; within one, the damage is where that block begins."""
    found = read(FILE[:end])
    starts = [sum(map(len, PARTS[:n])) for n in range(len(PARTS) + 1)]
    whole = max(n for n, start in enumerate(starts) if start <= end)
    assert found.damaged_at == (None if end in starts else starts[whole])
    assert (len(found.points), len(found.frames), len(found.calls)) == (whole > 1, whole > 2, whole > 3)
    assert not found.complete
    assert bool(found.damage) == (found.damaged_at is not None)


@pytest.mark.parametrize("at", range(4, len(FILE)))
def test_an_octet_changed_anywhere_is_damage_or_another_value(at: int) -> None:
    """Nothing but Damage comes out of any change, and what stands in the blocks before it is given."""
    for change in (0x01, 0x40, 0x80, 0xFF):
        damaged = bytearray(FILE)
        damaged[at] ^= change
        found = read(bytes(damaged))
        assert len(found.frames) == 1 or at < sum(map(len, PARTS[:3]))
        assert found.calls == (CALL,) or at < sum(map(len, PARTS[:4]))
        assert (found.damage is None) == (found.damaged_at is None)


@given(st.data())
def test_a_file_changed_in_many_places(data: st.DataObject) -> None:
    """Cut, changed, repeated, filled: read to the end or to the damage."""
    damaged = bytearray(FILE * data.draw(st.integers(1, 3)))
    for at in data.draw(st.lists(st.integers(4, len(damaged) - 1), max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(damaged)))
    extra = data.draw(st.binary(max_size=20))
    found = read(bytes(damaged[:cut]) + extra)
    assert found.damaged_at is None or 0 <= found.damaged_at <= cut + len(extra)


@given(st.binary(max_size=200))
def test_any_octets_behind_the_magic(tail: bytes) -> None:
    """Only Damage comes out of the block reader."""
    read(b"\x0a\x0d\x0d\x0a" + tail)


@pytest.mark.parametrize("total", [0, 4, 8, 11, 13, 0xFFFFFFFF, 0xFFFFFFFC, pcapng.MAX_BLOCK + 4])
@pytest.mark.parametrize("place", ["first", "later"])
def test_a_length_is_not_believed(total: int, place: str) -> None:
    """0 would never end, 4 GB would fill the memory: both are refused before anything is read or made."""
    bad = struct.pack("=II", 5, total) + bytes(64)
    if place == "first":
        bad = struct.pack("=III", pcapng.SECTION_HEADER, total, pcapng.BYTE_ORDER_MAGIC) + bytes(64)
    file = FILE + bad if place == "later" else bad
    with pytest.raises(Damage, match="a block's length of 12 to 16777216, a multiple of 4, expected"):
        list(pcapng.blocks(file))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (struct.pack("=III", 9, 12, 16), "length 12 expected again at its end, 16 came"),
        (struct.pack("=II", 9, 4096) + bytes(20), "a block of 4096 octets expected, 28 there"),
        (
            b"\x0a\x0d\x0d\x0a" + struct.pack("=II", 28, 7) + bytes(16),
            "byte-order magic 1a2b3c4d expected, 07000000 came",
        ),
        (pcapng.block(6, bytes(8)), "a packet block's header of 20 octets expected, 8 there"),
        (pcapng.block(3, b""), "a packet block's header of 4 octets expected, 0 there"),
        (pcapng.block(6, struct.pack("=IIIII", 7, 0, 0, 0, 0)), "an interface below 1 expected, 7 came"),
        (pcapng.block(6, struct.pack("=IIIII", 0, 0, 0, 99, 99)), "a packet of at most 0 octets expected, 99 came"),
        (pcapng.block(6, struct.pack("=IIIII", 0, 0, 0, 1 << 31, 0)), "a packet of at most 0 octets expected"),
        (pcapng.block(1, bytes(4)), "an interface description of 8 octets expected, 4 there"),
        (pcapng.block(5, bytes(4)), "interface statistics of 12 octets expected, 4 there"),
        (pcapng.block(9, b"RAWLAB_CALL={"), "a recorded call expected: journal entry: line at octet 0"),
        (pcapng.block(9, b"RAWLAB_CALL={\n"), "a recorded call expected: Expecting property name"),
        (pcapng.block(9, b"RAWLAB_CALL=[1]\n"), "a recorded call expected"),
        (pcapng.block(9, b'RAWLAB_CALL={"id":1}\n'), "a recorded call expected: RAWLAB_CALL: host: str expected"),
        (pcapng.block(9, b"RAWLAB_CALL=" + b"[" * 100_000 + b"\n"), "a recorded call expected: "),
    ],
)
def test_the_damage_says_where_and_why(block: bytes, message: str) -> None:
    """What was expected and what came; the octet is the block's first, and all before it was read."""
    found = read(FILE + block)
    assert found.damaged_at == len(FILE)
    assert found.damage is not None
    assert re.search(re.escape(message), found.damage), found.damage
    assert (len(found.frames), len(found.calls)) == (1, 1)


def test_a_journal_entry_of_another_program_is_passed_over() -> None:
    """systemd's own captures are no calls of ours, and still count as records."""
    file = FILE + pcapng.journal(b"MESSAGE=hello\n") + PARTS[2]
    found = read(file)
    assert (found.damaged_at, len(found.calls)) == (None, 1)
    assert [frame.number for frame in found.frames] == [1, 4]


def test_many_sections_and_interfaces_are_read_in_linear_time() -> None:
    """Eight times as many take about eight times the processor's time; quadratic work would take 64 times."""

    def seconds(sections: int) -> float:
        file = b"".join(PARTS[:2] * sections) + PARTS[2]
        began = time.process_time()
        assert len(read(file).points) == sections
        return time.process_time() - began

    assert seconds(16_000) < 25 * max(seconds(2_000), 0.01)


def test_a_random_file_does_not_hang() -> None:
    """A megabyte of chance behind a whole file."""
    noise = random.Random(7).randbytes(1 << 20)
    assert read(FILE + noise).damaged_at == len(FILE)


def test_damage_is_told_in_one_line() -> None:
    """The place and the reason."""
    assert str(Damage(40, "a block expected")) == "at octet 40: a block expected"
    with pytest.raises(Damage, match="an interface below 0 expected"):
        pcapng.read_packet(next(iter(pcapng.blocks(PARTS[2]))), list[Interface]())


def test_a_run_that_was_cut_off_is_not_complete() -> None:
    """Without its statistics, even where every block is whole."""
    run = Run(rawlab="0")
    header = capture.header(run, [Host(name="client")], [Point(name="client", linktype=1)])
    assert not read(header).complete
    assert read(header + pcapng.interface_statistics(0, 1, 0, 0)).complete
