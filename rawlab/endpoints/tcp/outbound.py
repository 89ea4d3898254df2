"""What a connection sends: the send buffer, segments of it, the peer's window, probes of a closed one.

    base         una            nxt            highest           end
     |-data-------|--------------|----------------|---------------|---- FIN
                  acknowledged   sent (again)     ever sent       given by the program

`base` is the sequence number of the first octet of `data`: una, but for the SYN. After a timeout `nxt` goes back to una
(RFC 9293 section 3.8.1, RFC 5681: everything is believed lost) and catches up with `highest`. What an ACK does stands
in `acknowledging`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.tcp.congestion import Congestion
from rawlab.endpoints.tcp.rtt import Rtt
from rawlab.endpoints.timers import Timer
from rawlab.endpoints.unwrapped import FIRST
from rawlab.model.states import TcpEvent, TcpState
from rawlab.wire.tcp_build import ACK, FIN, PSH

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.connection import Connection

SENDING = frozenset(
    {TcpState.ESTABLISHED, TcpState.CLOSE_WAIT, TcpState.FIN_WAIT_1, TcpState.CLOSING, TcpState.LAST_ACK}
)
"data and FIN may be sent, or sent again"


class Outbound:
    """The sending half of a connection."""

    def __init__(self, connection: Connection, iss: int) -> None:
        self.connection = connection
        self.iss = FIRST + iss
        self.una = self.nxt = self.highest = self.iss
        self.base = self.iss + 1
        self.data = bytearray()
        self.finishing = False
        "the FIN follows the data"
        self.urgent = self.iss
        "SND.UP: behind the last urgent octet"
        self.window = 0
        "SND.WND"
        self.shift = 0
        "of the window field in what the peer sends"
        self.wl1 = self.wl2 = 0
        "numbers of the segment that last told the window"
        self.widest = 0
        "the largest window that the peer ever offered"
        self.rtt = Rtt(connection.settings)
        self.congestion = Congestion(connection.settings, connection.window_changed)
        self.limited = False
        "cwnd was what last held data back"
        self.timed: int | None = None
        "the round trip of what ends here is measured"
        self.timed_since = 0
        self.last_sent = 0
        "ns"
        self.tries = 0
        "times that something was sent again without any answer"
        self.probes = 0
        "of a closed window, in a row"
        timers = connection.host.timers
        self.timer = Timer(timers, self._expired)
        "retransmission"
        self.persist = Timer(timers, self._probe)
        "something waits for the window, nothing is under way"

    @property
    def end(self) -> int:
        """Behind the last octet that the program gave."""
        return self.base + len(self.data)

    @property
    def fin(self) -> int | None:
        """Where the FIN is, or will be."""
        return self.end if self.finishing else None

    @property
    def fin_sent(self) -> bool:
        """Whether it was sent once."""
        return self.finishing and self.highest > self.end

    @property
    def fin_acknowledged(self) -> bool:
        """Whether the peer has it."""
        return self.finishing and self.una > self.end

    @property
    def idle(self) -> bool:
        """Whether everything is acknowledged."""
        return not self.data and self.una == self.highest and (not self.finishing or self.fin_acknowledged)

    # ---- sending

    def transmit(self, now: int, *, forced: bool = False) -> None:
        """Sends what may leave: windows, Nagle, and no silly small segments (RFC 9293 sections 3.7.4, 3.8.6.2.1)."""
        if self.connection.state not in SENDING:
            return
        end, congestion, mss = self.end, self.congestion, self.connection.mss
        if self.una == self.highest < end and now - self.last_sent > self.rtt.rto:
            congestion.idle()
        while True:
            offered = self.una + self.window - self.nxt
            allowed = self.una + congestion.cwnd + congestion.extra - self.nxt
            waiting = end - self.nxt
            size = min(waiting, offered, mss)
            if size > 0 and size > allowed:
                self.limited = True
                break
            if size <= 0 or not (forced or size == mss or self._worth(size, waiting)):
                self.limited = False
                if not (waiting == 0 and offered > 0 and self.finishing):
                    break
                size = 0
            fin = self.finishing and size == waiting and offered > size
            self._send(self.nxt, size, fin, now)
            forced = False
        self._watch(now)

    def _worth(self, size: int, waiting: int) -> bool:
        """Whether less than a full segment may leave."""
        if size < waiting:
            return size >= self.widest >> 1
        if self.nxt < self.highest or self.finishing or self.urgent > self.nxt:
            return True
        return self.nxt == self.una or self.connection.nodelay

    def _send(self, seq: int, size: int, fin: bool, now: int) -> None:
        """One segment; `nxt` moves behind it if it begins there."""
        at = seq - self.base
        flags, end = ACK, seq + size
        if end == self.base + len(self.data):
            flags |= PSH if size else 0
        if fin:
            flags |= FIN
            end += 1
        self.connection.emit(flags, seq, self.data[at : at + size] if size else b"")
        self.last_sent = now
        if seq == self.nxt:
            self.nxt = end
        if end > self.highest:
            first = fin and not self.fin_sent
            if self.timed is None and seq >= self.highest:
                self.timed, self.timed_since = end, now
            self.highest = end
            if first:
                self.connection.moves(TcpEvent.SEND_FIN)

    def _watch(self, now: int) -> None:
        """The right timer runs."""
        if self.nxt > self.una:
            self.persist.due = None
            self.probes = 0
            if self.timer.due is None:
                self.timer.start(now + self.rtt.rto)
        elif self.nxt < self.end or (self.finishing and self.nxt == self.end):
            self.timer.due = None
            if self.persist.due is None:
                self.persist.start(now + self._probe_wait)

    @property
    def _probe_wait(self) -> int:
        return min(self.rtt.rto << min(self.probes, 20), self.connection.settings.rto_max)

    def again(self, now: int) -> None:
        """The first segment that is not acknowledged, once more (fast retransmit; RFC 6582's partial ACK)."""
        size = min(self.end - self.una, self.connection.mss)
        self.timed = None
        if size < 0:
            return
        fin = self.fin_sent and self.una + size == self.end
        highest = self.highest
        if size or fin:
            self._send(self.una, min(size, highest - self.una), fin, now)
        self.timer.start(now + self.rtt.rto)

    # ---- timers

    def _expired(self, now: int) -> None:
        """The retransmission timer (RFC 6298 section 5.4 to 5.7)."""
        connection = self.connection
        state = connection.state
        self.tries += 1
        if self.tries > connection.most_tries:
            connection.timed_out()
            return
        self.rtt.expired()
        self.timed = None
        if state in (TcpState.SYN_SENT, TcpState.SYN_RECEIVED):
            connection.opening.again()
            self.timer.start(now + self.rtt.rto)
            return
        self.congestion.timed_out(self.highest - self.una, self.una, self.highest)
        self.nxt = self.una
        self.transmit(now)

    def _probe(self, now: int) -> None:
        """The window stays closed, or too small: one octet asks the peer (RFC 9293 section 3.8.6.1)."""
        if self.tries >= self.connection.settings.retries:
            self.connection.timed_out()
            return
        if self.window > 0:  # section 3.8.6.2.1 (4): better a small segment than none
            self.transmit(now, forced=True)
            if self.nxt > self.una:
                return
        self.tries += 1
        self.probes += 1
        self.timed = None
        octet = self.data[self.nxt - self.base : self.nxt - self.base + 1]
        fin = not octet and self.finishing
        self.connection.emit(ACK | (FIN if fin else 0), self.nxt, octet)
        first = fin and not self.fin_sent
        self.highest = max(self.highest, self.nxt + 1)
        if first:
            self.connection.moves(TcpEvent.SEND_FIN)
        self.persist.start(now + self._probe_wait)

    def stop(self) -> None:
        """No timer runs any more, nothing is kept."""
        self.timer.stop()
        self.persist.stop()
        self.data = bytearray()
        self.base = self.nxt = self.highest = self.una
        self.finishing = False
