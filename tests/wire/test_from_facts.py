"""A line of tcpdump's notation as layers: the packet made of it is told by the same line."""

from __future__ import annotations

import contextlib

import pytest

from rawlab.errors import UsageError
from rawlab.model.craft import Crafted, Ends
from rawlab.wire.craft import build
from rawlab.wire.decode import decode
from rawlab.wire.description import parse
from rawlab.wire.packets import format_packet
from tests.wire.frames import NAMES, capture, frames

LINES = [
    "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 0, win 64240, length 0",
    "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [P.U], seq 5:10, ack 7, win 502, urg 3, length 5",
    "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S.EW], seq 1, ack 9, win 1, options [mss 1460,sackOK,TS val 5 ecr 6,nop,"
    "wscale 7], length 0",
    "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [.], ack 1, win 9, options [nop,nop,sack 1 {5:9}], length 0",
    "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [none], win 0, length 0",
    "IP 10.0.0.1.9 > 10.0.0.2.7: UDP, length 12",
    "IP6 fd00::1.9 > fd00::2.7: UDP, length 12",
    "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 2, length 64",
    "IP 10.0.0.1 > 10.0.0.2: ICMP time exceeded in-transit, length 36",
    "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.1 udp port 7 unreachable, length 36",
    "IP6 fd00::1 > fd00::2: ICMP6, echo request, id 7, seq 2, length 20",
    "IP6 fd00::1 > fd00::2: ICMP6, neighbor solicitation, who has fd00::2, length 24",
    "IP 10.0.0.1 > 10.0.0.2: ip-proto-99 5",
    "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
]
MOST = 40  # lines of each capture


def made(line: str) -> Crafted:
    (packet,) = build(parse(line), Ends(mtu=70_000))
    return packet


@pytest.mark.parametrize("line", LINES)
def test_a_packet_made_of_a_line_is_told_by_the_same_line(line: str) -> None:
    """format(decode(build(parse(line)))) == line."""
    packet = made(line)
    assert format_packet(decode(packet.data, packet.linktype)) == line


@pytest.mark.parametrize("name", NAMES)
def test_lines_of_real_packets(name: str) -> None:
    """The same, of the captures that the tests have: each line comes back, or is refused in one."""
    told = dict.fromkeys(format_packet(decode(*raw)) for raw in frames(capture(name)))
    for line in list(told)[:MOST]:
        with contextlib.suppress(UsageError):
            packet = made(line)
            again = format_packet(decode(packet.data, packet.linktype))
            assert again.replace(",eol]", "]") == line.replace(",eol]", "]")  # what fills the last word of options


@pytest.mark.parametrize(
    "line",
    [
        "IP 10.0.0.1.9 > 10.0.0.2.7: sctp (1) [COOKIE ACK]",
        "IP 10.0.0.1 > 10.0.0.2: tcp [TCP: header of 20 octets expected, 12 there]",
    ],
)
def test_what_a_line_does_not_tell_is_refused(line: str) -> None:
    """SCTP's line does not hold all of a chunk; what could not be decoded can't be made: scapy's notation can."""
    with pytest.raises(UsageError, match=r"in scapy's notation, as IP\(\)/SCTP\(\)/SCTPChunkInit\(\)"):
        made(line)
