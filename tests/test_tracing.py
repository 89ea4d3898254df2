"""A capture by others with a log that strace wrote beside it: the story that it tells is the recorded one's."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rawlab import store
from rawlab.api import Story, explain
from rawlab.commands import tracing
from rawlab.errors import FormatError, RawlabError, UsageError
from rawlab.model.story import Packet
from rawlab.model.timeline import Point, Run, Timeline
from tests.labs.runs import CALLS
from tests.live.runs import REPOSITORY, SECONDS, need

LABS = ["tcp-echo", "udp-echo", "tcp-concurrent", "tcp-refused", "tcp-half-close"]


def need_strace() -> None:
    """Skips, with the reason, where strace is missing or may trace nothing."""
    need("strace")
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace may trace nothing here: {tried.stderr.strip().splitlines()[-1]}")


def need_loopback() -> None:
    """Skips, with the reason, unless this may capture on loopback."""
    if os.geteuid():
        pytest.skip("needs root: to capture on loopback")


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


# ------------------------------------------------------------------------------------- beside the recorder


def strangers(recorded: Timeline) -> Timeline:
    """The packets alone, as tcpdump on loopback would have saved them."""
    frames = tuple(replace(frame, outgoing=None) for frame in recorded.frames)
    points = tuple(Point(name="lo", linktype=point.linktype) for point in recorded.points)
    return Timeline(run=Run(), hosts=(), points=points, calls=(), frames=frames)


def causes(story: Story) -> list[tuple[object, ...]]:
    """Of each packet what brought it about: the calls by their hosts, names and octets, the packets, the reason."""
    return [cause(packet, story) for packet in story.packets]


def cause(packet: Packet, story: Story) -> tuple[object, ...]:
    calls = [story.calls[n - 1].call for n in packet.cause.calls]
    octets = [(first, end) for _, first, end in packet.cause.bytes]
    reason = re.sub(r"call \d+", "call", packet.cause.reason)
    named = [(call.host, call.name, call.result, call.errno) for call in calls]
    return packet.facts, packet.cause.kind, named, packet.cause.packets, octets, reason


@pytest.mark.parametrize("lab", LABS)
def test_the_causes_are_those_that_the_recorder_tells(lab: str, tmp_path: Path) -> None:
    """Of a lab that strace followed while rawlab recorded it: each packet has the same calls, octets and reason."""
    need_strace()
    need_loopback()
    log, file = tmp_path / "log", tmp_path / "lab.pcapng"
    strace = ["strace", "-f", "-ttt", "-T", "-yy", "-x", "-s", "65536", "--decode-pids=comm,pidns"]
    lab_ = [sys.executable, "-m", "rawlab", "capture", lab, "--lo", "--port", str(free_port()), "-o", str(file)]
    command = [*strace, "--seccomp-bpf", "-e", CALLS, "-o", str(log), *lab_, "--format", "json"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    recorded = store.load(file)
    programs = [line for line in log.read_text().splitlines() if re.match(r"\d+<(client|server)> ", line)]
    log.write_text("\n".join(programs) + "\n")
    traced, said = tracing.add(strangers(recorded), tracing.read_all(tracing.opened([str(log)])), "lo.pcap")
    assert said == []
    told, expected = explain(traced), explain(recorded)
    assert causes(told) == causes(expected)
    sockets = [(call.host, call.name, call.result, call.errno) for call in traced.calls if call.name != "fork"]
    assert {call for call in sockets if call[1] not in ("exit_group",)} == {
        (call.host, call.name, call.result, call.errno)
        for call in recorded.calls
        if call.name not in ("fork", "nanosleep", "wait4", "exit_group")
    }


# --------------------------------------------------------------------------------- beside tcpdump and strace

PROGRAM = textwrap.dedent("""\
    import os, socket, sys
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("0.0.0.0", int(sys.argv[1])))
    listening.listen(5)
    if os.fork() == 0:
        listening.close()
        client = socket.socket()
        client.connect(("127.0.0.1", int(sys.argv[1])))
        client.sendall(b"hello\\x00\\xff\\n" * 20)
        client.shutdown(socket.SHUT_WR)
        while client.recv(1000):
            pass
        os._exit(0)
    made, _ = listening.accept()
    if os.fork() == 0:
        listening.close()
        while octets := made.recv(1000):
            made.sendall(octets)
        os._exit(0)
    made.close()
    os.wait()
    os.wait()
    listening.close()
    try:
        socket.socket().connect(("127.0.0.1", int(sys.argv[1])))
    except ConnectionRefusedError:
        pass
    sender, hearer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    hearer.bind(("127.0.0.1", int(sys.argv[1])))
    sender.sendto(b"a datagram", ("127.0.0.1", int(sys.argv[1])))
    hearer.recvfrom(100)
""")


class Dumped:
    """A run of PROGRAM under strace, and tcpdump on loopback beside it."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.file, port = folder / "lo.pcap", free_port()
        dump = ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", str(self.file), "port", str(port)]
        with subprocess.Popen(dump, stderr=subprocess.PIPE) as tcpdump:
            try:
                assert tcpdump.stderr is not None
                assert any(b"listening" in line for line in iter(tcpdump.stderr.readline, b""))
                program = [sys.executable, "-S", "-c", PROGRAM, str(port)]
                strace = ["strace", *options, "-o", str(folder / "log"), *program]
                ended = subprocess.run(strace, capture_output=True, text=True, timeout=SECONDS)
                assert ended.returncode == 0, ended.stderr
                self._wait()
            finally:
                tcpdump.terminate()
        self.logs = sorted(map(str, folder.glob("log*")))

    def _wait(self) -> None:
        """Until the datagram, the last of the packets, is in the file."""
        until = time.monotonic() + SECONDS
        while b"a datagram" not in self.file.read_bytes() and time.monotonic() < until:
            time.sleep(0.02)


FORMS = {
    "as the help says": ("-f", "-ttt", "-T", "-yy", "-x"),
    "without descriptors": ("-f", "-ttt", "-T"),
    "nothing but numbers": ("-f", "-ttt", "-xx", "-s", "3"),
    "one file a process, times of the day": ("-ff", "-tt", "-y"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_packet_is_tied_whatever_strace_was_asked_for(form: str, tmp_path: Path) -> None:
    """TCP with a forked server, a refused connection and UDP: what each packet carries, and whose, is found."""
    need("tcpdump")
    need_strace()
    need_loopback()
    run = Dumped(tmp_path, FORMS[form])
    traced, _ = tracing.add(store.load(run.file), tracing.read_all(tracing.opened(run.logs)), "lo.pcap")
    story = explain(traced)
    kinds = {packet.cause.kind for packet in story.packets}
    assert kinds == {"call", "kernel"}
    named: dict[str, set[str]] = {"client": set(), "server": set()}
    for told in story.calls:
        if told.sent:
            named[told.call.host].add(told.call.name)
    assert named == {"client": {"connect", "send", "shutdown", "sendto"}, "server": {"send", "exit_group"}}
    carried = sum(end - first for packet in story.packets for _, first, end in packet.cause.bytes)
    assert carried == 2 * 160 + 10
    refused = next(told.call for told in story.calls if told.call.errno == "ECONNREFUSED")
    assert (refused.name, refused.result, refused.host) == ("connect", -1, "client")
    assert all(
        told.call.returned_ns is not None and told.call.returned_ns >= told.call.entered_ns
        for told in story.calls
        if told.call.name != "exit_group"
    )


def rawlab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rawlab", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS)


# ---------------------------------------------------------------------------------------------- what is said


ECHO = [
    '7 1700000000.000100 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3 <0.000010>',
    '7 1700000000.000200 connect(3, {sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("10.0.0.2")}, 16) = 0'
    " <0.000300>",
    '7 1700000000.000600 write(3, "hello", 5) = 5 <0.000010>',
    "7 1700000000.000700 close(3) = 0 <0.000010>",
]


def echo(folder: Path, start_s: int = 1_700_000_000) -> Path:
    """The packets of ECHO, without Ethernet."""
    from scapy.layers.inet import IP, TCP
    from scapy.packet import Raw
    from scapy.utils import wrpcap

    def segment(at_us: int, *, forth: bool, seq: int, ack: int, flags: str, data: bytes = b"") -> IP:
        ends = ("10.0.0.1", "10.0.0.2", 40_000, 7) if forth else ("10.0.0.2", "10.0.0.1", 7, 40_000)
        packet = IP(src=ends[0], dst=ends[1]) / TCP(sport=ends[2], dport=ends[3], seq=seq, ack=ack, flags=flags)
        packet = packet / Raw(data) if data else packet
        packet.time = start_s + at_us / 1e6
        return packet

    packets = [
        segment(250, forth=True, seq=99, ack=0, flags="S"),
        segment(300, forth=False, seq=499, ack=100, flags="SA"),
        segment(310, forth=True, seq=100, ack=500, flags="A"),
        segment(605, forth=True, seq=100, ack=500, flags="PA", data=b"hello"),
        segment(705, forth=True, seq=105, ack=500, flags="FA"),
    ]
    file = folder / "echo.pcap"
    wrpcap(str(file), packets)
    return file


def add(folder: Path, lines: Sequence[str], file: Path) -> tuple[Timeline, list[str]]:
    log = folder / "log"
    log.write_text("".join(f"{line}\n" for line in lines))
    return tracing.add(store.load(file), tracing.read_all(tracing.opened([str(log)])), file.name)


def test_a_remote_server_has_no_calls(tmp_path: Path) -> None:
    """One machine was traced: its packets leave it, the other's arrive; of the other's nothing is claimed as exact."""
    traced, said = add(tmp_path, ECHO, echo(tmp_path))
    assert said == []
    assert [frame.outgoing for frame in traced.frames] == [True, False, True, True, True]
    assert {call.host for call in traced.calls} == {"client"}
    assert str(traced.calls[1].local) == "10.0.0.1:40000"
    story = explain(traced)
    told = [(packet.sender, packet.cause.kind, packet.cause.calls, packet.cause.confidence) for packet in story.packets]
    assert told[0] == ("client", "call", (2,), "exact")
    assert told[1][:3] == ("server", "kernel", ())
    assert told[1][3] != "exact"
    assert told[3:] == [("client", "call", (3,), "exact"), ("client", "call", (4,), "exact")]


def test_a_log_of_another_run_is_refused_with_how_little_matches(tmp_path: Path) -> None:
    """None of its sockets' packets are there: said with both clocks; the capture is shown as if without it."""
    with pytest.raises(FormatError, match=r"its one socket .*is not in .*spans 2023-11-14 22:13:20 to .* run\?"):
        add(tmp_path, ECHO, echo(tmp_path, 1_700_009_000))
    shown = rawlab("replay", str(tmp_path / "echo.pcap"), "--strace", str(tmp_path / "log"), "--table", "timeline")
    assert shown.returncode == FormatError.exit_code
    assert "[S] seq 0" in shown.stdout
    assert shown.stderr.count("\n") == 1
    assert "Traceback" not in shown.stderr


def test_what_matches_in_part_is_said(tmp_path: Path) -> None:
    """Of two connections one was captured: that many are named, and the other's calls are told all the same."""
    other = [line.replace("10.0.0.2", "10.0.0.3").replace("7 17", "8 17") for line in ECHO]
    traced, said = add(tmp_path, sorted([*ECHO, *other], key=lambda line: line.split()[1]), echo(tmp_path))
    assert len(traced.calls) == 8
    assert len(said) == 1
    assert "1 of its 2 sockets that spoke with somebody" in said[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        (["What a program printed", "is no log"], "is no log of strace's: in 2 lines there is no call"),
        (["     0.000100 close(3) = 0"], r"count from line to line \(strace -r\)"),
        (["close(3) = 0"], "1 call without times"),
        (['1700000000.000100 openat(AT_FDCWD, "/x", O_RDONLY) = 3'], "in 1 line there is no call on a socket"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(lines: list[str], message: str, tmp_path: Path) -> None:
    """What it is instead, and what strace is to be asked for."""
    with pytest.raises(FormatError, match=message) as refused:
        add(tmp_path, lines, echo(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_capture_that_has_calls_takes_no_log(tmp_path: Path) -> None:
    """rawlab's own recordings have them already."""
    (tmp_path / "log").write_text("\n".join(ECHO))
    shown = rawlab("replay", "captures/tcp-echo.pcapng", "--strace", str(tmp_path / "log"))
    assert shown.returncode == UsageError.exit_code
    assert "has its own calls" in shown.stderr


def test_a_log_without_durations_says_what_the_times_are(tmp_path: Path) -> None:
    """Without -T a call ends when its thread's next line begins, at the latest."""
    lines = [line.partition(" <")[0] for line in ECHO]
    traced, said = add(tmp_path, [*lines, "7 1700000000.000900 +++ exited with 0 +++"], echo(tmp_path))
    assert "without strace's -T" in said[0]
    ends = [(call.returned_ns or 0) - 1_700_000_000 * 10**9 for call in traced.calls]
    assert ends == [199_999, 599_999, 699_999, 899_999]


def test_other_conversations_are_left_out_and_counted(tmp_path: Path) -> None:
    """A busy capture is told as far as the log's processes took part in it."""
    from scapy.layers.inet import IP, UDP
    from scapy.utils import PcapReader, wrpcap

    file = echo(tmp_path)
    with PcapReader(str(file)) as reader:
        packets = [*reader, IP(src="10.0.0.8", dst="10.0.0.9") / UDP(sport=1, dport=2)]
    packets[-1].time = packets[0].time
    wrpcap(str(file), packets)
    traced, said = add(tmp_path, ECHO, file)
    assert len(traced.frames) == 5
    assert "1 packet of other conversations" in said[0]


def test_every_error_is_rawlabs_own(tmp_path: Path) -> None:
    """A log that is a folder, or not there: one line."""
    for name in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RawlabError, match="expected what `strace"):
            tracing.opened([str(name)])
