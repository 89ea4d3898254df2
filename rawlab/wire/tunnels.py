"""What carries a packet within a packet, behind the outer IP header: GRE, and over UDP VXLAN and Geneve.

IP in IP (RFC 2003, 4213, 2473) has no header of its own. Each function passes over one (`wire.way` says how) and notes
in tcpdump's words what it met. What a tunnel carries that is no packet stays the outer packet's payload: that is
`wire.decode`'s to say, and so is how deep it follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from rawlab.model.facts import UdpDatagram, Undecoded
from rawlab.wire import way
from rawlab.wire.way import Passes, Way, cut

IP_PROTOCOLS: Mapping[int, int] = {4: way.IPV4, 41: way.IPV6, 47: way.GRE}
"the kind of what an IP packet of this protocol carries: RFC 2003, RFC 4213, RFC 2784"

UDP_PORTS: Mapping[int, int] = {4789: way.VXLAN, 6081: way.GENEVE}
"by destination port: RFC 7348, RFC 8926"

UDP_HEADER = 8

_two_words = Struct("!HH").unpack_from
_quad = Struct("!I").unpack_from

_CHECKSUM, _ROUTING, _KEY, _SEQUENCE, _ACKNOWLEDGMENT = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
"bits of GRE's first word (RFC 2784, 2890; RFC 2637 section 4.1)"
_INSTANCE, _CRITICAL, _OAM = 0x08, 0x40, 0x80
"VXLAN's flag of a valid VNI; Geneve's of critical options, and of control packets"


_ERSPAN, _ERSPAN_HEADER = 0x88BE, 8
"mirrored Ethernet frames (draft-foschiano-erspan)"


def carried(datagram: UdpDatagram) -> int | None:
    """The kind of what a UDP datagram to this port carries."""
    return UDP_PORTS.get(datagram.destination_port)


def gre(on: Way) -> Undecoded | None:
    """RFC 2784 with RFC 2890's key and sequence number; version 1 is PPTP's (RFC 2637)."""
    if fault := cut("GRE", 4, on):
        return fault
    flags, kind = _two_words(on.octets, on.at)
    version = flags & 7
    if version > 1 or flags & _ROUTING:
        there = "source routing" if flags & _ROUTING else f"version {version}"
        return Undecoded(why=f"GRE: version 0 or 1 without source routing expected, {there} there")
    acknowledged = version == 1 and flags & _ACKNOWLEDGMENT
    present = [("off", flags & _CHECKSUM), ("key", flags & _KEY), ("seq", flags & _SEQUENCE), ("ack", acknowledged)]
    names = [name for name, bit in present if bit]
    header = 4 + 4 * len(names)
    if fault := cut("GRE", header, on):
        return fault
    numbers = {name: _quad(on.octets, on.at + 4 + 4 * n)[0] for n, name in enumerate(names)}
    length = on.end - on.at
    if version == 1 and "seq" not in numbers:
        on.pass_over(header, way.PPP_GRE)
        return Undecoded(why="GRE: PPP expected, an acknowledgment without payload there")
    on.carrier = ", ".join([f"GREv{version}", *_gre_words(version, numbers), f"length {length}"])
    if version == 1 and "key" in numbers:
        on.ends_after(header + (numbers["key"] >> 16))
    if kind == _ERSPAN:
        return _erspan(on, header, numbered="seq" in numbers)
    on.pass_over(header, way.ETHERNET if kind == way.BRIDGED else kind)
    return None


def _erspan(on: Way, header: int, *, numbered: bool) -> Undecoded | None:
    """A mirrored frame: of type I right behind GRE's header, which has no sequence number; of type II, which has one,
    behind a header of its own."""
    on.pass_over(header, way.ETHERNET)
    if not numbered:
        return None
    if fault := cut("ERSPAN", _ERSPAN_HEADER, on):
        return fault
    version = on.octets[on.at] >> 4
    if version != 1:
        return Undecoded(why=f"ERSPAN: version 1 (type II) expected, {version} there")
    on.pass_over(_ERSPAN_HEADER, way.ETHERNET)
    return None


def _gre_words(version: int, numbers: Mapping[str, int]) -> list[str]:
    """What stands in the optional fields; of version 1's key the low half is the call's number."""
    said = []
    for name, number in numbers.items():
        if name == "off":
            said.append(f"off 0x{number & 0xFFFF:x}")
        elif name == "key":
            said.append(f"key=0x{number:x}" if version == 0 else f"call {number & 0xFFFF}")
        else:
            said.append(f"{name} {number}")
    return said


def vxlan(on: Way) -> Undecoded | None:
    """RFC 7348 section 5."""
    if fault := cut("VXLAN", 8, on):
        return fault
    flags = on.octets[on.at]
    if not flags & _INSTANCE:
        return Undecoded(why=f"VXLAN: flag I expected, 0x{flags:02x} there")
    vni = _quad(on.octets, on.at + 4)[0] >> 8
    on.carrier = f"VXLAN, flags [I] (0x{flags:02x}), vni {vni}"
    on.pass_over(8, way.ETHERNET)
    return None


def geneve(on: Way) -> Undecoded | None:
    """RFC 8926 section 3.4."""
    if fault := cut("Geneve", 8, on):
        return fault
    first, flags = on.octets[on.at], on.octets[on.at + 1]
    _, kind = _two_words(on.octets, on.at)
    header = 8 + (first & 0x3F) * 4
    if first >> 6:
        return Undecoded(why=f"Geneve: version 0 expected, {first >> 6} there")
    if fault := cut("Geneve", header, on):
        return fault
    letters = "".join(letter for letter, bit in (("O", _OAM), ("C", _CRITICAL)) if flags & bit) or "none"
    options = f", options [{header - 8} bytes]" if header > 8 else ""
    on.carrier = f"Geneve, Flags [{letters}], vni 0x{_quad(on.octets, on.at + 4)[0] >> 8:x}{options}"
    on.pass_over(header, way.ETHERNET if kind == way.BRIDGED else kind)
    return None


PASSES: Mapping[int, Passes] = {way.GRE: gre, way.VXLAN: vxlan, way.GENEVE: geneve}
