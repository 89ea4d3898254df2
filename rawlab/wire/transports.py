"""TCP and UDP headers to facts: each of a payload whose place the IP header told.

ICMP is `wire.icmp`'s and SCTP `wire.sctp`'s; which of them reads what is told by the two tables at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from rawlab.model.facts import IpHeader, TcpOption, TcpSegment, Transport, UdpDatagram, Undecoded
from rawlab.model.serial import Serial
from rawlab.wire import symbols
from rawlab.wire.icmp import icmp
from rawlab.wire.ip import short
from rawlab.wire.mould import mould
from rawlab.wire.sctp import sctp

_tcp_header = Struct("!HHIIBBHxxH").unpack_from
_udp_header = Struct("!HHH").unpack_from
_timestamps = Struct("!III").unpack_from
_new_segment, _new_option = mould(TcpSegment), mould(TcpOption)

# (frame, where it begins, where its captured octets end, octets by the IP header, IP)


def _tcp(octets: bytes, at: int, end: int, size: int, ip: IpHeader) -> Transport:
    """RFC 9293 section 3.1."""
    if end - at < 20:
        return short("TCP: header", 20, end - at)
    source, destination, seq, ack, offset, flags, window, urgent = _tcp_header(octets, at)
    header = offset >> 4 << 2
    if header < 20 or header > size:
        return Undecoded(why=f"TCP: header of 20 to {size} octets expected, {header} there")
    begin = at + header
    if begin > end:
        begin = end
    segment = _new_segment(
        source,
        destination,
        Serial(seq),
        Serial(ack),
        _FLAGS[(offset & 1) << 8 | flags],
        window,
        urgent,
        _tcp_options(octets, at + 20, begin) if header > 20 else (),
        (begin, end),
        size - header,
    )
    segment.__class__ = TcpSegment
    return segment


_FLAGS = [
    "".join(flag for bit, flag in enumerate(symbols.TCP_FLAGS) if bits >> bit & 1) for bits in range(512)
]
"each value of the nine flag bits as letters"

_EOL, _NOP, _MSS, _WSCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
_SIZES = {_MSS: 4, _WSCALE: 3, _SACK_PERMITTED: 2, _TIMESTAMPS: 10}
_nop, _eol = TcpOption(kind=_NOP), TcpOption(kind=_EOL)


def _tcp_options(octets: bytes, at: int, end: int) -> tuple[TcpOption, ...]:
    """RFC 9293 section 3.2. As Linux reads them: an option of a wrong length for its kind is passed over, one
    that reaches beyond the header ends the list (as does End of Option List)."""
    if end - at == 12:  # nop, nop, TS: every segment of most connections (RFC 7323 appendix A)
        head, value, echo = _timestamps(octets, at)
        if head == 0x0101080A:
            option = _new_option(_TIMESTAMPS, (value, echo))
            option.__class__ = TcpOption
            return (_nop, _nop, option)
    options: list[TcpOption] = []
    while at < end:
        kind = octets[at]
        if kind == _EOL:
            options.append(_eol)
            break
        if kind == _NOP:
            options.append(_nop)
            at += 1
            continue
        size = octets[at + 1] if at + 1 < end else 0
        if size < 2 or at + size > end:
            break
        if _SIZES.get(kind, size) == size and (kind != _SACK or size % 8 == 2):
            options.append(TcpOption(kind=kind, values=_option_values(kind, octets[at + 2 : at + size])))
        at += size
    return tuple(options)


def _option_values(kind: int, body: bytes) -> tuple[int, ...]:
    if kind == _MSS:
        return (int.from_bytes(body, "big"),)
    if kind in (_SACK, _TIMESTAMPS):
        return Struct(f"!{len(body) // 4}I").unpack(body)
    return tuple(body)


def _udp(octets: bytes, at: int, end: int, size: int, ip: IpHeader) -> Transport:
    """RFC 768. A first fragment's length is the whole datagram's, more than it carries."""
    if end - at < 8:
        return short("UDP: header", 8, end - at)
    source, destination, length = _udp_header(octets, at)
    if length < 8 or (length > size and not ip.more_fragments):
        return Undecoded(why=f"UDP: length of 8 to {size} octets expected, {length} there")
    return UdpDatagram(
        source_port=source,
        destination_port=destination,
        data=(at + 8, min(at + length, end)),
        length=length - 8,
    )


Reader = Callable[[bytes, int, int, int, IpHeader], Transport]

OVER_IPV4: dict[int, Reader] = {1: icmp, 6: _tcp, 17: _udp, 132: sctp}
OVER_IPV6: dict[int, Reader] = {6: _tcp, 17: _udp, 58: icmp, 132: sctp}
"""What reads a payload, by IP protocol; ICMP belongs to IPv4, ICMPv6 to IPv6 (RFC 4443 section 1)."""
