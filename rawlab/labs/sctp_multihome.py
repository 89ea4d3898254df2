"""An association over two paths survives the loss of one. See INIT name both addresses, HEARTBEAT verify the second,
the first wire cut after one message, the next sent again by the other path, and, when the first is found dead, all go
there."""

from rawlab.labs.sctp import heartbeats, hurry, sctp_bindx
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO, SOCK_STREAM, SOL_SCTP, SPP_HB_ENABLE
from rawlab.model.faults import Cut
from rawlab.model.lab import Options

PORT = 7
PATHS = 2
FAULTS = (Cut(path=1, way="server>", chunk="SACK"),)


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    sctp_bindx(c, listenfd, tuple(Endpoint(address, lab.server.port) for address in lab.server_addresses))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    while c.read(connfd, 4096):
        sync.post("has read")
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    sctp_bindx(c, sockfd, tuple(Endpoint(address, 0) for address in lab.client_addresses))
    hurry(c, sockfd, 300)
    heartbeats(c, sockfd, SPP_HB_ENABLE, interval_ms=100, path_max_retrans=1)
    c.connect(sockfd, lab.server)
    for seconds, message in ((1, b"by the first path"), (0.1, b"by the second"), (2, b"and on by the second")):
        c.nanosleep(seconds)
        c.write(sockfd, message)
        sync.wait("has read")
    c.getsockopt(sockfd, SOL_SCTP, SCTP_GET_PEER_ADDR_INFO, (0, lab.server))
