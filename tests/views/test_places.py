"""Lifelines: hosts by name, or by address where a capture names none."""

from __future__ import annotations

from dataclasses import replace

from rawlab.model.facts import TcpSegment
from rawlab.model.story import Packet, Story
from rawlab.views.places import FIRST, OTHER, Places
from tests.views.stories import anyones, echo, routed


def readdressed(packet: Packet, source: str, destination: str) -> Packet:
    ip = packet.facts.ip
    assert ip is not None
    return replace(packet, facts=replace(packet.facts, ip=replace(ip, source=source, destination=destination)))


def of(story: Story) -> Places:
    return Places(story, story.packets)


def test_hosts_with_names() -> None:
    """In the capture's order; each packet from its sender to its receiver, a lost one, too."""
    places = of(echo())
    assert places.names == ["client", "server"]
    assert [places.ends(packet) for packet in echo().packets][:5] == [(0, 1), (1, 0), (0, 1), (0, 1), (1, 0)]


def test_each_wire_of_three_hosts() -> None:
    """From host to router, from router to host."""
    story = routed()
    assert [of(story).ends(packet) for packet in story.packets][:4] == [(0, 1), (1, 2), (2, 1), (1, 0)]


def test_addresses_for_names() -> None:
    """Of anyone's capture, in order of appearance."""
    story = anyones()
    assert of(story).names == ["10.0.0.1", "10.0.0.2"]
    assert of(story).ends(story.packets[1]) == (1, 0)
    assert of(story).of_end("client", story.packets[0]) == 0
    assert of(story).of_end("server", story.packets[0]) == 1


def test_many_addresses() -> None:
    """Who spoke first with whom is left, who was spoken to is right."""
    story = anyones()
    packets = tuple(
        readdressed(packet, f"10.0.{packet.n}.1", f"10.0.{packet.n}.2") for packet in story.packets[:5]
    )
    back = replace(readdressed(story.packets[1], "10.0.1.2", "10.0.1.1"), n=6)
    places = of(replace(story, packets=(*packets, back)))
    assert places.names == (FIRST, OTHER)
    assert [places.ends(packet) for packet in packets] == [(0, 1)] * 5
    assert places.ends(back) == (1, 0)


def test_an_address_that_talks_to_itself() -> None:
    """On loopback, ports tell the two ends apart: the two of one conversation are named by them."""
    story = anyones()
    packets = tuple(readdressed(packet, "127.0.0.1", "127.0.0.1") for packet in story.packets)
    places, flow = of(replace(story, packets=packets)), packets[0].facts.flow
    assert flow is not None
    assert places.names == (str(flow.source), str(flow.destination))
    assert [places.ends(packet) for packet in packets][:3] == [(0, 1), (1, 0), (0, 1)]


def test_an_address_that_talks_to_itself_in_several_conversations() -> None:
    """The address, and who spoke first."""
    packets = [readdressed(packet, "127.0.0.1", "127.0.0.1") for packet in anyones().packets[:2]]
    transport = packets[1].facts.transport
    assert isinstance(transport, TcpSegment)
    packets[1] = replace(packets[1], facts=replace(packets[1].facts, transport=replace(transport, source_port=9)))
    places = of(replace(anyones(), packets=tuple(packets)))
    assert places.names == (f"127.0.0.1, {FIRST}", f"127.0.0.1, {OTHER}")


def test_a_capture_of_nothing() -> None:
    """Has two lifelines all the same."""
    assert of(replace(anyones(), packets=())).names == (FIRST, OTHER)
