"""Programs for the tests of our own TCP's calls: `python -m tests.live.owned PROGRAM FILE WHOSE [6]`.

Each is a pair, as a lab is, of programs on two hosts. WHOSE says whose TCP is rawlab's own: the 'client's, 'both's, or
nobody's: the 'kernel's answers are the measure. Their run is a lab's, with its capture in FILE; an assertion that fails
ends it. Prints why it was stopped, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from dataclasses import replace

from rawlab.live import needs
from rawlab.live.network import OWN, hosts, points, with_own_tcp
from rawlab.live.run import Run
from rawlab.live.session import Request
from rawlab.model import timeline
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.faults import Chance
from rawlab.model.lab import Options, Program, Wire
from rawlab.wire import capture

SOL, TCP, STREAM = "SOL_SOCKET", "IPPROTO_TCP", "SOCK_STREAM"
MANY = 200


def listening(c: Calls, lab: Options, port: int = 7, backlog: int = 10) -> int:
    """A socket that listens, at all addresses."""
    fd = c.socket(lab.domain, STREAM, 0)
    assert c.setsockopt(fd, SOL, "SO_REUSEADDR", 1) == 0
    assert c.bind(fd, Endpoint("::" if ":" in lab.client else "0.0.0.0", port)) == 0
    assert c.listen(fd, backlog) == 0
    return fd


def accepting(c: Calls, lab: Options, sync: Sync, port: int = 7) -> int:
    """The connection of who comes once this one listens."""
    listenfd = listening(c, lab, port)
    sync.post(f"{port} listens")
    connfd, _ = c.accept(listenfd)
    c.close(listenfd)
    return connfd


def connecting(c: Calls, lab: Options, sync: Sync, port: int = 7, to: str = "") -> int:
    """A connection to it."""
    sync.wait(f"{port} listens")
    fd = c.socket(lab.domain, STREAM, 0)
    assert c.connect(fd, Endpoint(to or lab.server.address, port)) == 0, c.errno
    return fd


def fails(c: Calls, result: int, errno: str) -> None:
    """The last call gave -1, and this errno."""
    assert (result, c.errno) == (-1, errno)


def all_of(c: Calls, fd: int) -> bytes:
    """Until the end of the stream."""
    whole = b""
    while piece := c.read(fd, 65536):
        whole += piece
    assert c.errno is None
    return whole


# ------------------------------------------------------------------------------------- reads and writes


def calls_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Every call that sends or receives."""
    fd = connecting(c, lab, sync)
    assert c.write(fd, b"by write") == 8
    assert c.send(fd, b" by send", "MSG_NOSIGNAL") == 8
    assert c.sendto(fd, b" by sendto", "0", lab.server) == 10
    assert c.sendmsg(fd, None, [b" by ", b"sendmsg"]) == 11
    sync.post("sent")
    assert c.recv(fd, 3, "MSG_PEEK") == b"one"
    assert c.read(fd, 3) == b"one"
    assert c.recvfrom(fd, 3) == (b"two", None)
    assert c.recvmsg(fd, 5)[::3] == (b"three", "0")
    assert c.recv(fd, 1, "MSG_DONTWAIT") == b""
    assert c.errno == "EAGAIN"
    sync.post("read all")
    assert c.recv(fd, 10, "MSG_WAITALL") == b"0123456789"
    sync.post("read ten")
    assert c.poll([(fd, "POLLRDHUP")], -1) == [(fd, "POLLRDHUP")]
    assert c.recv(fd, 10, "MSG_WAITALL") == b"end"
    assert c.read(fd, 1) == b""
    assert c.errno is None
    assert c.write(fd, b"") == 0
    c.close(fd)
    fails(c, c.write(fd, b"late"), "EBADF")


def calls_server(c: Calls, lab: Options, sync: Sync) -> None:
    fd = accepting(c, lab, sync)
    sync.wait("sent")
    assert c.recv(fd, 37, "MSG_WAITALL") == b"by write by send by sendto by sendmsg"
    c.write(fd, b"onetwothree")
    sync.wait("read all")
    c.write(fd, b"01234")
    c.nanosleep(0.05)
    c.write(fd, b"56789")
    sync.wait("read ten")
    c.write(fd, b"end")
    c.shutdown(fd, "SHUT_WR")
    assert all_of(c, fd) == b""


def urgent_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Urgent data, both ways."""
    fd = connecting(c, lab, sync)
    c.recv(fd, 1, "MSG_OOB")
    assert c.errno == "EINVAL"
    sync.post("go")
    assert c.poll([(fd, "POLLPRI")], -1) == [(fd, "POLLPRI")]
    assert c.recv(fd, 100) == b"ab"
    assert c.recv(fd, 1, "MSG_OOB|MSG_PEEK") == b"c"
    assert c.recv(fd, 1, "MSG_OOB") == b"c"
    c.recv(fd, 1, "MSG_OOB")
    assert c.errno == "EINVAL"
    assert c.recv(fd, 2, "MSG_WAITALL") == b"de"
    assert c.send(fd, b"xyz", "MSG_OOB") == 3
    assert c.write(fd, b"rest") == 4
    sync.post("sent")
    assert all_of(c, fd) == b""
    c.close(fd)


def urgent_server(c: Calls, lab: Options, sync: Sync) -> None:
    fd = accepting(c, lab, sync)
    sync.wait("go")
    c.send(fd, b"abc", "MSG_OOB")
    c.write(fd, b"de")
    sync.wait("sent")
    assert c.poll([(fd, "POLLPRI")], -1) == [(fd, "POLLPRI")]
    assert c.recv(fd, 1, "MSG_OOB") == b"z"
    assert c.recv(fd, 2, "MSG_WAITALL") == b"xy"
    assert c.recv(fd, 4, "MSG_WAITALL") == b"rest"
    c.close(fd)


def large_client(c: Calls, lab: Options, sync: Sync) -> None:
    """More than all buffers hold, both ways; a write that must not wait takes what fits, then says EAGAIN."""
    fd = c.socket(lab.domain, STREAM, 0)
    assert c.setsockopt(fd, SOL, "SO_SNDBUF", 20_000) == 0
    assert c.setsockopt(fd, SOL, "SO_RCVBUF", 20_000) == 0
    sync.wait("7 listens")
    assert c.connect(fd, lab.server) == 0
    taken = 0
    while (now := c.send(fd, b"x" * 30_000, "MSG_DONTWAIT")) > 0:
        taken += now
    fails(c, now, "EAGAIN")
    assert taken > 0
    sync.post("full")
    assert c.poll([(fd, "POLLOUT")], -1) == [(fd, "POLLOUT")]
    assert c.write(fd, b"y" * 500_000) == 500_000
    c.shutdown(fd, "SHUT_WR")
    fails(c, c.write(fd, b"late"), "EPIPE")
    assert all_of(c, fd) == b"z" * 500_000 + str(taken + 500_000).encode()
    c.close(fd)


def large_server(c: Calls, lab: Options, sync: Sync) -> None:
    fd = accepting(c, lab, sync)
    sync.wait("full")
    count = len(all_of(c, fd))
    assert c.write(fd, b"z" * 500_000) == 500_000
    c.write(fd, str(count).encode())


# -------------------------------------------------------------------------------------------- connecting


def opening_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Blocking and not; refused; names before, between and after."""
    fd, wild = c.socket(lab.domain, STREAM, TCP), Endpoint("::" if ":" in lab.client else "0.0.0.0", 0)
    assert c.getsockname(fd) == wild
    assert c.getpeername(fd) is None
    assert c.errno == "ENOTCONN"
    c.read(fd, 1)
    assert c.errno == "ENOTCONN"
    fails(c, c.write(fd, b"x"), "EPIPE")
    fails(c, c.shutdown(fd, "SHUT_WR"), "ENOTCONN")
    fails(c, c.bind(fd, Endpoint(lab.server.address, 0)), "EADDRNOTAVAIL")
    assert c.poll([(fd, "POLLIN|POLLOUT")], 0) == [(fd, "POLLOUT|POLLHUP")]
    fails(c, c.connect(fd, Endpoint(lab.server.address, 9)), "ECONNREFUSED")
    c.read(fd, 1)
    assert c.errno == "ENOTCONN"
    sync.wait("7 listens")
    assert c.connect(fd, lab.server) == 0
    fails(c, c.connect(fd, lab.server), "EISCONN")
    assert c.getpeername(fd) == lab.server
    assert (c.getsockname(fd) or wild).address == lab.client
    other = c.socket(lab.domain, STREAM, 0)
    c.fcntl(other, "F_SETFL", "O_NONBLOCK")
    assert c.fcntl(other, "F_GETFL") & os.O_NONBLOCK
    fails(c, c.connect(other, lab.server), "EINPROGRESS")
    assert c.poll([(other, "POLLOUT")], -1) == [(other, "POLLOUT")]
    assert c.getsockopt(other, SOL, "SO_ERROR") == 0
    assert c.connect(other, lab.server) == 0
    fails(c, c.connect(other, lab.server), "EISCONN")
    c.read(other, 1)
    assert c.errno == "EAGAIN"
    third = c.socket(lab.domain, STREAM, 0)
    c.fcntl(third, "F_SETFL", "O_NONBLOCK")
    fails(c, c.connect(third, Endpoint(lab.server.address, 9)), "EINPROGRESS")
    assert c.poll([(third, "POLLOUT|POLLIN")], -1) == [(third, "POLLIN|POLLOUT|POLLERR|POLLHUP")]
    assert c.getsockopt(third, SOL, "SO_ERROR") == 111
    assert c.getsockopt(third, SOL, "SO_ERROR") == 0
    for each in (fd, other, third):
        c.close(each)


def opening_server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = listening(c, lab)
    sync.post("7 listens")
    for _ in range(2):
        connfd, _ = c.accept(listenfd)
        assert all_of(c, connfd) == b""
        c.close(connfd)


def options_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Options, and those that there are not."""
    fd = c.socket(lab.domain, STREAM, 0)
    for name in ("SO_REUSEADDR",):
        assert c.getsockopt(fd, SOL, name) == 0
        assert c.setsockopt(fd, SOL, name, 1) == 0
        assert c.getsockopt(fd, SOL, name) == 1
    assert c.setsockopt(fd, TCP, "TCP_NODELAY", 1) == 0
    assert c.getsockopt(fd, TCP, "TCP_NODELAY") == 1
    assert c.setsockopt(fd, SOL, "SO_LINGER", (1, 5)) == 0
    assert c.getsockopt(fd, SOL, "SO_LINGER", (0, 0)) == (1, 5)
    for name in ("SO_RCVBUF", "SO_SNDBUF"):
        assert c.setsockopt(fd, SOL, name, 30_000) == 0
        assert c.getsockopt(fd, SOL, name) == 60_000
    fails(c, c.setsockopt(fd, TCP, "999", 1), "ENOPROTOOPT")
    c.getsockopt(fd, SOL, "9999")
    assert c.errno == "ENOPROTOOPT"
    listenfd = listening(c, lab, 1007)
    fails(c, c.accept(fd)[0], "EINVAL")
    taken = c.socket(lab.domain, STREAM, 0)
    fails(c, c.bind(taken, Endpoint("::" if ":" in lab.client else "0.0.0.0", 1007)), "EADDRINUSE")
    fails(c, c.connect(listenfd, lab.server), "EISCONN")
    c.read(listenfd, 1)
    assert c.errno == "ENOTCONN"
    assert c.listen(listenfd, 2) == 0
    c.fcntl(listenfd, "F_SETFL", "O_NONBLOCK")
    fails(c, c.accept(listenfd)[0], "EAGAIN")


def nothing(c: Calls, lab: Options, sync: Sync) -> None:
    """It is not needed."""


# ------------------------------------------------------------------------------------------------ the end


def ends_client(c: Calls, lab: Options, sync: Sync) -> None:
    """How connections end: unread data, SO_LINGER of 0 s, a peer that resets, half-close."""
    unread = connecting(c, lab, sync, 7)
    assert c.poll([(unread, "POLLIN")], -1) == [(unread, "POLLIN")]
    c.close(unread)
    lingers = connecting(c, lab, sync, 8)
    assert c.setsockopt(lingers, SOL, "SO_LINGER", (1, 0)) == 0
    c.close(lingers)
    reset = connecting(c, lab, sync, 9)
    c.write(reset, b"you will not read this")
    assert c.poll([(reset, "POLLIN")], -1) == [(reset, "POLLIN|POLLERR|POLLHUP")]
    c.read(reset, 1)
    assert c.errno == "ECONNRESET"
    assert c.read(reset, 1) == b""
    assert c.errno is None
    fails(c, c.write(reset, b"x"), "EPIPE")
    c.close(reset)
    half = connecting(c, lab, sync, 10)
    assert c.setsockopt(half, SOL, "SO_LINGER", (1, 20)) == 0
    assert c.shutdown(half, "SHUT_WR") == 0
    assert all_of(c, half) == b"still"
    c.close(half)
    reads = connecting(c, lab, sync, 11)
    assert c.shutdown(reads, "SHUT_RD") == 0
    assert c.read(reads, 1) == b""
    assert c.write(reads, b"one way") == 7
    c.close(reads)


def ends_server(c: Calls, lab: Options, sync: Sync) -> None:
    fd = accepting(c, lab, sync, 7)
    c.write(fd, b"nobody reads this")
    c.read(fd, 1)
    assert c.errno == "ECONNRESET"
    fd = accepting(c, lab, sync, 8)
    c.read(fd, 1)
    assert c.errno == "ECONNRESET"
    fd = accepting(c, lab, sync, 9)
    c.poll([(fd, "POLLIN")], -1)
    c.close(fd)
    fd = accepting(c, lab, sync, 10)
    assert all_of(c, fd) == b""
    c.write(fd, b"still")
    c.close(fd)
    fd = accepting(c, lab, sync, 11)
    assert all_of(c, fd) == b"one way"
    c.close(fd)


# ---------------------------------------------------------------------------------------------- accepting


def forks_client(c: Calls, lab: Options, sync: Sync) -> None:
    """A concurrent server: a child for each connection, the parent closes its copy, and nobody gets FIN of that."""
    listenfd = listening(c, lab)
    sync.post("7 listens")
    for _ in range(2):
        connfd, peer = c.accept(listenfd)
        assert peer is not None
        assert (peer.address, c.getpeername(connfd)) == (lab.server.address, peer)
        assert (c.getsockname(connfd) or peer) == Endpoint(lab.client, 7)
        if c.fork() == 0:
            c.close(listenfd)
            c.write(connfd, c.read(connfd, 100))
            c.exit(0)
        c.close(connfd)
    c.waitpid(-1)
    c.waitpid(-1)
    c.close(listenfd)


def forks_server(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("7 listens")
    for _ in range(2):
        fd = c.socket(lab.domain, STREAM, 0)
        assert c.connect(fd, Endpoint(lab.client, 7)) == 0
        c.nanosleep(0.02)
        assert c.recv(fd, 1, "MSG_DONTWAIT") == b""
        assert c.errno == "EAGAIN"
        c.write(fd, b"to the child")
        assert all_of(c, fd) == b"to the child"
        c.close(fd)


def closed_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Who listens no more: those in the queue are reset, others refused; the port can be had again."""
    listenfd = listening(c, lab)
    sync.post("7 listens")
    sync.wait("connected")
    assert c.poll([(listenfd, "POLLIN")], -1) == [(listenfd, "POLLIN")]
    c.close(listenfd)
    sync.post("closed")
    sync.wait("seen")
    c.close(accepting(c, lab, sync, 7))


def closed_server(c: Calls, lab: Options, sync: Sync) -> None:
    to = Endpoint(lab.client, 7)
    sync.wait("7 listens")
    fd, other = c.socket(lab.domain, STREAM, 0), c.socket(lab.domain, STREAM, 0)
    assert c.connect(fd, to) == 0
    sync.post("connected")
    sync.wait("closed")
    c.read(fd, 1)
    assert c.errno == "ECONNRESET"
    fails(c, c.connect(other, to), "ECONNREFUSED")
    sync.post("seen")
    assert all_of(c, connecting(c, lab, sync, 7, lab.client)) == b""


def many_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Many connections, one after the other, first that way, then this."""
    sync.wait("7 listens")
    for n in range(MANY):
        fd = c.socket(lab.domain, STREAM, 0)
        assert c.connect(fd, lab.server) == 0, c.errno
        assert c.write(fd, b"%d" % n) == len(str(n))
        c.shutdown(fd, "SHUT_WR")
        assert all_of(c, fd) == b"%d" % n
        c.close(fd)
    listenfd = listening(c, lab, 8)
    sync.post("8 listens")
    for _ in range(MANY):
        connfd, _ = c.accept(listenfd)
        c.write(connfd, all_of(c, connfd))
        c.close(connfd)


def many_server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = listening(c, lab)
    sync.post("7 listens")
    for _ in range(MANY):
        connfd, _ = c.accept(listenfd)
        c.write(connfd, all_of(c, connfd))
        c.close(connfd)
    sync.wait("8 listens")
    for n in range(MANY):
        fd = c.socket(lab.domain, STREAM, 0)
        assert c.connect(fd, Endpoint(lab.client, 8)) == 0, c.errno
        c.write(fd, b"%d" % n)
        c.shutdown(fd, "SHUT_WR")
        assert all_of(c, fd) == b"%d" % n
        c.close(fd)


def beside_client(c: Calls, lab: Options, sync: Sync) -> None:
    """UDP is the kernel's; poll waits for sockets of both."""
    udp = c.socket(lab.domain, "SOCK_DGRAM", 0)
    fd = connecting(c, lab, sync)
    assert c.poll([(udp, "POLLIN"), (fd, "POLLIN")], 20) == []
    c.sendto(udp, b"datagram", "0", lab.server)
    assert c.poll([(udp, "POLLIN"), (fd, "POLLIN")], -1) == [(udp, "POLLIN")]
    assert c.read(udp, 100) == b"back"
    c.write(fd, b"stream")
    assert c.poll([(udp, "POLLIN"), (fd, "POLLIN")], -1) == [(fd, "POLLIN")]
    assert c.read(fd, 100) == b"stream"
    c.close(fd)


def beside_server(c: Calls, lab: Options, sync: Sync) -> None:
    udp = c.socket(lab.domain, "SOCK_DGRAM", 0)
    c.bind(udp, Endpoint("::" if ":" in lab.client else "0.0.0.0", 7))
    fd = accepting(c, lab, sync)
    _, source = c.recvfrom(udp, 100)
    assert source is not None
    c.sendto(udp, b"back", "0", source)
    c.write(fd, c.read(fd, 100))
    assert all_of(c, fd) == b""
    c.close(fd)


def endless_client(c: Calls, lab: Options, sync: Sync) -> None:
    """Goes on until it is stopped."""
    fd = connecting(c, lab, sync)
    while c.write(fd, b"x"):
        c.read(fd, 1)


def endless_server(c: Calls, lab: Options, sync: Sync) -> None:
    fd = accepting(c, lab, sync)
    while c.read(fd, 1):
        c.write(fd, b"x")


def closes_client(c: Calls, lab: Options, sync: Sync) -> None:
    """More than the peer takes, who reads late: the window closes, and is probed."""
    fd = connecting(c, lab, sync)
    assert c.write(fd, b"x" * 100_000) == 100_000
    c.close(fd)


def closes_server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, STREAM, 0)
    c.setsockopt(listenfd, SOL, "SO_RCVBUF", 4000)
    c.bind(listenfd, Endpoint("::" if ":" in lab.client else "0.0.0.0", 7))
    c.listen(listenfd, 1)
    sync.post("7 listens")
    fd, _ = c.accept(listenfd)
    c.nanosleep(0.7)
    assert len(all_of(c, fd)) == 100_000
    c.close(fd)


PROGRAMS: dict[str, tuple[Program, Program]] = {
    "calls": (calls_client, calls_server),
    "urgent": (urgent_client, urgent_server),
    "large": (large_client, large_server),
    "opening": (opening_client, opening_server),
    "options": (options_client, nothing),
    "ends": (ends_client, ends_server),
    "forks": (forks_client, forks_server),
    "closed": (closed_client, closed_server),
    "beside": (beside_client, beside_server),
    "lossy": (large_client, large_server),
    "closes": (closes_client, closes_server),
    "many": (many_client, many_server),
    "endless": (endless_client, endless_server),
}


WIRES = {"lossy": Wire(delay_ms=2, faults=(Chance(seed=3, drop=3, duplicate=1, reorder=1),))}


def main() -> None:
    """One run."""
    name, path, whose, *version6 = sys.argv[1:]
    client, server = PROGRAMS[name]
    own = {"kernel": (), "client": ("client",), "both": ("client", "server")}[whose]
    asked = Request(lab="tcp-echo", ipv6=bool(version6)).to_json()
    at = {host: OWN[host][bool(version6)] for host in own}
    asked |= {"client": at["client"]} if "client" in at else {}
    asked |= {"server": str(Endpoint(at["server"], 7))} if "server" in at else {}
    needs.enter_user_namespace()
    control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    run = Run(other, asked, descriptor)
    run.lab = replace(run.lab, client=client, server=server, own_tcp=own, wire=WIRES.get(name, run.lab.wire))
    found = with_own_tcp(hosts(False, run.lab.wire), run.lab.own_tcp)
    about = timeline.Run(lab=name, rawlab="test")
    os.write(descriptor, capture.header(about, found, points(False, run.lab.wire)))
    signal.signal(signal.SIGTERM, lambda *_: control.send(b'{"stop": "asked to"}'))
    print(json.dumps(run.perform()["stopped"]))


if __name__ == "__main__":
    main()
