"""The older pcap format, read only (draft-ietf-opsawg-pcap), and its relatives, as Wireshark's wiretap knows them.

    file    = header (24) | record, …
    record  = seconds (4) | micro- or nanoseconds (4) | captured (4) | length (4) | the packet's octets

A magic number tells the byte order, the unit of time, and some of the relatives:

    a1b2c3d4  microseconds   a1b23c4d  nanoseconds
    a1b2cd34  Kuznetzov's    the record's header goes on: interface (4), protocol (2), kind (1), … 24 or 28 octets
    1c0001ab  Ixia's lcap    the file's header goes on: octets of all records (4); 1c0001ac in nanoseconds

Red Hat 6.1 and Nokia wrote longer record headers (24 and 20 octets) under the first number, without a word: a file
whose first three records make no sense as what it says, but do as one of those, is read so. Before version 2.3
(and in 543.0, DG/UX's) the two lengths stand the other way round, in 2.3 sometimes; AIX's 2.2 counts nanoseconds, and
names the link by its ifType (RFC 1573). The upper half of the link type tells of a frame check sequence; it is at the
end of the frame like any octets behind its IP packet, and is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from rawlab.wire.pcapng import MAX_PACKET, Damage, Interface, PacketRecord

HEADER = 24
"octets of a file's header"
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_TICK_NS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1, 0xA1B2CD34: 1000, 0x1C0001AB: 1000, 0x1C0001AC: 1}
_HEADERS = {0xA1B2C3D4: (16, 24, 20), 0xA1B2CD34: (24, 28)}
"octets of the records' headers that go by one magic number, the likeliest first"
_IXIA = (0x1C0001AB, 0x1C0001AC)
_AIX = {6: 1, 9: 6, 15: 10, 24: 0}
"ifType to LINKTYPE_: Ethernet, Token Ring, FDDI, loopback"
_LOOKED_AT = 3
"records, to tell what wrote them"
_NOKIA, _NOKIA_MASK, _NOKIA_SAYS = 20, 0xDFFF90FC, 0x9FBF9000
"octets of its record header, and the bits that are alike in all that were seen of its last four"
_MOST_INTERFACES, _MOST_KIND, _MOST_LENGTH = 10_000, 4, 128 << 20
"of what such a tool wrote: an interface's number, a PACKET_ type of linux/if_packet.h, octets on the wire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a pcap file's records lie."""

    interface: Interface
    order: Literal["<", ">"]
    "its byte order, as struct writes it"
    tick_ns: int
    "nanoseconds in one of the units behind the seconds"
    begins: int
    "where the first record begins"
    header: int = 16
    "octets of a record's header"
    swapped: bool | None = False
    "whether the length stands before the captured length; None: where that makes it the smaller one"


def read(data: bytes | memoryview) -> tuple[Interface, Iterator[PacketRecord]] | None:
    """The interface and the packets of a pcap file; None if it is none.

    The iterator raises Damage where the file ceases to be whole.
    """
    view = memoryview(data)
    found = layout(view)
    return None if found is None else (found.interface, records(view, found))


def is_magic(beginning: bytes) -> bool:
    """Whether these octets begin a pcap file."""
    return any(int.from_bytes(beginning[:4], order) in _TICK_NS for order in _ORDERS)


def layout(data: bytes | memoryview) -> Layout | None:
    """How the file's records lie; None if it is no pcap file."""
    view = memoryview(data)
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        if len(view) >= HEADER and (magic := struct.unpack_from(order + "I", view)[0]) in _TICK_NS:
            said = _said(view, order, magic)
            headers = (said.header,) if said.swapped is not False else _HEADERS.get(magic, (said.header,))
            return _likeliest(view, [replace(said, header=header) for header in headers])
    return None


def _said(view: memoryview, order: Literal["<", ">"], magic: int) -> Layout:
    """What the file's header says."""
    _, major, minor, _, _, snaplen, linktype = struct.unpack_from(order + "IHHiIII", view)
    aix = magic == 0xA1B2C3D4 and (major, minor) == (2, 2) and linktype in _AIX
    old = major == 543 or (major == 2 and minor < 3)
    return Layout(
        interface=Interface(linktype=_AIX[linktype] if aix else linktype & 0xFFFF, snaplen=snaplen),
        order=order,
        tick_ns=1 if aix else _TICK_NS[magic],
        begins=HEADER + (4 if magic in _IXIA else 0),
        swapped=True if old else None if (major, minor) == (2, 3) else False,
    )


def _likeliest(view: memoryview, layouts: list[Layout]) -> Layout:
    """The first, unless its first records make no sense and those of another one do, two of them at least."""
    if len(layouts) == 1 or _sensible(view, layouts[0]) is not None:
        return layouts[0]
    return next((layout for layout in layouts[1:] if (_sensible(view, layout) or 0) > 1), layouts[0])


def _sensible(view: memoryview, layout: Layout) -> int | None:
    """How many records were looked at, if each is what its writer can have written."""
    at, seen = layout.begins, 0
    while at < len(view) and seen < _LOOKED_AT:
        if len(view) - at < layout.header:
            return None
        seconds, ticks, captured, length = struct.unpack_from(layout.order + "IIII", view, at)
        likely = seconds and ticks < 1_000_000 and 0 < captured <= min(length, MAX_PACKET) and length <= _MOST_LENGTH
        if not likely or not _goes_on_sensibly(view, layout, at + 16):
            return None
        at, seen = at + layout.header + captured, seen + 1
    return seen if at <= len(view) else None


def _goes_on_sensibly(view: memoryview, layout: Layout, at: int) -> bool:
    """Whether what a relative's record header goes on with is one."""
    if layout.header == 16:
        return True
    first: int = struct.unpack_from(layout.order + "I", view, at)[0]
    if layout.header == _NOKIA:
        return first == 0 or first & _NOKIA_MASK == _NOKIA_SAYS
    return first <= _MOST_INTERFACES and view[at + 6] <= _MOST_KIND


def records(view: memoryview, layout: Layout) -> Iterator[PacketRecord]:
    """The packets that lie so. Raises Damage where the file ceases to be whole."""
    header = struct.Struct(layout.order + "IIII")
    at, size, swapped = layout.begins, layout.header, layout.swapped
    while at < len(view):
        if len(view) - at < size:
            raise Damage(at, f"a record header of {size} octets expected, {len(view) - at} there")
        seconds, ticks, captured, length = header.unpack_from(view, at)
        if swapped or (swapped is None and captured > length):
            captured, length = length, captured
        if captured > MAX_PACKET:
            raise Damage(at, f"a packet of at most {MAX_PACKET} octets expected, {captured} came")
        first = at + size
        if captured > len(view) - first:
            raise Damage(at, f"a packet of {captured} octets expected, {len(view) - first} there")
        at_ns = seconds * 1_000_000_000 + ticks * layout.tick_ns
        yield PacketRecord(interface=0, at_ns=at_ns, data=view[first : first + captured], length=length)
        at = first + captured
