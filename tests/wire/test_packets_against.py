"""tcpdump's notation, held against tcpdump: every frame of every capture, and every message there is."""

from __future__ import annotations

import re
import struct
from itertools import groupby
from pathlib import Path

import pytest

from rawlab.wire.decode import decode
from rawlab.wire.packets import format_packet
from tests.wire.frames import NAMES, capture, ethernet, frames, ipv4, ipv6, tcp, tcpdump, udp, write_pcap

# What tcpdump prints and rawlab does not, and the other way round: a pattern, its replacement, and why.
THEIRS = [
    (r"^(lo|\?) +(In|Out) +", "", "the cooked header's interface and direction"),
    (r"^IP truncated-ip - \d+ bytes missing! ", "IP ", "a remark on the capture"),
    (r"^(\S+ \S+ > \S+: )(?:HBH |DSTOPT |RT6 \(.*?\) )+", r"\1", "extension headers are passed over"),
    (r"^(IP6 \S+) > (\S+): (\d+) > (\d+): ", r"\1.\3 > \2.\4: ", "ports behind extension headers"),
    (r"^(.* > \S+: Flags .*?, length \d+)[: \[].*", r"\1", "what the payload says"),
    (r"sack (\d+) ((?:\{\d+:\d+\})+) ", r"sack \1 \2", "a blank"),
    (r"tfo  cookie", "tfo cookie", "a blank"),
    (r"(ARP, .*, length) \d+$", r"\1 28", "tcpdump counts Ethernet's padding with the message"),
    (r"parameter problem( - octet \d+)", "parameter problem", "the pointer is no fact"),
    (r"(parameter problem, [a-z ]+) - octet \d+", r"\1", "the pointer is no fact"),
    (r"(ICMP router advertisement) .*(, length \d+)$", r"\1\2", "RFC 1256's fields are no facts"),
    (r"(ICMP time stamp (?:query|reply)) .*(, length \d+)$", r"\1\2", "RFC 792's clock is no fact"),
    (r"ICMP address mask is .*, ", "ICMP address mask reply, ", "the mask is no fact"),
    (r"(listener query) v2 \[gaddr (\S+)\]", r"\1 addr: \2", "MLD's versions are told apart by length only"),
    (r"(listener (?:query|report|done))max resp delay: \d+ addr", r"\1 addr", "the delay is no fact"),
    (r"(listener report v2), \d+ group.*(, length \d+)$", r"\1\2", "MLDv2's groups are no facts"),
    (r": (ip-proto-\d+|frag \(\d+\|\d+\))$", ": later fragment", "tcpdump says of fragments with -v only"),
    (
        r"(IP6 \S+) > (\S+): frag \(0\|\d+\) (\d+) > (\d+):",
        r"\1.\3 > \2.\4:",
        "ports behind a fragment header",
    ),
    (r"sack 0 ,", "sack 0,", "a blank"),
    (r" +", " ", "tcpdump prints two blanks here and there"),
]
OURS = [
    (
        r" ip-proto-(\d+) \d+ \(frag \d+@\d+\+?\)$",
        r" later fragment",
        "tcpdump says of fragments with -v only",
    ),
    (r" \(frag \d+@\d+\+?\)$", "", "tcpdump says of fragments with -v only"),
    (r"(Flags \[[A-Z.]*)e\]", r"\1]", "tcpdump 4.99.3 has no letter for AE yet"),
    (r"Flags \[\]", "Flags [none]", "the same"),
]

# Lines on which the two tell different things: what tcpdump's has, what rawlab's must have, and why.
ELSEWHERE = [
    (r": (NTPv|BOOTP|.*\[\|domain\]|.*TXT|\d+[+*-]* .*\(\d+\)$)", r": UDP, ", "UDP's payload, by the port"),
    (r": sctp ", r": sctp ", "tests.wire.test_sctp_against compares them, line by line"),
    (r": GREv1, .*: LCP, ", r": ip-proto-47 ", "a tunnel in which there is no packet"),
    (r": \[\|(tcp|udp|icmp)\]|bad hdr length|bad length", r"\[.* expected, .* there\]", "cut, or it lies"),
    (r"truncated-sctp", r"\[.* expected, .* there\]", "the same"),
    (r", ethertype Unknown |^IP\d \(invalid\)", r"^\[.* expected, .* there\]$", "no IP"),
    (
        r"^IP bad-len 0$",
        r"^IP \S+ > \S+: ",
        "a host that leaves segmentation to its interface: tcpdump refuses",
    ),
    (r"options \[.*(\[\|tcp\]>|\[bad opt\]\])$", r"options \[", "options cut or odd: rawlab gives the whole"),
]


def plain(line: str, rules: list[tuple[str, str, str]]) -> str:
    for pattern, replacement, _ in rules:
        line = re.sub(pattern, replacement, line)
    return line.strip()


def on_the_wire(line: str) -> str:
    """Of a segment longer by its IP header than the frame was, as tcpdump says: with what was there, as rawlab says."""
    missing = re.search(r"truncated-ip - (\d+) bytes missing! .* Flags \[", line)
    if missing is None:
        return line
    return re.sub(r"(seq \d+:|, length )(\d+)", lambda found: f"{found[1]}{int(found[2]) - int(missing[1])}", line)


def differ(theirs: str, ours: str) -> bool:
    """Whether the two lines tell different things, all rules applied."""
    theirs, ours = plain(on_the_wire(theirs), THEIRS), plain(ours, OURS)
    for pattern, instead, _ in ELSEWHERE:
        if re.search(pattern, theirs):
            return not re.search(instead, ours)
    return theirs != ours


def differences(theirs: list[str], ours: list[str]) -> list[str]:
    return [f"tcpdump: {a}  rawlab: {b}" for a, b in zip(theirs, ours, strict=True) if differ(a, b)]


@pytest.mark.parametrize("name", NAMES)
def test_tcpdump_writes_the_same(name: str, tmp_path: Path) -> None:
    """Every frame of every capture; each link type in a file of its own, as tcpdump reads but one a file."""
    raw = sorted(frames(capture(name)), key=lambda frame: frame[1])
    for linktype, group in groupby(raw, key=lambda frame: frame[1]):
        packets = list(group)
        theirs = tcpdump(write_pcap(tmp_path / f"{linktype}.pcap", packets))
        assert len(theirs) == len(packets)
        assert differences(theirs, [format_packet(decode(*frame)) for frame in packets]) == []


def crafted(packets: list[bytes], folder: Path) -> list[str]:
    """Where tcpdump and rawlab differ on these IP packets."""
    kinds = {4: 0x0800, 6: 0x86DD}
    framed = [ethernet(kinds.get(packet[0] >> 4, 0x0806), packet) for packet in packets]
    theirs = tcpdump(write_pcap(folder / "crafted.pcap", [(frame, 1, len(frame)) for frame in framed]))
    assert len(theirs) == len(packets)
    return differences(theirs, [format_packet(decode(frame)) for frame in framed])


def test_tcpdump_writes_icmp_the_same(tmp_path: Path) -> None:
    """Every type and code of ICMP that has a word, some that have none, each kind of quoted packet."""
    quotes = [ipv4(17, udp()), ipv4(6, tcp()), ipv4(132, bytes([0, 5, 0, 7]) + bytes(8))]
    packets = [
        ipv4(1, bytes([kind, code, 0, 0, 0, 0, 5, 120]) + quote)
        for kind in (0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 40)
        for code in range(18 if kind in (3, 5, 11, 12) else 1)
        for quote in quotes
    ]
    packets.append(ipv4(1, bytes([3, 4, 0, 0, 0, 0, 0, 0]) + quotes[0]))
    assert crafted(packets, tmp_path) == []


def test_tcpdump_writes_icmp6_the_same(tmp_path: Path) -> None:
    """The same for ICMPv6; neighbour discovery and MLD with the packet as their addresses."""
    quotes = [ipv6(17, udp()), ipv6(6, tcp()), ipv6(60, b"\x11\0" + bytes(6) + udp())]
    packets = [
        ipv6(58, bytes([kind, code, 0, 0, 0, 0, 5, 120]) + quote)
        for kind in (1, 2, 3, 4, 5, 128, 129, 130, 131, 132, 133, 134, 135, 136, 143, 210)
        for code in range({1: 5, 3: 5, 4: 5}.get(kind, 1))
        for quote in quotes
    ]
    redirect = bytes([137, 0, 0, 0]) + bytes(4) + ipv6(0, b"")[8:] + b"\4\x08" + bytes(6)
    packets.append(ipv6(58, redirect + ipv6(17, bytes(16))))
    assert crafted(packets, tmp_path) == []


def test_tcpdump_writes_arp_the_same(tmp_path: Path) -> None:
    """Requests, replies, gratuitous and reverse ones."""
    zero, mac = bytes(6), bytes.fromhex("020000000001")
    packets = [
        struct.pack(
            "!HHBBH6s4s6s4s",
            1,
            0x0800,
            6,
            4,
            operation,
            mac,
            bytes([10, 0, 0, 1]),
            target,
            bytes([10, 0, 0, 2]),
        )
        for operation in (1, 2, 3, 4, 8, 9)
        for target in (zero, mac)
    ]
    assert crafted(packets, tmp_path) == []


def test_tcpdump_writes_tcp_the_same(tmp_path: Path) -> None:
    """All 256 flags, options of each kind, fragments, IPv6 with extension headers, other protocols."""
    packets = [ipv4(6, tcp(b"", flags=flags)) for flags in range(256)]
    options = [
        b"\2\4\5\xb4\4\2\x08\x0a" + bytes(8) + b"\1\3\3\7",
        b"\1\1\5\x1a" + bytes(range(24)),
        b"\5\2\1\1",
        b"\x22\2\x22\6\1\2\3\4\x22\x0a" + bytes(8),
        b"\xfe\4\xf9\x89\xfe\x08\xf9\x89\1\2\3\4",
        b"\xc8\2\xc8\3\1",
    ]
    packets += [ipv4(6, tcp(options=option)) for option in options]
    packets += [
        ipv4(17, udp(length=3008), fragment=0x2000),
        ipv4(17, bytes(16), fragment=0x2001),
        ipv4(6, bytes(8), fragment=1),
    ]
    packets += [ipv6(44, b"\x11\0\0\1" + bytes(4) + udp(length=3008)), ipv6(44, b"\x11\0\5\xa8" + bytes(12))]
    packets += [ipv6(kind, b"\6\0" + bytes(6) + tcp()) for kind in (0, 43, 60)]
    packets += [ipv4(253, bytes(20)), ipv6(253, bytes(20)), ipv4(17, udp()), ipv6(17, udp(b""))]
    assert crafted(packets, tmp_path) == []
