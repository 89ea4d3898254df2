"""What a connection receives: the order of octets, the window it offers, when it acknowledges.

    irs   next               edge
     |-----|-----------------|------>     next: RCV.NXT; edge: the right edge of the window as it was ever offered

The window never shrinks and its edge moves in large steps only, against the silly window syndrome (RFC 9293 sections
3.8.6 and 3.8.6.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.tcp.events import Data, PeerClosed, Urgent
from rawlab.endpoints.tcp.reassembly import Reassembly
from rawlab.endpoints.unwrapped import FIRST
from rawlab.model.states import TcpEvent
from rawlab.wire.mould import mould

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.connection import Connection

SMALL = 512
"octets: an event with less takes up what comes next, so that many small segments do not make many events"
MOST_WINDOW = 0xFFFF

_new_data = mould(Data)


class Inbound:
    """The receiving half of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.irs = FIRST
        self.next = FIRST
        self.edge = FIRST
        self.shift = 0
        "of the window field in what we send (RFC 7323)"
        self.buffer = connection.settings.receive_buffer
        self.half = self.buffer >> 1
        self.held = 0
        "octets delivered and not consumed"
        self.gaps = Reassembly(connection.settings.max_gaps)
        self.fin: int | None = None
        "where the peer's FIN lies, once it came"
        self.urgent = FIRST
        "RCV.UP"
        self.ack_every = connection.settings.ack_every
        self.unacked = 0
        "segments with data since the last ACK"

    def begin(self, seq: int) -> None:
        """The peer's SYN has this number (32 bits)."""
        self.irs = FIRST + seq
        self.next = self.urgent = self.irs + 1
        self.edge = self.next + self.first_window

    @property
    def first_window(self) -> int:
        """What a SYN offers, without a scale."""
        return min(self.connection.settings.receive_buffer, MOST_WINDOW)

    @property
    def window(self) -> int:
        """Octets that the peer may send."""
        return self.edge - self.next

    def offer(self) -> int:
        """The window field of a segment that leaves now; the edge moves to what it says."""
        free, shift = self.buffer - self.held, self.shift
        known = self.edge - self.next
        gain = free - known
        if gain >= self.connection.mss or gain >= self.half:
            field = free >> shift
            if field > MOST_WINDOW:
                field = MOST_WINDOW
            if field << shift > known:
                self.edge = self.next + (field << shift)
            return field
        field = known >> shift
        return field if field < MOST_WINDOW else MOST_WINDOW

    def consumed(self, octets: int) -> bool:
        """The program took so many. True: the peer should be told, the window is twice what it knows of."""
        self.held = max(self.held - octets, 0)
        free, known = self.buffer - self.held, self.edge - self.next
        return free >= 2 * known and free - known >= min(self.connection.mss, self.half)

    def data(self, seq: int, octets: bytes) -> bool:
        """Octets of a segment that lie in the window. True: acknowledge at once (RFC 5681 section 4.2)."""
        if self.fin is not None and seq + len(octets) > self.fin:
            octets = octets[: max(self.fin - seq, 0)]
        if not octets:
            return True
        if not self.gaps:
            if seq == self.next:
                self._deliver(octets)
                self.unacked += 1
                return self.unacked >= self.ack_every
            self.gaps.add(seq, octets)
            return True
        if not self.gaps.add(seq, octets) and seq == self.next:
            self._deliver(octets)
        if found := self.gaps.take(self.next):
            self._deliver(found)
        return True

    def _deliver(self, octets: bytes) -> None:
        connection = self.connection
        at = self.next - self.irs - 1
        size = len(octets)
        self.next += size
        self.held += size
        events = connection.events
        if events and type(last := events[-1]) is Data and len(last.data) < SMALL:
            events[-1] = Data(connection=connection, data=last.data + octets, offset=last.offset)
        else:
            event = _new_data(connection, octets, at)
            event.__class__ = Data
            connection.tell(event)

    def close(self, seq: int) -> None:
        """The peer's FIN lies here; it counts once all before it has come."""
        if self.fin is None and seq >= (self.gaps.end or self.next):
            self.fin = seq

    def finished(self) -> bool:
        """All came, and the FIN: the state moves. True: that was so just now."""
        if self.fin is None or self.fin != self.next or self.is_finished:
            return False
        self.next += 1
        self.edge = max(self.edge, self.next)
        self.connection.moves(TcpEvent.RECEIVE_FIN)
        self.connection.tell(PeerClosed(connection=self.connection))
        return True

    @property
    def is_finished(self) -> bool:
        """Whether the FIN was taken."""
        return self.fin is not None and self.next > self.fin

    def point(self, mark: int) -> None:
        """A segment's urgent pointer leads here (RFC 6093: behind the last urgent octet)."""
        if mark > self.urgent:
            self.urgent = mark
            events = self.connection.events
            if events and type(events[-1]) is Urgent:
                events.pop()
            self.connection.tell(Urgent(connection=self.connection, mark=mark - self.irs - 1))
