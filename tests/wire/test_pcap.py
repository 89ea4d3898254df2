"""The older pcap format."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.wire import capture, pcap
from rawlab.wire.pcapng import Damage, PacketRecord
from tests.by_hand import MICRO, NANO, T0, pcap_header, pcap_record, segment


def file(*packets: tuple[int, int, bytes], order: str = "<", magic: int = MICRO, linktype: int = 1) -> bytes:
    """A pcap file of (seconds, ticks, octets)."""
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, linktype)
    return header + b"".join(
        struct.pack(order + "IIII", seconds, ticks, len(data), len(data) + 1) + data for seconds, ticks, data in packets
    )


def read(data: bytes) -> list[PacketRecord]:
    found = pcap.read(data)
    assert found is not None
    return list(found[1])


@pytest.mark.parametrize(("magic", "at_ns"), [(MICRO, 5_000_007_000), (NANO, 5_000_000_007)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_resolutions_are_read(order: str, magic: int, at_ns: int) -> None:
    """The magic tells both."""
    (packet,) = read(file((5, 7, b"abc"), order=order, magic=magic))
    assert packet == PacketRecord(interface=0, at_ns=at_ns, data=memoryview(b"abc"), length=4)


def test_the_upper_half_of_the_link_type_is_another_field() -> None:
    """It tells the length of a frame check sequence (draft-ietf-opsawg-pcap)."""
    found = pcap.read(file(linktype=0x5000_0071))
    assert found is not None
    assert (found[0].linktype, found[0].snaplen) == (113, 65535)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 999_999), st.binary(max_size=30)), max_size=4))
def test_every_packet_comes_back(packets: list[tuple[int, int, bytes]]) -> None:
    """In the order of the file."""
    assert [(p.at_ns, bytes(p.data)) for p in read(file(*packets))] == [
        (seconds * 10**9 + ticks * 1000, data) for seconds, ticks, data in packets
    ]


WHOLE = file((1, 0, b"abc"), (2, 0, b"defgh"))


@pytest.mark.parametrize("end", range(24, len(WHOLE)))
def test_a_file_cut_at_any_octet_gives_what_is_whole(end: int) -> None:
    """And says where the record that is not whole begins."""
    found = capture.read(WHOLE[:end])
    assert found is not None
    starts = [24, 43, len(WHOLE)]
    assert len(found.frames) == sum(start <= end for start in starts) - 1
    assert found.damaged_at == (None if end in starts else max(start for start in starts if start <= end))


@pytest.mark.parametrize("captured", [262_145, 1 << 31, 0xFFFFFFFF])
def test_a_length_is_not_believed(captured: int) -> None:
    """More than 256 KiB is no packet."""
    found = pcap.read(WHOLE + struct.pack("<IIII", 3, 0, captured, captured) + bytes(40))
    assert found is not None
    packets = found[1]
    assert [bytes(next(packets).data), bytes(next(packets).data)] == [b"abc", b"defgh"]
    with pytest.raises(Damage, match="a packet of at most 262144 octets expected"):
        next(packets)


@pytest.mark.parametrize(
    "data", [b"", b"\xd4\xc3\xb2\xa1", WHOLE[:23], b"GET / HTTP/1.1\r\n" * 3, b"\x1f\x8b" + bytes(40)]
)
def test_what_is_no_pcap_is_none(data: bytes) -> None:
    """Other formats, and a header that is not whole."""
    assert pcap.read(data) is None
    assert capture.read(data) is None


# ---------------------------------------------------------------------------------------------- relatives

FRAMES = [segment(n, 10 + n) for n in range(4)]
MODIFIED, IXIA_SOFTWARE, IXIA_HARDWARE = 0xA1B2CD34, 0x1C0001AB, 0x1C0001AC
ZEROS = bytes(4)


def relative(order: str, magic: int, more: bytes, version: tuple[int, int] = (2, 4), begins: bytes = b"") -> bytes:
    """A file whose record headers go on with `more`, and whose own header goes on with `begins`."""
    records = (pcap_record(order, T0 + n, 7, data, more=more) for n, data in enumerate(FRAMES))
    return pcap_header(order, magic, version) + begins + b"".join(records)


def kuznetzov(order: str, size: int) -> bytes:
    """Interface 2, IPv4, outgoing."""
    return struct.pack(order + "IHBx", 2, 0x0800, 4) + bytes(size - 8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "more", "begins", "tick_ns"),
    [
        (MODIFIED, 8, 0, 1000),
        (MODIFIED, 12, 0, 1000),
        (MICRO, 8, 0, 1000),
        (IXIA_SOFTWARE, 0, 4, 1000),
        (IXIA_HARDWARE, 0, 4, 1),
    ],
)
def test_relatives_are_read(order: str, magic: int, more: int, begins: int, tick_ns: int) -> None:
    """Kuznetzov's two (SuSE 6.3's the longer), Red Hat 6.1's under pcap's own number, Ixia's lcap."""
    data = relative(order, magic, kuznetzov(order, more) if more else b"", begins=bytes(begins))
    found = read(data)
    assert [bytes(packet.data) for packet in found] == FRAMES
    assert [packet.at_ns for packet in found] == [(T0 + n) * 10**9 + 7 * tick_ns for n in range(4)]


@pytest.mark.parametrize("stuff", [0, 0x9FBFB601, 0xBFBFD902])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nokia_s_records_are_read(order: str, stuff: int) -> None:
    """Four octets more, of a pattern; editcap writes zeros."""
    assert [bytes(packet.data) for packet in read(relative(order, MICRO, struct.pack(order + "I", stuff)))] == FRAMES


@pytest.mark.parametrize("more", [b"\1\2\3\4", b"\xff" * 8, b"\0\0\0\1\0\0\xff\0"])
def test_a_damaged_pcap_is_no_relative(more: bytes) -> None:
    """Octets too many make no longer header, unless they say what one would."""
    found = capture.read(relative("<", MICRO, more))
    assert found is not None
    assert found.damaged_at is not None
    assert pcap.layout(relative("<", MICRO, more)) == pcap.layout(file())


def test_a_relative_needs_two_records_to_be_told() -> None:
    """One alone may as well be a pcap with octets too many."""
    one = pcap_header() + pcap_record("<", T0, 7, FRAMES[0], more=ZEROS)
    two = one + pcap_record("<", T0, 8, FRAMES[1], more=ZEROS)
    sizes = [found.header for found in (pcap.layout(one), pcap.layout(two)) if found]
    assert sizes == [16, 20]


@pytest.mark.parametrize(("version", "swapped"), [((2, 2), True), ((2, 0), True), ((543, 0), True), ((2, 4), False)])
def test_before_version_2_3_the_lengths_stand_the_other_way_round(version: tuple[int, int], swapped: bool) -> None:
    """And in DG/UX's 543.0."""
    lengths = (60, 3) if swapped else (3, 60)
    (packet,) = read(pcap_header("<", version=version) + struct.pack("<IIII", 1, 2, *lengths) + b"abc")
    assert (bytes(packet.data), packet.length) == (b"abc", 60)


def test_in_version_2_3_the_smaller_length_is_the_captured_one() -> None:
    """Some that wrote it had not heard of the change."""
    records = struct.pack("<IIII", 1, 2, 60, 3) + b"abc" + struct.pack("<IIII", 1, 2, 3, 60) + b"def"
    found = read(pcap_header("<", version=(2, 3)) + records)
    assert [(bytes(packet.data), packet.length) for packet in found] == [(b"abc", 60), (b"def", 60)]


@pytest.mark.parametrize(("kind", "linktype"), [(6, 1), (9, 6), (15, 10), (24, 0)])
def test_aix_names_the_link_by_its_iftype_and_counts_nanoseconds(kind: int, linktype: int) -> None:
    """Version 2.2, and only with one of these (RFC 1573)."""
    data = pcap_header(">", version=(2, 2), link=kind) + struct.pack(">IIII", 1, 999_999_999, 3, 3) + b"abc"
    found = pcap.read(data)
    assert found is not None
    assert (found[0].linktype, next(found[1]).at_ns) == (linktype, 1_999_999_999)


def test_ticks_beyond_a_second_are_added_to_it() -> None:
    """As they stand."""
    (packet,) = read(file((1, 1_999_999, b"abc")))
    assert packet.at_ns == 2_999_999_000


def test_a_pcap_s_timeline_has_one_nameless_point_and_no_calls() -> None:
    """Nobody counted its frames, and it is complete by itself."""
    found = capture.read(WHOLE)
    assert found is not None
    assert [(point.name, point.host, point.captured) for point in found.points] == [("interface 0", None, None)]
    assert (found.calls, found.hosts, found.complete, found.run.rawlab) == ((), (), True, None)
    assert [(frame.number, frame.outgoing, frame.length) for frame in found.frames] == [(1, None, 4), (2, None, 6)]
