"""One packet or one call in packetdrill's notation; and what that notation has no words for.

Source: packetdrill's syntax.md and grammar. Sequence numbers are relative, as packetdrill has them; addresses and
buffers are its own to choose, `...`; a TCP option is written by tcpdump's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address

from rawlab.model.event import Call, Value
from rawlab.model.facts import IcmpMessage, TcpOption, TcpSegment, UdpDatagram
from rawlab.model.serial import CIRCLE, Serial
from rawlab.model.story import Packet
from rawlab.views.rows import bases
from rawlab.wire.errnos import ERRNOS
from rawlab.wire.line import relative

_U16 = 0xFFFF
_FLAGS = "FSRPUEW"  # packetdrill has no word of tcpdump's for AE but 'A', which comes with E and W
_TRANSPORTS = {6: "tcp", 17: "udp"}


class Unspeakable(Exception):
    """packetdrill has no words for it; the message says for what."""


# ---- packets


def packet_words(packet: Packet) -> str:
    """'P. 1:6(5) ack 1 win 502 <nop,nop,TS val 1 ecr 2>', 'udp (5)', 'icmp unreachable …'. Raises Unspeakable."""
    ip = packet.facts.ip
    if ip is not None and ip.is_fragment:
        raise Unspeakable("a fragment")
    match packet.facts.transport:
        case TcpSegment() as segment:
            return _tcp(packet, segment)
        case UdpDatagram(length=length) if length <= _U16:
            return f"udp ({length})"
        case IcmpMessage() as message:
            return _icmp(message, packet)
    raise Unspeakable("a packet of that protocol")


def _tcp(packet: Packet, segment: TcpSegment) -> str:
    seq_base, ack_base = bases(packet)
    refuses = "R" in segment.flags and segment.seq.value == 0  # by one that never sent SYN (RFC 9293 section 3.5.2)
    seq = 0 if refuses else relative(segment.seq, seq_base)
    if not 0 <= seq < CIRCLE - segment.length:
        raise Unspeakable("numbers that wrap around")
    words = [_flags(segment.flags), f"{seq}:{seq + segment.length}({segment.length})"]
    if "A" in segment.flags:
        words.append(f"ack {relative(segment.ack, ack_base) % CIRCLE}")
    words.append(f"win {segment.window}")
    if "U" in segment.flags:
        words.append(f"urg {segment.urgent}")
    if segment.options:
        words.append(_options(segment.options, ack_base))
    return " ".join(words)


def _flags(flags: str) -> str:
    letters = "".join(flag for flag in _FLAGS if flag in flags) + ("A" if "e" in flags else "")
    return (letters + ("." if "A" in flags else "")) or "-"


def _options(options: tuple[TcpOption, ...], ack_base: Serial | None) -> str:
    """In angle brackets, padded to whole words of 32 bits."""
    told = [_option(option, ack_base) for option in options]
    octets = sum(length for _, length in told)
    return f"<{','.join([*(words for words, _ in told), *['nop'] * (-octets % 4)])}>"


def _option(option: TcpOption, ack_base: Serial | None) -> tuple[str, int]:
    """Its words and its length. Raises Unspeakable."""
    match option.kind, option.values:
        case 0, _:
            return "eol", 1
        case 1, _:
            return "nop", 1
        case 2, (size,):
            return f"mss {size}", 4
        case 3, (shift,):
            return f"wscale {shift}", 3
        case 4, _:
            return "sackOK", 2
        case 5, edges if edges and len(edges) % 2 == 0:
            at = [relative(Serial(edge), ack_base) % CIRCLE for edge in edges]
            blocks = " ".join(f"{left}:{right}" for left, right in zip(at[::2], at[1::2], strict=True))
            return f"sack {blocks}", 2 + 4 * len(edges)
        case 8, (value, echo):
            return f"TS val {value} ecr {echo}", 10
        case 34, cookie:
            return f"FO {bytes(cookie).hex()}".rstrip(), 2 + len(cookie)
    raise Unspeakable(f"TCP option {option.kind}")


_UNREACHABLE: Mapping[int, Mapping[int, str]] = {
    4: {
        0: "net_unreachable",
        1: "host_unreachable",
        2: "protocol_unreachable",
        3: "port_unreachable",
        4: "frag_needed",
        5: "source_route_failed",
        9: "net_prohibited",
        10: "host_prohibited",
        13: "packet_filtered",
    },
    6: {0: "no_route", 1: "admin_prohibited", 3: "address_unreachable", 4: "port_unreachable"},
}


_ICMP: Mapping[int, Mapping[int, str]] = {
    4: {3: "unreachable", 11: "time_exceeded"},
    6: {1: "unreachable", 2: "packet_too_big", 3: "time_exceeded"},
}


def _icmp(message: IcmpMessage, packet: Packet) -> str:
    quoted, v4 = message.quoted, message.version == 4
    if quoted is None:
        raise Unspeakable("an ICMP message that is no error")
    name = _ICMP[message.version].get(message.type, f"type_{message.type}")
    code = _UNREACHABLE[message.version].get(message.code) if name == "unreachable" else None
    words = [name, code or f"code_{message.code}"]
    if message.mtu and (code == "frag_needed" or name == "packet_too_big"):
        words.append(f"mtu {message.mtu}")
    payload = quoted.ip.length - (28 if v4 else 48)
    if _TRANSPORTS.get(quoted.ip.protocol) == "udp" and 0 <= payload <= _U16:
        words.append(f"[udp ({payload})]")
    return f"icmp {' '.join(words)}"


# ---- calls


def call_words(call: Call) -> str:
    """'write(3, ..., 5) = 5'. Raises Unspeakable."""
    tell = _CALLS.get(call.name)
    if tell is None:
        raise Unspeakable(call.name)
    if call.result is None:
        raise Unspeakable("a call that did not return")
    try:
        shown = ", ".join(tell(dict(call.args)))
    except KeyError as missing:
        raise Unspeakable(f"{call.name} without {missing}") from None
    return f"{call.name}({shown}) = {_result(call)}"


def _result(call: Call) -> str:
    if call.errno is None:
        return str(call.result)
    if call.errno not in ERRNOS:
        raise Unspeakable(f"the error {call.errno}")
    words = ERRNOS[call.errno][1]
    plain = bool(words) and all(word.isalpha() and word.isascii() for word in words.split())
    return f"{call.result} {call.errno}" + (f" ({words})" if plain and not _KEYWORDS & set(words.split()) else "")


_KEYWORDS = frozenset(("ack", "checksum", "fd", "id", "ip", "key", "label", "none", "present", "raw", "seq", "tcp"))
"""Words of packetdrill's own, which can't stand in a remark."""


def _word(value: Value) -> str:
    """A number or symbols. Raises Unspeakable."""
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\w+(\|\w+)*", value, re.ASCII)):
        return str(value)
    raise Unspeakable(f"the argument {value!r}")


_PROTOCOLS = {"SOCK_STREAM": "IPPROTO_TCP", "SOCK_DGRAM": "IPPROTO_UDP"}


def _socket(a: Mapping[str, Value]) -> Iterator[str]:
    protocol = _PROTOCOLS.get(str(a["type"]).split("|")[0])
    if a["domain"] not in ("AF_INET", "AF_INET6") or a["protocol"] not in (0, "0", "IPPROTO_IP", protocol):
        raise Unspeakable(f"a socket of {a['domain']!s}, {a['type']!s}, {a['protocol']!s}")
    yield from ("...", _word(a["type"]), _word(protocol))


def _addressed(a: Mapping[str, Value]) -> Iterator[str]:
    yield from (_word(a["sockfd"]), "...", "...")


def _transfer(a: Mapping[str, Value]) -> Iterator[str]:
    descriptor, room = a.get("fd", a.get("sockfd")), a.get("count", a.get("len"))
    yield from (_word(descriptor), "...", _word(room))
    if "flags" in a:
        yield _word(a["flags"])
    if "dest_addr" in a or "src_addr" in a:
        yield from ("...", "...")


def _message(a: Mapping[str, Value]) -> Iterator[str]:
    parts = a["msg_iov"]
    if a.get("msg_control"):
        raise Unspeakable("ancillary data")
    if not isinstance(parts, tuple):
        raise Unspeakable("that buffer")
    vector = ", ".join(f"{{..., {len(part) if isinstance(part, bytes) else 0}}}" for part in parts)
    flags = _word(a.get("msg_flags") or 0)
    message = f"{{msg_name(...)=..., msg_iov({len(parts)})=[{vector}], msg_flags={flags}}}"
    yield from (_word(a["sockfd"]), message, _word(a["flags"]))


def _option_value(a: Mapping[str, Value]) -> tuple[str, int]:
    """In brackets, and its length."""
    value = a["optval"]
    if a["optname"] == "SO_LINGER" and isinstance(value, tuple) and len(value) == 2:
        return f"{{onoff={_word(value[0])}, linger={_word(value[1])}}}", 8
    values = value if isinstance(value, tuple) else (value,)
    return f"[{', '.join(map(_word, values))}]", 4 * len(values)


def _setsockopt(a: Mapping[str, Value]) -> Iterator[str]:
    value, length = _option_value(a)
    yield from (_word(a["sockfd"]), _word(a["level"]), _word(a["optname"]), value, str(length))


def _getsockopt(a: Mapping[str, Value]) -> Iterator[str]:
    value, length = _option_value(a)
    yield from (_word(a["sockfd"]), _word(a["level"]), _word(a["optname"]), value, f"[{length}]")


def _fcntl(a: Mapping[str, Value]) -> Iterator[str]:
    yield from (_word(a["fd"]), _word(a["cmd"]))
    if a["cmd"] != "F_GETFL":
        yield _word(a["arg"])


def _poll(a: Mapping[str, Value]) -> Iterator[str]:
    asked, ready = a["fds"], a.get("ready")
    found = dict(_pair(one) for one in ready) if isinstance(ready, tuple) else {}
    if not isinstance(asked, tuple):
        raise Unspeakable("those descriptors")
    shown = []
    for descriptor, events in map(_pair, asked):
        revents = f", revents={found[descriptor]}" if descriptor in found else ""
        shown.append(f"{{fd={descriptor}, events={events}{revents}}}")
    yield from (f"[{', '.join(shown)}]", str(len(shown)), _word(a["timeout"]))


def _pair(value: Value) -> tuple[str, str]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise Unspeakable("those descriptors")
    return _word(value[0]), _word(value[1])


_CALLS: Mapping[str, Callable[[Mapping[str, Value]], Iterator[str]]] = {
    "socket": _socket,
    **dict.fromkeys(("bind", "accept", "connect"), _addressed),
    **dict.fromkeys(("read", "write", "recv", "send", "recvfrom", "sendto"), _transfer),
    **dict.fromkeys(("sendmsg", "recvmsg"), _message),
    "listen": lambda a: iter((_word(a["sockfd"]), _word(a["backlog"]))),
    "close": lambda a: iter((_word(a["fd"]),)),
    "shutdown": lambda a: iter((_word(a["sockfd"]), _word(a["how"]))),
    "setsockopt": _setsockopt,
    "getsockopt": _getsockopt,
    "fcntl": _fcntl,
    "poll": _poll,
}


def is_ipv6(address: str) -> bool:
    """Whether an address that inet_ntop(3) wrote is IPv6's."""
    return ip_address(address).version == 6
