"""The field tree: exact places, scapy kept quiet and off the disk, and no bytes that raise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.labs import headers
from rawlab.model.address import Endpoint
from rawlab.model.facts import TcpSegment
from rawlab.wire.decode import decode
from rawlab.wire.fields import fields
from rawlab.wire.layer import MAX_LAYERS, MAX_VALUE, Field, Layer
from tests.wire.frames import NAMES, capture, ethernet, frames, ipv4, ipv6, tcp, tshark, udp
from tests.wire.tunnelled import CASES

FRAME = ethernet(0x0800, ipv4(6, tcp(options=b"\2\4\5\xb4"))) + b"\0\0\0"


def field(layers: tuple[Layer, ...], layer: str, name: str) -> Field:
    return next(field for it in layers if it.name == layer for field in it.fields if field.name == name)


def whole(layers: tuple[Layer, ...], octets: bytes) -> bool:
    """Whether the layers follow each other without a gap, and the fields of each layer too."""
    ends = [0, *(layer.offset + layer.length for layer in layers)]
    for layer in layers:
        at = layer.offset * 8
        for it in layer.fields:
            if it.offset_bits != at:
                return False
            at += it.length_bits
        if layer.fields and at != (layer.offset + layer.length) * 8:
            return False
    return [layer.offset for layer in layers] == ends[:-1] and ends[-1] == len(octets)


def test_layers_and_fields_have_their_places() -> None:
    """Octets for layers, bits for fields; payload is Raw, what the link layer filled up is Padding."""
    layers = fields(FRAME)
    assert [(layer.name, layer.offset, layer.length) for layer in layers] == [
        ("Ethernet", 0, 14),
        ("IP", 14, 20),
        ("TCP", 34, 24),
        ("Raw", 58, 5),
        ("Padding", 63, 3),
    ]
    assert whole(layers, FRAME)
    assert field(layers, "IP", "flags") == Field(
        name="flags", offset_bits=160, length_bits=3, value="DF", raw=2
    )
    assert field(layers, "IP", "src").value == "10.0.0.1"
    assert field(layers, "TCP", "flags") == Field(
        name="flags", offset_bits=375, length_bits=9, value="PA", raw=0x18
    )
    assert field(layers, "TCP", "seq").raw == 0xFFFFFFFE
    assert field(layers, "TCP", "options").value == "[('MSS', 1460)]"


@pytest.mark.parametrize("version6", [False, True])
def test_an_icmp_error_is_taken_apart(version6: bool) -> None:
    """Type, code and checksum, then the quoted headers, field by field, to the octets behind them."""
    ends = ("fd00::1", "fd00::2") if version6 else ("10.0.0.1", "10.0.0.2")
    refused = headers.ip(*ends, 17, headers.udp(Endpoint(ends[0], 40000), Endpoint(ends[1], 7), b"hello"))
    packet = headers.ip(*ends[::-1], 58 if version6 else 1, headers.port_unreachable(refused))
    layers = fields(packet, 101)
    icmp = "ICMPv6 Destination Unreachable" if version6 else "ICMP"
    quoted = "IPv6 in ICMPv6" if version6 else "IP in ICMP"
    assert [layer.name for layer in layers[1:]] == [icmp, quoted, "UDP in ICMP", "Raw"]
    assert whole(layers, packet)
    assert (field(layers, icmp, "type").raw, field(layers, icmp, "code").raw) == ((1, 4) if version6 else (3, 3))
    assert field(layers, quoted, "src").value == ends[0]
    assert field(layers, "UDP in ICMP", "dport").raw == 7


def test_a_field_of_more_than_64_bits_is_octets() -> None:
    """An IPv6 address, a long payload; a value is shortened, the raw octets are not."""
    layers = fields(ipv6(17, udp(b"x" * 5000)), 229)
    assert field(layers, "IPv6", "dst").raw == bytes.fromhex("fd000000000000000000000000000002")
    assert field(layers, "Raw", "load").raw == b"x" * 5000
    assert len(field(layers, "Raw", "load").value) == MAX_VALUE


@pytest.mark.parametrize("linktype", [9999, 14, 101, 147, 228])
def test_an_unknown_link_type_is_raw(linktype: int) -> None:
    """What scapy has no layer for is bytes; what it knows by another number is read."""
    names = [layer.name for layer in fields(FRAME[14:-3], linktype)]
    assert names == (["Raw"] if linktype in (9999, 147) else ["IP", "TCP", "Raw"])


@pytest.mark.parametrize("name", CASES)
def test_what_scapy_does_not_know_before_a_packet_is_read_all_the_same(name: str) -> None:
    """Link headers and tunnels by `wire.places`, the innermost packet by scapy; together the frame, exactly."""
    linktype, frames = CASES[name]
    for frame in frames:
        layers = fields(frame, linktype)
        assert whole(layers, frame)
        ip = decode(frame, linktype).ip
        assert ip is None or ip.start in [layer.offset for layer in layers]
        assert all(layer.fields for layer in layers)


def test_layers_without_end_are_cut() -> None:
    """A packet in a packet in a packet, 13,000 times: 64 layers, and the rest is Raw."""
    octets = ipv4(4, b"", total=0) * 13_000
    layers = fields(octets, 101)
    assert (len(layers), layers[-1].name) == (MAX_LAYERS + 1, "Raw")
    assert whole(layers, octets)


def test_nothing_is_nothing() -> None:
    """An empty frame has no layers."""
    assert fields(b"") == ()


@settings(deadline=None)  # the first example pays for scapy's import
@given(st.binary(max_size=300), st.sampled_from([0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 9999]))
def test_no_bytes_raise(data: bytes, linktype: int) -> None:
    """Whatever the bytes, the layers cover them exactly."""
    assert whole(fields(data, linktype), data)


@settings(deadline=None)  # the first example pays for scapy's import
@given(st.binary(max_size=200), st.sampled_from([1, 2, 4, 6, 17, 41, 47, 58, 132]), st.integers(0, 65535))
def test_no_payload_raises(data: bytes, protocol: int, port: int) -> None:
    """Whatever an IP packet carries: the transports, and what scapy reads behind their ports."""
    body = udp(data)[2:] if protocol == 17 else data
    body = port.to_bytes(2, "big") + body if protocol == 17 else body
    for packet in (ipv4(protocol, body), ipv6(protocol, body)):
        assert whole(fields(packet, 101), packet)


def test_scapy_is_quiet_and_writes_nothing(tmp_path: Path) -> None:
    """In a fresh process: not a word on either stream, no folder and no cache under the home directory."""
    home = tmp_path / "home"
    home.mkdir()
    frame = ethernet(0x0800, ipv4(6, tcp(words=15)))
    program = f"from rawlab.wire.fields import fields; assert len(fields({frame!r})) > 1"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert list(home.iterdir()) == []


def test_importing_fields_does_not_import_scapy() -> None:
    """It takes a third of a second, which only those who look at fields should pay."""
    program = "import sys, rawlab.wire.fields; assert 'scapy' not in sys.modules"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.parametrize("name", NAMES)
def test_captures(name: str) -> None:
    """Every frame of every capture is covered without a gap, and its TCP data lies where decode says."""
    for data, linktype, length in frames(capture(name)):
        layers = fields(data, linktype)
        assert whole(layers, data)
        transport = decode(data, linktype, length).transport
        found = [layer for layer in layers if layer.name == "TCP"]
        if isinstance(transport, TcpSegment) and found:
            assert found[0].offset + found[0].length == transport.data[0]


@pytest.mark.parametrize("name", ["tcp-urgent.pcap", "ipv6-tcp.pcap", "tcp-sack.cap"])
def test_tshark_places_headers_the_same(name: str) -> None:
    """The length of each TCP header."""
    path = capture(name)
    theirs = [row["tcp.hdr_len"][:1] for row in tshark(path, "tcp.hdr_len")]
    trees = [fields(data, linktype) for data, linktype, _ in frames(path)]
    assert theirs == [[str(it.length) for it in layers if it.name == "TCP"] for layers in trees]
