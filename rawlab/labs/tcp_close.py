"""close returns at once; the kernel goes on and sends what is queued. See data leave after close has returned, FIN
behind it, TIME-WAIT at the side that closed first, CLOSE-WAIT at the other, whose process ends without close."""

from rawlab.labs.stream import readn
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
    sync.wait("the client has closed")
    readn(c, connfd, 9000)
    c.read(connfd, 1)
    c.exit(0)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    c.write(sockfd, b"x" * 9000)
    c.close(sockfd)
    sync.post("the client has closed")
