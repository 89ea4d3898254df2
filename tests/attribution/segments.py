"""Frames for ladders, octet by octet and with valid checksums: Ethernet, IPv4 or IPv6, TCP; ARP, ICMPv6."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from rawlab.model.address import Endpoint

FLAGS = "FSRP.UEWe"
"tcpdump's letters, from bit 0 up"
MAC = {"10.0.0.1": "020000000001", "fd00::1": "020000000001", "127.0.0.1": "000000000000", "::1": "000000000000"}
MAC |= {"255.255.255.255": "ffffffffffff"}
OTHER_MAC = "020000000002"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What a TCP segment says; numbers absolute."""

    source: Endpoint
    destination: Endpoint
    flags: str
    seq: int
    ack: int = 0
    window: int = 502
    data: bytes = b""
    options: bytes = b""


def ethernet(source: str, destination: str, kind: int, payload: bytes) -> bytes:
    """A frame between the two hosts that have these IP addresses."""
    macs = MAC.get(destination, OTHER_MAC) + MAC.get(source, OTHER_MAC)
    return bytes.fromhex(macs) + struct.pack("!H", kind) + payload


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ip_frame(source: str, destination: str, protocol: int, payload: bytes, identification: int = 0) -> bytes:
    """An IP packet in its Ethernet frame; `payload` without its checksum's field filled in."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if one.version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + one.packed + other.packed
        return ethernet(source, destination, 0x86DD, header + payload)
    words = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), identification, 0x4000, 64, protocol)
    addresses = one.packed + other.packed
    header = words + struct.pack("!H", checksum(words + bytes(2) + addresses)) + addresses
    return ethernet(source, destination, 0x0800, header + payload)


def _summed(source: str, destination: str, protocol: int, payload: bytes, at: int) -> bytes:
    """The payload with the checksum over it and its pseudo header at octet `at`."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    total = checksum(ends + struct.pack("!II", len(payload), protocol) + payload)
    return payload[:at] + struct.pack("!H", total) + payload[at + 2 :]


def tcp_frame(segment: Segment, identification: int = 0) -> bytes:
    """The segment in its frame."""
    options = segment.options + bytes(-len(segment.options) % 4)
    bits = sum(1 << FLAGS.index(letter) for letter in segment.flags)
    header = struct.pack(
        "!HHIIHHHH",
        segment.source.port,
        segment.destination.port,
        segment.seq % (1 << 32),
        segment.ack % (1 << 32),
        (5 + len(options) // 4) << 12 | bits,
        segment.window,
        0,
        0,
    )
    ends = segment.source.address, segment.destination.address
    return ip_frame(*ends, 6, _summed(*ends, 6, header + options + segment.data, 16), identification)


def arp_frame(operation: int, sender: str, target: str) -> bytes:
    """An ARP request (1) or reply (2)."""
    source = bytes.fromhex(MAC.get(sender, OTHER_MAC))
    destination = bytes(6) if operation == 1 else bytes.fromhex(MAC.get(target, OTHER_MAC))
    packed = [ipaddress.ip_address(address).packed for address in (sender, target)]
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + source + packed[0] + destination + packed[1]
    return ethernet(sender, "255.255.255.255" if operation == 1 else target, 0x0806, body)


def icmp6_frame(source: str, destination: str, type: int, body: bytes) -> bytes:
    """An ICMPv6 message (RFC 4443): `body` is what follows the checksum."""
    payload = struct.pack("!BBH", type, 0, 0) + body
    return ip_frame(source, destination, 58, _summed(source, destination, 58, payload, 2))
