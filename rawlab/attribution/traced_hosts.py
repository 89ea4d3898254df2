"""Which host each process is that strace followed: by what its sockets do, and who else acts on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rawlab.attribution.traced_seen import FREE, SENDS, Seen, is_answered, is_seen
from rawlab.model.traced import Place, TracedCall

_HEARS = ("recvfrom", "recvmsg", "recv", "read", "recvmmsg")


@dataclass(slots=True, eq=False)
class _Group:
    """Processes that share sockets."""

    pids: set[int] = field(default_factory=set)
    sockets: dict[int, bool] = field(default_factory=dict)
    "each, and whether it is a server's"


@dataclass(slots=True)
class Hosts:
    """Which host each process and each socket is: where one process is both ends, its sockets tell."""

    of_pid: dict[int, str] = field(default_factory=dict)
    of_socket: dict[int, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    addresses: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def of(self, call: TracedCall) -> str:
        for inode in (call.new_socket, call.socket, *(socket for socket, _ in call.ready)):
            if inode is not None and (found := self.of_socket.get(inode)):
                return found
        return self.of_pid[call.pid]


def hosts_of(calls: Sequence[TracedCall], programs: Mapping[int, str], seen: Seen) -> Hosts:
    hosts = Hosts()
    groups = _groups(calls)
    serving = _serving(calls, seen)
    places = _places(calls)
    for group in groups:
        for inode in group.sockets:
            group.sockets[inode] = inode in serving
    active = [group for group in groups if any(_seen_in(places[inode], seen) for inode in group.sockets)] or groups
    several = len(active) > 1
    for group in groups:
        mine = [inode for inode in group.sockets if any(is_seen(place, seen) for place in places[inode])]
        roles = {group.sockets[inode] for inode in mine or group.sockets}
        if roles == {True, False} and _is_both_ends(mine, places):
            hosts.of_socket |= {inode: _role(server=server) for inode, server in group.sockets.items()}
            name = _role(server=next(iter(group.sockets.values())))
        elif roles == {True, False} and several:
            name = next((programs[pid] for pid in sorted(group.pids) if programs.get(pid)), f"pid-{min(group.pids)}")
            name = "-".join(name.split()) or "middle"
        else:
            name = _role(server=True in roles)
        for inode in group.sockets:
            hosts.of_socket.setdefault(inode, name)
        hosts.of_pid |= dict.fromkeys(group.pids, name)
    told = {hosts.of(call) for call in calls}
    between = sorted(told - {"client", "server"})
    hosts.names = ["client", *between, "server"]
    for call in calls:
        for place in (call.place, call.new_place):
            if place is None:
                continue
            local = place.at if place.local is None or place.local.address in FREE else place.local.address
            if local is not None:
                hosts.addresses[hosts.of(call)][local] = None
    return hosts


def _role(*, server: bool) -> str:
    return "server" if server else "client"


def _groups(calls: Iterable[TracedCall]) -> list[_Group]:
    """The processes, those that act on the same socket together: to close what a parent left is no act."""
    of_socket: dict[int, _Group] = {}
    of_pid: dict[int, _Group] = {}
    for call in calls:
        mine = of_pid.setdefault(call.pid, _Group({call.pid}))
        for inode in (call.socket, call.new_socket):
            if inode is not None and call.name != "close":
                mine.sockets[inode] = False
                mine = _joined(mine, of_socket.setdefault(inode, mine), of_pid, of_socket)
    return list({id(group): group for group in of_pid.values()}.values())


def _joined(one: _Group, other: _Group, of_pid: dict[int, _Group], of_socket: dict[int, _Group]) -> _Group:
    if one is other:
        return one
    small, large = sorted((one, other), key=lambda group: len(group.pids) + len(group.sockets))
    large.pids |= small.pids
    large.sockets |= small.sockets
    of_pid |= dict.fromkeys(small.pids, large)
    of_socket |= dict.fromkeys(small.sockets, large)
    return large


def _serving(calls: Sequence[TracedCall], seen: Seen) -> set[int]:
    """The sockets that are a server's: that listen, that accept made, or that are bound and hear before they speak.

    Of one that was connected before the log begins, the capture tells: to the server came the SYN.
    """
    serving: set[int] = set()
    bound: set[int] = set()
    spoke: set[int] = set()
    for call in calls:
        inode = call.socket
        if inode is None:
            continue
        if call.name == "listen" or call.name.startswith("accept"):
            serving |= {inode, call.new_socket if call.new_socket is not None else inode}
        elif call.place is not None and is_answered(call.place, seen):
            serving.add(inode)
        elif call.name == "bind" and call.errno is None:
            bound.add(inode)
        elif call.name == "connect" or (call.name in SENDS and inode not in serving):
            spoke.add(inode)
        elif call.name in _HEARS and inode in bound and inode not in spoke:
            serving.add(inode)
    ports = {place.local.port for call in calls if call.socket in serving if (place := call.place) and place.local}
    for call in calls:  # the socket behind them, whose listen was before the log
        local = call.place.local if call.place is not None and call.place.peer is None else None
        if local is not None and call.socket is not None and local.port in ports:
            serving.add(call.socket)
    return serving


def _places(calls: Iterable[TracedCall]) -> dict[int, list[Place]]:
    """By socket, where it was."""
    found: dict[int, dict[int, Place]] = defaultdict(dict)
    for call in calls:
        for inode, place in ((call.socket, call.place), (call.new_socket, call.new_place)):
            if inode is not None and place is not None:
                found[inode][id(place)] = place
    return defaultdict(list, {inode: list(places.values()) for inode, places in found.items()})


def _seen_in(places: Iterable[Place], seen: Seen) -> bool:
    return any(is_seen(place, seen) for place in places)


def _is_both_ends(inodes: Iterable[int], places: Mapping[int, Sequence[Place]]) -> bool:
    """Whether two of the sockets speak with each other."""
    mine = [place for inode in inodes for place in places[inode]]
    bound = {place.local for place in mine if place.local is not None}
    ports = {local.port for local in bound if local.address in FREE}
    return any(place.peer in bound or (place.peer is not None and place.peer.port in ports) for place in mine)
