"""HEARTBEAT asks an idle path whether it is alive. See setsockopt ask for one at once (SPP_HB_DEMAND), then one go
after each interval of silence, which no call of either program sends, and each answered with its own octets."""

from rawlab.labs.sctp import heartbeats, hurry
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SOCK_STREAM, SPP_HB_DEMAND, SPP_HB_ENABLE, any_address
from rawlab.model.lab import Options

PORT = 7
INTERVAL_MS = 200


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.read(connfd, 4096)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    hurry(c, sockfd, 100)
    c.connect(sockfd, lab.server)
    heartbeats(c, sockfd, SPP_HB_DEMAND)
    heartbeats(c, sockfd, SPP_HB_ENABLE, INTERVAL_MS)
    c.nanosleep(1.2)
    c.close(sockfd)
