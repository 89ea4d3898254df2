"""A capture as a plan: each frame is sent by the side that sent it then."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether

from rawlab.columns.plan import Pace, Planner, paced

SHARED = Path(__file__).parents[3] / "shared" / "pcaps"
A, B, R = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0e"
HERE, THERE, ROUTER, ELSEWHERE = "10.0.0.1", "10.0.9.9", "10.0.0.254", "10.7.7.7"


def capture(frames: Sequence[Any], linktype: int = 1, times: Sequence[int] | None = None) -> memoryview:
    """A pcap file of these; at so many nanoseconds after its beginning."""
    records = [struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, linktype)]
    for n, data in enumerate(map(bytes, frames)):
        seconds, rest = divmod(n * 1000 if times is None else times[n], 10**9)
        records.append(struct.pack("=IIII", 1_700_000_000 + seconds, rest, len(data), len(data)) + data)
    return memoryview(b"".join(records))


def sides(octets: memoryview) -> list[int]:
    """By frame: 0 the client's, 1 the server's."""
    planner = Planner(octets)
    found = [side for rows in planner.windows() for side in rows["side"].tolist()]
    assert planner.planned.sides == [found.count(0), found.count(1)]
    return found


def out(source: str = HERE, target: str = THERE) -> Any:
    return Ether(src=A, dst=R) / IP(src=source, dst=target)


def back(source: str = THERE, target: str = HERE) -> Any:
    return Ether(src=R, dst=A) / IP(src=source, dst=target)


def about(packet: Any) -> Any:
    """The end of an ICMP error that quotes an IP packet and its first octets behind the header."""
    return ICMP(type=3, code=1) / bytes(packet)[: 20 + 8]


@pytest.mark.parametrize(("name", "expected"), [("icmp-pmtu.cap", [4, 4]), ("icmp6-errors.pcap", [7, 13])])
def test_errors_of_routers_come_from_the_other_side(name: str, expected: list[int]) -> None:
    """Of real captures, in which each host has one MAC address: as their sources say."""
    if not (SHARED / name).exists():
        pytest.skip(f"no shared capture {name}")
    octets = memoryview((SHARED / name).read_bytes())
    found = sides(octets)
    assert [found.count(0), found.count(1)] == expected
    at, sources = 24, []
    for _ in found:
        sources.append(bytes(octets[at + 16 + 6 : at + 16 + 12]))
        at += 16 + struct.unpack_from("<I", octets, at + 8)[0]
    assert len(set(zip(sources, found, strict=True))) == 2


def test_an_error_goes_against_the_packet_that_it_quotes() -> None:
    """About the client's from the server's side, about the server's from the client's: also of the same two hosts, and
    where all frames have the same MAC addresses."""
    to_there = IP(src=HERE, dst=THERE) / UDP(sport=5000, dport=9)
    to_here = IP(src=THERE, dst=HERE) / UDP(sport=9, dport=5000)
    for head in (Ether(src=A, dst=A), Ether(src="00:00:00:00:00:00", dst="00:00:00:00:00:00")):
        frames = [
            head / to_there,
            head / IP(src=ROUTER, dst=HERE) / about(to_there),
            head / IP(src=ROUTER, dst=THERE) / about(to_here),
            head / IP(src=THERE, dst=HERE) / about(to_there),
            head / IP(src=HERE, dst=THERE) / about(to_here),
            head / to_here,
        ]
        assert sides(capture(frames)) == [0, 1, 0, 1, 0, 1]


def test_an_error_about_an_echo() -> None:
    """What it quotes has no ports: the flow is that of the two addresses."""
    request = IP(src=HERE, dst=THERE, ttl=1) / ICMP(type=8)
    frames = [Ether(src=A, dst=R) / request, back(source=ROUTER) / about(request), out() / ICMP(type=8)]
    assert sides(capture(frames)) == [0, 1, 0]


def test_an_error_about_what_was_not_captured() -> None:
    """By its source MAC address."""
    unseen = IP(src=HERE, dst=ELSEWHERE) / TCP(sport=1, dport=2)
    frames = [out() / TCP(flags="S"), back() / TCP(flags="SA", sport=80, dport=20), back(ROUTER) / about(unseen)]
    assert sides(capture(frames)) == [0, 1, 1]


def test_others_are_where_their_mac_address_is() -> None:
    """A new pair of addresses does not make its first sender the client: who sent from the other side stays there."""
    frames = [
        out() / TCP(flags="S", sport=20, dport=80),
        back() / TCP(flags="SA", sport=80, dport=20),
        back(ELSEWHERE) / ICMP(type=8),
        out(target=ELSEWHERE) / ICMP(type=0),
        Ether(src=R, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=R, psrc=ROUTER, pdst=HERE),
        Ether(src=A, dst=R) / ARP(op=2, hwsrc=A, psrc=HERE, pdst=ROUTER),
        Ether(src=R, dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_NS(tgt="fe80::2"),
        Ether(src=A, dst="33:33:00:00:00:01") / IPv6(src="fe80::2", dst="ff02::1") / ICMPv6EchoRequest(),
        Ether(src=R, dst="01:80:c2:00:00:0e", type=0x88CC) / b"\2\7\4",
    ]
    assert sides(capture(frames)) == [0, 1, 1, 0, 1, 0, 1, 0, 1]


def test_whom_it_is_for_is_on_the_other_side() -> None:
    """The sender is new, and a known host is on the client's side: so it is on the server's."""
    assert sides(capture([out() / ICMP(type=8), back(ELSEWHERE) / ICMP(type=8)])) == [0, 1]
    frames = [
        Ether(src=A, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=A, psrc=HERE, pdst=ROUTER),
        Ether(src=B, dst=A) / IP(src=THERE, dst="10.0.0.2") / ICMP(type=8),
    ]
    assert sides(capture(frames)) == [0, 1]


def test_others_without_mac_addresses_are_where_their_ip_address_is() -> None:
    """Of raw IP: also where the MAC addresses say nothing, as on the loopback interface."""
    packets = [
        IP(src=HERE, dst=THERE) / UDP(sport=5000, dport=9),
        IP(src=THERE, dst=ROUTER) / ICMP(type=8),
        IP(src=ROUTER, dst=THERE) / ICMP(type=0),
        IP(src=HERE, dst=ROUTER) / ICMP(type=8),
    ]
    assert sides(capture(packets, linktype=101)) == [0, 1, 0, 0]
    nobody = "00:00:00:00:00:00"
    assert sides(capture([Ether(src=nobody, dst=nobody) / packet for packet in packets])) == [0, 1, 0, 0]


def test_who_opens_a_connection_is_the_client_of_it() -> None:
    """Whatever the addresses have done before; and who answers a SYN is the server, also where that comes first."""
    frames = [
        out() / TCP(flags="S", sport=20, dport=80),
        back() / TCP(flags="S", sport=30, dport=22),
        out() / TCP(flags="SA", sport=22, dport=30),
        out() / TCP(flags="SA", sport=443, dport=40),
        back() / TCP(flags="A", sport=40, dport=443),
    ]
    assert sides(capture(frames)) == [0, 0, 1, 1, 0]


def test_what_is_known_stays_known_from_window_to_window() -> None:
    """Behind more frames than a window has: the router's error, and its echo request."""
    packet = IP(src=HERE, dst=THERE) / UDP(sport=5000, dport=9)
    request = bytes(Ether(src=A, dst=R) / packet)
    frames = [request] * 70_000 + [bytes(back(ROUTER) / about(packet)), bytes(back(ELSEWHERE) / ICMP(type=8))]
    assert sides(capture(frames)) == [0] * 70_000 + [1, 1]


# ------------------------------------------------------------------------------------------ which, and when


def due(octets: memoryview, pace: Pace) -> list[int]:
    """When each packet is due, in microseconds."""
    return [at // 1000 for rows in paced(Planner(octets), pace) for at in rows["due_ns"].tolist()]


FOUR = capture([bytes(60)] * 4, times=[0, 10_000, 30_000, 30_000])


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        (Pace(), [0, 10, 30, 30]),
        (Pace(speed=2.0), [0, 5, 15, 15]),
        (Pace(speed=0.5, loops=2), [0, 20, 60, 60, 60, 80, 120, 120]),
        (Pace(loops=3, count=6), [0, 10, 30, 30, 30, 40]),
        (Pace(rate=100_000.0), [0, 10, 30, 40]),
        (Pace(speed=1000.0, rate=50_000.0, loops=2, count=5), [0, 20, 40, 60, 80]),
    ],
)
def test_when_packets_are_due(pace: Pace, expected: list[int]) -> None:
    """At the capture's times, faster or slower; the next time round when the last was due; not above --rate."""
    assert due(FOUR, pace) == expected


def test_a_packet_behind_later_ones_is_due_at_once() -> None:
    """The order of the file stays, and it is told how many there were."""
    planner = Planner(capture([bytes([n]) * 60 for n in range(4)], times=[10_000, 40_000, 20_000, 50_000]))
    rows = next(planner.windows())
    assert rows["due_ns"].tolist() == [0, 30_000, 30_000, 40_000]
    assert rows["offset"].tolist() == sorted(rows["offset"].tolist())
    assert planner.planned.backwards == 1


def test_what_no_wire_takes_is_left_out() -> None:
    """A frame longer than the largest MTU, one shorter than a header: counted, and the others are sent."""
    planner = Planner(capture([bytes(13), bytes(60), bytes(65_550)]))
    assert [rows["length"].tolist() for rows in planner.windows()] == [[60]]
    assert planner.planned.left_out == {
        "shorter than an Ethernet header": 1,
        "longer than the wire takes (65,549 octets)": 1,
    }
