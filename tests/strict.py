"""A second, strict and slow reader of captures, to hold rawlab's against: how many packets of a file are whole.

Written from draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, RFC 1952 and RFC 8878, octet by octet, without a line of
rawlab's: nothing of rawlab is imported here. Where the drafts leave a choice it is rawlab's promise that counts: blocks
of 16 MiB, packets of 262,144 octets, a time for every packet (that of the packet before, where a block has none).
What it does not know: pcap's relatives, and what a block means.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from zstandard import ZstdDecompressor, ZstdError

MOST_BLOCK, MOST_PACKET = 16 * 1024 * 1024, 262_144
SECOND = 10**9
Order = Literal["little", "big"]


@dataclass(slots=True, kw_only=True)
class Packet:
    """One packet, as the file has it."""

    number: int
    "as Wireshark counts: packets, journal entries, custom blocks and sysdig's events"
    at_ns: int | None
    "None: the block has no time"
    length: int
    octets: bytes
    point: int
    "its interface, counted through all sections"


@dataclass(slots=True, kw_only=True)
class Checked:
    """What of a file is whole."""

    packets: list[Packet] = field(default_factory=list)
    ceases_at: int | None = None
    "the octet, once unpacked, at which the record or block begins that is not whole"
    is_packing_whole: bool = True


class Ceases(Exception):
    """It is not whole from here on."""


def check(data: bytes) -> Checked | None:
    """None for what is no capture."""
    octets, is_whole = data, True
    if data[:2] == b"\x1f\x8b":
        octets, is_whole = _gunzipped(data)
    elif data[:4] == b"\x28\xb5\x2f\xfd" or (data[1:4] == b"\x2a\x4d\x18" and 0x50 <= data[0] <= 0x5F):
        octets, is_whole = _unzstd(data)
    found = _pcapng(octets) if octets[:4] == b"\x0a\x0d\x0d\x0a" else _pcap(octets)
    if found is not None:
        _give_times(found.packets)
        found.is_packing_whole = is_whole
    return found


def _give_times(packets: list[Packet]) -> None:
    """To packets without one that of the packet before; to those before the first that has one, its."""
    now = next((packet.at_ns for packet in packets if packet.at_ns is not None), 0)
    for packet in packets:
        now = packet.at_ns = now if packet.at_ns is None else packet.at_ns


def _number(octets: bytes, at: int, size: int, order: Order) -> int:
    """The number that stands there. Raises Ceases where it does not."""
    if at + size > len(octets):
        raise Ceases
    return int.from_bytes(octets[at : at + size], order)


# ------------------------------------------------------------------------------------------------- pcap


def _pcap(octets: bytes) -> Checked | None:
    magics: dict[bytes, tuple[Order, int]] = {
        b"\xa1\xb2\xc3\xd4": ("big", 1000),
        b"\xd4\xc3\xb2\xa1": ("little", 1000),
        b"\xa1\xb2\x3c\x4d": ("big", 1),
        b"\x4d\x3c\xb2\xa1": ("little", 1),
    }
    if len(octets) < 24 or octets[:4] not in magics:
        return None
    order, unit = magics[octets[:4]]
    version = _number(octets, 4, 2, order), _number(octets, 6, 2, order)
    found, at = Checked(), 24
    while at < len(octets):
        try:
            seconds, units, captured, length = (_number(octets, at + n, 4, order) for n in (0, 4, 8, 12))
            if version[0] == 543 or (version[0] == 2 and version[1] < 3) or (version == (2, 3) and captured > length):
                captured, length = length, captured
            if captured > MOST_PACKET or at + 16 + captured > len(octets):
                raise Ceases
        except Ceases:
            found.ceases_at = at
            break
        taken = octets[at + 16 : at + 16 + captured]
        at_ns, number = seconds * SECOND + units * unit, len(found.packets) + 1
        found.packets.append(Packet(number=number, at_ns=at_ns, length=length, octets=taken, point=0))
        at += 16 + captured
    return found


# ----------------------------------------------------------------------------------------------- pcapng


@dataclass(slots=True, kw_only=True)
class _Interface:
    number: int
    snaplen: int
    ticks: int
    offset_s: int


@dataclass(slots=True)
class _Section:
    """What has been read of the file, and the section that is being read."""

    octets: bytes
    order: Order = "little"
    interfaces: list[_Interface] = field(default_factory=list)
    described: int = 0
    "interfaces, in all sections"
    packets: list[Packet] = field(default_factory=list)
    numbered: int = 0
    "blocks that Wireshark numbers, so far"


def _pcapng(octets: bytes) -> Checked:
    section, at = _Section(octets), 0
    while at < len(octets):
        try:
            at += _block(section, at)
        except Ceases:
            return Checked(packets=section.packets, ceases_at=at)
    return Checked(packets=section.packets)


def _block(section: _Section, at: int) -> int:
    """Reads the block there; how long it is."""
    octets = section.octets
    if octets[at : at + 4] == b"\x0a\x0d\x0d\x0a":
        magic = octets[at + 8 : at + 12]
        if magic not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
            raise Ceases
        section.order, section.interfaces = "big" if magic[0] == 0x1A else "little", []
    kind, total = _number(octets, at, 4, section.order), _number(octets, at + 4, 4, section.order)
    if total < 12 or total % 4 != 0 or total > MOST_BLOCK or at + total > len(octets):
        raise Ceases
    if _number(octets, at + total - 4, 4, section.order) != total:
        raise Ceases
    _body(section, kind, octets[at + 8 : at + total - 4])
    return total


def _body(section: _Section, kind: int, body: bytes) -> None:
    order = section.order
    if kind in (2, 3, 6, 9, 0xBAD, 0x40000BAD, 0x204, 0x216, 0x221):
        section.numbered += 1
    if kind == 0x0A0D0D0A and (len(body) < 16 or _number(body, 4, 2, order) != 1):
        raise Ceases
    if kind == 1:
        section.interfaces.append(_interface(body, section.described, order))
        section.described += 1
    if kind == 5 and len(body) < 12:
        raise Ceases
    if kind == 2:
        number, time = _number(body, 0, 2, order), _number(body, 4, 4, order) << 32 | _number(body, 8, 4, order)
        _packet(section, body, number, time)
    if kind == 3:
        _simple(section, body)
    if kind == 6:
        number, time = _number(body, 0, 4, order), _number(body, 4, 4, order) << 32 | _number(body, 8, 4, order)
        _packet(section, body, number, time)


def _interface(body: bytes, number: int, order: Order) -> _Interface:
    snaplen, ticks, offset_s, seen = _number(body, 4, 4, order), 10**6, 0, set()
    for code, value in _options(body[8:], order):
        if code == 9 and code not in seen and len(value) == 1:
            power = value[0] & 0x7F
            if power > (63 if value[0] & 0x80 else 19):
                raise Ceases
            ticks = 2**power if value[0] & 0x80 else 10**power
        if code == 14 and code not in seen and len(value) == 8:
            offset_s = int.from_bytes(value, order, signed=True)
        seen.add(code)
    return _Interface(number=number, snaplen=snaplen, ticks=ticks, offset_s=offset_s)


def _options(octets: bytes, order: Order) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(octets):
        code, length = _number(octets, at, 2, order), _number(octets, at + 2, 2, order)
        if code == 0 or at + 4 + length > len(octets):
            return
        yield code, octets[at + 4 : at + 4 + length]
        at += 4 + length + (4 - length % 4) % 4


def _packet(section: _Section, body: bytes, number: int, time: int) -> None:
    """Of an Enhanced or an obsolete Packet block: both have their lengths and octets at the same place."""
    captured, length = _number(body, 12, 4, section.order), _number(body, 16, 4, section.order)
    if number >= len(section.interfaces) or captured > MOST_PACKET or 20 + captured > len(body):
        raise Ceases
    interface = section.interfaces[number]
    at_ns = time * SECOND // interface.ticks + interface.offset_s * SECOND
    octets = body[20 : 20 + captured]
    found = Packet(number=section.numbered, at_ns=at_ns, length=length, octets=octets, point=interface.number)
    section.packets.append(found)


def _simple(section: _Section, body: bytes) -> None:
    length = _number(body, 0, 4, section.order)
    if not section.interfaces:
        raise Ceases
    interface = section.interfaces[0]
    captured = min(length, interface.snaplen) if interface.snaplen else length
    if captured > MOST_PACKET or 4 + captured > len(body):
        raise Ceases
    octets = body[4 : 4 + captured]
    found = Packet(number=section.numbered, at_ns=None, length=length, octets=octets, point=interface.number)
    section.packets.append(found)


# ------------------------------------------------------------------------------------------ compressed


def _gunzipped(data: bytes) -> tuple[bytes, bool]:
    """What comes out, octet by octet, of all members; whether they are whole and nothing but zeros follows."""
    out, at = b"", 0
    while at < len(data) and any(data[at:]):
        if data[at : at + 2] != b"\x1f\x8b":
            return out, False
        at = _after_gzip_header(data, at)
        member, made = zlib.decompressobj(wbits=-15), b""
        while not member.eof:
            if at >= len(data):
                return out + made, False
            try:
                made += member.decompress(data[at : at + 1])
            except zlib.error:
                return out + made, False
            at += 1
        out += made
        trailer = zlib.crc32(made).to_bytes(4, "little") + (len(made) % 2**32).to_bytes(4, "little")
        if data[at : at + 8] != trailer:
            return out, False
        at += 8
    return out, True


def _after_gzip_header(data: bytes, at: int) -> int:
    """Where the deflated octets begin; behind the end of the file, where the header is not whole."""
    if at + 10 > len(data) or data[at + 2] != 8 or data[at + 3] & 0xE0:
        return len(data)
    flags, at = data[at + 3], at + 10
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for bit in (8, 16):
        if flags & bit:
            zero = data.find(b"\0", at)
            at = len(data) if zero < 0 else zero + 1
    return at + 2 if flags & 2 else at


def _unzstd(data: bytes) -> tuple[bytes, bool]:
    """What comes out, octet by octet, of all frames; whether they are whole and nothing follows."""
    out, at = b"", 0
    while at < len(data):
        if data[at + 1 : at + 4] == b"\x2a\x4d\x18" and 0x50 <= data[at] <= 0x5F:
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            if at > len(data):
                return out, False
            continue
        frame = ZstdDecompressor().decompressobj()
        while not frame.eof:
            if at >= len(data):
                return out, False
            try:
                out += frame.decompress(data[at : at + 1])
            except ZstdError:
                return out, False
            at += 1
    return out, True
