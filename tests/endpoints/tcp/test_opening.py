"""The handshake: by the book, with each of its segments lost, simultaneous, refused, and the queues of a listener."""

from __future__ import annotations

import pytest

from rawlab.endpoints.tcp import Connection, Down, Settings, TcpError, TcpState, Up
from rawlab.model.address import Endpoint
from tests.endpoints.tcp.network import (
    CLIENT,
    MS,
    SECOND,
    SERVER,
    SERVER6,
    Network,
    craft,
    give,
    pair,
    path,
    received,
    state,
    told,
    windows,
)

S = TcpState


@pytest.mark.parametrize("version", [4, 6])
def test_three_segments_make_a_connection(version: int) -> None:
    """SYN, SYN-ACK, ACK; both programs are told; the states are the table's."""
    made = pair(version=version)
    assert made.network.lines() == ["> S", "< SA", "> A"]
    assert path(made.near) == [S.SYN_SENT, S.ESTABLISHED]
    accepted = made.listener.accept()
    assert isinstance(accepted, Connection)
    assert path(accepted) == [S.SYN_RECEIVED, S.ESTABLISHED]
    assert len(told(made.near, Up)) == len(told(accepted, Up)) == 1
    assert (accepted.peer, accepted.local) == (made.near.local, made.near.peer)
    assert not made.client.busy
    assert not made.server.busy


def test_the_syn_offers_what_linux_offers() -> None:
    """MSS, SACK permitted, timestamps, window scale, in this order; the SYN-ACK answers each."""
    made = pair()
    syn, answer, _ = (seen.facts for seen in made.network.log)
    assert [option.kind for option in syn.options] == [2, 4, 8, 1, 3]
    assert [option.kind for option in answer.options] == [2, 4, 8, 1, 3]
    assert syn.options[0].values == (1460,)
    assert syn.window == 65535
    assert made.near.mss == made.far.mss == 1448
    assert made.near.rcv_wnd == 65535 << 4


def test_what_is_not_offered_is_not_answered() -> None:
    """A client without options: MSS alone comes back."""
    plain = Settings(timestamps=False, sack=False, window_scale=False)
    made = pair(settings=plain, server_settings=Settings())
    assert [option.kind for option in made.network.log[1].facts.options] == [2]
    assert not made.far.timestamps
    assert made.near.mss == 1460
    assert made.near.snd_wnd == 65535


def test_ipv6_takes_twenty_octets_more() -> None:
    """MSS of an IPv6 packet of 1500 octets."""
    made = pair(version=6)
    assert made.network.log[0].facts.options[0].values == (1440,)


def test_a_peer_that_says_no_mss_gets_the_default() -> None:
    """536 octets (RFC 9293 section 3.7.1), less the timestamps."""
    made = pair(run=False)
    give(made.client, made.near, b"", made.network.now)
    reply = craft(made.near, "SA", seq=-made.near.inbound.next + 77, ack=1, options=b"")
    (answer,) = give(made.client, made.near, reply, made.network.now)
    assert answer.flags == "A"
    assert answer.ack.value == 78
    assert made.near.mss == 536


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ("S", ["x S", "> S", "< SA", "> A"]),
        ("SA", ["> S", "x SA", "> S", "< SA", "> A"]),
        ("A", ["> S", "< SA", "x A", "< SA", "> A"]),
    ],
)
def test_each_segment_of_the_handshake_may_be_lost(flags: str, lines: list[str]) -> None:
    """It is sent again; after a lost SYN or SYN-ACK the window begins with one segment (RFC 5681 section 3.1)."""
    network = Network()
    network.drop(flags)
    made = pair(network, run=False, server_settings=Settings(rto_initial=1200 * MS))
    network.run(3 * SECOND)
    assert [line for line in network.lines() if not line.endswith("A") or line != "< A"][: len(lines)] == lines
    assert made.near.state is made.far.state is S.ESTABLISHED
    assert windows(made.near)[0][0] == ("open" if flags == "A" else "SYN lost")
    assert made.near.cwnd == (3 if flags == "A" else 1) * 1448


def test_data_behind_a_lost_ack_ends_the_handshake() -> None:
    """The ACK of the SYN-ACK was lost; the data behind it has the same ACK."""
    network = Network()
    network.drop("A")
    made = pair(network, run=False)
    network.run(until=lambda: made.near.state is S.ESTABLISHED)
    made.near.send(b"hello", network.now)
    network.run(SECOND // 2)
    assert state(made.far) is S.ESTABLISHED
    assert received(made.far) == b"hello"


def test_the_timeout_of_a_syn_doubles() -> None:
    """1, 2, 4, … s, and at last ETIMEDOUT (RFC 6298 section 5.5)."""
    network = Network()
    network.cut.add(SERVER)
    made = pair(network, run=False, settings=Settings(syn_retries=3))
    network.run(60 * SECOND)
    start = network.log[0].time
    assert [(seen.time - start) // SECOND for seen in network.log] == [0, 1, 3, 7]
    assert [event.errno for event in told(made.near, Down)] == ["ETIMEDOUT"]
    assert path(made.near) == [S.SYN_SENT, S.CLOSED]
    assert not made.client.connections


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_both_open_at_once(share: float) -> None:
    """Two SYNs cross: one connection, by way of SYN-RECEIVED at both (RFC 9293 figure 8)."""
    for seed in range(20 if share else 1):
        network = Network(seed=seed, loss=share)
        one, other = network.host(CLIENT), network.host(SERVER)
        near = one.open(1000).connect(Endpoint(SERVER, 2000), network.now)
        far = other.open(2000).connect(Endpoint(CLIENT, 1000), network.now)
        network.run(120 * SECOND)
        if not share:
            assert path(near) == path(far) == [S.SYN_SENT, S.SYN_RECEIVED, S.ESTABLISHED]
            assert network.lines()[:4] == ["> S", "< S", "< SA", "> SA"]
        assert near.state is far.state is S.ESTABLISHED
        near.send(b"to you", network.now)
        far.send(b"and to you", network.now)
        network.run(120 * SECOND)
        assert received(far) == b"to you"
        assert received(near) == b"and to you"


def test_nobody_listens() -> None:
    """RST: ECONNREFUSED."""
    network = Network()
    network.host(SERVER)
    near = network.host(CLIENT).open().connect(Endpoint(SERVER, 9), network.now)
    network.run()
    assert network.lines() == ["> S", "< RA"]
    assert [event.errno for event in told(near, Down)] == ["ECONNREFUSED"]


def test_an_rst_with_a_wrong_ack_refuses_nothing() -> None:
    """In SYN-SENT an RST counts only where it acknowledges the SYN (RFC 9293 section 3.10.7.3)."""
    made = pair(run=False)
    for packet in (craft(made.near, "RA", ack=5), craft(made.near, "R", ack=1), craft(made.near, "RA", ack=-1)):
        assert give(made.client, made.near, packet, made.network.now) == []
    assert state(made.near) is S.SYN_SENT
    (reset,) = give(made.client, made.near, craft(made.near, "SA", ack=7), made.network.now)
    assert reset.flags == "R"
    assert reset.seq.value == made.near.outbound.una + 7 & 0xFFFFFFFF
    assert state(made.near) is S.SYN_SENT
    assert give(made.client, made.near, craft(made.near, "RA", ack=1), made.network.now) == []
    assert state(made.near) is S.CLOSED


def test_the_accept_queue_is_bounded() -> None:
    """Of ten clients two are accepted at a time; the others' handshakes wait, and none is lost."""
    network = Network()
    server = network.host(SERVER)
    listener = server.open(7)
    listener.listen(backlog=2)
    client = network.host(CLIENT)
    for _ in range(10):
        client.open().connect(Endpoint(SERVER, 7), network.now)
    network.run(SECOND // 2)
    assert len(listener.queue) == 2
    accepted = 0
    for _ in range(200):
        network.run(SECOND)
        accepted += listener.accept() is not None
    assert accepted == 10


def test_half_open_connections_are_bounded() -> None:
    """A flood of SYNs makes so many connections, and no more; they time out."""
    network = Network()
    server = network.host(SERVER, settings=Settings(max_half_open=50, syn_ack_retries=2))
    server.open(7).listen()
    flood = network.host(CLIENT)
    for _ in range(200):
        flood.open().connect(Endpoint(SERVER, 7), network.now)
    packets = [out.packet for out in flood.take()]
    for packet in packets:
        server.receive(packet, CLIENT, SERVER, network.now)
    assert len(server.take()) == len(server.connections) == 50
    network.hosts.pop(CLIENT)
    network.run(60 * SECOND)
    assert not server.connections
    assert server.deadline_ns is None


def test_a_half_open_connection_that_gets_rst_is_forgotten() -> None:
    """The listener is as it was (figure 5, note 1)."""
    network = Network()
    network.drop("A")
    made = pair(network, run=False)
    network.run(until=lambda: made.near.state is S.ESTABLISHED)
    far = made.far
    assert give(made.server, far, craft(far, "R"), network.now) == []
    assert not made.listener.half_open
    assert not made.server.connections
    assert made.listener.listening


def test_ports_and_addresses() -> None:
    """What is taken, not ours, or of the other family is told by errno's name."""
    network = Network()
    host = network.host(CLIENT)
    host.open(80)
    for errno, act in (
        ("EADDRINUSE", lambda: host.open(80)),
        ("EADDRNOTAVAIL", lambda: host.open(81, ["10.9.9.9"])),
        ("EADDRNOTAVAIL", lambda: host.open().connect(Endpoint(SERVER6, 7), 0)),
        ("EADDRNOTAVAIL", lambda: host.open().connect(Endpoint(SERVER, 0), 0)),
    ):
        with pytest.raises(TcpError, match=errno) as told_:
            act()
        assert told_.value.errno == errno
    endpoint = host.open(82)
    endpoint.connect(Endpoint(SERVER, 7), 0)
    with pytest.raises(TcpError, match="EADDRNOTAVAIL"):
        endpoint.connect(Endpoint(SERVER, 7), 0)
    assert len({host.open().port for _ in range(500)}) == 500


def test_initial_numbers_cannot_be_guessed_and_grow_for_each_pair_of_ends() -> None:
    """RFC 6528: a clock for each four-tuple; another secret, other numbers."""
    network = Network()
    host, other = network.host(CLIENT), network.host(SERVER)
    key = (CLIENT, 1, SERVER, 2)
    first = host.initial_number(key)
    host.clock(host.now + 4 * MS)
    assert host.initial_number(key) - first & 0xFFFFFFFF == 1000
    assert other.initial_number(key) != first
    assert host.initial_number((CLIENT, 1, SERVER, 3)) - first & 0xFFFFFFFF != 1000


def test_a_closed_listener_resets_whom_it_did_not_accept() -> None:
    """The port is free, the waiting connection gets RST."""
    made = pair()
    made.listener.close(made.network.now)
    made.settle()
    assert made.network.lines()[3:] == ["< RA"]
    assert [event.errno for event in told(made.near, Down)] == ["ECONNRESET"]
    made.server.open(7)
