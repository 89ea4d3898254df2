"""The capture ring's arithmetic against blocks laid out by hand, which needs no privilege."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.live.ring import Patcher
from tests.live.epbs import Packet, walk

PAGE = 4096
FLAGS = (0b00101, 0b01101, 0b01001, 0b10001, 0b00010)
FIELDS = {"seconds": (4, 5), "captured": (12, 57), "original": (16, 9999), "tp_mac": (24, 80), "sll_pkttype": (58, 4)}


def lay_out(frames: list[tuple[int, int]]) -> tuple[bytearray, list[bytes], int]:
    """A block as the kernel lays it out, every gap stale, from sizes and tp_macs, as far as they fit;
    the frames; where the free room begins."""
    memory, laid, at, header = bytearray(b"\xee" * PAGE), [], 48, 0
    for size, mac in frames:
        room = mac + size + 7 & ~7
        if at + room >= PAGE:  # as in __packet_lookup_frame_in_block
            break
        data = bytes(i % 251 + 1 for i in range(size))
        struct.pack_into("=6I2H", memory, at, room, 1, 2, size, size, 1, mac, mac + 14)
        memory[at + 58] = 0
        memory[at + mac : at + mac + size] = data
        laid.append(data)
        header, at = at, at + room
    struct.pack_into("=I", memory, header, 0)
    struct.pack_into("=5I", memory, 0, 1, 48, 1, len(laid), 48)
    return memory, laid, at


def patched(memory: bytearray) -> list[bytes]:
    """The frames of the first block, rewritten."""
    runs = Patcher(memory, PAGE, 0, 262_144).patch(0)
    packets = [packet for run in runs for packet in walk(bytes(run))]
    assert {(packet.stamp, packet.flags) for packet in packets} <= {(1_000_000_002, 0b00101)}
    return [packet.data for packet in packets]


@given(st.lists(st.tuples(st.integers(1, 200) | st.just(60), st.sampled_from([84, 98, 80, 76])), max_size=50))
def test_any_block(frames: list[tuple[int, int]]) -> None:
    """Whatever sizes and link headers the frames of a block have, they are what comes out."""
    memory, laid, _end = lay_out(frames)
    assert patched(memory) == laid


@pytest.mark.parametrize("room", [8, 16, 24])
@pytest.mark.parametrize("before", [0, 3])
def test_full_block(before: int, room: int) -> None:
    """A block with no room after its last frame is whole, and the next block untouched."""
    start = lay_out([(60, 84)] * before)[2]
    memory, laid, end = lay_out([(60, 84)] * before + [(PAGE - room - start - 84, 84)])
    assert (len(laid), end) == (before + 1, PAGE - room)
    memory += b"\xee" * PAGE
    assert patched(memory) == laid
    assert memory[PAGE:] == b"\xee" * PAGE


def told(memory: bytearray) -> list[Packet]:
    """What the kernel's headers in a block say, read one by one."""
    _status, count, at = struct.unpack_from("=8x3I", memory)
    packets = []
    for _ in range(count):
        following, seconds, nanoseconds, captured, original, _, mac = struct.unpack_from("=6IH", memory, at)
        stamp, flags = seconds * 1_000_000_000 + nanoseconds, FLAGS[memory[at + 58]]
        data = bytes(memory[at + mac : at + mac + captured])
        packets.append(Packet(data=data, original=original, stamp=stamp, flags=flags))
        at += following
    return packets


def alike(count: int, size: int) -> bytearray:
    """A block whose headers differ in nothing but nanoseconds; in the middle they cross 2 ** 32."""
    memory = lay_out([(size, 84)] * count)[0]
    for i in range(count):
        at = 48 + i * (84 + size + 7 & ~7)
        memory[at + 48 : at + 60] = bytes(12)
        struct.pack_into("=2I", memory, at + 4, 4, 294_967_296 + 3 * (i - count // 2))
    return memory


def read(memory: bytearray) -> list[Packet]:
    """What a reader of the first block's pcapng sees."""
    return [packet for run in Patcher(memory, PAGE, 0, 262_144).patch(0) for packet in walk(bytes(run))]


@pytest.mark.parametrize("size", [57, 58, 59, 60, 1])
@pytest.mark.parametrize("count", [2, 3, 17])
def test_alike(count: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames whose headers differ in nothing but nanoseconds are rewritten all at once, each with its time."""
    monkeypatch.delattr(Patcher, "_write_each")
    memory = alike(count, size)
    expected = told(memory)
    assert len(expected) == count
    assert read(memory) == expected


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("which", [0, 1, 8, 15, 16])
def test_alike_but_one(which: int, field: str) -> None:
    """Where one header differs, be it in one field of the first or the last, that frame is as it says."""
    memory = alike(17, 60)
    offset, value = FIELDS[field]
    struct.pack_into("=B" if offset == 58 else "=H" if offset == 24 else "=I", memory, 48 + 144 * which + offset, value)
    expected = told(memory)
    assert read(memory) == expected
