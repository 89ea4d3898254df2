"""Captures with many flows, made by hand: TCP conversations, UDP, ICMP errors, ARP, opaque frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_MACS = bytes.fromhex("020000000001020000000002")


def ip(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """An Ethernet frame with an IPv4 packet."""
    ends = IPv4Address(source).packed + IPv4Address(destination).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0x4000, 64, protocol, 0) + ends
    return _MACS + b"\x08\x00" + header + payload


def tcp(
    source: tuple[str, int], destination: tuple[str, int], flags: int, seq: int, ack: int = 0, data: bytes = b""
) -> bytes:
    ports = struct.pack("!HHII", source[1], destination[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF)
    segment = ports + struct.pack("!BBHHH", 0x50, flags, 1000, 0, 0) + data
    return ip(source[0], destination[0], 6, segment)


def udp(source: tuple[str, int], destination: tuple[str, int], data: bytes = b"") -> bytes:
    header = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0)
    return ip(source[0], destination[0], 17, header + data)


def unreachable(by: str, to: str, quoted: bytes) -> bytes:
    """ICMP port unreachable, about the packet in that frame."""
    return ip(by, to, 1, struct.pack("!BBHI", 3, 3, 0, 0) + quoted[14:42])


def arp() -> bytes:
    ends = _MACS[6:] + IPv4Address("10.0.0.1").packed + bytes(6) + IPv4Address("10.0.0.2").packed
    return b"\xff" * 6 + _MACS[6:] + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + ends


def conversation(number: int, data: Sequence[bytes] = (b"hello",)) -> list[bytes]:
    """A whole TCP connection: handshake, data from A to B, FIN of both."""
    a, b = (f"10.1.{number >> 8 & 255}.{number & 255}", 20000 + number % 40000), ("10.2.0.1", 80)
    x, y = 1000, 5000
    frames = [tcp(a, b, SYN, x), tcp(b, a, SYN | ACK, y, x + 1), tcp(a, b, ACK, x + 1, y + 1)]
    x, y = x + 1, y + 1
    for part in data:
        frames += [tcp(a, b, PSH | ACK, x, y, part), tcp(b, a, ACK, y, x + len(part))]
        x += len(part)
    frames += [tcp(a, b, FIN | ACK, x, y), tcp(b, a, FIN | ACK, y, x + 1), tcp(a, b, ACK, x + 1, y + 1)]
    return frames


def pcap(frames: Iterable[bytes], linktype: int = 1, *, step_us: int = 1000, snaplen: int = 65535) -> bytes:
    """A pcap file, a frame each `step_us`."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, linktype)]
    for number, frame in enumerate(frames):
        at, captured = 1_700_000_000_000_000 + number * step_us, frame[:snaplen]
        parts.append(struct.pack("<IIII", at // 10**6, at % 10**6, len(captured), len(frame)) + captured)
    return b"".join(parts)


def mixed() -> list[bytes]:
    """Six flows: a whole connection, one refused, one without an answer, UDP that is refused, that error, ARP."""
    a, b, c = ("10.0.0.1", 4000), ("10.0.0.2", 80), ("10.0.0.3", 53)
    asked = udp(("10.0.0.1", 5000), c, b"a question")
    return [
        arp(),
        *conversation(1, [b"hello", b"again" * 20]),
        tcp(a, b, SYN, 100),
        tcp(b, a, RST | ACK, 0, 101),
        tcp(("10.0.0.1", 4001), b, SYN, 100),
        tcp(("10.0.0.1", 4001), b, SYN, 100),
        asked,
        unreachable("10.0.0.3", "10.0.0.1", asked),
    ]
