"""The two events of a timeline: a system call, and a frame seen at one point of observation.

Times are `int` nanoseconds of CLOCK_REALTIME since the epoch, everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from rawlab.model.address import Endpoint

Value = int | str | bytes | Endpoint | None | tuple["Value", ...]
"""A typed argument: a number, a symbol by its name ('SOCK_STREAM'), bytes, an address, or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call of one process, as the kernel saw it (man 2 of its name)."""

    host: str
    "whose process called: 'client' or 'server'"
    pid: int
    "as the process's own getpid(2) says"
    name: str
    "'connect', 'read', …"
    args: tuple[tuple[str, Value], ...]
    "each argument's name by its man page and its value, in C's order; one that the kernel fills in holds what it wrote"
    result: int | None = None
    "what it returned; None when it did not return"
    errno: str | None = None
    "'ECONNREFUSED', … when result is -1"
    entered_ns: int
    returned_ns: int | None = None
    socket: int | None = None
    "the socket's inode: it outlives descriptors, which dup(2) and fork(2) copy"
    new_socket: int | None = None
    "the inode of the socket that the call made: socket's and accept's"
    local: Endpoint | None = None
    "the socket's own address after the call, by the kernel's word"
    peer: Endpoint | None = None
    "its peer's, if it has one"
    state: str | None = None
    "the state after the call by the kernel's word (TCP_INFO, SCTP_STATUS) or our endpoint's, in the RFCs' names"
    state_ns: int | None = None
    "when it was asked for"
    endpoint: bool = False
    "True: our own endpoint made it on its raw or packet socket, on behalf of the program's calls"
    notes: tuple[str, ...] = ()
    "the lecturer's, on this call"

    def arg(self, name: str) -> Value:
        """The argument of that name. Raises KeyError."""
        return dict(self.args)[name]

    @property
    def data(self) -> bytes | None:
        """The bytes that it was given or gave, up to the recorder's bound; None when it moves none."""
        for _, value in self.args:
            if isinstance(value, bytes):
                return value
            if isinstance(value, tuple) and value and all(isinstance(item, bytes) for item in value):
                return b"".join(item for item in value if isinstance(item, bytes))
        return None

    @property
    def fd(self) -> int | None:
        """The descriptor that it acts on, or that it made."""
        first = dict(self.args[:1])
        for name in ("sockfd", "fd"):
            if isinstance(number := first.get(name), int):
                return number
        return self.result if self.name == "socket" and (self.result or 0) >= 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One packet at one point of observation."""

    number: int
    "the record's number in the file, from 1, as Wireshark counts"
    at_ns: int
    point: int
    "index of the point of observation in `Timeline.points`"
    outgoing: bool | None
    "True: the host sent it, False: it arrived, None: not known"
    data: bytes | memoryview
    "its octets, from the link header on"
    length: int
    "octets on the wire: more than `data` holds where the capture was cut short"
    comments: tuple[str, ...] = ()
    "the lecturer's notes, as Wireshark shows and edits them"
