"""The course's simple UDP server answers "Server Got Message"; one client binds first, one does not. See that without
bind the kernel chooses a port at the first sendto: bind is not mandatory for a client."""

from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_DGRAM, any_address
from rawlab.model.lab import Options

PORT = 9988


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    sync.post("the server is bound")
    for _ in range(2):
        _, client_address = c.recvfrom(sockfd, 256, "0")
        if client_address:
            c.sendto(sockfd, b"Server Got Message", "0", client_address)
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server is bound")
    for binds in (True, False):
        sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
        if binds:
            c.bind(sockfd, any_address(Endpoint(lab.server.address, 0)))
        c.getsockname(sockfd)
        c.sendto(sockfd, lab.message, "0", lab.server)
        c.recvfrom(sockfd, 256, "0")
        c.getsockname(sockfd)
        c.close(sockfd)
