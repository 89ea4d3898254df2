"""What is to be said once of a whole capture without calls: who is who, what it cut off, what it misses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rawlab.attribution import carried
from rawlab.attribution.association import Association
from rawlab.attribution.connection import Connection, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.roles import ROLES, ends_of
from rawlab.attribution.tcp_hindsight import missed
from rawlab.model.facts import TcpSegment
from rawlab.model.timeline import Timeline

_NAMED = 3
_LEAST_ONE_SIDED = 2


def tell(
    timeline: Timeline,
    drafts: Sequence[Draft],
    connections: Sequence[Connection],
    associations: Sequence[Association],
    heads: tuple[str, ...],
) -> Iterator[str]:
    """One sentence each."""
    yield from _who(drafts, [*connections, *associations], heads)
    yield from _order(timeline)
    yield from carried.tell(drafts)
    yield from _cut(timeline)
    yield from _missing(connections)
    yield from _one_sided(connections)
    yield from _oversize(connections)


def _who(drafts: Sequence[Draft], talks: Sequence[Connection | Association], heads: tuple[str, ...]) -> Iterator[str]:
    if heads != ROLES:
        return
    first = next((draft for draft in drafts if draft.sender in ROLES and draft.receiver in ROLES), None)
    if first is None:
        return
    source, destination = ends_of(first)
    if len(talks) == 1 and first.facts.flow is not None:
        source, destination = str(first.facts.flow.source), str(first.facts.flow.destination)
    named = {first.sender: source, first.receiver: destination}
    if source != destination:
        yield f"the client is {named['client']}, the server {named['server']}"


def _order(timeline: Timeline) -> Iterator[str]:
    times = [frame.at_ns for frame in timeline.frames]
    if back := sum(later < earlier for earlier, later in pairwise(times)):
        many = "a packet is" if back == 1 else f"{back} packets are"
        yield f"the file is not in order of time ({many} older than the one before): told in order of time"


def _cut(timeline: Timeline) -> Iterator[str]:
    cut = [frame for frame in timeline.frames if len(frame.data) < frame.length]
    if cut:
        most = max(len(frame.data) for frame in cut)
        many = f"{len(cut)} of {len(timeline.frames)} packets" if len(cut) > 1 else "a packet"
        yield f"of {many} only the first octets were captured, {most} at the most: what lies behind is not known"


def _missing(connections: Sequence[Connection]) -> Iterator[str]:
    found = list(missed(connections))
    for end, octets, places in found[:_NAMED]:
        many = f"{octets} octet{'s' * (octets > 1)}{f' in {places} places' if places > 1 else ''}"
        yield f"the capture misses {many} that {end.address} sent and its peer acknowledged"
    if len(found) > _NAMED:
        more = sum(octets for _, octets, _ in found[_NAMED:])
        yield f"and {more} octets more, of {len(found) - _NAMED} other directions"


def _one_sided(connections: Sequence[Connection]) -> Iterator[str]:
    alone = [one for one in connections if len(one.drafts) >= _LEAST_ONE_SIDED and _is_one_sided(one)]
    if alone:
        many = f"of {len(alone)} of {len(connections)} connections" if len(connections) > 1 else "of the connection"
        yield f"{many} only one direction was captured: what it answers, and the other end's state, is not seen"


def _is_one_sided(connection: Connection) -> bool:
    """One end never speaks, and the other acknowledges what it said."""
    if len({draft.forward for draft in connection.drafts}) > 1:
        return False
    return any("A" in segment_of(draft).flags and "R" not in segment_of(draft).flags for draft in connection.drafts)


def _oversize(connections: Sequence[Connection]) -> Iterator[str]:
    most, limit = 0, 0
    for connection in connections:
        limits: dict[bool, int] = {}
        for draft in connection.drafts:
            segment = segment_of(draft)
            if "S" in segment.flags:
                limits[not draft.forward] = _mss(segment)
            elif segment.length > max(limits.get(draft.forward, 0), most) and limits.get(draft.forward):
                most, limit = segment.length, limits[draft.forward]
    if most:
        why = "the interface cuts them later or has put them together (TSO, GRO): no such packet was on the wire"
        yield f"segments of up to {most} octets, where the peer takes {limit} at the most (MSS): {why}"


def _mss(segment: TcpSegment) -> int:
    return next((option.values[0] for option in segment.options if option.kind == 2 and option.values), 0)
