"""A host's transport protocol as a process of its own: our endpoint in the place of the kernel's.

    program ══ requests ══▶ Stack ── Sockets ── Host ── packets ══▶ link ══▶ the wire
    (live.stack_calls)        └── each system call of the link is told to the stage, marked `endpoint`

    sctp   on raw sockets, for a kernel that has none (live.links)
    tcp    on a packet socket, at an address that no kernel owns (live.own_address)

It lives from before the host's programs to after them, as a kernel would: a packet that belongs to nothing is answered
as the protocol says (RFC 9260 section 8.4, RFC 9293 section 3.10.7.1), and what a program that has ended left behind is
closed in good order. One loop waits for packets, for requests and for the protocol's timers; a request that would block
is kept and tried again after each turn.
"""

from __future__ import annotations

import gc
import mmap
import os
import secrets
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, NoReturn

from rawlab.endpoints import sctp, tcp
from rawlab.endpoints import sockets as api
from rawlab.endpoints.host import CallError
from rawlab.endpoints.sockets.sctp import Sockets as SctpSockets
from rawlab.endpoints.sockets.tcp import Sockets as TcpSockets
from rawlab.live import libc, privilege
from rawlab.live.asking import pack, unpack
from rawlab.live.links import BesideLink, RawLink, Record
from rawlab.live.own_address import OwnAddressLink
from rawlab.live.program import close_all_but
from rawlab.live.recorder import Channel, high
from rawlab.live.telling import Telling
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.wire import sndrcvinfo

AnySockets = api.Table[Any]

_FIRST_NUMBER = 100_000  # the first socket's, where the kernel would have an inode
_NS = 1_000_000_000


class Busy:
    """Two flags that a stack shares with the stage: whether it may still send, and whether programs hold sockets."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self.told(at_work=False, held=True)

    def told(self, *, at_work: bool, held: bool) -> None:
        """The stack's word."""
        self._page[0], self._page[1] = at_work, held

    @property
    def at_work(self) -> bool:
        """Whether it may still send by itself."""
        return bool(self._page[0])

    @property
    def held(self) -> bool:
        """Whether a program, as far as the stack knows, still runs."""
        return bool(self._page[1])


def start(
    host: str,
    protocol: str,
    addresses: Sequence[str],
    enter: Callable[[], None],
    connection: socket.socket,
    pipes: tuple[int, int, int],
    busy: Busy,
    *,
    keep: int,
    beside: bool = False,
) -> int:
    """Forks the stack process of a host; its pid.

    `protocol`: 'sctp' or 'tcp'; `connection`: its end of the one to the host's program; `pipes`: one to tell the stage
    its calls, one whose closing ends it, one to say that it hears; `beside`: whether the kernel speaks SCTP too.
    """
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            libc.prctl(libc.PR_SET_NAME, f"{host}-{protocol}".encode())
            enter()
            kept = (program, to_stage, end, ready) = tuple(map(high, (connection.detach(), *pipes)))
            close_all_but(kept)
            gc.freeze()  # what is here already stays
            channel = Channel(to_stage, end)
            try:
                link = _link(host, protocol, addresses, beside, Telling(host, channel, keep).call)
                privilege.drop()  # packets are read with no right to anything
                libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)  # lost with the user
                os.close(ready)
                Stack(protocol, addresses, link, socket.socket(fileno=program), busy).serve(end)
            except BaseException as error:
                channel.tell({"failed": f"{type(error).__name__}: {error}"}, b"")
        finally:
            os._exit(1)
    return pid


def _link(host: str, protocol: str, addresses: Sequence[str], beside: bool, record: Record) -> RawLink | OwnAddressLink:
    """What its packets go through. Raises OSError."""
    if protocol == "tcp":
        mac = b"\2\0\0\0\1" + ip_address(addresses[0]).packed[-1:]  # locally administered, IEEE 802
        return OwnAddressLink(addresses, host, mac, socket.IPPROTO_TCP, record)
    return (BesideLink if beside else RawLink)(addresses, record=record)


def _sockets(protocol: str, addresses: Sequence[str]) -> tuple[tcp.Host | sctp.Host, AnySockets]:
    """The protocol, and its sockets."""
    now_ns = time.monotonic_ns()
    if protocol == "tcp":
        own = tcp.Host(addresses, secrets.token_bytes, now_ns, tcp.Settings(window_events=False))
        return own, TcpSockets(own, _FIRST_NUMBER)
    settings = sctp.Settings()
    host = sctp.Host(addresses, secrets.token_bytes, now_ns, settings)
    return host, SctpSockets(host, settings, _FIRST_NUMBER)


class Stack:
    """The loop, and what the programs hold."""

    def __init__(
        self,
        protocol: str,
        addresses: Sequence[str],
        link: RawLink | OwnAddressLink,
        connection: socket.socket,
        busy: Busy,
    ) -> None:
        self._link, self._busy = link, busy
        self._host, self._sockets = _sockets(protocol, addresses)
        self._programs: list[Attached] = []
        self._selector = selectors.DefaultSelector()
        for fileno in link.filenos:
            self._selector.register(fileno, selectors.EVENT_READ, fileno)
        self._attach(Attached(self._sockets, connection))

    def _attach(self, program: Attached) -> None:
        self._programs.append(program)
        self._selector.register(program.connection, selectors.EVENT_READ, program)

    def serve(self, end: int) -> NoReturn:
        """Until that pipe is closed at its other end."""
        self._selector.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._patience()):
                match key.data:
                    case int() as fileno:
                        self._receive(fileno)
                    case Attached() as program:
                        self._hear(program)
                    case _:
                        os._exit(0)
            self._turn()

    def _patience(self) -> float | None:
        """Seconds until something is due."""
        wanted = [program.until for program in self._programs if program.until is not None]
        if (deadline := self._host.deadline_ns) is not None:
            wanted.append(deadline)
        return max(0.0, (min(wanted) - time.monotonic_ns()) / _NS) if wanted else None

    def _receive(self, fileno: int) -> None:
        if (arrived := self._link.receive(fileno)) is not None:
            self._host.receive(*arrived, time.monotonic_ns())
            self._turn()

    def _hear(self, program: Attached) -> None:
        self._sockets.now_ns = time.monotonic_ns()
        if not program.hear():
            self._selector.unregister(program.connection)
            self._programs.remove(program)
        for child in program.born():
            self._attach(child)

    def _turn(self) -> None:
        """Lets the protocol, the sockets and the calls that wait go on, as far as they can."""
        now_ns = self._sockets.now_ns = time.monotonic_ns()
        if (deadline := self._host.deadline_ns) is not None and deadline <= now_ns:
            self._host.wake(now_ns)
        goes_on = True
        while goes_on:
            self._sockets.turn()
            goes_on = any(program.go_on() for program in self._programs)
        for outgoing in self._host.take():
            self._link.send(outgoing.packet, outgoing.source, outgoing.destination)
        self._busy.told(at_work=self._host.busy, held=bool(self._programs))
        for program in self._programs:
            program.answer()  # after its packets, as a system call returns after them


class Attached:
    """One process of the host's: the sockets that it holds, and the call that it is in."""

    def __init__(self, sockets: AnySockets, connection: socket.socket, held: Sequence[api.BaseSocket] = ()) -> None:
        self.connection = connection
        self.until: int | None = None
        "when the call that waits wants to be looked at (monotonic, ns)"
        self._sockets = sockets
        self._held = {held.number: held for held in held}
        self._buffer = bytearray()
        self._waiting: api.Wait | None = None
        self._asked: Call | None = None
        self._ended: list[tuple[str, api.Answer, str | None, api.BaseSocket | None]] = []
        self._born: list[Attached] = []

    def hear(self) -> bool:
        """Takes what has come from the process. False: it is gone, and its sockets are closed."""
        try:
            received, descriptors, _, _ = socket.recv_fds(self.connection, 1 << 18, 1)
        except OSError:
            received, descriptors = b"", []
        self._buffer += received
        while (call := unpack(self._buffer)) is not None:
            self._begin(call, descriptors)
        if not received:
            self._close_all()
        return bool(received)

    def born(self) -> list[Attached]:
        """The children that it will fork, since the last question."""
        born, self._born = self._born, []
        return born

    def _begin(self, call: Call, descriptors: Sequence[int]) -> None:
        if call.name == "cancel":
            if self._asked is not None and self._waiting is not None:
                self._waiting = self._sockets.poll(self._polled(self._asked), 0)
            return
        if call.name == "fork":
            for held in self._held.values():
                held.holders += 1
            child = socket.socket(fileno=descriptors[0])
            self._born.append(Attached(self._sockets, child, tuple(self._held.values())))
            self._end(call, api.Answer())
            return
        self._asked = call
        try:
            begun = self._perform(call)
        except CallError as error:
            self._end(call, api.Answer(result=-1), error.errno)
            return
        if isinstance(begun, api.Answer):
            self._end(call, begun)
        else:
            self._waiting = begun

    def _perform(self, call: Call) -> api.Answer | api.Wait:
        """What a request asks for. Raises CallError."""
        given = dict(call.args)
        if call.name == "socket":
            return self._sockets.socket(str(given["domain"]), str(given["type"]))
        if call.name == "poll":
            return self._sockets.poll(self._polled(call), _int(given["timeout"]))
        if (known := self._held.get(_int(given["socket"]))) is None:
            raise CallError("EBADF", "no such socket")
        match call.name, given:
            case "bind", {"addr": Endpoint() as addr}:
                return known.bind(addr)
            case "connect", {"addr": Endpoint() as addr}:
                return known.connect((addr,))
            case "listen", {"backlog": int(backlog)}:
                return known.listen(backlog)
            case "accept", _:
                return known.accept()
            case "getsockname", _:
                return known.getsockname()
            case "getpeername", _:
                return known.getpeername()
            case "shutdown", {"how": str(how)}:
                return known.shutdown(how)
            case "close", _:
                del self._held[known.number]
                return known.close()
            case "fcntl", {"nonblocking": int(nonblocking)}:
                known.nonblocking = bool(nonblocking)
                return api.Answer()
            case "send", {"data": bytes(data), "flags": str(flags), "to": to, "info": tuple(info)}:
                control = sndrcvinfo.parse(tuple(map(str, info)))
                return self._sockets.send(known, data, flags, to if isinstance(to, Endpoint) else None, control)
            case "receive", {"size": int(size), "flags": str(flags)}:
                return self._sockets.receive(known, size, flags)
            case "setsockopt", {"optname": str(optname), "optval": tuple(value)}:
                return self._sockets.setsockopt(known, optname, value)
            case "getsockopt", {"optname": str(optname), "optval": tuple(asked)}:
                return self._sockets.getsockopt(known, optname, asked)
        raise CallError("EINVAL", call.name)

    def _polled(self, call: Call) -> list[tuple[api.BaseSocket, str]]:
        wanted = dict(call.args)["fds"]
        assert isinstance(wanted, tuple)
        return [(self._held[_int(pair[0])], str(pair[1])) for pair in wanted if isinstance(pair, tuple)]

    def go_on(self) -> bool:
        """Lets the call that waits go on; whether it has ended."""
        if self._waiting is None or self._asked is None:
            return False
        try:
            self.until = next(self._waiting)
            return False
        except StopIteration as end:
            self._end(self._asked, end.value)
        except CallError as error:
            self._end(self._asked, api.Answer(result=-1), error.errno)
        self._waiting = self.until = None
        return True

    def _end(self, call: Call, answer: api.Answer, errno: str | None = None) -> None:
        if answer.made is not None:
            self._held[answer.made.number] = answer.made
        about = answer.made or self._held.get(_int(dict(call.args).get("socket") or 0))
        self._ended.append((call.name, answer, errno, about))

    def answer(self) -> None:
        """Sends the answers that are due, with their sockets as they are now."""
        ended, self._ended = self._ended, []
        for name, answer, errno, about in ended:
            try:
                self.connection.sendall(pack(_record(name, answer, errno, about)))
            except OSError:
                return  # the process is gone: `hear` will see it

    def _close_all(self) -> None:
        self.connection.close()
        for held in self._held.values():
            next(held.close(), None)  # as the kernel closes what an ended process left: nobody waits
        self._held.clear()


def _record(name: str, answer: api.Answer, errno: str | None, about: api.BaseSocket | None) -> Call:
    """An answer as it is sent: what the call fills in as its arguments."""
    filled = {
        "data": answer.data,
        "address": answer.address,
        "info": sndrcvinfo.words(answer.info),
        "flags": answer.flags,
        "value": answer.value,
    }
    return Call(
        host="",
        pid=0,
        name=name,
        args=tuple(filled.items()),
        result=answer.result,
        errno=errno,
        entered_ns=0,
        socket=about.number if about else None,
        new_socket=answer.made.number if answer.made else None,
        local=about.bound if about else None,
        peer=about.peer if about else None,
        state=about.state if about else None,
        state_ns=time.time_ns() if about else None,
    )


def _int(value: Value) -> int:
    assert isinstance(value, int)
    return value
