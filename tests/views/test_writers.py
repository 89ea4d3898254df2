"""Who wrote which octets of a packet: each octet has one writer, and where the facts show it, the right one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.labs.headers import icmp_echo, ip, udp
from rawlab.model.address import Endpoint
from rawlab.model.story import Packet, Story
from rawlab.views.anatomy import when
from rawlab.views.writers import claims, writer, written
from rawlab.wire.layer import Layer
from rawlab.wire.places import places
from tests.attribution.by_hand import CLIENT, ROUTED, SERVER, Wire, with_ttl
from tests.views.stories import anyones, echo

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
NEAR, FAR = ("client", "router"), ("router", "server")


def told(story: Story, n: int) -> dict[str, list[tuple[str, str]]]:
    """Packet n: by layer, which octets are whose."""
    packet = story.packets[n - 1]
    return {layer.name: written(layer, packet, story) for layer in places(packet.data)}


def by_hand(sent: bytes, passed: bytes, protocol: str) -> Story:
    """A packet through a raw socket, and as it went over the wire."""
    wire = Wire()
    wire.opens("client", 71, "AF_INET6" if passed[0] >> 4 == 6 else "AF_INET", "SOCK_RAW", protocol)
    wire.sends("client", 100, 71, sent, "fd00::2" if passed[0] >> 4 == 6 else SERVER.address)
    wire.passes(passed, ("client", "server"), 102)
    return wire.story()


def test_icmpv6_s_checksum_is_the_kernel_s() -> None:
    """RFC 3542 section 3.1: the program left it 0; all else behind the IP header is its own, and the reason says so."""
    message = icmp_echo(7, 1, b"hello", version6=True)
    story = by_hand(message, ip("fd00::1", "fd00::2", 58, message[:2] + b"\xab\xcd" + message[4:]), "IPPROTO_ICMPV6")
    whose = told(story, 1)
    assert whose["IPv6"] == [("14–53", "the client's kernel")]
    assert whose["ICMPv6"] == [
        ("54–55, 58–61", "the client's process: c2, its octets 0 to 1, 4 to 7"),
        ("56–57", "the client's kernel"),
    ]
    assert whose["Raw"] == [("62–66", "the client's process: c2, its octets 8 to 12")]
    assert story.packets[0].cause.reason == (
        "all behind the IP header is what sendto (call 2) wrote, but for the ICMPv6 checksum, which the kernel filled "
        "in (RFC 3542 section 3.1)"
    )


def test_what_the_kernel_fills_in_of_a_header_by_hand_is_the_kernel_s() -> None:
    """raw(7): identification and checksum, written as 0; the length, written right, is as it was written."""
    sent = ip(CLIENT.address, SERVER.address, 17, udp(CLIENT, SERVER, b"hello"))
    story = by_hand(sent, sent[:4] + b"\x12\x34" + sent[6:10] + b"\x56\x78" + sent[12:], "IPPROTO_RAW")
    whose = told(story, 1)
    assert whose["Ethernet"] == [("0–13", "the client's kernel")]
    assert whose["IPv4"] == [
        ("14–17, 20–23, 26–33", "the client's process: c2, its octets 0 to 3, 6 to 9, 12 to 19"),
        ("18–19, 24–25", "the client's kernel"),
    ]
    assert whose["UDP"] == [("34–41", "the client's process: c2, its octets 20 to 27")]


@pytest.mark.parametrize("ipv6", [False, True])
def test_of_a_packet_that_is_sent_on_the_router_wrote_what_it_changes(ipv6: bool) -> None:
    """The link header, the TTL and IPv4's checksum; all else is of who wrote it first, by the same call."""
    ends = ("fd00::1", "fd01::2") if ipv6 else ("10.0.0.1", "10.0.1.2")
    source, target = Endpoint(ends[0], 40000), Endpoint(ends[1], 7)
    packet = ip(*ends, 17, udp(source, target, b"probe"))
    wire = Wire(ROUTED)
    wire.opens("client", 71, "AF_INET6" if ipv6 else "AF_INET", "SOCK_DGRAM", "IPPROTO_IP")
    wire.calls("client", 50, "bind", ("sockfd", 3), ("addr", source), socket=71, ends=(source,))
    data = ("sockfd", 3), ("buf", b"probe"), ("len", 5), ("flags", "0"), ("dest_addr", target)
    wire.calls("client", 95, "sendto", *data, socket=71, result=5, ends=(source,))
    wire.passes(with_ttl(packet, 2), NEAR, 100)
    wire.passes(with_ttl(packet, 1), FAR, 130)
    story = wire.story()
    whose = told(story, 2)
    assert whose["Ethernet"] == [("0–13", "the router's kernel")]
    assert whose["IPv6" if ipv6 else "IPv4"] == [
        ("14–20, 22–53" if ipv6 else "14–21, 23, 26–33", "the client's kernel"),
        ("21" if ipv6 else "22, 24–25", "the router's kernel"),
    ]
    assert whose["UDP"] == told(story, 1)["UDP"]
    assert whose["Raw"] == told(story, 1)["Raw"] != []
    assert "the client's process: c3, its octets 0 to 4" in whose["Raw"][0][1]


def test_whose_data_it_is_is_not_known_without_calls() -> None:
    """What anybody's pcap holds: headers are the host's, data is a process's; one frame is one frame."""
    story = anyones()
    packet = next(packet for packet in story.packets if b"hello" in bytes(packet.data))
    ((_, who),) = told(story, packet.n)["Raw"]
    assert who == "a process, which one is not recorded"
    assert told(story, packet.n)["TCP"] == [("34–53", "the host 10.0.0.1")]
    assert when(packet, story) == f"from 10.0.0.1 to 10.0.0.2; Wireshark's frame {packet.frames[0]}"


def test_data_of_several_calls_is_told_in_one_row() -> None:
    """Each call has its octets; of one octet, its number alone."""
    story = echo()
    packet = next(packet for packet in story.packets if packet.cause.bytes)
    (layer,) = (layer for layer in places(packet.data) if layer.name == "Raw")
    n = packet.cause.bytes[0][0]
    two = replace(packet, cause=replace(packet.cause, bytes=((n, 0, 4), (n + 1, 0, 1))))
    assert writer(layer, two, story) == f"the client's process: c{n}, its octets 0 to 3; c{n + 1}, its octet 0"
    one = replace(packet, cause=replace(packet.cause, bytes=((n, 0, 4),)))  # whose the fifth is, nobody knows
    assert writer(layer, one, story) == "the client's process"


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_each_octet_has_one_writer(path: Path) -> None:
    """Of every packet of every capture, layer by layer; and a call's octets are those of the call."""
    story = load(path)
    for packet in story.packets:
        for layer in places(packet.data):
            assert octets(layer, packet, story) == list(range(layer.offset, layer.offset + layer.length))
        for claim in claims(packet, story):
            if claim.call is not None:
                data = bytes(story.calls[claim.call - 1].call.data or b"")[claim.at :]
                there = bytes(packet.data[claim.first : claim.end])
                same = sum(one == other for one, other in zip(there, data, strict=False))
                assert same >= min(len(there), len(data)) - 8  # but for what the kernel filled in


def octets(layer: Layer, packet: Packet, story: Story) -> list[int]:
    """Those of the layer that have a writer, each as often as it is said."""
    spans = [span.partition("–") for places, _ in written(layer, packet, story) for span in places.split(", ")]
    return sorted(n for first, _, last in spans for n in range(int(first), int(last or first) + 1))
