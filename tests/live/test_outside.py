"""Nothing leaves a lab unless all of it was asked for in words: more than 50 ways tried, and a counter outside.

The tests run rawlab in a network of their own, with a way out by default, so that whatever left a lab would be counted
there: on `out` (whose other end, `there`, has a neighbour for every route), and on `lo`.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rawlab.api import load
from tests.live import runs

# IPv6 is on, but speaks of nothing by itself, or has spoken when the tests begin.
_OUT = """
    for file in accept_ra router_solicitations dad_transmits autoconf; do
        echo 0 >/proc/sys/net/ipv6/conf/default/$file; done
    echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    ip link add out type veth peer name there; ip link property add dev out altname way-out
    ip link set out address 02:00:00:00:09:01 up; ip link set there up; ip link set lo up
    ip addr add 192.168.9.1/24 dev out; ip -6 addr add 2001:db8::1/64 dev out nodad
    ip neigh add 192.168.9.2 lladdr 02:00:00:00:09:02 dev out; ip neigh add fe80::2 lladdr 02:00:00:00:09:02 dev out
    ip route add default via 192.168.9.2; ip -6 route add default via fe80::2 dev out
    echo ready; exec sleep 3600"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The network outside of the labs."""

    pid: int
    "of a process in it"

    @property
    def words(self) -> list[str]:
        """What goes before a command that is to run there."""
        return ["nsenter", "-n", "-t", str(self.pid)]

    def counted(self) -> str:
        """What its interfaces count."""
        return Path(f"/proc/{self.pid}/net/dev").read_text()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """A network with a way out, quiet."""
    runs.need_root()
    runs.need("ip", "nsenter", "unshare")
    process = subprocess.Popen(["unshare", "-n", "sh", "-ec", _OUT], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            pytest.skip("a veth pair with IPv6 is refused here")
        found = Outside(pid=process.pid)
        before, since = found.counted(), time.monotonic()
        deadline = since + 30
        while time.monotonic() < min(since + 2, deadline):
            time.sleep(0.05)
            if (now := found.counted()) != before:
                before, since = now, time.monotonic()
        yield found
    finally:
        process.kill()
        process.communicate()


OTHER = "192.168.9.2"
"a neighbour outside"
IN_THE_LAB = (
    # by a route, or by none
    'IP(dst="8.8.8.8")/UDP()/"x"',
    'IP(dst="192.168.9.2")/ICMP()',
    'IP(src="192.168.9.1", dst="192.168.9.2")/ICMP()',
    'IP(dst="192.168.9.1")/TCP(flags="S")',
    'IP(src="8.8.8.8", dst="10.0.0.2")/TCP(flags="S")',
    'IP(src="8.8.8.8", dst="10.0.0.2")/UDP(dport=9)/"x"',
    'IP(dst="0.0.0.0")/ICMP()',
    'IP(src="0.0.0.0", dst="10.0.0.2")/ICMP()',
    'IP(dst="127.0.0.1")/ICMP()',
    'IP(src="127.0.0.1", dst="10.0.0.2")/TCP(flags="S")',
    'IP(dst="127.255.255.254")/UDP()',
    'IP(dst="169.254.1.1")/UDP()',
    'IP(dst="240.0.0.1")/ICMP()',
    # to all, and to many
    'IP(dst="255.255.255.255")/UDP(dport=67)',
    'IP(dst="10.0.0.255")/ICMP()',
    'IP(dst="192.168.9.255")/UDP()',
    'IP(dst="224.0.0.1")/ICMP()',
    'IP(dst="239.255.255.250", ttl=255)/UDP(dport=1900)/"x"',
    'IP(src="0.0.0.0", dst="255.255.255.255")/UDP(sport=68, dport=67)/BOOTP()/DHCP(options=["end"])',
    # IPv6: link-local, mapped, site-local, multicast, global
    'IPv6(dst="fe80::2")/ICMPv6EchoRequest()',
    'IPv6(src="fe80::1", dst="fe80::2")/UDP()',
    'IPv6(dst="::1")/ICMPv6EchoRequest()',
    'IPv6(dst="::ffff:192.168.9.2")/TCP(flags="S")',
    'IPv6(src="::ffff:192.168.9.1", dst="::ffff:8.8.8.8")/UDP()',
    'IPv6(dst="::192.168.9.2")/ICMPv6EchoRequest()',
    'IPv6(dst="2001:db8::2")/UDP()/"x"',
    'IPv6(src="2001:db8::1", dst="2001:db8::1")/TCP(flags="S")',
    'IPv6(dst="ff02::1")/ICMPv6EchoRequest()',
    'IPv6(dst="ff0e::1")/UDP()',
    'IPv6(dst="64:ff9b::808:808")/ICMPv6EchoRequest()',
    'IPv6(dst="::")/ICMPv6EchoRequest()',
    # ways that a packet names itself
    'IP(dst="10.0.0.2", options=[IPOption_LSRR(routers=["192.168.9.2"])])/ICMP()',
    'IP(dst="10.0.0.2", options=[IPOption_SSRR(routers=["8.8.8.8"])])/UDP()',
    'IPv6()/IPv6ExtHdrRouting(addresses=["2001:db8::2"])/ICMPv6EchoRequest()',
    'IP(dst="10.0.0.2", proto=4)/IP(dst="192.168.9.2")/UDP()',
    'IP(dst="192.168.9.2", proto=41)/IPv6(dst="2001:db8::2")/UDP()',
    'IP(dst="10.0.0.2", proto=47)/"\\0\\0\\x08\\0"',
    'IP(dst="10.0.0.2")/ICMP(type=5, gw="192.168.9.2")/IP(dst="8.8.8.8")/UDP()',
    'IPv6(dst="fd00::2")/ICMPv6ND_RA(routerlifetime=1800)',
    # frames
    'Ether(dst="02:00:00:00:09:02")/IP(dst="192.168.9.2")/ICMP()',
    'Ether(src="02:00:00:00:09:01", dst="02:00:00:00:09:02")/IP(src="192.168.9.1", dst="192.168.9.2")/UDP()',
    'Ether(dst="ff:ff:ff:ff:ff:ff")/IP(dst="192.168.9.255")/UDP()',
    'Ether(dst="33:33:00:00:00:01")/"x"',
    'Ether(dst="01:80:c2:00:00:00")/"x"',
    'Ether(type=0x88cc, dst="01:80:c2:00:00:0e")/"x"',
    'Ether(dst="02:00:00:00:09:02")/Dot1Q(vlan=1)/IP(dst="192.168.9.2")/ICMP()',
    'Ether()/Dot1Q(vlan=0)/Dot1Q(vlan=9)/IP(dst="8.8.8.8")/UDP()',
    'Ether(dst="ff:ff:ff:ff:ff:ff")/ARP(pdst="192.168.9.2")',
    'Ether(dst="ff:ff:ff:ff:ff:ff")/ARP(op=2, psrc="192.168.9.2", hwsrc="02:00:00:00:00:01", pdst="192.168.9.1")',
    'IPv6(dst="ff02::1:ff00:2")/ICMPv6ND_NS(tgt="2001:db8::2")',
)
REFUSED = (
    ["--interface", "out"],
    ["--interface", "lo"],
    ["--interface", "there", "--count", "1", "--rate", "1"],
    ["--interface", "out", "--outside"],
    ["--interface", "out", "--outside", "--count", "1"],
    ["--interface", "out", "--outside", "--rate", "1"],
    ["--outside"],
    ["--outside", "--count", "1", "--rate", "1"],
    ["--interface", "way-out", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", " out", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "out ", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "out/../out", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "./out", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "out.1", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "out@there", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "OUT", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "ou", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "2", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "client", "--outside", "--count", "1", "--rate", "1"],
    ["--interface", "out", "--outside", "--count", "1", "--rate", "1", "--against", "tcp-echo"],
    ["--interface", "out", "--outside", "--count", "1", "--rate", "1", "--flood"],
    ["--interface", "lo", "--flood"],
    ["--outside", "--flood", "--count", "1"],
)


def words_of(*words: str) -> list[str]:
    """The command that sends this in a lab."""
    return ["craft", *words, "--wait", "0.05", "--format", "json", "-o", "a.pcapng"]


def test_as_many_ways_as_promised() -> None:
    """No way is tried twice."""
    assert len(set(IN_THE_LAB)) == len(IN_THE_LAB) >= 50
    assert len(set(map(tuple, REFUSED))) == len(REFUSED)


@pytest.mark.parametrize("first", range(0, len(IN_THE_LAB), 10))
def test_it_is_sent_in_the_lab(folder: Path, outside: Outside, first: int) -> None:
    """Each leaves the client and arrives at the other end of the lab's wire; outside, no frame is counted."""
    texts = IN_THE_LAB[first : first + 10]
    before = outside.counted()
    done = runs.rawlab(*words_of(*texts), folder=folder, before=outside.words)
    assert outside.counted() == before
    assert done.code == 0, done.err
    mine = [packet for packet in load(folder / "a.pcapng").packets if packet.cause.kind == "call"]
    assert [packet.arrived_ns is not None for packet in mine] == [True] * len(texts)


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_it_is_refused(folder: Path, outside: Outside, words: list[str]) -> None:
    """Not all was said, or what can't be: one line, exit code 2, and no frame outside."""
    before = outside.counted()
    done = runs.rawlab(*words_of('IP(dst="192.168.9.2")/ICMP()', *words), folder=folder, before=outside.words)
    assert outside.counted() == before
    assert (done.code, os.listdir(folder)) == (2, []), done.err
    done.says_one_line()


FLOODS = (
    ['IP(dst="192.168.9.2")/ICMP()'],
    ['IP(dst="8.8.8.8")/UDP()', "--vary", "ip.src"],
    ['IP(src="192.168.9.1")/TCP(flags="S")', "--vary", "ip.dst=192.168.9.1-192.168.9.9"],
    ['IP(dst="255.255.255.255")/UDP()', "--vary", "udp.dport"],
    ['IPv6(dst="ff02::1")/ICMPv6EchoRequest()', "--vary", "ipv6.src"],
    ['Ether(dst="ff:ff:ff:ff:ff:ff")/ARP()', "--vary", "arp.pdst=192.168.9.0-192.168.9.255"],
    ['Ether()/IP(dst="192.168.9.2")/UDP()', "--vary", "ether.dst=02:00:00:00:09:01-02:00:00:00:09:02"],
    ["Ether()/Dot1Q(vlan=9)/IP()/UDP()", "--vary", "ip.dst"],
    ['IP(src="8.8.8.8")/TCP(flags="S")', "--against", "tcp-echo", "--vary", "ip.src"],
)


@pytest.mark.parametrize("words", FLOODS, ids=" ".join)
def test_a_flood_stays_inside(folder: Path, outside: Outside, words: list[str]) -> None:
    """Some thousand packets, whatever varies of them, arrive in the lab; outside, no frame is counted."""
    before = outside.counted()
    done = runs.rawlab(*words_of(*words, "--flood", "--count", "3000"), folder=folder, before=outside.words)
    assert outside.counted() == before
    assert done.code == 0, done.err
    assert done.story["sent"] == 3000
    assert done.story["received"] >= 3000 - done.story["lost"]


@pytest.mark.parametrize("set_", [["ip.dst=192.168.9.2"], ["ether.dst=02:00:00:00:09:02"], ["ip.src=192.168.9.1"]])
def test_a_captured_packet_stays_inside(folder: Path, outside: Outside, set_: list[str]) -> None:
    """A captured packet, changed so that it would be for somebody outside, goes into the lab as any other."""
    first = ["craft", 'Ether()/IP()/ICMP()/"ping"', "--wait", "0.05", "-o", "b.pcapng", "--format", "json"]
    before = outside.counted()
    captured = runs.rawlab(*first, folder=folder, before=outside.words)
    which = next(packet["n"] for packet in captured.story["packets"] if "echo request" in packet["text"])
    words = ["craft", "--from", f"b.pcapng:p{which}", *(word for text in set_ for word in ("--set", text))]
    done = runs.rawlab(*words, "--wait", "0.05", "--format", "json", folder=folder, before=outside.words)
    assert outside.counted() == before
    assert done.code == 0, done.err
    assert any("echo request" in packet["text"] for packet in done.story["packets"])


# ---------------------------------------------------------------------------------------------- when all is said


def test_outside_when_all_is_said(folder: Path) -> None:
    """So many frames on that interface, a warning before them, the answers tied to them; nothing of others' traffic."""
    runs.need_root()
    runs.need("ip")
    script = """
        echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
        unshare -n sleep 60 & other=$!
        ip link add out type veth peer name there; ip link set lo up
        until ip link set there netns $other; do sleep 0.05; done
        ip addr add 192.168.9.1/24 dev out; ip link set out up
        nsenter -n -t $other ip addr add 192.168.9.2/24 dev there; nsenter -n -t $other ip link set there up
        ip neigh add 192.168.9.3 lladdr 02:00:00:00:00:09 dev out
        sleep 2; timeout 20 bash -c 'while sleep 0.01; do echo "of others" >/dev/udp/192.168.9.3/9; done' & others=$!
        "$@"; code=$?; kill $others $other; exit $code"""
    words = ['IP(dst="192.168.9.2")/ICMP()', "--interface", "out", "--outside", "--count", "3", "--rate", "50"]
    before = ["unshare", "-n", "bash", "-c", script, "bash"]
    done = runs.rawlab("craft", *words, "-o", "a.pcapng", "--format", "json", folder=folder, before=before)
    assert done.code == 0, done.err
    assert "warning: 3 packets, 50 a second, leave on out, which is outside of any lab" in done.err
    packets = json.loads(done.out)["packets"]
    requests = [packet["n"] for packet in packets if "echo request" in packet["text"]]
    replies = [packet["cause"]["packets"] for packet in packets if "echo reply" in packet["text"]]
    assert len(requests) == 3
    assert not any("192.168.9.3" in packet["text"] for packet in packets)
    assert replies == [[n] for n in requests]


def test_outside_a_refused_packet(folder: Path) -> None:
    """An interface that is down is told; what the kernel does not take is in the table, and the exit code is 7."""
    runs.need_root()
    runs.need("ip")
    words = ['IPv6(src="fd00::1", dst="fd00::2")/ICMPv6EchoRequest()', "--count", "2", "--rate", "50"]
    words += ["--interface", "lo", "--outside", "--format", "json"]
    down = runs.rawlab("craft", *words, folder=folder, before=["unshare", "-n"])
    assert (down.code, "lo: is down" in down.says_one_line()) == (2, True)
    before = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
    done = runs.rawlab("craft", *words, folder=folder, before=before)
    assert done.code == 7, done.err
    assert "the kernel refused 2 of the packets (ENETUNREACH)" in done.err
    assert [call["errno"] for call in done.story["calls"] if call["call"] == "sendto"] == ["ENETUNREACH"] * 2


def test_outside_as_an_ordinary_user(folder: Path) -> None:
    """Root's alone: 3."""
    runs.need_root()
    os.chown(folder, runs.NOBODY, runs.NOBODY)
    words = ['IP(dst="127.0.0.1")/ICMP()', "--interface", "lo", "--outside", "--count", "1", "--rate", "1"]
    done = runs.rawlab("craft", *words, folder=folder, user=runs.NOBODY)
    assert done.code == 3
    assert "root" in done.says_one_line()
