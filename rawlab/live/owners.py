"""Which sockets a process holds, and which of them a packet belongs to (proc_pid_fd(5), proc_pid_net(5)).

A process's descriptors may be read by its user alone, and by root. So a child is forked while this process still has
its privileges; it does nothing but list one process's sockets when it is asked, and ends with this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from rawlab.errors import PermissionMissing, UsageError
from rawlab.model.address import Endpoint, Flow

_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6", "udplite", "udplite6"), "icmp": ("icmp", "icmp6")}
_LOOK_AGAIN_SECONDS = 0.02
_MOST_FLOWS = 10_000
_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, an IPv4 address in an IPv6 socket (RFC 4291)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One socket that the process holds."""

    fd: int
    inode: int
    protocol: str
    local: Endpoint
    remote: Endpoint

    def has(self, protocol: str, local: Endpoint, remote: Endpoint) -> bool:
        """Whether a packet between these two is this socket's: its own addresses may be any, its peer any."""
        if self.protocol != protocol or self.local.port != local.port:
            return False
        if self.local.address not in (local.address, "0.0.0.0", "::"):
            return False
        return self.remote.port == 0 or self.remote == remote

    @property
    def listens(self) -> bool:
        """Whether it waits for connections, or belongs to none yet."""
        return self.protocol == "tcp" and self.remote.port == 0

    @property
    def precision(self) -> int:
        """How much of its addresses is fixed: of two that a packet fits, the one of which more is."""
        return (self.remote.port != 0) * 2 + (self.local.address not in ("0.0.0.0", "::"))


class Owner:
    """One process, and whose packets are its own."""

    def __init__(self, pid: int) -> None:
        """Forks the child. Raises UsageError for a process that is not there, PermissionMissing for another's."""
        self.pid = pid
        self._asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._child = os.fork()
        if self._child == 0:
            self._asked.close()
            _serve(theirs, pid)
        theirs.close()
        self._held: list[Held] = []
        self._looked = 0.0
        self._took = 0.0
        "how long the last look took, in seconds"
        self._flows: dict[Flow, Held] = {}
        self.left_out = 0
        "packets of flows that were no socket's of the process when they were looked at"
        answer = self._ask()
        if "error" in answer:
            self.close()
            if answer["error"] == "none":
                raise UsageError(f"--pid {pid}: there is no such process")
            raise PermissionMissing(f"--pid {pid}: is another user's process: use sudo")
        self.name = str(answer["name"])

    def label(self, flow: Flow) -> str | None:
        """'curl[4711] fd 5', where the flow is one of its sockets'; None where it is not, as far as can be known.

        'fd 3 (listening)', where no socket of the connection's own was seen.
        """
        known = self._flows.get(flow.conversation)
        self._look(known is None or known.listens)
        held = self._find(flow)
        if held is None or (known is not None and held.listens and not known.listens):
            held = known  # the connection's own, though it be closed by now: what is left is who listened
        if held is None:
            self.left_out += 1
            return None
        if known is None or known.inode != held.inode:
            while len(self._flows) >= _MOST_FLOWS:
                del self._flows[next(iter(self._flows))]
            self._flows[flow.conversation] = held
        gone = "" if any(held.inode == one.inode for one in self._held) else ", closed already"
        return f"{self.name}[{self.pid}] fd {held.fd}{' (listening)' if held.listens else ''}{gone}"

    def _find(self, flow: Flow) -> Held | None:
        ways = ((flow.source, flow.destination), (flow.destination, flow.source))
        fits = [held for held in self._held if any(held.has(flow.protocol, *way) for way in ways)]
        return max(fits, key=lambda held: held.precision, default=None)

    def _look(self, now: bool) -> None:
        """Looks at the process again, where the connection's own socket is not known, or some time after the last look.

        At the most half of the time goes into looking.
        """
        begun = time.monotonic()
        if begun - self._looked < (self._took if now else _LOOK_AGAIN_SECONDS):
            return
        answer = self._ask()
        self._looked = time.monotonic()
        self._took = self._looked - begun
        self._held = [
            Held(fd=fd, inode=inode, protocol=protocol, local=Endpoint(*local), remote=Endpoint(*remote))
            for fd, inode, protocol, local, remote in answer.get("held", ())
        ]

    def _ask(self) -> dict[str, Any]:
        try:
            self._asked.sendall(b"?")
            (length,) = struct.unpack("=I", self._receive(4))
            answer: dict[str, Any] = json.loads(self._receive(length))
        except (OSError, EOFError):
            return {"error": "none"}
        return answer

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            if not (more := self._asked.recv(length - len(data))):
                raise EOFError
            data += more
        return data

    def close(self) -> None:
        """Ends the child."""
        self._asked.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._child, 0)


# ------------------------------------------------------------------------------------------------ child


def _serve(asked: socket.socket, pid: int) -> NoReturn:
    """The child's life: it answers until nobody asks any more."""
    import signal

    with contextlib.suppress(BaseException):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for descriptor in range(3, 256):
            if descriptor != asked.fileno():
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        while asked.recv(1):
            answer = json.dumps(_answer(pid)).encode()
            asked.sendall(struct.pack("=I", len(answer)) + answer)
    os._exit(0)


def _answer(pid: int) -> dict[str, Any]:
    try:
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().rstrip("\n")
        inodes = dict(_inodes(pid))
    except PermissionError:
        return {"error": "refused"}
    except (FileNotFoundError, ProcessLookupError):
        return {"error": "none"}
    return {"name": name, "held": [[inodes[entry[0]], *entry] for entry in _entries(pid) if entry[0] in inodes]}


def _inodes(pid: int) -> Iterator[tuple[int, int]]:
    """(inode, descriptor) of each socket that the process holds; of a socket with several, the last."""
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            kind, _, inode = os.readlink(f"/proc/{pid}/fd/{number}").partition(":")
            if kind == "socket":
                yield int(inode.strip("[]")), int(number)


def _entries(pid: int) -> Iterator[tuple[int, str, tuple[str, int], tuple[str, int]]]:
    """(inode, protocol, local, remote) of each socket in the tables of the process's network."""
    for protocol, tables in _TABLES.items():
        for table in tables:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{table}") as file:
                for line in file.readlines()[1:]:
                    _, local, remote, *rest = line.split()
                    yield int(rest[6]), protocol, _endpoint(local), _endpoint(remote)


def _endpoint(text: str) -> tuple[str, int]:
    """'0100007F:1F90' to ('127.0.0.1', 8080): each 32-bit word in the machine's byte order."""
    digits, _, port = text.partition(":")
    words = (int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
    packed = b"".join(struct.pack("=I", word) for word in words)
    if packed.startswith(_MAPPED):
        packed = packed[12:]
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)
