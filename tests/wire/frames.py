"""Frames for the tests of `wire`: the captures under `pcaps`, and what tshark and tcpdump say of them.

The captures are not part of the repository: they lie in `../shared/pcaps` beside it, or where RAWLAB_PCAPS
says. Tests that want them are skipped where they are not there, and so are those that want a missing tool.
"""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rawlab.wire.fields import load_scapy

PCAPS = Path(
    os.environ.get("RAWLAB_PCAPS") or Path(__file__).resolve().parents[2].parent / "shared" / "pcaps"
)
NAMES = sorted(path.name for path in PCAPS.glob("*cap*")) or ["none"]

Raw = tuple[bytes, int, int]
"a frame's octets, link type, and length on the wire"


def capture(name: str) -> Path:
    """The capture of that name; skips the test where there is none."""
    if not (PCAPS / name).is_file():
        pytest.skip("no captures: put them beside the repository in shared/pcaps, or set RAWLAB_PCAPS")
    return PCAPS / name


def tool(name: str) -> str:
    """The tool's path; skips the test where it is not installed."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def scapy() -> Any:
    """The scapy package, its modules at hand."""
    load_scapy()
    import scapy.utils

    return scapy


@cache
def frames(path: Path) -> tuple[Raw, ...]:
    """All frames of a pcap or pcapng file, up to where it is damaged. Simple, and not rawlab's own reader."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return tuple(_pcapng(data) if data.startswith(b"\x0a\x0d\x0d\x0a") else _pcap(data))


def _pcap(data: bytes) -> Iterator[Raw]:
    order = ">" if data[:4] in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d") else "<"
    snaplen, linktype = struct.unpack_from(order + "II", data, 16)
    at = 24
    while at + 16 <= len(data):
        captured, length = struct.unpack_from(order + "8xII", data, at)
        if captured > max(snaplen, 65535) or at + 16 + captured > len(data):
            return
        yield data[at + 16 : at + 16 + captured], linktype, length
        at += 16 + captured


def _pcapng(data: bytes) -> Iterator[Raw]:
    links: list[tuple[int, int]] = []
    order, at = "<", 0
    while at + 12 <= len(data):
        if data.startswith(b"\x0a\x0d\x0d\x0a", at):
            order, links = ">" if data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d" else "<", []
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind == 1:
            links.append(struct.unpack_from(order + "HxxI", data, at + 8))
        elif kind == 6:
            number, captured, length = struct.unpack_from(order + "I8xII", data, at + 8)
            yield data[at + 28 : at + 28 + captured], links[number][0], length
        elif kind == 3:
            (length,) = struct.unpack_from(order + "I", data, at + 8)
            captured = min(length, links[0][1] or length)
            yield data[at + 12 : at + 12 + captured], links[0][0], length
        at += size


def tcpdump(path: Path) -> list[str]:
    """What `tcpdump -t -n -S` prints of a capture, a line a packet; hex dumps and link prefixes left out."""
    run = subprocess.run(
        [tool("tcpdump"), "-t", "-n", "-S", "-r", str(path)], capture_output=True, text=True, errors="replace"
    )
    return [line for line in run.stdout.splitlines() if not line.startswith(("\t", "    "))]


def tshark(path: Path, *names: str, options: Sequence[str] = ()) -> list[dict[str, list[str]]]:
    """The named fields of each frame by tshark, each with all its values; nothing put together again."""
    options = [
        *options,
        "tcp.relative_sequence_numbers:FALSE",
        "tcp.desegment_tcp_streams:FALSE",
        "ip.defragment:FALSE",
        "ipv6.defragment:FALSE",
    ]
    command = [
        tool("tshark"),
        "-n",
        "-r",
        str(path),
        "-T",
        "fields",
        "-E",
        "separator=|",
        "-E",
        "aggregator=,",
    ]
    command += [part for option in options for part in ("-o", option)]
    command += [part for name in names for part in ("-e", name)]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    rows = [line.split("|") for line in run.stdout.splitlines()]
    return [
        {name: [v for v in value.split(",") if v] for name, value in zip(names, row, strict=True)}
        for row in rows
    ]


def write_pcap(path: Path, packets: Sequence[Raw]) -> Path:
    """A capture of these frames, all of one link type."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, packets[0][1]))
        for data, _, length in packets:
            file.write(struct.pack("<IIII", 0, 0, len(data), length) + data)
    return path


# ---- frames made by hand

MACS = bytes.fromhex("020000000002 020000000001")
HELLO = b"hello"


def ethernet(kind: int, payload: bytes) -> bytes:
    return MACS + struct.pack("!H", kind) + payload


def ipv4(
    protocol: int, payload: bytes, *, fragment: int = 0x4000, total: int | None = None, options: bytes = b""
) -> bytes:
    length = 20 + len(options) + len(payload) if total is None else total
    words = 0x45 + len(options) // 4
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    return (
        struct.pack("!BBHHHBBH", words, 0, length, 77, fragment, 64, protocol, 0)
        + addresses
        + options
        + payload
    )


def ipv6(following: int, payload: bytes, *, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    addresses = bytes.fromhex("fd000000000000000000000000000001 fd000000000000000000000000000002")
    return struct.pack("!IHBB", 6 << 28, size, following, 64) + addresses + payload


def tcp(
    payload: bytes = HELLO, *, options: bytes = b"", flags: int = 0x18, words: int | None = None
) -> bytes:
    options += bytes(-len(options) % 4)
    offset = 5 + len(options) // 4 if words is None else words
    header = struct.pack(
        "!HHIIBBHHH", 40000, 7, 0xFFFFFFFE, 9, offset << 4 | flags >> 8, flags & 255, 502, 0, 3
    )
    return header + options + payload


def udp(payload: bytes = HELLO, *, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", 5000, 7, 8 + len(payload) if length is None else length, 0) + payload
