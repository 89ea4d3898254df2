"""What is told while packets come is what is told when all have come, or less; and it needs no more memory for more."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rawlab import store
from rawlab.attribution import following
from rawlab.attribution.following import Follower
from rawlab.attribution.telling import tell
from rawlab.model.event import Frame
from rawlab.model.story import Packet
from rawlab.model.timeline import Host, Point, Timeline
from rawlab.views.rows import words
from rawlab.wire.decode import decode
from tests.live import runs

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
ONE = (Point(name="eth0", linktype=1),)
FORESEEN = ("which packet", "its entry had aged", "fragment ")
"what came later tells: of an ARP request, what was still on the way; of a fragment, its datagram"


HINDSIGHT = {("CLOSE-WAIT", "ESTABLISHED"), ("SHUTDOWN-RECEIVED", "ESTABLISHED"), ("ESTABLISHED", "SYN-SENT")}
"(told as it comes, told of the whole): what seemed to have come to an end, and had not, as it shows later"


def followed(timeline: Timeline) -> list[Packet]:
    follower = Follower(timeline.points, timeline.hosts, decode)
    seen = (follower.see(frame) for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns))
    return [packet for packet in seen if packet is not None]


def without_calls(timeline: Timeline, *, one_end: bool) -> Timeline:
    """As a capture that was made beside the programs: at both ends of the wire, or at one, on some interface."""
    timeline = replace(timeline, calls=(), run=replace(timeline.run, stack=None))
    if not one_end:
        return timeline
    points = tuple(replace(point, host=None) for point in timeline.points[:1])
    return replace(
        timeline, points=points, hosts=(), frames=tuple(frame for frame in timeline.frames if frame.point == 0)
    )


@pytest.mark.parametrize("one_end", [True, False], ids=["one end", "both ends"])
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_capture_is_told_as_it_comes(path: Path, one_end: bool) -> None:
    """Each packet's words, relative numbers, cause and states, which are told of whoever has spoken."""
    timeline = without_calls(store.load(path), one_end=one_end)
    whole = tell(timeline, decode).packets
    live = followed(timeline)
    assert [words(packet, addresses=True) for packet in live] == [words(packet, addresses=True) for packet in whole]
    for packet, told in zip(live, whole, strict=True):
        if one_end:  # who is client and who server, and whether anyone is, only the whole capture tells
            pairs = [(state, then) for (_, state), (_, then) in zip(packet.states, told.states, strict=True)]
            assert all(state == then or (state, then) in HINDSIGHT for state, then in pairs), packet
        else:
            assert packet.sender == told.sender
            assert packet.states == told.states, packet
        if not any(words in told.cause.reason for words in FORESEEN):
            assert told.cause.reason.startswith(packet.cause.reason)  # what became of it, comes later
            assert replace(packet.cause, reason="") == replace(told.cause, reason="")


def test_a_state_is_told_of_who_has_spoken() -> None:
    """A SYN does not say whether anyone listens."""
    timeline = without_calls(store.load(CAPTURES[0].with_name("tcp-refused.pcapng")), one_end=True)
    syn, rst = (packet for packet in followed(timeline) if "[" in words(packet))
    assert dict(syn.states) == {"client": "SYN-SENT", "server": None}
    assert dict(rst.states) == {"client": "CLOSED", "server": "CLOSED"}


# ------------------------------------------------------------------------------------------- the window


def frames(packets: Iterator[bytes]) -> Iterator[Frame]:
    for n, data in enumerate(packets, 1):
        yield Frame(number=n, at_ns=n * 1000, point=0, outgoing=None, data=data, length=len(data))


def segment(sport: int, dport: int, flags: int, seq: int, ack: int, payload: int = 0) -> bytes:
    """An Ethernet frame with a TCP segment from 10.0.0.1 to 10.0.0.2, or back where the port is below 1024."""
    ends = (b"\x0a\0\0\x01", b"\x0a\0\0\x02") if sport > 1024 else (b"\x0a\0\0\x02", b"\x0a\0\0\x01")
    ip = b"\x45\0" + (40 + payload).to_bytes(2, "big") + bytes(4) + b"\x40\x06\0\0" + b"".join(ends)
    tcp = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (seq % 2**32).to_bytes(4, "big")
    tcp += (ack % 2**32).to_bytes(4, "big") + bytes((0x50, flags)) + b"\xff\xff" + bytes(4)
    return bytes(12) + b"\x08\0" + ip + tcp + bytes(payload)


SYN, ACK, PUSH_ACK = 2, 16, 24


def transfer(count: int) -> Iterator[bytes]:
    """A connection with many segments of 1,000 octets, each acknowledged; their numbers pass 2^32."""
    start = 2**32 - 500_000
    yield segment(40000, 80, SYN, start, 0)
    yield segment(80, 40000, SYN | ACK, 7, start + 1)
    for n in range(count):
        yield segment(40000, 80, PUSH_ACK, start + 1 + 1000 * n, 8, payload=1000)
        yield segment(80, 40000, ACK, 8, start + 1001 + 1000 * n)


def held(follower: Follower) -> int:
    """How many packets the follower still knows."""
    known = 0
    for connection in follower._connections.values():
        known += len(connection.drafts) + sum(
            len(end.spans) + len(end.brought) + len(end.unacknowledged) for end in connection.ends
        )
    return known


def test_a_long_connection_needs_no_more_memory() -> None:
    """After 20,000 segments as many packets are known as after 1,000, and numbers are still right."""
    follower = Follower(ONE, (), decode)
    sizes, last = [], None
    for frame in frames(transfer(10_000)):
        last = follower.see(frame)
        if frame.number % 2000 == 0:
            sizes.append(held(follower))
    assert max(sizes) < 10 * following.PACKETS
    assert last is not None
    assert last.cause.reason == "acknowledges octets 9999001 to 10000000 (packet 20001), 0.001 ms after it"
    assert follower.forgotten == []


def test_what_falls_out_of_the_window_is_said() -> None:
    """Of more connections than are remembered the oldest is forgotten, and named."""
    follower = Follower(ONE, (), decode)
    ports = range(20_000, 20_000 + following.CONVERSATIONS + 2)
    for frame in frames(segment(port, 80, SYN, 1, 0) for port in ports):
        follower.see(frame)
    why = "fell out of the window: what follows of it counts anew"
    assert [told.endswith(why) for told in follower.forgotten] == [True, True]
    assert "10.0.0.1:20000" in follower.forgotten[0]
    assert len(follower._connections) == following.CONVERSATIONS


def test_what_nobody_acknowledges_is_forgotten_in_the_end() -> None:
    """One direction of a connection alone, and numbers at random."""
    chance = random.Random(runs.seed())
    follower = Follower(ONE, (), decode)
    count = 3 * following.UNACKNOWLEDGED
    for frame in frames(segment(40000, 80, PUSH_ACK, chance.randrange(2**32), 1, payload=10) for _ in range(count)):
        assert follower.see(frame) is not None
    assert len(follower.forgotten) >= 2
    assert held(follower) <= 3 * following.UNACKNOWLEDGED


def test_a_syn_after_a_reset_opens_anew() -> None:
    """Though it has the same number: nothing is sent again."""
    follower = Follower(ONE, (), decode)
    packets = [segment(40000, 80, SYN, 5, 0), segment(80, 40000, 4 | ACK, 0, 6), segment(40000, 80, SYN, 5, 0)]
    told = [packet.cause.reason for frame in frames(iter(packets)) if (packet := follower.see(frame)) is not None]
    assert told[0] == told[2] == "a connect sends SYN"


def test_hostile_packets() -> None:
    """Mutated frames of every capture, 20,000 seeded: each is a packet, none an exception."""
    chance = random.Random(runs.seed())
    real = [bytes(frame.data) for path in CAPTURES for frame in store.load(path).frames]
    points = (Point(name="a", linktype=1, host="a"), Point(name="b", linktype=1, host="b"))
    both, one = Follower(points, (Host(name="a"), Host(name="b")), decode), Follower(ONE, (), decode)
    for n in range(20_000):
        octets = bytearray(chance.choice(real))
        for _ in range(chance.randrange(1, 4)):
            octets[chance.randrange(12, len(octets))] = chance.randrange(256)
        data = bytes(octets[: chance.randrange(len(octets) + 1)] if chance.random() < 0.2 else octets)
        frame = Frame(
            number=n, at_ns=n * 1000, point=0, outgoing=chance.choice((True, False, None)), data=data, length=len(data)
        )
        assert one.see(frame) is not None
        both.see(replace(frame, point=chance.randrange(2)))
    assert one.packets == 20_000
