"""What of a packet can be checked from its octets alone: checksums and lengths, each with what it ought to be.

    checksums   IPv4's (RFC 791), TCP's, UDP's and ICMPv6's with their pseudo-header, ICMP's, SCTP's CRC32c (RFC 9260)
    lengths     IPv4's Total Length and header length, IPv6's Payload Length, UDP's length, TCP's data offset

The Internet checksum is arithmetic modulo 65,535 (see `wire.tcp_build`). A fragment's transport checksum covers
octets that are not there, and is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from crc32c import crc32c

from rawlab.model.facts import IpHeader
from rawlab.wire.decode import decode
from rawlab.wire.tcp_build import ONES, residue

_TCP, _UDP, _ICMP, _ICMPV6, _SCTP = 6, 17, 1, 58, 132
_PLACES = {_TCP: ("TCP", 16), _UDP: ("UDP", 6), _ICMP: ("ICMP", 2), _ICMPV6: ("ICMPv6", 2), _SCTP: ("SCTP", 8)}
"where each transport's checksum lies, from its header's first octet"
_FOREIGN = {4: _ICMPV6, 6: _ICMP}
"the other IP version's ICMP, which means nothing here"
_HEADERS = {_TCP: 20, _UDP: 8, _ICMP: 4, _ICMPV6: 4, _SCTP: 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One checksum or length."""

    layer: str
    "'IP', 'IPv6', 'TCP', 'UDP', 'ICMP', 'ICMPv6', 'SCTP'"
    name: str
    "'TCP checksum', 'IP total length'"
    offset: int
    "where it lies, in octets from the packet's first"
    length: int
    "octets of it"
    over: str
    "what it covers or counts"
    value: int
    expected: int
    "what it ought to be; itself where it is right"
    checksum: bool
    "False: a length"

    @property
    def right(self) -> bool:
        """Whether it is what it ought to be."""
        return self.value == self.expected

    @property
    def shown(self) -> str:
        """'0x1c46', '45'."""
        return f"0x{self.value:0{2 * self.length}x}" if self.checksum else str(self.value)

    @property
    def verdict(self) -> str:
        """'right', or 'wrong: 0x1c46 would be right'."""
        other = f"0x{self.expected:0{2 * self.length}x}" if self.checksum else str(self.expected)
        return "right" if self.right else f"wrong: {other} would be right"


def checks(data: bytes | memoryview, linktype: int) -> tuple[Check, ...]:
    """All that can be checked of one frame or IP packet, in tunnels too; none of what can't be read."""
    octets = bytes(data)
    facts = decode(octets, linktype)
    found: list[Check] = []
    for ip in (*(outer.ip for outer in facts.outer), *((facts.ip,) if facts.ip else ())):
        if len(octets) >= ip.start + 20:
            found += _ipv4(octets, ip.start) if ip.version == 4 else _ipv6(octets, ip.start)
    if found and facts.ip is not None and not facts.ip.is_fragment:
        found += _transport(octets, facts.ip)
    return tuple(found)


def _ipv4(octets: bytes, at: int) -> Iterator[Check]:
    there = len(octets) - at
    header = min((octets[at] & 15) * 4, there)
    over = f"octets in the packet: {at}–{len(octets) - 1}"
    total = int.from_bytes(octets[at + 2 : at + 4], "big")
    yield _length("IP", "IP total length", at + 2, over, total, there)
    yield _ones("IP", at, octets[at : at + header], 10, 0, f"the header, octets {at}–{at + header - 1}")


def _ipv6(octets: bytes, at: int) -> Iterator[Check]:
    there = len(octets) - at - 40
    length = int.from_bytes(octets[at + 4 : at + 6], "big")
    over = f"octets behind the header: {at + 40}–{len(octets) - 1}"
    yield _length("IPv6", "IPv6 payload length", at + 4, over, length, there)


def _transport(octets: bytes, ip: IpHeader) -> Iterator[Check]:
    place = _PLACES.get(ip.protocol)
    begin = ip.payload[0]
    carried = octets[begin:]
    if place is None or len(carried) < _HEADERS[ip.protocol] or ip.protocol == _FOREIGN[ip.version]:
        return
    layer, offset = place
    octets_there = f"octets {begin}–{len(octets) - 1}"
    if ip.protocol == _UDP:
        length = int.from_bytes(carried[4:6], "big")
        yield _length(layer, "UDP length", begin + 4, octets_there, length, len(carried))
    if ip.protocol == _SCTP:
        value = int.from_bytes(carried[8:12], "little")
        right = crc32c(carried[:8] + bytes(4) + carried[12:])
        yield _check(layer, "SCTP checksum", begin + 8, 4, f"CRC32c of {octets_there}", value, right, checksum=True)
        return
    pseudo = 0
    if ip.protocol != _ICMP:
        addresses = ip_address(ip.source).packed + ip_address(ip.destination).packed
        pseudo = int.from_bytes(addresses, "big") + ip.protocol + len(carried)
        shown = f"({ip.source}, {ip.destination}, protocol {ip.protocol}, length {len(carried)})"
        octets_there = f"the pseudo-header {shown} and {octets_there}"
    if ip.protocol == _UDP and ip.version == 4 and carried[6:8] == b"\0\0":
        yield _check(layer, "UDP checksum", begin + 6, 2, "nothing: 0 says that there is none", 0, 0, checksum=True)
        return
    yield _ones(layer, begin, carried, offset, pseudo, octets_there)


def _ones(layer: str, begin: int, covered: bytes, offset: int, pseudo: int, over: str) -> Check:
    """The ones' complement of the ones' complement sum (RFC 1071); 0 and 0xffff are both zero."""
    value = int.from_bytes(covered[offset : offset + 2], "big")
    without = covered[:offset] + b"\0\0" + covered[offset + 2 :]
    right = -(residue(without) + pseudo) % ONES
    if layer == "UDP":
        right = right or ONES
    name = "IP header checksum" if layer == "IP" else f"{layer} checksum"
    same = value % ONES == right % ONES
    return _check(layer, name, begin + offset, 2, over, value, value if same else right, checksum=True)


def _length(layer: str, name: str, offset: int, over: str, value: int, right: int) -> Check:
    return _check(layer, name, offset, 2, over, value, right, checksum=False)


def _check(
    layer: str, name: str, offset: int, length: int, over: str, value: int, expected: int, *, checksum: bool
) -> Check:
    return Check(
        layer=layer,
        name=name,
        offset=offset,
        length=length,
        over=over,
        value=value,
        expected=expected,
        checksum=checksum,
    )
