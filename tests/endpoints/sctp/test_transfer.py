"""Many messages over a bad wire: every octet, each stream in order, nothing left over."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.endpoints.sctp import Message, Settings
from rawlab.model.sctp import SctpData
from tests.endpoints.sctp.network import CLIENT, MS, SECOND, SERVER, Network, Pair, pair


def transfer(
    made: Pair, messages: list[tuple[int, bytes, bool]], limit: int = 100_000 * SECOND
) -> dict[int, list[bytes]]:
    """Sends (stream, message, unordered) from the client as fast as the buffer takes them; what came, by stream."""
    network, near = made.network, made.association
    came: dict[int, list[bytes]] = {}
    waiting = list(reversed(messages))
    end = network.now + limit
    while waiting or not near.outbound.idle:
        while waiting and len(waiting[-1][1]) <= near.room:
            stream, message, unordered = waiting.pop()
            near.send(message, stream=stream, unordered=unordered, now_ns=network.now)
        assert network.step(end), "it came to a standstill"
        while made.listener.events:
            event = made.listener.events.popleft()
            if isinstance(event, Message):
                came.setdefault(event.stream, []).append(event.data)
                event.association.consumed(len(event.data), network.now)
    return came


def assert_nothing_is_left(made: Pair) -> None:
    """No octet is counted that is not there."""
    near, far = made.association, made.accepted
    assert (near.queued, near.unacknowledged, near.outbound.outstanding) == (0, 0, 0)
    assert all(path.flight == 0 and path.t3.due is None for path in near.routes.paths)
    assert (far.inbound.held, far.pending, far.inbound.gaps) == (0, 0, [])
    assert not far.inbound.reassembly.heads
    assert not far.inbound.reassembly.tails
    assert not far.inbound.reassembly.waiting
    assert far.inbound.rwnd == far.settings.receive_window


@pytest.mark.timeout(240)
def test_ten_thousand_messages_over_a_bad_wire() -> None:
    """0 to 200 KB on 8 streams; 5 % of the packets lost, doubled, late: all there, in order."""
    random = Random(9260)
    sizes = [random.choice((random.randint(1, 64), random.randint(1, 3000), 0)) for _ in range(10_000)]
    messages = [
        (number % 8, random.randbytes(size or (random.randint(1, 200_000) if number % 10 == 0 else 1)), False)
        for number, size in enumerate(sizes)
    ]
    network = Network(seed=9260, loss=0.05, duplicates=0.05, reordered=0.05, keep_log=False)
    made = pair(network)
    came = transfer(made, messages)
    assert came == {stream: [data for to, data, _ in messages if to == stream] for stream in range(8)}
    assert_nothing_is_left(made)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("window", [1500, 9000, 100_000])
def test_small_windows_and_worse_wires(seed: int, window: int) -> None:
    """A receive window of a packet, a fifth of all packets lost: slow, but all comes, unordered messages, too."""
    random = Random(seed)
    messages = [
        (random.randrange(4), random.randbytes(random.randint(1, min(window, 8000))), random.random() < 0.3)
        for _ in range(60)
    ]
    network = Network(seed=seed, loss=0.2, duplicates=0.1, reordered=0.3, keep_log=False)
    made = pair(network, server_settings=Settings(receive_window=window))
    came = transfer(made, messages)
    for stream in range(4):
        ours = [data for to, data, _ in messages if to == stream]
        ordered = [data for to, data, unordered in messages if to == stream and not unordered]
        assert sorted(came.get(stream, [])) == sorted(ours)
        assert [data for data in came.get(stream, []) if data in ordered] == ordered
    assert_nothing_is_left(made)


@pytest.mark.parametrize("before", [1, 3, 100])
def test_tsns_go_around(before: int) -> None:
    """2^32 is crossed in both directions, with losses just there."""
    network = Network(loss=0.05, seed=before)
    first = (2**32 - before).to_bytes(4, "big")
    near, far = network.host(CLIENT), network.host(SERVER)
    near.entropy = far.entropy = lambda count: first if count == 4 else network.random.randbytes(count)
    made = join(network, near, far)
    messages = [(0, bytes([number]) * 2000, False) for number in range(200)]
    came = transfer(made, messages)
    assert came == {0: [data for _, data, _ in messages]}
    tsns = {chunk.tsn.value for seen in network.log for chunk in seen.facts.chunks if isinstance(chunk, SctpData)}
    assert max(tsns) == 2**32 - 1
    assert min(tsns) == 0
    assert_nothing_is_left(made)


def join(network: Network, near: object, far: object) -> Pair:
    """As `pair`, of hosts that are there already."""
    hosts = iter((near, far))
    network.host = lambda *addresses, settings=None: next(hosts)  # type: ignore[method-assign,assignment]
    return pair(network)


def test_ssns_go_around() -> None:
    """More than 65,536 ordered messages on a stream."""
    network = Network(keep_log=False, delay=1 * MS)
    made = pair(network)
    messages = [(0, number.to_bytes(4, "big"), False) for number in range(70_000)]
    assert transfer(made, messages) == {0: [data for _, data, _ in messages]}


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.4),
    duplicates=st.floats(0, 0.5),
    reordered=st.floats(0, 0.8),
    sizes=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 5000), st.booleans()), min_size=1, max_size=40),
    mtu=st.sampled_from([300, 576, 1500, 9000]),
)
def test_whatever_the_wire_does_all_comes(
    seed: int, loss: float, duplicates: float, reordered: float, sizes: list[tuple[int, int, bool]], mtu: int
) -> None:
    """Property: what comes of each stream is what was sent, ordered messages in order."""
    random = Random(seed)
    messages = [(stream, random.randbytes(size), unordered) for stream, size, unordered in sizes]
    network = Network(seed=seed, loss=loss, duplicates=duplicates, reordered=reordered, keep_log=False)
    patient = Settings(association_max_retrans=100, max_init_retransmits=100, mtu=mtu)
    made = pair(network, settings=patient, run=False)
    network.run(100_000 * SECOND, until=lambda: bool(made.listener.associations) and bool(made.local.events))
    came = transfer(made, messages, limit=10_000_000 * SECOND)
    for stream in range(8):
        ordered = [data for to, data, unordered in messages if to == stream and not unordered]
        assert [data for data in came.get(stream, []) if data in ordered] == ordered
        assert sorted(came.get(stream, [])) == sorted(data for to, data, _ in messages if to == stream)
    assert_nothing_is_left(made)
