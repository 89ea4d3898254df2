"""Much data over a bad wire, both ways at once: every octet, in order, nothing left over."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.endpoints.tcp import Connection, Data, PeerClosed, Settings, TcpState
from tests.endpoints.tcp.network import MS, SECOND, Network, Pair, pair, state

QUIET = Settings(window_events=False)


class Stream:
    """One end: what it is to send, what came."""

    def __init__(self, connection: Connection, data: bytes) -> None:
        self.connection = connection
        self.data = memoryview(data)
        self.sent = 0
        self.came = bytearray()
        self.ended = False

    def turn(self, now: int) -> None:
        """Takes what came, gives what there is room for; half-closes behind the last octet."""
        connection = self.connection
        while connection.events:
            event = connection.events.popleft()
            if isinstance(event, Data):
                assert event.offset == len(self.came)
                self.came += event.data
                connection.consumed(len(event.data), now)
            elif isinstance(event, PeerClosed):
                self.ended = True
        if self.sent < len(self.data) and connection.room and connection.state is not TcpState.SYN_SENT:
            self.sent += connection.send(self.data[self.sent : self.sent + 65536], now)
            if self.sent == len(self.data):
                connection.shutdown(now)


def transfer(made: Pair, there: bytes, back: bytes, limit: int = 100_000 * SECOND) -> tuple[bytes, bytes]:
    """Sends both ways, half-closes both; what came at the server and at the client."""
    network = made.network
    ends = Stream(made.near, there), Stream(made.far, back)
    for stream in ends:
        if not stream.data:
            stream.connection.shutdown(network.now)
    until = network.now + limit
    while not all(stream.ended for stream in ends):
        for stream in ends:
            stream.turn(network.now)
        assert network.step(until), "it came to a standstill"
    return bytes(ends[1].came), bytes(ends[0].came)


def assert_nothing_is_left(made: Pair) -> None:
    """Both are over, and after 2 MSL nothing is there."""
    near, far = made.near, made.far if made.server.connections else None
    made.network.run(400 * SECOND)
    for connection in filter(None, (near, far)):
        assert state(connection) is TcpState.CLOSED
        assert not connection.queued
        assert not connection.held
        assert not connection.inbound.gaps
    assert not made.client.connections
    assert not made.server.connections
    assert made.client.deadline_ns is None
    assert made.server.deadline_ns is None


def both_ways(size: int, **wire: float) -> None:
    random = Random(9293)
    there, back = random.randbytes(size), random.randbytes(size)
    made = pair(Network(seed=9293, delay=MS, keep_log=False, **wire), settings=QUIET)  # type: ignore[arg-type]
    assert transfer(made, there, back) == (there, back)
    assert_nothing_is_left(made)


def test_megabytes_each_way_over_a_bad_wire() -> None:
    """2 % of the packets lost, doubled, late: all there."""
    both_ways(3_000_000, loss=0.02, duplicates=0.02, reordered=0.02)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_megabytes_each_way_over_a_bad_wire() -> None:
    """The same, longer."""
    both_ways(20_000_000, loss=0.02, duplicates=0.02, reordered=0.02)


@pytest.mark.parametrize("before", [0, 1, 2, 1000, 100_000])
def test_sequence_numbers_go_around(before: int) -> None:
    """2^32 is crossed in both directions, with losses just there."""
    data = Random(before).randbytes(300_000)
    made = pair(Network(loss=0.05, seed=before, delay=MS), isn=2**32 - 1 - before)
    assert transfer(made, data, data) == (data, data)
    numbers = {seen.facts.seq.value for seen in made.network.log}
    assert min(numbers) < 1 << 20
    assert max(numbers) > (1 << 32) - 200_000
    assert_nothing_is_left(made)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.3),
    duplicates=st.floats(0, 0.5),
    reordered=st.floats(0, 0.8),
    sizes=st.tuples(st.integers(0, 40_000), st.integers(0, 40_000)),
    mtu=st.sampled_from([300, 576, 1500, 9000]),
    window=st.sampled_from([1, 700, 5000, 1 << 20]),
    options=st.booleans(),
    nagle=st.booleans(),
)
def test_whatever_the_wire_does_all_comes(
    seed: int,
    loss: float,
    duplicates: float,
    reordered: float,
    sizes: tuple[int, int],
    mtu: int,
    window: int,
    options: bool,
    nagle: bool,
) -> None:
    """Property: what comes is what was sent, whatever the windows, the options and the wire."""
    random = Random(seed)
    if window == 1:  # an octet at a time
        sizes = sizes[0] // 1000, sizes[1] // 1000
    there, back = (random.randbytes(size) for size in sizes)
    patient = Settings(
        retries=100, syn_retries=100, syn_ack_retries=100, mtu=mtu, receive_buffer=window, send_buffer=20_000,
        timestamps=options, sack=options, window_scale=options, nagle=nagle, rto_max=2 * SECOND,
    )  # fmt: skip
    network = Network(seed=seed, loss=loss, duplicates=duplicates, reordered=reordered, keep_log=False)
    made = pair(network, settings=patient, run=False)
    network.run(100_000 * SECOND, until=lambda: bool(made.listener.queue))
    assert transfer(made, there, back, limit=10_000_000 * SECOND) == (there, back)
