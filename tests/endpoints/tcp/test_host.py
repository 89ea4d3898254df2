"""A host as a whole: whose segments are whose, what is told, when it wants to be woken."""

from __future__ import annotations

from rawlab.endpoints.tcp import Data, Host, TcpState, Up
from rawlab.model.address import Endpoint
from tests.endpoints.tcp.network import CLIENT, CLIENT6, SECOND, SERVER, SERVER6, Network, pair, received, told


def test_many_connections_do_not_mix() -> None:
    """A hundred to one port, each with its own words."""
    network = Network(loss=0.05)
    server = network.host(SERVER)
    listener = server.open(7)
    listener.listen(backlog=200)
    client = network.host(CLIENT)
    made = [client.open().connect(Endpoint(SERVER, 7), network.now) for _ in range(100)]
    network.run(60 * SECOND)
    for connection in made:
        connection.send(str(connection.local.port).encode(), network.now)
    network.run(60 * SECOND)
    accepted = list(iter(listener.accept, None))
    assert len(accepted) == 100
    for one in accepted:
        assert received(one) == str(one.peer.port).encode()


def test_news_tells_each_connection_once() -> None:
    """First all with events, then those that had one since."""
    made = pair()
    assert made.client.news() == [made.near]
    assert made.client.news() == []
    made.far.send(b"x", made.network.now)
    made.settle()
    assert made.client.news() == [made.near]
    assert told(made.near, Data)


def test_a_host_that_nobody_asks_for_news_keeps_none() -> None:
    """Connections come and go, and none is held."""
    made = pair()
    made.near.abort(made.network.now)
    assert not made.client.told
    assert not made.client.connections


def test_addresses_of_both_versions() -> None:
    """A connection leaves from the address of its peer's version; an IPv4 listener is none of IPv6."""
    network = Network()
    client = network.host(CLIENT, CLIENT6)
    server = network.host(SERVER, SERVER6)
    server.open(7).listen()
    server.open(8, [SERVER]).listen()
    four = client.open().connect(Endpoint(SERVER, 7), network.now)
    six = client.open().connect(Endpoint(SERVER6, 7), network.now)
    refused = client.open().connect(Endpoint(SERVER6, 8), network.now)
    network.run(SECOND)
    assert (four.local.address, six.local.address) == (CLIENT, CLIENT6)
    assert told(four, Up)
    assert told(six, Up)
    assert refused.state is TcpState.CLOSED


def test_time_does_not_run_backwards() -> None:
    """An older time is no time."""
    host = Host([CLIENT], bytes, 1000)
    host.wake(500)
    assert host.now == 1000
    assert host.deadline_ns is None


def test_an_idle_host_wants_nothing() -> None:
    """Established and quiet: no timer, nothing to do."""
    made = pair()
    made.network.run(SECOND)
    for host in (made.client, made.server):
        assert host.deadline_ns is None
        assert not host.busy
        assert host.take() == []
