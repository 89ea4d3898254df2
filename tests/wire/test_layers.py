"""Every link type and tunnel: the packet behind it is found, its fields have places, and no octets raise."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlab.model.facts import ArpMessage, Facts, IcmpMessage, Other, TcpSegment, UdpDatagram, Undecoded
from rawlab.model.sctp import SctpPacket
from rawlab.wire.decode import decode
from rawlab.wire.ip import MAX_LAYERS
from rawlab.wire.link_layers import LINKS
from rawlab.wire.link_types import LINK_TYPES, link_type
from rawlab.wire.packets import carried, format_packet, parse_packet
from rawlab.wire.places import places
from tests.wire.frames import ethernet, ipv4, ipv6, tcp, udp
from tests.wire.test_fields import whole
from tests.wire.tunnelled import (
    ACCESS_POINT,
    CASES,
    DATAGRAM,
    ONE,
    TWO,
    ether,
    extended,
    geneve,
    gre,
    pptp,
    radiotap,
    snap,
    tagged,
    to_port,
    vxlan,
    wlan,
)

FRAMES = [(frame, linktype) for linktype, frames in CASES.values() for frame in frames]
TRANSPORTS = (TcpSegment, UdpDatagram, SctpPacket, IcmpMessage, ArpMessage, Other, Undecoded)
OPAQUE = {"802.11, no data", "802.3 with LLC/SNAP"}
MPLS_WHY = "MPLS: IPv4 or IPv6 expected behind the last label, first bits 0 there"
GRE_WHY = "GRE: version 0 or 1 without source routing expected"


def why(frame: bytes, linktype: int = 1) -> str:
    transport = decode(frame, linktype).transport
    assert isinstance(transport, Undecoded), transport
    return transport.why


@pytest.mark.parametrize("name", sorted(CASES.keys() - OPAQUE))
def test_the_packet_is_found(name: str) -> None:
    """Behind every header, in every tunnel; where its data lies in the frame is where it lies."""
    linktype, frames = CASES[name]
    for frame in frames:
        facts = decode(frame, linktype)
        if isinstance(facts.transport, Other | ArpMessage):  # a later fragment
            continue
        assert facts.flow is not None
        assert {facts.flow.source.port, facts.flow.destination.port} <= {5000, 40000, 7}
        if isinstance(facts.transport, TcpSegment | UdpDatagram):
            first, end = facts.transport.data
            assert (b"hello" * 20).startswith(frame[first:end])
            assert end - first >= 5


@pytest.mark.parametrize(
    ("way", "source", "destination"),
    [(0, ONE, TWO), (1, ONE, TWO), (2, ONE, TWO), (3, ONE, TWO)],
)
def test_a_wireless_frame_s_ends_stand_where_its_way_says(way: int, source: bytes, destination: bytes) -> None:
    """To DS and From DS (IEEE 802.11 table 9-60): never the access point's; an A-MSDU's subframe has its own."""
    for frame in (wlan(DATAGRAM, way=way), wlan(DATAGRAM, way=way, amsdu=True), wlan(DATAGRAM, way=way, qos=False)):
        facts = decode(frame, 105)
        assert (facts.source_mac, facts.destination_mac) == (source.hex(":"), destination.hex(":"))
        assert facts.ethertype == 0x0800


@pytest.mark.parametrize(
    ("frame", "linktype", "reason"),
    [
        (b"\x80\0\0\0" + bytes(20), 105, "802.11: data expected, beacon (management) there"),
        (b"\xd4\0\0\0" + ONE, 105, "802.11: data expected, ACK (control) there"),
        (b"\x48\1" + bytes(22), 105, "802.11: data expected, a null frame (no data) there"),
        (b"\x08\x41" + bytes(22), 105, "802.11: data in the clear expected, a protected frame (encrypted) there"),
        (b"\x08\1" + bytes(20) + b"\2\0", 105, "802.11: a whole MSDU expected, its fragment 2 there"),
        (b"\x0d\0" + bytes(22), 105, "802.11: protocol version 0 expected, 1 there"),
        (b"\x0c\0" + bytes(22), 105, "802.11: data expected, an extension frame there"),
        (b"\x88\1" + bytes(20), 105, "802.11: header of 26 octets expected, 22 there"),
        (bytes(7), 127, "radiotap: header of 8 octets expected, 7 there"),
        (struct.pack("<BBHI", 0, 0, 4, 0), 127, "radiotap: length of 8 or more expected, 4 there"),
        (struct.pack("<BBHI", 0, 0, 40, 0), 127, "radiotap: header of 40 octets expected, 8 there"),
        (struct.pack("<II", 0x44, 144), 119, "Prism: length of 8 to 8 octets expected, 144 there"),
        (bytes(8), 163, "AVS: magic number 0x80211001 expected, 0x00000000 there"),
        (struct.pack("<BBHI", 0, 0, 8, 147), 192, "PPI: link type 147 is not read"),
        (struct.pack("<III", 13, 1, 1), 258, "PKTAP: length of 8 to 12 octets expected, 13 there"),
        (b"\xff\3\xc0\x21", 9, "PPP: IPv4 or IPv6 expected, LCP (0xc021) there"),
        (b"\xff\3\0", 9, "PPP: header of 4 octets expected, 3 there"),
        (b"\x11\x09" + bytes(4), 51, "PPPoE: version 1, type 1, code 0 expected, 0x11, code 9 there"),
        (b"\x0f\0\x80\x35", 104, "Cisco HDLC: IPv4 or IPv6 expected, SLARP there"),
        (ethernet(4, b"\x42\x42\3\0"), 1, "LLC: SNAP or IP expected, spanning tree there"),
        (
            ethernet(8, bytes.fromhex("aaaa0300000c2000")),
            1,
            "LLC/SNAP: EtherType expected, organization 00:00:0c, protocol 0x2000 there",
        ),
        (ethernet(0x8847, bytes.fromhex("00010140 00")), 1, MPLS_WHY),
        (ether(ipv4(47, gre(b"", 0x4000))), 1, f"{GRE_WHY}, source routing there"),
        (ether(ipv4(47, gre(b"", 0x3000))), 1, "GRE: header of 12 octets expected, 4 there"),
        (ether(ipv4(47, gre(b"", 2))), 1, f"{GRE_WHY}, version 2 there"),
        (ether(ipv4(4, b"\x45")), 1, "IPv4: header of 20 octets expected, 1 there"),
    ],
)
def test_what_carries_no_packet_says_what_it_is(frame: bytes, linktype: int, reason: str) -> None:
    """Or what it lacks; the packet around it is told all the same."""
    assert why(frame, linktype) == reason
    facts = decode(frame, linktype)
    assert (facts.ip is not None) == (facts.ethertype == 0x0800)
    assert facts.outer == ()


@pytest.mark.parametrize("number", sorted(LINK_TYPES.keys() - LINKS.keys()))
def test_link_types_that_are_not_read_are_named(number: int) -> None:
    """By name and number."""
    assert why(b"\0" * 60, number) == f"link type: {link_type(number)} ({number}) is not read"


@pytest.mark.parametrize(
    ("checksum", "clock", "padded"),
    [(False, True, False), (True, False, False), (True, True, False), (False, False, True)],
)
def test_radiotap_s_flags_are_minded(checksum: bool, clock: bool, padded: bool) -> None:
    """A checksum at the end is no data; a header filled up to four octets is passed over whole."""
    frame = wlan(DATAGRAM, qos=True)
    if padded:
        frame = frame[:26] + b"\0\0" + frame[26:]
    whole_frame = radiotap(frame, checksum=checksum, clock=clock, padded=padded)
    assert decode(whole_frame, 127).flow == decode(ether(DATAGRAM)).flow
    assert [layer.name for layer in places(whole_frame, 127)][-1] == ("Frame Check Sequence" if checksum else "Raw")


@pytest.mark.parametrize(
    ("packet", "carriers"),
    [
        (ipv4(4, DATAGRAM), [""]),
        (ipv4(41, ipv6(17, udp())), [""]),
        (ipv6(4, DATAGRAM), [""]),
        (ipv4(47, gre(DATAGRAM)), ["GREv0, length 37"]),
        (ipv4(47, gre(DATAGRAM, 0xB000, bytes(7) + b"\5\0\0\0\6")), ["GREv0, off 0x0, key=0x5, seq 6, length 49"]),
        (ipv4(47, pptp(DATAGRAM)), ["GREv1, call 7, seq 1, ack 2, length 53"]),
        (ipv4(17, vxlan(ether(DATAGRAM))), ["VXLAN, flags [I] (0x08), vni 5"]),
        (ipv4(17, vxlan(tagged(DATAGRAM, (0x8100, 9)))), ["VXLAN, flags [I] (0x08), vni 5, vlan 9"]),
        (ipv4(17, geneve(ether(DATAGRAM), bytes(4))), ["Geneve, Flags [none], vni 0x5, options [4 bytes]"]),
        (ipv4(4, ipv4(47, gre(DATAGRAM))), ["", "GREv0, length 37"]),
    ],
)
def test_what_carries_a_packet_is_told_from_the_outside_in(packet: bytes, carriers: list[str]) -> None:
    """In tcpdump's words; the facts are the innermost packet's."""
    facts = decode(ether(packet))
    assert [outer.carrier for outer in facts.outer] == carriers
    assert isinstance(facts.transport, UdpDatagram)
    assert facts.transport.destination_port == 7
    assert facts.vlans == ()


@pytest.mark.parametrize(
    "payload",
    [
        to_port(4789, bytes(8) + ether(DATAGRAM)),
        vxlan(b"too short"),
        vxlan(ether(b"\x44" + bytes(30))),
        to_port(6081, b"\xc0" + bytes(30)),
        to_port(53, struct.pack("!II", 8 << 24, 5 << 8) + ether(DATAGRAM)),
    ],
    ids=["no VNI", "cut", "no IP", "version 3", "another port"],
)
def test_a_datagram_that_carries_no_packet_is_a_datagram(payload: bytes) -> None:
    """Whatever its port: without VXLAN's flag I, with a packet in it that is none, of an unknown version."""
    facts = decode(ether(ipv4(17, payload)))
    assert isinstance(facts.transport, UdpDatagram)
    assert facts.outer == ()


@pytest.mark.parametrize(
    "payload",
    [
        gre(b"x", protocol=0x22EB),
        gre(b"\xff\3\xc0\x21" + bytes(8), 0x3001, struct.pack("!HHI", 12, 7, 1), 0x880B),
        gre(b"", 0x2081, struct.pack("!HHI", 0, 7, 2), 0x880B),
        gre(ethernet(4, b"\x42\x42\3\0"), protocol=0x6558),
    ],
    ids=["ERSPAN III", "LCP", "acknowledgment", "spanning tree"],
)
def test_a_tunnel_s_packet_that_carries_no_packet_is_itself(payload: bytes) -> None:
    """As any other IP protocol's: nothing of it is wrong."""
    facts = decode(ether(ipv4(47, payload)))
    assert facts.transport == Other(protocol=47, data=(34, 34 + len(payload)), length=len(payload))
    assert facts.outer == ()


def test_layers_are_followed_up_to_the_cap() -> None:
    """And what lies deeper is not guessed at."""
    packet = DATAGRAM
    for _ in range(MAX_LAYERS + 5):
        packet = ipv4(4, packet)
    assert why(ether(packet)) == f"layers: {MAX_LAYERS} at most expected, more there"
    assert len(decode(ether(packet)).outer) == MAX_LAYERS - 2
    assert why(TWO + ONE + bytes.fromhex("81000001") * 70) == f"layers: {MAX_LAYERS} at most expected, more there"


def test_the_plain_way_and_the_long_way_say_the_same() -> None:
    """What is read at once, behind Ethernet, is what the walk through all headers finds."""
    for packet in (DATAGRAM, ipv4(6, tcp()), ipv6(6, tcp()), ipv6(17, udp()), extended((0, 60), 17, udp())):
        for frame in (ether(packet), tagged(packet, (0x8100, 5))):
            shifted = decode(struct.pack("<BBHI", 0, 0, 8, 0) + wlan(packet)[:24] + b"\0\0" + snap(packet), 127)
            facts = decode(frame)
            assert (facts.flow, facts.ethertype) == (shifted.flow, shifted.ethertype)
            assert facts.vlans == ((5,) if len(frame) > 14 + len(packet) else ())


# ---- whatever the octets


def sound(frame: bytes, linktype: int) -> Facts:
    """Facts whose places lie in the frame, whose line reads back, whose layers are the frame."""
    facts = decode(frame, linktype)
    assert isinstance(facts.transport, TRANSPORTS)
    headers = [*(outer.ip for outer in facts.outer), *((facts.ip,) if facts.ip else ())]
    for ip in headers:
        assert 0 <= ip.start <= ip.payload[0] <= ip.payload[1] <= len(frame)
    if isinstance(facts.transport, TcpSegment | UdpDatagram | Other | IcmpMessage):
        first, end = facts.transport.data
        assert 0 <= first <= len(frame)
        assert end <= len(frame)
    assert parse_packet(format_packet(facts)) == carried(facts)
    assert whole(places(frame, linktype), frame)
    return facts


@pytest.mark.parametrize("linktype", sorted(LINKS))
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=120))
def test_no_octets_raise(linktype: int, data: bytes) -> None:
    """Any, of any link type."""
    sound(data, linktype)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(FRAMES), st.data())
def test_no_change_to_a_frame_raises(case: tuple[bytes, int], data: st.DataObject) -> None:
    """Octets changed, taken out, put in; cut anywhere."""
    frame, linktype = case
    octets = bytearray(frame)
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=4)):
        octets[min(at, len(octets) - 1)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(octets)))
    extra = data.draw(st.binary(max_size=8))
    sound(bytes(octets[:cut]) + extra, linktype)
    sound(bytes(octets), linktype)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_tunnels_may_be_stacked_in_any_order(data: st.DataObject) -> None:
    """As deep as may be: the innermost packet comes out, with all that carry it."""
    wraps: list[Callable[[bytes], bytes]] = [
        lambda packet: ipv4(41 if packet[0] >> 4 == 6 else 4, packet),
        lambda packet: ipv6(41 if packet[0] >> 4 == 6 else 4, packet),
        lambda packet: ipv4(47, gre(packet)),
        lambda packet: ipv4(17, vxlan(ether(packet))),
        lambda packet: ipv6(17, geneve(tagged(packet, (0x88A8, 3), (0x8100, 4)))),
        lambda packet: ipv4(47, pptp(packet)),
    ]
    chosen = data.draw(st.lists(st.sampled_from(wraps), max_size=10))
    packet = DATAGRAM
    for wrap in chosen:
        packet = wrap(packet)
    facts = sound(ether(packet), 1)
    assert len(facts.outer) == len(chosen)
    assert facts.flow == decode(ether(DATAGRAM)).flow


def test_a_mesh_s_control_field_is_passed_over() -> None:
    """Behind the QoS Control of a frame with four addresses that says so (IEEE 802.11 clause 9.2.4.8.3)."""
    header = b"\x88\3\0\0" + ACCESS_POINT + ACCESS_POINT + TWO + b"\x10\0" + ONE + b"\0\1"
    control = b"\1" + bytes(5) + bytes(6)
    assert decode(header + control + snap(DATAGRAM), 105).flow == decode(ether(DATAGRAM)).flow
