"""The older pcap format, read only (draft-ietf-opsawg-pcap): micro- and nanoseconds, either byte order."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rawlab.wire.pcapng import MAX_PACKET, Damage, Interface, PacketRecord

_MAGICS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}


def read(data: bytes | memoryview) -> tuple[Interface, Iterator[PacketRecord]] | None:
    """The interface and the packets of a pcap file (micro- or nanoseconds, either byte order); None if it is none.

    The iterator raises Damage where the file ceases to be whole.
    """
    view = memoryview(data)
    for order in ("<", ">"):
        if len(view) >= 24 and struct.unpack_from(order + "I", view)[0] in _MAGICS:
            magic, _, _, _, _, snaplen, linktype = struct.unpack_from(order + "IHHiIII", view)
            interface = Interface(linktype=linktype & 0xFFFF, snaplen=snaplen)
            return interface, _records(view, order, _MAGICS[magic])
    return None


def _records(view: memoryview, order: str, tick_ns: int) -> Iterator[PacketRecord]:
    header = struct.Struct(order + "IIII")
    at = 24
    while at < len(view):
        if len(view) - at < header.size:
            raise Damage(at, f"a record header of 16 octets expected, {len(view) - at} there")
        seconds, ticks, captured, length = header.unpack_from(view, at)
        if captured > MAX_PACKET:
            raise Damage(at, f"a packet of at most {MAX_PACKET} octets expected, {captured} came")
        if captured > len(view) - at - header.size:
            raise Damage(at, f"a packet of {captured} octets expected, {len(view) - at - header.size} there")
        first = at + header.size
        at_ns = seconds * 1_000_000_000 + ticks * tick_ns
        yield PacketRecord(interface=0, at_ns=at_ns, data=view[first : first + captured], length=length)
        at = first + captured
