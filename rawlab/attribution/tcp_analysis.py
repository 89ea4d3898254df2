"""What each segment of one TCP connection is: a retransmission, out of order, a duplicate ACK, a window probe …

`TcpAnalysis` follows one connection, a segment at a time, and marks each as tshark 4.0 does (`tcp.analysis.*`), so that
what is learnt with one tool holds in the other. Each rule is a small function with its name. Some are facts of the
sequence numbers (RFC 9293), some are heuristics, which the constants below name. It sees what the capture holds, not
what was sent: it speaks of segments that were not captured, never of ones that the network lost.

`columns.analysis` finds the marks of many connections at once, and asks this one where one mark hangs on another. Why
a segment was sent again (which timer, which call) is no matter of this module: see `tcp_again`.
"""

from __future__ import annotations

from functools import cache

from rawlab.attribution.tcp_side import (
    ACK,
    CIRCLE,
    FIN,
    LARGEST_SHIFT,
    MANY,
    NOT_SCALED,
    RST,
    SYN,
    UNKNOWN,
    Segment,
    Side,
    beyond,
    within,
)
from rawlab.model.analysis import Finding, Mark

REORDERING_NS = 3_000_000
"a segment that comes this soon after the furthest was overtaken, not sent again; where no initial RTT is known"
FAST_NS = 20_000_000
"a segment that comes this soon after duplicate ACKs was sent again because of them (RFC 5681 section 3.2)"
FAST_DUPLICATES = 2
"so many are enough to see, since a capture may lack the third"
FLIGHT_LIMIT = 2_000_000_000
"octets; more than that is no flight but sequence numbers of no connection"
# Marks are plain ints in here, and a `Mark` in the finding: each operation of an IntFlag takes a microsecond.
_RETRANSMISSION, _OUT_OF_ORDER = Mark.RETRANSMISSION.value, Mark.OUT_OF_ORDER.value
_FAST = (Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION).value
_SPURIOUS = (Mark.RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION).value
_LOST_SEGMENT, _ACK_LOST_SEGMENT = Mark.LOST_SEGMENT.value, Mark.ACK_LOST_SEGMENT.value
_DUPLICATE_ACK, _REUSED_PORTS = Mark.DUPLICATE_ACK.value, Mark.REUSED_PORTS.value
_KEEP_ALIVE, _KEEP_ALIVE_ACK = Mark.KEEP_ALIVE.value, Mark.KEEP_ALIVE_ACK.value
_ZERO_WINDOW, _WINDOW_UPDATE, _WINDOW_FULL = Mark.ZERO_WINDOW.value, Mark.WINDOW_UPDATE.value, Mark.WINDOW_FULL.value
_PROBE, _PROBE_ACK = Mark.ZERO_WINDOW_PROBE.value, Mark.ZERO_WINDOW_PROBE_ACK.value
_marks = cache(Mark)


class TcpAnalysis:
    """One connection. `forward` is either direction, as long as it stays the same one."""

    def __init__(self, *, reused: bool = False) -> None:
        """`reused`: its ends had a connection before, in the same capture."""
        self.initial_rtt_ns = 0
        "from the last SYN to the first ACK after it; 0: not known"
        self.syn_at_ns: int | None = None
        self.forward, self.backward = Side(), Side()
        self.reused = reused

    def begins_anew(self, forward: bool, seq: int, flags: int) -> bool:
        """Whether this is the SYN of another connection of the same ends: that one has its own TcpAnalysis."""
        base = (self.forward if forward else self.backward).base
        return flags & (SYN | ACK) == SYN and base is not None and seq != base

    def see(
        self,
        *,
        number: int,
        at_ns: int,
        forward: bool,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        length: int,
        wscale: int | None = None,
        sacked: int = 0,
    ) -> Finding:
        """The next segment; all as the header has it.

        `flags`: FIN 1, the lowest, to AE 256; `length`: octets of data; `wscale`: the shift count, of a segment that
        has the option; `sacked`: octets that its first three SACK blocks name together.
        """
        segment = Segment(number, at_ns, seq, ack, flags, window, length)
        own, other = (self.forward, self.backward) if forward else (self.backward, self.forward)
        own.sacked = sacked
        marks, duplicate = self._mark(segment, own, other)
        eldest = own.eldest() if marks & (_FAST | _SPURIOUS) == _RETRANSMISSION else None  # neither: a timer ran out
        end = own.remember(segment)
        if not marks & _PROBE:
            own.advance(segment, end)
        own.window, own.ack, own.ack_at_ns, own.marks = window, ack, at_ns, marks
        acked = other.acknowledge(ack)
        finding = Finding(
            marks=_marks(marks),
            duplicate_of=own.ack_number if duplicate else None,
            duplicate_number=duplicate,
            acks=acked.number if acked else None,
            rtt_ns=at_ns - acked.at_ns if acked else None,
            in_flight=_in_flight(segment, own, other),
            rto_ns=at_ns - eldest[1] if eldest else None,
            rto_of=eldest[0] if eldest else None,
            seq=(seq - (own.base or 0)) % CIRCLE,
            ack=(ack - (other.base or 0)) % CIRCLE if flags & ACK else ack,
            window=window if flags & SYN else window << max(own.scale, 0),
        )
        self._take_options(segment, own, other, wscale)
        return finding

    def _mark(self, segment: Segment, own: Side, other: Side) -> tuple[int, int]:
        """Its marks, and its number among duplicate ACKs."""
        marks = self._of_known_ends(segment, own)
        _find_bases(segment, own, other)
        marks |= _as_it_stands(segment, own, other)
        if marks & _LOST_SEGMENT:
            own.flight_known = False
        duplicate = _count_duplicate(segment, own, marks)
        if _acknowledges_unseen(segment, other):
            marks |= _ACK_LOST_SEGMENT
        if (segment.length or segment.opens_or_closes) and not marks & _KEEP_ALIVE:
            marks |= _of_sending_again(segment, own, other, self.initial_rtt_ns)
        return marks, duplicate

    def _of_known_ends(self, segment: Segment, own: Side) -> int:
        """REUSED_PORTS: a SYN of ends that have spoken before, with another initial sequence number."""
        reused, self.reused = self.reused, False
        if not segment.flags & SYN or own.base is None:
            return _REUSED_PORTS if reused else 0
        if not segment.flags & ACK:
            own.next_seq = own.covered  # an RST may have gone elsewhere (RFC 9293 section 3.10.7.1)
            return 0
        if segment.seq == own.base:
            return 0
        own.base, own.span = segment.seq, None
        return _REUSED_PORTS

    def _take_options(self, segment: Segment, own: Side, other: Side, wscale: int | None) -> None:
        """What a SYN says for the segments after it, and the initial RTT."""
        if wscale is not None:
            own.scale = min(wscale, LARGEST_SHIFT)
        if segment.flags & SYN:
            own.answered = False
            _agree_on_scaling(own, other, bool(segment.flags & ACK))
            if not segment.flags & ACK:
                self.syn_at_ns = segment.at_ns
        elif segment.flags & ACK:
            own.answered = True
            if self.syn_at_ns is not None and not self.initial_rtt_ns:
                self.initial_rtt_ns = segment.at_ns - self.syn_at_ns


def _find_bases(segment: Segment, own: Side, other: Side) -> None:
    """Where relative numbers begin: at the SYN's; where that was not seen, so that the first octet is number 1."""
    if own.base is None:
        own.base = segment.seq if segment.flags & SYN else (segment.seq - 1) % CIRCLE
    if segment.flags & ACK:
        other.flight_known = True
        if other.base is None:
            other.base = (segment.ack - 1) % CIRCLE


def _agree_on_scaling(own: Side, other: Side, answers: bool) -> None:
    """Windows are scaled where both SYNs have the option (RFC 7323 section 2.2)."""
    if own.scale == UNKNOWN:
        own.scale = other.scale = NOT_SCALED
    elif answers and other.scale == NOT_SCALED:
        own.scale = NOT_SCALED


def _as_it_stands(segment: Segment, own: Side, other: Side) -> int:
    """The marks that follow from its place in the sequence and from the windows."""
    if _zero_window_probe(segment, own, other):
        return _PROBE
    marks = _LOST_SEGMENT if _lost(segment, own) else 0
    if segment.flags & (SYN | FIN | RST):
        return marks
    if not segment.window:
        marks |= _ZERO_WINDOW
    if segment.length < 2 and _keep_alive(segment, own):
        marks |= _KEEP_ALIVE
    if segment.length:
        if _window_full(segment, other):
            marks |= _WINDOW_FULL
    elif _repeats(segment, own):
        marks |= _of_repetition(segment, own, other)
    return marks


def _zero_window_probe(segment: Segment, own: Side, other: Side) -> bool:
    """One octet though the receiver has room for none (RFC 9293 section 3.8.6.1)."""
    return segment.length == 1 and segment.seq == own.next_seq and other.window == 0


def _lost(segment: Segment, own: Side) -> bool:
    """Octets before this segment were not captured."""
    return bool(own.next_seq) and beyond(segment.seq, own.next_seq) and not segment.flags & RST


def _keep_alive(segment: Segment, own: Side) -> bool:
    """The octet before the next one, with or without data (RFC 1122 section 4.2.3.6)."""
    return segment.seq == (own.next_seq - 1) % CIRCLE


def _window_full(segment: Segment, other: Side) -> bool:
    """Its data reaches the very end of the window that the receiver last offered."""
    if other.scale == UNKNOWN:
        return False
    room = -1 if other.window is None else other.window << other.shift
    return segment.end == (other.ack + room) % CIRCLE


def _repeats(segment: Segment, own: Side) -> bool:
    """Without data, with the numbers of the segment before: what it says can only be of the window."""
    return segment.seq == own.next_seq and segment.ack == own.ack


def _of_repetition(segment: Segment, own: Side, other: Side) -> int:
    """An update of the window, an answer to a probe, or a duplicate ACK (RFC 5681 section 2)."""
    if segment.window != own.window:
        return _WINDOW_UPDATE if segment.window else 0
    if not segment.window:
        return _PROBE_ACK if other.marks & _PROBE else 0
    return _KEEP_ALIVE_ACK if other.marks & _KEEP_ALIVE else _DUPLICATE_ACK


def _count_duplicate(segment: Segment, own: Side, marks: int) -> int:
    """Its number among the duplicate ACKs; 0: it is none."""
    if marks & _DUPLICATE_ACK:
        own.duplicates = (own.duplicates + 1) % CIRCLE or 1
        return own.duplicates
    if segment.ack != own.ack:
        own.ack_number, own.duplicates = segment.number, 0
    return 0


def _acknowledges_unseen(segment: Segment, other: Side) -> bool:
    """It acknowledges what was not captured. Said once: `other` is changed so that it is not said of the next ACK."""
    if not segment.flags & ACK or not other.covered or not beyond(segment.ack, other.covered):
        return False
    if beyond(other.next_seq, other.covered):
        other.covered = other.next_seq
        return True
    first = other.duplicates == 0
    other.duplicates = MANY
    return first


def _of_sending_again(segment: Segment, own: Side, other: Side, initial_rtt_ns: int) -> int:
    """Of a segment with data, SYN or FIN: what it is if it does not go on where the furthest ended."""
    if segment.length and other.ack and within(segment.end, other.ack):
        return _SPURIOUS
    if not own.next_seq or not beyond(own.next_seq, segment.seq):
        return 0
    if segment.length > 1 and segment.seq == (own.next_seq - 1) % CIRCLE:
        return 0  # the octet before may have been a window probe's, and the rest is new
    asked_for = other.duplicates >= FAST_DUPLICATES and other.ack == segment.seq
    if asked_for and _sooner(segment.at_ns - other.ack_at_ns, FAST_NS):
        return _FAST
    furthest = (segment.end + segment.opens_or_closes) % CIRCLE == own.next_seq
    if not furthest and _sooner(segment.at_ns - own.next_at_ns, initial_rtt_ns or REORDERING_NS):
        return _OUT_OF_ORDER
    return _RETRANSMISSION


def _sooner(age_ns: int, limit_ns: int) -> bool:
    """A clock that ran backwards says nothing: such an age is not soon, and such a limit is none."""
    return age_ns % (1 << 64) < limit_ns % (1 << 64)


def _in_flight(segment: Segment, own: Side, other: Side) -> int | None:
    """Octets on their way, less those of SACK blocks (RFC 2018); None where that cannot be known."""
    if not segment.length or not own.unacknowledged or not own.flight_known:
        return None
    octets = (own.in_flight() - other.sacked) % CIRCLE
    if not 0 < octets < FLIGHT_LIMIT:
        return None
    return octets - segment.opens_or_closes or None
