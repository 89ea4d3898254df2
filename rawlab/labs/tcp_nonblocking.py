"""A connect that does not wait: EINPROGRESS. See SYN leave, poll wait for the handshake in connect's stead, and
SO_ERROR tell how it ended; a read with nothing to read returns EAGAIN at once."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import F_SETFL, O_NONBLOCK, POLLIN, POLLOUT, SO_ERROR, SOCK_STREAM, SOL_SOCKET, any_address
from rawlab.model.lab import Options

PORT = 7
DELAY_MS = 50
LOOPBACK = False  # that wire takes no time
DELAY_MS = 20  # each way, so that there is something to wait for


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    sync.wait("the client polls")
    c.write(connfd, b"hello")
    c.read(connfd, 1)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.fcntl(sockfd, F_SETFL, O_NONBLOCK)
    c.connect(sockfd, lab.server)
    c.poll([(sockfd, POLLOUT)], -1)
    c.getsockopt(sockfd, SOL_SOCKET, SO_ERROR)
    c.read(sockfd, 4096)
    sync.post("the client polls")
    c.poll([(sockfd, POLLIN)], -1)
    c.read(sockfd, 4096)
    c.close(sockfd)
