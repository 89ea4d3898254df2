"""What each system call did on the wire, and what it waited for: the other side of the packets' causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from rawlab.attribution.association import Association, SctpEnd
from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sctp_messages import Receipt
from rawlab.attribution.sockets import RECEIVERS, Socket
from rawlab.model.event import Call


@dataclass(slots=True, kw_only=True)
class Links:
    """What ties one call to packets and to its connection."""

    n: int = 0
    "the call's number"
    sent: list[Draft] = field(default_factory=list)
    waited_for: list[Draft] = field(default_factory=list)
    connection: Connection | None = None
    end: End | None = None
    association: Association | None = None
    sctp_end: SctpEnd | None = None
    is_sctp: bool = False
    "it is a call on an SCTP socket"
    one_to_many: bool = False
    "on one that may hold several associations"
    receipt: Receipt | None = None
    "the message that it took"

    def states(self, at_ns: int) -> tuple[tuple[str, str | None], ...] | None:
        """Each host's state at that time; None where it is about no connection and no association."""
        about = self.connection or self.association
        return None if about is None else about.states(at_ns)


def link(
    calls: Sequence[Call],
    drafts: Sequence[Draft],
    connections: Sequence[Connection],
    received: Mapping[int, list[Draft]],
    polled: Mapping[tuple[str, int], Sequence[tuple[int, Call, str]]],
    *,
    listening: bool = False,
) -> list[Links]:
    """For each call the packets it sent (by the packets' causes) and those whose arrival it waited for.

    `received`: for each call that took a datagram, its packets. `polled`: for each socket the polls that found
    it ready; `listening`: also of those that listen.
    """
    links = [Links(n=n, waited_for=received.get(n, [])) for n in range(1, len(calls) + 1)]
    for draft in drafts:
        if draft.cause.kind == "call":
            for n in draft.cause.calls:
                links[n - 1].sent.append(draft)
    for connection in connections:
        for end, other in (connection.ends, connection.ends[::-1]):
            if end.socket is not None:
                _link_end(links, connection, end, other, end.socket)
                for n, call, events in polled.get((end.socket.host, end.socket.inode), ()):
                    mine = links[n - 1]
                    mine.connection, mine.end = connection, end
                    mine.waited_for += _made_ready(connection, end, other, n, call, events)
            elif end.connect is not None:
                mine = links[end.connect[0] - 1]
                mine.connection, mine.end = connection, end
                mine.waited_for = _answer(connection, other, end.connect[1])
    if listening:
        _link_listening(links, connections, polled)
    return links


def _link_listening(
    links: list[Links],
    connections: Sequence[Connection],
    polled: Mapping[tuple[str, int], Sequence[tuple[int, Call, str]]],
) -> None:
    """The polls that found a connection to accept: its handshake was over, and nobody had accepted it."""
    for connection in connections:
        active, passive = connection.ends
        if passive.listener is None or not (ends := _handshake_end(connection, active)):
            continue
        _, listen = passive.listener
        accepted = next((call.returned_ns for _, call in passive.socket_calls("accept", "accept4")), None)
        for n, call, events in polled.get((listen.host, listen.socket or 0), ()):
            mine, returned_ns = links[n - 1], call.returned_ns or call.entered_ns
            waits = ends[0].arrival_ns <= returned_ns and (accepted is None or accepted >= returned_ns)
            if "POLLIN" in events and waits:
                mine.waited_for += ends


def _link_end(links: list[Links], connection: Connection, end: End, other: End, socket: Socket) -> None:
    """The calls on one end's socket."""
    for n, call in socket.calls:
        mine = links[n - 1]
        mine.connection, mine.end = connection, end
        if call.name == "connect":
            mine.waited_for = _answer(connection, other, call)
        elif call.name in ("accept", "accept4"):
            mine.waited_for = _handshake_end(connection, other)
        elif call.errno in ("ECONNRESET", "EPIPE"):
            mine.waited_for = [draft for draft in connection.drafts if _is_reset_of(draft, other, connection)][:1]
        elif call.name in RECEIVERS and call.errno is None and call.returned_ns is not None:
            mine.waited_for = _brought(end, other, n, call)


def _is_reset_of(draft: Draft, other: End, connection: Connection) -> bool:
    return "R" in segment_of(draft).flags and connection.direction(draft)[0] is other and not draft.lost


def _answer(connection: Connection, other: End, connect: Call) -> list[Draft]:
    """What the other side answered to SYN, SYN-ACK or RST, and arrived; a connect that must not wait did not."""
    return [] if connect.errno == "EINPROGRESS" else _first_answer(connection, other)


def _first_answer(connection: Connection, other: End) -> list[Draft]:
    answers = (
        draft
        for draft in connection.drafts[:64]
        if connection.direction(draft)[0] is other
        and not draft.lost
        and not {"S", "R"}.isdisjoint(segment_of(draft).flags)
    )
    return list(islice(answers, 1))


def _made_ready(connection: Connection, end: End, other: End, n: int, call: Call, events: str) -> list[Draft]:
    """The packets without which poll would not have returned these events."""
    made: list[Draft] = []
    if "POLLOUT" in events and end.connect is not None and end.connect[1].errno == "EINPROGRESS":
        made += _first_answer(connection, other)
    if "POLLPRI" in events:
        taken = next((octet for reader, octet in end.read.urgent.items() if reader > n), None)
        made += end.bringers(taken + 1, taken + 2) if taken is not None else []
    if "POLLIN" in events:
        made += end.bringers(end.read.before(n) + 1, end.read.before(n) + 2)
    if "POLLERR" in events or "POLLHUP" in events:
        made = made or [draft for draft in connection.drafts if _is_reset_of(draft, other, connection)][:1]
    return [draft for draft in made if draft.arrival_ns <= (call.returned_ns or call.entered_ns)]


def _handshake_end(connection: Connection, other: End) -> list[Draft]:
    """The first acknowledgment from the side that connected, after its SYN."""
    return [
        draft
        for draft in connection.drafts[:16]
        if connection.direction(draft)[0] is other
        and draft.ack == 1
        and draft is not other.syn
        and not draft.lost
    ][:1]


def _brought(end: End, other: End, n: int, call: Call) -> list[Draft]:
    """The packets that brought what a read returned, or would have taken (MSG_PEEK); the end waited for FIN."""
    if not call.result:
        return end.bringers(other.fin_number, other.fin_number + 1) if other.fin_number is not None else []
    first = end.read.urgent.get(n, end.read.before(n)) + 1
    return sorted(end.bringers(first, first + call.result), key=lambda draft: draft.n)
