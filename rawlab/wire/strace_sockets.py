"""Whose descriptor is which socket, through the calls of strace's logs: they become the calls of a timeline.

    socket, accept ─▶ a new socket behind a descriptor      fork ─▶ the child's table is a copy
    dup, fcntl     ─▶ one more descriptor for it            thread ─▶ the same table
    close, execve  ─▶ gone                                  -yy ─▶ strace's own word, which wins

A socket's addresses are learned from what strace -yy says of its descriptor, from bind, connect, accept and
getsockname; a `Place` holds them from one connect to the next, so that what is learned later is known of the calls
before. Which socket a number stands for is looked up when a call is entered, and changes when it returns.

What does *not* belong here: which host a process is, and addresses that only packets tell (`attribution.traced`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.traced import Place, TracedCall
from rawlab.wire import strace_calls as words
from rawlab.wire.strace_log import Logged
from rawlab.wire.strace_values import Descriptor, Text, Written

_ABOUT = re.compile(r"(?:(?P<kind>[A-Z]+)(?P<v6>v6)?|socket):\[(?:(?P<inode>\d{1,18})|(?P<addresses>.{1,200}))\]")
_FAMILIES = ("AF_INET", "AF_INET6", "AF_PACKET")
_KINDS = ("TCP", "UDP", "UDPLITE", "SCTP", "RAW", "PING", "ICMP", "PACKET")
_ON_SOCKETS = ("bind", "connect", "accept", "accept4", "getsockname", "getpeername", "sendto", "recvfrom")
_AGAIN = ("EALREADY", "EISCONN")  # connect(2) on a socket that connects or is connected


@dataclass(slots=True, eq=False)
class _Socket:
    """A socket of some process."""

    number: int
    "its inode, or a number of our own where strace does not tell it"
    ours: bool = True
    "of a family whose packets can be captured"
    told: bool = False
    "the number is the inode"
    place: Place = field(default_factory=Place)
    connecting: bool = False
    "its last connect did not wait"


@dataclass(slots=True)
class _Held:
    """A descriptor's socket."""

    socket: _Socket
    closes: bool = False
    "on execve (FD_CLOEXEC)"


_Table = dict[int, _Held]


class Following:
    """Follows the calls of one machine's logs."""

    def __init__(self) -> None:
        self.calls: list[TracedCall] = []
        self._tables: dict[int, _Table] = {}
        self._leaders: dict[int, int] = {}
        self._epoll: dict[tuple[int, int], dict[int, int]] = {}  # (process, epfd): data to descriptor
        self._sockets: dict[int, _Socket] = {}
        self._serial = 0
        self._forks: dict[int, TracedCall] = {}  # by child: its parent's call, until the child is known to hold sockets
        self.programs: dict[int, str] = {}
        "by process, the program that it executes"

    def follow(self, calls: Sequence[Logged]) -> list[TracedCall]:
        """The calls on sockets, in order of entry; `calls` in that order."""
        moments = [(call.entered_ns, 2 * n, call) for n, call in enumerate(calls)]
        moments += [(call.returned_ns, 2 * n + 1, call) for n, call in enumerate(calls) if call.returned_ns is not None]
        moments.sort(key=lambda moment: moment[:2])
        begun: dict[int, TracedCall | None] = {}
        for _, n, call in moments:
            if n % 2 == 0:
                begun[n // 2] = self._enter(call)
            else:
                self._return(call, begun.get(n // 2))
        for child in list(self._forks):
            self._holds(child)
        self.calls.sort(key=lambda call: call.entered_ns)
        return self.calls

    # -------------------------------------------------------------------------------------------- entry

    def _enter(self, call: Logged) -> TracedCall | None:
        table = self._table(call.pid)
        if call.name in words.FORKS:
            return self._fork(call, table)
        if call.name in words.POLLS:
            return self._poll(call, table)
        if call.name == "epoll_ctl":
            self._control(call)
            return None
        if call.name == "execve":
            self._execute(call, table)
            return None
        if call.name == "exit_group":
            return self._exit(call, table)
        if call.name == "close_range":
            self._close_range(call, table)
            return None
        return self._on_one(call, table)

    def _on_one(self, call: Logged, table: _Table) -> TracedCall | None:
        said = words.in_words(call)
        if said is None:
            return None
        name, args = said
        if name == "socket":
            family = dict(args).get("domain")
            return self._tell(call, name, args, None) if family in _FAMILIES else None
        held = self._held(call, table)
        if held is None or not held.socket.ours:
            if name == "close" and held is not None and call.errno is None:
                table.pop(words.number(call.args[0]) or 0, None)
            return None
        self._holds(self._leader(call.pid))
        found = held.socket
        if name == "connect":
            self._connect(call, found)
        elif name == "bind" and call.errno is None and (local := words.endpoint(call.args[1])):
            found.place.local = found.place.local or (_unmapped(local) if local.port else None)
        elif name == "close" and call.errno is None:
            table.pop(words.number(call.args[0]) or 0, None)
        return self._tell(call, name, args, found)

    def _connect(self, call: Logged, found: _Socket) -> None:
        """What the socket's addresses are from now on."""
        peer = words.endpoint(call.args[1]) if len(call.args) > 1 else None
        if peer is None or call.errno in _AGAIN or (found.connecting and found.place.peer == _unmapped(peer)):
            return
        bound = found.place.local if found.place.peer is None else None
        found.place = Place(local=bound, peer=_unmapped(peer))
        found.connecting = call.errno == "EINPROGRESS"

    def _fork(self, call: Logged, table: _Table) -> TracedCall | None:
        child = call.result
        if child is None or child <= 0:
            return None
        if not words.is_fork(call):
            self._tables[child] = table
            self._leaders[child] = self._leader(call.pid)
            return None
        if "CLONE_FILES" in str(call.args):
            self._tables[child] = table
        else:
            self._tables[child] = {fd: _Held(held.socket, held.closes) for fd, held in table.items()}
        if any(held.socket.ours for held in table.values()):
            self._forks[child] = self._made(call, words.fork_name(call), (), None)
        return None

    def _holds(self, process: int) -> None:
        """The process acts on sockets: that its parent made it is told, once."""
        if (fork := self._forks.pop(process, None)) is not None:
            self.calls.append(fork)

    def _execute(self, call: Logged, table: _Table) -> None:
        if call.result != 0:
            return
        if call.args and isinstance(call.args[0], Text):
            self.programs[call.pid] = call.args[0].octets.decode("utf-8", "replace").rpartition("/")[2]
        for fd in [fd for fd, held in table.items() if held.closes]:
            del table[fd]
        if not any(held.socket.ours for held in table.values()):
            self._forks.pop(call.pid, None)  # it has none of its parent's sockets any more

    def _exit(self, call: Logged, table: _Table) -> TracedCall | None:
        if not any(held.socket.ours for held in table.values()):
            return None
        self._holds(self._leader(call.pid))
        args = (("status", words.number(call.args[0]) if call.args else None),)
        told = self._tell(call, call.name, args, None)
        told.returned_ns = None
        table.clear()
        return told

    def _close_range(self, call: Logged, table: _Table) -> None:
        first, last = (words.number(value) for value in call.args[:2]) if len(call.args) > 1 else (None, None)
        if call.errno is None and first is not None and last is not None and "CLOEXEC" not in str(call.args):
            for fd in [fd for fd in table if first <= fd <= last]:
                del table[fd]

    def _poll(self, call: Logged, table: _Table) -> TracedCall | None:
        epfd = words.number(call.args[0]) if call.args else None
        of_epoll = self._epoll.get((self._leader(call.pid), epfd if epfd is not None else -1), {})
        ready = words.ready(call, of_epoll)
        asked = _asked(call)
        mine = [fd for fd, _ in (*asked, *ready) if fd in table and table[fd].socket.ours]
        if not mine and not any(fd in table and table[fd].socket.ours for fd in of_epoll.values()):
            return None
        self._holds(self._leader(call.pid))
        made = self._tell(call, call.name, _poll_args(call, asked, ready), None)
        made.ready = tuple((table[fd].socket.number, events) for fd, events in ready if fd in table)
        return made

    def _control(self, call: Logged) -> None:
        """epoll_ctl(epfd, EPOLL_CTL_ADD, fd, {EPOLLIN, {u64=3}})."""
        if len(call.args) < 4 or call.errno is not None:
            return
        epfd, fd = words.number(call.args[0]), words.number(call.args[2])
        if epfd is not None and fd is not None:
            self._epoll.setdefault((self._leader(call.pid), epfd), {})[words.epoll_data(call.args[3])] = fd

    # ------------------------------------------------------------------------------------------- return

    def _return(self, call: Logged, told: TracedCall | None) -> None:
        """What the call made, and the addresses that it was told."""
        if call.errno is not None or call.result is None:
            return
        table = self._table(call.pid)
        if told is None:
            if call.name == "socket":
                table.pop(call.result, None)  # of no family of ours: whatever had that number before is gone
            return
        if call.name in ("socket", "accept", "accept4"):
            self._made_socket(call, told, table)
        elif call.name in words.DUPS or (call.name == "fcntl" and "F_DUPFD" in str(call.args[1])):
            held = table.get(words.number(call.args[0]) or 0)
            if held is not None:
                table[call.result] = _Held(held.socket, "CLOEXEC" in str(call.args))
        elif call.name == "getsockname" and (local := words.endpoint(call.args[1])) and told.place and local.port:
            told.place.local = _unmapped(local)
        elif call.name == "fcntl" and "F_SETFD" in str(call.args[1]) and (fd := words.number(call.args[0])) in table:
            table[fd].closes = "FD_CLOEXEC" in str(call.args)

    def _made_socket(self, call: Logged, told: TracedCall, table: _Table) -> None:
        assert call.result is not None
        about = _ABOUT.match(call.made.about) if call.made is not None else None
        found = self._new(int(about["inode"]) if about is not None and about["inode"] else None)
        if call.name != "socket":
            peer = words.endpoint(call.args[1])
            listening = told.place.local if told.place else None
            found.place = Place(peer=_unmapped(peer) if peer else None, behind=listening)
        if about is not None and about["addresses"]:
            _learn(found, about["addresses"])
        told.new_socket, told.new_place = found.number, found.place
        table[call.result] = _Held(found, "SOCK_CLOEXEC" in str(call.args))

    # ----------------------------------------------------------------------------------------- sockets

    def _held(self, call: Logged, table: _Table) -> _Held | None:
        """What the call's first descriptor is, by strace's word if it has one, else as far as it was followed."""
        fd = words.number(call.args[0]) if call.args else None
        if fd is None:
            return None
        first = call.args[0]
        held = table.get(fd)
        about = _ABOUT.fullmatch(first.about) if isinstance(first, Descriptor) else None
        if about is None:
            if isinstance(first, Descriptor):
                table.pop(fd, None)
                return None
            return held or self._guessed(call, table, fd)
        if about["kind"] is not None and about["kind"] not in _KINDS:
            table.pop(fd, None)
            return None
        if held is None or not _fits(held.socket, about):
            inode = about["inode"]
            held = table[fd] = _Held(self._new(int(inode) if inode else None))
        if about["addresses"]:
            _learn(held.socket, about["addresses"])
        return held

    def _guessed(self, call: Logged, table: _Table, fd: int) -> _Held | None:
        """A descriptor that was made before the log begins, and must be an Internet socket's."""
        if call.name not in _ON_SOCKETS or not any(_is_address(value) for value in call.args[1:]):
            return None
        held = table[fd] = _Held(self._new(None))
        return held

    def _new(self, inode: int | None) -> _Socket:
        if inode is not None and inode in self._sockets:
            return self._sockets[inode]
        if inode is None:
            self._serial += 1
            while self._serial in self._sockets:
                self._serial += 1
        number = self._serial if inode is None else inode
        made = self._sockets[number] = _Socket(number, told=inode is not None)
        return made

    def _table(self, pid: int) -> _Table:
        return self._tables.setdefault(pid, {})

    def _leader(self, pid: int) -> int:
        return self._leaders.get(pid, pid)

    def _made(self, call: Logged, name: str, args: words.Args, found: _Socket | None) -> TracedCall:
        return TracedCall(
            pid=self._leader(call.pid),
            name=name,
            args=args,
            result=call.result,
            errno=call.errno,
            entered_ns=call.entered_ns,
            returned_ns=call.returned_ns,
            socket=found.number if found is not None else None,
            place=found.place if found is not None else None,
        )

    def _tell(self, call: Logged, name: str, args: words.Args, found: _Socket | None) -> TracedCall:
        self.calls.append(made := self._made(call, name, args, found))
        return made


def _fits(found: _Socket, about: re.Match[str]) -> bool:
    """Whether the descriptor can still be that socket's: strace says no other inode, no other connection."""
    if about["inode"]:
        return not found.told or found.number == int(about["inode"])
    local, peer = _ends(about["addresses"])
    known = found.place
    if known.peer is None or peer is None:
        return found.ours
    return peer == known.peer and known.local in (None, local)


def _learn(found: _Socket, addresses: str) -> None:
    local, peer = _ends(addresses)
    if local is not None and local.port:
        found.place.local = local
    if peer is not None:
        found.place.peer = peer


def _ends(addresses: str) -> tuple[Endpoint | None, Endpoint | None]:
    """'127.0.0.1:40000->127.0.0.1:7', '[::1]:7'."""
    local, _, peer = addresses.partition("->")
    return _parsed(local), _parsed(peer)


def _parsed(text: str) -> Endpoint | None:
    try:
        return _unmapped(Endpoint.parse(text))
    except ValueError:
        return None


def _unmapped(endpoint: Endpoint) -> Endpoint:
    """As it stands in the packets: an IPv6 socket's ::ffff:10.0.0.2 is IPv4's 10.0.0.2 (RFC 4291 section 2.5.5.2)."""
    address = endpoint.address
    return Endpoint(address[7:], endpoint.port) if address.startswith("::ffff:") and "." in address else endpoint


def _is_address(value: Written) -> bool:
    return words.endpoint(value) is not None


def _asked(call: Logged) -> tuple[tuple[int, str], ...]:
    """(descriptor, events) of each that a poll or select waits for."""
    if call.name in ("poll", "ppoll") and call.args and isinstance(call.args[0], list):
        read = [(words.number(one.get("fd", -1)), one) for one in call.args[0] if isinstance(one, dict)]
        return tuple((fd, str(one.get("events"))) for fd, one in read if fd is not None)
    if call.name in ("select", "pselect6"):
        return tuple(_sets(call))
    return ()


def _sets(call: Logged) -> Iterator[tuple[int, str]]:
    for fds, events in zip(call.args[1:4], ("POLLIN", "POLLOUT", "POLLPRI"), strict=False):
        if isinstance(fds, list):
            yield from ((fd, events) for fd in map(words.number, fds) if fd is not None)


def _poll_args(call: Logged, asked: Sequence[tuple[int, str]], ready: Sequence[tuple[int, str]]) -> words.Args:
    found: tuple[tuple[str, Value], ...] = (("ready", tuple(ready)),) if call.result is not None else ()
    if call.name in ("poll", "ppoll"):
        timeout = words.plain(call.args[2]) if len(call.args) > 2 else None
        return (("fds", tuple(asked)), ("timeout", timeout), *found)
    if call.name in ("select", "pselect6"):
        names = ("nfds", "readfds", "writefds", "exceptfds", "timeout")
        told = tuple((name, words.plain(value)) for name, value in zip(names, call.args, strict=False))
        return (*told, *found)
    of_epoll = ("maxevents", "timeout")
    rest = tuple((name, words.plain(value)) for name, value in zip(of_epoll, call.args[2:], strict=False))
    return (("epfd", words.number(call.args[0]) if call.args else None), *rest, *found)
