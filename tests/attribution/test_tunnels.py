"""Packets in tunnels: the innermost is what is told of, and an error about the tunnel is tied to what it carried."""

from __future__ import annotations

import pytest

from rawlab.views.writers import written
from rawlab.wire.decode import decode
from rawlab.wire.from_facts import layers
from rawlab.wire.places import places
from tests.attribution.test_reassembly import reasons, story
from tests.wire.frames import ipv4, ipv6, tcp, udp
from tests.wire.tunnelled import ether, gre, vxlan

INNER = ipv6(17, udp())


def test_a_connection_in_a_tunnel_is_told() -> None:
    """By the segments that it carries."""
    syn = ether(ipv4(47, gre(ipv6(6, tcp(b"", flags=2)))))
    assert reasons([syn])[0].startswith("a connect")
    assert story([syn]).packets[0].seq == 0


@pytest.mark.parametrize("tunnel", [ipv4(47, gre(INNER)), ipv4(41, INNER), ipv4(17, vxlan(ether(INNER)))])
def test_an_error_about_a_tunnel_is_tied_to_the_packet_in_it(tunnel: bytes) -> None:
    """A router quotes the outer header only (RFC 792): what it carried is what is lost."""
    error = ipv4(1, bytes.fromhex("0b00000000000000") + tunnel[:28])
    told = story([ether(tunnel), ether(error)]).packets
    assert told[1].cause.packets == (1,)
    assert "its time to live is used up, as packet 2 says" in told[0].cause.reason


def test_outer_headers_are_the_tunnel_s_end_s() -> None:
    """What the inner host never wrote is not said to be its."""
    told = story([ether(ipv4(47, gre(INNER)))])
    packet = told.packets[0]
    who = {layer.name: written(layer, packet, told)[0][1] for layer in places(packet.data)}
    assert who["GRE"] == who["IPv4"] == who["Ethernet"] == "the tunnel's end 10.0.0.1"
    assert who["IPv6"] == who["UDP"] == "the host fd00::1"


def test_no_packet_is_made_of_a_line_that_tells_of_a_tunnel() -> None:
    """It would be the inner one alone."""
    with pytest.raises(ValueError, match="a packet in a tunnel: say it in scapy's notation"):
        layers(decode(ether(ipv4(47, gre(INNER)))))
