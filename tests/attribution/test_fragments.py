"""Fragments, whoever made them: each has its cause, and who waited for the datagram waited for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rawlab.labs.headers import udp, udp_fragment
from rawlab.model.address import Endpoint
from rawlab.model.story import Story
from tests.attribution.by_hand import CLIENT, SERVER, Wire

TO_SERVER = "client", "server"
DATA = bytes(64)  # all its fragments but the first are alike
DATAGRAM = udp(CLIENT, SERVER, DATA)
PLACES = (0, 24, 48)


def by_hand(places: Sequence[int], *, ipv6: bool = False, received: bool = True) -> Story:
    """The fragments of those places, each sent by a sendto of its own, and a recv that returned a datagram, or not."""
    wire = Wire()
    ends = ("fd00::1", "fd00::2") if ipv6 else ("10.0.0.1", "10.0.0.2")
    source, destination = Endpoint(ends[0], CLIENT.port), Endpoint(ends[1], SERVER.port)
    datagram = udp(source, destination, DATA)
    family = "AF_INET6" if ipv6 else "AF_INET"
    wire.opens("client", 71, family, "SOCK_RAW", "IPPROTO_RAW")
    wire.opens("server", 72, family, "SOCK_DGRAM", at=1)
    wire.calls("server", 7, "bind", ("sockfd", 3), ("addr", destination), socket=72, ends=(destination,))
    for n, at in enumerate(places):
        packet = udp_fragment(*ends, 1, datagram, at, at + 24)
        wire.sends("client", 100 * (n + 1), 71, packet, ends[1])
        wire.passes(packet, TO_SERVER, 100 * (n + 1) + 2)
    if received:
        wire.receives("server", 50, 72, DATA, took=900, ends=(destination,))
    return wire.story()


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("places", [(0, 24, 48), (48, 24, 0), (24, 0, 48)])
def test_each_fragment_is_its_sendtos_and_recv_waits_for_all(places: Sequence[int], ipv6: bool) -> None:
    """In whatever order they come; those with the same octets are told apart by their places."""
    story = by_hand(places, ipv6=ipv6)
    sends = [told for told in story.calls if told.call.name == "sendto"]
    assert [told.sent for told in sends] == [(1,), (2,), (3,)]
    assert [packet.cause.confidence for packet in story.packets] == ["exact"] * 3
    assert [told.waited_for for told in story.calls if told.call.name == "recv"] == [(1, 2, 3)]


@pytest.mark.parametrize("places", [(48, 0), (0, 24), (24, 48)])
def test_a_datagram_with_a_fragment_missing_is_received_by_nobody(places: Sequence[int]) -> None:
    """Even if a recv returned such octets: it was another's datagram. Each fragment has its sendto all the same."""
    story = by_hand(places)
    assert [told.waited_for for told in story.calls if told.call.name == "recv"] == [()]
    assert [packet.cause.kind for packet in story.packets] == ["call", "call"]


def test_the_kernels_fragments_are_one_sendtos_even_if_one_is_lost() -> None:
    """What stands behind the lost one, too; each with the octets of the call that it carries."""
    wire = Wire()
    wire.opens("client", 71, "AF_INET", "SOCK_DGRAM")
    told = ("buf", DATA), ("len", 64), ("flags", "0"), ("dest_addr", SERVER)
    wire.calls("client", 50, "sendto", ("sockfd", 3), *told, socket=71, result=64, ends=(CLIENT,))
    for n, at in enumerate(PLACES):
        packet = udp_fragment("10.0.0.1", "10.0.0.2", 1, DATAGRAM, at, at + 24)
        wire.passes(packet, TO_SERVER, 52 + n, arrives=at != 24)
    story = wire.story()
    assert story.calls[1].sent == (1, 2, 3)
    assert [packet.cause.bytes for packet in story.packets] == [((2, 0, 16),), ((2, 16, 40),), ((2, 40, 64),)]
    assert [packet.lost for packet in story.packets] == [False, True, False]


def test_fragments_that_overlap_make_no_datagram() -> None:
    """The kernel drops all of them (RFC 5722): no recv is tied to them."""
    wire = Wire()
    wire.opens("server", 72, "AF_INET", "SOCK_DGRAM")
    wire.calls("server", 7, "bind", ("sockfd", 3), ("addr", SERVER), socket=72, ends=(SERVER,))
    for n, (at, end) in enumerate(((0, 24), (16, 48), (48, 72))):
        wire.passes(udp_fragment("10.0.0.1", "10.0.0.2", 1, DATAGRAM, at, end), TO_SERVER, 100 + n)
    wire.receives("server", 50, 72, DATA, took=900, ends=(SERVER,))
    assert [told.waited_for for told in wire.story().calls] == [(), (), ()]


def test_many_fragments_of_no_datagram_take_no_long_work() -> None:
    """Ten thousand that never become whole are passed over once each: no datagram, and no cause is guessed."""
    wire = Wire()
    for n in range(10_000):
        at = 8 * (n % 8000 + 1)
        wire.passes(udp_fragment("10.0.0.1", "10.0.0.2", 1, bytes(at + 9), at, at + 8), TO_SERVER, n)
    assert {packet.cause.kind for packet in wire.story().packets} == {"unknown"}
