"""What frames say, read many at once: every column as `wire.decode` has it, whatever the frames are."""

from __future__ import annotations

import random
import struct
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from rawlab.columns.decoding import TUNNELS, Columns, decode
from rawlab.columns.ends import Ends
from rawlab.columns.octets import Octets
from rawlab.columns.reading import Reading
from rawlab.columns.records import Records
from rawlab.columns.single import Single
from rawlab.wire import tunnels
from rawlab.wire.pcapng import Interface

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = sorted((ROOT / "captures").glob("*.pcapng"))
SHARED = sorted(
    file for file in (ROOT.parent / "shared" / "pcaps").glob("*") if file.suffix in (".pcap", ".cap", ".pcapng")
)


def compared(octets: bytes, records: Records, points: list[Interface]) -> int:
    """Reads all at once and one at a time, and compares; how many were read all at once."""
    ends, whole = Ends(), Octets(memoryview(octets))
    once, alone = decode(whole, records, points, ends), Columns(records)
    fast = int((~once.slow).sum())
    Single(whole, points, ends).read(records, once)
    Single(whole, points, ends).read(records, alone)
    for name in vars(alone):
        if name != "slow":
            got, expected = getattr(once, name), getattr(alone, name)
            for row in np.flatnonzero(got != expected).tolist():
                begin = int(records.offset[row])
                frame = octets[begin : begin + int(records.captured[row])].hex()
                raise AssertionError(f"{name}: {got[row]}, not {expected[row]}, of {frame} {records.length[row]}")
    return fast


def as_records(frames: list[tuple[bytes, int, int]]) -> tuple[bytes, Records]:
    """(octets, length on the wire, point) of each frame, one behind the other."""
    captured = np.array([len(octets) for octets, _, _ in frames], np.int32)
    count = len(frames)
    return b"".join(octets for octets, _, _ in frames), Records(
        number=np.arange(1, count + 1),
        offset=np.cumsum(captured, dtype=np.int64) - captured,
        captured=captured,
        length=np.array([length for _, length, _ in frames], np.int32),
        at_ns=np.zeros(count, np.int64),
        point=np.array([point for _, _, point in frames], np.int32),
        ahead=np.empty((count, 0), np.uint8),
    )


LINKTYPES = (1, 0, 108, 101, 113, 276, 12, 229, 228, 14, 147)


def a_frame(chance: random.Random, linktype: int) -> bytes:
    """A packet as it should be, mostly: behind a link header of that type."""
    six = chance.random() < 0.3
    protocol = chance.choice((6, 6, 6, 17, 17, 132, 58 if six else 1, 47))
    packet = _packet(chance, six, protocol, _transport(chance, protocol))
    kind = struct.pack("!H", chance.choice((0x86DD if six else 0x800,) * 9 + (0x806, 0x88CC)))
    tags = b"".join(chance.choice((b"\x81\0\0\7", b"\x88\xa8\0\1")) for _ in range(chance.choice((0, 0, 0, 1, 2, 3))))
    if linktype == 1:
        return chance.randbytes(12) + tags + kind + packet
    if linktype == 113:
        return struct.pack("!HHH", 0, 1, 6) + chance.randbytes(8) + tags + kind + packet
    if linktype == 276:
        return kind + bytes(2) + struct.pack("!IHBB", 1, 1, 0, 6) + chance.randbytes(8) + packet
    if linktype in (0, 108):
        return struct.pack(chance.choice("<>") + "I", chance.choice((10, 24, 30)) if six else 2) + packet
    return packet


def _packet(chance: random.Random, six: bool, protocol: int, payload: bytes) -> bytes:
    if six:
        size = 0 if chance.random() < 0.05 else len(payload)
        return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + chance.randbytes(32) + payload
    options = bytes(chance.choice((0, 0, 0, 4, 40)))
    total = 0 if chance.random() < 0.05 else 20 + len(options) + len(payload)
    fragment = chance.choice((0x4000, 0x4000, 0x4000, 0, 0x2000, 0x0010))
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, total, 7, fragment, 64, protocol, 0)
    return head + chance.randbytes(8) + options + payload


def _transport(chance: random.Random, protocol: int) -> bytes:
    ports = struct.pack("!HH", chance.choice((80, 443, 4789, 6081)), chance.choice((80, 4789, 6081, 9)))
    data = chance.randbytes(chance.choice((0, 1, 20, 300)))
    if protocol == 6:
        options = chance.choice((b"", b"\1\1\x08\x0a" + bytes(8), chance.randbytes(8), _options(chance)))
        offset = (20 + len(options)) << 2 | chance.randrange(2)
        offset_flags = bytes((offset, chance.choice((2, 18, 16, 17))))
        return ports + chance.randbytes(8) + offset_flags + chance.randbytes(6) + options + data
    if protocol == 17:
        return ports + struct.pack("!HH", 8 + len(data), 0) + data
    return ports + chance.randbytes(12) + data


def _options(chance: random.Random) -> bytes:
    """Of a SYN: in any order, some twice, some of a wrong length, the end before the last."""
    known = ["020405b4", "030307", "0303ff", "0402", "01", "00", "020301", "0309"]
    options = bytes.fromhex("".join(chance.choices(known, k=chance.randrange(1, 8))))[:40]
    return options + bytes(-len(options) % 4)


def mutated(chance: random.Random, frame: bytes) -> tuple[bytes, int]:
    """The frame with octets changed, cut or padded, and its length on the wire."""
    octets = bytearray(frame)
    if chance.random() < 0.4:
        for place in chance.choices(range(min(len(octets), 70)), k=chance.randrange(1, 4)):
            octets[place] = chance.choice((0, 0x45, 0x60, 6, 17, chance.randrange(256)))
    if chance.random() < 0.3:
        del octets[chance.randrange(len(octets)) :]
    elif chance.random() < 0.3:
        octets += bytes(chance.randrange(60))
    return bytes(octets), chance.choice((len(frame), len(octets), 0, 70_000))


@pytest.mark.parametrize("linktype", LINKTYPES)
def test_random_frames_are_read_as_wire_decode_reads_them(linktype: int) -> None:
    """Of each link type: good ones, cut ones, padded ones, and ones with octets changed."""
    chance = random.Random(linktype)
    frames = [(*mutated(chance, a_frame(chance, linktype)), 0) for _ in range(1500)]
    octets, records = as_records(frames)
    fast = compared(octets, records, [Interface(linktype=linktype, snaplen=0)])
    assert fast > 200 or linktype in (147, 229)


def test_frames_of_several_link_types_are_told_apart() -> None:
    """Each by its interface, in one stretch."""
    chance = random.Random(3)
    points = [chance.randrange(len(LINKTYPES)) for _ in range(2000)]
    frames = [(*mutated(chance, a_frame(chance, LINKTYPES[point])), point) for point in points]
    octets, records = as_records(frames)
    assert compared(octets, records, [Interface(linktype=linktype, snaplen=0) for linktype in LINKTYPES]) > 300


def test_good_frames_are_no_exceptions() -> None:
    """What most captures are made of is never slow, but for the last octets of a file."""
    chance = random.Random(4)
    frames = [
        (chance.randbytes(12) + b"\x08\0" + _packet(random.Random(1), False, 6, _transport(chance, 6)), 0, 0)
        for _ in range(500)
    ]
    octets, records = as_records(frames)
    assert compared(octets, records, [Interface(linktype=1, snaplen=0)]) > 400


@pytest.mark.skipif(not SHARED, reason="needs the captures of others beside this folder")
@pytest.mark.parametrize("file", SHARED, ids=lambda file: file.name)
def test_captures_of_others_are_read_as_wire_decode_reads_them(file: Path) -> None:
    """Every frame of each, and again with octets changed."""
    read_and_compare(file)


@pytest.mark.parametrize("file", CAPTURES[::4], ids=lambda file: file.name)
def test_our_captures_are_read_as_wire_decode_reads_them(file: Path) -> None:
    """Every frame of each, and again with octets changed."""
    read_and_compare(file)


def read_and_compare(file: Path) -> None:
    octets = file.read_bytes()
    reading = Reading(memoryview(octets))
    chance = random.Random(file.name)
    for records in reading._reader.stretches():
        compared(octets, records, list(reading.points))
        changed = bytearray(octets)
        for offset, captured in zip(records.offset.tolist(), records.captured.tolist(), strict=True):
            if captured:
                changed[offset + chance.randrange(min(captured, 80))] = chance.randrange(256)
        ahead = np.empty((len(records), 0), np.uint8)
        compared(bytes(changed), replace(records, ahead=ahead), list(reading.points))


def test_every_column_of_a_window_is_filled() -> None:
    """Each has a value for each frame."""
    (file,) = [file for file in CAPTURES if file.name == "tcp-echo.pcapng"]
    for window in Reading(memoryview(file.read_bytes())).windows():
        assert {len(getattr(window, field.name)) for field in fields(window)} == {len(window)}


def test_ports_of_tunnels_are_those_of_wire() -> None:
    """What may carry another packet is read alone."""
    assert set(TUNNELS) == set(tunnels.UDP_PORTS)
