"""Ten thousand captures that somebody spoilt: of each rawlab reads what is whole, and says where it ceases to be.

`tests.strict`, which shares nothing with rawlab, says what is whole. The mutants are made from one seed, so that they
are the same everywhere; one that fails is found again by its number.
"""

from __future__ import annotations

import gzip
import itertools
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import zstandard

from rawlab import store
from rawlab.api import explain
from rawlab.columns.reading import Reading
from rawlab.errors import FormatError
from rawlab.wire import pcap
from tests import strict
from tests.by_hand import MICRO, NANO, T0, block, enhanced, interface, obsolete, option, section, segment, simple
from tests.by_hand import pcap as pcap_file

COUNT, SEED = 10_000, 7
LATEST, LONGEST = (1 << 63) - 1, (1 << 31) - 1
"what a column of times and one of lengths hold at the most"
Told = tuple[int, int | None, int, bytes, int]
"of a packet: its record's number, when, how long on the wire, its octets, its interface"
PACKETS = [segment(n, 3 + 7 * n % 40) for n in range(7)]


def _section(order: str, ticks: int = 10**6, resolution: bytes = b"") -> bytes:
    """A section with an interface, blocks of many kinds, and packets in all three."""
    described = option(2, b"eth0", order) + (option(9, resolution, order) if resolution else b"") + bytes(4)
    comment = option(1, b"a comment", order) + option(2, b"\0\0\0\1", order) + bytes(4)
    return b"".join(
        (
            section(order, options=option(4, b"by hand", order) + bytes(4)),
            interface(order, options=described),
            interface(order, link=113, snaplen=80),
            enhanced(order, 0, T0 * ticks, PACKETS[0]),
            block(4, b"\0\1\0\4\x7f\0\0\1", order),
            enhanced(order, 0, T0 * ticks + 5, PACKETS[1], options=comment),
            simple(order, PACKETS[2]),
            obsolete(order, 1, T0 * 10**6, PACKETS[3]),
            block(0x0BAD, b"\0\0\x7e\xd9by hand", order),
            enhanced(order, 1, T0 * 10**6 + 7, PACKETS[4], length=1500),
            block(5, bytes(12), order),
        )
    )


def seeds() -> dict[str, bytes]:
    """Whole files, one of each kind."""
    kinds = itertools.product("<>", (MICRO, NANO))
    made = {f"pcap {order}{magic:x}": pcap_file(PACKETS, order, magic) for order, magic in kinds}
    made |= {"little": _section("<"), "big": _section(">"), "nanoseconds": _section("<", 10**9, b"\x09")}
    made["sections"] = _section(">", 2**20, b"\x94") + _section("<") + section() + interface(link=101)
    made |= {f"{name}.gz": gzip.compress(made[name], mtime=0) for name in ("pcap <a1b2c3d4", "big")}
    made["members.gz"] = gzip.compress(made["little"][:300], mtime=0) + gzip.compress(made["little"][300:], mtime=0)
    packed = zstandard.ZstdCompressor(write_checksum=True).compress
    made["little.zst"] = packed(made["little"])
    skippable = b"\x50\x2a\x4d\x18\4\0\0\0abcd"
    made["frames.zst"] = packed(made["sections"][:400]) + skippable + packed(made["sections"][400:])
    return made


# ---------------------------------------------------------------------------------------------- mutation

EXTREMES = (0, 1, 11, 12, 13, 0x7FFF, 0xFFFF, 0x3FFFF, 0x40000, 0x40001, 0x1000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def _flip(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _octet(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    del data[chance.randrange(len(data)) :]


def _word(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    """A length or any other number, of 4 octets, becomes an extreme one."""
    at, order = chance.randrange(len(data)) // 4 * 4, chance.choice(("little", "big"))
    data[at : at + 4] = chance.choice(EXTREMES).to_bytes(4, "big" if order == "big" else "little")


def _part(data: bytearray, chance: random.Random) -> slice:
    begin = chance.randrange(len(data)) // 4 * 4
    return slice(begin, begin + chance.choice((1, 4, 12, 16, 28, chance.randrange(200))))


def _repeat(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    part = _part(data, chance)
    data[part.start : part.start] = data[part] * chance.choice((1, 1, 2, 20))


def _remove(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    del data[_part(data, chance)]


def _swap(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    part = _part(data, chance)
    taken = data[part]
    del data[part]
    at = chance.randrange(len(data) + 1) // 4 * 4
    data[at:at] = taken


def _splice(data: bytearray, chance: random.Random, others: list[bytes]) -> None:
    """The beginning of one file and the end of another."""
    other = chance.choice(others)
    data[chance.randrange(len(data)) // 4 * 4 :] = other[chance.randrange(len(other)) // 4 * 4 :]


WAYS: tuple[Callable[[bytearray, random.Random, list[bytes]], None], ...] = (
    *(_flip, _octet, _cut, _word, _word),
    *(_repeat, _remove, _swap, _splice),
)


def mutants(count: int) -> Iterator[tuple[str, bytes]]:
    """(name, octets): each seed in turn, spoilt in one to three ways."""
    chance, made = random.Random(SEED), seeds()
    for number, name in zip(range(count), itertools.cycle(made), strict=False):
        data = bytearray(made[name])
        for way in chance.choices(WAYS, k=chance.choice((1, 1, 2, 3))):
            if data:
                way(data, chance, list(made.values()))
        yield f"mutant {number} of {name}", bytes(data)


# ------------------------------------------------------------------------------------------------- tests


def differences(name: str, data: bytes, path: Path) -> Iterator[str]:
    """What rawlab says otherwise than the strict reader."""
    expected = strict.check(data)
    path.write_bytes(data)
    begun = time.process_time()
    try:
        found = store.load(path)
        explain(found)
    except FormatError as error:
        if expected is not None:
            yield f"{name}: {len(expected.packets)} packets, but rawlab says: {error}"
        return
    finally:
        if (took := time.process_time() - begun) > 1:
            yield f"{name}: {took:.1f} s"
    if expected is None:
        if pcap.is_magic(bytes(store.opened(str(path)).octets[:4])):
            return  # one of pcap's relatives
        yield f"{name}: is no capture, but rawlab reads it"
        return
    frames = [(frame.number, frame.at_ns, frame.length, bytes(frame.data), frame.point) for frame in found.frames]
    packets = [(one.number, one.at_ns, one.length, one.octets, one.point) for one in expected.packets]
    if frames != packets:
        yield f"{name}: {len(frames)} frames, {len(packets)} packets; the first {same(frames, packets)} are the same"
    if expected.is_packing_whole and found.damaged_at != expected.ceases_at:
        yield f"{name}: damaged at {found.damaged_at}, ceases to be whole at {expected.ceases_at}"
    if not expected.is_packing_whole and found.damaged_at is None:
        yield f"{name}: its packing is not whole, and nobody says so"


def test_the_seeds_are_whole(tmp_path: Path) -> None:
    """Before they are spoilt: all packets are read, and nothing is damaged."""
    for name, data in seeds().items():
        assert list(differences(name, data, tmp_path / "seed")) == []
        checked = strict.check(data)
        assert checked is not None
        assert checked.packets
        assert (checked.ceases_at, checked.is_packing_whole) == (None, True)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_of_a_spoilt_capture_all_that_is_whole_is_read(part: int, tmp_path: Path) -> None:
    """And where it ceases to be is told, in under a second, without a traceback; so says the strict reader."""
    found = []
    for name, data in itertools.islice(mutants(COUNT), part, None, 4):
        found += list(differences(name, data, tmp_path / "mutant"))
    assert not found, f"{len(found)} of {COUNT // 4}:\n" + "\n".join(found[:20])


def same(frames: Sequence[Told], packets: Sequence[Told]) -> int:
    """How many are the same, from the first on."""
    differ = (n for n, (frame, packet) in enumerate(zip(frames, packets, strict=False)) if frame != packet)
    return next(differ, min(len(frames), len(packets)))


def column_differences(name: str, data: bytes) -> Iterator[str]:
    """What rawlab's columns say otherwise than the strict reader: of files that are not compressed."""
    expected = strict.check(data)
    try:
        reading = Reading(memoryview(data))
    except FormatError:
        if expected is not None:
            yield f"{name}: {len(expected.packets)} packets, but its columns say it is no capture"
        return
    frames: list[Told] = []
    for window in reading.windows():
        ends = (window.offset + window.captured).tolist()
        octets = [data[begin:end] for begin, end in zip(window.offset.tolist(), ends, strict=True)]
        times, points = window.at_ns.tolist(), window.point.tolist()
        frames += zip(window.number.tolist(), times, window.length.tolist(), octets, points, strict=True)
    if expected is None:
        if not pcap.is_magic(data[:4]):
            yield f"{name}: is no capture, but its columns are read"
        return
    packets = [
        (one.number, min(max(one.at_ns or 0, -LATEST), LATEST), min(one.length, LONGEST), one.octets, one.point)
        for one in expected.packets
    ]
    if frames != packets:
        alike = same(frames, packets)
        yield f"{name}: {len(frames)} frames in columns, {len(packets)} packets; the first {alike} are the same"
    if (reading.damage.offset if reading.damage else None) != expected.ceases_at:
        yield f"{name}: columns end at {reading.damage}, it ceases to be whole at {expected.ceases_at}"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_the_columns_of_a_spoilt_capture_are_all_that_is_whole(part: int) -> None:
    """Read many at once, as one at a time: the same frames, and the same damage."""
    found = []
    for name, data in itertools.islice(mutants(COUNT), part, None, 4):
        if not name.endswith((".gz", ".zst")):
            found += list(column_differences(name, data))
    assert not found, f"{len(found)} of {COUNT // 4}:\n" + "\n".join(found[:20])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pcap <a1b2c3d4", "pcap >a1b23c4d", "little", "sections"])
def test_the_columns_of_a_long_spoilt_capture_are_all_that_is_whole(name: str) -> None:
    """So long that its headers are guessed in many places at once."""
    long, chance, found = long_seed(name), random.Random(SEED), []
    for number in range(8):
        data = bytearray(long)
        if number:
            chance.choice(WAYS)(data, chance, [long])
        found += list(column_differences(f"long mutant {number} of {name}", bytes(data)))
    assert not found, "\n".join(found)


def long_seed(name: str) -> bytes:
    """A file of several megabytes of that kind."""
    chance = random.Random(SEED)
    packets = [segment(n % 65536, chance.choice((0, 0, 1, 600, 1400))) for n in range(9000)]
    if name.startswith("pcap"):
        return pcap_file(packets, name[5], int(name[6:], 16))
    blocks = [enhanced(data=data, ticks=T0 * 10**6 + n) for n, data in enumerate(packets)]
    return seeds()[name] + section() + interface() + b"".join(blocks) + seeds()[name]


def bombs() -> dict[str, bytes]:
    """Small files that stand for large ones, or say that they do."""
    packed = zstandard.ZstdCompressor(write_checksum=True).compress
    nothing, huge = pcap_file([]) + bytes(300 << 20), struct.pack("<I", 0x7FFFFFFF)
    described = b"".join(interface(options=option(2, bytes([97 + n % 26]) * 9)) for n in range(20_000))
    return {
        "records of nothing.zst": packed(nothing),
        "records of nothing.gz": gzip.compress(nothing, mtime=0),
        "no capture.zst": packed(bytes(300 << 20)),
        "skippable frames.zst": b"\x50\x2a\x4d\x18\0\0\0\0" * 100_000 + packed(pcap_file(PACKETS)),
        "empty members.gz": gzip.compress(b"", mtime=0) * 20_000 + gzip.compress(pcap_file(PACKETS)),
        "sections": section() * 20_000 + _section("<"),
        "interfaces": section() + described + enhanced(point=19_999, data=PACKETS[0]) * 2_000,
        "options": section(options=option(1, b"") * 400_000) + _section("<"),
        "a huge packet": pcap_file(PACKETS) + bytes(8) + huge * 2 + bytes(1000),
        "a huge block": section() + b"\6\0\0\0" + huge + bytes(1000),
        "a huge option": section() + interface(options=b"\2\0\xff\xff" + bytes(60)),
    }


READ_ALL = """
import sys, time
from rawlab import store
from rawlab.errors import RawlabError
for name in sys.argv[1:]:
    begun = time.process_time()
    try:
        store.load(name)
    except RawlabError as error:
        assert "\\n" not in str(error)
    took = time.process_time() - begun
    if took > 1:
        print(f"{name}: {took:.1f} s")
(most,) = (int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
if most >= 256 << 10:
    print(f"{most >> 10} MiB")
"""


@pytest.mark.slow
def test_neither_mutants_nor_bombs_take_memory_or_time(tmp_path: Path) -> None:
    """In a process of their own: less than 256 MiB for all of them, less than a second for each."""
    files = list(bombs().items()) + list(mutants(200))
    for number, (_, data) in enumerate(files):
        (tmp_path / str(number)).write_bytes(data)
    command = [sys.executable, "-c", READ_ALL, *(str(tmp_path / str(number)) for number in range(len(files)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (done.stdout, done.stderr) == ("", "")


def test_mutants_differ() -> None:
    """Most are spoilt indeed, some are whole by chance, and every kind is among them."""
    told = [strict.check(data) for _, data in mutants(1000)]
    damaged = sum(1 for one in told if one and (one.ceases_at is not None or not one.is_packing_whole))
    assert 300 < damaged < 950
    assert 20 < sum(1 for one in told if one is None) < 300
