"""The capture itself, and what rawlab says of each packet as the packet's comment, which Wireshark shows.

All else of a pcapng stays as it was, octet for octet: other comments, calls, names, statistics. A pcap, which has no
place for comments, becomes a pcapng.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rawlab.model.story import Packet, Story
from rawlab.views.escape import terminal
from rawlab.views.explanations import explanations
from rawlab.wire import notes, pcapng
from rawlab.wire.pcapng import PacketRecord


def render(story: Story, source: bytes | memoryview, *, shown: Collection[str] | None = None) -> bytes:
    """`source`: the capture's octets; `shown`: the rows ('p7') whose packets are commented, all where None."""
    said = dict(_comments(story, shown))
    if source[:4] != b"\x0a\x0d\x0d\x0a":
        return b"".join(_anew(story, said))
    wanted: dict[int, Sequence[str]] = {}
    for record in notes.records(source):
        text = said.get(record.number)
        if text is not None and record.is_packet and record.has_room and text not in (there := record.notes):
            wanted[record.number] = (*there, text)
    return b"".join(notes.rewritten(source, wanted))


def _comments(story: Story, shown: Collection[str] | None) -> Iterator[tuple[int, str]]:
    """(frame, comment) for each frame of the packets."""
    means = explanations(story)
    for packet in story.packets:
        label = f"p{packet.n}"
        if shown is None or label in shown:
            words = terminal(f"{label}: {_why(packet)}. {means.get(label, '')}".strip())
            yield from ((number, words) for number in packet.frames)


def _why(packet: Packet) -> str:
    confidence = packet.cause.confidence
    return packet.cause.reason + ("" if confidence == "exact" else f" ({confidence})")


def _anew(story: Story, said: Mapping[int, str]) -> Iterator[bytes]:
    """A pcapng of the frames."""
    yield pcapng.section_header()
    for point in story.timeline.points:
        yield pcapng.interface_description(point.linktype, point.name)
    for frame in story.frames:
        record = PacketRecord(
            interface=frame.point,
            at_ns=frame.at_ns,
            data=memoryview(frame.data),
            length=frame.length,
            comments=(said[frame.number],) if frame.number in said else (),
        )
        yield pcapng.enhanced_packet(record)
