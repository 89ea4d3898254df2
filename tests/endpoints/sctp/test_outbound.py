"""What is sent and when: fragments, bundles, windows, retransmission (RFC 9260 sections 6 and 7)."""

from __future__ import annotations

import pytest

from rawlab.endpoints.sctp import Association, Down, Message, SctpError, SendFailed, Settings
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpData, SctpPacket
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from tests.endpoints.sctp.crafted import CLIENT, MS, SECOND, TSN, Crafted, data, names
from tests.endpoints.sctp.network import pair


def all_data(packets: list[SctpPacket]) -> list[SctpData]:
    """The DATA chunks, in order."""
    return [chunk for packet in packets for chunk in packet.chunks if isinstance(chunk, SctpData)]


def tsns(peer: Crafted, packets: list[SctpPacket]) -> list[int]:
    """Their TSNs, the first ever being 0."""
    return [(chunk.tsn.value - peer.peer_tsn) & 0xFFFFFFFF for chunk in all_data(packets)]


def send(association: Association, peer: Crafted, *sizes: int, stream: int = 0) -> list[SctpPacket]:
    """Messages of these sizes; what goes out at once."""
    for size in sizes:
        association.send(bytes(size), stream=stream, now_ns=peer.now)
    return peer.answers()


def sack(peer: Crafted, upto: int, *gaps: tuple[int, int], window: int = 100_000) -> list[SctpPacket]:
    """SACK: all before the `upto`-th DATA came, and gaps; what is answered."""
    return peer.send(build.sack((peer.peer_tsn + upto - 1) & 0xFFFFFFFF, window, gaps))


def test_small_messages_share_a_packet() -> None:
    """What is given before the next take() is bundled (section 6.10)."""
    peer = Crafted()
    association = peer.up()
    assert names(send(association, peer, 10, 20, 30)) == ["DATA + DATA + DATA"]


def test_a_packet_is_never_longer_than_the_path_takes() -> None:
    """1500 octets with the IP header: 1452 octets of user data in one chunk."""
    peer = Crafted()
    association = peer.up()
    assert association.fragmentation_point == 1452
    chunks = all_data(send(association, peer, 1452 * 2 + 1))
    assert [chunk.size for chunk in chunks] == [1452, 1452, 1]
    assert [(chunk.begins, chunk.ends) for chunk in chunks] == [(True, False), (False, False), (False, True)]
    small = Crafted(Settings(mtu=576))
    send(small.up(), small, 3000)
    assert len(small.last) <= 556


def test_each_stream_counts_its_ordered_messages() -> None:
    """SSNs run by stream; an unordered message has none (section 6.5, 6.6)."""
    made = pair()
    for stream, unordered in ((1, False), (2, False), (1, True), (1, False)):
        made.association.send(b"x", stream=stream, unordered=unordered, ppid=stream, now_ns=made.network.now)
    made.network.run(1 * SECOND)
    came = [event for event in made.events(Message) if isinstance(event, Message)]
    assert [(one.stream, one.ssn, one.unordered, one.ppid) for one in came] == [
        (1, 0, False, 1), (2, 0, False, 2), (1, 0, True, 1), (1, 1, False, 1),
    ]  # fmt: skip


def test_the_congestion_window_at_the_start() -> None:
    """min(4 MTU, max(2 MTU, 4404)) octets (section 7.2.1): four packets of 1452 octets, then silence."""
    peer = Crafted()
    association = peer.up()
    assert tsns(peer, send(association, peer, 1452 * 10)) == [0, 1, 2, 3]
    assert association.paths[0].cwnd == 4404
    assert tsns(peer, sack(peer, 2)) == [4, 5, 6]  # two arrived, and the window grew by a packet


def test_no_more_than_max_burst_packets_at_once() -> None:
    """Section 6.1 rule D."""
    peer = Crafted(Settings(max_burst=2))
    association = peer.up()
    assert tsns(peer, send(association, peer, 1452 * 10)) == [0, 1]


def test_the_peers_window_is_respected() -> None:
    """Rule A: nothing beyond what it said it can take."""
    peer = Crafted()
    peer.init(window=3000)
    peer.send(build.cookie_echo(peer.cookie))
    (association,) = peer.listener.associations.values()
    assert tsns(peer, send(association, peer, *[1000] * 10)) == [0, 1, 2]
    assert association.peer_rwnd == 0
    assert tsns(peer, sack(peer, 3, window=1000)) == [3]


def test_a_closed_window_is_probed_for_as_long_as_the_peer_answers() -> None:
    """One chunk, again and again with T3-rtx; no path fails for it (section 6.1 rule A)."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, 500, 500, 500)
    assert tsns(peer, sack(peer, 3, window=0)) == []
    assert tsns(peer, send(association, peer, 400, 300)) == [3]
    for _ in range(30):
        probes = tsns(peer, peer.wait(60 * SECOND))
        assert probes
        assert set(probes) == {3}
        assert sack(peer, 3, window=0) == []
    assert association.paths[0].errors == 0
    assert association.paths[0].active
    assert tsns(peer, sack(peer, 3, window=9000)) == [3, 4]
    assert tsns(peer, peer.wait(1 * MS)) == []


def test_a_peer_that_never_answers_is_given_up() -> None:
    """Path.Max.Retrans 5, Association.Max.Retrans 10; each wait twice the last; the message is told to have failed."""
    made = pair(settings=Settings(hb_interval=0))
    made.network.cut.add("10.0.0.2")
    start = made.network.now
    made.association.send(b"anyone there", stream=1, ppid=3, now_ns=start)
    made.network.run(10_000 * SECOND, until=lambda: made.association.is_over)
    times = [(seen.time - start) // SECOND for seen in made.network.log if seen.names == "DATA"]
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303]
    failed, down = made.events(server=False)[-2:]
    assert failed == SendFailed(association=made.association, data=b"anyone there", stream=1, ppid=3, sent=True)
    assert down == Down(association=made.association, errno="ETIMEDOUT")
    assert made.client.deadline_ns is None


def test_the_send_buffer_is_bounded() -> None:
    """EMSGSIZE for what never fits, EAGAIN for what does not now; acknowledged octets make room."""
    peer = Crafted(Settings(send_buffer=10_000))
    association = peer.up()
    with pytest.raises(SctpError, match="EMSGSIZE: 10000 octets at the most, 10001 given"):
        send(association, peer, 10_001)
    send(association, peer, 4000, 5999)
    assert association.room == 1
    with pytest.raises(SctpError, match="EAGAIN: the send buffer has room for 1 octets, 2 given"):
        send(association, peer, 2)
    sack(peer, 3)
    assert association.room == 1 + 4000
    with pytest.raises(SctpError, match="EINVAL: a message has one octet at least"):
        association.send(b"", now_ns=peer.now)
    with pytest.raises(SctpError, match="EINVAL: streams 0 to 9 expected, 10 given"):
        association.send(b"x", stream=10, now_ns=peer.now)


def test_the_third_report_of_a_hole_fills_it() -> None:
    """Fast retransmit, before T3-rtx; the window is halved, once in a recovery (section 7.2.4)."""
    peer = Crafted()
    association = peer.up()
    assert tsns(peer, send(association, peer, *[1452] * 20)) == [0, 1, 2, 3]
    assert 0 not in tsns(peer, sack(peer, 0, (2, 2)))
    assert 0 not in tsns(peer, sack(peer, 0, (2, 3)))
    assert tsns(peer, sack(peer, 0, (2, 4)))[0] == 0
    cwnd = association.paths[0].cwnd
    assert cwnd == 6000  # 4 MTU at least
    assert 0 not in tsns(peer, sack(peer, 0, (2, 5)))  # once
    assert association.paths[0].cwnd == cwnd
    assert tsns(peer, peer.wait(2 * SECOND))[0] == 0  # then it is T3-rtx's


def test_a_receiver_may_renege() -> None:
    """What a gap ack block told and a later one does not is sent again (section 6.2.1)."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, *[100] * 4)
    sack(peer, 1, (2, 3))
    assert association.outbound.outstanding == 100
    sack(peer, 1, (2, 2))
    assert association.outbound.outstanding == 200
    assert tsns(peer, peer.wait(1500 * MS)) == [1, 3]
    sack(peer, 4)
    assert association.outbound.idle
    assert association.outbound.outstanding == association.queued == 0


def test_all_that_was_in_flight_is_sent_again_when_t3_expires() -> None:
    """One packet at once, the rest as the window (one MTU) allows (section 6.3.3)."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, *[1400] * 3)
    assert tsns(peer, peer.wait(1500 * MS)) == [0]
    assert association.paths[0].cwnd == 1500
    assert tsns(peer, sack(peer, 1)) == [1, 2]


def test_a_retransmitted_chunk_measures_nothing() -> None:
    """Karn's rule, section 6.3.1 C5; and the backed-off RTO stays until something was measured."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, 100)
    peer.wait(1500 * MS)
    sack(peer, 1)
    assert association.paths[0].srtt is None
    assert association.paths[0].rto == 2 * SECOND
    send(association, peer, 100)
    peer.now += 300 * MS
    sack(peer, 2)
    assert association.paths[0].srtt == 300 * MS
    assert association.paths[0].rto == 1 * SECOND


@pytest.mark.parametrize("kind", ["SACK", "SHUTDOWN"])
def test_an_acknowledgment_of_what_was_never_sent_ends_it(kind: str) -> None:
    """ABORT: Protocol Violation."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, 100)
    chunk = build.sack(peer.peer_tsn + 1, 1000) if kind == "SACK" else build.shutdown(peer.peer_tsn + 1)
    assert names(peer.send(chunk)) == ["ABORT"]
    assert association.state is SctpState.CLOSED
    assert peer.host.deadline_ns is None


@pytest.mark.parametrize("gaps", [((1, 1),), ((5, 3),), ((2, 60000),), ((3, 3), (2, 2)), ((2, 2), (2, 2)), ((0, 0),)])
def test_gap_blocks_without_sense_do_no_harm(gaps: tuple[tuple[int, int], ...]) -> None:
    """What they say of sent chunks in order counts, the rest is left out."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, *[100] * 4)
    for _ in range(5):
        sack(peer, 0, *gaps)
    sack(peer, 4)
    assert association.outbound.idle
    assert association.outbound.outstanding == association.paths[0].errors == 0


def test_an_old_sack_tells_nothing() -> None:
    """Its cumulative TSN lies before what is known."""
    peer = Crafted()
    association = peer.up()
    send(association, peer, 100, 100)
    sack(peer, 2)
    sack(peer, 1, window=5)
    assert association.peer_rwnd == 100_000


def test_a_sack_that_waits_goes_with_data() -> None:
    """Section 6.1: bundled in front."""
    peer = Crafted()
    association = peer.up()
    assert names(peer.send(data(TSN))) == ["SACK"]
    assert peer.send(data(TSN + 1, ssn=1)) == []
    assert names(send(association, peer, 10)) == ["SACK + DATA"]
    assert m.SACK not in [chunk.type for packet in peer.wait(300 * MS) for chunk in packet.chunks]


def test_the_window_shrinks_while_nothing_is_sent() -> None:
    """By half for each RTO, not below four packets (section 7.2.1)."""
    made = pair()
    made.association.send(bytes(300_000), now_ns=made.network.now)
    made.network.run(5 * SECOND)
    grown = made.association.paths[0].cwnd
    assert grown > 30_000
    made.network.run(100 * SECOND)
    made.association.send(b"x", now_ns=made.network.now)
    made.client.take()
    assert made.association.paths[0].cwnd == 6000


def test_a_call_on_an_association_that_is_over() -> None:
    """ENOTCONN; once shutdown was called, EPIPE."""
    made = pair()
    made.association.send(b"last", now_ns=made.network.now)
    made.association.shutdown(made.network.now)
    with pytest.raises(SctpError, match="EPIPE"):
        made.association.send(b"x", now_ns=made.network.now)
    made.network.run(1 * SECOND)
    with pytest.raises(SctpError, match="ENOTCONN"):
        made.association.send(b"x", now_ns=made.network.now)
    assert made.messages() == [b"last"]
    made.association.abort(made.network.now)
    made.association.shutdown(made.network.now)
    made.association.consumed(5, made.network.now)
    made.association.heartbeat(made.network.now)
    assert made.client.take() == []
    assert CLIENT in made.association.local_addresses
