"""SCTP packets in tcpdump's words: what they look like, that they can be read again, the short form for tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.facts import Facts
from rawlab.model.serial import Serial
from rawlab.wire import sctp_build as build
from rawlab.wire.decode import decode
from rawlab.wire.packets import brief, carried, format_packet, parse_packet, summary
from tests.wire.chunks import KINDS, NUMBERS, PACKETS
from tests.wire.frames import ipv4


def facts(*chunks: bytes) -> Facts:
    return decode(ipv4(132, build.packet(40000, 7, 9, chunks)), 101)


ADDRESSED = "IP 10.0.0.1.40000 > 10.0.0.2.7: "
LINES = [
    (["INIT"], "sctp (1) [INIT] [init tag: 439041101] [rwnd: 106496] [OS: 10] [MIS: 65535] [init TSN: 4294967295]"),
    (["DATA"], "sctp (1) [DATA] (B)(E) [TSN: 4294967294] [SID: 1] [SSEQ 2] [PPID 0x0] [len 5]"),
    (["DATA, unordered"], "sctp (1) [DATA] (I)(U)(B)(E) [TSN: 7] [SID: 0] [SSEQ 0] [PPID 0x3e8] [len 4]"),
    (["I-DATA"], "sctp (1) [I-DATA] (B) [TSN: 7] [SID: 1] [MID: 70000] [PPID 0x3e8] [len 5]"),
    (["I-DATA, end"], "sctp (1) [I-DATA] (E) [TSN: 8] [SID: 1] [MID: 70000] [FSN: 1] [len 5]"),
    (
        ["SACK, gaps"],
        "sctp (1) [SACK] [cum ack 4294967294] [a_rwnd 1000] [#gap acks 2] [#dup tsns 2] "
        "[gap ack block #1: start = 0, end = 1] [gap ack block #2: start = 3, end = 3] "
        "[dup TSN #1: 1] [dup TSN #2: 4294967295]",
    ),
    (["ABORT"], "sctp (1) [ABORT] [cause: User-Initiated Abort]"),
    (["ABORT, reflected"], "sctp (1) [ABORT] (T)"),
    (["SHUTDOWN"], "sctp (1) [SHUTDOWN] [cum ack 9]"),
    (["ERROR"], "sctp (1) [OP ERR] [cause: Stale Cookie] [cause: Invalid Stream Identifier]"),
    (["HEARTBEAT"], "sctp (1) [HB REQ]"),
    (["ASCONF"], "sctp (1) [ASCONF] [SEQ: 4294967295] [param: IPv4 Address] [param: Add IP Address]"),
    (["FORWARD-TSN"], "sctp (1) [FOR CUM TSN] [TSN: 9]"),
    (["unknown"], "sctp (1) [Unknown chunk type: 0x3f]"),
    (
        ["COOKIE ACK", "SACK", "SHUTDOWN ACK"],
        "sctp (1) [COOKIE ACK], (2) [SACK] [cum ack 4] [a_rwnd 0] [#gap acks 0] [#dup tsns 0], (3) [SHUTDOWN ACK]",
    ),
    ([], "sctp"),
]


@pytest.mark.parametrize(("names", "line"), LINES, ids=[" ".join(names) for names, _ in LINES])
def test_lines(names: list[str], line: str) -> None:
    """What a packet looks like, and that it is read again."""
    told = facts(*(KINDS[name] for name in names))
    assert format_packet(told) == ADDRESSED + line
    assert parse_packet(ADDRESSED + line) == carried(told)


BRIEF = [
    (["INIT"], "[INIT] tag 1a2b3c4d, streams 10/65535, addresses 10.0.0.1 fd00::1"),
    (["DATA"], "[DATA BE] TSN 0, sid 1, ssn 2, len 5"),
    (["DATA, unordered"], "[DATA IUBE] TSN 9, sid 0, ppid 1000, len 4"),
    (["I-DATA, end"], "[I-DATA E] TSN 10, sid 1, mid 70000, fsn 1, len 5"),
    (["SACK"], "[SACK] ack -1, win 0"),
    (["SACK, gaps"], "[SACK] ack -7, gaps -5--4 -2, dups -4 -6, win 1000"),
    (["SHUTDOWN"], "[SHUTDOWN] ack 4"),
    (["ABORT"], "[ABORT] tag 00000009 User-Initiated Abort 'enough'"),
    (["ABORT, reflected"], "[ABORT T] tag 00000009"),
    (["ERROR"], "[ERROR] Stale Cookie, Invalid Stream Identifier"),
    (["HEARTBEAT ACK"], "[HEARTBEAT ACK]"),
    (["RE-CONFIG"], "[RE-CONFIG] Outgoing SSN Reset Request"),
    (["ASCONF-ACK"], "[ASCONF-ACK] seq 5: Success Indication"),
    (["FORWARD-TSN"], "[FORWARD-TSN] TSN 11"),
    (["unknown"], "[chunk-63]"),
    (["COOKIE ECHO", "DATA"], "[COOKIE ECHO] [DATA BE] TSN 0, sid 1, ssn 2, len 5"),
    (["DATA", "DATA", "SACK"], "[2×DATA BE] TSN 0, sid 1, len 10 [SACK] ack -1, win 0"),
    (["SACK, gaps", "SHUTDOWN"], "[SACK] ack -7, gaps -5--4 -2, dups -4 -6 [SHUTDOWN] ack 4"),
    (["DATA", "DATA, middle"], "[2×DATA] TSN 0 9, sid 1 65535, len 6"),
    ([], "[SCTP: no chunk]"),
]


@pytest.mark.parametrize(("names", "text"), BRIEF, ids=[" ".join(names) for names, _ in BRIEF])
def test_brief_is_for_tables(names: list[str], text: str) -> None:
    """TSNs count from the initial TSNs; what was acknowledged before any data is -1."""
    told = facts(*(KINDS[name] for name in names))
    assert brief(told, seq_base=Serial(0xFFFFFFFE), ack_base=Serial(5)) == text


def test_brief_gives_the_first_few_of_many() -> None:
    """Gaps, duplicates, streams: a table's column is no place for hundreds."""
    told = facts(build.sack(0, 9, [(2 * n, 2 * n) for n in range(1, 100)], range(7)))
    assert brief(told) == "[SACK] ack 0, gaps 2 4 6 8 …, dups 0 1 2 3 …, win 9"
    told = facts(*(build.data(n, 2 * n, 0, 0, 3, b"x") for n in range(9)))
    assert brief(told) == "[9×DATA BE] TSN 0-8, sid 0 2 4 6 …, len 9"


@given(octets=PACKETS, bases=st.tuples(NUMBERS, NUMBERS) | st.none())
def test_packets_are_read_as_they_were_written(octets: bytes, bases: tuple[int, int] | None) -> None:
    """Any packet, with absolute TSNs and with any bases."""
    told = decode(ipv4(132, octets), 101)
    seq, ack = map(Serial, bases) if bases else (None, None)
    line = format_packet(told, seq_base=seq, ack_base=ack)
    assert parse_packet(line, seq_base=seq, ack_base=ack) == carried(told)


def test_relative_tsns_lie_on_the_circle() -> None:
    """The first DATA is TSN 0, as in Wireshark; one acknowledged before it is one less."""
    told = facts(KINDS["DATA"], KINDS["SACK"])
    line = summary(told, seq_base=Serial(0xFFFFFFFD), ack_base=Serial(5))
    assert "[TSN: 1]" in line
    assert "[cum ack 4294967295]" in line


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("sctp (1) [SACKS]", "column 42: expected a chunk's name, as '[SACK]', came '[SACKS]'"),
        ("sctp (1) SACK", "column 42: expected a chunk, as '[SACK]', came 'SACK'"),
        ("sctp (1) [SACK] [cum ack x]", "expected ' [cum ack ' and a number"),
        ("sctp (1) [ABORT] [cause: Bad luck]", "expected a cause's name"),
        ("sctp (1) [DATA] [TSN: 1] [SID: 70000]", "expected a number below 65536"),
        ("sctp (1) [COOKIE ACK], (3) [COOKIE ACK]", "expected the end, came ', (3)"),
    ],
)
def test_what_is_no_packet_says_where(line: str, reason: str) -> None:
    """The column, what was expected, what came."""
    with pytest.raises(ValueError, match="at column") as error:
        parse_packet(ADDRESSED + line)
    assert reason in str(error.value)
