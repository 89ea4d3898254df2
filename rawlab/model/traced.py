"""A system call that strace logged, before it is known whose host's it is."""

from __future__ import annotations

from dataclasses import dataclass

from rawlab.model.address import Endpoint
from rawlab.model.event import Value


@dataclass(slots=True, eq=False)
class Place:
    """A socket's addresses from one bind, connect or accept to the next; what is learned late is filled in."""

    local: Endpoint | None = None
    peer: Endpoint | None = None
    behind: Endpoint | None = None
    "of one that accept made: what the listening socket is bound to"
    at: str | None = None
    "of one that is bound to any address, one of its host's by which packets came or went"
    first_ns: int = 0
    last_ns: int = 0
    "when its first call was entered, and its last one returned"


@dataclass(slots=True, eq=False, kw_only=True)
class TracedCall:
    """One call, with the socket that it is on."""

    pid: int
    name: str
    args: tuple[tuple[str, Value], ...]
    result: int | None
    errno: str | None
    entered_ns: int
    returned_ns: int | None
    socket: int | None = None
    "the socket's inode, or a number in its place"
    new_socket: int | None = None
    place: Place | None = None
    "of `socket`"
    new_place: Place | None = None
    ready: tuple[tuple[int, str], ...] = ()
    "(socket, events) of those that a poll found ready"
