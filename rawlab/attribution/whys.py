"""One sentence for each call: what it did, or why it did nothing on the wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rawlab.attribution import sctp_whys
from rawlab.attribution.calls import Links
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import RECEIVERS, SENDERS
from rawlab.attribution.words import KERNEL, packets_in_words, waited
from rawlab.model.event import Call
from rawlab.model.facts import TcpSegment, UdpDatagram


def why(call: Call, mine: Links, speaker: str = KERNEL) -> str:
    """The sentence; `speaker`: who speaks TCP on the call's host."""
    if call.returned_ns is None and call.name != "exit_group" and not mine.sent:
        return "had not returned when the capture ended: nothing is sent"
    if mine.is_sctp and (sentence := sctp_whys.why(call, mine)) is not None:
        return sentence
    if call.errno is not None:
        return _failed(call, mine)
    if call.name in _OF_SPEAKER:
        return _OF_SPEAKER[call.name](call, mine, speaker)
    if call.name == "sendmmsg" and not mine.sent:
        return "of its messages no packet was captured"
    sends, receives = call.name in (*SENDERS, "sendmmsg"), call.name in (*RECEIVERS, "recvmmsg")
    tell = _WORDS.get("send" if sends else "receive" if receives else call.name)
    return tell(call, mine) if tell else _SIMPLE.get(call.name, "nothing is sent")


_FAILURES = {
    "EADDRINUSE": "another socket has that address: nothing is sent",
    "EPIPE": "this direction is closed: nothing is sent",
    "ENOTCONN": "the socket is not connected: nothing is sent",
    "EBADF": "there is no such descriptor: nothing is sent",
    "EAGAIN": "it would have to wait, and must not: nothing is sent",
    "EMSGSIZE": "larger than any datagram can be: nothing is sent",
}
_SIMPLE = {
    "socket": "makes an endpoint of communication: nothing is sent",
    **dict.fromkeys(("fork", "vfork", "clone", "clone3"), "a second process holds the same sockets: nothing is sent"),
    **dict.fromkeys(("dup", "dup2", "dup3"), "one more descriptor for the same socket: nothing is sent"),
    "wait4": "waits for the end of a child: nothing is sent",
    "nanosleep": "sleeps: nothing is sent",
    "getsockname": "asks for the socket's own address: nothing is sent",
    "getpeername": "asks for the peer's address: nothing is sent",
    "getsockopt": "asks for an option: nothing is sent",
    "setsockopt": "sets an option: nothing is sent",
    "fcntl": "sets how the descriptor behaves: nothing is sent",
}


def _failed(call: Call, mine: Links) -> str:
    if call.errno == "EINPROGRESS" and mine.sent:
        return f"sends {packets_in_words(mine.sent)} (SYN), and does not wait for the answer"
    if mine.sent:
        what = f", which {packets_in_words(mine.waited_for)} brought" if mine.waited_for else ""
        return f"sends {packets_in_words(mine.sent)} and fails with {call.errno}{what}"
    if mine.waited_for:
        what = "reset" if isinstance(mine.waited_for[0].facts.transport, TcpSegment) else "ICMP error"
        return f"reports the {what} that {packets_in_words(mine.waited_for)} brought: nothing is sent"
    return _FAILURES.get(call.errno or "", "it failed, and sent nothing")


def _bind(call: Call, mine: Links) -> str:
    return f"gives the socket its address{f' {call.local}' if call.local else ''}: nothing is sent"


def _listen(call: Call, mine: Links, speaker: str) -> str:
    backlog = dict(call.args).get("backlog")
    queues = f", and queues up to {backlog + 1}" if isinstance(backlog, int) else ""
    return f"from now on {speaker} completes handshakes by itself{queues}: nothing is sent"


def _connect(call: Call, mine: Links) -> str:
    if not mine.sent:
        return "notes the peer's address: nothing is sent"
    waits = f", {waited(call, mine.waited_for)} (SYN-ACK)" if mine.waited_for else ""
    return f"sends {packets_in_words(mine.sent)} (SYN){waits}"


def _accept(call: Call, mine: Links) -> str:
    if not mine.waited_for:
        return "takes the first connection off the queue: nothing is sent"
    last_step = waited(call, mine.waited_for)
    return f"takes a connection off the queue; its handshake's last step: {last_step}; nothing is sent"


def _send(call: Call, mine: Links) -> str:
    if mine.sent:
        several = any(len({n for n, _, _ in draft.cause.bytes}) > 1 for draft in mine.sent)
        together = " together with other calls' octets" if several else ""
        return f"sends {packets_in_words(mine.sent)}{together}"
    if call.result == 0:
        return "no octets: in a stream, nothing is sent"
    if mine.end is not None and not mine.end.placed:
        return "which packets its octets left in is not known: the log begins in the middle of the connection"
    if mine.end is not None and mine.end.written.begins < 0 and (mine.end.written.of(mine.n) or (0, 1))[1] <= 0:
        return "its octets left before the capture begins"
    return "the octets are in the send buffer; none of them left before the capture's end"


def _receive(call: Call, mine: Links) -> str:
    if not mine.waited_for:
        return "nothing is sent"
    brought, wait = packets_in_words(mine.waited_for), waited(call, mine.waited_for)
    flags = str(dict(call.args).get("flags"))
    if isinstance(mine.waited_for[0].facts.transport, TcpSegment) and call.result == 0:
        return f"the end of the stream, FIN: {wait}"
    if "MSG_PEEK" in flags:
        return f"looks at what {brought} brought, and takes nothing; {wait}"
    if "MSG_OOB" in flags:
        return f"takes the urgent octet, which {brought} brought; {wait}"
    return f"takes what {brought} brought{_rest_lost(call, mine)}; {wait}"


def _poll(call: Call, mine: Links) -> str:
    waits = f", {waited(call, mine.waited_for)}" if mine.waited_for else ""
    return f"waits until a descriptor is ready{waits}: nothing is sent"


def _rest_lost(call: Call, mine: Links) -> str:
    """What a buffer that is too small for its datagram loses."""
    datagram = mine.waited_for[0].facts.transport
    room = dict(call.args).get("len", dict(call.args).get("count"))
    if not isinstance(datagram, UdpDatagram) or not isinstance(room, int) or room >= datagram.length:
        return ""
    return f", but the last {datagram.length - room} of its {datagram.length} octets, which are lost"


def _close(call: Call, mine: Links) -> str:
    if mine.sent:
        return f"sends {packets_in_words(mine.sent)} ({'RST' if _resets(mine.sent) else 'FIN'})"
    if mine.connection is None:
        return "gives the descriptor back: nothing is sent"
    if mine.end is not None and mine.end.reset:
        return "gives the descriptor back; the connection was reset before: nothing is sent"
    last = mine.end.socket.last_close if mine.end is not None and mine.end.socket is not None else None
    if call.name == "close" and (last is None or last[1] is not call):
        return "gives the descriptor back; another process still holds the socket: nothing is sent"
    return "gives the descriptor back; FIN was sent before: nothing is sent"


def _resets(drafts: Sequence[Draft]) -> bool:
    return any("R" in getattr(draft.facts.transport, "flags", "") for draft in drafts)


def _exit(call: Call, mine: Links, speaker: str) -> str:
    if mine.sent:
        return f"ends the process; {speaker} closes what it left open: {packets_in_words(mine.sent)} (FIN)"
    return "ends the process: nothing is sent"


_WORDS: dict[str, Callable[[Call, Links], str]] = {
    "bind": _bind,
    "connect": _connect,
    "accept": _accept,
    "accept4": _accept,
    "send": _send,
    "receive": _receive,
    "close": _close,
    "shutdown": _close,
    **dict.fromkeys(("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2"), _poll),
}
_OF_SPEAKER: dict[str, Callable[[Call, Links, str], str]] = {"listen": _listen, "exit_group": _exit}
