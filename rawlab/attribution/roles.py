"""Who is who in a capture whose hosts have no names: client and server where that is clear, else addresses.

Who opens a conversation is its client: who sent SYN, INIT, the first datagram, the echo request. Where all are between
the same two addresses and one of them opened all, the two are 'client' and 'server'; where each opened some, or who
opened was not seen, they go by their addresses. Among more than two addresses, each packet goes by its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.attribution.association import Association
from rawlab.attribution.connection import Connection
from rawlab.attribution.pairing import Draft
from rawlab.model.address import Endpoint, Flow
from rawlab.model.facts import ArpMessage, IcmpMessage

Heads = tuple[str, ...]
Pair = tuple[str, str]
ROLES = ("client", "server")
_WELL_KNOWN = 1024
_REPLIES = ((4, 0), (6, 129))


def name(drafts: Sequence[Draft], conversations: Sequence[Connection | Association]) -> Heads:
    """Gives every packet its sender's and its receiver's name; the two whose states are told, () where they differ."""
    pairs, sure = _openers(drafts, conversations)
    between = set(pairs)
    others = {pair[::-1] for pair in between}
    names: dict[str, str] | None = None
    heads: Heads = ()
    if len(between) == 1 and sure and pairs[0][0] != pairs[0][1]:
        names, heads = dict(zip(pairs[0], ROLES, strict=True)), ROLES
    elif all(opener == answerer for opener, answerer in between):
        heads = ROLES  # a host that talks to itself, or nobody to anybody
        _by_port(drafts)
    elif len(between | others) == 2 and between <= {pairs[0], pairs[0][::-1]}:
        names, heads = {address: address for address in pairs[0]}, pairs[0]
    for draft in drafts:
        source, destination = ends_of(draft)
        if names is not None:
            draft.sender, draft.receiver = names.get(source or ""), names.get(destination or "")
        elif heads == () and source == destination and (flow := draft.facts.flow) is not None:
            draft.sender, draft.receiver = str(flow.source), str(flow.destination)
        elif heads == ():
            draft.sender, draft.receiver = source, destination
    if names is not None or heads == ():
        _rename(conversations, names)
    return heads


def _by_port(drafts: Sequence[Draft]) -> None:
    """On a host that talks to itself, who is who of a conversation that is no connection: who spoke first."""
    first: dict[Flow, Endpoint] = {}
    for draft in drafts:
        flow = draft.facts.flow
        if flow is not None and draft.sender is None and flow.source != flow.destination:
            asks = first.setdefault(flow.conversation, flow.source) == flow.source
            draft.sender, draft.receiver = ROLES if asks else ROLES[::-1]


def ends_of(draft: Draft) -> tuple[str | None, str | None]:
    """The addresses: of IP, else of ARP."""
    match draft.facts.transport, draft.facts.ip:
        case _, ip if ip is not None:
            return ip.source, ip.destination
        case ArpMessage(sender=sender, target=target), _:
            return sender, target
    return None, None


def _openers(drafts: Sequence[Draft], conversations: Sequence[Connection | Association]) -> tuple[list[Pair], bool]:
    """(who opened, who answered) of each conversation, and whether all of that is known."""
    found: dict[Pair, None] = {}
    sure = True
    for one in conversations:
        first = one.drafts[0]
        source, destination = ends_of(first)
        pair = (source or "", destination or "")
        forward = pair if first.forward else pair[::-1]
        if not one.seen_from_start and isinstance(one, Connection) and one.ends[1].first_syn is None:
            ports = tuple(end.address.port < _WELL_KNOWN for end in one.ends)
            sure = sure and ports[0] != ports[1]
            forward = forward[::-1] if ports[0] and not ports[1] else forward
        found.setdefault(forward)
    seen = {frozenset(pair) for pair in found}
    for draft in drafts:
        if draft.facts.ip is None or draft.states:
            continue
        source, destination = ends_of(draft)
        if (two := frozenset((source or "", destination or ""))) not in seen and not _is_error(draft):
            seen.add(two)
            answer = _is_reply(draft)
            found.setdefault((destination or "", source or "") if answer else (source or "", destination or ""))
    return list(found), sure


def _is_error(draft: Draft) -> bool:
    """Whether it is an ICMP message that tells of another packet, or of neighbours: nobody opens anything with it."""
    message = draft.facts.transport
    return isinstance(message, IcmpMessage) and message.sequence is None


def _is_reply(draft: Draft) -> bool:
    message = draft.facts.transport
    return isinstance(message, IcmpMessage) and (message.version, message.type) in _REPLIES


def _rename(conversations: Sequence[Connection | Association], names: dict[str, str] | None) -> None:
    """The ends of the conversations, and their states in each packet."""
    for one in conversations:
        source, destination = ends_of(one.drafts[0])
        ends = (source, destination) if one.drafts[0].forward else (destination, source)
        mine = [str(names[end or ""] if names is not None else end) for end in ends]
        if mine[0] == mine[1]:
            flow = one.drafts[0].facts.flow
            assert flow is not None
            mine = [str(flow.source), str(flow.destination)][:: 1 if one.drafts[0].forward else -1]
        one.ends[0].host, one.ends[1].host = mine
        for draft in one.drafts:
            draft.states = tuple((called, state) for called, (_, state) in zip(mine, draft.states, strict=True))
