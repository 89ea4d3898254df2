"""Captures without calls, phenomenon by phenomenon: scripted segments as one point of observation sees them.

A line of a script is `sender milliseconds segment`, as in `ladder`; each test says what the story must say of a packet.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from rawlab.attribution.telling import tell
from rawlab.model.event import Frame
from rawlab.model.story import Packet, Story
from rawlab.model.timeline import Point, Run, Timeline
from rawlab.views.style import Style
from rawlab.views.summary import summary
from rawlab.views.table import timeline
from rawlab.wire.decode import decode

ADDRESSES = {"client": b"\x0a\0\0\x01", "server": b"\x0a\0\0\x02"}
PORTS = {"client": 40000, "server": 80}
ISN = {"client": 2**32 - 3, "server": 7000}  # the client's stream crosses 2^32
BITS = {letter: 1 << place for place, letter in enumerate("FSRP.UEW")}
_LINE = re.compile(
    r"(?P<who>client|server) +(?P<ms>[\d.]+) +\[(?P<flags>[A-Z.]+)\](?: seq (?P<seq>-?\d+))?(?: len (?P<len>\d+))?"
    r"(?: ack (?P<ack>-?\d+))?(?: win (?P<win>\d+))?(?: id (?P<id>\d+))?(?: ttl (?P<ttl>\d+))?"
    r"(?: opts (?P<opts>[0-9a-f]+))?(?P<pad> pad)?(?P<bad> bad)?"
)
MSS, SCALED = "020405b4", "020405b40402080a000000010000000001030307"
OPEN = f"""
client 0 [S] seq 0 opts {MSS}
server 20 [S.] seq 0 ack 1 opts {MSS}
client 20.1 [.] seq 1 ack 1
"""


def total(octets: bytes) -> int:
    """The Internet checksum's sum (RFC 1071)."""
    value: int = sum(struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2)))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def packet_of(found: re.Match[str], number: int) -> bytes:
    """The frame that a line describes, Ethernet and IPv4, checksums right unless it says 'bad'."""
    who = found["who"]
    other = "server" if who == "client" else "client"
    options, payload = bytes.fromhex(found["opts"] or ""), b"x" * int(found["len"] or 0)
    options += bytes(-len(options) % 4)
    seq = (ISN[who] + int(found["seq"] or 0)) % 2**32
    ack = (ISN[other] + int(found["ack"])) % 2**32 if found["ack"] else 0
    flags = sum(BITS[letter] for letter in found["flags"])
    tcp = struct.pack("!HHIIBBHHH", PORTS[who], PORTS[other], seq, ack, (5 + len(options) // 4) << 4, flags,
                      int(found["win"] or 500), 0, 0) + options + payload
    ends = ADDRESSES[who] + ADDRESSES[other]
    check = 0xFFFF - total(ends + struct.pack("!HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", check ^ bool(found["bad"])) + tcp[18:]
    identification, ttl = int(found["id"] or number), int(found["ttl"] or 64)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), identification, 0x4000, ttl, 6, 0)
    frame = bytes(12) + b"\x08\0" + ip + ends + tcp
    return frame.ljust(60, b"\0") if found["pad"] else frame


def captured(script: str, *, snaplen: int = 65535) -> Story:
    """The story of a script's frames, in the order of its lines."""
    frames = []
    for number, line in enumerate((line for line in script.splitlines() if line.strip()), 1):
        found = _LINE.fullmatch(line.strip())
        assert found, line
        data = packet_of(found, number)
        frames.append(
            Frame(number=number, at_ns=int(float(found["ms"]) * 1e6), point=0, outgoing=None, data=data[:snaplen],
                  length=len(data))
        )
    points = (Point(name="eth0", linktype=1),)
    return tell(Timeline(run=Run(), hosts=(), points=points, calls=(), frames=tuple(frames)), decode)


def reason(story: Story, n: int) -> str:
    return story.packets[n - 1].cause.reason


def states(packet: Packet) -> Sequence[str | None]:
    return [state for _, state in packet.states]


PHENOMENA = {
    "options are offered": (
        f"client 0 [S] seq 0 opts {SCALED}", 1, "offers window scale (times 128), SACK and timestamps",
    ),
    "options are declined": (
        f"client 0 [S] seq 0 opts {SCALED}\nserver 1 [S.] seq 0 ack 1 opts {MSS}",
        2, "takes segments of at most 1460 octets (MSS), declines window scale, SACK and timestamps",
    ),
    "ECN is offered": (f"client 0 [SEW] seq 0 opts {MSS}", 1, "offers ECN"),
    "ECN is taken": (
        f"client 0 [SEW] seq 0 opts {MSS}\nserver 1 [SE.] seq 0 ack 1 opts {MSS}", 2, "agrees to ECN",
    ),
    "a cookie is asked for": (f"client 0 [S] seq 0 opts {MSS}22020101", 1, "asks for a Fast Open cookie"),
    "data on SYN": ("client 0 [S] seq 0 len 5", 1, "carries 5 octets at once (Fast Open, RFC 7413)"),
    "the handshake's time": (OPEN, 3, "after 0.100 ms, the last of three steps: the connection is established; "
                             "the handshake took 20.100 ms"),
    "an RTT": (OPEN + "client 30 [P.] seq 1 len 10 ack 1\nserver 52 [.] seq 1 ack 11", 5,
               "acknowledges octets 1 to 10 (packet 4), 22.000 ms after it"),
    "SYN again": (
        "client 0 [S] seq 0\nclient 1000 [S] seq 0", 2, "SYN again: packet 1 was not acknowledged for 1.000 s: the",
    ),
    "SYN again after a refusal": (
        "client 0 [S] seq 0\nserver 1 [R.] seq 0 ack 1\nclient 500 [S] seq 0", 3,
        "SYN again, though packet 2 refused it",
    ),
    "a timer": (
        OPEN + "client 30 [P.] seq 1 len 10 ack 1\nclient 330 [P.] seq 1 len 10 ack 1", 5,
        "octets 1 to 10 again, as in packet 4: not acknowledged for 300.000 ms: the retransmission timer ran out",
    ),
    "a timer, again": (
        OPEN + "".join(f"client {at} [P.] seq 1 len 10 ack 1\n" for at in (30, 330, 930)), 6,
        "not acknowledged for 600.000 ms since packet 5, 900.000 ms since packet 4, for the second time: the "
        "retransmission timer ran out, twice as long as before (RFC 6298 section 5.5)",
    ),
    "a tail-loss probe": (
        OPEN + "client 30 [P.] seq 1 len 10 ack 1\nclient 31 [P.] seq 11 len 10 ack 1\n"
        "client 75 [P.] seq 11 len 10 ack 1", 6,
        "octets 11 to 20 again, as in packet 5: not acknowledged for 44.000 ms: a probe, since the tail may be lost",
    ),
    "spurious": (
        OPEN + "client 30 [P.] seq 1 len 10 ack 1\nserver 50 [.] seq 1 ack 11\nclient 51 [P.] seq 1 len 10 ack 1", 6,
        "octets 1 to 10 again, as in packet 4, in vain: packet 5 had acknowledged them 1.000 ms before",
    ),
    "out of order": (
        OPEN + "client 30 [.] seq 101 len 100 ack 1\nclient 30.2 [.] seq 1 len 100 ack 1", 5,
        "octets 1 to 100, overtaken on the way by packet 4, which lies behind them (out of order)",
    ),
    "lost before it came here": (
        OPEN + "client 30 [.] seq 101 len 100 ack 1\nclient 330 [.] seq 1 len 100 ack 1", 5,
        "octets 1 to 100 again, though not seen before: packet 4, which lies behind them, came 300.000 ms ago: lost",
    ),
    "a gap that is filled": (
        OPEN + "client 30 [.] seq 101 len 100 ack 1\nclient 330 [.] seq 1 len 100 ack 1", 4,
        "a hole before it: octets 1 to 100 had not passed here; filled later by packet 5: overtaken, or lost on",
    ),
    "a gap that is acknowledged": (
        OPEN + "client 30 [.] seq 101 len 100 ack 1\nserver 60 [.] seq 1 ack 201", 4,
        "they never come, but packet 5 acknowledges them: not lost, only not captured",
    ),
    "the window is full": (
        OPEN + "client 30 [.] seq 1 len 500 ack 1", 4, "it fills the peer's window: no more may be sent until",
    ),
    "the window is zero": (
        OPEN + "client 30 [.] seq 1 len 500 ack 1\nserver 50 [.] seq 1 ack 501 win 0", 5,
        "its own window is zero: it has no room for more",
    ),
    "a keep-alive": (
        OPEN + "client 60000 [.] seq 0 ack 1", 4,
        "asks whether the peer is still there, with number 0, below what the peer expects, after 59.980 s of silence",
    ),
    "a keep-alive's answer": (
        OPEN + "client 60000 [.] seq 0 ack 1\nserver 60020 [.] seq 1 ack 1", 5,
        "answers the keep-alive (packet 4): it is still there",
    ),
    "refused": ("client 0 [S] seq 0\nserver 1 [R.] seq 0 ack 1", 2, "no socket listens on port 80: the kernel refuses"),
    "data after close": (
        OPEN + "server 30 [F.] seq 1 ack 1\nclient 40 [P.] seq 1 len 9 ack 2\nserver 41 [R] seq 2", 6,
        "packet 5 came when this end had closed for good (FIN, packet 4)",
    ),
    "half-open": (
        "client 0 [P.] seq 1 len 9 ack 1\nserver 1 [R] seq 1", 2, "packet 1 fits no connection of this host",
    ),
    "outside the window": (
        OPEN + "client 30 [P.] seq 1 len 9 ack 1\nserver 50 [.] seq 1 ack 10\nserver 55 [R] seq 99999", 6,
        "a reset with number 99999, where 1 is expected: outside the receiver's window, so it is dropped (RFC 5961",
    ),
    "another TTL": (
        OPEN + "server 55 [R.] seq 1 ack 1 ttl 49", 4, "its TTL is 49, its sender's other packets have 64: another",
    ),
    "it speaks on": (
        OPEN + "server 55 [R.] seq 1 ack 1\nclient 56 [P.] seq 1 len 9 ack 1", 5,
        "so packet 4, a reset, had not come there yet, or was not accepted",
    ),
    "captured twice": (
        OPEN + "client 30 [P.] seq 1 len 9 ack 1 id 77\nclient 30.1 [P.] seq 1 len 9 ack 1 id 77 ttl 63", 5,
        "captured before and behind a router (TTL 64, then 63), not sent again",
    ),
    "FIN again": (
        OPEN + "client 30 [F.] seq 1 ack 1\nclient 330 [F.] seq 1 ack 1", 5, "FIN again: packet 4 was not acknowledged",
    ),
    "an unseen segment": (
        OPEN + "server 30 [.] seq 1 ack 101", 4, "acknowledges octets 1 to 100, which the capture did not see",
    ),
}


@pytest.mark.parametrize("what", PHENOMENA)
def test_what_happened_is_said(what: str) -> None:
    """In one sentence, of the packet with that number."""
    script, n, said = PHENOMENA[what]
    assert said in reason(captured(script), n)


def test_a_fast_retransmit() -> None:
    """Three duplicates, each numbered, and what they brought about."""
    script = OPEN + "client 30 [.] seq 1 len 100 ack 1\n"
    script += "".join(f"client {30 + n} [.] seq {1 + 100 * n} len 100 ack 1\n" for n in range(1, 5))
    script += "server 50 [.] seq 1 ack 101\n" + "".join(f"server {50 + n} [.] seq 1 ack 101\n" for n in (1, 2, 3))
    story = captured(script + "client 54 [.] seq 101 len 100 ack 1")
    assert "(duplicate acknowledgment 3 of packet 9)" in reason(story, 12)
    assert "fast retransmit after 3 duplicate acknowledgments (RFC 5681 section 3.2)" in reason(story, 13)
    assert story.packets[12].marks == ("fast retransmission",)


def test_selective_acknowledgments() -> None:
    """The first block names what came last, and with that the packet; what it lacks is sent again."""
    sack = "0101050a" + struct.pack("!II", (ISN["client"] + 201) % 2**32, (ISN["client"] + 301) % 2**32).hex()
    script = OPEN + "".join(f"client {30 + n} [.] seq {1 + 100 * n} len 100 ack 1\n" for n in range(3))
    script += f"server 50 [.] seq 1 ack 101\nserver 51 [.] seq 1 ack 101 opts {sack}\n"
    story = captured(script + "client 90 [.] seq 101 len 100 ack 1")
    assert "packet 6 came, and what lies before it had not (SACK)" in reason(story, 8)
    assert "packet 8 tells that later ones arrived, and these did not (SACK, RFC 6675)" in reason(story, 9)


def test_a_zero_window_from_its_beginning_to_its_end() -> None:
    """Closed, probed, answered, opened again: each names the packet before it."""
    script = OPEN + "client 30 [.] seq 1 len 500 ack 1\nserver 50 [.] seq 1 ack 501 win 0\n"
    script += "client 250 [.] seq 501 len 1 ack 1\nserver 270 [.] seq 1 ack 501 win 0\n"
    script += "server 400 [.] seq 1 ack 501 win 900"
    story = captured(script)
    assert reason(story, 6) == "asks whether the peer's window, zero since packet 5, has opened (zero-window probe)"
    assert reason(story, 7).startswith("answers the zero-window probe (packet 6): the window is still zero")
    assert "there is room again, for 900 octets, after 350.000 ms without: a program has read" in reason(story, 8)


def test_states_of_the_same_nanosecond_follow_the_packets() -> None:
    """A clock that is too coarse does not move everything to the end."""
    story = captured("client 0 [S] seq 0\nserver 0 [S.] seq 0 ack 1\nclient 0 [.] seq 1 ack 1")
    assert [states(packet) for packet in story.packets] == [
        ["SYN-SENT", None], ["ESTABLISHED", "SYN-RECEIVED"], ["ESTABLISHED", "ESTABLISHED"],
    ]


def test_a_connection_that_was_joined_in_the_middle_has_states() -> None:
    """From when both ends have sent data: neither had closed before."""
    story = captured(
        "client 0 [P.] seq 1 len 5 ack 1\nserver 1 [.] seq 1 ack 6\nserver 2 [P.] seq 1 len 5 ack 6\n"
        "client 3 [F.] seq 6 ack 6\nserver 4 [F.] seq 6 ack 7\nclient 5 [.] seq 7 ack 7"
    )
    assert [states(packet) for packet in story.packets] == [
        [None, None], [None, None], ["ESTABLISHED", "ESTABLISHED"],
        ["FIN-WAIT-1", "CLOSE-WAIT"], ["TIME-WAIT", "LAST-ACK"], ["TIME-WAIT", "CLOSED"],
    ]


def test_a_syn_ack_that_overtook_its_syn() -> None:
    """The capture has the two the wrong way round: it is one connection, from its start."""
    story = captured("server 0 [S.] seq 0 ack 1\nclient 0.2 [S] seq 0\nclient 0.3 [.] seq 1 ack 1")
    assert "the capture has them the wrong way round" in reason(story, 2)
    assert states(story.packets[2]) == ["ESTABLISHED", "ESTABLISHED"]
    assert [packet.seq for packet in story.packets] == [0, 0, 1]


def test_fins_that_cross() -> None:
    """Each was sent before the other came, as its acknowledgment number proves: both ends go through CLOSING."""
    script = OPEN + "client 30 [F.] seq 1 ack 1\nserver 30.1 [F.] seq 1 ack 1\n"
    story = captured(script + "server 50 [.] seq 2 ack 2\nclient 50.1 [.] seq 2 ack 2")
    assert states(story.packets[4]) == ["CLOSING", "FIN-WAIT-1"]
    assert states(story.packets[5]) == ["TIME-WAIT", "CLOSING"]
    assert states(story.packets[6]) == ["TIME-WAIT", "TIME-WAIT"]


def test_what_is_to_be_said_once() -> None:
    """Who is who, cut packets, missing octets, one direction alone: below the table, a line each."""
    told = summary(captured(OPEN + "client 30 [.] seq 101 len 100 ack 1\nserver 60 [.] seq 1 ack 201", snaplen=60))
    assert "the client is 10.0.0.1:40000, the server 10.0.0.2:80" in told
    assert "of a packet only the first octets were captured, 60 at the most" in told
    assert "the capture misses 100 octets that 10.0.0.1:40000 sent and its peer acknowledged" in told
    alone = summary(captured("server 0 [S.] seq 0 ack 1\nserver 40 [.] seq 1 ack 53"))
    assert "of the connection only one direction was captured" in alone


def test_columns_without_calls() -> None:
    """No column for calls that nobody recorded; what a segment turns out to be stands behind it."""
    story = captured(OPEN + "client 30 [P.] seq 1 len 10 ack 1\nclient 330 [P.] seq 1 len 10 ack 1")
    table = timeline(story, Style(width=200)).splitlines()
    assert table[0].split() == ["#", "ms", "wire", "client", "is", "server", "is", "why"]
    assert sum("[retransmission]" in line for line in table) == 1
    assert story.heads == ("client", "server")


def datagrams(*sent: tuple[str, float, bytes]) -> Story:
    """The story of UDP datagrams: (sender, milliseconds, octets)."""
    frames = []
    for number, (who, ms, octets) in enumerate(sent, 1):
        other = "server" if who == "client" else "client"
        udp = struct.pack("!HHHH", PORTS[who], 53 if who == "client" else PORTS[other], 8 + len(octets), 0) + octets
        if who == "server":
            udp = struct.pack("!HH", 53, PORTS["client"]) + udp[4:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0) + ADDRESSES[who] + ADDRESSES[other]
        data = bytes(12) + b"\x08\0" + ip + udp
        frames.append(
            Frame(number=number, at_ns=int(ms * 1e6), point=0, outgoing=None, data=data, length=len(data))
        )
    points = (Point(name="eth0", linktype=1),)
    return tell(Timeline(run=Run(), hosts=(), points=points, calls=(), frames=tuple(frames)), decode)


def test_datagrams_are_paired() -> None:
    """An answer with its question, DNS's by the number in both; a question that is asked again is said to be."""
    story = datagrams(
        ("client", 0, b"\0\1ask"), ("client", 1, b"\0\2ask"), ("server", 30, b"\0\2answer"),
        ("client", 900, b"\0\1ask"), ("server", 950, b"\0\1answer"),
    )
    assert reason(story, 3) == "a sendto (or send, write) of 8 octets: answers packet 2 after 29.000 ms"
    assert reason(story, 4).endswith("the same octets as packet 1, to which no answer has come for 900.000 ms")
    assert reason(story, 5).endswith("answers packet 4 after 50.000 ms")
    assert story.heads == ("client", "server")
    assert [(packet.sender, packet.receiver) for packet in story.packets[:3]] == [
        ("client", "server"), ("client", "server"), ("server", "client"),
    ]
    assert timeline(story, Style(width=160)).splitlines()[0].split() == ["#", "ms", "wire", "why"]


def test_two_hosts_that_both_open_go_by_their_addresses() -> None:
    """Neither is the client, nor the server."""
    story = captured(OPEN)
    mirrored = []
    for frame in story.timeline.frames:
        data = bytes(frame.data)
        swapped = data[:26] + data[30:34] + data[26:30] + data[34:]
        mirrored.append(replace(frame, number=frame.number + 3, at_ns=frame.at_ns + 10**9, data=swapped))
    both = tell(replace(story.timeline, frames=(*story.timeline.frames, *mirrored)), decode)
    assert both.heads == ("10.0.0.1", "10.0.0.2")
    assert [states(packet) for packet in both.packets[3:]] == [
        ["SYN-SENT", None], ["ESTABLISHED", "SYN-RECEIVED"], ["ESTABLISHED", "ESTABLISHED"],
    ]
    assert dict(both.packets[3].states) == {"10.0.0.2": "SYN-SENT", "10.0.0.1": None}
    header = timeline(both, Style(width=200)).splitlines()[0]
    assert "10.0.0.1 is" in header
    assert "client" not in header


def test_among_many_hosts_each_packet_goes_by_its_own() -> None:
    """Columns say whose states they are: the sender's and the receiver's."""
    story = captured(OPEN)
    others = [
        replace(frame, number=frame.number + 3, at_ns=frame.at_ns + 10**9,
                data=bytes(frame.data).replace(ADDRESSES["server"], b"\x0a\0\0\x09"))
        for frame in story.timeline.frames
    ]
    many = tell(replace(story.timeline, frames=(*story.timeline.frames, *others)), decode)
    assert many.heads == ()
    table = timeline(many, Style(width=200)).splitlines()
    assert re.split(r"  +", table[0].strip()) == ["#", "ms", "wire", "sender is", "receiver is", "why"]
    assert "10.0.0.9.80 > 10.0.0.1.40000: [S.]" in "\n".join(table)


def test_a_flow_of_many_packets_is_told_in_time_that_grows_with_them() -> None:
    """SYNs and losses included: four times the packets cost no more than nine times the steps."""

    def steps(count: int) -> int:
        lines = [f"client {n} [S] seq {n}" for n in range(count)]
        lines += [f"client {count + n} [.] seq {count + 200 * n} len 100 ack 1" for n in range(count)]
        script = "\n".join(lines)
        counted = 0

        def count_call(frame: object, event: str, argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        before = sys.getprofile()
        sys.setprofile(count_call)
        try:
            captured(script)
        finally:
            sys.setprofile(before)
        return counted

    assert steps(400) < 9 * steps(100)
