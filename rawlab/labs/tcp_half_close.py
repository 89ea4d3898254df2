"""shutdown(SHUT_WR) ends one direction, the other goes on. See the client's FIN, the server's read of 0, and then data
that still goes from the server (CLOSE-WAIT) to the client (FIN-WAIT-2)."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SHUT_WR, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.read(connfd, 4096)
    c.read(connfd, 4096)
    c.write(connfd, b"that was all you said")
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    c.write(sockfd, b"hello")
    c.nanosleep(0.05)
    c.shutdown(sockfd, SHUT_WR)
    c.read(sockfd, 4096)
    c.read(sockfd, 4096)
    c.close(sockfd)
