"""Three ways to a reset: close with octets unread, close with SO_LINGER of 0 seconds, a write to a peer that is gone.
See RST instead of FIN, ECONNRESET at the other side, and EPIPE at the second write."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SO_LINGER, SOCK_STREAM, SOL_SOCKET, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    for way in ("unread", "linger", "gone"):
        sync.post("the server listens")
        connfd, _ = c.accept(listenfd)
        sync.wait("the client is there")
        if way == "linger":
            c.setsockopt(connfd, SOL_SOCKET, SO_LINGER, (1, 0))
        c.close(connfd)
        sync.post("the server has closed")
    c.close(listenfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    for way in ("unread", "linger", "gone"):
        sync.wait("the server listens")
        sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
        c.connect(sockfd, lab.server)
        if way == "unread":
            c.write(sockfd, b"nobody reads this")
        sync.post("the client is there")
        sync.wait("the server has closed")
        c.read(sockfd, 1)
        if way == "gone":
            c.write(sockfd, b"one")
            c.write(sockfd, b"two")
        c.close(sockfd)
