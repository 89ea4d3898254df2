"""The iterative TCP server echoes what each client writes. See that connect sends the SYN, that the handshake
is over before accept returns, that each write is one segment, and that close sends the FIN."""

from rawlab.labs.stream import readn, writen
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7
INTERACTIVE = True


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    for _ in range(lab.clients):
        connfd, _ = c.accept(listenfd)
        for message in lab.messages:
            received = readn(c, connfd, len(message))
            writen(c, connfd, received)
        c.read(connfd, 1)
        c.close(connfd)
    c.close(listenfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    for _ in range(lab.clients):
        sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
        c.connect(sockfd, lab.server)
        for message in lab.messages:
            writen(c, sockfd, message)
            readn(c, sockfd, len(message))
        c.close(sockfd)
