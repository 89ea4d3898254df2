"""A libc whose SCTP, or TCP, is ours: the same functions with the same C arguments, those on such sockets answered by
the host's stack process.

    lab ─▶ Recorder ─▶ StackLibc.connect(3, sockaddr, 16) ── request ──▶ stack process (live.stack)
                                                          ◀── answer ─── result, errno, what the kernel would fill in

The recorder does not know the difference: what it records, in which words, and what a lab gets back is as with the
kernel's own. A descriptor of ours is a real one, of /dev/null, so that numbers are what a kernel would give; calls on
all others go to libc. One connection a process; a call is one request, and waits for its answer, so it blocks as a
system call does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any

from rawlab.live import libc as c
from rawlab.live import sctp_api
from rawlab.live.asking import Connection, request
from rawlab.live.buffers import POLL_EVENTS, PollFd, control_of, names, sndrcv_of
from rawlab.live.observe import Observation
from rawlab.live.recorder import Channel, Recorder
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_names, sndrcvinfo

_SCTP, _SEQPACKET = socket.IPPROTO_SCTP, 5
_OURS = {
    "sctp": ((socket.SOCK_STREAM, _SCTP), (socket.SOCK_DGRAM, _SCTP), (_SEQPACKET, _SCTP), (_SEQPACKET, 0)),
    "tcp": ((socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, socket.IPPROTO_TCP)),
}
"""(type, protocol) of the sockets that are a stack's."""
_TYPES = {1: "SOCK_STREAM", _SEQPACKET: "SOCK_SEQPACKET"}
_FAMILIES: dict[int, str] = {socket.AF_INET: "AF_INET", socket.AF_INET6: "AF_INET6"}
_SEND_FLAGS = ("MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_EOR", "MSG_OOB")
_RECEIVE_FLAGS = ("MSG_PEEK", "MSG_DONTWAIT", "MSG_TRUNC", "MSG_WAITALL", "MSG_OOB")
_HOW = {0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"}
_OPTIONS = {
    (socket.SOL_SOCKET, c.number(name)): name
    for name in ("SO_LINGER", "SO_RCVBUF", "SO_SNDBUF", "SO_REUSEADDR", "SO_ERROR")
} | {(_SCTP, number): name for name, number in sctp_names.OPTIONS.items()}
_OPTIONS[socket.IPPROTO_TCP, socket.TCP_NODELAY] = "TCP_NODELAY"
_CMSG_ROOM = 48  # of a struct cmsghdr and a struct sctp_sndrcvinfo


class StackLibc:
    """libc's functions, as far as `Recorder` calls them. What is not here is libc's own."""

    def __init__(self, connection: Connection, protocol: str) -> None:
        """`protocol`: whose sockets are ours: 'sctp' or 'tcp'."""
        self.connection = connection
        self._ours = _OURS[protocol]
        self.seen: dict[int, Observation] = {}
        "what the stack said of each descriptor's socket last"
        self._numbers: dict[int, int] = {}
        "the stack's socket behind each descriptor"
        self._nonblocking: set[int] = set()
        self._told = Observation()
        "what the stack said of a socket last"

    def __getattr__(self, name: str) -> Any:
        return getattr(c.libc, name)

    def holds(self, fd: int) -> bool:
        """Whether the descriptor is of a socket of ours."""
        return fd in self._numbers

    # ---- asking

    def _ask(self, name: str, fd: int | None, *args: tuple[str, Value]) -> dict[str, Value] | None:
        """What the call fills in; None, and errno set, where it failed. "result" is what it returned."""
        self.connection.send(request(name, ("socket", None if fd is None else self._numbers[fd]), *args))
        return self._answer(self.connection.receive(), fd)

    def _answer(self, answer: Call, fd: int | None) -> dict[str, Value] | None:
        self._told = Observation(
            inode=answer.socket, local=answer.local, peer=answer.peer, state=answer.state, at_ns=answer.state_ns
        )
        if fd is not None and answer.new_socket is None:
            self.seen[fd] = self._told
        if answer.errno is not None:
            ctypes.set_errno(_number_of(answer.errno))
            return None
        return dict(answer.args) | {"result": answer.result, "made": answer.new_socket}

    def _made(self, answer: dict[str, Value] | None, nonblocking: bool = False) -> int:
        """A descriptor for a socket that the stack has made."""
        if answer is None:
            return -1
        number = answer["made"]
        assert isinstance(number, int)
        try:
            fd = os.open("/dev/null", os.O_RDWR)
        except OSError as error:
            self._numbers[-1] = number
            self._ask("close", -1)
            del self._numbers[-1]
            ctypes.set_errno(error.errno or errno.EMFILE)
            return -1
        self._numbers[fd] = number
        self.seen[fd] = self._told
        if nonblocking:
            self._nonblocking.add(fd)
            self._ask("fcntl", fd, ("nonblocking", 1))
        return fd

    def _result(self, name: str, fd: int, *args: tuple[str, Value]) -> int:
        """A call that fills in nothing."""
        answer = self._ask(name, fd, *args)
        return -1 if answer is None else _int(answer["result"])

    # ---- the calls

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        base = kind & 0xF
        if (base, protocol) not in self._ours or domain not in _FAMILIES:
            return int(c.libc.socket(domain, kind, protocol))
        words = ("domain", _FAMILIES[domain]), ("type", _TYPES.get(base, str(base)))
        return self._made(self._ask("socket", None, *words), bool(kind & socket.SOCK_NONBLOCK))

    def bind(self, fd: int, addr: bytes, size: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.bind(fd, addr, size))
        return self._result("bind", fd, ("addr", c.endpoint(addr)))

    def connect(self, fd: int, addr: bytes, size: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.connect(fd, addr, size))
        return self._result("connect", fd, ("addr", c.endpoint(addr)))

    def listen(self, fd: int, backlog: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.listen(fd, backlog))
        return self._result("listen", fd, ("backlog", backlog))

    def accept(self, fd: int, addr: Any, size: Any) -> int:
        if fd not in self._numbers:
            return int(c.libc.accept(fd, addr, size))
        answer = self._ask("accept", fd)
        made = self._made(answer)
        if made >= 0 and answer is not None:
            _fill_address(answer["address"], addr, size)
        return made

    def getsockname(self, fd: int, addr: Any, size: Any) -> int:
        return self._name("getsockname", fd, addr, size)

    def getpeername(self, fd: int, addr: Any, size: Any) -> int:
        return self._name("getpeername", fd, addr, size)

    def _name(self, name: str, fd: int, addr: Any, size: Any) -> int:
        if fd not in self._numbers:
            return int(getattr(c.libc, name)(fd, addr, size))
        if (answer := self._ask(name, fd)) is None:
            return -1
        _fill_address(answer["address"], addr, size)
        return 0

    def shutdown(self, fd: int, how: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.shutdown(fd, how))
        return self._result("shutdown", fd, ("how", _HOW.get(how, str(how))))

    def close(self, fd: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.close(fd))
        self._ask("close", fd)
        del self._numbers[fd]
        self.seen.pop(fd, None)
        self._nonblocking.discard(fd)
        return int(c.libc.close(fd))

    def fcntl(self, fd: int, command: int, arg: int) -> int:
        if fd not in self._numbers or command not in (c.number("F_GETFL"), c.number("F_SETFL")):
            return int(c.libc.fcntl(fd, command, arg))
        if command == c.number("F_GETFL"):
            return os.O_RDWR | (os.O_NONBLOCK if fd in self._nonblocking else 0)
        (self._nonblocking.add if arg & os.O_NONBLOCK else self._nonblocking.discard)(fd)
        return self._result("fcntl", fd, ("nonblocking", int(fd in self._nonblocking)))

    # ---- messages

    def write(self, fd: int, data: bytes, size: Any) -> int:
        if fd not in self._numbers:
            return int(c.libc.write(fd, data, size))
        return self._put(fd, data, 0, None, None)

    def send(self, fd: int, data: bytes, size: Any, flags: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.send(fd, data, size, flags))
        return self._put(fd, data, flags, None, None)

    def sendto(self, fd: int, data: bytes, size: Any, flags: int, addr: bytes, length: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.sendto(fd, data, size, flags, addr, length))
        return self._put(fd, data, flags, c.endpoint(addr), None)

    def sendmsg(self, fd: int, header: Any, flags: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.sendmsg(fd, header, flags))
        message = header._obj
        data = b"".join(
            ctypes.string_at(vector.iov_base, vector.iov_len) for vector in message.msg_iov[: message.msg_iovlen]
        )
        to = c.endpoint(ctypes.string_at(message.msg_name, message.msg_namelen)) if message.msg_name else None
        control = ctypes.string_at(message.msg_control, message.msg_controllen) if message.msg_control else b""
        return self._put(fd, data, flags, to, sndrcv_of(control))

    def _put(self, fd: int, data: bytes, flags: int, to: Endpoint | None, info: SndRcvInfo | None) -> int:
        shown = ("flags", names(flags, _SEND_FLAGS)), ("to", to), ("info", sndrcvinfo.words(info))
        return self._result("send", fd, ("data", data), *shown)

    def read(self, fd: int, buffer: Any, size: Any) -> int:
        if fd not in self._numbers:
            return int(c.libc.read(fd, buffer, size))
        return self._take(fd, buffer, size, 0)[0]

    def recv(self, fd: int, buffer: Any, size: Any, flags: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.recv(fd, buffer, size, flags))
        return self._take(fd, buffer, size, flags)[0]

    def recvfrom(self, fd: int, buffer: Any, size: Any, flags: int, addr: Any, length: Any) -> int:
        if fd not in self._numbers:
            return int(c.libc.recvfrom(fd, buffer, size, flags, addr, length))
        got, answer = self._take(fd, buffer, size, flags)
        _fill_address(answer.get("address"), addr, length)
        return got

    def _take(self, fd: int, buffer: Any, size: Any, flags: int) -> tuple[int, dict[str, Value]]:
        answer = self._ask(
            "receive", fd, ("size", getattr(size, "value", size)), ("flags", names(flags, _RECEIVE_FLAGS))
        )
        if answer is None:
            return -1, {}
        data = answer["data"]
        assert isinstance(data, bytes)
        ctypes.memmove(buffer, data, len(data))
        return len(data), answer

    def recvmsg(self, fd: int, header: Any, flags: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.recvmsg(fd, header, flags))
        message = header._obj
        vectors = message.msg_iov[: message.msg_iovlen]
        room = ctypes.create_string_buffer(max(sum(vector.iov_len for vector in vectors), 1))
        got, answer = self._take(fd, room, sum(vector.iov_len for vector in vectors), flags)
        if got < 0:
            return got
        at = 0
        for vector in vectors:
            ctypes.memmove(vector.iov_base, room.raw[at : at + vector.iov_len], min(vector.iov_len, got - at))
            at = min(at + vector.iov_len, got)
        end = answer["address"]
        raw = c.sockaddr(end)[: message.msg_namelen] if isinstance(end, Endpoint) and message.msg_name else b""
        if raw:
            ctypes.memmove(message.msg_name, raw, len(raw))
        message.msg_namelen = len(raw)
        control = control_of(sndrcvinfo.parse(_words(answer["info"])))
        if control and message.msg_controllen >= _CMSG_ROOM:
            ctypes.memmove(message.msg_control, control, len(control))
            message.msg_controllen = len(control)
        else:
            message.msg_controllen = 0
        message.msg_flags = c.number(str(answer["flags"]))
        return got

    # ---- options, poll

    def setsockopt(self, fd: int, level: int, option: int, raw: bytes, size: int) -> int:
        if fd not in self._numbers:
            return int(c.libc.setsockopt(fd, level, option, raw, size))
        name = _OPTIONS.get((level, option), str(option))
        value = sctp_api.addresses(raw) if name in sctp_api.ADDRESSES else sctp_api.unpack(name, raw)
        return self._result("setsockopt", fd, ("optname", name), ("optval", _tuple(value)))

    def getsockopt(self, fd: int, level: int, option: int, room: Any, size: Any) -> int:
        if fd not in self._numbers:
            return int(c.libc.getsockopt(fd, level, option, room, size))
        name = _OPTIONS.get((level, option), str(option))
        length = size._obj
        asked = sctp_api.unpack(name, ctypes.string_at(room, length.value))
        answer = self._ask("getsockopt", fd, ("optname", name), ("optval", _tuple(asked)))
        if answer is None:
            return -1
        made = 0
        if answer["made"] is not None:  # sctp_peeloff(3): the new descriptor is the result, and in the struct
            if (made := self._made(answer)) < 0:
                return -1
            answer["value"] = (*_tuple(answer["value"])[:1], made)
        raw = _option(name, _tuple(answer["value"]))[: length.value]
        ctypes.memmove(room, raw, len(raw))
        length.value = len(raw)
        return made

    def poll(self, array: Any, count: int, timeout: int) -> int:
        """Of sockets of ours; where others are asked for too, whichever is ready first ends the wait."""
        ours = [entry for entry in array[:count] if entry.fd in self._numbers]
        others = [entry for entry in array[:count] if entry.fd not in self._numbers]
        if not ours:
            return int(c.libc.poll(array, count, timeout))
        wanted = tuple((self._numbers[entry.fd], names(entry.events, POLL_EVENTS)) for entry in ours)
        self.connection.send(request("poll", ("fds", wanted), ("timeout", timeout)))
        if others:
            self._wait_beside(others, timeout)
        answer = self._answer(self.connection.receive(), None)
        found = _tuple(answer["value"]) if answer else ()
        for entry, events in zip(ours, found, strict=True):
            entry.revents = c.number(str(events))
        rest = (PollFd * len(others))(*others)
        c.libc.poll(rest, len(others), 0)
        for entry, polled in zip(others, rest, strict=True):
            entry.revents = polled.revents
        return sum(entry.revents != 0 for entry in array[:count])

    def _wait_beside(self, others: Sequence[Any], timeout: int) -> None:
        """Until the stack answers, or one of the others is ready: then the stack is told to answer at once."""
        poller = select.poll()
        poller.register(self.connection, select.POLLIN)
        for entry in others:
            poller.register(entry.fd, entry.events)
        ready = poller.poll(None if timeout < 0 else timeout)
        if all(fd != self.connection.fileno() for fd, _ in ready):
            self.connection.send(request("cancel"))


class StackCalls(Recorder):
    """The recorder of a process whose SCTP, or TCP, is our own."""

    def __init__(
        self, host: str, channel: Channel, keep: int, *, observes: bool, connection: int, protocol: str
    ) -> None:
        """`connection`: the descriptor of the socket to the host's stack process; `protocol`: what that speaks."""
        super().__init__(host, channel, keep, observes=observes)
        self._stack = self._libc = StackLibc(Connection(socket.socket(fileno=connection)), protocol)
        self._child: Connection | None = None

    def _seen(self, fd: int) -> Observation | None:
        return self._stack.seen.get(fd) if self._stack.holds(fd) else super()._seen(fd)

    def fork(self) -> int:
        self._child = self._stack.connection.for_child()
        pid = super().fork()
        if pid:
            self._child.close()
        return pid

    def _become_child(self, channel: Channel) -> None:
        super()._become_child(channel)
        assert self._child is not None
        self._stack.connection.close()
        self._stack.connection = self._child


def _number_of(name: str) -> int:
    return int(getattr(errno, name, errno.EIO))


def _int(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _tuple(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,)


def _words(value: Value) -> tuple[str, ...]:
    return tuple(map(str, _tuple(value)))


def _fill_address(end: Value, addr: Any, size: Any) -> None:
    """Fills in an address and its length as accept(2) does."""
    length = size._obj
    raw = c.sockaddr(end)[: length.value] if isinstance(end, Endpoint) else b""
    ctypes.memmove(addr, raw, len(raw))
    length.value = len(raw)


def _option(name: str, value: tuple[Value, ...]) -> bytes:
    """An option's octets, as the kernel fills them in."""
    match name, value:
        case "SO_ERROR", (str(word),):
            return struct.pack("=i", 0 if word == "0" else _number_of(word))
        case (("SCTP_GET_PEER_ADDRS" | "SCTP_GET_LOCAL_ADDRS"), (int(id), int(count), tuple(ends))):
            packed = b"".join(c.sockaddr(end) for end in ends if isinstance(end, Endpoint))
            return struct.pack("=iI", id, count) + packed
        case "SCTP_GET_ASSOC_ID_LIST", (int(count), tuple(ids)):
            return struct.pack(f"=I{len(ids)}i", count, *ids)
        case _, (int(number),):
            return struct.pack("=i", number)
    return sctp_api.question(name, value)
