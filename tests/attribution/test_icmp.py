"""ICMP errors: to what they are tied, and what is said of those that a program wrote itself."""

from __future__ import annotations

from rawlab.labs.headers import icmp, ip, number, port_unreachable, udp, udp_fragment
from rawlab.model.address import Endpoint
from tests.attribution.by_hand import CLIENT, SERVER, Wire

TO_SERVER, TO_CLIENT = ("client", "server"), ("server", "client")


def forged(*ports: int) -> Wire:
    """The server's connected socket waits in recv; the client writes errors that quote datagrams from those ports."""
    wire = Wire()
    wire.opens("server", 72, "AF_INET", "SOCK_DGRAM")
    wire.calls("server", 10, "connect", ("sockfd", 3), ("addr", CLIENT), socket=72, ends=(SERVER, CLIENT))
    wire.opens("client", 71, "AF_INET", "SOCK_RAW", "IPPROTO_ICMP", at=20)
    for n, port in enumerate(ports, 1):
        quoted = ip("10.0.0.2", "10.0.0.1", 17, udp(Endpoint("10.0.0.2", port), CLIENT, b"hello"))
        message = port_unreachable(quoted)
        wire.sends("client", 100 * n, 71, message, "10.0.0.2")
        wire.passes(ip("10.0.0.1", "10.0.0.2", 1, message), TO_SERVER, 100 * n + 2)
    told = ("sockfd", 3), ("buf", None), ("len", 9), ("flags", "0")
    wire.calls("server", 60, "recv", *told, socket=72, took=900, errno="ECONNREFUSED", ends=(SERVER, CLIENT))
    return wire


def test_an_error_by_hand_is_its_sendtos_and_ends_the_call_that_reports_it() -> None:
    """And not the one before, which quotes what no socket sent: of that it is said that it is ignored."""
    story = forged(8, 7).story()
    ignored, believed = (packet.cause for packet in story.packets)
    assert (ignored.calls, believed.calls) == ((5,), (6,))
    assert ignored.reason.endswith("; what it quotes fits no socket there: it is ignored")
    assert believed.reason.endswith("; call 4 reports it, though no kernel refused anything")
    assert story.calls[3].waited_for == (2,)


def test_an_error_that_came_before_is_not_another_sockets() -> None:
    """An error that quotes the socket's own port but another peer ends no call of its."""
    wire = forged()
    quoted = ip("10.0.0.2", "10.0.0.1", 17, udp(SERVER, Endpoint("10.0.0.1", 9), b"hello"))
    wire.passes(ip("10.0.0.1", "10.0.0.2", 1, port_unreachable(quoted)), TO_SERVER, 100)
    assert [told.waited_for for told in wire.story().calls if told.call.name == "recv"] == [()]


def test_a_time_for_reassembly_that_ran_out_names_the_fragments_that_came() -> None:
    """Of the datagram of which it quotes the first fragment, not of another."""
    wire = Wire()
    datagram = udp(CLIENT, SERVER, bytes(64))
    first = [udp_fragment("10.0.0.1", "10.0.0.2", which, datagram, 0, 24) for which in (1, 2)]
    for n, packet in enumerate((udp_fragment("10.0.0.1", "10.0.0.2", 1, datagram, 48, 72), *first)):
        wire.passes(packet, TO_SERVER, 100 + n)
    for n, quoted in enumerate(first):
        message = icmp(b"\x0b\x01", number(0, 4) + quoted, version6=False)
        wire.passes(ip("10.0.0.2", "10.0.0.1", 1, message), TO_CLIENT, 1_000_100 + n)
    story = wire.story()
    assert [packet.cause.packets for packet in story.packets[3:]] == [(1, 2), (3,)]
    assert "gives up on the datagram of packets 1 and 2: a fragment is missing" in story.packets[3].cause.reason
