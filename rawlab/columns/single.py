"""The frames that are none of the usual forms, one at a time: what `wire.decode` says of them, put into the columns.

A fragment that is not the first has no ports, and takes the ends of its first, where that came before it; the one that
makes its packet whole speaks for it (`columns.fragments`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rawlab.columns.decoding import Columns
from rawlab.columns.ends import Ends
from rawlab.columns.fragments import Fragments
from rawlab.columns.octets import Octets
from rawlab.columns.options import MSS, WSCALE
from rawlab.columns.records import Records
from rawlab.columns.window import ARP, FRAGMENT, NO_IP, TUNNELLED, UNDECODED
from rawlab.model.facts import ArpMessage, Facts, IpHeader, TcpSegment, UdpDatagram, Undecoded
from rawlab.model.sctp import SctpPacket
from rawlab.wire import symbols
from rawlab.wire.decode import decode
from rawlab.wire.pcapng import Interface

_BIT = {flag: 1 << bit for bit, flag in enumerate(symbols.TCP_FLAGS)}
_IP_TYPES = frozenset({0x0800, 0x86DD, 0x0806, 0x8035}) | symbols.VLAN_TYPES


class Single:
    """Reads frames one at a time."""

    def __init__(self, octets: Octets, points: Sequence[Interface], ends: Ends) -> None:
        self._octets, self._points, self._ends = octets, points, ends
        self._fragments = Fragments()

    def read(self, records: Records, columns: Columns) -> None:
        """Fills the rows that are slow."""
        for row in np.flatnonzero(columns.slow).tolist():
            begin, captured = int(records.offset[row]), int(records.captured[row])
            data = self._octets.view[begin : begin + captured]
            facts = decode(data, self._points[records.point[row]].linktype, int(records.length[row]))
            columns.source[row], columns.target[row] = self._between(facts)
            columns.protocol[row] = _protocol(facts)
            columns.form[row] = bool(facts.outer) * TUNNELLED | bool(facts.ip and facts.ip.is_fragment) * FRAGMENT
            _fill(columns, row, facts)
            if facts.ip and facts.ip.is_fragment:
                self._tie(columns, row, facts, facts.ip)

    def _between(self, facts: Facts) -> tuple[int, int]:
        """Both ends."""
        transport, ip, ends = facts.transport, facts.ip, self._ends
        if ip is None:
            if isinstance(transport, ArpMessage):
                return ends.of_arp(transport.sender), ends.of_arp(transport.target)
            return ends.of_mac(facts.source_mac), ends.of_mac(facts.destination_mac)
        if isinstance(transport, TcpSegment | UdpDatagram | SctpPacket):
            ports: tuple[int | None, int | None] = transport.source_port, transport.destination_port
        else:
            ports = None, None
        source = ends.of_ip(ip.source, ip.protocol, ports[0])
        target = ends.of_ip(ip.destination, ip.protocol, ports[1])
        return self._fragments.ends(ip, (source, target)) if ip.is_fragment else (source, target)

    def _tie(self, columns: Columns, row: int, facts: Facts, ip: IpHeader) -> None:
        """A fragment has TCP's and UDP's fields only where it makes its packet whole: then those of all of it."""
        ends = int(columns.source[row]), int(columns.target[row])
        whole = self._fragments.whole(ip, facts.transport, ends)
        if not isinstance(facts.transport, SctpPacket):
            _clear(columns, row)
        if whole is not None:
            head, octets = whole
            _fill_head(columns, row, head)
            columns.payload[row], columns.payload_at[row] = min(octets, 0x7FFFFFFF), ip.payload[0]


def _protocol(facts: Facts) -> int:
    if isinstance(facts.transport, ArpMessage):
        return ARP
    if isinstance(facts.transport, Undecoded):
        known = facts.ip is None and facts.ethertype is not None and facts.ethertype not in _IP_TYPES
        return NO_IP if known else UNDECODED
    return facts.ip.protocol if facts.ip else NO_IP


def _fill(columns: Columns, row: int, facts: Facts) -> None:
    """TCP's and UDP's fields; 0 for all others."""
    transport = facts.transport
    _clear(columns, row)
    if isinstance(transport, SctpPacket):
        columns.payload_at[row] = transport.data[0]
    if isinstance(transport, TcpSegment | UdpDatagram):
        columns.payload[row] = min(transport.length, 0x7FFFFFFF)
        columns.payload_at[row] = transport.data[0]
        _fill_head(columns, row, transport)


def _clear(columns: Columns, row: int) -> None:
    columns.seq[row] = columns.ack[row] = columns.flags[row] = columns.window[row] = columns.mss[row] = 0
    columns.payload[row] = columns.payload_at[row] = 0
    columns.wscale[row] = -1


def _fill_head(columns: Columns, row: int, transport: TcpSegment | UdpDatagram) -> None:
    """What TCP's header says."""
    if isinstance(transport, TcpSegment):
        columns.seq[row], columns.ack[row] = transport.seq.value, transport.ack.value
        columns.flags[row] = sum(_BIT[flag] for flag in transport.flags)
        columns.window[row] = transport.window
        options = {option.kind: option.values for option in transport.options} if "S" in transport.flags else {}
        columns.wscale[row] = min(options.get(WSCALE, (-1,))[0], 127)
        columns.mss[row] = options.get(MSS, (0,))[0]
