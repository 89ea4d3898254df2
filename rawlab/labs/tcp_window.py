"""The reader sleeps, and its buffer fills. See the window shrink to zero, the sender's kernel ask again and again
whether it has opened (probes), and the update that tells that it has, when the reader reads."""

from rawlab.labs.stream import readn, writen
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SO_RCVBUF, SOCK_STREAM, SOL_SOCKET, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.setsockopt(listenfd, SOL_SOCKET, SO_RCVBUF, 4096)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.nanosleep(1.5)
    readn(c, connfd, 20000)
    c.read(connfd, 1)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    writen(c, sockfd, b"x" * 20000)
    c.close(sockfd)
