"""Packets made by hand: who they are from and to if nobody says otherwise, and what is to be sent how.

`wire.craft` makes them, `live.craft` sends them, `views.crafted` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_PACKETS = 10_000
MOST_A_SECOND = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What a description may leave out, by the place that the packet is sent in."""

    source: tuple[str | None, str | None] = ("10.0.0.1", "fd00::1")
    "the sender's IPv4 and IPv6 address"
    destination: tuple[str | None, str | None] = ("10.0.0.2", "fd00::2")
    "the receiver's; None: the description has to say it"
    source_mac: str = "02:00:00:00:00:01"
    destination_mac: str | None = "02:00:00:00:00:02"
    "whom a frame goes to; None: the description has to say it"
    source_port: int = 40000
    destination_port: int | None = None
    "None: the layer's own default"
    neighbours: tuple[str, ...] | None = ("10.0.0.2", "10.0.0.3", "fd00::2", "fd00::3")
    "whom a raw socket reaches; None: whom the routing table knows, and others are refused"
    mtu: int = 1500
    "octets of the largest IP packet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crafted:
    """A packet that is ready to be sent."""

    data: bytes
    "a whole frame for a packet socket, a whole IP packet for a raw socket"
    to: str | None
    "the address that a raw socket sends it to; None: it is a frame, for a packet socket"
    reason: str
    "why it goes that way: one phrase"

    @property
    def linktype(self) -> int:
        """1 Ethernet, 101 raw IP (the LINKTYPE_ registry)."""
        return 1 if self.to is None else 101
