"""The beginning of an association: four packets, whichever of them is lost, late, twice, or wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rawlab.endpoints.sctp import Down, Host, Message, RemoteError, SctpError, SendFailed, Settings, Up
from rawlab.model import sctp as m
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SctpInit
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from rawlab.wire.sctp import parse
from tests.endpoints.sctp.network import CLIENT, MS, SECOND, SERVER, Network, pair


def test_four_packets_make_an_association() -> None:
    """INIT, INIT ACK, COOKIE ECHO, COOKIE ACK; both programs are told, with the streams agreed on."""
    made = pair(streams=3)
    assert made.network.names() == ["client INIT", "server INIT ACK", "client COOKIE ECHO", "server COOKIE ACK"]
    assert made.association.state is made.accepted.state is SctpState.ESTABLISHED
    (near,), (far,) = made.events(Up, server=False), made.events(Up)
    assert isinstance(near, Up)
    assert isinstance(far, Up)
    assert (near.streams_out, near.streams_in, far.streams_out, far.streams_in) == (3, 10, 10, 3)
    assert made.association.local_tag == made.accepted.peer_tag
    assert made.association.peer_rwnd == made.server.settings.receive_window


def test_the_host_keeps_nothing_of_an_init() -> None:
    """Before the COOKIE ECHO comes, there is no association at the server (section 5.1)."""
    network = Network()
    network.drop("COOKIE ECHO", times=100)
    made = pair(network, run=False)
    network.run(1 * SECOND)
    assert made.association.state is SctpState.COOKIE_ECHOED
    assert not made.listener.associations
    assert not made.listener.events
    assert made.server.deadline_ns is None
    assert not made.server.busy


@pytest.mark.parametrize("lost", ["INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_packet_of_the_beginning_is_sent_again(lost: str, times: int) -> None:
    """T1-init or T1-cookie expires after a second, then after two more; then it goes on."""
    network = Network()
    network.drop(lost, times=times)
    made = pair(network)
    assert made.association.state is made.accepted.state is SctpState.ESTABLISHED
    assert (
        made.network.names().count(f"{'client' if lost in ('INIT', 'COOKIE ECHO') else 'server'} {lost}") == times + 1
    )
    waits = {1: 1 * SECOND, 2: 3 * SECOND}[times]
    assert waits < network.now - made.network.log[0].time < waits + 100 * MS


@pytest.mark.parametrize("twice", ["INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK"])
def test_a_packet_of_the_beginning_that_comes_twice_does_no_harm(twice: str) -> None:
    """One association at each end, one Up each, and data goes both ways."""
    network = Network()
    network.double(twice)
    made = pair(network)
    network.run(1 * SECOND)
    made.association.send(b"ping", now_ns=network.now)
    made.accepted.send(b"pong", now_ns=network.now)
    network.run(1 * SECOND)
    assert made.messages() == [b"ping"]
    assert made.messages(server=False) == [b"pong"]
    assert len(made.events(Up)) == len(made.events(Up, server=False)) == 1


def test_data_goes_with_the_cookie() -> None:
    """What was given to send() before stands behind COOKIE ECHO in its packet, the rest waits (section 5.1)."""
    made = pair(run=False)
    made.association.send(b"early", now_ns=made.network.now)
    made.association.send(b"x" * 1400, now_ns=made.network.now)
    made.association.send(b"late", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    assert "client COOKIE ECHO + DATA" in made.network.names()
    assert made.messages() == [b"early", b"x" * 1400, b"late"]
    assert made.association.unacknowledged == 0


def test_data_that_went_with_a_lost_cookie_goes_again_with_it() -> None:
    """Its cookie's T1 repeats both."""
    network = Network()
    network.drop("COOKIE ECHO")
    made = pair(network, run=False)
    made.association.send(b"early", now_ns=network.now)
    network.run(3 * SECOND)
    assert made.network.names().count("client COOKIE ECHO + DATA") == 2
    assert made.messages() == [b"early"]


def test_nobody_listens() -> None:
    """The INIT is answered with an ABORT: ECONNREFUSED."""
    network = Network()
    client, _server = network.host(CLIENT), network.host(SERVER)
    local = client.open()
    association = local.associate(Endpoint(SERVER, 7), network.now)
    network.run(5 * SECOND)
    assert network.names() == ["client INIT", "server ABORT"]
    assert list(local.events) == [Down(association=association, errno="ECONNREFUSED")]
    assert association.state is SctpState.CLOSED
    assert not local.associations


def test_nobody_answers() -> None:
    """Nine INITs, each wait twice as long as the last, 60 s at the most; then ETIMEDOUT."""
    network = Network()
    local = network.host(CLIENT).open()
    association = local.associate(Endpoint(SERVER, 7), network.now)
    association.send(b"never", stream=2, ppid=9, now_ns=network.now)
    network.run(1000 * SECOND)
    times = [seen.time for seen in network.log]
    assert network.names() == ["client INIT"] * 9
    waits = [(after - before) // SECOND for before, after in pairwise(times)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    failed, down = local.events
    assert failed == SendFailed(association=association, data=b"never", stream=2, ppid=9, sent=False)
    assert down == Down(association=association, errno="ETIMEDOUT")


def test_a_stale_cookie_is_asked_for_again_with_a_longer_life() -> None:
    """ERROR with the staleness; a new INIT with a Cookie Preservative (section 5.2.6), which is honoured."""
    network = Network()
    settings = Settings(cookie_life=100 * MS)
    network.drop("COOKIE ECHO")
    made = pair(network, server_settings=settings)
    assert made.network.names() == [
        "client INIT", "server INIT ACK", "client COOKIE ECHO", "client COOKIE ECHO", "server ERROR",
        "client INIT", "server INIT ACK", "client COOKIE ECHO", "server COOKIE ACK",
    ]  # fmt: skip
    (again,) = [chunk for seen in made.network.log[5:6] for chunk in seen.facts.chunks]
    assert isinstance(again, SctpInit)
    (asked,) = [parameter.value for parameter in again.parameters if parameter.type == 9]
    assert 900 < int.from_bytes(asked, "big") < 1100
    assert made.association.state is SctpState.ESTABLISHED


def test_both_send_init_at_once() -> None:
    """Section 5.2.1: one association comes of two INITs, whichever packets cross, and it carries data."""
    network = Network()
    one, other = network.host(CLIENT), network.host(SERVER)
    left, right = one.open(5000), other.open(6000)
    near = left.associate(Endpoint(SERVER, 6000), network.now)
    far = right.associate(Endpoint(CLIENT, 5000), network.now)
    network.run(5 * SECOND)
    assert near.state is far.state is SctpState.ESTABLISHED
    assert (near.local_tag, near.peer_tag) == (far.peer_tag, far.local_tag)
    assert len(left.associations) == len(right.associations) == 1
    near.send(b"one", now_ns=network.now)
    far.send(b"other", now_ns=network.now)
    network.run(2 * SECOND)
    assert [event.data for event in left.events if isinstance(event, Message)] == [b"other"]
    assert [event.data for event in right.events if isinstance(event, Message)] == [b"one"]


@pytest.mark.parametrize("seed", range(30))
def test_both_send_init_at_about_the_same_time_over_a_bad_wire(seed: int) -> None:
    """Whatever is lost, doubled or late: both ends come to agree, and all data of both comes."""
    network = Network(seed=seed, loss=0.2, duplicates=0.2, reordered=0.3)
    one, other = network.host(CLIENT), network.host(SERVER)
    left, right = one.open(5000), other.open(6000)
    left.listen()
    right.listen()
    near = left.associate(Endpoint(SERVER, 6000), network.now)
    network.run(network.random.randrange(30) * MS)
    known = list(right.associations.values())
    if not known:
        try:
            known = [right.associate(Endpoint(CLIENT, 5000), network.now)]
        except SctpError:
            known = list(right.associations.values())
    (far,) = known
    near.send(b"one", now_ns=network.now)
    far.send(b"other", now_ns=network.now)
    network.run(200 * SECOND)
    assert near.state is far.state is SctpState.ESTABLISHED
    assert (near.local_tag, near.peer_tag) == (far.peer_tag, far.local_tag)
    assert [event.data for event in left.events if isinstance(event, Message)] == [b"other"]
    assert [event.data for event in right.events if isinstance(event, Message)] == [b"one"]


def init_ack(host: Host, tag: int, now: int, parameters: list[bytes], **fields: int) -> list[str]:
    """An INIT ACK by hand to the INIT that the host sent; the names of what it answers."""
    (out,) = host.take()
    facts = parse(out.packet)
    assert isinstance(facts, m.SctpPacket)
    said = {"initiate_tag": tag, "a_rwnd": 50_000, "outbound_streams": 4, "inbound_streams": 5} | fields
    chunk = build.init(m.INIT_ACK, initial_tsn=1, parameters=parameters, **said)
    (init,) = facts.chunks
    assert isinstance(init, SctpInit)
    packet = build.packet(facts.destination_port, facts.source_port, init.initiate_tag, [chunk])
    host.receive(packet, SERVER, CLIENT, now)
    answers = [parse(one.packet) for one in host.take()]
    return [str(one.type) for facts in answers if isinstance(facts, m.SctpPacket) for one in facts.chunks]


COOKIE = build.parameter(build.STATE_COOKIE, b"cookie of another kind")


@pytest.mark.parametrize(
    ("fields", "parameters", "answer", "state"),
    [
        ({}, [COOKIE], [m.COOKIE_ECHO], SctpState.COOKIE_ECHOED),
        ({"initiate_tag": 0}, [COOKIE], [], SctpState.CLOSED),
        ({"outbound_streams": 0}, [COOKIE], [m.ABORT], SctpState.CLOSED),
        ({"inbound_streams": 0}, [COOKIE], [m.ABORT], SctpState.CLOSED),
        ({"a_rwnd": 1499}, [COOKIE], [m.ABORT], SctpState.CLOSED),
        ({}, [], [m.ABORT], SctpState.CLOSED),
        ({}, [build.parameter(11, b"host.example\0")], [m.ABORT], SctpState.CLOSED),
        ({}, [build.parameter(build.STATE_COOKIE, bytes(5000))], [m.ABORT], SctpState.CLOSED),
        ({}, [build.parameter(0x4FFF, b"stop"), COOKIE], [m.ABORT], SctpState.CLOSED),
        ({}, [build.parameter(0x8FFF, b"skip"), COOKIE], [m.COOKIE_ECHO], SctpState.COOKIE_ECHOED),
        ({}, [build.parameter(0xCFFF, b"tell"), COOKIE], [m.COOKIE_ECHO, m.ERROR], SctpState.COOKIE_ECHOED),
    ],
)
def test_an_init_ack_is_looked_at(
    fields: dict[str, int], parameters: list[bytes], answer: list[int], state: SctpState
) -> None:
    """Section 3.3.3: what an INIT ACK must not say ends the association; unknown parameters by their two high bits."""
    network = Network()
    host = network.host(CLIENT)
    association = host.open().associate(Endpoint(SERVER, 7), network.now)
    tag = fields.pop("initiate_tag", 77)
    assert init_ack(host, tag, network.now, parameters, **fields) == [str(kind) for kind in answer]
    assert association.state is state


def test_fewer_streams_than_asked_for() -> None:
    """What was queued for a stream that the peer does not take fails; the rest is sent (section 5.1.1)."""
    made = pair(streams=10, server_settings=Settings(streams_in=3), run=False)
    made.association.send(b"low", stream=2, now_ns=made.network.now)
    made.association.send(b"high", stream=9, now_ns=made.network.now)
    made.network.run(1 * SECOND)
    (failed,) = made.events(SendFailed, server=False)
    assert isinstance(failed, SendFailed)
    assert failed.data == b"high"
    assert made.messages() == [b"low"]
    assert made.association.queued == 0
    with pytest.raises(SctpError, match="EINVAL: streams 0 to 2 expected, 3 given"):
        made.association.send(b"x", stream=3, now_ns=made.network.now)


def test_an_unknown_parameter_is_told_back() -> None:
    """The ERROR of a peer reaches the program."""
    made = pair()
    made.accepted.control.append(build.error([build.cause(8, b"what is this")]))
    made.accepted.flush(made.network.now)
    made.network.run(1 * SECOND)
    (error,) = made.events(RemoteError, server=False)
    assert isinstance(error, RemoteError)
    assert (error.cause, error.value) == (8, b"what is this")
