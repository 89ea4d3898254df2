"""The fields of link headers and of tunnels' headers by their standards' names, for `wire.places`.

What a header holds may depend on its first octets (an optional field, a length where an EtherType may stand): so each
kind (`wire.way`) has a function of the frame and the header's place. What lies between the fields that it names and the
next header is that header's too, and given as octets. What does not belong here: how a field is read (`wire.places`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rawlab.wire import symbols, way
from rawlab.wire.ieee80211 import FROM_DS, ORDER, TO_DS
from rawlab.wire.shows import Header, as_hex, as_sum, ethertype, little, mac, named

Named = tuple[str, Header]
"a header's name and fields"

_COOKED: Header = (
    ("Packet type", 16, str),
    ("ARPHRD type", 16, str),
    ("Address length", 16, str),
    ("Address", 64, as_hex),
    ("Protocol", 16, ethertype),
)
_COOKED_2: Header = (
    ("Protocol", 16, ethertype),
    ("Reserved", 16, str),
    ("Interface index", 32, str),
    ("ARPHRD type", 16, str),
    ("Packet type", 8, str),
    ("Address length", 8, str),
    ("Address", 64, as_hex),
)
_FAMILY: Header = (("Address family", 32, as_hex),)
_MPLS: Header = (("Label", 20, str), ("Traffic Class", 3, str), ("Bottom of Stack", 1, str), ("Time to Live", 8, str))
_PPPOE: Header = (
    ("Version", 4, str),
    ("Type", 4, str),
    ("Code", 8, str),
    ("Session ID", 16, str),
    ("Length", 16, str),
)
_RADIOTAP: Header = (
    ("Version", 8, str),
    ("Pad", 8, str),
    ("Length", 16, little(2)),
    ("Present", 32, little(4, as_hex)),
)
_PKTAP: Header = (
    ("Header length", 32, little(4)),
    ("Record type", 32, little(4)),
    ("Link type", 32, little(4)),
)
_PPI: Header = (
    ("Version", 8, str),
    ("Flags", 8, as_hex),
    ("Header length", 16, little(2)),
    ("Link type", 32, little(4)),
)
_PRISM: Header = (("Message code", 32, as_hex), ("Message length", 32, as_hex))
_AVS: Header = (("Magic number and version", 32, as_hex), ("Length", 32, str))
_AMSDU: Header = (("Destination", 48, mac), ("Source", 48, mac), ("Length", 16, str))
_VXLAN: Header = (("Flags", 8, as_hex), ("Reserved", 24, str), ("VNI", 24, str), ("Reserved", 8, str))
_GENEVE: Header = (
    ("Version", 2, str),
    ("Option Length", 6, named(lambda number: f"{number * 4} octets")),
    ("Control", 1, str),
    ("Critical", 1, str),
    ("Reserved", 6, str),
    ("Protocol Type", 16, ethertype),
    ("VNI", 24, str),
    ("Reserved", 8, str),
)
_FRAME_CONTROL: Header = (
    ("Subtype", 4, str),
    ("Type", 2, named(lambda number: ("management", "control", "data", "extension")[number])),
    ("Protocol Version", 2, str),
    *((name, 1, str) for name in ("+HTC", "Protected Frame", "More Data", "Power Management")),
    *((name, 1, str) for name in ("Retry", "More Fragments", "From DS", "To DS")),
    ("Duration/ID", 16, little(2)),
    ("Address 1", 48, mac),
)


def _word(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 2], "big")


def _kind(octets: bytes, at: int) -> tuple[str, int, Callable[[int], str]]:
    """The field there: an EtherType, or IEEE 802.3's length."""
    length = at + 2 <= len(octets) and _word(octets, at) < way.LOWEST_ETHERTYPE
    return ("Length", 16, str) if length else ("EtherType", 16, ethertype)


def _ethernet(octets: bytes, at: int) -> Named:
    return "Ethernet", (("Destination", 48, mac), ("Source", 48, mac), _kind(octets, at + 12))


def _vlan(octets: bytes, at: int) -> Named:
    tag = ("Priority Code Point", 3, str), ("Drop Eligible Indicator", 1, str), ("VLAN Identifier", 12, str)
    return "802.1Q", (*tag, _kind(octets, at + 2))


def _llc(octets: bytes, at: int) -> Named:
    header: Header = (("DSAP", 8, as_hex), ("SSAP", 8, as_hex), ("Control", 8, as_hex))
    if octets[at : at + 1] != b"\xaa":
        return "LLC", header
    return "LLC/SNAP", (*header, ("Organization Code", 24, as_hex), ("EtherType", 16, ethertype))


def _ppp(octets: bytes, at: int) -> Named:
    header: Header = ()
    if octets[at : at + 2] == b"\xff\x03":
        header, at = (("Address", 8, as_hex), ("Control", 8, as_hex)), at + 2
    short = octets[at : at + 1] and octets[at] & 1
    return "PPP", (*header, ("Protocol", 8 if short else 16, as_sum))


def _hdlc(octets: bytes, at: int) -> Named:
    if octets[at : at + 1] not in (b"\x0f", b"\x8f"):
        return "HDLC", ()  # PPP's header is next
    return "Cisco HDLC", (("Address", 8, as_hex), ("Control", 8, as_hex), ("Protocol", 16, ethertype))


def _gre(octets: bytes, at: int) -> Named:
    flags = _word(octets, at)
    version = flags & 7
    header: Header = (
        *((f"{name} Present", 1, str) for name in ("Checksum", "Routing", "Key", "Sequence Number")),
        ("Reserved", 4, str),
        ("Acknowledgment Number Present" if version else "Reserved", 1, str),
        ("Reserved", 4, str),
        ("Version", 3, str),
        ("Protocol Type", 16, ethertype),
    )
    optional: tuple[tuple[int, Header], ...] = (
        (flags & 0x8000, (("Checksum", 16, as_sum), ("Reserved", 16, str))),
        (flags & 0x2000, (("Payload Length", 16, str), ("Call ID", 16, str)) if version else (("Key", 32, as_hex),)),
        (flags & 0x1000, (("Sequence Number", 32, str),)),
        (version and flags & 0x0080, (("Acknowledgment Number", 32, str),)),
    )
    return "GRE", header + tuple(field for present, fields in optional if present for field in fields)


def _ieee80211(octets: bytes, at: int) -> Named:
    """As far as the frame's type says: control frames end with their first address here."""
    first, flags = (*octets[at : at + 2], 0, 0)[:2]
    if first >> 2 & 3 in (1, 3):
        return "802.11", _FRAME_CONTROL
    three: Header = (("Address 2", 48, mac), ("Address 3", 48, mac), ("Sequence Control", 16, little(2, as_sum)))
    if first >> 2 & 3 == 0:
        return "802.11", _FRAME_CONTROL + three
    four: Header = (("Address 4", 48, mac),) if flags & 3 == TO_DS | FROM_DS else ()
    qos: Header = (("QoS Control", 16, little(2, as_sum)),) if first & 0x80 else ()
    control: Header = (("HT Control", 32, little(4, as_hex)),) if qos and flags & ORDER else ()
    return "802.11", _FRAME_CONTROL + three + four + qos + control


def _prism(octets: bytes, at: int) -> Named:
    if _word(octets, at) == 0x8021:  # the header that replaced it
        return "AVS", _AVS
    return "Prism", _PRISM


def _fixed(name: str, header: Header) -> Callable[[bytes, int], Named]:
    return lambda octets, at: (name, header)


HEADERS: Mapping[int, Callable[[bytes, int], Named]] = {
    way.ETHERNET: _ethernet,
    way.FAMILY: _fixed("loopback", _FAMILY),
    way.COOKED: _fixed("Linux cooked", _COOKED),
    way.COOKED_2: _fixed("Linux cooked v2", _COOKED_2),
    way.PKTAP: _fixed("PKTAP", _PKTAP),
    way.PPI: _fixed("PPI", _PPI),
    way.LLC: _llc,
    way.PPP: _ppp,
    way.PPP_GRE: _ppp,
    way.HDLC: _hdlc,
    way.PPPOE: _fixed("PPPoE", _PPPOE),
    way.MPLS: _fixed("MPLS", _MPLS),
    way.MPLS_MULTICAST: _fixed("MPLS", _MPLS),
    way.RADIOTAP: _fixed("radiotap", _RADIOTAP),
    way.PRISM: _prism,
    way.AVS: _fixed("AVS", _AVS),
    way.IEEE80211: _ieee80211,
    way.AMSDU: _fixed("A-MSDU subframe", _AMSDU),
    way.GRE: _gre,
    way.VXLAN: _fixed("VXLAN", _VXLAN),
    way.GENEVE: _fixed("Geneve", _GENEVE),
    **dict.fromkeys(symbols.VLAN_TYPES, _vlan),
}
