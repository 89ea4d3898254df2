"""A flow's packets as a dialogue, and what the calls of one who played it again were answered.

TCP: each end's stream is put together by sequence numbers, octets sent twice once. What the client waited for before it
sent is what its segment acknowledges: no guess from time. UDP and SCTP: messages in the order of the capture.

What does *not* belong here: playing (`live.against_run`), showing the difference (`views.dialogue`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

from rawlab.model.address import Endpoint
from rawlab.model.dialogue import ANSWER_MS, Answered, Dialogue, Ending, Saying, Turn
from rawlab.model.event import Call
from rawlab.model.facts import IcmpMessage, TcpSegment, UdpDatagram
from rawlab.model.ranges import RangeSet
from rawlab.model.sctp import ABORT, SHUTDOWN, SctpData, SctpPacket
from rawlab.model.story import Packet

_PUSH, _SYN, _FIN, _RST, _ACK = "PSFRA"
_MOST_AT_ONCE = 65_536


class NotWhole(ValueError):
    """The capture does not hold what the client said; what is missing, in words."""


def dialogue(packets: Sequence[Packet]) -> Dialogue | None:
    """The dialogue of one flow, in order of time; None where it is none of TCP's, UDP's or SCTP's.

    Raises NotWhole.
    """
    mine = [packet for packet in packets if packet.facts.flow is not None]
    if not mine:
        return None
    match mine[0].facts.transport:
        case TcpSegment():
            return _of_tcp(mine)
        case UdpDatagram():
            refused = any(_refuses(packet) for packet in packets)
            return _of_messages("udp", mine, _datagrams(mine), refused)
        case _:
            return _of_sctp(mine)


def _ends(first: Packet) -> tuple[Endpoint, Endpoint]:
    """(client, server), by who sent the first packet; a SYN-ACK, or a port below 1024 at one end, tell otherwise."""
    flow = first.facts.flow
    assert flow is not None
    segment = first.facts.transport
    flags = segment.flags if isinstance(segment, TcpSegment) else ""
    answers = _SYN in flags and _ACK in flags
    served = _SYN not in flags and flow.source.port < 1024 <= flow.destination.port
    swap = answers or served
    return (flow.destination, flow.source) if swap else (flow.source, flow.destination)


# -------------------------------------------------------------------------------------------------- TCP


@dataclass(slots=True)
class _Stream:
    """One end's octets, by relative number less one."""

    octets: bytearray = field(default_factory=bytearray)
    known: RangeSet = field(default_factory=RangeSet)
    end: int = 0
    ending: Ending | None = None
    ended_ns: int = 0

    def take(self, packet: Packet, segment: TcpSegment) -> int | None:
        """Keeps what is new in it; where that begins, None for nothing."""
        first = (packet.seq or 0) - (0 if _SYN in segment.flags else 1)
        if _RST in segment.flags or _FIN in segment.flags:
            self.ending = self.ending or ("RST" if _RST in segment.flags else "FIN")
            self.ended_ns = self.ended_ns or packet.at_ns
        if _RST in segment.flags or not segment.length or first < 0:
            return None
        self.end = max(self.end, first + segment.length)
        low, high = segment.data
        here = bytes(packet.data[low:high])
        new = list(self.known.missing(first, first + len(here)))
        if len(self.octets) < self.end:
            self.octets.extend(bytes(self.end - len(self.octets)))
        for begin, stop in new:
            self.octets[begin:stop] = here[begin - first : stop - first]
        self.known.add(first, first + len(here))
        return new[0][0] if new else None

    def unknown(self, first: int, end: int) -> tuple[tuple[int, int], ...]:
        """Which octets of [first, end) were not captured, counted from `first`."""
        return tuple((low - first, high - first) for low, high in self.known.missing(first, end))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where a segment of the client's begins, what it has acknowledged, and when it was sent."""

    first: int
    after: int
    at_ns: int
    pushed: bool


def _of_tcp(packets: Sequence[Packet]) -> Dialogue:
    client, server = _ends(packets[0])
    mine, theirs = _Stream(), _Stream()
    pieces: list[_Piece] = []
    opened, acknowledged = False, 0
    for packet in packets:
        segment, flow = packet.facts.transport, packet.facts.flow
        assert isinstance(segment, TcpSegment)
        assert flow is not None
        if flow.source == server:
            theirs.take(packet, segment)
            acknowledged = max(acknowledged, (packet.ack or 1) - 1)
            opened |= segment.flags != "R" and segment.flags != "RA"
            continue
        first = mine.take(packet, segment)
        if first is not None:
            pieces.append(_Piece(first, max((packet.ack or 1) - 1, 0), packet.at_ns, _PUSH in segment.flags))
    whole = acknowledged if acknowledged > mine.end + 1 else mine.end  # FIN counts as one
    if missing := mine.unknown(0, whole):
        low, high = missing[0]
        raise NotWhole(f"octets {low + 1} to {high} of what the client sent are not in the capture")
    return Dialogue(
        protocol="tcp",
        client=client,
        server=server,
        turns=tuple(_turns_of_streams(mine, theirs, sorted(pieces, key=lambda piece: piece.first))),
        client_ends=mine.ending,
        server_ends=theirs.ending if opened else None,
        refused=not opened and theirs.ending == "RST",
        client_first=mine.ending is not None and (theirs.ending is None or mine.ended_ns <= theirs.ended_ns),
    )


def _turns_of_streams(mine: _Stream, theirs: _Stream, pieces: Sequence[_Piece]) -> Iterator[Turn]:
    """A turn ends where the client has acknowledged more of the answer before it speaks on."""
    ends = [*(piece.first for piece in pieces[1:]), *([mine.end] if pieces else [])]
    awaited = _never_less(min(piece.after, theirs.end) for piece in pieces)
    at, pushed = 0, True
    says: list[Saying] = []
    for piece, end, after in zip(pieces, ends, awaited, strict=True):
        if after > at:
            yield _turn(says, theirs, at, after)
            says, at, pushed = [], after, True
        data = bytes(mine.octets[piece.first : end])
        if says and not pushed and len(says[-1].data) + len(data) <= _MOST_AT_ONCE:
            says[-1] = replace(says[-1], data=says[-1].data + data)  # TCP cut it: it was written at once
        else:
            says.append(Saying(data=data, pause_ns=piece.at_ns))
        pushed = piece.pushed
    if says or theirs.end > at:
        yield _turn(says, theirs, at, theirs.end)


def _turn(says: Sequence[Saying], theirs: _Stream, first: int, end: int) -> Turn:
    answer = bytes(theirs.octets[first:end])
    return Turn(
        says=_paused(says), answers=(answer,) if answer else (), unknown=theirs.unknown(first, end) if answer else ()
    )


def _paused(says: Sequence[Saying]) -> tuple[Saying, ...]:
    """Times of sending as pauses between them."""
    later = (replace(after, pause_ns=max(after.pause_ns - before.pause_ns, 0)) for before, after in pairwise(says))
    return (*(replace(first, pause_ns=0) for first in says[:1]), *later)


def _never_less(numbers: Iterable[int]) -> Iterator[int]:
    highest = 0
    for number in numbers:
        highest = max(highest, number)
        yield highest


# --------------------------------------------------------------------------------------- UDP, SCTP


@dataclass(frozen=True, slots=True)
class _Message:
    """One message, and who sent it."""

    source: Endpoint
    saying: Saying


def _datagrams(packets: Sequence[Packet]) -> Iterator[_Message]:
    for packet in packets:
        datagram, flow = packet.facts.transport, packet.facts.flow
        assert isinstance(datagram, UdpDatagram)
        assert flow is not None
        low, high = datagram.data
        if high - low < datagram.length and flow.source == _ends(packets[0])[0]:
            raise NotWhole(
                f"packet {packet.n}: of the datagram's {datagram.length} octets the capture holds {high - low} only"
            )
        yield _Message(flow.source, Saying(data=bytes(packet.data[low:high]), pause_ns=packet.at_ns))


def _refuses(packet: Packet) -> bool:
    """An ICMP error that quotes a packet of the flow."""
    return isinstance(packet.facts.transport, IcmpMessage) and packet.facts.transport.quoted is not None


def _of_sctp(packets: Sequence[Packet]) -> Dialogue:
    client, _ = _ends(packets[0])
    ends: dict[bool, Ending | None] = {True: None, False: None}
    for packet in packets:
        flow, transport = packet.facts.flow, packet.facts.transport
        assert flow is not None
        assert isinstance(transport, SctpPacket)
        types = {chunk.type for chunk in transport.chunks}
        ending: Ending | None = "ABORT" if ABORT in types else "SHUTDOWN" if SHUTDOWN in types else None
        ends[flow.source == client] = ends[flow.source == client] or ending
    told = _of_messages("sctp", packets, _sctp_messages(packets), refused=False)
    spoken = any(turn.answers for turn in told.turns)
    refused = ends[False] == "ABORT" and len(packets) <= _FEW and not spoken
    return replace(told, client_ends=ends[True], server_ends=ends[False], refused=refused)


_FEW = 4  # packets of an association that was refused


def _sctp_messages(packets: Sequence[Packet]) -> Iterator[_Message]:
    """Messages by the TSNs of their fragments, each once, in the order in which their last fragment was seen."""
    seen: set[tuple[Endpoint, int]] = set()
    begun: dict[tuple[Endpoint, int, int, bool], bytearray] = {}
    for packet in packets:
        flow, transport = packet.facts.flow, packet.facts.transport
        assert flow is not None
        assert isinstance(transport, SctpPacket)
        for chunk in transport.chunks:
            if not isinstance(chunk, SctpData) or (flow.source, chunk.tsn.value) in seen:
                continue
            seen.add((flow.source, chunk.tsn.value))
            low, high = chunk.data
            if high - low < chunk.size:
                held = f"the capture holds {high - low} only"
                raise NotWhole(f"packet {packet.n}: of a chunk's {chunk.size} octets {held}")
            key = flow.source, chunk.stream, chunk.ssn, chunk.unordered
            message = begun.setdefault(key, bytearray())
            message += packet.data[low:high]
            if chunk.ends:
                del begun[key]
                saying = Saying(data=bytes(message), pause_ns=packet.at_ns, stream=chunk.stream, ppid=chunk.ppid)
                yield _Message(flow.source, saying)


def _of_messages(
    protocol: str, packets: Sequence[Packet], messages: Iterable[_Message], refused: bool
) -> Dialogue:
    client, server = _ends(packets[0])
    turns: list[Turn] = []
    for asks, group in groupby(messages, key=lambda message: message.source == client):
        sayings = tuple(message.saying for message in group)
        if asks:
            turns.append(Turn(says=_paused(sayings), answers=()))
        elif not turns:
            turns.append(Turn(says=(), answers=tuple(saying.data for saying in sayings)))
        else:
            turns[-1] = replace(turns[-1], answers=tuple(saying.data for saying in sayings))
    assert protocol in ("udp", "sctp")
    return Dialogue(
        protocol="udp" if protocol == "udp" else "sctp",
        client=client,
        server=server,
        turns=tuple(turns),
        refused=refused,
    )


# ---------------------------------------------------------------------------------------------- answers

_SENDS, _TAKES = frozenset(("write", "send", "sendmsg")), frozenset(("read", "recv", "recvmsg"))


def answered(asked: Dialogue, calls: Sequence[Call]) -> Answered:
    """What the server said to who played the dialogue: `calls` are the client's, in order."""
    turns: list[list[bytes]] = [[]]
    last = [len(turn.says) for turn in asked.turns]
    sent = octets = 0
    whole = [sum(len(saying.data) for saying in turn.says) for turn in asked.turns]
    number, ends, failed = 0, None, None
    silent: set[int] = set()
    for call in calls:
        if call.name == "poll" and call.result == 0 and dict(call.args).get("timeout") == ANSWER_MS:
            silent.add(len(turns) - 1)
        if call.errno is not None and call.name not in ("poll", "shutdown"):
            failed = failed or call
            ends = ends or _broken_by(call)
        elif call.name in _SENDS and number < len(last):
            if _said(asked, number, sent, octets, whole, last):
                number, sent, octets = number + 1, 0, 0
                turns.append([])
            sent, octets = sent + 1, octets + (call.result or 0)
        elif call.name in _TAKES and (call.data or asked.protocol == "udp"):
            turns[-1].append(call.data or b"")
        elif call.name in _TAKES and call.result == 0:
            ends = ends or ("FIN" if asked.protocol == "tcp" else "SHUTDOWN")
    if asked.protocol == "tcp":
        turns = [[b"".join(pieces)] if pieces else [] for pieces in turns]
    reached = [tuple(pieces) for pieces in turns[: len(asked.turns)]]
    never = [None] * (len(asked.turns) - len(reached))
    return Answered(
        turns=(*reached, *never),
        ends=ends,
        errno=failed.errno if failed else None,
        call=failed.name if failed else None,
        silent=frozenset(silent),
    )


def _said(
    asked: Dialogue, number: int, sent: int, octets: int, whole: Sequence[int], last: Sequence[int]
) -> bool:
    """Whether this turn's all was sent before: what is sent now is the next one's."""
    return octets >= whole[number] if asked.protocol == "tcp" else sent >= last[number]


def _broken_by(call: Call) -> Ending | None:
    return "RST" if call.errno == "ECONNRESET" else None
