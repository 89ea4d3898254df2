"""A program for the recorder's tests: `python -m tests.live.recorded PROGRAM FILE KEEP OBSERVES`.

Runs one of the programs below on loopback of a network of its own, recorded as a lab's would be, and writes its
calls into a capture file.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Callable

from rawlab.live import libc, needs
from rawlab.live.program import Pipes, start
from rawlab.live.witness import Witness
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.lab import Options, Program
from rawlab.model.timeline import Host, Run
from rawlab.wire import capture

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # netdevice(7)
HERE = Endpoint("127.0.0.1", 7007)
NOBODY = Endpoint("127.0.0.1", 7008)


def tcp(c: Calls, lab: Options, sync: Sync) -> None:
    """Both ends of a TCP connection in one process."""
    listenfd = c.socket("AF_INET", "SOCK_STREAM", 0)
    c.setsockopt(listenfd, "SOL_SOCKET", "SO_REUSEADDR", 1)
    c.getsockopt(listenfd, "SOL_SOCKET", "SO_REUSEADDR")
    c.bind(listenfd, HERE)
    c.listen(listenfd, 5)
    sockfd = c.socket("AF_INET", "SOCK_STREAM", "IPPROTO_TCP")
    c.getpeername(sockfd)
    c.connect(sockfd, HERE)
    connfd, _ = c.accept(listenfd)
    c.getsockname(sockfd)
    c.getpeername(connfd)
    c.write(sockfd, b"hello")
    assert c.poll([(connfd, "POLLIN"), (listenfd, "POLLIN")], 1000) == [(connfd, "POLLIN")]
    assert c.recv(connfd, 3, "MSG_PEEK") == b"hel"
    assert c.read(connfd, 100) == b"hello"
    c.send(connfd, b"x" * 1000, "MSG_NOSIGNAL")
    assert c.recv(sockfd, 1000, "MSG_WAITALL") == b"x" * 1000
    c.fcntl(sockfd, "F_SETFL", "O_NONBLOCK")
    c.fcntl(sockfd, "F_GETFL")
    c.recv(sockfd, 10)
    assert c.errno == "EAGAIN"
    assert c.poll([(sockfd, "POLLIN")], 0) == []
    c.nanosleep(0.01)
    c.shutdown(connfd, "SHUT_WR")
    assert c.poll([(sockfd, "POLLIN|POLLRDHUP")], 1000) == [(sockfd, "POLLIN|POLLRDHUP")]
    assert c.read(sockfd, 10) == b""
    c.close(sockfd)
    c.read(connfd, 1)
    c.close(connfd)
    c.close(connfd)
    c.close(listenfd)


def errors(c: Calls, lab: Options, sync: Sync) -> None:
    """Calls that fail."""
    c.socket("AF_INET", "SOCK_STREAM", "IPPROTO_UDP")
    sockfd = c.socket("AF_INET", "SOCK_STREAM", 0)
    c.bind(sockfd, Endpoint("192.0.2.1", 7))
    c.connect(sockfd, NOBODY)
    c.write(77, b"nowhere")
    c.getsockopt(0, "SOL_SOCKET", "SO_TYPE")
    c.listen(c.socket("AF_INET", "SOCK_DGRAM", 0), 1)


def udp(c: Calls, lab: Options, sync: Sync) -> None:
    """Datagrams from a socket to another of the same process."""
    one = c.socket("AF_INET", "SOCK_DGRAM", 0)
    other = c.socket("AF_INET", "SOCK_DGRAM", 0)
    c.bind(one, HERE)
    c.sendto(other, b"first", "0", HERE)
    assert c.recvfrom(one, 100)[0] == b"first"
    c.sendmsg(other, HERE, [b"second ", b"message"])
    assert c.recvmsg(one, 8)[0::3] == (b"second m", "MSG_TRUNC")
    c.recvfrom(one, 100, "MSG_DONTWAIT")
    c.connect(other, HERE)
    c.send(other, b"third")
    c.read(one, 100)
    c.sendto(one, b"", "0", NOBODY)
    c.close(one)
    c.close(other)


def forks(c: Calls, lab: Options, sync: Sync) -> None:
    """A child that inherits a socket."""
    sockfd = c.socket("AF_INET", "SOCK_DGRAM", 0)
    pid = c.fork()
    if pid == 0:
        c.bind(sockfd, HERE)
        c.exit(3)
    c.waitpid(pid)
    c.getsockname(sockfd)
    c.close(sockfd)


PROGRAMS: dict[str, Program] = {"tcp": tcp, "errors": errors, "udp": udp, "forks": forks}


def record(
    run: Program,
    path: str,
    *,
    keep: int = 65_536,
    observes: bool = False,
    prepare: Callable[[], int | None] | None = None,
) -> None:
    """Runs the program on loopback of a network of its own, its calls into the file.

    `prepare`: makes the network as the program wants it; it may return a connection to an SCTP process of ours.
    """
    needs.enter_user_namespace()
    libc.unshare(libc.CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("=16sh14x", b"lo", _IFF_UP))
    to_stack = prepare() if prepare else None
    (of_program, to_stage), (of_stage, to_program) = os.pipe(), os.pipe()
    of_other, to_other = os.pipe()
    pipes = Pipes(
        to_stage=to_stage, from_stage=of_stage, to_other=to_other, from_other=of_other, to_stack=to_stack
    )
    pid = start("client", run, Options(server=HERE), pipes, lambda: None, keep=keep, observes=observes)
    os.close(to_stage)
    witnesses = [Witness("client", pid, of_program, to_program)]
    with open(path, "wb") as file:
        file.write(capture.header(Run(rawlab="test"), (Host(name="client"),), ()))
        while alive := [witness for witness in witnesses if witness.alive]:
            ready = select.select([witness.calls for witness in alive], [], [])[0]
            for witness in alive:
                if witness.calls in ready:
                    for block in witness.hear():
                        file.write(block)
                        witness.answer()
                    witnesses += witness.born()
    failed = [witness.failed for witness in witnesses if witness.failed]
    assert not failed, failed


if __name__ == "__main__":
    _, program, path, keep, observes = sys.argv
    record(PROGRAMS[program], path, keep=int(keep), observes=observes == "yes")
