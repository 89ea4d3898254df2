"""Calls that strace logged beside a capture: which host each process is, and the addresses that only packets tell.

    who listens, or is spoken to first ─▶ server      who connects ─▶ client      who does both ─▶ by its program's name

Processes that share a socket are one host, as a server and its children. What a log without -yy does not say, a
socket's own port, is in the packet that its connect or sendto sent: to that address, between entry and return, and
no other call's. A frame is outgoing where its source is an address of the host that was traced; where both ends were
(loopback), it is seen once, where it arrives.

What does *not* belong here: the log (`wire.strace_log`), why a packet exists.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rawlab.attribution import traced_times
from rawlab.attribution.pairing import Decode
from rawlab.attribution.traced_hosts import Hosts, hosts_of
from rawlab.attribution.traced_seen import FREE, SENDS, Key, Seen, is_seen, keys, look
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Frame
from rawlab.model.facts import TcpSegment, UdpDatagram
from rawlab.model.timeline import Host, Timeline
from rawlab.model.traced import Place, TracedCall

_SLACK_NS = 1_000_000  # a stamp of the capture's may be cut to a microsecond or a millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A capture with a log's calls."""

    timeline: Timeline
    conversations: int
    "sockets of the log that spoke, or wanted to, with somebody"
    matched: int
    "those of them whose packets are in the capture"
    timely: int
    "connects whose SYN left between entry and return"
    left_out: int
    "packets of TCP's and UDP's conversations that are no socket's of the log"
    ahead_ns: tuple[int, int] | None
    "how far, at least and at most, the capture's clock is ahead of the log's; None: they go together"
    first_ns: int
    last_ns: int
    "when the log's first call was entered and its last"


def adopt(
    timeline: Timeline,
    calls: Sequence[TracedCall],
    programs: Mapping[int, str],
    decode: Decode,
    precision_ns: int = 1000,
) -> Adopted:
    """The timeline with these calls as its own; `programs`: what each process executes, where that is known.

    `precision_ns`: of the calls' times.
    """
    seen = look(timeline, decode)
    _complete(calls, seen, max(precision_ns, _SLACK_NS))
    _date(calls)
    listening = {id(call.place) for call in calls if call.name == "listen"}
    known = (place for call in calls for place in (call.place, call.new_place) if place is not None)
    spoken = {id(place): place for place in known if _speaks(place) and id(place) not in listening}
    matched = [place for place in spoken.values() if is_seen(place, seen)]
    times = [call.entered_ns for call in calls] or [0]
    hosts = hosts_of(calls, programs, seen)
    kept = _of_sockets(timeline, calls, decode)
    told = tuple(_call(call, hosts) for call in calls)
    coarse = precision_ns >= traced_times.COARSE_NS
    ahead_ns = None if coarse else traced_times.ahead(told, kept, decode, precision_ns)
    if coarse:
        told = traced_times.placed(told, kept, decode)
    return Adopted(
        ahead_ns=ahead_ns,
        timeline=_placed(kept, told, hosts, seen, decode) if matched else timeline,
        left_out=len(timeline.frames) - len(kept.frames),
        conversations=len(spoken),
        matched=len(matched),
        timely=_timely(calls, seen),
        first_ns=min(times),
        last_ns=max(times),
    )


# ------------------------------------------------------------------------------------------- addresses


def _complete(calls: Iterable[TracedCall], seen: Seen, slack_ns: int) -> None:
    """Fills in what the log does not tell of its sockets' addresses."""
    taken = {(call.place.local, call.place.peer) for call in calls if call.place and call.place.local}
    for call in calls:
        place = call.place
        if call.new_place is not None and call.name.startswith("accept"):
            _complete_accepted(call.new_place, seen)
        if place is None or (place.local is not None and place.local.address not in FREE):
            continue
        peer, packets = place.peer, seen.syns
        came = dict(call.args).get("src_addr", dict(call.args).get("msg_name"))
        if isinstance(came, Endpoint) and place.local and call.name in ("recvfrom", "recvmsg"):
            reached = seen.reached.get((came, place.local.port))
            place.at = reached.address if reached is not None else place.at
        if call.name != "connect":
            named = dict(call.args).get("dest_addr", dict(call.args).get("msg_name"))
            peer, packets = named if isinstance(named, Endpoint) else place.peer, seen.datagrams
        if peer is None or call.name not in ("connect", *SENDS):
            continue
        found = _sent_during(call, packets.get(peer, ()), seen.last_ns, slack_ns)
        mine = (one for one in found if (one, peer) not in taken and (place.local or one).port == one.port)
        if (source := next(mine, None)) is not None:
            taken.add((source, peer))
            place.local = source if place.peer is not None or place.local is None else place.local
            place.at = source.address


def _sent_during(
    call: TracedCall, packets: Sequence[tuple[int, Endpoint]], end_ns: int, slack_ns: int = _SLACK_NS
) -> Iterator[Endpoint]:
    """Where the packets came from that left between the call's entry and its return."""
    last_ns = (call.returned_ns if call.returned_ns is not None else end_ns) + slack_ns
    for index in range(bisect_left(packets, call.entered_ns - _SLACK_NS, key=lambda packet: packet[0]), len(packets)):
        at_ns, source = packets[index]
        if at_ns > last_ns:
            return
        yield source


def _complete_accepted(place: Place, seen: Seen) -> None:
    """The address at which the peer's SYN arrived, where the listening socket has any (INADDR_ANY)."""
    if place.local is not None or place.peer is None or place.behind is None:
        return
    place.local = seen.reached.get((place.peer, place.behind.port))


def _of_sockets(timeline: Timeline, calls: Iterable[TracedCall], decode: Decode) -> Timeline:
    """The capture without the TCP and UDP packets of conversations that are none of the log's."""
    mine: set[Key] = set()
    for call in calls:
        named = dict(call.args).get("dest_addr", dict(call.args).get("msg_name"))
        for place in (call.place, call.new_place):
            if place is None:
                continue
            local, peer = place.local, place.peer or (named if isinstance(named, Endpoint) else None)
            if local is not None and peer is not None:
                mine |= {(local, peer), (peer, local)}
            elif local is not None:
                mine.add(local.port if local.address in FREE else local)
            elif peer is not None:
                mine.add(peer)

    def wanted(frame: Frame) -> bool:
        facts = decode(frame.data, timeline.points[frame.point].linktype, frame.length)
        flow = facts.flow
        if flow is None or not isinstance(facts.transport, TcpSegment | UdpDatagram):
            return True
        return not mine.isdisjoint(keys(flow.source, flow.destination))

    return replace(timeline, frames=tuple(frame for frame in timeline.frames if wanted(frame)))


def _speaks(place: Place) -> bool:
    return place.peer is not None or (place.local is not None and place.local.port != 0)


def _date(calls: Iterable[TracedCall]) -> None:
    """From when to when each place's calls are."""
    for call in calls:
        last_ns = call.returned_ns if call.returned_ns is not None else call.entered_ns
        for place in (call.place, call.new_place):
            if place is not None:
                place.first_ns = min(place.first_ns, call.entered_ns) if place.last_ns else call.entered_ns
                place.last_ns = max(place.last_ns, last_ns)


def _timely(calls: Iterable[TracedCall], seen: Seen) -> int:
    """How many connects have their SYN between entry and return."""
    return sum(
        place.local in _sent_during(call, seen.syns.get(place.peer, ()), call.entered_ns)
        for call in calls
        if call.name == "connect" and (place := call.place) is not None and place.local and place.peer
    )


# -------------------------------------------------------------------------------------------- timeline


def _call(call: TracedCall, hosts: Hosts) -> Call:
    place = call.new_place or call.place
    told = place is not None and call.name != "close" and _speaks(place) and place.local is not None
    return Call(
        host=hosts.of(call),
        pid=call.pid,
        name=call.name,
        args=call.args,
        result=-1 if call.errno is not None else call.result,
        errno=call.errno,
        entered_ns=call.entered_ns,
        returned_ns=call.returned_ns,
        socket=call.socket,
        new_socket=call.new_socket,
        local=place.local if told and place is not None else None,
        peer=place.peer if told and place is not None else None,
    )


def _placed(
    timeline: Timeline, calls: tuple[Call, ...], hosts: Hosts, seen: Seen, decode: Decode
) -> Timeline:
    """The frames with their directions, the hosts with their addresses."""
    if timeline.run.merged is not None:
        return _renamed(timeline, calls, hosts)
    traced = {call.host for call in calls}
    own = {address for host in traced for address in hosts.addresses[host]}
    both = len(traced) > 1 or any(address.startswith("127.") or address == "::1" for address in seen.addresses)
    name = next(iter(sorted(traced)), "client")
    frames = tuple(
        frame
        if frame.outgoing is not None
        else replace(frame, outgoing=False if both else _leaves(frame, timeline, own, decode))
        for frame in timeline.frames
    )
    if not both:
        timeline = replace(timeline, points=tuple(replace(point, host=name) for point in timeline.points))
        other = next((host for host in hosts.names if host != name), "server")
        for address in seen.addresses:
            hosts.addresses[name if address in own else other][address] = None
    else:
        for host in hosts.names:
            hosts.addresses[host] |= seen.addresses
    return replace(
        timeline,
        run=replace(timeline.run, lab=None, traced=True),
        hosts=tuple(
            Host(name=host, addresses=tuple(hosts.addresses[host])) for host in hosts.names
        ),
        calls=calls,
        frames=frames,
    )


def _renamed(timeline: Timeline, calls: Iterable[Call], hosts: Hosts) -> Timeline:
    """Of two machines' captures, joined, hosts and directions are known: the calls are those hosts'."""
    owners = {address: host.name for host in timeline.hosts for address in host.addresses}
    names = {
        name: next((owners[address] for address in addresses if address in owners), name)
        for name, addresses in hosts.addresses.items()
    }
    mine = tuple(replace(call, host=names.get(call.host, call.host)) for call in calls)
    return replace(timeline, run=replace(timeline.run, traced=True), calls=mine)


def _leaves(frame: Frame, timeline: Timeline, own: set[str], decode: Decode) -> bool | None:
    """Whether the traced host sent it; None where it is neither from nor to that host."""
    ip = decode(frame.data, timeline.points[frame.point].linktype, frame.length).ip
    if ip is None or (ip.source in own) == (ip.destination in own):
        return None
    return ip.source in own
