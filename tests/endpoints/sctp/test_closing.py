"""The end of an association: SHUTDOWN from either side or both, whichever packet is lost, and ABORT."""

from __future__ import annotations

import pytest

from rawlab.endpoints.sctp import Down, Message, PeerShutdown, SendFailed, Settings
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpError
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from tests.endpoints.sctp.crafted import CLIENT, MS, SECOND, SERVER, TSN, Crafted, chunk, data, names
from tests.endpoints.sctp.network import Network, pair


def test_three_packets_end_it() -> None:
    """SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE; both programs are told that it was graceful, nothing stays."""
    made = pair()
    accepted = made.accepted
    made.association.shutdown(made.network.now)
    made.network.run(1 * SECOND)
    assert made.network.names()[4:] == ["client SHUTDOWN", "server SHUTDOWN ACK", "client SHUTDOWN COMPLETE"]
    assert made.events(server=False)[-1] == Down(association=made.association, errno=None)
    assert made.events()[-2:] == [PeerShutdown(association=accepted), Down(association=accepted, errno=None)]
    for host in (made.client, made.server):
        assert host.deadline_ns is None
        assert not host.busy
    assert not made.listener.associations
    assert not made.local.associations


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("lost", ["SHUTDOWN", "SHUTDOWN ACK", "SHUTDOWN COMPLETE"])
def test_a_lost_packet_of_the_end(lost: str, times: int) -> None:
    """T2-shutdown repeats SHUTDOWN and SHUTDOWN ACK; a lost SHUTDOWN COMPLETE is a stranger's to repeat (8.4)."""
    network = Network()
    made = pair(network)
    network.drop(lost, times=times)
    made.association.shutdown(network.now)
    network.run(60 * SECOND)
    assert [event.errno for event in (made.local.events[-1], made.listener.events[-1]) if isinstance(event, Down)] == [
        None, None,
    ]  # fmt: skip
    assert sum(lost in name.split(" ", 1) for name in network.names()) == times + 1


def test_both_shut_down_at_once() -> None:
    """SHUTDOWN both ways, SHUTDOWN ACK both ways; the association ends at both (section 9.2)."""
    made = pair()
    made.association.shutdown(made.network.now)
    made.accepted.shutdown(made.network.now)
    made.network.run(10 * SECOND)
    kinds = [name.split(" ", 1)[1] for name in made.network.names()[4:]]
    assert kinds[:4] == ["SHUTDOWN", "SHUTDOWN", "SHUTDOWN ACK", "SHUTDOWN ACK"]
    assert set(kinds[4:]) == {"SHUTDOWN COMPLETE"}
    for endpoint in (made.local, made.listener):
        assert isinstance(endpoint.events[-1], Down)
        assert endpoint.events[-1].errno is None


def test_all_that_was_given_to_send_arrives_before_the_end() -> None:
    """SHUTDOWN waits for the last acknowledgment, of both sides' data."""
    network = Network(seed=5, loss=0.1)
    made = pair(network)
    accepted = made.accepted
    for number in range(50):
        made.association.send(bytes([number]) * 3000, now_ns=network.now)
        accepted.send(bytes([number]) * 2000, now_ns=network.now)
    made.association.shutdown(network.now)
    assert made.association.state is SctpState.SHUTDOWN_PENDING
    network.run(300 * SECOND)
    assert made.messages() == [bytes([number]) * 3000 for number in range(50)]
    assert made.messages(server=False) == [bytes([number]) * 2000 for number in range(50)]
    assert made.events()[-1] == Down(association=accepted, errno=None)
    assert made.events(server=False)[-1] == Down(association=made.association, errno=None)


@pytest.mark.parametrize("seed", range(40))
def test_a_whole_life_over_a_bad_wire(seed: int) -> None:
    """A fifth of all packets lost, doubled, late, at every stage: all data comes, and both ends end gracefully."""
    network = Network(seed=seed, loss=0.2, duplicates=0.2, reordered=0.2)
    made = pair(network, run=False)
    made.association.send(b"question", stream=1, now_ns=network.now)
    network.run(100 * SECOND, until=lambda: bool(made.messages()))
    made.accepted.send(b"answer" * 1000, now_ns=network.now)
    made.association.shutdown(network.now)
    if seed % 2:
        made.accepted.shutdown(network.now)
    network.run(400 * SECOND)
    assert made.messages() == [b"question"]
    assert made.messages(server=False) == ([b"answer" * 1000])
    for endpoint in (made.local, made.listener):
        assert isinstance(endpoint.events[-1], Down)
        assert endpoint.events[-1].errno is None
        assert endpoint.host.deadline_ns is None


def test_shutdown_before_it_is_established() -> None:
    """What was queued still goes, then SHUTDOWN."""
    made = pair(run=False)
    made.association.send(b"quick", now_ns=made.network.now)
    made.association.shutdown(made.network.now)
    made.network.run(2 * SECOND)
    assert made.messages() == [b"quick"]
    assert made.association.is_over
    assert made.network.names()[-1] == "client SHUTDOWN COMPLETE"


def test_data_that_comes_after_shutdown_was_sent() -> None:
    """It is taken, and answered with SHUTDOWN and SACK in one packet (section 9.2)."""
    peer = Crafted()
    association = peer.up()
    association.shutdown(peer.now)
    assert names(peer.answers()) == ["SHUTDOWN"]
    assert names(peer.send(data(TSN, b"late"))) == ["SHUTDOWN + SACK"]
    assert [event.data for event in peer.listener.events if isinstance(event, Message)] == [b"late"]
    assert names(peer.wait(1500 * MS)) == ["SHUTDOWN"]
    assert names(peer.send(build.shutdown_ack())) == ["SHUTDOWN COMPLETE"]


def test_a_peer_that_does_not_answer_shutdown() -> None:
    """T2-shutdown gives up after Association.Max.Retrans."""
    peer = Crafted(Settings(association_max_retrans=6))
    association = peer.up()
    association.shutdown(peer.now)
    assert names(peer.answers() + peer.wait(1000 * SECOND)) == ["SHUTDOWN"] * 7
    assert peer.listener.events[-1] == Down(association=association, errno="ETIMEDOUT")


def test_a_peer_that_never_comes_to_an_end() -> None:
    """T5-shutdown-guard: ABORT after five times RTO.Max, though its DATA keeps coming (section 9.2)."""
    peer = Crafted()
    association = peer.up()
    association.shutdown(peer.now)
    sent, number = [], 0
    while not association.is_over:
        sent = peer.wait(1 * SECOND)
        if not association.is_over:
            peer.send(data(TSN + number, ssn=number), build.heartbeat_ack(b""))
            association.errors = 0
            number += 1
    assert names(sent)[-1] == "ABORT"
    assert number == 299


def test_shutdown_acknowledges() -> None:
    """Its cumulative TSN counts as a SACK's; what is still open is sent before SHUTDOWN ACK."""
    peer = Crafted()
    association = peer.up()
    for _ in range(3):
        association.send(bytes(1400), now_ns=peer.now)
    peer.answers()
    assert peer.send(build.shutdown(peer.peer_tsn)) == []
    assert association.state == "SHUTDOWN-RECEIVED"
    assert association.unacknowledged == 2
    assert names(peer.send(build.sack(peer.peer_tsn + 2, 50_000))) == ["SHUTDOWN ACK"]
    assert association.state is SctpState.SHUTDOWN_ACK_SENT
    peer.send(build.shutdown_complete())
    assert peer.listener.events[-1] == Down(association=association, errno=None)


@pytest.mark.parametrize("packet", [
    build.shutdown_ack(), build.shutdown_complete(), build.cookie_ack(), build.chunk(m.INIT_ACK, 0, bytes(16)),
    build.ecne(1), build.cwr(1), build.heartbeat_ack(b"nobody asked"), build.heartbeat_ack(b""),
])  # fmt: skip
def test_what_has_no_meaning_now_is_passed_over(packet: bytes) -> None:
    """In ESTABLISHED, these change nothing and are not answered (sections 5.2.3, 5.2.5, 8.5.1)."""
    peer = Crafted()
    association = peer.up()
    assert peer.send(packet) == []
    assert association.state is SctpState.ESTABLISHED
    assert len(peer.listener.events) == 1


def test_abort_tells_the_reason() -> None:
    """User-Initiated Abort with the program's words (section 9.1); what was under way failed."""
    made = pair()
    accepted = made.accepted
    accepted.send(b"under way", now_ns=made.network.now)
    made.association.abort(made.network.now, b"enough")
    made.network.run(1 * SECOND)
    assert made.network.names()[-1] in ("client ABORT", "server DATA", "client ABORT")
    failed, down = made.events()[-2:]
    assert isinstance(failed, SendFailed)
    assert failed.data == b"under way"
    assert down == Down(association=accepted, errno="ECONNRESET", reason=b"enough")
    assert made.events(server=False)[-1] == Down(association=made.association, errno="ECONNABORTED")


def test_an_abort_before_the_peer_is_known_is_silent() -> None:
    """In COOKIE-WAIT there is no tag to send it under."""
    made = pair(run=False)
    made.client.take()
    made.association.abort(made.network.now)
    assert made.client.take() == []
    assert made.association.is_over


def test_an_abort_must_bear_the_right_tag() -> None:
    """Ours, or with the flag T the peer's (section 8.5.1 B)."""
    peer = Crafted()
    association = peer.up()
    assert peer.send(build.abort(), tag=association.peer_tag) == []
    assert peer.send(build.abort(reflected=True)) == []
    assert peer.send(build.abort(reflected=True), tag=0) == []
    assert not association.is_over
    assert peer.send(build.abort(reflected=True), tag=association.peer_tag) == []
    assert association.is_over


def test_an_unknown_chunk() -> None:
    """By its two high bits: told back or not, and whether what follows is read (section 3.2)."""
    for kind, told, read in ((0x3F, False, False), (0x7F, True, False), (0xBF, False, True), (0xFF, True, True)):
        peer = Crafted()
        peer.up()
        unknown = build.chunk(kind, 5, b"what")
        answers = peer.send(unknown, data(TSN, flags=11))
        errors = [one for packet in answers for one in packet.chunks if isinstance(one, SctpError)]
        assert [cause.value for one in errors for cause in one.causes] == ([unknown] if told else [])
        assert ("SACK" in " ".join(names(answers))) == read


def test_extensions_that_were_not_negotiated_are_unknown() -> None:
    """FORWARD-TSN, ASCONF, I-DATA …: told back or passed over; the association goes on."""
    peer = Crafted()
    association = peer.up()
    for one in (
        build.forward_tsn(TSN + 5), build.asconf(1, [build.address(CLIENT)]), build.auth(1, 1, bytes(20)),
        build.re_config([build.parameter(13, bytes(12))]), build.i_data(TSN, 0, 0, 0, 3, b"x"), build.pad(4),
        build.i_forward_tsn(TSN + 5),
    ):  # fmt: skip
        peer.send(one)
    assert association.state is SctpState.ESTABLISHED
    assert association.inbound.cumulative & 0xFFFFFFFF == TSN - 1


def test_a_huge_unknown_chunk_is_told_within_a_packet() -> None:
    """Cut to what the path takes."""
    peer = Crafted(Settings(mtu=600))
    peer.up()
    answers = peer.send(build.chunk(0xFF, 0, bytes(4000)), build.chunk(0xFF, 0, bytes(4000)))
    assert chunk(answers[:1], m.ERROR)
    assert names(answers) == ["ERROR", "ERROR"]
    assert len(peer.last) <= 580
    assert SERVER in peer.host.addresses
