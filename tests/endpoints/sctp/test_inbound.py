"""What is made of DATA that comes: SACKs and when, the window, streams, order (RFC 9260 sections 6.2, 6.5, 6.6)."""

from __future__ import annotations

import pytest

from rawlab.endpoints.sctp import Association, Message, Settings
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpError, SctpPacket, SctpSack
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from tests.endpoints.sctp.crafted import MS, SECOND, TSN, Crafted, chunk, data, names


def messages(peer: Crafted) -> list[bytes]:
    """What the program was told, and takes at once."""
    found = [event for event in peer.listener.events if isinstance(event, Message)]
    peer.listener.events.clear()
    return [event.data for event in found]


def told(packets: list[SctpPacket]) -> tuple[int, tuple[tuple[int, int], ...], list[int]]:
    """Of the one SACK: how many came without a hole, gaps, duplicates."""
    sack = chunk(packets, m.SACK)
    assert isinstance(sack, SctpSack)
    return (
        (sack.cumulative_tsn.value - TSN + 1) & 0xFFFFFFFF, sack.gaps, [one.value - TSN for one in sack.duplicates]
    )  # fmt: skip


def window(packets: list[SctpPacket]) -> int:
    """The a_rwnd of the one SACK."""
    sack = chunk(packets, m.SACK)
    assert isinstance(sack, SctpSack)
    return sack.a_rwnd


def test_every_second_packet_is_acknowledged_at_once() -> None:
    """The others within 200 ms (section 6.2); the very first at once."""
    peer = Crafted()
    peer.up()
    assert told(peer.send(data(TSN))) == (1, (), [])
    assert peer.send(data(TSN + 1, ssn=1)) == []
    assert told(peer.send(data(TSN + 2, ssn=2))) == (3, (), [])
    assert peer.send(data(TSN + 3, ssn=3)) == []
    assert peer.wait(199 * MS) == []
    assert told(peer.wait(1 * MS)) == (4, (), [])


def test_what_is_told_at_once() -> None:
    """A hole, its filling, a duplicate, and DATA with the flag I."""
    peer = Crafted()
    peer.up().inbound.at_once = False  # the very first is told at once anyway
    assert told(peer.send(data(TSN + 1, ssn=1))) == (0, ((2, 2),), [])
    assert told(peer.send(data(TSN + 4, ssn=4))) == (0, ((2, 2), (5, 5)), [])
    assert told(peer.send(data(TSN + 1, ssn=1))) == (0, ((2, 2), (5, 5)), [1])
    assert told(peer.send(data(TSN))) == (2, ((3, 3),), [])
    assert told(peer.send(data(TSN + 2, ssn=2), data(TSN + 3, ssn=3))) == (5, (), [])
    assert told(peer.send(data(TSN + 5, ssn=5, flags=3 | build.IMMEDIATE))) == (6, (), [])
    assert told(peer.send(data(TSN), data(TSN))) == (6, (), [0, 0])
    assert messages(peer) == [b"x"] * 6


def test_a_hole_in_one_stream_holds_up_no_other() -> None:
    """Head-of-line blocking is within a stream; unordered messages wait for nothing."""
    peer = Crafted()
    peer.up()
    peer.send(data(TSN + 1, b"second of 1", stream=1, ssn=1))
    peer.send(data(TSN + 2, b"first of 2", stream=2))
    peer.send(data(TSN + 3, b"unordered of 1", stream=1, flags=7))
    peer.send(data(TSN + 4, b"third of 1", stream=1, ssn=2))
    assert messages(peer) == [b"first of 2", b"unordered of 1"]
    peer.send(data(TSN, b"first of 1", stream=1))
    assert messages(peer) == [b"first of 1", b"second of 1", b"third of 1"]


def test_a_stream_that_does_not_exist() -> None:
    """ERROR: Invalid Stream Identifier; the TSN is acknowledged, the data is not delivered (section 6.5)."""
    peer = Crafted()
    association = peer.up()
    answers = peer.send(data(TSN, stream=10))
    assert names(answers) == ["ERROR + SACK"]
    error = chunk(answers, m.ERROR)
    assert isinstance(error, SctpError)
    assert [(one.type, one.value) for one in error.causes] == [(1, b"\0\x0a\0\0")]
    assert told(answers)[0] == 1
    assert messages(peer) == []
    assert (association.inbound.held, association.pending) == (0, 0)


def test_data_without_data() -> None:
    """ABORT: No User Data, with the TSN (section 6.2)."""
    peer = Crafted()
    association = peer.up()
    error = chunk(peer.send(data(TSN, b"")), m.ABORT)
    assert isinstance(error, SctpError)
    assert [(one.type, one.value) for one in error.causes] == [(9, TSN.to_bytes(4, "big"))]
    assert association.state is SctpState.CLOSED


@pytest.mark.parametrize(("first", "second"), [
    (data(TSN, flags=2), data(TSN + 1, flags=3, ssn=1)),
    (data(TSN, flags=2), data(TSN + 1, flags=2, ssn=1)),
    (data(TSN, flags=2), data(TSN + 1, flags=1, stream=1)),
    (data(TSN, flags=2), data(TSN + 1, flags=1, ssn=1)),
    (data(TSN, flags=2), data(TSN + 1, flags=5)),
    (data(TSN + 1, flags=2), data(TSN, flags=0)),
    (data(TSN + 1, flags=0), data(TSN, flags=3)),
    (data(TSN), data(TSN + 1)),
    (data(TSN), data(TSN + 1, ssn=0xFFFF)),
])  # fmt: skip
def test_fragments_that_cannot_be_of_one_message(first: bytes, second: bytes) -> None:
    """ABORT: Protocol Violation."""
    peer = Crafted()
    association = peer.up()
    peer.send(first)
    assert "ABORT" in names(peer.send(second))
    assert association.is_over


def fill(peer: Crafted, association: Association, tsn: int, count: int, size: int = 1000) -> list[SctpPacket]:
    """Messages that the program does not take."""
    sent = []
    for at in range(count):
        sent += peer.send(data(TSN + tsn + at, bytes(size), ssn=tsn + at))
    return sent


def test_the_window_closes_and_opens() -> None:
    """It shrinks by what the program does not take; beyond it DATA is dropped; the opening is told."""
    peer = Crafted(Settings(receive_window=4000, sack_frequency=1))
    association = peer.up()
    assert [window([one]) for one in fill(peer, association, 0, 4)] == [3000, 2000, 0, 0]
    probe = peer.send(data(TSN + 4, b"beyond", ssn=4))
    assert (window(probe), told(probe)[0]) == (0, 4)
    association.consumed(1000, peer.now)
    assert peer.answers() == []  # not for a silly little
    association.consumed(1000, peer.now)
    assert window(peer.answers()) == 2000
    association.consumed(2000, peer.now)
    assert window(peer.answers()) == 4000
    assert told(peer.send(data(TSN + 4, b"beyond", ssn=4)))[0] == 5
    assert len(messages(peer)) == 5


def test_what_fills_the_first_hole_is_taken_beyond_the_window() -> None:
    """Else the window would never open again (section 6.2)."""
    peer = Crafted(Settings(receive_window=3000))
    association = peer.up()
    fill(peer, association, 1, 3)
    assert messages(peer) == []
    assert told(peer.send(data(TSN + 4, ssn=4)))[:2] == (0, ((2, 4),))
    assert told(peer.send(data(TSN, bytes(1000))))[:2] == (4, ())
    assert len(messages(peer)) == 4


def test_a_message_longer_than_the_window() -> None:
    """ABORT: Out of Resource, since neither side could ever go on."""
    peer = Crafted(Settings(receive_window=3000))
    association = peer.up()
    answers = []
    for at in range(6):
        if not association.is_over:
            answers = peer.send(data(TSN + at, bytes(1000), flags=2 if at == 0 else 0))
    error = chunk(answers, m.ABORT)
    assert isinstance(error, SctpError)
    assert [one.type for one in error.causes] == [4]


def test_many_small_chunks_do_not_fill_the_memory() -> None:
    """A chunk of one octet is charged what it costs: of 20,000 only some are held, and the window says so."""
    peer = Crafted(Settings(receive_window=100_000))
    association = peer.up()
    for at in range(0, 20_000, 50):
        answers = peer.send(*(data(TSN + 1 + at + n, ssn=1 + at + n & 0x7FFF) for n in range(50)))
    assert window(answers) == 0
    assert association.pending < 2000
    assert association.inbound.held == association.pending


def test_gaps_are_bounded() -> None:
    """Of 2,000 holes some are kept, the rest is as if lost; a SACK fits into its packet."""
    peer = Crafted()
    association = peer.up()
    for at in range(2000):
        answers = peer.send(data(TSN + 1 + 2 * at, flags=7))
    assert len(told(answers)[1]) == peer.host.settings.max_gaps == len(association.inbound.gaps)
    assert peer.octets <= 1480
    far = Crafted()
    far.up()
    assert told(far.send(data(TSN + 70_000, flags=7))) == (0, (), [])  # a gap block could not tell of it


def test_data_is_not_taken_before_or_after_its_time() -> None:
    """Once the peer sent SHUTDOWN, nothing more is expected."""
    peer = Crafted()
    association = peer.up()
    association.send(b"still to be acknowledged", now_ns=peer.now)
    peer.answers()
    peer.send(build.shutdown(peer.peer_tsn - 1))
    assert association.state is SctpState.SHUTDOWN_RECEIVED
    peer.send(data(TSN))
    assert messages(peer) == []


def test_delayed_acknowledgments_stop_with_the_association() -> None:
    """No timer outlives it."""
    peer = Crafted()
    association = peer.up()
    peer.send(data(TSN))
    peer.send(data(TSN + 1, ssn=1))
    association.abort(peer.now)
    assert names(peer.answers()) == ["ABORT"]
    assert peer.host.deadline_ns is None
    assert peer.wait(10 * SECOND) == []
