"""ICMP (RFC 792) and ICMPv6 (RFC 4443, 4861, 2710) to facts, with the packet that an error quotes.

Every message begins with type, code, checksum and four octets more; what those and the rest mean is the
type's matter: `_DETAILS` names one function for each type that carries something a fact has a field for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct

from rawlab.model.facts import IcmpMessage, IpHeader, Quoted, Transport
from rawlab.model.serial import Serial
from rawlab.wire.ip import address4, address6, ipv4, ipv6, short

TCP, UDP, SCTP = 6, 17, 132
REDIRECTED_HEADER = 4
"the neighbour discovery option that quotes a packet (RFC 4861 section 4.6.3)"

Make = Callable[..., IcmpMessage]
"makes the message, given the fields that are its type's own"

_two_words = Struct("!HH").unpack_from
_quad = Struct("!I").unpack_from


def icmp(octets: bytes, at: int, end: int, size: int, ip: IpHeader) -> Transport:
    """The message at `at`, of `size` octets by the IP header, captured up to `end`."""
    if end - at < 8:
        return short("ICMP: header" if ip.version == 4 else "ICMPv6: header", 8, end - at)
    kind, code = octets[at], octets[at + 1]
    make = partial(IcmpMessage, version=ip.version, type=kind, code=code, data=(at + 8, end), length=size)
    return _DETAILS.get((ip.version, kind), _plain)(make, octets, at, end)


def quote(octets: bytes, at: int, end: int, version: int) -> Quoted | None:
    """The packet whose start lies at `at`; None if not even its IP header can be read."""
    ip, why, _ = (ipv4 if version == 4 else ipv6)(octets, at, end, end)
    if ip is None:
        return None
    begin, end = ip.payload
    there = 0 if why or ip.fragment_offset or ip.protocol not in (TCP, UDP, SCTP) else end - begin
    if there < 4:
        return Quoted(ip=ip)
    source, destination = _two_words(octets, begin)
    seq = Serial(_quad(octets, begin + 4)[0]) if there >= 8 and ip.protocol != UDP else None
    return Quoted(ip=ip, source_port=source, destination_port=destination, seq=seq)


def _plain(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    return make()


def _echo(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    identifier, sequence = _two_words(octets, at + 4)
    return make(identifier=identifier, sequence=sequence)


def _error4(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    return make(quoted=quote(octets, at + 8, end, 4))


def _unreachable4(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    """Code 4, fragmentation needed, tells the next hop's MTU (RFC 1191 section 4)."""
    mtu = _two_words(octets, at + 4)[1] if octets[at + 1] == 4 else None
    return make(quoted=quote(octets, at + 8, end, 4), mtu=mtu)


def _redirect4(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    return make(quoted=quote(octets, at + 8, end, 4), target=address4(octets[at + 4 : at + 8]))


def _error6(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    return make(quoted=quote(octets, at + 8, end, 6))


def _too_big6(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    return make(quoted=quote(octets, at + 8, end, 6), mtu=_quad(octets, at + 4)[0])


def _target6(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    return make(target=address6(octets[at + 8 : at + 24])) if end - at >= 24 else make()


def _redirect6(make: Make, octets: bytes, at: int, end: int) -> IcmpMessage:
    """The better first hop; the redirected packet, if there, is an option's (RFC 4861 section 4.5)."""
    if end - at < 40:
        return make()
    target, option = address6(octets[at + 8 : at + 24]), at + 40
    while option + 8 <= end and octets[option + 1] > 0:
        size = octets[option + 1] * 8
        if octets[option] == REDIRECTED_HEADER:
            return make(target=target, quoted=quote(octets, option + 8, min(option + size, end), 6))
        option += size
    return make(target=target)


_DETAILS: dict[tuple[int, int], Callable[[Make, bytes, int, int], IcmpMessage]] = {
    (4, 0): _echo,
    (4, 3): _unreachable4,
    (4, 4): _error4,
    (4, 5): _redirect4,
    (4, 8): _echo,
    (4, 11): _error4,
    (4, 12): _error4,
    (6, 1): _error6,
    (6, 2): _too_big6,
    (6, 3): _error6,
    (6, 4): _error6,
    (6, 128): _echo,
    (6, 129): _echo,
    (6, 130): _target6,
    (6, 131): _target6,
    (6, 132): _target6,
    (6, 135): _target6,
    (6, 136): _target6,
    (6, 137): _redirect6,
}
"""What each type carries, by IP version and type."""
