"""Packet sockets that receive, and segments by hand from an address that no kernel owns."""

from __future__ import annotations

import pytest

from rawlab.labs.headers import ACK, SYN, ip, tcp
from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.story import Story
from tests.attribution.by_hand import BEGIN_NS, SERVER, Wire

TO_SERVER, TO_CLIENT = ("client", "server"), ("server", "client")


def handshake(address: str, type: str = "SOCK_DGRAM", recorded: int = 65535) -> Story:
    """A SYN by hand from that address, the SYN-ACK, and a recv on the client's packet socket."""
    source = Endpoint(address, 40000)
    wire = Wire()
    wire.opens("client", 71, "AF_INET", "SOCK_RAW", "IPPROTO_RAW")
    wire.opens("client", 72, "AF_PACKET", type, "htons(ETH_P_IP)", at=10)
    syn = ip(address, SERVER.address, 6, tcp(source, SERVER, SYN, 1000, 0))
    answer = ip(SERVER.address, address, 6, tcp(SERVER, source, SYN | ACK, 5000, 1001))
    wire.sends("client", 100, 71, syn, SERVER.address)
    wire.passes(syn, TO_SERVER, 102)
    wire.passes(answer, TO_CLIENT, 130)
    link = bytes.fromhex("020000000000020000000001") + b"\x08\x00"
    wire.receives("client", 110, 72, (link + answer if type == "SOCK_RAW" else answer)[:recorded], took=60)
    return wire.story()


@pytest.mark.parametrize("type", ["SOCK_DGRAM", "SOCK_RAW"])
@pytest.mark.parametrize("recorded", [65535, 20])
def test_a_packet_socket_waits_for_what_its_recv_returned(type: str, recorded: int) -> None:
    """From the link header on, or behind it (packet(7)); as far as the octets were recorded."""
    story = handshake("10.0.0.10", type, recorded)
    assert [told.waited_for for told in story.calls if told.call.name == "recv"] == [(2,)]


def test_who_speaks_for_an_address_of_no_kernel_is_its_tcp() -> None:
    """The client's states are those of its program: SYN-SENT, and ESTABLISHED when its recv has taken SYN-ACK."""
    story = handshake("10.0.0.10")
    assert [(one.at_ns - BEGIN_NS) // 1000 for one in story.transitions if one.state == "ESTABLISHED"] == [170]
    assert dict(story.packets[0].states)["client"] == "SYN-SENT"
    assert [dict(told.states_after)["client"] for told in story.calls if told.call.name == "recv"] == ["ESTABLISHED"]


@pytest.mark.parametrize(
    ("domain", "protocol"), [("AF_INET", "IPPROTO_RAW"), ("AF_PACKET", "IPPROTO_IP"), ("AF_PACKET", 0)]
)
def test_nobody_is_at_an_address_of_no_kernel_where_the_program_hears_nothing(domain: str, protocol: Value) -> None:
    """What is sent by hand alone, through sockets to which nothing comes, has no state."""
    syn = ip("10.0.0.10", SERVER.address, 6, tcp(Endpoint("10.0.0.10", 40000), SERVER, SYN, 1000, 0))
    link = bytes([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0]) + b"\x08\x00" if domain == "AF_PACKET" else b""
    wire = Wire()
    wire.opens("client", 71, domain, "SOCK_RAW", protocol)
    wire.sends("client", 100, 71, link + syn, SERVER.address)
    wire.passes(syn, TO_SERVER, 102)
    (packet,) = wire.story().packets
    assert packet.cause.kind == "call"
    assert dict(packet.states) == {"client": None, "server": "CLOSED"}
    assert not wire.story().transitions


def test_a_syn_by_hand_from_the_kernels_own_address_is_nothing_to_the_kernel() -> None:
    """Its TCP stays CLOSED: it will refuse the answer."""
    assert dict(handshake("10.0.0.1").packets[0].states)["client"] == "CLOSED"


def test_what_the_kernel_fills_in_is_said() -> None:
    """IPv4's checksum was written as 0: it is named."""
    source = Endpoint("10.0.0.10", 40000)
    written = ip(source.address, SERVER.address, 6, tcp(source, SERVER, SYN, 1000, 0))
    sent = written[:4] + b"\x12\x34" + written[6:10] + b"\x56\x78" + written[12:]
    wire = Wire()
    wire.opens("client", 71, "AF_INET", "SOCK_RAW", "IPPROTO_RAW")
    wire.sends("client", 100, 71, written, SERVER.address)
    wire.passes(sent, TO_SERVER, 102)
    (packet,) = wire.story().packets
    assert packet.cause.bytes == ((2, 0, 40),)
    assert packet.cause.reason == (
        "the whole packet is what sendto (call 2) wrote, but for the identification and the checksum in the IP header, "
        "which the kernel filled in (raw(7))"
    )
