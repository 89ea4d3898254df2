"""A socket's options: setsockopt(2) and getsockopt(2) by name (socket(7), tcp(7)), their structs as tuples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rawlab.endpoints.sockets.tcp.socket import Socket
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.endpoints.tcp import TcpError
from rawlab.model.event import Value

_LEAST_RECEIVE, _LEAST_SEND = 1152, 4608  # half of SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF


def setsockopt(socket: Socket, optname: str, value: tuple[Value, ...]) -> Wait:
    """Sets an option."""
    if optname not in _SET:
        raise TcpError("ENOPROTOOPT", optname)
    if not all(isinstance(member, int) for member in value):
        raise TcpError("EINVAL", optname)
    try:
        _SET[optname](socket, *value)
    except TypeError:  # more members than the struct has
        raise TcpError("EINVAL", optname) from None
    return Answer()
    yield  # a call like others, though it never waits


def getsockopt(socket: Socket, optname: str) -> Answer:
    """An option's value."""
    if optname not in _GET:
        raise TcpError("ENOPROTOOPT", optname)
    found = _GET[optname](socket)
    return Answer(value=found if isinstance(found, tuple) else (found,))


def _set_linger(socket: Socket, on: int, seconds: int = 0) -> None:
    socket.linger = int(on != 0), seconds


def _set_reuse(socket: Socket, on: int) -> None:
    socket.reuse = int(on != 0)
    if socket.endpoint is not None:
        socket.endpoint.reuse = bool(on)


def _set_nodelay(socket: Socket, on: int) -> None:
    socket.nodelay = int(on != 0)
    if socket.connection is not None:
        socket.connection.nodelay = bool(on)
        socket.connection.wants_to_send()


def _set_receive_buffer(socket: Socket, octets: int) -> None:
    """The window is half of what Linux calls the buffer."""
    _configure(socket, receive_buffer=max(octets, _LEAST_RECEIVE))


def _set_send_buffer(socket: Socket, octets: int) -> None:
    _configure(socket, send_buffer=max(2 * octets, _LEAST_SEND))


def _configure(socket: Socket, **changes: int) -> None:
    socket.settings = replace(socket.settings, **changes)  # type: ignore[arg-type]
    if socket.endpoint is not None:
        socket.endpoint.settings = socket.settings
    if socket.connection is not None:
        socket.connection.configure(socket.settings)


def _take_error(socket: Socket) -> str:
    error, socket.error = socket.error, None
    return error or "0"


_SET: dict[str, Callable[..., None]] = {
    "SO_LINGER": _set_linger,
    "SO_REUSEADDR": _set_reuse,
    "SO_RCVBUF": _set_receive_buffer,
    "SO_SNDBUF": _set_send_buffer,
    "TCP_NODELAY": _set_nodelay,
}
_GET: dict[str, Callable[[Socket], Any]] = {
    "SO_LINGER": lambda socket: socket.linger,
    "SO_REUSEADDR": lambda socket: socket.reuse,
    "SO_RCVBUF": lambda socket: 2 * socket.settings.receive_buffer,
    "SO_SNDBUF": lambda socket: socket.settings.send_buffer,
    "SO_ERROR": _take_error,
    "TCP_NODELAY": lambda socket: socket.nodelay,
}
