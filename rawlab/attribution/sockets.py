"""Which calls belong to which socket, and which octets of its stream each of them wrote or read.

A socket is followed by its inode, which outlives descriptors: dup(2) and fork(2) copy those. Its addresses are
the kernel's word, noted with each call; they tie it to its connection's packets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.model.address import Endpoint
from rawlab.model.event import Call

SENDERS = frozenset(("write", "send", "sendto", "sendmsg", "writev"))
RECEIVERS = frozenset(("read", "recv", "recvfrom", "recvmsg", "readv"))
NumberedCall = tuple[int, Call]


@dataclass(slots=True, kw_only=True)
class Socket:
    """One socket of one host, and the calls made on it, in order of entry."""

    host: str
    inode: int
    calls: list[NumberedCall] = field(default_factory=list)
    local: Endpoint | None = None
    peer: Endpoint | None = None

    def named(self, *names: str) -> Iterator[NumberedCall]:
        """Its calls of those names."""
        return ((n, call) for n, call in self.calls if call.name in names)


class Sockets:
    """All sockets of a run."""

    def __init__(self, calls: Sequence[Call]) -> None:
        """`calls` in order of entry: the first is number 1."""
        self._all: dict[tuple[str, int], Socket] = {}
        for n, call in enumerate(calls, 1):
            self._note(n, call)
        self._ends: dict[tuple[str, Endpoint, Endpoint], Socket] = {}
        self._listeners: dict[tuple[str, int], list[Socket]] = defaultdict(list)
        for found in self._all.values():
            if found.local and found.peer:
                self._ends[found.host, found.local, found.peer] = found
            elif found.local and any(call.result == 0 for _, call in found.named("listen")):
                self._listeners[found.host, found.local.port].append(found)

    def _note(self, n: int, call: Call) -> None:
        if call.socket is not None:
            self._socket(call.host, call.socket).calls.append((n, call))
        if call.new_socket is not None:
            self._socket(call.host, call.new_socket).calls.append((n, call))
        inode = call.new_socket if call.new_socket is not None else call.socket
        if inode is not None and call.local is not None:
            found = self._socket(call.host, inode)
            found.local, found.peer = call.local, call.peer or found.peer

    def _socket(self, host: str, inode: int) -> Socket:
        return self._all.setdefault((host, inode), Socket(host=host, inode=inode))

    def __iter__(self) -> Iterator[Socket]:
        return iter(self._all.values())

    def end(self, hosts: Iterable[str], local: Endpoint, peer: Endpoint) -> Socket | None:
        """The socket of one of the hosts that is this end of a connection, by the kernel's word."""
        return next((found for host in hosts if (found := self._ends.get((host, local, peer)))), None)

    def listener(self, hosts: Iterable[str], port: int, at_ns: int) -> NumberedCall | None:
        """The listen call that holds at that time on the port of one of the hosts."""
        for host in hosts:
            for found in self._listeners.get((host, port), ()):
                closed = min((call.entered_ns for _, call in found.named("close")), default=None)
                if closed is None or at_ns <= closed:
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

    def __init__(self, calls: Iterable[NumberedCall]) -> None:
        """`calls`: those that moved octets of one direction, in order."""
        self.firsts: list[int] = []
        self.ends: list[int] = []
        self.calls: list[NumberedCall] = []
        self._index: dict[int, int] = {}
        at = 0
        for n, call in calls:
            if (moved := octets(call)) > 0:
                self.firsts.append(at)
                self.ends.append(at := at + moved)
                self._index[n] = len(self.calls)
                self.calls.append((n, call))

    @property
    def end(self) -> int:
        """How many octets in all."""
        return self.ends[-1] if self.ends else 0

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


def octets(call: Call) -> int:
    """How many octets of the stream the call moved; for a send that did not return, as many as it was given."""
    if "MSG_PEEK" in str(dict(call.args).get("flags", "")):
        return 0
    if call.returned_ns is None:
        given = dict(call.args).get("count", dict(call.args).get("len", 0))
        return given if call.name in SENDERS and isinstance(given, int) else 0
    return max(call.result or 0, 0)
