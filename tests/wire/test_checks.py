"""Checksums and lengths, checked from the octets: the right ones are right, a wrong one says what would be."""

from __future__ import annotations

import pytest

from rawlab.model.craft import Ends
from rawlab.wire.checks import checks
from rawlab.wire.craft import build
from rawlab.wire.description import parse

RIGHT = {
    "IP()/TCP()/b'odd'": ["IP total length", "IP header checksum", "TCP checksum"],
    "IP()/UDP()": ["IP total length", "IP header checksum", "UDP length", "UDP checksum"],
    "IP()/ICMP()": ["IP total length", "IP header checksum", "ICMP checksum"],
    "IP()/SCTP()/SCTPChunkInit()": ["IP total length", "IP header checksum", "SCTP checksum"],
    "IPv6()/TCP()": ["IPv6 payload length", "TCP checksum"],
    "IPv6()/IPv6ExtHdrHopByHop()/UDP()": ["IPv6 payload length", "UDP length", "UDP checksum"],
    "IPv6()/ICMPv6EchoRequest()": ["IPv6 payload length", "ICMPv6 checksum"],
    "Ether()/Dot1Q()/IP()/ICMP()": ["IP total length", "IP header checksum", "ICMP checksum"],
    "IP(proto=200)/b'x'": ["IP total length", "IP header checksum"],
    "IP(flags='MF')/UDP()": ["IP total length", "IP header checksum"],
    "IPv6(nh=1)/ICMP()": ["IPv6 payload length"],
    "Ether()/ARP()": [],
    "Ether()/b'x'": [],
}


@pytest.mark.parametrize("text", RIGHT)
def test_what_scapy_computes_is_right(text: str) -> None:
    """Every checksum and length that there is, in order, and none of them wrong."""
    (packet,) = build(parse(text), Ends())
    found = checks(packet.data, packet.linktype)
    assert [check.name for check in found] == RIGHT[text]
    assert all(check.right for check in found), found


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("IP()/TCP()", "IP(chksum=0x1234)/TCP()", "IP header checksum"),
        ("IP()/TCP()", "IP()/TCP(chksum=0x1234)", "TCP checksum"),
        ("IP()/UDP()", "IP()/UDP(len=9)", "UDP length"),
        ("IP()/ICMP()", "IP()/ICMP(chksum=0x1234)", "ICMP checksum"),
        ("IP()/SCTP()", "IP()/SCTP(chksum=0x1234)", "SCTP checksum"),
        ("IPv6()/UDP()", "IPv6(plen=9)/UDP()", "IPv6 payload length"),
        ("IPv6()/UDP()", "IPv6()/UDP(chksum=0x1234)", "UDP checksum"),
    ],
)
def test_a_wrong_one_is_told_with_the_right_one(right: str, wrong: str, name: str) -> None:
    """What would be right is what stands in the packet that is right."""
    (good,), (bad,) = build(parse(right), Ends()), build(parse(wrong), Ends())
    (expected,) = [check.value for check in checks(good.data, good.linktype) if check.name == name]
    (found,) = [check for check in checks(bad.data, bad.linktype) if check.name == name]
    assert not found.right
    assert found.expected == expected
    assert found.verdict == f"wrong: {hex(expected, found.length) if found.checksum else expected} would be right"


def hex(value: int, octets: int) -> str:
    return f"0x{value:0{2 * octets}x}"


def test_no_udp_checksum() -> None:
    """0 is none over IPv4 (RFC 768), and wrong over IPv6 (RFC 8200 section 8.1)."""
    (four,), (six,) = build(parse("IP()/UDP(chksum=0)"), Ends()), build(parse("IPv6()/UDP(chksum=0)"), Ends())
    assert checks(four.data, 101)[-1].over == "nothing: 0 says that there is none"
    assert not checks(six.data, 101)[-1].right


@pytest.mark.parametrize("size", range(0, 60))
def test_cut_packets_raise_nothing(size: int) -> None:
    """Whatever ends too early has no checks that would need what is not there."""
    (packet,) = build(parse("Ether()/IP()/TCP()/b'hello'"), Ends())
    assert isinstance(checks(packet.data[:size], 1), tuple)
