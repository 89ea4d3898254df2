"""`rawlab replay FILE --to …`: what arrives is what the capture holds, and nothing else is on that wire."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rawlab import store
from rawlab.arguments import parse
from rawlab.columns.plan import Planner
from rawlab.commands import sending
from rawlab.errors import Damaged, FormatError, LabError, UsageError
from rawlab.live.replay_queue import Queue
from rawlab.live.replay_sender import ROW_TYPE, Counts, Plan, Sender
from rawlab.model.event import Frame
from rawlab.model.replay import HEADS
from rawlab.wire import pcapng
from tests.live import runs

CAPTURES = runs.REPOSITORY / "captures"
SHARED = runs.REPOSITORY.parent / "shared" / "pcaps"
FAST = ("--speed", "1000000")


def replayed(folder: Path, capture: Path, *arguments: str) -> tuple[dict[str, Any], list[Frame]]:
    """The report of `replay CAPTURE --to lab ARGUMENTS`, and what came in at either end, in the order of time."""
    runs.need_networks()
    words = ["replay", str(capture), "--to", "lab", "-o", "out.pcapng", "--force", "--format", "json", *arguments]
    done = runs.rawlab(*words, folder=folder)
    assert done.code == 0, done.err
    frames = store.load(folder / "out.pcapng").frames
    return done.story, [frame for frame in frames if not frame.outgoing]


def octets(frames: Sequence[Frame]) -> list[bytes]:
    return [bytes(frame.data) for frame in frames]


def raw(path: Path) -> list[bytes]:
    """A capture's frames, as scapy reads them."""
    from scapy.utils import RawPcapReader

    with RawPcapReader(str(path)) as reader:
        return [bytes(data) for data, _ in reader]


def written(folder: Path, frames: Sequence[Any], linktype: int = 1, gap: float = 0.001) -> Path:
    """A pcap file of these, with nanosecond stamps, that many seconds after each other."""
    path = folder / "in.pcap"
    records = [struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, linktype)]
    for n, data in enumerate(map(bytes, frames)):
        seconds, nanoseconds = divmod(1_700_000_000 * 10**9 + int(n * gap * 1e9), 10**9)
        records.append(struct.pack("=IIII", seconds, nanoseconds, len(data), len(data)) + data)
    path.write_bytes(b"".join(records))
    return path


@pytest.mark.parametrize("name", ["sctp-multihome", "raw-traceroute"])
def test_a_recording_of_ours_is_sent_once_by_who_sent_it(folder: Path, name: str) -> None:
    """Each end receives, octet by octet and in order, what the other host's interface sent in the capture."""
    capture = CAPTURES / f"{name}.pcapng"
    source = store.load(capture)
    router = any(host.name == "router" for host in source.hosts)
    points = [point.name for point in source.points]
    told, came = replayed(folder, capture, *FAST)
    for point, senders in enumerate((["router"] if router else ["server", "server2"], ["client", "client2"])):
        sent = [frame for frame in source.frames if frame.outgoing and points[frame.point] in senders]
        sent.sort(key=lambda frame: frame.number)
        assert octets([frame for frame in came if frame.point == point]) == octets(sent)
    assert (told["equal"], told["strange"], told["unseen"], told["others"]) == (len(came), 0, 0, 0)
    assert told["planned"]["packets"] == sum(told["sent"]) == sum(told["received"]) == len(came) > 0


@pytest.mark.parametrize("name", ["vlan-http.pcap", "fuzz-be-2.pcap"])
def test_a_strangers_capture_arrives_as_it_is(folder: Path, name: str) -> None:
    """Octet by octet, in the order of the file, both sides taken together; the client is who opened the flow."""
    if not (SHARED / name).exists():
        pytest.skip(f"no shared capture {name}")
    told, came = replayed(folder, SHARED / name, *FAST)
    assert sorted(octets(came)) == sorted(raw(SHARED / name))
    if not told["overtaken"]:
        assert octets(came) == raw(SHARED / name)
    assert (told["equal"], told["strange"], told["others"]) == (len(came), 0, 0)


def test_both_ends_are_in_the_file_and_nothing_else(folder: Path) -> None:
    """A VLAN's, IPv6's, SCTP's, ARP's and an unknown protocol's frames: each once sent, once received, no answer."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
    from scapy.layers.l2 import ARP, Dot1Q, Ether
    from scapy.layers.sctp import SCTP, SCTPChunkInit

    broadcast = "ff:ff:ff:ff:ff:ff"
    frames = [
        Ether(dst=broadcast, src="02:00:00:00:00:01") / ARP(psrc="10.0.0.1", pdst="10.0.0.2"),
        Ether(dst="02:00:00:00:00:62") / Dot1Q(vlan=7) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="S"),
        Ether(dst="02:00:00:00:00:62") / Dot1Q(vlan=7) / Dot1Q(vlan=8) / IP(dst="10.0.0.2") / UDP() / b"x",
        Ether(dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6EchoRequest(),
        Ether(dst=broadcast) / IP(src="10.0.0.1", dst="255.255.255.255") / UDP(dport=9) / bytes(9000),
        Ether(dst="02:00:00:00:00:62") / IP(src="10.0.0.1", dst="10.0.0.2") / SCTP() / SCTPChunkInit(),
        Ether(dst="02:00:00:00:00:62", type=0x88B5) / b"something of one's own",
        Ether(dst=broadcast, type=0x9000) / bytes(65_535),
    ]
    told, came = replayed(folder, written(folder, frames))
    assert octets(came) == [bytes(frame) for frame in frames]
    everything = store.load(folder / "out.pcapng")
    assert len(everything.frames) == 2 * len(frames)
    assert [point.captured for point in everything.points] == [len(frames)] * 2
    assert [point.dropped for point in everything.points] == [0, 0]
    assert (told["others"], told["lost"], told["dropped"]) == (0, 0, 0)


LINKS = {
    101: b"",
    0: b"\x02\0\0\0",
    108: b"\0\0\0\x02",
    113: bytes(14) + b"\x08\0",
    276: b"\x08\0" + bytes(18),
    9: b"\xff\x03\0\x21",
}
"""Headers before an IPv4 packet: RAW, NULL, LOOP, cooked 1 and 2, PPP."""


def test_links_without_ethernet(folder: Path) -> None:
    """A packet of each is sent with an Ethernet header of the lab's in place of its own, and that is told."""
    from scapy.layers.inet import IP, UDP

    packet = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=9) / b"hello")
    blocks = [pcapng.section_header(), *(pcapng.interface_description(link, str(link)) for link in LINKS)]
    for n, header in enumerate(LINKS.values()):
        data = memoryview(header + packet)
        record = pcapng.PacketRecord(interface=n, at_ns=10**18 + n, data=data, length=len(data))
        blocks.append(pcapng.enhanced_packet(record))
    (folder / "in.pcapng").write_bytes(b"".join(blocks))
    told, came = replayed(folder, folder / "in.pcapng")
    assert octets(came) == [HEADS[0] + packet] * len(LINKS)
    assert told["planned"]["headed"] == len(LINKS)


def test_the_times_of_the_capture_are_kept(folder: Path) -> None:
    """Twice as fast, twice: no packet comes before its time."""
    path = written(folder, [bytes([n]) * 60 for n in range(4)], gap=0.05)
    told, came = replayed(folder, path, "--speed", "2", "--loop", "2")
    assert octets(came) == [bytes([n]) * 60 for n in range(4)] * 2
    due = [25, 50, 75, 75, 100, 125, 150]
    after = [(frame.at_ns - came[0].at_ns) / 1e6 for frame in came[1:]]
    # The first one may be late; the others are then due sooner after it, by that much.
    late = told["schedule"]["most_ns"] / 1e6
    assert all(time > at - late - 1 for time, at in zip(after, due, strict=True))
    assert told["took_ns"] >= due[-1] * 1e6


def test_many_that_are_due_at_once(folder: Path) -> None:
    """More than one call, and one part of the plan, takes: all are sent, in their order."""
    frames = [n.to_bytes(2, "big") * 30 for n in range(3000)]
    told, came = replayed(folder, written(folder, frames, gap=0.0))
    assert octets(came) == frames
    assert told["equal"] == told["schedule"]["of"] + 1 == 3000


def test_a_count_of_one_flow(folder: Path) -> None:
    """--flow sends that flow's packets alone, --count ends it."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    frames = [Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1 + n % 2, dport=9) / b"x" for n in range(6)]
    _, came = replayed(folder, written(folder, frames), "--flow", "2", "--count", "2", "--topspeed")
    assert octets(came) == [bytes(frame) for frame in frames[1:5:2]]


def test_at_top_speed_nothing_is_lost(folder: Path) -> None:
    """Both sides take turns; all come in, by the interfaces' counts, and in the order of the capture where kept."""
    _, came = replayed(folder, CAPTURES / "tcp-stream.pcapng", "--topspeed", "--loop", "50")
    source = store.load(CAPTURES / "tcp-stream.pcapng")
    once = [frame for frame in source.frames if frame.outgoing]
    for point in (0, 1):
        mine = octets([frame for frame in once if frame.point == 1 - point])
        assert octets([frame for frame in came if frame.point == point]) == mine * 50
    done = runs.rawlab(
        "replay", str(CAPTURES / "tcp-stream.pcapng"), "--to", "lab", "--topspeed", "--format", "json", folder=folder
    )
    assert done.story["sent"] == done.story["received"] == [15, 14]
    assert done.story["octets"] == done.story["received_octets"]


# ------------------------------------------------------------------------------------------------ sender


def sent_by(rows: Sequence[tuple[int, bytes, int, int]], *, topspeed: bool) -> tuple[list[bytes], list[bytes], Any]:
    """What a sender puts into two sockets: (due, octets, side, head) by row."""
    capture = os.memfd_create("capture")
    plan = np.zeros(len(rows) + 1, ROW_TYPE)
    at = 0
    for n, (due_ns, data, side, head) in enumerate(rows):
        os.write(capture, data)
        plan[n] = due_ns, at, len(data), side, head, 0
        at += len(data)
    plan["end"][-1] = 1
    reader, writer = os.pipe()
    os.write(writer, plan.tobytes())
    os.close(writer)
    ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    counts = Counts.shared()
    before = os.sched_getscheduler(0)
    try:
        Sender([end for end, _ in ends], capture, counts, topspeed=topspeed).send(Plan(reader))
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))
    came: list[list[bytes]] = [[], []]
    for (ours, theirs), into in zip(ends, came, strict=True):
        theirs.setblocking(False)
        with ours, theirs, contextlib.suppress(BlockingIOError):
            while True:
                into += [data] if (data := theirs.recv(100)) else []  # an empty one is to warm up: no wire takes it
    os.close(capture)
    os.close(reader)
    return came[0], came[1], counts


@pytest.mark.parametrize("how", ["timed", "queue", "turns"])
def test_a_sender_needs_no_network(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At their times, through a submission queue or where that is forbidden by sendmmsg: the same octets, counted."""
    if how == "turns":
        monkeypatch.setattr("rawlab.live.replay_sender.Queue", forbidden)
    elif how == "queue":
        try:
            Queue().close()
        except OSError as error:
            pytest.skip(f"io_uring is refused: {error}")
    rows = [(n // 2 * 1_000_000, bytes([n]) * (20 + n), n // 3 % 2, n % 2 * (1 + n)) for n in range(9)]
    client, server, counts = sent_by(rows, topspeed=how != "timed")
    expected = [[(HEADS[head - 1] if head else b"") + data for _, data, mine, head in rows if mine == side]
                for side in (0, 1)]  # fmt: skip
    assert [client, server] == expected
    assert list(counts.sent) == [len(client), len(server)]
    assert list(counts.octets) == [sum(map(len, client)), sum(map(len, server))]
    assert (counts.refused, counts.errno) == (0, 0)


def forbidden() -> None:
    raise PermissionError(1, "Operation not permitted")


# ---------------------------------------------------------------------------------------------- refusals


SHOWN = (
    *("--live", "--step", "--over 2", "--ladder", "--notes", "--where port==1", "--sort packets", "--table both"),
    *("--width 100", "--full", "--endpoint-calls", "--strace log"),
)
"""Options of what is shown of a capture."""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--topspeed",), "say --to lab as well"),
        (("--to", "lab", "--outside"), "nothing of it goes outside"),
        (("--to", ""), "lab, or the name of an interface expected"),
        (("--to", "lab", "--topspeed", "--speed", "2"), "leave --speed and --rate out"),
        *((("--to", "lab", *words.split()), f"leave {words.split()[0]} out") for words in SHOWN),
        (("--to", "lab", "--where", ""), "leave --where out"),
        (("--to", "lab", "--format", "html"), "simple or json"),
        (("--to", "lab", "-o", "-"), "name a file"),
        (("--to", "lab", "--force"), "goes with -o"),
        (("--to", "nowhere0"), "no such interface"),
        (("--to", "lo"), "say --outside, --count N and --rate PPS as well"),
        (("--to", "lo", "--outside"), "lab: say --count N and --rate PPS as well"),
        (("--to", "lo", "--outside", "--count", "1"), "lab: say --rate PPS as well"),
        (("--to", "lo", "--count", "1", "--rate", "1"), "lab: say --outside as well"),
        (("--to", "lo", "--topspeed"), "outside of the lab --rate says how fast: leave --topspeed out"),
        (("--to", "lo", "--topspeed", "--rate", "1"), "outside of the lab --rate says how fast: leave --topspeed out"),
        (("--to", "lo", "--outside", "--count", "1", "--rate", "1", "-o", "x"), "goes with --to lab"),
    ],
)
def test_what_does_not_go_together(words: tuple[str, ...], told: str) -> None:
    """One line that says what to change; nothing is sent."""
    with pytest.raises(UsageError, match=re.escape(told)):
        sending.check(parse(["replay", "in.pcapng", *words]))


@pytest.mark.parametrize("words", [("-o", "out.pcapng"), ("--force",)])
def test_where_nothing_is_captured_there_is_no_file_for_it(folder: Path, words: tuple[str, ...]) -> None:
    """A replay that only shows: -o would be ignored."""
    done = runs.rawlab("replay", str(CAPTURES / "udp-echo.pcapng"), *words, folder=folder)
    assert (done.code, "go with --to lab or --against" in done.says_one_line()) == (2, True)


@pytest.mark.parametrize("option", ["--to", "--against"])
def test_a_name_that_is_empty(folder: Path, option: str) -> None:
    """Is refused, and not taken for the option's absence."""
    done = runs.rawlab("replay", str(CAPTURES / "udp-echo.pcapng"), option, "", folder=folder)
    assert (done.code, option in done.says_one_line()) == (2, True)


def test_the_capture_is_not_replaced_by_what_was_captured(folder: Path) -> None:
    """-o names the capture that is sent: refused, by whatever name it goes, and it is as it was."""
    path = folder / "in.pcapng"
    path.write_bytes(before := (CAPTURES / "udp-echo.pcapng").read_bytes())
    (folder / "same.pcapng").hardlink_to(path)
    (folder / "link.pcapng").symlink_to(path)
    for name in ("./in.pcapng", "same.pcapng", "link.pcapng"):
        done = runs.rawlab("replay", "in.pcapng", "--to", "lab", "-o", name, "--force", folder=folder)
        assert (done.code, "is the capture that is sent" in done.says_one_line()) == (2, True)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("packets", "seconds", "told"),
    [(1, 3.0, ""), (2, 2.0, ", 1.0 a second"), (13, 2.6001, ", 5.0 a second"), (13, 1.3, ", 10 a second"),
     (19_999, 2.0, ", 10,000 a second"), (2, 600.0, ""), (2, 0.0, "")],
)  # fmt: skip
def test_packets_a_second(packets: int, seconds: float, told: str) -> None:
    """Rounded, with a decimal below 10; none where there is no second packet, or too seldom one."""
    assert sending._rate(packets, int(seconds * 1e9)) == told


def test_captures_of_which_nothing_can_be_sent(folder: Path) -> None:
    """A flow that is not there: 2; no packet: 4; a link of which no frame can be made: 7; no packet is whole: 5."""
    done = runs.rawlab("replay", str(CAPTURES / "udp-echo.pcapng"), "--to", "lab", "--flow", "99", folder=folder)
    assert (done.code, "no such flow" in done.says_one_line()) == (2, True)
    empty = written(folder, []).read_bytes()
    for data, kind, words in (
        (empty, FormatError, "holds no packet"),
        (written(folder, [bytes(60)], linktype=147).read_bytes(), LabError, "USER0 frames of which no Ethernet frame"),
        (empty + bytes(6), Damaged, "damaged at byte 24"),
    ):
        planner = Planner(memoryview(data))
        assert list(planner.windows()) == []
        why = sending._nothing_to_send(parse(["replay", "in.pcap", "--to", "lab"]), planner)
        assert (type(why), words in str(why)) == (kind, True)


def test_a_damaged_capture_is_sent_as_far_as_it_is_whole(folder: Path) -> None:
    """Then the damage is told: 5."""
    runs.need_networks()
    path = written(folder, [bytes([n]) * 60 for n in range(3)])
    path.write_bytes(path.read_bytes()[:-5])
    done = runs.rawlab("replay", str(path), "--to", "lab", "-o", "out.pcapng", folder=folder)
    assert (done.code, "2 packets sent, damaged at byte 176" in done.err) == (5, True), done.err
    shown = runs.rawlab("replay", "out.pcapng", folder=folder)
    assert (shown.code, "sent again by replay --to lab" in shown.out) == (0, True), shown
    came = [frame for frame in store.load(folder / "out.pcapng").frames if not frame.outgoing]
    assert octets(came) == [bytes([n]) * 60 for n in range(2)]


# ------------------------------------------------------------------------------------------------ around it

OUT = """
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip link add out type veth peer name there; ip link set out up; ip link set there up; ip link set lo up
    "$@"; code=$?; cat /proc/net/dev >counted; exit $code
"""


def counted(folder: Path, interface: str) -> tuple[int, int]:
    """Packets that an interface outside has received and sent."""
    rows = (line.partition(":") for line in (folder / "counted").read_text().splitlines())
    counts = next(row.split() for name, _, row in rows if name.strip() == interface)
    return int(counts[1]), int(counts[9])


def test_nothing_leaves_the_lab(folder: Path) -> None:
    """No interface outside counts a packet."""
    runs.need_root()
    runs.need("ip", "unshare")
    words = ["replay", str(CAPTURES / "tcp-echo.pcapng"), "--to", "lab", *FAST]
    done = runs.rawlab(*words, folder=folder, before=["unshare", "-n", "sh", "-c", OUT, "sh"])
    assert done.code == 0, done.err
    assert [counted(folder, name) for name in ("lo", "out", "there")] == [(0, 0)] * 3


def test_outside_as_many_as_was_said(folder: Path) -> None:
    """All three words given: a warning, then so many packets at the most, on that interface alone."""
    runs.need_root()
    runs.need("ip", "unshare")
    words = ["replay", str(CAPTURES / "tcp-stream.pcapng"), "--to", "out", "--outside", "--loop", "9", "--count", "40"]
    before = ["unshare", "-n", "sh", "-c", OUT, "sh"]
    done = runs.rawlab(*words, "--rate", "2000", "--format", "json", folder=folder, before=before)
    assert done.code == 0, done.err
    assert "at most 40 packets, at most 2000 a second, leave on out, which is outside of any lab" in done.err
    assert (sum(done.story["sent"]), done.story["received"]) == (40, None)
    assert {done.story[name] for name in ("others", "lost", "dropped", "equal", "unseen", "overtaken")} == {None}
    assert done.story["took_ns"] >= 39 / 2000 * 1e9
    assert [counted(folder, name) for name in ("lo", "out", "there")] == [(0, 0), (0, 40), (40, 0)]


def test_outside_is_roots_alone(folder: Path) -> None:
    """An ordinary user: 3."""
    runs.need_root()
    os.chown(folder, runs.NOBODY, runs.NOBODY)
    (folder / "in.pcapng").write_bytes((CAPTURES / "udp-echo.pcapng").read_bytes())
    words = ["replay", "in.pcapng", "--to", "lo", "--outside", "--count", "1", "--rate", "1"]
    done = runs.rawlab(*words, folder=folder, user=runs.NOBODY)
    assert (done.code, "root" in done.says_one_line()) == (3, True)


def test_as_an_ordinary_user(folder: Path) -> None:
    """The lab's wire needs no root; what is kept is the user's."""
    user = runs.ordinary_user(folder)
    (folder / "in.pcapng").write_bytes((CAPTURES / "udp-echo.pcapng").read_bytes())
    os.chmod(folder / "in.pcapng", 0o644)
    runs.need_networks()
    words = ["replay", "in.pcapng", "--to", "lab", "-o", "out.pcapng", "--format", "json"]
    done = runs.rawlab(*words, folder=folder, user=user)
    if done.code == 3:
        pytest.skip(done.err)
    assert done.code == 0, done.err
    assert done.story["equal"] == done.story["planned"]["packets"] > 0
    assert (folder / "out.pcapng").stat().st_uid == (os.geteuid() if user is None else user)


def lasting(folder: Path) -> runs.Started:
    """A replay that takes minutes, a packet sent."""
    runs.need_networks()
    path = written(folder, [bytes(60), bytes(60), bytes(60)], gap=300.0)
    return runs.start("replay", str(path), "--to", "lab", "-o", "out.pcapng", folder=folder)


def test_it_stops_in_good_order(folder: Path) -> None:
    """^C: what was sent is told, what was captured is whole: 130."""
    started = lasting(folder)
    wait_for_sender(started)
    started.process.send_signal(signal.SIGINT)
    done = started.wait()
    assert (done.code, "the replay was stopped by SIGINT; " in done.err) == (130, True), done.err
    assert store.load(folder / "out.pcapng").complete
    assert not runs.leftovers(started.mark)


def test_killed_it_leaves_nothing(folder: Path) -> None:
    """kill -9: no process lives on, and so no namespace; the file opens."""
    started = lasting(folder)
    wait_for_sender(started)
    started.kill()
    assert not runs.leftovers(started.mark, seconds=10)
    store.load(folder / "out.pcapng")


def wait_for_sender(started: runs.Started) -> None:
    deadline = time.monotonic() + runs.SECONDS
    while "sender" not in started.processes().values():
        assert time.monotonic() < deadline, started.processes()
        assert started.process.poll() is None, started.process.communicate()
        time.sleep(0.01)
