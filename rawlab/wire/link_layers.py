"""Link headers: Ethernet with its VLAN tags and LLC, loopback, Linux cooked, PPP, HDLC, MPLS.

One function a header, each passing over it (`wire.way` says how). What does not belong here: 802.11
(`wire.ieee80211`), what stands behind an IP header (`wire.tunnels`), names of link types (`wire.link_types`).
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from rawlab.model.facts import Undecoded
from rawlab.wire import symbols, way
from rawlab.wire.way import Passes, Way, cut

_word = Struct("!H").unpack_from
_two_words = Struct("!HH").unpack_from
_three_words = Struct("<III").unpack_from
_ppi = Struct("<2xHI").unpack_from
_sll = Struct("!4xH6sxxH").unpack_from
_sll2 = Struct("!H9xB6s").unpack_from

LINKS: Mapping[int, int] = {
    0: way.FAMILY,
    1: way.ETHERNET,
    9: way.PPP,
    12: way.RAW,
    14: way.RAW,
    50: way.HDLC,
    51: way.PPPOE,
    101: way.RAW,
    104: way.HDLC,
    105: way.IEEE80211,
    108: way.FAMILY,
    113: way.COOKED,
    119: way.PRISM,
    127: way.RADIOTAP,
    163: way.AVS,
    192: way.PPI,
    228: way.IPV4,
    229: way.IPV6,
    258: way.PKTAP,
    276: way.COOKED_2,
}
"with what a frame of this link type begins"

_FAMILIES = {2: way.IPV4, 10: way.IPV6, 24: way.IPV6, 28: way.IPV6, 30: way.IPV6}
"AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS"

_IP_SAP, _SNAP = 0x06, 0xAA
_SAPS = {0x42: "spanning tree", 0xE0: "IPX", 0xF0: "NetBIOS", 0xFE: "ISO's network layer", 0xFF: "IPX"}
_ENCAPSULATED = frozenset((b"\0\0\0", b"\0\0\xf8"))
"organization codes behind which an EtherType stands (RFC 1042; IEEE 802.1H)"

_PPP = {0x0021: way.IPV4, 0x0057: way.IPV6, 0x0281: way.MPLS, 0x0283: way.MPLS_MULTICAST}
_PPP_NAMES: Mapping[int, str] = {
    0x002D: "Van Jacobson Compressed TCP/IP",
    0x002F: "Van Jacobson Uncompressed TCP/IP",
    0x003D: "Multi-Link",
    0x00FD: "compressed datagram",
    0x8021: "IPCP",
    0x8057: "IPV6CP",
    0x80FD: "CCP",
    0xC021: "LCP",
    0xC023: "PAP",
    0xC025: "Link Quality Report",
    0xC223: "CHAP",
}
"IANA ppp-numbers"


# ---- Ethernet


def ethernet(on: Way) -> Undecoded | None:
    if fault := cut("Ethernet", 14, on):
        return fault
    destination, source = on.octets[on.at : on.at + 6], on.octets[on.at + 6 : on.at + 12]
    on.met(source, destination)
    (kind,) = _word(on.octets, on.at + 12)
    return _typed(on, 14, kind)


def _typed(on: Way, header: int, kind: int) -> Undecoded | None:
    """Behind an EtherType, or IEEE 802.3's length of an LLC header and all behind it (clause 3.2.6)."""
    if kind < way.LOWEST_ETHERTYPE:
        on.pass_over(header, way.LLC)
        on.ends_after(kind)
    else:
        on.carries(header, kind)
    return None


def vlan(on: Way) -> Undecoded | None:
    """IEEE 802.1Q clause 9.6; of a tunnel's Ethernet, the tag is told with what carries it."""
    if on.there < 4:
        return Undecoded(why=f"802.1Q: tag of 4 octets expected, {max(on.there, 0)} there")
    tag, kind = _two_words(on.octets, on.at)
    if on.ip is None:
        on.vlans += (tag & 0xFFF,)
    else:
        on.carrier += f", vlan {tag & 0xFFF}"
    return _typed(on, 4, kind)


def llc(on: Way) -> Undecoded | None:
    """IEEE 802.2; with SNAP, an organization code and an EtherType follow (RFC 1042)."""
    if fault := cut("LLC", 3, on):
        return fault
    destination, _, control = on.octets[on.at : on.at + 3]
    if destination == _SNAP and control == 3:
        if fault := cut("LLC/SNAP", 8, on):
            return fault
        organization, (kind,) = on.octets[on.at + 3 : on.at + 6], _word(on.octets, on.at + 6)
        if organization not in _ENCAPSULATED or kind < way.LOWEST_ETHERTYPE:
            there = f"organization {organization.hex(':')}, protocol 0x{kind:04x} there"
            return Undecoded(why=f"LLC/SNAP: EtherType expected, {there}")
        on.carries(8, kind)
    elif destination == _IP_SAP and control == 3:
        on.pass_over(3, way.IPV4)
    else:
        name = _SAPS.get(destination, f"SAP 0x{destination:02x}")
        return Undecoded(why=f"LLC: SNAP or IP expected, {name} there")
    return None


# ---- loopback and cooked


def family(on: Way) -> Undecoded | None:
    """BSD loopback: the address family as the writer's CPU orders it (NULL), or in network order (LOOP)."""
    if fault := cut("loopback", 4, on):
        return fault
    word = on.octets[on.at : on.at + 4]
    number = min(int.from_bytes(word, "big"), int.from_bytes(word, "little"))
    if number not in _FAMILIES:
        return Undecoded(why=f"loopback: family of IPv4 or IPv6 expected, {number} there")
    on.pass_over(4, _FAMILIES[number])
    return None


def raw(on: Way) -> Undecoded | None:
    """No header: the IP packet's first bits say its version."""
    version = on.octets[on.at] >> 4 if on.there > 0 else 0
    on.kind = way.IPV6 if version == 6 else way.IPV4
    return None


def cooked(on: Way) -> Undecoded | None:
    """Linux's, of tcpdump -i any (LINKTYPE_LINUX_SLL)."""
    if fault := cut("Linux cooked", 16, on):
        return fault
    size, address, kind = _sll(on.octets, on.at)
    return _cooked(on, 16, kind, address if size == 6 else None)


def cooked2(on: Way) -> Undecoded | None:
    """LINKTYPE_LINUX_SLL2."""
    if fault := cut("Linux cooked v2", 20, on):
        return fault
    kind, size, address = _sll2(on.octets, on.at)
    return _cooked(on, 20, kind, address if size == 6 else None)


def _cooked(on: Way, header: int, kind: int, address: bytes | None) -> Undecoded | None:
    on.source = address.hex(":") if address else None
    if kind == _COOKED_LLC:
        on.pass_over(header, way.LLC)
    elif kind < way.LOWEST_ETHERTYPE:
        return Undecoded(why=f"Linux cooked: EtherType expected, protocol 0x{kind:04x} there")
    else:
        on.carries(header, kind)
    return None


_COOKED_LLC = 4  # ETH_P_802_2 of linux/if_ether.h


# ---- headers that tell the link type of what follows


def pktap(on: Way) -> Undecoded | None:
    """macOS's, of several interfaces at once: its length and the link type, in the order of its processors."""
    if fault := cut("PKTAP", 12, on):
        return fault
    length, _, linktype = _three_words(on.octets, on.at)
    return _linked(on, "PKTAP", length, linktype)


def ppi(on: Way) -> Undecoded | None:
    """Per-Packet Information, of wireless captures: likewise."""
    if fault := cut("PPI", 8, on):
        return fault
    length, linktype = _ppi(on.octets, on.at)
    return _linked(on, "PPI", length, linktype)


def _linked(on: Way, name: str, length: int, linktype: int) -> Undecoded | None:
    kind = LINKS.get(linktype)
    if length < 8 or length > on.there:
        return Undecoded(why=f"{name}: length of 8 to {on.there} octets expected, {length} there")
    if kind is None:
        return Undecoded(why=f"{name}: link type {linktype} is not read")
    on.pass_over(length, kind)
    return None


# ---- PPP, HDLC, MPLS


def ppp(on: Way) -> Undecoded | None:
    """RFC 1661 section 2; address and control of RFC 1662 may stand before it, and a protocol be one octet."""
    at = on.at
    if on.octets.startswith(b"\xff\x03", at, max(on.limit, at)):
        at += 2
    if at >= on.limit:
        return cut("PPP", at - on.at + 1, on)
    protocol = on.octets[at]
    at += 1
    if not protocol & 1:
        if at >= on.limit:
            return cut("PPP", at - on.at + 1, on)
        protocol = protocol << 8 | on.octets[at]
        at += 1
    if protocol not in _PPP:
        name = _PPP_NAMES.get(protocol, "protocol")
        return Undecoded(why=f"PPP: IPv4 or IPv6 expected, {name} (0x{protocol:04x}) there")
    on.pass_over(at - on.at, _PPP[protocol])
    return None


def hdlc(on: Way) -> Undecoded | None:
    """PPP in HDLC-like framing (RFC 1662), or Cisco's HDLC: address, control, EtherType (RFC 1547 section 4.3.1)."""
    if on.octets[on.at : min(on.at + 1, on.limit)] not in (b"\x0f", b"\x8f"):
        on.kind = way.PPP
        return None
    if fault := cut("Cisco HDLC", 4, on):
        return fault
    (kind,) = _word(on.octets, on.at + 2)
    if kind < way.LOWEST_ETHERTYPE or kind == _SLARP:
        return Undecoded(why=f"Cisco HDLC: IPv4 or IPv6 expected, {'SLARP' if kind == _SLARP else hex(kind)} there")
    on.carries(4, kind)
    return None


_SLARP = 0x8035


def pppoe(on: Way) -> Undecoded | None:
    """A session's packet (RFC 2516 section 4)."""
    if fault := cut("PPPoE", 6, on):
        return fault
    first, code = on.octets[on.at], on.octets[on.at + 1]
    (length,) = _word(on.octets, on.at + 4)
    if first != 0x11 or code != 0:
        return Undecoded(why=f"PPPoE: version 1, type 1, code 0 expected, 0x{first:02x}, code {code} there")
    on.pass_over(6, way.PPP)
    on.ends_after(length)
    return None


def mpls(on: Way) -> Undecoded | None:
    """One label stack entry (RFC 3032 section 2.1); behind the last nothing says what follows but its first bits."""
    if fault := cut("MPLS", 4, on):
        return fault
    last = on.octets[on.at + 2] & 1
    if not last:
        on.pass_over(4, on.kind)
        return None
    version = on.octets[on.at + 4] >> 4 if on.there > 4 else 0
    if version not in (4, 6):
        return Undecoded(why=f"MPLS: IPv4 or IPv6 expected behind the last label, first bits {version} there")
    on.pass_over(4, way.IPV4 if version == 4 else way.IPV6)
    return None


PASSES: Mapping[int, Passes] = {
    way.ETHERNET: ethernet,
    way.FAMILY: family,
    way.RAW: raw,
    way.COOKED: cooked,
    way.COOKED_2: cooked2,
    way.PKTAP: pktap,
    way.PPI: ppi,
    way.LLC: llc,
    way.PPP: ppp,
    way.HDLC: hdlc,
    way.PPP_GRE: ppp,
    way.PPPOE: pppoe,
    way.MPLS: mpls,
    way.MPLS_MULTICAST: mpls,
    **dict.fromkeys(symbols.VLAN_TYPES, vlan),
}
