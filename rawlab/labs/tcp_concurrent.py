"""The concurrent TCP server forks a child for each client, and the clients overlap. See that after fork two
processes hold one socket: the parent's close sends nothing, the child's, the last, sends the FIN."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    for _ in range(2):
        connfd, _ = c.accept(listenfd)
        if c.fork() == 0:
            c.close(listenfd)
            c.write(connfd, c.read(connfd, 4096))
            c.close(connfd)
            c.exit(0)
        c.close(connfd)
    sync.post("the parent has closed")
    c.waitpid(-1)
    c.waitpid(-1)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    first = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(first, lab.server)
    second = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(second, lab.server)
    sync.wait("the parent has closed")
    for sockfd in (second, first):
        c.write(sockfd, lab.message)
        c.read(sockfd, 4096)
        c.read(sockfd, 4096)
        c.close(sockfd)
