"""MSG_PEEK looks at the queue and takes nothing from it. See that recv and the read after it return the same octets,
which one segment brought, and that neither sends anything."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import MSG_PEEK, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.recv(connfd, 3, MSG_PEEK)
    c.recv(connfd, 4096, MSG_PEEK)
    c.read(connfd, 4096)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    c.write(sockfd, b"hello")
    c.read(sockfd, 1)
    c.close(sockfd)
