"""Runs that end before their time, at moments drawn at random: killed, interrupted, hanging. Whatever happens,
nothing is left but a file that is whole.

RAWLAB_TEST_RUNS says how often each is done (a few times, if it is not set), RAWLAB_TEST_SEED where the moments
come from.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlab import store
from tests.live import runs

LONG = ("--clients", "2000")  # goes on until it is stopped
pytestmark = pytest.mark.timeout(100 + 10 * runs.repetitions(2))


@pytest.fixture(autouse=True)
def _same_interfaces() -> Iterator[None]:
    """No run may leave, add or take an interface of the network that it was started in."""
    runs.need_networks()
    before = sorted(os.listdir("/sys/class/net"))
    yield
    assert sorted(os.listdir("/sys/class/net")) == before


def moments(few: int, what: str, folder: Path) -> Iterator[float]:
    """Seconds after the start, as many as asked for, within the time that a run takes on this machine just now."""
    began = time.monotonic()
    runs.capture(folder, "-o", "measured.pcapng")
    took = time.monotonic() - began
    (folder / "measured.pcapng").unlink()
    chance = random.Random(f"{what} {runs.seed()}")
    return (chance.uniform(0, took) for _ in range(runs.repetitions(few)))


def check_file(folder: Path) -> bool:
    """Whether there is a capture. If so, it is the only file, whole, and `replay` tells what it holds."""
    names = os.listdir(folder)
    if not names:
        return False
    assert names == ["tcp-echo.pcapng"]
    path = folder / "tcp-echo.pcapng"
    lines = runs.tshark(path)
    timeline = store.load(path)
    assert timeline.damaged_at is None
    assert len(lines) == len(timeline.frames) + sum(1 + (call.returned_ns is not None) for call in timeline.calls)
    replayed = runs.rawlab("replay", path.name, folder=folder)
    assert replayed.code == (0 if timeline.complete else 5), replayed.err
    assert timeline.complete or "cut off" in replayed.says_one_line()
    path.unlink()
    return True


def test_kill(folder: Path) -> None:
    """SIGKILL of rawlab, at any moment: no process is left, and the file can be opened or does not exist."""
    runs.need("tshark")
    files = 0
    for moment in moments(3, "kill", folder):
        started = runs.start("capture", "tcp-echo", folder=folder)
        time.sleep(moment)
        started.kill()
        assert not runs.leftovers(started.mark), moment
        files += check_file(folder)
    print(f"{runs.repetitions(3)} runs killed, {files} files")


def test_kill_leaves_no_namespace(folder: Path) -> None:
    """In a user namespace that allows one run's two network namespaces at a time, a run works after many that were
    killed: the kernel counts, so that one namespace left by any of them would be seen."""
    runs.need_root()
    limit = "echo 2 >/proc/sys/user/max_net_namespaces; echo ready; exec sleep 600"
    with subprocess.Popen(["unshare", "-Ur", "sh", "-c", limit], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "ready\n"
            before = ["nsenter", "-t", str(holder.pid), "-U", "--preserve-credentials"]
            for moment in moments(3, "namespace", folder):
                started = runs.start("capture", "tcp-echo", "--force", folder=folder, before=before)
                time.sleep(moment)
                started.kill()
                assert not runs.leftovers(started.mark), moment
            deadline = time.monotonic() + 10  # the kernel takes namespaces down in its own time
            while (done := runs.rawlab("capture", "tcp-echo", folder=folder, before=before)).code:
                assert "ENOSPC" in done.err
                assert time.monotonic() < deadline, "namespaces were left"
        finally:
            holder.kill()


def test_kill_beside_another(folder: Path) -> None:
    """Another run beside the one that is killed goes on to its end, and loses nothing."""
    other = runs.start(
        *("capture", "tcp-echo", "-o", "other.pcapng", "--format", "json", "--clients", "30"), folder=folder
    )
    killed = runs.start("capture", "tcp-echo", *LONG, folder=folder)
    killed.named("client")
    killed.kill()
    assert not runs.leftovers(killed.mark)
    done = other.wait()
    assert done.code == 0, done.err
    assert sum(call["call"] == "accept" for call in done.story["calls"]) == 30
    assert not any(packet["lost"] for packet in done.story["packets"])


@pytest.mark.parametrize("role", ["guardian", "stage", "client", "server"])
def test_kill_a_part(folder: Path, role: str) -> None:
    """SIGKILL of any other process of the run: rawlab says so in one line, ends with a code of its own, leaves
    nothing, and the file holds what came before."""
    runs.need("tshark")
    chance = random.Random(f"{role} {runs.seed()}")
    for _ in range(max(1, runs.repetitions(2) // 10)):
        started = runs.start("capture", "tcp-echo", "--clients", "200", folder=folder)
        started.named("client")
        time.sleep(chance.uniform(0, 0.2))
        os.kill(started.named(role), signal.SIGKILL)
        done = started.wait()
        assert done.code == 7
        last = done.err.splitlines()[-1]
        assert "were killed" in last or f"the {role}: killed by SIGKILL" in last
        assert "Traceback" not in done.err
        assert not runs.leftovers(started.mark)
        assert check_file(folder)


def check_stopped(folder: Path, done: runs.Done, number: signal.Signals) -> None:
    """An orderly end: all that was sent is captured, written in the order of time, and shown."""
    assert "Traceback" not in done.err
    if done.code == -number and not os.listdir(folder):  # before rawlab could have a handler, or a file
        assert number == signal.SIGTERM  # SIGINT is ignored until then
        return
    # Killed by the signal (130 or 143 in a shell) otherwise only after the last line, when Python lets go of handlers.
    assert done.code in (0, 128 + number, -number), done.err
    timeline = store.load(folder / "tcp-echo.pcapng")
    assert timeline.complete
    story = done.story
    assert len(story["calls"]) == len(timeline.calls)
    for index, loss in enumerate(story["losses"]):
        assert loss["captured"] == sum(frame.point == index for frame in timeline.frames)
        assert loss["dropped"] == 0
    assert not any(packet["lost"] for packet in story["packets"])
    stamps = [frame.at_ns for frame in timeline.frames]
    assert stamps == sorted(stamps)
    check_file(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal(folder: Path, number: signal.Signals) -> None:
    """SIGINT and SIGTERM, at any moment: all that was sent is captured and shown; the exit code says which it was."""
    runs.need("tshark")
    codes = Counter[int]()
    for moment in moments(2, number.name, folder):
        started = runs.start("capture", "tcp-echo", "--format", "json", folder=folder)
        time.sleep(moment)
        started.process.send_signal(number)
        done = started.wait()
        assert not runs.leftovers(started.mark), moment
        check_stopped(folder, done, number)
        codes[done.code] += 1
    print(f"exit codes after {number.name}: {dict(codes)}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_it_runs(folder: Path, number: signal.Signals) -> None:
    """In the midst of many connections, the run ends at once, with 130 or 143."""
    runs.need("tshark")
    started = runs.start("capture", "tcp-echo", "--format", "json", *LONG, folder=folder)
    started.named("client")
    time.sleep(0.3)
    started.process.send_signal(number)
    done = started.wait()
    assert done.code == 128 + number
    assert number.name in done.err.splitlines()[-1]
    assert len(done.story["packets"]) > 20
    check_stopped(folder, done, number)


def test_interrupt_from_the_terminal(folder: Path) -> None:
    """^C goes to every process of the terminal's foreground group; the run ends in good order all the same."""
    runs.need("setsid")
    mark = uuid.uuid4().hex
    leader, terminal = os.openpty()
    launcher = ["setsid", "-c", "sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    command = [*launcher, sys.executable, "-P", "-m", "rawlab", "capture", "tcp-echo", "--width", "400", *LONG]
    environment = {**os.environ, runs.MARK: mark, "TERM": "dumb"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, text=True
    ) as run:
        os.close(terminal)
        runs.Started(run, mark, folder).named("client")
        time.sleep(0.2)
        os.write(leader, b"\x03")
        text = b""
        with contextlib.suppress(OSError):  # EIO: nobody holds the terminal any more
            while piece := os.read(leader, 1 << 16):
                text += piece
        assert run.wait(runs.SECONDS) == 130
    os.close(leader)
    assert b"Traceback" not in text
    assert b"stopped by SIGINT" in text
    assert b"listen(3, 10) = 0" in text
    assert not runs.leftovers(mark)
    assert store.load(folder / "tcp-echo.pcapng").complete


def test_taken_port(folder: Path) -> None:
    """With its port taken by a program that never answers, rawlab says what each side waits for, gives up, and
    leaves nothing."""
    runs.need_root()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        started = runs.start(
            "capture", "tcp-echo", "--lo", "--port", str(taken.getsockname()[1]), "--format", "json", folder=folder
        )
        done = started.wait()
    assert done.code == 7
    assert not runs.leftovers(started.mark)
    *_, waiting, _saved, last = done.err.splitlines()
    assert "the server waited in accept(3" in waiting
    assert "the client waited in read(3" in waiting
    assert "nothing came for 5 s" in last
    (bind,) = (call for call in done.story["calls"] if call["call"] == "bind")
    assert bind["errno"] == "EADDRINUSE"


def test_stopped_process(folder: Path) -> None:
    """With one of its processes stopped, rawlab says so, gives up, and leaves nothing."""
    both = {role: runs.start("capture", "tcp-echo", "-o", role, *LONG, folder=folder) for role in ("client", "server")}
    for role, started in both.items():
        os.kill(started.named(role), signal.SIGSTOP)
    for role, started in both.items():
        done = started.wait()
        assert done.code == 7
        assert f"the {role} was stopped by SIGSTOP" in done.err.splitlines()[-1]
        assert not runs.leftovers(started.mark)
        assert store.load(folder / role).complete


def test_stopped_process_and_interrupt(folder: Path) -> None:
    """While rawlab waits for a stopped process, ^C ends it at once."""
    started = runs.start("capture", "tcp-echo", *LONG, folder=folder)
    os.kill(started.named("server"), signal.SIGSTOP)
    time.sleep(0.5)
    started.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert started.wait().code == 130
    assert time.monotonic() - began < 4
    assert not runs.leftovers(started.mark)
