"""A listening socket's queue is full: a backlog of 1 holds two connections, the third SYN is dropped. See that the
first two handshakes end without any accept, and that the third SYN is sent again until accept has made room."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 1)
    sync.post("the server listens")
    sync.wait("the queue is full")
    c.nanosleep(0.5)
    for _ in range(3):
        connfd, _ = c.accept(listenfd)
        c.read(connfd, 1)
        c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    first = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(first, lab.server)
    second = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(second, lab.server)
    sync.post("the queue is full")
    third = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(third, lab.server)
    c.close(first)
    c.close(second)
    c.close(third)
