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

from rawlab.attribution.sameness import Same, same, shortest
from rawlab.model.analysis import Finding, words
from rawlab.model.event import Frame
from rawlab.model.facts import Facts
from rawlab.model.story import Cause, Packet
from rawlab.model.timeline import Point, Timeline

Decode = Callable[[bytes | memoryview, int, int], Facts]
"""(octets, link type, length on the wire) to facts"""

_LEAST_TIMEOUT_NS = 200_000_000  # Linux's TCP_RTO_MIN: what is sent again by a timer is sent no sooner
_NOTHING = Finding()
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
    finding: Finding = _NOTHING
    "TCP, where no calls were recorded: what following the connection told of it"
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
        frames = tuple(sorted(self.frames))
        notes = [note for number in frames for note in comments.get(number, ())] if comments else ()
        return Packet(
            n=self.n,
            facts=self.facts,
            data=self.data,
            frames=frames,
            sent_ns=self.sent_ns,
            arrived_ns=self.arrived_ns,
            lost=self.lost,
            sender=self.sender,
            receiver=self.receiver,
            seq=self.seq,
            ack=self.ack,
            cause=self.cause,
            states=self.states,
            notes=tuple(dict.fromkeys(notes)) if notes else (),
            marks=words(self.finding.marks),
        )


def pair(timeline: Timeline, decode: Decode) -> list[Draft]:
    """The packets in order of time, numbered from 1, each decoded once."""
    on_the_way: dict[Same, list[Draft]] = defaultdict(list)
    arrived: dict[Same, Draft] = {}
    delays: dict[str, int] = {}  # ns on the way, of each sender's latest packet of which there was but one
    owned = {address for host in timeline.hosts for address in host.addresses}
    drafts: list[Draft] = []
    keys = _sameness(timeline, decode)
    paired = any(point.host is not None for point in timeline.points)
    for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns):
        point = timeline.points[frame.point]
        key = keys.get(frame.number, frame.data) if paired else b""
        waiting = on_the_way[key]
        if frame.outgoing is False and waiting and waiting[0].sender != point.host:
            draft = _likeliest(waiting, frame.at_ns, delays)
            draft.arrived_ns, draft.receiver = frame.at_ns, point.host
            draft.frames.append(frame.number)
            arrived[key] = draft
            continue
        draft = _first_sight(frame, decode(frame.data, point.linktype, frame.length), point)
        draft.point = frame.point
        drafts.append(draft)
        draft.unowned = draft.facts.ip is not None and draft.facts.ip.source not in owned
        if frame.outgoing and point.host is not None:
            waiting.append(draft)
        elif (first := arrived.get(key)) is not None and first.receiver == point.host:
            draft.copy_of, draft.sender = first, first.sender
    _find_lost(drafts, timeline)
    if timeline.run.traced:
        _find_senders(drafts, timeline)
    drafts.sort(key=lambda draft: draft.at_ns)
    for n, draft in enumerate(drafts, 1):
        draft.n = n
    for draft in drafts:
        if draft.copy_of is not None:
            draft.cause = _copied(draft.copy_of)
    return drafts


def _sameness(timeline: Timeline, decode: Decode) -> dict[int, Same]:
    """By number, what of a frame is the same at both ends where a router may lie between: two machines' captures."""
    if timeline.run.merged is None:
        return {}
    links = [point.linktype for point in timeline.points]
    packets = [(frame, decode(frame.data, links[frame.point], frame.length)) for frame in timeline.frames]
    limit = shortest(packets)
    return {frame.number: same(frame.data, facts, limit) for frame, facts in packets}


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


def _find_senders(drafts: Iterable[Draft], timeline: Timeline) -> None:
    """Who sent what was only seen to arrive, by its address; on loopback, where hosts share it, that is not known."""
    owners: dict[str, set[str]] = defaultdict(set)
    for host in timeline.hosts:
        for address in host.addresses:
            owners[address].add(host.name)
    for draft in drafts:
        mine = owners.get(draft.facts.ip.source, set()) if draft.facts.ip is not None else set()
        if draft.sender is None and len(mine) == 1:
            (draft.sender,) = mine


def _is_for(draft: Draft, host: str | None, timeline: Timeline) -> bool:
    """Whether the packet goes to one of the host's addresses."""
    addresses = (address for known in timeline.hosts if known.name == host for address in known.addresses)
    return draft.facts.ip is not None and draft.facts.ip.destination in addresses


def _first_sight(frame: Frame, facts: Facts, point: Point) -> Draft:
    draft = Draft(facts=facts, data=frame.data, frames=[frame.number])
    if frame.outgoing is False:
        draft.arrived_ns, draft.receiver = frame.at_ns, point.host
    else:
        draft.sent_ns, draft.sender = frame.at_ns, point.host
    return draft


def _find_lost(drafts: Iterable[Draft], timeline: Timeline) -> None:
    """Of points of observation, each two in order are the ends of one link; of two machines' captures, of one way."""
    points = timeline.points
    hosts = [point.host for point in points if point.host is not None]
    sound = len(hosts) > 1 and all(point.dropped == 0 for point in points)
    for draft in drafts:
        if draft.sender is not None:
            end = draft.point ^ 1  # the other one of the two
            other = hosts[end] if end < len(hosts) == len(points) else None
            if timeline.run.merged is not None and not _is_for(draft, other, timeline):
                continue  # a router does not send it on
            draft.receiver = draft.receiver or (other if other != draft.sender else None)
            draft.lost = sound and draft.arrived_ns is None
