"""Headers by hand, held against scapy's: octet by octet, checksums included."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from rawlab.labs import headers
from rawlab.model.address import Endpoint

ENDS = (Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.2", 7)), (Endpoint("fd00::1", 40000), Endpoint("fd00::2", 7))
NUMBERS = st.integers(0, 2**32 - 1)


def scapys(ends: tuple[Endpoint, Endpoint]) -> IP | IPv6:
    """scapy's IP header between the two."""
    source, destination = ends
    if ":" in source.address:
        return IPv6(src=source.address, dst=destination.address)
    return IP(src=source.address, dst=destination.address, id=0, flags="DF")


def without_checksum(packet: bytes) -> bytes:
    """An IPv4 packet with 0 for its header's checksum, which the kernel fills in."""
    return packet if packet[0] >> 4 == 6 else packet[:10] + b"\0\0" + packet[12:]


@pytest.mark.parametrize("ends", ENDS)
@given(data=st.binary(max_size=64))
def test_a_datagram_is_scapys(ends: tuple[Endpoint, Endpoint], data: bytes) -> None:
    """UDP in IPv4 and IPv6; a checksum that comes out as 0 is sent as ffff (RFC 768)."""
    ours = headers.ip(ends[0].address, ends[1].address, 17, headers.udp(*ends, data))
    assert ours == without_checksum(bytes(scapys(ends) / UDP(sport=40000, dport=7) / Raw(data)))


@pytest.mark.parametrize("ends", ENDS)
@given(flags=st.integers(0, 63), seq=NUMBERS, ack=NUMBERS, data=st.binary(max_size=9))
def test_a_segment_is_scapys(ends: tuple[Endpoint, Endpoint], flags: int, seq: int, ack: int, data: bytes) -> None:
    """TCP in both; and its sequence number is read again."""
    ours = headers.ip(ends[0].address, ends[1].address, 6, headers.tcp(*ends, flags, seq, ack, data))
    segment = TCP(sport=40000, dport=7, flags=flags, seq=seq, ack=ack, window=64240)
    assert ours == without_checksum(bytes(scapys(ends) / segment / Raw(data)))
    assert headers.tcp_seq(ours) == seq


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize(("at", "end"), [(0, 24), (24, 48), (48, 72)])
def test_a_fragment_is_scapys(ends: tuple[Endpoint, Endpoint], at: int, end: int) -> None:
    """Offset in words of 8 octets, and whether more follow."""
    datagram = headers.udp(*ends, bytes(range(60)))
    ours = headers.udp_fragment(ends[0].address, ends[1].address, 77, datagram, at, end)
    more = end < len(datagram)
    if ":" in ends[0].address:
        theirs = scapys(ends) / IPv6ExtHdrFragment(nh=17, id=77, offset=at // 8, m=more) / Raw(datagram[at:end])
    else:
        theirs = IP(src=ends[0].address, dst=ends[1].address, id=77, flags="MF" if more else 0, frag=at // 8, proto=17)
        theirs /= Raw(datagram[at:end])
    assert ours == without_checksum(bytes(theirs))


def test_port_unreachable_is_scapys() -> None:
    """ICMP with its checksum; of ICMPv6 the kernel fills it in."""
    four, six = (headers.ip(one.address, other.address, 17, headers.udp(one, other, b"data")) for one, other in ENDS)
    assert headers.port_unreachable(four) == bytes(ICMP(type=3, code=3) / Raw(four))
    assert headers.port_unreachable(six) == bytes(ICMPv6DestUnreach(code=4, cksum=0) / Raw(six))


@given(st.ip_addresses())
def test_an_address_is_inet_ptons(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """In its shortest form."""
    if getattr(one, "ipv4_mapped", None) is None:
        assert headers.address(one.compressed) == one.packed


@pytest.mark.parametrize("text", ["::", "::1", "fd00::", "fd00::1", "1:2:3:4:5:6:7:8"])
def test_an_address_with_zeros_left_out_is_inet_ptons(text: str) -> None:
    """At its beginning, its end, in between, and none."""
    assert headers.address(text) == ipaddress.ip_address(text).packed
