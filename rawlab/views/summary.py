"""A story in a line: how much was seen, and what was lost or stays unexplained."""

from __future__ import annotations

from rawlab.model.sctp import SctpPacket
from rawlab.model.story import Story

_STACKS = {"kernel": "; SCTP is the kernel's", "user": "; SCTP is rawlab's own, over raw sockets"}


def summary(story: Story) -> str:
    """'14 calls, 12 packets (frames: 12 at client, 0 dropped, 12 at server, 0 dropped)'."""
    counted = [point for point in story.timeline.points if point.captured is not None]
    seen = f"{count(len(story.calls), 'call')}, {count(len(story.packets), 'packet')}"
    if counted:
        frames = ", ".join(f"{point.captured} at {point.name}, {point.dropped or 0} dropped" for point in counted)
        seen += f" (frames: {frames})"
    unknown = sum(packet.cause.kind == "unknown" for packet in story.packets)
    lost = sum(packet.lost for packet in story.packets)
    seen += f"; {count(unknown, 'packet')} of unknown cause" if unknown else ""
    seen += f"; {count(lost, 'packet')} lost on the way" if lost else ""
    if any(isinstance(packet.facts.transport, SctpPacket) for packet in story.packets):
        seen += _STACKS.get(story.timeline.run.stack or "", "")
    own = [host.name for host in story.timeline.hosts if host.own_tcp]
    seen += f"; TCP of the {' and the '.join(own)} is rawlab's own, over a packet socket" if own else ""
    return seen


def count(number: int, what: str) -> str:
    """'1 packet', '2 packets'."""
    return f"{number} {what}{'' if number == 1 else 's'}"
