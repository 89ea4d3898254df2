"""SCTP knows no half-close: shutdown(SHUT_WR), which in TCP ends one direction, ends the association. See that the
server's SHUTDOWN ACK needs no call, and that its write, which TCP would still deliver, fails."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SHUT_WR, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.read(connfd, 4096)
    c.read(connfd, 4096)
    c.nanosleep(0.05)
    c.write(connfd, b"that was all you said")
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.connect(sockfd, lab.server)
    c.write(sockfd, b"hello")
    c.shutdown(sockfd, SHUT_WR)
    c.read(sockfd, 4096)
    c.close(sockfd)
