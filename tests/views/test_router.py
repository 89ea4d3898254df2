"""A router between the hosts, in the views: which link a packet is on, and from whom to whom."""

from __future__ import annotations

import json

import pytest

from rawlab.labs.headers import ip, udp
from rawlab.model.address import Endpoint
from rawlab.model.story import Story
from rawlab.views import story_json, svg
from rawlab.views.style import Style
from rawlab.views.table import timeline
from tests.attribution.by_hand import ROUTED, Wire, with_ttl


@pytest.fixture(scope="module")
def story() -> Story:
    """A datagram from client to server and one back, each over both links."""
    wire = Wire(ROUTED)
    forth, back = (
        ip(source, destination, 17, udp(Endpoint(source, 9), Endpoint(destination, 9), b"hello"))
        for source, destination in (("10.0.0.1", "10.0.1.2"), ("10.0.1.2", "10.0.0.1"))
    )
    wire.passes(forth, ("client", "router"), 0)
    wire.passes(with_ttl(forth, 63), ("router", "server"), 30)
    wire.passes(back, ("server", "router"), 100)
    wire.passes(with_ttl(back, 63), ("router", "client"), 130)
    return wire.story()


@pytest.mark.parametrize("width", [80, 120, 200, None])
def test_the_table_says_on_which_link_a_packet_is(story: Story, width: int | None) -> None:
    """Hosts stand in their order; the arrow points to who receives it."""
    table = timeline(story, Style(width=width))
    found = [line for line in table.splitlines() if line.startswith("p")]
    links = ["client → router: ", "router → server: ", "router ← server: ", "client ← router: "]
    assert all(link in line for link, line in zip(links, found, strict=True))


def test_a_packet_tells_its_ttl(story: Story) -> None:
    """Which each link takes one from."""
    table = timeline(story, Style())
    assert [table.count(f"UDP, len 5, ttl {ttl}") for ttl in (64, 63)] == [2, 2]


def test_the_table_has_columns_for_the_hosts_with_programs(story: Story) -> None:
    """The first and the last; a router calls nothing."""
    head = timeline(story, Style()).splitlines()[0]
    assert "client's call" in head
    assert "server's call" in head
    assert "router's call" not in head


def test_json_says_from_whom_to_whom(story: Story) -> None:
    """By the hosts' names; the router is one of them, with all its addresses."""
    told = json.loads(story_json.render(story))
    ways = [(packet["from"], packet["to"]) for packet in told["packets"]]
    assert ways == [("client", "router"), ("router", "server"), ("server", "router"), ("router", "client")]
    assert [host["name"] for host in told["hosts"]] == ["client", "router", "server"]
    assert set(told["packets"][0]["states"]) == {"client", "router", "server"}


def test_the_picture_has_a_lifeline_for_each(story: Story) -> None:
    """Three names stand over it."""
    drawn = svg.render(story)
    assert all(f">{name}<" in drawn for name in ("client", "router", "server"))
