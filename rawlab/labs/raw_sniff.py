"""A raw TCP socket beside an ordinary server. See that it gets a copy of each segment that comes to its host, and that
the kernel's TCP goes on as ever: a raw socket bypasses the transport layer and does not replace it."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_TCP, MSG_DONTWAIT, SOCK_RAW, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    rawfd = c.socket(lab.domain, SOCK_RAW, IPPROTO_TCP)
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    data = c.read(connfd, 4096)
    c.write(connfd, data)
    c.read(connfd, 1)
    c.close(connfd)
    c.nanosleep(0.05)
    while c.recvfrom(rawfd, 65535, MSG_DONTWAIT)[0]:
        pass
    c.close(rawfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    c.write(sockfd, lab.message)
    c.read(sockfd, 4096)
    c.close(sockfd)
