"""Runs of the command as its users start it, and what they leave behind.

A run's processes are known by a mark in their environment, so that what others do on this machine at the same
time is neither counted nor touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
SECONDS = 60
"""No run of a test takes longer: one that does hangs."""
NOBODY = 65534
MARK = "RAWLAB_TEST_MARK"


def repetitions(few: int) -> int:
    """How often a test that draws its moments at random does so: RAWLAB_TEST_RUNS, or a few times."""
    return int(os.environ.get("RAWLAB_TEST_RUNS", few))


def seed() -> int:
    """What the random moments come from: RAWLAB_TEST_SEED."""
    return int(os.environ.get("RAWLAB_TEST_SEED", 7))


def need_root() -> None:
    """Skips, with the reason, unless this is root with the rights to make namespaces and mounts."""
    if os.geteuid():
        pytest.skip("needs root")
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode:
        pytest.skip("needs the right to mount in a mount namespace of its own: refused here")


def need(*tools: str) -> None:
    """Skips, with the reason, unless the tools are installed."""
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")


def need_networks() -> None:
    """Skips, with the reason, unless whoever runs the tests may make private networks."""
    if os.geteuid() and (refused := subprocess.run(["unshare", "-Urn", "true"], capture_output=True)).returncode:
        pytest.skip(f"user namespaces are refused: {refused.stderr.decode().strip()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run that has ended."""

    code: int
    out: str
    err: str

    @property
    def story(self) -> dict[str, Any]:
        """What `--format json` printed."""
        story: dict[str, Any] = json.loads(self.out)
        return story

    def says_one_line(self) -> str:
        """The one line on standard error. Fails for more, less or a traceback."""
        assert "Traceback" not in self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("rawlab"), self.err
        return self.err.rstrip("\n")


@dataclass(slots=True)
class Started:
    """A run that goes on."""

    process: subprocess.Popen[str]
    mark: str
    folder: Path
    began: float = field(default_factory=time.monotonic)

    def wait(self) -> Done:
        """Its end; a run that hangs is killed, and fails the test."""
        try:
            out, err = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return Done(code=self.process.returncode, out=out or "", err=err)

    def kill(self) -> None:
        """Kills rawlab itself, and waits for no other: what goes on without it holds its standard error open."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def processes(self) -> dict[int, str]:
        """Its processes that live, the lab's among them: pid and name."""
        return marked(self.mark)

    def named(self, name: str, seconds: float = 10) -> int:
        """The pid of its process of that name, as soon as it is there: 'client', 'server', 'guardian', 'stage'."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (pid := self._roles().get(name)) is not None:
                return pid
            time.sleep(0.002)
        raise AssertionError(f"no process {name}: {self.processes()}")

    def _roles(self) -> dict[str, int]:
        found = self.processes()
        roles = {name: pid for pid, name in found.items() if name in ("client", "server")}
        stages = sorted(pid for pid, name in found.items() if name not in roles and pid != self.process.pid)
        return roles | dict(zip(("guardian", "stage"), stages, strict=False))


def start(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    user: int | None = None,
    sudo: bool = False,
    silent: bool = False,
) -> Started:
    """Starts `rawlab ARGUMENTS` as scripts/rawlab does, SIGINT ignored until rawlab handles it.

    `before`: words before the command; `user`: the uid of an ordinary user who runs it, with `sudo` or without;
    `silent`: what it prints is not wanted (and so can't fill a pipe that nobody reads).
    """
    mark = uuid.uuid4().hex
    python, shown = ([sys.executable], {}) if user is None else _as_user(user, sudo)
    process = subprocess.Popen(
        [*before, *python, "-P", "-m", "rawlab", *arguments],
        cwd=folder,
        env={**os.environ, **shown, **(environment or {}), MARK: mark, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if silent else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN) and None,
    )
    _started.append(process)
    return Started(process, mark, folder)


_started: list[subprocess.Popen[str]] = []


def ordinary_user(folder: Path) -> int | None:
    """Who a run is to be as, to be an ordinary user's in this folder, which is made theirs: None, who tests already."""
    if os.geteuid():
        return None
    need_root()
    os.chown(folder, NOBODY, NOBODY)
    return NOBODY


def started() -> list[subprocess.Popen[str]]:
    """The runs that this process's tests have started, and that nobody has ended for good."""
    return [*_started]


def end_all(but: Sequence[subprocess.Popen[str]] = ()) -> None:
    """Ends the runs that a test which failed has left; those before it, which others look at, go on."""
    for process in _started:
        if process.returncode is None and process not in but:
            process.kill()
            process.communicate()
    _started[:] = but


def rawlab(*arguments: str, folder: Path, **more: Any) -> Done:
    """Runs `rawlab ARGUMENTS` in the folder; nothing of it may be left."""
    started = start(*arguments, folder=folder, **more)
    try:
        return started.wait()
    finally:
        assert not leftovers(started.mark)


def capture(folder: Path, *arguments: str, **more: Any) -> dict[str, Any]:
    """The story of `capture tcp-echo ARGUMENTS`, which must succeed."""
    done = rawlab("capture", "tcp-echo", "--format", "json", *arguments, folder=folder, **more)
    assert done.code == 0, done.err
    return done.story


def marked(mark: str) -> dict[int, str]:
    """The processes with that mark in their environment: pid and name. Zombies have none any more."""
    found = {}
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def leftovers(mark: str, seconds: float = 5) -> dict[int, str]:
    """The processes with that mark that are still there after a while (they hold all namespaces there are)."""
    deadline = time.monotonic() + seconds
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def tshark(path: Path, *arguments: str) -> list[str]:
    """tshark's lines for the file. Fails where it can't read it to its end."""
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *arguments], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert "cut short" not in done.stderr
    assert "damaged" not in done.stderr
    return done.stdout.splitlines()


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A fresh folder that any user can come to (pytest's are for root alone)."""
    with tempfile.TemporaryDirectory(prefix="rawlab-test-") as name:
        yield Path(name)


def _as_user(uid: int, sudo: bool) -> tuple[list[str], dict[str, str]]:
    """Words that start this interpreter as an ordinary user, and what it needs in its environment.

    The user may not be able to reach this interpreter and this clone: in a mount namespace of its own, all that
    rawlab needs is shown below /mnt.
    """
    shown = {"base": sys.base_prefix, "site": str(Path(pytest.__file__).parents[1]), "repo": str(REPOSITORY)}
    steps = ["set -e", "mount -t tmpfs -o mode=755 none /mnt"]
    steps += [f"mkdir /mnt/{name}; mount --bind '{path}' /mnt/{name}" for name, path in shown.items()]
    steps += [_SUDOERS.format(uid=uid, mark=MARK)] if sudo else []
    become = f"setpriv --reuid {uid} --regid {uid} --clear-groups --"
    environment = {
        "PYTHONHOME": "/mnt/base",
        "PYTHONPATH": "/mnt/repo:/mnt/site",
        "LD_LIBRARY_PATH": "/mnt/base/lib",
    }
    words = ["sudo", "-n", "env", *(f"{key}={value}" for key, value in environment.items())] if sudo else []
    words += [f"/mnt/base/bin/python3.{sys.version_info.minor}", '"$@"']
    steps += [f"exec {become} {' '.join(words)}"]
    return ["unshare", "-m", "bash", "-c", "\n".join(steps), "as_user"], environment


# A user and a rule of this mount namespace alone: the machine's own /etc stays as it is.
_SUDOERS = """\
mkdir /mnt/etc; cp -a /etc/passwd /etc/shadow /mnt/etc
echo 'rawlabtest:x:{uid}:{uid}::/tmp:/bin/sh' >>/mnt/etc/passwd
echo 'rawlabtest:*:19000:0:99999:7:::' >>/mnt/etc/shadow
mount --bind /mnt/etc/passwd /etc/passwd
mount --bind /mnt/etc/shadow /etc/shadow
mount -t tmpfs -o mode=750 none /etc/sudoers.d
echo 'Defaults env_keep+="{mark} PYTHONDONTWRITEBYTECODE"
rawlabtest ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/rawlabtest
chmod 440 /etc/sudoers.d/rawlabtest"""
