"""Our own TCP behind the socket calls, between real namespaces: the kernel's answers to the same programs are the
measure, and the kernel's TCP is the peer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rawlab import api, store
from rawlab.model.facts import ArpMessage, IcmpMessage, TcpSegment
from rawlab.model.story import Story
from rawlab.wire.strace import format_call
from tests.live import owned, runs
from tests.live.test_stack import process, under_way
from tests.live.traces import STRACE, traced

PROGRAMS = [name for name in owned.PROGRAMS if name != "endless"]
OWN = {4: "10.0.0.11", 6: "fd00::11"}
WRONG = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 || icmpv6.checksum.status == 0"
CHECKS = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
LONG = ("--clients", "3000")  # goes on until it is stopped


@pytest.fixture(autouse=True)
def _needs() -> None:
    runs.need_networks()


def ran(folder: Path, name: str, whose: str, version: int = 4) -> Path:
    """A run of a pair of programs, which must end well: its capture."""
    file = folder / f"{name}.pcapng"
    words = [sys.executable, "-m", "tests.live.owned", name, str(file), whose, *["6"] * (version == 6)]
    done = subprocess.run(words, cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is None
    return file


def segments(story: Story, host: str) -> list[TcpSegment]:
    """What that host sent."""
    mine = (packet.facts.transport for packet in story.packets if packet.sender == host)
    return [segment for segment in mine if isinstance(segment, TcpSegment)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_program_expects_is_what_the_kernel_does(folder: Path, name: str) -> None:
    """The programs hold with the kernel's TCP on both hosts."""
    ran(folder, name, "kernel")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_can_t_tell_our_tcp_from_the_kernel_s(folder: Path, name: str, version: int) -> None:
    """The same results and errors; each packet has its cause, and none is malformed or has a wrong checksum."""
    file = ran(folder, name, "client", version)
    story = api.load(file)
    assert [packet.n for packet in story.packets if packet.cause.kind == "unknown"] == []
    ours = [packet for packet in story.packets if packet.sender == "client" and "kernel" in packet.cause.reason]
    assert [packet.cause.reason for packet in ours if isinstance(packet.facts.transport, TcpSegment)] == []
    if segments(story, "client"):
        runs.need("tshark")
        assert runs.tshark(file, *CHECKS, "-Y", WRONG) == []


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ["calls", "ends", "lossy"])
def test_where_both_hosts_speak_our_tcp(folder: Path, name: str, version: int) -> None:
    """Neither kernel has a part in it."""
    story = api.load(ran(folder, name, "both", version))
    reasons = [packet.cause.reason for packet in story.packets if isinstance(packet.facts.transport, TcpSegment)]
    assert [reason for reason in reasons if "kernel" in reason] == []
    assert not any(packet.cause.kind == "unknown" for packet in story.packets)


@pytest.mark.parametrize("version", [4, 6])
def test_who_asks_for_its_address_is_answered(folder: Path, version: int) -> None:
    """The server's kernel asks first: ARP, neighbour discovery; what came of its question is kept, nobody asks back."""
    story = api.load(ran(folder, "forks", "client", version))
    asked, answered = (
        [packet for packet in story.packets if is_neighbours(packet.facts.transport, kind)] for kind in (0, 1)
    )
    assert [(packet.sender, packet.cause.reason.partition(" asks")[0]) for packet in asked[:1]] == [
        ("server", "the server's kernel")
    ]
    assert not any(packet.sender == "client" for packet in asked)
    first = next(packet for packet in answered if packet.sender == "client")
    assert first.cause.reason.endswith(f"{OWN[version]} is here, and rawlab answers for it: no kernel owns it")
    assert first.cause.packets == (asked[0].n,)


def is_neighbours(transport: object, kind: int) -> bool:
    """Whether it asks for a link-layer address (0), or tells one (1)."""
    match transport:
        case ArpMessage(operation=operation):
            return operation == 1 + kind
        case IcmpMessage(version=6, type=type):
            return type == 135 + kind
    return False


def test_the_kernel_answers_nothing_beside_us(folder: Path) -> None:
    """Each frame of the address was sent by the packet socket, in a call that is told; what came was taken in order."""
    story = api.load(ran(folder, "ends", "client"))
    sent = [n for call in story.endpoint_calls for n in call.sent]
    came = [n for call in story.endpoint_calls for n in call.waited_for]
    assert sent == [packet.n for packet in story.packets if packet.sender == "client"]
    assert came == [packet.n for packet in story.packets if packet.sender == "server"][: len(came)]
    assert len(came) > len(sent) / 3  # the last ones may come when nobody waits for them any more
    assert {call.call.host for call in story.endpoint_calls} == {"client"}


def test_the_packet_socket_s_calls_are_told_as_strace_saw_them(folder: Path) -> None:
    """Order, sizes and results of all that it does; the program itself makes no call on any socket of TCP's."""
    runs.need("strace")
    file = folder / "traced.pcapng"
    words = ("capture", "raw-tcp", "-o", str(file))
    done = runs.rawlab(*words, folder=folder, before=[*STRACE, str(folder / "strace")])
    assert done.code == 0, done.err
    told = [(call.name, call.result) for call in store.load(file).calls if call.endpoint]
    names = {"socket": "socket", "bind": "bind", "sendto": "send", "recvfrom": "recv"}
    seen = [call for call in traced(folder / "strace", "client-tcp") if call.name in names]
    seen = [call for call in seen if "AF_UNIX" not in call.text and "<UNIX" not in call.text]
    assert told == [(names[call.name], call.result) for call in seen]
    made = [call.text for call in traced(folder / "strace", "client") if call.name in ("socket", "bind", "connect")]
    assert made == []


def test_the_file_says_whose_tcp_it_was(folder: Path) -> None:
    """Host and addresses; the summary says it, too."""
    file = folder / "a.pcapng"
    done = runs.rawlab("capture", "raw-tcp", "-o", str(file), folder=folder)
    assert "; TCP of the client is rawlab's own, over a packet socket" in done.out
    assert [host.own_tcp for host in store.load(file).hosts] == [("10.0.0.11", "fd00::11"), ()]


def test_a_lab_of_the_kernel_s_says_nothing_of_it(folder: Path) -> None:
    """tcp-echo's file and summary are as they were."""
    file = folder / "a.pcapng"
    done = runs.rawlab("capture", "tcp-echo", "-o", str(file), folder=folder)
    assert "rawlab's" not in done.out
    assert b"own-tcp" not in file.read_bytes()


def test_the_stack_reads_packets_without_any_right(folder: Path) -> None:
    """Once its packet socket is open, it holds no capability and can't get one."""
    file = folder / "stopped.pcapng"
    started = runs.start("capture", "raw-tcp", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    status = Path(f"/proc/{process(started, 'client-tcp')}/status").read_text()
    started.process.send_signal(signal.SIGINT)
    assert started.wait().code == 130
    held = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    assert {int(held[key], 16) for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert held["NoNewPrivs"] == "1"


def test_a_stack_that_is_killed_ends_the_run(folder: Path) -> None:
    """One line that says so, exit code 7, a whole file, nothing left."""
    file = folder / "killed.pcapng"
    started = runs.start("capture", "raw-tcp", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    os.kill(process(started, "client-tcp"), signal.SIGKILL)
    done = started.wait()
    assert done.code == 7, done.err
    assert done.err.splitlines()[-1] == "rawlab: raw-tcp: the client's TCP process was killed by SIGKILL"
    assert not runs.leftovers(started.mark)
    timeline = store.load(file)
    assert timeline.damaged_at is None
    assert timeline.complete


def test_a_program_that_is_killed_has_its_connection_closed(folder: Path) -> None:
    """As the kernel does for a process that ends: the server reads the end of the stream, or a reset."""
    file = folder / "killed.pcapng"
    started = runs.start("capture", "raw-tcp", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    os.kill(process(started, "client"), signal.SIGKILL)
    done = started.wait()
    assert done.code == 7
    assert "the client: killed by SIGKILL" in done.err
    assert not runs.leftovers(started.mark)
    calls = [call for call in store.load(file).calls if call.host == "server" and call.name in ("read", "accept")]
    last = calls[-1]
    assert last.name == "accept" or last.result in (0, -1), format_call(last)


def test_a_run_that_is_interrupted(folder: Path) -> None:
    """^C: stopped in good order, the file whole, nothing left."""
    file = folder / "stopped.pcapng"
    started = runs.start("capture", "raw-tcp", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    started.process.send_signal(signal.SIGINT)
    assert started.wait().code == 130
    assert not runs.leftovers(started.mark)
    assert store.load(file).complete


@pytest.mark.parametrize(("words", "says"), [(("--lo",), "leave --lo out"), (("--stack", "user"), "leave --stack out")])
def test_what_can_t_be_asked_for(folder: Path, words: tuple[str, ...], says: str) -> None:
    """Refused in one line (2)."""
    done = runs.rawlab("capture", "raw-tcp", *words, folder=folder)
    assert done.code == 2
    assert says in done.says_one_line()
