"""What the kernel says of a socket: its inode, addresses, and state (TCP_INFO of tcp(7), SCTP_STATUS of sctp(7))."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rawlab.live import libc, sctp_api
from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.states import SctpState, TcpState

# include/net/tcp_states.h, from 1 on. TCP_NEW_SYN_RECV (12) is no state of a socket that a process can hold.
_STATES = (
    TcpState.ESTABLISHED,
    TcpState.SYN_SENT,
    TcpState.SYN_RECEIVED,
    TcpState.FIN_WAIT_1,
    TcpState.FIN_WAIT_2,
    TcpState.TIME_WAIT,
    TcpState.CLOSED,
    TcpState.CLOSE_WAIT,
    TcpState.LAST_ACK,
    TcpState.LISTEN,
    TcpState.CLOSING,
)

_SCTP_STATES = {"SCTP_" + state.replace("-", "_"): str(state) for state in SctpState}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A socket at one moment."""

    inode: int | None = None
    local: Endpoint | None = None
    peer: Endpoint | None = None
    state: str | None = None
    at_ns: int | None = None

    def to_json(self) -> list[int | str | None]:
        """As JSON's values."""
        local, peer = (None if end is None else str(end) for end in (self.local, self.peer))
        return [self.inode, local, peer, self.state, self.at_ns]

    @classmethod
    def from_json(cls, values: list[Any]) -> Observation:
        """What `to_json` wrote."""
        inode, local, peer, state, at_ns = values
        local, peer = (None if end is None else Endpoint.parse(end) for end in (local, peer))
        return cls(inode=inode, local=local, peer=peer, state=state, at_ns=at_ns)


def observe(fd: int) -> Observation:
    """The socket behind one of this process's descriptors; an empty observation if it is no Internet socket."""
    try:
        status = os.fstat(fd)
    except OSError:
        return Observation()
    if not stat.S_ISSOCK(status.st_mode):
        return Observation()
    asked = socket.socket(fileno=fd)
    try:
        if asked.family not in (socket.AF_INET, socket.AF_INET6):
            return Observation(inode=status.st_ino)
        return Observation(
            inode=status.st_ino,
            local=_address(asked.getsockname),
            peer=_address(asked.getpeername),
            state=_tcp_state(asked) or _sctp_state(asked),
            at_ns=time.time_ns(),
        )
    finally:
        asked.detach()


def observe_other(pidfd: int, fd: int) -> Observation:
    """The socket behind a descriptor of another process, pidfd_getfd(2). Raises OSError (EPERM, ENOSYS)."""
    copy = libc.pidfd_getfd(pidfd, fd)
    try:
        return observe(copy)
    finally:
        os.close(copy)


def _address(ask: Callable[[], Any]) -> Endpoint | None:
    try:
        address, port, *_ = ask()
    except OSError:
        return None
    return Endpoint(address, port)


def _tcp_state(asked: socket.socket) -> str | None:
    if asked.type != socket.SOCK_STREAM or asked.proto not in (0, socket.IPPROTO_TCP):
        return None
    (number,) = asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return str(_STATES[number - 1]) if 1 <= number <= len(_STATES) else None


def _sctp_state(asked: socket.socket) -> str | None:
    """Its association's state; None where it may have several, or the kernel won't say.

    Of a one-to-one socket the kernel tells no state before ESTABLISHED. A blocking one is then CLOSED, since no call
    returns in between; of a non-blocking one we know nothing.
    """
    if asked.proto != socket.IPPROTO_SCTP or asked.type == socket.SOCK_RAW:
        return None
    assoc_id: Value = 0
    if asked.type == socket.SOCK_SEQPACKET:
        known = _option(asked, "SCTP_GET_ASSOC_ID_LIST", 0)
        if known is None or known[0] != 1 or not isinstance(known[1], tuple):
            return None
        (assoc_id,) = known[1]
        if assoc_id == 0:  # Linux gives it its number when INIT ACK comes
            return str(SctpState.COOKIE_WAIT)
    status = _option(asked, "SCTP_STATUS", assoc_id)
    if status is not None:
        return _SCTP_STATES.get(str(status[1]))
    if asked.type == socket.SOCK_SEQPACKET:
        return None
    listens = asked.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    blocks = not fcntl.fcntl(asked, fcntl.F_GETFL) & os.O_NONBLOCK
    return str(SctpState.CLOSED) if listens or blocks else None


def _option(asked: socket.socket, optname: str, assoc_id: Value) -> tuple[Value, ...] | None:
    """A struct of the socket's; None where the kernel has none to give (EINVAL: no such association)."""
    question = sctp_api.question(optname, (assoc_id,))
    room, size = ctypes.create_string_buffer(question, len(question)), ctypes.c_uint(len(question))
    level, number = libc.number("SOL_SCTP"), libc.number(optname)
    if libc.libc.getsockopt(asked.fileno(), level, number, room, ctypes.byref(size)) == -1:
        return None
    answer = sctp_api.unpack(optname, room.raw[: size.value])
    return answer if isinstance(answer, tuple) else None
