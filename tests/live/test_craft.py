"""`rawlab craft` with real kernels: what is made is sent as it was shown, what answers is tied to it, and nothing
leaves the lab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rawlab.api import load
from rawlab.arguments import parser
from rawlab.model.craft import MOST_A_SECOND, MOST_PACKETS
from rawlab.wire.checks import checks
from tests.live import runs

SYN = 'IP()/TCP(dport=7, flags="S", seq=1000)'


def crafted(folder: Path, *arguments: str, **more: Any) -> dict[str, Any]:
    """The story of `craft ARGUMENTS`, which must succeed and write a whole file."""
    runs.need_networks()
    words = ("craft", *arguments, "--format", "json", "-o", "a.pcapng", "--force")
    done = runs.rawlab(*words, folder=folder, **more)
    assert done.code == 0, done.err
    assert load(folder / "a.pcapng").timeline.complete
    return done.story


def seen(story: dict[str, Any]) -> list[tuple[str, str]]:
    """(sender, words) of each packet, but for the neighbours' questions and answers."""
    packets = [(packet["from"], packet["text"]) for packet in story["packets"]]
    return [(sender, words) for sender, words in packets if "ARP" not in words and "neighbor" not in words]


def why(story: dict[str, Any], words: str) -> str:
    """Why the packet of these words exists."""
    return next(str(packet["cause"]["reason"]) for packet in story["packets"] if words in packet["text"])


def shown(folder: Path, *arguments: str) -> str:
    """What `craft ARGUMENTS` prints."""
    runs.need_networks()
    done = runs.rawlab("craft", *arguments, "-o", "a.pcapng", "--force", folder=folder)
    assert done.code == 0, done.err
    return done.out


def test_a_syn_to_a_closed_port(folder: Path) -> None:
    """The SYN is the call's, octet for octet; the server's kernel refuses it, and says which packet it refuses."""
    story = crafted(folder, SYN)
    assert [sender for sender, _ in seen(story)] == ["client", "server"]
    assert "sendto (call 2) wrote" in why(story, "[S]")
    assert "no socket listens on port 7: the kernel refuses SYN (packet 3)" in why(story, "[R.]")


def test_a_syn_against_a_server(folder: Path) -> None:
    """SYN-ACK for the listening socket; and the RST of the client's own kernel, which had asked for nothing."""
    story = crafted(folder, SYN, "--against", "tcp-echo")
    assert [sender for sender, _ in seen(story)] == ["client", "server", "client"]
    assert "for the listening socket (listen, call 3)" in why(story, "[S.]")
    assert "no socket asked for SYN-ACK" in why(story, "[R]")
    assert story["packets"][2]["cause"]["calls"] == [call["n"] for call in story["calls"] if call["call"] == "sendto"]


def test_the_labs_port_is_the_default(folder: Path) -> None:
    """Against a lab, a packet that names no port is for that lab's server."""
    story = crafted(folder, "IPv6()/TCP(flags='S')", "--against", "tcp-echo")
    assert "[S.]" in seen(story)[1][1]


def test_a_process_answers(folder: Path) -> None:
    """A datagram that the server's program echoes: its answer is told, and what the client's kernel says to it."""
    out = shown(folder, 'IP()/UDP()/"hi"', "--against", "udp-echo")
    last = out.rstrip().splitlines()[-1]
    assert last.startswith("p3 UDP, len 2: answered by p4 UDP, len 2; p4 by p5 ICMP 10.0.0.1 udp port 40000 unreach")


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ('IP()/UDP(dport=9)/"x"', "ICMP 10.0.0.2 udp port 9 unreachable", "no socket has that UDP port"),
        ('IP()/ICMP(id=5)/"ping"', "ICMP echo reply, id 5", "the kernel answers packet"),
        ("IP(proto=200)/'x'", "ICMP 10.0.0.2 protocol 200 unreachable", "speaks that IP protocol"),
        ('IPv6()/ICMPv6EchoRequest(id=5, data="x")', "ICMP6, echo reply, id 5", "the kernel answers packet"),
        ("IPv6()/UDP(dport=9)/'x'", "unreachable port", "no socket has that UDP port"),
        ("Ether()/ARP()", "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:02", "answers packet 1"),
    ],
)
def test_kernels_answer(folder: Path, text: str, answer: str, reason: str) -> None:
    """Each protocol's own answer, tied to the packet that provoked it."""
    story = crafted(folder, text)
    mine = next(packet["n"] for packet in story["packets"] if packet["cause"]["kind"] == "call")
    reply = next(packet for packet in story["packets"] if answer in packet["text"])
    assert reason in reply["cause"]["reason"]
    assert reply["cause"]["packets"] == [mine]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('IP()/TCP(dport=7, flags="S", chksum=1)', "TCP checksum"),
        ("IP(chksum=1)/ICMP()", "IP header checksum"),
        ("IP(len=99)/ICMP()", "IP total length"),
        ("IP()/UDP(len=99)/'x'", "UDP length"),
    ],
)
def test_what_is_meant_to_be_wrong_is_sent_wrong(folder: Path, text: str, wrong: str) -> None:
    """It arrives as wrong as it was made, nobody answers, and the output says so before and after."""
    out = shown(folder, text)
    assert f"wrong on the wire: {wrong} is " in out
    last = out.rstrip().splitlines()[-1]
    assert "no answer came" in last
    assert f"{wrong} wrong: " in last
    (packet,) = [packet for packet in load(folder / "a.pcapng").packets if packet.cause.kind == "call"]
    assert packet.arrived_ns is not None
    assert wrong in [check.name for check in checks(packet.data, 1) if not check.right]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ('IP(src="10.0.0.77")/TCP(flags="S")', "ARP for 10.0.0.77 (p4"),
        ('IP(src="10.0.0.77")/UDP()', "ARP for 10.0.0.77 (p4"),
        ('Ether()/IPv6(src="fd00::77")/TCP(flags="S")', "neighbour discovery for fd00::77 (p2"),
    ],
)
def test_an_answer_that_cannot_leave(folder: Path, text: str, asked: str) -> None:
    """To an address that is nobody's: it is said who asks for whom in vain, and that address has no state."""
    last = shown(folder, text)
    assert f"no answer came, nor could one: nobody answers {asked}" in last
    states = [dict(packet.states) for packet in load(folder / "a.pcapng").packets if packet.cause.kind == "call"]
    assert [each.get("client") for each in states] == [None]


def test_several_packets_in_order(folder: Path) -> None:
    """Descriptions one after the other, the whole --count times."""
    story = crafted(folder, "IP()/ICMP(seq=(1, 2))", 'IP()/UDP(dport=9)/"x"', "--count", "3", "--rate", "200")
    mine = [words.partition(": ")[2] for sender, words in seen(story) if sender == "client"]
    pings = [f"ICMP echo request, id 0, seq {n}, length 8" for n in (1, 2)]
    assert mine == [*pings, "UDP, length 1"] * 3


def test_a_captured_packet_sent_again(folder: Path) -> None:
    """A frame of a capture, by the file's count or by the table's, with a field changed."""
    first = crafted(folder, SYN)
    number = next(packet for packet in first["packets"] if "[S]" in packet["text"])
    (folder / "a.pcapng").rename(folder / "b.pcapng")
    for which in (f"p{number['n']}", str(number["frames"][0])):
        story = crafted(folder, "--from", f"b.pcapng:{which}", "--set", "tcp.dport=8", "--set", "ip.ttl=9")
        assert "no socket listens on port 8" in why(story, "[R.]")


def test_an_ordinary_user(folder: Path) -> None:
    """In a user namespace: raw and packet sockets alike."""
    runs.need_networks()
    user = runs.ordinary_user(folder)
    story = crafted(folder, SYN, "IP(chksum=1)/ICMP()", "--against", "tcp-echo", user=user)
    assert "[S.]" in " ".join(words for _, words in seen(story))
    assert "the whole frame is what send (call" in why(story, "ICMP echo request")


def test_show_sends_nothing(folder: Path) -> None:
    """--show needs no privilege, makes no file and no process, and prints every field with its place."""
    user = None
    if not os.geteuid():
        runs.need_root()
        user = runs.NOBODY
    done = runs.rawlab("craft", SYN, "--show", folder=folder, user=user)
    assert (done.code, done.err, os.listdir(folder)) == (0, "", [])
    assert "36–37     TCP checksum        the pseudo-header (10.0.0.1, 10.0.0.2, protocol 6, length 20)" in done.out
    assert "24       32      seq       1000" in done.out


def test_nothing_is_evaluated(folder: Path) -> None:
    """Code in a description is text."""
    words = ["__import__('os').system('touch made')", "IP(dst=open('made', 'w'))", "IP()/TCP(dport=exec('1'))"]
    for text in words:
        done = runs.rawlab("craft", text, folder=folder)
        assert done.code == 2
        assert "at column" in done.says_one_line()
        assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "one packet or more"),
        (("IP()/TPC()",), "nearest: TCP"),
        (("IP()/TCP()", "--set", "tcp.dprt=7"), "nearest: dport"),
        (("IP()/TCP()", "--set", "tcp.dport=70000"), "a number from 0 to 65535"),
        (("IP()/TCP()", "IP()/UDP()", "--set", "icmp.id=7"), "no packet has a layer icmp"),
        (("IP()/TCP()", "--keep", "ip.chksum"), "--from FILE:12"),
        (("IP()/TCP()", "--against", "tcp-ecko"), "nearest: tcp-echo"),
        (("IP()/TCP()", "--against", "raw-traceroute"), "a router is before its server"),
        (("IP()/TCP()", "--count", "10001"), "1 to 10000"),
        (("IP()/TCP()", "--count", "0"), "from 1 to 10000 (with --flood, to 100000000) expected, '0' came"),
        (("IP()/TCP()", "--ipv6"), "description says which it is, as IPv6()/UDP(); see rawlab craft --help"),
        (("IP()/TCP()", "--from", "a.pcapng:1"), "one or the other"),
        (("IP()/TCP()", "--show", "--format", "json"), "--show: prints the packets' fields, and sends nothing"),
        (("IP()/TCP()", "--show", "-o", "a.pcapng"), "leave --output out"),
        (("IP()/TCP()", "--flood", "--vary", "tcp.sport=9-3"), "9 is above 3; the lower one first: tcp.sport=3-9"),
        (("IP()/TCP()", "--rate", "1001"), "1 to 1000"),
        (("IP()/TCP()", "--wait", "-1"), "--wait"),
        (("IP()/TCP()", "--wait", "61"), "0 to 60"),
        (('IP(dst="10.0.0.0/28")/TCP()', "--count", "1000"), "10000 in all at most"),
        (("IP()/TCP()", "--format", "jsn"), "json"),
        (("--from", "a.pcapng"), "FILE:12"),
        (("IP()", "--outside"), "name the interface"),
        (("IP()", "--interface", "nosuch0"), "no such interface; there are: "),
        (("IP()", "--interface", "lo"), "is outside the lab"),
        (("IP()", "--interface", "lo", "--outside"), "--count N and --rate PPS"),
        (("IP()", "--interface", "lo", "--outside", "--count", "1"), "--count N and --rate PPS"),
    ],
)
def test_bad_words(folder: Path, words: tuple[str, ...], says: str) -> None:
    """One line, exit code 2, and nothing is made or sent."""
    done = runs.rawlab("craft", *words, folder=folder)
    assert done.code == 2
    assert says in done.says_one_line()
    assert os.listdir(folder) == []


def test_a_packet_that_is_not_in_the_file(folder: Path) -> None:
    """The file's own numbers are told; a file that is none is 4."""
    crafted(folder, SYN)
    for which, says in (("p99", "p1 to p4"), ("9999", "numbers go from")):
        done = runs.rawlab("craft", "--from", f"a.pcapng:{which}", folder=folder)
        assert done.code == 2
        assert says in done.says_one_line()
    assert runs.rawlab("craft", "--from", "nosuch:1", folder=folder).code == 4


def test_the_bounds_are_those_of_the_model() -> None:
    """The words' bounds and the values' are the same."""
    words = ["craft", "IP()", "--count", str(MOST_PACKETS), "--rate", str(MOST_A_SECOND)]
    arguments = parser().parse_args(words)
    assert (arguments.count, arguments.rate) == (MOST_PACKETS, MOST_A_SECOND)


def test_tshark_reads_what_was_sent(folder: Path) -> None:
    """tshark finds the packets whole, and no malformed one."""
    runs.need("tshark")
    crafted(folder, SYN, 'IP()/UDP(dport=53)/DNS(qd=DNSQR(qname="a.b"))', "Ether()/ARP()", "IPv6()/ICMPv6EchoRequest()")
    asked = ["-T", "fields", "-e", "frame.protocols", "-e", "_ws.malformed"]
    lines = runs.tshark(folder / "a.pcapng", "-Y", "frame", *asked)
    for protocol in ("tcp", "dns", "arp", "icmpv6"):
        assert any(protocol in line.split("\t")[0] for line in lines), protocol
    assert not any(line.partition("\t")[2] for line in lines)
