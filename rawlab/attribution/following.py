"""Why each packet exists, told as it comes: one frame in, one packet out, with what can be known at that moment.

`tell` knows the whole capture; this knows what has come so far, and says nothing that a later packet could disprove: an
end's state is told once that end has spoken, and which packet waits for an answer to an ARP request is not told at all.
What TCP's and SCTP's packets say is walked by the same rules, one packet at a time.

It holds a window, not the capture: of each conversation what is not yet acknowledged and a little more, of
conversations the latest; `forgotten` says what fell out of it. Where both ends of a wire are seen, a frame that arrives
is the packet that left, as in `pairing`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TypeVar

from rawlab.attribution import datagrams, forwarding, implied, neighbours, sctp, tcp, tcp_findings
from rawlab.attribution.association import Association
from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.lanes import TcpLane
from rawlab.attribution.pairing import Decode, Draft
from rawlab.attribution.sockets import Sockets
from rawlab.attribution.words import KERNEL, OWN_TCP
from rawlab.model.address import Flow
from rawlab.model.event import Frame
from rawlab.model.facts import ArpMessage, IcmpMessage, TcpSegment
from rawlab.model.sctp import SctpPacket
from rawlab.model.states import TcpState
from rawlab.model.story import Cause, Packet
from rawlab.model.timeline import Host, Point

CONVERSATIONS = 1000
"of each protocol, so many are remembered"
PACKETS = 64
"packets of a conversation that are remembered though all they brought is acknowledged"
UNACKNOWLEDGED = 2000
"packets of a conversation of which an acknowledgment is still to come: of more, all is forgotten"
RECENT = 300
"packets that an ICMP error may quote, or that an ARP request or a ping may have been answered by"
ON_THE_WAY = 10_000
"packets that left and have not been seen to arrive"
One = TypeVar("One", Connection, Association)
_NO_SOCKETS = Sockets(())
_NEIGHBOUR_TYPES = frozenset((130, 131, 132, 133, 134, 135, 136, 143))


class Follower:
    """What has come so far."""

    def __init__(
        self, points: Sequence[Point], hosts: Sequence[Host], decode: Decode, stack: str = "the kernel"
    ) -> None:
        """`decode` reads a frame (`wire.decode.decode`); `stack`: in words, who speaks SCTP."""
        self._points, self._hosts = points, hosts
        self._names = [host.name for host in hosts] or ["client", "server"]
        self._own = {address for host in hosts for address in host.own_tcp}
        self._decode = decode
        self._stack = stack
        self._both_ends = len({point.host for point in points if point.host is not None}) > 1
        self._connections: OrderedDict[Flow, Connection] = OrderedDict()
        self._associations: OrderedDict[Flow, Association] = OrderedDict()
        self._on_the_way: OrderedDict[bytes, deque[Draft]] = OrderedDict()
        self._arrived: OrderedDict[bytes, Draft] = OrderedDict()
        self._implied = implied.Implied()
        self._findings = tcp_findings.Findings(CONVERSATIONS)
        self._recent: deque[Draft] = deque(maxlen=RECENT)
        self.packets = 0
        "how many packets have come"
        self.forgotten: list[str] = []
        "what fell out of the window, in words, each said once by whoever takes it from here"

    def see(self, frame: Frame) -> Packet | None:
        """The packet that this frame is; None where the packet was told already, and this is its arrival."""
        point = self._points[frame.point]
        data = bytes(frame.data)
        if self._both_ends and self._arrives(frame, data, point):
            return None
        self.packets += 1
        draft = Draft(
            facts=self._decode(data, point.linktype, frame.length), data=data, frames=[frame.number], n=self.packets
        )
        if frame.outgoing is False:
            draft.arrived_ns, draft.receiver = frame.at_ns, point.host
        else:
            draft.sent_ns, draft.sender = frame.at_ns, point.host
        waits = self._both_ends and frame.outgoing is True
        if waits:
            self._on_the_way.setdefault(data, deque()).append(draft)
        elif self._both_ends:
            self._note_copy(draft, data)
        self._attribute(draft, arrives=not waits)
        self._trim_wire()
        return draft.finished({})

    @property
    def on_the_way(self) -> int:
        """How many packets left and have not been seen to arrive."""
        return sum(map(len, self._on_the_way.values()))

    # ---- the wire

    def is_arrival(self, frame: Frame) -> bool:
        """Whether the frame is the other end's sight of a packet that was told and is still on the way."""
        waiting = self._on_the_way.get(bytes(frame.data))
        return bool(frame.outgoing is False and waiting and waiting[0].sender != self._points[frame.point].host)

    def _arrives(self, frame: Frame, data: bytes, point: Point) -> bool:
        """Whether this is the other end's sight of a packet that was told."""
        if self.is_arrival(frame):
            waiting = self._on_the_way[data]
            draft = waiting.popleft()
            if not waiting:
                del self._on_the_way[data]
            draft.arrived_ns, draft.receiver = max(frame.at_ns, draft.at_ns), point.host
            self._arrived[data] = draft
            self._let_arrive(draft)
            return True
        late = self._arrived.get(data)
        if frame.outgoing and late is not None and late.receiver != point.host and late.sent_ns is None:
            late.sent_ns = frame.at_ns  # its departure came to us after its arrival
            return True
        return False

    def _note_copy(self, draft: Draft, data: bytes) -> None:
        """What arrives a second time was doubled on the way."""
        first = self._arrived.get(data)
        if first is not None and first.receiver == draft.receiver:
            draft.copy_of, draft.sender = first, first.sender
            why = f"a copy of packet {first.n}, made on the way: nobody sent it"
            draft.cause = Cause(kind="kernel", reason=why, confidence="exact", packets=(first.n,))
        else:
            self._arrived[data] = draft

    def _trim_wire(self) -> None:
        for held in (self._on_the_way, self._arrived):
            while len(held) > ON_THE_WAY:
                held.popitem(last=False)

    # ---- why

    def _attribute(self, draft: Draft, *, arrives: bool) -> None:
        if len(self._recent) == RECENT:
            self._recent[0].data = b""  # of what is known of it for longer, its octets are not
        self._recent.append(draft)
        forwarding.attribute(self._recent, self._hosts)
        if draft.forwarded is not None:
            return
        match draft.facts.transport:
            case TcpSegment():
                self._tcp(draft, arrives=arrives)
            case SctpPacket():
                self._sctp(draft, arrives=arrives)
            case ArpMessage():
                neighbours.attribute(list(self._recent), self._own)
            case IcmpMessage(version=6, type=kind) if kind in _NEIGHBOUR_TYPES:
                neighbours.attribute(list(self._recent), self._own)
            case IcmpMessage():
                datagrams.attribute(list(self._recent), _NO_SOCKETS)
                self._implied.see(draft)
            case _:
                self._implied.see(draft)

    def _let_arrive(self, draft: Draft) -> None:
        flow = draft.facts.flow
        if flow is None:
            return
        connection = self._connections.get(flow.conversation)
        if connection is not None and draft.seq is not None and isinstance(draft.facts.transport, TcpSegment):
            tcp.arrive(draft, *connection.direction(draft), draft.arrival_ns)
        association = self._associations.get(flow.conversation)
        if association is not None:
            sctp.arrive(draft, *association.direction(draft), draft.arrival_ns)

    def _tcp(self, draft: Draft, *, arrives: bool) -> None:
        flow = draft.facts.flow
        assert flow is not None
        connection = self._connections.get(flow.conversation)
        if connection is None or tcp.begins_anew(connection, draft, flow.source) or _follows_reset(connection, draft):
            connection = tcp.open_connection(draft, flow, _NO_SOCKETS, self._names)
            for end in connection.ends:
                end.speaker = OWN_TCP if end.address.address in self._own else KERNEL
            self._remember(self._connections, flow.conversation, connection)
        self._connections.move_to_end(flow.conversation)
        draft.finding = self._findings.see(draft)
        tcp.add(connection, draft, flow)
        sender, receiver = connection.direction(draft)
        if {"S", "A"} <= set(segment_of(draft).flags):
            sender.answers = True
            if sender is connection.ends[1] and sender.sight.last_sent is None:  # it was listening
                sender.lane = TcpLane(TcpState.LISTEN)
        tcp.depart(connection, draft, sender, receiver, draft.at_ns)
        if arrives:
            tcp.arrive(draft, sender, receiver, draft.at_ns)
        self._tell_states(draft, connection)
        _trim_connection(connection)
        if max(len(end.spans) + len(end.brought) + len(end.unacknowledged) for end in connection.ends) > UNACKNOWLEDGED:
            del self._connections[flow.conversation]
            self._forget(flow, connection)

    def _sctp(self, draft: Draft, *, arrives: bool) -> None:
        flow = draft.facts.flow
        assert flow is not None
        association = self._associations.get(flow.conversation)
        if association is None or sctp.begins_anew(association, draft, flow.source):
            association = sctp.open_association(draft, flow, _NO_SOCKETS, self._names)
            self._remember(self._associations, flow.conversation, association)
        sctp.add(association, draft, flow)
        for key in (flow.conversation, *sctp.known_by(association)):
            self._remember(self._associations, key, association)
            self._associations.move_to_end(key)
        sender, receiver = association.direction(draft)
        sctp.depart(association, draft, sender, receiver, self._stack, draft.at_ns)
        if arrives:
            sctp.arrive(draft, sender, receiver, draft.at_ns)
        self._tell_states(draft, association)
        _trim_association(association)
        if max(len(end.sent) + len(end.brought) + len(end.unacknowledged) for end in association.ends) > UNACKNOWLEDGED:
            for key in [key for key, one in self._associations.items() if one is association]:
                del self._associations[key]
            self._forget(flow, association)

    def _tell_states(self, draft: Draft, one: Connection | Association) -> None:
        """Of an end that has not spoken yet, nobody knows whether it listens, or is there at all."""
        draft.states = one.states_now()
        sender, receiver = one.direction(draft)
        draft.sender, draft.receiver = draft.sender or sender.host, draft.receiver or receiver.host

    # ---- the window

    def _remember(self, held: OrderedDict[Flow, One], key: Flow, one: One) -> None:
        if held.get(key) is one:
            return
        held[key] = one
        if len(held) > CONVERSATIONS:
            flow, oldest = held.popitem(last=False)
            self._forget(flow, oldest)

    def _forget(self, flow: Flow, one: Connection | Association) -> None:
        what = "connection" if isinstance(one, Connection) else "association"
        self.forgotten.append(
            f"the {what} {flow.source} – {flow.destination} fell out of the window: what follows of it counts anew"
        )


def _follows_reset(connection: Connection, draft: Draft) -> bool:
    """A SYN after a reset opens a new connection, whatever its number."""
    return segment_of(draft).flags == "S" and any(end.reset for end in connection.ends)


def _trim_connection(connection: Connection) -> None:
    drafts = connection.drafts
    if len(drafts) > 2 * PACKETS:
        connection.drafts = [d for d in drafts[:-PACKETS] if "S" in segment_of(d).flags][:4] + drafts[-PACKETS:]
    for end in connection.ends:
        _trim_end(end)


def _trim_end(end: End) -> None:
    """What is acknowledged is needed no more, but for a retransmission of the latest."""
    if len(end.spans) > 2 * PACKETS:
        end.spans = [span for span in end.spans[:-PACKETS] if span[1] > end.peer_ack] + end.spans[-PACKETS:]
    if len(end.brought) > 2 * PACKETS:
        told = end.last_ack or 0
        end.brought = [found for found in end.brought[:-PACKETS] if found[1] > told] + end.brought[-PACKETS:]
    del end.duplicate_acks[UNACKNOWLEDGED:], end.sight.gaps[:-PACKETS]
    if len(end.sight.again) > UNACKNOWLEDGED:
        end.sight.again.clear()


def _trim_association(association: Association) -> None:
    if len(association.drafts) > 2 * PACKETS:
        del association.drafts[1:-PACKETS]
    for end in association.ends:
        other = association.ends[1] if end is association.ends[0] else association.ends[0]
        for held, told in ((end.sent, end.peer_ack), (end.brought, other.peer_ack)):
            if len(held) > 2 * PACKETS:
                for tsn in [tsn for tsn in held if tsn <= told - PACKETS]:
                    del held[tsn]
        del end.peer_acks[:-PACKETS], end.blue[:-PACKETS]
