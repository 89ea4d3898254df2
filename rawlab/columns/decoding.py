"""What frames say, as columns: the link header, IPv4 or IPv6, TCP, UDP, SCTP and ICMP, all frames of a stretch at once.

How it works: rows of header octets are gathered for all frames of one form, their fields read as columns, and every
rule of `wire.decode` (cut captures, padding, total length 0, …) is a mask. A frame that is none of the usual forms, or
breaks a rule, is `slow`: `wire.decode` reads it alone (`columns.single`). So both say the same, the fast one only of
what it is sure of.

What does not belong here: which flow a frame belongs to (`columns.flows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.ends import PORTS, Ends
from rawlab.columns.keys import Uint64
from rawlab.columns.octets import Octets, Rows, column
from rawlab.columns.options import window_options
from rawlab.columns.records import Records
from rawlab.columns.window import Bool, Int32, Int64
from rawlab.wire import symbols
from rawlab.wire.pcapng import Interface

TCP, UDP, SCTP, ICMP, ICMP6 = 6, 17, 132, 1, 58
_IPV4, _IPV6 = 0x0800, 0x86DD
_PLAIN4, _PLAIN6 = (0, 8), tuple(range(128, 137))
"types of ICMP and ICMPv6 that quote no packet"
TUNNELS = (4789, 6081)
"UDP ports behind which there may be another packet"

Chosen = Any
"rows of a stretch: an array of their indices, or slice(None) for all"
_ALL = slice(None)
_SYN = 2


class Columns:
    """A window's columns as far as they come from the frames themselves; and both ends of each frame as numbers."""

    def __init__(self, records: Records) -> None:
        count = len(records)
        self.protocol = np.zeros(count, np.int16)
        self.source, self.target = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
        self.seq, self.ack = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
        self.flags = np.zeros(count, np.uint16)
        self.window, self.payload = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self.payload_at, self.mss = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self.wscale = np.full(count, -1, np.int8)
        self.slow = np.ones(count, np.bool_)
        self.form = np.zeros(count, np.uint8)


@dataclass(slots=True, kw_only=True)
class _Packets:
    """IP packets whose header was read, all of them whole as far as that goes."""

    rows: Chosen
    offset: Int64
    "of the frame"
    begin: Int32
    "of the payload, in the frame"
    end: Int32
    "of what is there of it"
    size: Int32
    "of the payload, by the header"
    protocol: npt.NDArray[np.uint8]
    source: Uint64
    target: Uint64
    ahead: Rows | None
    "20 octets of the payload, or what stands there in the file; None where they are still to be gathered"

    def where(self, mask: Bool) -> _Packets:
        if mask.all():
            return self
        at = np.flatnonzero(mask)
        return _Packets(
            rows=_narrowed(self.rows, at),
            offset=self.offset[at],
            begin=self.begin[at],
            end=self.end[at],
            size=self.size[at],
            protocol=self.protocol[at],
            source=self.source[at],
            target=self.target[at],
            ahead=None if self.ahead is None else self.ahead[at],
        )

    def heads(self, octets: Octets, size: int) -> Rows:
        """The first octets of the payload, of which so many are there."""
        return octets.rows(self.offset + self.begin, size) if self.ahead is None else self.ahead


def _narrowed(rows: Chosen, at: Int64) -> Chosen:
    return at if isinstance(rows, slice) else rows[at]


def _where(rows: Chosen, mask: Bool) -> Chosen:
    """Those of the rows for which the mask holds."""
    return rows if mask.all() else _narrowed(rows, np.flatnonzero(mask))


def decode(octets: Octets, records: Records, points: Sequence[Interface], ends: Ends) -> Columns:
    """The columns of these frames; those of `slow` frames are still empty."""
    columns = Columns(records)
    for rows, at, heads, version in _network(octets, records, points):
        if len(heads):
            _transport(octets, (_ipv4 if version == 4 else _ipv6)(records, rows, at, heads, ends), columns)
    return columns


# ---- link layers: (rows, where their IP headers begin, octets from there on, 4 or 6)

_Forms = Iterator[tuple[Chosen, int, Rows, int]]
_AHEAD = 40
"octets that are gathered from an IP header on: IPv6's header, or IPv4's and TCP's, as they mostly are"


def _network(octets: Octets, records: Records, points: Sequence[Interface]) -> _Forms:
    linktypes = np.array([point.linktype for point in points] or [0])
    if (linktypes == linktypes[0]).all():
        yield from _link(octets, records, _ALL, int(linktypes[0]))
        return
    of_row = linktypes[records.point]
    for linktype in sorted(set(linktypes.tolist())):
        yield from _link(octets, records, _where(_ALL, of_row == linktype), linktype)


def _link(octets: Octets, records: Records, rows: Chosen, linktype: int) -> _Forms:
    if linktype in _ETHERTYPE_AT:
        yield from _ethertypes(octets, records, rows, *_ETHERTYPE_AT[linktype])
    elif linktype in (0, 108):
        rows, heads = _ahead(octets, records, rows, 0, 4 + _AHEAD)
        family = np.minimum(column(heads, 0, ">u4"), column(heads, 0, "<u4"))
        for version, these in ((4, family == 2), (6, np.isin(family, _AF_INET6))):
            yield _where(rows, these), 4, heads[these, 4:], version
    elif linktype in (12, 14, 101, 228, 229):
        rows, heads = _ahead(octets, records, rows, 0, _AHEAD)
        six = (heads[:, 0] >> 4 == 6) & (linktype != 228) | (linktype == 229)
        for version, these in ((4, ~six), (6, six)):
            yield _where(rows, these), 0, heads[these], version


_ETHERTYPE_AT = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"link type: where the EtherType stands, and octets of the header: Ethernet, Linux cooked 1 and 2"
_AF_INET6 = (10, 24, 28, 30)


def _ahead(octets: Octets, records: Records, rows: Chosen, at: int, size: int) -> tuple[Chosen, Rows]:
    """So many octets from octet `at` of each frame on, whether they are the frame's or not; of those rows from which
    the file has that many."""
    if at + size <= records.ahead.shape[1]:
        return rows, records.ahead[rows, at : at + size]
    places = records.offset[rows] + at
    if len(places) and places[-1] > len(octets) - size:
        rows = _where(rows, places <= len(octets) - size)
        places = records.offset[rows] + at
    return rows, octets.rows(places, size)


def _ethertypes(octets: Octets, records: Records, rows: Chosen, field: int, size: int) -> _Forms:
    """Behind up to two VLAN tags; more are slow."""
    for _ in range(3):
        rows, heads = _ahead(octets, records, rows, field, size - field + _AHEAD)
        kinds, heads = column(heads, 0, ">u2"), heads[:, size - field :]
        if (kinds == _IPV4).all():
            yield rows, size, heads, 4
            return
        for kind, version in ((_IPV4, 4), (_IPV6, 6)):
            if (these := kinds == kind).any():
                yield _where(rows, these), size, heads[these], version
        rows = _where(rows, np.isin(kinds, tuple(symbols.VLAN_TYPES)))
        if not len(records.offset[rows]):
            return
        field, size = size + 2, size + 4


# ---- IP


def _ipv4(records: Records, rows: Chosen, at: int, heads: Rows, ends: Ends) -> _Packets:
    """No fragments, and nothing that `wire.ip.ipv4` objects to."""
    offset, captured = records.offset[rows], records.captured[rows]
    first, total = heads[:, 0], column(heads, 2, ">u2").astype(np.int32)
    header = (first & 15).astype(np.int32) << 2
    if not total.all():  # as Linux writes it of a packet that the interface is still to cut
        total = np.where(total, total, np.maximum(captured, records.length[rows]) - at)
    size = _on_the_wire(total, captured, records, rows, at) - header
    good = (first >> 4 == 4) & (header >= 20) & (header + at <= captured) & (total >= header)
    good &= column(heads, 6, ">u2") & 0x3FFF == 0
    return _Packets(
        rows=rows,
        offset=offset,
        begin=header + np.int32(at),
        end=np.minimum(total + np.int32(at), captured),
        size=size,
        protocol=heads[:, 9],
        source=ends.v4(column(heads, 12, ">u4")),
        target=ends.v4(column(heads, 16, ">u4")),
        ahead=heads[:, 20:] if (first == 0x45).all() else None,
    ).where(good)


def _ipv6(records: Records, rows: Chosen, at: int, heads: Rows, ends: Ends) -> _Packets:
    """Extension headers are no transport protocols, and so slow."""
    offset, captured = records.offset[rows], records.captured[rows]
    size = column(heads, 4, ">u2").astype(np.int32)
    if not size.all():
        size = np.where(size, size, np.maximum(captured, records.length[rows]) - at - 40)
    return _Packets(
        rows=rows,
        offset=offset,
        begin=np.full(len(offset), at + 40, np.int32),
        end=np.minimum(size + np.int32(at + 40), captured),
        size=_on_the_wire(size, captured, records, rows, at + 40),
        protocol=heads[:, 6],
        source=ends.v6(heads[:, 8:24]),
        target=ends.v6(heads[:, 24:40]),
        ahead=None,
    ).where((heads[:, 0] >> 4 == 6) & (captured >= at + 40))


def _on_the_wire(size: Int32, captured: Int32, records: Records, rows: Chosen, at: int) -> Int32:
    """So many octets from there on, but no more than the frames had."""
    if not (size > captured - at).any():
        return size
    there: Int32 = np.maximum(captured, records.length[rows]) - np.int32(at)
    return np.minimum(size, there)


# ---- transport


def _transport(octets: Octets, packets: _Packets, columns: Columns) -> None:
    present = np.flatnonzero(np.bincount(packets.protocol)).tolist()
    for protocol, (least, read) in _READERS.items():
        if protocol in present:
            these = packets.where(packets.protocol == protocol)
            these = these.where(these.end - these.begin >= least)
            if len(these.offset):
                read(octets, these, columns)


def _kept(packets: _Packets, ports: Rows | None, good: Bool, columns: Columns) -> None:
    """The protocol and both ends of these; those that are good are slow no more."""
    rows, protocol = packets.rows, int(packets.protocol[0])
    bits = np.uint64(protocol << 48 if ports is None else protocol << 48 | PORTS)
    source, target = packets.source | bits, packets.target | bits
    if ports is not None:
        source |= column(ports, 0, ">u2")
        target |= column(ports, 2, ">u2")
    columns.protocol[rows] = protocol
    columns.source[rows], columns.target[rows] = source, target
    columns.slow[rows] = ~good


def _tcp(octets: Octets, packets: _Packets, columns: Columns) -> None:
    """RFC 9293 section 3.1."""
    rows, heads = packets.rows, packets.heads(octets, 20)
    header = (heads[:, 12] >> 4).astype(np.int32) << 2
    good: Bool = (header >= 20) & (header <= packets.size)
    flags = column(heads, 12, ">u2") & np.uint16(0x1FF)
    columns.seq[rows], columns.ack[rows] = column(heads, 4, ">u4"), column(heads, 8, ">u4")
    columns.flags[rows], columns.window[rows] = flags, column(heads, 14, ">u2")
    columns.payload[rows] = packets.size - header
    columns.payload_at[rows] = np.minimum(packets.begin + header, packets.end)
    _kept(packets, heads, good, columns)
    telling = good & (flags & _SYN != 0) & (header > 20)
    if telling.any():
        syns = packets.where(telling)
        places, there = syns.offset + syns.begin + 20, syns.end - syns.begin - 20
        columns.wscale[syns.rows], columns.mss[syns.rows] = window_options(octets, places, header[telling] - 20, there)


def _udp(octets: Octets, packets: _Packets, columns: Columns) -> None:
    """RFC 768."""
    rows, heads = packets.rows, packets.heads(octets, 8)
    length = column(heads, 4, ">u2").astype(np.int32)
    good: Bool = (length >= 8) & (length <= packets.size)
    for port in TUNNELS:
        good &= (column(heads, 0, ">u2") != port) & (column(heads, 2, ">u2") != port)
    columns.payload[rows], columns.payload_at[rows] = length - 8, packets.begin + 8
    _kept(packets, heads, good, columns)


def _sctp(octets: Octets, packets: _Packets, columns: Columns) -> None:
    """RFC 9260 section 3: chunks do not matter here."""
    heads = packets.heads(octets, 4)
    columns.payload_at[packets.rows] = packets.begin + 12
    _kept(packets, heads, np.ones(len(heads), np.bool_), columns)


def _icmp(octets: Octets, packets: _Packets, columns: Columns) -> None:
    kinds = packets.heads(octets, 1)[:, 0]
    _kept(packets, None, np.isin(kinds, _PLAIN4 if packets.protocol[0] == ICMP else _PLAIN6), columns)


_READERS = {TCP: (20, _tcp), UDP: (8, _udp), SCTP: (12, _sctp), ICMP: (8, _icmp), ICMP6: (8, _icmp)}
"by protocol: octets of its header, and what reads it"
