"""The recorder: `Calls` over libc, one libc call a method, each told to the stage before and after.

    lab            recorder                         stage (another process)
    c.connect() ─▶ tell "connect enters" ─────────▶ writes the entry into the file
                   t0 · connect(2) · t1
                   tell "connect returned" ───────▶ asks the kernel for the socket's addresses and state
                   ◀──────────────────────── go ─── (pidfd_getfd, TCP_INFO, SCTP_STATUS), writes the return
    ◀── result

So the lab's process itself makes no socket call but those of the lab: strace(1) sees what the table shows. It
talks with the stage through two pipes whose descriptors lie above all that a lab can get, so that a lab's first
socket is 3, as in the textbook. Where the stage may not look into the process, the recorder asks the kernel itself.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import struct
import time
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from rawlab.live import libc as c
from rawlab.live import sctp_api
from rawlab.live.buffers import CONTROL_ROOM, POLL_EVENTS, Message, PollFd, Room, control_of, names
from rawlab.live.observe import Observation, observe
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sndrcvinfo
from rawlab.wire.journal import to_record

Args = list[tuple[str, Value]]
_LENGTHS = struct.Struct("=II")
# Calls after which the kernel has nothing to say of a socket.
NO_WAIT = ("close", "exit_group", "nanosleep", "wait4")
_HIGH = 512  # descriptors from here on are the recorder's own
_PROTOCOLS = {0: "IPPROTO_IP"}


class Channel:
    """The recorder's end of the pipes to the stage."""

    def __init__(self, to_stage: int, from_stage: int) -> None:
        self.to_stage = to_stage
        self.from_stage = from_stage

    def tell(self, record: dict[str, Any], data: bytes) -> None:
        """Sends one record: two lengths, JSON, bytes."""
        text = json.dumps(record, separators=(",", ":")).encode()
        message = memoryview(_LENGTHS.pack(len(text), len(data)) + text + data)
        while message:
            message = message[os.write(self.to_stage, message) :]

    def wait(self) -> None:
        """Waits until the stage has seen to the last record; ends this process if the stage is gone."""
        if not os.read(self.from_stage, 1):
            os._exit(1)


def makes(call: Call) -> bool:
    """Whether its result is a new socket's descriptor: socket's, accept's, and that of sctp_peeloff(3)."""
    return call.name in ("socket", "accept") or ("optname", "SCTP_SOCKOPT_PEELOFF") in call.args


def high(fd: int) -> int:
    """The same file behind a descriptor above all that a lab gets; the old one is closed."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(fd)
    return moved


class Recorder:
    """One process's system calls, made for real and recorded."""

    def __init__(self, host: str, channel: Channel, keep: int, *, observes: bool = False) -> None:
        """`keep`: octets of each call's data that are recorded. `observes`: asks the kernel for the state itself."""
        self.host = host
        self.channel = channel
        self.keep = keep
        self.observes = observes
        self.errno: str | None = None
        self._libc: Any = c.libc  # or what stands before it: rawlab.live.stack_calls
        self._serial = 0
        self._pid = c.libc.getpid()

    def _call(
        self,
        name: str,
        before: Sequence[tuple[str, Value]],
        function: Callable[[], int],
        after: Callable[[int], Sequence[tuple[str, Value]]] | None = None,
        in_child: Callable[[], None] | None = None,
    ) -> int:
        """Makes one call and records it. `after` gives the arguments that the kernel filled in."""
        self._serial += 1
        id = f"{self._pid}.{self._serial}"
        pending = Call(
            host=self.host, pid=self._pid, name=name, args=tuple(before), entered_ns=time.time_ns()
        )
        self.channel.tell(*to_record(pending, id))
        ctypes.set_errno(0)
        entered_ns = time.time_ns()
        result = function()
        returned_ns = time.time_ns()
        if in_child and result == 0:
            in_child()
            return result
        code = ctypes.get_errno()
        self.errno = c.errno_name(code) if result == -1 else None
        fd = result if makes(pending) else pending.fd
        call = Call(
            host=self.host,
            pid=self._pid,
            name=name,
            args=tuple(after(result) if after else before),
            result=result,
            errno=self.errno,
            entered_ns=entered_ns,
            returned_ns=returned_ns,
        )
        record, data = to_record(call, id)
        if fd is not None and (seen := self._seen(fd)) is not None:
            record["seen"] = seen.to_json()
        self.channel.tell(record, data)
        if name not in NO_WAIT:
            self.channel.wait()
        return result

    def _seen(self, fd: int) -> Observation | None:
        """The socket behind it, if it is for this process to look; None: the stage looks."""
        return observe(fd) if self.observes else None

    def _cut(self, data: bytes) -> bytes:
        return data[: self.keep]

    def socket(self, domain: str, type: str, protocol: int | str) -> int:
        shown = _PROTOCOLS.get(protocol, protocol) if isinstance(protocol, int) else protocol
        numbers = c.number(domain), c.number(type), c.number(str(protocol))
        args: Args = [("domain", str(domain)), ("type", str(type)), ("protocol", shown)]
        return self._call("socket", args, lambda: self._libc.socket(*numbers))

    def bind(self, sockfd: int, addr: Endpoint) -> int:
        raw = c.sockaddr(addr)
        return self._call(
            "bind", [("sockfd", sockfd), ("addr", c.endpoint(raw))], lambda: self._libc.bind(sockfd, raw, len(raw))
        )

    def listen(self, sockfd: int, backlog: int) -> int:
        args: Args = [("sockfd", sockfd), ("backlog", backlog)]
        return self._call("listen", args, lambda: self._libc.listen(sockfd, backlog))

    def connect(self, sockfd: int, addr: Endpoint) -> int:
        raw = c.sockaddr(addr)
        args: Args = [("sockfd", sockfd), ("addr", addr)]
        return self._call("connect", args, lambda: self._libc.connect(sockfd, raw, len(raw)))

    def accept(self, sockfd: int) -> tuple[int, Endpoint | None]:
        return self._addressed("accept", sockfd, self._libc.accept)

    def getsockname(self, sockfd: int) -> Endpoint | None:
        return self._addressed("getsockname", sockfd, self._libc.getsockname)[1]

    def getpeername(self, sockfd: int) -> Endpoint | None:
        return self._addressed("getpeername", sockfd, self._libc.getpeername)[1]

    def _addressed(self, name: str, sockfd: int, function: Callable[..., int]) -> tuple[int, Endpoint | None]:
        """A call of the form name(sockfd, addr, addrlen), which fills in an address."""
        room = Room()
        result = self._call(
            name,
            [("sockfd", sockfd), ("addr", None)],
            lambda: function(sockfd, room.buffer, ctypes.byref(room.length)),
            lambda _: [("sockfd", sockfd), ("addr", room.endpoint())],
        )
        return result, room.endpoint() if result != -1 else None

    def read(self, fd: int, count: int) -> bytes:
        return self._receive("read", ("fd", fd), ("count", count), [], self._libc.read)

    def recv(self, sockfd: int, len: int, flags: str = "0") -> bytes:
        shown: Args = [("flags", str(flags))]
        return self._receive("recv", ("sockfd", sockfd), ("len", len), shown, self._libc.recv, c.number(flags))

    def _receive(
        self,
        name: str,
        fd: tuple[str, int],
        size: tuple[str, int],
        rest: Args,
        function: Callable[..., int],
        *numbers: int,
    ) -> bytes:
        buffer = ctypes.create_string_buffer(max(size[1], 1))
        got = self._call(
            name,
            [fd, ("buf", b""), size, *rest],
            lambda: function(fd[1], buffer, ctypes.c_size_t(size[1]), *numbers),
            lambda n: [fd, ("buf", self._cut(buffer.raw[: max(n, 0)]) if n >= 0 else None), size, *rest],
        )
        return buffer.raw[: max(got, 0)]

    def write(self, fd: int, buf: bytes) -> int:
        args: Args = [("fd", fd), ("buf", self._cut(buf)), ("count", len(buf))]
        return self._call("write", args, lambda: self._libc.write(fd, buf, ctypes.c_size_t(len(buf))))

    def send(self, sockfd: int, buf: bytes, flags: str = "0") -> int:
        args: Args = [("sockfd", sockfd), ("buf", self._cut(buf)), ("len", len(buf)), ("flags", str(flags))]
        number = c.number(flags)
        return self._call("send", args, lambda: self._libc.send(sockfd, buf, ctypes.c_size_t(len(buf)), number))

    def sendto(self, sockfd: int, buf: bytes, flags: str, dest_addr: Endpoint) -> int:
        raw, number = c.sockaddr(dest_addr), c.number(flags)
        shown: Args = [("flags", str(flags)), ("dest_addr", c.endpoint(raw))]
        args: Args = [("sockfd", sockfd), ("buf", self._cut(buf)), ("len", len(buf)), *shown]
        size = ctypes.c_size_t(len(buf))
        return self._call("sendto", args, lambda: self._libc.sendto(sockfd, buf, size, number, raw, len(raw)))

    def recvfrom(self, sockfd: int, len: int, flags: str = "0") -> tuple[bytes, Endpoint | None]:
        room, number = Room(), c.number(flags)
        buffer = ctypes.create_string_buffer(max(len, 1))
        head: Args = [("sockfd", sockfd)]
        tail: Args = [("len", len), ("flags", str(flags))]
        got = self._call(
            "recvfrom",
            [*head, ("buf", b""), *tail, ("src_addr", None)],
            lambda: self._libc.recvfrom(
                sockfd, buffer, ctypes.c_size_t(len), number, room.buffer, ctypes.byref(room.length)
            ),
            lambda n: [
                *head,
                ("buf", self._cut(buffer.raw[: max(n, 0)]) if n >= 0 else None),
                *tail,
                ("src_addr", room.endpoint() if n >= 0 else None),
            ],
        )
        return buffer.raw[: max(got, 0)], room.endpoint() if got >= 0 else None

    def sendmsg(
        self,
        sockfd: int,
        dest_addr: Endpoint | None,
        iov: Sequence[bytes],
        flags: str = "0",
        control: SndRcvInfo | None = None,
    ) -> int:
        message = Message(c.sockaddr(dest_addr) if dest_addr else b"", list(iov), control_of(control))
        number = c.number(flags)
        whole = self._cut(b"".join(iov))
        edges = list(accumulate(map(len, iov), initial=0))
        kept = tuple(whole[first:end] for first, end in pairwise(edges))
        args: Args = [("sockfd", sockfd), ("msg_name", dest_addr), ("msg_iov", kept)]
        args += [("msg_control", sndrcvinfo.words(control)), ("flags", str(flags))]
        return self._call(
            "sendmsg", args, lambda: self._libc.sendmsg(sockfd, ctypes.byref(message.header), number)
        )

    def recvmsg(
        self, sockfd: int, len: int, flags: str = "0"
    ) -> tuple[bytes, Endpoint | None, SndRcvInfo | None, str]:
        message = Message(bytes(128), [bytes(len)], CONTROL_ROOM)
        number = c.number(flags)
        head: Args = [("sockfd", sockfd)]
        tail: Args = [("flags", str(flags))]
        got = self._call(
            "recvmsg",
            [*head, ("msg_name", None), ("msg_iov", ()), ("msg_control", ()), ("msg_flags", None), *tail],
            lambda: self._libc.recvmsg(sockfd, ctypes.byref(message.header), number),
            lambda n: [
                *head,
                ("msg_name", message.endpoint()),
                ("msg_iov", (self._cut(message.received(n)),)),
                ("msg_control", sndrcvinfo.words(message.sndrcvinfo() if n >= 0 else None)),
                ("msg_flags", message.flags()),
                *tail,
            ],
        )
        if got < 0:
            return b"", None, None, message.flags()
        return message.received(got), message.endpoint(), message.sndrcvinfo(), message.flags()

    def shutdown(self, sockfd: int, how: str) -> int:
        number = c.number(how)
        return self._call(
            "shutdown", [("sockfd", sockfd), ("how", str(how))], lambda: self._libc.shutdown(sockfd, number)
        )

    def close(self, fd: int) -> int:
        return self._call("close", [("fd", fd)], lambda: self._libc.close(fd))

    def setsockopt(self, sockfd: int, level: str, optname: str, optval: int | tuple[Value, ...]) -> int:
        raw = sctp_api.pack(optname, optval)
        numbers = c.number(level), c.number(optname)
        args: Args = [("sockfd", sockfd), ("level", str(level)), ("optname", str(optname)), ("optval", optval)]
        return self._call("setsockopt", args, lambda: self._libc.setsockopt(sockfd, *numbers, raw, len(raw)))

    def getsockopt(
        self, sockfd: int, level: str, optname: str, optval: int | tuple[Value, ...] = 0
    ) -> int | tuple[Value, ...]:
        asked = sctp_api.question(optname, optval)
        room, size = ctypes.create_string_buffer(asked, len(asked)), ctypes.c_uint(len(asked))
        numbers = c.number(level), c.number(optname)
        args: Args = [("sockfd", sockfd), ("level", str(level)), ("optname", str(optname))]

        def answer() -> int | tuple[Value, ...]:
            return sctp_api.unpack(optname, room.raw[: size.value])

        self._call(
            "getsockopt",
            [*args, ("optval", None)],
            lambda: self._libc.getsockopt(sockfd, *numbers, room, ctypes.byref(size)),
            lambda n: [*args, ("optval", answer() if n >= 0 else None)],
        )
        return answer()

    def poll(self, fds: Sequence[tuple[int, str]], timeout: int) -> list[tuple[int, str]]:
        array = (PollFd * len(fds))(*(PollFd(fd, c.number(events), 0) for fd, events in fds))
        ready: list[tuple[int, str]] = []

        def after(_: int) -> Sequence[tuple[str, Value]]:
            ready.extend((entry.fd, names(entry.revents, POLL_EVENTS)) for entry in array if entry.revents)
            return [("fds", tuple(fds)), ("timeout", timeout), ("ready", tuple(ready))]

        before: Args = [("fds", tuple((fd, str(events)) for fd, events in fds))]
        self._call(
            "poll", [*before, ("timeout", timeout)], lambda: self._libc.poll(array, len(fds), timeout), after
        )
        return ready

    def fcntl(self, fd: int, cmd: str, arg: str = "0") -> int:
        numbers = c.number(cmd), c.number(arg)
        args: Args = [("fd", fd), ("cmd", str(cmd)), ("arg", str(arg))]
        return self._call("fcntl", args, lambda: self._libc.fcntl(fd, *numbers))

    def exit(self, status: int) -> None:
        self._call("exit_group", [("status", status)], lambda: os._exit(status))

    def nanosleep(self, seconds: float) -> int:
        request = struct.pack("=qq", int(seconds), int(seconds % 1 * 1e9))
        shown = f"{seconds:g}s"
        return self._call("nanosleep", [("req", shown)], lambda: self._libc.nanosleep(request, None))

    def fork(self) -> int:
        """fork(2); the child tells the stage through pipes of its own."""
        from_child, to_stage = map(high, os.pipe())
        from_stage, to_child = map(high, os.pipe())
        self.channel.tell({"channel": [from_child, to_child]}, b"")
        self.channel.wait()
        os.close(from_child)
        os.close(to_child)
        pid = self._call(
            "fork", [], os.fork, in_child=lambda: self._become_child(Channel(to_stage, from_stage))
        )
        if pid:
            os.close(to_stage)
            os.close(from_stage)
        return pid

    def _become_child(self, channel: Channel) -> None:
        os.close(self.channel.to_stage)
        os.close(self.channel.from_stage)
        self.channel = channel
        self._pid = self._libc.getpid()
        self._serial = 0

    def waitpid(self, pid: int) -> int:
        return self._call("wait4", [("pid", pid)], lambda: self._libc.waitpid(pid, None, 0))
