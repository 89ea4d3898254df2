"""SCTP labs on our own stack, between real namespaces: what programs see, what the raw sockets did, and how runs end
when a process of theirs is killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rawlab import store
from rawlab.model.event import Call
from rawlab.model.timeline import Timeline
from rawlab.wire.strace import format_call
from tests.live import runs
from tests.live.traces import STRACE, traced

LONG = ("--clients", "3000")  # goes on until it is stopped


@pytest.fixture(autouse=True)
def _needs() -> None:
    runs.need_networks()


def captured(folder: Path, lab: str, *words: str, **more: Any) -> tuple[Timeline, dict[str, Any]]:
    """A run on our own stack, which must succeed: its file, and its story."""
    file = folder / f"{lab}.pcapng"
    words = ("--stack", "user", "--format", "json", "-o", str(file), "--force", *words)
    done = runs.rawlab("capture", lab, *words, folder=folder, **more)
    assert done.code == 0, done.err
    timeline = store.load(file)
    assert timeline.damaged_at is None
    assert timeline.run.stack == "user"
    return timeline, done.story


def program(timeline: Timeline, host: str) -> list[str]:
    """The calls of a host's program, its ports taken out."""
    mine = (call for call in timeline.calls if call.host == host and not call.endpoint)
    return [re.sub(r":\d{4,5}\b", ":PORT", format_call(call, 32)) for call in mine]


def test_an_echo(folder: Path) -> None:
    """Both programs' calls are those of the kernel's SCTP, in numbers, results and words."""
    timeline, _ = captured(folder, "sctp-echo")
    assert program(timeline, "server") == [
        "socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) = 3",
        "bind(3, 0.0.0.0:7) = 0",
        "listen(3, 10) = 0",
        "accept(3, 10.0.0.1:PORT) = 4",
        'read(4, "hello", 1048576) = 5',
        'write(4, "hello", 5) = 5',
        'read(4, "", 1048576) = 0',
        "close(4) = 0",
        "close(3) = 0",
    ]
    assert program(timeline, "client") == [
        "socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) = 3",
        "connect(3, 10.0.0.2:7) = 0",
        'write(3, "hello", 5) = 5',
        'read(3, "hello", 1048576) = 5',
        "close(3) = 0",
    ]


def test_the_stack_says_which_socket_and_its_state(folder: Path) -> None:
    """As the kernel is asked after each call: the new socket's number, its addresses, RFC 9260's state."""
    timeline, _ = captured(folder, "sctp-echo")
    calls = {(call.host, call.name, call.fd): call for call in timeline.calls if not call.endpoint}
    accept, read = calls["server", "accept", 3], calls["server", "read", 4]
    assert accept.new_socket == read.socket
    assert accept.new_socket != accept.socket
    connect = calls["client", "connect", 3]
    assert (str(connect.peer), connect.state) == ("10.0.0.2:7", "ESTABLISHED")
    assert connect.state_ns is not None


def test_timers_start_when_the_call_is_made(folder: Path) -> None:
    """A close after a long silence sends one SHUTDOWN, and no second one at once."""
    timeline, _ = captured(folder, "sctp-heartbeat")
    sent = [
        call.data or b"" for call in timeline.calls if call.endpoint and (call.host, call.name) == ("client", "sendto")
    ]
    assert [packet[12] for packet in sent].count(7) == 1


@pytest.mark.parametrize("words", [("--ipv6",), ("--message", "one", "--message", "two"), ("--size", "60000")])
def test_an_echo_of_anything(folder: Path, words: tuple[str, ...]) -> None:
    """Over IPv6, several messages, a large one: every octet comes back."""
    timeline, _ = captured(folder, "sctp-echo", *words)
    mine = [call for call in timeline.calls if call.host == "client" and not call.endpoint]
    sent = [call.data for call in mine if call.name == "write"]
    assert any(sent)
    assert [call.data for call in mine if call.name == "read"] == sent


def test_nobody_listens(folder: Path) -> None:
    """The server's stack answers INIT though its program has no socket; connect fails."""
    timeline, _ = captured(folder, "sctp-refused")
    assert "connect(3, 10.0.0.2:7) = -1 ECONNREFUSED (Connection refused)" in program(timeline, "client")


def test_nobody_answers(folder: Path) -> None:
    """INIT goes out as often as SCTP_INITMSG says, then connect fails."""
    timeline, _ = captured(folder, "sctp-filtered")
    errors = [call.errno for call in timeline.calls if call.name == "connect"]
    assert errors == ["ETIMEDOUT"]
    sent = [call for call in timeline.calls if call.endpoint and call.name == "sendto"]
    assert len(sent) > 1
    assert len({call.data for call in sent}) == 1


def test_an_abort(folder: Path) -> None:
    """SO_LINGER {1, 0} and SCTP_ABORT: the server's reads fail with ECONNRESET."""
    timeline, _ = captured(folder, "sctp-abort")
    resets = [call for call in timeline.calls if call.name == "read" and call.errno == "ECONNRESET"]
    assert len(resets) == 2


def test_an_ordinary_user_needs_no_root(folder: Path) -> None:
    """In a user namespace of its own, raw sockets included."""
    more = {}
    if not os.geteuid():
        runs.need_root()
        os.chown(folder, runs.NOBODY, runs.NOBODY)
        more = {"user": runs.NOBODY}
    timeline, _ = captured(folder, "sctp-echo", **more)
    assert len(program(timeline, "client")) == 5


def test_beside_a_kernel_that_has_sctp(folder: Path) -> None:
    """In user-mode Linux: the kernel, which would answer INIT with ABORT, does not see the packets."""
    runs.need("linux.uml", "ip", "modprobe", "tshark")
    file = folder / "beside.pcapng"
    words = ["-P", "-m", "rawlab", "capture", "sctp-many", "--stack", "user", "-o", str(file)]
    done = subprocess.run(
        ["scripts/uml", sys.executable, *words], cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    timeline = store.load(file)
    assert timeline.run.stack == "user"
    assert all(call.errno is None for call in timeline.calls)
    sent = [call for call in timeline.calls if call.endpoint and call.name == "sendto"]
    assert len(runs.tshark(file, "-Y", "sctp")) == 2 * len(sent)
    assert runs.tshark(file, "-Y", "sctp.chunk_type == 6") == []


def test_nothing_of_the_kernel_s_answers_beside_us(folder: Path) -> None:
    """No ICMP 'protocol unreachable', no ABORT but ours: each SCTP packet was sent by one of the raw sockets."""
    runs.need("tshark")
    timeline, _ = captured(folder, "sctp-many")
    lines = runs.tshark(folder / "sctp-many.pcapng", "-Y", "icmp or icmpv6.type < 130")
    assert lines == []
    seen = runs.tshark(folder / "sctp-many.pcapng", "-Y", "sctp")
    sent = [call for call in timeline.calls if call.endpoint and call.name == "sendto"]
    assert len(seen) == 2 * len(sent)  # at both ends of the wire


def test_the_raw_socket_s_calls_are_told_as_strace_saw_them(folder: Path) -> None:
    """Order, sizes, addresses and results of socket, bind, sendto and recvfrom, on both hosts."""
    runs.need("strace")
    timeline, _ = captured(folder, "sctp-echo", before=[*STRACE, str(folder / "strace")])
    names = ("socket", "bind", "sendto", "recvfrom")
    for host in ("client", "server"):
        told = [call for call in timeline.calls if call.endpoint and call.host == host]
        seen = [call for call in traced(folder / "strace", f"{host}-sctp") if call.name in names]
        seen = [call for call in seen if "AF_UNIX" not in call.text and "<UNIX" not in call.text]
        assert [(call.name, call.result) for call in told] == [(call.name, call.result) for call in seen]
        for call, line in zip(told, seen, strict=True):
            assert all(word in line.text for word in words_of(call)), line.text


def words_of(call: Call) -> list[str]:
    """What strace's line of the call must hold."""
    match call.name:
        case "socket":
            return ["SOCK_RAW|SOCK_CLOEXEC", "IPPROTO_SCTP"]
        case "bind":
            return [str(call.arg("addr")).rpartition(":")[0].strip("[]")]
        case "sendto":
            return [f", {call.result}, 0, ", str(call.arg("dest_addr")).rpartition(":")[0].strip("[]")]
    return [", 65536, 0, ", str(call.arg("src_addr")).rpartition(":")[0].strip("[]")]


def test_the_program_makes_no_socket_call_of_its_own(folder: Path) -> None:
    """What it asks the stack for goes over one unix socket; it opens no other."""
    runs.need("strace")
    captured(folder, "sctp-echo", before=[*STRACE, str(folder / "strace")])
    for host in ("client", "server"):
        made = [call.text for call in traced(folder / "strace", host) if call.name in ("socket", "bind", "connect")]
        assert made == []


def process(started: runs.Started, name: str) -> int:
    """The pid of the run's process of that name, as soon as it is there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid, its_name in started.processes().items():
            if its_name == name:
                return pid
        time.sleep(0.002)
    raise AssertionError(f"no process {name}: {started.processes()}")


def under_way(started: runs.Started, file: Path) -> None:
    """Waits until the run has written something of its calls."""
    process(started, "client")
    while not file.exists() or file.stat().st_size < 20_000:
        assert started.process.poll() is None
        time.sleep(0.01)


def test_the_stack_reads_packets_without_any_right(folder: Path) -> None:
    """Once its raw sockets are open, it holds no capability and can't get one."""
    file = folder / "stopped.pcapng"
    started = runs.start("capture", "sctp-echo", "--stack", "user", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    status = Path(f"/proc/{process(started, 'client-sctp')}/status").read_text()
    started.process.send_signal(signal.SIGINT)
    assert started.wait().code == 130
    held = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    assert {int(held[key], 16) for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert held["NoNewPrivs"] == "1"


@pytest.mark.parametrize("host", ["client", "server"])
def test_a_stack_that_is_killed_ends_the_run(folder: Path, host: str) -> None:
    """One line that says so, exit code 7, a whole file, nothing left."""
    file = folder / "killed.pcapng"
    words = ("sctp-echo", "--stack", "user", *LONG, "-o", str(file))
    started = runs.start("capture", *words, folder=folder, silent=True)
    under_way(started, file)
    os.kill(process(started, f"{host}-sctp"), signal.SIGKILL)
    done = started.wait()
    assert done.code == 7, done.err
    last = done.err.splitlines()[-1]
    assert last == f"rawlab: sctp-echo: the {host}'s SCTP process was killed by SIGKILL"
    assert not runs.leftovers(started.mark)
    timeline = store.load(file)
    assert timeline.damaged_at is None
    assert timeline.complete


def test_a_program_that_is_killed_has_its_association_shut_down(folder: Path) -> None:
    """As the kernel does for a process that ends: SHUTDOWN, not silence."""
    file = folder / "killed.pcapng"
    started = runs.start("capture", "sctp-heartbeat", "--stack", "user", "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    os.kill(process(started, "client"), signal.SIGKILL)
    done = started.wait()
    assert done.code == 7
    assert "the client: killed by SIGKILL" in done.err
    assert not runs.leftovers(started.mark)
    ends = [call for call in store.load(file).calls if call.host == "server" and call.name == "read"]
    assert [(call.result, call.errno) for call in ends] == [(0, None)]


def test_a_run_that_is_interrupted(folder: Path) -> None:
    """^C: stopped in good order, the file whole, nothing left."""
    file = folder / "stopped.pcapng"
    started = runs.start("capture", "sctp-echo", "--stack", "user", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    started.process.send_signal(signal.SIGINT)
    assert started.wait().code == 130
    assert not runs.leftovers(started.mark)
    assert store.load(file).complete


def test_a_rawlab_that_is_killed_takes_all_with_it(folder: Path) -> None:
    """Stacks too."""
    file = folder / "killed.pcapng"
    started = runs.start("capture", "sctp-echo", "--stack", "user", *LONG, "-o", str(file), folder=folder, silent=True)
    under_way(started, file)
    started.kill()
    assert not runs.leftovers(started.mark)


# ---------------------------------------------------------------------------------------------- choosing


def kernel_has_sctp() -> bool:
    """Whether the kernel that runs the tests has it."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
    except OSError:
        return False
    return True


def test_the_file_and_the_story_say_whose_sctp_it_was(folder: Path) -> None:
    """Without --stack, the kernel's if it has one, else ours."""
    done = runs.rawlab("capture", "sctp-refused", "--format", "json", folder=folder)
    assert done.story["stack"] == ("kernel" if kernel_has_sctp() else "user")


def test_a_kernel_s_that_is_not_there(folder: Path) -> None:
    """One line: the module, its packages, and what works now."""
    if kernel_has_sctp():
        pytest.skip("this kernel has SCTP")
    done = runs.rawlab("capture", "sctp-echo", "--stack", "kernel", folder=folder)
    assert done.code == 3
    line = done.says_one_line()
    for word in ("this kernel has no SCTP", "sudo modprobe sctp", "linux-modules-extra", "--stack user works now"):
        assert word in line
    assert not os.listdir(folder)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tcp-echo", "--stack", "user"), "leave --stack out"),
        (("udp-echo", "--stack", "kernel"), "leave --stack out"),
        (("sctp-echo", "--stack", "user", "--lo"), "leave --lo out"),
        (("sctp-echo", "--stack", "bsd"), "--stack"),
    ],
)
def test_a_stack_where_there_is_no_choice(folder: Path, words: tuple[str, ...], says: str) -> None:
    """Refused in one line (2)."""
    done = runs.rawlab("capture", *words, folder=folder)
    assert done.code == 2
    assert says in done.says_one_line()


def test_no_sctp_and_no_raw_sockets(folder: Path) -> None:
    """A system that has neither: one line with both fixes."""
    runs.need_root()
    if kernel_has_sctp():
        pytest.skip("this kernel has SCTP")
    bars = "setpriv --bounding-set=-net_raw --inh-caps=-net_raw -- "
    if subprocess.run([*bars.split(), "true"], capture_output=True).returncode:
        pytest.skip("setpriv can't take CAP_NET_RAW away here")
    done = runs.rawlab("capture", "sctp-echo", folder=folder, before=bars.split())
    assert done.code == 3
    line = done.says_one_line()
    for word in ("raw sockets", "refused (EPERM)", "--cap-add", "sudo modprobe sctp"):
        assert word in line
    assert not os.listdir(folder)
