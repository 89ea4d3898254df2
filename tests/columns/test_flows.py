"""Flows: numbers, directions and counts, with tshark's streams as the oracle; and the keys that they are found by."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rawlab.columns.keys import Keys
from rawlab.columns.reading import Reading
from rawlab.columns.window import ARP, NO_IP
from rawlab.model.address import Endpoint
from rawlab.wire import pcap
from rawlab.wire.decode import decode

ROOT = Path(__file__).resolve().parents[2]
SHARED = sorted(
    file for file in (ROOT.parent / "shared" / "pcaps").glob("*") if file.suffix in (".pcap", ".cap", ".pcapng")
)
needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark")

FIN, SYN, RST, ACK = 1, 2, 4, 16
Segment = tuple[int, int, int, int, int, int]
"client's number, whether the server sends, flags, seq, ack, octets of data"


def capture(frames: list[bytes], linktype: int = 1) -> bytes:
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)]
    for number, frame in enumerate(frames):
        parts += [struct.pack("<IIII", 1_700_000_000 + number // 1000, number, len(frame), len(frame)), frame]
    return b"".join(parts)


def segment(client: int, back: int, flags: int, seq: int, ack: int, size: int, six: bool = False) -> bytes:
    """A frame of a TCP connection to port 80."""
    ends = [(client % 7, 40_000 + client % 3), (9, 80)]
    (source, port), (target, served) = reversed(ends) if back else ends
    tcp = struct.pack("!HHIIBBHHH", port, served, seq, ack, 0x50, flags, 500, 0, 0) + bytes(size)
    if six:
        head = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64)
        return bytes(12) + b"\x86\xdd" + head + bytes(15) + bytes((source,)) + bytes(15) + bytes((target,)) + tcp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
    return bytes(12) + b"\x08\0" + head + bytes((10, 0, 0, source, 10, 0, 0, target)) + tcp


def flows_of(octets: bytes) -> tuple[Reading, dict[int, int]]:
    """The reading, and the flow of each record number."""
    reading, flow = Reading(memoryview(octets)), dict[int, int]()
    for window in reading.windows():
        flow.update(zip(window.number.tolist(), window.flow.tolist(), strict=True))
    return reading, flow


def streams(octets: bytes, folder: Path) -> dict[int, tuple[str, str]]:
    """tshark's tcp.stream and udp.stream of each frame: the innermost packet's."""
    file = folder / "capture"
    file.write_bytes(octets)
    words = ["-T", "fields", "-e", "frame.number", "-e", "tcp.stream", "-e", "udp.stream"]
    # A datagram's stream is that of its first fragment here; with reassembly tshark names it at the last.
    told = subprocess.run(
        ["tshark", "-n", "-r", file, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", *words],
        capture_output=True,
        text=True,
    ).stdout
    rows = [([*line.split("\t"), "", ""])[:3] for line in told.splitlines()]
    return {int(number): (tcp.split(",")[-1], udp.split(",")[-1]) for number, tcp, udp in rows}


def ours(reading: Reading, flow: int) -> tuple[str, str]:
    stream = str(reading.flows.stream[flow]) if reading.flows.stream[flow] >= 0 else ""
    protocol = int(reading.flows.protocol[flow])
    return (stream if protocol == 6 else "", stream if protocol == 17 else "")


@needs_tshark
@pytest.mark.parametrize("seed", range(4))
def test_reused_ports_begin_connections_as_tshark_has_it(tmp_path: Path, seed: int) -> None:
    """Segments of all flags between a few ends, in any order: SYNs again, of either side, after FIN, RST or nothing."""
    chance = random.Random(seed)
    frames = []
    for _ in range(1500):
        flags = chance.choice((SYN, SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST, RST | ACK, 0))
        client, six = chance.randrange(12), chance.random() < 0.2
        seq, ack = chance.choice((1, 2, 100, 0xFFFFFFFF, 0)), chance.choice((0, 1, 2, 101))
        frames.append(segment(client, chance.randrange(2), flags, seq, ack, chance.choice((0, 0, 10)), six))
    octets = capture(frames)
    reading, flow = flows_of(octets)
    assert {number: ours(reading, index) for number, index in flow.items()} == streams(octets, tmp_path)
    assert len(reading.flows) > 100


def test_connections_are_told_apart_across_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the file is cut into windows, the flows are the same."""
    chance = random.Random(9)
    frames = [
        segment(chance.randrange(30), chance.randrange(2), flags, chance.randrange(3), 1, 0)
        for flags in chance.choices((SYN, SYN | ACK, ACK), k=6000)
    ]
    octets = capture(frames)
    reading, whole = flows_of(octets)
    monkeypatch.setattr("rawlab.columns.records.FRAMES", 100)
    monkeypatch.setattr("rawlab.columns.records._LEAST", 1000)
    monkeypatch.setattr("rawlab.columns.records._FIRST", 1000)
    pieces, cut = flows_of(octets)
    assert cut == whole
    for name in ("stream", "packets", "octets", "first_ns", "last_ns", "first_number", "protocol"):
        assert (getattr(pieces.flows, name) == getattr(reading.flows, name)).all()


EXPLAINED = {
    "icmp-pmtu.cap": "tshark numbers the packets that ICMP errors quote",
    "icmp6-errors.pcap": "tshark numbers the packets that ICMP errors quote",
    "fuzz-be-2.pcap": "tshark numbers TCP of which the header is wrong, and what ICMP errors quote",
}


@needs_tshark
@pytest.mark.skipif(not SHARED, reason="needs the captures of others beside this folder")
@pytest.mark.parametrize("file", [file for file in SHARED if file.name not in EXPLAINED], ids=lambda file: file.name)
def test_streams_of_others_captures_are_tsharks(tmp_path: Path, file: Path) -> None:
    """Of every frame that is no later fragment."""
    octets = file.read_bytes()
    reading, flow = flows_of(octets)
    theirs = streams(octets, tmp_path)
    fragments = later_fragments(reading, octets)
    for number, index in flow.items():
        if number not in fragments:
            assert ours(reading, index) == theirs[number], number


def later_fragments(reading: Reading, octets: bytes) -> set[int]:
    found = set()
    for window in Reading(memoryview(octets)).windows():
        for row in np.flatnonzero(window.slow).tolist():
            data = octets[window.offset[row] : window.offset[row] + window.captured[row]]
            ip = decode(data, reading.points[window.point[row]].linktype, int(window.length[row])).ip
            if ip is not None and ip.fragment_offset:
                found.add(int(window.number[row]))
    return found


@pytest.mark.skipif(not SHARED, reason="needs the captures of others beside this folder")
@pytest.mark.parametrize("file", SHARED, ids=lambda file: file.name)
def test_every_frame_belongs_to_one_flow(file: Path) -> None:
    """The flows' sums are the file's; each flow is numbered by its first frame, and seen by its first sender."""
    octets = file.read_bytes()
    reading, flow = flows_of(octets)
    assert int(reading.flows.packets.sum()) == len(flow)
    firsts = {index: number for number, index in reversed(flow.items())}
    assert [firsts[index] for index in range(len(reading.flows))] == reading.flows.first_number.tolist()
    assert (reading.flows.packets[:, 0] > 0).all()
    if (found := pcap.read(octets)) is not None and reading.damage is None:
        assert int(reading.flows.octets.sum()) == sum(max(len(r.data), r.length) for r in found[1])


def test_what_a_flow_is_between() -> None:
    """Endpoints, addresses, what ARP asks for, MAC addresses, or nobody."""
    one, other = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, bytes(6), one, bytes(6), other)
    answer = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, bytes(6), other, bytes(6), one)
    ping = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 1, 0) + bytes((10, 0, 0, 1, 10, 0, 0, 2, 8)) + bytes(7)
    udp = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 17, 0) + bytes((10, 0, 0, 1, 10, 0, 0, 2))
    macs = bytes.fromhex("020000000002020000000001")
    frames = [
        macs + b"\x08\x06" + arp,
        macs + b"\x08\x06" + answer,
        macs + b"\x08\0" + ping,
        macs + b"\x08\0" + udp + struct.pack("!HHHH", 5000, 53, 8, 0),
        macs + b"\x08\0" + udp + struct.pack("!HHHH", 5000, 53, 4, 0),
        macs + b"\x88\xcc" + bytes(40),
        segment(1, 0, SYN, 1, 0, 0, six=True),
        b"\x02",
    ]
    reading, flow = flows_of(capture(frames))
    assert flow == {1: 0, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4, 7: 5, 8: 6}
    assert [reading.flows.ends(index) for index in range(7)] == [
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.2"),
        (Endpoint("10.0.0.1", 5000), Endpoint("10.0.0.2", 53)),
        ("10.0.0.1", "10.0.0.2"),
        ("02:00:00:00:00:01", "02:00:00:00:00:02"),
        (Endpoint("::1", 40_001), Endpoint("::9", 80)),
        (None, None),
    ]
    assert reading.flows.protocol.tolist() == [ARP, 1, 17, 17, NO_IP, 6, NO_IP]
    assert reading.flows.stream.tolist() == [-1, -1, 0, -1, -1, 0, -1]


def test_a_later_fragment_belongs_to_its_first_ones_flow() -> None:
    """Where that came before it; else to the pair of addresses."""

    def fragment(place: int, payload: bytes) -> bytes:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, place, 64, 17, 0)
        return bytes(12) + b"\x08\0" + head + bytes((10, 0, 0, 1, 10, 0, 0, 2)) + payload

    first, later = fragment(0x2000, struct.pack("!HHHH", 9, 53, 24, 0) + bytes(8)), fragment(2, bytes(8))
    reading, flow = flows_of(capture([later, first, later]))
    assert flow == {1: 0, 2: 1, 3: 1}
    assert reading.flows.ends(1) == (Endpoint("10.0.0.1", 9), Endpoint("10.0.0.2", 53))


def test_keys_are_numbered_as_a_dict_numbers_them() -> None:
    """By their first rows, through any number of calls and all growing of the table; the same key, the same number."""
    chance = np.random.default_rng(1)
    keys, known = Keys(bits=2), dict[tuple[int, int], int]()
    for size in (0, 1, 3, 500, 20_000, 7):
        for numbers_of in (keys.numbers, keys.numbers_of_runs):
            high = chance.integers(0, 40, size).astype(np.uint64) << np.uint64(58)
            low = np.repeat(chance.integers(0, 200, (size + 2) // 3), 3)[:size].astype(np.uint64)
            before = len(known)
            expected = [known.setdefault(pair, len(known)) for pair in zip(high.tolist(), low.tolist(), strict=True)]
            number, firsts = numbers_of(high, low)
            assert number.tolist() == expected
            assert number[firsts].tolist() == list(range(before, len(known)))
            assert firsts.tolist() == sorted(firsts.tolist())
    assert list(known) == list(zip(keys.high.tolist(), keys.low.tolist(), strict=True))
