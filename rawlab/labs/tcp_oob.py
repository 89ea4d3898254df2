"""MSG_OOB sends one octet out of band. See that its segment has URG and an urgent pointer, and that the octet keeps its
place among the sequence numbers but is read apart, ahead of what was written before."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import MSG_OOB, POLLPRI, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.poll([(connfd, POLLPRI)], -1)
    c.recv(connfd, 1, MSG_OOB)
    c.read(connfd, 4096)
    c.read(connfd, 4096)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    c.write(sockfd, b"before")
    c.send(sockfd, b"!", MSG_OOB)
    c.write(sockfd, b"after")
    c.read(sockfd, 1)
    c.close(sockfd)
