"""The stream through a socket: what write and read, and the calls that they are special cases of, do.

A write that may wait takes all that it is given; one that must not, as much as fits. A read gives what is there, up to
the urgent octet, and waits only where nothing is.
"""

from __future__ import annotations

from rawlab.endpoints.sockets.tcp.socket import Socket
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.endpoints.tcp import TcpError, TcpState


def send(socket: Socket, data: bytes, flags: str) -> Wait:
    """Puts octets into the send buffer; with MSG_OOB the last one is urgent."""
    words = flags.split("|")
    waits = not (socket.nonblocking or "MSG_DONTWAIT" in words)
    while socket.connecting:
        if not waits:
            raise TcpError("EAGAIN", "not connected yet")
        yield None
    taken = 0
    while True:
        connection = socket.connection
        if socket.error is not None or socket.writes_end or connection is None or not socket.up:
            if taken:
                return Answer(result=taken)  # the next call says why it was not more
            raise socket.take_error("EPIPE")
        room = min(connection.room, len(data) - taken)
        if room or not data:
            piece = data[taken : taken + room]
            taken += connection.send(piece, socket.sockets.now_ns, urgent="MSG_OOB" in words and bool(piece))
        if taken == len(data):
            return Answer(result=taken)
        if not waits:
            if taken:
                return Answer(result=taken)
            raise TcpError("EAGAIN", "the send buffer is full")
        yield None


def receive(socket: Socket, size: int, flags: str) -> Wait:
    """Takes the next octets of the stream, or as many of them as fit; none: the peer has closed."""
    words = flags.split("|")
    if "MSG_OOB" in words:
        return _take_urgent(socket, size, peek="MSG_PEEK" in words)
    waits = not (socket.nonblocking or "MSG_DONTWAIT" in words)
    least, peek, got = size if "MSG_WAITALL" in words else 1, "MSG_PEEK" in words, b""
    if socket.listening:
        raise TcpError("ENOTCONN", "it listens")
    while size:
        ends = False  # whether the urgent octet is where it has to stop
        if peek:
            got, ends = _next(socket, size)
        else:
            while len(got) < size and not (ends and got) and socket.buffer:
                _pass_over(socket)
                piece, ends = _next(socket, size - len(got))
                got += socket.take(len(piece))
        if len(got) >= least or (got and ends):
            break
        if socket.error is not None:
            if got:
                break
            raise socket.take_error("ECONNRESET")
        if socket.reads_end:
            break
        if socket.connection is None:
            raise TcpError("ENOTCONN", "there is no connection")
        if not waits:
            if got:
                break
            raise TcpError("EAGAIN", "nothing is there")
        yield None
    return Answer(result=len(got), data=got)


def _next(socket: Socket, size: int) -> tuple[bytes, bool]:
    """The octets that a read may give at once, and whether the urgent one is behind them."""
    first = int(socket.urgent.at == socket.offset)
    begin = socket.offset + first
    room = socket.urgent.before(begin, begin + len(socket.buffer) - first)
    return bytes(socket.buffer[first : first + min(size, room)]), room < len(socket.buffer) - first and room <= size


def _pass_over(socket: Socket) -> None:
    """The urgent octet is no part of what a read gives."""
    if socket.buffer and socket.urgent.at == socket.offset:
        socket.take(1)


def _take_urgent(socket: Socket, size: int, *, peek: bool) -> Answer:
    """recv(…, MSG_OOB): tcp_recv_urg of net/ipv4/tcp.c; it never waits."""
    urgent = socket.urgent
    if socket.listening or (urgent.at is None and not socket.up):
        raise TcpError("ENOTCONN" if not socket.listening else "EINVAL", "there is no connection")
    if urgent.octet is not None:
        octet = urgent.octet[:size]
        if not peek:
            urgent.octet = None
            urgent.taken = True
        return Answer(result=len(octet), data=octet, flags="MSG_OOB")
    if urgent.at is None or urgent.taken:
        raise TcpError("EINVAL", "no urgent data, or it was read")
    if socket.reads_end or socket.state == TcpState.CLOSED:
        return Answer()
    raise TcpError("EAGAIN", "the urgent octet has not come")
