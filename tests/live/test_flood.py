"""`rawlab craft --flood`: what it counts is what was there, by the kernel's own word, and by tshark's."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rawlab.api import load
from rawlab.live import flood
from rawlab.live.answers import Answers
from rawlab.live.craft_run import traffic
from rawlab.live.network import Network
from rawlab.model.facts import TcpSegment
from rawlab.model.flood import SHOWN
from rawlab.wire.template import Place, Template
from tests.live import runs

SYN = 'IP(src="10.0.0.9")/TCP(flags="S")'


def flooded(folder: Path, *arguments: str, **more: Any) -> dict[str, Any]:
    """The report of `craft ARGUMENTS --flood`, which must succeed."""
    runs.need_networks()
    done = runs.rawlab("craft", *arguments, "--flood", "--format", "json", folder=folder, **more)
    assert done.code == 0, done.err
    return done.story


def test_a_count_is_kept(folder: Path) -> None:
    """So many packets, not one more; each came in or was lost; the ring saw what came in and what went out."""
    told = flooded(folder, 'IP()/UDP(dport=9)/"x"', "--count", "5000")
    assert told["sent"] == told["counters"]["Ip.InReceives"] + told["lost"] == 5000
    assert told["calls"] >= 5000 / 4096
    assert told["captured"] + told["dropped"] == told["received"] + told["went_out"]
    assert sum(told["answers"].values()) + told["others"] == told["went_out"]
    assert told["counters"]["Udp.NoPorts"] == told["counters"]["Ip.InReceives"]
    assert told["answers"]["ICMP destination unreachable"] == told["counters"]["Icmp.OutDestUnreachs"]


def test_the_first_and_the_last_are_kept(folder: Path) -> None:
    """Without -o, the file has so many of both, says what is left out, and can be replayed."""
    told = flooded(folder, 'IP(id=1)/UDP(dport=9)/"x"', "--count", "3000", "--vary", "ip.id")
    (name,) = os.listdir(folder)
    story = load(folder / name)
    assert (len(story.packets), told["kept"]) == (2 * SHOWN, 2 * SHOWN)
    assert told["file"] == "of those captured the first 50 and the last 50"
    left_out = told["captured"] - 2 * SHOWN
    said = f"{left_out} packets that were captured after this one are left out of the file"
    assert story.timeline.frames[SHOWN - 1].comments[-1] == said
    assert runs.rawlab("replay", name, folder=folder).code == 0


def test_a_replay_knows_whose_packets_they_are(folder: Path) -> None:
    """The flood's SYNs are no connect's, and the RST that answers a SYN-ACK is the client's kernel's."""
    flooded(folder, 'IP()/TCP(flags="S")', "--against", "tcp-echo", "--vary", "tcp.sport", "--count", "500")
    told = [(packet.cause, packet) for packet in load(folder / "craft.pcapng").packets]
    tcp = [(cause, packet.facts.transport) for cause, packet in told if packet.sender != "server"]
    syns = [cause for cause, segment in tcp if isinstance(segment, TcpSegment) and segment.flags == "S"]
    resets = [cause for cause, segment in tcp if isinstance(segment, TcpSegment) and "R" in segment.flags]
    assert {(cause.kind, cause.confidence) for cause in syns} == {("call", "exact")}
    assert all("the flood called send" in cause.reason for cause in syns)
    assert resets
    assert all("no socket asked for SYN-ACK" in cause.reason for cause in resets)


def test_all_is_kept_where_a_file_is_named(folder: Path) -> None:
    """With -o, all that the ring took; tshark finds each varied packet once, and every checksum right."""
    runs.need("tshark")
    words = ["IP(id=1)/UDP(sport=1, dport=9)/'abc'", "--vary", "ip.id", "--count", "4000", "-o", "a.pcapng"]
    told = flooded(folder, *words)
    assert (told["file"], told["kept"]) == ("all that were captured", told["captured"])
    asked = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", "udp and not icmp", "-T", "fields"]
    fields = [word for name in ("ip.id", "ip.checksum.status", "udp.checksum.status") for word in ("-e", name)]
    found = [line.split("\t") for line in runs.tshark(folder / "a.pcapng", *asked, *fields)]
    assert {(ip, udp) for _, ip, udp in found} == {("1", "1")}
    numbers = [int(number, 16) for number, _, _ in found]
    assert len(numbers) == 4000 - told["lost"] or told["dropped"]
    assert set(numbers) <= set(range(1, 4001))
    assert len(set(numbers)) == len(numbers)


def test_a_syn_flood_meets_cookies(folder: Path) -> None:
    """Nobody answers the SYN-ACKs: the SYN queue is full, and the kernel goes over to SYN cookies."""
    if Path("/proc/sys/net/ipv4/tcp_syncookies").read_text().strip() == "0":
        pytest.skip("SYN cookies are off here")
    told = flooded(folder, SYN, "--against", "tcp-echo", "--vary", "tcp.sport", "--count", "20000")
    counters = told["counters"]
    assert counters["Tcp.InSegs"] == 20_000 - told["lost"]
    assert counters["TcpExt.TCPReqQFullDoCookies"] > 10_000
    assert counters["TcpExt.SyncookiesSent"] == counters["TcpExt.TCPReqQFullDoCookies"]
    assert told["answers"] == {}  # they wait for an answer to ARP that never comes


def test_answers_by_kind(folder: Path) -> None:
    """Each SYN to a listening socket has its SYN-ACK, each to a closed port its RST; what the client's kernel sends
    back is not the flood's."""
    told = flooded(folder, 'IP()/TCP(flags="S")', "--against", "tcp-echo", "--vary", "tcp.sport", "--count", "2000")
    assert told["answers"] == {"TCP SYN-ACK": 2000 - told["lost"]} or told["lost"]
    assert (told["sent"], told["received"] > 3000 or told["lost"] > 0) == (2000, True)
    closed = flooded(folder, 'IPv6()/TCP(flags="S", dport=9)', "--vary", "tcp.sport", "--count", "2000")
    assert closed["answers"] == {"TCP RST": 2000 - closed["lost"]} or closed["lost"]
    assert closed["counters"]["Tcp.OutRsts"] == closed["counters"]["Tcp.InSegs"]


def test_several_packets_take_turns(folder: Path) -> None:
    """One of each, then the next ones; what varies varies in those that have it."""
    texts = ["IP(id=1)/UDP(dport=9)", "IP(id=1)/ICMP(id=7)", "IPv6()/UDP(dport=9)"]
    flooded(folder, *texts, "--vary", "ip.id", "--vary", "udp.sport", "--count", "300", "-o", "a.pcapng")
    headers = [packet.facts.ip for packet in load(folder / "a.pcapng").packets]
    mine = [ip for ip in headers if ip is not None and ip.source in ("10.0.0.1", "fd00::1") and ip.protocol in (17, 1)]
    flow = [(ip.version, ip.protocol) for ip in mine]
    assert flow[:6] == [(4, 17), (4, 1), (6, 17)] * 2


def test_seconds_are_kept(folder: Path) -> None:
    """It ends by itself when the time is over, and says how long it took."""
    told = flooded(folder, "IP()/ICMP()", "--seconds", "0.2")
    assert told["took_ns"] >= 200_000_000
    assert told["sent"] > 0


def test_an_ordinary_user(folder: Path) -> None:
    """In a user namespace."""
    runs.need_networks()
    user = runs.ordinary_user(folder)
    assert flooded(folder, SYN, "--count", "1000", user=user)["sent"] == 1000


def test_the_report_in_words(folder: Path) -> None:
    """What is said stands for what was counted; the file is named on standard error."""
    runs.need_networks()
    words = ["craft", SYN, "--flood", "--count", "1000", "--vary", "tcp.sport", "--against", "tcp-echo"]
    done = runs.rawlab(*words, folder=folder)
    assert done.code == 0, done.err
    assert done.err == "rawlab: the first 50 and the last 50 packets are in craft.pcapng\n"
    for said in (
        "packet 1: IP 10.0.0.9.40000 > 10.0.0.2.7: Flags [S]",
        "from packet to packet tcp.sport varies",
        "the first 50 and the last 50 packets at the server's interface",
        "packets are left out, here and in the file",
        "1,000  sent",
        "TcpExt.SyncookiesSent",
        "net.ipv4.tcp_syncookies = ",
    ):
        assert said in done.out, said


def test_stopped_in_good_order(folder: Path) -> None:
    """SIGINT ends it: what was sent is counted, the file is whole, the exit code 130."""
    runs.need_networks()
    started = runs.start("craft", "IP()/ICMP()", "--flood", "--seconds", "60", "--format", "json", folder=folder)
    started.named("client")
    time.sleep(0.3)
    started.process.send_signal(signal.SIGINT)
    done = started.wait()
    assert done.code == 130, done.err
    assert "the flood was stopped by SIGINT" in done.err
    assert json.loads(done.out)["file"].startswith("of those captured the first 50")
    assert load(folder / "craft.pcapng").timeline.complete
    assert not runs.leftovers(started.mark)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rate", "5"), "leave --rate out"),
        (("--show",), "leave --show out"),
        (("--interface", "lo"), "never leaves the lab: leave --interface out"),
        (("--outside",), "never leaves the lab: leave --outside out"),
        (("--seconds", "0"), "more than 0"),
        (("--seconds", "61"), "0 to 60"),
        (("--count", "0"), "from 1 to 10000 (with --flood, to 100000000)"),
        (("--count", "100000001"), "from 1 to 10000 (with --flood, to 100000000)"),
        (("--vary", "tcp.sprt"), "no packet has such a field|nearest: sport"),
        (("--vary", "udp.sport"), "no such layer"),
        (("--vary", "nonsense"), "LAYER.FIELD"),
        (("--format", "html"), "simple or json"),
        (("--against", "tcp-ecko"), "nearest: tcp-echo"),
        (("--against", "tcp-stream"), "a relay"),
    ],
)
def test_bad_words(folder: Path, words: tuple[str, ...], says: str) -> None:
    """One line, exit code 2; nothing is made."""
    done = runs.rawlab("craft", "IP()/TCP()", "--flood", *words, folder=folder)
    assert done.code == 2
    assert any(part in done.says_one_line() for part in says.split("|"))
    assert os.listdir(folder) == []


@pytest.mark.parametrize("words", [["--seconds", "1"], ["--vary", "ip.id"], ["--count", "10001"]])
def test_words_of_a_flood_alone(folder: Path, words: list[str]) -> None:
    """Without --flood they are refused."""
    done = runs.rawlab("craft", "IP()/TCP()", *words, folder=folder)
    assert done.code == 2
    done.says_one_line()


# ---------------------------------------------------------------------------------------------- its parts


def frames(count: int) -> list[Template]:
    """So many templates of different length, each with its number, and two octets that vary."""
    head = bytes.fromhex("02000000000b02000000000a88b5")
    return [
        Template(
            base=head + number.to_bytes(2, "big") + bytes(42 + number),
            places=(Place(at=16, length=2, low=0, span=1 << 16, first=0),),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 3, 256, 257, 4096, 5000])
def test_in_memory_they_stand_in_order(count: int) -> None:
    """What the kernel finds in the ring: one of each template, then the next ones; the same after each refill."""
    slots = flood.Slots(made := frames(count))
    memory = bytearray(slots.count * slots.size)
    slots.fill(memory)
    told = []
    for _ in range(3):
        told += [frame_of(memory, index * slots.size) for index in range(slots.count)]
        slots.refill()
    assert told == [made[index % count].packet(index // count) for index in range(3 * slots.count)]


def frame_of(memory: bytearray, at: int) -> bytes:
    """The frame in a slot: struct tpacket2_hdr says how long it is with its virtio_net_hdr, which says so again."""
    _, length, _ = struct.unpack_from("=III", memory, at)
    flags, gso, copied = struct.unpack_from("=BBH", memory, at + 32)
    assert (flags, gso, copied) == (0, 0, length - 10)
    return bytes(memory[at + 42 : at + 32 + length])


def in_a_network(act: Callable[[Network], bool]) -> None:
    """Whether that holds in a network of its own, of a process of its own. Fails where it does not."""
    runs.need_root()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if act(Network()) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def came_in(network: Network) -> int:
    """Packets that the server's interface received."""
    with network.inside("server"):
        return traffic("server")[0]


def set_server(network: Network, state: str) -> None:
    """Its interface goes up or down."""
    with network.inside("server"):
        subprocess.run(["ip", "link", "set", "server", state], check=True)


def test_refused_for_a_while() -> None:
    """With the other end down, the kernel refuses (ENOBUFS); up again, all arrive that were asked for, none twice."""
    runs.need("ip")

    def act(network: Network) -> bool:
        set_server(network, "down")
        before, counts = came_in(network), flood.Counts()

        def later() -> None:
            while counts.refused < 3:
                time.sleep(0.01)
            set_server(network, "up")

        thread = threading.Thread(target=later)
        thread.start()
        with network.inside("client"), flood.open_socket("client") as opened:
            flood.send(opened, frames(3), counts, 5000, 60)
        thread.join()
        return counts.sent == 5000 and counts.refused >= 3 and 5000 <= came_in(network) - before < 5050

    in_a_network(act)


def test_a_refusal_ends_it_and_is_named() -> None:
    """An errno that is not about room: it is told, with what was sent before."""
    runs.need("ip")

    def act(network: Network) -> bool:
        counts = flood.Counts()
        with network.inside("client"), flood.open_socket("client") as opened:
            flood.send(opened, frames(1), counts, 100, 60)
            subprocess.run(["ip", "link", "set", "client", "down"], check=True)
        with network.inside("client"), flood.open_socket("client") as opened:
            flood.send(opened, frames(1), counts, 200, 60)
        return (counts.sent, flood.failure(counts)) == (100, "ENETDOWN")

    in_a_network(act)


def test_answers_are_counted_on_their_way_out() -> None:
    """Only what goes out, by kind: an echo reply to each request."""

    def act(network: Network) -> bool:
        with network.inside("server"):
            answers = Answers("server", [4, 6])
        with network.inside("client"), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
            ping.settimeout(20)
            for _ in range(3):
                ping.sendto(bytes.fromhex("0800f7ff00000000"), ("10.0.0.2", 0))
                ping.recv(100)
        return answers.counts() == {"ICMP echo reply": 3}

    in_a_network(act)
