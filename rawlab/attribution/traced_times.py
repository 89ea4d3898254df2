"""What the packets say of the times in strace's log: how far its clock is off, and where stamps are too coarse, order.

    a send          is entered before the first packet with its octets leaves        ─▶ latest entry
    a receive       returns after the last packet with its octets has come           ─▶ earliest return
    a connect       is entered before SYN leaves, and returns after its answer       ─▶ both

Two clocks that are apart break one of the bounds everywhere by as much: how far they are apart lies between the two, as
where two captures are joined (`clocks`). Stamps of whole seconds order nothing: there a process's calls are placed one
after the other, each as late as its packets allow. Where a call's octets are is known from the log's beginning, or
from the octets themselves (`streams`), never from the times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low

from rawlab.attribution.pairing import Decode
from rawlab.attribution.sockets import RECEIVERS, SENDERS, octets
from rawlab.attribution.streams import Stream, begin
from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.facts import TcpSegment
from rawlab.model.serial import CIRCLE, HALF
from rawlab.model.timeline import Timeline

COARSE_NS = 1_000_000
"stamps as coarse order no calls and packets"
_SLACK_NS = 1_000_000
_FEWEST = 3  # bounds, to tell of a clock
_LEAD_NS = 500  # how long before its packet a call is placed
_FOREVER_NS = 1 << 63
Pair = tuple[Endpoint, Endpoint]


@dataclass(slots=True)
class _Sent:
    """What one end of a connection sent."""

    base: int
    "the sequence number before its first octet's"
    from_start: bool
    stream: Stream = field(default_factory=Stream)
    syn_ns: int | None = None
    went_on_ns: int | None = None
    "when its first segment without SYN was seen"
    fin_ns: int | None = None


@dataclass(slots=True)
class _Bound:
    """When a call can have been, by the packets."""

    entered_ns: int | None = None
    "at the latest"
    returned_ns: int | None = None
    "at the earliest"


def ahead(calls: Sequence[Call], timeline: Timeline, decode: Decode, precision_ns: int) -> tuple[int, int] | None:
    """(least, most) ns that the capture's clock is ahead of the log's; None: they go together, or nothing tells."""
    lows, highs = [], []
    for call, bound in zip(calls, _bounds(calls, timeline, decode), strict=True):
        if bound.entered_ns is not None:
            highs.append(bound.entered_ns - call.entered_ns)
        if bound.returned_ns is not None and call.returned_ns is not None and call.returned_ns > call.entered_ns:
            lows.append(bound.returned_ns - call.returned_ns)
    if len(lows) + len(highs) < _FEWEST:
        return None
    # -T measures without strace's own work: a return may lie later than told, an entry never does
    low, high = median_low(lows) if lows else min(highs), min(highs) if highs else median_low(lows)
    slack_ns = _SLACK_NS + 2 * precision_ns
    if -slack_ns <= high and low <= slack_ns:
        return None
    return None if low > high + slack_ns else (min(low, high), high)


def placed(calls: Sequence[Call], timeline: Timeline, decode: Decode) -> tuple[Call, ...]:
    """Calls whose stamps order nothing, each process's in its order, next to the packets that they moved."""
    bounds = _bounds(calls, timeline, decode)
    latest: dict[int, int] = {}  # by process, of the calls behind
    until: list[int] = [_FOREVER_NS] * len(calls)
    for index in range(len(calls) - 1, -1, -1):
        mine = bounds[index].entered_ns
        pid = calls[index].pid
        latest[pid] = until[index] = min(latest.get(pid, _FOREVER_NS), _FOREVER_NS if mine is None else mine)
    told: list[Call] = []
    now: dict[int, int] = {}
    for call, bound, last_ns in zip(calls, bounds, until, strict=True):
        at_ns = max(call.entered_ns, now.get(call.pid, 0) + 1)
        if bound.entered_ns is not None:
            at_ns = max(at_ns, last_ns - _LEAD_NS)
        ends_ns = at_ns if call.returned_ns is None else max(at_ns + 1, (bound.returned_ns or 0) + 1)
        now[call.pid] = ends_ns
        told.append(replace(call, entered_ns=at_ns, returned_ns=None if call.returned_ns is None else ends_ns))
    return tuple(sorted(told, key=lambda call: call.entered_ns))


# ---------------------------------------------------------------------------------------------- bounds


def _bounds(calls: Sequence[Call], timeline: Timeline, decode: Decode) -> list[_Bound]:
    bounds = [_Bound() for _ in calls]
    sent = _sent(timeline, decode)
    for (local, peer), mine in _by_connection(calls).items():
        ours, theirs = sent.get((local, peer), []), sent.get((peer, local), [])
        if len(ours) == 1 and len(theirs) == 1:  # of ports used again, the times would have to tell which
            _bound(ours[0], theirs[0], [(n, calls[n]) for n in mine], bounds)
    return bounds


def _by_connection(calls: Sequence[Call]) -> dict[Pair, list[int]]:
    """The calls on each connected socket, by its addresses."""
    ends: dict[int, Pair] = {}
    for call in calls:
        inode = call.new_socket if call.new_socket is not None else call.socket
        if inode is not None and call.local is not None and call.peer is not None:
            ends[inode] = call.local, call.peer
    found: dict[Pair, list[int]] = defaultdict(list)
    for n, call in enumerate(calls):
        inode = call.new_socket if call.new_socket is not None else call.socket
        if inode in ends:
            found[ends[inode]].append(n)
    return found


def _bound(ours: _Sent, theirs: _Sent, calls: Sequence[tuple[int, Call]], bounds: Sequence[_Bound]) -> None:
    opened = any(call.name in ("connect", "accept", "accept4") and _succeeds(call) for _, call in calls)
    for sent, names in ((ours, SENDERS), (theirs, RECEIVERS)):
        moved = [(n, call) for n, call in calls if call.name in names and call.errno is None]
        for n, first, end in _ranges(sent, moved, opened=opened):
            if names is SENDERS:
                bounds[n].entered_ns = sent.stream.when(first)
            else:
                bounds[n].returned_ns = sent.stream.when(end - 1)
    for n, call in calls:
        if call.name == "connect" and _succeeds(call):
            bounds[n].entered_ns = ours.syn_ns
            bounds[n].returned_ns = theirs.syn_ns if call.errno is None else None
        elif call.name in ("accept", "accept4") and _succeeds(call):
            bounds[n].returned_ns = theirs.went_on_ns
    closes = [n for n, call in calls if call.name in ("close", "shutdown") and call.errno is None]
    if len(closes) == 1:
        bounds[closes[0]].entered_ns = ours.fin_ns


def _succeeds(call: Call) -> bool:
    return call.errno in (None, "EINPROGRESS")


def _ranges(sent: _Sent, calls: Sequence[tuple[int, Call]], *, opened: bool) -> Iterator[tuple[int, int, int]]:
    """(call, first, end) of the octets that each moved, where that does not hang on the times."""
    found: tuple[int, bool] | None = (0, True) if opened and sent.from_start else begin(sent.stream, calls)
    if found is None or not found[1] or any("MSG_OOB" in str(dict(call.args).get("flags")) for _, call in calls):
        return
    at = found[0]
    for n, call in calls:
        if size := octets(call):
            yield n, at, at + size
            at += size


def _sent(timeline: Timeline, decode: Decode) -> Mapping[Pair, list[_Sent]]:
    """What each end of each TCP connection sent, and when; a SYN with another number begins a new one."""
    found: dict[Pair, list[_Sent]] = defaultdict(list)
    for frame in sorted(timeline.frames, key=lambda frame: frame.at_ns):
        facts = decode(frame.data, timeline.points[frame.point].linktype, frame.length)
        flow, segment = facts.flow, facts.transport
        if flow is None or not isinstance(segment, TcpSegment):
            continue
        mine = found[flow.source, flow.destination]
        syn = "S" in segment.flags
        base = segment.seq.value if syn else segment.seq.value - 1
        if not mine or (syn and mine[-1].from_start and mine[-1].base != base):
            mine.append(_Sent(base, from_start=syn))
        _note(mine[-1], segment, frame.data, frame.at_ns)
    return found


def _note(sent: _Sent, segment: TcpSegment, data: bytes | memoryview, at_ns: int) -> None:
    near = len(sent.stream.data)
    first = near + (segment.seq.value - sent.base - 1 - near + HALF) % CIRCLE - HALF
    if "S" in segment.flags:
        sent.syn_ns = at_ns if sent.syn_ns is None else sent.syn_ns
        first += 1
    elif sent.went_on_ns is None:
        sent.went_on_ns = at_ns
    begins, ends = segment.data
    sent.stream.add(first, bytes(data[begins:ends]), at_ns, segment.length)
    if "F" in segment.flags and sent.fin_ns is None:
        sent.fin_ns, sent.stream.fin = at_ns, first + segment.length
