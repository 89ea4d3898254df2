"""Programs for the recorder's tests with the kernel's SCTP: `python -m tests.sctp.programs FOLDER WHERE [NAME …]`.

Each is run on loopback of a network of its own, recorded as a lab's would be; its calls go to FOLDER/<name>.pcapng.
WHERE is `within` if the recorder itself is to ask the kernel for the sockets' states, `without` if the stage is. One
process plays both ends: the kernel answers for a listening socket without it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rawlab.live.at_work import sockets_at_work
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.lab import Options, Program
from rawlab.model.sctp import SndRcvInfo
from tests.live.recorded import record

HERE, THERE, NOBODY = (Endpoint("127.0.0.1", port) for port in (7007, 7008, 7009))
HERE_TOO = Endpoint("127.0.0.2", 7007)
SCTP = ("AF_INET", "SOCK_STREAM", "IPPROTO_SCTP")
MANY = ("AF_INET", "SOCK_SEQPACKET", "IPPROTO_SCTP")
ALL_EVENTS = (1, 1, 1, 1, 1, 1, 1, 1, 0, 1)


def listener(c: Calls, at: Endpoint = HERE, kind: tuple[str, str, str] = SCTP) -> int:
    listenfd = c.socket(*kind)
    c.bind(listenfd, at)
    c.listen(listenfd, 5)
    return listenfd


def pair(c: Calls) -> tuple[int, int, int]:
    """A listening socket, and both ends of an association with it."""
    listenfd = listener(c)
    sockfd = c.socket(*SCTP)
    c.connect(sockfd, HERE)
    connfd, _ = c.accept(listenfd)
    return listenfd, sockfd, connfd


def one_to_one(c: Calls, lab: Options, sync: Sync) -> None:
    """Streams, payload protocol identifiers, boundaries, a graceful end."""
    listenfd = listener(c)
    c.setsockopt(listenfd, "SOL_SCTP", "SCTP_EVENTS", (1,))
    sockfd = c.socket(*SCTP)
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_INITMSG", (3, 5, 4, 1000))
    assert c.getsockopt(sockfd, "SOL_SCTP", "SCTP_INITMSG") == (3, 5, 4, 1000)
    c.connect(sockfd, HERE)
    connfd, peer = c.accept(listenfd)
    assert c.getsockname(sockfd) == peer
    assert c.getpeername(sockfd) == HERE
    c.write(sockfd, b"first")
    c.send(sockfd, b"second")
    c.sendmsg(sockfd, None, [b"th", b"ird"], "0", SndRcvInfo(stream=2, ppid=7))
    c.sendmsg(sockfd, None, [b"fourth"], "0", SndRcvInfo(stream=1, flags="SCTP_UNORDERED", ppid=0xFFFFFFFF))
    c.sendmsg(sockfd, None, [b"fifth"], "0", SndRcvInfo(stream=3))
    assert c.errno == "EINVAL"  # there are 3 streams: 0, 1, 2
    assert c.read(connfd, 100) == b"first"
    assert c.recv(connfd, 3) == b"sec"
    data, _, info, flags = c.recvmsg(connfd, 100)
    assert (data, info and (info.stream, info.ppid), flags) == (b"ond", (0, 0), "MSG_EOR")
    data, end, third, flags = c.recvmsg(connfd, 100)
    assert (data, end, flags) == (b"third", peer, "MSG_EOR")
    assert third is not None
    assert (third.stream, third.ssn, third.ppid, third.flags, third.assoc_id > 0) == (2, 0, 7, "0", True)
    data, _, fourth, _ = c.recvmsg(connfd, 3)
    assert fourth is not None
    assert (data, fourth.flags, fourth.ppid, fourth.tsn - third.tsn) == (b"fou", "SCTP_UNORDERED", 0xFFFFFFFF, 1)
    assert c.recvmsg(connfd, 100)[0::3] == (b"rth", "MSG_EOR")
    large = bytes(range(256)) * 400
    c.sendmsg(connfd, None, [large], "0", SndRcvInfo(stream=1))
    received = b""
    while len(received) < len(large):
        received += c.recv(sockfd, 200_000)
    assert received == large
    c.shutdown(sockfd, "SHUT_WR")
    assert c.read(connfd, 10) == b""
    c.close(connfd)
    c.close(sockfd)
    c.close(listenfd)


def options(c: Calls, lab: Options, sync: Sync) -> None:
    """Each struct that an option takes or gives."""
    listenfd, sockfd, connfd = pair(c)
    one = c.getsockopt(sockfd, "SOL_SCTP", "SCTP_STATUS")
    assert isinstance(one, tuple)
    primary = one[-1]
    assert isinstance(primary, tuple)
    assert (one[1], one[3:7], primary[1:3]) == ("SCTP_ESTABLISHED", (0, 0, 10, 10), (HERE, "SCTP_ACTIVE"))
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_RTOINFO", (0, 500, 2000, 200))
    assert c.getsockopt(sockfd, "SOL_SCTP", "SCTP_RTOINFO") == (0, 500, 2000, 200)
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_ASSOCINFO", (0, 3))
    told = c.getsockopt(sockfd, "SOL_SCTP", "SCTP_ASSOCINFO")
    assert isinstance(told, tuple)
    assert told[1:3] == (3, 1)
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_EVENTS", ALL_EVENTS)
    assert c.getsockopt(sockfd, "SOL_SCTP", "SCTP_EVENTS") == ALL_EVENTS
    for name, value in (("SCTP_NODELAY", 1), ("SCTP_DISABLE_FRAGMENTS", 1)):
        c.setsockopt(sockfd, "SOL_SCTP", name, value)
        assert c.getsockopt(sockfd, "SOL_SCTP", name) == value
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_AUTOCLOSE", 1)
    assert c.errno == "EOPNOTSUPP"  # of one-to-many sockets only
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_PEER_ADDR_PARAMS", (0, HERE, 0, 2, 0, 0, "SPP_HB_DISABLE"))
    params = c.getsockopt(sockfd, "SOL_SCTP", "SCTP_PEER_ADDR_PARAMS", (0, HERE))
    assert isinstance(params, tuple)
    assert (params[1], params[3], str(params[6]).split("|")[0]) == (HERE, 2, "SPP_HB_DISABLE")
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_PEER_ADDR_PARAMS", (0, HERE, 0, 0, 0, 0, "SPP_HB_DEMAND"))
    assert c.errno is None
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_DELAYED_SACK", (0, 100, 1))
    assert c.getsockopt(sockfd, "SOL_SCTP", "SCTP_DELAYED_SACK") in ((one[0], 100, 1), (0, 100, 1), (0, 0, 1))
    for name, value in (("SCTP_MAXSEG", 512), ("SCTP_MAX_BURST", 8)):
        c.setsockopt(sockfd, "SOL_SCTP", name, (0, value))
        assert c.getsockopt(sockfd, "SOL_SCTP", name) == (0, value)
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_PRIMARY_ADDR", (0, HERE))
    assert c.errno is None
    info = c.getsockopt(sockfd, "SOL_SCTP", "SCTP_GET_PEER_ADDR_INFO", (0, HERE))
    assert isinstance(info, tuple)
    assert info[1:3] == (HERE, "SCTP_ACTIVE")
    assert c.getsockopt(sockfd, "SOL_SCTP", "SCTP_GET_PEER_ADDRS") == (0, 1, (HERE,))
    assert c.getsockopt(sockfd, "SOL_SOCKET", "SO_LINGER") == (0, 0)
    c.getsockopt(listenfd, "SOL_SCTP", "SCTP_STATUS")
    assert c.errno == "EINVAL"
    for fd in (sockfd, connfd, listenfd):
        c.close(fd)


def one_to_many(c: Calls, lab: Options, sync: Sync) -> None:
    """Associations by sendmsg alone, told of by notifications; one is peeled off; each ends in a way of its own."""
    server = listener(c, kind=MANY)
    c.setsockopt(server, "SOL_SCTP", "SCTP_EVENTS", ALL_EVENTS)
    clients = [c.socket(*MANY) for _ in range(3)]
    for number, client in enumerate(clients):
        c.sendmsg(client, HERE, [b"from %d" % number], "0", SndRcvInfo(stream=number, ppid=number))
    known: dict[bytes, tuple[Endpoint | None, int]] = {}
    while len(known) < 3:
        data, end, info, flags = c.recvmsg(server, 1000)
        if flags == "MSG_EOR":
            assert info is not None
            known[data] = end, info.assoc_id
            assert data == b"from %d" % info.stream
    ids = c.getsockopt(server, "SOL_SCTP", "SCTP_GET_ASSOC_ID_LIST")
    assert isinstance(ids, tuple)
    assert ids == (3, tuple(assoc_id for _, assoc_id in known.values()))
    for data, (_, assoc_id) in known.items():
        c.sendmsg(server, None, [data], "0", SndRcvInfo(assoc_id=assoc_id))
    end, assoc_id = known[b"from 0"]
    assert end is not None
    c.sendto(server, b"by address", "0", end)
    assert [c.recvfrom(clients[0], 100) for _ in range(2)] == [(b"from 0", HERE), (b"by address", HERE)]
    peeled = c.getsockopt(server, "SOL_SCTP", "SCTP_SOCKOPT_PEELOFF", assoc_id)
    assert isinstance(peeled, tuple)
    fd = peeled[1]
    assert isinstance(fd, int)
    assert c.getpeername(fd) == end
    c.send(fd, b"from the peeled one")
    assert c.recv(clients[0], 100) == b"from the peeled one"
    c.sendmsg(clients[1], HERE, [], "0", SndRcvInfo(flags="SCTP_EOF"))
    c.sendmsg(clients[2], HERE, [b"why not"], "0", SndRcvInfo(flags="SCTP_ABORT"))
    ended = 0
    while ended < 2:
        data, _, _, flags = c.recvmsg(server, 1000)
        ended += "MSG_NOTIFICATION" in flags and data[:2] == b"\x01\x80" and data[8:9] in (b"\1", b"\3")
    c.close(fd)
    for fd in (*clients, server):
        c.close(fd)


def addresses(c: Calls, lab: Options, sync: Sync) -> None:
    """sctp_bindx, sctp_connectx, sctp_getpaddrs, sctp_getladdrs."""
    listenfd = listener(c)
    assert c.setsockopt(listenfd, "SOL_SCTP", "SCTP_SOCKOPT_BINDX_ADD", (HERE_TOO,)) == 0
    local = c.getsockopt(listenfd, "SOL_SCTP", "SCTP_GET_LOCAL_ADDRS")
    assert local == (0, 2, (HERE, HERE_TOO))
    sockfd = c.socket(*SCTP)
    assert c.setsockopt(sockfd, "SOL_SCTP", "SCTP_SOCKOPT_CONNECTX", (HERE, HERE_TOO)) >= 0
    connfd, _ = c.accept(listenfd)
    peers = c.getsockopt(sockfd, "SOL_SCTP", "SCTP_GET_PEER_ADDRS")
    assert isinstance(peers, tuple)
    assert peers[1:] == (2, (HERE, HERE_TOO))
    c.setsockopt(sockfd, "SOL_SCTP", "SCTP_PRIMARY_ADDR", (0, HERE_TOO))
    c.write(sockfd, b"by another way")
    assert c.read(connfd, 100) == b"by another way"
    for fd in (sockfd, connfd):
        c.close(fd)
    assert c.setsockopt(listenfd, "SOL_SCTP", "SCTP_SOCKOPT_BINDX_REM", (HERE_TOO,)) == 0
    c.setsockopt(listenfd, "SOL_SCTP", "SCTP_SOCKOPT_BINDX_ADD", (Endpoint("192.0.2.1", 7007),))
    assert c.errno == "EADDRNOTAVAIL"
    c.close(listenfd)


def abort(c: Calls, lab: Options, sync: Sync) -> None:
    """SO_LINGER {1, 0}: close sends ABORT."""
    listenfd, sockfd, connfd = pair(c)
    c.setsockopt(connfd, "SOL_SCTP", "SCTP_EVENTS", ALL_EVENTS)
    c.setsockopt(sockfd, "SOL_SOCKET", "SO_LINGER", (1, 0))
    assert c.getsockopt(sockfd, "SOL_SOCKET", "SO_LINGER") == (1, 0)
    c.close(sockfd)
    assert c.recvmsg(connfd, 1000)[3] == "MSG_EOR|MSG_NOTIFICATION"
    c.read(connfd, 10)
    c.write(connfd, b"to nobody")
    c.close(connfd)
    c.close(listenfd)


def errors(c: Calls, lab: Options, sync: Sync) -> None:
    """Calls that fail."""
    sockfd = c.socket(*SCTP)
    c.connect(sockfd, NOBODY)
    c.write(sockfd, b"nowhere")
    c.getsockopt(sockfd, "SOL_SCTP", "SCTP_STATUS")
    c.bind(sockfd, Endpoint("192.0.2.1", 7))
    listenfd = listener(c)
    other = c.socket(*SCTP)
    c.bind(other, HERE)
    c.accept(other)
    c.setsockopt(other, "SOL_SCTP", "SCTP_RTOINFO", (0, 1, 2, 3))
    many = c.socket(*MANY)
    c.accept(many)
    c.getsockopt(many, "SOL_SCTP", "SCTP_SOCKOPT_PEELOFF", 77)
    c.socket("AF_INET", "SOCK_DGRAM", "IPPROTO_SCTP")
    c.close(listenfd)


def life(c: Calls, lab: Options, sync: Sync) -> None:
    """An association's whole life on a wire that takes its time, looked at again and again from both ends."""
    one, other = listener(c, kind=MANY), listener(c, THERE, kind=MANY)

    def watch(*states: str) -> None:
        """Until the ends are in these states."""
        for fd, state in zip((one, other), states, strict=True):
            for _ in range(500):
                if state == _state(c, fd):
                    break
                c.nanosleep(0.002)
            else:
                raise AssertionError(f"{fd} never came to {state}")

    assert sockets_at_work() == 0
    c.sendmsg(one, THERE, [b"hello"], "MSG_DONTWAIT")  # else it waits for COOKIE ACK
    watch("SCTP_COOKIE_WAIT", "")
    assert sockets_at_work() == 1
    watch("SCTP_COOKIE_ECHOED", "")
    watch("SCTP_ESTABLISHED", "SCTP_ESTABLISHED")
    assert c.recvfrom(other, 100)[0] == b"hello"
    while sockets_at_work(HERE.port):
        c.nanosleep(0.01)  # until the message is acknowledged
    c.sendmsg(one, THERE, [b"last words"])
    c.sendmsg(one, THERE, [], "0", SndRcvInfo(flags="SCTP_EOF"))
    watch("SCTP_SHUTDOWN_PENDING", "SCTP_ESTABLISHED")
    assert (sockets_at_work(), sockets_at_work(HERE.port), sockets_at_work(NOBODY.port)) == (1, 1, 0)
    watch("SCTP_SHUTDOWN_SENT", "SCTP_ESTABLISHED")
    c.sendto(other, b"I have some, too", "0", HERE)
    watch("SCTP_SHUTDOWN_SENT", "SCTP_SHUTDOWN_RECEIVED")
    watch("SCTP_SHUTDOWN_SENT", "SCTP_SHUTDOWN_ACK_SENT")
    watch("", "")
    c.close(one)
    c.close(other)


def _state(c: Calls, fd: int) -> str:
    """Of a one-to-many socket's only association; '' where there is none."""
    known = c.getsockopt(fd, "SOL_SCTP", "SCTP_GET_ASSOC_ID_LIST")
    assert isinstance(known, tuple)
    assert isinstance(known[1], tuple)
    if not known[1]:
        return ""
    if known[1] == (0,):
        return "SCTP_COOKIE_WAIT"  # it gets its number with INIT ACK
    status = c.getsockopt(fd, "SOL_SCTP", "SCTP_STATUS", known[1])
    return str(status[1]) if isinstance(status, tuple) and c.errno is None else ""


PROGRAMS: dict[str, Program] = {
    "one_to_one": one_to_one,
    "options": options,
    "one_to_many": one_to_many,
    "addresses": addresses,
    "abort": abort,
    "errors": errors,
    "life": life,
}
SLOW_WIRES = {"life": "200ms"}


def _slow(wire: str) -> None:
    """Loopback of this network takes its time from here on, tc-netem(8)."""
    subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", wire], check=True)


def main(folder: Path, observes: bool, names: list[str]) -> int:
    failed = 0
    for name in names or PROGRAMS:
        pid = os.fork()
        if pid == 0:
            prepare = (lambda name=name: _slow(SLOW_WIRES[name])) if name in SLOW_WIRES else None
            record(PROGRAMS[name], str(folder / f"{name}.pcapng"), prepare=prepare, observes=observes)
            os._exit(0)
        failed += os.waitpid(pid, 0)[1] != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] == "within", sys.argv[3:]))
