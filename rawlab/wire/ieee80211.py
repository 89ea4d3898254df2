"""802.11 frames (IEEE 802.11 clause 9), bare or behind what a driver tells of them: radiotap, Prism, AVS.

Data frames in the clear lead to an LLC header, and so to a packet; of an A-MSDU the first subframe does. All others
say what they are: management and control frames by their names, protected ones that they are encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from rawlab.model.facts import Undecoded
from rawlab.wire import way
from rawlab.wire.way import Passes, Way, cut

_half = Struct("<H").unpack_from
_word = Struct("<I").unpack_from
_big_word = Struct("!I").unpack_from

TO_DS, FROM_DS, PROTECTED, ORDER = 0x01, 0x02, 0x40, 0x80
_QOS, _NO_DATA, _AMSDU, _MESH = 0x08, 0x04, 0x80, 0x01
_MANAGEMENT = {
    0: "association request",
    1: "association response",
    2: "reassociation request",
    3: "reassociation response",
    4: "probe request",
    5: "probe response",
    6: "timing advertisement",
    8: "beacon",
    9: "ATIM",
    10: "disassociation",
    11: "authentication",
    12: "deauthentication",
    13: "action",
    14: "action no ack",
}
_CONTROL = {
    2: "trigger",
    3: "TACK",
    4: "beamforming report poll",
    5: "NDP announcement",
    6: "control frame extension",
    7: "control wrapper",
    8: "block ack request",
    9: "block ack",
    10: "PS-Poll",
    11: "RTS",
    12: "CTS",
    13: "ACK",
    14: "CF-End",
    15: "CF-End + CF-Ack",
}
_TYPES = (("management", _MANAGEMENT), ("control", _CONTROL))

_TSFT, _FLAGS, _MORE = 1, 2, 1 << 31
"bits of radiotap's it_present"
_FCS, _PADDED = 0x10, 0x20
"bits of its Flags: the frame ends in its checksum; its header is filled up to a multiple of 4 octets"

_AVS_MAGIC = (0x80211001, 0x80211002)


# ---- what a driver tells


def radiotap(on: Way) -> Undecoded | None:
    """radiotap.org: a length, and bits that say which fields follow; of those, only Flags matter here."""
    if fault := cut("radiotap", 8, on):
        return fault
    (length,) = _half(on.octets, on.at + 2)
    if length < 8:
        return Undecoded(why=f"radiotap: length of 8 or more expected, {length} there")
    if fault := cut("radiotap", length, on):
        return fault
    flags = _radiotap_flags(on.octets, on.at, on.at + length)
    on.pass_over(length, way.IEEE80211)
    on.padded = bool(flags & _PADDED)
    if flags & _FCS:
        on.checksum = max(len(on.octets) - on.end + 4, 0)
        on.ends_after(on.end - on.at - 4)
    return None


def _radiotap_flags(octets: bytes, begin: int, end: int) -> int:
    """The value of the field Flags, 0 where there is none; fields are aligned to their size."""
    (present,) = _word(octets, begin + 4)
    at, more = begin + 8, present
    while more & _MORE and at + 4 <= end:
        (more,) = _word(octets, at)
        at += 4
    if present & _TSFT:
        at = begin + (at - begin + 7) // 8 * 8 + 8
    return octets[at] if present & _FLAGS and at < end else 0


def prism(on: Way) -> Undecoded | None:
    """Prism II's monitor header, its numbers in the writer's order; or AVS's, which replaced it."""
    if fault := cut("Prism", 8, on):
        return fault
    if _big_word(on.octets, on.at)[0] in _AVS_MAGIC:
        return avs(on)
    length = min(_word(on.octets, on.at + 4)[0], _big_word(on.octets, on.at + 4)[0])
    return _monitored(on, "Prism", length)


def avs(on: Way) -> Undecoded | None:
    """The header of AVS's capture specification: a magic number, then its length."""
    if fault := cut("AVS", 8, on):
        return fault
    magic, length = _big_word(on.octets, on.at)[0], _big_word(on.octets, on.at + 4)[0]
    if magic not in _AVS_MAGIC:
        return Undecoded(why=f"AVS: magic number 0x80211001 expected, 0x{magic:08x} there")
    return _monitored(on, "AVS", length)


def _monitored(on: Way, name: str, length: int) -> Undecoded | None:
    if length < 8 or length > on.there:
        return Undecoded(why=f"{name}: length of 8 to {on.there} octets expected, {length} there")
    on.pass_over(length, way.IEEE80211)
    return None


# ---- the frame


def ieee80211(on: Way) -> Undecoded | None:
    """A MAC header (clause 9.2); its length depends on the type, the way, QoS and HT Control."""
    if fault := cut("802.11", 10, on):
        return fault
    first, flags = on.octets[on.at], on.octets[on.at + 1]
    kind, subtype = first >> 2 & 3, first >> 4
    if first & 3:
        return Undecoded(why=f"802.11: protocol version 0 expected, {first & 3} there")
    if kind != 2:
        return _no_data(on, kind, subtype)
    header = 24 + 6 * (flags & 3 == TO_DS | FROM_DS)
    qos = header if subtype & _QOS else 0
    header += 2 * bool(qos)
    header += 4 * bool(qos and flags & ORDER)
    if fault := cut("802.11", header, on):
        return fault
    on.met(*_ends(on.octets, on.at, flags))
    return _data(on, header, subtype, flags, _half(on.octets, on.at + qos)[0] if qos else 0)


def _no_data(on: Way, kind: int, subtype: int) -> Undecoded:
    if kind == 3:
        return Undecoded(why="802.11: data expected, an extension frame there")
    if on.there >= 16 and kind == 0:
        on.met(on.octets[on.at + 10 : on.at + 16], on.octets[on.at + 4 : on.at + 10])
    name, subtypes = _TYPES[kind]
    return Undecoded(why=f"802.11: data expected, {subtypes.get(subtype, f'subtype {subtype}')} ({name}) there")


def _ends(octets: bytes, at: int, flags: int) -> tuple[bytes, bytes]:
    """Source and destination, wherever To DS and From DS place them (table 9-60)."""
    one, two, three, four = (octets[at + n : at + n + 6] for n in (4, 10, 16, 24))
    source = {0: two, TO_DS: two, FROM_DS: three}.get(flags & 3, four)
    return source, three if flags & TO_DS else one


def _data(on: Way, header: int, subtype: int, flags: int, qos: int) -> Undecoded | None:
    """What a data frame carries, if anything and in the clear."""
    if subtype & _NO_DATA:
        return Undecoded(why="802.11: data expected, a null frame (no data) there")
    if flags & PROTECTED:
        return Undecoded(why="802.11: data in the clear expected, a protected frame (encrypted) there")
    part = _half(on.octets, on.at + 22)[0] & 15
    if part:
        return Undecoded(why=f"802.11: a whole MSDU expected, its fragment {part} there")
    if on.padded:
        header = (header + 3) // 4 * 4
    if qos >> 8 & _MESH and flags & 3 == TO_DS | FROM_DS and on.there > header:  # Mesh Control (clause 9.2.4.8.3)
        header += 6 + 6 * (on.octets[on.at + header] & 3)
    on.pass_over(header, way.AMSDU if qos & _AMSDU else way.LLC)
    return None


def amsdu(on: Way) -> Undecoded | None:
    """The first subframe of an A-MSDU (clause 9.3.2.2.2): its own addresses and a length; others may follow it."""
    if fault := cut("A-MSDU", 14, on):
        return fault
    on.met(on.octets[on.at + 6 : on.at + 12], on.octets[on.at : on.at + 6])
    on.pass_over(14, way.LLC)
    on.ends_after(int.from_bytes(on.octets[on.at - 2 : on.at], "big"))
    return None


PASSES: Mapping[int, Passes] = {
    way.RADIOTAP: radiotap,
    way.PRISM: prism,
    way.AVS: avs,
    way.IEEE80211: ieee80211,
    way.AMSDU: amsdu,
}
