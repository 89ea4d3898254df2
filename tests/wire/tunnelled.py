"""Frames of every link type and tunnel that rawlab reads, by hand: what each carries is the same few packets.

`CASES` has for each a name, a link type and the frames; tests decode them, show them, and ask tshark about them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.wire.frames import HELLO, ethernet, ipv4, ipv6, tcp, udp

ONE, TWO, ACCESS_POINT = (bytes.fromhex(f"0200000000{n:02x}") for n in (1, 2, 3))
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
DATAGRAM, SEGMENT = ipv4(17, udp()), ipv4(6, tcp(options=bytes.fromhex("020405b4 01030307")))
DATAGRAM6, SEGMENT6 = ipv6(17, udp()), ipv6(6, tcp())
SCTP = struct.pack("!HHII", 5000, 7, 9, 0) + bytes.fromhex("0300001000000001 0000ffff 00000000")
PACKETS = (DATAGRAM, SEGMENT, DATAGRAM6, SEGMENT6, ipv4(132, SCTP))
ASKS = bytes.fromhex("0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")

Case = tuple[int, tuple[bytes, ...]]
"link type, frames"


def kind(packet: bytes) -> int:
    return IPV6 if packet[:1] >= b"\x60" else IPV4


def behind(header: bytes, packet: bytes) -> bytes:
    """A header, the packet's EtherType, the packet."""
    return header + struct.pack("!H", kind(packet)) + packet


def snap(packet: bytes, organization: bytes = b"\0\0\0") -> bytes:
    return behind(b"\xaa\xaa\x03" + organization, packet)


def cooked(packet: bytes, tag: bytes = b"") -> bytes:
    head = struct.pack("!HHH6sH", 0, 1, 6, ONE, 0)
    return behind(head + (b"\x81\0" + tag if tag else b""), packet)


def cooked2(packet: bytes, tag: bytes = b"") -> bytes:
    first = 0x8100 if tag else kind(packet)
    head = struct.pack("!HHIHBB6sH", first, 0, 2, 1, 0, 6, ONE, 0)
    return head + (tag + struct.pack("!H", kind(packet)) if tag else b"") + packet


def ppp(packet: bytes, *, framed: bool = True, short: bool = False) -> bytes:
    protocol = 0x57 if packet[0] >> 4 == 6 else 0x21
    return (b"\xff\3" if framed else b"") + (bytes([protocol]) if short else bytes([0, protocol])) + packet


def pppoe(packet: bytes) -> bytes:
    inside = ppp(packet, framed=False)
    return struct.pack("!BBHH", 0x11, 0, 5, len(inside)) + inside


def wlan(packet: bytes, *, way: int = 1, qos: bool = True, htc: bool = False, amsdu: bool = False) -> bytes:
    """A data frame; `way`: the bits To DS and From DS."""
    first = 0x88 if qos else 0x08
    places = {0: (TWO, ONE, ACCESS_POINT), 1: (ACCESS_POINT, ONE, TWO), 2: (TWO, ACCESS_POINT, ONE)}
    addresses = b"".join(places.get(way, (ACCESS_POINT, ACCESS_POINT, TWO)))
    header = bytes([first, way | 0x80 * htc, 0, 0]) + addresses + b"\x10\0" + (ONE if way == 3 else b"")
    header += (bytes([0x80 * amsdu, 0]) if qos else b"") + (bytes(4) if htc else b"")
    body = snap(packet)
    return header + (TWO + ONE + struct.pack("!H", len(body)) if amsdu else b"") + body


def radiotap(frame: bytes, *, checksum: bool = False, clock: bool = False, padded: bool = False) -> bytes:
    """With Flags, and the time before them; the Flags say whether the checksum is there."""
    fields = bytes(8) if clock else b""
    fields += bytes([0x10 * checksum | 0x20 * padded])
    head = struct.pack("<BBHI", 0, 0, 8 + len(fields), 2 | clock)
    return head + fields + frame + (b"\xde\xad\xbe\xef" if checksum else b"")


def gre(packet: bytes, flags: int = 0, optional: bytes = b"", protocol: int | None = None) -> bytes:
    return struct.pack("!HH", flags, kind(packet) if protocol is None else protocol) + optional + packet


def pptp(packet: bytes) -> bytes:
    inside = ppp(packet)
    return gre(inside, 0x3081, struct.pack("!HHII", len(inside), 7, 1, 2), 0x880B)


def to_port(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", 55555, port, 8 + len(payload), 0) + payload


def vxlan(frame: bytes, vni: int = 5) -> bytes:
    return to_port(4789, struct.pack("!II", 8 << 24, vni << 8) + frame)


def geneve(frame: bytes, options: bytes = b"") -> bytes:
    return to_port(6081, struct.pack("!BBHI", len(options) // 4, 0, 0x6558, 5 << 8) + options + frame)


def ether(packet: bytes) -> bytes:
    return ethernet(kind(packet), packet)


def tagged(packet: bytes, *tags: tuple[int, int]) -> bytes:
    """Behind Ethernet and tags of these types and numbers."""
    inside = struct.pack("!H", kind(packet)) + packet
    for protocol, number in reversed(tags):
        inside = struct.pack("!HH", protocol, number) + inside
    return TWO + ONE + inside


def extended(chain: tuple[int, ...], last: int, payload: bytes) -> bytes:
    """An IPv6 packet with these extension headers, each of 8 octets (AH: of 12)."""
    kinds = [*chain, last]
    headers = b""
    for number, following in zip(chain, kinds[1:], strict=True):
        if number == 51:
            headers += bytes([following, 1]) + bytes(10)
        else:
            headers += bytes([following, 0]) + (b"\1\4\0\0\0\0" if number != 44 else b"\0\0\0\0\0\7")
    return ipv6(kinds[0], headers + payload)


def pieces(packet: bytes, size: int) -> list[bytes]:
    """The fragments of an IPv4 or IPv6 packet without extension headers, each of so many octets."""
    header, following, payload = (20, packet[9], packet[20:]) if packet[0] >> 4 == 4 else (40, packet[6], packet[40:])
    made = []
    for at in range(0, len(payload), size):
        part, more = payload[at : at + size], at + size < len(payload)
        if header == 20:
            made.append(ipv4(following, part, fragment=at // 8 | 0x2000 * more))
        else:
            made.append(ipv6(44, struct.pack("!BBHI", following, 0, at | more, 77) + part))
    return made


def _all(make: object, packets: tuple[bytes, ...] = PACKETS) -> tuple[bytes, ...]:
    assert callable(make)
    return tuple(make(packet) for packet in packets)


CHAINS = ((0,), (60,), (43,), (44,), (51,), (0, 60, 43, 44, 51, 60))
LONG = (ipv4(17, udp(HELLO * 20)), ipv6(17, udp(HELLO * 20)))
ERSPAN = b"\x10" + bytes(7)
LLC_FRAME = TWO + ONE + struct.pack("!H", len(snap(DATAGRAM))) + snap(DATAGRAM) + bytes(4)

CASES: Mapping[str, Case] = {
    "ethernet": (1, _all(ether)),
    "802.3 with LLC/SNAP": (1, (LLC_FRAME, TWO + ONE + b"\0\4" + b"\x42\x42\3\0", ethernet(ARP, ASKS))),
    "VLAN": (1, _all(lambda packet: tagged(packet, (0x8100, 5)))),
    "QinQ": (1, _all(lambda packet: tagged(packet, (0x88A8, 7), (0x8100, 5)))),
    "old QinQ": (1, _all(lambda packet: tagged(packet, (0x9100, 7), (0x8100, 5)))),
    "NULL": (0, _all(lambda packet: struct.pack("<I", 30 if packet[0] >> 4 == 6 else 2) + packet)),
    "LOOP": (108, _all(lambda packet: struct.pack("!I", 24 if packet[0] >> 4 == 6 else 2) + packet)),
    "raw": (101, PACKETS),
    "raw IPv4": (228, (DATAGRAM, SEGMENT)),
    "raw IPv6": (229, (DATAGRAM6, SEGMENT6)),
    "cooked": (113, _all(cooked)),
    "cooked with VLAN": (113, _all(lambda packet: cooked(packet, b"\0\5"))),
    "cooked v2": (276, _all(cooked2)),
    "cooked v2 with VLAN": (276, _all(lambda packet: cooked2(packet, b"\0\5"))),
    "PPP": (9, (*_all(ppp), *_all(lambda packet: ppp(packet, framed=False)))),
    "PPP, short protocol": (9, _all(lambda packet: ppp(packet, framed=False, short=True))),
    "PPP in HDLC framing": (50, _all(ppp)),
    "Cisco HDLC": (104, _all(lambda packet: behind(b"\x0f\0", packet))),
    "PPPoE": (51, _all(pppoe)),
    "PPPoE over Ethernet": (1, _all(lambda packet: ethernet(0x8864, pppoe(packet)))),
    "MPLS": (1, _all(lambda packet: ethernet(0x8847, b"\0\1\0\x40\0\2\1\x40" + packet))),
    "802.11": (105, tuple(wlan(DATAGRAM, way=way, qos=qos) for way in range(3) for qos in (False, True))),
    "802.11, four addresses": (105, (wlan(SEGMENT, way=3, qos=False),)),
    "802.11, no data": (105, (b"\x80\0\0\0" + bytes(20), b"\xd4\0\0\0" + ONE, b"\x48\1" + bytes(22))),
    "radiotap": (127, _all(lambda packet: radiotap(wlan(packet)))),
    "radiotap with checksum": (127, _all(lambda packet: radiotap(wlan(packet), checksum=True, clock=True))),
    "802.11 with HT Control": (127, _all(lambda packet: radiotap(wlan(packet, htc=True)))),
    "A-MSDU": (127, _all(lambda packet: radiotap(wlan(packet, way=2, amsdu=True)))),
    "Prism": (119, _all(lambda packet: struct.pack("<II", 0x44, 144) + bytes(136) + wlan(packet, qos=False))),
    "AVS": (163, _all(lambda packet: struct.pack("!II", 0x80211001, 64) + bytes(56) + wlan(packet, qos=False))),
    "PKTAP": (258, _all(lambda packet: struct.pack("<III", 108, 1, 1) + bytes(96) + ether(packet))),
    "PPI": (192, _all(lambda packet: struct.pack("<BBHI", 0, 0, 8, 105) + wlan(packet, qos=False))),
    "IP in IP": (1, tuple(ether(ipv4(41 if packet[0] >> 4 == 6 else 4, packet)) for packet in PACKETS)),
    "IP in IPv6": (1, tuple(ether(ipv6(41 if packet[0] >> 4 == 6 else 4, packet)) for packet in PACKETS)),
    "GRE": (1, _all(lambda packet: ether(ipv4(47, gre(packet))))),
    "GRE with all": (1, _all(lambda packet: ether(ipv4(47, gre(packet, 0xB000, bytes(7) + b"\5\0\0\0\6"))))),
    "GRE with Ethernet": (1, _all(lambda packet: ether(ipv4(47, gre(ether(packet), protocol=0x6558))))),
    "ERSPAN": (1, _all(lambda packet: ether(ipv4(47, gre(ERSPAN + ether(packet), 0x1000, bytes(4), 0x88BE))))),
    "GRE over IPv6": (1, _all(lambda packet: ether(ipv6(47, gre(packet))))),
    "PPTP": (1, _all(lambda packet: ether(ipv4(47, pptp(packet))))),
    "VXLAN": (1, _all(lambda packet: ether(ipv4(17, vxlan(ether(packet)))))),
    "VXLAN with VLAN": (1, _all(lambda packet: ether(ipv4(17, vxlan(tagged(packet, (0x8100, 5))))))),
    "Geneve": (1, _all(lambda packet: ether(ipv4(17, geneve(ether(packet), b"\0\1\0\0"))))),
    "tunnels in tunnels": (1, _all(lambda packet: ether(ipv4(47, gre(ipv4(17, vxlan(ether(packet)))))))),
    "extension headers": (1, tuple(ether(extended(chain, 17, udp())) for chain in CHAINS)),
    "fragments": (1, tuple(ether(part) for packet in LONG for part in pieces(packet, 48))),
    "fragments in tunnels": (1, tuple(ether(ipv4(4, part)) for part in pieces(LONG[0], 48))),
    "a tunnel in fragments": (1, tuple(ether(part) for part in pieces(ipv4(47, gre(LONG[0])), 64))),
}
