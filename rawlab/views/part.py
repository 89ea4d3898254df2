"""A part of a story: which of its rows are shown, chosen by number, by phase, by conversation.

What is chosen brings what it is tied to: a packet the calls that sent it and waited for it, a call its packets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from rawlab.errors import UsageError
from rawlab.model import sctp
from rawlab.model.facts import TcpSegment
from rawlab.model.sctp import SctpPacket
from rawlab.model.serial import Serial
from rawlab.model.story import Packet, Story
from rawlab.views.conversations import Conversations

PHASES = ("handshake", "data", "close")

_CHUNKS = {
    **dict.fromkeys((sctp.INIT, sctp.INIT_ACK, sctp.COOKIE_ECHO, sctp.COOKIE_ACK), "handshake"),
    **dict.fromkeys((sctp.DATA, sctp.I_DATA, sctp.SACK, sctp.FORWARD_TSN, sctp.I_FORWARD_TSN), "data"),
    **dict.fromkeys((sctp.SHUTDOWN, sctp.SHUTDOWN_ACK, sctp.SHUTDOWN_COMPLETE), "close"),
}
_RANGE = re.compile(r"([cp]?)(\d{1,9})(?:-([cp]?)(\d{1,9}))?", re.ASCII)


def shown(
    story: Story, *, rows: str | None = None, phases: Sequence[str] = (), flow: int | None = None
) -> frozenset[str] | None:
    """The labels ('c5', 'p7') of the rows that are chosen, and of what they are tied to; None: all.

    `rows` and `phases` add up; of those, `flow` leaves its own. Raises UsageError.
    """
    if rows is None and not phases and flow is None:
        return None
    conversations = Conversations(story)
    chosen: set[str] = set()
    if rows is not None:
        chosen |= _with_ties(story, set(_named(story, rows)))
    phases_of = _phases_of(story, conversations) if phases else {}
    for phase in phases:
        packets = {f"p{n}" for n, found in phases_of.items() if phase in found}
        if not packets:
            raise UsageError(f"--{phase}: the capture has no {_PHASE_WORDS[phase]}; rawlab replay shows its rows")
        chosen |= _with_ties(story, packets)
    if flow is None:
        return frozenset(chosen)
    mine = _of_flow(story, conversations, flow)
    if rows is None and not phases:
        return frozenset(mine)
    if not chosen & mine:
        raise UsageError(f"--flow {flow}: none of its rows is among the others that were chosen")
    return frozenset(chosen & mine)


_PHASE_WORDS = {
    "handshake": "handshake, of TCP's or SCTP's",
    "data": "packet that carries data",
    "close": "end of a connection or association",
}


def _named(story: Story, rows: str) -> Iterator[str]:
    """The labels that '5-7,12,c3' means. Raises UsageError."""
    most = {"c": len(story.calls), "p": len(story.packets)}
    for part in rows.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None or (found[3] and found[3] != (found[1] or "p")):
            raise UsageError(f"--rows {rows}: {part.strip()!r} is no row; expected 12, 5-7, p5-p7 or c3, with commas")
        kind, first = found[1] or "p", int(found[2])
        last = int(found[4]) if found[4] else first
        if not 1 <= first <= most[kind] or last > most[kind]:
            there = ", ".join(f"{one}1 to {one}{n}" if n else f"no {one}1" for one, n in most.items())
            raise UsageError(f"--rows {rows}: {part.strip()}: no such row; there are {there}")
        if last < first:
            raise UsageError(f"--rows {rows}: {part.strip()}: the first comes after the last")
        yield from (f"{kind}{n}" for n in range(first, last + 1))


def _with_ties(story: Story, labels: set[str]) -> set[str]:
    """Those, the calls of those that are packets, the packets of those that are calls."""
    chosen = set(labels)
    for told in story.calls:
        tied = {f"p{n}" for n in (*told.sent, *told.waited_for)}
        if told.label in labels:
            chosen |= tied
        elif tied & labels:
            chosen.add(told.label)
    for packet in story.packets:
        if f"p{packet.n}" in labels:
            chosen |= {f"c{n}" for n in packet.cause.calls}
    return chosen


def _of_flow(story: Story, conversations: Conversations, flow: int) -> set[str]:
    """The labels of the conversation of that number. Raises UsageError."""
    there = len(conversations.all)
    if flow > there:
        told = ", ".join(f"{one.n}: {one}" for one in conversations.all[:4]) + (", …" if there > 4 else "")
        raise UsageError(f"--flow {flow} of {there}: no such conversation; there is {told or 'none of TCP, UDP, SCTP'}")
    packets = {f"p{n}" for n, number in conversations.of_packet.items() if number == flow}
    return packets | {f"c{n}" for n, numbers in conversations.of_call.items() if flow in numbers}


def _phases_of(story: Story, conversations: Conversations) -> dict[int, set[str]]:
    """Each packet's phases: none, one, or, where it does two things, two."""
    states: dict[int, _Progress] = defaultdict(_Progress)
    return {
        packet.n: states[conversations.of_packet[packet.n]].phases(packet)
        if packet.n in conversations.of_packet
        else set()
        for packet in story.packets
    }


class _Progress:
    """How far a conversation has come."""

    def __init__(self) -> None:
        self.established = False
        self.synchronized: Serial | None = None
        "what acknowledges SYN-ACK"
        self.finished: set[Serial] = set()
        "what acknowledges a FIN"

    def phases(self, packet: Packet) -> set[str]:
        """What this packet, the next, is for."""
        match packet.facts.transport:
            case TcpSegment() as segment:
                return self._of_segment(segment)
            case SctpPacket() as whole:
                return self._of_chunks(whole)
            case _:
                return {"data"}

    def _of_segment(self, segment: TcpSegment) -> set[str]:
        if "S" in segment.flags:
            if "A" in segment.flags:
                self.synchronized = segment.seq + 1
            return {"handshake", "data"} if segment.length else {"handshake"}
        if "R" in segment.flags:
            return {"close"} if self.established else {"handshake"}
        found = {"data"} if segment.length else set()
        if "F" in segment.flags:
            self.finished.add(segment.seq + segment.span)
            found.add("close")
        if "A" in segment.flags and not self.established and segment.ack == self.synchronized:
            self.established = True
            found.add("handshake")
        if not found:
            found.add("close" if segment.ack in self.finished else "data")
        return found

    def _of_chunks(self, packet: SctpPacket) -> set[str]:
        types = {chunk.type for chunk in packet.chunks}
        found = {_CHUNKS[kind] for kind in types if kind in _CHUNKS}
        if types & {sctp.ABORT, sctp.ERROR}:
            found.add("close" if self.established else "handshake")
        self.established |= sctp.COOKIE_ACK in types
        return found or {"data"}
