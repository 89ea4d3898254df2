"""Conversations: which packets and which calls belong to which, told by addresses, ties and sockets."""

from __future__ import annotations

from pathlib import Path

from rawlab.api import load
from rawlab.model.story import Story
from rawlab.views.conversations import Conversations

CAPTURES = Path(__file__).parents[2] / "captures"


def both(name: str) -> tuple[Story, Conversations]:
    story = load(CAPTURES / f"{name}.pcapng")
    return story, Conversations(story)


def calls(story: Story, found: Conversations, numbers: set[int]) -> list[str]:
    """The names of the calls that are about those."""
    return [told.call.name for told in story.calls if found.of_call[told.n] == numbers]


def test_they_are_numbered_by_their_first_packet() -> None:
    """Each named by who spoke first."""
    story, found = both("tcp-concurrent")
    assert [str(one) for one in found.all] == [
        "tcp 10.0.0.1:49372 – 10.0.0.2:7",
        "tcp 10.0.0.1:49380 – 10.0.0.2:7",
    ]
    assert [packet.n for packet in story.packets if packet.n not in found.of_packet] == [1, 2]  # ARP
    assert found.of_packet[6] == 2


def test_a_listening_socket_is_everyones() -> None:
    """Its calls are about all that came from it; accept and what follows about one; fork about none."""
    story, found = both("tcp-concurrent")
    assert calls(story, found, {1, 2}) == ["socket", "bind", "listen", "close", "close"]
    assert calls(story, found, {1})[:3] == ["accept", "socket", "connect"]
    assert {"fork", "wait4"} <= set(calls(story, found, set()))


def test_one_to_many_sockets() -> None:
    """Of a one-to-many SCTP socket, each message is about its own association."""
    story, found = both("sctp-many")
    assert len(found.all) == 2
    for number in (1, 2):
        assert {"sendmsg", "recvmsg"} <= set(calls(story, found, {number}))


def test_an_association_has_several_addresses() -> None:
    """Packets by a multihomed host's second path belong to the same one."""
    story, found = both("sctp-multihome")
    assert len(found.all) == 1
    paths = {packet.facts.ip.destination for packet in story.packets if packet.n in found.of_packet and packet.facts.ip}
    assert {"10.0.0.2", "10.0.1.2"} <= paths


def test_fragments_belong_to_their_datagram() -> None:
    """Those that carry no ports, too."""
    story, found = both("udp-large")
    fragments = [packet.n for packet in story.packets if packet.facts.ip and packet.facts.ip.is_fragment]
    assert len(fragments) == 3
    assert {found.of_packet[n] for n in fragments} == {1}


def test_an_error_belongs_to_what_it_quotes() -> None:
    """ICMP port unreachable, to the datagram's conversation."""
    story, found = both("udp-connect")
    errors = [packet.n for packet in story.packets if "Icmp" in type(packet.facts.transport).__name__]
    assert errors
    assert {found.of_packet[n] for n in errors} <= {1, 2}
