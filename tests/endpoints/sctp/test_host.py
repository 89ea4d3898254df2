"""Whose a packet is: ports, tags, and packets out of the blue (RFC 9260 sections 8.4, 8.5)."""

from __future__ import annotations

import pytest

from rawlab.endpoints.sctp import Host, SctpError, Up
from rawlab.model import sctp as m
from rawlab.model.address import Endpoint
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from tests.endpoints.sctp.crafted import CLIENT, SECOND, SERVER, TSN, Crafted, data, names
from tests.endpoints.sctp.network import Network, pair

STALE = build.error([build.cause(3, bytes(4))])


@pytest.mark.parametrize(("chunks", "answer"), [
    ([build.abort()], None),
    ([data(1), build.abort()], None),
    ([build.shutdown_ack(), build.abort()], None),
    ([build.shutdown_ack()], "SHUTDOWN COMPLETE"),
    ([build.cookie_ack(), build.shutdown_ack()], "SHUTDOWN COMPLETE"),
    ([build.shutdown_complete()], None),
    ([STALE], None),
    ([build.cookie_ack()], None),
    ([build.cookie_ack(), data(1)], None),
    ([build.error([build.cause(1, bytes(4))])], "ABORT"),
    ([data(1)], "ABORT"),
    ([build.sack(1, 1)], "ABORT"),
    ([build.heartbeat(b"x")], "ABORT"),
    ([build.heartbeat_ack(b"x")], "ABORT"),
    ([build.shutdown(1)], "ABORT"),
    ([build.chunk(m.INIT_ACK, 0, bytes(16))], "ABORT"),
    ([build.init(m.INIT, 1, 5000, 1, 1, 1)], "ABORT"),
    ([data(1), build.cookie_echo(bytes(60))], "ABORT"),
    ([build.cookie_echo(bytes(60)), data(1)], None),
    ([build.chunk(0x3F)], "ABORT"),
    ([build.chunk(0xFF)], "ABORT"),
])  # fmt: skip
def test_out_of_the_blue(chunks: list[bytes], answer: str | None) -> None:
    """Section 8.4, its rules in their order; an answer has the packet's own tag, and the flag T."""
    peer = Crafted()
    answers = peer.send(*chunks, tag=0x0BADCAFE)
    assert names(answers) == ([answer] if answer else [])
    for packet in answers:
        assert packet.verification_tag == 0x0BADCAFE
        assert packet.chunks[0].flags == build.TAG_REFLECTED
    assert peer.octets <= 12 + sum(map(len, chunks))


@pytest.mark.parametrize("source", ["224.0.0.1", "255.255.255.255", "0.0.0.0"])
def test_nothing_is_answered_to_an_address_that_is_no_hosts(source: str) -> None:
    """Rule 1; also not an INIT."""
    peer = Crafted()
    assert peer.send(data(1), tag=1, source=source) == []
    assert peer.init(source=source) == []


def test_an_init_to_a_port_where_nobody_listens() -> None:
    """ABORT under the INIT's tag, without T (rule 3)."""
    peer = Crafted()
    (answer,) = peer.init(to=8)
    assert names([answer]) == ["ABORT"]
    assert answer.verification_tag == peer.tag
    assert answer.chunks[0].flags == 0
    peer.listener.listen(False)
    assert names(peer.init()) == ["ABORT"]


def test_a_wrong_tag_is_not_answered() -> None:
    """Section 8.5: whatever the packet says, it is thrown away."""
    peer = Crafted()
    association = peer.up()
    for one in (data(TSN), build.shutdown(1), build.heartbeat(b"x"), build.sack(1, 1), build.shutdown_ack()):
        assert peer.send(one, tag=association.local_tag ^ 1) == []
    assert association.state is SctpState.ESTABLISHED
    assert association.inbound.held == 0


@pytest.mark.parametrize("packet", [b"", bytes(11), bytes(12), bytes(16), bytes(1000), b"\0\7\0\7" + bytes(12)])
def test_what_is_no_packet_is_not_answered(packet: bytes) -> None:
    """Too short, no chunks, or a wrong checksum."""
    peer = Crafted()
    peer.host.receive(packet, CLIENT, SERVER, peer.now)
    assert peer.answers() == []


def test_a_wrong_checksum_is_not_answered() -> None:
    """Section 6.8."""
    peer = Crafted()
    packet = bytearray(build.packet(1, 7, 0, [build.init(m.INIT, 1, 5000, 1, 1, 1)]))
    packet[20] ^= 1
    peer.host.receive(bytes(packet), CLIENT, SERVER, peer.now)
    assert peer.answers() == []


@pytest.mark.parametrize("port", [0])
def test_port_0_is_nobodys(port: int) -> None:
    """No answer could reach it (section 3.1)."""
    peer = Crafted()
    assert peer.init(port=port) == []
    assert peer.init(to=port) == []


@pytest.mark.parametrize("early", [SctpState.COOKIE_WAIT, SctpState.COOKIE_ECHOED])
def test_a_shutdown_ack_of_an_association_before(early: SctpState) -> None:
    """Section 8.5.1 E: answered as if out of the blue, while the new association is being made."""
    network = Network()
    network.drop("INIT" if early is SctpState.COOKIE_WAIT else "COOKIE ECHO")
    made = pair(network, run=False)
    network.run(20_000_000)
    assert made.association.state is early
    packet = build.packet(7, made.association.local_port, 99, [build.shutdown_ack()])
    made.client.receive(packet, SERVER, CLIENT, network.now)
    peer = Crafted()
    peer.host = made.client
    (answer,) = peer.answers()
    assert names([answer]) == ["SHUTDOWN COMPLETE"]
    assert (answer.verification_tag, answer.chunks[0].flags) == (99, build.TAG_REFLECTED)
    network.run(5 * SECOND)
    assert made.association.state is SctpState.ESTABLISHED


def test_ports() -> None:
    """One endpoint an address and port; port 0 is any free one; close() gives it back."""
    host = Network().host("10.0.0.1", "10.0.1.1", "fd00::1")
    first = host.open(7, ["10.0.0.1"])
    host.open(7, ["10.0.1.1"])
    with pytest.raises(SctpError, match="EADDRINUSE: port 7 is open already"):
        host.open(7)
    with pytest.raises(SctpError, match=r"EADDRNOTAVAIL: 10\.9\.9\.9: one of 10\.0\.0\.1, 10\.0\.1\.1, fd00::1 exp"):
        host.open(8, ["10.9.9.9"])
    first.close()
    host.open(7, ["10.0.0.1"])
    ports = {host.open().port for _ in range(200)}
    assert len(ports) == 200
    assert all(32768 <= port < 61000 for port in ports)


def test_one_association_for_a_pair_of_ports() -> None:
    """A second to the same peer from the same port: EISCONN; no address of its family: EADDRNOTAVAIL."""
    made = pair()
    with pytest.raises(SctpError, match=r"EISCONN: 10\.0\.0\.2:7 has an association with this port already"):
        made.local.associate(Endpoint(SERVER, 7), made.network.now)
    with pytest.raises(SctpError, match="EADDRNOTAVAIL: an address of the same family as fd00::2 expected"):
        made.local.associate(Endpoint("fd00::2", 7), made.network.now)
    other = made.client.open().associate(Endpoint(SERVER, 7), made.network.now)
    made.network.run(1 * SECOND)
    assert other.state is SctpState.ESTABLISHED
    assert len(made.listener.associations) == 2
    assert len({event.association.id for event in made.listener.events}) == 2


def test_an_association_moves_to_another_endpoint() -> None:
    """accept and peeloff: with its events; the listening one can close, and the association goes on."""
    made = pair()
    made.association.send(b"first", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    accepted, own = made.accepted, made.listener.offspring()
    accepted.move(own)
    assert not made.listener.events
    assert not made.listener.associations
    made.listener.close()
    made.association.send(b"second", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    assert [type(event).__name__ for event in own.events] == ["Up", "Message", "Message"]
    assert list(own.associations.values()) == [accepted]
    made.association.shutdown(made.network.now)
    made.network.run(1 * SECOND)
    assert accepted.is_over
    assert not own.associations


def test_a_thousand_associations_come_and_go() -> None:
    """Nothing of them stays: no timer, no key, no event but those told."""
    network = Network(keep_log=False)
    client, server = network.host(CLIENT), network.host(SERVER)
    listener = server.open(7)
    listener.listen()
    for _ in range(10):
        locals_ = [client.open() for _ in range(100)]
        ours = [local.associate(Endpoint(SERVER, 7), network.now) for local in locals_]
        network.run(1 * SECOND)
        assert len(listener.associations) == 100
        for local, association in zip(locals_, ours, strict=True):
            association.shutdown(network.now)
            local.close()
        network.run(1 * SECOND)
    assert sum(isinstance(event, Up) for event in listener.events) == 1000
    for host in (client, server):
        assert not host._by_key
        assert not host._associations
        assert not host.ready
        assert host.deadline_ns is None
        assert len(host.timers) < 200
    assert client.endpoints == {}


def test_time_does_not_run_backwards() -> None:
    """An earlier time than the last counts as the last."""
    host = Host([CLIENT], Network().random.randbytes, 1000)
    host.wake(5)
    assert host.now == 1000
