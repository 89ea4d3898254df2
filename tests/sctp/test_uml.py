"""scripts/uml: a command inside another kernel, as if it were here."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.live.runs import REPOSITORY
from tests.sctp.conftest import UML, Inside


def test_a_command_is_run_as_if_it_were_here(inside: Inside) -> None:
    """Its words, folder, environment, output, errors and exit code; as root, on a kernel that has SCTP."""
    words = 'echo "$WORD"; pwd; id -u; grep -c "^SCTP" /proc/net/protocols; echo "wrong: $0" >&2; exit 7'
    done = inside(words, WORD="two  words")
    assert (done.returncode, done.stderr) == (7, "wrong: bash\n")
    assert done.stdout.splitlines() == ["two  words", str(REPOSITORY), "0", "2"]


def test_without_a_command_it_says_how_it_is_used() -> None:
    """On one line, exit code 2."""
    done = subprocess.run([str(UML)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: scripts/uml COMMAND [ARG ...]\n"


def test_what_is_missing_is_named() -> None:
    """With the command that installs it."""
    words = f"type() {{ return 1; }}; export -f type; exec {shlex.quote(str(UML))} true"
    done = subprocess.run(["/bin/bash", "-c", words], capture_output=True, text=True)
    assert done.returncode == 127
    assert "linux.uml is missing: sudo apt-get install -y user-mode-linux kmod iproute2" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_it_leaves_nothing(inside: Inside, tmp_path: Path, number: signal.Signals) -> None:
    """Neither a process of the kernel's nor its folder."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    started = subprocess.Popen(
        [str(UML), "sleep", "100"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert _soon(lambda: started.poll() is not None or len(_processes(tmp_path)) > 1)
    if started.poll() == 125:
        pytest.skip("user-mode Linux does not run here")
    started.send_signal(number)
    assert started.wait(10) == (128 + number if number == signal.SIGTERM else -number)
    assert _soon(lambda: not _processes(tmp_path) and not list(tmp_path.iterdir()))


def _processes(folder: Path) -> list[int]:
    """Those that run, and whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and str(folder).encode() in _read(entry / "cmdline"):
            found.append(int(entry.name))
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _soon(true: object) -> bool:
    """Whether it becomes so within some seconds."""
    deadline = time.monotonic() + 15
    assert callable(true)
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False
