"""Frames to packets: the same octets, seen where they left and where they arrived, are one packet.

On a wire that changes nothing, a frame that left one host and a frame that arrived at another are the same
packet if their octets are the same; of equal ones, the first that left is the first that arrived, but for one that
left so long ago that TCP's timer has sent it again. What left and was never seen to arrive is lost, unless the
capture itself lost frames there.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
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

    @property
    def at_ns(self) -> int:
        """When it was first seen."""
        at = self.sent_ns if self.sent_ns is not None else self.arrived_ns
        assert at is not None
        return at

    def finished(self) -> Packet:
        """The packet, for good."""
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
        )


def pair(timeline: Timeline, decode: Decode) -> list[Draft]:
    """The packets in order of time, numbered from 1, each decoded once."""
    on_the_way: dict[bytes | memoryview, deque[Draft]] = defaultdict(deque)
    drafts: list[Draft] = []
    for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns):
        point = timeline.points[frame.point]
        waiting = on_the_way[frame.data]
        if frame.outgoing is False and waiting and waiting[0].sender != point.host:
            draft = waiting.popleft()
            draft.arrived_ns, draft.receiver = frame.at_ns, point.host
            draft.frames.append(frame.number)
            continue
        draft = _first_sight(frame, decode(frame.data, point.linktype, frame.length), point)
        drafts.append(draft)
        if frame.outgoing and point.host is not None:
            again = waiting and frame.at_ns - waiting[-1].at_ns >= _LEAST_TIMEOUT_NS
            (waiting.appendleft if again else waiting.append)(draft)
    _find_lost(drafts, timeline.points)
    drafts.sort(key=lambda draft: draft.at_ns)
    for n, draft in enumerate(drafts, 1):
        draft.n = n
    return drafts


def _first_sight(frame: Frame, facts: Facts, point: Point) -> Draft:
    draft = Draft(facts=facts, data=frame.data, frames=[frame.number])
    if frame.outgoing is False:
        draft.arrived_ns, draft.receiver = frame.at_ns, point.host
    else:
        draft.sent_ns, draft.sender = frame.at_ns, point.host
    return draft


def _find_lost(drafts: Iterable[Draft], points: Sequence[Point]) -> None:
    hosts = [point.host for point in points if point.host is not None]
    sound = len(hosts) > 1 and all(point.dropped == 0 for point in points)
    for draft in drafts:
        if draft.sender is not None:
            draft.receiver = draft.receiver or next((host for host in hosts if host != draft.sender), None)
            draft.lost = sound and draft.arrived_ns is None
