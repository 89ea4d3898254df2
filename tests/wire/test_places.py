"""The places of fields without scapy: exact, whole, by the RFCs' names, and where scapy's lie where both know."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.store import load
from rawlab.wire.fields import fields
from rawlab.wire.layer import Field, Layer
from rawlab.wire.places import places
from tests.wire.frames import NAMES, capture, ethernet, frames, ipv4, ipv6, tcp, udp
from tests.wire.test_fields import whole

FRAME = ethernet(0x0800, ipv4(6, tcp(options=b"\2\4\5\xb4\1\3\3\7"))) + b"\0\0\0"
CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
UNREACHABLE = "3 (destination unreachable)"
LINKTYPES = (0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 9999)


def field(layers: tuple[Layer, ...], layer: str, name: str) -> Field:
    return next(field for it in layers if it.name == layer for field in it.fields if field.name == name)


def test_a_segment_s_fields_have_their_places() -> None:
    """Each flag is a bit of its own; an option is a field; what fills up the frame is Padding."""
    layers = places(FRAME)
    assert [(layer.name, layer.offset, layer.length) for layer in layers] == [
        ("Ethernet", 0, 14),
        ("IPv4", 14, 20),
        ("TCP", 34, 28),
        ("Raw", 62, 5),
        ("Padding", 67, 3),
    ]
    assert whole(layers, FRAME)
    assert field(layers, "IPv4", "Source Address").value == "10.0.0.1"
    assert field(layers, "IPv4", "Don't Fragment") == Field(
        name="Don't Fragment", offset_bits=161, length_bits=1, value="1", raw=1
    )
    flags = [it.name for it in layers[2].fields if it.length_bits == 1 and it.raw]
    assert flags == ["ACK", "PSH"]
    assert field(layers, "TCP", "Option: Maximum Segment Size").value == "1460"
    assert field(layers, "TCP", "Option: Window Scale").value == "7 (windows are times 128)"


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        (ethernet(0x0800, ipv4(17, udp(b"hi"))), ["Ethernet", "IPv4", "UDP", "Raw"]),
        (ethernet(0x86DD, ipv6(17, udp(b"hi"))), ["Ethernet", "IPv6", "UDP", "Raw"]),
        (ethernet(0x8100, b"\0\x05\x08\0" + ipv4(17, udp(b""))), ["Ethernet", "802.1Q", "IPv4", "UDP"]),
        (ethernet(0x0806, bytes.fromhex("0001080006040001") + bytes(20)), ["Ethernet", "ARP"]),
        (ethernet(0x88CC, b"lldp"), ["Ethernet", "Raw"]),
        (FRAME[:40], ["Ethernet", "IPv4", "TCP", "Raw"]),
        (FRAME[:9], ["Ethernet", "Raw"]),
        (b"", []),
    ],
)
def test_what_is_known_and_what_is_octets(frame: bytes, names: list[str]) -> None:
    """Whole headers, one that was cut short, and what no list knows."""
    layers = places(frame)
    assert [layer.name for layer in layers] == names
    assert whole(layers, frame)


def test_an_icmp_error_s_quoted_packet_is_read_too() -> None:
    """Down to the ports that tell whose it was."""
    error = b"\3\3\0\0\0\0\0\0" + ipv4(17, udp(b"hi"))
    layers = places(ethernet(0x0800, ipv4(1, error)))
    assert [layer.name for layer in layers[2:]] == ["ICMP", "IPv4, quoted", "UDP, quoted", "Raw"]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("0303abcd00000000", ["3 (destination unreachable)", "3 (port unreachable)", "0xabcd", "0x0"]),
        ("0c00000014000000", ["12 (parameter problem)", "0 (pointer indicates the error)", "0x0000", "20", "0"]),
        ("03040000000005dc", [UNREACHABLE, "4 (fragmentation needed and DF set)", "0x0000", "0", "1500"]),
        ("0b00000000000000", ["11 (time exceeded)", "0 (time to live exceeded in transit)", "0x0000", "0x0"]),
        ("0800000000070001", ["8 (echo)", "0", "0x0000", "7", "1"]),
        ("2a07000000000001", ["42", "7", "0x0000", "0x1"]),
    ],
)
def test_icmp_s_types_and_codes_are_named(message: str, says: list[str]) -> None:
    """By RFC 792's words, a number alone where it has none; what the last four octets are is the type's matter."""
    layer = places(ipv4(1, bytes.fromhex(message)), 101)[1]
    assert [it.value for it in layer.fields] == says


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("0104abcd00000000", ["1 (destination unreachable)", "4 (port unreachable)", "0xabcd", "0x0"]),
        ("0200000000000500", ["2 (packet too big)", "0", "0x0000", "1280"]),
        ("8100000000070001", ["129 (echo reply)", "0", "0x0000", "7", "1"]),
    ],
)
def test_icmpv6_has_types_of_its_own(message: str, says: list[str]) -> None:
    """RFC 4443's."""
    layer = places(ipv6(58, bytes.fromhex(message)), 101)[1]
    assert [it.value for it in layer.fields] == says


@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_layers_lie_where_scapy_s_lie(file: Path) -> None:
    """In every capture of the repository: the same borders, up to what only one of the two knows."""
    timeline = load(file)
    for frame in timeline.frames:
        linktype = timeline.points[frame.point].linktype
        mine, theirs = places(frame.data, linktype), fields(frame.data, linktype)
        assert whole(mine, bytes(frame.data))
        transport = next((it for it in mine if it.name in ("TCP", "UDP", "SCTP", "ARP")), None)
        if transport is not None:
            assert (transport.offset, transport.length) in [(it.offset, it.length) for it in theirs]


@pytest.mark.parametrize("name", NAMES)
def test_every_captured_frame_is_whole(name: str) -> None:
    """Of other people's captures, too: no gap, no overlap."""
    for octets, linktype, _ in frames(capture(name)):
        assert whole(places(octets, linktype), octets)


@given(st.binary(max_size=200), st.sampled_from(LINKTYPES))
def test_no_octets_raise(octets: bytes, linktype: int) -> None:
    """And each octet belongs to one layer, whatever the link type."""
    layers = places(octets, linktype)
    assert sum(layer.length for layer in layers) == len(octets)


@given(st.integers(0, len(FRAME) - 1), st.integers(0, 255), st.integers(0, len(FRAME)))
def test_a_changed_or_cut_frame_stays_whole(at: int, octet: int, end: int) -> None:
    """Lengths that lie reach nowhere."""
    frame = (FRAME[:at] + bytes([octet]) + FRAME[at + 1 :])[:end]
    assert whole(places(frame), frame)
