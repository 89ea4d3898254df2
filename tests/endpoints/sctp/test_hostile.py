"""Packets that nobody should send: mutated ones by the thousand, and a flood of right ones."""

from __future__ import annotations

from random import Random

import pytest

from rawlab.endpoints.sctp import Association, Host, Settings
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpPacket
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from rawlab.wire.sctp import checksum, parse
from tests.endpoints.sctp.crafted import CLIENT, SECOND, SERVER, TSN, Crafted, data, names
from tests.endpoints.sctp.network import Network, Pair, pair

MUTATIONS = 100_000


def mended(packet: bytes) -> bytes:
    """With the right checksum, else nothing of it would be read."""
    if len(packet) < 12:
        return packet
    return packet[:8] + checksum(packet).to_bytes(4, "big") + packet[12:]


def mutated(packet: bytes, random: Random, tag: int) -> bytes:
    """Some octets changed, cut, doubled, or set to extremes; mostly under a tag that is believed."""
    octets = bytearray(packet)
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(12, len(octets)) if len(octets) > 12 else 0
        match random.randrange(7):
            case 0:
                octets[place] ^= 1 << random.randrange(8)
            case 1:
                octets[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                octets[place : place + 2] = random.choice((b"\0\0", b"\0\1", b"\0\3", b"\0\4", b"\xff\xff"))
            case 3:
                octets[place : place + 4] = random.randbytes(4)
            case 4:
                del octets[random.randrange(len(octets)) :]
            case 5:
                octets += octets[12:]
            case 6:
                octets[place:place] = random.randbytes(random.randrange(1, 9))
        if len(octets) < 12:
            return bytes(octets)
    if random.random() < 0.9:
        octets[4:8] = tag.to_bytes(4, "big")
    return mended(bytes(octets[:3000]))


def lives() -> list[tuple[SctpState, Pair]]:
    """A pair in each state of the client's side."""
    found = []
    for state in SctpState:
        network = Network()
        made = pair(network, run=False)
        if state is SctpState.COOKIE_WAIT:
            network.cut.add(SERVER)
        if state is SctpState.COOKIE_ECHOED:
            network.drop("COOKIE ECHO", times=9)
        network.run(100_000_000)
        if state not in (SctpState.COOKIE_WAIT, SctpState.COOKIE_ECHOED, SctpState.CLOSED):
            made.association.send(b"x" * 3000, stream=1, now_ns=network.now)
            made.accepted.send(b"y" * 5000, stream=2, now_ns=network.now)
            network.run(3 * SECOND)
            network.cut.add(SERVER)
            if state not in (SctpState.SHUTDOWN_SENT, SctpState.SHUTDOWN_ACK_SENT):
                made.association.send(b"x" * 3000, now_ns=network.now)
            if state is SctpState.SHUTDOWN_PENDING:
                made.association.shutdown(network.now)
            elif state is SctpState.SHUTDOWN_RECEIVED:
                bits = made.association.outbound.acked & 0xFFFFFFFF
                made.association.closing.shutdown_came(bits, network.now)
            elif state in (SctpState.SHUTDOWN_SENT, SctpState.SHUTDOWN_ACK_SENT):
                made.association.shutdown(network.now)
                if state is SctpState.SHUTDOWN_ACK_SENT:
                    made.association.closing.shutdown_came(0, network.now)
        elif state is SctpState.CLOSED:
            made.association.abort(network.now)
        assert made.association.state is state
        made.client.take()
        found.append((state, made))
    return found


def corpus(association: Association, port: int) -> list[bytes]:
    """Packets of each kind for an association, from its peer."""
    tsn, acked = association.inbound.cumulative & 0xFFFFFFFF, association.outbound.acked & 0xFFFFFFFF
    after = acked + 1 & 0xFFFFFFFF
    address, cookie = build.address("10.0.0.9"), build.parameter(build.STATE_COOKIE, bytes(60))
    chunks = [
        [data(tsn + 1, b"hello" * 30)], [data(tsn + 1, b"a", flags=2), data(tsn + 2, b"b", flags=1)],
        [data(tsn + 5, b"later" * 99, stream=3, flags=6), build.sack(after, 5000, [(2, 2), (4, 9)], [1, 2])],
        [build.sack(acked, 100, [(2, 3)])], [build.sack(acked + 2 & 0xFFFFFFFF, 0)],
        [build.init(m.INIT, 5, 5000, 9, 9, 1, [address, build.parameter(0xC001, b"x")])],
        [build.init(m.INIT_ACK, 5, 5000, 9, 9, 1, [cookie, address])],
        [build.cookie_echo(bytes(60)), data(tsn + 1)], [build.cookie_ack(), data(tsn + 1)],
        [build.heartbeat(b"nonce" * 8)], [build.heartbeat_ack(b"nonce" * 8)], [build.abort([build.cause(12, b"no")])],
        [build.error([build.cause(3, bytes(4)), build.cause(1, bytes(4))])], [build.shutdown(acked)],
        [build.shutdown_ack()], [build.shutdown_complete()], [build.shutdown_complete(reflected=True)],
        [build.forward_tsn(tsn + 3 & 0xFFFFFFFF, [(1, 2)])], [build.asconf(1, [address])],
        [build.auth(1, 1, bytes(20))],
        [build.re_config([build.parameter(13, bytes(12))])], [build.i_data(tsn + 1 & 0xFFFFFFFF, 1, 1, 1, 3, b"data")],
        [build.chunk(0x7F, 0, b"unknown"), build.chunk(0xFF, 0, b"unknown")], [build.ecne(1), build.cwr(1)],
    ]  # fmt: skip
    return [build.packet(7, port, association.local_tag, one) for one in chunks]


def is_sound(host: Host, now: int) -> None:
    """Nothing has grown, all counts are right, each timer lies ahead."""
    assert len(host.timers) < 100
    assert len(host._by_key) <= 16 * len(host._associations)
    due = host.deadline_ns
    assert due is None or due > now
    for association in host._associations.values():
        outbound, inbound = association.outbound, association.inbound
        flying = [one for one in outbound.sent.values() if not one.acked and not one.marked]
        assert outbound.outstanding == sum(one.size for one in flying)
        assert sum(path.flight for path in association.routes.paths) == outbound.outstanding
        assert outbound.buffered == sum(one.size for one in (*outbound.sent.values(), *outbound.queue))
        assert len(outbound.marked) <= 2 * len(outbound.sent) + 8
        assert len(inbound.gaps) <= association.settings.max_gaps
        assert inbound.held <= 2 * inbound.window + 3000
        assert len(association.control) == 0
        assert outbound.peer_rwnd >= 0


@pytest.mark.timeout(600)
def test_mutated_packets() -> None:
    """In each state: no exception, no endless answer, nothing that grows; an association stays right or ends."""
    random = Random(9260)
    answers = asked = count = ended = 0
    while count < MUTATIONS:
        for state, made in lives():
            host, now = made.client, made.network.now
            association, port = made.association, made.local.port
            packets = corpus(association, port)
            tag = association.local_tag if state is not SctpState.CLOSED else 7
            for step in range(60):
                packet = mutated(random.choice(packets), random, tag)
                now += random.choice((0, 1000, 50_000_000, 2 * SECOND)) if step % 10 == 9 else 0
                host.wake(now)
                host.take()
                host.receive(packet, SERVER, CLIENT, now)
                out = host.take()
                asked += len(packet)
                answers += sum(len(one.packet) for one in out)
                assert len(out) <= 12, "one packet, many answers"
                assert all(isinstance(facts := parse(one.packet), SctpPacket) and not facts.malformed for one in out)
                count += 1
            is_sound(host, now)
            ended += association.is_over
    assert ended > count / 500, "mutations that end associations are among them"


def test_mutated_packets_before_a_cookie() -> None:
    """A host that listens, and no association: never more than three times what was asked, and nothing stays."""
    random = Random(4960)
    peer = Crafted()
    made = pair()
    packets = [bytes(packet) for packet in corpus(made.association, 7)] + [
        build.packet(
            5, 7, 0, [build.init(m.INIT, 1, 9000, 5, 5, 9, [build.address("10.0.0.9"), build.parameter(0xC0DE)])]
        )
    ] * 10
    for _ in range(MUTATIONS):
        packet = mutated(random.choice(packets), random, random.choice((0, 0, 1, random.getrandbits(32))))
        peer.host.receive(packet, CLIENT, SERVER, peer.now)
        peer.answers()
        assert peer.octets <= 3 * len(packet)
    assert not peer.host._associations
    assert not peer.host._by_key
    assert peer.host.deadline_ns is None
    assert len(peer.host.timers) == 0


def test_a_flood_of_inits_leaves_nothing() -> None:
    """From as many sources as you like."""
    peer = Crafted()
    for number in range(3000):
        assert names(peer.init(source=f"10.{number >> 8}.{number & 255}.9", tag=number + 1)) == ["INIT ACK"]
    assert not peer.host._associations
    assert peer.host.deadline_ns is None


def test_optimistic_acknowledgment_gains_nothing() -> None:
    """A SACK of what was never sent ends the association (section 13.3 of the attacks' list: RFC 5062)."""
    peer = Crafted()
    association = peer.up()
    association.send(bytes(100_000), now_ns=peer.now)
    sent = peer.answers()
    assert names(peer.send(build.sack(peer.peer_tsn + len(sent) + 50, 1 << 31))) == ["ABORT"]


def test_a_window_as_large_as_a_number_gets() -> None:
    """A huge a_rwnd lets nothing out but what the congestion window allows."""
    peer = Crafted()
    association = peer.up()
    association.send(bytes(500_000), now_ns=peer.now)
    assert len(peer.answers()) == 4
    assert len(peer.send(build.sack(peer.peer_tsn + 3, 0xFFFFFFFF))) <= 4
    assert association.paths[0].cwnd < 10_000


def test_a_sack_of_a_thousand_gaps() -> None:
    """One SACK, every second of the chunks: marked once, sent again within the window; no pile of packets."""
    peer = Crafted(Settings(send_buffer=1 << 20))
    association = peer.up()
    for _ in range(8):
        association.send(b"x", now_ns=peer.now)
    peer.answers()
    for _ in range(5):
        assert len(peer.send(build.sack(peer.peer_tsn - 1 & 0xFFFFFFFF, 5000, [(n, n) for n in range(2, 300, 2)]))) <= 4
    assert association.state is SctpState.ESTABLISHED


def test_addresses_of_another_association_cannot_be_taken() -> None:
    """A peer that lists an address which has an association with this port does not get its packets."""
    peer = Crafted()
    victim = peer.up()
    peer.init(build.address(CLIENT), source="10.0.0.66", tag=9)
    peer.send(build.cookie_echo(peer.cookie), source="10.0.0.66")
    assert victim.state is SctpState.ESTABLISHED
    assert peer.host._by_key[SERVER, 7, CLIENT, 40000] is victim
    assert TSN


def test_a_program_that_takes_no_events() -> None:
    """ERRORs, restarts, associations begun and aborted: what is told of them is bounded."""
    peer = Crafted(Settings(max_events=50))
    for number in range(200):
        peer.init(tag=number + 1)
        peer.send(build.cookie_echo(peer.cookie))
        peer.send(build.error([build.cause(1, bytes(4))] * 4))
        if number % 2:
            peer.send(build.abort())
    assert len(peer.listener.events) < 60
