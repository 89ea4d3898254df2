"""Captures for tests, put together octet by octet: pcap and pcapng in either byte order, with what rawlab never writes.

Each function gives the octets of one part; a file is their sum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

T0 = 1_700_000_000
"seconds: when the first packet was seen"
MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D


def segment(number: int, size: int) -> bytes:
    """An Ethernet frame with a TCP segment of so many octets; the numbers tell segments apart."""
    payload = bytes((number + n) % 256 for n in range(size))
    tcp = struct.pack(">HHIIBBHHH", 40000, 7, 1000 + number, 5000, 0x50, 0x18, 512, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), number, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + b"\x08\0" + ip + tcp


# ------------------------------------------------------------------------------------------------- pcap


def pcap_header(
    order: str = "<", magic: int = MICRO, version: tuple[int, int] = (2, 4), snaplen: int = 65535, link: int = 1
) -> bytes:
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, link)


def pcap_record(
    order: str, seconds: int, ticks: int, data: bytes, length: int | None = None, more: bytes = b""
) -> bytes:
    """`more`: what a relative's record header goes on with."""
    captured = len(data)
    return struct.pack(order + "IIII", seconds, ticks, captured, captured if length is None else length) + more + data


def pcap(packets: Iterable[bytes], order: str = "<", magic: int = MICRO) -> bytes:
    """A file of these packets, a second and a tick apart."""
    records = (pcap_record(order, T0 + n, n, data) for n, data in enumerate(packets))
    return pcap_header(order, magic) + b"".join(records)


# ----------------------------------------------------------------------------------------------- pcapng


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + total + body + total


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", length: int = -1, options: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, length) + options, order)


def interface(order: str = "<", link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(
    order: str = "<",
    point: int = 0,
    ticks: int = T0 * 10**6,
    data: bytes = b"",
    length: int | None = None,
    options: bytes = b"",
) -> bytes:
    captured = len(data)
    said = captured if length is None else length
    head = struct.pack(order + "IIIII", point, ticks >> 32, ticks & 0xFFFFFFFF, captured, said)
    return block(6, head + data + bytes(-captured % 4) + options, order)


def simple(order: str = "<", data: bytes = b"", length: int | None = None) -> bytes:
    return block(3, struct.pack(order + "I", len(data) if length is None else length) + data, order)


def obsolete(
    order: str = "<", point: int = 0, ticks: int = T0 * 10**6, data: bytes = b"", options: bytes = b""
) -> bytes:
    head = struct.pack(order + "HHIIII", point, 9, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data + bytes(-len(data) % 4) + options, order)
