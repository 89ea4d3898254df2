"""The two ends of a frame as numbers, so that equal ends are equal numbers.

An end is 64 bits: what kind of address, the protocol, the address, the port. An IPv4 address is in it as it is; IPv6
and MAC addresses are numbered in the order in which they come.

    bits 61-63 kind | 60 has ports | 48-55 protocol | 16-47 address, or its number | 0-15 port

What does not belong here: flows (`columns.flows`).
"""

from __future__ import annotations

import ipaddress

import numpy as np
import numpy.typing as npt

from rawlab.columns.keys import Keys, Uint64
from rawlab.columns.octets import Rows
from rawlab.columns.window import ARP, NO_IP
from rawlab.model.address import Endpoint

V4, V6, MAC, NO_ADDRESS, ARP_V4 = 0, 1, 2, 3, 4
PORTS = 1 << 60
WITH_PORTS = (6, 17, 132)
"TCP, UDP, SCTP"
End = Endpoint | str | None
"an address and a port; an address alone; None where the frame has none"


def number(kind: int, address: int = 0, protocol: int = 0, port: int | None = None) -> int:
    """An end. `port` None where the protocol has none, or it can't be read."""
    return kind << 61 | protocol << 48 | address << 16 | (0 if port is None else PORTS | port)


class Ends:
    """The addresses that are too long to stand in an end's number."""

    def __init__(self) -> None:
        self._v6, self._macs = Keys(), Keys()

    def v4(self, addresses: npt.NDArray[np.unsignedinteger]) -> Uint64:
        """The ends of IPv4 addresses, without protocol and port."""
        return addresses.astype(np.uint64) << np.uint64(16)

    def v6(self, rows: Rows) -> Uint64:
        """The ends of IPv6 addresses of 16 octets each, without protocol and port."""
        halves = np.ascontiguousarray(rows).view(">u8").astype(np.uint64)
        numbers = self._v6.numbers(halves[:, 0], halves[:, 1])[0]
        return numbers.astype(np.uint64) << np.uint64(16) | np.uint64(V6 << 61)

    def of_ip(self, address: str, protocol: int, port: int | None = None) -> int:
        """The end of an address in its text form."""
        packed = ipaddress.ip_address(address).packed
        if len(packed) == 4:
            return number(V4, int.from_bytes(packed), protocol, port)
        return number(V6, _numbered(self._v6, packed), protocol, port)

    def of_arp(self, address: str) -> int:
        return number(ARP_V4, int(ipaddress.IPv4Address(address)))

    def of_mac(self, address: str | None) -> int:
        if address is None:
            return number(NO_ADDRESS)
        return number(MAC, _numbered(self._macs, bytes.fromhex(address.replace(":", "")).rjust(16, b"\0")))

    def end(self, end: int) -> tuple[int, End]:
        """(IP protocol, ARP or NO_IP; the address, with the port if it has one) of an end's number."""
        kind, protocol, address = end >> 61, end >> 48 & 0xFF, end >> 16 & 0xFFFFFFFF
        if kind == NO_ADDRESS:
            return NO_IP, None
        if kind == MAC:
            return NO_IP, _octets(self._macs, address)[10:].hex(":")
        if kind == ARP_V4:
            return ARP, _dotted(address)
        text = _dotted(address) if kind == V4 else _coloned(_octets(self._v6, address))
        return protocol, Endpoint(text, end & 0xFFFF) if end & PORTS else text


def _dotted(address: int) -> str:
    return ".".join(map(str, address.to_bytes(4)))


def _coloned(packed: bytes) -> str:
    from rawlab.wire.ip import address6  # and with it all of wire.decode's facts

    return address6(packed)


def protocols(ends: Uint64) -> npt.NDArray[np.int16]:
    """The IP protocols of ends, or ARP, NO_IP."""
    kinds = ends >> np.uint64(61)
    known = (ends >> np.uint64(48) & np.uint64(0xFF)).astype(np.int16)
    return np.where(kinds <= V6, known, np.where(kinds == ARP_V4, np.int16(ARP), np.int16(NO_IP)))


def _numbered(keys: Keys, octets: bytes) -> int:
    halves = np.frombuffer(octets, ">u8").astype(np.uint64)
    return int(keys.numbers(halves[:1], halves[1:])[0][0])


def _octets(keys: Keys, number: int) -> bytes:
    return int(keys.high[number]).to_bytes(8) + int(keys.low[number]).to_bytes(8)
