"""Where frames lie, found many at once: the same as `wire.pcap` and `wire.pcapng` find one at a time."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from rawlab.columns import chain
from rawlab.columns.blocks import PcapngRecords
from rawlab.columns.octets import Octets
from rawlab.columns.records import AHEAD, PcapRecords
from rawlab.wire import pcap, pcapng
from rawlab.wire.pcapng import Damage, PacketRecord

Found = tuple[list[tuple[int, int, int, int, int, bytes]], tuple[int, str] | None]
"(number, captured, length, at_ns, point, the frame's octets) of each frame; damage"


def many_at_once(octets: bytes) -> Found:
    """As `columns` finds them."""
    view = memoryview(octets)
    layout = pcap.layout(view)
    reader = PcapngRecords(Octets(view)) if layout is None else PcapRecords(Octets(view), layout)
    rows = []
    for part in reader.stretches():
        names = (part.number, part.captured, part.length, part.at_ns, part.point, part.offset)
        for number, captured, length, at_ns, point, offset in zip(*(name.tolist() for name in names), strict=True):
            rows.append((number, captured, length, at_ns, point, octets[offset : offset + captured]))
        if part.ahead.shape[1]:
            ahead = [octets[at : at + AHEAD].ljust(AHEAD, b"\0") for at in part.offset.tolist()]
            assert [bytes(row) for row in part.ahead] == ahead
    return rows, (reader.damage.offset, reader.damage.why) if reader.damage else None


def one_at_a_time(octets: bytes) -> Found:
    """As `wire` finds them."""
    rows: list[tuple[int, int, int, int, int, bytes]] = []
    found = pcap.read(octets)
    try:
        for number, point, record in enumerate_pcapng(octets) if found is None else enumerate_pcap(found[1]):
            captured = len(record.data)
            at_ns = min(record.at_ns, (1 << 63) - 1)  # a later time is given as the latest of 64 bits
            rows.append((number, captured, record.length, at_ns, point, bytes(record.data)))
    except Damage as damage:
        return rows, (damage.offset, damage.why)
    return rows, None


def enumerate_pcap(records: Iterator[PacketRecord]) -> Iterator[tuple[int, int, PacketRecord]]:
    for number, record in enumerate(records, 1):
        yield number, 0, record


def enumerate_pcapng(octets: bytes) -> Iterator[tuple[int, int, PacketRecord]]:
    number, all_interfaces = 0, 0
    interfaces: list[pcapng.Interface] = []
    for block in pcapng.blocks(octets):
        if block.type == pcapng.SECTION_HEADER:
            pcapng.check_section(block)
            interfaces = []
        elif block.type == pcapng.INTERFACE:
            interfaces.append(pcapng.read_interface(block))
            all_interfaces += 1
        elif block.type == pcapng.STATISTICS:
            pcapng.read_statistics(block)
        number += block.type in pcapng.RECORDS
        if block.type in pcapng.PACKETS:
            record = pcapng.read_packet(block, interfaces)
            yield number, all_interfaces - len(interfaces) + record.interface, record


def frame(chance: random.Random, header: bytes) -> bytes:
    """Octets of a frame, some of which look like the headers of others."""
    size = chance.choice((0, 1, 54, 60, 74, 400, 1514, 1514, 1514))
    octets = chance.randbytes(size)
    if size > 60 and chance.random() < 0.3:
        octets = octets[:30] + header * 2 + octets[30 + 2 * len(header) :]
    return octets[:size]


def pcap_file(chance: random.Random, order: str, magic: int, frames: int) -> bytes:
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)]
    for number in range(frames):
        false = struct.pack(order + "IIII", 1_700_000_000 + number, 5, chance.randrange(2000), 1514)
        octets = frame(chance, false)
        longer = len(octets) + chance.choice((0, 0, 100))
        parts += [struct.pack(order + "IIII", 1_700_000_000 + number // 50, number, len(octets), longer), octets]
    return b"".join(parts)


def pcapng_section(chance: random.Random, order: str, frames: int) -> bytes:
    """Enhanced packets of two interfaces, and now and then a block of another type."""

    def block(kind: int, body: bytes) -> bytes:
        return pcapng.block(kind, body, order)

    def interface(resolution: int) -> bytes:
        options = struct.pack(order + "HH", pcapng.IF_TSRESOL, 1) + bytes((resolution, 0, 0, 0, 0, 0, 0, 0))
        return block(pcapng.INTERFACE, struct.pack(order + "HHI", 1, 0, 65535) + options)

    parts = [
        block(pcapng.SECTION_HEADER, struct.pack(order + "IHHq", pcapng.BYTE_ORDER_MAGIC, 1, 0, -1)),
        interface(9),
        interface(chance.choice((6, 0x8A, 12))),
    ]
    for number in range(frames):
        false = struct.pack(order + "IIIIIII", 6, 44, 0, 1, number, 8, 8)
        octets = frame(chance, false)
        ticks = 1_700_000_000_000_000 + number
        head = struct.pack(order + "IIIII", number % 2, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), len(octets) + 4)
        parts.append(block(pcapng.ENHANCED_PACKET, head + octets))
        if chance.random() < 0.05:
            parts.append(
                chance.choice((
                    block(pcapng.JOURNAL, b"MESSAGE=x\n"),
                    block(4, bytes(4)),
                    block(0x0BAD, bytes(8)),
                    interface(9),
                    block(pcapng.PACKET_OBSOLETE, struct.pack(order + "HHIIII", 0, 0, 1, 2, 4, 9) + b"abcd"),
                ))
            )  # fmt: skip
    return b"".join(parts)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_all_records_of_a_pcap_file_are_found(order: str, magic: int) -> None:
    """However large it is, and however much its frames look like records."""
    for seed, frames in ((1, 0), (2, 1), (3, 40), (4, 3000)):
        octets = pcap_file(random.Random(seed), order, magic, frames)
        assert many_at_once(octets) == one_at_a_time(octets)
        assert len(many_at_once(octets)[0]) == frames


def test_a_capture_within_a_capture_leads_nobody_astray() -> None:
    """Frames that carry a pcap file, records and all: only the outer file's records count."""
    inner = pcap_file(random.Random(5), "<", 0xA1B2C3D4, 2000)
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)]
    for at in range(0, len(inner), 40_000):
        piece = inner[at : at + 40_000]
        parts += [struct.pack("<IIII", 1_700_000_000, 0, len(piece), len(piece)), piece]
    octets = b"".join(parts)
    rows, damage = many_at_once(octets)
    assert (len(rows), damage) == (len(parts) // 2, None)
    assert b"".join(row[5] for row in rows) == inner


def test_all_blocks_of_a_pcapng_file_are_found() -> None:
    """Sections of either byte order, interfaces declared between packets, blocks of every kind, all resolutions."""
    for seed, frames in ((1, 0), (2, 1), (3, 40), (4, 1500)):
        chance = random.Random(seed)
        octets = b"".join(pcapng_section(chance, order, frames) for order in "<<><")
        rows, damage = many_at_once(octets)
        assert (rows, damage) == one_at_a_time(octets)
        assert len(rows) >= 4 * frames


def test_damage_is_told_in_the_readers_words_and_all_before_it_is_given() -> None:
    """Cut anywhere, or with octets changed anywhere: as `wire` reads it, one record at a time."""
    chance = random.Random(6)
    wholes = [
        pcap_file(chance, "<", 0xA1B2C3D4, 400),
        pcap_file(chance, ">", 0xA1B23C4D, 400),
        pcapng_section(chance, "<", 300) + pcapng_section(chance, ">", 100),
    ]
    damaged = 0
    for _ in range(150):
        octets = bytearray(chance.choice(wholes))
        if chance.random() < 0.3:
            del octets[chance.randrange(28, len(octets)) :]
        for _ in range(chance.randrange(1, 30)):
            octets[chance.randrange(28, len(octets))] = chance.choice((0, 1, 6, 0xFF, chance.randrange(256)))
        expected = one_at_a_time(bytes(octets))
        assert many_at_once(bytes(octets)) == expected
        damaged += expected[1] is not None
    assert damaged > 30


@pytest.mark.parametrize("most", [20_000, 1 << 18])
def test_many_headers_between_few_are_found_in_little_room(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty records amid large ones: lanes of very unequal lengths, of which so many headers are kept at a time."""
    monkeypatch.setattr(chain, "_MOST", most)
    sizes = [1400] * 600 + [0] * 5000 + [1400] * 100 + [0] * 5000
    records = [struct.pack("<IIII", 1_700_000_000, 5, size, size) + b"\xaa" * size for size in sizes]
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records)
    assert many_at_once(octets) == one_at_a_time(octets)
