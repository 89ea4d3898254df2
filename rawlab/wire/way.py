"""The way from a frame's first octet in to the innermost packet: how far it is gone, and what was met.

What begins at a place has a *kind*: an EtherType, or, where a link layer knows its payload by other means, one of the
kinds below. For each there is a function that passes over one header and says what kind begins behind it, or why it
can't: `wire.link_layers`, `wire.ieee80211` and `wire.tunnels` have one for each kind that they read, `wire.decode`
walks from one to the next. Every layer checks that its header is there before it reads it; those that know where
their payload ends move `limit` and `end` down to it, so that what fills up the frame is no data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rawlab.model.facts import IpHeader, Outer, Transport, Undecoded
from rawlab.wire.ip import short
from rawlab.wire.symbols import VLAN_TYPES

IPV4, ARP, REVERSE_ARP, IPV6 = 0x0800, 0x0806, 0x8035, 0x86DD
BRIDGED, PPP_GRE, MPLS, MPLS_MULTICAST, PPPOE = 0x6558, 0x880B, 0x8847, 0x8848, 0x8864
"EtherTypes of what carries packets: Ethernet (RFC 2784), PPP (RFC 2637), MPLS (RFC 3032), PPPoE (RFC 2516)"

ETHERNET, FAMILY, RAW, COOKED, COOKED_2, LLC, PPP, HDLC = -1, -2, -3, -4, -5, -6, -7, -8
IEEE80211, RADIOTAP, PRISM, AVS, AMSDU = -9, -10, -11, -12, -13
GRE, VXLAN, GENEVE, PKTAP, PPI = -14, -15, -16, -17, -18
"kinds that have no EtherType"

LOWEST_ETHERTYPE = 0x600
"below it stands a length (IEEE 802.3 clause 3.2.6)"


@dataclass(slots=True)
class Way:
    """A frame, read from the outside in."""

    octets: bytes
    at: int
    "where what begins next begins"
    limit: int
    "where its captured octets end"
    end: int
    "where it ended on the wire"
    kind: int
    "what it is: an EtherType, or one of the kinds above"
    source: str | None = None
    destination: str | None = None
    ethertype: int | None = None
    vlans: tuple[int, ...] = ()
    ip: IpHeader | None = None
    "of the latest packet: what follows is in a tunnel"
    transport: Transport | None = None
    "its payload, as far as it is known before what it carries"
    carrier: str = ""
    "what was met since, in tcpdump's words"
    outer: list[Outer] = field(default_factory=list)
    padded: bool = False
    "802.11's header is filled up to a multiple of 4 octets, says radiotap"
    checksum: int = 0
    "octets of the frame's own checksum, at its end"
    steps: list[tuple[int, int]] = field(default_factory=list)
    "(kind, where it begins) of all layers so far"

    @property
    def there(self) -> int:
        """How many octets can be read from here."""
        return self.limit - self.at

    def pass_over(self, octets: int, kind: int) -> None:
        """What comes next is of this kind, so many octets on."""
        self.at += octets
        self.kind = kind

    def ends_after(self, octets: int) -> None:
        """What begins here is so long: what follows it in the frame is not its."""
        self.end = min(self.end, self.at + max(octets, 0))
        self.limit = min(self.limit, self.end)

    def carries(self, octets: int, kind: int) -> None:
        """What comes next is of this EtherType, so many octets on; of the link header, that is the frame's."""
        self.pass_over(octets, kind)
        if self.ip is None and (self.ethertype is None or self.ethertype in VLAN_TYPES):
            self.ethertype = kind

    def met(self, source: bytes, destination: bytes) -> None:
        """The link layer's ends; those within a tunnel are not the frame's."""
        if self.ip is None:
            self.source, self.destination = source.hex(":"), destination.hex(":")


Passes = Callable[[Way], Undecoded | None]
"moves the way over one header, or says why it can't"


def cut(name: str, octets: int, way: Way) -> Undecoded | None:
    """What is to be said where a header of so many octets is not all there."""
    return short(f"{name}: header", octets, max(way.there, 0)) if way.there < octets else None
