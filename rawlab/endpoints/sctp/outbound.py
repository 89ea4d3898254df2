"""What an association sends: the queue of messages, the DATA chunks under way, retransmission.

A message is cut into chunks when it is given; a chunk gets its TSN when it is first sent. `sent` holds, by TSN and
without holes, every chunk that is not cumulatively acknowledged; each is in one of three conditions:

    in flight     counted in its path's `flight` and in `outstanding`
    acked         in a gap ack block: counted nowhere, kept, since a receiver may renege (RFC 9260 section 6.2.1)
    marked        believed lost: counted nowhere, its TSN in the heap `marked`, sent again before anything new

What a SACK does to them stands in `acknowledging`; timers' expiry is told by `routes`.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp.events import SendFailed
from rawlab.endpoints.sctp.paths import Path
from rawlab.endpoints.unwrapped import BITS, FIRST
from rawlab.wire import sctp_build as build
from rawlab.wire.sctp_build import BEGINS, ENDS, IMMEDIATE, UNORDERED

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association

DATA_HEADER = 16


class OutMessage:
    """A message given to send(), until all of it is acknowledged."""

    __slots__ = ("data", "ppid", "sent", "stream")

    def __init__(self, data: bytes, stream: int, ppid: int) -> None:
        self.data = data
        self.stream = stream
        self.ppid = ppid
        self.sent = False


class OutData:
    """A DATA chunk to be sent or not yet acknowledged."""

    __slots__ = (
        "acked", "data", "fast", "flags", "marked", "message", "missing", "path", "size", "ssn", "times", "tsn"
    )  # fmt: skip

    def __init__(self, message: OutMessage, data: bytes, flags: int, ssn: int) -> None:
        self.message = message
        self.data = data
        self.size = len(data)
        self.flags = flags
        self.ssn = ssn
        self.tsn = 0
        self.path: Path | None = None
        "where it was last sent"
        self.times = 0
        "how often it was sent"
        self.acked = False
        self.marked = False
        self.missing = 0
        "SACKs that reported it missing (section 7.2.4)"
        self.fast = False
        "it was fast-retransmitted, which happens once"

    @property
    def room(self) -> int:
        """What it takes up in a packet."""
        return DATA_HEADER + self.size + 3 & ~3


class Outbound:
    """The sending half of an association."""

    def __init__(self, association: Association, initial_tsn: int) -> None:
        self.association = association
        self.next_tsn = initial_tsn + FIRST
        self.acked = self.next_tsn - 1
        "cumulatively acknowledged up to here"
        self.peer_rwnd = 0
        "what the peer can take, besides what is outstanding"
        self.queue: deque[OutData] = deque()
        self.sent: dict[int, OutData] = {}
        self.marked: list[int] = []
        self.buffered = 0
        "octets given to send() and not cumulatively acknowledged"
        self.outstanding = 0
        "octets in flight on all paths"
        self.ssns: dict[int, int] = {}
        "stream -> SSN of its next ordered message"
        self.urgent = False
        "the next retransmission does not ask for the congestion window (sections 6.3.3 E3, 7.2.4)"
        self.probing = False
        "the peer's window was closed when T3-rtx was last started"

    @property
    def idle(self) -> bool:
        """Whether everything is acknowledged."""
        return not self.sent and not self.queue

    def add(self, data: bytes, stream: int, ppid: int, unordered: bool, immediate: bool) -> None:
        """A message of the program, cut to the size of the smallest path's packets (section 6.9)."""
        message = OutMessage(data, stream, ppid)
        flags, ssn = (UNORDERED if unordered else 0), 0
        if not unordered:
            ssn = self.ssns.get(stream, 0)
            self.ssns[stream] = ssn + 1 & 0xFFFF
        last = IMMEDIATE | ENDS if immediate else ENDS
        size, most = len(data), self.association.fragmentation_point
        self.buffered += size
        if size <= most:
            self.queue.append(OutData(message, data, flags | BEGINS | last, ssn))
            return
        for at in range(0, size, most):
            place = (BEGINS if at == 0 else 0) | (last if at + most >= size else 0)
            self.queue.append(OutData(message, data[at : at + most], flags | place, ssn))

    # ---- sending

    def transmit(self, now: int, head: list[bytes], to: Path, burst: int) -> None:
        """Sends what the windows allow, behind the chunks `head`, which go to `to` in any case (section 6.1)."""
        path = self._next_path()
        if head and path is not to:
            self.association.emit(head, to)
            head = []
        while path is not None and burst:
            room = path.payload - sum(map(len, head))
            chunks = head + (self._retransmission(path, room, now) if self.marked else self._new(path, room, now))
            self.association.emit(chunks, path)
            head = []
            burst -= 1
            path = self._next_path()

    def with_cookie(self, now: int, head: list[bytes], path: Path) -> list[bytes]:
        """DATA for the packet of the COOKIE ECHO (section 5.1): nothing else may follow before the COOKIE ACK."""
        room = path.payload - sum(map(len, head))
        chunks = self._retransmission(path, room, now) if self._first_marked() else self._new(path, room, now)
        for one in self.association.routes.paths:
            one.t3.stop()  # T1-cookie stands for it
        return head + chunks

    @property
    def may_send(self) -> bool:
        """Whether DATA could leave now."""
        return self._next_path() is not None

    def _next_path(self) -> Path | None:
        """Where the next DATA would go, if any may be sent now."""
        routes = self.association.routes
        if chunk := self._first_marked():
            path = routes.another(chunk.path) if chunk.times else routes.sending()
            return path if self.urgent or path.flight < path.cwnd else None
        if not self.queue:
            return None
        path = routes.sending()
        if path.flight >= path.cwnd or (self.queue[0].size > self.peer_rwnd and self.outstanding):
            return None  # rules A and B; with nothing outstanding one chunk goes out as a probe
        return path

    def _first_marked(self) -> OutData | None:
        while self.marked:
            chunk = self.sent.get(self.marked[0])
            if chunk is not None and chunk.marked:
                return chunk
            heappop(self.marked)
        return None

    def _retransmission(self, path: Path, room: int, now: int) -> list[bytes]:
        """The earliest marked chunks that fit into one packet (section 6.3.3 E3)."""
        chunks = []
        while (chunk := self._first_marked()) and chunk.room <= room:
            if not self.urgent and path.flight >= path.cwnd:
                break
            heappop(self.marked)
            chunk.marked = False
            chunk.missing = 0
            if chunk.path is not None and chunk.path.timed == chunk.tsn:
                chunk.path.timed = None  # Karn's rule, section 6.3.1 C5
            room -= chunk.room
            chunks.append(self._send(chunk, path, now))
        if chunks:
            self.urgent = False
        return chunks

    def _new(self, path: Path, room: int, now: int) -> list[bytes]:
        """Chunks that were never sent, as many as fit into a packet and the windows."""
        chunks: list[bytes] = []
        queue = self.queue
        while queue:
            chunk = queue[0]
            if chunk.room > room or path.flight >= path.cwnd:
                break
            if chunk.size > self.peer_rwnd and self.outstanding:
                break
            queue.popleft()
            chunk.tsn = self.next_tsn
            self.next_tsn += 1
            self.sent[chunk.tsn] = chunk
            chunk.message.sent = True
            room -= chunk.room
            self.probing = chunk.size > self.peer_rwnd
            chunks.append(self._send(chunk, path, now))
            if path.timed is None:
                path.timed, path.timed_since = chunk.tsn, now
        return chunks

    def _send(self, chunk: OutData, path: Path, now: int) -> bytes:
        if not path.flight:
            path.sending(now)
        path.used = now
        chunk.path = path
        chunk.times += 1
        path.flight += chunk.size
        self.outstanding += chunk.size
        self.peer_rwnd = max(self.peer_rwnd - chunk.size, 0)
        if path.t3.due is None or (chunk.times > 1 and chunk.tsn == self.acked + 1):  # rule R1; section 7.2.4 rule 4
            path.t3.start(now + path.rto)
        message = chunk.message
        return build.data(chunk.tsn & BITS, message.stream, chunk.ssn, message.ppid, chunk.flags, chunk.data)

    def only_streams(self, streams: int) -> None:
        """The peer takes fewer streams than were asked for: what was queued for others cannot be sent."""
        for message in {id(one.message): one.message for one in self.queue if one.message.stream >= streams}.values():
            self.buffered -= len(message.data)
            self.association.tell(self._failure(message))
        self.queue = deque(one for one in self.queue if one.message.stream < streams)

    # ---- loss

    def mark(self, chunk: OutData) -> None:
        """It is believed lost and no longer in flight."""
        if chunk.marked or chunk.acked or chunk.path is None:
            return
        chunk.marked = True
        chunk.path.flight -= chunk.size
        self.outstanding -= chunk.size
        self.peer_rwnd += chunk.size  # section 6.2.1 rule C
        heappush(self.marked, chunk.tsn)

    def mark_all(self, path: Path | None = None) -> None:
        """All that is in flight on a path is believed lost: its T3-rtx expired (section 6.3.3 E3)."""
        for chunk in self.sent.values():
            if path is None or chunk.path is path:
                self.mark(chunk)
        self.urgent = bool(self.marked)

    def failed(self) -> list[SendFailed]:
        """What was not acknowledged, message by message, when the association ends."""
        messages = {id(chunk.message): chunk.message for chunk in (*self.sent.values(), *self.queue)}
        return [self._failure(message) for message in messages.values()]

    def _failure(self, message: OutMessage) -> SendFailed:
        return SendFailed(
            association=self.association,
            data=message.data,
            stream=message.stream,
            ppid=message.ppid,
            sent=message.sent,
        )
