"""Packets in fragments: the frame that makes one whole has its segment, as tshark says that reassembles."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from rawlab.columns.fragments import Fragments
from rawlab.columns.frames import Frames
from rawlab.columns.survey import Survey
from rawlab.model.facts import IpHeader
from tests import many

FIELDS = ("frame.number", "tcp.seq", "tcp.ack", "tcp.len", "tcp.flags", "udp.length")


def fragments(frame: bytes, identification: int, size: int) -> list[bytes]:
    """The frame's IPv4 packet in parts of so many octets."""
    header, payload, parts = bytearray(frame[14:34]), frame[34:], []
    for at in range(0, len(payload), size):
        piece, more = payload[at : at + size], at + size < len(payload)
        header[2:8] = struct.pack("!HHH", 20 + len(piece), identification, more << 13 | at // 8)
        parts.append(frame[:14] + bytes(header) + piece)
    return parts


def some(chance: random.Random) -> list[bytes]:
    """Connections and datagrams of which some packets came in fragments, in any order."""
    frames = list[bytes]()
    for number in range(60):
        for identification, frame in enumerate(many.conversation(number, [b"x" * chance.randrange(900)] * 3), 7):
            size = chance.choice((80, 200, 400))
            parts = [frame] if chance.random() < 0.5 else fragments(frame, identification, size)
            frames += chance.sample(parts, len(parts))
        parts = fragments(many.udp(("10.0.0.1", 2000 + number), ("10.0.0.2", 9), b"y" * 700), number, 256)
        frames += parts[: chance.randrange(1, 4)]  # of some the end never comes
    return frames


def ours(octets: bytes) -> dict[int, tuple[int | None, ...]]:
    """By frame number: relative numbers, octets of data, flags, of TCP; of UDP, its length."""
    survey = Survey(memoryview(octets))
    frames, found = Frames(survey.names), dict[int, tuple[int | None, ...]]()
    for window, marks in survey.windows():
        batch = frames.batch(window, marks)
        names = ("number", "seq", "ack", "payload")
        rows = zip(*(batch[name].tolist() for name in names), window.flags.tolist(), window.protocol, strict=True)
        for number, seq, ack, payload, flags, protocol in rows:
            if protocol == 6 and seq >= 0:
                found[number] = seq, max(ack, 0), payload, flags, None
            elif protocol == 17 and payload >= 0:
                found[number] = None, None, None, None, payload + 8
    return found


def tsharks(path: Path) -> dict[int, tuple[int | None, ...]]:
    words = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for field in FIELDS for word in ("-e", field))]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [[int(cell, 0) if cell else None for cell in line.split("\t")] for line in said.splitlines()]
    return {number: tuple(row) for number, *row in rows if number is not None and any(cell is not None for cell in row)}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_a_segment_in_fragments_is_tsharks(tmp_path: Path) -> None:
    """Of TCP and UDP, in any order: numbers, flags and lengths stand where the packet became whole, nowhere else."""
    path = tmp_path / "fragments.pcap"
    path.write_bytes(many.pcap(some(random.Random(5))))
    expected = tsharks(path)
    assert len(expected) > 500
    assert ours(path.read_bytes()) == expected


def test_nothing_is_missing_where_a_segment_came_in_fragments() -> None:
    """Its end is not taken for a gap, nor its acknowledgment for one of what was not captured."""
    frames = many.conversation(1, [b"x" * 1400])
    frames[3:4] = fragments(frames[3], 99, 800)
    survey = Survey(memoryview(many.pcap(frames)))
    assert [int(mark) for _, marks in survey.windows() for mark in marks] == [0] * len(frames)
    assert survey.table().values("payload_out").tolist() == [1400]


def test_what_is_never_whole_is_forgotten() -> None:
    """The memory has an end."""
    one = Fragments()
    for number in range(100_000):
        ip = IpHeader(
            version=4,
            source="10.0.0.1",
            destination="10.0.0.2",
            protocol=17,
            ttl=64,
            length=28,
            payload=(34, 42),
            start=14,
            identification=number,
            fragment_offset=8,
            more_fragments=True,
        )
        assert one.whole(ip, None, (1, 2)) is None
    assert len(one._packets) <= 4096
