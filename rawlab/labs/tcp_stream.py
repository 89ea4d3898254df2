"""TCP is a stream: readline and writen make lines and messages of it. See three reads of one segment, one write in
four segments, writes that Nagle's algorithm gathers in one, and with TCP_NODELAY one segment a write."""

from rawlab.labs.stream import readline, readn, writen
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, any_address
from rawlab.model.lab import Options

PORT = 7
DELAY_MS = 50  # each way: no acknowledgment is back before the next word is written


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    readline(c, connfd, 80)
    readn(c, connfd, 5000)
    readn(c, connfd, 9)
    readn(c, connfd, 9)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    writen(c, sockfd, b"hi\n")
    writen(c, sockfd, b"x" * 5000)
    c.nanosleep(0.6)
    for word in (b"one", b"two", b"six"):
        writen(c, sockfd, word)
    c.nanosleep(0.6)
    c.setsockopt(sockfd, IPPROTO_TCP, TCP_NODELAY, 1)
    for word in (b"one", b"two", b"six"):
        writen(c, sockfd, word)
    c.read(sockfd, 1)
    c.close(sockfd)
