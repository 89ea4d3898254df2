"""Two machines' captures of the same traffic joined: what both saw, how far their clocks are apart, what got lost."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from rawlab import store
from rawlab.api import explain
from rawlab.attribution.joining import join
from rawlab.errors import FormatError, OutputError, UsageError
from rawlab.model.event import Call
from rawlab.wire.decode import decode
from tests.live.runs import REPOSITORY, SECONDS, need

START_S = 1_700_000_000

ROUTED = """\
set -e
mount -t tmpfs none /run
mkdir /run/netns
for host in client router server; do ip netns add $host; ip -n $host link set lo up; done
ip link add c netns client type veth peer name rc netns router
ip link add s netns server type veth peer name rs netns router
ip -n client addr add 10.1.0.1/24 dev c; ip -n client link set c up
ip -n router addr add 10.1.0.2/24 dev rc; ip -n router link set rc up
ip -n router addr add 10.2.0.2/24 dev rs; ip -n router link set rs up
ip -n server addr add 10.2.0.1/24 dev s; ip -n server link set s up
ip -n client route add default via 10.1.0.2; ip -n server route add default via 10.2.0.2
ip netns exec router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec client tcpdump -i c --immediate-mode -U -w a.pcap 2>a.err & a=$!
ip netns exec server tcpdump -i s --immediate-mode -U -w b.pcap 2>b.err & b=$!
until grep -q listening a.err && grep -q listening b.err; do sleep 0.05; done
ip netns exec server socat -T5 TCP-LISTEN:7,reuseaddr EXEC:cat & until ip netns exec server ss -ltn | grep -q :7; do
sleep 0.05; done
(echo hello; sleep 0.3; echo again) | ip netns exec client socat -t5 - TCP:10.2.0.1:7 >/dev/null
ip netns exec client sh -c 'echo last | socat -u - UDP:10.2.0.1:9'
until grep -q last a.pcap && grep -q last b.pcap; do sleep 0.05; done
kill $a $b
wait
"""


def rawlab(*words: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rawlab", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, env=environment)


def merged(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return rawlab("merge", "a.pcap", "b.pcap", "-o", "out.pcapng", *more, cwd=folder)


def told(said: str) -> tuple[float, float]:
    """(how far B's clock is ahead, the ± of it), in seconds."""
    found = re.search(r"b\S*'s clock is ([\d.]+) s (ahead|behind) .*± ([\d.]+) ms", said)
    assert found, said
    return float(found[1]) * (1 if found[2] == "ahead" else -1), float(found[3]) / 1e3


# ---------------------------------------------------------------------------------------------- for real


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tcpdump's captures at both ends of a way with a router, b.pcap's clock 2.5 s ahead."""
    need("unshare", "ip", "ss", "tcpdump", "socat", "editcap")
    if os.geteuid():
        pytest.skip("needs root: to make networks and capture in them")
    folder = tmp_path_factory.mktemp("routed")
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ROUTED]
    made = subprocess.run(apart, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    if made.returncode and "Operation not permitted" in made.stderr:
        pytest.skip(f"networks are refused here: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    subprocess.run(["editcap", "-t", "2.5", "b.pcap", "shifted.pcap"], cwd=folder, check=True)
    (folder / "shifted.pcap").rename(folder / "b.pcap")
    return folder


def test_two_machines_with_a_router_between(routed: Path) -> None:
    """Found: all packets of the connection in both, with other TTLs and MACs; the offset within its bounds."""
    joined = merged(routed, "--force")
    assert joined.returncode == 0, joined.stderr
    ahead, margin = told(joined.stdout)
    assert abs(ahead - 2.5) <= margin + 2e-6
    story = explain(store.load(routed / "out.pcapng"))
    segments = [packet for packet in story.packets if packet.facts.flow is not None]
    assert len(segments) >= 10
    assert all(len(packet.frames) == 2 and not packet.lost for packet in segments)
    assert {(packet.sender, packet.receiver) for packet in segments} == {("client", "server"), ("server", "client")}
    assert all((packet.arrived_ns or 0) >= (packet.sent_ns or 0) for packet in segments)
    assert not any(packet.lost for packet in story.packets)  # what a router keeps to itself is not lost


def test_the_replay_says_how_it_was_joined(routed: Path) -> None:
    """The table's end names the offset and its bound; the file is a pcapng that tshark's family reads."""
    merged(routed, "--force")
    shown = rawlab("replay", "out.pcapng", "--table", "timeline", cwd=routed)
    assert shown.returncode == 0, shown.stderr
    how = r"joined from two captures: b\.pcap's clock is 2\.(5|4999)\d+ s ahead of a\.pcap's, ±"
    assert re.search(how, shown.stdout)
    assert subprocess.run(["capinfos", "out.pcapng"], cwd=routed, capture_output=True).returncode == 0


# ----------------------------------------------------------------------------------------------- by hand


def packets(count: int, seed: int = 7) -> list[tuple[Packet, bool, int]]:
    """(packet, from A to B, when it left in µs): requests and answers, each unlike all others."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        forth = number % 2 == 0
        ends = ("10.0.0.1", "10.0.0.2") if forth else ("10.0.0.2", "10.0.0.1")
        ports = (4000, 7) if forth else (7, 4000)
        packet = IP(src=ends[0], dst=ends[1], id=number) / UDP(sport=ports[0], dport=ports[1])
        packet = packet / Raw(chance.randbytes(9))
        found.append((packet, forth, number * 10_000 + chance.randint(0, 3000)))
    return found


def save(
    folder: Path, seen: list[tuple[Packet, bool, int]], ahead_us: int, *, lost: tuple[int, ...] = (), ppm: float = 0
) -> None:
    """a.pcap and b.pcap: B's clock ahead, and faster; what is lost is in its sender's alone."""
    chance = random.Random(3)
    files: dict[bool, list[Packet]] = {True: [], False: []}
    for number, (packet, forth, at_us) in enumerate(seen):
        took = chance.randint(200, 900)
        for at_a in (True, False):
            leaves = forth is at_a
            if number in lost and not leaves:
                continue
            now_us = at_us if leaves else at_us + took
            stamp = START_S + (now_us if at_a else now_us + ahead_us + ppm * now_us / 1e6) / 1e6
            mac = "02:00:00:00:00:0a" if forth else "02:00:00:00:00:0b"
            frame = Ether(src=mac, dst="02:00:00:00:00:0c") / packet.copy()
            frame[IP].ttl = 64 if leaves else 63
            frame.time = stamp
            files[at_a].append(frame)
    for at_a, name in ((True, "a.pcap"), (False, "b.pcap")):
        wrpcap(str(folder / name), files[at_a])


@pytest.mark.parametrize("ahead_us", [0, 3_000_000, -86_400_000_000])
def test_the_offset_lies_within_what_is_told(ahead_us: int, tmp_path: Path) -> None:
    """Whichever clock is ahead, by whatever."""
    save(tmp_path, packets(40), ahead_us)
    joined = merged(tmp_path)
    ahead, margin = told(joined.stdout)
    assert abs(ahead - ahead_us / 1e6) <= margin + 1e-6
    assert "40 packets at the client: 40 in both, 0 only here" in joined.stdout


def test_what_one_side_alone_has_is_lost(tmp_path: Path) -> None:
    """Counted by who sent it; in the replay each is lost, and stands once."""
    save(tmp_path, packets(40), 5_000_000, lost=(4, 6, 9))
    joined = merged(tmp_path)
    assert "39 packets at the client: 37 in both, 2 only here (2 sent, and lost on the way" in joined.stdout
    assert "38 packets at the server: 37 in both, 1 only here (1 sent, and lost on the way" in joined.stdout
    story = explain(store.load(tmp_path / "out.pcapng"))
    assert len(story.packets) == 40
    assert [packet.n - 1 for packet in story.packets if packet.lost] == [4, 6, 9]


def test_a_drift_is_told_in_ppm(tmp_path: Path) -> None:
    """Over ten minutes at 200 ppm: no constant fits; the line does, and no packet arrives before it left."""
    seen = [(packet, forth, at_us * 100) for packet, forth, at_us in packets(600)]
    save(tmp_path, seen, 1_000_000, ppm=200)
    joined = merged(tmp_path)
    assert joined.returncode == 0, joined.stderr
    gains = re.search(r"gains ([+-][\d.]+) ppm", joined.stdout)
    assert gains
    assert abs(float(gains[1]) - 200) < 5
    story = explain(store.load(tmp_path / "out.pcapng"))
    assert all((packet.arrived_ns or 0) >= (packet.sent_ns or 0) for packet in story.packets)


def test_one_direction_alone_gives_one_bound(tmp_path: Path) -> None:
    """Said so: no ± is claimed."""
    save(tmp_path, [one for one in packets(20) if one[1]], 4_000_000)
    joined = merged(tmp_path)
    assert joined.returncode == 0, joined.stderr
    assert "b.pcap's clock is at most 4.000" in joined.stdout
    assert "one direction alone" in joined.stdout
    assert "±" not in joined.stdout


def test_the_hosts_are_named_as_asked(tmp_path: Path) -> None:
    """By --names; else by who opens connections: here B's."""
    seen = packets(10)
    syn = IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=9, dport=80, flags="S")
    save(tmp_path, [*seen, (syn, False, 200_000)], 0)
    assert "11 packets at the server: 11 in both" in merged(tmp_path).stdout.splitlines()[0]
    again = merged(tmp_path, "--force", "--names", "alice", "bob")
    assert "11 packets at alice" in again.stdout
    assert [host.name for host in store.load(tmp_path / "out.pcapng").hosts] == ["alice", "bob"]


def refused(folder: Path, code: int) -> str:
    """What merge says in one line, and that it wrote nothing."""
    ended = merged(folder)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
    assert not (folder / "out.pcapng").exists()
    return ended.stderr


def test_what_can_not_be_joined_is_refused(tmp_path: Path) -> None:
    """Nothing in common, a clock that was set, a translator between, one capture twice: one line, nothing written."""
    save(tmp_path, packets(10), 0)
    whole = (tmp_path / "b.pcap").read_bytes()
    (tmp_path / "b.pcap").write_bytes((tmp_path / "a.pcap").read_bytes())
    assert "the same packets at the same times" in refused(tmp_path, UsageError.exit_code)
    (tmp_path / "b.pcap").write_bytes(whole[:24])
    assert "holds no packet" in refused(tmp_path, FormatError.exit_code)
    other = [(packet, forth, at_us) for packet, forth, at_us in packets(10, seed=8)]
    wrpcap(str(tmp_path / "b.pcap"), [Ether() / packet for packet, _, _ in other])
    assert "no packet is in both" in refused(tmp_path, FormatError.exit_code)
    for packet, _, _ in (translated := packets(10)):
        packet.src = packet.src.replace("10.0.0.1", "192.0.2.1")
        packet.dst = packet.dst.replace("10.0.0.1", "192.0.2.1")
    wrpcap(str(tmp_path / "b.pcap"), [Ether() / packet for packet, _, _ in translated])
    assert "a translator (NAT) lies between" in refused(tmp_path, FormatError.exit_code)
    seen = packets(20)
    save(tmp_path, seen, 0)
    first = (tmp_path / "b.pcap").read_bytes()
    save(tmp_path, seen, 60_000_000)
    later = (tmp_path / "b.pcap").read_bytes()
    half = 24 + (len(first) - 24) // 2
    (tmp_path / "b.pcap").write_bytes(first[:half] + later[half:])
    assert "one of the clocks was set" in refused(tmp_path, FormatError.exit_code)


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    """An OUT that is there stays."""
    save(tmp_path, packets(10), 0)
    (tmp_path / "out.pcapng").write_text("mine")
    ended = merged(tmp_path)
    assert ended.returncode == OutputError.exit_code
    assert (tmp_path / "out.pcapng").read_text() == "mine"


@pytest.mark.parametrize("command", [("merge", "a.pcap", "b.pcap"), ("annotate", "a.pcap"), ("export", "a.pcap")])
def test_an_input_is_not_written_to_even_with_force(command: tuple[str, ...], tmp_path: Path) -> None:
    """OUT is one of the inputs, by whatever name: it is refused and stays."""
    save(tmp_path, packets(10), 0)
    before = (tmp_path / "a.pcap").read_bytes()
    out = {"merge": "./a.pcap", "annotate": "out.txt", "export": "out.csv"}[command[0]]
    if command[0] != "merge":
        os.link(tmp_path / "a.pcap", tmp_path / out)
    ended = rawlab(*command, "-o", out, "--force", cwd=tmp_path)
    assert ended.returncode == OutputError.exit_code
    assert "is one of the inputs (a.pcap)" in ended.stderr
    assert (tmp_path / out).read_bytes() == before


def test_a_clock_has_no_more_digits_than_the_stamps(tmp_path: Path) -> None:
    """Of microsecond stamps, microseconds."""
    save(tmp_path, packets(10), 0)
    assert re.search(r"clock is \d+\.\d{6} s (ahead|behind)", merged(tmp_path).stdout)


def test_calls_of_both_are_kept_on_one_clock(tmp_path: Path) -> None:
    """The second's calls stand at the first's time, each with its machine's name."""
    save(tmp_path, packets(10), 9_000_000)
    one, other = (store.load(tmp_path / name) for name in ("a.pcap", "b.pcap"))
    at_ns = START_S * 10**9 + 5_000_000
    mine = Call(host="here", pid=1, name="socket", args=(), result=3, entered_ns=at_ns, returned_ns=at_ns + 10)
    late = 9 * 10**9 + 50_000_000
    theirs = replace(mine, host="there", entered_ns=at_ns + late, returned_ns=at_ns + late + 10)
    joined = join(replace(one, calls=(mine,)), replace(other, calls=(theirs,)), decode)
    first, second = joined.timeline.calls
    assert (first.host, first.entered_ns) == ("client", at_ns)
    assert second.host == "server"
    assert abs(second.entered_ns - at_ns - 50_000_000) <= (joined.ahead.margin_ns or 0)
    assert (second.returned_ns or 0) - second.entered_ns == 10
