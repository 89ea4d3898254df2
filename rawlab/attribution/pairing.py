"""Frames to packets: the same octets, seen where they left and where they arrived, are one packet.

On a wire that changes nothing, a frame that left one host and a frame that arrived at another are the same
packet if their octets are the same; of equal ones (the same chunk, sent again), the one that would have been as long
on the way as packets of its way are. What left and was never seen to arrive is lost, unless the capture itself lost
frames there; what arrives a second time was doubled on the way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rawlab.model.event import Frame
from rawlab.model.facts import Facts
from rawlab.model.story import Cause, Packet
from rawlab.model.timeline import Point, Timeline

Decode = Callable[[bytes | memoryview, int, int], Facts]
"""(octets, link type, length on the wire) to facts"""

_LEAST_TIMEOUT_NS = 200_000_000  # Linux's TCP_RTO_MIN: what is sent again by a timer is sent no sooner
UNKNOWN = Cause(kind="unknown", reason="nothing in the capture says why", confidence="unknown")


@dataclass(slots=True, kw_only=True)
class Draft:
    """A packet whose story is still being written."""

    facts: Facts
    data: bytes | memoryview
    frames: list[int]
    point: int = 0
    "index of the point of observation at which it was first seen"
    sent_ns: int | None = None
    arrived_ns: int | None = None
    lost: bool = False
    sender: str | None = None
    receiver: str | None = None
    n: int = 0
    forward: bool = True
    "from the first end of its connection to the second"
    seq: int | None = None
    ack: int | None = None
    cause: Cause = UNKNOWN
    states: tuple[tuple[str, str | None], ...] = field(default=())
    copy_of: Draft | None = None
    "the packet of which the wire made this second one"
    forwarded: Draft | None = None
    "the packet that a router received and sent on as this one"
    unowned: bool = False
    "it comes from an address that none of the run's kernels owns: whoever wrote it, is its transport protocol"

    @property
    def at_ns(self) -> int:
        """When it was first seen."""
        at = self.sent_ns if self.sent_ns is not None else self.arrived_ns
        assert at is not None
        return at

    @property
    def arrival_ns(self) -> int:
        """When it arrived, or, seen where it left only, when that was."""
        return self.arrived_ns if self.arrived_ns is not None else self.at_ns

    def finished(self, comments: Mapping[int, Sequence[str]]) -> Packet:
        """The packet, for good; `comments`: of frames, by their numbers."""
        notes = [note for number in sorted(self.frames) for note in comments.get(number, ())]
        return Packet(
            n=self.n,
            facts=self.facts,
            data=self.data,
            frames=tuple(sorted(self.frames)),
            sent_ns=self.sent_ns,
            arrived_ns=self.arrived_ns,
            lost=self.lost,
            sender=self.sender,
            receiver=self.receiver,
            seq=self.seq,
            ack=self.ack,
            cause=self.cause,
            states=self.states,
            notes=tuple(dict.fromkeys(notes)),
        )


def pair(timeline: Timeline, decode: Decode) -> list[Draft]:
    """The packets in order of time, numbered from 1, each decoded once."""
    on_the_way: dict[bytes | memoryview, list[Draft]] = defaultdict(list)
    arrived: dict[bytes | memoryview, Draft] = {}
    delays: dict[str, int] = {}  # ns on the way, of each sender's latest packet of which there was but one
    owned = {address for host in timeline.hosts for address in host.addresses}
    drafts: list[Draft] = []
    for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns):
        point = timeline.points[frame.point]
        waiting = on_the_way[frame.data]
        if frame.outgoing is False and waiting and waiting[0].sender != point.host:
            draft = _likeliest(waiting, frame.at_ns, delays)
            draft.arrived_ns, draft.receiver = frame.at_ns, point.host
            draft.frames.append(frame.number)
            arrived[frame.data] = draft
            continue
        draft = _first_sight(frame, decode(frame.data, point.linktype, frame.length), point)
        draft.point = frame.point
        drafts.append(draft)
        draft.unowned = draft.facts.ip is not None and draft.facts.ip.source not in owned
        if frame.outgoing and point.host is not None:
            waiting.append(draft)
        elif (first := arrived.get(frame.data)) is not None and first.receiver == point.host:
            draft.copy_of, draft.sender = first, first.sender
    _find_lost(drafts, timeline.points)
    drafts.sort(key=lambda draft: draft.at_ns)
    for n, draft in enumerate(drafts, 1):
        draft.n = n
    for draft in drafts:
        if draft.copy_of is not None:
            draft.cause = _copied(draft.copy_of)
    return drafts


def _likeliest(waiting: list[Draft], at_ns: int, delays: dict[str, int]) -> Draft:
    """Of packets with the same octets the one that arrives now; it does not wait any more."""
    sender = waiting[0].sender or ""
    if len(waiting) == 1:
        draft = waiting.pop()
        delays[sender] = at_ns - draft.at_ns
        return draft
    if sender in delays:
        draft = min(waiting, key=lambda draft: abs(at_ns - draft.at_ns - delays[sender]))
    else:
        draft = next((draft for draft in waiting if at_ns - draft.at_ns < _LEAST_TIMEOUT_NS), waiting[-1])
    waiting.remove(draft)
    return draft


def _copied(first: Draft) -> Cause:
    return Cause(
        kind="kernel",
        reason=f"a copy of packet {first.n}, made on the way: nobody sent it",
        confidence="exact",
        packets=(first.n,),
    )


def _first_sight(frame: Frame, facts: Facts, point: Point) -> Draft:
    draft = Draft(facts=facts, data=frame.data, frames=[frame.number])
    if frame.outgoing is False:
        draft.arrived_ns, draft.receiver = frame.at_ns, point.host
    else:
        draft.sent_ns, draft.sender = frame.at_ns, point.host
    return draft


def _find_lost(drafts: Iterable[Draft], points: Sequence[Point]) -> None:
    """Of points of observation, each two in order are the ends of one link."""
    hosts = [point.host for point in points if point.host is not None]
    sound = len(hosts) > 1 and all(point.dropped == 0 for point in points)
    for draft in drafts:
        if draft.sender is not None:
            end = draft.point ^ 1  # the other one of the two
            other = hosts[end] if end < len(hosts) == len(points) else None
            draft.receiver = draft.receiver or (other if other != draft.sender else None)
            draft.lost = sound and draft.arrived_ns is None
