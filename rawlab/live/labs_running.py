"""The labs that run now, as the processes show them (proc(5)); no privilege is needed to see them.

    rawlab capture tcp-echo ── guardian (python -m rawlab.live.stage) ── stage ── the lab's client and server
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from rawlab import labs
from rawlab.live import network
from rawlab.model.lab import Lab, Wire

_STAGE = "rawlab.live.stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningLab:
    """A lab that runs."""

    pid: int
    "rawlab's"
    stage: int
    "the stage's, which holds the hosts' networks"
    words: str
    "what rawlab was asked: 'capture tcp-echo'"
    user: int
    "the user who started it"

    @property
    def lab(self) -> Lab | None:
        """What it runs, where its words say it."""
        words = self.words.replace("--against=", "--against ").split()
        if words[:1] == ["craft"]:
            words = words[words.index("--against") + 1 :] if "--against" in words else []
        name = next((word for word in words if word in labs.NAMES), None)
        return None if name is None else labs.lab(name)

    @property
    def own_tcp(self) -> tuple[str, ...]:
        """The hosts whose TCP is rawlab's."""
        return () if self.lab is None else self.lab.own_tcp

    @property
    def interfaces(self) -> list[str]:
        """Its hosts' interfaces, each two in order the ends of one link."""
        return [point.name for point in network.points(False, Wire() if self.lab is None else self.lab.wire)]


def labs_running() -> list[RunningLab]:
    """Every lab on this machine that is not our own, by rawlab's pid."""
    processes = dict(_processes())
    found = []
    for pid, (parent, command) in processes.items():
        guardian = processes.get(parent)
        if _STAGE not in command or guardian is None or _STAGE not in guardian[1] or pid == os.getpid():
            continue
        rawlab = guardian[0]
        grandparent = processes.get(rawlab)
        if grandparent is None or _STAGE in grandparent[1]:  # a program of the lab's, forked from the stage
            continue
        words = _words(grandparent[1])
        if words[:1] != ["sniff"]:
            with contextlib.suppress(OSError):
                user = os.stat(f"/proc/{rawlab}").st_uid
                found.append(RunningLab(pid=rawlab, stage=pid, words=" ".join(words), user=user))
    return sorted(found, key=lambda lab: lab.pid)


def _processes() -> Iterator[tuple[int, tuple[int, list[str]]]]:
    """(pid, (parent's pid, command line)) of each process that may be seen."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    yield int(name), (parent, os.fsdecode(file.read()).rstrip("\0").split("\0"))


def _words(command: list[str]) -> list[str]:
    """What rawlab was asked, without how it was started; a program that imports rawlab by its own words."""
    for index, word in enumerate(command):
        if os.path.basename(word) in ("rawlab", "rawlab.__main__"):
            return command[index + 1 :]
    return command
