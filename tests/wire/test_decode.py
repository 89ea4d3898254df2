"""The fast decoder, on bytes made here and on chance; `test_decode_against.py` holds it against others."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.facts import (
    ArpMessage,
    Facts,
    IcmpMessage,
    IpHeader,
    Other,
    TcpOption,
    TcpSegment,
    UdpDatagram,
    Undecoded,
)
from rawlab.model.serial import Serial
from rawlab.wire.decode import decode
from tests.wire.frames import HELLO, MACS, ethernet, ipv4, ipv6, tcp, udp

LINKTYPES = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 147, 9999]


def why(facts: Facts) -> str:
    assert isinstance(facts.transport, Undecoded), facts
    return facts.transport.why


def segment(facts: Facts) -> TcpSegment:
    assert isinstance(facts.transport, TcpSegment), facts
    return facts.transport


def header(facts: Facts) -> IpHeader:
    assert facts.ip is not None, facts
    return facts.ip


def options_of(options: bytes) -> tuple[TcpOption, ...]:
    return segment(decode(ethernet(0x0800, ipv4(6, tcp(options=options))))).options


def test_a_segment_comes_out_whole() -> None:
    """Every fact of an ordinary segment over Ethernet, with positions in the frame; padding is no data."""
    frame = ethernet(0x0800, ipv4(6, tcp(options=bytes.fromhex("0101080a0000000100000002")))) + bytes(9)
    assert decode(frame) == Facts(
        transport=TcpSegment(
            source_port=40000,
            destination_port=7,
            seq=Serial(0xFFFFFFFE),
            ack=Serial(9),
            flags="PA",
            window=502,
            urgent=3,
            options=(TcpOption(kind=1), TcpOption(kind=1), TcpOption(kind=8, values=(1, 2))),
            data=(66, 71),
            length=5,
        ),
        ip=IpHeader(
            version=4,
            source="10.0.0.1",
            destination="10.0.0.2",
            protocol=6,
            ttl=64,
            length=57,
            payload=(34, 71),
            identification=77,
            dont_fragment=True,
            start=14,
        ),
        source_mac="02:00:00:00:00:01",
        destination_mac="02:00:00:00:00:02",
        ethertype=0x0800,
    )


def test_what_comes_out_is_frozen() -> None:
    """The quick way to make facts makes ordinary ones: of the public types, and no field can be set."""
    facts = decode(ethernet(0x0800, ipv4(6, tcp(options=b"\2\4\5\xb4"))))
    for value in (facts, facts.ip, facts.transport, segment(facts).options[0]):
        assert type(value).__module__ == "rawlab.model.facts"
        with pytest.raises(AttributeError):
            setattr(value, fields(value)[0].name, 1)  # type: ignore[arg-type]
        assert hash(value) == hash(value)


@pytest.mark.parametrize(
    ("linktype", "link"),
    [
        (0, b"\2\0\0\0"),
        (0, b"\0\0\0\2"),
        (108, b"\0\0\0\2"),
        (12, b""),
        (14, b""),
        (101, b""),
        (228, b""),
        (113, bytes.fromhex("0000 0001 0006 020000000001 0000 0800")),
        (276, bytes.fromhex("0800 0000 00000001 0001 00 06 020000000001 0000")),
        (1, MACS + bytes.fromhex("8100 0005 88a8 0fff 0800")),
    ],
)
def test_every_link_header_leads_to_the_same_packet(linktype: int, link: bytes) -> None:
    """Behind NULL in either byte order, LOOP, RAW, cooked headers, VLAN tags stands the same datagram."""
    facts = decode(link + ipv4(17, udp()), linktype)
    assert facts.transport == UdpDatagram(
        source_port=5000, destination_port=7, data=(len(link) + 28, len(link) + 33), length=5
    )
    assert facts.source_mac == (None if len(link) <= 4 else "02:00:00:00:00:01")
    assert facts.vlans == ((5, 0xFFF) if linktype == 1 else ())


@pytest.mark.parametrize(
    ("linktype", "link"), [(0, b"\x1e\0\0\0"), (0, b"\0\0\0\x0a"), (101, b""), (229, b"")]
)
def test_ipv6_behind_headers_without_ethertype(linktype: int, link: bytes) -> None:
    """The address family, or the version, says IPv6."""
    assert isinstance(decode(link + ipv6(17, udp()), linktype).transport, UdpDatagram)


@pytest.mark.parametrize(
    ("frame", "linktype", "reason"),
    [
        (b"", 1, "Ethernet: header of 14 octets expected, 0 there"),
        (b"\2\0", 0, "loopback: header of 4 octets expected, 2 there"),
        (b"\7\0\0\0", 0, "loopback: family of IPv4 or IPv6 expected, 7 there"),
        (bytes(15), 113, "Linux cooked: header of 16 octets expected, 15 there"),
        (bytes(19), 276, "Linux cooked v2: header of 20 octets expected, 19 there"),
        (b"", 220, "link type: USB_LINUX_MMAPPED (220) is not read"),
        (b"", 9999, "link type: 9999 is not read"),
        (ethernet(0x0026, b""), 1, "LLC: header of 3 octets expected, 0 there"),
        (ethernet(0x88CC, b""), 1, "EtherType: IPv4, IPv6 or ARP expected, LLDP there"),
        (ethernet(0x8100, b"\0"), 1, "802.1Q: tag of 4 octets expected, 1 there"),
        (ethernet(0x0806, bytes(27)), 1, "ARP: message of 28 octets expected, 27 there"),
        (
            ethernet(0x0806, bytes.fromhex("000f 0800 02 04 0001") + bytes(20)),
            1,
            "ARP: Ethernet and IPv4 expected, hardware 15 (2 octets), IPv4 (4 octets) there",
        ),
        (b"", 101, "IPv4: header of 20 octets expected, 0 there"),
        (b"\x45" + bytes(18), 101, "IPv4: header of 20 octets expected, 19 there"),
        (b"\x55" + bytes(19), 101, "IPv4: version 4 and 5 words or more of header expected, 5 and 5 there"),
        (b"\x44" + bytes(19), 101, "IPv4: version 4 and 5 words or more of header expected, 4 and 4 there"),
        (ipv4(6, b"", options=bytes(4))[:22], 101, "IPv4: header of 24 octets expected, 22 there"),
        (ipv4(6, b"", total=19), 101, "IPv4: total length of 20 or more expected, 19 there"),
        (ipv6(6, b"")[:39], 101, "IPv6: header of 40 octets expected, 39 there"),
        (ipv4(6, tcp())[:40], 229, "IPv6: version 6 expected, 4 there"),
        (ipv6(0, bytes(7)), 229, "IPv6: extension header of 8 octets expected, 7 there"),
        (ipv6(60, b"\6\1" + bytes(7)), 229, "IPv6: extension header of 16 octets expected, 9 there"),
        (ipv6(0, bytes(8 * 64)), 229, "IPv6: 64 extension headers at most expected, more there"),
        (ipv4(6, tcp(b"")[:12]), 101, "TCP: header of 20 octets expected, 12 there"),
        (ipv4(6, tcp(words=4)), 101, "TCP: header of 20 to 25 octets expected, 16 there"),
        (ipv4(6, tcp(words=15)), 101, "TCP: header of 20 to 25 octets expected, 60 there"),
        (ipv4(17, b"1234567"), 101, "UDP: header of 8 octets expected, 7 there"),
        (ipv4(17, udp(length=7)), 101, "UDP: length of 8 to 13 octets expected, 7 there"),
        (ipv4(17, udp(length=14)), 101, "UDP: length of 8 to 13 octets expected, 14 there"),
        (ipv4(1, bytes(7)), 101, "ICMP: header of 8 octets expected, 7 there"),
        (ipv6(58, bytes(7)), 229, "ICMPv6: header of 8 octets expected, 7 there"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(frame: bytes, linktype: int, reason: str) -> None:
    """The place, what was expected there, what came."""
    assert why(decode(frame, linktype)) == reason


def test_a_cut_capture_keeps_the_lengths_of_the_headers() -> None:
    """Where the snap length cuts, `length` is what the IP header says, `data` what lies in the frame."""
    whole = ethernet(0x0800, ipv4(6, tcp(bytes(1000), options=b"\2\4\5\xb4")))
    for cut, data, options in ((100, (58, 100), 1), (58, (58, 58), 1), (56, (56, 56), 0)):
        got = segment(decode(whole[:cut], 1, len(whole)))
        assert (got.length, got.data, len(got.options)) == (1000, data, options)


def test_total_length_zero_is_the_frames() -> None:
    """A host that leaves segmentation to its interface captures 0 there; the frame's length counts."""
    frame = ethernet(0x0800, ipv4(6, tcp(bytes(100)), total=0))
    assert (segment(decode(frame)).length, segment(decode(frame[:64], 1, 70_054)).length) == (100, 70_000)
    assert header(decode(frame[:64], 1, 70_054)).length == 70_040
    assert segment(decode(ethernet(0x86DD, ipv6(6, tcp(bytes(100)), length=0)))).length == 100


def test_ip_options_are_passed_over() -> None:
    """IPv4's options, and IPv6's hop-by-hop, destination, routing and authentication headers."""
    facts = decode(ipv4(6, tcp(), options=bytes(40)), 101)
    assert (header(facts).payload, segment(facts).data) == ((60, 85), (80, 85))
    chain = b"\x3c\0" + bytes(6) + b"\x2b\1" + bytes(14) + b"\x33\0" + bytes(6) + b"\6\1" + bytes(10)
    facts = decode(ipv6(0, chain + tcp()), 229)
    begin = 40 + len(chain)
    assert (header(facts).protocol, header(facts).payload) == (6, (begin, begin + 25))
    assert (segment(facts).length, segment(facts).data) == (5, (begin + 20, begin + 25))


def test_fragments() -> None:
    """A first fragment gives the ports and the datagram's whole length; a later one is Other."""
    first = decode(ipv4(17, udp(bytes(16), length=3008), fragment=0x2000), 101)
    assert first.transport == UdpDatagram(source_port=5000, destination_port=7, data=(28, 44), length=3000)
    later = decode(ipv4(17, bytes(16), fragment=185), 101)
    assert later.transport == Other(protocol=17, data=(20, 36), length=16)
    assert (header(later).identification, header(later).fragment_offset) == (77, 1480)
    assert [header(facts).is_fragment for facts in (first, later)] == [True, True]


def test_ipv6_fragments() -> None:
    """The fragment header gives identification, offset and flag; an atomic one (RFC 6946) is no fragment."""
    first = decode(ipv6(44, b"\x11\0" + b"\0\1" + b"\0\1\0\2" + udp(bytes(16), length=3008)), 229)
    later = decode(ipv6(44, b"\x11\0" + b"\5\xa8" + b"\0\1\0\2" + bytes(16)), 229)
    atomic = decode(ipv6(44, b"\x11\0" + b"\0\0" + b"\0\1\0\2" + udp()), 229)
    assert (header(first).identification, header(first).more_fragments) == (0x10002, True)
    assert first.flow is not None
    assert header(later).fragment_offset == 1448
    assert later.transport == Other(protocol=17, data=(48, 64), length=16)
    assert isinstance(atomic.transport, UdpDatagram)
    assert not header(atomic).is_fragment


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (b"\2\4\5\xb4\1\3\3\7\4\2", [(2, (1460,)), (1, ()), (3, (7,)), (4, ()), (0, ())]),
        (b"\5\x12" + bytes(range(16)), [(5, (0x10203, 0x4050607, 0x8090A0B, 0xC0D0E0F)), (0, ())]),
        (b"\xfe\4\xf9\x89", [(254, (0xF9, 0x89))]),
        (b"\x22\2\1\1", [(34, ()), (1, ()), (1, ())]),
        (b"\2\3\1\1", [(1, ())]),  # MSS of the wrong length is passed over
        (b"\5\6\0\0\0\0\1\1", [(1, ()), (1, ())]),  # half a SACK block
        (b"\1\2\0\0", [(1, ())]),  # a length of 0 ends the list
        (b"\1\1\2\1", [(1, ()), (1, ())]),  # so does 1
        (b"\1\1\1\2", [(1, ())] * 3),  # so does a missing length
        (b"\1\1\2\4", [(1, ()), (1, ())]),  # so does an option that reaches beyond the header
        (b"\1\0\2\4\5\xb4\0\0", [(1, ()), (0, ())]),  # nothing counts behind End of Option List
    ],
)
def test_tcp_options(options: bytes, kinds: list[tuple[int, tuple[int, ...]]]) -> None:
    """Options by kind; those of a bad length are passed over or end the list, and what is whole stays."""
    assert [(option.kind, option.values) for option in options_of(options)] == kinds


def test_flags_are_letters_from_bit_0_up() -> None:
    """All nine, in the order of the facts."""
    assert segment(decode(ipv4(6, tcp(flags=0x1FF)), 101)).flags == "FSRPAUEWe"
    assert segment(decode(ipv4(6, tcp(flags=0x100)), 101)).flags == "e"


def icmp4(kind: int, code: int, rest: bytes, body: bytes) -> IcmpMessage:
    facts = decode(ipv4(1, bytes([kind, code, 0, 0]) + rest + body), 101)
    assert isinstance(facts.transport, IcmpMessage)
    return facts.transport


def icmp6(kind: int, rest: bytes, body: bytes) -> IcmpMessage:
    facts = decode(ipv6(58, bytes([kind, 0, 0, 0]) + rest + body), 229)
    assert isinstance(facts.transport, IcmpMessage)
    return facts.transport


def test_echo() -> None:
    """Identifier, sequence number, and where the data lies."""
    assert icmp4(8, 0, b"\1\2\3\4", HELLO) == IcmpMessage(
        version=4, type=8, code=0, identifier=0x102, sequence=0x304, data=(28, 33), length=13
    )
    got = icmp6(129, b"\1\2\3\4", HELLO)
    assert (got.version, got.identifier, got.sequence, got.data, got.length) == (
        6,
        0x102,
        0x304,
        (48, 53),
        13,
    )


def test_an_error_quotes_the_packet_that_provoked_it() -> None:
    """Addresses, ports, and TCP's sequence number or SCTP's tag; the quote may be as short as 8 octets."""
    message = icmp4(3, 3, bytes(4), ipv4(6, tcp(), options=bytes(4))[:32])
    assert message.quoted is not None
    assert (message.quoted.ip.source, message.quoted.ip.destination) == ("10.0.0.1", "10.0.0.2")
    assert message.quoted.ip.length == 49
    assert (message.quoted.source_port, message.quoted.destination_port) == (40000, 7)
    assert message.quoted.seq == Serial(0xFFFFFFFE)
    quoted = icmp4(3, 2, bytes(4), ipv4(132, b"\x9c\x40\0\7\1\2\3\4")).quoted
    assert quoted is not None
    assert (quoted.destination_port, quoted.seq) == (7, Serial(0x01020304))
    quoted = icmp6(1, bytes(4), ipv6(60, b"\x11\0" + bytes(6) + udp())).quoted
    assert quoted is not None
    assert (quoted.ip.protocol, quoted.source_port, quoted.seq) == (17, 5000, None)


def test_a_quote_that_is_cut_gives_what_is_there() -> None:
    """Without an IP header there is no quote; without ports, or of a later fragment, there are no ports."""
    assert icmp4(3, 3, bytes(4), ipv4(6, tcp())[:19]).quoted is None
    for body in (ipv4(6, tcp())[:23], ipv4(17, udp(), fragment=185), ipv4(47, bytes(20))):
        quoted = icmp4(3, 3, bytes(4), body).quoted
        assert quoted is not None
        assert quoted.destination_port is None


def test_mtu_and_targets() -> None:
    """Path MTU discovery's MTU, a redirect's gateway, the address that neighbour discovery speaks of."""
    packet, target = ipv4(17, udp()), bytes.fromhex("fd00000000000000000000000000000a")
    assert icmp4(3, 4, b"\0\0\5\x78", packet).mtu == 1400
    assert icmp4(3, 3, b"\0\0\5\x78", packet).mtu is None
    assert icmp4(5, 1, bytes([10, 0, 0, 9]), packet).target == "10.0.0.9"
    assert icmp6(2, b"\0\1\0\0", ipv6(17, udp())).mtu == 65536
    assert [icmp6(kind, bytes(4), target).target for kind in (131, 135, 136)] == ["fd00::a"] * 3
    assert icmp6(135, bytes(4), target[:15]).target is None
    redirected = b"\1\1" + bytes(6) + b"\4\x08" + bytes(6) + ipv6(17, udp()) + bytes(3)
    message = icmp6(137, bytes(4), target + target + redirected)
    assert message.quoted is not None
    assert (message.target, message.quoted.ip.destination) == ("fd00::a", "fd00::2")
    assert icmp6(137, bytes(4), target + target + b"\1\0").quoted is None


def test_arp() -> None:
    """RFC 826's fields, padding left aside."""
    message = bytes.fromhex("0001 0800 06 04 0002 020000000001 0a000001 020000000002 0a000002")
    assert decode(ethernet(0x0806, message + bytes(18))).transport == ArpMessage(
        operation=2,
        sender_mac="02:00:00:00:00:01",
        sender="10.0.0.1",
        target_mac="02:00:00:00:00:02",
        target="10.0.0.2",
    )


# ---- chance


@given(
    data=st.binary(max_size=400), linktype=st.sampled_from(LINKTYPES), longer=st.none() | st.integers(0, 2000)
)
def test_no_bytes_raise(data: bytes, linktype: int, longer: int | None) -> None:
    """Whatever the bytes, facts come out, the same each time, also from a view, and point into the frame."""
    facts = decode(data, linktype, longer)
    assert facts == decode(memoryview(data), linktype, longer)
    ranges = [facts.ip.payload] if facts.ip else []
    ranges += [getattr(facts.transport, "data", (0, 0))]
    assert all(0 <= first <= last <= len(data) for first, last in ranges)


@st.composite
def mutated(draw: Callable[[Any], Any]) -> tuple[bytes, int]:
    """A good packet with a few octets changed, cut somewhere: it gets further in than chance alone."""
    packet = draw(
        st.sampled_from(
            [
                ipv4(6, tcp(options=b"\2\4\5\xb4\5\x0a" + bytes(8))),
                ipv6(0, b"\x2c\0" + bytes(6) + b"\6\0" + bytes(6) + tcp()),
                ipv4(1, b"\3\4" + bytes(6) + ipv4(17, udp())),
                ipv6(58, b"\x89\0" + bytes(38) + b"\4\7" + bytes(6) + ipv6(6, tcp())),
            ]
        )
    )
    octets = bytearray(packet)
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, len(packet) - 1), st.integers(0, 255)), max_size=4)
    ):
        octets[place] = value
    return bytes(octets[: draw(st.integers(0, len(packet)))]), draw(st.sampled_from([101, 228, 229]))


@given(mutated())
def test_damaged_packets_do_not_raise(packet: tuple[bytes, int]) -> None:
    """Every length that lies is caught where it is read."""
    data, linktype = packet
    facts = decode(data, linktype)
    if isinstance(facts.transport, TcpSegment | UdpDatagram | IcmpMessage | Other):
        first, last = facts.transport.data
        assert 0 <= first <= last <= len(data)
        assert facts.transport.length >= 0


@given(st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0xAB, 0x1234]), min_size=8, max_size=8))
def test_ipv6_addresses_are_inet_ntops(groups: list[int]) -> None:
    """RFC 5952 with every run of zeros, IPv4-mapped and IPv4-compatible forms included, exactly as libc."""
    address = struct.pack("!8H", *groups)
    frame = struct.pack("!IHBB", 6 << 28, 0, 59, 64) + address * 2
    assert header(decode(frame, 229)).source == socket.inet_ntop(socket.AF_INET6, address)
