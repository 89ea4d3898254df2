"""The end of a connection: FIN both ways in every order, each one lost, RST, TIME-WAIT."""

from __future__ import annotations

import pytest

from rawlab.endpoints.tcp import Data, Down, PeerClosed, Settings, TcpError, TcpState
from rawlab.model.address import Endpoint
from tests.endpoints.tcp.network import (
    MS,
    SECOND,
    SERVER,
    Network,
    Pair,
    craft,
    give,
    pair,
    path,
    received,
    state,
    told,
)

S = TcpState
ACTIVE = [S.SYN_SENT, S.ESTABLISHED, S.FIN_WAIT_1, S.FIN_WAIT_2, S.TIME_WAIT]
PASSIVE = [S.SYN_RECEIVED, S.ESTABLISHED, S.CLOSE_WAIT, S.LAST_ACK, S.CLOSED]


def close_both(made: Pair) -> None:
    """The client closes, then the server."""
    far = made.far
    made.near.shutdown(made.network.now)
    made.network.run(20 * SECOND, until=lambda: far.state is S.CLOSE_WAIT)
    far.shutdown(made.network.now)
    made.network.run(20 * SECOND)


def test_one_end_closes_after_the_other() -> None:
    """FIN, ACK, FIN, ACK: TIME-WAIT at who closed first, CLOSED at the other."""
    made = pair()
    far = made.far
    close_both(made)
    assert path(made.near) == ACTIVE
    assert path(far) == PASSIVE
    assert made.network.lines()[3:] == ["> FA", "< A", "< FA", "> A"]
    for connection in (made.near, far):
        assert [event.errno for event in told(connection, Down)] == [None]
        assert len(told(connection, PeerClosed)) == 1


@pytest.mark.parametrize(
    ("flags", "client"), [("FA", True), ("A", False), ("FA", False), ("A", True)], ids=["FIN", "ACK", "FIN2", "ACK2"]
)
def test_each_segment_of_the_end_may_be_lost(flags: str, client: bool) -> None:
    """It, or what asks for it, is sent again; the states are the same."""
    made = pair()
    far = made.far
    made.network.run(SECOND)
    made.network.drop(flags, client=client)
    close_both(made)
    assert any(line.startswith("x") for line in made.network.lines())
    assert path(made.near) == ACTIVE
    assert path(far) == PASSIVE


def test_both_close_at_once() -> None:
    """The FINs cross: CLOSING, and TIME-WAIT at both."""
    made = pair()
    made.network.run(SECOND)
    far = made.far
    for connection in (made.near, far):
        connection.shutdown(made.network.now)
    made.settle()
    assert path(made.near)[2:] == path(far)[2:] == [S.FIN_WAIT_1, S.CLOSING, S.TIME_WAIT]
    assert [event.errno for event in told(far, Down)] == [None]


def test_a_half_closed_connection_still_carries_data_back() -> None:
    """FIN-WAIT-2 receives, CLOSE-WAIT sends; who shut down can't send."""
    made = pair()
    far = made.far
    made.near.send(b"question", made.network.now)
    made.near.shutdown(made.network.now)
    made.settle()
    assert (made.near.state, far.state) == (S.FIN_WAIT_2, S.CLOSE_WAIT)
    assert received(far) == b"question"
    with pytest.raises(TcpError, match="EPIPE"):
        made.near.send(b"more", made.network.now)
    far.send(b"answer" * 1000, made.network.now)
    made.settle()
    assert received(made.near) == b"answer" * 1000
    far.shutdown(made.network.now)
    made.settle()
    assert state(made.near) is S.TIME_WAIT
    assert state(far) is S.CLOSED


def test_the_fin_follows_all_data() -> None:
    """Shut down at once behind 100,000 octets: all come, then the FIN, on the last segment."""
    made = pair()
    far = made.far
    made.near.send(b"x" * 100_000, made.network.now)
    made.near.shutdown(made.network.now)
    made.network.run(20 * SECOND)
    assert len(received(far)) == 100_000
    assert isinstance(far.events[-1], PeerClosed)
    (last,) = [seen.facts for seen in made.network.log if "F" in seen.facts.flags]
    assert last.flags == "FPA"
    assert last.length


def test_a_fin_that_overtakes_data_waits_for_it() -> None:
    """The program hears of the end after the last octet."""
    made = pair()
    far = made.far
    now = made.network.now
    give(made.server, far, craft(far, "FA", seq=5, data=b"world"), now)
    assert state(far) is S.ESTABLISHED
    assert not told(far, Data)
    (answer,) = give(made.server, far, craft(far, "A", data=b"hello"), now)
    assert received(far) == b"helloworld"
    assert state(far) is S.CLOSE_WAIT
    assert answer.ack.value == far.inbound.next & 0xFFFFFFFF


def test_time_wait_lasts_two_msl() -> None:
    """A FIN that comes again is acknowledged, and the time begins anew; then nothing is left."""
    network = Network()
    made = pair(network, settings=Settings(time_wait=4 * SECOND, rto_min=SECOND))
    made.settle()
    far = made.far
    made.near.shutdown(network.now)
    network.run(until=lambda: made.near.state is S.FIN_WAIT_2)
    network.drop("A", client=True)
    far.shutdown(network.now)
    network.run(until=lambda: made.near.state is S.TIME_WAIT)
    begun = network.now
    network.run(until=lambda: made.near.state is S.CLOSED)
    assert network.now - begun > 5 * SECOND - 100 * MS
    assert state(far) is S.CLOSED
    assert path(made.near)[-1] is S.CLOSED
    assert not made.client.connections
    assert len(told(made.near, Down)) == 1


def test_time_wait_is_nobodys_business() -> None:
    """A host in TIME-WAIT has nothing more to do."""
    made = pair()
    close_both(made)
    assert state(made.near) is S.TIME_WAIT
    assert not made.client.busy
    assert made.client.deadline_ns is not None


@pytest.mark.parametrize("stamps", [True, False])
def test_a_new_syn_ends_time_wait(stamps: bool) -> None:
    """The same four-tuple anew, with newer numbers (RFC 6191); an old SYN gets an ACK."""
    made = pair(settings=Settings(timestamps=stamps))
    made.settle()
    far, network = made.far, made.network
    far.shutdown(network.now)
    network.run(until=lambda: made.near.state is S.CLOSE_WAIT)
    made.near.shutdown(network.now)
    made.settle()
    assert (far.state, made.near.state) == (S.TIME_WAIT, S.CLOSED)
    old = craft(far, "S", seq=-50)
    (answer,) = give(made.server, far, old, network.now)
    assert answer.flags == "A"
    again = made.local.connect(Endpoint(SERVER, 7), network.now)
    network.run(until=lambda: again.state is S.ESTABLISHED)
    assert state(far) is S.CLOSED
    assert made.far is not far


def test_abort_sends_rst() -> None:
    """The peer is told ECONNRESET, we ECONNABORTED; what was queued is gone."""
    made = pair()
    far = made.far
    made.near.send(b"x" * 100_000, made.network.now)
    made.near.abort(made.network.now)
    made.settle()
    assert made.network.lines()[-1] == "> RA"
    assert [event.errno for event in told(made.near, Down)] == ["ECONNABORTED"]
    assert [event.errno for event in told(far, Down)] == ["ECONNRESET"]
    assert path(far)[-1] is path(made.near)[-1] is S.CLOSED
    assert not made.client.connections
    assert not made.server.connections


def test_close_with_unread_data_sends_rst() -> None:
    """RFC 2525 section 2.17: the peer learns that its data was not read."""
    made = pair()
    far = made.far
    made.near.send(b"unread", made.network.now)
    made.settle()
    far.close(made.network.now)
    made.settle()
    assert made.network.lines()[-1] == "< RA"
    assert [event.errno for event in told(made.near, Down)] == ["ECONNRESET"]


def test_data_after_close_gets_rst() -> None:
    """Closed, not half-closed: nobody will read."""
    made = pair()
    far = made.far
    far.close(made.network.now)
    made.settle()
    assert (far.state, made.near.state) == (S.FIN_WAIT_2, S.CLOSE_WAIT)
    made.near.send(b"too late", made.network.now)
    made.settle()
    assert made.network.lines()[-1] == "< RA"
    assert [event.errno for event in told(made.near, Down)] == ["ECONNRESET"]


def test_fin_wait_2_ends_after_close() -> None:
    """A peer that never closes does not keep what our program gave up."""
    made = pair(settings=Settings(fin_wait_2=7 * SECOND))
    far = made.far
    far.close(made.network.now)
    made.network.run(5 * SECOND)
    assert state(far) is S.FIN_WAIT_2
    made.network.run(5 * SECOND)
    assert state(far) is S.CLOSED
    assert not made.server.connections


def test_shutdown_before_the_handshake_ends_it() -> None:
    """CLOSE in SYN-SENT: the table's way (RFC 9293 section 3.10.4)."""
    made = pair(run=False)
    made.near.shutdown(made.network.now)
    assert path(made.near) == [S.SYN_SENT, S.CLOSED]
    assert not made.client.connections


def test_a_peer_that_vanishes_times_out() -> None:
    """Data without an answer: R2, then RST and ETIMEDOUT (RFC 9293 section 3.8.3)."""
    made = pair(settings=Settings(retries=4))
    made.settle()
    made.network.cut.add(SERVER)
    made.near.send(b"hello?", made.network.now)
    made.network.run(200 * SECOND)
    assert [event.errno for event in told(made.near, Down)] == ["ETIMEDOUT"]
    assert made.network.lines()[3:] == ["x PA 6"] * 5 + ["x RA"]


def test_keep_alive() -> None:
    """A live peer is asked and answers; a dead one ends the connection."""
    made = pair(settings=Settings(keepalive_idle=10 * SECOND, keepalive_interval=2 * SECOND, keepalive_probes=3))
    made.network.run(35 * SECOND)
    assert state(made.near) is S.ESTABLISHED
    assert len(made.network.log) > 6
    made.network.cut.add(SERVER)
    made.network.run(35 * SECOND)
    assert [event.errno for event in told(made.near, Down)] == ["ETIMEDOUT"]
