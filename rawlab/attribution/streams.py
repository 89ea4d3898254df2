"""One direction of a TCP connection as a stream, with when each octet was seen: where in it a log's calls begin.

strace may be attached to a process in the middle of a connection (-p), and a capture may begin there. Then the first
octet that a logged call moved is not the stream's first. It is found by the octets themselves; where they are in the
stream more than once, by the times: nothing leaves before it is written, nothing is read before it has come.

    stream   m s g 0 m s g 1 m s g 2 m s g 3 …
    calls                    └ recv "msg2"     the log's calls begin with octet 8
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.attribution.connection import Connection, payload_of, segment_of
from rawlab.attribution.sockets import RECEIVERS, SENDERS, NumberedCall, Ranges, Socket, octets
from rawlab.model.ranges import RangeSet
from rawlab.model.serial import CIRCLE, HALF, Serial

_FARTHEST = 1 << 20  # octets that may be missing before a piece; one farther away is not the stream's
_LARGEST = 64 << 20
_PLACES = 64  # where the calls' octets may begin; more are not tried
_CALLS = 2000  # whose octets are compared


@dataclass(slots=True)
class Stream:
    """What one end sent."""

    data: bytearray = field(default_factory=bytearray)
    known: RangeSet = field(default_factory=RangeSet)
    "which octets of `data` were captured"
    times: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    "of each piece that reached farther than those before: when it was seen, and how far it reached"
    fin: int | None = None
    "how many octets there are in all, once FIN was seen"

    def add(self, first: int, data: bytes | memoryview, at_ns: int, length: int) -> None:
        """A segment's octets, `first` counted from 0; `length`: how many it had on the wire."""
        if first < 0 or first > len(self.data) + _FARTHEST or first + length > _LARGEST:
            return
        end = first + len(data)
        if end > len(self.data):
            self.data.extend(bytes(end - len(self.data)))
        for low, high in list(self.known.missing(first, end)):
            self.data[low:high] = data[low - first : high - first]
        self.known.add(first, end)
        if length and first + length > (self.ends[-1] if self.ends else 0):
            self.times.append(max(at_ns, self.times[-1] if self.times else at_ns))
            self.ends.append(first + length)

    def seen(self, at_ns: int) -> int:
        """How many octets had been seen by then."""
        index = bisect_right(self.times, at_ns)
        return self.ends[index - 1] if index else 0

    def when(self, octet: int) -> int | None:
        """When that octet, or one behind it, was first seen."""
        index = bisect_right(self.ends, octet)
        return self.times[index] if octet >= 0 and index < len(self.ends) else None

    def holds(self, first: int, data: bytes) -> bool | None:
        """Whether these octets are there; None where they were not captured."""
        if first < 0 or not data or not self.known.covers(first, first + len(data)):
            return None
        return self.data[first : first + len(data)] == data


def place(connection: Connection) -> None:
    """Finds which octets the calls moved, where the log or the capture begins in the middle of the connection."""
    late = [end for end in connection.ends if end.socket is not None]
    if connection.seen_from_start and all(end.socket is None or _is_made(end.socket) for end in late):
        return
    streams = _streams(connection)
    for index, end in enumerate(connection.ends):
        if end.socket is not None:
            end.written, wrote = _placed(streams[index], end.socket, SENDERS)
            end.read, was_read = _placed(streams[1 - index], end.socket, RECEIVERS)
            end.placed = wrote and was_read


def _is_made(socket: Socket) -> bool:
    """Whether the log holds the call that opened the connection."""
    accepted = socket.parent is not None
    return accepted or any(call.errno in (None, "EINPROGRESS") for _, call in socket.named("connect"))


def _placed(stream: Stream, socket: Socket, names: Collection[str]) -> tuple[Ranges, bool]:
    calls = list(socket.named(*names))
    found = begin(stream, calls)
    if found is None:
        return Ranges(()), False
    return Ranges(calls, begins=found[0], proven=found[1]), True


def _streams(connection: Connection) -> tuple[Stream, Stream]:
    """What each end sent, its octets numbered as `tcp` numbers them."""
    streams, bases = (Stream(), Stream()), dict[int, Serial]()
    for draft in connection.drafts:
        segment, mine = segment_of(draft), 0 if draft.forward else 1
        if "S" in segment.flags or mine not in bases:
            bases.setdefault(mine, segment.seq if "S" in segment.flags else segment.seq - 1)
        if "A" in segment.flags:
            bases.setdefault(1 - mine, segment.ack - 1)
        stream = streams[mine]
        near = len(stream.data)
        first = near + (segment.seq.value - bases[mine].value - 1 - near + HALF) % CIRCLE - HALF
        first += "S" in segment.flags
        stream.add(first, payload_of(draft), draft.at_ns, segment.length)
        if "F" in segment.flags and stream.fin is None:
            stream.fin = first + segment.length
    return streams


def begin(stream: Stream, calls: Sequence[NumberedCall]) -> tuple[int, bool] | None:
    """Which octet of the stream the first of its calls moved first, and whether that is proven; None: not known."""
    moved = [call for _, call in calls if octets(call) > 0]
    if not moved:
        return 0, True
    writes = moved[0].name in SENDERS
    befores = [0]
    for call in moved:
        befores.append(befores[-1] + octets(call))
    if writes:
        left = ((stream.seen(call.entered_ns - 1), at) for call, at in zip(moved, befores, strict=False))
        bound = max((seen - at for seen, at in left if seen), default=0)
    else:
        spans = zip(moved, befores[1:], strict=False)
        bound = min(stream.seen(call.returned_ns or call.entered_ns) - end for call, end in spans)
    pieces = [(before, call.data or b"") for call, before in zip(moved[:_CALLS], befores, strict=False)]
    found = [at for at in _places(stream, pieces) if _fits(stream, pieces, at)]
    if len(found) == 1:
        return found[0], True
    ended = stream.fin - befores[-1] if stream.fin is not None else None
    if not writes and ended is not None and any(call.result == 0 and not call.errno for _, call in calls):
        bound = ended  # it read to the end
    right = [at for at in (*found, bound) if (at >= bound if writes else at <= bound)]
    chosen = (min if writes else max)(right)
    return (chosen, False) if _fits(stream, pieces, chosen) else None


def _places(stream: Stream, pieces: Sequence[tuple[int, bytes]]) -> Iterator[int]:
    """Where the first octets that the log shows are in the stream."""
    before, lead = next(((before, data) for before, data in pieces if data), (0, b""))
    at = stream.data.find(lead) if lead else -1
    for _ in range(_PLACES):
        if at < 0:
            return
        yield at - before
        at = stream.data.find(lead, at + 1)


def _fits(stream: Stream, pieces: Sequence[tuple[int, bytes]], at: int) -> bool:
    return all(stream.holds(at + before, data) is not False for before, data in pieces)
