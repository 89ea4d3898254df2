"""Segments that we build, as our own decoder, scapy and the RFC's arithmetic read them."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.live.links import ip_header
from rawlab.model.facts import TcpSegment
from rawlab.wire import symbols
from rawlab.wire import tcp_build as build
from rawlab.wire.decode import decode

ENDS = [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"), ("255.255.255.255", "0.0.0.0")]


def ones_complement(octets: bytes, source: str, destination: str) -> int:
    """RFC 1071, word by word, over the pseudo-header and the segment: 0 where the checksum is right."""
    header = ip_header(6, len(octets), source, destination)
    ends = header[8:40] if ":" in source else header[12:20]
    whole = ends + struct.pack("!II", len(octets), 6) + octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(
    ends=st.sampled_from(ENDS),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    numbers=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    flags=st.integers(0, 63),
    words=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    options=st.sampled_from([b"", build.mss(1460), build.timestamps(7, 2**32 - 1), build.sack_permitted() + b"\1\1"]),
    payload=st.binary(max_size=80),
)
def test_what_is_built_is_read(
    ends: tuple[str, str],
    ports: tuple[int, int],
    numbers: tuple[int, int],
    flags: int,
    words: tuple[int, int],
    options: bytes,
    payload: bytes,
) -> None:
    """Property: the decoder reads each field as it was given; the checksum is the RFC's, and any wrong bit is seen."""
    pseudo = build.pseudo(*ends)
    packet = build.segment(
        *ports, *numbers, flags, words[0], ends=pseudo, options=options, payload=payload, urgent=words[1]
    )
    assert ones_complement(packet, *ends) == 0
    assert build.is_right(packet, pseudo)
    broken = bytearray(packet)
    broken[-1] ^= 0x10
    assert not build.is_right(bytes(broken), pseudo)
    read = decode(ip_header(6, len(packet), *ends) + packet, 101).transport
    assert isinstance(read, TcpSegment)
    assert (read.source_port, read.destination_port) == ports
    assert (read.seq.value, read.ack.value, read.window, read.urgent) == (*numbers, *words)
    assert build.flag_bits(read.flags) == flags
    assert read.length == len(payload)
    assert packet[20 : 20 + len(options)] == options


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1460])
def test_a_sum_of_all_ones_is_written_as_zero(size: int) -> None:
    """One's complement has two zeros; the sum of a right segment is the one of ones (RFC 1071)."""
    pseudo = build.pseudo(*ENDS[0])
    payload = bytes(size)
    base = build.segment(0, 0, 0, 0, 0, 0, ends=pseudo, payload=payload)
    port = int.from_bytes(base[16:18])
    packet = build.segment(port, 0, 0, 0, 0, 0, ends=pseudo, payload=payload)
    assert packet[16:18] == b"\0\0"
    assert ones_complement(packet, *ENDS[0]) == 0


@pytest.mark.parametrize("size", [255, 256, 257, 258, 736, 1447, 1448, 1460, 8948, 65_000, 65_001])
def test_the_checksum_of_long_segments(size: int) -> None:
    """The short way to it leaves what the RFC's leaves, whatever the octets."""
    for payload in (random.Random(size).randbytes(size), b"\xff" * size, b"\0" * (size - 1) + b"\1"):
        packet = build.segment(1, 2, 3, 4, 16, 6, ends=build.pseudo(*ENDS[0]), payload=payload)
        assert ones_complement(packet, *ENDS[0]) == 0
        assert build.is_right(packet, build.pseudo(*ENDS[0]))


def test_options_are_read_by_their_names() -> None:
    """Each builder's option, as the decoder lists it."""
    options = build.padded(
        build.mss(536), build.window_scale(14), build.sack_permitted(), build.sack([(1, 2), (3, 2**32 - 1)])
    )
    assert len(options) % 4 == 0
    packet = build.segment(1, 2, 3, 4, build.SYN, 5, ends=0, options=options)
    read = decode(ip_header(6, len(packet), *ENDS[0]) + packet, 101).transport
    assert isinstance(read, TcpSegment)
    assert [(option.kind, option.values) for option in read.options if option.kind > 1] == [
        (2, (536,)), (3, (14,)), (4, ()), (5, (1, 2, 3, 2**32 - 1)),
    ]  # fmt: skip


def test_flags_by_letters() -> None:
    """As tcpdump's and our facts' letters have them."""
    assert build.flag_bits("SA") == build.SYN | build.ACK
    assert build.flag_bits("FSRPAU") == 63
    assert build.flag_bits("".join(symbols.TCP_FLAGS)) == 511


def test_what_is_meant_to_be_wrong_is_possible() -> None:
    """A checksum, an offset and reserved bits as they are given."""
    packet = build.segment(1, 2, 3, 4, 0, 5, ends=0, checksum=0xDEAD, offset=15, reserved=5)
    assert packet[12:14] == b"\xfa\x00"
    assert packet[16:18] == b"\xde\xad"


def test_scapy_agrees() -> None:
    """Its checksum of the same segment is ours, for both versions and odd lengths."""
    inet = pytest.importorskip("scapy.layers.inet")
    inet6 = pytest.importorskip("scapy.layers.inet6")
    for source, destination in ENDS[:2]:
        for payload in (b"", b"x", b"hello" * 100):
            ours = build.segment(
                40000, 7, 1, 2, 24, 512, ends=build.pseudo(source, destination), payload=payload, options=build.mss(9)
            )
            layer = inet6.IPv6 if ":" in source else inet.IP
            segment = inet.TCP(sport=40000, dport=7, seq=1, ack=2, flags="PA", window=512, options=[("MSS", 9)])
            theirs = bytes(layer(src=source, dst=destination) / segment / payload)
            assert theirs.endswith(ours)
