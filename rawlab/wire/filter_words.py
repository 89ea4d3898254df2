"""A filter in words, compiled to classic BPF (Linux, filter.rst; bpf(4)): no libpcap is needed, no name is looked up.

    host A · src host A · dst host A · port N · src port N · dst port N     A: an IPv4 or IPv6 address
    tcp · udp · sctp · icmp · icmp6 · arp · ip · ip6                        alone, or as in 'tcp dst port 80'
    syn · fin · rst · psh · ack · urg · ece · cwr                           or as tcpdump has it, tcp[syn]
    not · and · or · ( )                                                    or ! && ||

The meaning is pcap-filter(7)'s: `not` binds strongest, `and` and `or` bind alike, from left to right; a port is TCP's,
UDP's or SCTP's of a packet that is no later fragment; a host is an IP packet's or an ARP message's. The flags, which
tcpdump knows for IPv4 alone, are read in IPv6 too.

How it works: words ─▶ a tree of tests ─▶ steps of the machine, each test ending in a jump to where the whole is true or
false. All jumps lead forward; one that is farther than a conditional jump reaches goes by way of an unconditional one.
"""

from __future__ import annotations

import difflib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from rawlab.errors import UsageError

MOST_STEPS = 4096
"BPF_MAXINSNS: of a longer program the kernel wants nothing"
_MOST_WORDS = 500

_ETHERTYPES = {"ip": 0x0800, "ip6": 0x86DD, "arp": 0x0806}
_RARP = 0x8035  # tcpdump's `host` looks into it too
_PROTOCOLS = {"tcp": (6, "both"), "udp": (17, "both"), "sctp": (132, "both"), "icmp": (1, "ip"), "icmp6": (58, "ip6")}
_WITH_PORTS = ("tcp", "udp", "sctp")
_FRAGMENT = 44  # IPv6's header of that (RFC 8200 section 4.5)
_FLAGS = {name: 1 << bit for bit, name in enumerate(("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"))}
_JOINS = {"and": "and", "&&": "and", "or": "or", "||": "or"}
_NOTS = ("not", "!")
_STARTS = (*_ETHERTYPES, *_PROTOCOLS, *_FLAGS, "src", "dst", "host", "port", "not", "(")

# Offsets in an Ethernet frame.
_TYPE, _IP4, _IP6 = 12, 14, 14
_LD, _LDH, _LDB, _LDH_X, _LDB_X, _LDX_IHL, _JA, _JEQ, _JSET, _RET = (
    *(0x20, 0x28, 0x30, 0x48, 0x50, 0xB1, 0x05, 0x15, 0x45, 0x06),
)
_KEEP = 0x40000


@dataclass(frozen=True, slots=True)
class Equal:
    """Whether what stands at an offset has a value (or, with `any_bit`, one of its bits)."""

    opcode: int
    "how it is loaded"
    offset: int
    value: int
    any_bit: bool = False
    behind_ipv4: bool = False
    "the offset counts from the IPv4 header's end, less 14"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Whether every part is true."""

    parts: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Whether one part is true."""

    parts: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Whether the part is not true."""

    part: Test


Test = Equal | AllOf | AnyOf | Not


def compile_words(words: Sequence[str]) -> bytes:
    """The program, an array of struct sock_filter for Ethernet frames; b'' for no words. Raises UsageError."""
    tokens = _tokens(" ".join(words))
    return _assemble(_Reader(tokens).whole()) if tokens else b""


# ------------------------------------------------------------------------------------------------ words


def _tokens(text: str) -> list[tuple[str, int]]:
    """Words and where they begin, from 1."""
    found = [
        (match[0], match.start() + 1)
        for match in re.finditer(r"tcp\[\s*\w*\s*\]|&&|\|\||[()!]|[^\s()!&|]+|[&|]", text.lower())
    ]
    if len(found) > _MOST_WORDS:
        raise UsageError(f"filter: {_MOST_WORDS} words at the most, {len(found)} came")
    return found


class _Reader:
    """The words, from left to right."""

    def __init__(self, tokens: Sequence[tuple[str, int]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        test = self._joined()
        if self._peek() is not None:
            raise self._expected("'and' or 'or'", ("and", "or"))
        return test

    def _peek(self) -> str | None:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else None

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _expected(self, what: str, known: Sequence[str] = ()) -> UsageError:
        """What was expected here, what came, and the words that are near it."""
        came = self._peek()
        if came is None:
            return UsageError(f"filter: at its end: {what} expected")
        near = difflib.get_close_matches(came, known, 2, 0.5)
        nearest = f"; nearest: {', '.join(near)}" if near else ""
        return UsageError(f"filter: at character {self._tokens[self._at][1]}: {what} expected, {came!r} came{nearest}")

    def _joined(self) -> Test:
        test = self._negated()
        while (join := _JOINS.get(self._peek() or "")) is not None:
            self._take()
            other = self._negated()
            test = AllOf((test, other)) if join == "and" else AnyOf((test, other))
        return test

    def _negated(self) -> Test:
        negations = 0
        while self._peek() in _NOTS:
            self._take()
            negations += 1
        test = self._single()
        return Not(test) if negations % 2 else test

    def _single(self) -> Test:
        if self._peek() == "(":
            return self._group()
        word = self._peek() or ""
        flag = word[4:-1].strip() if word.startswith("tcp[") and word.endswith("]") else word
        if flag in _FLAGS:
            self._take()
            return _has_flag(_FLAGS[flag])
        if word.startswith("tcp["):
            raise self._expected(f"one of TCP's flags ({', '.join(_FLAGS)})", [f"tcp[{name}]" for name in _FLAGS])
        return self._primitive()

    def _group(self) -> Test:
        self._take()
        self._depth += 1
        if self._depth > 50:
            raise UsageError("filter: 50 parentheses within each other at the most")
        test = self._joined()
        if self._peek() != ")":
            raise self._expected("')', 'and' or 'or'")
        self._take()
        self._depth -= 1
        return test

    def _primitive(self) -> Test:
        """[protocol] [src|dst] [host A|port N], or a protocol alone."""
        start = self._peek() or ""
        protocol = self._take() if start in _PROTOCOLS or start in _ETHERTYPES else None
        way = self._take() if self._peek() in ("src", "dst") else None
        kind = self._peek()
        if kind == "port":
            if protocol in ("ip", "ip6", "arp", "icmp", "icmp6"):
                raise UsageError(f"filter: '{protocol} port': ports are {', '.join(_WITH_PORTS)}'s")
            self._take()
            return _port(self._number(), protocol, way)
        if kind == "host" or (way is not None and kind is not None):
            if protocol in _PROTOCOLS:
                raise UsageError(f"filter: '{protocol} host': say '{protocol} and host …'")
            if kind == "host":
                self._take()
            return _host(self._address(), protocol, way)
        if way is not None:
            raise self._expected("'host A' or 'port N'", ("host", "port"))
        if protocol is None:
            raise self._expected("a host, port, protocol or flag", _STARTS)
        return _protocol(protocol)

    def _number(self) -> int:
        word = self._peek() or ""
        if not (word.isascii() and word.isdecimal() and int(word) <= 0xFFFF):
            raise self._expected("a port, 0 to 65535,")
        self._take()
        return int(word)

    def _address(self) -> bytes:
        word = self._peek() or ""
        try:
            packed = ip_address(word).packed
        except ValueError:
            raise self._expected("an IPv4 or IPv6 address (no name is looked up)") from None
        if "%" in word:
            raise self._expected("an address without its interface")
        self._take()
        return packed


# ------------------------------------------------------------------------------------------------ tests


def _ethertype(value: int) -> Test:
    return Equal(_LDH, _TYPE, value)


def _protocol(name: str) -> Test:
    """tcpdump's: in IPv6 also behind a fragment header."""
    if name in _ETHERTYPES:
        return _ethertype(_ETHERTYPES[name])
    number, versions = _PROTOCOLS[name]
    ipv4 = AllOf((_ethertype(_ETHERTYPES["ip"]), Equal(_LDB, _IP4 + 9, number)))
    behind = AllOf((Equal(_LDB, _IP6 + 6, _FRAGMENT), Equal(_LDB, _IP6 + 40, number)))
    ipv6 = AllOf((_ethertype(_ETHERTYPES["ip6"]), AnyOf((Equal(_LDB, _IP6 + 6, number), behind))))
    found: dict[str, Test] = {"ip": ipv4, "ip6": ipv6, "both": AnyOf((ipv4, ipv6))}
    return found[versions]


def _either(way: str | None, source: Test, destination: Test) -> Test:
    return {"src": source, "dst": destination, None: AnyOf((source, destination))}[way]


def _host(address: bytes, protocol: str | None, way: str | None) -> Test:
    if len(address) == 16:
        if protocol in ("ip", "arp"):
            raise UsageError(f"filter: '{protocol} host' wants an IPv4 address, an IPv6 address came")
        found = _either(way, _words_at(_IP6 + 8, address), _words_at(_IP6 + 24, address))
        return AllOf((_ethertype(_ETHERTYPES["ip6"]), found))
    if protocol == "ip6":
        raise UsageError("filter: 'ip6 host' wants an IPv6 address, an IPv4 address came")
    ipv4 = AllOf((_ethertype(0x0800), _either(way, _words_at(_IP4 + 12, address), _words_at(_IP4 + 16, address))))
    asked = _either(way, _words_at(28, address), _words_at(38, address))
    arp = AllOf((_ethertype(0x0806), asked))
    rarp = AllOf((_ethertype(_RARP), asked))
    kinds: dict[str | None, Test] = {"ip": ipv4, "arp": arp, None: AnyOf((ipv4, arp, rarp))}
    return kinds[protocol]


def _words_at(offset: int, octets: bytes) -> Test:
    words = (int.from_bytes(octets[at : at + 4], "big") for at in range(0, len(octets), 4))
    tests = tuple(Equal(_LD, offset + 4 * index, word) for index, word in enumerate(words))
    return tests[0] if len(tests) == 1 else AllOf(tests)


def _port(number: int, protocol: str | None, way: str | None) -> Test:
    wanted = (protocol,) if protocol else _WITH_PORTS
    numbers = [_PROTOCOLS[name][0] for name in wanted]
    ports4 = _either(
        way, Equal(_LDH_X, _IP4, number, behind_ipv4=True), Equal(_LDH_X, _IP4 + 2, number, behind_ipv4=True)
    )
    ports6 = _either(way, Equal(_LDH, _IP6 + 40, number), Equal(_LDH, _IP6 + 42, number))
    four = AnyOf(tuple(Equal(_LDB, _IP4 + 9, value) for value in numbers))
    six = AnyOf(tuple(Equal(_LDB, _IP6 + 6, value) for value in numbers))
    ipv4 = AllOf((_ethertype(0x0800), four, _not_later_fragment(), ports4))
    return AnyOf((ipv4, AllOf((_ethertype(0x86DD), six, ports6))))


def _not_later_fragment() -> Test:
    return Not(Equal(_LDH, _IP4 + 6, 0x1FFF, any_bit=True))


def _has_flag(bit: int) -> Test:
    ipv4 = AllOf(
        (
            _ethertype(0x0800),
            Equal(_LDB, _IP4 + 9, 6),
            _not_later_fragment(),
            Equal(_LDB_X, _IP4 + 13, bit, any_bit=True, behind_ipv4=True),
        )
    )
    ipv6 = AllOf((_ethertype(0x86DD), Equal(_LDB, _IP6 + 6, 6), Equal(_LDB, _IP6 + 53, bit, any_bit=True)))
    return AnyOf((ipv4, ipv6))


# ---------------------------------------------------------------------------------------------- program

_Step = tuple[int, int, int | None, int | None]
"(opcode, operand, label if true, label if false); a label is None where there is no jump"


class _Program:
    """Steps in order, and where each label stands."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.places: dict[int, int] = {}
        self._labels = 0

    def label(self) -> int:
        self._labels += 1
        return self._labels

    def place(self, label: int) -> None:
        self.places[label] = len(self.steps)

    def test(self, test: Test, true: int, false: int) -> None:
        """Steps that jump to one label or the other."""
        match test:
            case Not(part):
                self.test(part, false, true)
            case AllOf(parts) | AnyOf(parts):
                for part in parts[:-1]:
                    after = self.label()
                    self.test(part, *((after, false) if isinstance(test, AllOf) else (true, after)))
                    self.place(after)
                self.test(parts[-1], true, false)
            case Equal():
                if test.behind_ipv4:
                    self.steps.append((_LDX_IHL, _IP4, None, None))
                self.steps.append((test.opcode, test.offset, None, None))
                self.steps.append((_JSET if test.any_bit else _JEQ, test.value, true, false))


def _assemble(test: Test) -> bytes:
    program = _Program()
    true, false = program.label(), program.label()
    program.test(test, true, false)
    program.place(true)
    program.steps.append((_RET, _KEEP, None, None))
    program.place(false)
    program.steps.append((_RET, 0, None, None))
    far = _far(program)
    starts = _starts(program, far)
    if starts[-1] > MOST_STEPS:
        raise UsageError(f"filter: too long: {starts[-1]} steps of the kernel's machine, {MOST_STEPS} at the most")
    out = []
    for index, (opcode, operand, yes, no) in enumerate(program.steps):
        here = starts[index]
        if yes is None or no is None:
            out.append((opcode, 0, 0, operand))
            continue
        to_yes, to_no = starts[program.places[yes]], starts[program.places[no]]
        if index in far:
            out += [(opcode, 0, 1, operand), (_JA, 0, 0, to_yes - here - 2), (_JA, 0, 0, to_no - here - 3)]
        else:
            out.append((opcode, to_yes - here - 1, to_no - here - 1, operand))
    return b"".join(struct.pack("=HBBI", *step) for step in out)


def _far(program: _Program) -> set[int]:
    """The jumps that pass over more than 255 steps; each that is found moves those around it farther apart."""
    far: set[int] = set()
    while True:
        starts = _starts(program, far)
        more = {
            index
            for index, (_, _, yes, no) in enumerate(program.steps)
            if yes is not None and no is not None and index not in far
            if max(starts[program.places[yes]], starts[program.places[no]]) - starts[index] - 1 > 255
        }
        if not more:
            return far
        far |= more


def _starts(program: _Program, far: set[int]) -> list[int]:
    """Where each step begins, and where the last one ends."""
    starts = [0]
    for index in range(len(program.steps)):
        starts.append(starts[-1] + (3 if index in far else 1))
    return starts
