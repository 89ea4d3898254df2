"""The echo server on SCTP's one-to-one sockets, with the calls of TCP. See four steps instead of three, that the
server keeps no state before the third, that each write is one message (a TSN), and that close ends both directions at
once."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7
INTERACTIVE = True
LONGEST = 1 << 20


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    for _ in range(lab.clients):
        connfd, _ = c.accept(listenfd)
        while message := c.read(connfd, LONGEST):
            c.write(connfd, message)
        c.close(connfd)
    c.close(listenfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    for _ in range(lab.clients):
        sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
        c.connect(sockfd, lab.server)
        for message in lab.messages:
            c.write(sockfd, message)
            c.read(sockfd, LONGEST)
        c.close(sockfd)
