"""Programs for the tests of our own SCTP's calls: `python -m tests.live.stacked PROGRAM FILE`.

Each runs on loopback of a network of its own, on one SCTP process, which is both ends' host; or, with a third word
`kernel`, on the kernel's SCTP, whose answers are the measure.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import time

from rawlab.live import stack
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.lab import Options, Program
from rawlab.model.sctp import SndRcvInfo
from tests.live.recorded import HERE, NOBODY, record
from tests.sctp import programs

SCTP, EVENTS = "IPPROTO_SCTP", (1, 1, 1, 1, 1, 1)


def listening(c: Calls, kind: str = "SOCK_STREAM") -> int:
    """A socket that listens."""
    fd = c.socket("AF_INET", kind, SCTP)
    assert c.bind(fd, HERE) == 0
    assert c.listen(fd, 5) == 0
    return fd


def connected(c: Calls, listenfd: int) -> tuple[int, int]:
    """Both ends of an association."""
    sockfd = c.socket("AF_INET", "SOCK_STREAM", SCTP)
    assert c.connect(sockfd, HERE) == 0
    return sockfd, c.accept(listenfd)[0]


def messages(c: Calls, lab: Options, sync: Sync) -> None:
    """Every way to send and to receive one."""
    sockfd, connfd = connected(c, listening(c))
    assert c.setsockopt(connfd, "SOL_SCTP", "SCTP_EVENTS", (1,)) == 0
    assert c.write(sockfd, b"by write") == 8
    assert c.send(sockfd, b"by send") == 7
    assert c.sendto(sockfd, b"by sendto", "0", HERE) == 9
    info = SndRcvInfo(stream=3, ppid=7, flags="SCTP_UNORDERED")
    assert c.sendmsg(sockfd, None, [b"by ", b"send", b"msg"], "0", info) == 10
    assert c.read(connfd, 100) == b"by write"
    assert c.recv(connfd, 3, "MSG_PEEK") == b"by "
    assert c.recv(connfd, 100) == b"by send"
    received, source = c.recvfrom(connfd, 100)
    own = c.getsockname(sockfd)
    assert own is not None
    assert (received, source) == (b"by sendto", Endpoint("127.0.0.1", own.port))
    received, source, control, flags = c.recvmsg(connfd, 4)
    assert (received, flags) == (b"by s", "0")
    assert control is not None
    assert (control.stream, control.ppid, control.flags) == (3, 7, "SCTP_UNORDERED")
    assert c.recvmsg(connfd, 100)[0::3] == (b"endmsg", "MSG_EOR")
    assert c.recv(connfd, 1, "MSG_DONTWAIT") == b""
    assert c.errno == "EAGAIN"
    c.close(sockfd)
    assert c.read(connfd, 100) == b""
    assert c.errno is None
    time.sleep(0.5)  # until SHUTDOWN COMPLETE has come: before, it is ESHUTDOWN
    assert c.write(connfd, b"late") == -1
    assert c.errno in ("EPIPE", "ESHUTDOWN")


def options(c: Calls, lab: Options, sync: Sync) -> None:
    """Options as structs, numbers and addresses; names."""
    listenfd = listening(c)
    fresh = c.socket("AF_INET", "SOCK_STREAM", SCTP)
    assert c.getsockname(fresh) == Endpoint("0.0.0.0", 0)
    assert c.getpeername(fresh) is None
    assert c.errno == "ENOTCONN"
    assert c.setsockopt(fresh, "SOL_SCTP", "SCTP_INITMSG", (4, 0, 0, 0)) == 0
    assert c.setsockopt(fresh, "SOL_SCTP", "SCTP_RTOINFO", (0, 200, 800, 100)) == 0
    assert c.getsockopt(fresh, "SOL_SCTP", "SCTP_RTOINFO", 0) == (0, 200, 800, 100)
    assert c.setsockopt(fresh, "SOL_SOCKET", "SO_LINGER", (1, 0)) == 0
    assert c.setsockopt(fresh, "SOL_SCTP", "SCTP_NODELAY", 1) == 0
    assert c.getsockopt(fresh, "SOL_SCTP", "SCTP_NODELAY") == 1
    assert c.connect(fresh, HERE) == 0
    connfd, source = c.accept(listenfd)
    assert source == Endpoint("127.0.0.1", (c.getsockname(fresh) or HERE).port)
    assert c.getpeername(fresh) == HERE
    status = c.getsockopt(fresh, "SOL_SCTP", "SCTP_STATUS", 0)
    assert isinstance(status, tuple)
    assert (status[1], status[6]) == ("SCTP_ESTABLISHED", 4)
    assert isinstance(status[-1], tuple)
    assert status[-1][1:3] == (HERE, "SCTP_ACTIVE")
    peers = c.getsockopt(fresh, "SOL_SCTP", "SCTP_GET_PEER_ADDRS", 0)
    assert isinstance(peers, tuple)
    assert peers[1:] == (1, (HERE,))
    params = (0, HERE, 500, 0, 0, 0, "SPP_HB_ENABLE")
    assert c.setsockopt(fresh, "SOL_SCTP", "SCTP_PEER_ADDR_PARAMS", params) == 0
    assert c.getsockopt(fresh, "SOL_SOCKET", "SO_ERROR") == 0
    assert c.setsockopt(fresh, "SOL_SCTP", "77", 3) == -1
    assert c.errno == "ENOPROTOOPT"
    c.close(fresh)
    assert c.read(connfd, 100) == b""
    assert c.errno == "ECONNRESET"


def many(c: Calls, lab: Options, sync: Sync) -> None:
    """One-to-many: notifications, peeling off."""
    server, client = listening(c, "SOCK_SEQPACKET"), c.socket("AF_INET", "SOCK_SEQPACKET", SCTP)
    assert c.setsockopt(server, "SOL_SCTP", "SCTP_EVENTS", EVENTS) == 0
    assert c.sendmsg(client, HERE, [b"hello"], "0", SndRcvInfo(stream=1)) == 5
    assert c.recvmsg(server, 100)[3] == "MSG_EOR|MSG_NOTIFICATION"
    received, source, control, _ = c.recvmsg(server, 100)
    assert received == b"hello"
    assert control is not None
    peeled = c.getsockopt(server, "SOL_SCTP", "SCTP_SOCKOPT_PEELOFF", control.assoc_id)
    assert peeled == (control.assoc_id, 5)
    assert c.write(5, b"to one") == 6
    assert c.read(client, 100) == b"to one"
    assert c.sendmsg(server, None, [b"to nobody"], "0", control) == -1
    assert c.errno == "EPIPE"
    assert c.sendmsg(client, HERE, [], "0", SndRcvInfo(flags="SCTP_EOF")) == 0
    assert source is not None
    for _ in ("SCTP_SHUTDOWN_EVENT", "SCTP_SHUTDOWN_COMP"):  # it inherits what was subscribed to
        assert "MSG_NOTIFICATION" in c.recvmsg(5, 100)[3]
    assert c.read(5, 100) == b""
    assert c.errno == "ENOTCONN"


def waits(c: Calls, lab: Options, sync: Sync) -> None:
    """Non-blocking sockets, and poll on sockets of both kinds."""
    listenfd = listening(c)
    udp = c.socket("AF_INET", "SOCK_DGRAM", 0)
    c.bind(udp, NOBODY)
    assert c.poll([(listenfd, "POLLIN"), (udp, "POLLIN")], 20) == []
    sockfd = c.socket("AF_INET", "SOCK_STREAM", SCTP)
    assert c.fcntl(sockfd, "F_SETFL", "O_NONBLOCK") == 0
    assert c.connect(sockfd, HERE) == -1
    assert c.errno == "EINPROGRESS"
    assert c.poll([(sockfd, "POLLOUT")], 1000) == [(sockfd, "POLLOUT")]
    assert c.poll([(listenfd, "POLLIN"), (udp, "POLLIN")], -1) == [(listenfd, "POLLIN")]
    connfd, _ = c.accept(listenfd)
    assert c.read(sockfd, 1) == b""
    assert c.errno == "EAGAIN"
    if c.fork() == 0:
        c.nanosleep(0.05)
        c.sendto(c.socket("AF_INET", "SOCK_DGRAM", 0), b"ready", "0", NOBODY)
        c.exit(0)
    assert c.poll([(connfd, "POLLIN"), (udp, "POLLIN")], -1) == [(udp, "POLLIN")]
    assert c.read(udp, 100) == b"ready"
    c.waitpid(-1)
    c.write(sockfd, b"too")
    assert c.poll([(udp, "POLLIN"), (connfd, "POLLIN")], -1) == [(connfd, "POLLIN")]


def forks(c: Calls, lab: Options, sync: Sync) -> None:
    """A child that inherits an association: the last of both to close it, or to end, shuts it down."""
    sockfd, connfd = connected(c, listening(c))
    if c.fork() == 0:
        c.write(connfd, b"from the child")
        c.exit(0)
    c.waitpid(-1)
    assert c.read(sockfd, 100) == b"from the child"
    assert c.recv(sockfd, 100, "MSG_DONTWAIT") == b""
    assert c.errno == "EAGAIN"
    if c.fork() == 0:
        c.nanosleep(0.05)
        c.exit(0)
    c.close(connfd)
    assert c.read(sockfd, 100) == b""
    assert c.errno is None
    c.waitpid(-1)


def numbers(c: Calls, lab: Options, sync: Sync) -> None:
    """Descriptors are the lowest that are free, as the kernel's are; none left is EMFILE."""
    listenfd = listening(c)
    first, second = c.socket("AF_INET", "SOCK_STREAM", SCTP), c.socket("AF_INET", "SOCK_STREAM", 0)
    assert (listenfd, first, second) == (3, 4, 5)
    c.close(first)
    assert c.socket("AF_INET6", "SOCK_SEQPACKET", SCTP) == 4
    resource.setrlimit(resource.RLIMIT_NOFILE, (6, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    assert c.socket("AF_INET", "SOCK_STREAM", SCTP) == -1
    assert c.errno == "EMFILE"
    c.close(5)
    assert c.socket("AF_INET", "SOCK_STREAM", SCTP) == 5
    assert c.bind(5, HERE) == -1
    assert c.errno == "EADDRINUSE"
    assert c.close(5) == 0
    assert c.write(5, b"closed") == -1
    assert c.errno == "EBADF"


PROGRAMS: dict[str, Program] = {
    program.__name__: program for program in (messages, options, many, waits, forks, numbers)
}
# Those by which the recorder is tested with a kernel's SCTP hold with ours, too.
THEIRS = {f"theirs:{name}": program for name, program in programs.PROGRAMS.items() if name not in programs.SLOW_WIRES}


def prepare() -> int:
    """Starts the SCTP process; the program's end of the connection to it."""
    ours, theirs = socket.socketpair()
    told, to_stage = os.pipe()
    end, _ = os.pipe()
    hears, ready = os.pipe()
    stack.start(
        "client",
        "sctp",
        ["127.0.0.1", "127.0.0.2"],
        lambda: None,
        theirs,
        (to_stage, end, ready),
        stack.Busy(),
        beside=False,
        keep=100,
    )
    os.close(to_stage)
    os.close(ready)
    os.read(hears, 1)
    os.close(hears)
    if os.fork() == 0:  # reads what it tells
        while os.read(told, 1 << 16):
            pass
        os._exit(0)
    return ours.detach()


if __name__ == "__main__":
    record((PROGRAMS | THEIRS)[sys.argv[1]], sys.argv[2], prepare=None if sys.argv[3:] == ["kernel"] else prepare)
