"""What each system call did on the wire, and what it waited for: the other side of the packets' causes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rawlab.attribution.connection import Connection, End
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import RECEIVERS, SENDERS, Socket
from rawlab.attribution.tcp_rules import packets_in_words
from rawlab.model.event import Call


@dataclass(slots=True, kw_only=True)
class Links:
    """What ties one call to packets and to its connection."""

    sent: list[Draft] = field(default_factory=list)
    waited_for: list[Draft] = field(default_factory=list)
    connection: Connection | None = None
    end: End | None = None


def link(calls: Sequence[Call], drafts: Sequence[Draft], connections: Sequence[Connection]) -> list[Links]:
    """For each call the packets it sent (by the packets' causes) and those whose arrival it waited for."""
    links = [Links() for _ in calls]
    for draft in drafts:
        if draft.cause.kind == "call":
            for n in draft.cause.calls:
                links[n - 1].sent.append(draft)
    for connection in connections:
        for end, other in (connection.ends, connection.ends[::-1]):
            if end.socket is not None:
                _link_end(links, connection, end, other, end.socket)
            elif end.connect is not None:
                links[end.connect[0] - 1].connection, links[end.connect[0] - 1].end = connection, end
    return links


def _link_end(links: list[Links], connection: Connection, end: End, other: End, socket: Socket) -> None:
    """The calls on one end's socket."""
    for n, call in socket.calls:
        mine = links[n - 1]
        mine.connection, mine.end = connection, end
        if call.name == "connect" and other.syn is not None:
            mine.waited_for = [other.syn]
        elif call.name == "accept":
            mine.waited_for = _handshake_end(connection, other)
        elif call.name in RECEIVERS and call.errno is None and call.returned_ns is not None:
            mine.waited_for = _brought(end, other, n)


def _handshake_end(connection: Connection, other: End) -> list[Draft]:
    """The first acknowledgment from the side that connected, after its SYN."""
    return [
        draft
        for draft in connection.drafts[:16]
        if connection.direction(draft)[0] is other
        and draft.ack == 1
        and draft is not other.syn
        and not draft.lost
    ][:1]


def _brought(end: End, other: End, n: int) -> list[Draft]:
    """The packets that brought what a read returned; a read of nothing waited for FIN."""
    moved = end.read.of(n)
    if moved is None:
        return [other.fin] if other.fin is not None else []
    return other.carriers(moved[0] + 1, moved[1] + 1)


# ------------------------------------------------------------------------------------------------- words


def why(call: Call, mine: Links) -> str:
    """One sentence: what the call did, or why it did nothing on the wire."""
    if call.errno is not None:
        return (
            _FAILURES.get(call.errno, "it failed, and sent nothing")
            if not mine.sent
            else _failed_after(call, mine)
        )
    tell = _WORDS.get("send" if call.name in SENDERS else "receive" if call.name in RECEIVERS else call.name)
    return tell(call, mine) if tell else "nothing is sent"


_FAILURES = {
    "EADDRINUSE": "another socket has that address: nothing is sent",
    "EPIPE": "this direction is closed: nothing is sent",
    "ENOTCONN": "the socket is not connected: nothing is sent",
    "EBADF": "there is no such descriptor: nothing is sent",
    "EAGAIN": "it would have to wait, and must not: nothing is sent",
}


def _failed_after(call: Call, mine: Links) -> str:
    return f"sends {_kinds(mine.sent)} and fails with {call.errno}"


def _kinds(drafts: Sequence[Draft]) -> str:
    return packets_in_words(drafts) if drafts else "nothing"


def _waited(call: Call, drafts: Sequence[Draft]) -> str:
    """Whether it had to wait for the packets: 'waits for packet 7', or 'packet 7 had come before'."""
    last = max((draft.arrived_ns or draft.at_ns for draft in drafts), default=call.entered_ns)
    if last <= call.entered_ns:
        return f"{packets_in_words(drafts)} had come before: no wait"
    return f"waits for {packets_in_words(drafts)}"


def _socket(call: Call, mine: Links) -> str:
    return "makes an endpoint of communication: nothing is sent"


def _bind(call: Call, mine: Links) -> str:
    return f"gives the socket its address{f' {call.local}' if call.local else ''}: nothing is sent"


def _listen(call: Call, mine: Links) -> str:
    backlog = call.arg("backlog")
    return (
        f"from now on the kernel completes handshakes by itself, and queues up to {backlog!s}: nothing is sent"
    )


def _connect(call: Call, mine: Links) -> str:
    if not mine.sent:
        return "notes the peer's address: nothing is sent"
    waits = f", {_waited(call, mine.waited_for)} (SYN-ACK)" if mine.waited_for else ""
    return f"sends {packets_in_words(mine.sent)} (SYN){waits}"


def _accept(call: Call, mine: Links) -> str:
    if not mine.waited_for:
        return "takes the first connection off the queue: nothing is sent"
    waits = f"{_waited(call, mine.waited_for)}, the handshake's last step"
    return f"takes a connection off the queue: {waits}; nothing is sent"


def _send(call: Call, mine: Links) -> str:
    if call.result == 0:
        return "no octets: in a stream, nothing is sent"
    if not mine.sent:
        return "the kernel took the octets; none of them left before the capture's end"
    several = (
        " together with other calls' octets" if any(len(draft.cause.calls) > 1 for draft in mine.sent) else ""
    )
    return f"sends {packets_in_words(mine.sent)}{several}"


def _receive(call: Call, mine: Links) -> str:
    if call.result == 0 and mine.waited_for:
        return f"the end of the stream: {_waited(call, mine.waited_for)} (FIN)"
    if not mine.waited_for:
        return "nothing is sent"
    return f"takes what {packets_in_words(mine.waited_for)} brought; {_waited(call, mine.waited_for)}"


def _close(call: Call, mine: Links) -> str:
    if mine.sent:
        return (
            f"sends {packets_in_words(mine.sent)} (FIN)"
            if not _resets(mine.sent)
            else f"sends {_kinds(mine.sent)} (RST)"
        )
    if mine.connection is None:
        return "gives the descriptor back: nothing is sent"
    return "gives the descriptor back; the connection's FIN is not this call's: nothing is sent"


def _resets(drafts: Sequence[Draft]) -> bool:
    return any("R" in getattr(draft.facts.transport, "flags", "") for draft in drafts)


def _fork(call: Call, mine: Links) -> str:
    return "a second process holds the same sockets: nothing is sent"


_WORDS: dict[str, Callable[[Call, Links], str]] = {
    "socket": _socket,
    "bind": _bind,
    "listen": _listen,
    "connect": _connect,
    "accept": _accept,
    "send": _send,
    "receive": _receive,
    "close": _close,
    "shutdown": _close,
    "fork": _fork,
}
