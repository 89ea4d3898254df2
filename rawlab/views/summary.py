"""A story in a line: how much was seen, what was lost or stays unexplained; of captures by others, more to know."""

from __future__ import annotations

from rawlab.model.sctp import SctpPacket
from rawlab.model.story import Story
from rawlab.views.counting import count
from rawlab.views.escape import terminal

_STACKS = {"kernel": "; SCTP is the kernel's", "user": "; SCTP is rawlab's own, over raw sockets"}


def summary(story: Story) -> str:
    """'14 calls, 12 packets (frames: 12 at client, 0 dropped, 12 at server, 0 dropped)'."""
    counted = [point for point in story.timeline.points if point.captured is not None]
    seen = f"{count(len(story.calls), 'call')}, {count(len(story.packets), 'packet')}"
    if counted:
        frames = ", ".join(f"{point.captured} at {point.name}, {point.dropped or 0} dropped" for point in counted)
        seen += f" (frames: {frames})"
    if untimed := story.timeline.untimed:
        seen += f"; {count(untimed, 'frame')} without a time stamp, shown at the time of the one before"
    unknown = sum(packet.cause.kind == "unknown" for packet in story.packets)
    lost = sum(packet.lost for packet in story.packets)
    seen += f"; {count(unknown, 'packet')} of unknown cause" if unknown else ""
    seen += f"; {count(lost, 'packet')} lost on the way" if lost else ""
    if any(isinstance(packet.facts.transport, SctpPacket) for packet in story.packets):
        seen += _STACKS.get(story.timeline.run.stack or "", "")
    own = [host.name for host in story.timeline.hosts if host.own_tcp]
    seen += f"; TCP of the {' and the '.join(own)} is rawlab's own, over a packet socket" if own else ""
    return "\n".join((seen, *remarks(story)))


def remarks(story: Story) -> list[str]:
    """Of captures by others, a line each: who is who, where it was made, what it misses, how it was joined."""
    told = list(story.remarks)
    if story.timeline.run.merged is not None:
        told.append(f"joined from two captures: {story.timeline.run.merged}")
    if story.vantage is not None:
        known = story.vantage.confidence != "unknown"
        where = story.vantage.reason if known else f"cannot be told ({story.vantage.reason})"
        sure = " (inferred)" if story.vantage.confidence == "inferred" else ""
        told.insert(bool(told and story.heads), f"where it was captured: {where}{sure}")
    return [terminal(line) for line in told]
