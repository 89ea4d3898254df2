"""Logs of strace's that do not go with their capture as one would wish: begun later, coarse, on another clock."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from rawlab import store
from rawlab.api import Story, explain
from rawlab.commands import tracing
from rawlab.errors import RawlabError
from tests.live.runs import REPOSITORY, SECONDS

START_S = 1_700_000_000
ENDS = "127.0.0.1:7->127.0.0.1:40000"
"the server's, as strace -yy writes them"


def capture(folder: Path, rounds: int, *, away_s: float = 0, handshake: bool = True, port: int = 40_000) -> Path:
    """A client says msg0, msg1, …, 100 ms apart from 100 ms on; the server answers MSG0, MSG1, … 1 ms later."""
    numbers = {True: 1001, False: 5001}

    def segment(at_us: int, flags: str, data: bytes = b"", *, forth: bool = True) -> Packet:
        ends = {"sport": port, "dport": 7} if forth else {"sport": 7, "dport": port}
        seq = numbers[forth] - ("S" in flags)
        ack = 0 if flags == "S" else numbers[not forth]
        packet = IP(src="127.0.0.1", dst="127.0.0.1") / TCP(**ends, seq=seq, ack=ack, flags=flags)
        numbers[forth] += len(data) + ("F" in flags)
        packet = packet / Raw(data) if data else packet
        packet.time = START_S + away_s + at_us / 1e6
        return packet

    packets = [segment(0, "S"), segment(10, "SA", forth=False), segment(20, "A")] if handshake else []
    for n in range(rounds):
        at_us = 100_000 * (n + 1)
        packets.append(segment(at_us, "PA", f"msg{n}".encode()))
        packets.append(segment(at_us + 1000, "PA", f"MSG{n}".encode(), forth=False))
    at_us = 100_000 * (rounds + 1)
    packets += [segment(at_us, "FA"), segment(at_us + 1000, "FA", forth=False), segment(at_us + 1010, "A")]
    wrpcap(str(folder / "lo.pcap"), packets)
    return folder / "lo.pcap"


def server(first: int, rounds: int) -> list[str]:
    """What a server's log holds that strace -p began before round `first`."""
    lines = []
    for n in range(first, rounds):
        at_s = START_S + 0.1 * (n + 1)
        lines.append(f'9 {at_s - 0.05:.6f} recvfrom(4<TCP:[{ENDS}]>, "msg{n}", 99, 0, NULL, NULL) = 4 <0.050100>')
        lines.append(f'9 {at_s + 0.0009:.6f} sendto(4<TCP:[{ENDS}]>, "MSG{n}", 4, 0, NULL, 0) = 4 <0.000200>')
    at_s = START_S + 0.1 * (rounds + 1)
    lines.append(f'9 {at_s - 0.05:.6f} recvfrom(4<TCP:[{ENDS}]>, "", 99, 0, NULL, NULL) = 0 <0.050100>')
    return [*lines, f"9 {at_s + 0.0009:.6f} close(4<TCP:[{ENDS}]>) = 0 <0.000200>"]


def add(folder: Path, lines: Sequence[str], file: Path) -> tuple[Story, list[str]]:
    log = folder / "log"
    log.write_text("\n".join(lines) + "\n")
    traced, said = tracing.add(store.load(file), tracing.read_all(tracing.opened([str(log)])), file.name)
    return explain(traced), said


def carried(story: Story) -> dict[str, list[str]]:
    """By the data of each packet: the data of the calls that it carries."""
    return {
        bytes(story.timeline.frames[packet.frames[0] - 1].data[-4:]).decode("latin-1"): [
            (story.calls[n - 1].call.data or b"").decode() for n in packet.cause.calls
        ]
        for packet in story.packets
        if getattr(packet.facts.transport, "length", 0)
    }


def rawlab(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rawlab", *words]
    return subprocess.run(command, cwd=REPOSITORY, input=stdin, capture_output=True, text=True, timeout=SECONDS)


# ------------------------------------------------------------------------------- begun in mid-connection


def test_a_process_attached_in_mid_connection_is_the_server_that_it_is(tmp_path: Path) -> None:
    """The SYN came to it: its calls are the server's, and carry the octets that they wrote, not the stream's first."""
    story, _ = add(tmp_path, server(3, 6), capture(tmp_path, 6))
    assert {told.call.host for told in story.calls} == {"server"}
    assert {packet.sender for packet in story.packets} == {"client", "server"}
    assert not [packet for packet in story.packets if packet.cause.kind == "unknown"]
    found = carried(story)
    assert [found[f"MSG{n}"] for n in range(6)] == [[], [], [], ["MSG3"], ["MSG4"], ["MSG5"]]
    before = next(packet for packet in story.packets if packet.n == 5)
    assert before.cause.reason == "a write of octets 1 to 4, which is not in the log: it begins later"
    assert before.cause.confidence == "inferred"
    reads = [told for told in story.calls if told.call.name == "recv" and told.call.result]
    assert [story.packets[told.waited_for[0] - 1].at_ns // 10**8 % 10 for told in reads] == [4, 5, 6]


def test_octets_that_are_nowhere_in_the_stream_are_tied_to_nothing(tmp_path: Path) -> None:
    """What the log shows is not what the packets hold: no call is said to have sent a packet, and why is told."""
    lines = [line.replace("MSG", "BAD") for line in server(3, 6)]
    story, _ = add(tmp_path, lines, capture(tmp_path, 6))
    assert not any(calls for data, calls in carried(story).items() if data.startswith("MSG"))
    sends = {told.why for told in story.calls if told.call.name == "send"}
    assert sends == {"which packets its octets left in is not known: the log begins in the middle of the connection"}


def test_the_same_octets_again_and_again_are_found_by_the_times(tmp_path: Path) -> None:
    """Where the octets alone do not tell, the times do, and it is said that they are inferred."""
    file = tmp_path / "lo.pcap"
    capture(tmp_path, 6)
    octets = file.read_bytes()
    for n in range(6):
        octets = octets.replace(f"msg{n}".encode(), b"ping").replace(f"MSG{n}".encode(), b"PING")
    file.write_bytes(octets)
    lines = [line.replace(f"msg{n}", "ping").replace(f"MSG{n}", "PING") for n in range(3, 6) for line in [
        one for one in server(3, 6) if f"sg{n}" in one or f"SG{n}" in one
    ]]
    story, _ = add(tmp_path, lines, file)
    tied = [packet for packet in story.packets if packet.cause.bytes]
    assert [packet.at_ns // 10**8 % 10 for packet in tied] == [4, 5, 6]
    assert {packet.cause.confidence for packet in tied} == {"inferred"}


def test_a_capture_begun_in_mid_connection_ties_the_later_calls(tmp_path: Path) -> None:
    """The log holds all of the connection, the capture its end: what left before it is said to have."""
    file = capture(tmp_path, 6)
    from scapy.utils import rdpcap

    wrpcap(str(file), rdpcap(str(file))[3 + 2 * 3 :])
    opening = [
        f"9 {START_S - 1}.000000 accept4(3<TCP:[127.0.0.1:7]>, {{sa_family=AF_INET, sin_port=htons(40000), "
        f'sin_addr=inet_addr("127.0.0.1")}}, [16], SOCK_CLOEXEC) = 4<TCP:[{ENDS}]> <1.000100>'
    ]
    story, _ = add(tmp_path, [*opening, *server(0, 6)], file)
    found = carried(story)
    assert [found[f"MSG{n}"] for n in range(3, 6)] == [["MSG3"], ["MSG4"], ["MSG5"]]
    sends = [told.why for told in story.calls if told.call.name == "send"]
    assert sends[:3] == ["its octets left before the capture begins"] * 3


# ---------------------------------------------------------------------------------------------- the times


@pytest.mark.parametrize(("away_s", "word"), [(0.2, "behind"), (-0.2, "ahead of")])
def test_a_clock_that_is_apart_is_told_and_put_right(away_s: float, word: str, tmp_path: Path) -> None:
    """Octets would be read before they came, or sent before they were written: the calls are moved, and tied."""
    story, said = add(tmp_path, server(0, 6), capture(tmp_path, 6, away_s=away_s))
    assert len(said) == 1
    assert f"log: its clock is 0.2 s {word} the capture's, ± 0.1" in said[0]
    found = carried(story)
    assert [found[f"MSG{n}"] for n in range(6)] == [[f"MSG{n}"] for n in range(6)]
    sends = {told.call.data: told.call for told in story.calls if told.call.name == "send"}
    for packet in story.packets:
        if packet.cause.bytes:
            call = sends[(story.calls[packet.cause.calls[0] - 1].call.data)]
            assert abs(call.entered_ns - packet.at_ns) < 2_000_000


def test_clocks_that_go_together_are_not_spoken_of(tmp_path: Path) -> None:
    """A log on the capture's clock: nothing is said, nothing is moved."""
    story, said = add(tmp_path, server(0, 6), capture(tmp_path, 6))
    assert said == []
    assert story.calls[0].call.entered_ns == START_S * 10**9 + 50_000_000


def test_whole_seconds_assert_nothing_that_is_not_so(tmp_path: Path) -> None:
    """strace -t: the calls are placed by their order and octets, which is said; each that sent is told to have."""
    whole = [
        f"9 {line.split()[1].partition('.')[0]} {line.split(' ', 2)[2].rpartition(' <')[0]}" for line in server(0, 6)
    ]
    story, said = add(tmp_path, whole, capture(tmp_path, 6))
    assert any("whole seconds (-t)" in line and "by their order and by the octets" in line for line in said)
    found = carried(story)
    assert [found[f"MSG{n}"] for n in range(6)] == [[f"MSG{n}"] for n in range(6)]
    assert {told.call.host for told in story.calls} == {"server"}
    moved = [told for told in story.calls if told.call.name in ("send", "close")]
    assert all(told.sent and told.why.startswith("sends packet") for told in moved)
    entered = [told.call.entered_ns for told in story.calls]
    assert entered == sorted(entered)
    for told in story.calls:
        assert all(story.packets[n - 1].at_ns >= told.call.entered_ns for n in told.sent)


# ---------------------------------------------------------------------------------------- what is not in it


def test_a_log_without_close_blames_no_exit(tmp_path: Path) -> None:
    """-e trace=network leaves close out: FIN's close is not in the log, and the process's later end was not it."""
    lines = [*server(0, 6)[:-1], f"9 {START_S + 0.9:.6f} +++ exited with 0 +++"]
    story, _ = add(tmp_path, lines, capture(tmp_path, 6))
    fin = next(packet for packet in story.packets if packet.n == len(story.packets) - 1)
    assert fin.cause.reason == "a close or shutdown sends FIN: none is in the log (was it left out by -e?)"
    assert fin.cause.confidence == "inferred"


def test_a_killed_process_s_socket_is_closed_by_the_kernel(tmp_path: Path) -> None:
    """+++ killed by SIGKILL +++ right after FIN: the signal is named."""
    opening = (
        f"9 {START_S - 1}.000000 accept4(3<TCP:[127.0.0.1:7]>, {{sa_family=AF_INET, sin_port=htons(40000), "
        f'sin_addr=inet_addr("127.0.0.1")}}, [16], SOCK_CLOEXEC) = 4<TCP:[{ENDS}]> <1.000100>'
    )
    lines = [opening, *server(0, 6)[:-1], f"9 {START_S + 0.7015:.6f} +++ killed by SIGKILL +++"]
    story, _ = add(tmp_path, lines, capture(tmp_path, 6))
    fin = next(packet for packet in story.packets if packet.n == len(story.packets) - 1)
    why = "the process was killed by SIGKILL and left the socket open: the kernel closes it"
    assert fin.cause.reason == why


# ----------------------------------------------------------------------------------------- what is asked for


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two connections' capture, and a log of both."""
    folder = tmp_path_factory.mktemp("two")
    from scapy.utils import rdpcap

    packets = [*rdpcap(str(capture(folder, 2))), *rdpcap(str(capture(folder, 2, port=40_001, away_s=2)))]
    wrpcap(str(folder / "lo.pcap"), packets)
    later = [
        line.replace(str(START_S), str(START_S + 2)).replace("40000", "40001").replace("4<", "5<")
        for line in server(0, 2)
    ]
    (folder / "log").write_text("\n".join([*server(0, 2), *later]) + "\n")
    return folder


def test_one_flow_of_several_is_told_with_its_calls(two: Path) -> None:
    """--flow N with --strace: that flow's packets, and the calls on its sockets alone."""
    told = rawlab("replay", str(two / "lo.pcap"), "--strace", str(two / "log"), "--flow", "2", "--table", "calls")
    assert told.returncode == 0, told.stderr
    assert "6 calls, 10 packets" in told.stdout
    assert "recv(5" in told.stdout
    assert "recv(4" not in told.stdout


def test_rows_of_several_connections_name_the_ports(two: Path) -> None:
    """Whose a packet is, is seen at each row."""
    told = rawlab("replay", str(two / "lo.pcap"), "--strace", str(two / "log"), "--table", "timeline")
    assert "127.0.0.1.40000 > 127.0.0.1.7: [S]" in told.stdout
    assert "127.0.0.1.40001 > 127.0.0.1.7: [S]" in told.stdout


def test_a_log_named_twice_is_used_once(two: Path) -> None:
    """The same file under two names: its calls are there once, and it is said."""
    log = str(two / "log")
    once = rawlab("replay", str(two / "lo.pcap"), "--strace", log)
    twice = rawlab("replay", str(two / "lo.pcap"), "--strace", log, "--strace", f"{two}/./log")
    assert twice.stdout == once.stdout
    assert "named twice is used once" in twice.stderr


def test_a_packed_log_and_standard_input_are_told_what_to_do(two: Path) -> None:
    """One line each: unpack it; name a file."""
    packed = two / "log.gz"
    packed.write_bytes(gzip.compress((two / "log").read_bytes()))
    with pytest.raises(RawlabError, match=r"is packed \(gzip\): unpack it first \(`gunzip "):
        tracing.opened([str(packed)])
    with pytest.raises(RawlabError, match="from a file, not from standard input: name it"):
        tracing.opened(["-"])


def test_epoll_that_found_the_listening_socket_names_the_handshake_s_end(tmp_path: Path) -> None:
    """epoll_wait returns since a connection can be accepted: because of the packet that completed the handshake."""
    listening = "3<TCP:[127.0.0.1:7]>"
    lines = [
        f"9 {START_S - 1}.000000 listen({listening}, 5) = 0 <0.000010>",
        f"9 {START_S - 1}.000100 epoll_ctl(5<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, {listening}, "
        "{events=EPOLLIN, data={u32=3, u64=3}}) = 0 <0.000010>",
        f"9 {START_S - 1}.000200 epoll_wait(5<anon_inode:[eventpoll]>, [{{events=EPOLLIN, data={{u32=3, u64=3}}}}], "
        "1, -1) = 1 <1.000000>",
        f"9 {START_S}.000300 accept4({listening}, {{sa_family=AF_INET, sin_port=htons(40000), "
        f'sin_addr=inet_addr("127.0.0.1")}}, [16], SOCK_CLOEXEC) = 4<TCP:[{ENDS}]> <0.000100>',
        *server(0, 2),
    ]
    story, _ = add(tmp_path, lines, capture(tmp_path, 2))
    waits = next(told for told in story.calls if told.call.name == "epoll_wait")
    assert waits.waited_for == (3,)


def test_messages_of_one_call_are_tied_each(tmp_path: Path) -> None:
    """sendmmsg, as glibc's resolver calls it, and recvmmsg: each message is a datagram."""
    from scapy.layers.inet import UDP

    packets = [IP(src="127.0.0.1", dst="127.0.0.1") / UDP(sport=40_000, dport=53) / Raw(b) for b in (b"one", b"two")]
    for at_us, packet in enumerate(packets):
        packet.time = START_S + at_us / 1e6
    wrpcap(str(tmp_path / "lo.pcap"), packets)
    vector = ", ".join(
        f'{{msg_hdr={{msg_name=NULL, msg_namelen=0, msg_iov=[{{iov_base="{word}", iov_len=3}}], msg_iovlen=1, '
        "msg_controllen=0, msg_flags=0}, msg_len=3}"
        for word in ("one", "two")
    )
    lines = [
        f"9 {START_S - 1}.000000 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 4<UDP:[5]> <0.000010>",
        f"9 {START_S - 1}.000100 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3<UDP:[6]> <0.000010>",
        f"9 {START_S - 1}.000200 bind(3<UDP:[6]>, {{sa_family=AF_INET, sin_port=htons(53), "
        'sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000010>',
        f"9 {START_S - 1}.999900 sendmmsg(4<UDP:[127.0.0.1:40000->127.0.0.1:53]>, [{vector}], 2, 0) = 2 <0.000200>",
        f"9 {START_S}.000300 recvmmsg(3<UDP:[127.0.0.1:53]>, [{vector}], 2, 0, NULL) = 2 <0.000100>",
    ]
    story, _ = add(tmp_path, lines, tmp_path / "lo.pcap")
    assert [packet.cause.reason.partition(" (")[0] for packet in story.packets] == [
        "carries all 3 octets of message 1 of sendmmsg",
        "carries all 3 octets of message 2 of sendmmsg",
    ]
    assert [(told.call.host, told.sent, told.waited_for) for told in story.calls[-2:]] == [
        ("client", (1, 2), ()),
        ("server", (), (1, 2)),
    ]
