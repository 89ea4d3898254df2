"""Ending an association at once: ABORT. See close with SO_LINGER {1, 0} send ABORT instead of SHUTDOWN, sendmsg with
SCTP_ABORT send one with a reason, and the server's read fail with ECONNRESET; nobody answers an ABORT."""

from rawlab.labs.sctp import sctp_sendmsg
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SCTP_ABORT, SO_LINGER, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.bind(listenfd, lab.server)
    c.listen(listenfd, 10)
    sync.post("the server listens")
    for _ in range(2):
        connfd, _ = c.accept(listenfd)
        sync.post("accepted")
        sync.wait("aborted")
        c.read(connfd, 4096)
        c.close(connfd)
    c.close(listenfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.connect(sockfd, lab.server)
    sync.wait("accepted")
    c.setsockopt(sockfd, SOL_SOCKET, SO_LINGER, (1, 0))
    c.close(sockfd)
    sync.post("aborted")
    sockfd = c.socket(lab.domain, SOCK_SEQPACKET, IPPROTO_SCTP)
    c.connect(sockfd, lab.server)
    sync.wait("accepted")
    sctp_sendmsg(c, sockfd, b"I am tired of this", lab.server, flags=SCTP_ABORT)
    sync.post("aborted")
    c.close(sockfd)
