"""Why each packet exists: from a timeline and its decoded frames to a story. Pure; nothing is asked of the system."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from rawlab.attribution import (
    carried,
    datagrams,
    endpoint_calls,
    flooded,
    forwarding,
    fragment_words,
    hand_made,
    implied,
    neighbours,
    reassembly,
    remarks,
    roles,
    sctp,
    sctp_calls,
    tcp,
    tcp_hindsight,
    vantage,
)
from rawlab.attribution.association import Association
from rawlab.attribution.calls import Links, link
from rawlab.attribution.connection import Connection
from rawlab.attribution.lanes import SctpLane, TcpLane
from rawlab.attribution.pairing import Decode, pair
from rawlab.attribution.sockets import RECEIVERS, Sockets
from rawlab.attribution.whys import why
from rawlab.attribution.words import KERNEL, OWN_TCP, numbers
from rawlab.model.event import Call
from rawlab.model.states import TcpEvent
from rawlab.model.story import CallStory, Story, Transition
from rawlab.model.timeline import Timeline

States = tuple[tuple[str, str | None], ...]
_STACKS = {"kernel": "the kernel", "user": "rawlab's SCTP"}
"who speaks SCTP"


def tell(timeline: Timeline, decode: Decode) -> Story:
    """The story; `decode` reads a frame (`wire.decode.decode`)."""
    hosts = [host.name for host in timeline.hosts] or ["client", "server"]
    drafts = pair(timeline, decode)
    foreign = not timeline.hosts and not timeline.calls
    in_pieces = reassembly.reassemble(drafts, timeline.points, decode) if foreign else []
    calls = [call for call in timeline.calls if not call.endpoint]
    sockets = Sockets(calls, partial=timeline.run.traced, killed=timeline.run.killed)
    own_hosts = {host.name for host in timeline.hosts if host.own_tcp}
    own = {address for host in timeline.hosts for address in host.own_tcp}
    neighbours.attribute(drafts, own)
    forwarding.attribute(drafts, timeline.hosts)
    hand_made.attribute(drafts, sockets)
    if not sockets.recorded:
        implied.attribute(drafts)
    received = datagrams.attribute(drafts, sockets)
    if sockets.partial:
        implied.attribute(drafts)
    connections = tcp.attribute(drafts, sockets, hosts, own, received)
    associations = sctp.attribute(drafts, sockets, hosts, _STACKS.get(timeline.run.stack or "", "the kernel"))
    flooded.attribute(drafts, timeline)
    fragment_words.tell(in_pieces)
    heads = roles.name(drafts, [*connections, *associations]) if foreign else ()
    if foreign:
        tcp_hindsight.tell_unanswered(connections, drafts)
        for connection in connections:
            tcp_hindsight.add(connection)
        carried.add(drafts)
    links = link(calls, drafts, connections, received, sockets.polled, listening=sockets.partial)
    sctp_calls.link(links, associations, sockets)
    alone = _lone_lanes(calls, links, sockets)
    spoken = _spoken([*connections, *associations])
    comments = {frame.number: frame.comments for frame in timeline.frames if frame.comments}
    stories = []
    for n, (call, mine) in enumerate(zip(calls, links, strict=True), 1):
        before, then = (_states(call, mine, alone, spoken, at_ns, hosts) for at_ns in _span(call))
        stories.append(
            CallStory(
                n=n,
                call=call,
                why=why(call, mine, OWN_TCP if call.host in own_hosts else KERNEL),
                sent=numbers(mine.sent),
                waited_for=numbers(mine.waited_for),
                states=before,
                states_after=then,
            )
        )
    return Story(
        timeline=timeline,
        calls=tuple(stories),
        packets=tuple(draft.finished(comments) for draft in drafts),
        endpoint_calls=endpoint_calls.tell([call for call in timeline.calls if call.endpoint], drafts),
        transitions=tuple(_transitions([*connections, *associations])),
        heads=heads,
        vantage=vantage.tell(timeline, drafts, connections) if foreign else None,
        remarks=tuple(remarks.tell(timeline, drafts, connections, associations, heads)) if foreign else (),
    )


def _transitions(conversations: Sequence[Connection | Association]) -> Iterator[Transition]:
    for one in conversations:
        for at_ns, host, state in one.transitions():
            yield Transition(at_ns=at_ns, host=host, state=state, packet=one.drafts[0].n)


def _span(call: Call) -> tuple[int, int]:
    """When it was entered, and when it returned (or, where it did not, was entered)."""
    return call.entered_ns, call.entered_ns if call.returned_ns is None else call.returned_ns


Spoken = Sequence[tuple[int, Connection | Association]]
"""(when, whose) of each packet, in order of time."""


def _spoken(conversations: Sequence[Connection | Association]) -> Spoken:
    moments = [(draft.at_ns, number) for number, one in enumerate(conversations) for draft in one.drafts]
    return [(at_ns, conversations[number]) for at_ns, number in sorted(moments)]


def _states(
    call: Call,
    mine: Links,
    alone: dict[tuple[str, int], TcpLane | SctpLane],
    spoken: Spoken,
    at_ns: int,
    hosts: Sequence[str],
) -> States:
    """Each host's state at that time: the connection's, else the socket's own and None for the other host.

    A call on no such socket (nanosleep, a raw socket's) tells of the conversation that spoke last. Which association of
    several a call on a one-to-many socket is about, shows at its return.
    """
    accepts = call.name in ("accept", "accept4")
    early = at_ns == call.entered_ns and (accepts or (mine.one_to_many and call.name in RECEIVERS))
    if not early and (states := mine.states(at_ns)) is not None:
        return states
    if early and mine.is_sctp:  # the socket itself has no state: its associations have
        return tuple((host, None) for host in hosts)
    inode = call.socket if call.socket is not None else call.new_socket
    lane = alone.get((call.host, inode)) if inode is not None else None
    last = bisect_right(spoken, at_ns, key=lambda moment: moment[0])
    if lane is None and last:
        return spoken[last - 1][1].states(at_ns)
    return tuple((host, lane.at(at_ns).value if lane and host == call.host else None) for host in hosts)


def _lone_lanes(
    calls: Sequence[Call], links: Sequence[Links], sockets: Sockets
) -> dict[tuple[str, int], TcpLane | SctpLane]:
    """The states of the sockets that are no connection's end: closed, listening, closed again."""
    lanes: dict[tuple[str, int], TcpLane | SctpLane] = {}
    for call, mine in zip(calls, links, strict=True):
        stateful = call.state is not None or (sockets.partial and _is_stream(call))
        if call.name == "socket" and stateful and call.new_socket is not None:
            lanes[call.host, call.new_socket] = SctpLane() if _is_sctp(call) else TcpLane()
        lane = lanes.get((call.host, call.socket)) if call.socket is not None else None
        if not isinstance(lane, TcpLane) or call.errno is not None or mine.end is not None:
            continue
        if call.name == "listen":
            lane.apply(TcpEvent.PASSIVE_OPEN, _span(call)[1])
        elif call.name == "close" and sockets.is_last_close(call):
            lane.apply(TcpEvent.CLOSE, _span(call)[1])
    return lanes


def _is_stream(call: Call) -> bool:
    """Whether socket made one of TCP's; of what strace saw, no kernel told a state."""
    return "SOCK_STREAM" in str(dict(call.args).get("type")) and dict(call.args).get("domain") != "AF_PACKET"


def _is_sctp(call: Call) -> bool:
    """Whether socket made one of SCTP's."""
    return dict(call.args).get("protocol") == "IPPROTO_SCTP"
