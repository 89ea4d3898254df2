"""Which side of a link sends each frame: the client's or the server's.

Of TCP, UDP and SCTP a flow's first end is the client: who opened it, as far as the capture shows that (who answered a
SYN was not the one). An ICMP error goes the way opposite to the packet that it quotes. Of all others it is told by what
is known of who sends them: a MAC address seen as source on one side is on that side, else an IP address is, of ARP the
sender's. Where neither is known, or both sides have used it, what is known of whom it is for tells the other side; else
a flow's first end is the client again.

What does not belong here: when a frame is sent, and whether.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.decoding import ICMP, ICMP6
from rawlab.columns.ends import ARP_V4, NO_ADDRESS, PORTS, V4, End
from rawlab.columns.reading import Reading
from rawlab.columns.window import Int64, Window
from rawlab.model.address import Endpoint

if TYPE_CHECKING:
    from rawlab.model.facts import Quoted

_SYN_ACK = 0x12
_ETHERNET = 1
_SOURCE_AT = 6
"octets of a MAC address; the source's stands behind the other"
_CLIENT, _UNKNOWN = 0, -1
_NOBODY = -1
"a MAC or an IP address that there is none of"
_Places = dict[int, int]
"by address: bit 0, the client's side has sent from it; bit 1, the server's has"


class Sides:
    """Tells them, window by window: what earlier ones have shown stays known."""

    def __init__(self, octets: memoryview, reading: Reading) -> None:
        self._octets, self._reading = octets, reading
        self._bytes = np.frombuffer(octets, np.uint8)
        self._first: npt.NDArray[np.int8] = np.full(16, _UNKNOWN, np.int8)
        "by flow: the side of its first end"
        self._macs: _Places = {}
        self._hosts: _Places = {}
        self._flows: dict[tuple[int, End, End], int] = {}
        self._learnt = 0
        "flows that are in it"

    def of(self, window: Window) -> npt.NDArray[np.uint8]:
        """0 where the client sends the frame, 1 where the server does."""
        if not len(window):
            return np.zeros(0, np.uint8)
        self._make_room(int(window.flow.max()) + 1)
        ported = self._reading.flows.end_numbers[0][window.flow] & np.uint64(PORTS) != 0
        self._open(window, np.flatnonzero(ported))
        quoting = self._tell_apart(window, ~ported)
        sides = (self._first[window.flow] ^ ~window.forward).astype(np.uint8)
        for row, side in quoting.items():
            sides[row] = side
        return sides

    def _make_room(self, flows: int) -> None:
        if flows > self._first.size:
            self._first = np.concatenate([self._first, np.full(flows * 2 - self._first.size, _UNKNOWN, np.int8)])

    # ---- TCP, UDP, SCTP

    def _open(self, window: Window, rows: Int64) -> None:
        """The client of each new flow with ports; which addresses are whose, by all of these rows."""
        new = rows[self._first[window.flow[rows]] == _UNKNOWN]
        flows, first = np.unique(window.flow[new], return_index=True)
        first = new[first]
        answers = (window.flags[first] & _SYN_ACK) == _SYN_ACK
        self._first[flows] = client_is_second = window.forward[first] == answers
        source, target = self._reading.flows.end_numbers
        _know(self._hosts, _hosts(source[flows]), client_is_second)
        _know(self._hosts, _hosts(target[flows]), ~client_is_second)
        sides = self._first[window.flow[rows]] ^ ~window.forward[rows]
        _know(self._macs, self._macs_at(_SOURCE_AT, window, rows), sides)

    # ---- all others

    def _tell_apart(self, window: Window, others: npt.NDArray[np.bool_]) -> dict[int, int]:
        """The sides of new flows without ports; and by row, the side of each error that quotes a packet."""
        rows = np.flatnonzero(others)
        _, first = np.unique(window.flow[rows] * np.int64(2) + window.forward[rows], return_index=True)
        errors = others & window.slow & ((window.protocol == ICMP) | (window.protocol == ICMP6))
        rows = np.union1d(rows[first], np.flatnonzero(errors))
        quoting: dict[int, int] = {}
        for row, flow, forward, *addresses in zip(*self._addresses(window, rows), strict=True):
            quoted = self._quoted(window, row) if errors[row] else None
            side = self._side(flow, forward, addresses, quoted)
            if quoted is not None:
                quoting[row] = side
            if self._first[flow] == _UNKNOWN:
                self._first[flow] = side ^ (not forward)
            mac, host, _, _ = addresses
            self._macs.setdefault(mac, 1 << side)
            self._hosts.setdefault(host, 1 << side)
        return quoting

    def _side(self, flow: int, forward: bool, addresses: list[int], quoted: Quoted | None) -> int:
        """Who sends a frame of a flow without ports."""
        side, first = None, int(self._first[flow])
        if quoted is not None and (sender := self._sender_of(quoted)) is not None:
            side = 1 - sender
        elif quoted is not None or first == _UNKNOWN:
            side = self._by_address(*addresses)
        return max(first, _CLIENT) ^ (not forward) if side is None else side

    def _by_address(self, mac: int, host: int, to_mac: int, to_host: int) -> int | None:
        """The side that is known of these."""
        known = ((self._macs, mac, 0), (self._hosts, host, 0), (self._macs, to_mac, 1), (self._hosts, to_host, 1))
        for places, address, opposite in known:
            if address != _NOBODY and (sides := places.get(address)) in (1, 2):
                return sides - 1 ^ opposite
        return None

    def _addresses(self, window: Window, rows: Int64) -> list[list[Any]]:
        """Columns: row, flow, forward; MAC and IP address of who sends it, and of whom it is for."""
        flow, forward = window.flow[rows], window.forward[rows]
        source, target = (_hosts(ends[flow]) for ends in self._reading.flows.end_numbers)
        columns = (
            rows,
            flow,
            forward,
            self._macs_at(_SOURCE_AT, window, rows),
            np.where(forward, source, target),
            self._macs_at(0, window, rows),
            np.where(forward, target, source),
        )
        return [column.tolist() for column in columns]

    def _quoted(self, window: Window, row: int) -> Quoted | None:
        """The packet that an error quotes."""
        from rawlab.model.facts import IcmpMessage  # with all of wire.decode: most captures have no error in them
        from rawlab.wire.decode import decode

        at = int(window.offset[row])
        data = self._octets[at : at + int(window.captured[row])]
        message = decode(data, self._reading.points[window.point[row]].linktype, int(window.length[row])).transport
        return message.quoted if isinstance(message, IcmpMessage) else None

    def _sender_of(self, quoted: Quoted) -> int | None:
        """The side that sent it, where its flow was seen."""
        self._learn()
        ip, protocol = quoted.ip, quoted.ip.protocol
        source, target = _end(ip.source, quoted.source_port), _end(ip.destination, quoted.destination_port)
        for ends, second in (((source, target), 0), ((target, source), 1)):
            flow = self._flows.get((protocol, *ends))
            if flow is not None and self._first[flow] != _UNKNOWN:
                return int(self._first[flow]) ^ second
        return None

    def _learn(self) -> None:
        """The flows that came since the last time; of two between the same ends the later one stays."""
        flows = self._reading.flows
        for flow in range(self._learnt, len(flows)):
            self._flows[int(flows.protocol[flow]), *flows.ends(flow)] = flow
        self._learnt = len(flows)

    def _macs_at(self, at: int, window: Window, rows: Int64) -> Int64:
        """The MAC addresses that stand there in these frames; all are 0 on the loopback interface."""
        ethernet = np.array([point.linktype == _ETHERNET for point in self._reading.points])
        there = ethernet[window.point[rows]] & (window.captured[rows] >= 2 * _SOURCE_AT)
        places = np.where(there, window.offset[rows] + at, 0)
        macs = np.zeros(rows.size, np.int64)
        for octet in range(_SOURCE_AT):
            macs = macs << 8 | self._bytes[places + octet]
        return np.where(there & (macs > 0), macs, _NOBODY)


def _end(address: str, port: int | None) -> End:
    return address if port is None else Endpoint(address, port)


def _hosts(ends: npt.NDArray[np.uint64]) -> Int64:
    """Ends without protocol and port; ARP's addresses are IPv4's."""
    kinds = (ends >> np.uint64(61)).astype(np.int64)
    addresses = (ends >> np.uint64(16)).astype(np.int64) & 0xFFFFFFFF
    return np.where(kinds == NO_ADDRESS, _NOBODY, np.where(kinds == ARP_V4, V4, kinds) << 32 | addresses)


def _know(places: _Places, addresses: Int64, sides: npt.NDArray[Any]) -> None:
    """Each of these addresses has sent from that side."""
    for key in np.unique(addresses << 1 | sides).tolist():
        places[key >> 1] = places.get(key >> 1, 0) | 1 << (key & 1)
