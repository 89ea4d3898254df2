"""A timeline: every system call and every frame of one run, on one clock."""

from __future__ import annotations

from dataclasses import dataclass

from rawlab.model.event import Call, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One of the two (or more) hosts of a run."""

    name: str
    addresses: tuple[str, ...] = ()
    own_tcp: tuple[str, ...] = ()
    "those of the addresses that no kernel owns: rawlab's own TCP speaks there, for the host's programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of observation: an interface whose packets were captured."""

    name: str
    "the interface's: 'client', 'server', 'lo', 'eth0'"
    linktype: int
    "1 Ethernet, … (the LINKTYPE_ registry)"
    host: str | None = None
    "whose interface it is; None where that is not known, or where both hosts share it (lo)"
    captured: int | None = None
    "frames that it handed over, by the kernel's count; None where nobody counted"
    dropped: int | None = None
    "frames that it lost, by the kernel's count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was run, and where."""

    lab: str | None = None
    stack: str | None = None
    "whose transport protocol: 'kernel' or 'user'"
    rawlab: str | None = None
    "the version that recorded it"
    kernel: str | None = None
    "the kernel's release"
    merged: str | None = None
    "how two machines' captures were joined: how far their clocks were apart, and its bounds"
    traced: bool = False
    "its calls are from a log of strace's: of the processes that it followed, and of no other"
    killed: tuple[tuple[int, int, str], ...] = ()
    "(process, when, signal) of those that the log saw killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Calls in order of entry, frames in order of the file."""

    run: Run
    hosts: tuple[Host, ...]
    points: tuple[Point, ...]
    calls: tuple[Call, ...]
    frames: tuple[Frame, ...]
    untimed: int = 0
    "how many of the frames have no time in the file: theirs is that of the frame before"
    complete: bool = True
    "False for a file that ends without its statistics: the run was cut off"
    damaged_at: int | None = None
    "the octet of the file at which it ceases to be whole"
    damage: str | None = None
    "what was expected there and what came"
