"""Several addresses: heartbeats, confirmation by nonce, failure of a path and failover (RFC 9260 sections 5.4, 8)."""

from __future__ import annotations

from rawlab.endpoints.sctp import Message, PathChanged, Settings
from rawlab.model import sctp as m
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SctpParameters
from rawlab.wire import sctp_build as build
from tests.endpoints.sctp.crafted import CLIENT, SECOND, TSN, Crafted, chunk, data, names
from tests.endpoints.sctp.network import Network, Pair, pair

NEAR, FAR = ("10.0.0.1", "10.0.1.1"), ("10.0.0.2", "10.0.1.2")


def homes(settings: Settings | None = None) -> Pair:
    """Two addresses at each end, in two subnets; all addresses confirmed."""
    made = pair(client=NEAR, server=FAR, settings=settings)
    made.network.run(3 * SECOND)
    return made


def test_all_addresses_are_told_and_asked() -> None:
    """INIT and INIT ACK list them; those not used yet are confirmed by a HEARTBEAT within some RTOs (section 5.4)."""
    made = homes()
    assert made.association.peer_addresses == FAR
    assert made.accepted.peer_addresses == NEAR
    assert [(path.address, path.confirmed, path.active, path.primary) for path in made.association.paths] == [
        ("10.0.0.2", True, True, True), ("10.0.1.2", True, True, False),
    ]  # fmt: skip
    routes = {(seen.out.source, seen.out.destination) for seen in made.network.log}
    assert routes == set(zip(NEAR, FAR, strict=True)) | set(zip(FAR, NEAR, strict=True))


def test_no_data_goes_to_an_address_that_did_not_answer() -> None:
    """A wrong nonce confirms nothing."""
    peer = Crafted()
    peer.init(build.address("10.0.1.1"))
    answers = peer.send(build.cookie_echo(peer.cookie)) + peer.wait(2 * SECOND)
    (association,) = peer.listener.associations.values()
    heartbeat = chunk(answers[:2], m.HEARTBEAT)
    assert isinstance(heartbeat, SctpParameters)
    assert [(path.address, path.confirmed) for path in association.paths] == [(CLIENT, True), ("10.0.1.1", False)]
    nonce = heartbeat.parameters[0].value
    peer.send(build.heartbeat_ack(bytes(len(nonce))))
    assert not association.paths[1].confirmed
    peer.wait(20 * SECOND)
    peer.send(build.heartbeat_ack(nonce))
    assert not association.paths[1].confirmed, "an old one"


def test_a_heartbeat_is_answered_with_what_it_brought() -> None:
    """By the way that it came, also before anything else happened (section 8.3)."""
    peer = Crafted()
    peer.up()
    ack = chunk(peer.send(build.heartbeat(b"anything at all")), m.HEARTBEAT_ACK)
    assert isinstance(ack, SctpParameters)
    assert [(one.type, one.value) for one in ack.parameters] == [(1, b"anything at all")]


def test_an_idle_path_is_asked_each_interval() -> None:
    """HB.Interval, and the RTO give or take half of it; with the answer comes a round trip's time."""
    made = pair(settings=Settings(hb_interval=10 * SECOND))
    start = made.network.now
    made.network.run(100 * SECOND)
    times = [seen.time for seen in made.network.log if seen.names == "HEARTBEAT" and seen.out.source == CLIENT]
    waits = [after - before for before, after in zip([start, *times], times, strict=False)]
    assert 8 <= len(times) <= 10
    assert all(10 * SECOND < wait < 12 * SECOND for wait in waits)
    assert len(set(waits)) > 1
    assert made.association.paths[0].srtt == 10_000_000


def test_no_heartbeats_where_they_are_off() -> None:
    """By the setting, or for one association."""
    made = pair(settings=Settings(hb_interval=0))
    made.network.run(500 * SECOND)
    assert len(made.network.log) == 4
    made = pair()
    made.association.set_heartbeat(0)
    made.accepted.set_heartbeat(0)
    made.network.run(500 * SECOND)
    assert len(made.network.log) == 4
    made.association.heartbeat(made.network.now)
    made.network.run(1 * SECOND)
    assert made.network.names()[4:] == ["client HEARTBEAT", "server HEARTBEAT ACK"]


def test_a_path_in_use_is_not_asked() -> None:
    """DATA tells as much as a HEARTBEAT."""
    made = pair(settings=Settings(hb_interval=10 * SECOND))
    for _ in range(30):
        made.association.send(b"x", now_ns=made.network.now)
        made.network.run(2 * SECOND)
    assert "client HEARTBEAT" not in made.network.names()


def test_a_silent_peer_is_given_up_without_data_too() -> None:
    """Heartbeats that nobody answers count (section 8.1)."""
    made = pair()
    made.network.cut.add("10.0.0.2")
    made.network.run(2000 * SECOND, until=lambda: made.association.is_over)
    assert made.association.is_over
    changed = [event for event in made.events(server=False) if isinstance(event, PathChanged)]
    assert [(event.address, event.reachable) for event in changed] == [("10.0.0.2", False)]


def test_data_takes_another_path_when_one_fails() -> None:
    """The retransmission goes to the other address at once; after Path.Max.Retrans everything does; then it is back."""
    made = homes(Settings(path_max_retrans=2))
    made.network.cut.add("10.0.0.2")
    for number in range(20):
        made.association.send(bytes([number]) * 100, now_ns=made.network.now)
        made.network.run(5 * SECOND)
    assert [event.data[0] for event in made.events(Message) if isinstance(event, Message)] == list(range(20))
    assert [path.active for path in made.association.paths] == [False, True]
    last = [seen for seen in made.network.log if "DATA" in seen.names][-1]
    assert (last.out.source, last.out.destination) == ("10.0.1.1", "10.0.1.2")
    made.network.cut.clear()
    made.network.run(200 * SECOND)
    assert [path.active for path in made.association.paths] == [True, True]
    changed = [event for event in made.events(server=False) if isinstance(event, PathChanged)]
    assert [(event.address, event.reachable) for event in changed] == [("10.0.0.2", False), ("10.0.0.2", True)]
    made.association.send(b"home again", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    last = [seen for seen in made.network.log if "DATA" in seen.names][-1]
    assert last.out.destination == "10.0.0.2"


def test_a_lot_of_data_over_a_path_that_fails_midway() -> None:
    """Every octet, in order, and no end of the association."""
    made = homes(Settings(rto_min=200_000_000))
    sent = [bytes([number % 256]) * 20_000 for number in range(40)]
    for message in sent:
        made.association.send(message, now_ns=made.network.now)
    made.network.run(30_000_000)
    made.network.cut.add("10.0.0.2")
    made.network.run(600 * SECOND, until=lambda: made.association.outbound.idle)
    assert made.messages() == sent


def test_the_program_chooses_the_primary_path() -> None:
    """New DATA goes there."""
    made = homes()
    made.association.set_primary("10.0.1.2")
    made.association.send(b"x", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    last = [seen for seen in made.network.log if "DATA" in seen.names][-1]
    assert last.out.destination == "10.0.1.2"
    assert made.association.peer == Endpoint("10.0.1.2", 7)


def test_an_acknowledgment_goes_where_the_data_came_from() -> None:
    """Section 6.4."""
    made = homes()
    made.association.set_primary("10.0.1.2")
    made.association.send(b"x", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    last = [seen for seen in made.network.log if seen.names == "SACK"][-1]
    assert (last.out.source, last.out.destination) == ("10.0.1.2", "10.0.1.1")


def test_the_first_packet_may_go_to_any_address() -> None:
    """INITs go to the addresses given in turn (sctp_connectx); the cookie knows the INIT's source."""
    network = Network()
    client, server = network.host(*NEAR), network.host(*FAR)
    listener = server.open(7)
    listener.listen()
    network.cut.add("10.0.0.2")
    local = client.open()
    association = local.associate(Endpoint("10.0.0.2", 7), network.now, alternatives=["10.0.1.2"])
    network.run(5 * SECOND)
    assert association.state == "ESTABLISHED"
    assert [path.address for path in association.paths] == list(FAR)


def test_version_6() -> None:
    """Packets are 20 octets shorter, all else is the same."""
    made = pair(client=("fd00::1",), server=("fd00::2",))
    made.association.send(bytes(5000), now_ns=made.network.now)
    made.network.run(1 * SECOND)
    assert made.messages() == [bytes(5000)]
    assert made.association.fragmentation_point == 1432


def test_an_address_of_another_kind_is_of_no_use() -> None:
    """A host without IPv6 does not try it, and tells so in its INIT."""
    peer = Crafted()
    peer.init(build.address("fd00::9"), build.address("224.0.0.1"), build.address("255.255.255.255"))
    assert names(peer.send(build.cookie_echo(peer.cookie), data(TSN))) == ["COOKIE ACK + SACK"]
    (association,) = peer.listener.associations.values()
    assert association.peer_addresses == (CLIENT,)


def test_more_addresses_than_allowed() -> None:
    """The rest is left out."""
    peer = Crafted(Settings(max_addresses=4))
    association = peer.up(*(build.address(f"10.0.9.{n}") for n in range(1, 100)))
    assert len(association.paths) == 4
