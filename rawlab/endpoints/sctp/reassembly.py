"""Fragments to messages, messages to their stream's order (RFC 9260 sections 6.5, 6.6, 6.9).

Fragments of a message have consecutive TSNs, so a message grows as a *run* of chunks: `heads` and `tails` find a run
by the TSN before or behind it, and two runs that meet become one. A run that begins with B and ends with E is a whole
message. An ordered one then waits until its SSN is the next of its stream: streams never wait for each other.
"""

from __future__ import annotations

from collections import deque

from rawlab.wire.sctp_build import BEGINS, ENDS, UNORDERED

WHOLE = BEGINS | ENDS


class InData:
    """A DATA chunk that came."""

    __slots__ = ("data", "flags", "ppid", "ssn", "stream", "tsn")

    def __init__(self, tsn: int, stream: int, ssn: int, ppid: int, flags: int, data: bytes) -> None:
        self.tsn = tsn
        self.stream = stream
        self.ssn = ssn
        self.ppid = ppid
        self.flags = flags
        self.data = data


class InMessage:
    """A whole message."""

    __slots__ = ("chunks", "data", "ppid", "ssn", "stream", "tsn", "unordered")

    def __init__(self, first: InData, data: bytes, tsn: int, chunks: int) -> None:
        self.stream = first.stream
        self.ssn = first.ssn
        self.ppid = first.ppid
        self.unordered = bool(first.flags & UNORDERED)
        self.data = data
        self.tsn = tsn
        "of its last fragment"
        self.chunks = chunks


class Reassembly:
    """Chunks go in, in any order but none twice; messages come out, each stream's in order."""

    def __init__(self) -> None:
        self.heads: dict[int, deque[InData]] = {}
        "TSN of a run's first chunk -> the run"
        self.tails: dict[int, deque[InData]] = {}
        "TSN of its last chunk -> the run"
        self.expected: dict[int, int] = {}
        "stream -> SSN of the next ordered message"
        self.waiting: dict[int, dict[int, InMessage]] = {}
        "stream -> SSN -> message that came before its turn"

    def add(self, piece: InData) -> list[InMessage] | tuple[InMessage, ...] | None:
        """The messages that may be delivered now. None: the chunk cannot belong where it stands."""
        if piece.flags & WHOLE == WHOLE:
            before, after = self.tails.get(piece.tsn - 1), self.heads.get(piece.tsn + 1)
            if (before and not before[-1].flags & ENDS) or (after and not after[0].flags & BEGINS):
                return None
            return self._in_order(InMessage(piece, piece.data, piece.tsn, 1))
        run = self._appended(piece) or self._joined(piece)
        if run is None:
            return None
        if not (run[0].flags & BEGINS and run[-1].flags & ENDS):
            return ()
        del self.heads[run[0].tsn], self.tails[run[-1].tsn]
        return self._in_order(InMessage(run[0], b"".join([one.data for one in run]), run[-1].tsn, len(run)))

    def _appended(self, piece: InData) -> deque[InData] | None:
        """The usual case: it goes on where a run ended, and nothing is known behind it."""
        tsn = piece.tsn
        run = self.tails.get(tsn - 1)
        if run is None or tsn + 1 in self.heads or (run[-1].flags & ENDS or piece.flags & BEGINS):
            return None
        if not _same(run[-1], piece):
            return None
        del self.tails[tsn - 1]
        self.tails[tsn] = run
        run.append(piece)
        return run

    def _joined(self, piece: InData) -> deque[InData] | None:
        """The run that the piece is now part of. None: its neighbour is of another message, in the midst of it."""
        tsn, flags = piece.tsn, piece.flags
        before = self.tails.get(tsn - 1)
        after = self.heads.get(tsn + 1)
        if before is not None:
            if bool(before[-1].flags & ENDS) != bool(flags & BEGINS):
                return None  # a message begins before the last one ended, or goes on after its end
            if flags & BEGINS:
                before = None
            elif not _same(before[-1], piece):
                return None
        if after is not None:
            if bool(after[0].flags & BEGINS) != bool(flags & ENDS):
                return None
            if flags & ENDS:
                after = None
            elif not _same(piece, after[0]):
                return None
        return self._tie(before, piece, after)

    def _tie(self, before: deque[InData] | None, piece: InData, after: deque[InData] | None) -> deque[InData]:
        """One run of the three; the longer one is kept, the shorter one copied."""
        if before is None and after is None:
            run = deque((piece,))
        elif before is not None and (after is None or len(before) >= len(after)):
            del self.tails[piece.tsn - 1]
            run = before
            run.append(piece)
            if after is not None:
                del self.heads[piece.tsn + 1]
                run.extend(after)
        else:
            assert after is not None
            del self.heads[piece.tsn + 1]
            run = after
            run.appendleft(piece)
            if before is not None:
                del self.tails[piece.tsn - 1]
                run.extendleft(reversed(before))
        self.heads[run[0].tsn] = run
        self.tails[run[-1].tsn] = run
        return run

    def _in_order(self, message: InMessage) -> list[InMessage] | tuple[InMessage, ...] | None:
        if message.unordered:
            return (message,)
        stream = message.stream
        next_ssn = self.expected.get(stream, 0)
        if message.ssn != next_ssn:
            waiting = self.waiting.setdefault(stream, {})
            if message.ssn in waiting or (message.ssn - next_ssn) & 0xFFFF >= 0x8000:
                return None  # an SSN that another message has, or had
            waiting[message.ssn] = message
            return ()
        self.expected[stream] = next_ssn + 1 & 0xFFFF
        if stream not in self.waiting:
            return (message,)
        return [message, *self._turn(stream)]

    def _turn(self, stream: int) -> list[InMessage]:
        """Messages of a stream that waited for the one that just came."""
        waiting, ready = self.waiting[stream], []
        while (next_ssn := self.expected[stream]) in waiting:
            ready.append(waiting.pop(next_ssn))
            self.expected[stream] = next_ssn + 1 & 0xFFFF
        if not waiting:
            del self.waiting[stream]
        return ready


def _same(one: InData, other: InData) -> bool:
    """Whether two neighbours may be of the same message."""
    if one.stream != other.stream or (one.flags ^ other.flags) & UNORDERED:
        return False
    return one.ssn == other.ssn or bool(one.flags & UNORDERED)
