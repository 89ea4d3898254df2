"""Whose lifelines a ladder has, and between which two of them each packet goes.

A capture of ours names its hosts. Anyone's does not: there each address is one; where there are many, or one that talks
to itself, there are two lifelines, of those who spoke first and of those who were spoken to: one conversation's two
ends go by their addresses and ports.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rawlab.model.facts import ArpMessage, IcmpMessage
from rawlab.model.story import Packet, Story
from rawlab.views.rows import hosts

_MOST = 4  # lifelines of addresses
FIRST, OTHER = "who spoke first", "the other end"


class Places:
    """The lifelines, and each packet's two."""

    def __init__(self, story: Story, packets: Sequence[Packet]) -> None:
        self._first: dict[frozenset[Hashable], Hashable] = {}
        "of each two that speak with each other, the one that did so first"
        for packet in story.packets:
            self._first.setdefault(frozenset((_source(packet), _destination(packet))), _source(packet))
        self._by_address = False
        self._hosts = [*hosts(story), OTHER] if len(hosts(story)) == 1 else hosts(story)
        self._named = bool(story.timeline.hosts or story.calls)
        self.names: Sequence[str] = self._hosts if self._named else self._of_addresses(packets)
        self._index = {name: place for place, name in enumerate(self.names)}

    def _of_addresses(self, packets: Sequence[Packet]) -> Sequence[str]:
        ends = [addresses(packet) for packet in packets]
        found = list(dict.fromkeys(address for pair in ends for address in pair))
        if len(found) == 1:
            return _ends_of_one(packets) or tuple(f"{found[0]}, {which}" for which in (FIRST, OTHER))
        if not 2 <= len(found) <= _MOST or any(source == destination for source, destination in ends):
            return (FIRST, OTHER)
        named = [address for address in found if address is not None]
        self._by_address = len(named) == len(found)
        return named if self._by_address else (FIRST, OTHER)

    def of_host(self, name: str) -> int:
        """A host's place, from 0."""
        return self._index.get(name, 0)

    def of_end(self, host: str, first: Packet) -> int | None:
        """The place of a conversation's end, by its host; where hosts have no names, the first is who sent `first`."""
        if self._named or host in self._index:
            return self._index.get(host)
        sender, receiver = self.ends(first)
        return sender if host == first.sender else receiver

    def ends(self, packet: Packet) -> tuple[int, int]:
        """The places of its sender and its receiver, never the same."""
        last = len(self.names) - 1
        if self._by_address:
            source, destination = addresses(packet)
            return self._index.get(source or "", 0), self._index.get(destination or "", last)
        if packet.sender in self._index:
            sender = self._index[packet.sender]
        elif packet.receiver in self._index:
            receiver = self._index[packet.receiver]
            sender = 1 if receiver == 0 else receiver - 1
        else:
            pair = frozenset((_source(packet), _destination(packet)))
            sender = 0 if self._first.get(pair) == _source(packet) else last
        if packet.receiver in self._index and packet.receiver != packet.sender:
            return sender, self._index[packet.receiver]
        return sender, sender - 1 if sender == last else sender + 1


def _ends_of_one(packets: Sequence[Packet]) -> Sequence[str] | None:
    """The ends of the only conversation of a host with itself, who spoke first before the other; None: there are more.
    """
    flows = [packet.facts.flow for packet in packets]
    first = flows[0]
    if first is None or first.source == first.destination or any(flow not in (first, first.reverse) for flow in flows):
        return None
    return str(first.source), str(first.destination)


def addresses(packet: Packet) -> tuple[str | None, str | None]:
    """Of IP, else of ARP, else of the link."""
    facts = packet.facts
    if facts.ip is not None:
        return facts.ip.source, facts.ip.destination
    if isinstance(facts.transport, ArpMessage):
        return facts.transport.sender, facts.transport.target
    return facts.source_mac, facts.destination_mac


def _source(packet: Packet) -> Hashable:
    return addresses(packet)[0], _ports(packet)[0]


def _destination(packet: Packet) -> Hashable:
    return addresses(packet)[1], _ports(packet)[1]


def _ports(packet: Packet) -> tuple[int | None, int | None]:
    """From where, to where; of an ICMP error by the packet that it quotes, which went the other way."""
    transport = packet.facts.transport
    if isinstance(transport, IcmpMessage) and transport.quoted is not None:
        return transport.quoted.destination_port, transport.quoted.source_port
    return getattr(transport, "source_port", None), getattr(transport, "destination_port", None)
