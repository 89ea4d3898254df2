"""The system calls that a lab may make: one method a call, C's names, C's order of arguments.

A lab is written against `Calls` and nothing else, so that it reads like the textbook's C and runs on
whatever stands behind the protocol. As in C, a call that fails returns -1 (or no bytes) and leaves its
reason in `errno`; it raises nothing. Unlike C, buffers are `bytes` and addresses are `Endpoint`s.
Source: man 2 of each name, POSIX.1-2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.sctp import SndRcvInfo


class Calls(Protocol):
    """One process's system calls."""

    @property
    def errno(self) -> str | None:
        """The last failed call's errno by its name: 'ECONNREFUSED'."""

    def socket(self, domain: str, type: str, protocol: int | str) -> int:
        """A new socket's descriptor: socket("AF_INET", "SOCK_STREAM", 0)."""

    def bind(self, sockfd: int, addr: Endpoint) -> int:
        """Gives the socket its own address; port 0 lets the kernel choose."""

    def listen(self, sockfd: int, backlog: int) -> int:
        """Makes it a listening socket whose queue holds `backlog` completed connections."""

    def accept(self, sockfd: int) -> tuple[int, Endpoint | None]:
        """The first connection of the queue: its new descriptor, and the peer's address."""

    def connect(self, sockfd: int, addr: Endpoint) -> int:
        """Connects to the address; TCP: performs the handshake."""

    def read(self, fd: int, count: int) -> bytes:
        """Up to `count` bytes; none at the end of the stream or on failure."""

    def write(self, fd: int, buf: bytes) -> int:
        """How many of the bytes were taken."""

    def send(self, sockfd: int, buf: bytes, flags: str = "0") -> int:
        """`write` with flags: 'MSG_OOB', 'MSG_DONTWAIT|MSG_NOSIGNAL', …"""

    def recv(self, sockfd: int, len: int, flags: str = "0") -> bytes:
        """`read` with flags: 'MSG_PEEK', 'MSG_WAITALL', …"""

    def sendto(self, sockfd: int, buf: bytes, flags: str, dest_addr: Endpoint) -> int:
        """Sends one message to an address."""

    def recvfrom(self, sockfd: int, len: int, flags: str = "0") -> tuple[bytes, Endpoint | None]:
        """One message, and who sent it."""

    def sendmsg(
        self,
        sockfd: int,
        dest_addr: Endpoint | None,
        iov: Sequence[bytes],
        flags: str = "0",
        control: SndRcvInfo | None = None,
    ) -> int:
        """Sends the buffers one after the other as one message; SCTP: with its ancillary data SCTP_SNDRCV."""

    def recvmsg(
        self, sockfd: int, len: int, flags: str = "0"
    ) -> tuple[bytes, Endpoint | None, SndRcvInfo | None, str]:
        """One message, who sent it, its SCTP_SNDRCV, and the flags that came with it: 'MSG_TRUNC', 'MSG_EOR'."""

    def shutdown(self, sockfd: int, how: str) -> int:
        """Ends one direction or both: 'SHUT_RD', 'SHUT_WR', 'SHUT_RDWR'."""

    def close(self, fd: int) -> int:
        """Gives the descriptor back; the last one of a TCP socket sends FIN."""

    def getsockname(self, sockfd: int) -> Endpoint | None:
        """The socket's own address."""

    def getpeername(self, sockfd: int) -> Endpoint | None:
        """Its peer's address."""

    def setsockopt(self, sockfd: int, level: str, optname: str, optval: int | tuple[Value, ...]) -> int:
        """Sets an option: an int, a struct's members as SO_LINGER's (l_onoff, l_linger), or addresses (sctp_bindx)."""

    def getsockopt(
        self, sockfd: int, level: str, optname: str, optval: int | tuple[Value, ...] = 0
    ) -> int | tuple[Value, ...]:
        """An option's value: an int, or a struct's members in C's order; `optval`: asked with that (an assoc_id)."""

    def poll(self, fds: Sequence[tuple[int, str]], timeout: int) -> list[tuple[int, str]]:
        """The descriptors that are ready, with their events; waits up to `timeout` ms, -1 without end."""

    def fcntl(self, fd: int, cmd: str, arg: str = "0") -> int:
        """F_GETFL, or F_SETFL with 'O_NONBLOCK'."""

    def fork(self) -> int:
        """A second process: 0 in the child, the child's pid in the parent."""

    def waitpid(self, pid: int) -> int:
        """Waits for a child's end; its pid."""

    def exit(self, status: int) -> None:
        """Ends the process (exit_group(2)); the kernel closes what it left open."""

    def nanosleep(self, seconds: float) -> int:
        """Sleeps."""


class Sync(Protocol):
    """Semaphores between the two hosts' programs, out of band: they cause no packet and are no part of a run.

    They stand for the lecturer's hand: 'start the client when the server listens'.
    """

    def post(self, name: str) -> None:
        """Lets one `wait` of that name go on."""

    def wait(self, name: str) -> None:
        """Waits for one `post` of that name."""
