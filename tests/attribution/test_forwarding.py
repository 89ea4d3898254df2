"""A router's packets: each link carries its own, and the one before is its cause."""

from __future__ import annotations

import pytest

from rawlab.labs.headers import icmp, ip, number, udp
from rawlab.model.address import Endpoint
from tests.attribution.by_hand import ROUTED, Wire, with_ttl

NEAR, FAR = ("client", "router"), ("router", "server")


def datagram(ttl: int, *, ipv6: bool = False, data: bytes = b"probe") -> bytes:
    """A datagram from the client to the server behind the router."""
    ends = ("fd00::1", "fd01::2") if ipv6 else ("10.0.0.1", "10.0.1.2")
    return with_ttl(ip(*ends, 17, udp(Endpoint(ends[0], 40000), Endpoint(ends[1], 7), data)), ttl)


@pytest.mark.parametrize(("ipv6", "field"), [(False, "TTL"), (True, "hop limit")])
def test_what_a_router_sends_on_is_caused_by_what_came(ipv6: bool, field: str) -> None:
    """It is sent by the router, to the server, with a TTL less by one."""
    wire = Wire(ROUTED)
    wire.passes(datagram(2, ipv6=ipv6), NEAR, 100)
    wire.passes(datagram(1, ipv6=ipv6), FAR, 130)
    came, went = wire.story().packets
    assert (came.sender, came.receiver, went.sender, went.receiver) == ("client", "router", "router", "server")
    assert (went.cause.kind, went.cause.packets, went.cause.confidence) == ("kernel", (1,), "exact")
    assert went.cause.reason == f"the router's kernel forwards packet 1: {field} 2 → 1"
    assert not came.lost


def test_equal_packets_are_sent_on_in_their_order() -> None:
    """Each that left is the one that came in its turn."""
    wire = Wire(ROUTED)
    for at in (100, 200):
        wire.passes(datagram(9), NEAR, at)
        wire.passes(datagram(8), FAR, at + 30)
    assert [packet.cause.packets for packet in wire.story().packets] == [(), (1,), (), (3,)]


def test_a_packet_lost_on_the_second_link_is_lost_there() -> None:
    """It was sent to the server, and never arrived; on the first it did."""
    wire = Wire(ROUTED)
    wire.passes(datagram(9), NEAR, 100)
    wire.passes(datagram(8), FAR, 130, arrives=False)
    assert [(packet.lost, packet.receiver) for packet in wire.story().packets] == [(False, "router"), (True, "server")]


def test_other_octets_are_not_what_came() -> None:
    """Nor is what left before it came: a router invents nothing, and its cause is not guessed."""
    for packet, at in ((datagram(8, data=b"other"), 130), (datagram(8), 90)):
        wire = Wire(ROUTED)
        wire.passes(datagram(9), NEAR, 100)
        wire.passes(packet, FAR, at)
        assert "forwards" not in " ".join(packet.cause.reason for packet in wire.story().packets)


def test_what_is_dropped_at_the_router_says_so() -> None:
    """Time Exceeded is tied to the packet that came to the router; that one's reason tells its end."""
    wire = Wire(ROUTED)
    wire.opens("client", 71, "AF_INET", "SOCK_DGRAM")
    told = ("buf", b"probe"), ("len", 5), ("flags", "0"), ("dest_addr", Endpoint("10.0.1.2", 7))
    here = Endpoint("10.0.0.1", 40000)
    wire.calls("client", 90, "sendto", ("sockfd", 3), *told, socket=71, result=5, took=20, ends=(here,))
    wire.passes(datagram(1), NEAR, 100)
    error = icmp(b"\x0b\x00", number(0, 4) + datagram(1), version6=False)
    wire.passes(ip("10.0.0.254", "10.0.0.1", 1, error), NEAR[::-1], 130)
    probe, answer = (packet.cause for packet in wire.story().packets)
    assert answer.reason == "the router's kernel drops packet 1: its time to live of 1 is used up"
    assert (answer.packets, probe.calls) == ((1,), (2,))
    assert probe.reason.endswith("; the router drops it: its time to live is used up, as packet 2 says")


def test_an_answer_from_behind_is_tied_to_what_reached_who_answers() -> None:
    """The server refuses the router's packet, not the client's; the router sends the refusal on."""
    wire = Wire(ROUTED)
    wire.passes(datagram(2), NEAR, 100)
    wire.passes(datagram(1), FAR, 130)
    refusal = ip("10.0.1.2", "10.0.0.1", 1, icmp(b"\x03\x03", number(0, 4) + datagram(1), version6=False))
    wire.passes(refusal, FAR[::-1], 160)
    wire.passes(with_ttl(refusal, 63), NEAR[::-1], 190)
    assert [packet.cause.packets for packet in wire.story().packets] == [(), (1,), (2,), (3,)]
