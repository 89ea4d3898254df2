"""Why each SCTP packet exists: the packets of each association, walked in order of time.

    packets ─▶ associations (an INIT with a new tag begins one) ─▶ ends, tied to sockets by addresses and port
            ─▶ walk: at each departure  `sctp_rules` says why, chunk by chunk
                     at each arrival    the receiver's end learns; both lanes move by RFC 9260's table

An association may run between several addresses: those that INIT and INIT ACK name are known as its ends'.
What does *not* belong here: which call sent or took which message (`sctp_messages`), what a call did (`sctp_calls`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address

from rawlab.attribution import sctp_messages
from rawlab.attribution.association import Association, SctpEnd, chunk_of, data_chunks, packet_of
from rawlab.attribution.conversation import moments_seen, named, tells_states
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sctp_rules import cause_of, closing_call
from rawlab.attribution.sockets import SENDERS, NumberedCall, Sockets
from rawlab.attribution.tcp_rules import lingers_0
from rawlab.model import sctp as chunks
from rawlab.model.address import Endpoint, Flow
from rawlab.model.event import Call
from rawlab.model.sctp import SctpError, SctpInit, SctpPacket, SctpSack, SctpShutdown
from rawlab.model.states import SctpEvent, SctpState

_ADDRESSES = (5, 6)  # parameters: IPv4 Address, IPv6 Address (RFC 9260 section 3.3.2.1)
_STALE_COOKIE = 3
_T = 1  # the flag of ABORT and SHUTDOWN COMPLETE that says: the tag is your own (section 3.3.7)


def attribute(drafts: Sequence[Draft], sockets: Sockets, hosts: Sequence[str], stack: str) -> list[Association]:
    """Gives every SCTP packet its cause, relative TSNs and states; the associations that they make.

    `stack`: in words, who it is that speaks SCTP: 'the kernel', 'our endpoint'.
    """
    found = associations([draft for draft in drafts if isinstance(draft.facts.transport, SctpPacket)], sockets, hosts)
    for association in found:
        for end, other in (association.ends, association.ends[::-1]):
            _tie(association, end, other, sockets)
    sctp_messages.tie_sends(found)
    for association in found:
        if sockets.recorded:
            _walk(association, stack)
        else:
            association.tell_who_spoke()
            _walk_seen(association, stack)
        for draft in association.drafts:
            if sockets.recorded:
                draft.states = association.states(draft.at_ns)
            sender, receiver = association.direction(draft)
            draft.sender, draft.receiver = draft.sender or sender.host, draft.receiver or receiver.host
    return found


# ----------------------------------------------------------------------------------------- associations


def associations(drafts: Sequence[Draft], sockets: Sockets, hosts: Sequence[str]) -> list[Association]:
    """The packets by association."""
    found: list[Association] = []
    open_now: dict[Flow, Association] = {}
    for draft in drafts:
        flow = draft.facts.flow
        assert flow is not None
        association = open_now.get(flow.conversation)
        if association is None or begins_anew(association, draft, flow.source):
            association = open_association(draft, flow, sockets, hosts)
            found.append(association)
            open_now[flow.conversation] = association
        add(association, draft, flow)
        for key in known_by(association):
            open_now[key] = association
    return found


def begins_anew(association: Association, draft: Draft, source: Endpoint) -> bool:
    """An INIT with another tag than this end's INIT had, after that; any, after the association's end."""
    init = chunk_of(draft, chunks.INIT)
    if not isinstance(init, SctpInit):
        return False
    if association.over:
        return True
    one, other = association.ends
    end = one if source.address in one.addresses and source.port == one.port else other
    return bool(end.tags) and init.initiate_tag not in end.tags


def open_association(draft: Draft, flow: Flow, sockets: Sockets, hosts: Sequence[str]) -> Association:
    """An association of which this is the first packet: the sender is the active end, unless it answers an INIT."""
    answers = chunk_of(draft, chunks.INIT_ACK) is not None
    active, passive = (flow.destination, flow.source) if answers else (flow.source, flow.destination)
    names = [draft.receiver, draft.sender] if answers else [draft.sender, draft.receiver]
    ends = [
        SctpEnd(
            addresses={address.address},
            port=address.port,
            host=name or str(address),
            recorded=sockets.recorded,
        )
        for address, name in zip((active, passive), named(names, hosts), strict=True)
    ]
    return Association(ends=(ends[0], ends[1]), seen_from_start=chunk_of(draft, chunks.INIT) is not None)


def add(association: Association, draft: Draft, flow: Flow) -> None:
    """The packet is the association's; its ends learn addresses, tag and initial TSN from INIT and INIT ACK."""
    one, _ = association.ends
    draft.forward = flow.source.address in one.addresses and flow.source.port == one.port
    association.drafts.append(draft)
    sender, receiver = association.direction(draft)
    for end, host in ((sender, draft.sender), (receiver, draft.receiver)):
        end.host = host or end.host
    for chunk in packet_of(draft).chunks:
        association.over |= chunk.type in (chunks.ABORT, chunks.SHUTDOWN_COMPLETE)
        if isinstance(chunk, SctpInit):
            sender.tags.add(chunk.initiate_tag)
            sender.base = chunk.initial_tsn
            sender.addresses |= {
                str(ip_address(parameter.value))
                for parameter in chunk.parameters
                if parameter.type in _ADDRESSES and len(parameter.value) in (4, 16)
            }


def known_by(association: Association) -> Iterator[Flow]:
    """The conversations between any two of its ends' addresses."""
    one, other = association.ends
    if len(one.addresses) * len(other.addresses) > _MANY_PATHS:
        return
    for mine in one.addresses:
        for its in other.addresses:
            yield Flow("sctp", Endpoint(mine, one.port), Endpoint(its, other.port)).conversation


_MANY_PATHS = 64


def _tie(association: Association, end: SctpEnd, other: SctpEnd, sockets: Sockets) -> None:
    """Ties an end to its sockets, by the kernel's or the endpoint's word of their addresses, and to what opened it."""
    begun = association.drafts[0].at_ns
    for socket in sockets:
        if not socket.is_sctp or socket.host != end.host or socket.local is None or socket.local.port != end.port:
            continue
        peer = socket.peer
        if peer is not None and (peer.port != other.port or peer.address not in other.addresses):
            continue
        if socket.last_close is None or socket.last_close[1].entered_ns >= begun:
            end.sockets.append(socket)
    if association.ends[0] is end:
        end.opener = _opener(association, end, other, sockets)
    else:
        listens = [(n, call) for n, call in end.calls("listen") if call.errno is None and call.entered_ns <= begun]
        end.listener = listens[-1] if listens else None


def _opener(association: Association, end: SctpEnd, other: SctpEnd, sockets: Sockets) -> NumberedCall | None:
    """The connect call, or the first send to an address of the peer, that was entered before the first packet left."""
    begun = association.drafts[0].at_ns
    found = [
        (n, call)
        for n, call in end.calls("connect", *SENDERS)
        if call.entered_ns <= begun and _target(call) in {None, *_endpoints(other)} and _opens(call)
    ]
    asked = [(n, call) for n, call in found if call.name == "connect" or _target(call) is not None]
    under_way = [(n, call) for n, call in asked if call.returned_ns is None or call.returned_ns >= begun]
    if under_way or asked:
        return (under_way or asked)[-1]
    connecting = (sockets.connecting(end.host, peer, begun) for peer in _endpoints(other))
    return next((opener for opener in connecting if opener is not None), None)


def _endpoints(end: SctpEnd) -> list[Endpoint]:
    return [Endpoint(address, end.port) for address in sorted(end.addresses)]


def _opens(call: Call) -> bool:
    return call.name == "connect" or call.errno in (None, "EINPROGRESS", "ECONNREFUSED", "ETIMEDOUT")


def _target(call: Call) -> Endpoint | None:
    arguments = dict(call.args)
    named = arguments.get("addr", arguments.get("dest_addr", arguments.get("msg_name")))
    return named if isinstance(named, Endpoint) else None


# ------------------------------------------------------------------------------------------------- walk


def _walk(association: Association, stack: str) -> None:
    """Departures, arrivals, and the calls that move a state by themselves, in order of time."""
    for at_ns, _, _, moment in sorted(_moments(association, stack), key=lambda moment: moment[:3]):
        moment(at_ns)


def _walk_seen(association: Association, stack: str) -> None:
    """Departures and arrivals, where no calls were recorded: packets of the same nanosecond in the file's order."""
    for draft in association.drafts:
        for type in (chunks.SHUTDOWN, chunks.SHUTDOWN_ACK):  # each is answered by another (section 9.2)
            if chunk_of(draft, type) is not None:
                association.direction(draft)[0].denies[type] = draft.n
    for at_ns, arrives, draft in moments_seen(association.drafts):
        sender, receiver = association.direction(draft)
        if arrives:
            arrive(draft, sender, receiver, at_ns)
        else:
            depart(association, draft, sender, receiver, stack, at_ns)
        if tells_states(draft, arrives=arrives):
            draft.states = association.states_now()


def _moments(association: Association, stack: str) -> Iterator[tuple[int, int, int, Callable[[int], None]]]:
    """(time, rank, packet, what happens); what was seen at one place only departs and arrives there."""
    for draft in association.drafts:
        sender, receiver = association.direction(draft)
        yield draft.at_ns, 0, draft.n, partial(depart, association, draft, sender, receiver, stack)
        if not draft.lost:
            yield draft.arrival_ns, 1, draft.n, partial(arrive, draft, sender, receiver)
    for end in association.ends:
        if (closing := closing_call(end)) is not None and closing[1].returned_ns is not None:
            at_once = any(lingers_0(option) for _, option in end.calls("setsockopt"))
            event = SctpEvent.SEND_ABORT if at_once else SctpEvent.CLOSE
            yield closing[1].returned_ns, 2, 0, partial(end.lane.apply, event)
        if end.opener is not None and end.opener[1].errno == "ETIMEDOUT" and end.opener[1].returned_ns:
            yield end.opener[1].returned_ns, 2, 0, partial(end.lane.apply, SctpEvent.TIMEOUT)


def depart(
    association: Association, draft: Draft, sender: SctpEnd, receiver: SctpEnd, stack: str, at_ns: int
) -> None:
    sender.has_spoken = True
    _number(draft, sender, receiver)
    if draft.cause is UNKNOWN:  # else a raw socket's call wrote it
        draft.cause = cause_of(association, draft, sender, receiver, stack)
    for chunk in packet_of(draft).chunks:
        if isinstance(chunk, SctpSack | SctpShutdown):
            cumulative = receiver.relative(chunk.cumulative_tsn)
            sender.told.add(0, cumulative + 1)
            sender.unacknowledged = []
        if isinstance(chunk, SctpSack):
            sender.last_sack = chunk
            for start, end in chunk.gaps:
                sender.told.add(cumulative + start, cumulative + end + 1)
        _move_at_departure(chunk.type, sender, at_ns)
    for data in data_chunks(draft):
        tsn = sender.relative(data.tsn)
        sender.sent.setdefault(tsn, []).append(draft)
        sender.sent_end = max(sender.sent_end, tsn + 1)
    for type in {chunk.type for chunk in packet_of(draft).chunks}:
        sender.firsts.setdefault(type, draft)
        sender.lasts[type] = draft
        if type == chunks.HEARTBEAT and draft.facts.ip is not None:
            sender.heartbeats[draft.facts.ip.destination] = draft


def _move_at_departure(type: int, sender: SctpEnd, at_ns: int) -> None:
    lane = sender.lane
    match type:
        case chunks.INIT:
            lane.apply(SctpEvent.SEND_INIT, at_ns)
        case chunks.COOKIE_ECHO:  # its INIT ACK came from an address that was not captured
            lane.apply(SctpEvent.RECEIVE_INIT_ACK, at_ns)
        case chunks.COOKIE_ACK:  # the proof that the cookie was valid
            lane.apply(SctpEvent.RECEIVE_COOKIE_ECHO, at_ns)
            sender.blue.clear()
        case chunks.SHUTDOWN:
            if not sender.recorded and lane.state is SctpState.SHUTDOWN_RECEIVED:
                lane.restore(SctpState.SHUTDOWN_SENT, at_ns)  # the other's, seen before, had not come there
            lane.apply(SctpEvent.CLOSE, at_ns)
            lane.apply(SctpEvent.SEND_SHUTDOWN, at_ns)
        case chunks.SHUTDOWN_ACK:
            if not sender.recorded and lane.state is SctpState.SHUTDOWN_SENT:
                lane.apply(SctpEvent.RECEIVE_SHUTDOWN, at_ns)  # both at once (section 9.2)
            lane.apply(SctpEvent.SEND_SHUTDOWN_ACK, at_ns)
        case chunks.ABORT:
            lane.apply(SctpEvent.SEND_ABORT, at_ns)
            sender.aborted = True


def _number(draft: Draft, sender: SctpEnd, receiver: SctpEnd) -> None:
    """The relative TSN of the packet's first DATA chunk, and the cumulative one of its SACK."""
    for data in data_chunks(draft)[:1]:
        draft.seq = sender.relative(data.tsn)
    for chunk in packet_of(draft).chunks:
        if isinstance(chunk, SctpSack | SctpShutdown) and (receiver.base is not None or receiver.sent_end):
            draft.ack = receiver.relative(chunk.cumulative_tsn)


_AT_ARRIVAL = {
    chunks.INIT_ACK: SctpEvent.RECEIVE_INIT_ACK,
    chunks.COOKIE_ACK: SctpEvent.RECEIVE_COOKIE_ACK,
    chunks.SHUTDOWN: SctpEvent.RECEIVE_SHUTDOWN,
    chunks.SHUTDOWN_ACK: SctpEvent.RECEIVE_SHUTDOWN_ACK,
    chunks.SHUTDOWN_COMPLETE: SctpEvent.RECEIVE_SHUTDOWN_COMPLETE,
    chunks.ABORT: SctpEvent.RECEIVE_ABORT,
}


def arrive(draft: Draft, sender: SctpEnd, receiver: SctpEnd, at_ns: int) -> None:
    """The receiver's end learns what the packet says."""
    if receiver.lane.state is SctpState.CLOSED:
        receiver.blue.append(draft)
    if not _is_for(draft, sender, receiver):
        return
    receiver.last_arrival = draft
    for chunk in packet_of(draft).chunks:
        receiver.last_arrivals[chunk.type] = draft
        if chunk.type == chunks.HEARTBEAT_ACK and draft.facts.ip is not None:
            receiver.heartbeat_acks[draft.facts.ip.source] = draft
        if isinstance(chunk, SctpInit):
            receiver.peer_window = chunk.a_rwnd
        elif isinstance(chunk, SctpSack):
            cumulative = receiver.relative(chunk.cumulative_tsn)
            receiver.peer_ack = max(receiver.peer_ack, cumulative)
            receiver.peer_window = chunk.a_rwnd
            receiver.peer_acks.append((draft, cumulative, chunk.gaps))
        elif isinstance(chunk, SctpShutdown):
            receiver.peer_ack = max(receiver.peer_ack, receiver.relative(chunk.cumulative_tsn))
        elif isinstance(chunk, SctpError) and any(cause.type == _STALE_COOKIE for cause in chunk.causes):
            receiver.lane.apply(SctpEvent.RECEIVE_STALE_COOKIE, at_ns)
        denied = draft.n < receiver.denies.get(chunk.type, 0)
        if not denied and (event := _AT_ARRIVAL.get(chunk.type)) is not None:
            receiver.lane.apply(event, at_ns)
        if chunk.type == chunks.ABORT:
            receiver.aborted = True
    found = data_chunks(draft)
    for data in found:
        tsn = sender.relative(data.tsn)
        receiver.brought.setdefault(tsn, draft)
        receiver.arrived.add(tsn, tsn + 1)
    if found:
        receiver.unacknowledged.append(draft)


def _is_for(draft: Draft, sender: SctpEnd, receiver: SctpEnd) -> bool:
    """Whether its verification tag lets it in (section 8.5): else the receiver discards it."""
    packet = packet_of(draft)
    may_reflect = (chunks.ABORT, chunks.SHUTDOWN_COMPLETE)
    reflected = any(chunk.flags & _T and chunk.type in may_reflect for chunk in packet.chunks)
    tags = sender.tags if reflected else receiver.tags
    return not tags or packet.verification_tag in tags or chunk_of(draft, chunks.INIT) is not None
