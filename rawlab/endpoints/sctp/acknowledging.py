"""What a SACK tells the sender (RFC 9260 section 6.2.1): what arrived, what is missing, how much more may come.

A SACK costs what it newly says, not what is under way: of the gap ack blocks only the difference to those of the last
SACK is looked at. Fast retransmit and fast recovery (section 7.2.4) are here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp.outbound import Outbound, OutData
from rawlab.endpoints.sctp.paths import Path
from rawlab.endpoints.unwrapped import unwrap

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association

Ranges = list[tuple[int, int]]
"[first, last + 1), ascending, apart"

MISSING_REPORTS = 3


class Acknowledging:
    """Reads SACKs for one `Outbound`."""

    def __init__(self, association: Association, outbound: Outbound) -> None:
        self.association = association
        self.outbound = outbound
        self.gaps: Ranges = []
        "what the last SACK had in its gap ack blocks"
        self.recovery_exit: int | None = None
        "in fast recovery until this TSN is acknowledged"

    def sack(self, bits: int, rwnd: int | None, blocks: Iterable[tuple[int, int]], now: int) -> bool:
        """One SACK, or the cumulative TSN of a SHUTDOWN (`rwnd` None). False: it acknowledges what was never sent."""
        out = self.outbound
        cumulative = unwrap(bits, out.acked)
        if cumulative >= out.next_tsn:
            return False
        if cumulative < out.acked:  # rule i: an old one
            return True
        paths = self.association.routes.paths
        flights = [path.flight for path in paths]
        news: dict[Path, int] = {}
        cleared = self._cumulative(cumulative, news, now)
        highest = cumulative
        if blocks or self.gaps:
            highest = self._gaps(_absolute(blocks, cumulative, out.next_tsn), cumulative, news, now)
        if self.recovery_exit is not None and cumulative >= self.recovery_exit:
            self.recovery_exit = None
        if self.gaps:
            self._missing(highest, advanced=bool(cleared))
        for path, flight in zip(paths, flights, strict=True):
            if path in news:
                path.acknowledged(news[path], flight, advanced=bool(cleared), recovering=self.recovery_exit is not None)
                self.association.routes.alive(path)
            if path in cleared or not path.flight:  # rules R2 and R3
                path.t3.stop()
                if path.flight:
                    path.t3.start(now + path.rto)
        if rwnd is not None:
            out.peer_rwnd = max(rwnd - out.outstanding, 0)
            if out.probing:
                self._probed(rwnd)
        return True

    def _probed(self, rwnd: int) -> None:
        """A SACK while the window is closed: the peer is there (section 6.1 rule A); if it opens, T3 is not awaited."""
        self.association.errors = 0
        for path in self.association.routes.paths:
            path.errors = 0 if path.active else path.errors
        probe = self.outbound.sent.get(self.outbound.acked + 1)
        if probe is None:
            self.outbound.probing = False
        elif rwnd >= probe.size and not self.gaps:
            self.outbound.probing = False
            self.outbound.mark(probe)

    def _cumulative(self, cumulative: int, news: dict[Path, int], now: int) -> set[Path]:
        """All up to `cumulative` arrived; the paths that these were sent on."""
        out, cleared = self.outbound, set()
        for tsn in range(out.acked + 1, cumulative + 1):
            chunk = out.sent.pop(tsn)
            out.buffered -= chunk.size
            assert chunk.path is not None
            cleared.add(chunk.path)
            if not chunk.acked:
                self._arrived(chunk, chunk.path, news, now)
        out.acked = cumulative
        return cleared

    def _arrived(self, chunk: OutData, path: Path, news: dict[Path, int], now: int) -> None:
        if chunk.marked:
            chunk.marked = False  # its TSN in the heap is skipped later
        else:
            path.flight -= chunk.size
            self.outbound.outstanding -= chunk.size
        news[path] = news.get(path, 0) + chunk.size
        if path.timed == chunk.tsn:
            path.timed = None
            if chunk.times == 1:
                path.measured(now - path.timed_since)

    def _gaps(self, ranges: Ranges, cumulative: int, news: dict[Path, int], now: int) -> int:
        """Marks what is newly in the blocks, and what no longer is (rule iii); the highest TSN newly acknowledged."""
        out, highest = self.outbound, cumulative
        before = [(max(first, cumulative + 1), end) for first, end in self.gaps if end > cumulative + 1]
        for first, end in _without(ranges, before):
            for tsn in range(first, end):
                chunk = out.sent[tsn]
                if not chunk.acked and chunk.path is not None:
                    self._arrived(chunk, chunk.path, news, now)
                    chunk.acked = True
                    highest = tsn
        for first, end in _without(before, ranges):
            for tsn in range(first, end):
                chunk = out.sent[tsn]
                if chunk.acked and chunk.path is not None:  # reneged
                    chunk.acked = False
                    chunk.path.flight += chunk.size
                    out.outstanding += chunk.size
                    if chunk.path.t3.due is None:
                        chunk.path.t3.start(now + chunk.path.rto)
        self.gaps = ranges
        return highest

    def _missing(self, highest: int, *, advanced: bool) -> None:
        """Counts miss indications (section 7.2.4); at the third one a chunk is sent again at once."""
        out, lossy = self.outbound, set()
        if self.recovery_exit is not None and advanced:
            highest = self.gaps[-1][0]  # in fast recovery each hole counts
        first = out.acked + 1
        for start, end in self.gaps:
            if first >= highest:
                break
            for tsn in range(first, min(start, highest)):
                chunk = out.sent[tsn]
                if chunk.marked or chunk.fast:
                    continue
                chunk.missing += 1
                if chunk.missing >= MISSING_REPORTS:
                    chunk.fast = True
                    out.mark(chunk)
                    lossy.add(chunk.path)
            first = end
        if not lossy:
            return
        out.urgent = True
        if self.recovery_exit is None:
            for path in lossy:
                if path is not None:
                    path.lost(timeout=False)
            self.recovery_exit = out.next_tsn - 1


def _absolute(blocks: Iterable[tuple[int, int]], cumulative: int, next_tsn: int) -> Ranges:
    """Gap ack blocks as TSNs; what makes no sense (out of order, never sent) is left out."""
    ranges: Ranges = []
    last = cumulative + 1
    for start, end in blocks:
        first, stop = cumulative + start, min(cumulative + end + 1, next_tsn)
        if (first > last or (first == last and ranges)) and first < stop:
            ranges.append((first, stop))
            last = stop
    return ranges


def _without(these: Ranges, those: Ranges) -> Ranges:
    """The parts of these that are not in those."""
    if not those:
        return these
    parts: Ranges = []
    at = 0
    for first, end in these:
        while at < len(those) and those[at][1] <= first:
            at += 1
        look = at
        while look < len(those) and those[look][0] < end:
            if first < those[look][0]:
                parts.append((first, those[look][0]))
            first = max(first, those[look][1])
            look += 1
        if first < end:
            parts.append((first, end))
    return parts
