"""Messages through a socket: what sendmsg and recvmsg, and the calls that are special cases of them, do.

A message goes out whole or not at all, and comes in with its boundaries: a read whose buffer is too small takes the
first part of it, and MSG_EOR comes with the last (RFC 6458 section 3.1.4).
"""

from __future__ import annotations

from rawlab.endpoints.sctp import Association, SctpError, SctpState
from rawlab.endpoints.sockets.sctp.notices import DATA_IO
from rawlab.endpoints.sockets.sctp.socket import Socket
from rawlab.endpoints.sockets.sctp.values import Item
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo


def send(socket: Socket, data: bytes, flags: str, to: Endpoint | None, info: SndRcvInfo | None) -> Wait:
    """Sends one message; to an address that has no association yet, it makes one."""
    words = set() if info is None else set(info.flags.split("|"))
    _check(socket, data, words)
    waits = not (socket.nonblocking or "MSG_DONTWAIT" in flags.split("|"))
    association = _association(socket, to, info)
    if association is not None and not socket.one_to_many and association.state is SctpState.CLOSED:
        raise _broken(socket)
    if association is not None and "SCTP_EOF" in words:
        association.shutdown(socket.sockets.now_ns)
        return Answer()
    if association is not None and "SCTP_ABORT" in words:
        association.abort(socket.sockets.now_ns, data)
        return Answer()
    if words & {"SCTP_EOF", "SCTP_ABORT"}:
        raise SctpError("EINVAL", "there is no association to end")
    stream = info.stream if info else 0
    if association is None:
        return (yield from _send_first(socket, data, to, info, waits))
    if stream >= association.streams_out:
        raise SctpError("EINVAL", f"stream {stream} of {association.streams_out}")
    while association.id in socket.associations and association.room < len(data):
        if not waits:
            raise SctpError("EAGAIN", "the send buffer is full")
        yield None
    if association.id not in socket.associations:
        raise _broken(socket)
    _put(socket, association, data, info)
    return Answer(result=len(data))


def _check(socket: Socket, data: bytes, words: set[str]) -> None:
    """What no message may be."""
    ends = words & {"SCTP_EOF", "SCTP_ABORT"}
    if not socket.one_to_many:
        if socket.listening:
            raise SctpError("EPIPE", "it listens")
        if ends:
            raise SctpError("EINVAL", "of one-to-many sockets only")
    if ("SCTP_EOF" in words and data) or not (ends or data):
        raise SctpError("EINVAL", "SCTP has no empty messages")
    if len(data) > socket.settings.send_buffer:
        raise SctpError("EMSGSIZE", "longer than the send buffer")


def _association(socket: Socket, to: Endpoint | None, info: SndRcvInfo | None) -> Association | None:
    """Whom the message is for; None: an association is to be made."""
    if to is not None:
        found = socket.with_peer(to)
        if found is None and not socket.one_to_many and socket.connected:
            raise SctpError("EADDRNOTAVAIL", "it has another peer")
        return found
    found = socket.associations.get(info.assoc_id if info else 0) if socket.one_to_many else socket.association
    if found is None:
        raise _broken(socket)
    return found


def _broken(socket: Socket) -> SctpError:
    """What a write without an association says: why it ended, once; then EPIPE."""
    error, socket.error = socket.error, None
    return SctpError(error or "EPIPE", "no association")


def _send_first(socket: Socket, data: bytes, to: Endpoint | None, info: SndRcvInfo | None, waits: bool) -> Wait:
    """Makes an association for the message, which goes with COOKIE ECHO at the earliest."""
    assert to is not None
    if info is not None and info.stream >= socket.options.streams:
        raise SctpError("EINVAL", f"stream {info.stream} of {socket.options.streams}")
    association = socket.associate((to,))
    _put(socket, association, data, info)
    if waits:
        yield from socket.until_up(association)
    return Answer(result=len(data))


def _put(socket: Socket, association: Association, data: bytes, info: SndRcvInfo | None) -> None:
    if socket.options.whole and len(data) > association.fragmentation_point:
        raise SctpError("EMSGSIZE", "it would need fragments")
    info = info or SndRcvInfo()
    words = info.flags.split("|")
    try:
        association.send(
            data,
            stream=info.stream,
            ppid=info.ppid,
            unordered="SCTP_UNORDERED" in words,
            immediate="SCTP_SACK_IMMEDIATELY" in words,
            now_ns=socket.sockets.now_ns,
        )
    except SctpError as error:
        if error.errno == "EPIPE":  # Linux: an association that is being shut down takes no more
            raise SctpError("ESHUTDOWN", "the association is being shut down") from None
        raise


def receive(socket: Socket, size: int, flags: str) -> Wait:
    """Takes the next message, or notification, or as much of it as fits."""
    words = flags.split("|")
    waits = not (socket.nonblocking or "MSG_DONTWAIT" in words)
    if socket.listening and not socket.one_to_many:
        raise SctpError("ENOTCONN", "it listens")
    while not socket.queue:
        if socket.error is not None:
            error, socket.error = socket.error, None
            raise SctpError(error, "recvmsg")
        if socket.reads_end:
            return Answer()
        if not waits:
            raise SctpError("EAGAIN", "nothing is there")
        if not socket.associations and not socket.listening:
            raise SctpError("ENOTCONN", "there is no association")
        yield None
    return _take(socket, socket.queue[0], size, peek="MSG_PEEK" in words)


def _take(socket: Socket, item: Item, size: int, *, peek: bool) -> Answer:
    part = item.data[:size]
    told = ["MSG_EOR"] if len(part) == len(item.data) else []
    told += ["MSG_NOTIFICATION"] if item.info is None else []
    if not peek:
        item.data = item.data[len(part) :]
        if not item.data:
            socket.queue.popleft()
        if item.info is not None:
            item.association.consumed(len(part), socket.sockets.now_ns)
    return Answer(
        result=len(part),
        data=part,
        address=item.address,
        info=item.info if socket.options.events[DATA_IO] else None,
        flags="|".join(told) or "0",
    )
