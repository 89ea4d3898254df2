"""What a packet says, as values: the facts that attribution needs, no more.

`wire.decode` makes them from bytes, `attribution` reasons on them, `wire.notation` writes them in tcpdump's
words. Field names are the RFCs'. A packet is a link header, an IP header (or ARP) and one `transport`; what
could not be decoded says so in `Undecoded`, never by a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rawlab.model.address import Flow, flow
from rawlab.model.sctp import SctpPacket
from rawlab.model.serial import Serial


@dataclass(frozen=True, slots=True, kw_only=True)
class IpHeader:
    """An IPv4 header (RFC 791) or an IPv6 header with its extension headers passed over (RFC 8200)."""

    version: int
    "4 or 6"
    source: str
    destination: str
    protocol: int
    "IANA's number of what follows: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6, 132 SCTP"
    ttl: int
    "time to live, or IPv6's hop limit"
    length: int
    "octets of the whole packet by its own header: IPv4's Total Length, IPv6's 40 + Payload Length"
    payload: tuple[int, int]
    "where the IP payload lies in the frame: [first, last + 1), without link-layer padding"
    identification: int = 0
    "IPv4's, or the IPv6 fragment header's; 0 where there is none"
    fragment_offset: int = 0
    "in octets"
    more_fragments: bool = False
    dont_fragment: bool = False
    start: int = 0
    "where the header begins in the frame"

    @property
    def is_fragment(self) -> bool:
        return self.more_fragments or self.fragment_offset > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpOption:
    """One TCP option (RFC 9293 section 3.2; kinds by IANA)."""

    kind: int
    values: tuple[int, ...] = ()
    "mss: (mss,); wscale: (shift,); TS: (val, ecr); SACK: (left, right, left, right, …); unknown: its octets"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSegment:
    """A TCP header (RFC 9293 section 3.1) and where its data lies."""

    source_port: int
    destination_port: int
    seq: Serial
    ack: Serial
    "meaningful only with the A flag"
    flags: str
    "a subset of 'FSRPAUEWe' in that order: FIN SYN RST PSH ACK URG ECE CWR AE"
    window: int
    "as in the header: not scaled"
    urgent: int = 0
    options: tuple[TcpOption, ...] = ()
    data: tuple[int, int] = (0, 0)
    "where the data lies in the frame: [first, last + 1)"
    length: int = 0
    "octets of data by the IP header, as far as they were on the wire; more than lie in a frame that was cut short"

    @property
    def span(self) -> int:
        """How many sequence numbers it takes: data, SYN and FIN each count (RFC 9293 section 3.4)."""
        return self.length + ("S" in self.flags) + ("F" in self.flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpDatagram:
    """A UDP header (RFC 768) and where its data lies."""

    source_port: int
    destination_port: int
    data: tuple[int, int] = (0, 0)
    length: int = 0
    "octets of data by the UDP header"


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpMessage:
    """An ICMP (RFC 792) or ICMPv6 (RFC 4443, 4861) message."""

    version: int
    "4 for ICMP, 6 for ICMPv6"
    type: int
    code: int
    identifier: int | None = None
    "of an echo request or reply"
    sequence: int | None = None
    "of an echo request or reply"
    target: str | None = None
    "the address that a neighbour or router message asks or tells about; a redirect's gateway"
    mtu: int | None = None
    "of 'fragmentation needed' and 'packet too big'"
    quoted: Quoted | None = None
    "an error's: the packet that provoked it"
    data: tuple[int, int] = (0, 0)
    "where what follows the 8 octets of the ICMP header lies in the frame"
    length: int = 0
    "octets of the whole message, header included"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """The start of a packet, quoted by an ICMP error: enough to know which packet it was."""

    ip: IpHeader
    source_port: int | None = None
    destination_port: int | None = None
    seq: Serial | None = None
    "TCP's sequence number, or SCTP's verification tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArpMessage:
    """An ARP message for IPv4 over Ethernet (RFC 826)."""

    operation: int
    "1 request, 2 reply"
    sender_mac: str
    sender: str
    target_mac: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """An IP payload of a protocol that is not decoded further, or a fragment that is not the first."""

    protocol: int
    data: tuple[int, int] = (0, 0)
    length: int = 0
    "octets by the IP header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecoded:
    """Bytes that could not be read as what they claim to be."""

    why: str
    "what was expected and what came: 'TCP: 20 octets expected, 12 there'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """A packet that carries another one: a tunnel's (RFC 2003, 2784, 4213, 7348, …)."""

    ip: IpHeader
    ports: tuple[int, int] | None = None
    "source and destination, where UDP carries it"
    carrier: str = ""
    "what stands between its IP header and what it carries, in tcpdump's words: 'GREv0, length 64'; '' where nothing"


Transport = TcpSegment | UdpDatagram | SctpPacket | IcmpMessage | ArpMessage | Other | Undecoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One frame, decoded."""

    transport: Transport
    ip: IpHeader | None = None
    "None for ARP and for what is no IP"
    source_mac: str | None = None
    destination_mac: str | None = None
    ethertype: int | None = None
    "of what the link header, with its VLAN tags, carries; None where it has no such field"
    vlans: tuple[int, ...] = field(default=())
    "of the link header's tags, from the outside in"
    outer: tuple[Outer, ...] = ()
    "the packets that carry this one in a tunnel, from the outside in; `ip` and `transport` are the innermost's"

    @property
    def flow(self) -> Flow | None:
        """From whom to whom; None where the packet has no ports."""
        ip, transport = self.ip, self.transport
        if ip is None or not isinstance(transport, _WITH_PORTS):
            return None
        ports = transport.source_port, transport.destination_port
        return flow(_PROTOCOLS[type(transport)], ip.source, ports[0], ip.destination, ports[1])


_WITH_PORTS = (TcpSegment, UdpDatagram, SctpPacket)
_PROTOCOLS: dict[type, str] = {TcpSegment: "tcp", UdpDatagram: "udp", SctpPacket: "sctp"}
