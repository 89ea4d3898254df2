"""What each row means here, in a sentence or two, with the RFC's section or the man page: notes that write themselves.

They stand beside a row's *why* (which says what caused it) and say what the protocol means by it: what the options of
this SYN offer, what this number acknowledges, why this call sent nothing. All comes from the story's own facts; of what
the capture does not show, nothing is said. TCP's segments are explained in `tcp_explained`, SCTP's in `sctp_explained`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.facts import ArpMessage, IcmpMessage, Other, TcpSegment, UdpDatagram
from rawlab.model.sctp import SctpPacket
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views import sctp_explained
from rawlab.views.tcp_explained import Conversations

_BROADCAST = "ff:ff:ff:ff:ff:ff"
_PRIVILEGED = 1024  # ip(7): ports below want CAP_NET_BIND_SERVICE


def explanations(story: Story) -> Mapping[str, str]:
    """The explanation of each row that has one, by its label ('p6', 'c4')."""
    conversations = Conversations()
    found: dict[str, str] = {}
    for packet in story.packets:
        transport = packet.facts.transport
        said = conversations.explain(packet) if isinstance(transport, TcpSegment) else _packet(packet)
        if said:
            found[f"p{packet.n}"] = said
    made = {(one.call.host, one.call.new_socket): one.call for one in story.calls if one.call.name == "socket"}
    linger = {
        (one.call.host, one.call.socket)
        for one in story.calls
        if one.call.name == "setsockopt" and dict(one.call.args).get("optname") == "SO_LINGER"
    }
    known = _Told(story.packets, made, linger)
    for told in story.calls:
        tell = _CALLS.get(told.call.name)
        if tell is not None and told.call.returned_ns is not None and (said := tell(told, known)):
            found[told.label] = said
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """What a call is explained by."""

    packets: Sequence[Packet]
    made: Mapping[tuple[str, int | None], Call]
    "by host and inode, the socket(2) that made the socket"
    linger: Set[tuple[str, int | None]]
    "those with SO_LINGER, whose close may wait"


# ---- packets


def _packet(packet: Packet) -> str:
    ip = packet.facts.ip
    match packet.facts.transport:
        case _ if ip is not None and ip.is_fragment:
            return _fragment(packet)
        case UdpDatagram(length=length):
            return (
                f"8 octets of header and {_octets(length)} of one message, whose bounds UDP keeps; there is no "
                "handshake, no acknowledgment and no second try (RFC 768)."
            )
        case IcmpMessage() as message:
            return _icmp(message)
        case ArpMessage(operation=1):
            asked = "all hosts of the link" if packet.facts.destination_mac == _BROADCAST else "one host"
            return f"ARP asks {asked} in a frame of its own, with no IP header: IP can't be sent before (RFC 826)."
        case ArpMessage(operation=2) if packet.facts.destination_mac != _BROADCAST:
            return "The answer goes to the asker alone, who keeps it for later packets (RFC 826)."
        case SctpPacket() as sctp:
            return sctp_explained.packet(sctp)
    return ""


def _fragment(packet: Packet) -> str:
    ip = packet.facts.ip
    assert ip is not None
    transport, more = packet.facts.transport, "+" if ip.more_fragments else ""
    carried = transport.length if isinstance(transport, Other) else ip.payload[1] - ip.payload[0]
    last = ip.fragment_offset + max(carried, 1) - 1
    said = [
        f"frag {ip.identification}@{ip.fragment_offset}{more}: of the packet with identification {ip.identification}, "
        f"octets {ip.fragment_offset} to {last} of what follows the IP header",
        "the + says that further fragments follow" if more else "without +, it is the last",
    ]
    if isinstance(transport, UdpDatagram):
        said.append(
            f"UDP's header is that of the whole message of {_octets(transport.length)}, of which "
            f"{max(carried - 8, 0)} are here"
        )
    elif ip.fragment_offset:
        said.append("only the first has the transport's header, and so the ports")
    rfc = "RFC 791 section 3.2" if ip.version == 4 else "RFC 8200 section 4.5"
    return f"{'; '.join(said)}; the receiver's IP puts together those of one identification ({rfc})."


def _icmp(message: IcmpMessage) -> str:
    v4 = message.version == 4
    if message.quoted is not None:
        rfc = "RFC 1122 section 3.2.2" if v4 else "RFC 4443 section 2.4"
        return (
            "It quotes the packet that provoked it, by which the kernel that receives it can find the socket "
            f"({rfc})."
        )
    if message.type in ((8, 0) if v4 else (128, 129)):
        rfc = "RFC 792" if v4 else "RFC 4443 section 4"
        return (
            "id tells one asker's echoes from another's, seq one request from the next; a reply repeats both "
            f"({rfc})."
        )
    if not v4 and message.type == 135:
        return "IPv6 asks by ICMPv6, where IPv4 has ARP (RFC 4861 section 7.2.2)."
    if not v4 and message.type == 136:
        return "The answer to a neighbor solicitation, or news without one (RFC 4861 section 7.2)."
    return ""


# ---- calls


def _is_stream(told: CallStory, story: _Told) -> bool:
    """Whether its socket is TCP's: by the packets that it is tied to, or by its making."""
    tied = (*told.sent, *told.waited_for)
    if tied:
        return any(isinstance(story.packets[n - 1].facts.transport, TcpSegment) for n in tied)
    made = story.made.get((told.call.host, told.call.socket))
    arguments = dict(made.args) if made is not None else {}
    return arguments.get("protocol") in (0, "IPPROTO_IP", "IPPROTO_TCP") and "STREAM" in str(arguments.get("type"))


def _is_udp(packet: Packet) -> bool:
    return isinstance(packet.facts.transport, UdpDatagram)


def _socket(told: CallStory, story: _Told) -> str:
    if told.call.errno is not None:
        return ""
    return f"{told.call.result} is the lowest number that no open file of the process had (socket(2))."


def _bind(told: CallStory, story: _Told) -> str:
    asked = next((value for _, value in told.call.args if isinstance(value, Endpoint)), None)
    if asked is None or told.call.errno is not None:
        return ""
    anywhere = asked.address in ("0.0.0.0", "::")
    said = [f"{asked.address} stands for each of the host's addresses"] if anywhere else []
    if asked.port == 0:
        said.append("port 0 lets the kernel choose one")
    elif asked.port < _PRIVILEGED:
        said.append(f"port {asked.port}, below {_PRIVILEGED}, wants a privilege on Linux, CAP_NET_BIND_SERVICE")
    return f"{_sentence('; '.join(said))} (ip(7))." if said else ""


def _listen(told: CallStory, story: _Told) -> str:
    if told.call.errno is not None or not _is_stream(told, story):
        return ""
    return "From here on the socket only takes connections; data passes through those that accept makes (listen(2))."


def _accept(told: CallStory, story: _Told) -> str:
    if told.call.errno is not None or not _is_stream(told, story):
        return ""
    return (
        "The kernel had finished the handshake by itself; accept only hands it over, as a new socket, "
        f"{told.call.result}, and {told.call.fd} goes on listening (accept(2))."
    )


def _connect(told: CallStory, story: _Told) -> str:
    call = told.call
    if call.errno == "EINPROGRESS":
        return "The socket does not block: poll(2) says when it is connected, as writable (connect(2))."
    if not told.sent and call.errno is None:
        return "Sets where messages go by default, and whose are received: nobody is asked (connect(2), udp(7))."
    if call.errno == "ECONNREFUSED" and told.sent and _is_stream(told, story):
        return "The answer is a reset: the host is there, but nothing listens on that port (connect(2))."
    if call.errno is None and told.waited_for and call.returned_ns is not None and _is_stream(told, story):
        took = (call.returned_ns - call.entered_ns) / 1e6
        return f"It blocks until SYN-ACK has come, here {took:.3f} ms, and not until the server accepts (connect(2))."
    return ""


def _write(told: CallStory, story: _Told) -> str:
    call = told.call
    if call.errno is None and any(_is_udp(story.packets[n - 1]) for n in told.sent):
        return "The kernel has taken the message; whether it arrives, nobody will say (udp(7))."
    if call.errno is not None or not call.result or not _is_stream(told, story):
        return ""
    return (
        f"{call.result} says that the kernel has the octets, to send them and, where need be, send them again; not "
        "that they have arrived, nor that anybody has read them (send(2), tcp(7))."
    )


def _read(told: CallStory, story: _Told) -> str:
    call, arguments = told.call, dict(told.call.args)
    room = arguments.get("len", arguments.get("count"))
    if call.errno is not None or not isinstance(room, int) or call.result is None:
        return ""
    if not _is_stream(told, story):
        return ""
    if call.result == 0:
        ended = any("F" in getattr(story.packets[n - 1].facts.transport, "flags", "") for n in told.waited_for)
        if ended:
            return "0 is no error: the peer has ended its direction, and all before has been read (read(2))."
        return ""
    if call.result < room:
        return (
            f"{call.result} of at most {room}: a stream has no messages, read gives what is there (read(2)); "
            "who wants a certain number reads again."
        )
    return ""


def _close(told: CallStory, story: _Told) -> str:
    if not told.sent or told.call.errno is not None or not _is_stream(told, story):
        return ""
    if (told.call.host, told.call.socket) in story.linger:
        return ""
    flags = "".join(getattr(story.packets[n - 1].facts.transport, "flags", "") for n in told.sent)
    if "R" in flags:
        return ""
    return (
        "close does not wait: the kernel ends the connection by itself, after the process has let go of it "
        "(close(2))."
    )


def _shutdown(told: CallStory, story: _Told) -> str:
    if dict(told.call.args).get("how") != "SHUT_WR" or told.call.errno is not None or not _is_stream(told, story):
        return ""
    return (
        "Only this direction ends: the process can still read what the peer sends (RFC 9293 section 3.6.1, "
        "shutdown(2))."
    )


_OPTIONS = {
    "TCP_NODELAY": "Small writes no longer wait until what was sent is acknowledged (RFC 9293 section 3.7.4, tcp(7)).",
    "SO_RCVBUF": "The kernel doubles the number, for its own bookkeeping (socket(7)).",
    "SO_SNDBUF": "The kernel doubles the number, for its own bookkeeping (socket(7)).",
}


def _setsockopt(told: CallStory, story: _Told) -> str:
    return "" if told.call.errno is not None else _OPTIONS.get(str(dict(told.call.args).get("optname")), "")


def _fcntl(told: CallStory, story: _Told) -> str:
    arguments = dict(told.call.args)
    if told.call.errno is None and arguments.get("cmd") == "F_SETFL" and "O_NONBLOCK" in str(arguments.get("arg")):
        return "A call that would have to wait now fails with EAGAIN, connect with EINPROGRESS (socket(7), connect(2))."
    return ""


def _fork(told: CallStory, story: _Told) -> str:
    return "Each open socket is now held by two processes: it ends with the last close (fork(2), close(2))."


_CALLS: Mapping[str, Callable[[CallStory, _Told], str]] = {
    "socket": _socket,
    "bind": _bind,
    "listen": _listen,
    "accept": _accept,
    "accept4": _accept,
    "connect": _connect,
    **dict.fromkeys(("write", "send", "sendto", "sendmsg"), _write),
    **dict.fromkeys(("read", "recv", "recvfrom", "recvmsg"), _read),
    "close": _close,
    "shutdown": _shutdown,
    "setsockopt": _setsockopt,
    "fcntl": _fcntl,
    "fork": _fork,
}


def _octets(number: int) -> str:
    return f"{number} octet{'' if number == 1 else 's'}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
