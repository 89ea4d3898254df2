"""The pcapng format: blocks to bytes and back (draft-ietf-opsawg-pcapng).

    block   = type (4) | total length (4) | body | total length (4)           each a multiple of 4 octets
    file    = Section Header | Interface Description, … | Enhanced Packet, Journal Export, … | Statistics, …

We write one section in the machine's byte order, one interface a point of observation with time stamps in
nanoseconds, calls as systemd Journal Export blocks (`wire.journal`), and the counts of frames captured and
dropped in the Interface Statistics blocks. We read any section, and pass over the blocks and options that we
do not know. A length is checked against what is there before it is believed; where the file ceases to be
whole, `Damage` says at which octet and why, and all before it has been given.

What does *not* belong here: what a block's content means for a run (`store`).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

SECTION_HEADER, INTERFACE, PACKET_OBSOLETE, SIMPLE_PACKET = 0x0A0D0D0A, 1, 2, 3
STATISTICS, ENHANCED_PACKET, JOURNAL = 5, 6, 9
PACKETS = frozenset((PACKET_OBSOLETE, SIMPLE_PACKET, ENHANCED_PACKET))
RECORDS = PACKETS | {JOURNAL, 0x0BAD, 0x4000_0BAD, 0x204, 0x216, 0x221}
"what Wireshark numbers: packets, journal entries, custom blocks, sysdig's events"
BYTE_ORDER_MAGIC = 0x1A2B3C4D
END, COMMENT = 0, 1
SHB_OS, SHB_USERAPPL = 3, 4
IF_NAME, IF_DESCRIPTION, IF_IPV4, IF_IPV6, IF_TSRESOL, IF_TSOFFSET = 2, 3, 4, 5, 9, 14
EPB_FLAGS = 2
ISB_IFRECV, ISB_IFDROP, ISB_USRDELIV = 4, 5, 8
INBOUND, OUTBOUND = 1, 2

MAX_BLOCK, MAX_PACKET = 16 << 20, 262_144
NATIVE: Literal["<", ">"] = "<" if sys.byteorder == "little" else ">"

_ORDERS: tuple[tuple[Literal["<", ">"], Literal["little", "big"]], ...] = (("<", "little"), (">", "big"))

Options = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a pcapng file."""

    type: int
    offset: int
    "where it begins in the file"
    order: Literal["<", ">"]
    "its section's byte order, as struct writes it"
    body: memoryview
    section: int
    "its section's number, from 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An Interface Description block."""

    linktype: int
    snaplen: int
    ticks_per_second: int = 1_000_000
    offset_s: int = 0
    name: str | None = None
    description: str | None = None
    addresses: tuple[bytes, ...] = ()
    "each of 4 (IPv4) or 16 octets (IPv6)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketRecord:
    """A packet block of whichever kind."""

    interface: int
    at_ns: int
    data: memoryview
    length: int
    "octets on the wire"
    direction: int = 0
    "INBOUND, OUTBOUND, or 0: not said"
    comments: tuple[str, ...] = field(default=())
    is_timed: bool = True
    "False: the block has no time (a Simple Packet block); `at_ns` is 0"


class Damage(Exception):
    """The file ceases to be whole."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"at octet {offset}: {why}")
        self.offset = offset
        self.why = why


# ---------------------------------------------------------------------------------------------- writing


def block(type: int, body: bytes, order: str = "=") -> bytes:
    """A block of the given body, padded; `order`: its section's byte order."""
    total = 12 + len(body) + -len(body) % 4
    head, tail = struct.pack(order + "II", type, total), struct.pack(order + "I", total)
    return head + body + bytes(-len(body) % 4) + tail


def options(items: Options, order: str = "=") -> bytes:
    """Options and their end; no octet at all for none."""
    packed = b"".join(
        struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in items
    )
    return packed + struct.pack(order + "HH", END, 0) if items else b""


def section_header(items: Options = ()) -> bytes:
    """The block that begins a file; its length is left open (-1), as a file that still grows needs."""
    return block(SECTION_HEADER, struct.pack("=IHHq", BYTE_ORDER_MAGIC, 1, 0, -1) + options(items))


def interface_description(
    linktype: int, name: str, addresses: Sequence[bytes] = (), *, snaplen: int = MAX_PACKET
) -> bytes:
    """One point of observation, with nanosecond stamps. `addresses`: packed, 4 octets each or 16."""
    items: list[tuple[int, bytes]] = [(IF_NAME, name.encode()), (IF_TSRESOL, b"\x09")]
    for address in addresses:  # with a netmask of /24 or /64, as the option wants one
        items.append(
            (IF_IPV4, address + b"\xff\xff\xff\0") if len(address) == 4 else (IF_IPV6, address + b"\x40")
        )
    return block(INTERFACE, struct.pack("=HHI", linktype, 0, snaplen) + options(items))


def enhanced_packet(record: PacketRecord) -> bytes:
    """One frame."""
    items = [(COMMENT, comment.encode()) for comment in record.comments]
    if record.direction:
        items.append((EPB_FLAGS, struct.pack("=I", record.direction)))
    high, low = divmod(record.at_ns, 1 << 32)
    captured = len(record.data)
    head = struct.pack("=IIIII", record.interface, high, low, captured, record.length)
    return block(ENHANCED_PACKET, b"".join((head, record.data, bytes(-captured % 4), options(items))))


def interface_statistics(interface: int, at_ns: int, captured: int, dropped: int) -> bytes:
    """How many frames the interface handed over and how many it lost."""
    items = [
        (ISB_IFRECV, struct.pack("=Q", captured + dropped)),
        (ISB_IFDROP, struct.pack("=Q", dropped)),
        (ISB_USRDELIV, struct.pack("=Q", captured)),
    ]
    return block(STATISTICS, struct.pack("=III", interface, *divmod(at_ns, 1 << 32)) + options(items))


def journal(entry: bytes) -> bytes:
    """A systemd Journal Export block."""
    return block(JOURNAL, entry)


# ---------------------------------------------------------------------------------------------- reading


def blocks(data: bytes | memoryview) -> Iterator[Block]:
    """Every block, in order. Raises Damage at the first that is not whole."""
    view = memoryview(data)
    at, order, section = 0, NATIVE, -1
    while at < len(view):
        if len(view) - at < 12:
            raise Damage(at, f"a block of at least 12 octets expected, {len(view) - at} there")
        if bytes(view[at : at + 4]) == b"\x0a\x0d\x0d\x0a":
            order, section = _byte_order(view, at), section + 1
        type, total = struct.unpack_from(order + "II", view, at)
        if total < 12 or total % 4 or total > MAX_BLOCK:
            raise Damage(
                at, f"a block's length of 12 to {MAX_BLOCK}, a multiple of 4, expected, {total} came"
            )
        if total > len(view) - at:
            raise Damage(at, f"a block of {total} octets expected, {len(view) - at} there")
        (again,) = struct.unpack_from(order + "I", view, at + total - 4)
        if again != total:
            raise Damage(at, f"the block's length {total} expected again at its end, {again} came")
        yield Block(type=type, offset=at, order=order, body=view[at + 8 : at + total - 4], section=section)
        at += total


def _byte_order(view: memoryview, at: int) -> Literal["<", ">"]:
    magic = bytes(view[at + 8 : at + 12])
    for order, name in _ORDERS:
        if magic == BYTE_ORDER_MAGIC.to_bytes(4, name):
            return order
    raise Damage(at, f"the byte-order magic 1a2b3c4d expected, {magic.hex()} came")


def check_section(block: Block) -> None:
    """A Section Header block. Raises Damage for one of a format to come, whose blocks may be others."""
    if len(block.body) < 16:
        raise Damage(block.offset, f"a section header of 16 octets expected, {len(block.body)} there")
    if (major := struct.unpack_from(block.order + "H", block.body, 4)[0]) != 1:
        raise Damage(block.offset, f"pcapng's version 1 expected, {major} came")


def read_options(body: memoryview, at: int, order: str) -> list[tuple[int, bytes]]:
    """The options from `at` on; what is not whole ends the list."""
    found = []
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == END or at + 4 + length > len(body):
            break
        found.append((code, bytes(body[at + 4 : at + 4 + length])))
        at += 4 + length + -length % 4
    return found


def texts(items: Options, code: int) -> tuple[str, ...]:
    """The values of all options of that code, as text."""
    return tuple(value.decode("utf-8", "replace") for number, value in items if number == code)


def read_interface(block: Block) -> Interface:
    """An Interface Description block. Raises Damage."""
    if len(block.body) < 8:
        raise Damage(block.offset, f"an interface description of 8 octets expected, {len(block.body)} there")
    linktype, _, snaplen = struct.unpack_from(block.order + "HHI", block.body)
    items = read_options(block.body, 8, block.order)
    first = dict(reversed(items))
    said = first.get(IF_TSRESOL, b"")
    resolution = said[0] if len(said) == 1 else 6
    if resolution & 0x7F > (63 if resolution & 0x80 else 19):
        raise Damage(
            block.offset, f"a time stamp resolution that fits 64 bits expected, {resolution:#x} came"
        )
    offset = first.get(IF_TSOFFSET, b"")
    return Interface(
        linktype=linktype,
        snaplen=snaplen,
        ticks_per_second=2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution,
        offset_s=struct.unpack(block.order + "q", offset)[0] if len(offset) == 8 else 0,
        name=next(iter(texts(items, IF_NAME)), None),
        description=next(iter(texts(items, IF_DESCRIPTION)), None),
        addresses=tuple(
            value[: len(value) - (4 if code == IF_IPV4 else 1)]
            for code, value in items
            if (code, len(value)) in ((IF_IPV4, 8), (IF_IPV6, 17))
        ),
    )


def read_packet(block: Block, interfaces: Sequence[Interface]) -> PacketRecord:
    """An Enhanced, Simple or obsolete Packet block. Raises Damage."""
    body, order = block.body, block.order
    if len(body) < (size := 4 if block.type == SIMPLE_PACKET else 20):
        raise Damage(block.offset, f"a packet block's header of {size} octets expected, {len(body)} there")
    if block.type == SIMPLE_PACKET:
        number, ticks, length = 0, 0, struct.unpack_from(order + "I", body)[0]
        captured = min(length, interfaces[0].snaplen or length) if interfaces else length
    elif block.type == PACKET_OBSOLETE:
        number, _, high, low, captured, length = struct.unpack_from(order + "HHIIII", body)
        ticks = high << 32 | low
    else:
        number, high, low, captured, length = struct.unpack_from(order + "IIIII", body)
        ticks = high << 32 | low
    if number >= len(interfaces):
        raise Damage(block.offset, f"an interface below {len(interfaces)} expected, {number} came")
    if captured > min(len(body) - size, MAX_PACKET):
        raise Damage(
            block.offset,
            f"a packet of at most {min(len(body) - size, MAX_PACKET)} octets expected, {captured} came",
        )
    items = read_options(body, size + captured + -captured % 4, order)
    flags = next((value for code, value in items if code == EPB_FLAGS and len(value) == 4), bytes(4))
    interface = interfaces[number]
    return PacketRecord(
        interface=number,
        at_ns=ticks * 1_000_000_000 // interface.ticks_per_second + interface.offset_s * 1_000_000_000,
        data=body[size : size + captured],
        length=length,
        direction=struct.unpack(order + "I", flags)[0] & 3,
        comments=texts(items, COMMENT),
        is_timed=block.type != SIMPLE_PACKET,
    )


def first_time(data: bytes | memoryview) -> int:
    """The time of the first packet that has one, in nanoseconds: what stands for that of packets before it; or 0."""
    described: list[Interface] = []
    try:
        for block in blocks(data):
            if block.type == SECTION_HEADER:
                described = []
            elif block.type == INTERFACE:
                described.append(read_interface(block))
            elif block.type in PACKETS and block.type != SIMPLE_PACKET:
                return read_packet(block, described).at_ns
    except Damage:
        pass
    return 0


def read_statistics(block: Block) -> tuple[int, int | None, int | None]:
    """(interface, captured, dropped) of an Interface Statistics block. Raises Damage."""
    if len(block.body) < 12:
        raise Damage(block.offset, f"interface statistics of 12 octets expected, {len(block.body)} there")
    counts = {
        code: struct.unpack(block.order + "Q", value)[0]
        for code, value in read_options(block.body, 12, block.order)
        if len(value) == 8
    }
    received, dropped = counts.get(ISB_IFRECV), counts.get(ISB_IFDROP)
    captured = counts.get(ISB_USRDELIV)
    if captured is None and received is not None:
        captured = max(received - (dropped or 0), 0)
    return struct.unpack_from(block.order + "I", block.body)[0], captured, dropped
