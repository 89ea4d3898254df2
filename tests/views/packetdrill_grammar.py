"""packetdrill's grammar, as far as scripts of sockets and packets go, strict: what it does not know is an error.

Written after packetdrill's own lexer and parser (google/packetdrill, lexer.l and parser.y), which are no package of any
system's: tokens by the longest match, and the checks that its parser makes on the way (ranges, lengths, flags).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_KEYWORDS = """
    sa_family sin_port sin_addr msg_name msg_iov msg_flags msg_control cmsg_data cmsg_level cmsg_type ee_errno ee_origin
    ee_type ee_code ee_info ee_data scm_sec scm_nsec fd u32 u64 ptr events revents onoff linger htons ipv4 ipv6 icmp udp
    GREv0 gre raw sum off key seq none checksum present mpls label tc ttl inet_addr inet6_addr ack eol ecr mss mtu nop
    sack sackOK md5 TS FO FOEXP tos flowlabel flags Flags val win urg wscale ect01 ect0 ect1 noecn ce id mut trun ins ip
    tcp ihl source_port
"""
_CALLS = """
    socket bind listen accept connect read readv recv recvfrom recvmsg write writev send sendto sendmsg fcntl ioctl
    close shutdown getsockopt setsockopt poll
"""
KEYWORDS, CALLS = frozenset(_KEYWORDS.split()), frozenset(_CALLS.split())
TOKENS = (
    ("ELLIPSIS", r"\.\.\."),
    ("OPTION", r"--[a-zA-Z0-9_]+"),
    ("FLOAT", r"-?[0-9]*\.[0-9]+"),
    ("INTEGER", r"-?[0-9]+"),
    ("HEX", r"0x[0-9a-fA-F]+"),
    ("WORD", r"[a-zA-Z0-9_]+"),
    ("STRING", r'"(\\.|[^"])*"'),
    ("COMMENT", r"//[^\n]*\n"),
    ("SPACE", r"[ \t\n]+"),
    ("CHARACTER", r"[^ \t\n]"),
)
FLAGS = ".FSRPEWAU"


class WrongScript(Exception):
    """packetdrill would not read it."""


@dataclass(slots=True)
class Packet:
    """A packet line."""

    at: float
    outbound: bool
    kind: str
    flags: str = ""
    seq: int = 0
    length: int = 0
    ack: int | None = None
    window: int | None = None
    options: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """A system call line."""

    at: float
    until: float | None
    name: str
    result: int
    errno: str | None


def tokens(script: str) -> list[tuple[str, str]]:
    """(kind, text) of each; keywords are a kind of their own."""
    found, at = [], 0
    while at < len(script):
        matches = [(kind, match[0]) for kind, pattern in TOKENS if (match := re.compile(pattern).match(script, at))]
        if not matches:
            raise WrongScript(f"nothing is read at {script[at : at + 20]!r}")
        kind, text = max(matches, key=lambda one: len(one[1]))
        at += len(text)
        if kind not in ("COMMENT", "SPACE"):
            found.append((text if kind == "CHARACTER" or text in KEYWORDS else kind, text))
    return found


def parse(script: str) -> list[Packet | Call]:
    """The events. Raises WrongScript."""
    return _Parser(tokens(script)).script()


class _Parser:
    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        self.found, self.at = [*found, ("END", "")], 0

    def next(self) -> str:
        return self.found[self.at][0]

    def take(self, *kinds: str) -> str:
        kind, text = self.found[self.at]
        if kinds and kind not in kinds:
            near = " ".join(text for _, text in self.found[max(self.at - 8, 0) : self.at + 4])
            raise WrongScript(f"{' or '.join(kinds)} expected, {text!r} came: {near}")
        self.at += 1
        return text

    def maybe(self, *kinds: str) -> str | None:
        return self.take() if self.next() in kinds else None

    def integer(self, low: int, high: int) -> int:
        number = int(self.take("INTEGER"))
        if not low <= number <= high:
            raise WrongScript(f"{number}: out of range")
        return number

    def script(self) -> list[Packet | Call]:
        while self.maybe("OPTION"):
            if self.maybe("="):
                self.take("INTEGER", "WORD", "STRING", "ipv4", "ipv6")
        events = [self.event()]
        while self.next() != "END":
            events.append(self.event())
        return events

    def time(self) -> float:
        at = float(self.take("FLOAT", "INTEGER"))
        if at < 0:
            raise WrongScript("negative time")
        return at

    def event(self) -> Packet | Call:
        self.maybe("+")
        at = self.time()
        if (direction := self.maybe("<", ">")) is not None:
            return self.packet(at, direction == ">")
        until = self.time() if self.maybe("ELLIPSIS") else None
        return self.call(at, until)

    # ---- packets

    def packet(self, at: float, outbound: bool) -> Packet:
        if self.maybe("udp"):
            self.take("(")
            length = self.integer(0, 0xFFFF)
            self.take(")")
            return Packet(at, outbound, "udp", length=length)
        if self.maybe("icmp"):
            return self.icmp(at, outbound)
        return self.tcp(at, outbound)

    def icmp(self, at: float, outbound: bool) -> Packet:
        self.take("WORD")
        self.maybe("WORD")
        if self.maybe("mtu"):
            self.integer(0, 0xFFFFFFFF)
        if self.maybe("id"):
            self.integer(0, 0xFFFF)
        if self.maybe("["):
            if self.maybe("udp", "raw"):
                self.take("(")
                self.integer(0, 0xFFFF)
                self.take(")")
            else:
                self.sequence()
            self.take("]")
        return Packet(at, outbound, "icmp")

    def tcp(self, at: float, outbound: bool) -> Packet:
        flags = self.maybe("-") or (self.maybe("WORD") or "") + (self.maybe(".") or "")
        if not flags or any(flag not in FLAGS for flag in flags.strip("-")):
            raise WrongScript(f"{flags!r}: no flags")
        seq, length = self.sequence()
        ack = self.integer(0, 0xFFFFFFFF) if self.maybe("ack") else None
        window = self.integer(0, 0xFFFF) if self.maybe("win") else None
        if self.maybe("urg"):
            self.integer(0, 0xFFFF)
        options = self.options(outbound) if self.maybe("<") else []
        if window is None and not outbound:
            raise WrongScript("window must be specified for inbound packets")
        return Packet(at, outbound, "tcp", flags, seq, length, ack, window, options)

    def sequence(self) -> tuple[int, int]:
        first = self.integer(0, 0xFFFFFFFF)
        self.take(":")
        end = self.integer(0, 0xFFFFFFFF)
        self.take("(")
        length = self.integer(0, 0xFFFF)
        self.take(")")
        if end != first + length:
            raise WrongScript("inconsistent TCP sequence numbers and payload size")
        return first, length

    def options(self, outbound: bool) -> list[str]:
        if self.maybe("ELLIPSIS"):
            if not outbound:
                raise WrongScript("<...> for TCP options can only be used with outbound packets")
            self.take(">")
            return []
        names, octets = [], 0
        while True:
            name = self.take("nop", "eol", "mss", "wscale", "sackOK", "sack", "md5", "TS", "FO", "FOEXP")
            names.append(name)
            octets += self.option(name)
            if not self.maybe(","):
                break
        self.take(">")
        if octets % 4 or octets > 40:
            raise WrongScript(f"TCP options of {octets} octets")
        return names

    def option(self, name: str) -> int:
        match name:
            case "mss":
                self.integer(0, 0xFFFF)
                return 4
            case "wscale":
                self.integer(0, 0xFF)
                return 3
            case "sackOK":
                return 2
            case "TS":
                self.take("val")
                self.integer(0, 0xFFFFFFFF)
                self.take("ecr")
                self.integer(0, 0xFFFFFFFF)
                return 10
            case "sack":
                blocks = 0
                while self.next() == "INTEGER":
                    self.integer(0, 0xFFFFFFFF)
                    self.take(":")
                    self.integer(0, 0xFFFFFFFF)
                    blocks += 1
                if not blocks:
                    raise WrongScript("sack without a block")
                return 2 + 8 * blocks
            case "md5":
                return 2 + len(self.take("WORD", "INTEGER")) // 2
            case "FO" | "FOEXP":
                return (2 if name == "FO" else 4) + len(self.maybe("WORD", "INTEGER") or "") // 2
        return 1

    # ---- calls

    def call(self, at: float, until: float | None) -> Call:
        name = self.take("WORD")
        if name not in CALLS:
            raise WrongScript(f"Unknown system call: {name!r}")
        self.take("(")
        self.expressions(")")
        self.take("=")
        result = self.take("INTEGER", "HEX")
        errno = self.maybe("WORD")
        if errno is not None:
            self.note()
        return Call(at, until, name, int(result, 0), errno)

    def note(self) -> None:
        self.take("(")
        self.take("WORD", "flags")
        while self.maybe("WORD"):
            pass
        self.take(")")

    def expressions(self, end: str) -> None:
        if self.maybe(end):
            return
        self.expression()
        while self.maybe(","):
            self.expression()
        self.take(end)

    def expression(self) -> None:
        if self.maybe("["):
            self.expressions("]")
        elif self.maybe("{"):
            self.struct()
        else:
            self.take("ELLIPSIS", "INTEGER", "HEX", "WORD", "STRING")
        if self.maybe("|"):
            self.expression()

    def struct(self) -> None:
        match self.next():
            case "fd":
                self.members("fd", "events")
                if self.maybe(","):
                    self.members("revents")
            case "onoff":
                self.members("onoff", "linger")
            case "ELLIPSIS":
                self.take()
                self.take(",")
                self.take("INTEGER")
            case _:
                self.msghdr()
        self.take("}")

    def members(self, *names: str) -> None:
        for number, name in enumerate(names):
            if number:
                self.take(",")
            self.take(name)
            self.take("=")
            self.expression()

    def msghdr(self) -> None:
        for kind in ("msg_name", "(", "ELLIPSIS", ")", "=", "ELLIPSIS", ",", "msg_iov", "(", "INTEGER", ")", "=", "["):
            self.take(kind)
        self.expressions("]")
        for kind in (",", "msg_flags", "="):
            self.take(kind)
        self.expression()
