"""Both sides close while the other's FIN is on its way (the wire takes 50 ms here). See the FINs cross, and both ends
go from FIN-WAIT-1 through CLOSING to TIME-WAIT."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7
LOOPBACK = False  # that wire takes no time
DELAY_MS = 50


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    sync.post("accepted")
    c.close(connfd)
    c.nanosleep(0.4)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    sync.wait("accepted")
    c.close(sockfd)
    c.nanosleep(0.4)
