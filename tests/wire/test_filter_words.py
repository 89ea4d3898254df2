"""Filters in words: each program lets through what tcpdump's does, and a word that is wrong is told in one line."""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from rawlab import store
from rawlab.errors import UsageError
from rawlab.wire.filter_words import compile_words
from tests.live import runs
from tests.wire import bpf

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))


def flag(bit: int) -> str:
    """tcpdump's words for one of TCP's flags; its own `tcp[13]` reads IPv4 alone."""
    return f"(tcp[13] & {bit} != 0 or (ip6[6] == 6 and ip6[53] & {bit} != 0))"


FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}
SINGLES = {
    **{word: word for word in ("tcp", "udp", "sctp", "icmp", "icmp6", "arp", "ip", "ip6")},
    **{f"{way}port {n}": f"{way}port {n}" for way in ("", "src ", "dst ") for n in (7, 9)},
    **{words: words for words in (f"{name} {way}port 7" for name in ("tcp", "udp", "sctp") for way in ("", "src "))},
    **{
        f"{way}host {address}": f"{way}host {address}"
        for way in ("", "src ", "dst ")
        for address in ("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2")
    },
    "ip host 10.0.0.1": "ip host 10.0.0.1",
    "arp src host 10.0.0.1": "arp src host 10.0.0.1",
    "arp dst 10.0.0.2": "arp dst host 10.0.0.2",
    "ip6 dst host fd00::2": "ip6 dst host fd00::2",
    **{name: flag(bit) for name, bit in FLAGS.items()},
    **{f"tcp[{name}]": flag(bit) for name, bit in FLAGS.items()},
}


def joined(chance: random.Random, depth: int) -> tuple[str, str]:
    """A filter of several, in our words and in tcpdump's."""
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(sorted(SINGLES.items()))
    if chance.random() < 0.25:
        ours, its = joined(chance, depth - 1)
        return f"{chance.choice(('not', '!'))} ({ours})", f"not ({its})"
    (ours, its), (more, its_more) = joined(chance, depth - 1), joined(chance, depth - 1)
    join = chance.choice(("and", "or"))
    if chance.random() < 0.5:  # and, or: alike strong, from left to right
        return f"{ours} {join} {more}", f"{its} {join} {its_more}"
    return f"({ours}) {join} ({more})", f"({its}) {join} ({its_more})"


@cache
def frames() -> list[bytes]:
    """Every packet of every capture of the repository, then over IPv6 and with fragments, made by scapy."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
    from scapy.layers.l2 import ARP, Ether
    from scapy.layers.sctp import SCTP

    six = Ether() / IPv6(src="fd00::1", dst="fd00::2")
    four = Ether() / IP(src="10.0.0.1", dst="10.0.0.2")
    made = [
        six / TCP(dport=7, sport=40000, flags="SA"),
        six / TCP(dport=40000, sport=7, flags="FA"),
        six / UDP(dport=9, sport=7),
        six / SCTP(dport=9, sport=7),
        six / IPv6ExtHdrFragment(nh=6, id=1, m=1) / TCP(dport=7),
        six / IPv6ExtHdrFragment(nh=17, id=1, offset=5) / (b"x" * 40),
        four / ICMP(),
        six / ICMPv6EchoRequest(),
        Ether() / IPv6(src="fd00::2", dst="fd00::1") / TCP(dport=9, sport=7, flags="U"),
        four / SCTP(dport=7, sport=9),
        Ether() / IP(src="10.0.0.1", dst="10.0.0.2", options=b"\x01\x01\x01\x00") / TCP(dport=9, flags="R"),
        *fragment(four / UDP(dport=7) / (b"x" * 3000)),
        Ether() / ARP(psrc="10.0.0.1", pdst="10.0.0.2"),
        Ether(type=0x8035) / ARP(psrc="10.0.0.1", pdst="10.0.0.9"),
        Ether(type=0x88CC) / (b"y" * 60),
    ]
    captured = [bytes(frame.data) for path in CAPTURES for frame in store.load(path).frames]
    assert len(captured) > 500
    return [*captured, *map(bytes, made)]


def tcpdumps_verdicts(its: str, folder: Path) -> list[bool]:
    """Which of the frames tcpdump lets through."""
    from rawlab.wire import pcapng

    file = folder / "all.pcapng"
    if not file.exists():
        blocks = [pcapng.section_header(), pcapng.interface_description(1, "all")]
        for n, data in enumerate(frames(), 1):
            record = pcapng.PacketRecord(interface=0, at_ns=n * 10**9, data=memoryview(data), length=len(data))
            blocks.append(pcapng.enhanced_packet(record))
        file.write_bytes(b"".join(blocks))
    told = subprocess.run(["tcpdump", "-n", "-tt", "-r", file, its], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 or "rejects all packets" in told.stderr, told.stderr
    kept = {int(line.split(".")[0]) for line in told.stdout.splitlines() if line[:1].isdigit()}
    return [n in kept for n in range(1, len(frames()) + 1)]


def verdicts(ours: str) -> list[bool]:
    program = compile_words(ours.split())
    return [bpf.run(program, frame) > 0 for frame in frames()]


def agree(pairs: Sequence[tuple[str, str]], folder: Path) -> int:
    """How many frames all of the filters let through; each as tcpdump's does."""
    runs.need("tcpdump")
    passed = 0
    for ours, its in pairs:
        mine = verdicts(ours)
        assert mine == tcpdumps_verdicts(its, folder), ours
        passed += sum(mine)
    return passed


def test_each_word_means_what_it_means_to_tcpdump(tmp_path: Path) -> None:
    """Over all packets of the repository's captures, IPv6 and fragments."""
    for ours, its in SINGLES.items():
        passed = agree([(ours, its)], tmp_path)
        assert passed > 0, ours


def test_words_joined_mean_what_they_mean_to_tcpdump(tmp_path: Path) -> None:
    """not, and, or, parentheses, at random."""
    chance = random.Random(runs.seed())
    assert agree([joined(chance, 4) for _ in range(runs.repetitions(60))], tmp_path) > 0


def test_far_jumps(tmp_path: Path) -> None:
    """A filter whose program is longer than a conditional jump reaches (255 steps)."""
    many = " or ".join(f"host fd00::{n:x}" for n in range(2, 40))
    program = compile_words(many.split())
    assert len(program) // 8 > 512
    assert agree([(f"not ({many}) and tcp", f"not ({many}) and tcp"), (many, many)], tmp_path) > 0


def test_the_kernel_takes_every_program() -> None:
    """Attached to a socket (SO_ATTACH_FILTER), the near and the far ones."""
    import ctypes
    import struct

    chance = random.Random(runs.seed())
    filters = [*SINGLES, *(joined(chance, 6)[0] for _ in range(50)), " or ".join(f"port {n}" for n in range(60))]
    for words in filters:
        program = compile_words(words.split())
        memory = ctypes.create_string_buffer(program)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(memory))
            one.setsockopt(socket.SOL_SOCKET, 26, fprog)


def test_no_words_no_program() -> None:
    """Everything passes."""
    assert compile_words([]) == b""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("hots 10.0.0.1", "at character 1: a host, port, protocol or flag expected, 'hots' came; nearest: host"),
        ("tcp and prot 7", "at character 9: a host, port, protocol or flag expected, 'prot' came; nearest: port"),
        ("tcp adn udp", "at character 5: 'and' or 'or' expected, 'adn' came; nearest: and"),
        ("port", "at its end: a port, 0 to 65535, expected"),
        ("port 65536", "at character 6: a port, 0 to 65535, expected, '65536' came"),
        ("port http", "at character 6: a port, 0 to 65535, expected, 'http' came"),
        ("host localhost", "at character 6: an IPv4 or IPv6 address (no name is looked up) expected, 'localhost' came"),
        ("host fe80::1%eth0", "at character 6: an address without its interface expected, 'fe80::1%eth0' came"),
        ("src", "at its end: 'host A' or 'port N' expected"),
        ("(tcp", "at its end: ')', 'and' or 'or' expected"),
        ("tcp)", "at character 4: 'and' or 'or' expected, ')' came"),
        ("not", "at its end: a host, port, protocol or flag expected"),
        ("tcp[sin]", "rst, psh, ack, urg, ece, cwr) expected, 'tcp[sin]' came; nearest: tcp[syn]"),
        ("icmp port 7", "'icmp port': ports are tcp, udp, sctp's"),
        ("tcp host 10.0.0.1", "'tcp host': say 'tcp and host …'"),
        ("ip host fd00::1", "'ip host' wants an IPv4 address, an IPv6 address came"),
        ("ip6 host 10.0.0.1", "'ip6 host' wants an IPv6 address, an IPv4 address came"),
        ("(" * 60 + "tcp" + ")" * 60, "50 parentheses within each other at the most"),
        ("tcp " * 501, "500 words at the most, 501 came"),
        (" or ".join(f"port {n}" for n in range(160)), "filter: too long"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(words: str, told: str) -> None:
    """Where, what was expected, what came, the nearest word: one line."""
    with pytest.raises(UsageError) as error:
        compile_words(words.split())
    assert told in str(error.value)
    assert str(error.value).startswith("filter: ")
    assert "\n" not in str(error.value)


def test_any_words_give_a_program_or_a_usage_error() -> None:
    """5,000 at random: nothing else is raised."""
    chance = random.Random(runs.seed())
    known = [*SINGLES, "(", ")", "and", "or", "not", "src", "dst", "host", "port", "7", "::", "\x1b", "é", "tcp[", "²"]
    compiled = 0
    for _ in range(5000):
        words = " ".join(chance.choice(known) for _ in range(chance.randrange(1, 8))).split()
        try:
            compiled += bool(compile_words(words))
        except UsageError:
            continue
    assert compiled > 100
