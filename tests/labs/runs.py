"""Runs of labs that several tests look at: each is made once, a few side by side, when the first test asks for one.

A run is `rawlab capture LAB` as its users start it (see `tests.live.runs`); what it printed and what it saved are
kept. Whoever the tests run as: a run that this system refuses is skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from rawlab import labs
from rawlab.api import Story, load
from tests.live import runs as live

SIDE_BY_SIDE = 3
STRACE = ("strace", "-f", "-yy", "--decode-pids=comm", "--seccomp-bpf", "-s", "65536")
CALLS = "trace=%network,read,write,close,fcntl,poll,fork,vfork,clone,clone3,exit_group,wait4,nanosleep,clock_nanosleep"
NAMES = list(labs.NAMES)
IPV6 = [name for name in NAMES if labs.lab(name).ipv6]
SCTP = [name for name in NAMES if name.startswith("sctp-")]
# Our own SCTP, which they run on where the kernel has none, needs the private hosts.
LOOPBACK = [name for name in NAMES if labs.lab(name).loopback and name not in SCTP]


def repetitions() -> int:
    """How often each lab is run: RAWLAB_RUNS, or once."""
    return int(os.environ.get("RAWLAB_RUNS", 1))


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """Which run a test looks at."""

    lab: str
    ipv6: bool = False
    loopback: bool = False
    user: bool = False
    "by an ordinary user, not by root"
    strace: bool = False
    number: int = 1

    def __str__(self) -> str:
        """'tcp-echo-ipv6-lo-2', as pytest shows it."""
        marks = ("ipv6", self.ipv6), ("lo", self.loopback), ("user", self.user), ("strace", self.strace)
        words = [self.lab, *(word for word, yes in marks if yes)]
        return "-".join(words + ([str(self.number)] if self.number > 1 else []))


@dataclass
class Run:
    """A run that has ended."""

    wanted: Wanted
    code: int
    err: str
    folder: Path
    leftovers: dict[int, str]

    @property
    def file(self) -> Path:
        """The capture."""
        return self.folder / f"{self.wanted}.pcapng"

    @cached_property
    def json(self) -> dict[str, Any]:
        """What `--format json` printed."""
        printed: dict[str, Any] = json.loads((self.folder / f"{self.wanted}.json").read_text())
        return printed

    @cached_property
    def story(self) -> Story:
        """The capture's story, told anew."""
        return load(self.file)

    @property
    def strace(self) -> list[str]:
        """strace's lines."""
        return (self.folder / f"{self.wanted}.strace").read_text().splitlines()

    def succeeded(self) -> Run:
        """Itself; fails, with what it said, unless it ended well and left nothing."""
        assert self.code == 0, f"{self.wanted}: exit code {self.code}\n{self.err}"
        assert not self.leftovers, f"{self.wanted}: left {self.leftovers}"
        return self


@dataclass
class Runs:
    """All that this session's tests look at."""

    folder: Path
    waiting: list[Wanted]
    going: dict[Wanted, live.Started] = field(default_factory=dict)
    done: dict[Wanted, Run] = field(default_factory=dict)

    def get(self, wanted: Wanted) -> Run:
        """That run; others go on, and begin, in the meantime."""
        if wanted not in self.done and wanted not in self.going:
            self.waiting = [wanted, *(other for other in self.waiting if other != wanted)]
        while wanted not in self.done:
            while len(self.going) < SIDE_BY_SIDE and (other := self._next()):
                self._start(other)
            for other in [other for other, started in self.going.items() if _has_ended(started)]:
                self._end(other)
            time.sleep(0.005)
        return self.done[wanted]

    def _next(self) -> Wanted | None:
        """The next that may begin: one at a time on loopback, where each sees the others' ICMP."""
        busy = any(going.loopback for going in self.going)
        found = next((wanted for wanted in self.waiting if not (busy and wanted.loopback)), None)
        if found is not None:
            self.waiting.remove(found)
        return found

    def _start(self, wanted: Wanted) -> None:
        words = ["capture", wanted.lab, "-o", f"{wanted}.pcapng", "--force", "--format", "json"]
        words += ["--ipv6"] * wanted.ipv6
        if wanted.loopback:  # which others use, too
            words += ["--lo", "--port", str(_free_port())]
        before = ["sh", "-c", 'exec "$@" >"$0.json"', str(wanted)]
        before += [*STRACE, "-e", CALLS, "-o", f"{wanted}.strace"] if wanted.strace else []
        user = live.NOBODY if wanted.user and not os.geteuid() else None
        self.going[wanted] = live.start(*words, folder=self.folder, before=before, user=user, silent=True)

    def _end(self, wanted: Wanted) -> None:
        started = self.going.pop(wanted)
        ended = started.wait()
        left = live.leftovers(started.mark)
        self.done[wanted] = Run(wanted, ended.code, ended.err, self.folder, left)

    def stop(self) -> None:
        """Ends what still goes on: nobody looks at it any more."""
        for started in self.going.values():
            started.process.terminate()
            with contextlib.suppress(Exception):
                started.wait()


def _free_port() -> int:
    """A port that nobody has, nor had lately: a connection's TIME-WAIT keeps its server's port for a minute."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


def _has_ended(started: live.Started) -> bool:
    if time.monotonic() - started.began > live.SECONDS:
        started.process.kill()
    return started.process.poll() is not None


def parameters(names: Sequence[str], **marks: bool) -> list[Any]:
    """A test's runs of those labs, each as often as is asked for."""
    both = itertools.product(names, range(1, repetitions() + 1))
    wanted = [Wanted(lab=name, number=number, **marks) for name, number in both]
    return [pytest.param(one, id=str(one)) for one in wanted]
