"""Templates: packets that differ in some fields, whose checksums are what a computation of the whole would give."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.errors import UsageError
from rawlab.model.craft import Ends
from rawlab.wire.checks import checks
from rawlab.wire.craft import build
from rawlab.wire.description import parse
from rawlab.wire.template import Template
from rawlab.wire.vary import has_field, parse_vary, template
from tests.live import runs


def octets(text: str) -> tuple[bytes, int]:
    """The first packet of a description, and its link type."""
    made = build(parse(text), Ends())[0]
    return made.data, made.linktype


def varied(text: str, *names: str) -> Template:
    """A template of a description."""
    return template(*octets(text), [parse_vary(name) for name in names])


def rfc1071(octets_: bytes) -> int:
    """The checksum of octets, straight from the RFC's section 4.1."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", octets_ + b"\0" * (len(octets_) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def remade(packet: bytes, place: int, protocol: int) -> bytes:
    """An IP packet without options, its checksums computed anew from all that they cover."""
    made = bytearray(packet)
    version = packet[0] >> 4
    if version == 4:
        made[10:12] = b"\0\0"
        made[10:12] = rfc1071(bytes(made[:20])).to_bytes(2, "big")
    begin, addresses = (20, made[12:20]) if version == 4 else (40, made[8:40])
    at = begin + place
    made[at : at + 2] = b"\0\0"
    pseudo = b"" if protocol == 1 else bytes(addresses) + struct.pack("!II", len(made) - begin, protocol)
    right = rfc1071(pseudo + bytes(made[begin:]))
    made[at : at + 2] = (0xFFFF if protocol == 17 and not right else right).to_bytes(2, "big")
    return bytes(made)


KINDS = {
    "TCP": ("IP{v}({ip})/TCP(sport={a}, dport=7, seq={b})/{load}", 16, 6, ("tcp.sport", "tcp.seq", "tcp.window")),
    "UDP": ("IP{v}({ip})/UDP(sport={a}, dport=7)/{load}", 6, 17, ("udp.sport", "udp.dport")),
    "ICMP": ("IP({ip})/ICMP(id={a}, seq=7)/{load}", 2, 1, ("icmp.id", "icmp.seq")),
}
TEXTS = st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(["", "v6"]))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_every_packet_is_as_if_made_anew(data: st.DataObject) -> None:
    """Of random templates: single packets and the matrix are the same, and their sums those of the whole packet."""
    kind, v = data.draw(TEXTS)
    v = "" if kind == "ICMP" else v
    text, place, protocol, names = KINDS[kind]
    load = data.draw(st.binary(min_size=0, max_size=24))
    numbers = {"a": data.draw(st.integers(0, 0xFFFF)), "b": data.draw(st.integers(0, 0xFFFF_FFFF))}
    described = text.format(v=v, ip="" if v else f"id={data.draw(st.integers(1, 0xFFFF))}", load=repr(load), **numbers)
    possible = [*names, *(["ipv6.src", "ipv6.dst"] if v else ["ip.id", "ip.src", "ip.ttl"])]
    possible += ["raw.load"] if load else []
    chosen = data.draw(st.lists(st.sampled_from(possible), min_size=1, unique=True))
    made = varied(described, *chosen)
    first = data.draw(st.sampled_from([0, 1, 0xFF, 0xFFFE, 0x1_0000 - 40, 0xFFFF_FFFF - 7, 1 << 40]))
    matrix = made.packets(first, 40)
    for n in range(40):
        packet = made.packet(first + n)
        assert matrix[n].tobytes() == packet
        assert packet == remade(packet, place, protocol)
    assert len({made.packet(first + n) for n in range(40)}) == 40


@pytest.mark.parametrize("text", ["IP()/UDP(sport=1, dport=7)/'ab'", "IPv6()/UDP(sport=1, dport=7)/'ab'"])
def test_udps_sum_of_zero_is_ones(text: str) -> None:
    """Over all ports one sum is 0: it is sent as 0xffff, for 0 would say that there is none (RFC 768)."""
    made = varied(text, "udp.sport")
    at = len(made.base) - 4  # before the two octets of data
    sums = [bytes(row[at : at + 2]) for row in made.packets(0, 0x1_0000)]
    assert sums.count(b"\xff\xff") == 1
    assert b"\0\0" not in sums
    n = sums.index(b"\xff\xff")
    assert made.packet(n) == remade(made.packet(n), 6, 17)


def test_tcps_sum_of_zero_stays_zero() -> None:
    """Only UDP has a word for none; RFC 1624's two zeros: no sum of TCP's becomes 0xffff, one is 0."""
    made = varied("IP()/TCP(sport=1, dport=7)", "tcp.sport")
    sums = [bytes(row[36:38]) for row in made.packets(0, 0x1_0000)]
    assert (sums.count(b"\0\0"), sums.count(b"\xff\xff")) == (1, 0)


def test_icmp_of_zeros_alone() -> None:
    """An echo reply of zeros has the sum 0xffff; its neighbours, which are not all zeros, follow."""
    made = varied("IP()/ICMP(type=0, id=0, seq=0xfffe)", "icmp.seq")
    sums = [made.packet(n)[22:24].hex() for n in range(5)]
    assert sums == ["0001", "0000", "ffff", "fffe", "fffd"]
    assert [row[22:24].tobytes().hex() for row in made.packets(0, 5)] == sums


def test_fields_count_up_from_the_packets_own_value_and_wrap() -> None:
    """Without a range: from the packet's own value over all that the field can hold."""
    made = varied("IP(id=65534)/UDP()", "ip.id")
    assert [int.from_bytes(made.packet(n)[4:6], "big") for n in range(4)] == [65534, 65535, 0, 1]


@pytest.mark.parametrize(
    ("text", "name", "at", "values"),
    [
        ("IP()/TCP()", "tcp.sport=1024-1026", slice(20, 22), ["0400", "0401", "0402", "0400"]),
        ("IP()/TCP()", "ip.src=10.0.0.9-10.0.0.10", slice(12, 16), ["0a000009", "0a00000a"] * 2),
        ("Ether()/IP()", "ether.src=02:00:00:00:00:ff-02:00:00:00:01:00", slice(10, 12), ["00ff", "0100"] * 2),
        ("IPv6()/UDP()", "ipv6.src=fd00::ffff-fd00::1:0", slice(20, 24), ["0000ffff", "00010000"] * 2),
        ("IP()/UDP(dport=9)/'abcdefghijkl'", "raw.load", slice(38, 40), ["6b6c", "6b6d", "6b6e", "6b6f"]),
    ],
)
def test_ranges(text: str, name: str, at: slice, values: Sequence[str]) -> None:
    """A range is gone through again and again; a long field varies in its last octets."""
    made = varied(text, name)
    assert [made.packet(n)[at].hex() for n in range(4)] == list(values)
    assert [row[at].tobytes().hex() for row in made.packets(0, 4)] == list(values)


def test_what_is_meant_to_be_wrong_stays() -> None:
    """A checksum that the description sets, and UDP's 0 for none, are as they were said in every packet."""
    wrong, none = varied("IP()/TCP(chksum=1)", "tcp.seq"), varied("IP()/UDP(chksum=0)", "udp.sport", "ip.id")
    for n in range(50):
        assert wrong.packet(n)[36:38] == b"\0\1"
        assert none.packet(n)[26:28] == b"\0\0"
        assert all(check.right for check in checks(none.packet(n), 101))


def test_a_checksum_may_vary_itself() -> None:
    """All values of it, whatever would be right."""
    made = varied("IP()/TCP(chksum=0)", "tcp.chksum", "tcp.sport")
    assert [made.packet(n)[36:38] for n in (0, 1, 256)] == [b"\0\0", b"\0\1", b"\1\0"]


def test_told_and_read_again() -> None:
    """What the stage is told makes the same packets."""
    made = varied("IP()/UDP()/'abc'", "udp.sport", "ip.src", "raw.load")
    assert Template.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("IP()/TCP()", "tcp.sprt", "nearest: sport"),
        ("IP()/TCP()", "tpc.sport", "nearest: tcp"),
        ("IP()/TCP()", "sport", "LAYER.FIELD"),
        ("IP()/TCP()", "tcp.flags", "has 9 bits"),
        ("IP()/TCP()", "tcp.sport=7", "LOW-HIGH"),
        ("IP()/TCP()", "tcp.sport=9-7", "the lower one first"),
        ("IP()/TCP()", "tcp.sport=a-b", "LOW-HIGH"),
        ("IP()/TCP()", "tcp.sport=1-65536", "65535 at the most"),
        ("IP()/TCP()", "ip.src=10.0.0.1-fd00::1", "4294967295 at the most"),
        ("IPv6()/TCP()", "ipv6.src=fd00::1-fd01::1", "only its last 8 octets"),
        ("IP()/SCTP()/SCTPChunkData(data='x')", "sctp.sport", "it would not stay right"),
        ("IP()/SCTP()/SCTPChunkData(data='x')", "raw.load", "SCTP checksum would not stay right"),
    ],
)
def test_what_cannot_vary(text: str, name: str, says: str) -> None:
    """One line: what, why, and what there is."""
    with pytest.raises(UsageError, match=says):
        varied(text, name)


def test_the_same_octets_vary_once() -> None:
    """Two ranges for one field are refused."""
    with pytest.raises(UsageError, match="vary already"):
        varied("IP()/TCP()", "tcp.sport", "tcp.sport=1-2")


def test_whether_a_packet_has_the_field() -> None:
    """Of several packets, those vary that can."""
    assert has_field(*octets("IP()/TCP()"), parse_vary("tcp.sport"))
    assert not has_field(*octets("IP()/UDP()"), parse_vary("tcp.sport"))


def test_tshark_finds_no_bad_checksum(tmp_path: Path) -> None:
    """Some thousand packets of templates of each protocol, read by tshark with every checksum looked at."""
    runs.need("tshark")
    templates = [
        varied("IP()/TCP(flags='S')/'abc'", "tcp.sport", "tcp.seq", "ip.src", "ip.id"),
        varied("IP()/UDP(dport=9)/'abcde'", "udp.sport", "raw.load", "ip.ttl"),
        varied("IP()/ICMP(id=9)/'abcdefghijk'", "icmp.seq", "raw.load"),
        varied("IPv6()/TCP()", "tcp.dport", "ipv6.src", "ipv6.dst"),
        varied("IPv6()/ICMPv6EchoRequest(data='x')", "icmpv6echorequest.seq", "ipv6.src"),
        varied("IPv6()/UDP(dport=9)/'x'", "udp.sport", "ipv6.hlim"),
    ]
    path = tmp_path / "a.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for made in templates:
            for row in made.packets(65_000, 1000):
                file.write(struct.pack("=IIII", 0, 0, len(row), len(row)) + row.tobytes())
    switches = [f"{name}.check_checksum:TRUE" for name in ("ip", "tcp", "udp")]
    asked = ["ip.checksum", "tcp.checksum", "udp.checksum", "icmp.checksum", "icmpv6.checksum"]
    words = ["tshark", "-n", "-r", str(path), *(word for switch in switches for word in ("-o", switch))]
    words += ["-T", "fields", *(word for name in asked for word in ("-e", f"{name}.status")), "-e", "_ws.malformed"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=runs.SECONDS)
    verdicts = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(verdicts) == 6000
    assert {verdict for line in verdicts for verdict in line} == {"", "1"}  # 1: good
    assert all("1" in line for line in verdicts)
