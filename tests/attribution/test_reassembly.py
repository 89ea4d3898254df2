"""Fragments of captures without calls: which datagram each is of, in what order they come, and what is odd in them."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from itertools import permutations
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.attribution.pairing import pair
from rawlab.attribution.reassembly import PATIENCE_NS, Assembly, assemblies
from rawlab.attribution.telling import tell
from rawlab.model.event import Frame
from rawlab.model.facts import IcmpMessage, TcpSegment, UdpDatagram
from rawlab.model.sctp import SctpPacket
from rawlab.model.story import Story
from rawlab.model.timeline import Point, Run, Timeline
from rawlab.wire.decode import decode
from tests.wire.frames import ipv4, ipv6, tcp, udp
from tests.wire.tunnelled import SCTP, ether, gre, pieces, tagged

TEXT = bytes(range(256)) * 2
LONG = ipv4(17, udp(TEXT))  # 520 octets behind its IP header


def timeline(frames: Sequence[bytes], gap_ns: int = 1000) -> Timeline:
    """A capture of one interface, a frame each so many ns."""
    made = tuple(
        Frame(number=n, at_ns=n * gap_ns, point=0, outgoing=None, data=data, length=len(data))
        for n, data in enumerate(frames, 1)
    )
    return Timeline(run=Run(), hosts=(), points=(Point(name="eth0", linktype=1),), calls=(), frames=made)


def story(frames: Sequence[bytes], gap_ns: int = 1000) -> Story:
    return tell(timeline(frames, gap_ns), decode)


def reasons(frames: Sequence[bytes], gap_ns: int = 1000) -> list[str]:
    return [packet.cause.reason for packet in story(frames, gap_ns).packets]


def found(frames: Sequence[bytes]) -> list[Assembly]:
    return list(assemblies(pair(timeline(frames), decode)))


def part(first: int, octets: bytes, *, more: bool = True, number: int = 77, protocol: int = 17) -> bytes:
    """A fragment by hand; `number`: its identification."""
    packet = bytearray(ipv4(protocol, octets, fragment=first // 8 | 0x2000 * more))
    packet[4:6] = number.to_bytes(2, "big")
    return ether(bytes(packet))


def part6(first: int, octets: bytes, *, more: bool = True) -> bytes:
    return ether(ipv6(44, struct.pack("!BBHI", 17, 0, first | more, 77) + octets))


@pytest.mark.parametrize("order", permutations(range(3)))
def test_a_datagram_is_told_whatever_order_its_fragments_come_in(order: Sequence[int]) -> None:
    """Each by its place in the datagram; the one with the beginning names the whole."""
    frames = [ether(packet) for packet in pieces(LONG, 208)]
    told = reasons([frames[n] for n in order])
    first = order.index(0) + 1
    places = ["octets 0 to 207", "octets 208 to 415", "octets 416 to 519"]
    for at, n in enumerate(order):
        whose = "a UDP datagram of 520 octets in packets 1–3" if n == 0 else f"the datagram of packet {first}"
        assert told[at].endswith(f"fragment {n + 1} of 3 of {whose}: {places[n]}")


@pytest.mark.parametrize("around", [ether, lambda packet: tagged(packet, (0x8100, 5)), lambda p: ether(ipv4(4, p))])
def test_interleaved_datagrams_are_told_apart(around: Callable[[bytes], bytes]) -> None:
    """By their addresses and numbers; over VLANs and in tunnels, by these too."""
    other = [bytes(packet[:4]) + b"\0\x63" + packet[6:] for packet in pieces(LONG, 208)]
    one = [around(packet) for packet in pieces(LONG, 208)]
    two = [around(packet) for packet in other]
    told = reasons([one[0], two[1], one[1], two[0], two[2], one[2]])
    whose = [reason.rpartition(" of ")[2].partition(":")[0] for reason in (told[1], told[2], told[4], told[5])]
    assert whose == ["packet 4", "packet 1"] * 2


def test_the_same_number_on_another_vlan_is_another_datagram() -> None:
    """What surrounds the fragments is theirs, too."""
    one, two, three = pieces(LONG, 208)
    made = found([tagged(one, (0x8100, 5)), tagged(two, (0x8100, 6)), ether(three)])
    assert [len(assembly.pieces) for assembly in made] == [1, 1, 1]


@pytest.mark.parametrize(
    ("packet", "kind", "size"),
    [
        (ipv4(17, udp(TEXT)), UdpDatagram, 512),
        (ipv6(17, udp(TEXT)), UdpDatagram, 512),
        (ipv4(6, tcp(TEXT)), TcpSegment, 512),
        (ipv6(6, tcp(TEXT)), TcpSegment, 512),
        (ipv4(1, b"\x08\0\0\0\0\7\0\1" + TEXT), IcmpMessage, 520),
    ],
    ids=["UDP", "UDP over IPv6", "TCP", "TCP over IPv6", "ICMP"],
)
def test_the_first_fragment_tells_the_whole_transport(packet: bytes, kind: type, size: int) -> None:
    """Its length is the datagram's, not what the fragment carries; it is a fragment all the same."""
    first = story([ether(one) for one in pieces(packet, 64)]).packets[0]
    facts = first.facts
    assert isinstance(facts.transport, kind)
    assert isinstance(facts.transport, UdpDatagram | TcpSegment | IcmpMessage)
    assert facts.transport.length == size
    assert facts.transport.data[1] == len(first.data)
    assert facts.ip is not None
    assert facts.ip.more_fragments


def test_all_chunks_of_an_sctp_packet_in_fragments_are_known() -> None:
    """Those that stand in its second fragment, too."""
    packet = ipv4(132, SCTP + SCTP[12:])
    facts = story([ether(one) for one in pieces(packet, 24)]).packets[0].facts
    assert isinstance(facts.transport, SctpPacket)
    assert len(facts.transport.chunks) == 2


def test_a_tunnel_in_fragments_shows_what_it_carries() -> None:
    """The inner segment, whole."""
    facts = story([ether(one) for one in pieces(ipv4(47, gre(ipv4(6, tcp(TEXT)))), 128)]).packets[0].facts
    assert isinstance(facts.transport, TcpSegment)
    assert facts.transport.length == 512
    assert facts.outer[0].ip.more_fragments


def test_missing_fragments_are_said() -> None:
    """In the middle, at the end, and the first one."""
    one, two, three = (ether(packet) for packet in pieces(LONG, 208))
    assert reasons([one, three])[0].endswith("octets 208 to 415 are not in the capture")
    assert reasons([one, two])[0].endswith("its last fragment is not in the capture")
    nameless = "a fragment of a datagram whose beginning is not in the capture (identification 77): octets 208 to 415"
    assert reasons([two, three])[0].startswith(nameless)


def test_a_fragment_that_comes_again_is_said_to() -> None:
    """Before its datagram is whole, and after."""
    one, two, three = (ether(packet) for packet in pieces(LONG, 208))
    told = reasons([one, one, two, three, three])
    assert told[1].endswith("packet 1's fragment again of the datagram of packet 1: octets 0 to 207")
    assert told[4] == "packet 4's fragment again of the datagram of packet 1: octets 416 to 519"


def test_a_number_taken_again_begins_another_datagram() -> None:
    """Once the first is whole, or when a receiver would have given up on it (RFC 1122 section 3.3.2)."""
    one, two = part(0, udp(bytes(16))), part(24, b"x" * 8, more=False)
    other = part(0, udp(b"y" * 16))
    assert [len(assembly.pieces) for assembly in found([one, two, other, two])] == [2, 2]
    late = pair(timeline([one, two], gap_ns=PATIENCE_NS + 1), decode)
    assert [len(assembly.pieces) for assembly in assemblies(late)] == [1, 1]


def test_overlaps_are_shown_with_what_differs() -> None:
    """Which octets, whose they were, whether they are the same; what RFCs 1858 and 5722 say of it."""
    first = udp(bytes(24))
    told = reasons([part(0, first), part(24, b"x" * 16, more=False)])
    assert "24 to 31 are packet 1's too, and differ; which octets count depends on the receiver (RFC 1858" in told[1]
    told = reasons([part(0, first), part(24, bytes(16), more=False)])
    assert told[1].endswith("octets 24 to 31 are packet 1's too, alike")
    told = reasons([part6(0, first), part6(24, bytes(16), more=False)])
    assert told[1].endswith("are packet 1's too, alike; a receiver must drop the datagram (RFC 5722 section 4)")


def test_known_attacks_are_called_by_their_names() -> None:
    """Teardrop, ping of death, tiny fragment (RFC 1858 section 3)."""
    assert "as 'teardrop' has it" in reasons([part(0, udp(bytes(28))), part(24, bytes(4), more=False)])[1]
    assert "as the 'ping of death' does" in reasons([part(65528, bytes(400), more=False, protocol=1)])[0]
    tiny = [part(0, tcp()[:8], protocol=6), part(8, tcp()[8:], more=False, protocol=6)]
    assert "a 'tiny fragment'" in reasons(tiny)[0]
    assert "no multiple of 8 octets long (RFC 791 section 3.2)" in reasons([part(0, udp(bytes(5)))])[0]


def test_a_datagram_in_one_piece_is_not_told_of() -> None:
    """There is no fragment."""
    assert reasons([ether(LONG)]) == ["a sendto (or send, write) of 512 octets"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_cut_in_any_order_is_whole(data: st.DataObject) -> None:
    """The octets put together are those that were cut, with copies among them."""
    octets = udp(data.draw(st.binary(min_size=1, max_size=300)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(octets) // 8)).map(lambda at: {8 * n for n in at})) | {0})
    ends = [*cuts[1:], len(octets)]
    frames = [part(a, octets[a:b], more=b < len(octets)) for a, b in zip(cuts, ends, strict=True) if a < b]
    sent = data.draw(st.permutations(frames))
    sent += data.draw(st.lists(st.sampled_from(frames), max_size=3))
    if len(frames) > 1:
        first = found(sent)[0]
        assert first.whole_at is not None
        assert first.octets() == octets


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 80), st.booleans(), st.integers(1, 2)), max_size=20))
def test_any_fragments_are_told(drawn: list[tuple[int, int, bool, int]]) -> None:
    """Nothing raises, every frame has its reason, and gaps and what is there are the datagram."""
    frames = [part(8 * at, bytes(size), more=more, number=number) for at, size, more, number in drawn]
    told = story(frames)
    assert all(packet.cause.reason for packet in told.packets)
    for assembly in found(frames):
        missing = sum(end - first for first, end in assembly.gaps())
        assert assembly.there + missing == assembly.furthest


def steps(frames: Sequence[bytes]) -> int:
    """How many lines of `reassembly` run for these frames."""
    drafts, lines = pair(timeline(frames), decode), 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_code.co_filename.endswith(("reassembly.py", "ranges.py")) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        list(assemblies(drafts))
    finally:
        sys.settrace(before)
    return lines


def test_work_grows_with_the_number_of_fragments_only() -> None:
    """Those that claim 64 KiB of which little was captured, each a datagram, all alike, or growing over one another."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 65535, 77, 0x2000, 64, 17, 0) + bytes(8)

    def hostile(many: int) -> list[bytes]:
        alike = [ether(header + n.to_bytes(8, "big")) for n in range(many)]
        apart = [ether(header[:4] + struct.pack("!H", n) + header[6:] + bytes(8)) for n in range(1000, 1000 + many)]
        comb = [part(16 * n, bytes(8), number=78) for n in range(many)]
        over = [part(0, bytes(8 * n), number=78) for n in range(1, many)]
        return alike + apart + comb + over

    assert steps(hostile(160)) < 4 * steps(hostile(40)) + 20_000
