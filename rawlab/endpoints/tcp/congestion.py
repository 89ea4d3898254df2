"""How much may be under way: slow start, congestion avoidance, fast retransmit, fast recovery. Pure.

RFC 5681 in the words of its section 3; in fast recovery a partial acknowledgment has the next hole filled at once
(NewReno, RFC 6582). What is under way is `flight`, told by the caller; all numbers are octets, or sequence numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from rawlab.endpoints.tcp.settings import Settings

HIGH = 65535 << 14
"a first ssthresh: as high as any window (section 3.1)"
DUPLICATES = 3
"that tell a loss (section 3.2)"

WHY = {
    "open": "the connection is established: the initial window (RFC 5681 section 3.1)",
    "slow start": "an ACK below ssthresh: more by what it acknowledges, one segment at most (section 3.1)",
    "congestion avoidance": "a whole window was acknowledged: one segment more (section 3.1)",
    "fast retransmit": "the third duplicate ACK: half of what is under way, and three segments that left (section 3.2)",
    "fast recovery": "another duplicate ACK: another segment left (section 3.2)",
    "partial ACK": "what it acknowledges left, and one more segment is sent again (RFC 6582 section 3.2)",
    "recovered": "all that was under way at the loss is acknowledged: back to ssthresh (section 3.2)",
    "timeout": "the retransmission timer expired: one segment, ssthresh is half of what was under way (section 3.1)",
    "idle": "nothing was sent for longer than the RTO: at most the initial window (section 4.1)",
    "SYN lost": "a SYN or SYN-ACK was sent again: one segment to begin with (section 3.1)",
}


class Congestion:
    """Of one connection."""

    __slots__ = (
        "_counted", "_settings", "_tell", "_timed_out", "cwnd", "duplicates", "initial", "mss", "recover", "recovering",
        "ssthresh",
    )  # fmt: skip

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell
        self.mss = 536
        self.initial = self.cwnd = 2 * self.mss
        self.ssthresh = HIGH
        self.duplicates = 0
        "ACKs in a row"
        self.recovering = False
        "in fast recovery"
        self.recover = 0
        "what was sent before the last loss ends here"
        self._counted = 0
        "octets acknowledged since cwnd last grew in congestion avoidance"
        self._timed_out: int | None = None
        "which octet's timeout ssthresh was last set for"

    def open(self, mss: int, una: int, *, lost: bool) -> None:
        """Established: `mss` octets of data go into a segment, `una` is the first; `lost`: a SYN was sent again."""
        self.mss = mss
        segments = self._settings.initial_window or (4 if mss <= 1095 else 3 if mss <= 2190 else 2)
        self.initial = segments * mss
        self.cwnd = mss if lost else self.initial
        self.recover = una
        self._tell("SYN lost" if lost else "open")

    def acknowledged(self, octets: int, una: int, *, limited: bool) -> bool:
        """New data is acknowledged, up to `una`. `limited`: cwnd was what held more back, else it does not grow.

        True: a partial acknowledgment, the segment at `una` is lost too.
        """
        if self.recovering:
            return self._recovering(octets, una)
        self.duplicates = 0
        if not limited:
            return False
        if self.cwnd < self.ssthresh:
            self.cwnd += min(octets, self.mss)
            self._tell("slow start")
            return False
        self._counted += octets
        if self._counted >= self.cwnd:
            self._counted -= self.cwnd
            self.cwnd += self.mss
            self._tell("congestion avoidance")
        return False

    def _recovering(self, octets: int, una: int) -> bool:
        if una >= self.recover:
            self.recovering, self.duplicates = False, 0
            self.cwnd, self._counted = self.ssthresh, 0
            self._tell("recovered")
            return False
        self.cwnd = max(self.cwnd - octets, 0) + (self.mss if octets >= self.mss else 0)
        self.cwnd = max(self.cwnd, self.mss)
        self._tell("partial ACK")
        return True

    def duplicate(self, flight: int, una: int, highest: int) -> bool:
        """A duplicate ACK for `una`; all below `highest` was sent. True: the segment at `una` is to be sent again."""
        self.duplicates += 1
        if self.recovering:
            self.cwnd += self.mss
            self._tell("fast recovery")
            return False
        if self.duplicates != DUPLICATES or una < self.recover:  # RFC 6582 section 3.2 step 2
            return False
        self.ssthresh = max(flight // 2, 2 * self.mss)
        self.cwnd = self.ssthresh + DUPLICATES * self.mss
        self.recovering, self.recover = True, highest
        self._tell("fast retransmit")
        return True

    @property
    def extra(self) -> int:
        """Octets beyond cwnd that may be sent for the first two duplicate ACKs (RFC 3042)."""
        return 0 if self.recovering or self.duplicates >= DUPLICATES else self.duplicates * self.mss

    def timed_out(self, flight: int, una: int, highest: int) -> None:
        """The retransmission timer expired. A segment's second timeout leaves ssthresh as it is."""
        if self._timed_out != una:
            self.ssthresh = max(flight // 2, 2 * self.mss)
            self._timed_out = una
        self.cwnd, self._counted = self.mss, 0
        self.recovering, self.duplicates, self.recover = False, 0, highest
        self._tell("timeout")

    def idle(self) -> None:
        """Nothing was sent for longer than the RTO."""
        if self.cwnd > self.initial:
            self.cwnd, self._counted = self.initial, 0
            self._tell("idle")
