"""Headers by hand: those that a raw socket leaves to the program, octet by octet, in network byte order."""

from rawlab.model.address import Endpoint


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
    """An IPv4 address' four octets."""
    return bytes(map(int, text.split(".")))


def icmp_echo(identifier: int, sequence: int, data: bytes, *, version6: bool = False) -> bytes:
    """An echo request (RFC 792); for ICMPv6 (RFC 4443) the kernel fills in the checksum."""
    rest = number(identifier) + number(sequence) + data
    type_and_code = b"\x80\x00" if version6 else b"\x08\x00"
    return type_and_code + number(0 if version6 else checksum(type_and_code + b"\0\0" + rest)) + rest


def pseudo_header(source: str, destination: str, protocol: int, length: int) -> bytes:
    """What TCP's and UDP's checksums cover besides the segment (RFC 9293 section 3.1)."""
    return address(source) + address(destination) + number(protocol) + number(length)


def udp(source: Endpoint, destination: Endpoint, data: bytes) -> bytes:
    """A UDP datagram (RFC 768)."""
    length = 8 + len(data)
    ports = number(source.port) + number(destination.port) + number(length)
    covered = pseudo_header(source.address, destination.address, 17, length) + ports + b"\0\0" + data
    return ports + number(checksum(covered)) + data


def tcp_syn(source: Endpoint, destination: Endpoint, seq: int) -> bytes:
    """A TCP segment with SYN, a window of 64240 and no option (RFC 9293 section 3.1)."""
    head = number(source.port) + number(destination.port) + number(seq, 4) + number(0, 4) + b"\x50\x02" + number(64240)
    covered = pseudo_header(source.address, destination.address, 6, 20) + head + bytes(4)
    return head + number(checksum(covered)) + b"\0\0"


def ipv4(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """An IPv4 packet (RFC 791); the kernel fills in the total length, the identification and the checksum."""
    head = b"\x45\x00" + number(20 + len(payload)) + number(0) + b"\x40\x00" + b"\x40" + bytes([protocol]) + b"\0\0"
    return head + address(source) + address(destination) + payload
