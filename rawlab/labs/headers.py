"""Headers by hand: those that a raw socket leaves to the program, octet by octet, in network byte order."""

from rawlab.model.address import Endpoint
from rawlab.model.constants import (
    AF_INET,
    AF_INET6,
    IP_TTL,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_UNICAST_HOPS,
)

ICMP = {AF_INET: IPPROTO_ICMP, AF_INET6: IPPROTO_ICMPV6}
"""The protocol by address family."""
TTL = {AF_INET: (IPPROTO_IP, IP_TTL), AF_INET6: (IPPROTO_IPV6, IPV6_UNICAST_HOPS)}
"""The socket option (level, optname) that sets it (ip(7), ipv6(7))."""
FIN, SYN, PSH, ACK = 1, 2, 8, 16  # TCP's flags (RFC 9293 section 3.1)


def number(value: int, octets: int = 2) -> bytes:
    """An unsigned number in network byte order, as htons(3) and htonl(3) make it."""
    return value.to_bytes(octets, "big")


def checksum(data: bytes) -> int:
    """The Internet checksum: the ones' complement of the ones' complement sum of 16-bit words (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text: str) -> bytes:
    """An IPv4 address' four octets, or an IPv6 address' sixteen, as inet_pton(3) makes them."""
    if ":" not in text:
        return bytes(map(int, text.split(".")))
    first, _, last = (list(filter(None, part.split(":"))) for part in text.partition("::"))
    return b"".join(number(int(group, 16)) for group in [*first, *["0"] * (8 - len(first) - len(last)), *last])


def icmp_echo(identifier: int, sequence: int, data: bytes, *, version6: bool = False) -> bytes:
    """An echo request (RFC 792); for ICMPv6 (RFC 4443) the kernel fills in the checksum."""
    rest = number(identifier) + number(sequence) + data
    return icmp(b"\x80\x00" if version6 else b"\x08\x00", rest, version6=version6)


def port_unreachable(packet: bytes) -> bytes:
    """The ICMP error that quotes a whole packet: type 3, code 3 (RFC 792); for ICMPv6 1 and 4 (RFC 4443)."""
    version6 = packet[0] >> 4 == 6
    return icmp(b"\x01\x04" if version6 else b"\x03\x03", number(0, 4) + packet, version6=version6)


def icmp(type_and_code: bytes, rest: bytes, *, version6: bool) -> bytes:
    """An ICMP message; for ICMPv6 the kernel fills in the checksum (RFC 3542 section 3.1)."""
    return type_and_code + number(0 if version6 else checksum(type_and_code + b"\0\0" + rest)) + rest


def pseudo_header(source: str, destination: str, protocol: int, length: int) -> bytes:
    """What TCP's and UDP's checksums cover besides the segment (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    width = 4 if ":" in source else 2
    return address(source) + address(destination) + number(length, width) + number(protocol, width)


def udp(source: Endpoint, destination: Endpoint, data: bytes) -> bytes:
    """A UDP datagram (RFC 768)."""
    length = 8 + len(data)
    ports = number(source.port) + number(destination.port) + number(length)
    covered = pseudo_header(source.address, destination.address, 17, length) + ports + b"\0\0" + data
    return ports + number(checksum(covered) or 0xFFFF) + data


def tcp(source: Endpoint, destination: Endpoint, flags: int, seq: int, ack: int, data: bytes = b"") -> bytes:
    """A TCP segment with a window of 64240 and no option (RFC 9293 section 3.1)."""
    ports_and_numbers = number(source.port) + number(destination.port) + number(seq, 4) + number(ack, 4)
    head = ports_and_numbers + bytes([5 << 4, flags]) + number(64240)
    covered = pseudo_header(source.address, destination.address, 6, 20 + len(data)) + head + bytes(4) + data
    return head + number(checksum(covered)) + b"\0\0" + data


def tcp_seq(packet: bytes) -> int:
    """The sequence number in an IP packet that holds a TCP segment."""
    at = 40 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
    return int.from_bytes(packet[at + 4 : at + 8], "big")


def ip(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """An IPv4 packet, or by its addresses an IPv6 one (RFC 8200)."""
    if ":" not in source:
        return ipv4(source, destination, protocol, payload)
    head = number(6 << 28, 4) + number(len(payload)) + bytes([protocol, 64])
    return head + address(source) + address(destination) + payload


def ipv4(source: str, destination: str, protocol: int, payload: bytes, fragment: bytes = b"\0\0\x40\x00") -> bytes:
    """An IPv4 packet (RFC 791); the kernel fills in the total length, the checksum and an identification of 0.

    `fragment`: identification, flags and fragment offset; don't fragment, if not given.
    """
    head = b"\x45\x00" + number(20 + len(payload)) + fragment + b"\x40" + bytes([protocol]) + b"\0\0"
    return head + address(source) + address(destination) + payload


def udp_fragment(source: str, destination: str, identification: int, datagram: bytes, at: int, end: int) -> bytes:
    """A fragment with the octets [at, end) of a UDP datagram; `at`: a multiple of 8 (RFC 791, RFC 8200 section 4.5)."""
    more = end < len(datagram)
    if ":" in source:
        head = bytes([17, 0]) + number(at | more) + number(identification, 4)
        return ip(source, destination, 44, head + datagram[at:end])
    place = number(identification) + number(more << 13 | at >> 3)
    return ipv4(source, destination, 17, datagram[at:end], place)
