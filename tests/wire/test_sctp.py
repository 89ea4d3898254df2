"""SCTP packets: read as they were built, refused with a reason, written in tcpdump's words and read again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.model import sctp as m
from rawlab.model.facts import Facts, Undecoded
from rawlab.model.sctp import (
    SctpAuth,
    SctpChunk,
    SctpData,
    SctpError,
    SctpForwardTsn,
    SctpInit,
    SctpPacket,
    SctpParameter,
    SctpParameters,
    SctpSack,
    SctpShutdown,
)
from rawlab.model.serial import Serial
from rawlab.wire import sctp_build as build
from rawlab.wire import symbols
from rawlab.wire.decode import decode
from rawlab.wire.fields import fields
from rawlab.wire.packets import brief, carried, format_packet, parse_packet, summary
from rawlab.wire.sctp import checksum, parse
from tests.wire.chunks import ADDRESSES, CHANGES, HOSTILE, KINDS, NUMBERS, OCTETS, PACKETS, PARAMETERS, PORTS
from tests.wire.frames import ethernet, ipv4, ipv6
from tests.wire.test_fields import whole


def read(*chunks: bytes) -> SctpPacket:
    """The packet of these chunks."""
    packet = parse(build.packet(40000, 7, 9, chunks))
    assert isinstance(packet, SctpPacket)
    return packet


def only(chunk: bytes) -> SctpChunk:
    """The one chunk of a packet."""
    packet = read(chunk)
    assert (packet.malformed, len(packet.chunks)) == (None, 1)
    return packet.chunks[0]


# ---- read


def test_the_common_header_and_its_checksum() -> None:
    """Ports, tag and a CRC32c that RFC 9260's appendix A would compute; one bit wrong, and it is wrong."""
    octets = build.packet(40000, 7, 0xFFFFFFFF, [KINDS["COOKIE ACK"]])
    packet = parse(octets)
    assert isinstance(packet, SctpPacket)
    assert (packet.source_port, packet.destination_port, packet.verification_tag) == (40000, 7, 0xFFFFFFFF)
    assert (packet.checksum, packet.checksum_right) == (checksum(octets), True)
    assert (packet.data, packet.length) == ((12, 16), 4)
    for bit in range(len(octets) * 8):
        wrong = bytearray(octets)
        wrong[bit // 8] ^= 1 << bit % 8
        again = parse(bytes(wrong))
        assert isinstance(again, SctpPacket)
        assert again.checksum_right is False


def test_the_checksum_of_a_known_packet() -> None:
    """32 octets of zeros: RFC 3720 appendix B.4 has their CRC32c, in the order in which it is sent."""
    assert checksum(bytes(32)).to_bytes(4, "big").hex() == "aa36918a"


@pytest.mark.parametrize("version", [4, 6])
def test_positions_are_positions_in_the_frame(version: int) -> None:
    """User data is found where it lies, behind IPv4 and IPv6, without padding of chunk and link layer."""
    packet = build.packet(40000, 7, 9, [KINDS["COOKIE ECHO"], KINDS["DATA"]])
    frame = ethernet(0x0800, ipv4(132, packet)) if version == 4 else ethernet(0x86DD, ipv6(132, packet))
    facts = decode(frame + b"\0\0")
    transport = facts.transport
    assert isinstance(transport, SctpPacket)
    cookie, data = transport.chunks
    assert isinstance(data, SctpData)
    assert frame[slice(*cookie.value)] == b"c" * 41
    assert (frame[slice(*data.data)], data.size, data.length) == (b"hello", 5, 21)
    assert (transport.checksum_right, transport.length) == (True, len(packet) - 12)
    assert facts.flow is not None
    assert (facts.flow.protocol, facts.flow.source.port, facts.flow.destination.port) == ("sctp", 40000, 7)


@given(tsn=NUMBERS, stream=PORTS, ssn=PORTS, ppid=NUMBERS, flags=st.integers(0, 255), payload=OCTETS)
def test_data_is_read_as_it_was_built(tsn: int, stream: int, ssn: int, ppid: int, flags: int, payload: bytes) -> None:
    """DATA with all its fields, padded; B, E and U are its flags' bits."""
    chunk = only(build.data(Serial(tsn), stream, ssn, ppid, flags, payload))
    assert chunk == SctpData(
        type=m.DATA,
        flags=flags,
        length=16 + len(payload),
        value=(16, 28 + len(payload)),
        tsn=Serial(tsn),
        stream=stream,
        ssn=ssn,
        ppid=ppid,
        data=(28, 28 + len(payload)),
        size=len(payload),
    )
    assert isinstance(chunk, SctpData)
    assert [chunk.ends, chunk.begins, chunk.unordered] == [bool(flags & bit) for bit in (1, 2, 4)]


def test_i_data_has_a_ppid_or_a_fragment_number() -> None:
    """RFC 8260 section 2.1: the first fragment says the PPID, the others their number."""
    first, last = only(KINDS["I-DATA"]), only(KINDS["I-DATA, end"])
    assert isinstance(first, SctpData)
    assert isinstance(last, SctpData)
    assert (first.ssn, first.ppid, first.fsn) == (70000, 1000, 0)
    assert (last.ssn, last.ppid, last.fsn, last.size) == (70000, 0, 1, 5)


@given(tag=NUMBERS, a_rwnd=NUMBERS, streams=st.tuples(PORTS, PORTS), tsn=NUMBERS, parameters=PARAMETERS)
def test_init_is_read_as_it_was_built(
    tag: int, a_rwnd: int, streams: tuple[int, int], tsn: int, parameters: list[bytes]
) -> None:
    """INIT with any parameters: their octets without header and padding."""
    chunk = only(build.init(m.INIT, tag, a_rwnd, *streams, tsn, parameters))
    assert isinstance(chunk, SctpInit)
    assert (chunk.initiate_tag, chunk.a_rwnd) == (tag, a_rwnd)
    assert (chunk.outbound_streams, chunk.inbound_streams, chunk.initial_tsn) == (*streams, Serial(tsn))
    assert [build.parameter(each.type, each.value) for each in chunk.parameters] == parameters
    assert chunk.length == 20 + len(build.unpadded(parameters))


@given(tsn=NUMBERS, a_rwnd=NUMBERS, gaps=st.lists(st.tuples(PORTS, PORTS)), duplicates=st.lists(NUMBERS))
def test_sack_is_read_as_it_was_built(
    tsn: int, a_rwnd: int, gaps: list[tuple[int, int]], duplicates: list[int]
) -> None:
    """SACK with its gap blocks and duplicates."""
    chunk = only(build.sack(tsn, a_rwnd, gaps, duplicates))
    assert isinstance(chunk, SctpSack)
    assert (chunk.cumulative_tsn, chunk.a_rwnd) == (Serial(tsn), a_rwnd)
    assert (chunk.gaps, chunk.duplicates) == (tuple(gaps), tuple(map(Serial, duplicates)))


def test_the_other_chunks() -> None:
    """Each kind is of its class, with its fields."""
    classes = {name: type(only(octets)).__name__ for name, octets in KINDS.items()}
    assert classes["HEARTBEAT"] == classes["RE-CONFIG"] == classes["ASCONF-ACK"] == "SctpParameters"
    assert only(KINDS["ABORT"]) == SctpError(
        type=m.ABORT, length=14, value=(16, 26), causes=(SctpParameter(type=12, value=b"enough"),)
    )
    assert only(KINDS["ERROR"]).causes[1].value == b"\0\7\0\0"  # type: ignore[attr-defined]
    assert only(KINDS["SHUTDOWN"]) == SctpShutdown(type=m.SHUTDOWN, length=8, value=(16, 20), cumulative_tsn=Serial(9))
    assert only(KINDS["HEARTBEAT"]) == SctpParameters(
        type=m.HEARTBEAT, length=29, value=(16, 41), parameters=(SctpParameter(type=1, value=b"x" * 21),)
    )
    assert only(KINDS["ASCONF"]) == SctpParameters(
        type=m.ASCONF,
        length=32,
        value=(16, 44),
        serial=0xFFFFFFFF,
        parameters=(
            SctpParameter(type=5, value=ADDRESSES[0][4:]),
            SctpParameter(type=0xC001, value=CHANGES[0][4:]),
        ),
    )
    assert only(KINDS["AUTH"]) == SctpAuth(type=m.AUTH, length=40, value=(16, 52), key=1, hmac=3)
    forward, i_forward = only(KINDS["FORWARD-TSN"]), only(KINDS["I-FORWARD-TSN"])
    assert isinstance(forward, SctpForwardTsn)
    assert isinstance(i_forward, SctpForwardTsn)
    assert (forward.cumulative_tsn, forward.streams) == (Serial(9), ((1, 2, False), (3, 4, False)))
    assert i_forward.streams == ((1, 2, True), (3, 70000, False))
    assert only(KINDS["unknown"]) == SctpChunk(type=63, flags=5, length=7, value=(16, 19))


@given(PACKETS)
def test_any_packet_is_read_to_its_end(octets: bytes) -> None:
    """Chunks of every kind, bundled: nothing is malformed, the checksum is right, no chunk is missed."""
    packet = parse(octets)
    assert isinstance(packet, SctpPacket)
    assert (packet.malformed, packet.checksum_right) == (None, True)
    padded = sum(chunk.length + -chunk.length % 4 for chunk in packet.chunks)
    assert padded == packet.length == len(octets) - 12


# ---- refused


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\0\0\0", "chunk header of 4 octets expected, 3 there"),
        (b"\0\0\0\3", "DATA: length of 4 to 4 expected, 3 there"),
        (b"\0\0\0\x18" + bytes(12), "DATA: length of 4 to 16 expected, 24 there"),
        (b"\0\0\0\x08" + bytes(4), "DATA: length of 16 or more expected, 8 there"),
        (b"\1\0\0\4", "INIT: length of 20 or more expected, 4 there"),
        (b"\7\0\0\4", "SHUTDOWN: length of 8 or more expected, 4 there"),
        (build.sack(1, 2)[:12] + b"\0\2\0\1", "SACK: 2 gap blocks and 1 duplicates expected, 0 words there"),
        (build.chunk(6, 0, b"\0\1\0"), "ABORT: parameter header of 4 octets expected, 3 there"),
        (build.chunk(9, 0, b"\0\1\0\3"), "ERROR: parameter length of 4 to 4 expected, 3 there"),
        (build.chunk(4, 0, b"\0\1\0\5"), "HEARTBEAT: parameter length of 4 to 4 expected, 5 there"),
        (build.chunk(0xC0, 0, bytes(6)), "FORWARD-TSN: streams of 4 octets expected, 2 octets there"),
        (build.chunk(0xC2, 0, bytes(8)), "I-FORWARD-TSN: streams of 8 octets expected, 4 octets there"),
        (build.chunk(0x40, 0, bytes(8)), "I-DATA: length of 20 or more expected, 12 there"),
    ],
)
def test_what_cannot_be_read_says_why(octets: bytes, reason: str) -> None:
    """The chunks before the first bad one stand; behind it nothing is guessed."""
    packet = read(KINDS["COOKIE ACK"], octets)
    assert [chunk.type for chunk in packet.chunks] == [m.COOKIE_ACK]
    assert packet.malformed == f"SCTP: {reason}"
    assert brief(Facts(transport=packet)) == f"[COOKIE ACK] [SCTP: {reason}]"


def test_a_short_header_is_undecoded() -> None:
    """Fewer octets than the common header has."""
    assert parse(bytes(11)) == Undecoded(why="SCTP: header of 12 octets expected, 11 there")


def test_a_last_chunk_without_its_padding_is_read() -> None:
    """Section 3.2 asks for padding; one that leaves it out at the end of the packet is understood."""
    packet = parse(build.packet(1, 2, 3, [KINDS["DATA"]])[:-3])
    assert isinstance(packet, SctpPacket)
    assert (len(packet.chunks), packet.malformed) == (1, None)


def test_what_the_capture_cut_is_no_fault_of_the_packet() -> None:
    """DATA keeps its size by the header; an INIT what was captured of its parameters; no checksum is judged."""
    frame = ethernet(0x0800, ipv4(132, build.packet(1, 2, 3, [KINDS["DATA"]])))
    packet = decode(frame[:64], 1, len(frame)).transport
    assert isinstance(packet, SctpPacket)
    (data,) = packet.chunks
    assert isinstance(data, SctpData)
    assert (packet.checksum_right, packet.malformed) == (None, None)
    assert (data.size, data.data, packet.length) == (5, (62, 64), 24)
    frame = ethernet(0x0800, ipv4(132, build.packet(1, 2, 3, [KINDS["INIT"]])))
    packet = decode(frame[:80], 1, len(frame)).transport
    assert isinstance(packet, SctpPacket)
    (init,) = packet.chunks
    assert isinstance(init, SctpInit)
    assert [each.type for each in init.parameters] == [5]
    assert packet.malformed == "SCTP: INIT: 48 octets expected, 34 captured"
    packet = decode(frame[:60], 1, len(frame)).transport
    assert isinstance(packet, SctpPacket)
    assert (packet.chunks, packet.malformed) == ((), "SCTP: INIT: 20 octets expected, 14 captured")


def test_a_first_fragment_is_read_as_far_as_it_goes() -> None:
    """A datagram that IP cut (RFC 791): DATA longer than the fragment, and no checksum to judge."""
    packet = build.packet(1, 2, 3, [build.data(1, 0, 0, 0, 3, b"h" * 3000)])
    facts = decode(ethernet(0x0800, ipv4(132, packet[:1480], fragment=0x2000)))
    transport = facts.transport
    assert isinstance(transport, SctpPacket)
    (data,) = transport.chunks
    assert isinstance(data, SctpData)
    assert (data.size, data.data, transport.malformed) == (3000, (62, 1514), None)
    assert (transport.checksum_right, transport.length) == (None, 1468)
    assert summary(facts).endswith("[len 3000] (frag 77@0+)")


@settings(deadline=None)  # the first example pays for scapy's import
@given(HOSTILE)
def test_no_octets_raise(octets: bytes) -> None:
    """Whatever comes: facts within the octets, words for them that can be read again, fields that cover them."""
    packet = parse(octets)
    if isinstance(packet, SctpPacket):
        assert len(packet.chunks) <= len(octets) // 4
        for chunk in packet.chunks:
            assert 12 <= chunk.value[0] <= chunk.value[1] <= len(octets)
    for frame in (ipv4(132, octets), ipv6(132, octets)):
        facts = decode(frame, 101)
        assert parse_packet(format_packet(facts)) == carried(facts)
        assert brief(facts)
        assert whole(fields(frame, 101), frame)


@given(HOSTILE, st.integers(0, 200))
def test_no_cut_raises(octets: bytes, length: int) -> None:
    """The same cut short by the capture, which is known by the length on the wire."""
    frame = ipv4(132, octets)
    facts = decode(frame[:length], 101, len(frame))
    assert parse_packet(format_packet(facts)) == carried(facts)
    if isinstance(facts.transport, SctpPacket) and length < len(frame):
        assert facts.transport.checksum_right is None


def test_many_small_pieces_are_read_in_one_pass() -> None:
    """64 KB of the smallest chunks, of the smallest parameters, of gaps: each is read, none twice."""
    assert len(read(*[build.cookie_ack()] * 16380).chunks) == 16380
    causes = only(build.abort([build.cause(12)] * 16380))
    assert isinstance(causes, SctpError)
    assert len(causes.causes) == 16380
    gaps = only(build.sack(1, 2, [(1, 1)] * 16370))
    assert isinstance(gaps, SctpSack)
    assert len(gaps.gaps) == 16370


# ---- fields


@pytest.mark.parametrize("name", KINDS)
def test_every_octet_of_a_chunk_has_a_name(name: str) -> None:
    """From the common header to the padding, each field in its place; the checksum is judged."""
    frame = ethernet(0x0800, ipv4(132, build.packet(40000, 7, 9, [KINDS[name]]))) + b"\0\0"
    layers = fields(frame)
    assert whole(layers, frame)
    assert [layer.name for layer in layers[2:4]] == ["SCTP", f"SCTP {symbols.sctp_chunk(KINDS[name][0])}"]
    assert all(layer.fields for layer in layers)
    assert layers[2].fields[3].value.endswith(" (right)")
    assert layers[3].fields[2].raw == int.from_bytes(KINDS[name][2:4], "big")


def test_a_wrong_checksum_is_said() -> None:
    """With the one that it should be; none at all is no wrong one, and a cut packet's is not judged."""
    octets = build.packet(40000, 7, 9, [KINDS["COOKIE ACK"]])
    for stored, told in (
        (1, f"0x00000001 (wrong: 0x{octets[8:12].hex()} expected)"),
        (0, "0x00000000 (not filled in)"),
    ):
        layers = fields(ipv4(132, octets[:8] + stored.to_bytes(4, "big") + octets[12:]), 101)
        assert layers[1].fields[3].value == told
    layers = fields(ipv4(132, octets)[:-2], 101)
    assert layers[1].fields[3].value.endswith("(not verified: the packet was not captured whole)")


def test_facts_of_the_endpoint_and_of_a_frame_are_the_same() -> None:
    """parse() gives what decode() gives, but for where it lies."""
    octets = build.packet(40000, 7, 9, [KINDS["SHUTDOWN"]])
    alone, framed = parse(octets), decode(ipv4(132, octets), 101).transport
    assert isinstance(alone, SctpPacket)
    assert isinstance(framed, SctpPacket)
    assert replace(framed, data=alone.data, chunks=alone.chunks) == alone
