"""A capture read once, in windows: what is told while it is read, what is kept, and what is given back."""

from __future__ import annotations

import mmap
import random
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from rawlab.columns.reading import Reading
from rawlab.columns.window import Window
from rawlab.errors import FormatError

PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def datagrams(count: int, size: int = 1000) -> bytes:
    """A pcap of UDP datagrams between some dozens of ends."""
    chance = random.Random(1)
    parts = [PCAP]
    for number in range(count):
        udp = struct.pack("!HHHH", chance.randrange(50), 53, 8 + size, 0) + bytes(size)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + bytes((10, 0, 0, 1, 10, 0, 0, 2))
        frame = bytes(12) + b"\x08\0" + head + udp
        parts += [struct.pack("<IIII", 1_700_000_000, number % 1_000_000, len(frame), len(frame)), frame]
    return b"".join(parts)


def test_windows_follow_each_other_and_hold_every_frame() -> None:
    """None is empty, none is large, numbers and places go on without a gap; progress ends at the file's end."""
    octets = datagrams(100_000, 20)
    reading, told = Reading(memoryview(octets)), list[tuple[int, int]]()
    windows = list(reading.windows(lambda done, whole: told.append((done, whole))))
    numbers = [number for window in windows for number in window.number.tolist()]
    assert numbers == list(range(1, 100_001))
    assert len(windows) > 1
    assert all(0 < len(window) < 100_000 for window in windows)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(octets), len(octets))
    assert (reading.damage, reading.records, len(reading.points)) == (None, 100_000, 1)


def test_a_frame_is_where_its_window_says() -> None:
    """Its octets, and those of its data."""
    octets = datagrams(300)
    for window in Reading(memoryview(octets)).windows():
        for begin, captured, at, size in places(window):
            assert octets[begin : begin + 14] == bytes(12) + b"\x08\0"
            assert (captured, at, size) == (1042, 42, 1000)


def places(window: Window) -> list[tuple[int, int, int, int]]:
    columns = (window.offset, window.captured, window.payload_at, window.payload)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_what_is_read_of_a_mapped_file_is_given_back(tmp_path: Path) -> None:
    """While a file of 120 MB is read, this process holds a part of it at any time; and its octets can still be read."""
    file = tmp_path / "large.pcap"
    one = datagrams(1000)[len(PCAP) :]
    with file.open("wb") as out:
        out.write(PCAP)
        for _ in range(120):
            out.write(one)
    program = f"""
import mmap, sys
from rawlab.columns.reading import Reading
with open({str(file)!r}, "rb") as source:
    octets = memoryview(mmap.mmap(source.fileno(), 0, prot=mmap.PROT_READ))
def held():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("RssFile")]
    return int(line.split()[1])
before, most, frames, reading = held(), 0, 0, Reading(octets)
for window in reading.windows():
    most, frames = max(most, held()), frames + len(window)
print(frames, most - before, bytes(octets[24 + 16 + 12 : 24 + 16 + 14]).hex(), reading.damage)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == "120000"
    assert int(told[1]) < 100_000
    assert told[2:] == ["0800", "None"]


def test_a_view_into_a_mapped_file_is_read_as_well(tmp_path: Path) -> None:
    """A capture that begins somewhere in the file: what is given back is what was read, and no octet before it."""
    octets = datagrams(40_000)
    (tmp_path / "x").write_bytes(bytes(4321) + octets)
    with (tmp_path / "x").open("rb") as source:
        mapped = mmap.mmap(source.fileno(), 0, prot=mmap.PROT_READ)
    reading = Reading(memoryview(mapped)[4321:])
    assert sum(len(window) for window in reading.windows()) == 40_000
    assert int(reading.flows.octets.sum()) == 40_000 * 1042


def test_what_is_no_capture_is_refused() -> None:
    """In one line."""
    for octets in (b"", b"\x0a\x0d", b"GET / HTTP/1.1\r\n\r\n", PCAP[:20]):
        with pytest.raises(FormatError, match="is no capture: expected pcapng's 0a0d0d0a or pcap's a1b2c3d4 first"):
            Reading(memoryview(octets))


def test_a_capture_without_a_frame_has_no_window() -> None:
    """And no flow, and no damage."""
    reading = Reading(memoryview(PCAP))
    assert list(reading.windows()) == []
    assert (len(reading.flows), reading.damage, reading.records) == (0, None, 0)


def test_damage_is_kept_and_all_before_it_given() -> None:
    """It is told once the windows before it are read."""
    octets = datagrams(2000)
    reading = Reading(memoryview(octets[:-7]))
    assert sum(len(window) for window in reading.windows()) == 1999
    assert reading.damage is not None
    assert reading.damage.offset == len(octets) - 1042 - 16
    assert reading.damage.why == "a packet of 1042 octets expected, 1035 there"


@pytest.mark.parametrize("kind", ["sections", "interfaces", "mixed orders", "simple"])
def test_a_hostile_pcapng_is_read_in_time_that_grows_with_its_size(kind: str) -> None:
    """Blocks that end every stretch, as many as fit: work for each is bounded, so twice as many are twice the work."""
    sizes = [size for size in (500, 1000) if (octets := hostile(kind, size)) and read(octets) is not None]
    assert sizes == [500, 1000]


def read(octets: bytes) -> int:
    return sum(len(window) for window in Reading(memoryview(octets)).windows())


def hostile(kind: str, count: int) -> bytes:
    def section(order: str) -> bytes:
        return struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)

    interface = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    simple = struct.pack("<IIIII", 3, 20, 4, 0, 20)
    if kind == "sections":
        return section("<") * count
    if kind == "mixed orders":
        return b"".join(section("<>"[number % 2]) for number in range(count))
    if kind == "interfaces":
        return section("<") + interface * count
    return section("<") + interface + simple * count


def test_times_that_go_back_are_no_trouble() -> None:
    """A flow lasts from the earliest time to the latest."""
    parts = [PCAP]
    for second in (5, 3, 9, 4):
        frame = bytes(60)
        parts += [struct.pack("<IIII", second, 0, len(frame), len(frame)), frame]
    reading = Reading(memoryview(b"".join(parts)))
    for _ in reading.windows():
        pass
    assert reading.flows.first_ns.tolist() == [3_000_000_000]
    assert reading.flows.last_ns.tolist() == [9_000_000_000]


def test_windows_are_of_the_order_of_the_file() -> None:
    """Offsets grow from each to the next."""
    windows = list(Reading(memoryview(datagrams(50_000, 30))).windows())
    assert all(one.offset[-1] < other.offset[0] for one, other in pairwise(windows))
