"""A loss on one stream does not hold up another. See TCP's second write wait behind the first, which was lost, and
SCTP's message of stream 2 be read at once, while those of stream 1 wait for the lost one."""

from rawlab.labs.sctp import hurry, sctp_sendmsg
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, any_address
from rawlab.model.faults import Drop
from rawlab.model.lab import Options

PORT = 7
DELAY_MS = 30
FAULTS = (Drop(way="client>", protocol="tcp", data=True), Drop(way="client>", chunk="DATA", stream=1))


def server(c: Calls, lab: Options, sync: Sync) -> None:
    for protocol in (IPPROTO_TCP, IPPROTO_SCTP):
        listenfd = c.socket(lab.domain, SOCK_STREAM, protocol)
        c.bind(listenfd, any_address(lab.server))
        c.listen(listenfd, 10)
        sync.post(f"listens {protocol}")
        connfd, _ = c.accept(listenfd)
        while c.read(connfd, 4096):
            sync.post("has read")


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("listens IPPROTO_TCP")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_TCP)
    c.setsockopt(sockfd, IPPROTO_TCP, TCP_NODELAY, 1)
    c.connect(sockfd, lab.server)
    c.write(sockfd, b"first, lost")
    c.write(sockfd, b"second")
    sync.wait("has read")
    c.close(sockfd)
    sync.wait("listens IPPROTO_SCTP")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    hurry(c, sockfd, 500)
    c.connect(sockfd, lab.server)
    for stream, message in ((1, b"first, lost"), (2, b"second"), (1, b"third")):
        sctp_sendmsg(c, sockfd, message, stream=stream)
