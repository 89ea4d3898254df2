"""Run by test_own_address.py: frames from one host to an address of our own on the other; what it answers, as JSON."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from collections.abc import Iterator

from rawlab.live import needs
from rawlab.live.links import ip_header
from rawlab.live.network import Network
from rawlab.live.own_address import OwnAddressLink

OURS = ["10.0.0.11", "fd00::11"]
MAC, THEIRS, ALL = bytes.fromhex("020000000111"), bytes.fromhex("020000000002"), b"\xff" * 6
ARP_HEAD = struct.pack("!HHBB", 1, 0x0800, 6, 4)


def arp(operation: int, target: str, head: bytes = ARP_HEAD) -> bytes:
    """From 10.0.0.2."""
    ends = THEIRS + socket.inet_aton("10.0.0.2") + bytes(6) + socket.inet_aton(target)
    return ALL + THEIRS + b"\x08\x06" + head + struct.pack("!H", operation) + ends


def solicitation(target: str, *, hops: int = 255, source: str = "fd00::2") -> bytes:
    """Of a neighbour (RFC 4861 section 4.3); nobody looks at its checksum."""
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:11")
    body = struct.pack("!BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target) + b"\1\1" + THEIRS
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, hops) + ends
    return b"\x33\x33\xff\0\0\x11" + THEIRS + b"\x86\xdd" + header + body


def tcp(destination: str, *, mac: bytes = MAC) -> bytes:
    """20 octets of a segment, whatever they say."""
    return mac + THEIRS + b"\x08\x00" + ip_header(6, 20, "10.0.0.2", destination) + bytes(20)


FRAMES = {
    "ARP request": arp(1, "10.0.0.11"),
    "for another address": arp(1, "10.0.0.1"),
    "ARP reply": arp(2, "10.0.0.11"),
    "of another hardware": arp(1, "10.0.0.11", struct.pack("!HHBB", 6, 0x0800, 6, 4)),
    "cut ARP": arp(1, "10.0.0.11")[:30],
    "solicitation": solicitation("fd00::11"),
    "from another network": solicitation("fd00::11", hops=254),
    "duplicate address detection": solicitation("fd00::11", source="::"),
    "cut solicitation": solicitation("fd00::11")[:70],
    "segment": tcp("10.0.0.11"),
    "segment for the kernel": tcp("10.0.0.1"),
    "segment for another station": tcp("10.0.0.11", mac=THEIRS),
    "cut segment": tcp("10.0.0.11")[:40],
    "header alone": MAC + THEIRS + b"\x08\x00",
}


def answers(sender: socket.socket, link: OwnAddressLink) -> Iterator[tuple[str, object]]:
    """What each frame brings: a packet for us, frames that we answer, or nothing."""
    for name, frame in FRAMES.items():
        sender.send(frame)
        arrived = None
        while select.select(link.filenos, [], [], 0.3)[0]:
            arrived = link.receive(link.filenos[0]) or arrived
        came = []
        while select.select([sender], [], [], 0)[0]:
            if (frame := sender.recv(2000))[6:12] == MAC:
                came.append(frame[12:].hex())
        yield name, list(arrived[1:]) if arrived else came


def main() -> None:
    """One link, one packet socket on the other host."""
    needs.enter_user_namespace()
    network = Network()
    with network.inside("client"):
        link = OwnAddressLink(OURS, "client", MAC, 6)
    with network.inside("server"):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sender.bind(("server", 3))
    json.dump(dict(answers(sender, link)), sys.stdout)


if __name__ == "__main__":
    main()
