"""TCP segments by hand: one raw socket that sends whole IP packets, and one packet socket that sees those that come.

A raw socket gives a program what is for its host; a packet socket (packet(7)) also what is for an address that no
kernel owns. A line of a lab is one sendto here, or one recv.
"""

from rawlab.labs.headers import ACK, FIN, PSH, SYN, ip, tcp, tcp_seq
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls
from rawlab.model.constants import (
    AF_INET6,
    AF_PACKET,
    ETH_P_IP,
    ETH_P_IPV6,
    IPPROTO_RAW,
    SOCK_DGRAM,
    SOCK_RAW,
    Symbol,
    htons,
)

__all__ = ["ACK", "FIN", "PSH", "SYN", "Segments"]

MODULUS = 1 << 32
"""Sequence numbers count from 0 to here."""


class Segments:
    """One end of a TCP connection, of which the program knows all and the kernel nothing."""

    def __init__(self, c: Calls, domain: Symbol, source: Endpoint, destination: Endpoint) -> None:
        self.c = c
        self.source = source
        self.destination = destination
        self.rawfd = c.socket(domain, SOCK_RAW, IPPROTO_RAW)
        self.packetfd = c.socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IPV6 if domain == AF_INET6 else ETH_P_IP))

    def sendto(self, flags: int, seq: int, ack: int, data: bytes = b"") -> None:
        """Sends one segment."""
        segment = tcp(self.source, self.destination, flags, seq % MODULUS, ack % MODULUS, data)
        packet = ip(self.source.address, self.destination.address, 6, segment)
        self.c.sendto(self.rawfd, packet, "0", Endpoint(self.destination.address, 0))

    def recv(self, seq: int | None = None) -> int:
        """Receives one segment, by its sequence number: what a timer sent again is passed over. That number."""
        packet = self.c.recv(self.packetfd, 65535, "0")
        while seq is not None and (tcp_seq(packet) - seq) % MODULUS:
            packet = self.c.recv(self.packetfd, 65535, "0")
        return tcp_seq(packet)
