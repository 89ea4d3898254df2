"""Which calls belong to which socket, and which octets of its stream each of them wrote or read.

A socket is followed by its inode, which outlives descriptors: dup(2) and fork(2) copy those. Its addresses are
the kernel's word, noted with each call; they tie it to its connection's packets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.model.address import Endpoint
from rawlab.model.event import Call

SENDERS = frozenset(("write", "send", "sendto", "sendmsg", "writev", "sendfile"))
RECEIVERS = frozenset(("read", "recv", "recvfrom", "recvmsg", "readv"))
FORKS = frozenset(("fork", "vfork", "clone", "clone3"))
"calls that make a process, which holds what its parent holds"
NumberedCall = tuple[int, Call]
_PROTOCOLS = {
    "IPPROTO_ICMP": 1,
    "IPPROTO_TCP": 6,
    "IPPROTO_UDP": 17,
    "IPPROTO_ICMPV6": 58,
    "IPPROTO_SCTP": 132,
    "IPPROTO_RAW": 255,
}


@dataclass(slots=True, kw_only=True)
class Socket:
    """One socket of one host, and the calls made on it, in order of entry."""

    host: str
    inode: int
    calls: list[NumberedCall] = field(default_factory=list)
    local: Endpoint | None = None
    peer: Endpoint | None = None
    made_ns: int = 0
    "when connect was entered, or accept returned; else when the first call on it was entered"
    last_close: NumberedCall | None = None
    "the close or exit with which the last process that held it let it go"
    partial: bool = False
    "its calls are from a log, which may have been told to leave some out"
    killed: tuple[int, str] | None = None
    "when a process that held it was killed, and by which signal"
    parent: Socket | None = None
    "the socket that it was accepted from, or peeled off"

    @property
    def type(self) -> str | None:
        """'SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_RAW'; None for a socket that accept made."""
        made = next(self.named("socket"), None)
        return None if made is None else str(dict(made[1].args).get("type")).partition("|")[0]

    @property
    def is_packet(self) -> bool:
        """Whether it is a packet socket (packet(7)), which sends and receives below IP."""
        made = next(self.named("socket"), None)
        return made is not None and dict(made[1].args).get("domain") == "AF_PACKET"

    @property
    def is_sctp(self) -> bool:
        """Whether it, or the socket that it came from, is SCTP's."""
        return self.parent.is_sctp if self.parent is not None else self.protocol == 132 and self.type != "SOCK_RAW"

    @property
    def protocol(self) -> int:
        """IANA's number of the protocol that socket was given, or 0."""
        made = next(self.named("socket"), None)
        named = 0 if made is None else dict(made[1].args).get("protocol")
        return named if isinstance(named, int) else _PROTOCOLS.get(str(named), 0)

    @property
    def includes_header(self) -> bool:
        """Whether what is written to it begins with the IP header (raw(7): IP_HDRINCL, IPPROTO_RAW)."""
        asked = (dict(call.args).get("optname") for _, call in self.named("setsockopt"))
        return self.protocol == _PROTOCOLS["IPPROTO_RAW"] or "IP_HDRINCL" in asked

    @property
    def hears(self) -> bool:
        """Whether it is a raw or packet socket to which packets come: not to IPPROTO_RAW (raw(7)), 0 (packet(7))."""
        made = next(self.named("socket"), None)
        nothing = ("IPPROTO_IP", 0) if self.is_packet else ("IPPROTO_RAW", 255)
        return made is not None and (self.is_packet or self.type == "SOCK_RAW") and (
            dict(made[1].args).get("protocol") not in nothing
        )

    def named(self, *names: str) -> Iterator[NumberedCall]:
        """Its calls of those names."""
        return ((n, call) for n, call in self.calls if call.name in names)


class Sockets:
    """All sockets of a run."""

    def __init__(
        self, calls: Sequence[Call], *, partial: bool = False, killed: Sequence[tuple[int, int, str]] = ()
    ) -> None:
        """`calls` in order of entry: the first is number 1. `partial`: of some of the hosts' processes only.

        `killed`: (process, when, signal).
        """
        self.partial = partial
        self._killed = {pid: (at_ns, signal) for pid, at_ns, signal in killed}
        self.recorded = bool(calls)
        "whether anyone recorded calls: if not, that there is none proves nothing"
        self._all: dict[tuple[str, int], Socket] = {}
        self._hosts: dict[int, str] = {}
        for n, call in enumerate(calls, 1):
            self._note(n, call)
        self._find_last_closes(calls)
        self.polled: dict[tuple[str, int], list[tuple[int, Call, str]]] = defaultdict(list)
        "for each socket, by host and inode, the polls that found it ready: (n, call, 'POLLIN')"
        for n, call, inode, events in self._found_ready(calls):
            self.polled[self._host_of(call, inode), inode].append((n, call, events))
        self._ends: dict[tuple[str, Endpoint, Endpoint], list[Socket]] = defaultdict(list)
        self._listeners: dict[tuple[str, int], list[Socket]] = defaultdict(list)
        for found in self._all.values():
            if found.is_sctp:
                continue  # its associations find it: it may have several, and several addresses
            if found.local and found.peer:
                self._ends[found.host, found.local, found.peer].append(found)
            elif found.local and any(call.result == 0 for _, call in found.named("listen")):
                self._listeners[found.host, found.local.port].append(found)

    def _note(self, n: int, call: Call) -> None:
        if call.socket is not None:
            self._socket(call.host, call.socket, call.entered_ns).calls.append((n, call))
        if call.new_socket is not None:
            made_ns = call.returned_ns if call.name != "socket" and call.returned_ns else call.entered_ns
            made = self._socket(call.host, call.new_socket, made_ns)
            made.calls.append((n, call))
            if call.socket is not None:
                made.parent = self._all.get((call.host, call.socket))
        inode = call.new_socket if call.new_socket is not None else call.socket
        if inode is not None and call.local is not None:
            found = self._all[call.host, inode]
            if call.name == "connect" and call.errno in (None, "EINPROGRESS"):
                found.made_ns = call.entered_ns
            found.local, found.peer = call.local, call.peer or found.peer

    def _find_last_closes(self, calls: Sequence[Call]) -> None:
        """Which process holds which socket how often: dup adds one, fork gives the child all that its parent holds."""
        held: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        for n, call in enumerate(calls, 1):
            machine = self._machine(call)
            mine = held[machine, call.pid]
            dropped: list[int] = []
            if call.errno is not None:
                continue
            if call.new_socket is not None:
                mine[call.new_socket] += 1
            elif call.name in FORKS and call.result is not None:
                held[machine, call.result] += mine
            elif _is_dup(call) and call.socket is not None:
                mine[call.socket] += 1
            elif call.name == "close" and call.socket is not None:
                mine[call.socket] -= 1
                dropped = [call.socket]
            elif call.name == "exit_group":
                dropped = list(mine)
                mine.clear()
            for inode in dropped:
                if not any(sockets[inode] > 0 for (host, _), sockets in held.items() if host == machine):
                    found = self._all[self._host_of(call, inode), inode]
                    found.last_close = found.last_close or (n, call)
        for pid, how in self._killed.items():
            for inode, times in held["", pid].items():
                host = self._hosts.get(inode, "")
                if times > 0 and (host, inode) in self._all:
                    self._all[host, inode].killed = how

    def _machine(self, call: Call) -> str:
        """By which, and its pid, a process is known: what strace saw is one machine, whatever host its sockets are."""
        return "" if self.partial else call.host

    def _host_of(self, call: Call, inode: int) -> str:
        """The host of a socket of the call's machine."""
        return self._hosts.get(inode, call.host) if self.partial else call.host

    def _socket(self, host: str, inode: int, at_ns: int) -> Socket:
        self._hosts.setdefault(inode, host)
        return self._all.setdefault((host, inode), Socket(host=host, inode=inode, made_ns=at_ns, partial=self.partial))

    def is_last_close(self, call: Call) -> bool:
        """Whether no process held the call's socket any more when it was done."""
        found = self._all.get((call.host, call.socket)) if call.socket is not None else None
        return found is not None and found.last_close is not None and found.last_close[1] is call

    def _found_ready(self, calls: Sequence[Call]) -> Iterator[tuple[int, Call, int, str]]:
        """(n, call, inode, events) of each descriptor that a poll found ready: poll names no socket but by those."""
        behind: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)  # by process: descriptor to inode
        for n, call in enumerate(calls, 1):
            machine = self._machine(call)
            mine = behind[machine, call.pid]
            if call.errno is not None or call.result is None:
                continue
            if call.new_socket is not None:
                mine[call.result] = call.new_socket
            elif _is_dup(call) and call.socket is not None:
                mine[call.result] = call.socket
            elif call.name in FORKS:
                behind[machine, call.result] |= mine
            elif isinstance(ready := dict(call.args).get("ready"), tuple):
                for pair in ready:
                    fd, events = pair if isinstance(pair, tuple) and len(pair) == 2 else (None, None)
                    if isinstance(fd, int) and (found := mine.get(fd)) is not None:
                        yield n, call, found, str(events)
            elif self.partial and call.socket is not None and call.fd is not None:
                mine[call.fd] = call.socket  # it was made before the log begins

    def __iter__(self) -> Iterator[Socket]:
        return iter(self._all.values())

    def end(
        self, hosts: Iterable[str], local: Endpoint, peer: Endpoint, at_ns: int, *, accepted: bool
    ) -> Socket | None:
        """The socket of one of the hosts that is this end of a connection, by the kernel's word.

        Of several (a port used again), the last made before the connection began at that time; or, at the end
        that is `accepted` after the connection has begun, the first made since.
        """
        found = next((found for host in hosts if (found := self._ends.get((host, local, peer)))), [])
        before = [socket for socket in found if socket.made_ns <= at_ns]
        since = [socket for socket in found if socket.made_ns > at_ns]
        if accepted:
            return since[0] if since else before[-1] if before else None
        return before[-1] if before else since[0] if since else None

    def listener(self, hosts: Iterable[str], port: int, at_ns: int) -> NumberedCall | None:
        """The listen call that holds at that time on the port of one of the hosts."""
        for host in hosts:
            for found in self._listeners.get((host, port), ()):
                if found.last_close is None or at_ns <= found.last_close[1].entered_ns:
                    for n, call in found.named("listen"):
                        if call.entered_ns <= at_ns:
                            return n, call
        return None

    def connecting(self, host: str | None, peer: Endpoint, at_ns: int) -> NumberedCall | None:
        """The connect call to that peer that was under way at that time, if there is exactly one."""
        found = [
            (n, call)
            for socket in self._all.values()
            for n, call in socket.named("connect")
            if host in (None, socket.host) and dict(call.args).get("addr") == peer
            if call.entered_ns <= at_ns <= (call.returned_ns or at_ns)
        ]
        return found[0] if len(found) == 1 else None


class Ranges:
    """Which octets of a stream which call moved: call n moved [first, end), one after the other."""

    def __init__(
        self, calls: Iterable[NumberedCall], urgent: Iterable[int] = (), *, begins: int = 0, proven: bool = True
    ) -> None:
        """`calls`: those that moved octets of one direction, in order.

        `urgent`: for reads, the octets that were sent with MSG_OOB: recv(…, MSG_OOB) takes them, read passes over.
        `begins`: which octet of the stream the first of them moved first; `proven`: by the octets, not by times.
        """
        self.begins, self.proven = begins, proven
        self.firsts: list[int] = []
        self.ends: list[int] = []
        self.calls: list[NumberedCall] = []
        self._index: dict[int, int] = {}
        self.urgent: dict[int, int] = {}
        "which urgent octet which call took"
        apart = list(urgent)
        at = begins
        for n, call in calls:
            if apart and "MSG_OOB" in str(dict(call.args).get("flags")):
                self.urgent[n] = apart[len(self.urgent)] if len(self.urgent) < len(apart) else apart[-1]
                continue
            at += at in apart
            if (moved := octets(call)) > 0:
                self.firsts.append(at)
                self.ends.append(at := at + moved)
                self._index[n] = len(self.calls)
                self.calls.append((n, call))

    @property
    def end(self) -> int:
        """How many octets in all."""
        return self.ends[-1] if self.ends else self.begins

    def over(self, first: int, end: int) -> Iterator[tuple[int, Call, int, int]]:
        """(n, call, first, end) of each call that moved some of [first, end), in the call's own octets."""
        for index in range(max(bisect_right(self.firsts, first) - 1, 0), len(self.firsts)):
            base = self.firsts[index]
            if base >= end:
                return
            low, high = max(first, base), min(end, self.ends[index])
            if low < high:
                n, call = self.calls[index]
                yield n, call, low - base, high - base

    def of(self, n: int) -> tuple[int, int] | None:
        """The octets [first, end) that call n moved."""
        index = self._index.get(n)
        return None if index is None else (self.firsts[index], self.ends[index])

    def before(self, n: int) -> int:
        """How many octets the calls before call n moved."""
        index = bisect_left(self.calls, n, key=lambda numbered: numbered[0])
        return self.firsts[index] if index < len(self.firsts) else self.end


def _is_dup(call: Call) -> bool:
    """Whether it made one more descriptor for the same socket (dup(2), fcntl(2))."""
    return call.name in ("dup", "dup2", "dup3") or "F_DUPFD" in str(dict(call.args).get("cmd"))


def octets(call: Call) -> int:
    """How many octets of the stream the call moved; for a send that did not return, as many as it was given."""
    if "MSG_PEEK" in str(dict(call.args).get("flags", "")):
        return 0
    if call.returned_ns is None:
        given = dict(call.args).get("count", dict(call.args).get("len", 0))
        return given if call.name in SENDERS and isinstance(given, int) else 0
    return max(call.result or 0, 0)
