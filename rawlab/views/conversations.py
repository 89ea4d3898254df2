"""Which conversation a packet or call of a story belongs to: a TCP connection, an SCTP association, two ends of UDP.

They are numbered from 1 in order of their first packet. A packet belongs by its addresses and ports; an ICMP error by
those that it quotes, a later fragment by its first. A call belongs by the packets that it is tied to, else by its
socket; one on a socket that several came from (listen, a one-to-many socket's bind) belongs to all of those. Of an SCTP
association, any address of a host is that host's end (RFC 9260 section 6.4).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from rawlab.model.address import Endpoint, Flow
from rawlab.model.event import Call
from rawlab.model.facts import IcmpMessage, Quoted
from rawlab.model.story import Packet, Story

_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One of them."""

    n: int
    "from 1"
    flow: Flow
    "its first packet's, from whoever spoke first"

    def __str__(self) -> str:
        return f"{self.flow.protocol} {self.flow.source} – {self.flow.destination}"


class Conversations:
    """All of a story's."""

    def __init__(self, story: Story) -> None:
        self.all: list[Conversation] = []
        self._homes = {address: host.name for host in story.timeline.hosts for address in host.addresses}
        self._numbers: dict[Flow, int] = {}
        self._fragments: dict[tuple[str, str, int, int], int] = {}
        self.of_packet: dict[int, int] = {}
        "packet's number: conversation's; those of none are not in it"
        for packet in story.packets:
            if (flow := _flow(packet)) is not None:
                self.of_packet[packet.n] = self._number(flow, quoted=packet.facts.flow is None)
                self._note_fragment(packet)
        for packet in story.packets:
            if (number := self._fragments.get(_datagram(packet) or ("", "", 0, 0))) is not None:
                self.of_packet.setdefault(packet.n, number)
        self.of_packet = {n: number for n, number in self.of_packet.items() if number}
        self.of_call: dict[int, frozenset[int]] = {}
        "call's number: those that it is about"
        self._sockets: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.shared: set[tuple[str, int]] = set()
        "sockets, by host and inode, that listen, or from which others were accepted or peeled off"
        self._follow_calls(story)

    def _number(self, flow: Flow, *, quoted: bool) -> int:
        """A conversation's number, a new one if need be; 0 for one that is only quoted."""
        key = self._key(flow)
        if key not in self._numbers and not quoted:
            self._numbers[key] = len(self.all) + 1
            self.all.append(Conversation(n=len(self.all) + 1, flow=flow))
        return self._numbers.get(key, 0)

    def _key(self, flow: Flow) -> Flow:
        if flow.protocol != "sctp":
            return flow.conversation
        ends = (flow.source, flow.destination)
        source, destination = (Endpoint(self._homes.get(end.address, end.address), end.port) for end in ends)
        return Flow(flow.protocol, source, destination).conversation

    def _note_fragment(self, packet: Packet) -> None:
        if packet.facts.flow is not None and (datagram := _datagram(packet)) is not None:
            self._fragments[datagram] = self.of_packet[packet.n]

    def _follow_calls(self, story: Story) -> None:
        direct: dict[int, set[int]] = {}
        for told in story.calls:
            tied = {self.of_packet[n] for n in (*told.sent, *told.waited_for) if n in self.of_packet}
            direct[told.n] = tied or self._by_addresses(told.call)
            if (socket := about(told.call)) is not None:
                self._sockets[socket] |= direct[told.n]
            if told.call.new_socket is not None and told.call.socket is not None:
                self.shared.add((told.call.host, told.call.socket))
        for packet in story.packets:
            for n in packet.cause.calls:
                call = story.calls[n - 1].call
                if call.name == "listen" and packet.n in self.of_packet and (socket := about(call)) is not None:
                    self._sockets[socket].add(self.of_packet[packet.n])
                    self.shared.add(socket)
        for told in story.calls:
            call = told.call
            if call.new_socket is not None and call.socket is not None:
                self._sockets[call.host, call.socket] |= self._sockets[call.host, call.new_socket]
        for told in story.calls:
            socket = about(told.call)
            mine = direct[told.n] or (self._sockets[socket] if socket is not None else set())
            self.of_call[told.n] = frozenset(mine)

    def _by_addresses(self, call: Call) -> set[int]:
        """By the kernel's word for the socket's two ends."""
        if call.local is None or call.peer is None:
            return set()
        flows = (Flow(protocol, call.local, call.peer) for protocol in _PROTOCOLS.values())
        return {number for flow in flows if (number := self._numbers.get(self._key(flow)))}


def about(call: Call) -> tuple[str, int] | None:
    """The socket that a call made, else the one that it acts on: its host and inode."""
    inode = call.new_socket if call.new_socket is not None else call.socket
    return None if inode is None else (call.host, inode)


def _flow(packet: Packet) -> Flow | None:
    transport = packet.facts.transport
    if isinstance(transport, IcmpMessage) and transport.quoted is not None:
        return _quoted(transport.quoted)
    return packet.facts.flow


def _quoted(quoted: Quoted) -> Flow | None:
    protocol = _PROTOCOLS.get(quoted.ip.protocol)
    if protocol is None or quoted.source_port is None or quoted.destination_port is None:
        return None
    source = Endpoint(quoted.ip.source, quoted.source_port)
    return Flow(protocol, source, Endpoint(quoted.ip.destination, quoted.destination_port))


def _datagram(packet: Packet) -> tuple[str, str, int, int] | None:
    """What all fragments of one datagram share (RFC 791, RFC 8200 section 4.5)."""
    ip = packet.facts.ip
    return (ip.source, ip.destination, ip.protocol, ip.identification) if ip is not None and ip.is_fragment else None
