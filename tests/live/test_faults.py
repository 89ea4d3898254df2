"""Which packets a named fault is about, and what becomes of them; chance with a seed."""

from __future__ import annotations

import socket

import pytest

from rawlab.live.faults import Faults
from rawlab.live.link import Queue
from rawlab.model.faults import Chance, Cut, Delay, Drop, Duplicate, Fault, Reorder
from rawlab.wire import sctp_build as build
from tests.wire.chunks import KINDS
from tests.wire.frames import ethernet, ipv4, ipv6, tcp, udp

SYN, SYN_ACK, DATA, ACK = (
    ethernet(0x0800, ipv4(6, tcp(payload, flags=flags)))
    for payload, flags in ((b"", 2), (b"", 0x12), (b"hello", 0x18), (b"", 0x10))
)
DATAGRAM, EMPTY = ethernet(0x0800, ipv4(17, udp())), ethernet(0x86DD, ipv6(17, udp(b"")))
PING, ARP = ethernet(0x0800, ipv4(1, bytes(8))), ethernet(0x0806, bytes(28))
NEIGHBOUR = ethernet(0x86DD, ipv6(58, bytes([135]) + bytes(23)))
FRAGMENT = ethernet(0x0800, ipv4(17, b"x" * 16, fragment=185))


def sctp(*chunks: str) -> bytes:
    return ethernet(0x0800, ipv4(132, build.packet(40000, 7, 9, [KINDS[chunk] for chunk in chunks])))


ALL = {
    "SYN": SYN,
    "SYN-ACK": SYN_ACK,
    "segment": DATA,
    "ACK": ACK,
    "datagram": DATAGRAM,
    "empty datagram": EMPTY,
    "ping": PING,
    "ARP": ARP,
    "neighbour": NEIGHBOUR,
    "fragment": FRAGMENT,
    "INIT": sctp("INIT"),
    "DATA 1": sctp("COOKIE ECHO", "DATA"),
    "DATA 0": sctp("SACK", "DATA, unordered"),
    "SACK": sctp("SACK"),
    "odd": b"\0",
}


@pytest.mark.parametrize(
    ("fault", "fitting"),
    [
        (Drop(flags="SA"), "SYN-ACK"),
        (Drop(flags="A", way="server>"), ""),
        (Drop(protocol="tcp", data=True), "segment"),
        (Drop(protocol="udp"), "datagram, empty datagram, fragment"),
        (Drop(protocol="icmp"), "ping"),
        (Drop(protocol="icmp6"), "neighbour"),
        (Drop(chunk="DATA"), "DATA 1, DATA 0"),
        (Drop(chunk="DATA", stream=1), "DATA 1"),
        (Drop(chunk="COOKIE ECHO"), "DATA 1"),
        (Drop(stream=0), "DATA 0"),
        (Drop(protocol="sctp"), "INIT, DATA 1, DATA 0, SACK"),
        (Drop(data=True), "segment, datagram, DATA 1, DATA 0"),
        (Drop(path=2), ""),
        (
            Drop(path=1),
            "SYN, SYN-ACK, segment, ACK, datagram, empty datagram, INIT, DATA 1, DATA 0, SACK",
        ),
    ],
)
def test_what_fits(fault: Fault, fitting: str) -> None:
    """All that the fault says must be true: protocol, flags, chunks, stream, data, path, way."""
    lost = [name for name, frame in ALL.items() if not Faults([fault]).passage("client>", 1, frame).copies]
    assert ", ".join(lost) == fitting


def outcomes(*faults: Fault | Chance, frames: list[bytes], path: int = 1) -> list[tuple[int, int, int]]:
    wire = Faults(faults)
    passages = [wire.passage("client>", path, frame) for frame in frames]
    return [(passage.copies, passage.late_ms, passage.behind_ms) for passage in passages]


def test_a_fault_counts_what_fits_it() -> None:
    """The second of those that fit, or with number 0 each; others are not counted."""
    frames = [DATAGRAM, SYN, DATAGRAM, DATAGRAM]
    kept, lost = (1, 0, 0), (0, 0, 0)
    assert outcomes(Drop(protocol="udp", number=2), frames=frames) == [kept, kept, lost, kept]
    assert outcomes(Drop(protocol="udp", number=0), frames=frames) == [lost, kept, lost, lost]
    assert outcomes(Drop(flags="S"), Drop(protocol="udp", number=3), frames=frames) == [kept, lost, kept, lost]


def test_what_faults_do() -> None:
    """Twice, late, behind the next; more than one fault of a packet add up, and a lost one is lost."""
    assert outcomes(Duplicate(), frames=[DATA, DATA]) == [(2, 0, 0), (1, 0, 0)]
    assert outcomes(Delay(ms=30), Duplicate(), frames=[DATA]) == [(2, 30, 0)]
    assert outcomes(Reorder(), frames=[DATA]) == [(1, 0, 200)]
    assert outcomes(Reorder(ms=5), Drop(), frames=[DATA]) == [(0, 0, 5)]


def test_a_cut_path_is_dead_both_ways() -> None:
    """The packet that is named passes still, then nothing does, be it ARP; the other path lives."""
    wire = Faults([Cut(path=1, protocol="udp", number=2)])
    assert [wire.passage("client>", 1, frame).copies for frame in (DATAGRAM, SYN, DATAGRAM, SYN, ARP)] == [
        1,
        1,
        1,
        0,
        0,
    ]
    assert wire.passage("server>", 1, DATAGRAM).copies == 0
    assert wire.passage("client>", 2, DATAGRAM).copies == 1
    wire = Faults([Cut(protocol="udp")])
    assert [wire.passage("client>", path, DATAGRAM).copies for path in (2, 1, 2)] == [1, 0, 0]


def test_chance_is_the_same_for_the_same_seed() -> None:
    """Per cent of the packets, by the seed; ARP and neighbour discovery are spared, fragments are not."""
    chance = Chance(seed=7, drop=20, duplicate=10, reorder=10)
    fates = outcomes(chance, frames=[DATAGRAM] * 1000)
    assert fates == outcomes(chance, frames=[DATAGRAM] * 1000)
    assert fates != outcomes(Chance(seed=8, drop=20, duplicate=10, reorder=10), frames=[DATAGRAM] * 1000)
    assert 150 < sum(copies == 0 for copies, _, _ in fates) < 250
    assert 50 < sum(copies == 2 for copies, _, _ in fates) < 150
    assert 50 < sum(behind > 0 for _, _, behind in fates) < 150
    assert outcomes(Chance(seed=7, drop=100), frames=[ARP, NEIGHBOUR, FRAGMENT, SYN]) == [
        (1, 0, 0),
        (1, 0, 0),
        (0, 0, 0),
        (0, 0, 0),
    ]


def test_one_ways_chance_does_not_move_the_others() -> None:
    """What comes back in between does not change what is lost on the way there."""
    alone, between = Faults([Chance(seed=7, drop=50)]), Faults([Chance(seed=7, drop=50)])
    for _ in range(50):
        between.passage("server>", 1, DATAGRAM)
        assert between.passage("client>", 1, DATAGRAM).copies == alone.passage("client>", 1, DATAGRAM).copies


# ---- the queue of the relay


@pytest.fixture
def ends() -> list[socket.socket]:
    """Two places to go to; nothing is sent there."""
    made = list(socket.socketpair())
    for end in made:
        end.close()
    return made


def test_frames_leave_in_their_time_and_order(ends: list[socket.socket]) -> None:
    """What is due earlier first; of the same time, what came first."""
    queue = Queue()
    for at, frame in ((2.0, b"late"), (1.0, b"a"), (1.0, b"b")):
        queue.put(at, ends[0], frame)
    assert queue.patience(0.5) == 0.5
    assert [frame for _, frame in queue.due(1.5)] == [b"a", b"b"]
    assert [frame for _, frame in queue.due(2.0)] == [b"late"]
    assert queue.patience(2.0) is None


def test_a_reordered_frame_leaves_behind_the_next_that_goes_there(ends: list[socket.socket]) -> None:
    """One that goes elsewhere does not count; without a next one it leaves when it has waited long enough."""
    queue = Queue()
    queue.put(1.0, ends[0], b"first", 0.2)
    queue.put(1.0, ends[1], b"elsewhere")
    assert [frame for _, frame in queue.due(1.1)] == [b"elsewhere"]
    queue.put(1.1, ends[0], b"second")
    assert [frame for _, frame in queue.due(1.1)] == [b"second", b"first"]
    queue.put(2.0, ends[0], b"alone", 0.2)
    assert list(queue.due(2.1)) == []
    assert queue.patience(2.0) == pytest.approx(0.2)
    assert [frame for _, frame in queue.due(2.2)] == [b"alone"]
