"""Why each TCP segment exists: the packets of each connection, walked in order of time.

    packets ─▶ connections (a new SYN begins one) ─▶ ends, tied to sockets by the kernel's word of their addresses
            ─▶ walk: at each departure  `tcp_rules` says why, by the first rule that applies
                     at each arrival    the receiver's end learns; both lanes move by RFC 9293's table

What does *not* belong here: what a call did (`calls`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from rawlab.attribution import streams, tcp_findings, tcp_hindsight, tcp_seen, tcp_sight
from rawlab.attribution.connection import Connection, End, segment_of
from rawlab.attribution.conversation import moments_seen, named, tells_states
from rawlab.attribution.lanes import TcpLane
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sockets import Sockets
from rawlab.attribution.tcp_rules import cause_of, closing_call, is_ignored
from rawlab.attribution.words import KERNEL, OWN_TCP
from rawlab.model.address import Endpoint, Flow
from rawlab.model.facts import TcpSegment
from rawlab.model.states import TcpEvent, TcpState


def attribute(
    drafts: Sequence[Draft],
    sockets: Sockets,
    hosts: Sequence[str],
    own: Collection[str] = (),
    received: Mapping[int, Sequence[Draft]] = MappingProxyType({}),
) -> list[Connection]:
    """Gives every TCP packet its cause, relative numbers and states; the connections that they make.

    `own`: addresses at which rawlab's TCP speaks, not the kernel's. `received`: by call, what raw and packet sockets'
    calls took.
    """
    mine = [draft for draft in drafts if isinstance(draft.facts.transport, TcpSegment)]
    found = connections(mine, sockets, hosts)
    if not sockets.recorded or sockets.partial:
        tcp_findings.find(mine)
    taken = _taken(sockets, received)
    for connection in found:
        for end in connection.ends:
            end.speaker = OWN_TCP if end.address.address in own else KERNEL
        _tie_unanswered(connection, sockets)
        _tie_unaccepted(connection, sockets)
        _find_listening(connection)
        _find_nobody(connection, sockets)
        _find_taken(connection, taken)
        if sockets.partial:
            _find_traced(connection)
            streams.place(connection)
        if any(end.recorded for end in connection.ends):
            _walk(connection)
        else:
            _walk_seen(connection)
        recorded = any(end.recorded for end in connection.ends)
        for draft in connection.drafts:
            if recorded:
                draft.states = connection.states(draft.at_ns)
            sender, receiver = connection.direction(draft)
            draft.sender, draft.receiver = draft.sender or sender.host, draft.receiver or receiver.host
    return found


# ------------------------------------------------------------------------------------------ connections


def connections(drafts: Iterable[Draft], sockets: Sockets, hosts: Sequence[str]) -> list[Connection]:
    """The packets by connection: the same addresses and ports, until a SYN with another number begins a new one."""
    found: list[Connection] = []
    open_now: dict[Flow, Connection] = {}
    for draft in drafts:
        flow = draft.facts.flow
        assert flow is not None
        connection = open_now.get(flow)
        if connection is None or begins_anew(connection, draft, flow.source):
            connection = open_connection(draft, flow, sockets, hosts)
            open_now[flow] = open_now[flow.reverse] = connection
            found.append(connection)
        add(connection, draft, flow)
    return found


def add(connection: Connection, draft: Draft, flow: Flow) -> None:
    """The packet is the connection's."""
    connection.drafts.append(draft)
    draft.forward = flow.source == connection.ends[0].address
    sender, receiver = connection.direction(draft)
    for end, host in ((sender, draft.sender), (receiver, draft.receiver)):
        end.host = host or end.host
    segment = segment_of(draft)
    sender.has_spoken = True
    if "S" in segment.flags and sender.first_syn is None:
        sender.first_syn = segment.seq
        if "A" in segment.flags:
            receiver.asked = segment.ack - 1
        connection.seen_from_start |= sender.asked == segment.seq  # its answer was seen first


def begins_anew(connection: Connection, draft: Draft, source: Endpoint) -> bool:
    """A SYN with another number than this end's SYN had; or with any, where this end has spoken without one."""
    segment = segment_of(draft)
    if "S" not in segment.flags or "A" in segment.flags:
        return False
    end = connection.ends[source != connection.ends[0].address]
    if end.first_syn is not None:
        return end.first_syn != segment.seq
    return end.has_spoken or (not connection.seen_from_start and end.asked != segment.seq)


def open_connection(draft: Draft, flow: Flow, sockets: Sockets, hosts: Sequence[str]) -> Connection:
    """A connection of which this is the first packet."""
    flags = segment_of(draft).flags
    answered = "S" in flags and "A" in flags  # its SYN was not seen: this is the passive end speaking
    active, passive = (flow.destination, flow.source) if answered else (flow.source, flow.destination)
    names = [draft.receiver, draft.sender] if answered else [draft.sender, draft.receiver]
    ends = []
    likely = named(names, hosts)
    for address, peer, host, role in ((active, passive, names[0], 0), (passive, active, names[1], 1)):
        candidates = [host] if host else list(hosts)
        end = End(address=address, host=likely[role] or str(address), socket=None, recorded=sockets.recorded)
        accepted = role == 1 and "S" in flags
        end.bind(sockets.end(candidates, address, peer, draft.at_ns, accepted=accepted))
        _tie(end, sockets, candidates, draft.at_ns, peer_is_active=role == 1)
        ends.append(end)
    for end, other in (ends, ends[::-1]):
        end.learn_urgent(other)
    return Connection(ends=(ends[0], ends[1]), seen_from_start="S" in flags and not answered)


def _tie(end: End, sockets: Sockets, hosts: Sequence[str], at_ns: int, *, peer_is_active: bool) -> None:
    """Ties an end to the call that opened it: connect at the active end, listen at the passive one."""
    if peer_is_active:
        end.listener = sockets.listener(hosts, end.address.port, at_ns)
        end.lane = TcpLane(TcpState.LISTEN if end.listener else TcpState.CLOSED)
    if end.socket is not None:
        end.connect = next(iter(end.socket.named("connect")), None)


def _tie_unanswered(connection: Connection, sockets: Sockets) -> None:
    """Where the kernel told no address (the call never returned), the one connect that was under way."""
    active, passive = connection.ends
    if active.connect is None and connection.seen_from_start:
        at_ns = connection.drafts[0].at_ns
        active.connect = sockets.connecting(active.host, passive.address, at_ns)
        local = active.connect[1].local if active.connect else None
        active.port_is_connects = local is not None and local.port == active.address.port


def _tie_unaccepted(connection: Connection, sockets: Sockets) -> None:
    """An end that nobody accepted, and that sends RST, may have been closed with the socket that listened."""
    for end in connection.ends:
        if end.socket is not None or end.listener is None:
            continue
        mine = (draft for draft in connection.drafts if connection.direction(draft)[0] is end)
        if any("R" in segment_of(draft).flags for draft in mine):
            listens = (end.host, end.listener[1].socket)
            end.listening = next((found for found in sockets if (found.host, found.inode) == listens), None)


def _find_listening(connection: Connection) -> None:
    """Without a listen call, who answered SYN without having sent one was listening (RFC 9293 figure 5)."""
    _, passive = connection.ends
    spoken = (draft for draft in connection.drafts if "R" not in segment_of(draft).flags)
    mine = (draft for draft in spoken if connection.direction(draft)[0] is passive)
    first = next(mine, None)
    if first is not None and {"S", "A"} <= set(segment_of(first).flags):
        passive.lane = TcpLane(TcpState.LISTEN)


def _find_nobody(connection: Connection, sockets: Sockets) -> None:
    """Ends without a state: of an address that no kernel owns, where the program that sends by hand hears nothing."""
    if not sockets.recorded:
        connection.tell_who_spoke()
        return
    first = connection.drafts[0]
    sender, _ = connection.direction(first)
    hears = any(found.hears and found.host == sender.host and found.made_ns <= first.at_ns for found in sockets)
    if first.unowned and first.cause.kind == "call" and not hears:
        sender.told_ns = None


def _taken(sockets: Sockets, received: Mapping[int, Sequence[Draft]]) -> dict[tuple[str, int], int]:
    """When the first call of each host's that took a packet returned, by host and packet."""
    found: dict[tuple[str, int], int] = {}
    for n, call in (numbered for socket in sockets for numbered in socket.calls if numbered[0] in received):
        for draft in received[n]:
            found.setdefault((call.host, draft.n), call.returned_ns or 0)
    return found


def _find_taken(connection: Connection, taken: Mapping[tuple[str, int], int]) -> None:
    """A program that speaks by hand for an address that no kernel owns learns what came when its call returns."""
    by_hand = next((draft for draft in connection.drafts if draft.unowned and draft.cause.kind == "call"), None)
    if by_hand is not None:
        end, _ = connection.direction(by_hand)
        end.takes = {draft.n: taken[end.host, draft.n] for draft in connection.drafts if (end.host, draft.n) in taken}


# ------------------------------------------------------------------------------------------------- walk


def _find_traced(connection: Connection) -> None:
    """Of an end whose process was not followed, only what is on the wire is known."""
    for end in connection.ends:
        end.recorded = end.socket is not None or end.listener is not None or end.connect is not None
    if not any(end.recorded for end in connection.ends):
        connection.tell_who_spoke()


def _walk(connection: Connection) -> None:
    """Departures, arrivals, and the calls that move a state by themselves, in order of time."""
    _find_answers(connection)
    for at_ns, _, _, moment in sorted(_moments(connection), key=lambda moment: moment[:3]):
        moment(at_ns)


def _find_answers(connection: Connection) -> None:
    for draft in connection.drafts:
        flags = segment_of(draft).flags
        if "S" in flags and "A" in flags:
            connection.direction(draft)[0].answers = True


def _walk_seen(connection: Connection) -> None:
    """Departures and arrivals, where no calls were recorded: packets of the same nanosecond in the file's order."""
    _find_answers(connection)
    tcp_hindsight.foresee(connection)
    for end in connection.ends:
        end.has_spoken = False
        if not connection.seen_from_start:
            end.told_ns = None
    for at_ns, arrives, draft in moments_seen(connection.drafts):
        sender, receiver = connection.direction(draft)
        if arrives:
            arrive(draft, sender, receiver, at_ns)
        else:
            depart(connection, draft, sender, receiver, at_ns)
        if tells_states(draft, arrives=arrives):
            draft.states = connection.states_now()


def _moments(connection: Connection) -> Iterator[tuple[int, int, int, Callable[[int], None]]]:
    """(time, rank, packet, what happens); what was seen at one place only departs and arrives there."""
    for draft in connection.drafts:
        sender, receiver = connection.direction(draft)
        yield draft.at_ns, 0, draft.n, partial(depart, connection, draft, sender, receiver)
        if not draft.lost:
            taken_ns = max(draft.arrival_ns, receiver.takes.get(draft.n, 0))
            yield taken_ns, 1, draft.n, partial(arrive, draft, sender, receiver)
    for end in connection.ends:
        if (closing := closing_call(end)) is not None and closing[1].returned_ns is not None:
            yield closing[1].returned_ns, 2, 0, partial(_closed, end)
        if end.connect is not None and end.connect[1].errno == "ETIMEDOUT" and end.connect[1].returned_ns:
            yield end.connect[1].returned_ns, 2, 0, partial(end.lane.apply, TcpEvent.CLOSE)


def _closed(end: End, at_ns: int) -> None:
    """The call is over: whether or not FIN has left, the state is as if it had (RFC 9293 section 3.10.4)."""
    if not end.reset:
        end.lane.apply(TcpEvent.SEND_FIN, at_ns)


def depart(connection: Connection, draft: Draft, sender: End, receiver: End, at_ns: int) -> None:
    segment = segment_of(draft)
    _number(draft, segment, sender, receiver)
    assert draft.seq is not None
    if not sender.recorded and draft.copy_of is None and (first := tcp_sight.twin(draft, sender)) is not None:
        draft.copy_of, draft.cause = first, tcp_seen.captured_twice(draft, first)
        return
    by_hand = draft.cause is not UNKNOWN  # a raw socket's call wrote it: this end's kernel knows nothing of it
    if not by_hand:
        draft.cause = (cause_of if sender.recorded else tcp_seen.cause_of)(connection, draft, sender, receiver)
    if not sender.recorded:
        tcp_sight.show(connection, draft, sender, receiver)
    end = draft.seq + segment.span
    if segment.span and not sender.recorded:
        sender.show(draft.seq, end, draft)
        sender.sent_end = max(sender.sent_end, end)
    elif segment.span and end > sender.sent_end:
        sender.spans.append((max(draft.seq, sender.sent_end), end, draft))
        sender.sent_end = end
    elif not sender.spans:
        sender.sent_end = max(sender.sent_end, draft.seq)
    if "S" in segment.flags:
        sender.syn = sender.syn or draft
        sender.answered |= "A" in segment.flags
        if "A" in segment.flags and sender.lane.state is TcpState.LISTEN:
            sender.lane.apply(TcpEvent.RECEIVE_SYN, at_ns)
        elif "A" not in segment.flags and (not by_hand or draft.unowned):
            sender.lane.apply(TcpEvent.SEND_SYN, at_ns)
            if not sender.recorded and receiver.answered:
                tcp_sight.open_late(draft, sender, receiver)
    if "F" in segment.flags and sender.fin is None:
        sender.fin = draft
        if sender.syn is None or end > 1:  # else it has SYN's own number: nobody takes it
            sender.fin_number = end - 1
        sender.lane.apply(TcpEvent.SEND_FIN, at_ns)
    elif "F" in segment.flags and not sender.recorded:  # the first may have left before SYN-ACK came
        sender.lane.apply(TcpEvent.SEND_FIN, at_ns)
    if "R" in segment.flags:
        if not is_ignored(draft, receiver):
            sender.sight.before_reset = sender.lane.state
            sender.lane.apply(TcpEvent.SEND_RST, at_ns)
            sender.reset = True
    elif draft.ack is not None:
        sender.unacknowledged = _left_to_answer(sender, draft.ack) if sender.unacknowledged else []
        sender.last_ack, sender.last_window = draft.ack, segment.window


def _left_to_answer(sender: End, ack: int) -> list[Draft]:
    """What came, and a segment that leaves with this acknowledgment number does not answer.

    rawlab's TCP takes one segment after the other off its socket: one that is not acknowledged may not be taken yet.
    """
    if sender.speaker == KERNEL:
        return []
    if ack == sender.last_ack:
        return sender.unacknowledged[1:]
    return [came for came in sender.unacknowledged if (came.seq or 0) + segment_of(came).span > ack]


def _number(draft: Draft, segment: TcpSegment, sender: End, receiver: End) -> None:
    """Relative numbers, as Wireshark counts: from the SYN's, or so that the first octet seen is number 1."""
    if sender.base is None or ("S" in segment.flags and sender.syn is None):
        sender.base = segment.seq if "S" in segment.flags else segment.seq - 1
    draft.seq = sender.relative(segment.seq, sender.sent_end)
    if "A" in segment.flags:
        if receiver.base is None:
            receiver.base = segment.ack - 1
        draft.ack = receiver.relative(segment.ack, receiver.sent_end)


def arrive(draft: Draft, sender: End, receiver: End, at_ns: int) -> None:
    """The receiver's end learns what the packet says."""
    segment = segment_of(draft)
    assert draft.seq is not None
    if not sender.recorded and (draft.copy_of is not None or tcp_sight.is_lost(draft, receiver)):
        return
    receiver.last_arrival = draft
    if "R" in segment.flags:
        if is_ignored(draft, receiver):
            return
        receiver.sight.reset_by, receiver.sight.before_reset = draft, receiver.lane.state
        receiver.lane.apply(TcpEvent.RECEIVE_RST, at_ns)
        receiver.reset = True
        return
    if segment.span:
        receiver.learn(draft.seq, draft.seq + segment.span, draft)
        receiver.unacknowledged.append(draft)
    if "S" in segment.flags:
        event = TcpEvent.RECEIVE_SYN_ACK if "A" in segment.flags else TcpEvent.RECEIVE_SYN
        if receiver.lane.state is not TcpState.LISTEN or not receiver.answers:  # else SYN-ACK tells it was taken
            receiver.lane.apply(event, at_ns)
    closed = (
        sender.fin_number is not None
        and draft.n > receiver.sight.denies_fin
        and receiver.arrived.end_from(0 if sender.syn else 1) > sender.fin_number
    )
    if closed and not sender.recorded and "F" not in segment.flags:  # FIN came before this
        receiver.lane.apply(TcpEvent.RECEIVE_FIN, at_ns)
    if draft.ack is not None:
        _learn_acknowledgment(draft, draft.ack, receiver, at_ns)
    if closed:
        receiver.lane.apply(TcpEvent.RECEIVE_FIN, at_ns)


def _learn_acknowledgment(draft: Draft, ack: int, receiver: End, at_ns: int) -> None:
    segment = segment_of(draft)
    if not receiver.recorded:
        tcp_sight.learn_acknowledgment(draft, ack, receiver)
    if ack > receiver.peer_ack:
        receiver.peer_ack = ack
        receiver.duplicate_acks = []
    elif ack == receiver.peer_ack and segment.span == 0 and receiver.sent_end > ack:
        receiver.duplicate_acks.append(draft)
    if ack > 0:
        receiver.lane.apply(TcpEvent.RECEIVE_ACK_OF_SYN, at_ns)
    if receiver.fin_number is not None and ack > receiver.fin_number:
        receiver.lane.apply(TcpEvent.RECEIVE_ACK_OF_FIN, at_ns)
