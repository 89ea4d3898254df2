"""What leaves when: segmentation, Nagle, delayed ACK, windows closed and small, probes, timeouts, urgent data."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rawlab.endpoints.tcp import Data, Down, Settings, TcpError, TcpState, Urgent
from tests.endpoints.tcp.network import (
    CLIENT,
    MS,
    SECOND,
    SERVER,
    Network,
    Pair,
    craft,
    facts,
    give,
    pair,
    received,
    state,
    told,
)


def up(**settings: object) -> Pair:
    """A pair whose handshake is long past."""
    made = pair(settings=Settings(**settings))  # type: ignore[arg-type]
    made.network.run(SECOND)
    made.network.log.clear()
    return made


def test_data_is_cut_into_segments() -> None:
    """3000 octets: two full segments and the rest, pushed; every second one is acknowledged at once."""
    made = up()
    made.near.send(b"x" * 3000, made.network.now)
    made.settle()
    assert made.network.lines() == ["> A 1448", "> A 1448", "< A", "> PA 104", "< A"]
    assert received(made.far) == b"x" * 3000


def test_nagle_holds_small_segments_back() -> None:
    """The first goes at once; what comes while it is under way goes together."""
    made = up()
    for octet in b"abcde":
        made.near.send(bytes([octet]), made.network.now)
        made.network.run(MS)
    made.settle()
    assert made.network.lines() == ["> PA 1", "< A", "> PA 4", "< A"]
    assert received(made.far) == b"abcde"


def test_nagle_can_be_off() -> None:
    """Each goes at once."""
    made = up()
    made.near.nodelay = True
    for octet in b"abcde":
        made.near.send(bytes([octet]), made.network.now)
        made.network.run(MS)
    made.settle()
    assert [line for line in made.network.lines() if line.startswith(">")] == ["> PA 1"] * 5


def test_an_ack_waits_for_a_second_segment_or_its_time() -> None:
    """One small segment: its ACK comes after the delay."""
    made = up(ack_delay=70 * MS)
    made.near.send(b"x", made.network.now)
    made.settle()
    first, second = made.network.log
    assert second.time - first.time == 75 * MS


def test_an_answer_carries_the_ack() -> None:
    """The program answers at once: no segment of its own for the ACK."""
    made = up()
    made.near.send(b"ping", made.network.now)
    made.network.run(until=lambda: bool(told(made.far, Data)))
    made.far.send(b"pong", made.network.now)
    made.settle()
    assert made.network.lines() == ["> PA 4", "< PA 4", "> A"]


def test_out_of_order_data_is_acknowledged_at_once_and_told() -> None:
    """A duplicate ACK with SACK for each (RFC 5681 section 4.2, RFC 2018); the hole's filling, too."""
    made = up()
    far, now = made.far, made.network.now
    base = far.inbound.next & 0xFFFFFFFF
    for seq in (10, 30, 20):
        (answer,) = give(made.server, far, craft(far, "A", seq=seq, data=b"x" * 5), now)
        assert answer.ack.value == base
        sack = answer.options[-1]
        assert sack.kind == 5
        assert sack.values[:2] == (base + seq, base + seq + 5)
    assert len(sack.values) == 6
    (answer,) = give(made.server, far, craft(far, "A", data=b"y" * 10), now)
    assert answer.ack.value == base + 15
    assert [option.kind for option in answer.options].count(5) == 1


def test_a_closed_window_is_probed() -> None:
    """One octet at a time, ever more rarely, with no end as long as the peer answers (RFC 9293 section 3.8.6.1)."""
    made = pair(settings=Settings(retries=3), server_settings=Settings(receive_buffer=5000))
    made.settle()
    made.near.send(b"x" * 20_000, made.network.now)
    made.network.run(900 * SECOND)
    far = made.far
    assert len(received(far)) == 5000
    probes = [seen for seen in made.network.log if seen.from_client and seen.facts.length == 1]
    assert len(probes) > 9
    gaps = [after.time - before.time for before, after in pairwise(probes)]
    for one, following in pairwise(gaps):
        assert following in (2 * one, 120 * SECOND)
    answers = [seen for seen in made.network.log if not seen.from_client and seen.time > probes[0].time]
    assert {seen.facts.window for seen in answers} == {0}
    for step in range(40):
        far.consumed(far.held, made.network.now)
        made.network.run(SECOND)
        assert step < 39
        if len(received(far)) == 20_000:
            break


def test_an_opened_window_is_told_at_once() -> None:
    """The program takes what was held: a window update, and data flows again without a probe."""
    made = pair(server_settings=Settings(receive_buffer=5000))
    made.settle()
    far = made.far
    made.near.send(b"x" * 10_000, made.network.now)
    made.network.run(100 * MS)
    made.network.log.clear()
    far.consumed(5000, made.network.now)
    made.network.run(100 * MS)
    assert made.network.lines()[0] == "< A"
    assert len(received(far)) > 8_000


def test_the_window_does_not_open_in_small_steps() -> None:
    """Silly windows: a program that takes an octet at a time moves the edge by segments (section 3.8.6.2.2)."""
    made = pair(settings=Settings(rto_min=10 * SECOND), server_settings=Settings(receive_buffer=8000))
    made.settle()
    far = made.far
    made.near.send(b"x" * 60_000, made.network.now)
    made.network.run(100 * MS)
    for _ in range(3000):
        far.consumed(5, made.network.now)
        made.network.run(MS)
    sizes = [seen.facts.length for seen in made.network.log if seen.from_client and seen.facts.length > 1]
    assert len(sizes) > 12
    assert min(sizes) >= 1000


def test_a_peer_without_room_for_a_segment_gets_less() -> None:
    """A window that stays smaller than a segment and than half of what it was: sent when time is up."""
    made = up()
    near, now = made.near, made.network.now
    made.network.cut.add(SERVER)
    near.send(b"x" * 1000, now)
    near.outbound.window = 100
    near.outbound.widest = 60_000
    assert made.client.take() == []
    made.network.run(SECOND)
    assert [seen.facts.length for seen in made.network.log][:1] == [100]


def test_the_timeout_doubles_and_returns() -> None:
    """200 ms, 400, 800, …; a measured round trip sets it right again (RFC 6298 sections 5.5, 5.7)."""
    made = up()
    made.network.cut.add(SERVER)
    made.near.send(b"x", made.network.now)
    made.network.run(3 * SECOND)
    times = [seen.time for seen in made.network.log]
    assert [(time - times[0]) // (100 * MS) for time in times] == [0, 2, 6, 14, 30][: len(times)]
    made.network.cut.clear()
    made.network.run(10 * SECOND)
    made.near.send(b"y", made.network.now)
    made.network.run(SECOND)
    assert made.near.rto == 200 * MS
    assert received(made.far) == b"xy"


def test_karn() -> None:
    """Without timestamps what was sent twice measures nothing."""
    made = up(timestamps=False, ack_delay=0)
    before = made.near.srtt
    made.network.drop("PA")
    made.near.send(b"x", made.network.now)
    made.network.run(5 * SECOND)
    assert made.near.srtt == before
    assert made.near.rto > 300 * MS
    made.near.send(b"y", made.network.now)
    made.network.run(5 * SECOND)
    assert made.near.rto == 200 * MS


def test_the_send_buffer_is_bounded() -> None:
    """A part is taken, then EAGAIN, then room again."""
    made = up(send_buffer=1000)
    now = made.network.now
    assert made.near.send(b"x" * 700, now) == 700
    assert made.near.send(b"x" * 700, now) == 300
    assert made.near.room == 0
    with pytest.raises(TcpError, match="EAGAIN") as error:
        made.near.send(b"x", now)
    assert error.value.errno == "EAGAIN"
    made.settle()
    assert made.near.room == 1000
    assert made.near.unacknowledged == made.near.queued == 0


def test_urgent_data() -> None:
    """URG points behind the octet (RFC 6093); it comes in line, the mark is told once."""
    made = up()
    made.near.send(b"abc", made.network.now, urgent=True)
    made.near.send(b"def", made.network.now)
    made.settle()
    first = made.network.log[0].facts
    assert (first.flags, first.urgent) == ("PAU", 3)
    assert received(made.far) == b"abcdef"
    assert [event.mark for event in told(made.far, Urgent)] == [3]


def test_urgent_data_is_told_before_it_can_come() -> None:
    """Behind a megabyte that the window holds back, the mark is known with the first segment."""
    made = up(receive_buffer=5000)
    made.near.send(b"x" * 9_000, made.network.now, urgent=True)
    made.network.run(100 * MS)
    assert [event.mark for event in told(made.far, Urgent)] == [9_000]
    assert len(received(made.far)) <= 5000


def test_events_of_small_segments_are_put_together() -> None:
    """A program that does not look is not buried under events."""
    made = up()
    far, now = made.far, made.network.now
    for _ in range(5000):
        give(made.server, far, craft(far, "PA", data=b"z"), now)
    assert len(received(far)) == 5000
    assert len(far.events) < 20


def test_no_answer_to_a_probe_is_an_end_too() -> None:
    """The window is closed, and the peer vanishes."""
    made = pair(settings=Settings(retries=3), server_settings=Settings(receive_buffer=2000))
    made.settle()
    made.near.send(b"x" * 9000, made.network.now)
    made.network.run(SECOND)
    made.network.cut.add(CLIENT)
    made.network.run(900 * SECOND)
    assert [event.errno for event in told(made.near, Down)] == ["ETIMEDOUT"]
    assert state(made.near) is TcpState.CLOSED


def test_a_fin_waits_for_the_window() -> None:
    """Closed window: the FIN follows once there is room."""
    made = pair(Network(delay=MS), server_settings=Settings(receive_buffer=3000))
    made.settle()
    made.near.send(b"x" * 3000, made.network.now)
    made.near.shutdown(made.network.now)
    made.network.run(5 * SECOND)
    far = made.far
    assert state(far) is TcpState.ESTABLISHED
    assert not [line for line in made.network.lines() if "F" in line and not line.endswith("FA")]
    assert len([line for line in made.network.lines() if "F" in line]) <= 4, "probes alone"
    far.consumed(3000, made.network.now)
    made.network.run(5 * SECOND)
    assert state(far) is TcpState.CLOSE_WAIT
    assert state(made.near) is TcpState.FIN_WAIT_2


def test_a_fin_beyond_the_window_is_not_sent() -> None:
    """It takes up a number: with room for the data alone it stays behind."""
    made = up()
    near = made.near
    give(made.client, near, craft(near, "A", window=10), made.network.now)
    near.send(b"x" * (10 << near.outbound.shift), made.network.now)
    near.shutdown(made.network.now)
    (segment,) = (facts(out) for out in made.client.take())
    assert (segment.flags, segment.length) == ("PA", 160)
    answer = give(made.client, near, craft(near, "A", ack=160, window=10), made.network.now)
    assert [segment.flags for segment in answer] == ["FA"]


def test_a_small_step_does_not_move_the_edge() -> None:
    """The program takes little: the window told stays where its edge was, until a segment has room."""
    made = up(receive_buffer=8000, ack_every=1)
    far, now = made.far, made.network.now
    edge = far.inbound.edge
    for _ in range(14):
        give(made.server, far, craft(far, "A", data=b"x" * 100), now)
        far.consumed(100, now)
        assert far.inbound.edge == edge
    give(made.server, far, craft(far, "A", data=b"x" * 100), now)
    far.consumed(100, now)
    (answer,) = give(made.server, far, craft(far, "A", data=b"x"), now)
    assert far.inbound.edge == edge + 1500 == far.inbound.next + answer.window + far.held - 1


def test_a_wide_window_is_not_told_again() -> None:
    """The program takes what came at once: no ACK but that of the data."""
    made = up()
    far, now = made.far, made.network.now
    for step in range(100):
        give(made.server, far, craft(far, "A", data=b"x" * 1448), now)
        far.consumed(1448, now)
        assert len(made.server.take()) == (step == 0), "once, since a SYN-ACK's window is small"


def test_an_ack_of_something_restarts_the_timer() -> None:
    """RFC 6298 section 5.3; the ACK of all stops it (5.2)."""
    made = up()
    near = made.near
    made.network.cut.add(SERVER)
    near.send(b"x" * 2896, made.network.now)
    made.network.run(150 * MS)
    give(made.client, near, craft(near, "A", ack=1448), made.network.now)
    assert near.outbound.timer.due == made.network.now + near.rto
    give(made.client, near, craft(near, "A", ack=1448), made.network.now)
    assert near.outbound.timer.due is None


def test_an_octet_that_was_a_probe_measures_nothing() -> None:
    """What was sent as a probe is sent twice (Karn)."""
    made = up()
    near = made.near
    give(made.client, near, craft(near, "A", window=0), made.network.now)
    made.network.cut.add(SERVER)
    near.send(b"x" * 1000, made.network.now)
    made.network.run(SECOND // 2)
    assert near.unacknowledged == 1
    (segment,) = give(made.client, near, craft(near, "A", window=1000), made.network.now)
    assert segment.length == 1000
    assert near.outbound.timed is None


def test_probes_of_another_closed_window_begin_anew() -> None:
    """The wait doubles for as long as one window stays closed."""
    made = up()
    near, out = made.near, made.near.outbound
    made.network.cut.add(SERVER)
    give(made.client, near, craft(near, "A", window=0), made.network.now)
    near.send(b"x" * 6000, made.network.now)
    made.network.run(5 * SECOND)
    assert out.probes > 2
    give(made.client, near, craft(near, "A", window=181), made.network.now)
    give(made.client, near, craft(near, "A", ack=2896, window=0), made.network.now)
    assert out.persist.due == made.network.now + near.rto


def test_an_ack_bears_the_highest_number() -> None:
    """After a timeout, too, when sending goes back: else the peer would take it for old (as in BSD)."""
    made = up()
    near = made.near
    made.network.cut.add(SERVER)
    near.send(b"x" * 4000, made.network.now)
    made.network.run(500 * MS)
    assert near.outbound.nxt < near.outbound.highest
    (answer,) = give(made.client, near, craft(near, "A", seq=5, data=b"y"), made.network.now)
    assert answer.seq.value == near.outbound.highest & 0xFFFFFFFF


def test_an_ack_beside_a_probe_does_not() -> None:
    """The peer did not take the octet of the probe: with its number an ACK would lie outside of the window."""
    made = up()
    near = made.near
    give(made.client, near, craft(near, "A", window=0), made.network.now)
    made.network.cut.add(SERVER)
    near.send(b"x" * 1000, made.network.now)
    made.network.run(SECOND // 2)
    (answer,) = give(made.client, near, craft(near, "A", seq=5, data=b"y", window=0), made.network.now)
    assert answer.seq.value == near.outbound.una & 0xFFFFFFFF
