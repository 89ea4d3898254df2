"""Packets from descriptions and from captures: scapy's octets, the lab's own addresses, and nobody asked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.errors import UsageError
from rawlab.model.craft import MOST_PACKETS, Crafted, Ends
from rawlab.model.facts import TcpSegment
from rawlab.wire.checks import checks
from rawlab.wire.craft import build, change, layers
from rawlab.wire.decode import decode
from rawlab.wire.description import Setting, parse, parse_setting
from rawlab.wire.fields import load_scapy
from rawlab.wire.packets import format_packet
from tests.wire.frames import tshark
from tests.wire.test_from_facts import LINES

# Every address is said, so that scapy has nothing to ask for.
SAID = [
    'IP(src="10.0.0.1", dst="10.0.0.2")/TCP(sport=40000, dport=7, flags="S", seq=5)/"hello"',
    'IP(src="10.0.0.1", dst="10.0.0.2", ttl=3)/UDP(sport=1, dport=7)/b"x"',
    'IP(src="10.0.0.1", dst="10.0.0.2")/ICMP(id=7, seq=1)/"ping"',
    'IPv6(src="fd00::1", dst="fd00::2")/ICMPv6EchoRequest(data=b"x")',
    'IPv6(src="fd00::1", dst="fd00::2")/TCP(sport=1, dport=2, options=[("MSS", 1460), ("WScale", 7)])',
    'IP(src="10.0.0.1", dst="10.0.0.2")/SCTP(sport=1, dport=7)/SCTPChunkInit(init_tag=1)',
    'IP(src="10.0.0.1", dst="10.0.0.2")/UDP(sport=9, dport=53)/DNS(rd=1, qd=DNSQR(qname="a.b"))',
    'IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_RR()])/ICMP()',
    'IP(src="10.0.0.1", dst="10.0.0.2", chksum=1, id=9)/UDP(sport=1, dport=2, len=99)',
    'Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")/IP(src="10.0.0.1", dst="10.0.0.2")/UDP(sport=1)',
    'Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")/ARP(hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", '
    'pdst="10.0.0.2")',
    'IP(src="10.0.0.1", dst="10.0.0.2", ttl=(1, 3))/UDP(sport=1, dport=[7, 9])',
]


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up, no socket made."""

    def never(*words: object, **_: object) -> None:
        raise AssertionError(f"asked for {words}")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(socket, "socket", never)


def made(text: str, *changes: str, ends: Ends | None = None) -> list[Crafted]:
    return build(parse(text), ends or Ends(), [parse_setting(text) for text in changes])


def one(text: str, *changes: str, ends: Ends | None = None) -> Crafted:
    (packet,) = made(text, *changes, ends=ends)
    return packet


def scapys(text: str) -> list[bytes]:
    """What scapy itself builds of these words."""
    names: dict[str, Any] = dict(layers())
    return [bytes(packet) for packet in eval(text, names)]  # words of ours


@pytest.mark.parametrize("text", SAID)
def test_the_octets_are_scapys(text: str) -> None:
    """Where all is said, the octets are those that scapy builds; a link header may come before them."""
    for packet, expected in zip(made(text), scapys(text), strict=True):
        assert packet.data.endswith(expected)
        assert len(packet.data) - len(expected) in (0, 14)


def test_what_is_left_out_is_the_labs() -> None:
    """Addresses, MACs and ports of the client and the server; scapy's own defaults for the rest."""
    facts = decode(one("IP()/UDP()").data, 101)
    assert facts.ip is not None
    assert (facts.ip.source, facts.ip.destination) == ("10.0.0.1", "10.0.0.2")
    assert facts.flow is not None
    assert (facts.flow.source.port, facts.flow.destination.port) == (40000, 53)
    against = decode(one("IPv6()/TCP()", ends=Ends(destination_port=7)).data, 101)
    assert str(against.flow and against.flow.destination) == "[fd00::2]:7"
    framed = decode(one("Ether()/IP()/ICMP()").data, 1)
    assert (framed.source_mac, framed.destination_mac) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert decode(one("Ether()/ARP()").data, 1).destination_mac == "ff:ff:ff:ff:ff:ff"
    assert one("IP()/UDP()/DHCP()").data[20:24] == b"\x9c\x40\x00\x35"


def test_an_errors_quoted_packet_came_the_other_way() -> None:
    """The packet in an ICMP error is one that the receiver had sent."""
    packet = one("IP()/ICMP(type=3, code=3)/IPerror()/UDPerror(dport=7)")
    assert "ICMP 10.0.0.1 udp port 7 unreachable" in format_packet(decode(packet.data, 101))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("IP()/TPC()", "a layer that scapy knows; nearest: TCP"),
        ("IP()/Packet()", "a layer that scapy knows"),
        ("IP()/nlmsgerr()", "a layer that scapy knows"),
        ("IP()/TCP(prot=7)", "at column 10: expected a field of TCP; nearest: sport, dport"),
        ("IP(tll=7)", "a field of IP; nearest: ttl"),
        ("IP(ttl=256)", "IP.ttl: a number from 0 to 255"),
        ("IP(ttl=-1)", "IP.ttl: a number from 0 to 255"),
        ("IP(ttl=1.5)", "IP.ttl: a number from 0 to 255"),
        ('IP(ttl=b"x")', "IP.ttl: a number from 0 to 255"),
        ("IP(frag=8192)", "IP.frag: a number from 0 to 8191"),
        ("IP(ttl=[1, 300])", "IP.ttl: a number from 0 to 255"),
        ("IP(ttl=(1, 300))", "IP.ttl: a number from 0 to 255"),
        ("IP(ttl=(9, 3))", "a range from less to more"),
        ("IP()/TCP(dport=65536)", "TCP.dport: a number from 0 to 65535"),
        ("IP()/TCP(seq=4294967296)", "TCP.seq: a number from 0 to 4294967295"),
        ('IP()/TCP(flags="SX")', "flags of F S R P A U E C N"),
        ('IP(flags="DF+XX")', "flags of MF DF evil"),
        ('IP(proto="tpc")', "a number from 0 to 255, or a name; nearest: "),
        ('IP(dst="example.org")', "an IPv4 address, as 10.0.0.2"),
        ('IP(dst="fd00::2")', "an IPv4 address"),
        ('IPv6(dst="10.0.0.2")', "an IPv6 address, as fd00::2"),
        ('IPv6(dst="fe80::1%lo")', "an IPv6 address"),
        ('Ether(dst="02:00")', "a MAC address"),
        ("IP()/TCP(options=5)", "scapy can't build it"),
        ("TCP()", "begins with TCP: Ether(), IP() or IPv6() first expected"),
        ('"hello"', "begins with Raw"),
        ('IP(dst="10.0.0.0/8")', f"more than {MOST_PACKETS} packets"),
        (f"IP()/{b'x' * 1500!r}", "1520 octets: 1500 at most"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(text: str, says: str) -> None:
    """Unknown names with the nearest, values with what was expected, and the column where there is one."""
    with pytest.raises(UsageError) as error:
        made(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


values = st.integers() | st.text(max_size=8) | st.binary(max_size=8) | st.none() | st.floats(allow_nan=False)
all_fields = [(name, field.name) for name, layer in sorted(layers().items()) for field in layer.fields_desc]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(all_fields), values | st.lists(values, max_size=3) | st.tuples(values, values))
def test_any_value_of_any_field_is_taken_or_refused(field: tuple[str, str], value: Any) -> None:
    """Packets or a UsageError, whatever the layer, the field and the value; nobody is asked for a name."""
    layer, name = field
    text = f"IP()/{layer}({name}={value!r})"
    packets, said = [], ""
    try:
        packets = made(text)
    except UsageError as error:
        said = str(error)
    assert bool(packets) != bool(said)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "to", "why"),
    [
        ("IP()/UDP()", "10.0.0.2", "IP_HDRINCL"),
        ("IPv6()/UDP()", "fd00::2", "IPPROTO_RAW implies IPV6_HDRINCL"),
        ('IP(dst="10.0.0.3")/UDP()', "10.0.0.3", "IP_HDRINCL"),
        ("IP()/UDP(chksum=1)", "10.0.0.2", "IP_HDRINCL"),
        ("Ether()/IP()", None, "link header"),
        ("IP(chksum=1)/UDP()", None, "IP header checksum right"),
        ("IP(len=99)/UDP()", None, "IP total length right"),
        ("IP(id=0)/UDP()", None, "fill in the identification"),
        ("IP(ihl=4)/UDP()", None, "EINVAL"),
        ('IP(dst="8.8.8.8")/UDP()', None, "no route of the lab's"),
        ('IP(dst="10.0.0.1")/UDP()', None, "no route of the lab's"),
        ('IP(dst="127.0.0.1")/UDP()', None, "no route of the lab's"),
        ('IPv6(dst="ff02::1")/UDP()', None, "no route of the lab's"),
    ],
)
def test_the_socket_that_changes_nothing(text: str, to: str | None, why: str) -> None:
    """A raw socket where the kernel leaves the packet as it is and knows the way; else a frame on the lab's wire."""
    packet = one(text)
    assert packet.to == to
    assert why in packet.reason
    if to is None:
        assert decode(packet.data, 1).destination_mac == "02:00:00:00:00:02"


def test_settings_change_a_description() -> None:
    """A field by its layer's name, whatever the case; checksums follow."""
    packet = one('IP()/TCP()/"x"', "tcp.flags=SA", "IP.ttl=1", "tcp.dport=echo", "raw.load=12")
    facts = decode(packet.data, 101)
    assert isinstance(segment := facts.transport, TcpSegment)
    assert (segment.flags, segment.destination_port, facts.ip and facts.ip.ttl) == ("SA", 7, 1)
    assert packet.data.endswith(b"12")
    assert all(check.right for check in checks(packet.data, 101))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("tpc.dport=1", "no such layer; nearest: TCP"),
        ("udp.dport=1", "no such layer"),
        ("tcp.dprt=1", "no such field; nearest: dport"),
        ("tcp.dport=70000", "expected a number from 0 to 65535"),
        ("ip.dst=example.org", "expected an IPv4 address"),
    ],
)
def test_a_setting_that_does_not_fit(change: str, says: str) -> None:
    """One line, with what there is."""
    with pytest.raises(UsageError) as error:
        one("IP()/TCP()", change)
    assert says in str(error.value)


FRAME = scapys(f"Ether(src='02:00:00:00:00:02', dst='02:00:00:00:00:01')/{SAID[0]}")[0]


def changed(*words: str, keep: tuple[tuple[str, str], ...] = (), data: bytes = FRAME, linktype: int = 1) -> Crafted:
    settings: list[Setting] = [parse_setting(text) for text in words]
    (packet,) = change(data, linktype, Ends(), settings, keep)
    return packet


def test_a_captured_packet_unchanged() -> None:
    """Its octets from the IP header on, right or wrong."""
    broken = FRAME[:50] + b"\1\2" + FRAME[52:]
    assert changed().data == FRAME[14:]
    assert changed(data=broken).data == broken[14:]


def test_a_captured_packet_changed() -> None:
    """What scapy computes is computed anew; what is set or kept is as it was said, and is told as wrong."""
    packet = changed("tcp.flags=SA", "raw.load='longer than before'")
    assert all(check.right for check in checks(packet.data, 101))
    kept = changed("tcp.flags=SA", keep=(("tcp", "chksum"),))
    assert [check.name for check in checks(kept.data, 101) if not check.right] == ["TCP checksum"]
    assert kept.data[36:38] == FRAME[50:52]
    lies = changed("ip.len=99")
    assert lies.to is None
    assert "wrong: 45 would be right" in [check.verdict for check in checks(lies.data, 1)]


def test_a_captured_packets_link_header() -> None:
    """Left away where IP follows, unless a setting names it; ARP has no other."""
    assert changed("ip.ttl=3").to == "10.0.0.2"
    assert changed("ether.src=02:00:00:00:00:09").data[6:12] == b"\2\0\0\0\0\x09"
    arp = one("Ether()/ARP()")
    assert changed("arp.op=2", data=arp.data).data[20:22] == b"\0\2"


def test_a_captured_packet_of_an_unknown_link() -> None:
    """One line."""
    with pytest.raises(UsageError, match="link type 9999"):
        changed(linktype=9999)


def test_tshark_finds_nothing_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every packet made of right words is well-formed to tshark, its checksums good."""
    monkeypatch.undo()
    texts = [text for text in (*SAID, *LINES) if "chksum=1" not in text and "ip-proto" not in text]
    packets = [packet for text in texts for packet in made(text)]
    packets.append(one("IP()/UDP(chksum=1)"))
    load_scapy()
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    frames = [p.data if p.linktype == 1 else _framed(p.data) for p in packets]
    wrpcap(str(tmp_path / "made.pcap"), [Ether(frame) for frame in frames])
    statuses = [f"{name}.checksum.status" for name in ("ip", "tcp", "udp", "icmp", "sctp")]
    options = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"]
    rows = tshark(tmp_path / "made.pcap", "_ws.malformed", *statuses, options=options)
    assert len(rows) == len(packets)
    assert rows.pop()["udp.checksum.status"] == [_BAD]
    for row in rows:
        assert not any(row["_ws.malformed"]), row
        assert _BAD not in [row[status][0] for status in statuses if row[status]], row  # the outermost header's


_BAD = "0"  # tshark's word for a checksum that is wrong


def _framed(octets: bytes) -> bytes:
    kind = b"\x08\0" if octets[0] >> 4 == 4 else b"\x86\xdd"
    return bytes(5) + b"\2" + bytes(5) + b"\1" + kind + octets
