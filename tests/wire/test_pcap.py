"""The older pcap format."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.wire import capture, pcap
from rawlab.wire.pcapng import Damage, PacketRecord

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D


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


def test_a_pcap_s_timeline_has_one_nameless_point_and_no_calls() -> None:
    """Nobody counted its frames, and it is complete by itself."""
    found = capture.read(WHOLE)
    assert found is not None
    assert [(point.name, point.host, point.captured) for point in found.points] == [("interface 0", None, None)]
    assert (found.calls, found.hosts, found.complete, found.run.rawlab) == ((), (), True, None)
    assert [(frame.number, frame.outgoing, frame.length) for frame in found.frames] == [(1, None, 4), (2, None, 6)]
