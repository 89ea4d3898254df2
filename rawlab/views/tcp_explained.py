"""What a TCP segment means in its connection: options, numbers, flags, windows, each with the RFC's section.

The segments are shown one after the other, in order of time; of each connection as much is remembered as the next
segment's meaning needs: what each SYN offered, how far each end has sent and acknowledged, and the states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.model.address import Endpoint
from rawlab.model.facts import TcpSegment
from rawlab.model.serial import Serial
from rawlab.model.story import Packet

_MSS, _WSCALE, _SACK_OK, _SACK, _TS = 2, 3, 4, 5, 8
_TCP_HEADER, _IP_HEADER = 20, {4: 20, 6: 40}
_MOST_SHIFT = 14  # RFC 7323 section 2.3
_DELAYED_NS = range(30_000_000, 500_000_000)
"""Linux delays an ACK for 40 ms or more, and nobody for 0.5 s (RFC 9293 section 3.8.6.3)."""
_BOTH = {_SACK_OK: "sackOK", _TS: "TS", _WSCALE: "wscale"}


@dataclass(slots=True)
class _End:
    """What is known of one end."""

    options: dict[int, tuple[int, ...]] | None = None
    "its SYN's; None: it was not seen"
    sent: int = 0
    "one past the highest number that it has sent, relative"
    acked: int | None = None
    "the highest acknowledgment that it has sent"
    window: int | None = None
    state: str | None = None
    closed: bool = False
    "it has sent FIN"
    arrived: list[tuple[int, int | None]] = field(default_factory=list)
    "(where it ends, when it came, None: not seen to come) of each segment of data that is not yet acknowledged"
    again: int = 0
    "one past the highest number of the peer's when it last sent octets again"
    repeated: int = 0
    "where the last of those ends after which it has said again what it expects next: it came beyond a gap"


class Conversations:
    """The connections, as far as their segments have been shown."""

    def __init__(self) -> None:
        self._ends: dict[tuple[Endpoint, Endpoint], _End] = {}

    def explain(self, packet: Packet) -> str:
        """What the next segment means; '' where there is nothing to say."""
        segment, flow = packet.facts.transport, packet.facts.flow
        if not isinstance(segment, TcpSegment) or flow is None:
            return ""
        if "S" in segment.flags and "A" not in segment.flags and not packet.lost:
            self._ends.pop((flow.destination, flow.source), None)
        mine = self._ends.setdefault((flow.source, flow.destination), _End())
        peer = self._ends.setdefault((flow.destination, flow.source), _End())
        said = " ".join(_Segment(packet, segment, mine, peer).sentences())
        _remember(packet, segment, mine, peer)
        return said


def _remember(packet: Packet, segment: TcpSegment, mine: _End, peer: _End) -> None:
    if "S" in segment.flags:
        mine.options = {option.kind: option.values for option in segment.options}
        mine.sent, mine.acked, mine.closed, mine.state = 0, None, False, None
        mine.repeated, peer.again = 0, 0
    if packet.seq is not None:
        if segment.length and packet.seq < mine.sent:
            peer.again = mine.sent
        mine.sent = max(mine.sent, packet.seq + segment.span)
    if packet.ack is not None:
        sacks = any(option.kind == _SACK for option in segment.options)
        if packet.ack == mine.acked and not segment.span:
            again = sacks or segment.window == mine.window  # RFC 5681 section 2: a duplicate ACK
            there = [end for end, came in mine.arrived if (again if came is None else came <= packet.at_ns)]
            mine.repeated = max(there, default=mine.repeated)
        elif not sacks:
            mine.repeated = 0
        mine.acked = max(mine.acked or 0, packet.ack)
        mine.arrived = [one for one in mine.arrived if one[0] > packet.ack]
    if segment.length and packet.seq is not None and not packet.lost:
        peer.arrived.append((packet.seq + segment.length, packet.arrived_ns))
    mine.window, mine.closed = segment.window, mine.closed or "F" in segment.flags
    for host, state in packet.states:
        end = mine if host == packet.sender else peer
        end.state = state or end.state


class _Segment:
    """One segment and the two ends as they were before it."""

    def __init__(self, packet: Packet, segment: TcpSegment, mine: _End, peer: _End) -> None:
        self.packet, self.segment, self.mine, self.peer = packet, segment, mine, peer
        self.seq, self.ack = packet.seq, packet.ack

    def sentences(self) -> Iterator[str]:
        """One or two, what matters most first."""
        if "R" in self.segment.flags:
            yield from self._reset()
        elif "S" in self.segment.flags:
            yield from self._syn()
        else:
            yield from self._data()
            yield from self._fin()
            yield from self._probe()
            yield from self._acknowledgment()
            yield from self._window()
        yield from self._lost()

    # ---- SYN

    def _syn(self) -> Iterator[str]:
        if "A" in self.segment.flags:
            yield "ack 1 acknowledges SYN, which takes one number as if it were an octet (RFC 9293 section 3.4)."
        else:
            yield (
                f"seq 0 stands for {self.segment.seq.value}, the initial sequence number (RFC 9293 section 3.4.1); SYN "
                "takes one number, so data begins at 1."
            )
        offers = [words for option in self.segment.options if (words := self._option(option.kind, option.values))]
        if offers:
            yield f"{'; '.join(offers)}."
        theirs, mine = self.peer.options, {option.kind for option in self.segment.options}
        if "A" in self.segment.flags and theirs is not None:
            both = [name for kind, name in _BOTH.items() if kind in mine and kind in theirs]
            if both:
                yield f"Both SYNs have {_listed(both)}, and so may both ends use {'them' if len(both) > 1 else 'it'}."

    def _option(self, kind: int, values: tuple[int, ...]) -> str:
        ip = self.packet.facts.ip
        match kind, values:
            case (2, (size,)) if ip is not None:
                header = _IP_HEADER[ip.version]
                whole = size + header + _TCP_HEADER
                return (
                    f"mss {size}: it takes up to {size} octets a segment, {whole} less {header} for IPv{ip.version}'s "
                    f"header and {_TCP_HEADER} for TCP's (RFC 9293 section 3.7.1)"
                )
            case 3, (shift,):
                times = 1 << min(shift, _MOST_SHIFT)
                each = f"its later windows count {times} octets each, if both SYNs have it"
                return f"wscale {shift}: {each} (RFC 7323 section 2.2)"
            case 4, _:
                return "sackOK: it can be told which octets came beyond a gap (RFC 2018 section 2)"
            case 8, _:
                return "TS: its clock, to be echoed, which measures round trips (RFC 7323 section 3.2)"
        return ""

    # ---- data and what it acknowledges

    def _data(self) -> Iterator[str]:
        segment = self.segment
        if not segment.length or self.seq is None:
            return
        end = self.seq + segment.length
        if end <= self.mine.sent:
            yield (
                "The numbers are those of before, so the receiver knows octets that it has already (RFC 9293 "
                "section 3.4)."
            )
        elif (room := self._room()) is not None and segment.length == room:
            options = self._option_octets()
            less = f" less {options} for options" if options else ""
            yield (
                f"{segment.length} octets are as many as fit: the peer's mss, {room + options},{less} (RFC 9293 "
                "section 3.7.1)."
            )
        else:
            yield (
                f"Its {_octets(segment.length)} will be acknowledged by ack {end}, the number that follows (RFC "
                "9293 section 3.4)."
            )
        if "P" in segment.flags:
            yield (
                "PSH: the receiver need not wait for more before it hands them to the process (RFC 9293 section "
                "3.9.1)."
            )
        if "U" in segment.flags:
            last = self.seq + segment.urgent - 1
            yield (
                f"URG: urgent data ends with octet {last}, one before where the pointer points (RFC 9293 section "
                "3.8.5)."
            )

    def _room(self) -> int | None:
        """How many octets a segment to the peer holds, beside its options."""
        offered = None if self.peer.options is None else self.peer.options.get(_MSS)
        return None if not offered else offered[0] - self._option_octets()

    def _option_octets(self) -> int:
        ip = self.packet.facts.ip
        data = self.segment.data[0]
        if ip is None:
            return 0
        header = data - ip.payload[0]
        return header - _TCP_HEADER

    def _fin(self) -> Iterator[str]:
        if "F" not in self.segment.flags or self.seq is None:
            return
        number = self.seq + self.segment.length
        if not self.mine.closed:
            half = "; the other direction stays open" if not self.peer.closed else ""
            yield (
                f"FIN takes number {number}, and is acknowledged by ack {number + 1}{half} (RFC 9293 sections "
                "3.4, 3.6)."
            )

    def _probe(self) -> Iterator[str]:
        if self.segment.span or self.peer.acked is None or self.seq != self.peer.acked - 1 or not self.seq:
            return
        section = "3.8.6.1" if self.peer.window == 0 else "3.8.4"
        yield (
            f"seq {self.seq}, one below what was acknowledged: nothing new, but the receiver must answer (RFC 9293 "
            f"section {section})."
        )

    def _acknowledgment(self) -> Iterator[str]:
        if self.ack is None:
            return
        before = self.mine.acked
        sacks = next((option.values for option in self.segment.options if option.kind == _SACK), ())
        if _twice(self.segment.ack, sacks):
            yield "sack names first octets that came twice (RFC 2883 section 4)."
        elif sacks:
            yield (
                "sack names octets that came beyond a gap: only what lies between is to be sent again (RFC 2018 "
                "section 3)."
            )
        elif self.segment.length:
            if before is not None and self.ack > before:
                yield f"ack {self.ack} rides on the data, and needs no segment of its own (RFC 9293 section 3.8.6.3)."
        elif "F" not in self.segment.flags and before is not None and self.ack > before:
            covered = [one for one in self.mine.arrived if one[0] <= self.ack]
            came = [came_ns for _, came_ns in covered if came_ns is not None]
            held_ns = self.packet.at_ns - max(came, default=self.packet.at_ns)
            if any(end <= self.mine.repeated for end, _ in covered):
                yield (
                    "A gap is filled: that is acknowledged at once, with all that is in order by now (RFC 5681 section "
                    "4.2)."
                )
            elif held_ns in _DELAYED_NS:
                yield (
                    f"It left {held_ns / 1e6:.0f} ms after the octets came: an ACK may wait for data that goes its way "
                    "(RFC 9293 section 3.8.6.3)."
                )
            elif len(covered) > 1 and all(end > self.mine.again for end, _ in covered):
                yield f"One ACK for {len(covered)} segments: it need not answer each (RFC 9293 section 3.8.6.3)."
            elif covered:
                yield "The kernel has the octets, in order; whether a process has read them, an ACK does not say."
        elif before is None and self.mine.options is not None and "F" not in self.segment.flags:
            yield "An ACK without data takes no number, and is itself not acknowledged (RFC 9293 section 3.5)."
        yield from self._time_wait()

    def _time_wait(self) -> Iterator[str]:
        sender = dict(self.packet.states).get(self.packet.sender or "")
        if sender != "TIME-WAIT" or self.mine.state == "TIME-WAIT":
            return
        both = self.peer.state in ("CLOSING", "TIME-WAIT")
        why = "Both closed at once, and both wait" if both else "It closed first, so it waits"
        if self.mine.state in ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING"):
            yield (
                f"{why} in TIME-WAIT: to answer, should this ACK be lost, and until old copies are gone that a new "
                "connection of the same ports could take for its own (RFC 9293 section 3.3.2)."
            )

    def _window(self) -> Iterator[str]:
        window, before = self.segment.window, self.mine.window
        pure = not self.segment.span and self.ack is not None
        if window == 0 and before != 0:
            yield (
                "win 0: it has no room; the peer may send nothing more, and asks from time to time (RFC 9293 "
                "section 3.8.6.1)."
            )
        elif pure and before is not None and self.ack == self.mine.acked and window > before:
            yield (
                f"A window update: nothing new is acknowledged, but there is room for more{self._scaled()} (RFC "
                "9293 section 3.8.6)."
            )
        elif self.mine.acked is None and (scaled := self._scaled()):
            yield f"From here on windows are scaled{scaled} (RFC 7323 section 2.3)."

    def _scaled(self) -> str:
        mine, peer = self.mine.options, self.peer.options
        if mine is None or peer is None or _WSCALE not in mine or _WSCALE not in peer or not mine[_WSCALE]:
            return ""
        times = 1 << min(mine[_WSCALE][0], _MOST_SHIFT)
        return f": {self.segment.window} × {times} = {self.segment.window * times} octets"

    # ---- what ends badly

    def _reset(self) -> Iterator[str]:
        if (
            self.peer.sent == 1
            and self.peer.acked is None
            and self.mine.options is None
            and (self.ack is None or not 0 < self.ack <= 1)
        ):
            yield "It does not acknowledge SYN: an end in SYN-SENT drops it (RFC 9293 section 3.10.7.3)."
        elif self.ack == 1 and self.peer.sent == 1 and self.mine.options is None:
            yield "RST refuses the connection; that it acknowledges SYN shows whom it answers (RFC 9293 section 3.5.3)."
        else:
            yield (
                "RST ends both directions at once; it is neither acknowledged nor sent again (RFC 9293 section "
                "3.5.3)."
            )

    def _lost(self) -> Iterator[str]:
        if not self.packet.lost:
            return
        if self.segment.span:
            yield (
                "Nobody says that it was lost: the sender learns it by silence, or from ACKs that repeat (RFC "
                "9293 section 3.8.1)."
            )
        elif "R" not in self.segment.flags:
            yield (
                "A lost ACK is not missed, if a later one acknowledges the same octets and more (RFC 9293 "
                "section 3.4)."
            )


def _twice(ack: Serial, sacks: Sequence[int]) -> bool:
    """Whether the first block tells of octets that had come before (RFC 2883): below ack, or within the second."""
    if len(sacks) < 2:
        return False
    (left, right), more = (Serial(edge) - ack for edge in sacks[:2]), [Serial(edge) - ack for edge in sacks[2:4]]
    return right <= 0 or (len(more) == 2 and more[0] <= left and right <= more[1])


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _octets(number: int) -> str:
    return f"{number} octet{'' if number == 1 else 's'}"
