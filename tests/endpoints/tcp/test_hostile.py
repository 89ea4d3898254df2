"""Segments that nobody should send: mutated ones by the thousand in each state, and floods."""

from __future__ import annotations

from random import Random

import pytest

from rawlab.endpoints.tcp import Connection, Data, Host, Settings, TcpState
from rawlab.model.address import Endpoint
from rawlab.model.serial import CIRCLE
from rawlab.wire import tcp_build as build
from tests.endpoints.tcp.network import CLIENT, MS, SECOND, SERVER, Network, Pair, craft, pair, path, told

S = TcpState
SMALL = Settings(
    receive_buffer=20_000, send_buffer=20_000, max_gaps=16, max_connections=100, max_half_open=20, retries=6
)


def lives() -> list[tuple[TcpState, Pair]]:
    """A pair in each state of the client's side, data under way both ways, the server gone."""
    found: list[tuple[TcpState, Pair]] = []
    for state in S:
        if state is S.LISTEN:
            continue
        network = Network()
        made = pair(network, settings=SMALL, run=False)
        near = made.near
        if state is S.SYN_RECEIVED:
            made.client.take()
            made.client.receive(craft(near, "S", options=build.timestamps(1, 0)), SERVER, CLIENT, network.now)
        elif state is not S.SYN_SENT:
            network.run(SECOND)
            far = made.far
            near.send(b"x" * 3000, network.now)
            far.send(b"y" * 5000, network.now)
            if state in (S.CLOSE_WAIT, S.LAST_ACK):
                far.shutdown(network.now)
            network.run(SECOND // 2)
            if state not in (S.FIN_WAIT_2, S.TIME_WAIT):
                network.cut.add(SERVER)
            if state not in (S.ESTABLISHED, S.CLOSE_WAIT):
                near.send(b"z" * 2000, network.now)
                near.shutdown(network.now)
            network.run(MS * 50)
            if state is S.TIME_WAIT:
                far.shutdown(network.now)
                network.run(MS * 50)
            if state is S.CLOSING:
                made.client.receive(craft(near, "FA"), SERVER, CLIENT, network.now)
            if state is S.CLOSED:
                near.abort(network.now)
        assert near.state is state
        made.client.take()
        found.append((state, made))
    return found


def corpus(near: Connection) -> list[bytes]:
    """Segments of each kind from the peer of a connection: the right next ones, and some that are not."""
    window, under_way = max(near.rcv_wnd, 1), near.unacknowledged
    syn = build.padded(build.mss(1460), build.window_scale(7), build.sack_permitted(), build.timestamps(5, 6))
    stamps = build.timestamps(near.ts_recent + 5 & 0xFFFFFFFF, 3)
    sack = stamps + build.padded(b"\1\1", build.sack([(5, 9), (20, 40)]))
    return [
        craft(near, "A", ack=under_way), craft(near, "A", ack=under_way // 2, window=0), craft(near, "A"),
        craft(near, "A", options=sack), craft(near, "PA", data=b"a" * 700),
        craft(near, "PA", seq=900, data=b"b" * 1400), craft(near, "S", seq=1 << 31),
        craft(near, "A", seq=-300, data=b"c" * 1000), craft(near, "A", seq=window - 9, data=b"d" * 1000),
        craft(near, "FA"), craft(near, "FA", ack=under_way, data=b"e" * 9), craft(near, "FPA", seq=2000, data=b"f"),
        craft(near, "PAU", data=b"g" * 30, urgent=20), craft(near, "AU", urgent=65535), craft(near, "R"),
        craft(near, "RA", seq=1), craft(near, "R", seq=window), craft(near, "S", options=syn),
        craft(near, "SA", ack=1, options=syn), craft(near, "SA", seq=-1, ack=1, options=syn),
        craft(near, "A", seq=1 << 31, ack=1 << 31, data=b"h"), craft(near, "", data=b"i"), craft(near, "FSRPAU"),
    ]  # fmt: skip


def mended(packet: bytes, ends: int) -> bytes:
    """With the right checksum, else nothing of it would be read."""
    if len(packet) < 18:
        return packet
    zero = packet[:16] + b"\0\0" + packet[18:]
    total = -(build.residue(zero) + ends + len(zero)) % 0xFFFF
    return packet[:16] + total.to_bytes(2, "big") + packet[18:]


def moved(number: bytearray, by: int) -> bytes:
    """A sequence number further along the circle."""
    return ((int.from_bytes(number, "big") + by) % CIRCLE).to_bytes(4, "big")


def mutated(packet: bytes, random: Random, ends: int) -> bytes:
    """Some octets changed, cut, doubled, or set to extremes; most often it still is the connection's."""
    octets = bytearray(packet)
    ports = packet[:4]
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        place = random.randrange(4, len(octets)) if len(octets) > 4 else 0
        match random.randrange(8):
            case 0:
                octets[place] ^= 1 << random.randrange(8)
            case 1:
                octets[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                octets[4:8] = moved(octets[4:8], random.randrange(-3000, 30_000))
            case 3:
                octets[8:12] = moved(octets[8:12], random.randrange(-3000, 3000))
            case 4:
                octets[place : place + 4] = random.randbytes(4)
            case 5:
                del octets[random.randrange(len(octets)) :]
            case 6:
                octets += octets[20:]
            case 7:
                octets[13:14] = random.randbytes(1)
        if len(octets) < 20:
            return bytes(octets)
    if random.random() < 0.95:
        octets[:4] = ports
    return mended(bytes(octets[:3000]), ends)


def is_sound(host: Host, now: int) -> None:
    """Nothing has grown, all counts are right, each timer lies ahead."""
    assert len(host.timers) < 300
    assert len(host._by_key) == len(host.connections) == sum(host._ports.values()) <= 100
    due = host.deadline_ns
    assert due is None or due > now
    for connection in host.connections.values():
        out, inbound = connection.outbound, connection.inbound
        assert out.iss <= out.una <= out.nxt <= out.highest <= out.end + 1
        assert out.base in (out.una, out.una - 1, out.iss + 1)
        assert len(out.data) <= 20_000
        assert out.congestion.cwnd >= 1
        assert out.congestion.ssthresh >= 2 * out.congestion.mss or out.congestion.ssthresh > 1000
        held = sum(map(len, inbound.gaps._runs))
        assert inbound.held + held <= 20_000
        assert len(inbound.gaps.starts) <= 16
        assert all(first > inbound.next for first in inbound.gaps.starts)
        assert inbound.next <= inbound.edge + 1
        data = sum(len(event.data) for event in told(connection, Data))
        assert data <= inbound.next - inbound.irs
        assert connection.host.connections[connection.id] is connection
        assert connection.state is not S.CLOSED


def attack(count: int, seed: int) -> set[TcpState]:
    """So many mutated segments, in each state."""
    random = Random(seed)
    seen: set[TcpState] = set()
    while count > 0:
        for state, made in lives():
            host, now, near = made.client, made.network.now, made.near
            made.local.listen()
            for step in range(100):
                packet = mutated(random.choice(corpus(near)), random, near.ends)
                if step % 10 == 9:
                    now += random.choice((0, 1000, 50 * MS, 2 * SECOND))
                    host.wake(now)
                host.take()
                host.receive(packet, SERVER, CLIENT, now)
                assert len(host.take()) <= 24, "one segment, many answers"
                is_sound(host, now)
                if random.random() < 0.05 and near.held:
                    near.consumed(near.held, now)
                count -= 1
            path(near)
            seen |= {state, near.state}
            host.wake(now + 4000 * SECOND)
            for _ in range(100):
                due = host.deadline_ns
                if due is None:
                    break
                host.wake(due)
            assert len(host.timers) < 100
    return seen


def test_mutated_segments() -> None:
    """In each state: no exception, no endless answer, nothing that grows; each step is the table's."""
    assert attack(10_000, 9293) >= set(S) - {S.LISTEN}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mutated_segments_by_the_hundred_thousand() -> None:
    """The same, longer."""
    attack(100_000, 5961)


def test_a_connection_lives_through_an_attacker_who_cannot_see_it() -> None:
    """Blind segments with random numbers, 20,000 of them, while data flows: every octet is right."""
    random = Random(5961)
    network = Network(keep_log=False)
    made = pair(network)
    data = random.randbytes(1_000_000)
    near, far = made.near, made.far
    sent, came = 0, bytearray()
    while len(came) < len(data):
        while sent < len(data) and near.room:
            sent += near.send(data[sent : sent + 65536], network.now)
        for _ in range(20):
            flags = random.choice(["R", "S", "SA", "A", "PA", "FA", "RA"])
            packet = build.segment(
                far.peer.port, far.local.port, random.randrange(CIRCLE), random.randrange(CIRCLE),
                build.flag_bits(flags), 0, ends=far.ends, payload=random.randbytes(random.choice((0, 9))),
                options=build.timestamps(random.randrange(CIRCLE), 0) if random.random() < 0.5 else b"",
            )  # fmt: skip
            made.server.receive(packet, CLIENT, SERVER, network.now)
        assert network.step(network.now + 100 * SECOND)
        while far.events:
            event = far.events.popleft()
            if isinstance(event, Data):
                came += event.data
                far.consumed(len(event.data), network.now)
    assert came == data


def test_a_flood_of_everything_at_a_listener_leaves_nothing() -> None:
    """Random segments from random ports: half-open connections at the most, and they end."""
    random = Random(1)
    network = Network()
    server = network.host(SERVER, settings=SMALL)
    server.open(7).listen()
    for _ in range(3000):
        ends = build.pseudo(CLIENT, SERVER)
        packet = build.segment(
            random.randrange(65536), 7, random.randrange(CIRCLE), random.randrange(CIRCLE), random.randrange(512), 5,
            ends=ends, options=random.randbytes(4 * random.randrange(9)),
        )  # fmt: skip
        server.receive(packet, CLIENT, SERVER, network.now)
        assert len(server.take()) <= 1
        is_sound(server, network.now)
    assert 0 < len(server.connections) <= 20
    network.run(200 * SECOND)
    assert not server.connections


@pytest.mark.parametrize("kind", ["acks", "tiny"])
def test_a_greedy_receiver_gets_no_more_than_the_window(kind: str) -> None:
    """A thousand duplicate ACKs, or one ACK an octet (RFC 3465 section 5): what leaves stays within its window."""
    network = Network()
    made = pair(network, settings=Settings(send_buffer=1 << 20))
    near = made.near
    made.client.take()
    near.send(b"x" * 1_000_000, network.now)
    network.hosts.pop(SERVER)
    for step in range(1000):
        for out in made.client.take():
            assert len(out.packet) <= 1480
        assert near.unacknowledged <= 10_000 << near.outbound.shift
        packet = craft(near, "A", ack=1 if kind == "tiny" else 0, window=10_000)
        made.client.receive(packet, SERVER, CLIENT, network.now + step)
    assert near.cwnd <= (3 * 1448 + 1000 if kind == "tiny" else 1002 * 1448)


def test_a_peer_with_a_tiny_mss_is_served() -> None:
    """MSS 0: 48 octets a segment, and no division by it."""
    network = Network()
    client = network.host(CLIENT)
    near = client.open().connect(Endpoint(SERVER, 7), network.now)
    client.take()
    packet = craft(near, "SA", seq=5, ack=1, options=build.mss(0))
    client.receive(packet, SERVER, CLIENT, network.now)
    near.send(b"x" * 100, network.now)
    assert [len(out.packet) - 20 for out in client.take()] == [0, 48, 48]
