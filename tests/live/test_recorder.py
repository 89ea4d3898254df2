"""Each call of the `Calls` protocol, made for real on loopback of a network of its own: what is recorded is what
strace saw, and what the kernel says of the sockets."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from rawlab import store
from rawlab.model import calls as protocol
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from tests.live import runs
from tests.live.traces import STRACE, Traced, traced

# What libc makes of a function, where it is not a call of the same name.
SYSTEM_CALLS = {"send": "sendto", "recv": "recvfrom", "fork": "clone", "nanosleep": "clock_nanosleep"}
PROGRAMS = ("tcp", "errors", "udp", "forks")


def recorded(
    folder: Path, program: str, *, keep: int = 65_536, observes: bool = False, strace: bool = False
) -> list[Call]:
    """The calls that the recorder told of."""
    runs.need_networks()
    before = [*STRACE, str(folder / "strace")] if strace else []
    file = folder / f"{program}.{observes}.pcapng"
    words = ["-m", "tests.live.recorded", program, str(file), str(keep), "yes" if observes else "no"]
    command = [*before, sys.executable, *words]
    done = subprocess.run(command, cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr
    timeline = store.load(file)
    assert timeline.damaged_at is None
    return list(timeline.calls)


def of_the_program(calls: list[Traced]) -> dict[int, list[Traced]]:
    """By process, what the program asked for: from its first socket on, without the recorder's talk with the stage."""
    names = {SYSTEM_CALLS.get(name, name) for name in vars(protocol.Calls)} | {"wait4", "exit_group"}
    first = next(index for index, call in enumerate(calls) if call.name == "socket")
    found = defaultdict(list)
    for call in calls[first:]:
        if call.name in names and "<pipe:" not in call.text and not call.text.startswith("exit_group(0)"):
            found[call.pid].append(call)
    return found


def words_of(value: Value) -> list[str]:
    """What strace's line must hold for an argument."""
    match value:
        case Endpoint():
            return [f"htons({value.port})", value.address]
        case bytes():
            return [value[:40].decode("ascii")]
        case tuple():
            return [word for item in value for word in words_of(item)]
        case None:
            return []
        case str():
            return [] if value.endswith("s") and value[0].isdecimal() else value.split("|")
        case _:
            return [str(value)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_strace_saw_the_same(folder: Path, program: str) -> None:
    """Name, order, arguments, result and errno of each call, in each process."""
    runs.need("strace")
    calls = recorded(folder, program, strace=True)
    seen = of_the_program(traced(folder / "strace", "client"))
    assert len(calls) == sum(map(len, seen.values()))
    for pid, lines in seen.items():
        for call, line in zip((call for call in calls if call.pid == pid), lines, strict=True):
            assert SYSTEM_CALLS.get(call.name, call.name) == line.name
            assert (call.result, call.errno) == (line.result, line.errno), line.text
            for name, value in call.args:
                if name != "ready":
                    assert all(word in line.text for word in words_of(value)), (name, value, line.text)


def test_every_call_is_made(folder: Path) -> None:
    """The programs of these tests leave no call of the protocol out."""
    made = {call.name for program in PROGRAMS for call in recorded(folder, program)}
    names = {name for name, value in vars(protocol.Calls).items() if callable(value) and not name.startswith("_")}
    assert made == names - {"waitpid", "exit"} | {"wait4", "exit_group"}


def test_errors_by_name(folder: Path) -> None:
    """A call that fails is told by errno's name, and gives -1."""
    failed = [(call.name, call.errno) for call in recorded(folder, "errors") if call.result == -1]
    assert failed == [
        ("socket", "EPROTONOSUPPORT"),
        ("bind", "EADDRNOTAVAIL"),
        ("connect", "ECONNREFUSED"),
        ("write", "EBADF"),
        ("getsockopt", "ENOTSOCK"),
        ("listen", "EOPNOTSUPP"),
    ]


def test_times(folder: Path) -> None:
    """A call is entered before it returns, returns before the next is entered, and takes as long as it takes."""
    calls = recorded(folder, "tcp")
    moments = [moment for call in calls for moment in (call.entered_ns, call.returned_ns)]
    assert None not in moments
    assert moments == sorted(moment for moment in moments if moment is not None)
    (slept,) = (call for call in calls if call.name == "nanosleep")
    assert slept.returned_ns
    assert slept.returned_ns - slept.entered_ns >= 10_000_000


def test_data_bound(folder: Path) -> None:
    """Of a call's data, so much as is asked for is kept, the first of it; lengths and results are the true ones."""
    by_name = {call.name: call for call in recorded(folder, "tcp", keep=100)}
    sent = by_name["send"]
    assert (sent.data, sent.arg("len"), sent.result) == (b"x" * 100, 1000, 1000)
    waited = next(call for call in recorded(folder, "tcp", keep=100) if call.args[-1] == ("flags", "MSG_WAITALL"))
    assert (waited.data, waited.result) == (b"x" * 100, 1000)
    nothing = {call.name: call for call in recorded(folder, "tcp", keep=0)}["send"]
    assert (nothing.data, nothing.result) == (b"", 1000)
    gathered = {call.name: call for call in recorded(folder, "udp", keep=9)}["sendmsg"]
    assert (gathered.arg("msg_iov"), gathered.result) == ((b"second ", b"me"), 14)


def observations(calls: list[Call]) -> list[tuple[object, ...]]:
    """What was seen of sockets at each call; inodes by order of their appearance, the kernel's own ports as 0."""
    seen: list[int | None] = [None]

    def known(inode: int | None) -> int:
        if inode not in seen:
            seen.append(inode)
        return seen.index(inode)

    def fixed(end: Endpoint | None) -> Endpoint | None:
        return Endpoint(end.address, 0) if end and end.port > 30_000 else end

    def told(call: Call) -> tuple[object, ...]:
        state = None if call.name == "shutdown" else call.state  # the peer may not have acknowledged yet
        inodes = known(call.socket), known(call.new_socket)
        return call.name, call.result, inodes, state, fixed(call.local), fixed(call.peer)

    return [told(call) for call in calls]


@pytest.mark.parametrize("program", ["tcp", "errors", "udp"])
def test_observed_from_within(folder: Path, program: str) -> None:
    """Where the stage may not look into the process, the recorder asks the kernel itself, and sees the same."""
    outside = observations(recorded(folder, program))
    assert outside == observations(recorded(folder, program, observes=True))
    assert any(state is not None for _, _, _, state, _, _ in outside) or program == "udp"


def test_observed_states(folder: Path) -> None:
    """The kernel's word on state and addresses, call by call."""
    calls = recorded(folder, "tcp")
    states = [(call.name, call.state) for call in calls if call.name in ("bind", "listen", "connect")]
    assert states == [("bind", "CLOSED"), ("listen", "LISTEN"), ("connect", "ESTABLISHED")]
    (shut,) = (call for call in calls if call.name == "shutdown")
    assert shut.state in ("FIN-WAIT-1", "FIN-WAIT-2")  # the peer's kernel takes its time to acknowledge
    (accepted,) = (call for call in calls if call.name == "accept")
    (connected,) = (call for call in calls if call.name == "connect")
    assert (accepted.local, accepted.peer) == (connected.peer, connected.local)
    assert accepted.local == Endpoint("127.0.0.1", 7007)
    assert accepted.state_ns
    assert accepted.returned_ns
    assert accepted.returned_ns < accepted.state_ns
    listener = next(call.new_socket for call in calls if call.name == "socket")
    assert (accepted.socket, accepted.new_socket is None) == (listener, False)


def test_a_child_s_calls_are_its_own(folder: Path) -> None:
    """After fork, parent and child are told apart by pid, and known to hold the same socket."""
    calls = recorded(folder, "forks")
    parent = calls[0].pid
    (child,) = (call.result for call in calls if call.name == "fork")
    assert [call.name for call in calls if call.pid == child] == ["bind", "exit_group"]
    assert [call.name for call in calls if call.pid == parent] == ["socket", "fork", "wait4", "getsockname", "close"]
    (bound,) = (call for call in calls if call.name == "bind")
    assert bound.socket == calls[0].new_socket
    (asked,) = (call for call in calls if call.name == "getsockname")
    assert asked.arg("addr") == Endpoint("127.0.0.1", 7007)
