"""An unordered message waits for no other of its stream. See the first message lost, the second one, which is
unordered (U, without a number of its own), be read before it, and the third, which is ordered, wait."""

from rawlab.labs.sctp import hurry, sctp_sendmsg, subscribe
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SCTP_UNORDERED, SOCK_STREAM, any_address
from rawlab.model.faults import Drop
from rawlab.model.lab import Options

PORT = 7
FAULTS = (Drop(way="client>", chunk="DATA"),)


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    subscribe(c, connfd, "data_io")
    while c.recvmsg(connfd, 4096)[0]:
        pass
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    hurry(c, sockfd, 500)
    c.connect(sockfd, lab.server)
    sctp_sendmsg(c, sockfd, b"first, lost")
    sctp_sendmsg(c, sockfd, b"overtakes", flags=SCTP_UNORDERED)
    sctp_sendmsg(c, sockfd, b"third")
    c.close(sockfd)
